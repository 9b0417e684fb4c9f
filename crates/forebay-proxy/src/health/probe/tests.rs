//! Checks against servers that follow a script.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;

use forebay_testkit::origin::Origin;
use forebay_testkit::scratch::Scratch;
use tokio::runtime::Builder;

use super::*;
use crate::plan::{Health, HttpCheck};

mod http2;

/// A check of `/up` that accepts 200 to 299.
fn http() -> HttpCheck {
    HttpCheck { path: "/up".into(), host: None, headers: Vec::new(), status: vec![(200, 299)], body: None }
}

fn holding(text: &str) -> HttpCheck {
    HttpCheck { body: Some(text.into()), ..http() }
}

/// What checking `address` as `health` says comes to; an empty text is success.
fn check(address: impl Into<Address>, health: Health) -> String {
    check_by(address, health, Speech::default())
}

/// The same for an endpoint that is spoken with in this way.
fn check_by(address: impl Into<Address>, health: Health, speech: Speech) -> String {
    let target = Target {
        service: "app".into(),
        address: address.into(),
        host: "app.test:80".into(),
        name: "app.test".into(),
        health: Arc::new(health),
        speech,
        id: 1,
    };
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    match runtime.block_on(probe(&target)) {
        Ok(()) => String::new(),
        Err(Failure::Endpoint(met)) => met.into(),
        Err(Failure::Local(error)) => panic!("this machine cannot check: {error}"),
    }
}

/// A patient check: whatever ends it, it is not the clock.
fn patient(check: HttpCheck) -> Health {
    Health { timeout: Duration::from_secs(60), ..Health::new(Check::Http(check)) }
}

/// An impatient one: only the clock can end it.
fn impatient(check: Check) -> Health {
    Health { timeout: Duration::from_millis(30), ..Health::new(check) }
}

fn answer(bytes: impl Into<Vec<u8>>, wanted: HttpCheck) -> String {
    check(Origin::answering(bytes).address(), patient(wanted))
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[test]
fn an_answer_as_expected_passes() {
    assert_eq!(answer(ok("fine"), http()), "");
    assert_eq!(answer("HTTP/1.0 204 No Content\r\n\r\n", http()), "");
    assert_eq!(
        answer(
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            HttpCheck { status: vec![(200, 299), (404, 404)], ..http() }
        ),
        ""
    );
}

#[test]
fn the_request_says_what_the_settings_say() {
    let origin = Origin::echo();
    let headers = vec![("x-check".into(), "yes".into()), ("user-agent".into(), "mine".into())];
    let named = HttpCheck { host: Some("shop.test".into()), headers, ..http() };
    assert_eq!(check(origin.address(), patient(http())), "");
    assert_eq!(check(origin.address(), patient(named)), "");
    let agent = concat!("forebay-health/", env!("CARGO_PKG_VERSION"));
    let heads: Vec<String> =
        origin.seen().iter().map(|seen| String::from_utf8_lossy(&seen.request.head).into_owned()).collect();
    assert_eq!(
        heads,
        [
            format!("GET /up HTTP/1.1\r\nHost: app.test:80\r\nUser-Agent: {agent}\r\nConnection: close\r\n\r\n"),
            "GET /up HTTP/1.1\r\nHost: shop.test\r\nConnection: close\r\nx-check: yes\r\nuser-agent: mine\r\n\r\n"
                .to_owned(),
        ]
    );
}

#[test]
fn another_status_fails() {
    let sick = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(answer(sick, http()), "status 503, expected 200-299");
    let picky = HttpCheck { status: vec![(200, 200), (300, 399)], ..http() };
    assert_eq!(answer(sick, picky), "status 503, expected 200, 300-399");
    assert_eq!(answer("HTTP/1.1 101 Switching Protocols\r\n\r\n", http()), "status 101, expected 200-299");
}

#[test]
fn the_body_is_found_in_any_framing() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n5\r\n well\r\n0\r\n\r\n";
    assert_eq!(answer(ok("all well"), holding("all well")), "");
    assert_eq!(answer(chunked, holding("all well")), "");
    assert_eq!(answer("HTTP/1.0 200 OK\r\n\r\nall well", holding("all well")), "");
}

#[test]
fn a_body_without_the_text_fails() {
    assert_eq!(answer(ok("all well"), holding("ok")), "the body does not hold \"ok\"");
    assert_eq!(answer(ok(""), holding("ok")), "the body does not hold \"ok\"");
    let long = "x".repeat(100);
    assert_eq!(answer(ok(""), holding(&long)), format!("the body does not hold \"{}…\"", "x".repeat(60)));
}

#[test]
fn only_the_beginning_of_a_body_counts() {
    let long = |before: usize| ok(&format!("{}ok{}", "x".repeat(before), "x".repeat(1 << 20)));
    assert_eq!(answer(long((64 << 10) - 2), holding("ok")), "");
    assert_eq!(
        answer(long((64 << 10) - 1), holding("ok")),
        "the body does not hold \"ok\" within its first 64KiB"
    );
}

#[test]
fn an_endless_body_is_left_after_its_beginning() {
    let origin = Origin::start(|conn| {
        if conn.request().is_ok() {
            conn.send("HTTP/1.1 200 OK\r\n\r\n");
            while conn.try_send([b'x'; 4096]) {}
        }
    });
    assert_eq!(check(origin.address(), patient(http())), "");
}

#[test]
fn interim_responses_are_passed_over() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n";
    assert_eq!(answer(hints.repeat(16) + &ok(""), http()), "");
    assert_eq!(answer(hints.repeat(17) + &ok(""), http()), "too many interim responses");
}

#[test]
fn what_is_no_answer_fails() {
    assert_eq!(answer("220 mail.test ESMTP\r\n", http()), "not HTTP");
    assert_eq!(answer("\x16\x03\x01", http()), "not HTTP");
    assert_eq!(answer("", http()), "closed without an answer");
    assert_eq!(answer("HTTP/1.1 200 OK\r\nConte", http()), "closed in the middle of the answer");
    assert_eq!(
        answer("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", http()),
        "closed in the middle of the body"
    );
    let chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n";
    assert_eq!(answer(chunks, http()), "the body's chunks are broken");
    let large = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(40 << 10));
    assert_eq!(answer(large, http()), "the head is larger than 32KiB");
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "x: y\r\n".repeat(101));
    assert_eq!(answer(many, http()), "the head has more than 100 fields");
}

#[test]
fn a_reset_is_named() {
    let origin = Origin::start(|conn| {
        let _ = conn.request();
        conn.reset();
    });
    assert_eq!(check(origin.address(), patient(http())), "connection reset");
}

#[test]
fn nobody_there_is_a_refused_connection() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        listener.local_addr().expect("a bound listener has an address")
    };
    assert_eq!(check(address, patient(http())), "connection refused");
    assert_eq!(check(address, Health::new(Check::Tcp)), "connection refused");
}

#[test]
fn what_takes_too_long_says_where() {
    let silent = Origin::start(|conn| drop(conn.stall()));
    let http = || Check::Http(http());
    assert_eq!(check(silent.address(), impatient(http())), "timed out after 30ms, waiting for an answer");
    assert_eq!(check(silent.address(), impatient(Check::Tcp)), "");
    let slow = Origin::start(|conn| {
        let _ = conn.request();
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
        conn.stall();
    });
    assert_eq!(check(slow.address(), impatient(http())), "timed out after 30ms, reading the answer");
}

#[test]
fn another_port_can_be_asked() {
    let well = Origin::answering(ok(""));
    let elsewhere = Health { port: Some(well.address().port()), ..patient(http()) };
    assert_eq!(check(SocketAddr::from(([127, 0, 0, 1], 1)), elsewhere), "");
}

#[test]
fn servers_do_not_see_checks_that_send_nothing() {
    const CHECKS: usize = 20;
    let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let address = listener.local_addr().expect("a bound listener has an address");
    for _ in 0..CHECKS {
        assert_eq!(check(address, Health::new(Check::Tcp)), "");
    }
    let real = std::net::TcpStream::connect(address).expect("somebody listens");
    let real = real.local_addr().expect("it is connected");
    let seen = listener.incoming().flatten().take_while(|seen| seen.peer_addr().ok() != Some(real)).count();
    // A machine that pauses this thread at the wrong moment lets one through.
    assert!(seen <= CHECKS / 4, "{seen} of {CHECKS} checks were accepted");
}

#[test]
fn a_unix_socket_is_asked_where_it_is_whatever_the_port() {
    let scratch = Scratch::new("probe");
    let path = scratch.path().join("app.sock");
    let address = || Address::Unix(path.to_str().expect("the directory is text").into());
    let server = UnixListener::bind(&path).expect("the directory is new");
    let serving = std::thread::spawn(move || {
        let (mut client, _) = server.accept().expect("a check comes");
        let mut head = [0; 1024];
        let length = client.read(&mut head).expect("it asks");
        client.write_all(ok("fine").as_bytes()).expect("it waits");
        drop(server.accept().expect("another comes"));
        String::from_utf8_lossy(&head[..length]).into_owned()
    });
    let http = Health { port: Some(1), ..patient(holding("fine")) };
    assert_eq!(check(address(), http), "");
    assert_eq!(check(address(), Health { port: Some(1), ..Health::new(Check::Tcp) }), "");
    let head = serving.join().expect("it does not panic");
    assert!(head.starts_with("GET /up HTTP/1.1\r\nHost: app.test:80\r\n"), "{head}");
    assert_eq!(check(address(), Health::new(Check::Tcp)), "connection refused");
    std::fs::remove_file(&path).expect("it was there");
    assert!(check(address(), Health::new(Check::Tcp)).contains("No such file"));
}
