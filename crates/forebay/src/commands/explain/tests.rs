//! What is told about requests.

use super::*;

const SETTINGS: &str = "\
listen: 127.0.0.1:8080
services:
  app: {endpoints: [127.0.0.1:3000, 127.0.0.1:3001], timeout: {connect: 1s}}
  next: {endpoints: [{address: app.test:3000, weight: 3}, app.test:3001], balance: round_robin}
routes:
  - match: shop.test/api/*
    name: api
    to: {app: 95, next: 5}
    timeout: 30s
    headers:
      request: {set: {x-a: b}, remove: [x-c]}
      response: {add: {x-d: [e, f]}}
    rewrite: {strip_prefix: /api, host: inner.test}
    body_max: 1MiB
  - {match: \"GET /users/{id}\", respond: hello}
  - {match: /old/*, redirect: \"https://{host}/new\"}
limits: {header_underscores: refuse}
record: {file: a.jsonl, sample: 5%, routes: [api], body_max: 1KiB}
";

fn explain(method: &str, url: &str, headers: &[&str]) -> Explained {
    explain_with(SETTINGS, method, url, headers)
}

fn explain_with(settings: &str, method: &str, url: &str, headers: &[&str]) -> Explained {
    let args = cli::Explain {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: headers.iter().map(|line| (*line).to_owned()).collect(),
        config: "forebay.yaml".into(),
        json: false,
    };
    let base = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    let around = config::Surroundings { env: &|_| None, base: settings.contains("certs/").then_some(&*base) };
    let loaded = config::load_text("f", settings, around).expect("the settings are right");
    Explained::find(&Request::parse(&args).expect("the request is right"), &loaded)
}

fn shown(method: &str, url: &str, headers: &[&str]) -> Vec<String> {
    lines(&explain(method, url, headers))
}

fn lines(explained: &Explained) -> Vec<String> {
    let mut buffer = Vec::new();
    explained.show(&mut Output::new(&mut buffer, false)).expect("a buffer takes all");
    String::from_utf8(buffer).expect("it is text").lines().map(str::to_owned).collect()
}

#[test]
fn everything_about_a_forwarded_request_is_told_in_order() {
    assert_eq!(
        shown("POST", "http://shop.test:80/x/../api/%61?b", &[]),
        [
            "POST http://shop.test:80/x/../api/%61?b",
            "target      /api/a?b  (sent as /x/../api/%61?b)",
            "host        shop.test",
            "listener    127.0.0.1:8080: HTTP/1.1 and HTTP/2",
            "route       api  (match: shop.test/api/*)",
            "limits      body at most 1MiB, head at most 32KiB",
            "record      5% of requests to a.jsonl, with bodies up to 1KiB, until it has 100MiB",
            "request     remove x-c",
            "            set x-a: b",
            "rewrite     target becomes /a?b",
            "            host becomes inner.test",
            "forward     to service app, 95 of 100 requests: the less loaded of two of 127.0.0.1:3000, 127.0.0.1:3001",
            "              timeouts: connect 1s, unacknowledged 1s, first byte 1m, idle 1m, total 30s",
            "              pool: at most 2048 connections to an endpoint; 512 idle ones kept by each worker, for 4s",
            "              queue: while every endpoint has 2048 requests, 1024 more wait for each worker, for at most 5s",
            "              health: not checked",
            "              outlier: left out for 5s (up to 5m, at most 50% of endpoints) after 3 connections failed in a row",
            "              panic: all are used while fewer than 50% are usable",
            "            to service next, 5 of 100 requests: in turn app.test:3000 (weight 3), app.test:3001 (weight 1)",
            "              names, looked up again when their TTL has passed: app.test:3000, app.test:3001",
            "              timeouts: connect 2s, unacknowledged 1s, first byte 1m, idle 1m, total 30s",
            "              pool: at most 2048 connections to an endpoint; 512 idle ones kept by each worker, for 4s",
            "              queue: while every endpoint has 2048 requests, 1024 more wait for each worker, for at most 5s",
            "              health: not checked",
            "              outlier: left out for 5s (up to 5m, at most 50% of endpoints) after 3 connections failed in a row",
            "              panic: all are used while fewer than 50% are usable",
            "response    add x-d: e",
            "            add x-d: f",
            "not taken   /old/*: other path",
            "            GET /users/{id}: other path",
        ]
    );
}

#[test]
fn parameters_and_assumptions_are_told() {
    let lines = shown("GET", "/users/7", &[]);
    for line in [
        "note        no host is named: `localhost` is assumed",
        "route       GET /users/{id}",
        "            {id} is 7",
        "respond     200 with 5B of text/plain; charset=utf-8",
        "not taken   /old/*: other path",
    ] {
        assert!(lines.iter().any(|other| other == line), "{line}\n{}", lines.join("\n"));
    }
    assert!(!lines.iter().any(|line| line.starts_with("record")), "its route is not recorded");
    assert!(
        shown("GET", "/old/x", &["Host: a.test"])
            .contains(&"redirect    302 to https://a.test/new".to_owned())
    );
}

#[test]
fn what_is_refused_says_by_what_name() {
    let refused = |method: &str, url: &str, headers: &[&str]| {
        explain(method, url, headers).refused.map(|(refusal, detail)| (refusal.reason(), detail))
    };
    for (method, url, headers, reason) in [
        ("GET", "http://shop.test/a%2fb", &[][..], "bad_target"),
        ("GET", "http://shop.test/../x", &[], "bad_target"),
        ("GET", "http://sh op.test/", &[], "bad_host"),
        ("GET", "http://other.test/x", &[], "no_route"),
        ("POST", "http://other.test/users/7", &[], "method_not_allowed"),
        ("TRACE", "/", &[], "method_not_allowed"),
        ("CONNECT", "a.test:80", &[], "connect_unsupported"),
        ("GET", "/users/7", &["x_y: 1"], "header_underscore"),
    ] {
        assert_eq!(refused(method, url, headers).map(|(reason, _)| reason), Some(reason), "{method} {url}");
    }
    assert_eq!(
        refused("POST", "/users/7", &[]).map(|(_, detail)| detail).as_deref(),
        Some("served here: GET")
    );
}

#[test]
fn programs_get_the_same_as_an_object() {
    let told = explain("POST", "http://shop.test/api/a", &[]).as_json();
    assert_eq!(told["route"]["name"], "api");
    assert_eq!(told["refused"], Value::Null);
    assert_eq!(told["stages"][3]["does"][0], "target becomes /a");
    assert_eq!(explain("GET", "/x", &[]).as_json()["refused"]["reason"], "no_route");
}

/// What is told of a service `app` with these settings, without what is told of every other one too.
#[track_caller]
fn check_service(written: &str, expected: &[&str]) {
    let settings =
        format!("listen: :80\nroutes: [{{match: /*, to: app}}]\nservices: {{app: {{{written}}}}}\n");
    let told = lines(&explain_with(&settings, "GET", "/", &[]));
    let start = told.iter().position(|line| line.starts_with("forward")).expect("it is forwarded");
    let told: Vec<_> = told[start..].iter().map(|line| line[12..].trim()).collect();
    for line in expected {
        assert!(told.contains(line), "{line}\n{}", told.join("\n"));
    }
}

#[test]
fn everything_about_a_service_is_told() {
    check_service("endpoints: [127.0.0.1:1]", &["to service app: 127.0.0.1:1", "health: not checked"]);
    check_service(
        "endpoints: [{address: 127.0.0.1:1}, {address: 127.0.0.1:2, priority: 1, weight: 2}], balance: {hash: {cookie: c}}",
        &[
            "to service app: by hash of the cookie c one of 127.0.0.1:1 (weight 1), 127.0.0.1:2 (weight 2)",
            "tiers, each while those before it are too few: priority 0: 127.0.0.1:1 (weight 1); priority 1: 127.0.0.1:2 (weight 2)",
        ],
    );
    check_service(
        "endpoints: [a.test:1, _http._tcp.a.test], endpoints_file: list.json, balance: {sticky: {ttl: 1h}}",
        &[
            "to service app: that of the cookie forebay_app (for 1h), else the less loaded of two of a.test:1, _http._tcp.a.test",
            "names, looked up again when their TTL has passed: a.test:1, _http._tcp.a.test (SRV)",
            "file: list.json lists more, and is watched",
        ],
    );
    check_service(
        "endpoints_file: list.json, health: tcp, outlier: off, slow_start: 30s, panic_below: 30%, pool: {queue_max: 0, requests_max: 9}",
        &[
            "to service app: the less loaded of two of those of its file",
            "queue: while every endpoint has 9 requests, more are refused",
            "health: every 2s a connection within 1s, out after 2 failures, back after 2 successes, every 250ms in between",
            "outlier: never left out",
            "slow start: the share of one that is new or back grows over 30s",
            "panic: all are used while fewer than 30% are usable",
        ],
    );
    check_service(
        "endpoints: [127.0.0.1:1], health: {path: /h, host: a.test, status: [200, 300-399], body: ok, port: 81, rise: 1}, outlier: on",
        &[
            "health: every 2s GET /h of a.test expecting 200, 300-399 with `ok` in its body at port 81 within 1s, out after 2 failures, back after 1 success, every 250ms in between",
            "outlier: left out for 5s (up to 5m, at most 50% of endpoints) after 3 connections failed in a row, or 5 requests failed in a row, or 20% more failures than others within 10s of at least 100 requests, or 5 times the latency of others within 10s of at least 100 requests",
        ],
    );
    let many: Vec<_> = (1..=12).map(|number| format!("127.0.0.1:{number}")).collect();
    let shown = format!("to service app: the less loaded of two of {} and 2 more", many[..10].join(", "));
    check_service(&format!("endpoints: [{}]", many.join(", ")), &[&shown]);
}

const SECURED: &str = "\
listen: [127.0.0.1:80, \"https://127.0.0.1:443\"]
tls: {cert: certs/shop.test.pem, key: certs/shop.test.key, client_ca: certs/ca.pem, client_auth: request, hsts: 1d}
routes: [{match: /*, respond: 200}]
";

#[track_caller]
fn check_told(settings: &str, url: &str, headers: &[&str], expected: &[&str]) {
    let told = lines(&explain_with(settings, "GET", url, headers));
    for line in expected {
        assert!(told.iter().any(|other| other == line), "{line}\n{}", told.join("\n"));
    }
}

#[test]
fn the_scheme_of_a_url_says_where_a_request_comes_in() {
    let secured = "listener    https://127.0.0.1:443: HTTP/1.1 and HTTP/2; TLS 1.2 or 1.3; \
                   clients may show a certificate of certs/ca.pem";
    let hsts = "response    set strict-transport-security: max-age=86400";
    check_told(SECURED, "https://shop.test/a", &[], &[secured, hsts, "route       /*"]);
    check_told(SECURED, "shop.test/a", &[], &[secured, hsts]);
    check_told(
        SECURED,
        "http://shop.test:80/a?b",
        &[],
        &[
            "listener    127.0.0.1:80: HTTP/1.1 and HTTP/2",
            "redirect    308 to https://shop.test/a?b, because it comes without TLS",
        ],
    );
    check_told(
        SETTINGS,
        "https://shop.test/api/a",
        &[],
        &["listener    none", "note        nobody gets through so far: no address is listened on with TLS"],
    );
    assert_eq!(explain_with(SECURED, "GET", "http://a.test/", &[]).as_json()["redirect"]["status"], 308);
}

#[test]
fn names_without_a_certificate_are_told() {
    let other =
        "note        no certificate is for `other.test`: that of certs/shop.test.pem is shown, for shop.test";
    let told = lines(&explain_with(SECURED, "GET", "https://other.test/", &[]));
    assert!(told.iter().any(|line| line.starts_with(other)), "{told:?}");
    let strict = SECURED.replace("hsts: 1d", "unknown_name: refuse");
    check_told(
        &strict,
        "https://other.test/",
        &[],
        &["note        nobody gets through unless ACME has brought a certificate: none of the files is for \
           `other.test`, and the handshake is refused (`unrecognized_name`)"],
    );
    check_told(
        &strict,
        "https://127.0.0.1/",
        &[],
        &[
            "note        nobody gets through: clients ask for no name when they connect to an address, and the \
           handshake is refused (`unrecognized_name`)",
        ],
    );
    assert_eq!(explain_with(&strict, "GET", "https://shop.test/", &[]).notes, [""; 0]);
}

#[test]
fn a_route_that_sees_to_hsts_itself_is_believed() {
    let settings =
        SECURED.replace("match: /*", "match: /*, headers: {response: {remove: [strict-transport-security]}}");
    assert_ne!(settings, SECURED);
    let told = lines(&explain_with(&settings, "GET", "https://shop.test/a", &[]));
    assert!(!told.iter().any(|line| line.contains("max-age")), "{told:?}");
}

#[test]
fn headers_that_do_not_count_find_no_route() {
    let settings = |trusted: &str, underscores: &str| {
        let of =
            |name: &str| format!("  - {{match: {{path: /*, header: {{{name}: \"*\"}}}}, respond: {name}}}\n");
        format!(
            "listen: 127.0.0.1:8080\ntrusted_proxies: [{trusted}]\nlimits: {{header_underscores: {underscores}}}\n\
             routes:\n  - {{match: /*, name: none, respond: hello}}\n{}{}{}",
            of("x-forwarded-client-cert"),
            of("x-forwarded-proto"),
            of("x_y"),
        )
    };
    let check = |trusted: &str, underscores: &str, header: &str, found: bool, note: &str| {
        let told = explain_with(&settings(trusted, underscores), "GET", "/a", &[header]);
        let route = told.taken.as_ref().map_or("", |taken| &taken.name);
        assert_eq!(route != "none", found, "{trusted} {underscores} {header}: {route}");
        let name = header.split(':').next().unwrap_or_default();
        let notes: Vec<_> = told.notes.iter().filter(|told| told.contains(&format!("`{name}`"))).collect();
        assert_eq!(notes.len(), usize::from(!note.is_empty()), "{header}: {notes:?}");
        assert!(notes.iter().all(|told| told.contains(note)), "{header}: {notes:?}");
    };
    check("", "drop", "X-Forwarded-Client-Cert: a", false, "written by the gateway only");
    check("10.0.0.0/8", "allow", "X-Forwarded-Client-Cert: a", false, "written by the gateway only");
    check(
        "10.0.0.0/8",
        "allow",
        "X_Forwarded_Client_Cert: a",
        false,
        "looks like one that only proxies send",
    );
    check("", "drop", "X-Forwarded-Proto: a", false, "there are no `trusted_proxies`");
    check("10.0.0.0/8", "drop", "X-Forwarded-Proto: a", true, "counts because");
    check("", "drop", "x_y: a", false, "has `_` in its name");
    check("", "allow", "x_y: a", true, "");
}

#[test]
fn what_a_connection_may_turn_into_is_told() {
    let settings = |route: &str| {
        format!(
            "listen: 127.0.0.1:80\nservices: {{app: {{endpoints: [127.0.0.1:1]}}}}\n\
             routes: [{{match: /*, to: app{route}}}]\n"
        )
    };
    let asks = |protocol: &'static str| ["Connection: keep-alive, Upgrade", protocol];
    let websocket = "upgrade     to websocket once the service agrees: idle 5m, lifetime unbounded";
    check_told(&settings(""), "/", &asks("Upgrade: websocket"), &[websocket]);
    check_told(&settings(", upgrade: off"), "/", &[], &["upgrade     none: connections stay what they are"]);
    let long = ", upgrade: {allow: [chat, websocket], lifetime: 1h}, grpc_web: on";
    check_told(
        &settings(long),
        "/",
        &[],
        &[
            "upgrade     to chat or websocket once the service agrees: idle 5m, lifetime 1h",
            "grpc_web    requests in gRPC-Web become gRPC, and the answers gRPC-Web",
        ],
    );
    let refused = |protocol: &'static str| {
        let explained = explain_with(&settings(""), "GET", "/", &asks(protocol));
        explained.refused.map(|(refusal, _)| refusal.reason())
    };
    assert_eq!(refused("Upgrade: chat"), Some("upgrade_unsupported"));
    assert_eq!(refused("Upgrade: WebSocket"), None);
    assert_eq!(refused("Upgrade: h2c"), None, "clients go on without it");
}

#[test]
fn what_is_spoken_with_endpoints_is_told() {
    check_service(
        "endpoints: [\"unix:/run/a.sock\"], protocol: h2c, health: {grpc: shop.Cart}",
        &[
            "to service app: unix:/run/a.sock",
            "protocol: HTTP/2",
            "health: every 2s gRPC health of shop.Cart within 1s, out after 2 failures, back after 2 successes, every 250ms in between",
        ],
    );
    check_service(
        "endpoints: [127.0.0.1:1], tls: {ca: certs/ca.pem, cert: certs/gateway.pem, key: certs/gateway.key, name: app.internal}, proxy_protocol: v2",
        &[
            "protocol: HTTP/1.1 with TLS: they prove app.internal by certs/ca.pem, we show certs/gateway.pem; connections begin with a PROXY protocol header, version 2",
        ],
    );
    check_service(
        "endpoints: [127.0.0.1:1], protocol: auto, tls: {ca: certs/ca.pem}",
        &[
            "protocol: HTTP/2 if they agree to it, else HTTP/1.1 with TLS: they prove the endpoint's name by certs/ca.pem",
        ],
    );
}

/// The lines of the split, and the services that are told of after it.
#[track_caller]
fn check_split(by: &str, method: &str, headers: &[&str], expected: &[&str], services: &[&str]) {
    let settings = format!(
        "listen: :80\nservices: {{replica: {{endpoints: [127.0.0.1:1]}}, primary: {{endpoints: [127.0.0.1:2]}}}}\n\
         routes: [{{match: /*, to: {{read: replica, write: primary, read_after_write: {by}}}}}]\n"
    );
    let explained = explain_with(&settings, method, "/", headers);
    let taken = explained.taken.expect("there is a route");
    let split = taken.stages.iter().find(|stage| stage.name == "split").expect("it is split");
    assert_eq!(split.does, expected);
    let told: Vec<_> = taken.stages.iter().filter(|stage| stage.name == "forward").collect();
    let told: Vec<_> =
        told.iter().map(|stage| stage.does[0].split([' ', ':']).nth(2).unwrap_or("")).collect();
    assert_eq!(told, services);
}

#[test]
fn where_a_request_reads_or_writes_is_told() {
    let stay = "a client that has written reads from primary for 5s, known by the cookie forebay_wrote";
    check_split("off", "HEAD", &[], &["HEAD reads: to service replica"], &["replica"]);
    check_split("5s", "POST", &[], &["POST writes: to service primary", stay], &["primary"]);
    check_split(
        "5s",
        "GET",
        &["Cookie: a=b"],
        &[
            "GET reads: to service replica",
            stay,
            "this request is without the cookie forebay_wrote: nobody known to have written",
        ],
        &["replica"],
    );
    check_split(
        "5s",
        "GET",
        &["Cookie: a=b; forebay_wrote=1"],
        &[
            "GET reads: to service replica",
            stay,
            "this request has the cookie forebay_wrote: to primary if it wrote within 5s",
        ],
        &["replica", "primary"],
    );
    check_split(
        "{stay: 1m, header: X-User}",
        "GET",
        &["x-user: 7"],
        &[
            "GET reads: to service replica",
            "a client that has written reads from primary for 1m, known by the header x-user",
            "this request has the header x-user: to primary if it wrote within 1m",
        ],
        &["replica", "primary"],
    );
}
