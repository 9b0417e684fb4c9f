//! What came of a run: pass, fail, inconclusive, or invalid.

mod generator;
#[cfg(test)]
pub(crate) mod sample;
mod steady;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use steady::{Drift, StageTrend, Steadiness};

use crate::outcome::{ErrorKind, Outcome, Tally};
use crate::threshold::{Judged, Measure, State, Threshold, Unit};

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// In a word.
    pub kind: Kind,
    /// Why, each a sentence; what concerns the generator first.
    pub reasons: Vec<String>,
    /// Each threshold, in the plan's order.
    pub thresholds: Vec<Judged>,
    /// Whether figures stayed the same within each stage of constant load.
    pub trends: Vec<StageTrend>,
}

/// What came of a run, in a word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// It ran as planned, and every threshold held.
    Pass,
    /// A threshold did not hold.
    Fail,
    /// No threshold failed, but of one it cannot be told.
    #[default]
    Inconclusive,
    /// The generator did not do its part: nothing else means anything.
    Invalid,
}

impl Verdict {
    /// What the program ends with: 0 pass, 3 fail, 4 invalid, 5 inconclusive. 1 and 2 mean that there was no
    /// run.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Pass => 0,
            Kind::Fail => 3,
            Kind::Invalid => 4,
            Kind::Inconclusive => 5,
        }
    }
}

impl Kind {
    /// Lower case, as machines read it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Inconclusive => "inconclusive",
            Self::Invalid => "invalid",
        }
    }
}

/// Judges a run. What the outcome says of its own verdict is not looked at.
#[must_use]
pub fn judge(thresholds: &[Threshold], outcome: &Outcome) -> Verdict {
    let judged: Vec<Judged> = thresholds.iter().map(|threshold| threshold.judge(outcome)).collect();
    let total = outcome.total();
    let trends = steady::trends(outcome);
    let faults = generator::faults(thresholds, &judged, outcome, &total);
    let (kind, why) = decide(&judged, outcome, &total, faults.is_empty());

    let mut reasons = faults;
    reasons.extend(why);
    for state in [State::Failed, State::Inconclusive] {
        reasons.extend(judged.iter().filter(|one| one.state == state).map(sentence));
    }
    reasons.extend(generator::remarks(outcome, &total));
    reasons.extend(remarks(outcome, &total));
    reasons.extend(trends.iter().filter_map(StageTrend::sentence));
    Verdict { kind, reasons, thresholds: judged, trends }
}

/// The word, and what besides thresholds led to it.
fn decide(judged: &[Judged], outcome: &Outcome, total: &Tally, generator_well: bool) -> (Kind, Vec<String>) {
    let any = |state: State| judged.iter().any(|one| one.state == state);
    if !generator_well {
        return (Kind::Invalid, Vec::new());
    }
    if total.planned == 0 {
        let warm = outcome.stages.iter().all(|stage| stage.warmup);
        let why = if warm { ", since every stage is warm-up" } else { "" };
        return (Kind::Inconclusive, vec![format!("no request that is judged was planned{why}")]);
    }
    let cut_short = "the run was ended before its time";
    match (any(State::Failed), any(State::Inconclusive), outcome.interrupted) {
        (true, _, false) => (Kind::Fail, Vec::new()),
        (true, _, true) => (Kind::Fail, vec![cut_short.to_owned()]),
        (false, _, true) => (Kind::Inconclusive, vec![cut_short.to_owned()]),
        (false, true, false) => (Kind::Inconclusive, Vec::new()),
        (false, false, false) if judged.is_empty() => (
            Kind::Pass,
            vec!["the run was valid, but no threshold was given: there was nothing to judge".to_owned()],
        ),
        (false, false, false) => (Kind::Pass, Vec::new()),
    }
}

fn sentence(judged: &Judged) -> String {
    let Judged { threshold, state, observed, why, .. } = judged;
    match state {
        State::Failed => format!("`{threshold}` did not hold: {observed} was seen; {why}"),
        _ => format!("of `{threshold}` one cannot tell: {observed} was seen; {why}"),
    }
}

/// What a reader should know, whatever came of the thresholds.
fn remarks(outcome: &Outcome, total: &Tally) -> Vec<String> {
    let mut remarks = Vec::new();
    let share = |count: u64| Unit::Share.show(count as f64 / total.planned as f64);
    if total.not_started > 0 {
        let full = outcome.generator.in_flight_max >= outcome.users_max as u64;
        let limit = if outcome.interrupted {
            "the run was ended first".to_owned()
        } else if full {
            format!(
                "the target was too slow: all {} users were waiting for answers (more may be allowed by `users_max`), \
                 and the `grace` after the last stage was over before they were free",
                outcome.users_max
            )
        } else {
            "the target was too slow for the `grace` after the last stage".to_owned()
        };
        remarks.push(format!(
            "{} requests ({}) were not started: {limit}; they count as bad",
            total.not_started,
            share(total.not_started)
        ));
    }
    let template = total.errors.get(&ErrorKind::Template).copied().unwrap_or(0);
    if template > 0 {
        remarks.push(format!(
            "{template} requests ({}) could not be made, because a value they need was missing: the plan's fault, \
             not the target's",
            share(template)
        ));
    }
    if outcome.model == "closed" && !total.response.is_empty() {
        remarks.push(
            "in a closed model users wait for the target, so that times leave out those who would have come \
             while it was slow"
                .to_owned(),
        );
    }
    remarks
}

/// Thresholds that the generator's missing sockets may have broken.
fn is_share_of_bad(threshold: &Threshold) -> bool {
    matches!(threshold.measure, Measure::Errors | Measure::Availability | Measure::Throughput)
}
