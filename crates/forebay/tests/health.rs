//! Health checks: who is asked, what counts as well, and what an endpoint's health does to its requests.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use forebay_testkit::check::{eventually, json};
use forebay_testkit::gateway;
use forebay_testkit::gateway::{Gateway, Signal};
use forebay_testkit::origin::{Conn, Gate, Origin};
use forebay_testkit::settings::top;
use serde_json::Value;

/// Checks of `/up` as often as the settings allow.
const OFTEN: &str = "path: /up, interval: 100ms, fast_interval: 100ms";
const RELOADED: &str = "forebay_reloads_total{result=\"succeeded\"}";

/// An origin with a path for checks.
struct Checked {
    origin: Origin,
    well: Arc<AtomicBool>,
}

impl Checked {
    /// Answers `/up` with 200 while it is well and 503 otherwise, and everything else with its name.
    fn named(name: &'static str, well: bool) -> Self {
        let well = Arc::new(AtomicBool::new(well));
        let told = Arc::clone(&well);
        let origin = Origin::start(move |conn| {
            while let Ok(request) = conn.request() {
                match (request.target.as_str(), told.load(Ordering::SeqCst)) {
                    ("/up", false) => conn.reply("503 Service Unavailable", b""),
                    _ => conn.reply("200 OK", name.as_bytes()),
                }
            }
        });
        Self { origin, well }
    }

    fn turn(&self, well: bool) {
        self.well.store(well, Ordering::SeqCst);
    }

    fn address(&self) -> SocketAddr {
        self.origin.address()
    }

    /// How often it was checked, and how many requests it got.
    fn counts(&self) -> (usize, usize) {
        let seen = self.origin.seen();
        let checks = seen.iter().filter(|seen| seen.request.target == "/up").count();
        (checks, seen.len() - checks)
    }

    fn checks(&self) -> usize {
        self.counts().0
    }

    fn requests(&self) -> usize {
        self.counts().1
    }
}

/// Settings whose service `app` has these endpoints and further keys; `mark` tells one text from another.
fn settings<'a>(endpoints: impl IntoIterator<Item = &'a Checked>, service: &str, mark: &str) -> String {
    let endpoints: Vec<String> =
        endpoints.into_iter().map(|checked| format!("\"{}\"", checked.address())).collect();
    format!(
        "{}services:\n  app: {{ balance: round_robin, endpoints: [{}], {service} }}\nroutes:\n  \
         - {{ match: /*, to: app, headers: {{ response: {{ set: {{ x-mark: \"{mark}\" }} }} }} }}\n",
        top(),
        endpoints.join(", ")
    )
}

fn reload(gateway: &Gateway, settings: &str) {
    let before = gateway.metric(RELOADED);
    gateway.write_settings(settings);
    gateway.signal(Signal::Hangup);
    gateway.await_metric(RELOADED, |after| after > before);
}

/// What the admin API says of an endpoint.
fn endpoint(gateway: &Gateway, service: &str, address: SocketAddr) -> Value {
    json(&gateway.admin_get(&format!("/api/v1/services/{service}/endpoints/{address}")))
}

/// Waits until an endpoint of `service` is in this state.
fn await_state(gateway: &Gateway, service: &str, address: SocketAddr, state: &str) -> Value {
    let mut last = Value::Null;
    let reached = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        eventually("the state", || {
            last = endpoint(gateway, service, address);
            (last["state"] == state).then_some(())
        });
    }));
    assert!(reached.is_ok(), "{service} {address} is not {state} but: {last:#}");
    last
}

/// Who answers so many requests, one after the other.
fn served(gateway: &Gateway, count: usize) -> Vec<String> {
    let mut client = gateway.client();
    let mut names: Vec<String> = (0..count).map(|_| client.get("/x").text()).collect();
    names.sort_unstable();
    names.dedup();
    names
}

#[test]
fn what_fails_gets_no_requests_until_it_has_passed_often_enough() {
    let all = ["a", "b", "c"].map(|name| Checked::named(name, true));
    let [a, b, c] = &all;
    let gateway = gateway!("{}", settings(&all, &format!("health: {{ {OFTEN}, rise: 3, fall: 2 }}"), ""));
    for checked in &all {
        await_state(&gateway, "app", checked.address(), "up");
    }
    assert_eq!(served(&gateway, 9), ["a", "b", "c"]);

    let failed_before = endpoint(&gateway, "app", a.address())["check"]["failed"].clone();
    a.turn(false);
    let out = await_state(&gateway, "app", a.address(), "unhealthy");
    assert!(out["check"]["failed"].as_u64() >= failed_before.as_u64().map(|count| count + 2), "{out:#}");
    assert_eq!(out["outs"][0]["detail"], "status 503, expected 200-299", "{out:#}");
    assert!(out["outs"][0]["since"].is_string() && out["share"].is_null(), "{out:#}");
    let before = a.requests();
    assert_eq!(served(&gateway, 30), ["b", "c"]);
    assert_eq!(a.requests(), before);
    assert!(b.requests() + c.requests() >= 30);

    let passed_before = endpoint(&gateway, "app", a.address())["check"]["passed"].as_u64();
    a.turn(true);
    let back = await_state(&gateway, "app", a.address(), "up");
    assert!(back["check"]["passed"].as_u64() >= passed_before.map(|count| count + 3), "{back:#}");
    eventually("requests for what is back", || {
        let _ = gateway.get("/x");
        (a.requests() > before).then_some(())
    });
}

#[test]
fn status_body_kind_and_port_decide() {
    let answering = |bytes: &'static str| Origin::answering(bytes);
    let fine = answering("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine");
    let gone = answering("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    let mail = answering("220 mail.test ESMTP\r\n");
    let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let nobody = nobody.expect("a loopback port is free");
    let elsewhere = fine.address().port();
    let cases = [
        (fine.address(), "path: /up".to_owned(), Ok(())),
        (gone.address(), "path: /up".to_owned(), Err("status 404, expected 200-299")),
        (gone.address(), "path: /up, status: [200, 400-404]".to_owned(), Ok(())),
        (fine.address(), "path: /up, status: 204".to_owned(), Err("status 200, expected 204")),
        (fine.address(), "path: /up, body: in".to_owned(), Ok(())),
        (fine.address(), "path: /up, body: ok".to_owned(), Err("the body does not hold \"ok\"")),
        (mail.address(), "path: /up".to_owned(), Err("not HTTP")),
        (mail.address(), "tcp: true".to_owned(), Ok(())),
        (nobody, "path: /up".to_owned(), Err("connection refused")),
        (nobody, "tcp: true".to_owned(), Err("connection refused")),
        (nobody, format!("path: /up, port: {elsewhere}"), Ok(())),
        (nobody, format!("tcp: true, port: {elsewhere}"), Ok(())),
    ];
    let (mut services, mut routes) = (String::new(), String::new());
    for (number, (address, check, _)) in cases.iter().enumerate() {
        let health = format!("{{ {check}, interval: 100ms, timeout: 10s }}");
        services += &format!("  s{number}: {{ endpoints: [\"{address}\"], health: {health} }}\n");
        routes += &format!("  - {{ match: /{number}, to: s{number} }}\n");
    }
    let gateway = gateway!("{}services:\n{services}routes:\n{routes}", top());
    for (number, (address, check, expected)) in cases.iter().enumerate() {
        let state = if expected.is_ok() { "up" } else { "unhealthy" };
        let found = await_state(&gateway, &format!("s{number}"), *address, state);
        if let Err(met) = expected {
            let detail = found["outs"][0]["detail"].as_str().unwrap_or_default();
            assert!(detail.starts_with(met), "{check}: {detail:?} instead of {met:?}");
        }
    }
}

#[test]
fn the_request_of_a_check_is_as_configured() {
    let checked = Checked::named("a", true);
    let health = "health: { path: \"/up?deep=1\", host: shop.test, headers: { x-check: \"yes\" } }";
    let gateway = gateway!("{}", settings([&checked], health, ""));
    await_state(&gateway, "app", checked.address(), "up");
    let seen = checked.origin.seen();
    let headers = &seen[0].request.headers;
    assert_eq!((seen[0].request.method.as_str(), seen[0].request.target.as_str()), ("GET", "/up?deep=1"));
    assert_eq!((headers.get("host"), headers.get("x-check")), (Some("shop.test"), Some("yes")));
    assert!(headers.get("user-agent").is_some_and(|agent| agent.starts_with("forebay-health/")));
    assert_eq!(checked.origin.faults(), [""; 0]);
}

#[test]
fn what_has_not_been_checked_is_not_used_while_another_is_up() {
    let gate = Gate::new();
    let wait = gate.clone();
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let slow = Origin::start(move |conn: &mut Conn| {
        while let Ok(request) = conn.request() {
            if request.target == "/up" {
                counted.fetch_add(1, Ordering::SeqCst);
                wait.pass();
            }
            conn.reply("200 OK", b"slow");
        }
    });
    let slow = Checked { origin: slow, well: Arc::default() };
    let quick = Checked::named("quick", true);
    let health = "health: { path: /up, interval: 100ms, timeout: 5m }";
    let gateway = gateway!("{}", settings([&quick], health, "one"));
    await_state(&gateway, "app", quick.address(), "up");
    reload(&gateway, &settings([&quick, &slow], health, "two"));
    eventually("the check of what is new", || (asked.load(Ordering::SeqCst) > 0).then_some(()));
    assert_eq!(endpoint(&gateway, "app", slow.address())["state"], "unchecked");
    assert_eq!(served(&gateway, 20), ["quick"]);
    assert_eq!(
        (asked.load(Ordering::SeqCst), slow.origin.count()),
        (1, 1),
        "one check at a time, no request"
    );
    gate.open();
    await_state(&gateway, "app", slow.address(), "up");
    eventually("requests for what is new", || (served(&gateway, 2) == ["quick", "slow"]).then_some(()));
}

#[test]
fn when_all_are_down_all_are_used() {
    let all = ["a", "b"].map(|name| Checked::named(name, true));
    let gateway = gateway!("{}", settings(&all, &format!("health: {{ {OFTEN} }}"), ""));
    for checked in &all {
        await_state(&gateway, "app", checked.address(), "up");
        checked.turn(false);
    }
    for checked in &all {
        await_state(&gateway, "app", checked.address(), "unhealthy");
    }
    assert_eq!(json(&gateway.admin_get("/api/v1/services/app"))["panic"], true);
    assert_eq!(served(&gateway, 10), ["a", "b"]);
    all[1].turn(true);
    await_state(&gateway, "app", all[1].address(), "up");
    eventually("the end of the panic", || (served(&gateway, 10) == ["b"]).then_some(()));
}

#[test]
fn health_survives_a_reload_without_another_check() {
    let (sick, well) = (Checked::named("sick", false), Checked::named("well", true));
    // After what is decided, nothing is asked for an hour.
    let health = "health: { path: /up, interval: 1h, fast_interval: 100ms }";
    let gateway = gateway!("{}", settings([&sick, &well], health, "one"));
    await_state(&gateway, "app", sick.address(), "unhealthy");
    await_state(&gateway, "app", well.address(), "up");
    let (checks, requests) = ((sick.checks(), well.checks()), sick.requests());
    for mark in ["two", "three"] {
        reload(&gateway, &settings([&sick, &well], health, mark));
        assert_eq!(gateway.get("/x").headers.get("x-mark"), Some(mark));
        assert_eq!(served(&gateway, 20), ["well"]);
        assert_eq!(endpoint(&gateway, "app", sick.address())["state"], "unhealthy");
    }
    assert_eq!(((sick.checks(), well.checks()), sick.requests()), (checks, requests));
}

#[test]
fn a_tcp_check_follows_the_listener() {
    let stays = Origin::named("stays");
    let goes = Origin::named("goes");
    let address = goes.address();
    let gateway = gateway!(
        "{}services:\n  app: {{ endpoints: [\"{}\", \"{address}\"], health: {{ tcp: true, interval: 100ms }} }}\n\
         routes:\n  - {{ match: /*, to: app }}\n",
        top(),
        stays.address()
    );
    await_state(&gateway, "app", address, "up");
    drop(goes);
    let out = await_state(&gateway, "app", address, "unhealthy");
    assert_eq!(out["outs"][0]["detail"], "connection refused", "{out:#}");
    assert_eq!(served(&gateway, 20), ["stays"]);
    let _back = Origin::start_at(address, |conn| {
        while conn.request().is_ok() {
            conn.reply("200 OK", b"back");
        }
    });
    await_state(&gateway, "app", address, "up");
    eventually("requests for what is back", || {
        served(&gateway, 10).contains(&"back".to_owned()).then_some(())
    });
}

#[test]
fn checks_come_from_one_place_however_many_workers_there_are() {
    let (sick, well) = (Checked::named("sick", false), Checked::named("well", true));
    let gateway = gateway!(
        "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 4\nservices:\n  \
         app: {{ endpoints: [\"{}\", \"{}\"], health: {{ path: /up, interval: 1h, fast_interval: 100ms, fall: 5 }} }}\n\
         routes:\n  - {{ match: /*, to: app }}\n",
        sick.address(),
        well.address()
    );
    // One success says enough at the start; failures are as many as it takes.
    await_state(&gateway, "app", sick.address(), "unhealthy");
    await_state(&gateway, "app", well.address(), "up");
    assert_eq!(served(&gateway, 20), ["well"]);
    assert_eq!((sick.checks(), well.checks()), (5, 1));
}

#[test]
fn ready_means_checked() {
    let (sick, well) = (Checked::named("sick", false), Checked::named("well", true));
    let health = format!("health: {{ {OFTEN}, fall: 1 }}");
    for _ in 0..3 {
        let before = sick.requests();
        let gateway = gateway!("{}", settings([&sick, &well], &health, ""));
        assert_eq!(served(&gateway, 10), ["well"]);
        assert_eq!(sick.requests(), before);
    }
}
