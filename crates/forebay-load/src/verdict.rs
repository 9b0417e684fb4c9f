//! What came of a run: pass, fail, inconclusive, or invalid.

mod generator;
mod implied;
#[cfg(test)]
pub(crate) mod sample;
mod steady;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use steady::{Drift, StageTrend, Steadiness};

use crate::compare::Gate;
use crate::outcome::{ErrorKind, Outcome, Tally};
use crate::threshold::{Judged, Measure, State, Threshold, Unit};

/// What came of a run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// In a word.
    pub kind: Kind,
    /// Why, each a sentence; what concerns the generator first.
    pub reasons: Vec<String>,
    /// Each threshold, in the plan's order, and last what is implied.
    pub thresholds: Vec<Judged>,
    /// Whether figures stayed the same within each stage of constant load.
    pub trends: Vec<StageTrend>,
    /// How it compares with saved runs; `None`: nobody asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Gate>,
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

impl Verdict {
    /// The verdict of a run that was compared with saved ones as well. A baseline that is too small changes
    /// nothing but what is said.
    #[must_use]
    pub fn against(mut self, gate: Gate) -> Self {
        if gate.missing == 0 {
            self.kind = self.kind.graver(gate.kind);
        }
        if gate.kind == Kind::Fail && self.kind == Kind::Fail {
            self.reasons.splice(0..0, gate.reasons.iter().cloned());
        } else {
            self.reasons.extend(gate.reasons.iter().cloned());
        }
        self.baseline = Some(gate);
        self
    }
}

impl Kind {
    /// That of two which says less for the target: invalid, then fail, then inconclusive.
    #[must_use]
    pub const fn graver(self, other: Self) -> Self {
        if self.gravity() >= other.gravity() { self } else { other }
    }

    const fn gravity(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Inconclusive => 1,
            Self::Fail => 2,
            Self::Invalid => 3,
        }
    }

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
///
/// Unless a threshold for all requests says something of errors, availability, what was not started or throughput,
/// `errors<1%` is implied. A run in which nothing was ok fails, whatever its thresholds.
#[must_use]
pub fn judge(thresholds: &[Threshold], outcome: &Outcome) -> Verdict {
    let total = outcome.total();
    let mut judged: Vec<Judged> = thresholds.iter().map(|threshold| threshold.judge(outcome)).collect();
    judged.extend(implied::judge(thresholds, &total, outcome.interrupted));
    let trends = steady::trends(outcome);
    let faults = generator::faults(thresholds, &judged, outcome, &total);
    let nothing_ok = implied::nothing_ok(&total, outcome.interrupted);
    let failed = nothing_ok.is_some() && (faults.is_empty() || implied::is_the_targets(&total));
    let (kind, why) = match failed {
        true => (Kind::Fail, None),
        false => decide(&judged, outcome, &total, faults.is_empty()),
    };

    let mut reasons: Vec<String> = nothing_ok.filter(|_| failed).into_iter().collect();
    reasons.extend(faults);
    reasons.extend(outcome.interrupted.then(|| CUT_SHORT.to_owned()));
    reasons.extend(why);
    for state in [State::Failed, State::Inconclusive] {
        // That nothing was ok says already that errors were too many.
        let told = judged.iter().filter(|one| one.state == state && !(failed && one.implied));
        reasons.extend(told.map(sentence));
    }
    reasons.extend(generator::remarks(outcome, &total));
    reasons.extend(remarks(outcome, &total));
    reasons.extend(trends.iter().filter_map(StageTrend::sentence));
    Verdict { kind, reasons, thresholds: judged, trends, baseline: None }
}

/// What is judged besides the given thresholds; `None`: they say something of errors.
#[must_use]
pub fn implied(given: &[Threshold]) -> Option<Threshold> {
    implied::threshold(given)
}

/// What is said of a run that somebody ended.
const CUT_SHORT: &str = "the run was ended before its time: all of this is about the part that ran";

/// The word, and what besides thresholds led to it.
fn decide(
    judged: &[Judged],
    outcome: &Outcome,
    total: &Tally,
    generator_well: bool,
) -> (Kind, Option<String>) {
    let any = |state: State| judged.iter().any(|one| one.state == state);
    if !generator_well {
        return (Kind::Invalid, None);
    }
    if total.planned == 0 {
        let warm = outcome.stages.iter().all(|stage| stage.warmup);
        let why = if warm { ", since every stage is warm-up" } else { "" };
        return (Kind::Inconclusive, Some(format!("no request that is judged was planned{why}")));
    }
    if any(State::Failed) {
        return (Kind::Fail, None);
    }
    if outcome.interrupted || any(State::Inconclusive) {
        return (Kind::Inconclusive, None);
    }
    let nothing_asked = judged.iter().all(|one| one.implied);
    let why = "no threshold was given: nothing was judged but that fewer than 1 % of the requests fail";
    (Kind::Pass, nothing_asked.then(|| why.to_owned()))
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
        } else if outcome.generator.unsent >= total.not_started {
            "the generator did not get to them, although users were free".to_owned()
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
