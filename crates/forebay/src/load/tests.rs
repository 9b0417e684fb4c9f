//! Whole plans: what they come to, and what is said about mistakes in them.

use std::path::Path;
use std::time::Duration;

use forebay_load::plan::{Arrivals, Body, Http2, Model, Stage, When};
use forebay_testkit::scratch::Scratch;

use super::*;

mod conditions;
mod flags;
mod meaning;
mod mistakes;
mod registry;

/// A plan that is right, to which tests add a line.
const BASE: &str = "\
target: http://127.0.0.1:8080
stages: 30s@50
scenarios: [{steps: [{get: /}]}]
";

fn read_with(text: &str, base: &Path, changes: &Changes) -> Result<Loaded, Vec<Problem>> {
    load_text("plan.yaml", text, Surroundings { env: &|_| None, base: Some(base) }, changes)
}

fn load_ok(text: &str) -> Plan {
    let read = read_with(text, Path::new("/nowhere"), &Changes::default());
    let loaded = read.unwrap_or_else(|problems| panic!("{text}\n{}", lines(&problems).join("\n")));
    assert_eq!(lines(&loaded.warnings), [""; 0], "{text}");
    loaded.plan
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// The problems of a text, without the name of the file.
fn problems(text: &str) -> Vec<String> {
    let read = read_with(text, Path::new("/nowhere"), &Changes::default());
    let found = read.map_or_else(|problems| problems, |loaded| loaded.warnings);
    lines(&found).iter().map(|line| line.trim_start_matches("plan.yaml:").to_owned()).collect()
}

/// Stages in short: name, seconds, from, to.
fn stages(plan: &Plan) -> Vec<(&str, u64, f64, f64)> {
    let short = |stage: &Stage| (stage.length.as_secs(), stage.from, stage.to);
    plan.stages
        .iter()
        .map(|stage| (stage.name.as_str(), short(stage).0, short(stage).1, short(stage).2))
        .collect()
}
