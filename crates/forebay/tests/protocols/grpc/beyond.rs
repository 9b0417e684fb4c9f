//! What the gateway does for gRPC beyond passing it on: deadlines, refusals as statuses, counts, who is left out, health,
//! and gRPC-Web.

use std::net::TcpListener;
use std::process::Command;

use forebay_testkit::check::eventually;
use forebay_testkit::origin::Origin;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::servers::{run, tool};
use forebay_testkit::{message, wire};
use serde_json::Value;
use tonic::{Code, Status};

use super::*;

/// A gateway with these settings behind the usual ones.
fn gateway_of(settings: &str) -> Gateway {
    gateway!("{}{settings}", top())
}

/// A service at `endpoint` and more of its settings, to which every route leads.
fn service(endpoint: SocketAddr, more: &str) -> String {
    format!(
        "services:\n  app: {{ endpoints: [\"{endpoint}\"]{more} }}\nroutes:\n  - {{ match: /*, to: app }}\n"
    )
}

/// What a call comes to through a gateway with these settings.
fn called(gateway: &Gateway, message: &[u8]) -> Result<Vec<u8>, Status> {
    let mut result = None;
    block_on(async {
        let call = connect(gateway).await.unary(Request::new(message.to_vec())).await;
        result = Some(call.map(tonic::Response::into_inner));
    });
    result.expect("the call has ended")
}

/// An address where connections are taken, and nothing is ever said.
fn silent() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    (listener, address)
}

/// Head and body of the answer to a call by curl with these further fields.
fn curl(gateway: &Gateway, fields: &[&str]) -> String {
    let mut curl = Command::new(tool("curl"));
    curl.args(["--silent", "--show-error", "--max-time", "20", "--http2-prior-knowledge", "--include"]);
    curl.args(["--request", "POST", "-H", "content-type: application/grpc", "-H", "te: trailers"]);
    for field in fields {
        curl.args(["-H", field]);
    }
    let output = run(curl.arg(format!("http://{}/test.Echo/Unary", gateway.addr())));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {errors}", output.status);
    String::from_utf8_lossy(&output.stdout).to_ascii_lowercase()
}

#[test]
fn refusals_are_statuses() {
    let server = Server::start();
    let nobody = {
        let (listener, address) = silent();
        drop(listener);
        address
    };
    let (_silent, slow) = silent();
    let of = |address, more| service(address, &format!(", protocol: h2c{more}"));
    for (settings, code, message) in [
        (of(server.address, "").replace("/*", "/other/*"), Code::Unimplemented, "No route matches"),
        (of(nobody, ""), Code::Unavailable, "No endpoint of the service accepted"),
        (service(slow, ", timeout: { total: 100ms }"), Code::DeadlineExceeded, "The request took too long"),
        (
            of(server.address, "").replace("to: app", "to: app, body_max: 10B"),
            Code::ResourceExhausted,
            "The request body is too large",
        ),
    ] {
        let gateway = gateway_of(&settings);
        let status = called(&gateway, &[b'x'; 100]).expect_err("it is refused");
        assert_eq!(status.code(), code, "{settings}: {status:?}");
        assert!(status.message().starts_with(message), "{status:?}");
        let metadata = status.metadata();
        assert!(metadata.get("proxy-status").is_some() && metadata.get("content-length").is_none());
    }
}

#[test]
fn callers_are_not_kept_waiting_beyond_their_deadline() {
    let (_silent, address) = silent();
    let gateway = gateway_of(&service(address, ", protocol: h2c, outlier: { failures: 1 }"));
    let answer = curl(&gateway, &["grpc-timeout: 100m"]);
    assert!(answer.starts_with("http/2 200") && answer.contains("\r\ngrpc-status: 4\r\n"), "{answer}");
    assert!(answer.contains("content-type: application/grpc\r\n"), "{answer}");
    for none in ["grpc-timeout: 1", "grpc-timeout: 1s", "grpc-timeout: 123456789n"] {
        let answer = curl(&gateway, &[none]);
        assert!(answer.contains("\r\ngrpc-status: 13\r\n") && answer.contains("grpc-timeout"), "{answer}");
    }
    let metrics = gateway.metrics();
    let codes = |code: &str| {
        let series = format!("forebay_grpc_responses_total{{code=\"{code}\"}}");
        forebay_testkit::metrics::sum(&metrics, &series)
    };
    assert_eq!((codes("DEADLINE_EXCEEDED"), codes("OK")), (Some(1.0), None), "{metrics}");
    // It was not slow as far as anybody knows: the caller was in a hurry.
    assert_eq!(state(&gateway, address), "up");
}

#[test]
fn services_hear_how_much_time_is_left() {
    let origin = Origin::echo();
    let gateway = gateway_of(&service(origin.address(), ", timeout: { total: 20s }"));
    let left = |fields: &[&str]| {
        let _ = curl(&gateway, fields);
        origin.last().headers.get("grpc-timeout").map(str::to_owned)
    };
    assert_eq!(left(&[]), None);
    let short = left(&["grpc-timeout: 15S"]).expect("it is passed on");
    let long = left(&["grpc-timeout: 1H"]).expect("it is passed on");
    for (left, most) in [(short, 15_000_000), (long, 20_000_000)] {
        let micros: u64 =
            left.strip_suffix('u').and_then(|digits| digits.parse().ok()).expect("microseconds");
        assert!(left.len() == 9 && micros < most, "{left}");
    }
    assert_eq!(origin.last().headers.get("te"), Some("trailers"));
}

/// Whether an endpoint is in use, as the admin side says it.
fn state(gateway: &Gateway, endpoint: SocketAddr) -> String {
    let answer = gateway.admin_get(&format!("/api/v1/services/app/endpoints/{endpoint}"));
    let endpoint: Value = serde_json::from_slice(&answer.body).expect("it is JSON");
    endpoint["state"].as_str().expect("it has a state").to_owned()
}

#[test]
fn who_answers_that_it_has_failed_is_left_out() {
    let servers = [Server::start(), Server::start()];
    let [one, other] = [&servers[0], &servers[1]].map(|server| server.address);
    let gateway = gateway_of(&format!(
        "services:\n  app: {{ endpoints: [\"{one}\", \"{other}\"], protocol: h2c, \
         outlier: {{ failures: 3, eject_for: 1h }} }}\nroutes:\n  - {{ match: /*, to: app }}\n"
    ));
    let ask = |code: Code, times: usize| {
        block_on(async {
            let mut client = connect(&gateway).await;
            for _ in 0..times {
                let mut request = Request::new(b"x".to_vec());
                request.metadata_mut().insert("want-status", (code as i32).into());
                let status = client.unary(request).await.expect_err("it was asked for");
                assert_eq!(status.code(), code);
            }
        });
    };
    let states = || [one, other].map(|endpoint| state(&gateway, endpoint));
    ask(Code::NotFound, 50);
    ask(Code::Unimplemented, 50);
    assert_eq!(states(), ["up", "up"]);
    ask(Code::Unavailable, 50);
    eventually("the ejection", || states().contains(&"ejected".to_owned()).then_some(()));
    let count = |code: &str| gateway.metric(&format!("forebay_grpc_responses_total{{code=\"{code}\"}}"));
    assert_eq!([count("NOT_FOUND"), count("UNIMPLEMENTED"), count("UNAVAILABLE")], [50.0; 3]);
}

#[test]
fn health_is_asked_for_by_the_protocol_of_grpc() {
    let server = Server::start();
    let settings = |name: &str| {
        let health =
            format!(", protocol: h2c, health: {{ grpc: {name}, interval: 100ms, fast_interval: 100ms }}");
        service(server.address, &health)
    };
    let gateway = gateway_of(&settings("test.Echo"));
    assert_eq!(called(&gateway, b"hello").expect("it is well"), b"hello");
    let gateway = gateway_of(&settings("test.Other"));
    eventually("it is found unwell", || (state(&gateway, server.address) != "up").then_some(()));
}

#[test]
fn an_answer_before_the_end_of_the_question_arrives() {
    check(async |mut client, _server, gateway| {
        // However far the client has got, and with more to say than anybody would keep for it.
        for round in 0..50_usize {
            let messages = tokio_stream::iter((0..round * 4).map(|_| vec![b'x'; 10_000]));
            let mut request = Request::new(messages);
            request.metadata_mut().insert("want-status", (Code::Aborted as i32).into());
            let status = client.client_streaming(request).await.expect_err("it was asked for");
            assert_eq!((status.code(), status.message()), (Code::Aborted, "as you like: ü %"), "{round}");
        }
        // And while the client goes on for ever.
        let mut request = Request::new(tokio_stream::iter(std::iter::repeat_with(|| vec![b'x'; 10_000])));
        request.metadata_mut().insert("want-status", (Code::Aborted as i32).into());
        let status = client.streaming(request).await.expect_err("it was asked for");
        assert_eq!(status.code(), Code::Aborted);
        assert_eq!(gateway.metric("forebay_grpc_responses_total{code=\"ABORTED\"}"), 51.0);
    });
}

#[test]
fn services_that_speak_http1_may_send_trailers_too() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = |end: &str| Origin::answering(format!("{head}7\r\n\0\0\0\0\x02hi\r\n0\r\n{end}\r\n"));
    let origin = answer("grpc-status: 0\r\n");
    assert_eq!(called(&gateway_of(&service(origin.address(), "")), b"x").expect("it is answered"), b"hi");
    // What is no gRPC is passed on as it is, and clients make the best of it.
    let origin = Origin::answering("HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
    let answer = curl(&gateway_of(&service(origin.address(), "")), &[]);
    assert!(answer.starts_with("http/2 404") && answer.ends_with("\r\n\r\nno"), "{answer}");
}

/// A call in gRPC-Web by HTTP/1.1.
fn web(gateway: &Gateway, content_type: &str, more: &str, body: &[u8]) -> message::Response {
    let mut request = format!(
        "POST /test.Echo/Unary HTTP/1.1\r\nHost: a.test\r\nContent-Type: {content_type}\r\n{more}\
         X-Grpc-Web: 1\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(body);
    let mut client = wire::Client::connect(gateway.addr());
    client.ask(&request).unwrap_or_else(|failed| panic!("{failed}"))
}

/// The messages of a body, with their first bytes.
fn frames(mut body: &[u8]) -> Vec<(u8, String)> {
    let mut all = Vec::new();
    while let Some(([flag, len @ ..], rest)) = body.split_first_chunk::<5>() {
        let (message, rest) = rest.split_at(u32::from_be_bytes(*len) as usize);
        all.push((*flag, String::from_utf8_lossy(message).into_owned()));
        body = rest;
    }
    assert!(body.is_empty(), "{body:?}");
    all
}

fn in_front_of_web(endpoint: SocketAddr) -> Gateway {
    let settings = service(endpoint, ", protocol: h2c").replace("to: app", "to: app, grpc_web: on");
    gateway_of(&settings)
}

const HELLO: &[u8] = b"\0\0\0\0\x05hello";

#[test]
fn browsers_get_the_trailers_as_the_last_message() {
    let server = Server::start();
    let gateway = in_front_of_web(server.address);
    for content_type in ["application/grpc-web", "application/grpc-web+proto"] {
        let answer = web(&gateway, content_type, "", HELLO);
        assert_eq!((answer.status, answer.headers.get("content-type")), (200, Some(content_type)));
        let [(0, hello), (0x80, trailers)] = &frames(&answer.body)[..] else { panic!("{answer:?}") };
        assert_eq!((&**hello, &**trailers), ("hello", "grpc-status: 0\r\n"));
        assert_eq!(answer.headers.get("grpc-status"), None);
    }
    let answer = web(&gateway, "application/grpc-web", "want-status: 5\r\n", HELLO);
    let [(0x80, trailers)] = &frames(&answer.body)[..] else { panic!("{answer:?}") };
    assert!(trailers.contains("grpc-status: 5\r\n") && trailers.contains("grpc-message: "), "{trailers}");
    assert_eq!((answer.headers.get("grpc-status"), answer.headers.get("x-more")), (None, Some("yes")));
    // What is no gRPC-Web is not touched.
    let answer = web(&gateway, "application/octet-stream", "", HELLO);
    assert_ne!(answer.headers.get("content-type"), Some("application/grpc-web"));
    assert_eq!(gateway.metric("forebay_grpc_responses_total{code=\"NOT_FOUND\"}"), 1.0);
}

#[test]
fn browsers_may_speak_in_base64() {
    let server = Server::start();
    let gateway = in_front_of_web(server.address);
    // `hello` with its prefix, cut and padded twice; and the answer: the message, then the trailers.
    let answer = web(&gateway, "application/grpc-web-text+proto", "", b"AAAAAAVo" as &[u8]);
    assert_eq!(answer.status, 200, "half a message: {answer:?}");
    let text = "AAAAAAVoZWxsbw==";
    for body in [text.to_owned(), format!("AA=={}", "AAAABWhlbGxv")] {
        let answer = web(&gateway, "application/grpc-web-text+proto", "", body.as_bytes());
        assert_eq!(answer.headers.get("content-type"), Some("application/grpc-web-text+proto"));
        let decoded = decode(&answer.text());
        let [(0, hello), (0x80, trailers)] = &frames(&decoded)[..] else { panic!("{answer:?}") };
        assert_eq!((&**hello, &**trailers), ("hello", "grpc-status: 0\r\n"));
    }
    let binary = "Accept: application/grpc-web+proto\r\n";
    let answer = web(&gateway, "application/grpc-web-text+proto", binary, text.as_bytes());
    assert_eq!(frames(&answer.body).len(), 2);
    let answer = web(&gateway, "application/grpc-web-text", "", b"not base64!!");
    let [(0x80, trailers)] = &frames(&decode(&answer.text()))[..] else { panic!("{answer:?}") };
    assert!(trailers.starts_with("grpc-status: 13\r\n"), "{trailers}");
}

#[test]
fn browsers_may_come_by_http2_too() {
    let server = Server::start();
    let gateway = in_front_of_web(server.address);
    let folder = Scratch::new("grpc-web");
    let (request, answer) = (folder.path().join("request"), folder.path().join("answer"));
    // More than fits in one frame, a window or a buffer.
    let mut body = vec![0];
    body.extend_from_slice(&(1_u32 << 20).to_be_bytes());
    body.resize(body.len() + (1 << 20), b'x');
    std::fs::write(&request, &body).expect("it can be written");
    let mut curl = Command::new(tool("curl"));
    curl.args(["--silent", "--show-error", "--max-time", "20", "--http2-prior-knowledge", "--fail"]);
    curl.args(["-H", "content-type: application/grpc-web+proto", "--data-binary"]);
    curl.arg(format!("@{}", request.display())).arg("--output").arg(&answer);
    let output = run(curl.arg(format!("http://{}/test.Echo/Unary", gateway.addr())));
    assert!(output.status.success(), "{output:?}");
    let [(0, message), (0x80, trailers)] = &frames(&std::fs::read(&answer).expect("it is there"))[..] else {
        panic!("it is a message and trailers");
    };
    assert_eq!((message.len(), &**trailers), (1 << 20, "grpc-status: 0\r\n"));
}

/// Base64 whose parts may each end with padding.
fn decode(text: &str) -> Vec<u8> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut all = Vec::new();
    for four in text.as_bytes().chunks(4) {
        let value = |byte: &u8| ALPHABET.find(char::from(*byte)).unwrap_or(0) as u32;
        let bits = four.iter().fold(0, |bits, byte| bits << 6 | value(byte));
        let padding = four.iter().filter(|byte| **byte == b'=').count();
        all.extend_from_slice(&bits.to_be_bytes()[1..4 - padding]);
    }
    all
}

#[test]
fn refusals_reach_browsers_as_messages() {
    let gateway = in_front_of_web({
        let (listener, address) = silent();
        drop(listener);
        address
    });
    let answer = web(&gateway, "application/grpc-web+proto", "", HELLO);
    assert_eq!(
        (answer.status, answer.headers.get("content-type")),
        (200, Some("application/grpc-web+proto"))
    );
    let [(0x80, trailers)] = &frames(&answer.body)[..] else { panic!("{answer:?}") };
    assert!(trailers.starts_with("grpc-status: 14\r\ngrpc-message: No endpoint"), "{trailers}");
}
