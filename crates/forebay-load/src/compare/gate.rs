//! Whether what runs now is worse than what was saved: for a build that must not become slower.
//!
//! There is mostly one run now and a history of them, so that the question is whether one more run like those
//! would be as slow: a prediction interval for it, of logarithms, as times differ by factors. A difference must
//! leave the interval and the tolerance to count.

use serde::{Deserialize, Serialize};

use super::{Figure, Run, Settings, judge};
use crate::stats;
use crate::threshold::Unit;
use crate::verdict::Kind;

/// Fewest saved runs to judge by: with fewer, nobody knows how much runs of the same system differ.
pub const BASELINE_MIN: usize = 5;
/// A run like the saved ones stays below a bound with this probability: two bounds, together 5 % of false alarms.
const BELOW: f64 = 0.975;
/// Errors may be more by this share of all requests, whatever the history.
const ERRORS_TOLERANCE: f64 = 0.01;

/// What a gate says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Gate {
    /// Pass, fail, inconclusive if there are too few runs, or invalid if no run is valid now.
    pub kind: Kind,
    /// Saved runs that are missing for a judgement. Above 0, the baseline changes no exit status.
    pub missing: usize,
    /// Saved runs that it was judged by.
    pub saved: usize,
    /// Runs that were judged.
    pub now: usize,
    /// Why, each a sentence.
    pub reasons: Vec<String>,
    /// What was looked at; empty if nothing could be judged.
    pub bounds: Vec<Bound>,
}

/// How much of a figure is no worse.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// Which.
    pub figure: Figure,
    /// The saved runs' mean: of times the geometric one.
    pub usual: f64,
    /// The mean of what runs now.
    pub now: f64,
    /// A run like the saved ones is at most this, with a probability of 97.5 %.
    pub expected_max: f64,
    /// What is tolerated.
    pub tolerated_max: f64,
    /// Above both.
    pub worse: bool,
}

pub(super) fn gate(baseline: &[Run], now: &[Run], settings: &Settings) -> Gate {
    // Without times a saved run is nothing to measure others by.
    let has_times = |run: &Run| run.p99.is_some_and(|p99| p99 > 0.0);
    let saved: Vec<Run> = judge::valid(baseline).into_iter().filter(has_times).collect();
    let runs = judge::valid(now);
    let missing = BASELINE_MIN.saturating_sub(saved.len());
    let mut gate = Gate {
        kind: Kind::Inconclusive,
        missing,
        saved: saved.len(),
        now: runs.len(),
        reasons: Vec::new(),
        bounds: Vec::new(),
    };
    if runs.is_empty() {
        let invalid = now.iter().any(|run| run.invalid);
        gate.kind = if invalid { Kind::Invalid } else { Kind::Inconclusive };
        gate.reasons.push("there is no whole and valid run to compare with the baseline".to_owned());
    } else if missing > 0 {
        gate.reasons.push(format!(
            "the baseline is too small to judge by, and changes nothing: it has {} of the {BASELINE_MIN} valid runs that \
             are needed ({missing} more)",
            saved.len()
        ));
    } else {
        gate.bounds =
            [times(&saved, &runs, settings), Some(errors(&saved, &runs))].into_iter().flatten().collect();
        let worse = gate.bounds.iter().any(|bound| bound.worse);
        gate.kind = if worse { Kind::Fail } else { Kind::Pass };
        gate.reasons.extend(gate.bounds.iter().map(sentence));
        gate.reasons.extend(gate.bounds.iter().filter_map(blind));
    }
    let dropped = baseline.len() - saved.len();
    if dropped > 0 {
        gate.reasons.push(format!(
            "{dropped} saved runs were left out, because they were invalid, ended early, or without an answer"
        ));
    }
    gate
}

/// `None`: a run has no times now. Its errors say the rest.
fn times(saved: &[Run], runs: &[Run], settings: &Settings) -> Option<Bound> {
    let logs = |runs: &[Run]| {
        let log = |run: &Run| run.p99.filter(|p99| *p99 > 0.0).map(f64::ln);
        runs.iter().map(log).collect::<Option<Vec<f64>>>()
    };
    let (saved, runs) = (logs(saved)?, logs(runs)?);
    let (usual, now) = (mean(&saved), mean(&runs));
    let tolerated = usual + settings.tolerance.ln_1p();
    let expected = expected_max(&saved, runs.len());
    Some(Bound {
        figure: Figure::P99,
        usual: usual.exp(),
        now: now.exp(),
        expected_max: expected.exp(),
        tolerated_max: tolerated.exp(),
        worse: now > expected && now > tolerated,
    })
}

fn errors(saved: &[Run], runs: &[Run]) -> Bound {
    let shares = |runs: &[Run]| runs.iter().map(|run| run.errors).collect::<Vec<f64>>();
    let (saved, runs) = (shares(saved), shares(runs));
    let (usual, now) = (mean(&saved), mean(&runs));
    let expected_max = expected_max(&saved, runs.len()).min(1.0);
    let tolerated_max = (usual + ERRORS_TOLERANCE).min(1.0);
    Bound {
        figure: Figure::Errors,
        usual,
        now,
        expected_max,
        tolerated_max,
        worse: now > expected_max && now > tolerated_max,
    }
}

/// What the mean of `count` more values stays below.
fn expected_max(values: &[f64], count: usize) -> f64 {
    let (n, mean) = (values.len() as f64, mean(values));
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let spread = (variance * (1.0 / n + 1.0 / count as f64)).sqrt();
    mean + stats::t_quantile(BELOW, values.len() - 1) * spread
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn sentence(bound: &Bound) -> String {
    let Bound { figure, usual, now, expected_max, tolerated_max, worse } = bound;
    let show = |value: f64| judge::figure_text(*figure, value);
    let head = if *worse { "worse than the baseline" } else { "no worse than the baseline" };
    format!(
        "{head}: {} {}, usually {}; another run like the saved ones is at most {} (97.5 %), and {} is tolerated",
        if *figure == Figure::Errors { "errors are" } else { "p99 is" },
        show(*now),
        show(*usual),
        show(*expected_max),
        show(*tolerated_max)
    )
}

/// What a history that varies much cannot show.
fn blind(bound: &Bound) -> Option<String> {
    let Bound { figure, usual, now: _, expected_max, tolerated_max, worse } = bound;
    (!worse && *figure == Figure::P99 && expected_max > tolerated_max).then(|| {
        format!(
            "the saved runs differ so much from each other that up to {:+.0} % of {} would not have been noticed: save \
             more or longer runs",
            (expected_max / usual - 1.0) * 100.0,
            Unit::Seconds.show(*usual)
        )
    })
}
