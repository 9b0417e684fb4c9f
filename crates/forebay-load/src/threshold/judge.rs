//! Whether a threshold held: yes, no, or one cannot tell.
//!
//! What was sampled is judged by the interval it lies in at 95 %, each bound by itself, so that a run too
//! short to tell never passes; requests that are slow together count as fewer. What is a fact of the run, such
//! as its greatest time, is compared as it is.

mod clusters;
mod rates;
mod select;
mod shares;
mod times;

pub(crate) use rates::{planned_and_finished, throughput};
use serde::{Deserialize, Serialize};

use super::{Measure, Op, Statistic, Threshold, Unit};
use crate::lab::Worst;
use crate::outcome::Outcome;
use crate::stats::{self, CONFIDENCE, Interval};

/// What came of a threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Judged {
    /// The threshold, as it is written.
    pub threshold: String,
    /// Whether it held.
    pub state: State,
    /// What was seen, as people read it: `187 ms`, `>= 5.1 s`, `nothing`.
    pub observed: String,
    /// The same as a number: seconds, a share, a number per second, or a number. `None`: nothing was seen.
    pub value: Option<f64>,
    /// What kind of number `value` and `interval` hold.
    pub unit: Unit,
    /// The true value is at least `value`: requests ended before it was known.
    pub at_least: bool,
    /// Where the true value lies at 95 %, each bound by itself. `None`: nothing was seen.
    pub interval: Option<Interval>,
    /// Requests it rests on.
    pub samples: u64,
    /// About how many would have told, where these did not.
    pub samples_needed: Option<u64>,
    /// Why the state is what it is, in a sentence.
    pub why: String,
    /// Nobody asked for it: it is judged because nothing was said of errors.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub implied: bool,
}

/// Whether a threshold held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It did.
    Passed,
    /// It did not.
    Failed,
    /// One cannot tell: nothing was seen, or too little.
    Inconclusive,
}

/// What was seen of a measure, before it is compared.
struct Seen {
    value: f64,
    at_least: bool,
    interval: Interval,
    samples: u64,
    /// Below so many samples it may fail, but not pass.
    samples_min: u64,
    /// How many would tell, should these not.
    samples_needed: Option<u64>,
    /// Something a reader of the figure should know.
    note: String,
}

impl Seen {
    /// A fact of the run.
    const fn of(value: f64, samples: u64) -> Self {
        Self {
            value,
            at_least: false,
            interval: Interval { low: value, high: Some(value) },
            samples,
            samples_min: 1,
            samples_needed: None,
            note: String::new(),
        }
    }
}

impl Threshold {
    /// Compares it with a run. Warm-up is not looked at.
    #[must_use]
    pub fn judge(&self, outcome: &Outcome) -> Judged {
        if self.measure == Measure::Recovery {
            return self.judge_recovery(outcome);
        }
        let tally = match select::tally(&self.select, outcome) {
            Ok(tally) => tally,
            Err(why) => return self.unseen(why),
        };
        let seen = match self.measure {
            Measure::Time(clock, statistic) => times::seen(clock, statistic, self.limit, &tally, outcome),
            Measure::Errors | Measure::Availability | Measure::NotStarted => {
                shares::seen(self.measure, self.limit, &tally, outcome)
            }
            _ => rates::seen(self.measure, &tally, select::length(&self.select, outcome), outcome),
        };
        seen.map_or_else(|why| self.unseen(why), |seen| self.decide(seen))
    }

    fn decide(&self, seen: Seen) -> Judged {
        let unit = self.measure.unit();
        let exact = matches!(self.op, Op::Equal | Op::Unequal) || self.limit_is_edge();
        // What is said of equality is said of the run, not of what it was drawn from.
        let interval = if exact && !seen.at_least {
            Interval { low: seen.value, high: Some(seen.value) }
        } else {
            seen.interval
        };
        let state = match self.op.decides(interval, self.limit) {
            Some(true) if exact || seen.samples >= seen.samples_min => State::Passed,
            Some(false) => State::Failed,
            _ => State::Inconclusive,
        };
        let Seen { value, at_least, interval: shown, samples, samples_min, samples_needed, note } = seen;
        let short = state == State::Inconclusive && samples < samples_min;
        let needed = if short { Some(samples_min) } else { samples_needed };
        // What windows leave open is no matter of chance.
        let sure = if self.measure == Measure::Recovery { "" } else { " at 95 %" };
        let mut why = match state {
            _ if shown.low == value && shown.high == Some(value) => {
                format!("it was {} in this run", unit.show(value))
            }
            _ if short => format!("{samples} samples are too few: at least {samples_min} are needed"),
            State::Inconclusive => {
                let more =
                    needed.map_or_else(String::new, |needed| format!("; about {needed} samples would tell"));
                format!("it lies {}{sure}, and the limit is within{more}", span(shown, unit))
            }
            _ => format!("it lies {}{sure}", span(shown, unit)),
        };
        if !note.is_empty() {
            why = format!("{why}; {note}");
        }
        Judged {
            threshold: self.to_string(),
            state,
            observed: format!("{}{}", if at_least { ">= " } else { "" }, unit.show(value)),
            value: Some(value),
            unit,
            at_least,
            interval: Some(shown),
            samples,
            samples_needed: needed.filter(|_| state == State::Inconclusive),
            why,
            implied: false,
        }
    }

    /// Whether the limit is none or all, which no number of samples can prove.
    fn limit_is_edge(&self) -> bool {
        self.measure.unit() == Unit::Share && (self.limit == 0.0 || self.limit == 1.0)
    }

    fn judge_recovery(&self, outcome: &Outcome) -> Judged {
        let episodes = &outcome.lab.episodes;
        let (time, ended) = match outcome.lab.worst_recovery() {
            Worst::Unknown if episodes.is_empty() => {
                return self.unseen("no fault was injected, so there was nothing to recover from".to_owned());
            }
            Worst::Unknown => {
                return self
                    .unseen("it cannot be told whether the target recovered from every fault".to_owned());
            }
            Worst::Within(time) => (time.as_secs_f64(), true),
            Worst::Beyond(time) => (time.as_secs_f64(), false),
        };
        // It is read from windows: a recovery may have been one earlier or later. None at all is exact.
        let window = episodes.iter().map(|episode| episode.recovery.resolution).max().unwrap_or_default();
        let window = if time > 0.0 { window.as_secs_f64() } else { 0.0 };
        let count = episodes.len() as u64;
        let note = if ended {
            let share = stats::share_low(count, count, CONFIDENCE);
            format!(
                "of such faults that proves for at least {:.0} % that they heal as fast",
                (share * 100.0).floor()
            )
        } else {
            "the target had not recovered when the watch ended".to_owned()
        };
        self.decide(Seen {
            value: time,
            at_least: !ended,
            interval: Interval {
                low: if ended { (time - window).max(0.0) } else { time },
                high: ended.then_some(time + window),
            },
            samples: count,
            samples_min: 1,
            samples_needed: None,
            note,
        })
    }

    fn unseen(&self, why: String) -> Judged {
        Judged {
            threshold: self.to_string(),
            state: State::Inconclusive,
            observed: "nothing".to_owned(),
            value: None,
            unit: self.measure.unit(),
            at_least: false,
            interval: None,
            samples: 0,
            samples_needed: Some(samples_min(self)),
            why,
            implied: false,
        }
    }
}

impl Judged {
    /// The interval as people read it: `between 181 ms and 195 ms`. `None`: there is none, or the value is exact.
    #[must_use]
    pub fn interval_text(&self) -> Option<String> {
        let exact = |interval: &Interval| self.value == Some(interval.low) && self.value == interval.high;
        self.interval.filter(|interval| !exact(interval)).map(|interval| span(interval, self.unit))
    }
}

impl Op {
    /// Whether all of `interval` compares so to `limit`, or none of it; `None`: some does.
    fn decides(self, interval: Interval, limit: f64) -> Option<bool> {
        let Interval { low, high } = interval;
        let above = high.unwrap_or(f64::INFINITY);
        match self {
            Self::Equal if !interval.contains(limit) => Some(false),
            Self::Unequal if !interval.contains(limit) => Some(true),
            Self::Equal | Self::Unequal if Some(low) == high => Some(self == Self::Equal),
            Self::Equal | Self::Unequal => None,
            _ => {
                let ends = [self.holds(low, limit), self.holds(above, limit)];
                (ends[0] == ends[1]).then_some(ends[0])
            }
        }
    }
}

pub(super) fn samples_min(threshold: &Threshold) -> u64 {
    match threshold.measure {
        Measure::Time(_, Statistic::Quantile(quantile)) => stats::percentile_floor(quantile, CONFIDENCE),
        Measure::Time(_, Statistic::Mean) => times::MEAN_SAMPLES_MIN,
        Measure::Errors if !threshold.limit_is_edge() => {
            stats::share_samples(0, 0, threshold.limit, CONFIDENCE).unwrap_or(1)
        }
        Measure::Availability if !threshold.limit_is_edge() => {
            stats::share_samples(0, 0, 1.0 - threshold.limit, CONFIDENCE).unwrap_or(1)
        }
        _ => 1,
    }
}

fn span(interval: Interval, unit: Unit) -> String {
    let low = unit.show(interval.low);
    match interval.high.map(|high| unit.show(high)) {
        Some(high) if high == low => format!("at about {low}"),
        Some(high) => format!("between {low} and {high}"),
        None => format!("at {low} or above"),
    }
}
