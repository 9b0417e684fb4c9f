//! What is said about mistakes.

use super::*;

fn check(line: &str, expected: &str) {
    assert_eq!(problems(&format!("{BASE}{line}\n")), [expected], "{line}");
}

fn check_step(step: &str, expected: &str) {
    let text = BASE.replace("{get: /}", step);
    assert_eq!(problems(&text), [expected], "{step}");
}

#[test]
fn an_unknown_key_is_named_with_the_one_that_was_meant() {
    check("see: 7", "4:1: error: unknown key `see`; did you mean `seed`?");
    check("threshold: []", "4:1: error: unknown key `threshold`; did you mean `thresholds`?");
    check("weight: 1", "4:1: error: unknown key `weight`; it is a key of `scenario`");
    check_step("{got: /}", "3:23: error: unknown key `got`; did you mean `get`?");
}

#[test]
fn a_name_without_a_value_is_told_where_it_is_used() {
    let text = BASE.replace(
        "{get: /}",
        "{get: '/{{ idd }}', capture: {id: {json: $.id}}}, {get: '/{{ idd }}'}, {get: '/{{ id }}', body: '{{ x }}'}",
    );
    let none = "define it in `variables`, in a feeder, or with `capture` in an earlier step";
    assert_eq!(
        problems(&text),
        [
            format!("3:28: error: `idd` has no value here; {none}"),
            "3:78: error: `idd` has no value here; did you mean `id`?".to_owned(),
            format!("3:118: error: `x` has no value here; {none}"),
        ]
    );
}

#[test]
fn what_one_scenario_captured_is_not_there_for_another() {
    let text = "\
target: http://127.0.0.1:1
stages: 1s@1
scenarios:
  - steps: [{get: /, capture: {token: {header: x-token}}}]
  - steps: [{get: '/{{ token }}'}]
";
    assert_eq!(problems(text).len(), 1);
}

#[test]
fn mistakes_of_stages_are_told() {
    for (stages, expected) in [
        (
            "stages: 30s@",
            "2:9: error: `stages` cannot be `30s@`: `` is no number; write, for example, `50/s`, or `30s@50, 1m@50..200`; write, for example, `30s@50, 1m@50..200`",
        ),
        (
            "stages: 50",
            "2:9: error: `stages` cannot be `50`: it does not say for how long; write, for example, `30s@50, 1m@50..200`",
        ),
        (
            "stages: [{duration: 1s, rate: 1}, {duration: 1s, users: 1}]",
            "2:9: error: rates and users cannot be mixed; write all stages with `rate`, or all with `users`",
        ),
        ("stages: 30s@0", "2:9: error: nothing would be sent; give some stage a level above 0"),
        (
            "stages: [{duration: 1s, rate: 1, warmup: true}]",
            "2:9: error: nothing would be judged; add a stage without `warmup`",
        ),
        (
            "stages: [{duration: 1s, rate: 1, users: 2}]",
            "2:34: error: `users` cannot stand beside `rate`; keep one of `rate` and `users`",
        ),
        (
            "stages: [{rate: 1}]",
            "2:10: error: `duration` is missing in this stage; write, for example, `duration: 30s`",
        ),
        (
            "stages: [{duration: 1s, rate: 1/x}]",
            "2:31: error: `/x` is no unit of a rate; write `/s`, `/m` or `/h`",
        ),
        (
            "# none",
            "1:1: error: `stages` is missing in this file; write, for example, `stages: \"30s@50, 1m@50..200\"`, or give `--rate` or `--users`",
        ),
    ] {
        assert_eq!(problems(&BASE.replace("stages: 30s@50", stages)), [expected], "{stages}");
    }
    check(
        "iterations: 5",
        "4:1: error: `iterations` is counted of users, and these stages are rates; write stages with `users`, or leave it out",
    );
    let users = BASE.replace("30s@50", "30s@50 users");
    let warned = problems(&format!("{users}users_max: 5\n"));
    assert_eq!(
        warned,
        ["4:1: warning: `users_max` does nothing: the stages say how many users there are; leave it out"]
    );
}

#[test]
fn mistakes_of_steps_are_told() {
    check_step(
        "{get: /, post: /}",
        "3:31: error: `post` cannot stand beside `get`; keep one of `get`, `post`, `put`, `patch`, `delete`, `head`, `request`, `grpc` and `websocket`",
    );
    check_step(
        "{post: /, json: 1, body: x}",
        "3:41: error: `body` cannot stand beside `json`; keep one of `json`, `body`, `body_file`, `grpc` and `websocket`",
    );
    check_step("{get: items}", "3:28: error: `items`: a path begins with `/`");
    check_step(
        "{request: PURGE}",
        "3:32: error: `PURGE` is no method with a path; write, for example, `PURGE /cache`",
    );
    check_step(
        "{get: /, think: 3s..1s}",
        "3:38: error: `think` cannot be `3s..1s`: the shorter one comes first; write, for example, `1s` or `1s..3s`",
    );
    check_step(
        "{get: /, headers: {content-length: 1}}",
        "3:41: error: `content-length` follows from the body; leave it out",
    );
    check_step(
        "{post: /, body_file: nothing}",
        "3:43: error: cannot read the body in `nothing`: No such file or directory (os error 2)",
    );
    for (step, part) in [
        ("{grpc: {method: a.B/c}}", "write `http2: on`"),
        ("{grpc: {method: a.B}}", "is no service and method"),
        ("{grpc: {method: a.B/c, message: {hex: 0a0}}}", "pairs of hexadecimal digits"),
        ("{grpc: {method: a.B/c, message: {base64: '?'}}}", "is not base64"),
        ("{grpc: {method: a.B/c}, expect: {status: 200}}", "cannot stand beside"),
        ("{websocket: {path: /, send: a}, json: 1}", "cannot stand beside"),
        ("{websocket: {path: /}}", "`send`"),
        ("{websocket: {path: /, send: a, regex: '('}}", "not a regular expression"),
        ("{websocket: {path: /, send: '{{ none }}'}}", "`none`"),
        ("{get: '/{{ '}", "3:28: error:"),
        ("{get: '/a b'}", "percent-encode"),
        ("{get: /, headers: {\"a b\": 1}}", "cannot be the name of a header"),
        ("{get: /, headers: {a: \"b\\r\\nc: d\"}}", "the value of `a`"),
        ("{get: /, capture: {t: {json: \"$.[\"}}}", "error:"),
        ("{get: /, capture: {t: {regex: '('}}}", "error:"),
        ("{get: /, capture: {t: {}}}", "write one of `json`, `header` and `regex`"),
        ("{get: /, capture: {\"1 t\": {header: a}}}", "error:"),
        ("{get: /, expect: {status: 20}}", "not a status"),
        ("{get: /, expect: {json: {\"$.[\": true}}}", "error:"),
        ("{get: /, expect: {regex: '('}}", "error:"),
    ] {
        let found = problems(&BASE.replace("{get: /}", step));
        assert!(found.len() == 1 && found[0].contains(part), "{step}: {found:?}");
    }
}

#[test]
fn mistakes_of_the_rest_are_told() {
    for (target, part) in [
        ("ftp://a.test", "`ftp://` cannot be made"),
        ("wss://a.test", "a step `websocket`"),
        ("http://127.0.0.1/?a=b", "a target has no query"),
        ("127.0.0.1:8080", "write `http://127.0.0.1:8080`"),
        ("http://nothing.invalid", "cannot be looked up"),
        ("http://127.0.0.1\ntls: {insecure: true}", "are not secured"),
        ("http://127.0.0.1\nhttp2: auto\nstreams: 5", "with HTTP/2 only"),
        ("https://127.0.0.1\nhttp2: off\nconnections: 5", "with HTTP/2 only"),
        ("https://127.0.0.1\ntls: {insecure: true, ca: ca.pem}", "leave out `insecure` or `ca`"),
        ("https://127.0.0.1\ntls: {insecure: true, cert: a.pem}", "give both"),
        ("https://127.0.0.1\ntls: {ca: nothing-here.pem}", "nothing-here.pem`: No such file"),
        ("https://127.0.0.1\ntls: {insecure: true, name: a b}", "no name that a certificate can be for"),
    ] {
        let found = problems(&BASE.replace("http://127.0.0.1:8080", target));
        assert!(found.len() == 1 && found[0].contains(part), "{target}: {found:?}");
        assert!(found[0].starts_with("1:9: error"), "{found:?}");
    }
    let none = problems(&BASE.replace("target: http://127.0.0.1:8080\n", ""));
    assert!(none[0].contains("`target` is missing in this file"), "{none:?}");
    let found = problems(&format!("{BASE}thresholds: ['p(95)<100ms', 'p(101)<1s', fast]\n"));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("4:29: error") && found[1].starts_with("4:42: error"), "{found:?}");
    let found = problems(&format!("{BASE}feeders: {{a: none.csv}}\n"));
    assert_eq!(found, ["4:14: error: cannot feed from `none.csv`: No such file or directory (os error 2)"]);
    let never = problems(&BASE.replace("{steps:", "{weight: 0, steps:"));
    assert_eq!(never, ["3:12: error: no scenario is ever chosen; give one a `weight` above 0"]);
    assert_eq!(
        problems(""),
        [" error: the file is empty; write at least `target`, `stages` and `scenarios`"]
    );
}

#[test]
fn mistakes_of_the_lab_are_told() {
    check(
        "faults: [{at: 1s, kill: api}]",
        "4:25: error: there is no process `api`; add it to `processes`, or correct the name",
    );
    check(
        "processes: {api: {command: api, ready: localhost}}",
        "4:40: error: `localhost` is no address with a port, and no URL; write, for example, `127.0.0.1:3000`",
    );
    check(
        "processes: {api: {command: api}}\nfaults: [{at: 1s, kill: api}]\nrecovered: {errors: much%}",
        "6:21: error: `errors` cannot be `much%`; write a share, such as `0.1%`",
    );
    check(
        "watch: {api: {profile: 'http://127.0.0.1:1'}}",
        "4:14: error: this watch does nothing yet; write one of `process`, `pid` and `port`",
    );
}

#[test]
fn a_slip_is_told_once() {
    let text = BASE.replace("stages:", "steges:").replace("target:", "tarqet:");
    assert_eq!(
        problems(&text),
        [
            "1:1: error: unknown key `tarqet`; did you mean `target`?",
            "2:1: error: unknown key `steges`; did you mean `stages`?",
        ]
    );
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = "\
target: ftp://a
stages: [{duration: 10, rate: 50}]
seed: -1
scenarios:
  - steps: [{get: /, tmeout: 1s}, {post: '/{{ a }}'}]
";
    assert_eq!(problems(text).len(), 5, "{:#?}", problems(text));
}

#[test]
fn what_is_written_once_for_two_places_is_shared_by_keys_that_plans_have() {
    let found = problems(&BASE.replace("{get: /}", "{get: /, headers: &h {a: b}}"));
    let fix =
        "write it out; what all steps have in common goes to `headers`, `variables` and `timeout` at the top";
    assert_eq!(found, [format!("3:40: error: anchors (`&name`) are not accepted; {fix}")]);
    let other = tree("config: &c {target: http://a}\n").expect_err("it has an anchor");
    assert_eq!(other, ["line 1, column 9: anchors (`&name`) are not accepted; write it out"]);
}

#[test]
fn a_variable_that_cannot_be_filled_in_is_told() {
    let hint = "a variable may use those above it; what is fed or captured is used in steps";
    check("variables: {a: '{{ b }}', b: '1'}", &format!("4:16: error: `b` has no value here; {hint}"));
    check("variables: {a: '{{ a }}'}", &format!("4:16: error: `a` has no value here; {hint}"));
    check(
        "variables: {base: a, b: '{{ bse }}'}",
        "4:25: error: `bse` has no value here; did you mean `base`?",
    );
    check(
        "variables: {a: '{{ $uuid }}'}",
        "4:16: error: variables do not change, so none can be another value each time; write what begins with `$` \
         where it is used",
    );
    let twice: Vec<String> =
        (1..40).map(|n| format!("v{n}: '{{{{ v{0} }}}}{{{{ v{0} }}}}'", n - 1)).collect();
    let found = problems(&format!("{BASE}variables: {{v0: abcdefgh, {}}}\n", twice.join(", ")));
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("the value has 131072 bytes; at most 65536 are accepted"), "{found:?}");
}

#[test]
fn nothing_is_not_taken_for_anything() {
    let expect = |value: &str| {
        problems(&BASE.replace("{get: /}", &format!("{{get: /, expect: {{json: {{$.x: {value}}}}}}}")))
    };
    let warned = "3:47: warning: `$.x` is expected to be null; for anything write `*`, for null write `null`";
    assert_eq!(expect("~"), [warned]);
    assert_eq!(expect(""), [warned]);
    assert_eq!(expect("null"), [""; 0]);
    assert_eq!(expect("'*'"), [""; 0]);
}
