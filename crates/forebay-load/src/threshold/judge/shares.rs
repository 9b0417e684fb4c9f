//! What was seen of a share of requests.

use super::Seen;
use crate::outcome::Tally;
use crate::stats::{self, CONFIDENCE, Interval};
use crate::threshold::Measure;

/// Of planned requests, so that what was never sent is not forgotten.
pub(super) fn seen(measure: Measure, limit: f64, tally: &Tally) -> Result<Seen, String> {
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
    // Not starting is no matter of chance: the plan was kept, or it was not.
    let interval = if measure == Measure::NotStarted {
        Interval { low: value, high: Some(value) }
    } else {
        Interval {
            low: stats::share_low(hits, planned, CONFIDENCE),
            high: Some(stats::share_high(hits, planned, CONFIDENCE)),
        }
    };
    let needed = match measure {
        Measure::Availability => stats::share_samples(tally.bad(), planned, 1.0 - limit, CONFIDENCE),
        _ => stats::share_samples(hits, planned, limit, CONFIDENCE),
    };
    let note = match measure {
        Measure::Errors if hits > 0 => parts(tally),
        Measure::Availability if hits < planned => parts(tally),
        _ => String::new(),
    };
    Ok(Seen {
        value,
        at_least: false,
        interval,
        samples: planned,
        samples_min: 1,
        samples_needed: needed,
        note,
    })
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
