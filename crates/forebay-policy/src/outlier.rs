//! Who treats requests worse than the others do, and how long it is left out.

mod ejection;

use std::time::Duration;

pub use ejection::{Ejection, may_eject};

/// An endpoint is not slow unless it is slower than the others by at least this: below it, ratios say more about
/// clocks and schedulers than about endpoints.
const LATENCY_GAP_MIN: Duration = Duration::from_millis(5);

/// When an endpoint stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Its share of failed requests is above that of the others by so many points of percent. 0: not looked at.
    pub error_ratio: u8,
    /// Its latency is so many times that of the others. 0: not looked at.
    pub latency_factor: u32,
    /// Requests in a window that make it count, for itself and as one of the others. 0 counts as 1.
    pub requests_min: u32,
}

/// What one endpoint did in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// Requests that ended, failed ones among them.
    pub requests: u64,
    /// Those that failed.
    pub failures: u64,
    /// Mean time to the first byte of those that had one; `None`: there were none.
    pub latency: Option<Duration>,
}

/// Why an endpoint is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cause {
    /// Connections could not be opened, several in a row.
    ConnectFailures,
    /// Requests failed, several in a row.
    Failures,
    /// More of its requests fail than of the others'.
    ErrorRatio,
    /// It takes much longer than the others.
    Latency,
}

impl Cause {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::ConnectFailures, Self::Failures, Self::ErrorRatio, Self::Latency];

    /// The word for people and labels.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::ConnectFailures => "connect_failures",
            Self::Failures => "failures",
            Self::ErrorRatio => "error_ratio",
            Self::Latency => "latency",
        }
    }
}

/// Who of the endpoints of a service stands out, each compared with all others: one entry per window.
///
/// An endpoint is compared with the median of the others that have had enough requests, itself not among them, so
/// that neither a bad one nor one with most of the requests moves the measure. One other is enough to compare
/// with: of two, the worse one is easily named. A high share of errors is named before a high latency, and latency
/// counts only if it is 5 ms above the others'.
#[must_use]
pub fn compare(rules: &Rules, windows: &[Window]) -> Vec<Option<Cause>> {
    let is_full = |window: &Window| window.requests >= u64::from(rules.requests_min.max(1));
    let full = || windows.iter().map(|window| is_full(window).then_some(window));
    let errors: Vec<Option<u64>> = full().map(|window| window.map(error_ratio)).collect();
    let latencies: Vec<Option<u64>> = full().map(|window| window?.latency.map(nanos)).collect();
    let fails = stands_out(&errors, |own, others| {
        let points = u64::from(rules.error_ratio) * (WHOLE / 100);
        rules.error_ratio > 0 && own >= others.saturating_add(points)
    });
    let lags = stands_out(&latencies, |own, others| {
        let gap = own.saturating_sub(others);
        let factor = u64::from(rules.latency_factor);
        factor > 0 && own >= others.saturating_mul(factor) && gap >= nanos(LATENCY_GAP_MIN)
    });
    let cause = |(fails, lags)| match (fails, lags) {
        (true, _) => Some(Cause::ErrorRatio),
        (false, true) => Some(Cause::Latency),
        (false, false) => None,
    };
    fails.into_iter().zip(lags).map(cause).collect()
}

/// All requests, in the unit of [`error_ratio`].
const WHOLE: u64 = 1_000_000;

fn error_ratio(window: &Window) -> u64 {
    let failures = window.failures.min(window.requests);
    let ratio = u128::from(failures) * u128::from(WHOLE) / u128::from(window.requests.max(1));
    ratio as u64
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// For each value, whether `is_bad` of it and the median of the others.
fn stands_out(values: &[Option<u64>], is_bad: impl Fn(u64, u64) -> bool) -> Vec<bool> {
    let mut sorted: Vec<u64> = values.iter().copied().flatten().collect();
    sorted.sort_unstable();
    let bad = |own: &Option<u64>| {
        own.is_some_and(|own| median_without(&sorted, own).is_some_and(|others| is_bad(own, others)))
    };
    values.iter().map(bad).collect()
}

/// The median of all but one of the values that equal `own`; of an even number, the mean of the middle two.
fn median_without(sorted: &[u64], own: u64) -> Option<u64> {
    let left_out = sorted.partition_point(|value| *value < own);
    let nth = |n: usize| sorted.get(if n < left_out { n } else { n + 1 }).copied();
    let others = sorted.len().checked_sub(1).filter(|others| *others > 0)?;
    let (low, high) = (nth((others - 1) / 2)?, nth(others / 2)?);
    Some(low.midpoint(high))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: Rules = Rules { error_ratio: 20, latency_factor: 5, requests_min: 100 };

    /// Endpoints by requests, failures and latency in microseconds; who stands out, by the first letter.
    fn check(windows: &[(u64, u64, u64)], expected: &str) {
        let window = |(requests, failures, micros): &(u64, u64, u64)| Window {
            requests: *requests,
            failures: *failures,
            latency: Some(Duration::from_micros(*micros)).filter(|latency| !latency.is_zero()),
        };
        let causes = compare(&RULES, &windows.iter().map(window).collect::<Vec<_>>());
        let letters = causes.into_iter().map(|cause| match cause {
            None => '-',
            Some(Cause::ErrorRatio) => 'e',
            Some(Cause::Latency) => 'l',
            Some(Cause::ConnectFailures | Cause::Failures) => '?',
        });
        assert_eq!(letters.collect::<String>(), expected, "{windows:?}");
    }

    #[test]
    fn who_fails_more_than_the_others_stands_out() {
        check(&[(100, 20, 0), (100, 0, 0), (100, 0, 0)], "e--");
        check(&[(100, 19, 0), (100, 0, 0), (100, 0, 0)], "---");
        check(&[(100, 100, 0), (100, 0, 0)], "e-");
        // When all fail, it is not their fault.
        check(&[(100, 90, 0), (100, 90, 0), (100, 100, 0)], "---");
    }

    #[test]
    fn bad_ones_do_not_hide_behind_each_other() {
        check(&[(100, 100, 0), (100, 100, 0), (100, 0, 0), (100, 0, 0), (100, 0, 0)], "ee---");
        // Nor behind the many requests that fast failures attract.
        check(&[(9_000, 9_000, 0), (9_000, 9_000, 0), (100, 0, 0), (100, 0, 0), (100, 0, 0)], "ee---");
        check(
            &[(100, 0, 90_000), (100, 0, 80_000), (100, 0, 1_000), (100, 0, 2_000), (100, 0, 1_000)],
            "ll---",
        );
    }

    #[test]
    fn who_is_much_slower_than_the_others_stands_out() {
        check(&[(100, 0, 50_000), (100, 0, 10_000), (100, 0, 10_000)], "l--");
        check(&[(100, 0, 49_000), (100, 0, 10_000), (100, 0, 10_000)], "---");
        check(&[(100, 0, 50_000), (100, 0, 1_000)], "l-");
        check(&[(100, 50, 50_000), (100, 0, 1_000)], "e-");
    }

    #[test]
    fn a_few_milliseconds_are_nothing() {
        check(&[(100, 0, 600), (100, 0, 100), (100, 0, 100)], "---");
        check(&[(100, 0, 5_099), (100, 0, 100), (100, 0, 100)], "---");
        check(&[(100, 0, 5_100), (100, 0, 100), (100, 0, 100)], "l--");
    }

    #[test]
    fn who_has_too_few_requests_is_neither_judged_nor_a_measure() {
        check(&[(99, 99, 0), (100, 0, 0), (100, 0, 0)], "---");
        check(&[(100, 100, 0), (99, 0, 0), (99, 0, 0)], "---");
        check(&[(100, 100, 90_000)], "-");
        check(&[], "");
        check(&[(100, 0, 90_000), (100, 0, 0), (100, 0, 0)], "---");
    }

    #[test]
    fn a_rule_of_zero_is_not_looked_at() {
        let windows = [
            Window { requests: 100, failures: 100, latency: Some(Duration::from_secs(9)) },
            Window { requests: 100, failures: 0, latency: Some(Duration::from_millis(1)) },
        ];
        let causes = |rules: Rules| compare(&rules, &windows);
        assert_eq!(causes(Rules { error_ratio: 0, ..RULES }), [Some(Cause::Latency), None]);
        assert_eq!(causes(Rules { error_ratio: 0, latency_factor: 0, ..RULES }), [None, None]);
        assert_eq!(causes(Rules { requests_min: 0, ..RULES }), [Some(Cause::ErrorRatio), None]);
    }

    fn windows() -> impl Strategy<Value = Vec<Window>> {
        let window = (any::<u64>(), any::<u64>(), any::<Option<Duration>>())
            .prop_map(|(requests, failures, latency)| Window { requests, failures, latency });
        prop::collection::vec(window, 0..20)
    }

    proptest! {
        #[test]
        fn any_windows_are_compared(
            windows in windows(), error_ratio in any::<u8>(), latency_factor in any::<u32>(), requests_min in any::<u32>()
        ) {
            let causes = compare(&Rules { error_ratio, latency_factor, requests_min }, &windows);
            prop_assert_eq!(causes.len(), windows.len());
        }

        #[test]
        fn the_median_of_the_others_is_that_of_a_list_without_it(
            mut values in prop::collection::vec(0_u64..20, 1..20), left_out in any::<prop::sample::Index>()
        ) {
            values.sort_unstable();
            let left_out = left_out.index(values.len());
            let mut others = values.clone();
            let own = others.remove(left_out);
            let middle = others.len().checked_sub(1).map(|last| others[last / 2].midpoint(others[others.len() / 2]));
            prop_assert_eq!(median_without(&values, own), middle);
        }

        #[test]
        fn one_bad_endpoint_never_makes_a_good_one_stand_out(
            good in 2_usize..10, failures in 0_u64..=1_000, latency in 1_u64..10_000
        ) {
            let fine = Window { requests: 1_000, failures: 10, latency: Some(Duration::from_millis(10)) };
            let bad = Window { requests: 1_000, failures, latency: Some(Duration::from_millis(latency)) };
            let mut windows = vec![fine; good];
            windows.push(bad);
            prop_assert!(compare(&RULES, &windows)[..good].iter().all(Option::is_none));
        }
    }
}
