//! How long an endpoint is left out, longer each time, until it has behaved.

use std::time::Duration;

use forebay_base::time::Instant;

/// The ejections of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ejection {
    /// How many there have been that are not forgiven.
    times: u32,
    /// When the one that goes on will end.
    until: Option<Instant>,
    /// From when on good behaviour counts.
    well_since: Option<Instant>,
}

impl Ejection {
    /// Leaves the endpoint out: the first time for `base`, the n-th in a row for n times as long, but at most for
    /// `max`. Until when. One that is out already stays out until then, and is not punished twice.
    pub fn begin(&mut self, now: Instant, base: Duration, max: Duration) -> Instant {
        if let Some(until) = self.until.filter(|until| now < *until) {
            return until;
        }
        self.times = self.times.saturating_add(1);
        let until = now + base.saturating_mul(self.times).min(max);
        self.until = Some(until);
        self.well_since = None;
        until
    }

    /// Until when the endpoint is left out; `None`: it is not. The instant may have passed: [`end`](Self::end)
    /// brings it back.
    #[must_use]
    pub fn until(&self) -> Option<Instant> {
        self.until
    }

    /// Brings the endpoint back, because its time is over or because it has shown that it is well again. From now
    /// on good behaviour counts.
    pub fn end(&mut self, now: Instant) {
        if self.until.take().is_some() {
            self.well_since = Some(now);
        }
    }

    /// The endpoint has behaved until now. For each time as long as `base` since it came back, one ejection is
    /// forgiven; what is left of such a time counts on. Does nothing while it is out.
    pub fn well(&mut self, now: Instant, base: Duration) {
        let Some(since) = self.well_since else { return };
        let passed = now.since(since).as_nanos();
        let steps = passed.checked_div(base.as_nanos()).unwrap_or(u128::MAX);
        let steps = u32::try_from(steps).unwrap_or(u32::MAX).min(self.times);
        self.times -= steps;
        self.well_since = Some(since + base.saturating_mul(steps)).filter(|_| self.times > 0);
    }
}

/// Whether one more of `all` endpoints may be ejected when `ejected` are. At most `max_percent` of them, but one
/// always may be if there are others.
#[must_use]
pub fn may_eject(ejected: usize, all: usize, max_percent: u8) -> bool {
    let allowed = all as u128 * u128::from(max_percent.min(100));
    (ejected == 0 && all > 1) || (ejected as u128 + 1) * 100 <= allowed
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BASE: Duration = Duration::from_secs(5);
    const MAX: Duration = Duration::from_secs(18);

    const fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    /// Ejects and brings back so many times in a row; how long the last one lasted.
    fn last_of(times: u64, ejection: &mut Ejection) -> Duration {
        let mut last = Duration::ZERO;
        for n in 0..times {
            let until = ejection.begin(at(n * 100), BASE, MAX);
            assert_eq!(ejection.until(), Some(until));
            last = until.since(at(n * 100));
            ejection.end(until);
            assert_eq!(ejection.until(), None);
        }
        last
    }

    #[test]
    fn each_in_a_row_lasts_longer_up_to_the_longest() {
        let lengths: Vec<u64> = (1..=5).map(|n| last_of(n, &mut Ejection::default()).as_secs()).collect();
        assert_eq!(lengths, [5, 10, 15, 18, 18]);
    }

    #[test]
    fn who_is_out_is_not_ejected_again() {
        let mut ejection = Ejection::default();
        assert_eq!(ejection.begin(at(0), BASE, MAX), at(5));
        assert_eq!(ejection.begin(at(4), BASE, MAX), at(5));
        assert_eq!(ejection.begin(at(5), BASE, MAX), at(15));
    }

    #[test]
    fn good_behaviour_is_forgiven_step_by_step() {
        let next = |well: &[u64]| {
            let mut ejection = Ejection::default();
            last_of(3, &mut ejection);
            // Back since 215 s.
            well.iter().for_each(|seconds| ejection.well(at(*seconds), BASE));
            ejection.begin(at(1_000), BASE, MAX).since(at(1_000)).as_secs()
        };
        assert_eq!(next(&[]), 18);
        assert_eq!(next(&[219]), 18);
        assert_eq!(next(&[220]), 15);
        assert_eq!(next(&[219, 224, 225]), 10);
        assert_eq!(next(&[900]), 5);
    }

    #[test]
    fn what_happens_while_it_is_out_is_no_good_behaviour() {
        let mut ejection = Ejection::default();
        last_of(2, &mut ejection);
        ejection.begin(at(1_000), BASE, MAX);
        ejection.well(at(9_000), BASE);
        ejection.end(at(9_000));
        ejection.end(at(9_500));
        ejection.well(at(9_004), BASE);
        assert_eq!(ejection.begin(at(9_004), BASE, MAX), at(9_022));
    }

    #[test]
    fn a_base_of_zero_forgives_at_once() {
        let mut ejection = Ejection::default();
        last_of(3, &mut ejection);
        ejection.well(at(215), Duration::ZERO);
        assert_eq!(ejection.begin(at(300), BASE, MAX), at(305));
    }

    #[test]
    fn a_part_may_be_ejected_but_one_always() {
        let most = |all: usize, percent: u8| (0..all).find(|n| !may_eject(*n, all, percent)).unwrap_or(all);
        assert_eq!([1, 2, 3, 4, 10].map(|all| most(all, 50)), [0, 1, 1, 2, 5]);
        assert_eq!([0, 1, 2, 10].map(|all| most(all, 0)), [0, 0, 1, 1]);
        assert_eq!([1, 2, 10].map(|all| most(all, 100)), [1, 2, 10]);
        assert_eq!(most(10, 255), 10);
    }

    proptest! {
        #[test]
        fn no_times_overflow(calls in prop::collection::vec((any::<u64>(), any::<Duration>(), any::<Duration>(), 0_u8..3), 0..50)) {
            let mut ejection = Ejection::default();
            for (now, base, max, call) in calls {
                let now = Instant::from_nanos(now);
                match call {
                    0 => prop_assert!(ejection.begin(now, base, max) >= now),
                    1 => ejection.end(now),
                    _ => ejection.well(now, base),
                }
            }
        }
    }
}
