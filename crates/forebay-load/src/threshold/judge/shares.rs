//! What was seen of a share of requests.

use super::{Seen, clusters};
use crate::outcome::{Outcome, Tally};
use crate::stats::{self, CONFIDENCE, Interval};
use crate::threshold::Measure;

/// Of planned requests, so that what was never sent is not forgotten.
pub(super) fn seen(measure: Measure, limit: f64, tally: &Tally, outcome: &Outcome) -> Result<Seen, String> {
    let planned = tally.planned;
    if planned == 0 {
        return Err("no requests were planned".to_owned());
    }
    let hits = match measure {
        Measure::Availability => tally.ok,
        Measure::NotStarted => tally.not_started,
        _ => tally.bad(),
    };
    let value = hits as f64 / planned as f64;
    if measure == Measure::NotStarted {
        // Not starting is no matter of chance: the plan was kept, or it was not.
        return Ok(Seen::of(value, planned));
    }
    let alike = clusters::of_errors(outcome);
    let (fewer_hits, fewer) = ((hits as f64 / alike).round() as u64, (planned as f64 / alike).ceil() as u64);
    // Clusters make passing harder, not failing.
    let (interval, to_show) = if measure == Measure::Availability {
        let (low, high) =
            (stats::share_low(fewer_hits, fewer, CONFIDENCE), stats::share_high(hits, planned, CONFIDENCE));
        (Interval { low, high: Some(high) }, 1.0 - limit)
    } else {
        let (low, high) =
            (stats::share_low(hits, planned, CONFIDENCE), stats::share_high(fewer_hits, fewer, CONFIDENCE));
        (Interval { low, high: Some(high) }, limit)
    };
    let needed = stats::share_samples(tally.bad(), planned, to_show, CONFIDENCE);
    let notes = [if tally.bad() > 0 { parts(tally) } else { String::new() }, clusters::note(alike)];
    let note = notes.into_iter().filter(|note| !note.is_empty()).collect::<Vec<_>>().join("; ");
    Ok(Seen { interval, samples_needed: clusters::stretch(needed, alike), note, ..Seen::of(value, planned) })
}

/// What the bad ones are.
fn parts(tally: &Tally) -> String {
    format!(
        "of {} planned, {} were errors, {} timed out, {} were not started",
        tally.planned,
        tally.errors(),
        tally.timeouts,
        tally.not_started
    )
}
