//! What must hold although nobody said so: that requests are answered as expected.
//!
//! A service that refuses all there is to do is quick. Without this, a test of times alone would pass it.

use crate::outcome::{ErrorKind, Tally};
use crate::stats::Interval;
use crate::threshold::{Judged, Measure, Op, State, Threshold, Unit};

/// From this share of planned requests that are not ok on, a run fails whose plan says nothing of errors.
const ERRORS_MAX: f64 = 0.01;

/// What must hold besides what is given.
pub(super) fn threshold(given: &[Threshold]) -> Option<Threshold> {
    let errors = Threshold { measure: Measure::Errors, select: Vec::new(), op: Op::Less, limit: ERRORS_MAX };
    (!given.iter().any(speaks_of_errors)).then_some(errors)
}

/// Judges errors if no threshold for all requests does. As a fact of the run: how few samples there are is no
/// excuse for failures that were seen.
pub(super) fn judge(given: &[Threshold], total: &Tally, interrupted: bool) -> Option<Judged> {
    let threshold = threshold(given).filter(|_| total.planned > 0)?;
    // Whoever ends a run leaves requests unanswered.
    let bad = if interrupted { total.errors() } else { total.bad() };
    let value = bad as f64 / total.planned as f64;
    let holds = threshold.op.holds(value, threshold.limit);
    Some(Judged {
        threshold: threshold.to_string(),
        state: if holds { State::Passed } else { State::Failed },
        observed: Unit::Share.show(value),
        value: Some(value),
        unit: Unit::Share,
        at_least: false,
        interval: Some(Interval { low: value, high: Some(value) }),
        samples: total.planned,
        samples_needed: None,
        why: format!(
            "implied, as nothing was said of errors: {} errors, {} timed out and {} not started of {} planned",
            total.errors(),
            total.timeouts,
            total.not_started,
            total.planned
        ),
        implied: true,
    })
}

/// Whether it limits failures of all requests, if only by what is left.
fn speaks_of_errors(threshold: &Threshold) -> bool {
    let measures = [Measure::Errors, Measure::Availability, Measure::NotStarted, Measure::Throughput];
    threshold.select.is_empty() && measures.contains(&threshold.measure)
}

/// That not one request was ok, and what became of them. Whoever ended a run before anything came back has
/// shown nothing.
pub(super) fn nothing_ok(total: &Tally, interrupted: bool) -> Option<String> {
    if total.planned == 0 || total.ok > 0 || (interrupted && total.errors() == 0) {
        return None;
    }
    let kinds = total.errors.iter().map(|(kind, count)| (kind.label(), *count));
    let others = [("timed out", total.timeouts), ("not started", total.not_started)];
    let parts = kinds.chain(others).filter(|(_, count)| *count > 0);
    let parts: Vec<String> = parts.map(|(what, count)| format!("{what} × {count}")).collect();
    let statuses: Vec<String> =
        total.statuses.iter().take(5).map(|(status, count)| format!("{status} × {count}")).collect();
    let statuses = if statuses.is_empty() {
        String::new()
    } else {
        format!("; answers by status: {}", statuses.join(", "))
    };
    Some(format!("not one of {} requests was ok: {}{statuses}", total.planned, parts.join(", ")))
}

/// Whether most requests failed by what came back, which no lateness of the generator brings about.
pub(super) fn is_the_targets(total: &Tally) -> bool {
    let own = |kind: ErrorKind| total.errors.get(&kind).copied().unwrap_or(0);
    let others = total.errors() - own(ErrorKind::OutOfSockets) - own(ErrorKind::Template);
    total.balances() && 2 * others > total.planned
}
