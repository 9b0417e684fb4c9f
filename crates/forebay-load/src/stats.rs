//! How sure one can be: intervals, tests and fits, each exact where that is affordable.
//!
//! Pure arithmetic: nothing here knows of requests. Chance comes from a seed.

mod binomial;
mod bootstrap;
mod cluster;
mod normal;
mod rank;
mod student;
mod trend;
mod usl;

pub use binomial::{order_interval, percentile_floor, share_high, share_low, share_samples};
pub use bootstrap::{median, ratio_interval};
pub use cluster::design_effect;
pub use rank::{RankTest, mann_whitney};
pub use student::t_quantile;
pub use trend::{Slope, Trend, mann_kendall, slope};
pub use usl::{Usl, usl};

use forebay_base::seed::Random;
use serde::{Deserialize, Serialize};

/// How often an interval or a bound must hold: 95 %.
pub const CONFIDENCE: f64 = 0.95;

/// Where a figure lies, as far as one can tell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// It is at least this.
    pub low: f64,
    /// It is at most this; `None`: no such bound is known.
    pub high: Option<f64>,
}

impl Interval {
    /// Whether the figure may be `value`.
    #[must_use]
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && self.high.is_none_or(|high| value <= high)
    }
}

/// A number from 0 to below 1, any of 2^53 equally likely.
pub fn unit(random: &mut Random) -> f64 {
    (random.next_u64() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Numbers in order; those that are none are left out.
fn sorted(values: &[f64]) -> Vec<f64> {
    let mut values: Vec<f64> = values.iter().copied().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_without_an_upper_bound_contains_all_above() {
        let open = Interval { low: 2.0, high: None };
        assert_eq!([1.9, 2.0, 1e300].map(|value| open.contains(value)), [false, true, true]);
        assert!(!Interval { high: Some(3.0), ..open }.contains(3.1));
    }

    #[test]
    fn unit_numbers_are_spread_evenly() {
        let mut random = Random::from_seed(3);
        let mean = (0..10_000).map(|_| unit(&mut random)).sum::<f64>() / 10_000.0;
        assert!((0.49..0.51).contains(&mean), "{mean}");
    }
}
