//! How long connections live, on both sides, and in what order answers come.

use std::time::Duration;

use forebay_testkit::origin::{Gate, Origin};
use forebay_testkit::wire::End;

use crate::{answer, ask, in_front};

fn get(path: usize) -> String {
    format!("GET /{path} HTTP/1.1\r\nHost: t\r\n\r\n")
}

#[test]
fn one_connection_on_each_side_serves_many_requests() {
    let origin = Origin::echo();
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    for path in 0..100 {
        let response = client.get(&format!("/{path}"));
        assert_eq!(response.headers.get("x-path"), Some(format!("/{path}").as_str()));
    }
    assert_eq!(origin.connections(), 1);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let origin = Origin::echo();
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    client.send((0..10).map(get).collect::<String>()).expect("connected");
    for path in 0..10 {
        assert_eq!(answer(&mut client).headers.get("x-path"), Some(format!("/{path}").as_str()));
    }
}

#[test]
fn a_slow_first_answer_is_not_overtaken_by_a_pipelined_second() {
    let gate = Gate::new();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        while let Ok(request) = conn.request() {
            if request.target == "/0" {
                wait.pass();
            }
            conn.echo(&request);
        }
    });
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    client.send((0..2).map(get).collect::<String>()).expect("connected");
    origin.await_count(1);
    assert_eq!(client.end_within(Duration::from_millis(50)), End::Open);
    gate.open();
    for path in ["/0", "/1"] {
        assert_eq!(answer(&mut client).headers.get("x-path"), Some(path));
    }
}

#[test]
fn pipelined_requests_with_bodies_keep_theirs() {
    let origin = Origin::echo();
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    let pipeline = "POST /a HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\none\
        POST /b HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ntwo\r\n0\r\n\r\n\
        GET /c HTTP/1.1\r\nHost: t\r\n\r\n\
        POST /d HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nthree";
    client.send(pipeline).expect("connected");
    for target in ["/a", "/b", "/c", "/d"] {
        assert_eq!(answer(&mut client).headers.get("x-path"), Some(target));
    }
    let bodies: Vec<Vec<u8>> = origin.seen().into_iter().map(|seen| seen.request.body).collect();
    assert_eq!(bodies, [&b"one"[..], b"two", b"", b"three"]);
}

#[test]
fn connection_close_is_honoured() {
    let origin = Origin::echo();
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    let response = ask(&mut client, "GET /x HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    assert!(response.closes(), "{response}");
    assert_eq!(client.end(), End::Closed);
    // It was the client's wish, not the origin's.
    assert_eq!(gateway.get("/y").status, 200);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn http_1_0_clients_are_let_go_after_one_answer() {
    let origin = Origin::echo();
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    let response = ask(&mut client, "GET /x HTTP/1.0\r\n\r\n");
    assert_eq!(response.headers.get("x-path"), Some("/x"));
    assert_eq!(client.end(), End::Closed);
    assert_eq!(gateway.get("/y").status, 200);
    assert_eq!(origin.connections(), 1);
}

#[test]
fn http_1_0_clients_that_ask_for_it_are_kept() {
    let origin = Origin::echo();
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    for _ in 0..3 {
        let response = ask(&mut client, "GET /x HTTP/1.0\r\nHost: t\r\nConnection: Keep-Alive\r\n\r\n");
        assert!(response.headers.lists("connection", "keep-alive"), "{response}");
        assert!(response.headers.get("content-length").is_some(), "{response}");
    }
}

#[test]
fn a_client_that_closes_its_side_still_gets_its_answer() {
    let gate = Gate::new();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        while let Ok(request) = conn.request() {
            wait.pass();
            conn.echo(&request);
        }
    });
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    client.send("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello").expect("connected");
    client.half_close();
    origin.await_count(1);
    gate.open();
    assert_eq!(answer(&mut client).headers.get("x-path"), Some("/x"));
    assert_eq!(client.end(), End::Closed);
}

#[test]
fn a_pipeline_behind_which_the_client_closes_its_side_is_served_to_the_end() {
    let origin = Origin::echo();
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    client.send((0..5).map(get).collect::<String>()).expect("connected");
    client.half_close();
    for path in 0..5 {
        assert_eq!(answer(&mut client).headers.get("x-path"), Some(format!("/{path}").as_str()));
    }
    assert_eq!(client.end(), End::Closed);
}

#[test]
fn a_client_that_vanishes_takes_its_upstream_request_along() {
    let origin = Origin::start(|conn| {
        if conn.number == 0 {
            let _ = conn.request();
            // Ends only when the gateway gives the request up.
            conn.stall();
        }
        conn.echo_all();
    });
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    client.send(get(0)).expect("connected");
    origin.await_count(1);
    client.reset();
    gateway.await_metric("forebay_upstream_requests_in_flight", |in_flight| in_flight == 0.0);
    gateway.await_metric("forebay_requests_total{class=\"aborted\"}", |aborted| aborted == 1.0);
    assert_eq!(gateway.get("/after").headers.get("x-connection"), Some("1"));
}

#[test]
fn an_idle_upstream_connection_is_kept_no_longer_than_told() {
    let origin = Origin::start(|conn| {
        if let Ok(request) = conn.request() {
            conn.echo(&request);
        }
        conn.stall();
    });
    let top = forebay_testkit::settings::top();
    let gateway = forebay_testkit::gateway!(
        "{top}services:\n  app: {{ endpoints: [\"{}\"], pool: {{ idle_timeout: 200ms }} }}\n\
         routes:\n  - {{ match: /*, to: app }}\n",
        origin.address()
    );
    assert_eq!(gateway.get("/x").status, 200);
    // None is idle before the connection is given back either; a request is counted after that.
    gateway.await_metric("forebay_requests_total", |count| count == 1.0);
    gateway.await_metric("forebay_upstream_connections_idle", |idle| idle == 0.0);
    assert_eq!(gateway.get("/y").headers.get("x-connection"), Some("1"));
}

#[test]
fn an_upload_whose_client_vanishes_is_never_completed() {
    let origin = Origin::echo();
    let gateway = in_front(&origin);
    for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        let mut client = gateway.client();
        let head = format!("POST /gone HTTP/1.1\r\nHost: t\r\n{framing}\r\n\r\n");
        let before = origin.count();
        client.send(format!("{head}5\r\nhello\r\n")).expect("connected");
        origin.await_count(before + 1);
        client.reset();
        gateway.await_metric("forebay_requests_in_flight", |in_flight| in_flight == 0.0);
        assert_eq!(gateway.get("/after").headers.get("x-path"), Some("/after"));
    }
    let whole: Vec<String> =
        origin.seen().into_iter().filter(|seen| seen.complete).map(|seen| seen.request.target).collect();
    assert_eq!(whole, ["/after", "/after"]);
    assert_eq!(origin.faults(), Vec::<String>::new());
}

#[test]
fn heads_just_within_the_limit_pass_both_ways() {
    let large = "v".repeat(31_000);
    let answer = format!("HTTP/1.1 200 OK\r\nX-Large: {large}\r\nContent-Length: 2\r\n\r\nok");
    let origin = Origin::start(move |conn| {
        while conn.request().is_ok() {
            conn.send(&answer);
        }
    });
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    for _ in 0..3 {
        let response = ask(&mut client, format!("GET /x HTTP/1.1\r\nHost: t\r\nX-Large: {large}\r\n\r\n"));
        assert_eq!((response.status, response.text().as_str()), (200, "ok"));
        assert_eq!(response.headers.get("x-large").map(str::len), Some(31_000));
        assert_eq!(origin.last().headers.get("x-large").map(str::len), Some(31_000));
    }
}

#[test]
fn a_gateway_that_stands_in_front_of_itself_notices() {
    let origin = Origin::echo();
    let gateway = in_front(&origin);
    gateway.write_settings(&forebay_testkit::settings::in_front_of(gateway.addr(), ""));
    gateway.signal(forebay_testkit::gateway::Signal::Hangup);
    gateway.await_metric("forebay_reloads_total{result=\"succeeded\"}", |reloads| reloads >= 1.0);
    assert_eq!(forebay_testkit::check::problem(&gateway.get("/x"), 508), Ok("loop".to_owned()));
}

#[test]
fn several_addresses_of_both_families_are_served() {
    let origin = Origin::echo();
    let gateway = forebay_testkit::gateway!(
        "listen: [127.0.0.1:0, \"[::1]:0\"]\nadmin: 127.0.0.1:0\nworkers: 2\n\
         services:\n  app: {{ endpoints: [\"{}\"] }}\nroutes:\n  - {{ match: /*, to: app }}\n",
        origin.address()
    );
    assert_eq!(gateway.listen().len(), 2);
    for (address, host, seen) in
        [(gateway.listen()[0], "127.0.0.1", "127.0.0.1"), (gateway.listen()[1], "[::1]:80", "::1")]
    {
        let mut client = forebay_testkit::wire::Client::connect(address);
        assert_eq!(ask(&mut client, format!("GET /x HTTP/1.1\r\nHost: {host}\r\n\r\n")).status, 200);
        assert_eq!(origin.last().headers.get("x-forwarded-for"), Some(seen));
        assert_eq!(origin.last().headers.get("host"), Some(host));
    }
    let forwarded = origin.last().headers.get("forwarded").unwrap_or_default().to_owned();
    assert!(forwarded.contains("for=\"[::1]\"") && forwarded.contains("host=\"[::1]:80\""), "{forwarded}");
}
