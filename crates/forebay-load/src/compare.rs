//! Is one system faster than another? Asked of repeated runs, never of single requests.
//!
//! Requests of one run share its fate, so that thousands of them prove no more than one run does. Runs of both
//! sides take turns, each gives one number per figure, and these are compared: an exact test by ranks says
//! whether chance explains the difference, a bootstrap how large it is.
//!
//! Several figures are looked at, but only two decide, and they share the 5 % of false alarms that are allowed:
//! the primary figure, p99 unless told otherwise, has 4 %, the share of bad requests 1 %. The others inform, with
//! 5 % among all of them (S. Holm, 1979).

mod gate;
mod judge;
mod run;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use gate::{BASELINE_MIN, Bound, Gate};
pub use run::Run;

use crate::stats::{self, Interval};

/// Fewest runs of a side that can show anything: with three of each, even perfect separation comes about by
/// chance once in ten times.
pub const RUNS_MIN: usize = 4;

/// How to compare.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Differences by less than this share do not matter.
    pub min_effect: f64,
    /// How much the same system differs from itself, if that was measured (`noise_floor`): less than twice of it
    /// is no difference.
    pub noise_floor: Option<f64>,
    /// The figure that decides.
    pub primary: Figure,
    /// A gate lets p99 be longer by this share, however alike the saved runs are.
    pub tolerance: f64,
    /// How often runs are drawn again for an interval.
    pub resamples: usize,
    /// What the draws follow from.
    pub seed: u64,
}

/// A number that a run gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// Median response time, seconds.
    P50,
    /// 95th percentile of response times, seconds.
    P95,
    /// 99th percentile of response times, seconds.
    P99,
    /// Mean response time, seconds.
    Mean,
    /// Share of planned requests that are not ok.
    Errors,
    /// Answers as expected, per second.
    Throughput,
    /// CPU time of the target for each request, seconds.
    Cpu,
}

/// What came of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// Whether the second side is better or worse than the first: by the primary figure and the errors.
    pub outcome: Outcome,
    /// Why, each a sentence.
    pub reasons: Vec<String>,
    /// How the chance of a false alarm was kept below 5 % although several figures are looked at.
    pub rule: String,
    /// Runs of each side that were valid.
    pub runs: (usize, usize),
    /// Each figure that both sides have; the primary one first.
    pub figures: Vec<Row>,
}

/// A figure of both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Which.
    pub figure: Figure,
    /// Median of the first side's runs.
    pub before: f64,
    /// Median of the second side's runs.
    pub after: f64,
    /// `after / before`; `None`: there is none to 0.
    pub ratio: Option<f64>,
    /// Where the ratio lies, at 95 %. `None`: too few runs, or no ratio.
    pub interval: Option<Interval>,
    /// How likely chance alone makes such a difference. `None`: too few runs.
    pub p: Option<f64>,
    /// Up to which `p` a difference is called one, given how many figures are looked at.
    pub p_max: f64,
    /// What it shows.
    pub outcome: Outcome,
}

/// What a comparison shows. That two systems are the same can never be shown.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The second is better: faster, with fewer errors, more throughput, or less CPU.
    Better,
    /// The second is worse.
    Worse,
    /// If there is a difference, then by no more than this share; of errors, percentage points as a share.
    NoDifferenceShown {
        /// The share.
        above: f64,
    },
    /// Too few runs to tell, or figures that contradict each other.
    Inconclusive,
}

/// Which of two systems a run is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    /// The first.
    A,
    /// The second.
    B,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            min_effect: 0.05,
            noise_floor: None,
            primary: Figure::P99,
            tolerance: 0.2,
            resamples: 10_000,
            seed: 1,
        }
    }
}

/// In which order to run, so many times each: A B B A A B B A ..., so that whatever changes with time changes
/// both.
#[must_use]
pub fn order(runs: usize) -> Vec<Side> {
    (0..2 * runs).map(|index| if index.div_ceil(2) % 2 == 0 { Side::A } else { Side::B }).collect()
}

/// Compares runs of two systems, made in turns.
#[must_use]
pub fn compare(before: &[Run], after: &[Run], settings: &Settings) -> Comparison {
    judge::compare(before, after, settings)
}

/// Whether `now` is no worse than `baseline`: for a build that must not become slower. One run now is enough; of
/// saved ones `BASELINE_MIN` are needed.
#[must_use]
pub fn gate(baseline: &[Run], now: &[Run], settings: &Settings) -> Gate {
    gate::gate(baseline, now, settings)
}

/// By what share a figure of the same system differs between two sets of runs.
#[must_use]
pub fn noise_floor(first: &[Run], second: &[Run], figure: Figure) -> Option<f64> {
    let middle = |runs: &[Run]| stats::median(&run::values(runs, figure));
    let ratio = middle(second)? / middle(first)?;
    ratio.is_finite().then(|| (ratio - 1.0).abs())
}

impl Figure {
    /// Every figure.
    pub const ALL: [Self; 7] =
        [Self::P50, Self::P95, Self::P99, Self::Mean, Self::Errors, Self::Throughput, Self::Cpu];

    /// What reports call it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
            Self::Mean => "mean",
            Self::Errors => "errors",
            Self::Throughput => "throughput",
            Self::Cpu => "CPU per request",
        }
    }

    /// Whether more of it is better.
    const fn more_is_better(self) -> bool {
        matches!(self, Self::Throughput)
    }
}
