//! What clients had of a failure, from all their requests.

use std::fmt;
use std::time::Duration;

use super::load::Sample;

/// Answers that take longer are counted as slow.
const SLOW: Duration = Duration::from_millis(250);
/// A start is not representative.
const WARM_UP: Duration = Duration::from_secs(1);
/// `during` is at most so long.
const DURING: Duration = Duration::from_secs(5);

/// What came of one run.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) requests: usize,
    pub(super) errors: usize,
    /// Answered well, but late.
    pub(super) slow: usize,
    /// From the fault to the end of the last error or slow answer; zero if there was none.
    pub(super) recovery: Duration,
    /// From the fault to the planned start of that request: since when new requests were well.
    pub(super) last_start: Duration,
    /// 99th percentiles: before the fault, in the first seconds after it, and from then on. Errors count with
    /// the time they took.
    pub(super) p99: [Duration; 3],
    /// Errors and slow answers before the fault: the run says little if there are any.
    pub(super) before: usize,
}

/// Judges the requests of a run of this length whose fault began at `fault`.
pub(super) fn judge(samples: &[Sample], fault: Duration, time: Duration) -> Verdict {
    let is_bad = |sample: &&Sample| !sample.ok || sample.took > SLOW;
    let end = |sample: &Sample| sample.planned + sample.took;
    let hurt = samples.iter().filter(is_bad).filter(|sample| end(sample) >= fault);
    let last = hurt.max_by_key(|sample| end(sample));
    let during = fault + DURING.min((time.saturating_sub(fault)) / 2);
    Verdict {
        requests: samples.len(),
        errors: samples.iter().filter(|sample| !sample.ok).count(),
        slow: samples.iter().filter(|sample| sample.ok && sample.took > SLOW).count(),
        recovery: last.map_or(Duration::ZERO, |sample| end(sample) - fault),
        last_start: last.map_or(Duration::ZERO, |sample| sample.planned.saturating_sub(fault)),
        p99: [
            p99(samples, |at| (WARM_UP.min(fault / 2)..fault).contains(&at)),
            p99(samples, |at| (fault..during).contains(&at)),
            p99(samples, |at| at >= during),
        ],
        before: samples.iter().filter(is_bad).filter(|sample| end(sample) < fault).count(),
    }
}

fn p99(samples: &[Sample], is_meant: impl Fn(Duration) -> bool) -> Duration {
    let mut times: Vec<Duration> =
        samples.iter().filter(|sample| is_meant(sample.planned)).map(|sample| sample.took).collect();
    times.sort_unstable();
    let rank = (times.len() * 99).div_ceil(100).max(1);
    times.get(rank - 1).copied().unwrap_or_default()
}

impl Verdict {
    /// Errors per hundred requests.
    pub(super) fn error_rate(&self) -> f64 {
        self.errors as f64 * 100.0 / self.requests.max(1) as f64
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{} errors ({:.3} %), {} slow, recovered after {:.2} s",
            self.errors,
            self.error_rate(),
            self.slow,
            self.recovery.as_secs_f64()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAULT: Duration = Duration::from_secs(10);
    const TIME: Duration = Duration::from_secs(40);

    fn sample(planned: u64, took: u64, ok: bool) -> Sample {
        Sample { planned: Duration::from_millis(planned), took: Duration::from_millis(took), ok }
    }

    #[test]
    fn recovery_is_the_end_of_the_last_request_that_suffered() {
        let samples = [
            sample(9_000, 1, true),
            sample(9_900, 2_300, true),
            sample(10_100, 900, false),
            sample(10_500, 250, true),
            sample(30_000, 3, true),
        ];
        let verdict = judge(&samples, FAULT, TIME);
        assert_eq!((verdict.requests, verdict.errors, verdict.slow, verdict.before), (5, 1, 1, 0));
        assert_eq!((verdict.recovery, verdict.last_start), (Duration::from_millis(2_200), Duration::ZERO));
        assert_eq!(verdict.p99, [2_300, 900, 3].map(Duration::from_millis));
    }

    #[test]
    fn trouble_before_the_fault_is_told_apart() {
        let verdict = judge(&[sample(5_000, 300, true), sample(11_000, 1, true)], FAULT, TIME);
        assert_eq!((verdict.before, verdict.recovery), (1, Duration::ZERO));
    }
}
