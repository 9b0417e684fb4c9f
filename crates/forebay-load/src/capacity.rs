//! The highest rate at which everything still holds: double until it breaks, halve the gap, then confirm.
//!
//! A pure search: `next` says what to run, `record` takes what came of it. A single ramp would over-estimate,
//! since queues need time to grow; here each rate is held, and the last one is held again and again.

mod report;
mod saved;
mod search;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use saved::{FORMAT, Saved};
pub use search::Search;

use crate::compare::Run;
use crate::outcome::Outcome;
use crate::stats::Usl;
use crate::threshold::{self, State, Threshold};
use crate::verdict::Kind;

/// The share of requests that may be due and not finished at the end of a step beyond those at its beginning.
const BEHIND_MAX: f64 = 0.01;
/// So few say nothing.
const BEHIND_FEW: u64 = 10;

/// How to search.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Arrivals per second to begin with.
    pub start_rate: f64,
    /// Never more than this.
    pub max_rate: f64,
    /// If even the start rate is too much: never less than this.
    pub min_rate: f64,
    /// The search ends once the rate that held is this close to one that did not, as a share.
    pub precision: f64,
    /// How often the rate that was found must hold again.
    pub confirm: u32,
    /// Start of each step, which is not judged.
    pub settle: Duration,
    /// Shortest time a rate is held and judged.
    pub step_min: Duration,
    /// Longest time, should slow rates need it for samples enough.
    pub step_max: Duration,
    /// Pause after a step that did not hold, so that the target's queues are empty for the next.
    pub cooldown: Duration,
    /// Most steps of a search.
    pub steps_max: usize,
    /// What must hold. At least one.
    pub slos: Vec<Threshold>,
    /// What draws for intervals follow from.
    pub seed: u64,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Next {
    /// Hold a rate.
    Run(Step),
    /// Nothing: the search is over.
    Done,
}

/// A rate to hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// Arrivals per second.
    pub rate: f64,
    /// Pause before it.
    pub rest: Duration,
    /// Its start, not judged.
    pub settle: Duration,
    /// How long it is judged after that.
    pub length: Duration,
    /// What for.
    pub phase: Phase,
    /// It did not hold a moment ago; perhaps by chance.
    pub retry: bool,
}

/// What a step is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// To find a rate that is too high.
    Double,
    /// To find one that is low enough, as even the first was too high.
    Halve,
    /// To narrow the gap.
    Bisect,
    /// To see whether the rate holds again.
    Confirm,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepResult {
    /// In a word.
    pub state: StepState,
    /// Why it did not hold, each a sentence.
    pub reasons: Vec<String>,
    /// The first SLO that did not hold.
    pub binding: Option<String>,
    /// Its numbers.
    pub run: Run,
    /// Greatest share of a core that one of the generator's threads used.
    pub generator: f64,
}

/// What came of a step, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Every SLO held.
    Held,
    /// One did not: the target's doing.
    Missed,
    /// Too few samples, or too close to the limit.
    Unclear,
    /// The generator could not: nothing is known of the target.
    Generator,
}

/// A step that was run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Arrivals per second.
    pub rate: f64,
    /// What for.
    pub phase: Phase,
    /// How long it was judged.
    pub length: Duration,
    /// What came of it.
    pub result: StepResult,
}

/// What a search found. Rates are arrivals per second.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capacity {
    /// What had to hold, and last what is implied.
    pub slos: Vec<String>,
    /// Why the search ended.
    pub end: End,
    /// Highest rate that held, and held again as often as was asked. `None`: none did.
    pub last_passing: Option<f64>,
    /// Lowest rate above it that did not hold. `None`: none was found.
    pub first_failing: Option<f64>,
    /// Where the limit lies, as well as one can tell: in the middle between the two.
    pub knee: Option<f64>,
    /// The SLO that the first failing rate broke.
    pub binding: Option<String>,
    /// Times the highest rate was held to confirm it.
    pub sustain_windows: u32,
    /// Those of them in which it held.
    pub sustain_passed: u32,
    /// Every step, in order.
    pub steps: Vec<Done>,
    /// What the steps say of how the target scales. `None`: too few, or they follow no such law.
    pub usl: Option<Usl>,
    /// What was found and how sure that is, in sentences.
    pub says: Vec<String>,
}

/// Why a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// It has not.
    Running,
    /// The highest rate was found and confirmed.
    Found,
    /// The highest rate allowed held, so the limit is above.
    MaxRate,
    /// The generator could do no more: the limit of the target is not known.
    GeneratorLimit,
    /// Not even the lowest rate held.
    NothingHeld,
    /// There were too many steps: the target changes its mind.
    StepsMax,
}

impl Settings {
    /// Usual settings: within 5 %, three confirmations, at least 15 s each.
    #[must_use]
    pub fn new(start_rate: f64, max_rate: f64, slos: Vec<Threshold>) -> Self {
        Self {
            start_rate,
            max_rate,
            min_rate: start_rate / 64.0,
            precision: 0.05,
            confirm: 3,
            settle: Duration::from_secs(5),
            step_min: Duration::from_secs(15),
            step_max: Duration::from_secs(600),
            cooldown: Duration::from_secs(10),
            steps_max: 60,
            slos,
            seed: 1,
        }
    }

    /// Whether a search can be made with them.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&self) -> Result<(), String> {
        let positive = |value: f64| value.is_finite() && value > 0.0;
        if !positive(self.start_rate) || !positive(self.max_rate) || !positive(self.min_rate) {
            return Err("rates must be above 0".to_owned());
        }
        if self.start_rate > self.max_rate || self.min_rate > self.start_rate {
            return Err("the start rate must lie between the lowest and the highest".to_owned());
        }
        if !(0.001..1.0).contains(&self.precision) {
            return Err("the precision must be from 0.001 to below 1, such as 0.05".to_owned());
        }
        if self.slos.is_empty() {
            return Err("a search needs something that must hold, such as `p(99)<200ms`".to_owned());
        }
        if self.step_min.is_zero() || self.step_max < self.step_min {
            return Err("a step needs a length, and at most its longest".to_owned());
        }
        if self.confirm == 0 {
            return Err("a rate must be confirmed at least once".to_owned());
        }
        Ok(())
    }
}

/// A rate at which a queue grows does not hold, however long it takes until the limits of time notice.
fn behind(outcome: &Outcome) -> Option<String> {
    let (planned, finished) = threshold::planned_and_finished(outcome);
    let missing = planned.saturating_sub(finished);
    (missing > BEHIND_FEW && missing as f64 > BEHIND_MAX * planned as f64).then(|| {
        format!("the target fell behind: while {planned} requests were due, {finished} were finished, and a queue grew")
    })
}

impl StepResult {
    /// What came of a run that was judged by the search's SLOs.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        let verdict = &outcome.verdict;
        let state = match verdict.kind {
            Kind::Pass => StepState::Held,
            Kind::Fail => StepState::Missed,
            Kind::Inconclusive => StepState::Unclear,
            Kind::Invalid => StepState::Generator,
        };
        let find = |state: State| verdict.thresholds.iter().find(|judged| judged.state == state);
        let binding = find(State::Failed).or_else(|| find(State::Inconclusive));
        let binding = binding.map(|judged| judged.threshold.clone());
        let behind = (state == StepState::Held).then(|| behind(outcome)).flatten();
        let (state, reasons, binding) = match (state, behind) {
            (_, Some(why)) => (StepState::Missed, vec![why], Some("throughput".to_owned())),
            (StepState::Held, None) => (state, Vec::new(), binding),
            (_, None) => (state, verdict.reasons.clone(), binding),
        };
        Self { state, reasons, binding, run: Run::of(outcome), generator: outcome.generator.busiest }
    }
}
