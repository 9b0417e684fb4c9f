//! Bodies of any framing and size: complete, in order, and never more of one in memory than needed.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::message::{Request, Response};
use forebay_testkit::origin::{Conn, Gate, Origin};
use forebay_testkit::settings::in_front_of;
use forebay_testkit::wire::{Client, End};

use crate::{answer, ask, in_front};

/// How much a gateway may grow while a body streams: buffers, not bodies.
const GROWTH_MAX: f64 = 12e6;
const LARGE: usize = 64 << 20;
const PIECE: usize = 64 << 10;

#[test]
fn trailers_go_both_ways() {
    let origin = Origin::start(|conn| {
        while conn.request().is_ok() {
            conn.send(
                "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
                 5\r\nhello\r\n0\r\nX-Sum: of-response\r\n\r\n",
            );
        }
    });
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    for _ in 0..2 {
        let response = ask(
            &mut client,
            "POST /x HTTP/1.1\r\nHost: t\r\nTE: trailers\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n\
             2\r\nhi\r\n0\r\nX-Sum: of-request\r\n\r\n",
        );
        assert_eq!(response.text(), "hello");
        assert_eq!(response.trailers.get("x-sum"), Some("of-response"));
        let seen = origin.last();
        assert_eq!((&seen.body[..], seen.trailers.get("x-sum")), (&b"hi"[..], Some("of-request")));
    }
}

#[test]
fn what_a_route_removes_or_sets_does_not_come_as_a_trailer_either() {
    const BEGIN: &str = "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n";
    const END: &str = "0\r\nX-Sum: 1\r\nX-SECRET: 2\r\nX-Set: theirs\r\nX-Secretive: 3\r\n\r\n";
    let gate = Gate::new();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        while let Ok(request) = conn.request() {
            // The trailers come with the rest, or long after it.
            if request.target == "/late" {
                conn.send(format!("HTTP/1.1 200 OK\r\n{BEGIN}"));
                wait.pass();
                conn.send(END);
            } else {
                conn.send(format!("HTTP/1.1 200 OK\r\n{BEGIN}{END}"));
            }
        }
    });
    let edits = "{ remove: [x-secret], set: { x-set: ours }, add: { x-added: ours } }";
    let more = format!("defaults: {{ headers: {{ request: {edits}, response: {edits} }} }}");
    let gateway = gateway!("{}", in_front_of(origin.address(), &more));
    let mut client = gateway.client();
    let head = |path: &str| format!("POST {path} HTTP/1.1\r\nHost: t\r\nTE: trailers\r\n{BEGIN}");
    let check = |response: &Response, request: &Request| {
        for (headers, trailers) in
            [(&response.headers, &response.trailers), (&request.headers, &request.trailers)]
        {
            let names: Vec<&str> = trailers.0.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["X-Sum", "X-Secretive"]);
            assert_eq!((headers.get("x-set"), headers.get("x-added")), (Some("ours"), Some("ours")));
        }
    };
    let response = ask(&mut client, format!("{}{END}", head("/at-once")));
    check(&response, &origin.last());

    client.send(head("/late")).expect("connected");
    origin.await_count(2);
    client.send(END).expect("connected");
    let begun = client.head().unwrap_or_else(|failed| panic!("{failed}"));
    gate.open();
    let response = client.body("POST", begun).unwrap_or_else(|failed| panic!("{failed}"));
    check(&response, &origin.last());
}

#[test]
fn http_1_0_clients_get_chunks_without_their_coding() {
    let origin = Origin::start(|conn| {
        while conn.request().is_ok() {
            conn.send(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
                 5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n",
            );
        }
    });
    let gateway = in_front(&origin);
    for connection in ["", "Connection: keep-alive\r\n"] {
        let mut client = gateway.client();
        let response = ask(&mut client, format!("GET /x HTTP/1.0\r\n{connection}\r\n"));
        assert_eq!(response.text(), "hello world");
        assert_eq!(response.headers.get("transfer-encoding"), None);
        assert_eq!(client.end(), End::Closed);
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn an_upstream_body_that_ends_with_its_connection_arrives_whole() {
    let origin = Origin::start(|conn| {
        if conn.request().is_ok() {
            conn.send("HTTP/1.0 200 OK\r\n\r\n");
            conn.send(vec![b'b'; 300_000]);
        }
    });
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    for _ in 0..3 {
        let response = client.get("/x");
        assert_eq!(response.body.len(), 300_000);
        if response.closes() {
            client = gateway.client();
        }
    }
}

#[test]
fn bodies_of_every_awkward_size_arrive_whole() {
    let origin = Origin::echo();
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    let edges = [1usize << 12, 1 << 14, 1 << 15, 1 << 16, 1 << 17, 1 << 20];
    let sizes = edges.iter().flat_map(|edge| [edge - 1, *edge, edge + 1]);
    for size in [0, 1, 2, 100].into_iter().chain(sizes) {
        let body: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
        let length = format!("POST /l HTTP/1.1\r\nHost: t\r\nContent-Length: {size}\r\n\r\n");
        let answered = ask(&mut client, [length.as_bytes(), &body].concat());
        assert!(answered.body.ends_with(&body), "{size} by length");
        assert_eq!(origin.last().body, body, "{size} by length");
        let mut chunked = b"POST /c HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
        for chunk in body.chunks(1 + size / 3) {
            chunked.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            chunked.extend_from_slice(chunk);
            chunked.extend_from_slice(b"\r\n");
        }
        chunked.extend_from_slice(b"0\r\n\r\n");
        let answered = ask(&mut client, chunked);
        assert!(answered.body.ends_with(&body), "{size} in chunks");
        assert_eq!(origin.last().body, body, "{size} in chunks");
    }
}

#[test]
fn large_bodies_stream_both_ways_at_once() {
    for chunked in [false, true] {
        let origin = Origin::start(stream_back);
        let gateway = gateway!("{}", in_front_of(origin.address(), "limits: { body_max: 100MiB }"));
        let mut client = gateway.client();
        warm_up(&gateway);
        let before = resident(&gateway);
        let writer = client.writer();
        let sending = thread::spawn(move || send_large(writer, chunked));
        let head = client.head().unwrap_or_else(|failed| panic!("{failed}"));
        let (mut received, mut most) = (0usize, before);
        client.stream_body("POST", &head, |piece| {
            assert!(
                piece.iter().enumerate().all(|(at, byte)| *byte == pattern(received + at)),
                "at {received}"
            );
            let mark = received / (8 << 20);
            received += piece.len();
            if received / (8 << 20) != mark {
                most = most.max(resident(&gateway));
            }
        });
        sending.join().expect("the sender met no error");
        assert_eq!(received, LARGE);
        assert!(most - before < GROWTH_MAX, "grew by {} bytes", most - before);
    }
}

#[test]
fn a_reader_that_waits_makes_the_origin_wait_not_the_gateway_swell() {
    let stalled = Gate::new();
    let tell = stalled.clone();
    let origin = Origin::start(move |conn| {
        while let Ok(request) = conn.request() {
            if request.target == "/warm" {
                conn.reply("200 OK", b"warm");
                continue;
            }
            conn.send(format!("HTTP/1.1 200 OK\r\nContent-Length: {LARGE}\r\n\r\n"));
            send_until_stalled(conn, &tell);
        }
    });
    let gateway = in_front(&origin);
    warm_up(&gateway);
    let before = resident(&gateway);
    let mut client = Client::connect_small(gateway.addr());
    client.send("GET /x HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
    stalled.pass();
    let growth = resident(&gateway) - before;
    assert!(growth < GROWTH_MAX, "grew by {growth} bytes");
    // And not a byte was lost in the meantime.
    let head = client.head().unwrap_or_else(|failed| panic!("{failed}"));
    let mut received = 0;
    client.stream_body("GET", &head, |piece| received += piece.len());
    assert_eq!(received, LARGE);
}

#[test]
fn an_origin_that_waits_makes_the_client_wait_not_the_gateway_swell() {
    let (stalled, read) = (Gate::new(), Gate::new());
    let wait = read.clone();
    let origin = Origin::start(move |conn| {
        while let Ok((index, request)) = conn.request_head() {
            if request.target != "/warm" {
                wait.pass();
            }
            let mut body = conn.body_of(&request).expect("a length");
            let mut count = 0;
            while let Ok(Some(piece)) = conn.piece(&mut body) {
                count += piece.len();
            }
            conn.complete(index);
            conn.reply("200 OK", count.to_string().as_bytes());
        }
    });
    let gateway = in_front(&origin);
    warm_up(&gateway);
    let before = resident(&gateway);
    let mut client = gateway.client();
    client
        .send(format!("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: {LARGE}\r\n\r\n"))
        .expect("connected");
    let (writer, tell) = (client.writer(), stalled.clone());
    let sending = thread::spawn(move || write_until_stalled(&writer, LARGE, &tell));
    stalled.pass();
    let growth = resident(&gateway) - before;
    assert!(growth < GROWTH_MAX, "grew by {growth} bytes");
    read.open();
    sending.join().expect("the sender met no error");
    assert_eq!(answer(&mut client).text(), LARGE.to_string());
}

/// Reads a body and sends it back as it comes, in chunks.
fn stream_back(conn: &mut Conn) {
    while let Ok((index, request)) = conn.request_head() {
        let mut body = conn.body_of(&request).expect("a framing");
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
        while let Ok(Some(piece)) = conn.piece(&mut body) {
            let size = format!("{:x}\r\n", piece.len());
            conn.send([size.as_bytes(), &piece, b"\r\n"].concat());
        }
        conn.complete(index);
        conn.send("0\r\n\r\n");
    }
}

/// The byte at this place of a large body: a period that no buffer size shares.
fn pattern(at: usize) -> u8 {
    (at % 251) as u8
}

fn send_large(mut stream: TcpStream, chunked: bool) {
    let framing =
        if chunked { "Transfer-Encoding: chunked".into() } else { format!("Content-Length: {LARGE}") };
    let head = format!("POST /x HTTP/1.1\r\nHost: t\r\n{framing}\r\n\r\n");
    stream.write_all(head.as_bytes()).expect("connected");
    for start in (0..LARGE).step_by(PIECE) {
        let piece: Vec<u8> = (start..start + PIECE).map(pattern).collect();
        if chunked {
            let size = format!("{PIECE:x}\r\n");
            stream.write_all(&[size.as_bytes(), &piece, b"\r\n"].concat()).expect("connected");
        } else {
            stream.write_all(&piece).expect("connected");
        }
    }
    if chunked {
        stream.write_all(b"0\r\n\r\n").expect("connected");
    }
}

/// Sends `LARGE` bytes; opens the gate when the peer takes nothing for a while, or everything.
fn send_until_stalled(conn: &Conn, gate: &Gate) {
    write_until_stalled(&conn.writer(), LARGE, gate);
}

fn write_until_stalled(stream: &TcpStream, bytes: usize, gate: &Gate) {
    let piece = vec![b'z'; PIECE];
    let (mut stream, mut left) = (stream, bytes);
    stream.set_write_timeout(Some(Duration::from_millis(300))).expect("not zero");
    while left > 0 {
        match stream.write(&piece[..left.min(PIECE)]) {
            Ok(count) => left -= count,
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => gate.open(),
            Err(error) => panic!("{left} bytes were not taken: {error}"),
        }
    }
    gate.open();
}

/// What the first requests allocate once and for all.
fn warm_up(gateway: &Gateway) {
    for _ in 0..20 {
        let _ = gateway.client().ask("GET /warm HTTP/1.1\r\nHost: t\r\n\r\n");
        let _ = gateway.metrics();
    }
}

fn resident(gateway: &Gateway) -> f64 {
    gateway.metric("process_resident_memory_bytes")
}
