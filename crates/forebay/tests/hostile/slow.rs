//! Clients that take their time, in both directions.

use std::thread;
use std::time::Duration;

use forebay_testkit::check::problem;
use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::message::Broken;
use forebay_testkit::origin::Origin;
use forebay_testkit::settings::{in_front_of, top};
use forebay_testkit::wire::{Client, End};

use crate::table::ask;

fn gateway(origin: &Origin, limits: &str) -> Gateway {
    gateway!("{}", in_front_of(origin.address(), &format!("limits: {{ {limits} }}")))
}

/// Checks that the client is told 408 with this reason, and then nothing more.
fn check_refused(client: &mut Client, method: &str, reason: &str) {
    let response = client.response(method).unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(problem(&response, 408), Ok(reason.to_owned()));
    assert!(response.closes(), "{response}");
    assert_eq!(client.end(), End::Closed);
}

#[test]
fn a_head_that_takes_too_long_is_refused_however_steadily_it_drips() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, "header_timeout: 300ms");
    let mut client = gateway.client();
    let mut writer = client.writer();
    client.send("GET /x HTTP/1.1\r\nHost: t\r\n").expect("connected");
    // Each byte comes long before the deadline; the deadline is for all of them together.
    let drip = thread::spawn(move || {
        while std::io::Write::write_all(&mut writer, b"X: y\r\n").is_ok() {
            thread::sleep(Duration::from_millis(20));
        }
    });
    check_refused(&mut client, "GET", "header_timeout");
    drop(client);
    drip.join().expect("the dripping thread ends with the connection");
    assert_eq!(origin.count(), 0);
    assert_eq!(ask(&mut gateway.client(), "/after"), Ok(()));
}

#[test]
fn a_second_head_that_stops_half_way_is_refused() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, "header_timeout: 200ms");
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, "/first"), Ok(()));
    client.send("GET /second HTTP/1.1\r\nHo").expect("connected");
    check_refused(&mut client, "GET", "header_timeout");
    assert_eq!(origin.count(), 1);
}

#[test]
fn a_client_that_says_nothing_is_let_go_without_a_word() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, "header_timeout: 200ms, idle: 200ms");
    assert_eq!(gateway.client().end(), End::Closed);
    let mut client = gateway.client();
    assert_eq!(ask(&mut client, "/x"), Ok(()));
    assert_eq!(client.end(), End::Closed);
    assert_eq!(ask(&mut gateway.client(), "/after"), Ok(()));
}

#[test]
fn a_body_below_the_least_rate_is_refused() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, "body_rate_min: 1KiB/s");
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 100000\r\n\r\nslow").expect("connected");
    check_refused(&mut client, "POST", "body_timeout");
    assert!(origin.seen().iter().all(|seen| !seen.complete), "a part was taken for the whole");
    assert_eq!(ask(&mut gateway.client(), "/after"), Ok(()));
}

#[test]
fn a_body_that_stops_after_a_quick_start_is_refused() {
    // What came quickly must not buy hours of silence.
    let origin = Origin::echo();
    let (top, endpoint) = (top(), origin.address());
    let gateway = gateway!(
        "{top}services:\n  app: {{ endpoints: [\"{endpoint}\"], timeout: {{ idle: 300ms }} }}\n\
         routes:\n  - {{ match: /*, to: app }}\n"
    );
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000\r\n\r\n").expect("connected");
    client.send(vec![b'b'; 500_000]).expect("connected");
    check_refused(&mut client, "POST", "body_timeout");
    assert_eq!(ask(&mut gateway.client(), "/after"), Ok(()));
}

#[test]
fn a_client_that_is_cut_off_cannot_take_what_it_has_for_the_whole() {
    // To an HTTP/1.0 client the end of the connection is the end of the body.
    let origin = Origin::start(|conn| {
        while conn.request().is_ok() {
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
            for _ in 0..256 {
                conn.send([&b"10000\r\n"[..], &[b'z'; 0x10000], b"\r\n"].concat());
            }
            conn.send("0\r\n\r\n");
        }
    });
    let gateway = gateway(&origin, "write_stall: 300ms");
    let mut client = Client::connect_small(gateway.addr());
    client.send("GET /x HTTP/1.0\r\n\r\n").expect("connected");
    gateway.await_metric("forebay_connections_accepted_total", |accepted| accepted >= 1.0);
    gateway.await_metric("forebay_connections", |open| open < 1.0);
    match client.response("GET") {
        Ok(response) => panic!("{} bytes look like the whole", response.body.len()),
        Err(failed) => assert_eq!(failed.why, Broken::Reset),
    }
}

#[test]
fn a_client_that_reads_slowly_but_steadily_gets_everything() {
    use std::io::{Read as _, Write as _};
    let origin = Origin::start(|conn| {
        while conn.request().is_ok() {
            conn.reply("200 OK", &vec![b'z'; 16 << 20]);
        }
    });
    let gateway = gateway(&origin, "write_stall: 400ms");
    let mut stream = std::net::TcpStream::connect(gateway.addr()).expect("it listens");
    stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a valid time");
    stream.write_all(b"GET /x HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n").expect("connected");
    let mut piece = vec![0; 64 << 10];
    let mut got = 0;
    // Far less than the send buffer holds comes free within the time for a stall, but some always does.
    for _ in 0..25 {
        thread::sleep(Duration::from_millis(100));
        got += stream.read(&mut piece).expect("not cut off");
    }
    got += std::io::copy(&mut stream, &mut std::io::sink()).expect("not cut off") as usize;
    assert!(got > 16 << 20, "{got}");
}

#[test]
fn a_client_that_never_reads_is_cut_off() {
    let origin = Origin::start(|conn| {
        while conn.request().is_ok() {
            conn.reply("200 OK", &vec![b'z'; 16 << 20]);
        }
    });
    let gateway = gateway(&origin, "write_stall: 300ms");
    let client = {
        let mut client = Client::connect_small(gateway.addr());
        client.send("GET /x HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
        client
    };
    // Not reading is the point: only the gateway's own count tells that it has given up.
    gateway.await_metric("forebay_connections_accepted_total", |accepted| accepted >= 1.0);
    gateway.await_metric("forebay_connections", |open| open < 1.0);
    drop(client);
    assert_eq!(gateway.get("/after").body.len(), 16 << 20);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, "");
    let mut client = gateway.client();
    let request = b"POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n\
        5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n";
    for _ in 0..2 {
        client.send_by_byte(request).expect("connected");
        let response = client.response("POST").unwrap_or_else(|failed| panic!("{failed}"));
        assert_eq!(response.headers.get("x-path"), Some("/x"));
        assert_eq!(origin.last().body, b"hello world");
    }
}

#[test]
fn a_request_may_be_cut_anywhere() {
    let origin = Origin::echo();
    let gateway = gateway(&origin, "");
    let request =
        b"POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhelloGET /y HTTP/1.1\r\nHost: t\r\n\r\n";
    let mut client = gateway.client();
    for cut in 1..request.len() {
        client.send_pieces([&request[..cut], &request[cut..]]).expect("connected");
        for (method, target) in [("POST", "/x"), ("GET", "/y")] {
            let response = client.response(method).unwrap_or_else(|failed| panic!("cut at {cut}: {failed}"));
            assert_eq!(response.headers.get("x-path"), Some(target), "cut at {cut}");
        }
    }
}
