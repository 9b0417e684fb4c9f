//! A server and its clients in one thread: `h3`'s client for what well-behaved ones do, raw streams for the others.

mod client;
mod service;

use std::net::{Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use quinn::crypto::rustls::QuicClientConfig;
use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::pki_types::PrivateKeyDer;
use tokio::runtime::{Builder, LocalOptions};

use self::client::{Raw, body, frame, head};
use self::service::Log;
use super::frame::{Code, kind};
use super::*;

/// More than any test takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// A server and what its clients need.
struct Bench {
    address: SocketAddr,
    client: quinn::Endpoint,
    log: Rc<Log>,
}

fn settings(limits: Limits) -> Settings {
    Settings { limits, handshake_timeout: DEADLINE, idle: DEADLINE, connect: false }
}

/// Runs `test` with a server within `limits`; fails rather than hangs.
fn with<F: Future<Output = ()>>(limits: Limits, test: impl FnOnce(Bench) -> F) {
    with_settings(settings(limits), test);
}

fn with_settings<F: Future<Output = ()>>(settings: Settings, test: impl FnOnce(Bench) -> F) {
    let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default()).unwrap();
    runtime.block_on(async {
        let names = vec!["localhost".to_owned()];
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
        let key = PrivateKeyDer::try_from(signing_key.serialize_der()).unwrap();
        let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], key)
        .unwrap();
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let server = Server::new(Arc::new(tls), settings).unwrap();
        let line = Line::open((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let endpoint = Endpoint::new(&line, &server).unwrap();
        let address = endpoint.address().unwrap();
        let log = Rc::new(Log::default());
        tokio::task::spawn_local(service::serve(endpoint, server, Rc::clone(&log)));
        let mut roots = rustls::RootCertStore::empty();
        roots.add(cert.der().clone()).unwrap();
        let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
        tls.alpn_protocols = vec![b"h3".to_vec()];
        let mut client = quinn::Endpoint::client((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let config = QuicClientConfig::try_from(tls).unwrap();
        let mut config = quinn::ClientConfig::new(Arc::new(config));
        // Clients that are never silent.
        let mut transport = TransportConfig::default();
        transport.keep_alive_interval(Some(Duration::from_millis(10)));
        config.transport_config(Arc::new(transport));
        client.set_default_client_config(config);
        tokio::time::timeout(DEADLINE, test(Bench { address, client, log })).await.expect("in time");
    });
}

impl Bench {
    async fn connect(&self) -> quinn::Connection {
        self.client.connect(self.address, "localhost").unwrap().await.unwrap()
    }
}

// What well-behaved clients do.

#[test]
fn a_request_is_answered() {
    with(Limits::default(), async |bench| {
        let mut client = client::Client::new(bench.connect().await).await;
        assert_eq!(client.get("/hello").await, (200, b"hello".to_vec()));
        assert_eq!(client.get("/hello").await, (200, b"hello".to_vec()));
        let lines = bench.log.requests();
        assert_eq!(lines[0], "GET https localhost /hello None finished");
    });
}

#[test]
fn a_body_and_its_trailers_go_both_ways() {
    with(Limits::default(), async |bench| {
        let mut client = client::Client::new(bench.connect().await).await;
        let (status, body, trailers) = client.post("/echo", b"some body", &[("x-sum", "9")]).await;
        assert_eq!((status, &body[..]), (200, &b"some body"[..]));
        assert_eq!(trailers, [("x-sum".to_owned(), "9".to_owned())]);
        assert_eq!(bench.log.requests(), ["POST https localhost /echo Chunked"]);
    });
}

#[test]
fn large_bodies_wait_for_windows_in_both_directions() {
    let limits = Limits { stream_window: 4 << 10, connection_window: 16 << 10, ..Limits::default() };
    with(limits, async |bench| {
        let mut client = client::Client::new(bench.connect().await).await;
        let sent: Vec<u8> = (0..3_000_000u32).map(|n| (n / 7) as u8).collect();
        let (status, body, _) = client.post("/echo", &sent, &[]).await;
        assert_eq!(status, 200);
        assert!(body == sent);
    });
}

#[test]
fn streams_that_nobody_reads_keep_no_other_waiting() {
    let limits =
        Limits { streams: 20, stream_window: 4 << 10, connection_window: 8 << 10, ..Limits::default() };
    with(limits, async |bench| {
        let mut raw = Raw::new(bench.connect().await).await;
        let mut unread = Vec::new();
        for _ in 1..limits.streams {
            let mut frames = [head("/wait", &[]), body(&[0; 8 << 10])].concat();
            frames.truncate(limits.stream_window as usize);
            unread.push(raw.open(&[frames]).await);
            bench.log.wait_for("waiting").await;
        }
        assert_eq!(raw.status(&[head("/take", &[]), body(&[0; 100_000])]).await, Ok("200".to_owned()));
    });
}

#[test]
fn many_requests_are_served_at_a_time() {
    with(Limits::default(), async |bench| {
        let client = client::Client::new(bench.connect().await).await;
        let mut tasks = Vec::new();
        for n in 0..300 {
            let mut one = client.another();
            tasks.push(tokio::task::spawn_local(async move { one.get(&format!("/large/{n}")).await }));
        }
        for (n, task) in tasks.into_iter().enumerate() {
            let (status, body) = task.await.unwrap();
            assert_eq!((status, body.len()), (200, n));
        }
        assert!(bench.log.open_max() <= Limits::default().streams as usize);
    });
}

#[test]
fn a_head_beyond_the_limits_is_answered_as_such() {
    let limits = Limits { head_bytes: 2000, fields: 10, ..Limits::default() };
    with(limits, async |bench| {
        let mut raw = Raw::new(bench.connect().await).await;
        let long = "v".repeat(1500);
        for fields in [
            vec![("a", long.as_str()), ("b", &long)],
            (0..11).map(|_| ("a", "b")).collect::<Vec<_>>(),
            [("a", long.as_str()), ("b", "c")].repeat(3),
        ] {
            let status = raw.status(&[head("/hello", &fields)]).await;
            assert_eq!(status, Ok("431".to_owned()), "{} fields", fields.len());
        }
        assert_eq!(raw.status(&[head("/hello", &[])]).await, Ok("200".to_owned()));
    });
}

#[test]
fn crumbs_of_a_cookie_are_joined_and_have_a_limit_of_their_own() {
    let limits = Limits { fields: 5, cookie_crumbs: 50, ..Limits::default() };
    with(limits, async |bench| {
        let mut raw = Raw::new(bench.connect().await).await;
        let crumbs = |count| (0..count).map(|_| ("cookie", "a=b")).collect::<Vec<_>>();
        assert_eq!(raw.status(&[head("/hello", &crumbs(50))]).await, Ok("200".to_owned()));
        assert_eq!(bench.log.cookie(), vec!["a=b"; 50].join("; "));
        assert_eq!(raw.status(&[head("/hello", &crumbs(51))]).await, Ok("431".to_owned()));
    });
}

// What a stream is reset for.

/// What becomes of a stream that carries `frames` and then ends: a status, or the code it is reset with.
async fn check_stream(bench: &Bench, frames: &[Vec<u8>], expected: Result<&str, Code>) {
    let mut raw = Raw::new(bench.connect().await).await;
    let got = raw.status(frames).await;
    assert_eq!(got, expected.map(ToOwned::to_owned).map_err(|code| code.0), "{frames:x?}");
    assert_eq!(raw.status(&[head("/hello", &[])]).await, Ok("200".to_owned()), "the connection goes on");
}

#[test]
fn malformed_requests_are_reset_and_the_connection_goes_on() {
    with(Limits::default(), async |bench| {
        let error = Err(Code::MESSAGE_ERROR);
        let fields = |fields: &[(&str, &str)]| client::fields(fields);
        let get =
            [(":method", "GET"), (":scheme", "https"), (":authority", "localhost"), (":path", "/hello")];
        let with = |more: &[(&str, &str)]| fields(&[&get[..], more].concat());
        let without = |name: &str| {
            let rest: Vec<_> = get.iter().copied().filter(|field| field.0 != name).collect();
            fields(&rest)
        };
        let rows: &[(Vec<u8>, Result<&str, Code>)] = &[
            (with(&[]), Ok("200")),
            (without(":method"), error),
            (without(":scheme"), error),
            (without(":path"), error),
            (without(":authority"), error),
            (with(&[(":path", "/other")]), error),
            (with(&[("a", "b"), (":protocol", "x")]), error),
            (with(&[(":status", "200")]), error),
            (with(&[(":other", "x")]), error),
            (with(&[("A", "b")]), error),
            (with(&[("a b", "b")]), error),
            (with(&[("", "b")]), error),
            (with(&[("a", "b\r\nc: d")]), error),
            (with(&[("a", "b\0")]), error),
            (with(&[("a", " b")]), error),
            (with(&[("connection", "close")]), error),
            (with(&[("keep-alive", "1")]), error),
            (with(&[("proxy-connection", "close")]), error),
            (with(&[("transfer-encoding", "chunked")]), error),
            (with(&[("upgrade", "websocket")]), error),
            (with(&[("te", "gzip")]), error),
            (with(&[("te", "trailers")]), Ok("200")),
            (with(&[("host", "localhost")]), Ok("200")),
            (with(&[("host", "other")]), error),
            (with(&[("content-length", "0")]), Ok("200")),
            (with(&[("content-length", "1")]), error),
            (with(&[("content-length", "x")]), error),
            (with(&[("content-length", "0"), ("content-length", "0")]), error),
        ];
        for (head, expected) in rows {
            check_stream(&bench, std::slice::from_ref(head), *expected).await;
        }
    });
}

#[test]
fn a_body_must_have_the_length_that_was_announced() {
    with(Limits::default(), async |bench| {
        let announced = head("/take", &[("content-length", "5")]);
        let error = Err(Code::MESSAGE_ERROR);
        check_stream(&bench, &[announced.clone(), body(b"hello")], Ok("200")).await;
        check_stream(&bench, &[announced.clone(), body(b"he"), body(b"llo")], Ok("200")).await;
        check_stream(&bench, &[announced.clone(), body(b"hell")], error).await;
        check_stream(&bench, &[announced.clone(), body(b"hello!")], error).await;
        check_stream(&bench, &[announced.clone(), body(b"hello"), body(b"!")], error).await;
        let trailers = client::fields(&[("a", "b")]);
        check_stream(&bench, &[announced.clone(), body(b"hell"), trailers.clone()], error).await;
        check_stream(&bench, &[announced, body(b"hello"), trailers], Ok("200")).await;
    });
}

#[test]
fn trailers_are_checked_like_heads() {
    with(Limits::default(), async |bench| {
        let error = Err(Code::MESSAGE_ERROR);
        for (fields, expected) in [
            (&[("a", "b")][..], Ok("200")),
            (&[(":path", "/")], error),
            (&[("A", "b")], error),
            (&[("connection", "close")], error),
            (&[("content-length", "1")], error),
        ] {
            let frames = [head("/take", &[]), body(b"x"), client::fields(fields)];
            check_stream(&bench, &frames, expected).await;
        }
    });
}

#[test]
fn a_stream_without_a_head_is_incomplete() {
    with(Limits::default(), async |bench| {
        check_stream(&bench, &[], Err(Code::REQUEST_INCOMPLETE)).await;
        check_stream(&bench, &[frame(0x21, b"grease")], Err(Code::REQUEST_INCOMPLETE)).await;
    });
}

#[test]
fn frames_without_a_meaning_are_skipped_wherever_they_are() {
    with(Limits::default(), async |bench| {
        let grease = frame(0x21 + 0x1f * 1000, &[7; 5000]);
        let frames = [
            grease.clone(),
            head("/take", &[("content-length", "2")]),
            grease.clone(),
            body(b"a"),
            grease.clone(),
            body(b""),
            body(b"b"),
            grease.clone(),
            client::fields(&[("a", "b")]),
            grease,
        ];
        check_stream(&bench, &frames, Ok("200")).await;
    });
}

// What a connection is closed for.

#[test]
fn broken_streams_end_the_connection() {
    with(Limits::default(), async |bench| {
        let get = head("/take", &[]);
        let rows: &[(&[Vec<u8>], Code)] = &[
            (&[body(b"x")], Code::FRAME_UNEXPECTED),
            (&[frame(kind::SETTINGS, b"")], Code::FRAME_UNEXPECTED),
            (&[frame(kind::GOAWAY, b"\0")], Code::FRAME_UNEXPECTED),
            (&[frame(kind::CANCEL_PUSH, b"\0")], Code::FRAME_UNEXPECTED),
            (&[frame(kind::MAX_PUSH_ID, b"\0")], Code::FRAME_UNEXPECTED),
            (&[frame(kind::PUSH_PROMISE, b"\0\0\0")], Code::FRAME_UNEXPECTED),
            (&[frame(0x2, b"")], Code::FRAME_UNEXPECTED),
            (&[frame(0x6, b"")], Code::FRAME_UNEXPECTED),
            (&[frame(0x8, b"")], Code::FRAME_UNEXPECTED),
            (&[frame(0x9, b"")], Code::FRAME_UNEXPECTED),
            (&[get.clone(), frame(kind::SETTINGS, b"")], Code::FRAME_UNEXPECTED),
            (&[get.clone(), frame(0x8, b"")], Code::FRAME_UNEXPECTED),
            (&[get.clone(), client::fields(&[("a", "b")]), body(b"x")], Code::FRAME_UNEXPECTED),
            (
                &[get.clone(), client::fields(&[("a", "b")]), client::fields(&[("a", "b")])],
                Code::FRAME_UNEXPECTED,
            ),
            (&[vec![1]], Code::FRAME_ERROR),
            (&[vec![1, 5, 0, 0]], Code::FRAME_ERROR),
            (&[vec![0x21, 5, 0, 0]], Code::FRAME_ERROR),
            (&[get.clone(), vec![0, 5, 1, 2]], Code::FRAME_ERROR),
            (&[get.clone(), vec![0x40]], Code::FRAME_ERROR),
            (&[frame(kind::HEADERS, b"")], Code::DECOMPRESSION_FAILED),
            (&[frame(kind::HEADERS, b"\x02\x00\x80")], Code::DECOMPRESSION_FAILED),
            (&[get, frame(kind::HEADERS, b"\0\0\x80")], Code::DECOMPRESSION_FAILED),
        ];
        for (frames, code) in rows {
            let mut raw = Raw::new(bench.connect().await).await;
            let _ = raw.status(frames).await;
            assert_eq!(raw.closed().await, Some(code.0), "{frames:x?}");
        }
    });
}

#[test]
fn broken_control_streams_end_the_connection() {
    with(Limits::default(), async |bench| {
        let rows: &[(&[&[u8]], Code)] = &[
            (&[&[0, 7, 1, 0]], Code::MISSING_SETTINGS),
            (&[&[0, 4, 0], &[0, 4, 0]], Code::STREAM_CREATION_ERROR),
            (&[&[0, 4, 0], &[2], &[2]], Code::STREAM_CREATION_ERROR),
            (&[&[0, 4, 0], &[3], &[3]], Code::STREAM_CREATION_ERROR),
            (&[&[0, 4, 0], &[1, 0]], Code::STREAM_CREATION_ERROR),
            (&[&[0, 4, 0, 4, 0]], Code::FRAME_UNEXPECTED),
            (&[&[0, 4, 0], &[2, 0x3f, 1]], Code::ENCODER_STREAM_ERROR),
            (&[&[0, 4, 0], &[3, 0x81]], Code::DECODER_STREAM_ERROR),
        ];
        for (streams, code) in rows {
            let raw = Raw::bare(bench.connect().await);
            let mut kept = Vec::new();
            for bytes in *streams {
                kept.push(raw.one_way(bytes).await);
            }
            assert_eq!(raw.closed().await, Some(code.0), "{streams:x?}");
        }
        for number in [0, 2, 3] {
            let raw = Raw::bare(bench.connect().await);
            let mut stream = raw.one_way(&[number, 4, 0][..if number == 0 { 3 } else { 1 }]).await;
            stream.finish().unwrap();
            assert_eq!(raw.closed().await, Some(Code::CLOSED_CRITICAL_STREAM.0), "type {number}");
        }
    });
}

#[test]
fn a_stream_of_unknown_type_is_not_read() {
    with(Limits::default(), async |bench| {
        let mut raw = Raw::new(bench.connect().await).await;
        let stream = raw.one_way(&[0x40, 0x21, 1, 2, 3]).await;
        let code = stream.stopped().await.unwrap();
        assert_eq!(code, Some(Code::STREAM_CREATION_ERROR.into()));
        assert_eq!(raw.status(&[head("/hello", &[])]).await, Ok("200".to_owned()));
    });
}

// What clients do to have us work for nothing.

#[test]
fn a_client_that_goes_away_is_noticed_by_those_who_serve_it() {
    with(Limits::default(), async |bench| {
        let raw = Raw::new(bench.connect().await).await;
        let (mut send, mut recv) = raw.open(&[head("/wait", &[])]).await;
        bench.log.wait_for("waiting").await;
        recv.stop(Code::REQUEST_CANCELLED.into()).unwrap();
        bench.log.wait_for("Reset(268)").await;
        send.finish().unwrap();
        let (mut send, _recv) = raw.open(&[head("/wait", &[])]).await;
        bench.log.wait_for("waiting").await;
        send.reset(Code::REQUEST_CANCELLED.into()).unwrap();
        bench.log.wait_for("Reset(268)").await;
        let (_send, _recv) = raw.open(&[head("/wait", &[])]).await;
        bench.log.wait_for("waiting").await;
        raw.quic().close(Code::NO_ERROR.into(), b"");
        bench.log.wait_for("Closed").await;
    });
}

#[test]
fn requests_that_are_cancelled_at_once_end_the_connection() {
    with(Limits { glitches: 50, ..Limits::default() }, async |bench| {
        let raw = Raw::new(bench.connect().await).await;
        let mut opened = 0;
        while let Ok((mut send, mut recv)) = raw.try_open(&[head("/wait", &[])]).await {
            let _ = send.reset(Code::REQUEST_CANCELLED.into());
            let _ = recv.stop(Code::REQUEST_CANCELLED.into());
            opened += 1;
            assert!(opened < 1000);
            tokio::task::yield_now().await;
        }
        assert_eq!(raw.closed().await, Some(Code::EXCESSIVE_LOAD.0));
        assert!(bench.log.open_max() <= Limits::default().streams as usize);
    });
}

#[test]
fn frames_that_bring_nothing_end_the_connection() {
    with(Limits { glitches: 50, ..Limits::default() }, async |bench| {
        for nothing in [frame(0x21, b""), body(b"")] {
            let raw = Raw::new(bench.connect().await).await;
            let _stream = raw.open(&[head("/take", &[]), nothing.repeat(51)]).await;
            assert_eq!(raw.closed().await, Some(Code::EXCESSIVE_LOAD.0));
        }
        let raw = Raw::bare(bench.connect().await);
        let goaways = [&[0, 4, 0][..], &[7, 1, 0].repeat(51)].concat();
        let _stream = raw.one_way(&goaways).await;
        assert_eq!(raw.closed().await, Some(Code::EXCESSIVE_LOAD.0));
    });
}

#[test]
fn a_head_that_does_not_go_on_is_given_up() {
    with(Limits { stall: Duration::from_millis(20), ..Limits::default() }, async |bench| {
        let mut raw = Raw::new(bench.connect().await).await;
        let whole = head("/hello", &[]);
        let (_send, recv) = raw.open(&[whole[..10].to_vec()]).await;
        assert_eq!(client::status_of(recv).await, Err(Code::REQUEST_REJECTED.0));
        assert_eq!(raw.status(&[whole]).await, Ok("200".to_owned()));
    });
}

// How connections end.

#[test]
fn whoever_drains_says_so_serves_what_has_begun_and_closes() {
    with(Limits::default(), async |bench| {
        let mut raw = Raw::new(bench.connect().await).await;
        let (mut send, recv) = raw.open(&[head("/take", &[])]).await;
        bench.log.wait_for("taking").await;
        bench.log.drain();
        let goaways = raw.goaways().await;
        assert_eq!(goaways, [(1 << 62) - 4, 4]);
        let (_late, late) = raw.open(&[head("/hello", &[])]).await;
        assert_eq!(client::status_of(late).await, Err(Code::REQUEST_REJECTED.0));
        send.finish().unwrap();
        assert_eq!(client::status_of(recv).await, Ok("200".to_owned()));
        assert_eq!(raw.closed().await, Some(Code::NO_ERROR.0));
    });
}

#[test]
fn a_connection_without_requests_ends_whatever_else_comes() {
    let idle = Duration::from_millis(50);
    with_settings(Settings { idle, ..settings(Limits::default()) }, async |bench| {
        let mut raw = Raw::new(bench.connect().await).await;
        assert_eq!(raw.status(&[head("/hello", &[])]).await, Ok("200".to_owned()));
        assert_eq!(raw.closed().await, Some(Code::NO_ERROR.0));
    });
}

#[test]
fn a_response_that_is_not_whole_is_reset() {
    with(Limits::default(), async |bench| {
        let mut raw = Raw::new(bench.connect().await).await;
        let (_send, mut recv) = raw.open(&[head("/half", &[])]).await;
        let read = recv.read_to_end(10_000).await.unwrap_err();
        let reset = quinn::ReadError::Reset(Code::INTERNAL_ERROR.into());
        assert_eq!(read, quinn::ReadToEndError::Read(reset));
        assert_eq!(raw.status(&[head("/hello", &[])]).await, Ok("200".to_owned()));
    });
}

#[test]
fn a_response_does_not_wait_for_the_rest_of_its_request() {
    with(Limits::default(), async |bench| {
        let raw = Raw::new(bench.connect().await).await;
        let (send, recv) = raw.open(&[head("/hello", &[]), body(b"more is to come")]).await;
        assert_eq!(client::status_of(recv).await, Ok("200".to_owned()));
        assert_eq!(send.stopped().await.unwrap(), Some(Code::NO_ERROR.into()));
    });
}

#[test]
fn a_client_that_wants_another_protocol_is_refused() {
    with(Limits::default(), async |bench| {
        let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(
            rustls::crypto::aws_lc_rs::default_provider(),
        ))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
        tls.alpn_protocols = vec![b"hq-interop".to_vec()];
        let config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
        let connecting = bench.client.connect_with(config, bench.address, "localhost").unwrap();
        let error = connecting.await.unwrap_err();
        assert!(matches!(error, ConnectionError::ConnectionClosed(_)), "{error:?}");
    });
}
