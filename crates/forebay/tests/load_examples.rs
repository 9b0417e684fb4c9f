//! The plans in `examples/load` against `forebay demo`: they can be run as they are, and every request of a run is
//! accounted for.

use std::path::PathBuf;
use std::process::Command;

use forebay_testkit::binary;
use forebay_testkit::gateway::Gateway;
use forebay_testkit::servers::run;
use serde_json::Value;

fn demo() -> Gateway {
    let anywhere = ["demo", "--seconds", "0", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"];
    Gateway::start_with(env!("CARGO_BIN_EXE_forebay"), &anywhere)
}

/// What a shortened run of an example found.
fn found(demo: &Gateway, example: &str, amount: &[&str]) -> Value {
    let plan = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/load").join(example);
    let target = format!("http://{}{}", demo.addr(), if example == "shop.yaml" { "/shop" } else { "" });
    let mut command = Command::new(binary!());
    command.arg("load").arg(plan).args(["--target", &target, "--json"]).args(amount);
    let output = run(&mut command);
    let said = String::from_utf8_lossy(&output.stderr);
    // So short a run proves nothing of its thresholds, and a busy machine makes it invalid: it is the counts that count.
    assert!(matches!(output.status.code(), Some(0 | 3 | 4 | 5)), "{example}: {said}");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{example}: no JSON: {error}: {said}"))
}

/// Whatever was planned is in one place, and nothing went wrong on a shop that does nothing wrong.
fn check(example: &str, amount: &[&str]) {
    let demo = demo();
    let found = found(&demo, example, amount);
    let summary = &found["summary"];
    let count = |name: &str| summary[name].as_u64().unwrap_or_else(|| panic!("no {name}: {summary}"));
    let (planned, ok, errors) = (count("planned"), count("ok"), count("errors"));
    assert!(planned > 0 && errors == 0, "{example}: {summary}");
    assert_eq!(planned, ok + errors + count("timeouts") + count("not_started"), "{example}: {summary}");
    let statuses = summary["statuses"].as_object().expect("a map of statuses");
    assert!(statuses.keys().all(|status| status.starts_with('2')), "{example}: {summary}");
    assert_eq!(demo.metric("forebay_requests_unrouted_total"), 0.0, "{example}");
    assert!(demo.metric("forebay_requests_total") >= ok as f64, "{example}");
}

#[test]
fn the_shop_is_visited_and_bought_in() {
    check("shop.yaml", &["--rate", "40", "--for", "2s", "--warmup", "1s"]);
}

#[test]
fn the_smallest_plan_does_something() {
    check("smallest.yaml", &["--for", "1s"]);
}

#[test]
fn users_come_back_once_they_are_answered() {
    check("users.yaml", &["--users", "20", "--for", "2s"]);
}
