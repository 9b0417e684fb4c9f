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
    let args = cli::Explain {
        method: method.to_owned(),
        url: url.to_owned(),
        headers: headers.iter().map(|line| (*line).to_owned()).collect(),
        config: "forebay.yaml".into(),
        json: false,
    };
    let loaded = config::load_str(SETTINGS).expect("the settings are right");
    Explained::find(&Request::parse(&args).expect("the request is right"), &loaded.plan)
}

fn shown(method: &str, url: &str, headers: &[&str]) -> Vec<String> {
    let mut buffer = Vec::new();
    explain(method, url, headers).show(&mut Output::new(&mut buffer, false)).expect("a buffer takes all");
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
            "route       api  (match: shop.test/api/*)",
            "limits      body at most 1MiB, head at most 32KiB",
            "record      5% of requests to a.jsonl, with bodies up to 1KiB, until it has 100MiB",
            "request     remove x-c",
            "            set x-a: b",
            "rewrite     target becomes /a?b",
            "            host becomes inner.test",
            "forward     to service app, 95 of 100 requests: the less loaded of two of 127.0.0.1:3000, 127.0.0.1:3001",
            "              timeouts: connect 1s, first byte 1m, idle 1m, total 30s",
            "              pool: at most 2048 connections to an endpoint; 512 idle ones kept by each worker, for 4s",
            "            to service next, 5 of 100 requests: in turn app.test:3000 (weight 3), app.test:3001 (weight 1)",
            "              timeouts: connect 2s, first byte 1m, idle 1m, total 30s",
            "              pool: at most 2048 connections to an endpoint; 512 idle ones kept by each worker, for 4s",
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
