//! The load tester speaks them too: what it counts is what servers counted.

use std::path::Path;
use std::process::Command;

use forebay_testkit::gateway;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::origin::Origin;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::servers::run;
use forebay_testkit::tls::Authority;
use forebay_testkit::{binary, tls};
use serde_json::Value;

use crate::certificates::{self, text};
use crate::programs::{PYTHON, Server, settings};
use crate::websocket::SERVER;

/// A limit on time so wide that a busy machine cannot make the generator too late for it.
const WIDE: &str = "max<600s";

/// What a run found out.
pub(crate) struct Found {
    result: Value,
    said: String,
}

/// Runs `forebay load` with these words.
pub(crate) fn load(words: &[&str]) -> Found {
    let mut command = Command::new(binary!());
    let output = run(command.arg("load").args(words).args(["--json", "--threshold", WIDE]));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let result = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("no JSON: {error}: {}{said}", String::from_utf8_lossy(&output.stdout));
    });
    Found { result, said }
}

/// Runs a plan of one scenario with these steps, so often, by one user after the other.
pub(crate) fn load_steps(target: &str, steps: &str, times: u32, more: &str) -> Found {
    let folder = Scratch::new("load-plan");
    let plan = format!(
        "target: {target}\nstages: 60s@1 users\niterations: {times}\n{more}\nscenarios:\n  - steps:\n{steps}"
    );
    folder.write("plan.yaml", plan);
    load(&[text(&folder.path().join("plan.yaml"))])
}

impl Found {
    /// (planned, ok, errors, timeouts, not started), which add up.
    pub(crate) fn buckets(&self) -> [u64; 5] {
        let of = |name: &str| {
            self.result["summary"][name].as_u64().unwrap_or_else(|| panic!("no {name}: {}", self.said))
        };
        let all = ["planned", "ok", "errors", "timeouts", "not_started"].map(of);
        assert_eq!(all[0], all[1..].iter().sum::<u64>(), "{}", self.result["summary"]);
        all
    }

    /// All planned requests were answered as expected.
    pub(crate) fn all_ok(&self) -> u64 {
        let [planned, ok, ..] = self.buckets();
        assert_eq!(planned, ok, "{}: {}", self.result["summary"], self.examples());
        ok
    }

    pub(crate) fn errors(&self) -> String {
        self.result["summary"]["errors_by_kind"].to_string()
    }

    pub(crate) fn examples(&self) -> String {
        self.result["series"][0]["stages"][0]["examples"].to_string()
    }

    fn protocols(&self) -> String {
        self.result["protocols"].to_string()
    }

    fn generator(&self, name: &str) -> u64 {
        self.result["generator"][name].as_u64().unwrap_or_else(|| panic!("no {name}: {}", self.said))
    }
}

/// A gateway with both listeners before an origin, and its certificates.
fn setup(more: &str) -> (Gateway, Scratch, Origin) {
    let (origin, folder) = (Origin::echo(), certificates::folder());
    let gateway = gateway!("{}", settings(text(folder.path()), origin.address(), "", more));
    (gateway, folder, origin)
}

fn secured(gateway: &Gateway) -> String {
    format!("https://127.0.0.1:{}/", gateway.listen()[1].port())
}

const ONCE: [&str; 6] = ["--users", "4", "--iterations", "40", "--for", "60s"];

#[test]
fn requests_go_over_what_both_sides_agree_on() {
    let (gateway, folder, origin) = setup("");
    let (plain, secured) = (format!("http://{}/", gateway.addr()), secured(&gateway));
    let ca = folder.path().join("ca.pem");
    let mut sent = 0;
    let mut check = |url: &str, words: &[&str], protocol: &str, connects: std::ops::RangeInclusive<u64>| {
        let words: Vec<&str> = [url].iter().chain(&ONCE).chain(words).copied().collect();
        let found = load(&words);
        assert_eq!(found.all_ok(), 40, "{words:?}");
        assert_eq!(found.protocols(), format!("[\"{protocol}\"]"), "{words:?}");
        assert!(connects.contains(&found.generator("connects")), "{words:?}: {}", found.result["generator"]);
        sent += 40;
    };
    let ca = ["--ca", text(&ca)];
    check(&plain, &[], "HTTP/1.1", 1..=4);
    check(&plain, &["--http2"], "HTTP/2", 1..=4);
    check(&plain, &["--http2", "--connections", "1", "--streams", "2"], "HTTP/2", 1..=1);
    check(&plain, &["--http2", "--no-keep-alive"], "HTTP/2", 40..=40);
    check(&secured, &ca, "HTTP/2 over TLSv1.3", 1..=4);
    check(&secured, &["--insecure", "--http2=off"], "HTTP/1.1 over TLSv1.3", 1..=4);
    check(&secured, &["--insecure", "--http2=off", "--no-keep-alive"], "HTTP/1.1 over TLSv1.3", 40..=40);
    assert_eq!(origin.seen().len(), sent);
    assert_eq!(gateway.metric("forebay_requests_total"), sent as f64);
}

#[test]
fn a_body_arrives_whole_whatever_its_size() {
    let (gateway, folder, origin) = setup("");
    let body: Vec<u8> = (0..300_000_u32).map(|at| (at % 251) as u8).collect();
    folder.write("body.bin", &body);
    let data = format!("@{}", text(&folder.path().join("body.bin")));
    for words in [&["--http2"][..], &["--http2=off"]] {
        let url = format!("http://{}/", gateway.addr());
        let words: Vec<&str> =
            [&url, "-d", &data, "--users", "3", "--iterations", "6"].iter().chain(words).copied().collect();
        assert_eq!(load(&words).all_ok(), 6);
    }
    let seen = origin.seen();
    assert_eq!(seen.len(), 12);
    assert!(seen.iter().all(|seen| seen.request.body == body));
}

#[test]
fn sessions_go_on_only_if_asked() {
    let (gateway, ..) = setup("");
    let words = [&secured(&gateway), "--insecure", "--http2=off", "--no-keep-alive", "--users", "1"];
    let words: Vec<&str> = words.into_iter().chain(["--iterations", "10"]).collect();
    assert_eq!(load(&words).generator("resumed"), 0);
    let words: Vec<&str> = words.into_iter().chain(["--resume"]).collect();
    assert!(load(&words).generator("resumed") >= 8);
}

#[test]
fn whom_nobody_vouches_for_is_not_asked() {
    let (gateway, folder, origin) = setup("");
    folder.write("other.pem", Authority::new("another authority").pem());
    let url = secured(&gateway);
    let check = |words: &[&str], part: &str| {
        let words: Vec<&str> = [&*url].iter().chain(&ONCE).chain(words).copied().collect();
        let found = load(&words);
        assert_eq!((found.buckets(), found.errors()), ([40, 0, 40, 0, 0], "{\"tls\":40}".to_owned()));
        assert!(found.examples().contains(part), "{words:?}: {}", found.examples());
    };
    let file = |name: &str| folder.path().join(name);
    check(&["--ca", text(&file("other.pem"))], "nobody trusted vouches");
    check(&["--ca", text(&file("ca.pem")), "--server-name", "shop.test"], "for another name");
    assert_eq!(origin.seen().len(), 0);
}

#[test]
fn a_certificate_is_shown_to_whoever_asks() {
    let (origin, folder) = (Origin::echo(), certificates::folder());
    let clients = Authority::new("clients' authority");
    folder.write("clients.pem", clients.pem());
    let tls::Issued { certificate, key } = clients.issue_client("load tester");
    folder.write("client.pem", &certificate);
    folder.write("client.key", &key);
    let at = text(folder.path());
    let gateway = gateway!(
        "listen: https://127.0.0.1:0\nadmin: 127.0.0.1:0\n\
         tls: {{ cert: {at}/cert.pem, key: {at}/cert.key, client_ca: {at}/clients.pem }}\n\
         services:\n  app: {{ endpoints: [\"{}\"] }}\nroutes:\n  - {{ match: /*, to: app }}\n",
        origin.address()
    );
    let url = format!("https://127.0.0.1:{}/", gateway.listen()[0].port());
    let file = |name: &str| folder.path().join(name);
    let (ca, cert, key) = (file("ca.pem"), file("client.pem"), file("client.key"));
    let words: Vec<&str> = [&*url, "--ca", text(&ca)].iter().chain(&ONCE).copied().collect();
    assert_eq!(load(&words).buckets()[1], 0);
    let shown = ["--cert", text(&cert), "--key", text(&key)];
    let words: Vec<&str> = words.into_iter().chain(shown).collect();
    assert_eq!(load(&words).all_ok(), 40);
}

/// Python's `websockets`, and a gateway before it.
fn chat() -> (Server, Gateway, Scratch) {
    let server = Server::start(Command::new(PYTHON).args(["-c", SERVER]));
    let folder = certificates::folder();
    let gateway = gateway!("{}", settings(text(folder.path()), server.address, "", ""));
    (server, gateway, folder)
}

#[test]
fn every_message_of_a_websocket_is_counted() {
    let (server, gateway, _folder) = chat();
    let step = |asked: &str| format!("      - websocket: {{ path: /echo, {asked} }}\n");
    let direct = format!("http://{}", server.address);
    let through = format!("http://{}", gateway.addr());
    for target in [&direct, &through] {
        let found = load_steps(target, &step("send: 'hello {{ $iteration }}', messages: 20"), 5, "");
        assert_eq!((found.all_ok(), found.generator("connects")), (100, 5), "{target}");
        assert_eq!(found.protocols(), "[\"WebSocket\"]");
        let found =
            load_steps(target, &step("send: hello, regex: '^hel+o$', messages: 3, interval: 5ms"), 2, "");
        assert_eq!(found.all_ok(), 6, "{target}");
        let found = load_steps(target, &step("send: hello, expect: none, messages: 50"), 2, "");
        assert_eq!(found.all_ok(), 100, "{target}");
    }
    let folder = Scratch::new("load-message");
    folder.write("large.bin", vec![7; 1 << 20]);
    let large = text(&folder.path().join("large.bin")).to_owned();
    let found = load_steps(&direct, &step(&format!("send_file: {large}, messages: 2")), 2, "");
    assert_eq!(found.all_ok(), 4);
    let secured = secured(&gateway);
    let found = load_steps(&secured, &step("send: hello, messages: 4"), 2, "tls: { insecure: true }");
    assert_eq!((found.all_ok(), found.protocols()), (8, "[\"WebSocket over TLS\"]".to_owned()));
}

#[test]
fn what_goes_wrong_with_a_websocket_is_told() {
    let (server, ..) = chat();
    let target = format!("http://{}", server.address);
    let check = |step: &str, errors: &str, part: &str| {
        let found = load_steps(&target, &format!("      - {{ websocket: {step} }}\n"), 3, "");
        assert_eq!(found.errors(), errors, "{step}: {}", found.examples());
        assert!(found.examples().contains(part), "{step}: {}", found.examples());
        found.buckets()
    };
    let refused = check("{path: /refused, send: a, messages: 5}", r#"{"status":3}"#, "403 instead of 101");
    assert_eq!(refused, [3, 0, 3, 0, 0]);
    check("{path: /echo, send: close 1001}", r#"{"closed":3}"#, "1001 as you like");
    let late = check("{path: /echo, send: hello, regex: bye}, timeout: 50ms", "{}", "");
    assert_eq!(late, [3, 0, 0, 3, 0]);
}

#[test]
fn the_examples_are_for_what_they_say() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/load");
    let (server, gateway, _folder) = chat();
    let websocket = folder.join("websocket.yaml");
    let target = format!("http://{}", server.address);
    let found = load(&[text(&websocket), "--target", &target, "--users", "2", "--for", "1s"]);
    assert!(found.all_ok() > 0);
    let https = folder.join("https.yaml");
    let words = [text(&https), "--target", &secured(&gateway), "--rate", "20", "--for", "1s", "--insecure"];
    // There is no page at what was made for messages.
    assert_eq!(load(&words).protocols(), "[\"HTTP/2 over TLSv1.3\"]");
}
