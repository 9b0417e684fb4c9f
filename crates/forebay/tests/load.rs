//! `forebay load` from outside: what it counts is what the server counted, and its exit status says what came of
//! it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebay_testkit::binary;
use forebay_testkit::check::eventually;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::scripted::{How, Refusing, Reply, Scripted};
use forebay_testkit::servers::{run, tool};
use serde_json::Value;

/// A limit on time so wide that a busy machine cannot make the generator too late for it.
const WIDE: [&str; 2] = ["--threshold", "max<600s"];

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn load(arguments: &[&str]) -> Output {
    run(Command::new(binary!()).arg("load").args(arguments))
}

/// What a run found out, and its exit status.
struct Found {
    status: i32,
    result: Value,
    said: String,
}

/// Runs with `--json` and these arguments, split at spaces, and a wide limit on time.
fn found(arguments: &str, more: &[&str]) -> Found {
    let words: Vec<&str> =
        arguments.split(' ').chain(["--json"]).chain(WIDE).chain(more.iter().copied()).collect();
    found_of(&load(&words))
}

fn found_of(output: &Output) -> Found {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let result = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        panic!("no JSON: {error}: {}{said}", String::from_utf8_lossy(&output.stdout));
    });
    Found { status: output.status.code().expect("it ended by itself"), result, said }
}

impl Found {
    /// (planned, ok, errors, timeouts, not started) over all steps and stages, each of which must add up.
    fn buckets(&self) -> (u64, u64, u64, u64, u64) {
        let mut sum = (0, 0, 0, 0, 0);
        for tally in self.tallies() {
            let count = |name: &str| tally[name].as_u64().unwrap_or_else(|| panic!("no {name}: {tally}"));
            let errors: u64 = kinds(tally).values().sum();
            let (planned, ok) = (count("planned"), count("ok"));
            let (timeouts, not_started) = (count("timeouts"), count("not_started"));
            assert_eq!(planned, ok + errors + timeouts + not_started, "{tally}");
            sum.0 += planned;
            sum.1 += ok;
            sum.2 += errors;
            sum.3 += timeouts;
            sum.4 += not_started;
        }
        sum
    }

    fn tallies(&self) -> impl Iterator<Item = &Value> {
        let series = self.result["series"].as_array().expect("a list of steps");
        series.iter().flat_map(|series| series["stages"].as_array().expect("a list of stages"))
    }

    fn errors(&self) -> BTreeMap<String, u64> {
        let mut sum = BTreeMap::new();
        for (kind, count) in self.tallies().flat_map(kinds) {
            *sum.entry(kind).or_default() += count;
        }
        sum
    }

    fn verdict(&self) -> &str {
        self.result["verdict"]["kind"].as_str().expect("a verdict")
    }

    /// What it says of its verdict.
    fn reasons(&self) -> String {
        format!("{}: {}", self.result["verdict"]["reasons"], self.said)
    }
}

fn kinds(tally: &Value) -> BTreeMap<String, u64> {
    let errors = tally["errors"].as_object().expect("a map of errors");
    errors.iter().map(|(kind, count)| (kind.clone(), count.as_u64().expect("a count"))).collect()
}

fn errors_of(kind: &str, count: u64) -> BTreeMap<String, u64> {
    BTreeMap::from([(kind.to_owned(), count)])
}

#[test]
fn what_it_counts_is_what_the_server_counted() {
    let server = Scripted::start(|_| Reply::after(ms(5)));
    let found = found(&format!("{} --rate 200 --for 1s", server.url()), &[]);
    assert_eq!(found.buckets(), (200, 200, 0, 0, 0));
    assert_eq!((found.status, found.verdict()), (0, "pass"), "{}", found.reasons());
    let truth = server.truth();
    assert_eq!((truth.requests, truth.given(How::Whole), truth.faults.len()), (200, 200, 0));
    let summary = &found.result["summary"];
    assert_eq!((summary["planned"].as_u64(), summary["ok"].as_u64()), (Some(200), Some(200)), "{summary}");
    assert!(summary["response_ms"]["min"].as_f64() >= Some(5.0), "{summary}");
}

#[test]
fn stages_fit_on_the_command_line() {
    let server = Scripted::start(|_| Reply::now());
    let found = found(&server.url(), &["--rate", "500ms@40, 1s@40..160, 500ms@160"]);
    assert_eq!(found.buckets(), (200, 200, 0, 0, 0));
    let stages = found.result["stages"].as_array().expect("a list of stages");
    let planned: Vec<u64> =
        found.tallies().map(|tally| tally["planned"].as_u64().expect("a count")).collect();
    assert_eq!((stages.len(), planned), (3, vec![20, 100, 80]));
}

#[test]
fn warm_up_is_sent_but_not_judged() {
    let server =
        Scripted::start(|request| if request.number < 50 { Reply::now().status(500) } else { Reply::now() });
    // One user: requests reach the server in the order of the plan.
    let arguments = format!("{} --rate 100 --for 500ms --warmup 500ms --users-max 1", server.url());
    let found = found(&arguments, &["--threshold", "rate<1%"]);
    assert_eq!(found.buckets(), (100, 50, 50, 0, 0));
    assert_eq!(found.result["summary"]["planned"].as_u64(), Some(50), "{}", found.result["summary"]);
    assert_eq!(found.result["summary"]["errors"].as_u64(), Some(0), "{}", found.result["summary"]);
}

#[test]
fn users_run_as_many_iterations_as_they_are_told() {
    let server = Scripted::start(|_| Reply::after(ms(2)));
    let found = found(&format!("{} --users 5 --iterations 300 --for 60s", server.url()), &[]);
    assert_eq!(found.buckets(), (300, 300, 0, 0, 0));
    let truth = server.truth();
    assert_eq!((truth.requests, truth.connections), (300, 5));
}

#[test]
fn a_request_is_sent_as_it_was_asked_for() {
    let seen: Arc<Mutex<Option<String>>> = Arc::default();
    let log = Arc::clone(&seen);
    let server = Scripted::start(move |request| {
        let body = String::from_utf8_lossy(request.body);
        let fields = [request.header("x-kind"), request.header("host"), request.header("content-length")];
        let text = format!("{} {} {fields:?} {body}", request.method, request.target);
        *log.lock().expect("no panic under this lock") = Some(text);
        Reply::now()
    });
    let url = format!("{}/a/b?c=1", server.url());
    let more = ["-X", "PUT", "-H", "X-Kind: test", "-d", "hello world"];
    let found = found(&format!("{url} --users 1 --iterations 1"), &more);
    assert_eq!(found.buckets(), (1, 1, 0, 0, 0));
    let host = server.address().to_string();
    let expected = format!("PUT /a/b?c=1 {:?} hello world", [Some("test"), Some(&host), Some("11")]);
    assert_eq!(seen.lock().expect("no panic under this lock").as_deref(), Some(expected.as_str()));
}

#[test]
fn each_kind_of_error_has_its_name() {
    let kinds = [
        (How::Reset, "reset"),
        (How::Closed, "closed"),
        (How::Truncated, "truncated"),
        (How::Garbage, "protocol"),
    ];
    for (how, kind) in kinds {
        let server = Scripted::start(move |_| Reply::now().size(100).how(how));
        let found = found(&format!("{} --rate 50 --for 400ms", server.url()), &["--threshold", "rate<1%"]);
        assert_eq!((found.buckets(), found.errors()), ((20, 0, 20, 0, 0), errors_of(kind, 20)));
        assert_eq!((found.status, server.truth().requests), (3, 20), "{}", found.reasons());
    }
    let nobody = Refusing::start();
    let found = found(&format!("{} --rate 50 --for 400ms", nobody.url()), &["--threshold", "rate<1%"]);
    assert_eq!((found.buckets(), found.errors()), ((20, 0, 20, 0, 0), errors_of("connect_refused", 20)));
    assert_eq!((found.status, found.verdict()), (3, "fail"), "{}", found.reasons());
}

#[test]
fn who_does_not_answer_in_time_is_counted_so() {
    let server =
        Scripted::start(
            |request| {
                if request.number % 4 == 0 { Reply::now().how(How::Never) } else { Reply::now() }
            },
        );
    let arguments = format!("{} --rate 100 --for 1s --timeout 2s", server.url());
    let found = found(&arguments, &["--threshold", "rate<1%"]);
    assert_eq!((found.buckets(), found.status), ((100, 75, 0, 25, 0), 3), "{}", found.reasons());
}

#[test]
fn who_was_never_sent_is_not_forgotten() {
    let server = Scripted::start(|_| Reply::now().how(How::Never));
    let arguments = format!("{} --rate 100 --for 1s --users-max 10 --grace 200ms", server.url());
    let found = found(&arguments, &["--threshold", "rate<1%"]);
    assert_eq!((found.buckets(), found.status), ((100, 0, 0, 10, 90), 3), "{}", found.reasons());
    assert_eq!(server.truth().requests, 10);
}

#[test]
fn requests_that_fail_are_no_pass_though_nothing_was_said_of_errors() {
    let none = Scripted::start(|_| Reply::now().status(404));
    let some =
        Scripted::start(|request| Reply::now().status(if request.number % 2 == 0 { 503 } else { 200 }));
    for url in [none.url(), some.url()] {
        for thresholds in [&[][..], &["--threshold", "p(50)<300s"]] {
            let found = found(&format!("{url} --rate 100 --for 500ms"), thresholds);
            assert_eq!((found.status, found.verdict()), (3, "fail"), "{}", found.reasons());
        }
    }
}

#[test]
fn a_threshold_that_does_not_hold_fails_the_test() {
    let server =
        Scripted::start(|request| Reply::now().status(if request.number % 2 == 0 { 503 } else { 200 }));
    let found = found(&format!("{} --rate 100 --for 1s", server.url()), &["--threshold", "rate<10%"]);
    assert_eq!((found.status, found.verdict()), (3, "fail"), "{}", found.reasons());
    assert_eq!((found.buckets(), found.errors()), ((100, 50, 50, 0, 0), errors_of("status", 50)));
}

#[test]
fn too_few_samples_are_no_pass() {
    let server = Scripted::start(|_| Reply::now());
    let found = found(&format!("{} --rate 50 --for 1s", server.url()), &["--threshold", "p(99)<300s"]);
    assert_eq!((found.status, found.verdict()), (5, "inconclusive"), "{}", found.reasons());
}

#[test]
fn no_data_is_no_pass() {
    let nobody = Refusing::start();
    let found = found(&format!("{} --rate 50 --for 500ms", nobody.url()), &["--threshold", "p(95)<300s"]);
    assert_ne!(found.status, 0, "{}", found.reasons());
    assert_ne!(found.verdict(), "pass");
}

#[test]
fn a_generator_that_cannot_do_its_part_makes_the_run_invalid() {
    // 100 requests per second that take 2 s each need 200 connections.
    let server = Scripted::start(|_| Reply::after(ms(2000)));
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 40 && exec \"$@\"", "sh"]).arg(binary!()).arg("load").arg(server.url());
    command.args(["--rate", "100", "--for", "1s", "--json", "--threshold", "rate<1%"]).args(WIDE);
    let found = found_of(&run(&mut command));
    assert_eq!((found.status, found.verdict()), (4, "invalid"), "{}", found.reasons());
    let (planned, ok, ..) = found.buckets();
    assert_eq!((planned, ok), (100, server.truth().given(How::Whole)));
    assert_eq!(found.errors().keys().collect::<Vec<_>>(), ["out_of_sockets"]);
}

#[test]
fn a_wrong_command_line_says_so() {
    for line in ["", "http://127.0.0.1:1 --rate x", "http://127.0.0.1:1 --rate 1 --users 1", "nonsense://x"] {
        let words: Vec<&str> = line.split(' ').filter(|word| !word.is_empty()).collect();
        let output = load(&words);
        let status = output.status.code();
        assert!(matches!(status, Some(1 | 2)), "{line}: {status:?}");
        assert!(!output.stderr.is_empty(), "{line}");
    }
}

#[test]
fn interrupted_it_tells_what_it_has() {
    let server = Scripted::start(|_| Reply::now());
    let mut command = Command::new(binary!());
    command.args(["load", &server.url(), "--rate", "100", "--for", "10m", "--json"]).args(WIDE);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary can be run");
    server.await_requests(50);
    let interrupt = format!("kill -INT {}", child.id());
    assert!(run(Command::new("sh").arg("-c").arg(interrupt)).status.success());
    let found = found_of(&child.wait_with_output().expect("it ends"));
    let (planned, ok, ..) = found.buckets();
    assert!(planned >= 50 && ok >= 49, "{ok} of {planned}");
    assert_eq!(found.result["interrupted"].as_bool(), Some(true));
    assert_eq!((found.status, found.verdict()), (5, "inconclusive"), "{}", found.reasons());
}

/// A shop that gives each visitor a token, which the next request must bring.
fn shop() -> Scripted {
    let tokens: Arc<Mutex<Vec<String>>> = Arc::default();
    Scripted::start(move |request| {
        let mut tokens = tokens.lock().expect("no panic under this lock");
        match (request.method, request.target) {
            ("POST", "/v1/login") if request.body.starts_with(b"{") => {
                let token = format!("t{}", request.number);
                tokens.push(token.clone());
                Reply::after(ms(3)).body(format!("{{\"user\": {{\"token\": \"{token}\"}}}}"))
            }
            ("GET", "/v1/cart") => {
                let known = request.header("authorization").and_then(|value| {
                    let token = value.strip_prefix("Bearer ")?;
                    tokens.iter().position(|known| known == token)
                });
                Reply::now().status(if known.is_some() { 200 } else { 401 })
            }
            _ => Reply::now().status(404),
        }
    })
}

const PLAN: &str = r#"
target: TARGET/v1
name: shop
stages: "1s@100"
feeders:
  accounts: {file: accounts.csv}
scenarios:
  - name: buy
    steps:
      - post: /login
        name: login
        json: {email: "{{ email }}"}
        capture: {token: {json: $.user.token}}
      - get: /cart
        name: cart
        headers: {authorization: "Bearer {{ token }}"}
        expect: {status: 200}
thresholds:
  - max<600s
  - errors<5%
"#;

#[test]
fn a_plan_is_run_as_it_is_written() {
    let server = shop();
    let folder = Scratch::new("load");
    let rows: String = (0..30).map(|row| format!("user{row}@example.com\n")).collect();
    folder.write("accounts.csv", format!("email\n{rows}"));
    let plan = folder.write("plan.yaml", PLAN.replace("TARGET", &server.url()));
    let output = load(&[plan.to_str().expect("a path in ASCII"), "--json"]);
    let found = found_of(&output);
    assert_eq!((found.buckets(), found.status), ((200, 200, 0, 0, 0), 0), "{}", found.reasons());
    assert_eq!(server.truth().requests, 200);
    let names: Vec<&str> = found.result["series"]
        .as_array()
        .expect("a list of steps")
        .iter()
        .map(|series| series["step"].as_str().expect("a name"))
        .collect();
    assert_eq!(names, ["login", "cart"]);
}

#[test]
fn a_plan_with_mistakes_is_not_run() {
    let server = Scripted::start(|_| Reply::now());
    let folder = Scratch::new("load");
    let text = PLAN.replace("TARGET", &server.url()).replace("capture:", "captures:");
    folder.write("accounts.csv", "email\na\n");
    let plan = folder.write("plan.yaml", text);
    let plan = plan.to_str().expect("a path in ASCII");
    for arguments in [vec![plan], vec!["check", plan]] {
        let output = load(&arguments);
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(matches!(output.status.code(), Some(1 | 2)), "{arguments:?}: {said}");
        assert!(said.contains("captures") && said.contains(":13:"), "{said}");
    }
    assert_eq!(server.truth().connections, 0);
}

#[test]
fn results_can_be_read_by_programs() {
    let server = Scripted::start(|_| Reply::after(ms(2)));
    let folder = Scratch::new("load");
    let out = folder.path().join("out");
    let out_word = out.to_str().expect("a path in ASCII");
    let arguments = [&server.url(), "--rate", "100", "--for", "1s", "--out", out_word];
    let output = load(&[&arguments[..], &WIDE, &["--threshold", "errors<5%"]].concat());
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains("pass"), "{said}");
    let files = files_in(&out);
    let of = |ending: &str| {
        let file = files.iter().find(|file| file.ends_with(ending));
        let file = file.unwrap_or_else(|| panic!("no {ending} in {files:?}"));
        std::fs::read_to_string(out.join(file)).expect("it is text")
    };
    let result: Value = serde_json::from_str(&of(".json")).expect("JSON");
    assert_eq!(result["summary"]["planned"].as_u64(), Some(100));
    check_junit(&of(".xml"));
    check_hgrm(&of(".hgrm"));
    let page = of(".html");
    assert!(page.starts_with("<!doctype html>") || page.starts_with("<!DOCTYPE html>"), "{}", &page[..40]);
    for outside in ["src=\"http", "href=\"http", "@import", "url(http"] {
        assert!(!page.contains(outside), "the page needs {outside}");
    }
}

fn files_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder was made");
    entries.map(|entry| entry.expect("it can be read").file_name().to_string_lossy().into_owned()).collect()
}

/// Two thresholds held: two test cases, none failed, by the judgement of a real parser.
fn check_junit(text: &str) {
    let program = "import sys, xml.etree.ElementTree as e\n\
        root = e.fromstring(sys.stdin.read())\n\
        print(root.tag, len(list(root.iter('testcase'))) >= 2, len(list(root.iter('failure'))))";
    let mut python = Command::new(tool("python3"));
    python.arg("-c").arg(program).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().expect("python can be run");
    let mut stdin = child.stdin.take().expect("it was asked for");
    std::io::Write::write_all(&mut stdin, text.as_bytes()).expect("python reads");
    drop(stdin);
    let output = child.wait_with_output().expect("python ends");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.starts_with("testsuite") && said.trim().ends_with("True 0"), "{said}: {text}");
}

/// Percentiles go up, and the last line counts everyone.
fn check_hgrm(text: &str) {
    let rows = text.lines().filter(|line| !line.starts_with('#') && !line.contains("Value"));
    let rows: Vec<Vec<f64>> = rows
        .map(|line| line.split_whitespace().filter_map(|word| word.parse().ok()).collect())
        .filter(|row: &Vec<f64>| row.len() >= 3)
        .collect();
    assert!(rows.windows(2).all(|pair| pair[0][0] <= pair[1][0] && pair[0][1] <= pair[1][1]), "{text}");
    let last = rows.last().expect("there are rows");
    assert_eq!((last[1], last[2]), (1.0, 100.0), "{text}");
}

#[test]
fn a_result_that_was_saved_can_be_reported_later() {
    let server = Scripted::start(|_| Reply::now());
    let folder = Scratch::new("load");
    let saved = folder.path().join("run.json");
    let saved = saved.to_str().expect("a path in ASCII");
    let first = load(&[&server.url(), "--rate", "100", "--for", "500ms", "--save", saved, WIDE[0], WIDE[1]]);
    assert_eq!(first.status.code(), Some(0), "{}", String::from_utf8_lossy(&first.stderr));
    eventually("a saved result", || Path::new(saved).exists().then_some(()));
    let again = load(&["report", saved]);
    assert_eq!(again.status.code(), Some(0), "{}", String::from_utf8_lossy(&again.stderr));
    assert_eq!(server.truth().requests, 50, "nothing is sent for a report");
}

#[test]
fn when_nobody_reads_any_more_the_run_goes_on_and_is_judged_and_kept() {
    let server = Scripted::start(|_| Reply::now().status(404));
    let folder = Scratch::new("load");
    let saved = folder.path().join("run.json");
    let arguments = ["load", &server.url(), "--rate", "50", "--for", "1500ms", "--save"];
    let mut command = Command::new(binary!());
    command.args(arguments).arg(&saved).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("it can be run");
    drop(child.stdout.take());
    let status = child.wait().expect("it ends");
    assert_eq!(status.code(), Some(3), "nothing was answered as expected");
    let result: Value = serde_json::from_str(&folder.read("run.json")).expect("it was kept");
    assert_eq!((&result["verdict"]["kind"], &result["interrupted"]), (&"fail".into(), &false.into()));
}

#[test]
fn two_results_for_one_file_are_refused_before_anything_is_sent() {
    let server = Scripted::start(|_| Reply::now());
    let folder = Scratch::new("load");
    let (file, missing) = (folder.path().join("one"), folder.path().join("none/two"));
    let (file, missing) = (file.to_str().expect("ASCII"), missing.to_str().expect("ASCII"));
    let status =
        |more: &[&str]| load(&[&[server.url().as_str(), "--for", "1s"], more].concat()).status.code();
    assert_eq!(status(&["--save", file, "--report", file]), Some(2));
    assert_eq!(status(&["--save", file, "--report", missing]), Some(1));
    assert_eq!(server.truth().requests, 0);
    assert!(!Path::new(file).exists(), "it was only looked at");
}
