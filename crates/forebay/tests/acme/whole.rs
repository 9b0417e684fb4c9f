//! The whole gateway with certificates that renew themselves.

use std::process::Command;

use forebay_testkit::acme::{Behaviour, Ended, Pebble};
use forebay_testkit::check::{eventually, json};
use forebay_testkit::dns::NameServer;
use forebay_testkit::gateway::{Gateway, Signal};
use forebay_testkit::scratch::Scratch;
use forebay_testkit::servers::{run, tool};
use serde_json::Value;

/// The gateway, which names the authority in its settings, and the authority, which has to know the gateway's ports.
fn start(challenge: &str, scratch: &Scratch) -> (Gateway, Pebble, NameServer) {
    let names = NameServer::start();
    names.set("shop.test", 60, &["127.0.0.1"]);
    let pebble = Ended::new(Behaviour::new(names.address(), 0, 0));
    let gateway = gateway(challenge, &pebble, scratch);
    let [http, tls] = gateway.listen() else { panic!("there are two listeners: {:?}", gateway.listen()) };
    assert_eq!(serial(&gateway), None);
    assert!(!curl(&gateway, None).status.success(), "secured connections are refused");
    let pebble = pebble.with_ports(http.port(), tls.port()).start();
    (gateway, pebble, names)
}

fn gateway(challenge: &str, pebble: &Ended, scratch: &Scratch) -> Gateway {
    let ca = scratch.write("authority.pem", pebble.ca());
    forebay_testkit::gateway!(
        "listen: [\"127.0.0.1:0\", \"https://127.0.0.1:0\"]\n\
         admin: 127.0.0.1:0\n\
         tls:\n  domains: shop.test\n  email: admin@shop.test\n  acme:\n    directory: {}\n    \
         ca: {}\n    storage: {}\n    challenge: {challenge}\n\
         routes: [{{match: /*, respond: welcome}}]\n",
        pebble.directory(),
        ca.display(),
        scratch.path().join("kept").display(),
    )
}

/// Asks the shop; `root`: what its certificate has to be good by, else anything is.
fn curl(gateway: &Gateway, root: Option<&Scratch>) -> std::process::Output {
    let port = gateway.listen()[1].port();
    let mut curl = Command::new(tool("curl"));
    curl.args(["-s", "-S", "--resolve", &format!("shop.test:{port}:127.0.0.1")]);
    match root {
        Some(root) => curl.arg("--cacert").arg(root.path().join("root.pem")),
        None => curl.arg("-k"),
    };
    run(curl.arg(format!("https://shop.test:{port}/")))
}

fn certificates(gateway: &Gateway) -> Value {
    json(&gateway.admin_get("/api/v1/certificates"))
}

/// Of the certificate that is shown.
fn serial(gateway: &Gateway) -> Option<String> {
    certificates(gateway)["certificates"][0]["serial"].as_str().map(str::to_owned)
}

fn check(challenge: &str) {
    let scratch = Scratch::new("whole");
    let (gateway, pebble, _names) = start(challenge, &scratch);
    // It has found nobody, and would wait for seconds: whoever loads the settings again does not.
    let serial = eventually("a certificate", || {
        Signal::Hangup.send(gateway.pid());
        serial(&gateway)
    });
    scratch.write("root.pem", pebble.root());
    let answer = curl(&gateway, Some(&scratch));
    assert_eq!(
        String::from_utf8_lossy(&answer.stdout),
        "welcome",
        "{}",
        String::from_utf8_lossy(&answer.stderr)
    );
    let seen = certificates(&gateway);
    assert_eq!(seen["acme"]["names"][0], "shop.test", "{seen}");
    assert_eq!(seen["acme"]["expires"], seen["certificates"][0]["expires"], "{seen}");
    assert_eq!(seen["certificates"][0]["source"], "ACME", "{seen}");
    let expires = gateway.metric("forebay_certificate_expiry_timestamp_seconds{name=\"shop.test\"}");
    assert!(expires > 1_700_000_000.0, "{expires}");
    // What we have not asked for may be a matter of a service.
    assert_eq!(gateway.get("/.well-known/acme-challenge/none").body, b"welcome");
    eventually("it to be written down", || {
        let kept = std::fs::read_dir(scratch.path().join("kept/certificates")).ok()?;
        kept.flatten().any(|file| file.path().extension().is_some()).then_some(())
    });
    drop(gateway);
    // Nobody is asked after a restart.
    let ended = pebble.end();
    let gateway = self::gateway(challenge, &ended, &scratch);
    assert_eq!(self::serial(&gateway), Some(serial));
    assert_eq!(curl(&gateway, Some(&scratch)).stdout, answer.stdout);
}

#[test]
fn a_gateway_gets_its_certificate_by_http_and_has_it_after_a_restart() {
    check("http-01");
}

#[test]
fn a_gateway_gets_its_certificate_by_tls_and_has_it_after_a_restart() {
    check("tls-alpn-01");
}
