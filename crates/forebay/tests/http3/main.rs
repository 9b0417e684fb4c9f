//! HTTP/3 by UDP beside `https://`: the same routes and limits, another way there.

mod browser;
mod client;
mod upgrade;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::Command;

use client::{Client, response, run};
use forebay_testkit::gateway;
use forebay_testkit::gateway::{Gateway, Signal};
use forebay_testkit::origin::{Gate, Origin};
use forebay_testkit::scratch::Scratch;
use forebay_testkit::servers::run as run_program;
use forebay_testkit::tls::Authority;

/// `H3_NO_ERROR`.
const NO_ERROR: Option<u64> = Some(0x100);

/// A gateway that offers HTTP/3, in front of `origin`.
struct Site {
    gateway: Gateway,
    authority: Authority,
    folder: Scratch,
}

fn site(origin: &Origin, more: &str) -> Site {
    let folder = Scratch::new("http3");
    let authority = Authority::new("tests' authority");
    let issued = authority.issue(&["localhost"]);
    folder.write("cert.pem", &issued.certificate);
    folder.write("cert.key", &issued.key);
    let path = folder.path().display();
    let gateway = gateway!(
        "listen: [{{ address: \"https://127.0.0.1:0\", http3: on }}]\nadmin: 127.0.0.1:0\nworkers: 2\n\
         tls: {{ cert: \"{path}/cert.pem\", key: \"{path}/cert.key\", redirect: off }}\n\
         services:\n  app: {{ endpoints: [\"{}\"] }}\nroutes:\n  - {{ match: /*, to: app }}\n{more}\n",
        origin.address()
    );
    Site { gateway, authority, folder }
}

impl Site {
    async fn connect(&self) -> Client {
        Client::connect(self.gateway.addr(), &self.authority).await.expect("the handshake goes well")
    }
}

#[test]
fn a_request_goes_the_way_of_all_others() {
    let origin = Origin::echo();
    let site = site(&origin, "");
    run(async {
        let mut client = site.connect().await;
        let (response, _) = client.get("/some/path?query").await;
        assert_eq!(response.status(), 200);
        let seen = origin.last();
        assert_eq!(seen.headers.get("x-forwarded-proto"), Some("https"));
        assert_eq!(seen.headers.get("host"), Some(&*format!("localhost:{}", site.gateway.addr().port())));
        assert_eq!(response.headers()["x-path"], "/some/path?query");
        let (response, _) = client.get("/%2e%2e%2f").await;
        assert_eq!(response.status(), 400);
    });
}

#[test]
fn bodies_of_any_size_go_both_ways() {
    let origin = Origin::start(|conn| {
        while let Ok(request) = conn.request() {
            conn.reply("200 OK", &request.body);
        }
    });
    let site = site(&origin, "limits: { body_max: 64MiB }");
    run(async {
        let mut client = site.connect().await;
        for size in [1, 10_000, 5_000_000] {
            let body: Vec<u8> = (0..size).map(|n: u32| (n / 3) as u8).collect();
            let (response, got) = client.exchange("POST", "/", &body).await;
            assert_eq!(response.status(), 200);
            assert!(got == body, "{size} bytes");
        }
    });
}

#[test]
fn clients_of_other_protocols_are_told_of_it() {
    let origin = Origin::echo();
    let site = site(&origin, "");
    let port = site.gateway.addr().port();
    for version in ["--http1.1", "--http2"] {
        let url = format!("https://localhost:{port}/");
        let mut curl = Command::new("curl");
        curl.args(["-sk", "-D", "-", "-o", "/dev/null", "--noproxy", "*", version]).args([
            "--resolve",
            &format!("localhost:{port}:127.0.0.1"),
            &url,
        ]);
        let head = String::from_utf8(run_program(&mut curl).stdout).expect("heads are text");
        let line = format!("alt-svc: h3=\":{port}\"; ma=86400");
        assert!(head.to_lowercase().contains(&line), "{version}: {head}");
    }
    run(async {
        let (response, _) = site.connect().await.get("/").await;
        assert_eq!(response.headers()["alt-svc"], &*format!("h3=\":{port}\"; ma=86400"));
        assert_eq!(response.headers().get("connection"), None);
    });
}

#[test]
fn an_address_has_so_many_connections_and_no_more() {
    let origin = Origin::echo();
    let site = site(&origin, "limits: { connections_per_ip: 2 }");
    run(async {
        let mut first = site.connect().await;
        let mut second = site.connect().await;
        assert_eq!(first.get("/").await.0.status(), 200);
        assert_eq!(second.get("/").await.0.status(), 200);
        let third = site.connect().await;
        assert_eq!(third.closed().await, NO_ERROR);
        assert_eq!(first.get("/").await.0.status(), 200);
    });
}

#[test]
fn a_request_in_flight_is_finished_and_then_the_process_ends() {
    let gate = Gate::new();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        while let Ok(request) = conn.request() {
            wait.pass();
            conn.echo(&request);
        }
    });
    let mut site = site(&origin, "");
    run(async {
        let idle = site.connect().await;
        let mut client = site.connect().await;
        let mut stream = client.begin("GET", "/held").await;
        stream.finish().await.expect("it is taken");
        while origin.count() == 0 {
            tokio::task::yield_now().await;
        }
        site.gateway.signal(Signal::Terminate);
        assert_eq!(idle.closed().await, NO_ERROR);
        assert!(site.gateway.is_running());
        gate.open();
        let response = response(stream).await.expect("it is answered");
        assert_eq!(response.headers()["x-path"], "/held");
        assert_eq!(client.closed().await, NO_ERROR);
    });
    assert!(site.gateway.await_exit().success());
}

#[test]
fn new_settings_hold_for_connections_that_there_are() {
    let origin = Origin::echo();
    let site = site(&origin, "");
    run(async {
        let mut client = site.connect().await;
        assert_eq!(client.get("/").await.0.status(), 200);
        let path = site.folder.path().display();
        site.gateway.write_settings(&format!(
            "listen: [{{ address: \"https://127.0.0.1:0\", http3: on }}]\nadmin: 127.0.0.1:0\nworkers: 2\n\
             tls: {{ cert: \"{path}/cert.pem\", key: \"{path}/cert.key\", redirect: off }}\n\
             routes:\n  - {{ match: /*, respond: {{ status: 204 }} }}\n"
        ));
        site.gateway.signal(Signal::Hangup);
        while client.get("/").await.0.status() != 204 {
            tokio::task::yield_now().await;
        }
        assert_eq!(site.connect().await.get("/").await.0.status(), 204);
    });
}

#[test]
fn services_hear_by_the_proxy_protocol_who_the_client_is() {
    let service = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
    let origin = Origin::echo();
    let site = site(&origin, "");
    let path = site.folder.path().display();
    let gateway = gateway!(
        "listen: [{{ address: \"https://127.0.0.1:0\", http3: on }}]\nadmin: 127.0.0.1:0\nworkers: 1\n\
         tls: {{ cert: \"{path}/cert.pem\", key: \"{path}/cert.key\", redirect: off }}\n\
         services:\n  app: {{ endpoints: [\"{}\"], proxy_protocol: v1 }}\nroutes:\n  - {{ match: /*, to: app }}\n",
        service.local_addr().expect("it is bound")
    );
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = service.accept().expect("it listens");
        let mut head = String::new();
        let mut reader = BufReader::new(&stream);
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).expect("it is text"), 0, "{head}");
        }
        stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").expect("it is read");
        head.lines().next().unwrap_or_default().to_owned()
    });
    run(async {
        let mut client =
            Client::connect(gateway.addr(), &site.authority).await.expect("the handshake goes well");
        assert_eq!(client.get("/").await.0.status(), 204);
    });
    let line = answering.join().expect("it was asked");
    assert!(line.starts_with("PROXY TCP4 127.0.0.1 127.0.0.1 "), "{line}");
    assert!(line.ends_with(&format!(" {}", gateway.addr().port())), "{line}");
}
