//! Artillery scripts, given as JSON.

use serde_json::{Value, json};

use super::super::{Draft, Refused, Tree, artillery};
use super::check_refused;

fn parse(script: &Value) -> Result<Draft, Refused> {
    artillery::parse(&Tree::of_json(script))
}

/// A script with this `config` besides a target and a phase, and this flow.
fn script(config: Value, flow: Value) -> Value {
    let mut script = json!({
        "config": {"target": "http://shop.test", "phases": [{"duration": 60, "arrivalRate": 5}]},
        "scenarios": [{"flow": flow}],
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut script["config"], config) {
        all.extend(more);
    }
    script
}

/// The steps of a flow as they stand in the plan.
#[track_caller]
fn check(flow: Value, expected: &[&str]) {
    let draft = parse(&script(json!({}), flow)).unwrap();
    let steps: Vec<_> = draft.yaml.lines().filter_map(|line| line.strip_prefix("      - ")).collect();
    assert_eq!(steps, expected);
}

#[test]
fn a_script_becomes_a_plan() {
    let script = json!({
        "config": {
            "target": "http://shop.test/",
            "phases": [
                {"duration": "1m", "arrivalRate": 5, "name": "warm up"},
                {"duration": 60, "arrivalRate": 5, "rampTo": 50, "maxVusers": 100},
                {"pause": 10},
                {"duration": 60, "arrivalCount": 30},
            ],
            "payload": {"path": "users.csv", "fields": ["name", "password"], "order": "sequence"},
            "variables": {"base": "v1"},
            "http": {"timeout": 5},
            "defaults": {"headers": {"x-env": "{{ $processEnvironment.STAGE }} costs ${5}"}},
            "ensure": {"thresholds": [{"http.response_time.p95": 250}], "maxErrorRate": 1},
            "plugins": {"expect": {}},
        },
        "scenarios": [
            {"name": "browse", "weight": 3, "flow": [{"get": {"url": "/"}}]},
            {"flow": [{"post": {"url": "/login", "json": {"name": "{{ name }}", "n": 1, "id": "{{ $randomNumber(1, 9) }}"}}}]},
        ],
    });
    let draft = parse(&script).unwrap();
    let lines: Vec<_> = draft.yaml.lines().filter(|line| !line.starts_with('#')).collect();
    assert_eq!(
        lines,
        [
            "target: \"http://shop.test\"",
            "stages:",
            "  - {duration: 1m, rate: 5/s, name: \"warm up\"}",
            "  - {duration: 1m, rate: 5/s, to: 50/s}",
            "  - {duration: 10s, rate: 0/s}",
            "  - {duration: 1m, rate: 0.5/s}",
            "users_max: 100",
            "headers: {x-env: \"${STAGE} costs $${5}\"}",
            "timeout: 5s",
            "variables: {base: \"v1\"}",
            "feeders:",
            "  payload1: {columns: [\"name\", \"password\"], file: \"users.csv\", order: sequential}",
            "scenarios:",
            "  - name: \"browse\"",
            "    weight: 3",
            "    steps:",
            "      - {get: \"/\"}",
            "  - name: \"scenario 2\"",
            "    steps:",
            "      - {post: \"/login\", json: {\"id\":\"{{ $random(1, 9) }}\",\"n\":1,\"name\":\"{{ name }}\"}}",
            "thresholds:",
            "  - \"errors<=1%\"",
            "  - \"p(95)<250ms\"",
        ]
    );
    assert_eq!(draft.notes.len(), 7, "{:?}", draft.notes);
}

#[test]
fn requests_become_steps() {
    check(
        json!([
            {"think": 1},
            {"get": {"url": "http://shop.test/items?a=1", "qs": {"q": "a b", "id": "{{id}}"}, "name": "items", "followRedirect": false}},
            {"think": "500ms"},
            {"think": 2},
            {"options": {"url": "{{ target }}/x y#z"}},
            {"log": "done"},
        ]),
        &[
            r#"{get: "/items?a=1&id={{ id }}&q=a+b", name: "items", think: 2s500ms}"#,
            r#"{request: "OPTIONS /x%20y"}"#,
        ],
    );
    check(
        json!([{"post": {"url": "/a", "form": {"u": "a&b", "p": "{{ p }}"}, "auth": {"user": "u", "pass": "p"}, "cookie": {"c": "1"}}}]),
        &[
            r#"{post: "/a", body: "p={{ p }}&u=a%26b", headers: {authorization: "Basic dTpw", cookie: "c=1", content-type: "application/x-www-form-urlencoded"}}"#,
        ],
    );
    check(
        json!([{"get": {
            "url": "/a",
            "capture": [{"json": "$.id", "as": "id"}, {"header": "etag", "as": "tag"}, {"regexp": "id=(\\d+)", "as": "n", "group": 1}],
            "expect": [{"statusCode": [200, 201]}, {"contentType": "json"}, {"hasProperty": "a.b"}, {"hasHeader": "etag"}],
        }}]),
        &[concat!(
            r#"{get: "/a", capture: {id: {json: "$.id"}, tag: {header: "etag"}, n: {regex: "id=(\\d+)"}}, "#,
            r#"expect: {status: [200, 201], header: {content-type: "json", etag: "*"}, json: {"$.a.b": "*"}}}"#
        )],
    );
    check(
        json!([{"loop": [{"get": {"url": "/a"}}, {"think": 1}], "count": 2}]),
        &[r#"{get: "/a", think: 1s}"#, r#"{get: "/a", think: 1s}"#],
    );
}

#[test]
fn everything_without_a_counterpart_is_named_at_once() {
    let mut script = script(
        json!({
            "processor": "./functions.js",
            "plugins": {"fuzzer": {}},
            "environments": {"prod": {}, "test": {}},
            "tls": {"rejectUnauthorized": false},
            "http": {"pool": 10},
            "variables": {"color": ["red", "blue"]},
            "ensure": {"conditions": [{"expression": "a"}]},
            "payload": {"fields": ["a"]},
        }),
        json!([
            {"function": "makeUser"},
            {"loop": [{"get": {"url": "/"}}], "whileTrue": "again"},
            {"parallel": []},
            {"get": {"url": "/", "beforeRequest": "sign", "ifTrue": "x"}},
            {"get": {"url": "http://other.test/"}},
            {"get": {"url": "/{{ $randomString(8) }}"}},
            {"get": {"url": "/", "capture": {"xpath": "//a", "as": "x"}}},
            {"get": {"url": "/", "expect": {"equals": ["a", "b"]}}},
            {"post": {"url": "/", "formData": {"f": "x"}}},
            {"get": {}},
        ]),
    );
    script["before"] = json!({"flow": []});
    script["scenarios"][0]["engine"] = json!("ws");
    check_refused(
        parse(&script),
        &[
            "`processor`",
            "the plugin fuzzer",
            "environments (prod, test)",
            "`config.tls`",
            "`config.http.pool`",
            "variables: color",
            "ensure: conditions",
            "a payload has no `path`",
            "function: makeUser",
            "loop: whileTrue",
            "a loop without a count",
            "flow: parallel",
            "beforeRequest: sign",
            "get: ifTrue",
            "`http://other.test/` is not a path",
            "{{ $randomString(8) }}",
            "capture: xpath",
            "expect: equals",
            "post: formData",
            "a request has no `url`",
            "`before`",
            "engine: ws",
        ],
    );
    check_refused(parse(&json!([])), &["is a map"]);
    check_refused(parse(&json!({})), &["no `scenarios`", "config.phases"]);
}

#[test]
fn a_loop_is_written_out_only_so_far() {
    let inner =
        json!({"loop": [{"loop": [{"get": {"url": "/"}}], "count": 1_000_000_000}], "count": 1_000_000_000});
    check_refused(parse(&script(json!({}), json!([inner]))), &["at most 100"]);
    let idle = json!({"loop": [{"log": "x"}], "count": 1_000_000_000});
    check_refused(parse(&script(json!({}), json!([idle]))), &["sends nothing"]);
}
