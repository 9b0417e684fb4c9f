//! What was seen of a rate or a count.

use std::time::Duration;

use super::Seen;
use crate::outcome::{Outcome, Tally, Window};
use crate::threshold::Measure;

/// Answers that come this long after the last request was planned still count as in time.
const LATE: Duration = Duration::from_secs(1);

/// Facts of the run, without an interval; `length` is that of the stages `tally` is of.
pub(super) fn seen(
    measure: Measure,
    tally: &Tally,
    length: Duration,
    outcome: &Outcome,
) -> Result<Seen, String> {
    let sent = tally.planned.saturating_sub(tally.not_started);
    let length = length.as_secs_f64();
    if length <= 0.0 && measure != Measure::Count {
        return Err("no stage that is judged was reached".to_owned());
    }
    let value = match measure {
        Measure::Count => sent as f64,
        Measure::Sent => sent as f64 / length,
        _ => tally.ok as f64 * in_time(outcome) / length,
    };
    Ok(Seen::of(value, tally.planned))
}

/// Good answers of `tally`, all steps or some, per second of the stages that are judged.
pub(crate) fn throughput(outcome: &Outcome, tally: &Tally) -> f64 {
    let length = outcome.judged_length().as_secs_f64();
    if length > 0.0 { tally.ok as f64 * in_time(outcome) / length } else { 0.0 }
}

/// Requests planned in the windows that are judged, and those that ended in them, whenever they were planned.
pub(crate) fn planned_and_finished(outcome: &Outcome) -> (u64, u64) {
    judged_windows(outcome)
        .fold((0, 0), |(planned, finished), window| (planned + window.planned, finished + window.finished))
}

/// The windows whose middle lies in a stage that is judged.
pub(super) fn judged_windows(outcome: &Outcome) -> impl Iterator<Item = &Window> + '_ {
    let spans: Vec<_> = judged_spans(outcome).collect();
    outcome.timeline.iter().filter(move |window| {
        let middle = u128::from(window.start_ms.saturating_add(window.length_ms / 2));
        spans.iter().any(|(from, to)| (from.as_millis()..to.as_millis()).contains(&middle))
    })
}

/// Each judged stage, from when to when.
fn judged_spans(outcome: &Outcome) -> impl Iterator<Item = (Duration, Duration)> + '_ {
    let ends = outcome.stages.iter().scan(Duration::ZERO, |at, stage| {
        let from = *at;
        *at = at.saturating_add(stage.length);
        Some((stage.warmup, from, *at))
    });
    ends.filter(|(warmup, ..)| !warmup).map(|(_, from, to)| (from, to))
}

/// The share of answers that came while load was on. An overloaded target goes on answering long after it: to
/// count those would give it the rate of the plan, not its own.
fn in_time(outcome: &Outcome) -> f64 {
    let planned: Duration = outcome.stages.iter().map(|stage| stage.length).sum();
    let total = outcome.total();
    let sent = total.planned.saturating_sub(total.not_started);
    let windows = judged_windows(outcome);
    let (finished, length_ms) =
        windows.fold((0, 0), |(count, ms), window| (count + window.finished, ms + window.length_ms));
    if outcome.took <= planned + LATE || sent == 0 || length_ms == 0 {
        return 1.0;
    }
    let rate = finished as f64 / (length_ms as f64 / 1e3);
    (rate * outcome.judged_length().as_secs_f64() / sent as f64).min(1.0)
}
