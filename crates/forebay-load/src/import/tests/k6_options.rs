//! Options of k6 scripts.

use super::super::k6::parse;
use super::check_refused;

/// The draft without its first line.
#[track_caller]
fn check(options: &str, expected: &[&str]) {
    let draft = parse(options).unwrap();
    let lines: Vec<_> = draft.yaml.lines().skip(1).collect();
    assert_eq!(lines, expected);
    assert_eq!(draft.notes.len(), lines.iter().filter(|line| line.starts_with("# - ")).count());
}

#[test]
fn shortcuts_are_scenarios() {
    check(
        r#"{"stages": [{"duration": "30s", "target": 50}, {"duration": "0s", "target": 100}, {"duration": "1m30s", "target": 0}]}"#,
        &[
            "target: http://127.0.0.1:8080",
            "stages:",
            "  - {duration: 30s, users: 1, to: 50}",
            "  - {duration: 1m30s, users: 100, to: 0}",
            "grace: 30s",
            "scenarios:",
            "  - steps:",
            "      - {get: /}",
        ],
    );
    check(
        r#"{"vus": 10, "iterations": 100, "noConnectionReuse": true, "userAgent": "x", "tags": {"team": "shop"}, "paused": null}"#,
        &[
            "target: http://127.0.0.1:8080",
            "stages:",
            "  - {duration: 10m, users: 10}",
            "iterations: 100",
            "keep_alive: false",
            "tags: {team: \"shop\"}",
            "headers: {user-agent: \"x\"}",
            "grace: 30s",
            "scenarios:",
            "  - steps:",
            "      - {get: /}",
        ],
    );
}

#[test]
fn scenarios_in_a_row_are_stages() {
    check(
        r#"{"scenarios": {
            "calm": {"executor": "constant-arrival-rate", "rate": 300, "timeUnit": "1m", "duration": "1m", "preAllocatedVUs": 5, "maxVUs": 50, "exec": "browse"},
            "rush": {"executor": "ramping-arrival-rate", "startTime": "90s", "startRate": 10, "gracefulStop": "5s", "preAllocatedVUs": 100, "stages": [{"duration": "10s", "target": 100}]}},
          "thresholds": {"http_req_duration{expected_response:true}": ["p(95)<500"], "http_req_failed": [{"threshold": "rate<0.01", "abortOnFail": true}]}}"#,
        &[
            "# - `abortOnFail` of `http_req_failed` is left out: the run goes on",
            "# - scenario `calm`: write the requests of the function `browse`",
            "# - arrivals wait for a user where k6 would drop them; the wait counts",
            "target: http://127.0.0.1:8080",
            "stages:",
            "  - {duration: 1m, rate: 5/s, name: \"calm\"}",
            "  - {duration: 30s, rate: 0/s}",
            "  - {duration: 10s, rate: 10/s, to: 100/s, name: \"rush\"}",
            "users_max: 100",
            "grace: 30s",
            "scenarios:",
            "  - steps:",
            "      - {get: /}",
            "thresholds:",
            "  - \"p(95)<500ms\"",
            "  - \"errors<1%\"",
        ],
    );
}

#[test]
fn everything_without_a_counterpart_is_named_at_once() {
    check_refused(
        parse(
            r#"{"rps": 100, "hosts": {"a": "b"}, "insecureSkipTLSVerify": false, "scenarios": {
                "a": {"executor": "constant-vus", "vus": 1, "duration": "1m", "env": {"X": "1"}},
                "b": {"executor": "constant-arrival-rate", "rate": 1, "duration": "1m", "preAllocatedVUs": 1},
                "c": {"executor": "externally-controlled"},
                "d": {"executor": "ramping-vus", "stages": [{"duration": "x", "target": 1}]},
                "e": {}},
              "thresholds": {"iteration_duration": ["p(95)<1"], "http_req_duration{group:::x}": ["p(95)<1"]}}"#,
        ),
        &[
            "`rps`",
            "`hosts`",
            "scenario `a`: `env`",
            "`a` and `b` run at the same time",
            "`a` and `b` mix rates and users",
            "`externally-controlled`",
            "scenario `d`: `duration` is not a duration",
            "scenario `e` has no `executor`",
            "iteration_duration",
            "`group` cannot be selected",
        ],
    );
    check_refused(parse("{}"), &["nothing says how much is sent"]);
    check_refused(parse("[]"), &["JSON object"]);
    check_refused(parse("export const options = {}"), &["not JSON"]);
    check_refused(parse(r#"{"vus": 5, "duration": "0s"}"#), &["takes no time"]);
}
