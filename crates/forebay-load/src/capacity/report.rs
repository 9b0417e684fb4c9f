//! What a search found, in numbers and words.

use std::time::Duration;

use super::{Capacity, Done, End, Settings, StepState};
use crate::stats::{self, CONFIDENCE, Usl};
use crate::threshold::Unit;
use crate::verdict;

/// Where a search stands.
pub(super) struct Bounds {
    pub(super) held: Option<f64>,
    pub(super) missed: Option<f64>,
    pub(super) confirmed: u32,
    pub(super) confirms: u32,
    pub(super) end: End,
}

/// From this share on failures are told.
const FAILED_MIN: f64 = 0.01;
/// A rate that the target did not keep up with to this share is no steady state: its queue grows, and how many
/// requests were in it says nothing.
const KEPT_UP_MIN: f64 = 0.95;

pub(super) fn capacity(settings: &Settings, done: &[Done], bounds: Bounds) -> Capacity {
    let Bounds { held, missed, confirmed, confirms, end } = bounds;
    let failing = missed.and_then(|missed| {
        let at = |done: &&Done| done.rate == missed && done.result.binding.is_some();
        done.iter().rev().find(at)
    });
    let mut capacity = Capacity {
        slos: settings
            .slos
            .iter()
            .chain(&verdict::implied(&settings.slos))
            .map(ToString::to_string)
            .collect(),
        end,
        last_passing: held,
        first_failing: missed,
        knee: held.zip(missed).map(|(held, missed)| held.midpoint(missed)),
        binding: failing.and_then(|done| done.result.binding.clone()),
        sustain_windows: confirms,
        sustain_passed: confirmed,
        steps: done.to_vec(),
        usl: usl(done, settings.seed),
        says: Vec::new(),
    };
    capacity.says = says(&capacity, settings);
    capacity
}

/// Concurrency is throughput times mean response time (J. Little, 1961).
fn usl(done: &[Done], seed: u64) -> Option<Usl> {
    let steady = done.iter().filter(|done| {
        let known = done.result.state != StepState::Generator && !done.result.run.cut_short;
        known && done.result.run.throughput >= KEPT_UP_MIN * done.rate
    });
    let points = steady.filter_map(|done| {
        let run = &done.result.run;
        Some((run.throughput * run.mean?, run.throughput))
    });
    stats::usl(&points.collect::<Vec<_>>(), seed)
}

fn says(capacity: &Capacity, settings: &Settings) -> Vec<String> {
    let mut says = vec![end(capacity)];
    says.extend(confidence(capacity));
    says.extend(failures(capacity));
    says.extend(failed_start(capacity, settings));
    says.extend(capacity.usl.as_ref().map(scaling));
    says
}

fn end(capacity: &Capacity) -> String {
    let rate =
        |rate: Option<f64>| rate.map_or_else(|| "no rate".to_owned(), |rate| Unit::PerSecond.show(rate));
    let (passing, failing) = (rate(capacity.last_passing), rate(capacity.first_failing));
    let binding = capacity.binding.as_deref().map_or_else(String::new, |slo| format!(" (`{slo}`)"));
    match capacity.end {
        End::Running => format!("so far {passing} held"),
        End::Found => format!("{passing} held and {failing} did not{binding}"),
        End::MaxRate => format!("{passing} held, and more was not to be tried: the limit is above"),
        End::GeneratorLimit => format!(
            "generator limit: the load tester could do no more, so the limit of the target is not known; {passing} held"
        ),
        End::NothingHeld => format!("no rate held, not even {failing}{binding}"),
        End::StepsMax => format!(
            "no answer after {} steps: the target does not do the same twice; {passing} held last",
            capacity.steps.len()
        ),
    }
}

fn confidence(capacity: &Capacity) -> Option<String> {
    let (rate, tried, passed) = (capacity.last_passing?, capacity.sustain_windows, capacity.sustain_passed);
    let rate = Unit::PerSecond.show(rate);
    if tried == 0 {
        return Some(format!("{rate} was held once and not confirmed"));
    }
    let length = capacity.steps.last().map_or(Duration::ZERO, |done| done.length).as_secs_f64();
    let share = stats::share_low(u64::from(passed), u64::from(tried), CONFIDENCE);
    Some(format!(
        "to confirm it, {rate} was held {tried} times for {} and passed {passed} times; that proves at 95 % that at \
         least {:.0} % of such windows pass",
        Unit::Seconds.show(length),
        (share * 100.0).floor()
    ))
}

/// That it was failures and not times, where the lowest rate that did not hold has them.
fn failures(capacity: &Capacity) -> Option<String> {
    let at =
        |done: &&Done| Some(done.rate) == capacity.first_failing && done.result.state == StepState::Missed;
    let done = capacity.steps.iter().rev().find(at)?;
    let failed = done.result.run.errors;
    if failed < FAILED_MIN {
        return None;
    }
    let why = done.result.reasons.first().map_or_else(String::new, |why| format!(": {why}"));
    let lower = match capacity.end {
        End::NothingHeld if failed >= 1.0 => "; should that be the load's doing, begin with a lower rate",
        _ => "",
    };
    Some(format!(
        "at {} {} of the requests failed{why}{lower}",
        Unit::PerSecond.show(done.rate),
        Unit::Share.show(failed)
    ))
}

fn failed_start(capacity: &Capacity, settings: &Settings) -> Option<String> {
    let missed_first = capacity.first_failing.is_some_and(|missed| missed <= settings.start_rate);
    missed_first
        .then(|| format!("it failed at the start rate of {}", Unit::PerSecond.show(settings.start_rate)))
}

fn scaling(law: &Usl) -> String {
    let Usl { single, serial, crosstalk, peak, error, .. } = law;
    let peak = match peak {
        Some((at, most)) => format!(
            "beyond {at:.0} at once more means less than the {} there, if the law goes on to hold",
            Unit::PerSecond.show(*most)
        ),
        None => "no peak can be told".to_owned(),
    };
    format!(
        "by the scalability law one request at a time would give {}, {} of the work is serial, and each pair costs \
         {crosstalk:.2e}; {peak} (off by {} on average)",
        Unit::PerSecond.show(*single),
        Unit::Share.show(*serial),
        Unit::Share.show(*error)
    )
}
