//! Balancing, health, discovery and splits: what is written about them, what it comes to, and mistakes in it.

use std::time::Duration;

use forebay_proxy::plan::{
    Action, Balance, Check, Dns, Family, HashBy, Health, HttpCheck, Outlier, PANIC_BELOW, ReadAfterWrite,
    Service, Split, Sticky, WriterBy,
};

use super::*;

/// A file with this service, from line 3, column 17 on.
fn file(service: &str) -> String {
    format!("listen: :80\nroutes: [{{match: /*, to: app}}]\nservices: {{app: {service}}}\n")
}

fn service(written: &str) -> Service {
    load_ok(&file(&format!("{{endpoints: [127.0.0.1:1], {written}}}"))).plan.services.remove(0)
}

/// Mistakes in what stands beside the endpoints, from column 38 on.
#[track_caller]
fn check(written: &str, expected: &[&str]) {
    let found = problems(&file(&format!("{{endpoints: [127.0.0.1:1], {written}}}")));
    let expected: Vec<_> = expected.iter().map(|problem| format!("3:{problem}")).collect();
    assert_eq!(found, expected, "{written}");
}

/// Mistakes in a list of endpoints, from column 30 on.
#[track_caller]
fn check_endpoints(list: &str, expected: &[&str]) {
    let found = problems(&file(&format!("{{endpoints: [{list}]}}")));
    let expected: Vec<_> = expected.iter().map(|problem| format!("3:{problem}")).collect();
    assert_eq!(found, expected, "{list}");
}

/// The action of a route with this `to`, or the mistakes in it, from line 6, column 21 on.
fn split(to: &str) -> Result<Action, Vec<String>> {
    let text = format!(
        "listen: :80\nservices:\n  read: {{endpoints: [127.0.0.1:1]}}\n  write: {{endpoints: [127.0.0.1:2]}}\nroutes:\n\
         \x20 - {{match: /*, to: {to}}}\n"
    );
    let Loaded { mut plan, warnings, .. } = load_str(&text).map_err(|problems| lines(&problems))?;
    if warnings.is_empty() { Ok(plan.routes.remove(0).action) } else { Err(lines(&warnings)) }
}

fn read_after_write(rule: &str) -> Option<ReadAfterWrite> {
    match split(&format!("{{read: read, write: write, read_after_write: {rule}}}")) {
        Ok(Action::Split(Split { read: 0, write: 1, read_after_write })) => read_after_write,
        other => panic!("{rule}: {other:?}"),
    }
}

#[test]
fn what_is_not_written_is_as_the_plan_has_it() {
    let Service { endpoints, .. } = service("");
    let usual = Service { endpoints: endpoints.clone(), ..Service::new("app") };
    assert_eq!(service(""), usual);
    assert_eq!(service("pool: {}"), usual);
    assert_eq!(service("balance: least_loaded, health: off, outlier: connect, slow_start: off"), usual);
    assert_eq!(service("panic_below: 50%").panic_below, PANIC_BELOW);
    let dns = |written: &str| load_ok(&format!("{BASE}{written}\n")).plan.dns;
    assert_eq!((dns(""), dns("dns: {}")), (Dns::default(), Dns::default()));
}

#[test]
fn every_balancer_can_be_written() {
    let sticky = |cookie: &str, ttl| Balance::Sticky(Sticky { cookie: cookie.into(), ttl });
    for (written, expected) in [
        ("round_robin", Balance::RoundRobin),
        ("peak_ewma", Balance::PeakEwma),
        ("{hash: path}", Balance::Hash(HashBy::Path)),
        ("{hash: client}", Balance::Hash(HashBy::Client)),
        ("{hash: {header: X-Tenant}}", Balance::Hash(HashBy::Header("x-tenant".into()))),
        ("{hash: {cookie: Session}}", Balance::Hash(HashBy::Cookie("Session".into()))),
        ("sticky", sticky("forebay_app", None)),
        ("{sticky: {}}", sticky("forebay_app", None)),
        ("{sticky: {cookie: b, ttl: 1h}}", sticky("b", Some(Duration::from_secs(3_600)))),
    ] {
        assert_eq!(service(&format!("balance: {written}")).balance, expected, "{written}");
    }
}

#[test]
fn mistakes_about_balancing_say_what_to_write() {
    check(
        "balance: hash",
        &[
            "53: error: `balance` must be `least_loaded`, `round_robin`, `peak_ewma`, `sticky` or a map with `hash` and `sticky`, not `hash`",
        ],
    );
    check("balance: {}", &["53: error: this balance does nothing yet; write one of `hash` and `sticky`"]);
    check(
        "balance: {hash: header}",
        &["60: error: `hash` must be `path`, `client` or a map with `header` and `cookie`, not `header`"],
    );
    check(
        "balance: {hash: {header: a, cookie: b}}",
        &["72: error: `cookie` cannot stand beside `header`; keep one of `header` and `cookie`"],
    );
    check("balance: {hash: {header: a b}}", &["69: error: `a b` is not the name of a header"]);
    check(
        "balance: {sticky: {cookie: \"a;b\", ttl: 1500ms}}",
        &[
            "71: error: `a;b` is not the name of a cookie; use letters, digits, `-` and `_`",
            "83: error: `ttl` is in whole seconds, not 1s500ms; write, for example, `2s`",
        ],
    );
}

#[test]
fn a_path_a_word_or_a_map_says_how_endpoints_are_checked() {
    let health = |written: &str| service(&format!("health: {written}")).health;
    let plain = |path: &str| {
        let status = vec![(200, 299)];
        HttpCheck { path: path.into(), host: None, headers: Vec::new(), status, body: None }
    };
    let http = |check| Some(Health::new(Check::Http(check)));
    assert_eq!(health("off"), None);
    assert_eq!(health("tcp"), Some(Health::new(Check::Tcp)));
    assert_eq!(health("{tcp: true}"), Some(Health::new(Check::Tcp)));
    assert_eq!(health("/healthz?full"), http(plain("/healthz?full")));
    assert_eq!(health("{path: /healthz}"), http(plain("/healthz")));
    let long = "{path: /h, status: [204, 301-399], body: ok, host: Shop.test, headers: {X-A: b}, port: 81, \
        interval: 200ms, timeout: 5s, rise: 1, fall: 3}";
    let check = HttpCheck {
        status: vec![(204, 204), (301, 399)],
        body: Some("ok".into()),
        host: Some("shop.test".into()),
        headers: vec![("X-A".into(), "b".into())],
        ..plain("/h")
    };
    let expected = Health {
        port: Some(81),
        interval: Duration::from_millis(200),
        // Not longer than the interval, though nothing is said of it.
        fast_interval: Duration::from_millis(200),
        timeout: Duration::from_secs(5),
        rise: 1,
        fall: 3,
        ..Health::new(Check::Http(check))
    };
    assert_eq!(health(long), Some(expected));
}

#[test]
fn mistakes_about_checks_say_what_to_write() {
    check(
        "health: healthz",
        &[
            "52: error: `healthz` cannot be the path of a check; write a path that begins with `/`, such as `/healthz`, or `tcp`, or `off`",
        ],
    );
    check(
        "health: false",
        &[
            "52: error: `health` must be `off`, `tcp`, `grpc`, a path, such as `/healthz` or a map with `path`, `tcp`, `grpc` and the like, not `false`; did you mean `off`?",
        ],
    );
    check("health: /a/../b", &["52: error: `/a/../b` cannot be the path of a check as it is; write `/b`"]);
    check(
        "health: \"/a b\"",
        &["52: error: `/a b` cannot be the path of a check: character not allowed in target"],
    );
    check(
        "health: {path: /a%2fb}",
        &["59: error: `/a%2fb` cannot be the path of a check: encoded slash or backslash in path"],
    );
    check(
        "health: {path: /, tcp: true}",
        &["62: error: `tcp` cannot stand beside `path`; keep one of `path`, `tcp` and `grpc`"],
    );
    check(
        "health: {rise: 1}",
        &["52: error: this health does nothing yet; write one of `path`, `tcp` and `grpc`"],
    );
    check(
        "health: {tcp: false}",
        &["53: error: this `health` checks nothing; write `tcp: true`, `path: /healthz`, or `health: off`"],
    );
    check(
        "health: {tcp: true, body: ok}",
        &[
            "64: error: `body` needs `path`: a TCP check sends and reads nothing; remove it, or write `path` in place of `tcp`",
        ],
    );
    check(
        "health: {path: /, status: [2xx, 299-200]}",
        &[
            "71: error: `2xx` is no status from 200 to 599 and no range of them; write, for example, `200` or `200-299`",
            "76: error: `299-200` is no status from 200 to 599 and no range of them; write, for example, `200` or `200-299`",
        ],
    );
    check(
        "health: {path: /, headers: {Host: a, \"x y\": b, a: \"b\\r\\nc\", d: e, D: f, content-length: 1}}",
        &[
            "72: error: `host` has a key of its own; write `host: ...`",
            "81: error: `x y` is not the name of a header",
            "91: error: the value of `a` has control characters in it or blanks around it, or is too long",
            "110: error: `D` stands twice; keep one of them",
            "116: error: header `content-length` belongs to the connection and cannot be edited",
        ],
    );
    check(
        "health: {path: /, host: a/b}",
        &[
            "68: error: `a/b` cannot be a `Host`: character not allowed in host; write, for example, `shop.test`",
        ],
    );
    check(
        "health: {path: /, fast_interval: 3s, interval: 50ms}",
        &[
            "77: error: `fast_interval` (3s) is longer than `interval` (2s); make it shorter, or leave it out",
            "91: error: `interval` must be a duration from 100ms to 1h, not `50ms`",
        ],
    );
}

#[test]
fn outliers_are_off_for_connections_only_or_on() {
    let outlier = |written: &str| service(&format!("outlier: {written}")).outlier;
    assert_eq!(outlier("off"), Outlier::off());
    assert_eq!(outlier("connect"), Outlier::default());
    assert_eq!(outlier("on"), Outlier::on());
    assert_eq!(outlier("{}"), Outlier::on());
    let changed =
        Outlier { failures: 0, error_ratio: 10, latency_factor: 0, ejected_max: 30, ..Outlier::on() };
    assert_eq!(outlier("{failures: off, error_ratio: 10%, latency_factor: off, ejected_max: 30}"), changed);
    let long = Duration::from_secs(600);
    assert_eq!(
        outlier("{eject_for: 10m}"),
        Outlier { eject_for: long, eject_for_max: long, ..Outlier::on() }
    );
}

#[test]
fn mistakes_about_outliers_say_what_to_write() {
    let accepted =
        "`off`, `connect`, `on` or a map with `connect_failures`, `failures`, `error_ratio` and the like";
    check(
        "outlier: yes",
        &[&format!("53: error: `outlier` must be {accepted}, not `yes`; did you mean `on`?")],
    );
    check(
        "outlier: no",
        &[&format!("53: error: `outlier` must be {accepted}, not `no`; did you mean `off`?")],
    );
    check(
        "outlier: {error_ratio: 0.2, ejected_max: 120%}",
        &[
            "67: error: `error_ratio` must be a whole percentage from 0% to 100%, not `0.2`",
            "85: error: `ejected_max` must be a whole percentage from 0% to 100%, not `120%`",
        ],
    );
    check(
        "outlier: {eject_for: 10s, eject_for_max: 5s}",
        &[
            "85: error: the longest ejection, 5s, is shorter than the first one, 10s; keep `eject_for_max` at least as long as `eject_for`",
        ],
    );
}

#[test]
fn a_queue_and_a_slow_start_are_as_written() {
    let service =
        service("slow_start: 30s, panic_below: 0, pool: {requests_max: 9, queue_max: 0, queue_timeout: 1s}");
    assert_eq!((service.slow_start, service.panic_below), (Duration::from_secs(30), 0));
    let pool = service.pool;
    assert_eq!((pool.requests_max, pool.queue_max, pool.queue_timeout), (Some(9), 0, Duration::from_secs(1)));
    check(
        "pool: {requests_max: 9, connections_max: 5}",
        &[
            "65: warning: 9 requests to an endpoint never come about with 5 connections, one for each; raise `connections_max`, or remove `requests_max`",
        ],
    );
    check("protocol: h2c, pool: {requests_max: 9, connections_max: 5}", &[]);
}

#[test]
fn endpoints_are_addresses_names_and_names_of_srv_records() {
    let list =
        "127.0.0.1:1, \"[::1]:1\", app.test:1, _http._tcp.shop.internal, {address: _app:1, priority: 9}";
    let endpoints = load_ok(&file(&format!("{{endpoints: [{list}]}}"))).plan.services.remove(0).endpoints;
    let addresses: Vec<_> = endpoints.iter().map(|endpoint| &*endpoint.address).collect();
    assert_eq!(addresses, ["127.0.0.1:1", "[::1]:1", "app.test:1", "_http._tcp.shop.internal", "_app:1"]);
    assert_eq!(endpoints.iter().map(|endpoint| endpoint.priority).collect::<Vec<_>>(), [0, 0, 0, 0, 9]);
}

#[test]
fn mistakes_about_endpoints_say_what_to_write() {
    check_endpoints(
        "_http.shop.internal",
        &[
            "30: error: `_http.shop.internal`: neither `host:port` nor the name of SRV records; write, for example, `_http._tcp.shop.internal`",
        ],
    );
    check_endpoints(
        "\"[::1]:80\", \"[0::1]:80\", A.test:1, a.test:1",
        &[
            "42: error: `[0::1]:80` stands twice in this service; keep one, with a `weight` if it is to get more",
            "65: error: `a.test:1` stands twice in this service; keep one, with a `weight` if it is to get more",
        ],
    );
    let name = "a".repeat(64);
    check_endpoints(
        &format!("{name}.test:1"),
        &[&format!(
            "30: error: `{}...`: not an address: a part of the name has more than 63 characters; write a name that can be looked up",
            &name[..60]
        )],
    );
    check_endpoints(
        "{address: a:1, priority: 10}",
        &["55: error: `priority` must be a whole number from 0 to 9, not `10`"],
    );
    let many: Vec<_> = (0..1_001).map(|number| format!("a:{}", number + 1)).collect();
    let found = problems(&file(&format!("{{endpoints: [{}]}}", many.join(", "))));
    assert!(found[0].ends_with("error: more than 1000 endpoints in one service"), "{found:?}");
}

#[test]
fn a_file_may_stand_in_for_endpoints_and_begins_at_the_settings() {
    let text = file("{endpoints_file: list.json, endpoints_allow: [169.254.0.0/16]}");
    let around = Surroundings { env: &|_| None, base: Some(Path::new("/etc/forebay")) };
    let service = load_text("f", &text, around).unwrap().plan.services.remove(0);
    assert_eq!(service.endpoints_file.as_deref(), Some(Path::new("/etc/forebay/list.json")));
    assert!(service.endpoints.is_empty());
    assert!(service.endpoints_allow.contains("169.254.1.1".parse().unwrap()));
    check(
        "endpoints_allow: [169.254.0.1/16]",
        &[
            "62: error: `169.254.0.1/16` is no block of addresses: bits beyond the prefix are set; did you mean 169.254.0.0/16; write, for example, `10.0.0.0/8` or `192.0.2.7`",
        ],
    );
}

#[test]
fn names_are_looked_up_as_written() {
    let dns = |written: &str| load_ok(&format!("{BASE}dns: {written}\n")).plan.dns;
    let servers = dns("{servers: [10.0.0.2, \"::1\", \"127.0.0.1:5353\"]}").servers;
    assert_eq!(
        servers.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["10.0.0.2:53", "[::1]:53", "127.0.0.1:5353"]
    );
    let seconds = Duration::from_secs;
    assert_eq!(
        dns("{family: both, timeout: 1s}"),
        Dns { family: Family::Both, timeout: seconds(1), ..Dns::default() }
    );
    // The one that is written holds, and the other gives way.
    assert_eq!(dns("{ttl_min: 10m}"), Dns { ttl_min: seconds(600), ttl_max: seconds(600), ..Dns::default() });
    let millis = Duration::from_millis(100);
    assert_eq!(dns("{ttl_max: 100ms}"), Dns { ttl_min: millis, ttl_max: millis, ..Dns::default() });
    let wrong = |written: &str| problems(&format!("{BASE}dns: {written}\n"));
    assert_eq!(
        wrong("{ttl_min: 5s, ttl_max: 1s}"),
        ["6:29: error: `ttl_max` (1s) is shorter than `ttl_min` (5s); exchange the two"]
    );
    assert_eq!(
        wrong("{servers: [ns.test, 10.0.0.2, \"10.0.0.2:53\", \"10.0.0.2:0\"]}"),
        [
            "6:17: error: `ns.test` is not the address of a name server; write its IP address, such as `10.0.0.2` or `127.0.0.1:5353`",
            "6:36: error: the name server 10.0.0.2:53 stands twice; keep one of them",
            "6:51: error: `10.0.0.2:0` is not the address of a name server; write its IP address, such as `10.0.0.2` or `127.0.0.1:5353`",
        ]
    );
}

#[test]
fn weights_and_splits_are_told_apart_by_their_values() {
    assert!(matches!(split("{read: 5, write: 95}"), Ok(Action::Forward(targets)) if targets.len() == 2));
    assert!(matches!(
        split("{read: read, write: write}"),
        Ok(Action::Split(Split { read: 0, write: 1, read_after_write: None }))
    ));
    for (to, expected) in [
        ("{read: read}", "6:21: error: `write` is missing in this split; write, for example, `write: spare`"),
        (
            "{read: read, write: write, also: 5}",
            "6:48: error: unknown key `also`; known here: `read`, `write` and `read_after_write`",
        ),
        (
            "{read: 5, write: write}",
            "6:28: error: there is no service `5`; name services for both `read` and `write`, or give every service a weight",
        ),
        ("{read: reed, write: write}", "6:28: error: there is no service `reed`; did you mean `read`?"),
    ] {
        let found = split(to).expect_err(to);
        assert_eq!(found, [format!("forebay.yaml:{expected}")], "{to}");
    }
    assert_eq!(
        split("{read: write, write: write}").expect_err("it is odd"),
        [
            "forebay.yaml:3:3: warning: no route leads to the service `read`; add a route with it as `to`, or remove it",
            "forebay.yaml:6:42: warning: `read` and `write` are the same service, which parts nothing; name two, or write the service alone as `to`",
        ]
    );
}

#[test]
fn who_has_written_is_known_by_a_cookie_or_a_header() {
    let rule = |seconds, by| Some(ReadAfterWrite { stay: Duration::from_secs(seconds), by });
    let cookie = |name: &str| WriterBy::Cookie(name.into());
    assert_eq!(read_after_write("off"), None);
    assert_eq!(read_after_write("5s"), rule(5, cookie("forebay_wrote")));
    assert_eq!(read_after_write("{stay: 1m}"), rule(60, cookie("forebay_wrote")));
    assert_eq!(read_after_write("{stay: 5s, cookie: Wrote}"), rule(5, cookie("Wrote")));
    assert_eq!(read_after_write("{stay: 5s, header: X-User}"), rule(5, WriterBy::Header("x-user".into())));
    for (written, expected) in [
        ("1500ms", "6:66: error: `stay` is in whole seconds, not 1s500ms; write, for example, `2s`"),
        (
            "{header: a}",
            "6:66: error: `stay` is missing in this read_after_write; write, for example, `stay: 5s`",
        ),
        (
            "{stay: 5s, cookie: a, header: b}",
            "6:88: error: `header` cannot stand beside `cookie`; keep one of `cookie` and `header`",
        ),
    ] {
        let found = split(&format!("{{read: read, write: write, read_after_write: {written}}}"));
        assert_eq!(found.expect_err(written), [format!("forebay.yaml:{expected}")], "{written}");
    }
}
