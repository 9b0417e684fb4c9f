//! Count latencies to the microsecond.

use std::time::Duration;

/// Up to here each microsecond has its own count; a proxy on loopback rarely leaves this range.
const FINE_MAX: usize = 200_000;
/// Beyond it, each millisecond up to a minute.
const COARSE_MAX: usize = 60_000;

/// Latencies from 0 to a minute; longer ones count as a minute.
#[derive(Debug)]
pub(crate) struct Histogram {
    fine: Vec<u32>,
    coarse: Vec<u32>,
    total: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { fine: vec![0; FINE_MAX], coarse: vec![0; COARSE_MAX], total: 0 }
    }

    pub(crate) fn record(&mut self, latency: Duration) {
        let micros = usize::try_from(latency.as_micros()).unwrap_or(usize::MAX);
        self.total += 1;
        match self.fine.get_mut(micros) {
            Some(count) => *count += 1,
            None => self.coarse[(micros / 1000).min(COARSE_MAX - 1)] += 1,
        }
    }

    /// How many were recorded.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// The latency that this part of all does not exceed, in µs; 0 when nothing was recorded.
    pub(crate) fn quantile(&self, part: f64) -> f64 {
        let rank = (part * self.total as f64).ceil().max(1.0) as u64;
        let micros = (0..FINE_MAX).chain((0..COARSE_MAX).map(|millis| millis * 1000));
        let mut seen = 0;
        for (count, micros) in self.fine.iter().chain(&self.coarse).zip(micros) {
            seen += u64::from(*count);
            if seen >= rank {
                return micros as f64;
            }
        }
        0.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(micros: impl Iterator<Item = u64>, part: f64, expected: f64) {
        let mut histogram = Histogram::new();
        micros.for_each(|micros| histogram.record(Duration::from_micros(micros)));
        assert_eq!(histogram.quantile(part).to_bits(), expected.to_bits(), "{part}");
    }

    #[test]
    fn quantiles_are_the_ranked_values() {
        check(1..=100, 0.5, 50.0);
        check(1..=100, 0.99, 99.0);
        check((1..=100).rev(), 1.0, 100.0);
        check([7].into_iter(), 0.01, 7.0);
    }

    #[test]
    fn long_latencies_keep_their_milliseconds() {
        check([450_700, 450_900].into_iter(), 0.99, 450_000.0);
        check([10_000_000_000].into_iter(), 0.5, 59_999_000.0);
    }

    #[test]
    fn nothing_recorded_is_zero() {
        check([].into_iter(), 0.99, 0.0);
    }
}
