//! `forebay load` as it is typed: what is wrong is told with places and remedies, and the exit status says whether
//! the line or the plan is wrong.

use std::process::{Command, Output};

use forebay_testkit::binary;
use forebay_testkit::scratch::Scratch;
use forebay_testkit::servers::run;
use serde_json::Value;

fn load(arguments: &[&str]) -> Output {
    run(Command::new(binary!()).arg("load").args(arguments))
}

fn check(arguments: &[&str], status: i32, part: &str) {
    let output = load(arguments);
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(status), "{arguments:?}: {said}");
    assert!(said.contains(part), "{arguments:?}: {said}");
}

#[test]
fn a_wrong_line_is_told_from_a_wrong_plan() {
    check(&["https://127.0.0.1/", "--ca", "nothing-here"], 2, "cannot read `nothing-here`");
    check(&["http://127.0.0.1:1/", "--streams", "2"], 2, "with HTTP/2 only");
    check(&["http://127.0.0.1:1/", "--insecure"], 2, "are not secured");
    check(&["http://127.0.0.1:1/", "--rate", "5", "--iterations", "9"], 2, "counted of users");
    check(&["http://127.0.0.1:1/", "-d", "@nothing-here"], 2, "cannot read `nothing-here`");
    check(&["http://127.0.0.1:1/", "--target", "http://127.0.0.1:2"], 2, "leave it out");
    check(&["nothing-here.yaml"], 1, "cannot be read");
    check(&["127.0.0.1:8080"], 1, "write `http://127.0.0.1:8080`");
    check(&["nothing-here.yaml", "-d", "body"], 2, "with a URL only");
    check(&["compare", "http://127.0.0.1:1/", "."], 2, "one side is a saved result");
    check(&["capacity", "http://127.0.0.1:1/"], 2, "something that must hold");
    check(&["replay", "nothing-here", "--target", "http://127.0.0.1:1"], 1, "cannot read nothing-here");
}

#[test]
fn a_plan_is_checked_without_being_run() {
    let scratch = Scratch::new("load-check");
    let right = scratch.write(
        "right.yaml",
        "target: http://127.0.0.1:1\nstages: 30s@50\nscenarios: [{steps: [{get: /}]}]\n",
    );
    let wrong = scratch.write(
        "wrong.yaml",
        "target: http://127.0.0.1:1\nsteges: 30s@50\nscenarios: [{steps: [{get: a}]}]\n",
    );
    let (right, wrong) = (right.display().to_string(), wrong.display().to_string());
    check(&["check", &right], 0, "1 scenario (1 step), 1 stage in 30s, about 1500 arrivals");
    check(&["check", &wrong], 1, "wrong.yaml:2:1: error: unknown key `steges`; did you mean `stages`?");
    check(&[&wrong], 1, "wrong.yaml:3:28: error: `a`: a path begins with `/`");
    let report: Value =
        serde_json::from_slice(&load(&["check", &wrong, "--json"]).stdout).expect("it is JSON");
    assert_eq!((report["ok"].as_bool(), report["errors"].as_u64()), (Some(false), Some(2)));
}

#[test]
fn the_schema_of_plans_is_json() {
    let schema: Value = serde_json::from_slice(&load(&["schema"]).stdout).expect("it is JSON");
    assert_eq!(schema["title"], "Forebay load plan");
    assert!(schema["properties"]["stages"].is_object() && schema["$defs"]["step"].is_object());
}

#[test]
fn scale_runs_the_plan_with_each_number_of_workers() {
    let scratch = Scratch::new("load-scale");
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let at = port.expect("a port is free");
    let settings = scratch.write(
        "gateway.yaml",
        format!("listen: {at}\nadmin: off\nworkers: ${{WORKERS}}\nroutes: [{{match: /, respond: 204}}]\n"),
    );
    let plan = scratch.write(
        "plan.yaml",
        format!(
            "target: http://{at}\nstages: 1s@2 users\nscenarios: [{{steps: [{{get: /}}]}}]\nprocesses:\n  gateway:\n    \
             command: [{}, run, -c, {}]\n    env: {{WORKERS: \"{{workers}}\"}}\n    ready: http://{at}/\n",
            binary!().display(),
            settings.display()
        ),
    );
    let plan = plan.display().to_string();
    let output = load(&["scale", &plan, "--counts", "1,2", "--json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // A busy machine makes runs invalid, but they are made.
    assert!(matches!(output.status.code(), Some(0 | 4)), "{said}");
    let rows: Value = serde_json::from_slice(&output.stdout).expect("it is JSON");
    let workers: Vec<_> =
        (0..2).map(|row| rows[row]["reached"]["workers"].as_u64().unwrap_or_default()).collect();
    assert_eq!(workers, [1, 2], "{rows}");
    assert!(rows[1]["reached"]["rate"].as_f64().is_some_and(|rate| rate > 0.0), "{rows}");
    assert_eq!(rows[0]["speedup"], 1.0);
    check(
        &["scale", "../../examples/load/smallest.yaml"],
        1,
        "no process of the plan has a number of workers",
    );
}

#[test]
fn a_condition_of_a_flag_that_could_never_hold_is_refused() {
    let line = |condition| ["http://127.0.0.1:1/shop", "--threshold", condition];
    check(
        &line("p(99){step:cart}<1s"),
        2,
        "--threshold: error: `p(99){step:cart}<1s`: there is no step `cart`",
    );
    check(&line("recovery<30s"), 2, "the plan breaks nothing");
    let slo = ["capacity", "http://127.0.0.1:1/shop", "--slo", "p(99){stage:peak}<1s"];
    check(&slo, 2, "--slo: error: `p(99){stage:peak}<1s`: there is no stage `peak`");
}
