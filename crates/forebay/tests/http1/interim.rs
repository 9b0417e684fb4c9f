//! Answers before the answer: 1xx, and answers without a body.

use std::time::Duration;

use forebay_testkit::gateway;
use forebay_testkit::origin::{Gate, Origin};
use forebay_testkit::settings::in_front_of;
use forebay_testkit::wire::End;

use crate::{answer, ask, in_front};

/// Answers everything with these bytes.
fn origin_of(bytes: &'static str) -> Origin {
    Origin::start(move |conn| {
        while conn.request().is_ok() {
            conn.send(bytes);
        }
    })
}

const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n";

#[test]
fn early_hints_reach_the_client_before_the_answer_exists() {
    let gate = Gate::new();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        while conn.request().is_ok() {
            conn.send(HINTS);
            wait.pass();
            conn.reply("200 OK", b"hello");
        }
    });
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    client.send("GET /x HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
    let hints = client.head().unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!((hints.status, hints.headers.get("link")), (103, Some("</a.css>; rel=preload")));
    gate.open();
    assert_eq!(answer(&mut client).text(), "hello");
}

#[test]
fn what_a_route_removes_or_sets_does_not_come_before_the_answer_either() {
    let origin = origin_of(
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nX-Secret: 1\r\nX-Set: theirs\r\n\r\n\
         HTTP/1.1 200 OK\r\nX-Secret: 2\r\nX-Set: theirs\r\nContent-Length: 2\r\n\r\nok",
    );
    let edits = "defaults: { headers: { response: { remove: [x-secret], set: { x-set: ours }, add: { x-added: ours } } } }";
    let gateway = gateway!("{}", in_front_of(origin.address(), edits));
    let response = gateway.get("/x");
    let names: Vec<&str> = response.interim[0].headers.0.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Link"]);
    let header = |name: &str| response.headers.get(name);
    assert_eq!((header("x-secret"), header("x-set"), header("x-added")), (None, Some("ours"), Some("ours")));
}

#[test]
fn several_interim_answers_come_in_order() {
    let origin = origin_of(
        "HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n\
         HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    );
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    for _ in 0..2 {
        let response = client.get("/x");
        let statuses: Vec<u16> = response.interim.iter().map(|interim| interim.status).collect();
        assert_eq!((statuses, response.text().as_str()), (vec![102, 103], "ok"));
    }
}

#[test]
fn http_1_0_clients_are_spared_interim_answers() {
    let origin = origin_of("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    let gateway = in_front(&origin);
    let response = ask(&mut gateway.client(), "GET /x HTTP/1.0\r\n\r\n");
    assert_eq!((response.interim.len(), response.text().as_str()), (0, "ok"));
}

#[test]
fn a_client_that_waits_for_100_gets_it_from_the_origin() {
    let gate = Gate::new();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        let Ok((index, request)) = conn.request_head() else { return };
        wait.pass();
        conn.send("HTTP/1.1 100 Continue\r\n\r\n");
        let mut body = conn.body_of(&request).expect("a length");
        while let Ok(Some(_)) = conn.piece(&mut body) {}
        conn.complete(index);
        conn.reply("200 OK", b"thanks");
    });
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    client
        .send("POST /x HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        .expect("connected");
    origin.await_count(1);
    // The word is the origin's to give: the gateway does not give it in its place.
    assert_eq!(client.end_within(Duration::from_millis(50)), End::Open);
    gate.open();
    let go = client.head().unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(go.status, 100);
    client.send("hello").expect("connected");
    assert_eq!(answer(&mut client).text(), "thanks");
}

#[test]
fn an_origin_that_refuses_before_the_body_spares_the_client_sending_it() {
    let origin = Origin::start(|conn| {
        if conn.request_head().is_ok() {
            conn.send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        }
        conn.half_close();
        conn.stall();
    });
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    let head = "POST /x HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 5000000\r\n\r\n";
    let response = ask(&mut client, head);
    assert_eq!((response.status, response.interim.len()), (403, 0));
    assert!(response.closes(), "{response}");
}

#[test]
fn an_origin_that_never_says_100_is_the_one_to_blame() {
    let origin = Origin::start(|conn| {
        let _ = conn.request_head();
        conn.stall();
    });
    let gateway = forebay_testkit::gateway!(
        "{}services:\n  app: {{ endpoints: [\"{}\"], timeout: {{ first_byte: 300ms }} }}\n\
         routes:\n  - {{ match: /*, to: app }}\n",
        forebay_testkit::settings::top(),
        origin.address()
    );
    let mut client = gateway.client();
    let head = "POST /x HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n";
    let response = ask(&mut client, head);
    assert_eq!(forebay_testkit::check::problem(&response, 504), Ok("upstream_timeout".to_owned()));
}

#[test]
fn a_body_sent_without_waiting_for_100_is_forwarded() {
    // Such clients exist: RFC 9110 has them wait only as long as they like.
    let origin = Origin::echo();
    let gateway = in_front(&origin);
    let mut client = gateway.client();
    client
        .send_pieces([
            &b"POST /x HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n"[..],
            b"hello",
        ])
        .expect("connected");
    assert_eq!(answer(&mut client).status, 200);
    assert_eq!(origin.last().body, b"hello");
    assert_eq!(client.get("/y").headers.get("x-path"), Some("/y"));
}

#[test]
fn answers_without_a_body_keep_the_connection_in_step() {
    for (bytes, status) in [
        ("HTTP/1.1 204 No Content\r\nX: y\r\n\r\n", 204),
        ("HTTP/1.1 304 Not Modified\r\nETag: \"a\"\r\nContent-Length: 1000\r\n\r\n", 304),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200),
    ] {
        let origin = origin_of(bytes);
        let gateway = in_front(&origin);
        let mut client = gateway.client();
        for _ in 0..3 {
            let response = client.get("/x");
            assert_eq!((response.status, response.body.len()), (status, 0), "{bytes}");
        }
        assert_eq!(origin.connections(), 1, "{bytes}");
    }
}

#[test]
fn an_answer_to_head_keeps_its_length_and_has_no_body() {
    for framing in ["Content-Length: 1000", "Transfer-Encoding: chunked"] {
        let bytes = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n");
        let origin = Origin::start(move |conn| {
            while conn.request().is_ok() {
                conn.send(&bytes);
            }
        });
        let gateway = in_front(&origin);
        let mut client = gateway.client();
        for _ in 0..3 {
            let response = ask(&mut client, "HEAD /x HTTP/1.1\r\nHost: t\r\n\r\n");
            assert_eq!(response.status, 200);
            if framing.starts_with("Content") {
                assert_eq!(response.headers.get("content-length"), Some("1000"));
            }
        }
        assert_eq!(origin.connections(), 1, "{framing}");
    }
}
