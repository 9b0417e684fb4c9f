//! A run as JSON: what is kept, compared later, and asked by other programs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::figures::float;
use crate::hdr::Hdr;
use crate::outcome::{FORMAT, HEAT_BUCKETS, Outcome, Tally};
use crate::plan::STAGES_MAX;

/// Longest text that is read as a result.
pub const BYTES_MAX: usize = 256 << 20;
/// Most requests a result may speak of: so that no sum of them overflows.
const REQUESTS_MAX: u64 = 1 << 48;
/// Longest time a result may speak of.
const SECONDS_MAX: u64 = 1 << 32;

/// The outcome and a summary of it, indented, ending with a newline.
#[must_use]
pub fn write(outcome: &Outcome) -> String {
    let document = Document { summary: Summary::of(&Facts::of(outcome)), outcome };
    let mut text =
        serde_json::to_string_pretty(&document).expect("an outcome has no map whose keys are not texts");
    text.push('\n');
    text
}

/// Reads what [`write`] wrote.
///
/// # Errors
/// It is too long, not JSON, not a result, one of another version, or does not add up: says which.
pub fn read(text: &str) -> Result<Outcome, String> {
    if text.len() > BYTES_MAX {
        return Err(format!("it is longer than {} MiB", BYTES_MAX >> 20));
    }
    let head: Head =
        serde_json::from_str(text).map_err(|error| format!("it is not JSON of a result: {error}"))?;
    match head.format {
        None => return Err("it is JSON, but not a result of a load test: it has no `format`".to_owned()),
        Some(FORMAT) => {}
        Some(other) => {
            return Err(format!(
                "it is of format {other}, this program reads format {FORMAT}: run the test again, or use the \
                 version that wrote it"
            ));
        }
    }
    let outcome: Outcome =
        serde_json::from_str(text).map_err(|error| format!("it is not a complete result: {error}"))?;
    check(&outcome)?;
    Ok(outcome)
}

/// What tells a result from other JSON.
#[derive(Deserialize)]
struct Head {
    format: Option<u32>,
}

#[derive(Serialize)]
struct Document<'a> {
    summary: Summary,
    #[serde(flatten)]
    outcome: &'a Outcome,
}

/// Ready-made numbers of all that is judged; what is not known is null.
#[derive(Serialize)]
struct Summary {
    verdict: &'static str,
    planned: u64,
    ok: u64,
    errors: u64,
    timeouts: u64,
    not_started: u64,
    /// Share of the planned requests that are not ok, 0 to 1.
    error_rate: Option<f64>,
    seconds: f64,
    planned_per_second: f64,
    ok_per_second: f64,
    response_ms: Times,
    service_ms: Times,
    start_delay_ms: Times,
    /// How late the generator handed arrivals out.
    generator_pacing_ms: Times,
    /// How late it started requests although a user was free.
    generator_lag_ms: Times,
    errors_by_kind: BTreeMap<&'static str, u64>,
    statuses: BTreeMap<u16, u64>,
    bytes_in: u64,
    bytes_out: u64,
}

/// Percentiles in milliseconds.
#[derive(Serialize)]
struct Times {
    count: u64,
    min: Option<f64>,
    mean: Option<f64>,
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
    p999: Option<f64>,
    max: Option<f64>,
    /// Those of the percentiles whose true value may be greater.
    at_least: Vec<&'static str>,
}

impl Summary {
    fn of(facts: &Facts<'_>) -> Self {
        let total = &facts.total;
        let mut response = Times::of(facts.response.judged());
        for (name, quantile) in [("p50", 0.5), ("p95", 0.95), ("p99", 0.99), ("p999", 0.999), ("max", 1.0)] {
            if facts.response.quantile(quantile).is_some_and(|at| at.at_least) {
                response.at_least.push(name);
            }
        }
        Self {
            verdict: facts.judgement.state.label(),
            planned: total.planned,
            ok: total.ok,
            errors: total.errors(),
            timeouts: total.timeouts,
            not_started: total.not_started,
            error_rate: (total.planned > 0).then(|| float(total.bad()) / float(total.planned)),
            seconds: facts.seconds,
            planned_per_second: facts.per_second(total.planned),
            ok_per_second: facts.throughput(),
            response_ms: response,
            service_ms: Times::of(&total.service),
            start_delay_ms: Times::of(&total.delay),
            generator_pacing_ms: Times::of(&facts.outcome.generator.pacing),
            generator_lag_ms: Times::of(&facts.outcome.generator.lag),
            errors_by_kind: total.errors.iter().map(|(kind, count)| (kind.label(), *count)).collect(),
            statuses: total.statuses.clone(),
            bytes_in: total.bytes_in,
            bytes_out: total.bytes_out,
        }
    }
}

impl Times {
    fn of(hdr: &Hdr) -> Self {
        let ms = |time: Option<std::time::Duration>| time.map(|time| time.as_secs_f64() * 1e3);
        Self {
            count: hdr.count(),
            min: ms(hdr.min()),
            mean: ms(hdr.mean()),
            p50: ms(hdr.quantile(0.5)),
            p95: ms(hdr.quantile(0.95)),
            p99: ms(hdr.quantile(0.99)),
            p999: ms(hdr.quantile(0.999)),
            max: ms(hdr.max()),
            at_least: Vec::new(),
        }
    }
}

/// Whether it is what a run could have left, so that whoever works with it needs no doubts.
fn check(outcome: &Outcome) -> Result<(), String> {
    let wrong = |what: &str| Err(format!("it does not add up: {what}"));
    if outcome.stages.len() > STAGES_MAX || outcome.series.len() > crate::plan::SERIES_MAX + 1 {
        return wrong("it has more stages or steps than a plan may have");
    }
    if outcome.series.iter().any(|series| series.stages.len() != outcome.stages.len()) {
        return wrong("a step has not one result for each stage");
    }
    let finite = |stage: &crate::plan::Stage| {
        stage.length.as_secs() < SECONDS_MAX
            && [stage.from, stage.to].iter().all(|rate| rate.is_finite() && *rate >= 0.0)
    };
    if !outcome.stages.iter().all(finite) || outcome.took.as_secs() >= SECONDS_MAX {
        return wrong("a length or a rate is out of range");
    }
    for tally in outcome.series.iter().flat_map(|series| &series.stages) {
        check_tally(tally)?;
    }
    let small = |window: &crate::outcome::Window| {
        let counts = [
            window.planned,
            window.ok,
            window.errors,
            window.timeouts,
            window.not_started,
            window.finished,
            window.answered,
            window.backlog,
        ];
        window.heat.len() <= HEAT_BUCKETS
            && counts.iter().all(|count| *count < REQUESTS_MAX)
            && window.start_ms < SECONDS_MAX * 1_000
            && window.length_ms < SECONDS_MAX * 1_000
    };
    if !outcome.timeline.iter().all(small) {
        return wrong("a window of the timeline is out of range");
    }
    Ok(())
}

fn check_tally(tally: &Tally) -> Result<(), String> {
    let Tally { planned, ok, timeouts, not_started, errors, statuses, bytes_in, bytes_out, .. } = tally;
    let counts =
        [planned, ok, timeouts, not_started].into_iter().chain(errors.values()).chain(statuses.values());
    if counts.chain([bytes_in, bytes_out]).any(|count| *count >= REQUESTS_MAX) {
        return Err("it does not add up: a count is out of range".to_owned());
    }
    if tally.balances() {
        Ok(())
    } else {
        Err("it does not add up: requests that were planned are in no bucket, or in two".to_owned())
    }
}

#[cfg(test)]
mod schema;
#[cfg(test)]
mod tests;
