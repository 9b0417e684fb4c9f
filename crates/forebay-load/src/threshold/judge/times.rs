//! What was seen of a time.

use std::time::Duration;

use super::{Seen, clusters};
use crate::hdr::Hdr;
use crate::outcome::{Outcome, Tally};
use crate::stats::{self, CONFIDENCE, Interval};
use crate::threshold::{Clock, Statistic};

/// Fewest samples a mean is judged by: its interval takes them for normal, which fewer are not even nearly.
pub(super) const MEAN_SAMPLES_MIN: u64 = 30;

/// 95 % of a normal distribution lies below so many deviations above its mean.
const DEVIATIONS: f64 = 1.645;

/// Samples of a time: `all` with what was waited for in vain at the time waited, `known` without.
struct Samples {
    all: Hdr,
    known: Hdr,
    cut_short: u64,
}

pub(super) fn seen(
    clock: Clock,
    statistic: Statistic,
    limit: f64,
    tally: &Tally,
    outcome: &Outcome,
) -> Result<Seen, String> {
    let samples = Samples::of(clock, tally);
    let count = samples.all.count();
    if count == 0 {
        return Err(match clock {
            Clock::Connect => "no request had to connect",
            _ if tally.planned > 0 => "no request was answered as expected",
            _ => "no requests were planned",
        }
        .to_owned());
    }
    let mut seen = match statistic {
        Statistic::Quantile(quantile) => {
            samples.quantile(quantile, limit, clusters::of_times(limit, outcome))
        }
        Statistic::Mean => samples.mean(limit),
        Statistic::Min => samples.fact(samples.all.min(), samples.known.min()),
        Statistic::Max => {
            let known = samples.known.max().filter(|_| samples.cut_short == 0);
            samples.fact(samples.all.max(), known)
        }
    };
    seen.samples = count;
    if seen.at_least {
        seen.note = format!("{} requests had no answer when waiting for it ended", samples.cut_short);
    } else if clock != Clock::Response && seen.note.is_empty() {
        seen.note = "only requests that came so far are in it".to_owned();
    }
    Ok(seen)
}

impl Samples {
    fn of(clock: Clock, tally: &Tally) -> Self {
        let known = match clock {
            Clock::Response => &tally.response,
            Clock::Service => &tally.service,
            Clock::FirstByte => &tally.first_byte,
            Clock::Connect => &tally.connect,
            Clock::Delay => &tally.delay,
        };
        let known = known.clone();
        match clock {
            Clock::Response => Self { all: tally.judged(), known, cut_short: tally.censored.count() },
            _ => Self { all: known.clone(), known, cut_short: 0 },
        }
    }

    /// The `rank`-th least, if what was cut short cannot change it: at worst all that lies above.
    fn known(&self, rank: u64) -> Option<f64> {
        if rank > self.known.count() {
            return None;
        }
        self.known.nth(rank).map(|time| time.as_secs_f64())
    }

    /// The `rank`-th least, or less.
    fn least(&self, rank: u64) -> f64 {
        seconds(self.all.nth(rank))
    }

    /// `alike`: so many samples tell no more than one.
    fn quantile(&self, quantile: f64, limit: f64, alike: f64) -> Seen {
        let count = self.all.count();
        let rank = ((quantile * count as f64 - 1e-9).ceil() as u64).max(1);
        let (low, _) = stats::order_interval(count, quantile, CONFIDENCE);
        let fewer = (count as f64 / alike).ceil();
        let (_, high) = stats::order_interval(fewer as u64, quantile, CONFIDENCE);
        // The same share of all samples as of those few.
        let high = high.map(|rank| (rank as f64 / fewer * count as f64).ceil() as u64);
        let value = self.least(rank);
        let beyond = count - self.all.count_within(Duration::from_secs_f64(limit.min(1e6)));
        Seen {
            value,
            at_least: self.known(rank) != Some(value),
            interval: Interval {
                low: low.map_or(0.0, |rank| self.least(rank)),
                high: high.and_then(|rank| self.known(rank)),
            },
            samples: count,
            samples_min: stats::percentile_floor(quantile, CONFIDENCE),
            samples_needed: clusters::stretch(
                stats::share_samples(beyond, count, 1.0 - quantile, CONFIDENCE),
                alike,
            ),
            note: clusters::note(alike),
        }
    }

    fn mean(&self, limit: f64) -> Seen {
        let count = self.all.count() as f64;
        let value = seconds(self.all.mean());
        let spread = |(us, times): (u64, u64)| (us as f64 / 1e6 - value).powi(2) * times as f64;
        let variance = self.all.values().map(spread).sum::<f64>() / (count - 1.0).max(1.0);
        let reach = DEVIATIONS * (variance / count).sqrt();
        let needed = (variance * (DEVIATIONS / (value - limit)).powi(2)).ceil();
        let enough = count >= MEAN_SAMPLES_MIN as f64;
        Seen {
            value,
            at_least: self.cut_short > 0,
            interval: Interval {
                low: if enough { (value - reach).max(0.0) } else { 0.0 },
                high: (self.cut_short == 0 && enough).then_some(value + reach),
            },
            samples: self.all.count(),
            samples_min: MEAN_SAMPLES_MIN,
            samples_needed: (needed < 1e10).then_some(needed as u64),
            note: String::new(),
        }
    }

    /// What is so in this run, whatever other runs would show: at least `value`, and exactly that if it is also
    /// what is known.
    fn fact(&self, value: Option<Duration>, known: Option<Duration>) -> Seen {
        let (value, high) = (seconds(value), known.map(|known| known.as_secs_f64()));
        Seen {
            value,
            at_least: high != Some(value),
            interval: Interval { low: value, high },
            samples: self.all.count(),
            samples_min: 1,
            samples_needed: None,
            note: String::new(),
        }
    }
}

fn seconds(time: Option<Duration>) -> f64 {
    time.unwrap_or_default().as_secs_f64()
}
