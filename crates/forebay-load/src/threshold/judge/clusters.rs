//! Whether what breaks a limit comes in clusters, so that many samples tell less than they seem to.
//!
//! Requests that wait in the same line are slow together. Taken as independent, a run just at its limit would
//! pass far more often than 1 in 20. Only passing is made harder by this: what a run broke, it broke.

use std::time::Duration;

use super::rates;
use crate::outcome::{HEAT_BUCKETS, Outcome, Window, heat_bound_us, heat_bucket};
use crate::stats;

/// So many requests tell no more than one that is independent of the others, as to who exceeds `limit` seconds.
/// All that is judged speaks for its parts, since the timeline is of all.
pub(super) fn of_times(limit: f64, outcome: &Outcome) -> f64 {
    let from = nearest_bucket(limit);
    let count = |heat: &[u32]| heat.iter().map(|count| u64::from(*count)).sum::<u64>();
    effect(outcome, |window| (count(window.heat.get(from..).unwrap_or_default()), count(&window.heat)))
}

/// The same, as to who is not ok.
pub(super) fn of_errors(outcome: &Outcome) -> f64 {
    effect(outcome, |window| (window.planned.saturating_sub(window.ok), window.planned))
}

/// So many samples, were they alike.
pub(super) fn stretch(samples: Option<u64>, alike: f64) -> Option<u64> {
    samples.map(|samples| (samples as f64 * alike).ceil() as u64)
}

/// What to say of it.
pub(super) fn note(alike: f64) -> String {
    if alike <= 1.0 {
        return String::new();
    }
    format!("slow or bad ones come in clusters, so that {alike:.0} requests tell no more than one")
}

fn effect(outcome: &Outcome, block: impl Fn(&Window) -> (u64, u64)) -> f64 {
    stats::design_effect(&rates::judged_windows(outcome).map(block).collect::<Vec<_>>())
}

/// The bucket whose beginning is closest to the limit.
fn nearest_bucket(limit: f64) -> usize {
    let us = Duration::from_secs_f64(limit.clamp(0.0, 1e6)).as_micros() as f64;
    let at = heat_bucket(us as u64);
    let next = (at + 1).min(HEAT_BUCKETS - 1);
    let nearer = heat_bound_us(next) as f64 - us < us - heat_bound_us(at) as f64;
    if nearer { next } else { at }
}
