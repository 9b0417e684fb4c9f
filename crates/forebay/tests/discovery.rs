//! Names and files that lead to endpoints: what they say changes, vanishes and turns to failures while requests
//! keep coming.

use std::fs;
use std::net::SocketAddr;
use std::thread;

use forebay_testkit::check::{eventually, json, problem};
use forebay_testkit::dns::{Failure, NameServer};
use forebay_testkit::gateway;
use forebay_testkit::gateway::{Gateway, Signal};
use forebay_testkit::origin::{Conn, Gate, Origin};
use forebay_testkit::settings::top;
use forebay_testkit::wire::Client;
use serde_json::Value;

/// An origin at each of `127.0.0.1`, `127.0.0.2` and so on, all on one port, as hosts of one name are. Each
/// answers with its address.
fn hosts(count: u8) -> Vec<Origin> {
    let first = Origin::start(|conn| answer(conn, "127.0.0.1"));
    let port = first.address().port();
    let more = (2..=count).map(|last| {
        let address = SocketAddr::from(([127, 0, 0, last], port));
        Origin::start_at(address, move |conn| answer(conn, &address.ip().to_string()))
    });
    std::iter::once(first).chain(more).collect()
}

fn answer(conn: &mut Conn, text: &str) {
    while conn.request().is_ok() {
        conn.reply("200 OK", text.as_bytes());
    }
}

/// A gateway that asks `server`, whose service `app` has these settings, with an `/other` route beside it.
fn in_front(server: &NameServer, service: &str) -> Gateway {
    gateway!("{}", settings(server, service, ""))
}

fn settings(server: &NameServer, service: &str, routes: &str) -> String {
    format!(
        "{}dns: {{ servers: [\"{}\"], ttl_min: 10ms, timeout: 1s }}\n\
         services:\n  app: {{ pool: {{ idle_timeout: 1m }}, {service} }}\n\
         routes:\n  - {{ match: /other, respond: {{ body: other }} }}\n{routes}  - {{ match: /*, to: app }}\n",
        top(),
        server.address()
    )
}

/// What the admin side shows of the service `app`.
fn app(gateway: &Gateway) -> Value {
    json(&gateway.admin_get("/api/v1/services/app"))
}

/// The hosts among its endpoints, in order.
fn endpoints(gateway: &Gateway) -> Vec<String> {
    let app = app(gateway);
    let all = app["endpoints"].as_array().unwrap_or_else(|| panic!("no endpoints: {app}"));
    all.iter().map(|endpoint| endpoint["address"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Something that happens at the name server.
type Change = fn(&NameServer);

/// Waits until the endpoints are at these hosts.
fn await_hosts(gateway: &Gateway, expected: &[&str]) {
    eventually(&format!("endpoints at {expected:?}"), || {
        let all = endpoints(gateway);
        let hosts: Vec<_> = all.iter().filter_map(|address| Some(address.rsplit_once(':')?.0)).collect();
        (hosts == expected).then_some(())
    });
}

/// Waits until the only source fails, with this in what it says.
fn await_failure(gateway: &Gateway, why: &str) {
    eventually(&format!("a failure of the source: {why}"), || {
        app(gateway)["sources"][0]["failing"]["why"].as_str()?.contains(why).then_some(())
    });
}

/// Waits until the only source has an answer.
fn await_recovery(gateway: &Gateway) {
    eventually("an answer of the source", || app(gateway)["sources"][0]["failing"].is_null().then_some(()));
}

/// Who answers so many requests, each once and in order.
fn answerers(gateway: &Gateway, requests: usize) -> Vec<String> {
    let mut client = gateway.client();
    let mut all: Vec<_> = (0..requests)
        .map(|_| {
            let response = client.get("/x");
            assert_eq!(response.status, 200, "{response}");
            response.text()
        })
        .collect();
    all.sort();
    all.dedup();
    all
}

#[test]
fn an_answer_that_changes_moves_the_traffic_and_what_stays_keeps_its_connections() {
    let (server, hosts) = (NameServer::start(), hosts(3));
    server.set("app.test", 0, &["127.0.0.1", "127.0.0.2"]);
    let port = hosts[0].address().port();
    let gateway = in_front(&server, &format!("balance: round_robin, endpoints: [\"app.test:{port}\"]"));
    await_hosts(&gateway, &["127.0.0.1", "127.0.0.2"]);
    assert_eq!(answerers(&gateway, 6), ["127.0.0.1", "127.0.0.2"]);
    server.set("app.test", 0, &["127.0.0.2", "127.0.0.3"]);
    await_hosts(&gateway, &["127.0.0.2", "127.0.0.3"]);
    let gone = hosts[0].count();
    assert_eq!(answerers(&gateway, 6), ["127.0.0.2", "127.0.0.3"]);
    assert_eq!(hosts[0].count(), gone);
    assert_eq!(hosts[1].connections(), 1, "the endpoint that stayed was connected to anew");
}

#[test]
fn a_name_that_fails_in_whatever_way_keeps_its_last_good_answer() {
    let (server, hosts) = (NameServer::start(), hosts(2));
    server.set("app.test", 0, &["127.0.0.1"]);
    let port = hosts[0].address().port();
    let gateway = in_front(&server, &format!("endpoints: [\"app.test:{port}\"]"));
    let break_it: [(Change, &str); 4] = [
        (|server| server.remove("app.test"), "NXDOMAIN"),
        (|server| server.set("app.test", 0, &[]), "NODATA"),
        (|server| server.fail("app.test", Failure::Server), "SERVFAIL"),
        (|server| server.fail("app.test", Failure::Silence), "in time"),
    ];
    await_hosts(&gateway, &["127.0.0.1"]);
    for (break_it, why) in break_it {
        break_it(&server);
        await_failure(&gateway, why);
        assert_eq!(answerers(&gateway, 3), ["127.0.0.1"]);
        server.set("app.test", 0, &["127.0.0.1"]);
        await_recovery(&gateway);
    }
    server.set("app.test", 0, &["127.0.0.2"]);
    await_hosts(&gateway, &["127.0.0.2"]);
    assert_eq!(answerers(&gateway, 3), ["127.0.0.2"]);
}

#[test]
fn a_name_that_does_not_resolve_at_the_start_is_picked_up_when_it_does() {
    let (server, hosts) = (NameServer::start(), hosts(1));
    server.fail("app.test", Failure::Silence);
    let port = hosts[0].address().port();
    let gateway = in_front(&server, &format!("endpoints: [\"app.test:{port}\"]"));
    assert_eq!(gateway.get("/other").text(), "other");
    let refused = gateway.get("/x");
    assert!(problem(&refused, refused.status).is_ok() && refused.status >= 502, "{refused}");
    server.set("app.test", 0, &["127.0.0.1"]);
    await_hosts(&gateway, &["127.0.0.1"]);
    assert_eq!(answerers(&gateway, 3), ["127.0.0.1"]);
}

#[test]
fn a_name_is_not_asked_again_by_a_reload() {
    let (server, hosts) = (NameServer::start(), hosts(1));
    server.set("app.test", 300, &["127.0.0.1"]);
    let service = format!("endpoints: [\"app.test:{}\"]", hosts[0].address().port());
    let gateway = in_front(&server, &service);
    await_hosts(&gateway, &["127.0.0.1"]);
    assert_eq!(answerers(&gateway, 1), ["127.0.0.1"]);
    let asked = server.asked("app.test");
    gateway.write_settings(&settings(&server, &service, "  - { match: /new, respond: { body: new } }\n"));
    gateway.signal(Signal::Hangup);
    eventually("the new route", || (gateway.get("/new").text() == "new").then_some(()));
    assert_eq!(answerers(&gateway, 1), ["127.0.0.1"]);
    assert_eq!(server.asked("app.test"), asked);
    assert_eq!(hosts[0].connections(), 1);
}

#[test]
fn services_by_name_go_to_the_first_priority_that_is_offered() {
    let (server, first, second) = (NameServer::start(), Origin::named("first"), Origin::named("second"));
    let name = "_http._tcp.app.test";
    let record = |priority: u16, origin: &Origin| (priority, 1, origin.address().port(), "host.test");
    server.set("host.test", 0, &["127.0.0.1"]);
    server.set_services(name, 0, &[record(20, &second), record(10, &first)]);
    let gateway = in_front(&server, &format!("endpoints: [{name}]"));
    await_hosts(&gateway, &["127.0.0.1", "127.0.0.1"]);
    assert_eq!(answerers(&gateway, 20), ["first"]);
    server.set_services(name, 0, &[record(20, &second)]);
    eventually("one endpoint", || (endpoints(&gateway).len() == 1).then_some(()));
    assert_eq!(answerers(&gateway, 5), ["second"]);
    // What is not offered any more is a failure as any other.
    server.set_services(name, 0, &[(0, 0, 0, ".")]);
    await_failure(&gateway, "not available");
    assert_eq!(answerers(&gateway, 5), ["second"]);
}

#[test]
fn a_file_of_endpoints_may_come_change_break_and_go() {
    let (server, one, two) = (NameServer::start(), Origin::named("one"), Origin::named("two"));
    let gateway = in_front(&server, "endpoints_file: endpoints.json");
    let path = gateway.directory().join("endpoints.json");
    let write = |text: String| fs::write(&path, text).expect("the directory is the gateway's own");
    await_failure(&gateway, "No such file");
    write(format!("[\"{}\"]", one.address()));
    await_recovery(&gateway);
    assert_eq!(answerers(&gateway, 3), ["one"]);
    write(format!("endpoints:\n  - {}\n  - {{ address: {}, weight: 2 }}\n", one.address(), two.address()));
    eventually("two endpoints", || (endpoints(&gateway).len() == 2).then_some(()));
    assert_eq!(answerers(&gateway, 50), ["one", "two"]);
    assert_eq!(one.connections(), 1, "the endpoint that stayed was connected to anew");
    write(format!("- {}\n- nonsense\n", one.address()));
    await_failure(&gateway, "endpoints.json:2:3: error: `nonsense`");
    assert_eq!(endpoints(&gateway).len(), 2);
    fs::remove_file(&path).expect("it was just written");
    await_failure(&gateway, "No such file");
    assert_eq!(endpoints(&gateway).len(), 2);
    write(format!("- {}\n", two.address()));
    await_recovery(&gateway);
    assert_eq!(answerers(&gateway, 5), ["two"]);
}

#[test]
fn a_name_does_not_lead_to_metadata_unless_it_may() {
    let (server, hosts) = (NameServer::start(), hosts(1));
    server.set("app.test", 0, &["127.0.0.1", "169.254.169.254"]);
    let service = format!("endpoints: [\"app.test:{}\"]", hosts[0].address().port());
    let gateway = in_front(&server, &service);
    await_hosts(&gateway, &["127.0.0.1"]);
    assert_eq!(app(&gateway)["sources"][0]["denied"], 1);
    assert_eq!(answerers(&gateway, 5), ["127.0.0.1"]);
    // Somebody turns the name to metadata altogether: as good as no answer.
    server.set("app.test", 0, &["169.254.169.254"]);
    await_failure(&gateway, "169.254.169.254");
    assert_eq!(answerers(&gateway, 5), ["127.0.0.1"]);
    // Nothing is sent there: no request comes from here on.
    gateway.write_settings(&settings(&server, &format!("{service}, endpoints_allow: [169.254.0.0/16]"), ""));
    gateway.signal(Signal::Hangup);
    await_hosts(&gateway, &["169.254.169.254"]);
}

#[test]
fn this_machines_own_name_needs_no_name_server() {
    let (server, origin) = (NameServer::start(), Origin::named("here"));
    let gateway = in_front(&server, &format!("endpoints: [\"localhost:{}\"]", origin.address().port()));
    assert_eq!(answerers(&gateway, 3), ["here"]);
    assert_eq!(server.asked("localhost"), 0);
}

#[test]
fn names_that_change_all_the_time_cost_no_request() {
    let (server, hosts) = (NameServer::start(), hosts(3));
    let answers = [
        &["127.0.0.1", "127.0.0.2"][..],
        &["127.0.0.3"],
        &["127.0.0.2", "127.0.0.3"],
        &["127.0.0.1"],
        &["127.0.0.1", "127.0.0.2", "127.0.0.3"],
    ];
    server.set("app.test", 0, answers[0]);
    let gateway = in_front(&server, &format!("endpoints: [\"app.test:{}\"]", hosts[0].address().port()));
    await_hosts(&gateway, answers[0]);
    thread::scope(|scope| {
        let changes = scope.spawn(|| {
            for answer in answers.iter().cycle().take(30) {
                server.set("app.test", 0, answer);
                await_hosts(&gateway, answer);
            }
        });
        let mut clients = [gateway.client(), gateway.client()];
        while !changes.is_finished() {
            for client in &mut clients {
                let response = client.get("/x");
                assert_eq!(response.status, 200, "{response}");
            }
        }
    });
    assert!(hosts.iter().all(|host| host.faults().is_empty() && host.count() > 0));
}

#[test]
fn what_is_in_flight_to_an_endpoint_that_goes_is_finished() {
    let server = NameServer::start();
    let gate = Gate::new();
    let wait = gate.clone();
    let first = Origin::start(move |conn| {
        if conn.request().is_ok() {
            conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
            wait.pass();
            conn.send("world");
        }
    });
    let port = first.address().port();
    let second = Origin::start_at(SocketAddr::from(([127, 0, 0, 2], port)), |conn| answer(conn, "second"));
    server.set("app.test", 0, &["127.0.0.1"]);
    let gateway = in_front(&server, &format!("endpoints: [\"app.test:{port}\"]"));
    await_hosts(&gateway, &["127.0.0.1"]);
    let address = gateway.addr();
    let slow = thread::spawn(move || Client::connect(address).get("/x").text());
    first.await_count(1);
    server.set("app.test", 0, &["127.0.0.2"]);
    await_hosts(&gateway, &["127.0.0.2"]);
    assert_eq!(answerers(&gateway, 5), ["second"]);
    gate.open();
    assert_eq!(slow.join().ok().as_deref(), Some("helloworld"));
    assert_eq!(second.count(), 5);
}
