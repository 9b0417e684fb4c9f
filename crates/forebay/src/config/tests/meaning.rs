//! What right files come to.

use std::time::Duration;

use forebay_proxy::plan::{Action, Route, Target};

use forebay_testkit::scratch::Scratch;

use super::*;

fn route<'a>(loaded: &'a Loaded, name: &str) -> &'a Route {
    let route = loaded.plan.routes.iter().find(|route| &*route.name == name);
    route.unwrap_or_else(|| panic!("there is no route {name}"))
}

#[test]
fn a_route_goes_before_its_service_and_that_before_the_defaults() {
    let loaded = load_ok(
        "\
listen: :80
defaults: {timeout: {connect: 1s, first_byte: 2s, total: 3s}, body_max: 10}
services:
  plain: {endpoints: [a:1]}
  own: {endpoints: [a:1], timeout: {first_byte: 20s, idle: 21s}}
  short: {endpoints: [a:1], timeout: 30s}
routes:
  - {match: /plain, to: plain}
  - {match: /own, to: own, timeout: 40s, body_max: 20}
  - {match: /short, to: short, timeout: {idle: 41s}}
",
    );
    let seconds = |name: &str| {
        let service = loaded.plan.services.iter().find(|service| &*service.name == name).unwrap();
        let time = service.timeout;
        [Some(time.connect), Some(time.first_byte), Some(time.idle), time.total]
            .map(|time| time.map(|time| time.as_secs()))
    };
    assert_eq!(seconds("plain"), [Some(1), Some(2), Some(60), Some(3)]);
    assert_eq!(seconds("own"), [Some(1), Some(20), Some(21), Some(3)]);
    assert_eq!(seconds("short"), [Some(1), Some(2), Some(60), Some(30)]);
    assert_eq!(route(&loaded, "/own").timeout.total, Some(Duration::from_secs(40)));
    assert_eq!(route(&loaded, "/short").timeout.idle, Some(Duration::from_secs(41)));
    assert_eq!((route(&loaded, "/plain").body_max, route(&loaded, "/own").body_max), (Some(10), Some(20)));
}

#[test]
fn a_header_a_route_names_is_its_own_and_the_others_are_the_defaults() {
    let loaded = load_ok(
        "\
listen: :80
defaults:
  headers:
    response: {set: {X-A: default, x-b: default}, add: {x-c: [c1, c2]}, remove: [x-d, x-e]}
routes:
  - match: /*
    name: r
    respond: 200
    headers:
      response: {remove: [x-a], set: {X-D: route}, add: {x-c: c3}}
",
    );
    let edits = &route(&loaded, "r").response_headers;
    let appended: Vec<_> =
        edits.appended().map(|(name, value)| format!("{name}: {}", value.escape_ascii())).collect();
    assert_eq!(appended, ["x-b: default", "X-D: route", "x-c: c3"]);
    let dropped: Vec<_> = edits.dropped().collect();
    assert_eq!(dropped, ["x-a", "x-b", "x-d", "x-e"]);
}

#[test]
fn several_matches_are_several_routes_that_share_the_rest() {
    let loaded = load_ok(
        "\
listen: :80
routes:
  - {match: [/a, {path: /b, method: GET}], name: r, respond: hello}
  - {match: [/c, GET /d], redirect: {to: \"/e{query}\", status: 308}}
",
    );
    let shown = loaded.plan.routes.iter().map(|route| format!("{} {}", route.name, route.matcher));
    assert_eq!(shown.collect::<Vec<_>>(), ["r /a", "r (2) GET /b", "/c /c", "GET /d GET /d"]);
    assert!(
        matches!(&route(&loaded, "r (2)").action, Action::Respond { status: 200, body, .. } if **body == *b"hello")
    );
    assert!(matches!(route(&loaded, "/c").action, Action::Redirect { status: 308, .. }));
}

#[test]
fn weights_are_shares_of_services_in_the_order_of_the_file() {
    let text = BASE
        .replace("to: app", "to: {next: 5, app: 95}")
        .replace("routes:", "  next: {endpoints: [b:1]}\nroutes:");
    let loaded = load_ok(&text);
    let targets = [Target { service: 1, weight: 5 }, Target { service: 0, weight: 95 }];
    assert!(matches!(&loaded.plan.routes[0].action, Action::Forward(found) if **found == targets));
}

#[test]
fn a_secret_may_stand_in_a_file_beside_the_settings_and_never_shows() {
    let scratch = Scratch::new("secret");
    scratch.write("short", "0123\n");
    let token = scratch.write("token", "0123456789abcdef\n");
    let folder = token.parent().unwrap();
    let load = |file: &str| {
        let text = format!("{BASE}admin: {{listen: \":9900\", token: {{file: {file}}}}}\n");
        load_text("f", &text, Surroundings { env: &|_| None, base: Some(folder) })
    };
    let admin = load("token").unwrap().server.admin.unwrap();
    let token = admin.token.as_ref().unwrap();
    assert_eq!(token.reveal(), "0123456789abcdef");
    assert!(!format!("{admin:?}").contains("0123456789abcdef"));
    assert_eq!(
        lines(&load("short").unwrap_err()),
        ["f:6:40: error: a token has at least 16 characters, and only visible ones of ASCII; \
          make one with `openssl rand -hex 24`"]
    );
    assert!(lines(&load(".").unwrap_err())[0].contains("it is not a regular file"));
}

#[test]
fn what_changed_in_the_process_is_named() {
    let before = load_ok(BASE).server;
    let after = load_ok(&format!("{BASE}workers: 3\nadmin: off\n").replace("8080", "8081")).server;
    assert_eq!(before.changed(&after), ["listen", "admin", "workers"]);
    assert_eq!(before.changed(&before), [""; 0]);
}

#[test]
fn what_is_spoken_at_an_address_changes_without_a_new_process() {
    let listen = |written: &str| {
        let text = format!(
            "listen: {written}\ntls: {{domains: a.test}}\ntrusted_proxies: [10.0.0.1]\nroutes: [{{match: /*, respond: 200}}]\n"
        );
        load_ok(&text).server
    };
    let before = listen("[\":80\", \"https://:443\"]");
    let after = listen("[{address: https://:443, http2: off}, {address: :80, proxy_protocol: on}]");
    assert_eq!(before.changed(&after), [""; 0]);
    let spoken = before.listeners_of(&after).expect("the addresses are the same");
    assert_eq!(
        spoken.iter().map(|one| (one.tls, one.http2)).collect::<Vec<_>>(),
        [(false, true), (true, false)]
    );
    assert!(spoken[0].proxy_protocol);
    assert_eq!(before.changed(&listen("[\":80\"]")), ["listen"]);
    assert_eq!(before.changed(&listen("[\":80\", {address: https://:443, http3: on}]")), ["listen"]);
}

#[test]
fn ten_thousand_routes_and_as_many_mistakes_are_read() {
    let mut text = String::from("listen: :80\nservices: {app: {endpoints: [a:1]}}\nroutes:\n");
    for number in 0..10_000 {
        text.push_str(&format!("- {{match: host{}.test/p{number}/*, to: app}}\n", number % 100));
    }
    assert_eq!(load_ok(&text).plan.routes.len(), 10_000);
    let problems = load_str(&text.replace("to: app", "to: nowhere, nothing: 1")).unwrap_err();
    assert_eq!(problems.last().unwrap().what, "19500 more problems are not listed");
}

#[test]
fn a_recording_takes_routes_by_name_and_by_match() {
    let recorded = |routes: &str| {
        let text = format!(
            "listen: :80\nrecord: {{file: a, routes: {routes}}}\nroutes:\n  \
             - {{match: [/a, /b], name: ab, respond: 204}}\n  - {{match: GET c.test/*, respond: 204}}\n"
        );
        let record = load_ok(&text).plan.record.expect("it is recorded");
        (0..3).map(|index| record.wants(index)).collect::<Vec<_>>()
    };
    assert_eq!(recorded("all"), [true, true, true]);
    assert_eq!(recorded("[ab]"), [true, true, false]);
    assert_eq!(recorded("[/b, \"GET c.test/*\"]"), [false, true, true]);
    assert_eq!(recorded("[\"ab (2)\"]"), [false, true, false]);
}

#[test]
fn a_path_alone_records_with_the_defaults() {
    let record = |written: &str| {
        let text = format!("listen: :80\nroutes: [{{match: /*, respond: 204}}]\nrecord: {written}\n");
        load_ok(&text).plan.record.map(|record| record.settings)
    };
    assert_eq!(record("off"), None);
    assert!(record("a.jsonl").is_some());
    assert_eq!(record("a.jsonl"), record("{file: a.jsonl}"));
}
