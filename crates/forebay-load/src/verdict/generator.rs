//! Whether the generator did its part: if not, nothing else means anything.

use crate::hdr::Hdr;
use crate::outcome::{ErrorKind, Generator, Outcome, Tally};
use crate::threshold::{Clock, Judged, Measure, State, Statistic, Threshold, Unit};

/// A generator may be late by this much, whatever the limits.
const LATE_MAX: f64 = 0.001;
/// And by this share of the tightest time that is judged.
const LATE_SHARE: f64 = 0.05;
/// A thread with less than a tenth of a core to spare cannot be trusted to be on time.
const BUSY_MAX: f64 = 0.9;
/// The share of requests that may go unsent for want of sockets.
const UNSENT_MAX: f64 = 0.01;

/// What the generator did wrong, each a sentence; none: the run is valid.
pub(super) fn faults(
    thresholds: &[Threshold],
    judged: &[Judged],
    outcome: &Outcome,
    total: &Tally,
) -> Vec<String> {
    let mut faults = Vec::new();
    let late_max = late_max(thresholds, total);
    let Generator { pacing, lag, .. } = &outcome.generator;
    let started = late("requests were started", lag, late_max, lag_advice(lag, pacing));
    faults.extend(started.or_else(|| late_stage(outcome, late_max, lag_advice(lag, pacing))));
    faults.extend(late("arrivals were handed out", pacing, late_max, PACING_ADVICE));
    faults.extend(busy(&outcome.generator));
    faults.extend(unsent(thresholds, judged, outcome, total));
    if faults.is_empty() {
        faults.extend(excused(thresholds, judged, &outcome.generator));
    }
    faults.extend(sockets(thresholds, judged, total));
    faults.extend(unbalanced(outcome));
    faults
}

/// What is worth saying of a generator that did well enough.
pub(super) fn remarks(outcome: &Outcome, total: &Tally) -> Vec<String> {
    let missing = out_of_sockets(total);
    let mut remarks = Vec::new();
    remarks.extend(own_share(&outcome.generator.lag, total));
    if missing > 0 {
        remarks.push(format!(
            "{missing} requests were not sent, because this machine had no socket or port left; they count as bad"
        ));
    }
    if outcome.model == "open" && outcome.generator.lag.is_empty() && total.planned > total.not_started {
        remarks.push(
            "nothing is known of how late the generator was, since no user was free when a request was due"
                .to_owned(),
        );
    }
    remarks
}

/// How late the generator may be at p99: without time limits, what was seen tells which times matter.
fn late_max(thresholds: &[Threshold], total: &Tally) -> f64 {
    let limits = thresholds.iter().filter_map(Threshold::time_limit).reduce(f64::min);
    let tightest = limits.or_else(|| total.response.quantile(0.5).map(|time| time.as_secs_f64()));
    (LATE_SHARE * tightest.unwrap_or(0.0)).max(LATE_MAX)
}

/// One thread hands out arrivals, however many there are to send them.
const PACING_ADVICE: &str = "use a less busy machine or a lower rate";

/// What helps against late starts: more workers do not if it is the arrivals that came late.
fn lag_advice(lag: &Hdr, pacing: &Hdr) -> &'static str {
    let p99 = |hdr: &Hdr| hdr.quantile(0.99).unwrap_or_default();
    if 2 * p99(pacing) > p99(lag) {
        return PACING_ADVICE;
    }
    "use more `workers`, a lower rate or a less busy machine"
}

fn late(what: &str, by: &Hdr, late_max: f64, advice: &str) -> Option<String> {
    let p99 = by.quantile(0.99)?.as_secs_f64();
    let [p99_text, max_text] = [p99, late_max].map(|time| Unit::Seconds.show(time));
    (p99 > late_max).then(|| {
        format!(
            "the generator was late: {what} {p99_text} after their time at p99, and at most {max_text} leaves \
             the results true; {advice}"
        )
    })
}

/// The first stage in which it was late, though it was on time in most: the others must not hide it.
fn late_stage(outcome: &Outcome, late_max: f64, advice: &str) -> Option<String> {
    let stages = outcome.stages.iter().zip(&outcome.generator.lags).filter(|(stage, _)| !stage.warmup);
    let mut late_ones = stages.filter_map(|(stage, lag)| {
        late(&format!("in the stage `{}` requests were started", stage.name), lag, late_max, advice)
    });
    late_ones.next()
}

/// A time that missed its limit, and would not have without what the generator added to it.
fn excused(thresholds: &[Threshold], judged: &[Judged], generator: &Generator) -> Option<String> {
    let missed = thresholds.iter().zip(judged).filter(|(_, judged)| judged.state == State::Failed);
    let mut excused = missed.filter_map(|(threshold, judged)| {
        let Measure::Time(Clock::Response | Clock::Delay, statistic) = threshold.measure else { return None };
        let (at, lag) = match statistic {
            Statistic::Max => ("at most", generator.lag.max()?),
            Statistic::Quantile(share) => ("there", generator.lag.quantile(share)?),
            Statistic::Mean => ("on average", generator.lag.mean()?),
            Statistic::Min => return None,
        };
        let lag = lag.as_secs_f64();
        let own = threshold.time_limit().is_some_and(|limit| judged.value.is_some_and(|seen| seen - lag <= limit));
        own.then(|| {
            format!(
                "the generator was late: `{}` did not hold, but requests were started up to {} after their time \
                 {at}, and without that it may have held; use a less busy machine",
                judged.threshold,
                Unit::Seconds.show(lag)
            )
        })
    });
    excused.next()
}

/// Requests that were never sent although a user was free.
fn unsent(thresholds: &[Threshold], judged: &[Judged], outcome: &Outcome, total: &Tally) -> Option<String> {
    let unsent = outcome.generator.unsent;
    let many = unsent as f64 > UNSENT_MAX * total.planned as f64;
    (unsent > 0 && !outcome.interrupted && (many || blamed(thresholds, judged))).then(|| {
        format!(
            "the generator did not get to {unsent} of {} requests before the run was over, although users were \
             free; use a less busy machine, a lower rate or a longer `grace`",
            total.planned
        )
    })
}

/// Whether a condition on what was not ok did not hold.
fn blamed(thresholds: &[Threshold], judged: &[Judged]) -> bool {
    // Implied ones stand behind those that were given.
    let given = thresholds
        .iter()
        .zip(judged)
        .any(|(threshold, judged)| super::is_share_of_bad(threshold) && judged.state != State::Passed);
    given || judged.iter().any(|judged| judged.implied && judged.state != State::Passed)
}

/// Late, but not too late for the limits: who reads the times for themselves should know.
fn own_share(lag: &Hdr, total: &Tally) -> Option<String> {
    let (lag, times) = (lag.quantile(0.99)?.as_secs_f64(), total.response.quantile(0.99)?.as_secs_f64());
    (lag > LATE_SHARE * times).then(|| {
        format!(
            "up to {} (p99) of the response times are the generator's own delay, against {} in all",
            Unit::Seconds.show(lag),
            Unit::Seconds.show(times)
        )
    })
}

fn busy(generator: &Generator) -> Option<String> {
    let Generator { busiest, starved, .. } = generator;
    let core = |share: f64| Unit::Share.show(share);
    if *busiest > BUSY_MAX {
        return Some(format!(
            "the generator was saturated: its busiest thread used {} of a core, and more than {} leaves no room \
             to be on time; use more `workers` or a lower rate",
            core(*busiest),
            core(BUSY_MAX)
        ));
    }
    (busiest + starved > BUSY_MAX).then(|| {
        format!(
            "the generator was starved: its busiest thread used {} of a core and stood ready without getting one \
             for another {}; run it on a less busy machine, or with fewer `workers`",
            core(*busiest),
            core(*starved)
        )
    })
}

fn sockets(thresholds: &[Threshold], judged: &[Judged], total: &Tally) -> Option<String> {
    let missing = out_of_sockets(total);
    let many = missing as f64 > UNSENT_MAX * total.planned as f64;
    let blamed = blamed(thresholds, judged);
    (missing > 0 && (many || blamed)).then(|| {
        format!(
            "the generator ran out of sockets or ports for {missing} of {} requests; keep connections alive, raise \
             the limit of open files, or widen the range of local ports",
            total.planned
        )
    })
}

fn out_of_sockets(total: &Tally) -> u64 {
    total.errors.get(&ErrorKind::OutOfSockets).copied().unwrap_or(0)
}

/// Never to be seen: a defect of the load tester itself.
fn unbalanced(outcome: &Outcome) -> Option<String> {
    let tallies =
        outcome.series.iter().flat_map(|series| series.stages.iter().map(move |tally| (series, tally)));
    let (series, tally) = tallies.into_iter().find(|(_, tally)| !tally.balances())?;
    Some(format!(
        "the counts of `{}` do not add up, which is a defect of this load tester: {} planned, but {} ok, {} errors, \
         {} timed out and {} not started; please report it",
        series.step,
        tally.planned,
        tally.ok,
        tally.errors(),
        tally.timeouts,
        tally.not_started
    ))
}
