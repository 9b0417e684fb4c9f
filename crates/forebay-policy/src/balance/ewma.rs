//! How long an endpoint takes, remembered so that bad news counts at once and good news slowly.

use std::time::Duration;

use forebay_base::time::Instant;

/// In this time, old latencies lose all but 1/e (37 %) of their say.
pub const DECAY: Duration = Duration::from_secs(10);

/// What is assumed of a request in flight to an endpoint that has never answered, in seconds: a small penalty. With
/// none, an endpoint that never answers would get all it is drawn for; with much, a new one would hardly be tried
/// while others keep it busy.
const UNKNOWN: f64 = 0.001;

/// The latency of one endpoint: an exponentially weighted moving average over time that jumps to every peak and
/// sinks from it with the time constant [`DECAY`].
///
/// Tell it how long successful requests took to their first byte, and failed ones only if they took long, such as
/// time-outs: an endpoint that refuses quickly must not look like a fast one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Ewma {
    /// Seconds; finite and not negative.
    latency: f64,
    /// When it was observed last.
    observed: Option<Instant>,
}

impl Ewma {
    /// A request has taken `latency`. An instant before the last one counts as that.
    pub fn observe(&mut self, now: Instant, latency: Duration) {
        let latency = latency.as_secs_f64();
        let old = self.remaining(now);
        self.latency = match self.observed {
            Some(_) if latency < self.latency => self.latency * old + latency * (1.0 - old),
            _ => latency,
        };
        self.observed = Some(self.observed.map_or(now, |last| last.max(now)));
    }

    /// What one more request would cost: how long it and the `in_flight` before it take, in seconds. Finite, not
    /// negative, and never sinks when `in_flight` grows.
    ///
    /// The less is known, because nothing was observed for long or ever, the more a request in flight counts as a
    /// millisecond (or as the last latency, if that was less) and the one to come as nothing. So an endpoint that is
    /// new or was slow is tried at once when idle, and then takes a few requests, not all, until it has answered.
    ///
    /// `in_flight` may count requests that others sent, who observe for themselves.
    #[must_use]
    pub fn cost(&self, now: Instant, in_flight: u32) -> f64 {
        let left = self.remaining(now);
        let unknown = self.observed.map_or(UNKNOWN, |_| self.latency.min(UNKNOWN));
        let known = self.latency * left;
        known + f64::from(in_flight) * (known + unknown * (1.0 - left))
    }

    /// What time has left of the last observation: from 1, just now, down to 0, long ago.
    fn remaining(&self, now: Instant) -> f64 {
        let Some(observed) = self.observed else { return 0.0 };
        let passed = now.since(observed);
        (-passed.as_secs_f64() / DECAY.as_secs_f64()).exp()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(millis: u64) -> Instant {
        Instant::from_nanos(1_000_000_000 + millis * 1_000_000)
    }

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    /// The cost of the first request, in milliseconds, after these observations (at, latency).
    fn check(observations: &[(u64, u64)], now: u64, expected: f64) {
        let mut ewma = Ewma::default();
        observations.iter().for_each(|(when, latency)| ewma.observe(at(*when), millis(*latency)));
        let cost = ewma.cost(at(now), 0) * 1e3;
        assert!(
            (cost - expected).abs() < expected * 0.01 + 1e-9,
            "{cost}, not {expected}, after {observations:?}"
        );
    }

    #[test]
    fn it_jumps_to_peaks_and_sinks_slowly() {
        check(&[(0, 10)], 0, 10.0);
        check(&[(0, 10), (0, 500)], 0, 500.0);
        check(&[(0, 500), (1, 10)], 1, 500.0);
        // One time constant later, 37 % of the peak and 63 % of the new.
        check(&[(0, 500), (10_000, 10)], 10_000, 500.0 * 0.3679 + 10.0 * 0.6321);
        check(&[(0, 500), (100_000, 10)], 100_000, 10.0);
    }

    #[test]
    fn whoever_was_slow_is_tried_again_by_a_few() {
        check(&[(0, 500)], 10_000, 500.0 * 0.3679);
        check(&[(0, 500)], 60_000, 500.0 * 0.002_479);
        let mut ewma = Ewma::default();
        ewma.observe(at(0), millis(500));
        // The fifth costs more than five of an endpoint that takes a millisecond, however long ago it was.
        for seconds in [60, 600, 6_000] {
            let cost = ewma.cost(at(seconds * 1_000), 5) * 1e3;
            assert!((5.0..13.0).contains(&cost), "{cost}");
        }
        // Whoever was fast is not taken for slower because others keep it busy.
        let mut fast = Ewma::default();
        fast.observe(at(0), Duration::from_micros(100));
        assert!(fast.cost(at(600_000), 20) < 0.0021);
    }

    #[test]
    fn whoever_has_never_answered_is_tried_but_not_flooded() {
        let new = Ewma::default();
        let mut known = Ewma::default();
        known.observe(at(0), millis(3));
        assert!(new.cost(at(0), 0) < known.cost(at(0), 0));
        assert!(new.cost(at(0), 2) < known.cost(at(0), 0));
        assert!(new.cost(at(0), 4) > known.cost(at(0), 0));
        // Of those that have never answered, the least loaded.
        assert!(new.cost(at(0), 4) < new.cost(at(0), 5));
    }

    proptest! {
        #[test]
        fn costs_are_numbers_and_grow_with_what_is_in_flight(
            observations in prop::collection::vec((any::<u64>(), any::<u64>()), 0..20),
            now in any::<u64>(),
            in_flight in 0..u32::MAX,
        ) {
            let mut ewma = Ewma::default();
            for (when, latency) in observations {
                ewma.observe(Instant::from_nanos(when), Duration::from_secs(latency));
            }
            let now = Instant::from_nanos(now);
            let cost = ewma.cost(now, in_flight);
            prop_assert!(cost.is_finite() && cost >= 0.0, "{ewma:?}: {cost}");
            prop_assert!(ewma.cost(now, in_flight + 1) >= cost);
        }

        #[test]
        fn it_stays_between_the_least_and_the_greatest(latencies in prop::collection::vec(1_u64..1_000, 1..50), gap in 0_u64..30_000) {
            let mut ewma = Ewma::default();
            let mut when = 0;
            for latency in &latencies {
                when += gap;
                ewma.observe(at(when), millis(*latency));
            }
            let cost = ewma.cost(at(when), 0) * 1e3;
            let (least, most) = (latencies.iter().min().copied(), latencies.iter().max().copied());
            prop_assert!(cost >= least.unwrap_or(0) as f64 * 0.999 && cost <= most.unwrap_or(0) as f64 * 1.001);
        }
    }
}
