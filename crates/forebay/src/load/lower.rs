//! From checked values to a plan.

use std::path::Path;
use std::time::Duration;

use forebay_load::lab::Lab;
use forebay_load::plan::{Kind, Plan, SCENARIOS_MAX, Scenario};
use forebay_load::threshold::Threshold;

use super::changes::Changes;
use super::names::Names;
use super::target::{self, Url};
use super::{conditions, feeders, lab, protocol, scenarios, schedule, threshold, variables};
use crate::config::problems::{Mark, Problems, Spanned};
use crate::config::read::short;
use crate::config::value::{Fields, Pair, Value};

/// How long a request may take unless something else is said.
pub(super) const TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
const GRACE_DEFAULT: Duration = Duration::from_secs(10);
const USERS_MAX_DEFAULT: usize = 10_000;
const SEED_DEFAULT: u64 = 1;

/// What reading values needs besides the values.
pub(super) struct Lower<'a, 'b> {
    pub(super) problems: &'a mut Problems,
    /// Where relative paths begin.
    pub(super) base: &'b Path,
    pub(super) changes: &'b Changes,
}

/// Makes a plan of a file; `stem` is its name. `None` only if a problem is fatal.
pub(super) fn lower(lower: &mut Lower<'_, '_>, top: &Fields, stem: &str) -> Option<Plan> {
    let variables = variables::lower(lower, top);
    let feeders = feeders::lower(lower, top);
    let mut names = Names::default();
    variables.iter().for_each(|(name, _)| names.define(name));
    for feeder in &feeders {
        feeder.columns().iter().for_each(|column| names.define(column));
    }
    let scenarios = scenarios::lower(lower, top, &names);
    let lab = lab::lower(lower, top);
    let plan = finish(lower, top, scenarios)?;
    let name = top.text("name").map_or(stem, |name| name.value).to_owned();
    let plan = Plan { name, variables, feeders, lab, ..plan };
    // What was written wrongly is told already, and would only be missed here.
    if !lower.problems.fatal() {
        lab::check(lower, top, &plan);
        conditions::check(lower, top, &plan);
    }
    Some(plan)
}

/// What a plan is besides what it sends; the target is looked up.
pub(super) fn finish(lower: &mut Lower<'_, '_>, top: &Fields, scenarios: Vec<Scenario>) -> Option<Plan> {
    let changes = lower.changes;
    let url = url(lower, top);
    let schedule = schedule::lower(lower, top);
    let thresholds = thresholds(lower, top);
    if scenarios.len() > SCENARIOS_MAX {
        let at = top.get("scenarios").map_or(Mark::FILE, |value| value.at);
        lower.problems.error(at, format!("more than {SCENARIOS_MAX} scenarios"));
    }
    let (url, schedule) = (url?, schedule?);
    let (target, http2) = protocol::target(lower, top, &url.value, url.at)?;
    let calls = scenarios.iter().flat_map(|one| &one.steps).any(|step| matches!(step.kind, Kind::Grpc(_)));
    if calls && !http2.may_be_spoken(&target) && !lower.problems.fatal() {
        let at = top.get("scenarios").map_or(Mark::FILE, |value| value.at);
        let what = "calls of gRPC need HTTP/2, which is not spoken here";
        lower.problems.error_fix(at, what, "write `http2: on`");
    }
    Some(Plan {
        name: url.value.authority,
        target,
        model: schedule.model,
        stages: schedule.stages,
        scenarios,
        thresholds,
        seed: changes.seed.or(top.number("seed")).unwrap_or(SEED_DEFAULT),
        grace: changes.grace.or(top.time("grace")).unwrap_or(GRACE_DEFAULT),
        users_max: changes.users_max.or(top.count("users_max")).unwrap_or(USERS_MAX_DEFAULT),
        http2,
        keep_alive: !changes.no_keep_alive && top.switch("keep_alive").unwrap_or(true),
        workers: changes.workers.or(top.count("workers")).unwrap_or(0),
        variables: Vec::new(),
        feeders: Vec::new(),
        tags: texts(top.map("tags")),
        lab: Lab::default(),
    })
}

/// The entries of a map of texts.
pub(super) fn texts(pairs: &[Pair]) -> Vec<(String, String)> {
    let text = |pair: &Pair| match &pair.value.value {
        Value::Text(text) => Some((pair.name.value.to_string(), text.clone())),
        _ => None,
    };
    pairs.iter().filter_map(text).collect()
}

fn url(lower: &mut Lower<'_, '_>, top: &Fields) -> Option<Spanned<Url>> {
    if let Some(url) = &lower.changes.target {
        return Some(Spanned { at: Mark::FILE, value: url.clone() });
    }
    let Some(written) = top.text("target") else {
        if !top.is_meant("target") {
            let fix = "write, for example, `target: http://127.0.0.1:8080`, or give `--target`";
            lower.problems.error_fix(top.at, "`target` is missing in this file", fix);
        }
        return None;
    };
    let wrong = match target::parse(written.value) {
        Ok(url) if url.path.contains('?') => target::Wrong {
            what: "a target has no query".to_owned(),
            fix: "write it into the paths of the steps".to_owned(),
        },
        Ok(url) => return Some(written.with(url)),
        Err(wrong) => wrong,
    };
    let what = format!("`{}`: {}", short(written.value), wrong.what);
    lower.problems.error_fix(written.at, what, wrong.fix);
    None
}

fn thresholds(lower: &mut Lower<'_, '_>, top: &Fields) -> Vec<Threshold> {
    let mut thresholds = Vec::new();
    for text in top.list("thresholds").iter().filter_map(Spanned::text) {
        match threshold(text.value) {
            Ok(threshold) => thresholds.push(threshold),
            Err(error) => {
                lower.problems.error(text.at, error);
            }
        }
    }
    thresholds.extend(lower.changes.thresholds.iter().cloned());
    thresholds
}
