//! The truth must itself be true.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use super::*;
use crate::message::Broken;
use crate::wire::{Client, End};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

const GET: &str = "GET / HTTP/1.1\r\nHost: t\r\n\r\n";

#[test]
fn a_script_sees_requests_and_decides_their_answers() {
    let server = Scripted::start(|request| match (request.method, request.target) {
        ("POST", "/echo") => {
            Reply::now().body(request.body).header("x-kind", request.header("kind").unwrap_or("-"))
        }
        ("GET", "/gone") => Reply::now().status(503).size(100),
        _ => Reply::now().status(204),
    });
    let mut client = Client::connect(server.address());
    let answer = client.ask("POST /echo HTTP/1.1\r\nKind: a\r\nContent-Length: 2\r\n\r\nhi").expect("whole");
    assert_eq!((answer.text().as_str(), answer.headers.get("x-kind")), ("hi", Some("a")));
    let answer = client.get("/gone");
    assert_eq!((answer.status, answer.body.len()), (503, 100));
    assert_eq!(client.get("/").status, 204);
    let truth = server.truth();
    assert_eq!((truth.connections, truth.requests, truth.given(How::Whole)), (1, 3, 3));
    assert_eq!(truth.statuses.into_iter().collect::<Vec<_>>(), [(200, 1), (204, 1), (503, 1)]);
    assert!(truth.faults.is_empty());
}

#[test]
fn an_answer_never_comes_before_its_time() {
    let delays = Delays::Ladder { from: ms(1), to: ms(30), rungs: 30 };
    let script = delays.clone();
    let server = Scripted::start(move |request| Reply::after(script.of(request.number)));
    let mut client = Client::connect(server.address());
    for number in 0..30 {
        let asked = Instant::now();
        client.get("/");
        assert!(asked.elapsed() >= delays.of(number));
    }
    let truth = server.truth();
    assert!(truth.took(0.5) >= delays.quantile(0.5, 30));
    assert!(truth.entries.iter().all(|entry| entry.planned <= entry.first && entry.first <= entry.last));
}

#[test]
fn hundreds_of_answers_wait_side_by_side() {
    let server = Scripted::start(|_| Reply::after(ms(300)));
    let asked = Instant::now();
    let mut clients: Vec<Client> = (0..300).map(|_| Client::connect(server.address())).collect();
    for client in &mut clients {
        client.send(GET).expect("connected");
    }
    for client in &mut clients {
        assert_eq!(client.response("GET").expect("whole").status, 200);
    }
    // One after the other would take 90 s.
    assert!(asked.elapsed() < ms(300 * 100));
    assert_eq!(server.truth().given(How::Whole), 300);
}

#[test]
fn a_desk_works_on_one_at_a_time() {
    let server = Scripted::start(|_| Reply::work(ms(5)));
    let mut clients: Vec<Client> = (0..20).map(|_| Client::connect(server.address())).collect();
    let asked = Instant::now();
    for client in &mut clients {
        client.send(GET).expect("connected");
    }
    for client in &mut clients {
        client.response("GET").expect("whole");
    }
    assert!(asked.elapsed() >= ms(100));
    let mut planned: Vec<Duration> =
        server.truth().entries.iter().map(|entry| entry.at + entry.planned).collect();
    planned.sort_unstable();
    assert!(planned.windows(2).all(|pair| pair[1] - pair[0] >= ms(5)), "{planned:?}");
}

#[test]
fn nothing_is_answered_within_a_stall() {
    let stall = Span::new(ms(50), ms(200));
    let options = Options { stalls: vec![stall], ..Options::default() };
    let server = Scripted::with(options, |_| Reply::now());
    let mut client = Client::connect(server.address());
    let started = Instant::now();
    while started.elapsed() < ms(300) {
        client.get("/");
    }
    let truth = server.truth();
    let done = truth.entries.iter().map(|entry| entry.at + entry.last);
    let within: Vec<Duration> = done.filter(|done| *done > stall.from + ms(40) && *done < ms(250)).collect();
    assert!(within.is_empty(), "{within:?}");
    assert!(truth.entries.iter().any(|entry| entry.at >= ms(250)), "it catches up");
}

#[test]
fn an_outage_resets_connections_and_refuses_new_ones() {
    let options = Options { outages: vec![Span::new(ms(100), ms(400))], ..Options::default() };
    let server = Scripted::with(options, |_| Reply::now());
    let mut client = Client::connect(server.address());
    client.get("/");
    assert_eq!(client.end(), End::Reset);
    eventually("a refusal", || TcpStream::connect(server.address()).is_err().then_some(()));
    let stream = eventually("to be back", || TcpStream::connect(server.address()).ok());
    assert_eq!(Client::over(stream).get("/").status, 200);
}

/// What a client sees of an answer that is no whole one.
fn check(how: How, expected: &str) {
    let server = Scripted::start(move |_| Reply::now().size(100).how(how));
    let mut client = Client::connect(server.address());
    let seen = match client.ask(GET) {
        Ok(answer) => format!("{} with {}", answer.status, answer.body.len()),
        Err(failed) => match (failed.why, failed.partial) {
            (Broken::Malformed(_), _) => "malformed".to_owned(),
            (why, None) => format!("{why:?}"),
            (why, Some(partial)) => format!("{why:?} after {}", partial.body.len()),
        },
    };
    assert_eq!(seen, expected, "{how:?}");
    assert_eq!(server.truth().given(how), 1);
}

#[test]
fn each_fault_is_done_as_told() {
    check(How::Whole, "200 with 100");
    check(How::Slow { pieces: 5, gap: ms(2) }, "200 with 100");
    check(How::Garbage, "malformed");
}

#[test]
fn endings_differ_as_the_kernel_tells_them() {
    let read = |how| {
        let server = Scripted::start(move |_| Reply::now().size(100).how(how));
        let mut stream = TcpStream::connect(server.address()).expect("it listens");
        std::io::Write::write_all(&mut stream, GET.as_bytes()).expect("connected");
        let mut bytes = Vec::new();
        let end = stream.read_to_end(&mut bytes).map_err(|error| error.kind());
        let body = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|end| bytes.len() - end - 4);
        (end.is_ok(), body)
    };
    assert_eq!(read(How::Closed), (true, None));
    assert_eq!(read(How::Reset), (false, None));
    assert_eq!(read(How::Truncated), (true, Some(50)));
}

#[test]
fn who_leaves_before_the_answer_is_counted() {
    let server = Scripted::start(|_| Reply::now().how(How::Never));
    let mut client = Client::connect(server.address());
    client.send(GET).expect("connected");
    server.await_requests(1);
    drop(client);
    eventually("an abandoned request", || (server.truth().abandoned == 1).then_some(()));
    assert_eq!(server.truth().given(How::Never), 1);
}

#[test]
fn pipelined_requests_are_answered_in_turn() {
    let server = Scripted::start(|request| Reply::after(ms(5)).body(request.target));
    let mut client = Client::connect(server.address());
    client.send("GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n").expect("connected");
    assert_eq!(client.response("GET").expect("whole").text(), "/a");
    assert_eq!(client.response("GET").expect("whole").text(), "/b");
}

#[test]
fn nobody_listens_where_connections_are_refused() {
    let refusing = Refusing::start();
    let error = TcpStream::connect(refusing.address()).expect_err("nobody listens");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
}
