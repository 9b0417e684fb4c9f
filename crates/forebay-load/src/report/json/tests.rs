//! Results as JSON: described, read back as they were, and refused politely when they are something else.

use serde_json::{Value, json};

use super::super::synthetic::{Story, hostile, outcome, with_lab};
use super::*;

fn schema() -> Value {
    serde_json::from_str(include_str!("../../../../../docs/reference/load-result.schema.json"))
        .expect("it is JSON")
}

fn document(outcome: &Outcome) -> Value {
    serde_json::from_str(&write(outcome)).expect("it is JSON")
}

#[test]
fn what_is_written_is_what_the_schema_says() {
    for outcome in [outcome(&Story::calm()), with_lab()] {
        assert_eq!(schema::problems(&schema(), &document(&outcome)), Vec::<String>::new());
    }
}

#[test]
fn a_baseline_is_described_and_read_back() {
    use crate::compare::{Run, Settings, gate};

    let run = Run { p99: Some(0.1), planned: 100, ..Run::default() };
    for (saved, bounds) in [(6, 2), (2, 0)] {
        let mut outcome = outcome(&Story::calm());
        let gate = gate(&vec![run; saved], &[run], &Settings::default());
        assert_eq!(gate.bounds.len(), bounds);
        outcome.verdict = outcome.verdict.against(gate);
        assert_eq!(schema::problems(&schema(), &document(&outcome)), Vec::<String>::new());
        let read = read(&write(&outcome)).expect("it was written by us");
        let told = |outcome: &Outcome| {
            outcome.verdict.baseline.as_ref().map(|gate| (gate.kind, gate.reasons.clone()))
        };
        assert_eq!(told(&read), told(&outcome));
    }
}

#[test]
fn the_schema_notices_what_is_wrong() {
    let check = |change: fn(&mut Value), problem: &str| {
        let mut document = document(&outcome(&Story::calm()));
        change(&mut document);
        let found = schema::problems(&schema(), &document);
        assert!(found.iter().any(|found| found == problem), "{problem}: {found:?}");
    };
    check(|document| document["format"] = json!(2), "$.format: 2 is not 1");
    check(|document| document["new"] = json!(2), "$.new: is not described");
    check(|document| document["took"]["secs"] = json!(-1), "$.took.secs: -1 is out of range");
    check(
        |document| document["series"][0]["stages"][0]["response"] = json!("%"),
        "$.series[0].stages[0].response: does not match \"^[A-Za-z0-9+/]*={0,2}$\"",
    );
    check(
        |document| document["summary"]["errors_by_kind"]["odd"] = json!(1),
        "$.summary.errors_by_kind.odd: \"odd\" is none of [\"status\",\"check\",\"capture\",\"connect_refused\",\"connect_failed\",\"reset\",\"closed\",\"truncated\",\"protocol\",\"body_too_long\",\"out_of_sockets\",\"template\"]",
    );
    check(|document| drop(document.as_object_mut().and_then(|all| all.remove("lab"))), "$: has no lab");
}

#[test]
fn what_was_written_is_read_back() {
    for outcome in [outcome(&Story::stalled()), with_lab(), hostile()] {
        let text = write(&outcome);
        let read = read(&text).expect("it was written by us");
        assert_eq!(document(&read)["summary"], document(&outcome)["summary"]);
        assert_eq!(read.total().judged(), outcome.total().judged());
        assert_eq!((&read.name, &read.lab.episodes.len()), (&outcome.name, &outcome.lab.episodes.len()));
        assert!(read.verdict == outcome.verdict, "the verdict is another one");
    }
}

#[test]
fn the_summary_adds_up() {
    let summary = &document(&outcome(&Story::stalled()))["summary"];
    let number = |name: &str| summary[name].as_u64().expect("it is a count");
    assert_eq!(
        number("planned"),
        number("ok") + number("errors") + number("timeouts") + number("not_started")
    );
    assert!(summary["response_ms"]["p99"].as_f64() > summary["service_ms"]["p99"].as_f64());
    assert_eq!(summary["response_ms"]["at_least"], json!(["max"]));
}

#[test]
fn other_files_are_refused_politely() {
    let written = write(&outcome(&Story::calm()));
    for (text, why) in [
        ("", "not JSON of a result"),
        ("{\"metrics\": {}}", "it has no `format`"),
        ("{\"format\": 7}", "it is of format 7, this program reads format 1"),
        ("{\"format\": 1}", "not a complete result"),
        ("[1, 2]", "not"),
        (written.trim_end().trim_end_matches('}'), "not JSON"),
        (written.replace("\"seed\": 7", "\"seed\": -7").as_str(), "not a complete result"),
    ] {
        let error = read(text).expect_err("it is no result");
        assert!(error.contains(why), "{error}");
    }
}

#[test]
fn results_that_do_not_add_up_are_refused() {
    let check = |change: fn(&mut Value), why: &str| {
        let mut document = document(&outcome(&Story::calm()));
        change(&mut document);
        let error = read(&document.to_string()).expect_err("it does not add up");
        assert!(error.contains(why), "{error}");
    };
    check(|document| document["series"][0]["stages"][0]["planned"] = json!(1), "in no bucket");
    check(|document| document["series"][0]["stages"][0]["ok"] = json!(u64::MAX), "out of range");
    check(|document| drop(document["stages"].as_array_mut().and_then(Vec::pop)), "one result for each stage");
    check(|document| document["stages"][0]["from"] = json!(-1.0), "a rate is out of range");
    check(|document| document["timeline"][0]["start_ms"] = json!(u64::MAX), "out of range");
    check(|document| document["timeline"][0]["heat"] = Value::from(vec![0; 49]), "out of range");
}
