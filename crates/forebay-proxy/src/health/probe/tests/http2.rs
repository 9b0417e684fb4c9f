//! Checks by HTTP/2 and gRPC, against a server that is the other side of our own protocol code.

use std::io::{Read, Write};
use std::thread::{self, JoinHandle};

use forebay_base::time::Instant;
use forebay_net::h2::Limits;
use forebay_net::h2::connection::{Connection, Event};
use forebay_net::tls::{Client, ClientSettings, Offer};
use forebay_testkit::tls::{Authority, Issued};
use tokio_rustls::rustls::crypto::aws_lc_rs::default_provider;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::*;
use crate::plan::{Protocol, ProxyProtocol};

/// What a server answers: a head, what follows it, and trailers.
type Said = (&'static str, &'static [u8], &'static str);

/// A server of HTTP/2 that answers one request; the thread returns the request's path, fields and body as text.
fn server(said: Said) -> (SocketAddr, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let thread = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("somebody comes");
        serve(stream, said)
    });
    (address, thread)
}

fn serve(mut stream: impl Read + Write, (head, body, trailers): Said) -> String {
    let now = Instant::now();
    let mut connection = Connection::server(Limits::default(), now);
    let (mut input, mut got, mut answered) = (Vec::new(), String::new(), false);
    let mut chunk = [0; 4096];
    loop {
        while !input.is_empty() {
            let step = connection.receive(&input, now);
            let starved = matches!(step.event, Event::Starved(_));
            let mut end = None;
            match step.event {
                Event::Request { slot, head, finished } => {
                    let text = |span: forebay_net::h1::Span| {
                        String::from_utf8_lossy(span.of_head(&head.bytes)).into_owned()
                    };
                    let host = head.head.host.expect("it names one");
                    got.push_str(&format!("{} host={}", text(head.head.target), text(host)));
                    for field in &head.head.fields {
                        got.push_str(&format!(" {}={}", text(field.name), text(field.value)));
                    }
                    end = finished.then_some(slot);
                }
                Event::Data { slot, bytes, finished } => {
                    got.push_str(&format!(" {:?}", &input[bytes]));
                    end = finished.then_some(slot);
                }
                Event::Over => return got,
                _ => {}
            }
            if let Some(slot) = end {
                let ends = body.is_empty() && trailers.is_empty();
                connection.send_response(slot, head.as_bytes(), ends).expect("the stream is open");
                if !body.is_empty() {
                    let sent = connection.send_data(slot, body, trailers.is_empty());
                    assert_eq!(sent, Ok(body.len()));
                }
                if !trailers.is_empty() {
                    connection.send_trailers(slot, trailers.as_bytes()).expect("the stream is open");
                }
                answered = true;
            }
            input.drain(..step.consumed);
            if starved {
                break;
            }
        }
        let output = connection.output().to_vec();
        connection.wrote(output.len());
        if stream.write_all(&output).is_err() {
            return got;
        }
        match stream.read(&mut chunk) {
            Ok(n) if n > 0 => input.extend_from_slice(&chunk[..n]),
            _ => {
                assert!(answered, "the client left before it was answered: {got}");
                return got;
            }
        }
    }
}

fn speaking(protocol: Protocol) -> Speech {
    Speech { protocol, ..Speech::default() }
}

/// What a check by gRPC of `shop.Cart` makes of this answer.
fn grpc(said: Said) -> String {
    let (address, server) = server(said);
    let health = Health { timeout: Duration::from_secs(60), ..Health::new(Check::Grpc("shop.Cart".into())) };
    let met = check_by(address, health, speaking(Protocol::H2c));
    let asked = server.join().expect("the server does not panic");
    assert_eq!(
        asked,
        "/grpc.health.v1.Health/Check host=app.test:80 content-type=application/grpc te=trailers \
         user-agent=forebay-health/0.1.0 [0, 0, 0, 0, 11, 10, 9, 115, 104, 111, 112, 46, 67, 97, 114, 116]"
            .replace("0.1.0", env!("CARGO_PKG_VERSION"))
    );
    met
}

const GRPC: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\n\r\n";

#[test]
fn a_service_that_serves_passes_and_others_say_why_not() {
    let serving = b"\0\0\0\0\x02\x08\x01";
    for (said, expected) in [
        ((GRPC, &serving[..], "grpc-status: 0\r\n"), ""),
        ((GRPC, b"\0\0\0\0\x02\x08\x02", "grpc-status: 0\r\n"), "says NOT_SERVING, expected SERVING"),
        ((GRPC, b"\0\0\0\0\x02\x08\x03", "grpc-status: 0\r\n"), "says SERVICE_UNKNOWN, expected SERVING"),
        ((GRPC, b"\0\0\0\0\0", "grpc-status: 0\r\n"), "says UNKNOWN, expected SERVING"),
        ((GRPC, b"\0\0\0\0\x02\x08\x09", "grpc-status: 0\r\n"), "says an unknown status, expected SERVING"),
        ((GRPC, serving, "grpc-status: 14\r\n"), "gRPC status UNAVAILABLE, expected OK"),
        ((GRPC, serving, "x: y\r\n"), "no gRPC status"),
        ((GRPC, serving, ""), "no gRPC status"),
        ((GRPC, b"", "grpc-status: 0\r\n"), "the answer is no HealthCheckResponse"),
        (
            ("HTTP/1.1 200 OK\r\ngrpc-status: 5\r\ngrpc-message: no such service\r\n\r\n", b"", ""),
            "gRPC status NOT_FOUND, expected OK",
        ),
        (("HTTP/1.1 404 Not Found\r\n\r\n", b"no", ""), "status 404, expected gRPC in a 200"),
    ] {
        assert_eq!(grpc(said), expected, "{said:?}");
    }
}

#[test]
fn a_path_is_asked_for_by_the_protocol_of_the_service() {
    for (said, expected) in [
        (("HTTP/1.1 200 OK\r\n\r\n", &b"all is fine"[..], ""), ""),
        (("HTTP/1.1 200 OK\r\n\r\n", b"all is", "x: y\r\n"), "the body does not hold \"fine\""),
        (("HTTP/1.1 503 Service Unavailable\r\n\r\n", b"fine", ""), "status 503, expected 200-299"),
        (("HTTP/1.1 200 OK\r\n\r\n", b"", ""), "the body does not hold \"fine\""),
    ] {
        let (address, server) = server(said);
        assert_eq!(check_by(address, patient(holding("fine")), speaking(Protocol::H2c)), expected);
        let asked = server.join().expect("the server does not panic");
        assert!(asked.starts_with("/up host=app.test:80 user-agent=forebay-health/"), "{asked}");
    }
}

/// The same server behind TLS, which agrees to `alpn` only.
fn secured(said: Said, issued: &Issued, alpn: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let chain = vec![CertificateDer::from_pem_slice(issued.certificate.as_bytes()).expect("it is PEM")];
    let key = PrivateKeyDer::from_pem_slice(issued.key.as_bytes()).expect("it is PEM");
    let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .expect("there are some")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("they belong together");
    config.alpn_protocols = vec![alpn.to_vec()];
    thread::spawn(move || {
        let (stream, _) = listener.accept().expect("somebody comes");
        let connection = ServerConnection::new(Arc::new(config)).expect("the settings are good");
        // Whoever does not trust it leaves without a word.
        let _ = thread::Builder::new().spawn(move || serve(StreamOwned::new(connection, stream), said));
    });
    address
}

#[test]
fn secured_services_are_checked_over_tls() {
    let (ours, other) = (Authority::new("ours"), Authority::new("another"));
    let speech = |authority: &Authority, protocol, offer| {
        let ca = Some(authority.pem().into_bytes().into());
        let tls = Client::new(ClientSettings { ca, offer, ..ClientSettings::default() });
        Speech { protocol, tls: Some(Arc::new(tls.expect("it is a certificate"))), proxy_protocol: None }
    };
    let issued = ours.issue(&["app.test"]);
    let said = (GRPC, &b"\0\0\0\0\x02\x08\x01"[..], "grpc-status: 0\r\n");
    let serving = || Health { timeout: Duration::from_secs(60), ..Health::new(Check::Grpc("".into())) };
    let at = |alpn| secured(said, &issued, alpn);
    assert_eq!(check_by(at(b"h2"), serving(), speech(&ours, Protocol::H2, Offer::Http2)), "");
    assert_eq!(check_by(at(b"h2"), serving(), speech(&ours, Protocol::Auto, Offer::Both)), "");
    assert_eq!(check_by(at(b"h2"), patient(http()), speech(&ours, Protocol::H2, Offer::Http2)), "");
    let met = check_by(at(b"http/1.1"), serving(), speech(&ours, Protocol::Auto, Offer::Both));
    assert_eq!(met, "does not agree to HTTP/2");
    let met = check_by(at(b"h2"), serving(), speech(&other, Protocol::H2, Offer::Http2));
    assert!(met.starts_with("TLS: invalid peer certificate: "), "{met}");
    let issued = ours.issue(&["shop.test"]);
    let address = secured(said, &issued, b"h2");
    let met = check_by(address, serving(), speech(&ours, Protocol::H2, Offer::Http2));
    assert!(met.contains("app.test"), "{met}");
}

#[test]
fn who_does_not_speak_http2_is_not_well() {
    let saying = |bytes: &'static [u8]| {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("somebody comes");
            let _ = stream.write_all(bytes);
            // Read first: closing with something unread would be a reset.
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let _ = stream.read_to_end(&mut Vec::new());
        });
        let met = check_by(address, patient(http()), speaking(Protocol::H2c));
        server.join().expect("the server does not panic");
        met
    };
    assert_eq!(saying(b"HTTP/1.1 400 Bad Request\r\n\r\n"), "does not speak HTTP/2");
    assert_eq!(saying(b""), "closed without an answer");
}

#[test]
fn another_port_is_asked_as_plainly_as_can_be() {
    let origin = Origin::answering(ok("fine"));
    let health = Health { port: Some(origin.address().port()), ..patient(http()) };
    let speech =
        Speech { protocol: Protocol::H2c, proxy_protocol: Some(ProxyProtocol::V1), ..Speech::default() };
    assert_eq!(check_by(SocketAddr::from(([127, 0, 0, 1], 1)), health, speech), "");
}

#[test]
fn who_wants_to_know_whom_we_ask_for_hears_that_it_is_nobody() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody comes");
        let mut got = Vec::new();
        let mut chunk = [0; 1024];
        while !got.ends_with(b"\r\n\r\n") {
            let n = stream.read(&mut chunk).expect("it is sent");
            assert!(n > 0, "the request ends");
            got.extend_from_slice(&chunk[..n]);
        }
        stream.write_all(ok("fine").as_bytes()).expect("it is read");
        String::from_utf8_lossy(&got).into_owned()
    });
    let speech = Speech { proxy_protocol: Some(ProxyProtocol::V1), ..Speech::default() };
    assert_eq!(check_by(address, patient(http()), speech), "");
    let got = server.join().expect("the server does not panic");
    assert!(got.starts_with("PROXY UNKNOWN\r\nGET /up HTTP/1.1\r\n"), "{got}");
}
