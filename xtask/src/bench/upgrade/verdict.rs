//! What clients had of upgrades, from all their requests.

use std::fmt;
use std::time::Duration;

use crate::bench::failover::load::Sample;

/// A start is not representative.
const WARM_UP: Duration = Duration::from_secs(1);

/// What came of one run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) upgrades: u32,
    pub(super) requests: usize,
    pub(super) errors: usize,
    /// 99th percentiles: before the first upgrade, and from then on. Errors count with the time they took.
    pub(super) p99: [Duration; 2],
    /// The slowest answer since the first upgrade.
    pub(super) max: Duration,
    /// The longest time without any good answer: before the first upgrade, and from then on.
    pub(super) gap: [Duration; 2],
}

/// Judges the requests of a run whose first upgrade began at `first`.
pub(super) fn judge(samples: &[Sample], first: Duration, upgrades: u32) -> Verdict {
    let warm = WARM_UP.min(first / 2);
    let times = |from: Duration, to: Duration| {
        let meant = samples.iter().filter(|sample| (from..to).contains(&sample.planned));
        let mut times: Vec<Duration> = meant.map(|sample| sample.took).collect();
        times.sort_unstable();
        times
    };
    let (before, after) = (times(warm, first), times(first, Duration::MAX));
    let mut answers: Vec<Duration> =
        samples.iter().filter(|sample| sample.ok).map(|sample| sample.planned + sample.took).collect();
    answers.sort_unstable();
    Verdict {
        upgrades,
        requests: samples.len(),
        errors: samples.iter().filter(|sample| !sample.ok).count(),
        p99: [p99(&before), p99(&after)],
        max: after.last().copied().unwrap_or_default(),
        gap: [gap(&answers, warm, first), gap(&answers, first, Duration::MAX)],
    }
}

fn p99(times: &[Duration]) -> Duration {
    let rank = (times.len() * 99).div_ceil(100).max(1);
    times.get(rank - 1).copied().unwrap_or_default()
}

/// Between two answers, the later of which came within these bounds.
fn gap(answers: &[Duration], from: Duration, to: Duration) -> Duration {
    let pairs = answers.windows(2).filter(|pair| (from..to).contains(&pair[1]));
    pairs.map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |time: Duration| time.as_secs_f64() * 1e3;
        write!(
            out,
            "{} upgrades, {} errors of {}, p99 {:.2} ms, then {:.2} ms, longest gap {:.1} ms",
            self.upgrades,
            self.errors,
            self.requests,
            millis(self.p99[0]),
            millis(self.p99[1]),
            millis(self.gap[1]),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(planned: u64, took: u64, ok: bool) -> Sample {
        Sample { planned: Duration::from_millis(planned), took: Duration::from_millis(took), ok }
    }

    #[test]
    fn gaps_are_between_good_answers() {
        let samples = [
            sample(5_000, 1, true),
            sample(5_010, 1, true),
            sample(10_000, 1, true),
            sample(10_020, 1, false),
            sample(10_020, 31, true),
        ];
        let verdict = judge(&samples, Duration::from_secs(10), 1);
        assert_eq!((verdict.requests, verdict.errors), (5, 1));
        assert_eq!(verdict.gap, [10, 4_990].map(Duration::from_millis));
        assert_eq!(
            (verdict.p99, verdict.max),
            ([1, 31].map(Duration::from_millis), Duration::from_millis(31))
        );
    }
}
