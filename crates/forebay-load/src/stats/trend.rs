//! Does a figure rise or fall over time, and how fast?

use serde::{Deserialize, Serialize};

use super::{CONFIDENCE, median, normal, sorted};

/// Points a slope is computed from. Of more, neighbours are put together, each group as its median.
const POINTS_MAX: usize = 600;

/// Fewest points that can show a trend.
const POINTS_MIN: usize = 4;

/// What became of a figure over time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// Positive: rising; negative: falling. Pairs in order minus pairs out of order, as a share of all.
    pub tau: f64,
    /// How likely so clear an order would be without a trend.
    pub p: f64,
}

/// How fast a figure changes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slope {
    /// The change of the second coordinate per unit of the first.
    pub per_unit: f64,
    /// At least this, at 95 %.
    pub low: f64,
    /// At most this, at 95 %.
    pub high: f64,
    /// Points it was computed from, before any were put together.
    pub points: usize,
}

/// The test of H. Mann (1945) and M. Kendall for a trend, both sides. `None`: fewer than 4 values.
#[must_use]
pub fn mann_kendall(values: &[f64]) -> Option<Trend> {
    let count = values.len();
    if count < POINTS_MIN || values.iter().any(|value| value.is_nan()) {
        return None;
    }
    let score: f64 = pairs(values).map(|(earlier, later)| sign(later - earlier)).sum();
    let all = (count * (count - 1)) as f64 / 2.0;
    let deviation = score_variance(values).sqrt();
    if deviation == 0.0 {
        return Some(Trend { tau: 0.0, p: 1.0 });
    }
    let away = (score.abs() - 1.0).max(0.0);
    Some(Trend { tau: score / all, p: normal::two_sided(away / deviation) })
}

/// The median slope between any two of `points` (H. Theil 1950, P. Sen 1968), which a few wild points do not
/// move, with its 95 % interval. `None`: fewer than 4 points, or all at the same place.
///
/// Points are taken as independent; those of a figure that remembers, as memory does, spread wider.
#[must_use]
pub fn slope(points: &[(f64, f64)]) -> Option<Slope> {
    let thinned = thinned(points);
    if thinned.len() < POINTS_MIN {
        return None;
    }
    let slopes = pairs(&thinned)
        .filter(|(earlier, later)| later.0 > earlier.0)
        .map(|(earlier, later)| (later.1 - earlier.1) / (later.0 - earlier.0));
    let slopes = sorted(&slopes.collect::<Vec<_>>());
    let per_unit = median(&slopes)?;
    let heights: Vec<f64> = thinned.iter().map(|point| point.1).collect();
    let reach = normal::quantile(CONFIDENCE.midpoint(1.0)) * score_variance(&heights).sqrt();
    let last = slopes.len() - 1;
    let at = |rank: f64| slopes[(rank.max(0.0) as usize).min(last)];
    let all = slopes.len() as f64;
    let low = at(((all - reach) / 2.0).floor() - 1.0);
    let high = at(((all + reach) / 2.0).ceil());
    Some(Slope { per_unit, low, high, points: points.len() })
}

/// The variance of the number of ordered pairs, were there no order; equal values take away from it.
fn score_variance(values: &[f64]) -> f64 {
    let term = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0);
    let ties: f64 = sorted(values).chunk_by(|a, b| a == b).map(|group| term(group.len() as f64)).sum();
    (term(values.len() as f64) - ties) / 18.0
}

/// In order of their place, at most `POINTS_MAX`; what is not a number is left out.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let finite = |point: &(f64, f64)| point.0.is_finite() && point.1.is_finite();
    let mut points: Vec<(f64, f64)> = points.iter().copied().filter(finite).collect();
    points.sort_by(|a, b| a.0.total_cmp(&b.0));
    let group = points.len().div_ceil(POINTS_MAX).max(1);
    let middle =
        |group: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| median(&group.iter().map(of).collect::<Vec<_>>());
    points
        .chunks(group)
        .filter_map(|group| Some((middle(group, |p| p.0)?, middle(group, |p| p.1)?)))
        .collect()
}

fn pairs<T: Copy>(values: &[T]) -> impl Iterator<Item = (T, T)> + '_ {
    values
        .iter()
        .enumerate()
        .flat_map(move |(index, earlier)| values[index + 1..].iter().map(move |later| (*earlier, *later)))
}

/// 0 for equal ones, unlike `signum`.
fn sign(difference: f64) -> f64 {
    if difference == 0.0 { 0.0 } else { difference.signum() }
}

#[cfg(test)]
mod tests {
    use forebay_base::seed::Random;

    use super::*;
    use crate::stats::unit;

    fn noise(count: usize, seed: u64) -> Vec<f64> {
        let mut random = Random::from_seed(seed);
        (0..count).map(|_| unit(&mut random)).collect()
    }

    #[test]
    fn a_rise_is_a_trend_and_noise_is_not() {
        let rising: Vec<f64> = noise(12, 1).iter().zip(0..).map(|(n, i)| n + 0.3 * f64::from(i)).collect();
        let trend = mann_kendall(&rising).expect("there are enough values");
        assert!(trend.tau > 0.5 && trend.p < 0.01, "{trend:?}");
        let falling: Vec<f64> = rising.iter().map(|value| -value).collect();
        assert!(mann_kendall(&falling).is_some_and(|trend| trend.tau < -0.5 && trend.p < 0.01));
    }

    #[test]
    fn noise_is_called_a_trend_as_rarely_as_promised() {
        let alarms = (0..1_000)
            .filter(|seed| mann_kendall(&noise(12, *seed)).is_some_and(|trend| trend.p < 0.05))
            .count();
        assert!(alarms < 65, "{alarms} of 1000");
    }

    #[test]
    fn too_few_or_constant_values_show_none() {
        assert_eq!(mann_kendall(&[1.0, 2.0, 3.0]), None);
        assert_eq!(mann_kendall(&[1.0; 20]), Some(Trend { tau: 0.0, p: 1.0 }));
        assert_eq!(slope(&[(0.0, 1.0); 20]), None);
    }

    #[test]
    fn a_leak_has_a_slope_above_nothing() {
        let leak: Vec<(f64, f64)> = noise(60, 2)
            .iter()
            .zip(0..)
            .map(|(n, i)| (f64::from(i), 1e6 + 500.0 * f64::from(i) + 2_000.0 * n))
            .collect();
        let found = slope(&leak).expect("there are enough points");
        assert!(found.low > 0.0 && found.low <= 500.0 && 500.0 <= found.high, "{found:?}");
        let mut wild = leak;
        wild[30].1 = 1e9;
        assert!(slope(&wild).is_some_and(|wild| (wild.per_unit - found.per_unit).abs() < 10.0));
    }

    #[test]
    fn the_interval_of_a_slope_covers_the_truth_as_often_as_promised() {
        let covered = (0..300).filter(|seed| {
            let points: Vec<(f64, f64)> = noise(30, *seed)
                .iter()
                .zip(0..)
                .map(|(n, i)| (f64::from(i), n + 0.01 * f64::from(i)))
                .collect();
            slope(&points).is_some_and(|slope| slope.low <= 0.01 && 0.01 <= slope.high)
        });
        let covered = covered.count();
        assert!(covered >= 276, "{covered} of 300");
    }

    #[test]
    fn many_points_are_put_together() {
        let points: Vec<(f64, f64)> = (0..10_000).map(|i| (f64::from(i), 3.0 * f64::from(i))).collect();
        let found = slope(&points).expect("there are enough points");
        assert!((found.per_unit - 3.0).abs() < 1e-9, "{found:?}");
        assert_eq!(found.points, 10_000);
    }
}
