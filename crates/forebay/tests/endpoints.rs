//! Endpoints changed at run time, by the admin side and by the command line: nobody who asks for a page notices.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

use forebay_testkit::check::{eventually, json};
use forebay_testkit::gateway::{Gateway, Signal};
use forebay_testkit::message::Response;
use forebay_testkit::origin::{Gate, Origin};
use forebay_testkit::settings::top;
use forebay_testkit::wire::Client;
use forebay_testkit::{binary, gateway};
use serde_json::Value;

const TOKEN: &str = "0123456789abcdef";

/// Everything to the service `app`, which has these endpoints.
fn settings(endpoints: &[&Origin], more: &str) -> String {
    let list: Vec<String> = endpoints.iter().map(|origin| format!("\"{}\"", origin.address())).collect();
    format!(
        "{}services:\n  app: {{ endpoints: [{}], {more} }}\nroutes:\n  - {{ match: /*, to: app }}\n",
        top(),
        list.join(", ")
    )
}

/// An origin that answers with `name`, and knows how many connections are open.
fn counted(name: &'static str) -> (Origin, Arc<AtomicUsize>) {
    let open = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&open);
    let origin = Origin::start(move |conn| {
        count.fetch_add(1, Ordering::SeqCst);
        while conn.request().is_ok() {
            conn.reply("200 OK", name.as_bytes());
        }
        count.fetch_sub(1, Ordering::SeqCst);
    });
    (origin, open)
}

/// A change asked of the admin side.
fn ask(gateway: &Gateway, method: &str, path: &str, body: &str, headers: &str) -> Response {
    let (host, length) = (gateway.admin(), body.len());
    let request = format!(
        "{method} /api/v1/services/app/endpoints{path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n{headers}\r\n{body}"
    );
    Client::connect(gateway.admin()).ask(request).unwrap_or_else(|failed| panic!("{failed}"))
}

/// A refusal of the admin side, of this status and for this reason.
#[track_caller]
fn check(answer: &Response, status: u16, reason: &str) {
    assert_eq!((answer.status, json(answer)["reason"].as_str()), (status, Some(reason)), "{answer}");
    assert_eq!(answer.headers.get("content-type"), Some("application/problem+json"));
}

fn steer(gateway: &Gateway, origin: &Origin, action: &str) -> Value {
    let answer = ask(gateway, "POST", &format!("/{}/{action}", origin.address()), "", "");
    assert_eq!(answer.status, 200, "{answer}");
    json(&answer)
}

fn endpoint(gateway: &Gateway, address: SocketAddr) -> Value {
    json(&gateway.admin_get(&format!("/api/v1/services/app/endpoints/{address}")))
}

/// What a run of `forebay` came to.
struct Told {
    status: i32,
    stdout: String,
    stderr: String,
}

/// Runs `forebay` with these arguments, in the gateway's directory, without a token in the environment.
fn forebay(gateway: &Gateway, arguments: &[&str], token: Option<&str>) -> Told {
    let mut command = Command::new(binary!());
    command.current_dir(gateway.directory()).args(arguments).env_remove("FOREBAY_ADMIN_TOKEN");
    if let Some(token) = token {
        command.env("FOREBAY_ADMIN_TOKEN", token);
    }
    let output = command.output().expect("the binary can be run");
    let text = |bytes| String::from_utf8(bytes).expect("it writes text");
    Told {
        status: output.status.code().expect("it ends by itself"),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// The same, told where the gateway is.
fn at(gateway: &Gateway, arguments: &[&str]) -> Told {
    let admin = gateway.admin().to_string();
    forebay(gateway, &[arguments, &["--admin", &admin]].concat(), None)
}

#[track_caller]
fn done(gateway: &Gateway, arguments: &[&str]) -> String {
    let told = at(gateway, arguments);
    assert_eq!(told.status, 0, "{arguments:?}: {}{}", told.stdout, told.stderr);
    told.stdout
}

/// Clients that ask without a pause, until told to stop; every answer has to be a 200.
struct Traffic {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicUsize>,
    clients: Vec<JoinHandle<()>>,
}

impl Traffic {
    fn start(gateway: &Gateway) -> Self {
        const CLIENTS: usize = 8;
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let address = gateway.addr();
        let client = |_| {
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            thread::spawn(move || {
                let mut client = Client::connect(address);
                while !stop.load(Ordering::Relaxed) {
                    assert_eq!(client.get("/x").status, 200);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            })
        };
        let clients = (0..CLIENTS).map(client).collect();
        Self { stop, asked, clients }
    }

    /// Waits for so many more answers.
    fn go_on(&self, count: usize) {
        let until = self.asked.load(Ordering::Relaxed) + count;
        eventually("traffic", || (self.asked.load(Ordering::Relaxed) >= until).then_some(()));
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().expect("no request failed");
        }
    }
}

#[test]
fn draining_fails_no_request_and_leaves_nothing_behind() {
    let ((one, open), (two, _)) = (counted("one"), counted("two"));
    let gateway = gateway!("{}", settings(&[&one, &two], ""));
    let traffic = Traffic::start(&gateway);
    traffic.go_on(500);
    assert!(one.count() > 0);
    let told = done(&gateway, &["endpoint", "drain", "app", &one.address().to_string(), "--wait"]);
    assert!(told.contains("is drained") && told.contains("nothing is in flight"), "{told}");
    // Those that had been picked before arrive meanwhile; from here on nothing does.
    traffic.go_on(100);
    let before = one.count();
    traffic.go_on(500);
    assert_eq!(one.count(), before, "requests at a drained endpoint");
    eventually("idle connections to be closed", || (open.load(Ordering::SeqCst) == 0).then_some(()));
    let view = endpoint(&gateway, one.address());
    assert_eq!((&view["state"], &view["share"]), (&"drained".into(), &Value::Null), "{view}");
    steer(&gateway, &one, "enable");
    eventually("requests at the enabled endpoint", || (one.count() > before + 50).then_some(()));
    traffic.end();
}

#[test]
fn requests_in_flight_at_a_drained_endpoint_finish() {
    let gate = Gate::new();
    let wait = gate.clone();
    let one = Origin::start(move |conn| {
        while conn.request().is_ok() {
            wait.pass();
            conn.reply("200 OK", b"one");
        }
    });
    let two = Origin::named("two");
    let gateway = gateway!("{}", settings(&[&one, &two], "balance: round_robin"));
    let mut clients = [gateway.client(), gateway.client()];
    for client in &mut clients {
        client.send("GET /x HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
    }
    one.await_count(1);
    let address = one.address().to_string();
    let view = steer(&gateway, &one, "drain");
    assert_eq!(view["in_flight"], 1, "{view}");
    let told = at(&gateway, &["endpoint", "drain", "app", &address, "--wait", "--timeout", "300ms"]);
    assert_eq!(told.status, 1, "{}", told.stdout);
    assert!(told.stdout.contains("1 request still in flight"), "{}", told.stdout);
    gate.open();
    for client in &mut clients {
        assert_eq!(client.response("GET").unwrap_or_else(|failed| panic!("{failed}")).status, 200);
    }
    done(&gateway, &["endpoint", "drain", "app", &address, "--wait"]);
}

#[test]
fn a_disabled_endpoint_is_out_until_it_is_enabled() {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let gateway = gateway!("{}", settings(&[&one, &two], "health: { tcp: true, interval: 100ms }"));
    let address = one.address().to_string();
    eventually("the first checks", || (endpoint(&gateway, one.address())["state"] == "up").then_some(()));
    let told = done(&gateway, &["endpoint", "disable", "app", &address]);
    assert!(told.contains(&format!("app {address} is disabled")), "{told}");
    for _ in 0..20 {
        assert_eq!(gateway.get("/x").text(), "two");
    }
    let list = done(&gateway, &["endpoint", "list"]);
    let line = list.lines().find(|line| line.contains(&address)).unwrap_or_default();
    assert!(line.contains("disabled") && line.contains("by hand"), "{list}");
    let metric = |name: &str| format!("{name}{{service=\"app\",endpoint=\"{address}\"");
    assert_eq!(gateway.metric(&format!("{}}}", metric("forebay_upstream_endpoint_up"))), 0.0);
    assert_eq!(gateway.metric("forebay_upstream_endpoints{service=\"app\",state=\"disabled\"}"), 1.0);
    done(&gateway, &["endpoint", "enable", "app", &address]);
    let mut client = gateway.client();
    eventually("requests at the enabled endpoint", || (client.get("/x").text() == "one").then_some(()));
}

#[test]
fn endpoints_are_added_and_removed_under_traffic() {
    let ((one, _), (two, open)) = (counted("one"), counted("two"));
    let gateway = gateway!("{}", settings(&[&one], ""));
    let address = two.address().to_string();
    let traffic = Traffic::start(&gateway);
    done(&gateway, &["endpoint", "add", "app", &address, "--weight", "2"]);
    eventually("requests at the added endpoint", || (two.count() > 50).then_some(()));
    let view = endpoint(&gateway, two.address());
    assert_eq!((&view["source"], &view["weight"]), (&"admin".into(), &2.into()), "{view}");
    let answer = ask(&gateway, "POST", "", &format!("{{\"address\":\"{address}\"}}"), "");
    check(&answer, 409, "already_there");
    done(&gateway, &["endpoint", "remove", "app", &address]);
    eventually("its connections to be closed", || (open.load(Ordering::SeqCst) == 0).then_some(()));
    traffic.go_on(100);
    let before = two.count();
    traffic.go_on(300);
    assert_eq!(two.count(), before, "requests at a removed endpoint");
    traffic.end();
    let answer = ask(&gateway, "DELETE", &format!("/{address}"), "", "");
    check(&answer, 404, "no_endpoint");
    // What stands in the settings is removed there.
    let answer = ask(&gateway, "DELETE", &format!("/{}", one.address()), "", "");
    check(&answer, 409, "not_added");
}

#[test]
fn what_an_operator_did_outlives_reloads() {
    let (one, two, three) = (Origin::named("one"), Origin::named("two"), Origin::named("three"));
    let gateway = gateway!("{}", settings(&[&one, &two], ""));
    steer(&gateway, &one, "drain");
    let added = ask(&gateway, "POST", "", &format!("{{\"address\":\"{}\"}}", three.address()), "");
    assert_eq!(added.status, 201, "{added}");
    for number in 0..3 {
        let reloads = gateway.metric("forebay_reloads_total{result=\"succeeded\"}");
        gateway.write_settings(&settings(&[&one, &two], &format!("timeout: {}s", 10 + number)));
        gateway.signal(Signal::Hangup);
        gateway.await_metric("forebay_reloads_total{result=\"succeeded\"}", |after| after > reloads);
        assert_eq!(endpoint(&gateway, one.address())["state"], "drained");
        assert_eq!(endpoint(&gateway, three.address())["state"], "up");
    }
    let before = one.count();
    let mut client = gateway.client();
    let answers: Vec<String> = (0..60).map(|_| client.get("/x").text()).collect();
    assert_eq!(one.count(), before);
    assert!(["two", "three"].iter().all(|name| answers.iter().any(|answer| answer == name)), "{answers:?}");
}

#[test]
fn programs_get_json() {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let gateway = gateway!("{}", settings(&[&one, &two], ""));
    steer(&gateway, &one, "drain");
    let list: Value = serde_json::from_str(&done(&gateway, &["endpoint", "list", "--json"])).expect("JSON");
    assert_eq!(list["total"], 2);
    let endpoints = list["endpoints"].as_array().expect("a list");
    let drained = endpoints.iter().find(|view| view["address"] == one.address().to_string());
    let drained = drained.expect("it is listed");
    for (key, value) in [
        ("service", Value::from("app")),
        ("state", "drained".into()),
        ("source", "settings".into()),
        ("weight", 1.into()),
        ("priority", 0.into()),
        ("in_flight", 0.into()),
        ("share", Value::Null),
        ("check", Value::Null),
    ] {
        assert_eq!(drained[key], value, "{key} of {drained}");
    }
    let out = &drained["outs"][0];
    assert_eq!((&out["reason"], &out["until"]), (&"drained".into(), &Value::Null), "{out}");
    assert!(out["since"].as_str().is_some_and(|since| since.ends_with('Z')), "{out}");
    assert!(out["since_seconds_ago"].as_f64().is_some_and(|ago| (0.0..60.0).contains(&ago)), "{out}");
    let only: Value =
        serde_json::from_str(&done(&gateway, &["endpoint", "list", "app", "--out", "--json"])).expect("JSON");
    assert_eq!((&only["total"], &only["endpoints"][0]["address"]), (&1.into(), &drained["address"]));
    let services = json(&gateway.admin_get("/api/v1/services"));
    assert_eq!(services[0]["states"], serde_json::json!({ "up": 1, "drained": 1 }));
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let one = Origin::named("one");
    let gateway = gateway!("{}", settings(&[&one], ""));
    let address = one.address().to_string();
    for (arguments, status, text) in [
        (&["endpoint", "drain", "ap", &address][..], 1, "there are: app"),
        (&["endpoint", "drain", "app", "127.0.0.1:1"], 1, "it has: 127.0.0.1:"),
        (&["endpoint", "drain", "app", "shop.test:80"], 1, "by IP address and port"),
        (&["endpoint", "remove", "app", &address], 1, "it comes from: settings"),
        (&["endpoint", "add", "app", &address], 1, "has this endpoint already"),
        (&["endpoint", "add", "app", "169.254.169.254:80"], 1, "endpoints_allow"),
        (&["endpoint", "add", "app", "shop.test:80"], 1, "names belong into the settings"),
        (&["endpoint", "add", "app", "127.0.0.1:1", "--weight", "0"], 2, "--weight"),
        (&["endpoint", "list", "ap"], 1, "there are: app"),
    ] {
        let told = at(&gateway, arguments);
        assert_eq!(told.status, status, "{arguments:?}: {}{}", told.stdout, told.stderr);
        assert!(told.stderr.contains(text), "{arguments:?}: {}", told.stderr);
    }
    let nobody = forebay(&gateway, &["endpoint", "list", "--admin", "127.0.0.1:1"], None);
    assert_eq!(nobody.status, 1);
    assert!(nobody.stderr.contains("is it running?"), "{}", nobody.stderr);
    let other = forebay(&gateway, &["endpoint", "list", "--admin", &address], None);
    assert_eq!(other.status, 1, "{}", other.stdout);
}

/// A gateway that asks for a token; its settings say where its admin side is.
fn guarded(origin: &Origin) -> Gateway {
    gateway!(
        "listen: 127.0.0.1:0\nadmin: {{ listen: 127.0.0.1:0, token: \"{TOKEN}\" }}\nworkers: 1\n\
         services:\n  app: {{ endpoints: [\"{}\"] }}\nroutes:\n  - {{ match: /*, to: app }}\n",
        origin.address()
    )
}

#[test]
fn only_the_holder_of_the_token_changes_anything() {
    let one = Origin::named("one");
    let gateway = guarded(&one);
    let (admin, address) = (gateway.admin().to_string(), one.address().to_string());
    for (method, path, body) in [
        ("POST", format!("/{address}/drain"), ""),
        ("POST", String::new(), "{\"address\":\"127.0.0.1:1\"}"),
        ("DELETE", format!("/{address}"), ""),
    ] {
        let answer = ask(&gateway, method, &path, body, "");
        check(&answer, 401, "unauthorized");
    }
    let drain = ["endpoint", "drain", "app", &address, "--admin", &admin];
    for token in [None, Some("0123456789abcdeX")] {
        let told = forebay(&gateway, &drain, token);
        assert_eq!(told.status, 1, "{}", told.stdout);
        assert!(told.stderr.contains("asks for its token"), "{}", told.stderr);
        assert!(!told.stderr.contains(TOKEN));
    }
    assert_eq!(gateway.get("/x").text(), "one");
    let told = forebay(&gateway, &drain, Some(TOKEN));
    assert_eq!(told.status, 0, "{}", told.stderr);
    let file: PathBuf = gateway.directory().join("token");
    std::fs::write(&file, format!("{TOKEN}\n")).expect("the directory is there");
    let enable = ["endpoint", "enable", "app", &address, "--admin", &admin, "--token-file", "token"];
    let told = forebay(&gateway, &enable, Some("the file goes before it"));
    assert_eq!(told.status, 0, "{}", told.stderr);
}

#[test]
fn a_page_from_elsewhere_changes_nothing() {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let gateway = gateway!("{}", settings(&[&one, &two], ""));
    for (method, path, body) in [
        ("POST", format!("/{}/drain", one.address()), ""),
        ("POST", String::new(), "{\"address\":\"127.0.0.1:1\"}"),
        ("DELETE", format!("/{}", one.address()), ""),
    ] {
        let answer = ask(&gateway, method, &path, body, "Origin: http://evil.test\r\n");
        check(&answer, 403, "cross_origin");
    }
    assert_eq!(endpoint(&gateway, one.address())["state"], "up");
}

#[test]
fn the_log_says_who_changed_what() {
    let (one, two) = (Origin::named("one"), Origin::named("two"));
    let gateway = gateway!("{}", settings(&[&one, &two], ""));
    steer(&gateway, &one, "drain");
    let wanted = ["endpoint_steered", "drain", &one.address().to_string(), "127.0.0.1:"];
    eventually("a line of the log", || {
        let log = gateway.stderr();
        log.lines().any(|line| wanted.iter().all(|part| line.contains(part))).then_some(())
    });
}

#[test]
fn settings_with_problems_still_say_where_the_gateway_is() {
    let one = Origin::named("one");
    let gateway = guarded(&one);
    let settings = format!(
        "admin: {{ listen: \"{}\", token: \"{TOKEN}\" }}\nservices:\n  app: {{ endpoints: [\"nowhere\"], wieght: 1 }}\n",
        gateway.admin()
    );
    std::fs::write(gateway.directory().join("broken.yaml"), settings).expect("the directory is there");
    let told = forebay(&gateway, &["endpoint", "list", "-c", "broken.yaml"], None);
    assert_eq!(told.status, 0, "{}", told.stderr);
    assert!(told.stderr.contains("has problems"), "{}", told.stderr);
    assert!(told.stdout.contains(&one.address().to_string()), "{}", told.stdout);
}

#[test]
fn a_token_that_could_not_be_one_is_not_sent() {
    let gateway = guarded(&Origin::named("one"));
    let told = forebay(
        &gateway,
        &["endpoint", "list", "--admin", &gateway.admin().to_string()],
        Some("s3cr\u{e9}t"),
    );
    assert_eq!(told.status, 1, "{}", told.stdout);
    assert!(
        told.stderr.contains("FOREBAY_ADMIN_TOKEN") && told.stderr.contains("visible"),
        "{}",
        told.stderr
    );
}
