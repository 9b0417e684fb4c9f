//! Stopping: what is in flight is finished, nothing new begins, and a second signal means now.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use forebay_testkit::check::eventually;
use forebay_testkit::gateway;
use forebay_testkit::gateway::{Gateway, Signal};
use forebay_testkit::origin::{Gate, Origin};
use forebay_testkit::settings::in_front_of;
use forebay_testkit::wire::{Client, End};
use serde_json::Value;

/// Answers once the gate is open.
fn gated() -> (Origin, Gate) {
    let gate = Gate::new();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        while let Ok(request) = conn.request() {
            wait.pass();
            conn.echo(&request);
        }
    });
    (origin, gate)
}

/// Waits until the gateway takes no more connections.
fn await_closed_door(gateway: &Gateway) {
    let address = gateway.addr();
    eventually("closed listeners", || TcpStream::connect(address).is_err().then_some(()));
}

#[test]
fn a_request_in_flight_is_finished_and_then_the_process_ends() {
    let (origin, gate) = gated();
    let mut gateway = gateway!("{}", in_front_of(origin.address(), ""));
    let mut client = gateway.client();
    client.send("GET /held HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
    origin.await_count(1);
    gateway.signal(Signal::Terminate);
    await_closed_door(&gateway);
    assert!(gateway.is_running());
    gate.open();
    let response = client.response("GET").unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(response.headers.get("x-path"), Some("/held"));
    assert!(response.closes(), "{response}");
    assert_eq!(client.end(), End::Closed);
    assert!(gateway.await_exit().success());
}

#[test]
fn logs_are_reopened_to_the_end() {
    let (origin, gate) = gated();
    let logs = "logs: { access: json, to: access.log }";
    let mut gateway = gateway!("{}", in_front_of(origin.address(), logs));
    let mut client = gateway.client();
    client.send("GET /held HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
    origin.await_count(1);
    gateway.signal(Signal::Terminate);
    await_closed_door(&gateway);
    let log = gateway.directory().join("access.log");
    std::fs::rename(&log, gateway.directory().join("access.log.1")).expect("it is there");
    gateway.signal(Signal::Hangup);
    eventually("a new log", || gateway.stderr().contains("access_log_reopened").then_some(()));
    gate.open();
    assert_eq!(client.response("GET").unwrap_or_else(|failed| panic!("{failed}")).status, 200);
    assert!(gateway.await_exit().success());
    let lines = std::fs::read_to_string(log).unwrap_or_default();
    assert!(lines.contains("/held"), "{lines}");
}

#[test]
fn nothing_to_finish_means_ending_at_once() {
    for signal in [Signal::Terminate, Signal::Interrupt] {
        let origin = Origin::echo();
        let mut gateway = gateway!("{}", in_front_of(origin.address(), ""));
        let mut idle = gateway.client();
        assert_eq!(idle.get("/x").status, 200);
        gateway.signal(signal);
        assert_eq!(idle.end(), End::Closed);
        assert!(gateway.await_exit().success());
    }
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (origin, _never) = gated();
    let mut gateway = gateway!("{}", in_front_of(origin.address(), ""));
    let mut client = gateway.client();
    client.send("GET /held HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
    origin.await_count(1);
    gateway.signal(Signal::Terminate);
    await_closed_door(&gateway);
    assert!(gateway.is_running());
    gateway.signal(Signal::Terminate);
    gateway.await_exit();
}

#[test]
fn a_second_signal_cuts_with_the_same_accounts_as_the_limit() {
    let (origin, _never) = gated();
    let more = "limits: { drain: 10m }\nlogs: { access: json, to: access.log }";
    let mut gateway = gateway!("{}", in_front_of(origin.address(), more));
    let mut client = gateway.client();
    client.send("GET /held HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
    origin.await_count(1);
    gateway.signal(Signal::Terminate);
    await_closed_door(&gateway);
    gateway.signal(Signal::Interrupt);
    assert!(gateway.await_exit().success());
    let text = std::fs::read_to_string(gateway.directory().join("access.log")).expect("it is written");
    let line: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!((line["path"].as_str(), line["reason"].as_str()), (Some("/held"), Some("drain_limit")));
    assert!(gateway.stderr().contains(r#""event":"stopped_in_haste""#), "{}", gateway.stderr());
    assert!(gateway.stderr().contains(r#""event":"drained""#), "{}", gateway.stderr());
}

#[test]
fn clients_are_still_taken_in_while_balancers_are_told() {
    let origin = Origin::echo();
    let mut gateway = gateway!("{}", in_front_of(origin.address(), "limits: { drain_delay: 10m }"));
    gateway.signal(Signal::Terminate);
    eventually("not ready", || (gateway.admin_get("/readyz").status == 503).then_some(()));
    for _ in 0..3 {
        let response = gateway.get("/late");
        assert_eq!(response.status, 200);
        assert!(!response.closes(), "{response}");
    }
    gateway.signal(Signal::Terminate);
    assert!(gateway.await_exit().success());
}

#[test]
fn after_the_delay_it_drains() {
    let origin = Origin::echo();
    let mut gateway = gateway!("{}", in_front_of(origin.address(), "limits: { drain_delay: 200ms }"));
    let mut idle = gateway.client();
    assert_eq!(idle.get("/x").status, 200);
    gateway.signal(Signal::Terminate);
    assert_eq!(idle.end(), End::Closed);
    assert!(gateway.await_exit().success());
}

#[test]
fn draining_has_a_limit() {
    let (origin, _never) = gated();
    let mut gateway = gateway!("{}", in_front_of(origin.address(), "limits: { drain: 300ms }"));
    let mut client = gateway.client();
    client.send("GET /held HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
    origin.await_count(1);
    gateway.signal(Signal::Terminate);
    gateway.await_exit();
}

#[test]
fn what_draining_could_not_wait_for_leaves_its_account() {
    let origin = Origin::start(|conn| {
        if conn.request().is_ok_and(|request| request.target == "/half") {
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
        }
        conn.stall();
    });
    let more = "limits: { drain: 300ms }\nlogs: { access: json, to: access.log }";
    let mut gateway = gateway!("{}", in_front_of(origin.address(), more));
    let (mut half, mut silent) = (gateway.client(), gateway.client());
    half.send("GET /half HTTP/1.0\r\n\r\n").expect("connected");
    let head = half.head().unwrap_or_else(|failed| panic!("{failed}"));
    silent.send("GET /silent HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
    origin.await_count(2);
    gateway.signal(Signal::Terminate);
    gateway.await_exit();
    // Where only the connection's end tells the body's, half of one must not pass for the whole.
    assert!(half.body("GET", head).is_err());
    let text = std::fs::read_to_string(gateway.directory().join("access.log")).expect("it is written");
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    lines.sort_by_key(|line| line["path"].to_string());
    let told: Vec<_> = lines
        .iter()
        .map(|line| {
            let text = |key: &str| line[key].as_str().unwrap_or_default();
            (text("path"), text("reason"), line["status"].as_u64(), line["aborted"].as_bool())
        })
        .collect();
    let reason = "drain_limit";
    assert_eq!(told, [("/half", reason, Some(200), Some(true)), ("/silent", reason, Some(0), Some(true))]);
    assert!(gateway.stderr().contains(r#""requests":"2""#), "{}", gateway.stderr());
}

#[test]
fn a_body_half_way_through_is_finished() {
    let gate = Gate::new();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        while conn.request().is_ok() {
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
            wait.pass();
            conn.send("6\r\n world\r\n0\r\n\r\n");
        }
    });
    let mut gateway = gateway!("{}", in_front_of(origin.address(), ""));
    let mut client = gateway.client();
    client.send("GET /x HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
    let head = client.head().unwrap_or_else(|failed| panic!("{failed}"));
    gateway.signal(Signal::Terminate);
    await_closed_door(&gateway);
    gate.open();
    let response = client.body("GET", head).unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(response.text(), "hello world");
    assert!(gateway.await_exit().success());
}

#[test]
fn readiness_goes_before_the_listeners_do() {
    let (origin, gate) = gated();
    let mut gateway = gateway!("{}", in_front_of(origin.address(), ""));
    assert_eq!(gateway.admin_get("/readyz").status, 200);
    assert_eq!(gateway.admin_get("/livez").status, 200);
    let mut client = gateway.client();
    client.send("GET /held HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
    origin.await_count(1);
    gateway.signal(Signal::Terminate);
    eventually("not ready", || (gateway.admin_get("/readyz").status == 503).then_some(()));
    assert_eq!(gateway.admin_get("/livez").status, 200);
    gate.open();
    assert!(gateway.await_exit().success());
}

#[test]
fn no_request_under_load_fails_when_it_stops() {
    let origin = Origin::echo();
    // Several workers have a listener each, and connections may wait at any of them.
    let settings = in_front_of(origin.address(), "").replace("workers: 1", "workers: 3");
    let mut gateway = gateway!("{settings}");
    let (address, stop) = (gateway.addr(), Arc::new(AtomicBool::new(false)));
    let served = Arc::new(AtomicUsize::new(0));
    let clients: Vec<_> = (0..20)
        .map(|number| {
            let (stop, served) = (Arc::clone(&stop), Arc::clone(&served));
            thread::spawn(move || keep_asking(address, number, &stop, &served))
        })
        .collect();
    eventually("load", || (served.load(Ordering::Relaxed) > 1_000).then_some(()));
    gateway.signal(Signal::Terminate);
    assert!(gateway.await_exit().success());
    stop.store(true, Ordering::Relaxed);
    let failures: Vec<String> =
        clients.into_iter().flat_map(|client| client.join().expect("it does not panic")).collect();
    assert!(failures.is_empty(), "{} failed: {:#?}", failures.len(), &failures[..failures.len().min(5)]);
}

/// Asks until the gateway refuses connections or says that this one ends; tells what failed on the way.
fn keep_asking(
    address: std::net::SocketAddr,
    number: usize,
    stop: &AtomicBool,
    served: &AtomicUsize,
) -> Vec<String> {
    let mut failures = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        // Every other client opens a connection per request: those race with the closing listener.
        let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_secs(5)) else {
            return failures;
        };
        let mut client = Client::over(stream);
        for answers in 0.. {
            let close = if number.is_multiple_of(2) { "" } else { "Connection: close\r\n" };
            match client.ask(format!("GET /x HTTP/1.1\r\nHost: t\r\n{close}\r\n")) {
                Ok(response) if response.status == 200 => {
                    served.fetch_add(1, Ordering::Relaxed);
                    if response.closes() {
                        break;
                    }
                }
                Ok(response) => {
                    failures.push(format!("client {number}: {response}"));
                    break;
                }
                Err(failed) => {
                    // An idle connection may be closed, as RFC 9112 §9.5 has it, but not without a word while
                    // the gateway says it is being kept.
                    failures.push(format!("client {number}, after {answers} answers: {failed}"));
                    break;
                }
            }
        }
    }
    failures
}

#[test]
fn a_connection_that_never_said_a_word_does_not_hold_up_the_end() {
    let origin = Origin::echo();
    let mut gateway = gateway!("{}", in_front_of(origin.address(), ""));
    let silent = gateway.client();
    gateway.await_metric("forebay_connections{state=\"idle\"}", |idle| idle == 1.0);
    let began = std::time::Instant::now();
    gateway.signal(Signal::Terminate);
    assert!(gateway.await_exit().success());
    // The head's own limit is ten seconds; a connection between two requests has one.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    drop(silent);
}
