//! New settings while requests are in flight: those keep what they began with, none fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use forebay_testkit::check::{eventually, json};
use forebay_testkit::gateway::{Gateway, Signal};
use forebay_testkit::message::Response;
use forebay_testkit::origin::{Gate, Origin};
use forebay_testkit::settings::top;
use forebay_testkit::wire::Client;
use forebay_testkit::{binary, gateway};
use serde_json::json;

const SUCCEEDED: &str = "forebay_reloads_total{result=\"succeeded\"}";
const FAILED: &str = "forebay_reloads_total{result=\"failed\"}";

/// Everything to `origin`; `answer` is what the route adds to responses, to tell plans apart.
fn settings(origin: &Origin, answer: &str) -> String {
    format!(
        "{}services:\n  app: {{ endpoints: [\"{}\"] }}\n\
         routes:\n  - {{ match: /*, to: app, headers: {{ response: {{ set: {{ x-plan: \"{answer}\" }} }} }} }}\n",
        top(),
        origin.address()
    )
}

fn reload(gateway: &Gateway, settings: &str) {
    let before = gateway.metric(SUCCEEDED);
    gateway.write_settings(settings);
    gateway.signal(Signal::Hangup);
    // The file's change may be noticed by itself before the signal is.
    gateway.await_metric(SUCCEEDED, |after| after > before);
}

fn plan_of(gateway: &Gateway) -> String {
    gateway.get("/x").headers.get("x-plan").unwrap_or_default().to_owned()
}

#[test]
fn two_thousand_requests_in_flight_survive_fifty_reloads() {
    const CLIENTS: usize = 50;
    const EACH: usize = 40;
    let gate = Gate::new();
    let wait = gate.clone();
    let origin = Origin::start(move |conn| {
        while let Ok(request) = conn.request() {
            if request.target == "/held" {
                wait.pass();
            }
            conn.echo(&request);
        }
    });
    let gateway = gateway!("{}", settings(&origin, "0"));
    // Some requests begin before the first reload and end after the last.
    let mut held: Vec<_> = (0..10).map(|_| gateway.client()).collect();
    for client in &mut held {
        client.send("GET /held HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
    }
    origin.await_count(held.len());
    let done = Arc::new(AtomicUsize::new(0));
    let address = gateway.addr();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                let mut client = Client::connect(address);
                for request in 0..EACH {
                    let path = format!("/{number}/{request}");
                    assert_eq!(client.get(&path).headers.get("x-path"), Some(path.as_str()));
                    done.fetch_add(1, Ordering::Relaxed);
                }
            })
        })
        .collect();
    for number in 1..=50 {
        // Reloads are spread over the requests, however fast this machine is.
        eventually("progress", || (done.load(Ordering::Relaxed) >= (number - 1) * 39).then_some(()));
        reload(&gateway, &settings(&origin, &number.to_string()));
    }
    for client in clients {
        client.join().expect("no request failed");
    }
    gate.open();
    for client in &mut held {
        let response = client.response("GET").unwrap_or_else(|failed| panic!("{failed}"));
        assert_eq!((response.status, response.headers.get("x-plan")), (200, Some("0")));
    }
    assert_eq!(done.load(Ordering::Relaxed), CLIENTS * EACH);
    assert_eq!(plan_of(&gateway), "50");
    assert_eq!(gateway.metric(FAILED), 0.0);
}

#[test]
fn connections_outlive_a_reload_on_both_sides() {
    let origin = Origin::echo();
    let gateway = gateway!("{}", settings(&origin, "old"));
    let mut client = gateway.client();
    assert_eq!(client.get("/x").headers.get("x-plan"), Some("old"));
    reload(&gateway, &settings(&origin, "new"));
    assert_eq!(client.get("/y").headers.get("x-plan"), Some("new"));
    assert_eq!(origin.connections(), 1);
}

#[test]
fn a_bad_file_leaves_the_old_plan_and_says_so() {
    let origin = Origin::echo();
    let gateway = gateway!("{}", settings(&origin, "old"));
    for bad in ["routes: nonsense\n", "", "listen: [127.0.0.1:0\n"] {
        let before = gateway.metric(FAILED);
        gateway.write_settings(bad);
        gateway.signal(Signal::Hangup);
        gateway.await_metric(FAILED, |after| after > before);
        assert_eq!(plan_of(&gateway), "old");
    }
    assert!(gateway.stderr().contains("forebay.yaml"), "{}", gateway.stderr());
    reload(&gateway, &settings(&origin, "new"));
    assert_eq!(plan_of(&gateway), "new");
}

#[test]
fn a_changed_file_is_noticed_without_a_signal() {
    let origin = Origin::echo();
    let gateway = gateway!("{}", settings(&origin, "old"));
    gateway.write_settings(&settings(&origin, "new"));
    gateway.await_metric(SUCCEEDED, |reloads| reloads >= 1.0);
    assert_eq!(plan_of(&gateway), "new");
}

#[test]
fn endpoints_come_and_go() {
    let (one, two) = (Origin::echo(), Origin::echo());
    let gateway = gateway!("{}", settings(&one, "one"));
    assert_eq!(gateway.get("/x").status, 200);
    reload(&gateway, &settings(&two, "two"));
    for _ in 0..10 {
        assert_eq!(gateway.get("/y").status, 200);
    }
    assert_eq!((one.count(), two.count()), (1, 10));
    let gone = format!("endpoint=\"{}\"", one.address());
    gateway.await_metric(&format!("forebay_upstream_connections_idle{{{gone}}}"), |idle| idle == 0.0);
}

#[test]
fn a_request_that_began_under_an_old_endpoint_ends_there() {
    let gate = Gate::new();
    let wait = gate.clone();
    let old = Origin::start(move |conn| {
        while let Ok(request) = conn.request() {
            wait.pass();
            conn.echo(&request);
        }
    });
    let new = Origin::echo();
    let gateway = gateway!("{}", settings(&old, "old"));
    let mut client = gateway.client();
    client.send("GET /held HTTP/1.1\r\nHost: t\r\n\r\n").expect("connected");
    old.await_count(1);
    reload(&gateway, &settings(&new, "new"));
    assert_eq!(plan_of(&gateway), "new");
    gate.open();
    let response = client.response("GET").unwrap_or_else(|failed| panic!("{failed}"));
    assert_eq!(response.headers.get("x-plan"), Some("old"));
}

#[test]
fn what_only_a_new_process_can_apply_is_refused_and_the_way_is_told() {
    let origin = Origin::echo();
    let gateway = gateway!("{}", settings(&origin, "old"));
    gateway.write_settings(&settings(&origin, "new").replace("workers: 1", "workers: 2"));
    let response = post_reload(&gateway);
    assert_eq!(response.status, 422, "{response}");
    assert!(response.text().contains("`workers` changed"), "{response}");
    assert!(response.text().contains("`forebay upgrade`"), "{response}");
    assert_eq!(plan_of(&gateway), "old");
}

#[test]
fn memory_does_not_grow_with_reloads() {
    let origin = Origin::echo();
    let gateway = gateway!("{}", settings(&origin, "0"));
    let resident = || gateway.metric("process_resident_memory_bytes");
    for number in 0..20 {
        reload(&gateway, &settings(&origin, &number.to_string()));
    }
    let before = resident();
    for number in 0..100 {
        reload(&gateway, &settings(&origin, &number.to_string()));
        assert_eq!(plan_of(&gateway), number.to_string());
    }
    let growth = resident() - before;
    assert!(growth < 4e6, "100 reloads cost {growth} bytes");
}

/// Reloads through the admin side.
fn post_reload(gateway: &Gateway) -> Response {
    let host = gateway.admin();
    let request = format!(
        "POST /api/v1/reload HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
    );
    Client::connect(gateway.admin()).ask(request).unwrap_or_else(|failed| panic!("{failed}"))
}

/// Runs `forebay reload`: its exit status, and what it wrote.
fn reload_by_command(gateway: &Gateway) -> (i32, String, String) {
    let admin = gateway.admin().to_string();
    let output = std::process::Command::new(binary!())
        .args(["reload", "--admin", &admin])
        .current_dir(gateway.directory())
        .env_remove("FOREBAY_ADMIN_TOKEN")
        .output()
        .expect("the binary can be run");
    let text = |bytes| String::from_utf8(bytes).expect("it writes text");
    (output.status.code().expect("it ends by itself"), text(output.stdout), text(output.stderr))
}

#[test]
fn a_reload_tells_what_it_changed() {
    let (one, two) = (Origin::echo(), Origin::echo());
    let (one, two) = (one.address(), two.address());
    let file = |endpoints: String, more: &str, routes: &str| {
        format!(
            "{}services:\n  app: {{ endpoints: [{endpoints}]{more} }}\nroutes:\n  - {{ match: /*, to: app, name: all }}\n{routes}",
            top()
        )
    };
    let gateway = gateway!("{}", file(format!("\"{one}\""), "", ""));
    // The file's change may be noticed by itself before anybody asks: then there is nothing left to change.
    let lines = |expected: &[&str]| {
        let report = json(&post_reload(&gateway));
        if report["changed"] == true {
            assert_eq!(report["summary"], json!(expected), "{report}");
        }
        eventually("the log's line", || {
            let log = gateway.stderr();
            let told = |line: &str| expected.iter().all(|part| line.contains(part));
            log.lines().any(|line| line.contains("\"reloaded\"") && told(line)).then_some(())
        });
    };
    gateway.write_settings(&file(format!("\"{one}\", \"{two}\""), ", balance: round_robin", ""));
    lines(&["service changed: app (endpoints +1, balance)"]);
    gateway.write_settings(&file(
        format!("\"{two}\""),
        "",
        "  - { match: /fixed, respond: x, name: fixed }\n",
    ));
    lines(&["service changed: app (endpoints -1, balance)", "route added: fixed"]);
    gateway.write_settings(&format!("limits: {{ drain: 7s }}\n{}", file(format!("\"{two}\""), "", "")));
    lines(&["limits changed: drain", "route removed: fixed"]);
}

#[test]
fn an_unchanged_file_disturbs_nobody() {
    let origin = Origin::echo();
    let gateway = gateway!("{}", settings(&origin, "same"));
    let mut client = gateway.client();
    assert_eq!(client.get("/x").status, 200);
    for number in 0..3 {
        gateway.write_settings(&format!("# remark {number}\n{}", settings(&origin, "same")));
        let answer = post_reload(&gateway);
        assert_eq!(answer.status, 200, "{answer}");
        let report = json(&answer);
        assert_eq!(
            (&report["changed"], &report["generation"], &report["summary"]),
            (&json!(false), &json!(1), &json!([]))
        );
    }
    assert_eq!(client.get("/y").status, 200);
    assert_eq!((gateway.metric("forebay_plan_generation"), origin.connections()), (1.0, 1));
    let (status, told, _) = reload_by_command(&gateway);
    assert_eq!((status, told.as_str()), (0, "nothing changed: plan 1 stays in use\n"));
    assert!(gateway.stderr().contains("nothing_changed"), "{}", gateway.stderr());
}

#[test]
fn the_command_says_what_is_wrong_with_a_file() {
    let origin = Origin::echo();
    let gateway = gateway!("{}", settings(&origin, "old"));
    gateway.write_settings("listen: 127.0.0.1:0\nroutse: []\n");
    let (status, told, error) = reload_by_command(&gateway);
    assert_eq!((status, told.as_str()), (1, ""));
    assert!(error.contains("the old ones stay in use"), "{error}");
    assert!(error.contains("forebay.yaml:2:1") && error.contains("did you mean `routes`"), "{error}");
    assert_eq!(plan_of(&gateway), "old");
}
