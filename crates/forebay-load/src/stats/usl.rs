//! How throughput grows with concurrency, and where it stops.

use forebay_base::seed::Random;
use serde::{Deserialize, Serialize};

use super::{Interval, bootstrap};

/// Fewest different concurrencies a fit is worth anything with.
pub(crate) const POINTS_MIN: usize = 6;

/// Times the residuals are drawn again for the intervals.
const RESAMPLES: usize = 2_000;

/// The universal scalability law (N. Gunther, 1993): at concurrency N, throughput is
/// `g N / (1 + s (N - 1) + k N (N - 1))`. A diagnosis, not a forecast beyond what was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usl {
    /// `g`: throughput of one at a time, per second.
    pub single: f64,
    /// `s`: share of the work that is done one at a time; 0 or more.
    pub serial: f64,
    /// `k`: cost of keeping each pair of those at work consistent; 0 or more.
    pub crosstalk: f64,
    /// Where `k` lies, at 95 %.
    pub crosstalk_interval: Interval,
    /// The concurrency beyond which more means less, with the throughput there. `None`: crosstalk may as well
    /// be 0, and then there is no such point.
    pub peak: Option<(f64, f64)>,
    /// Typical distance of a measured throughput from the fit, as a share.
    pub error: f64,
}

impl Usl {
    /// Throughput at a concurrency.
    #[must_use]
    pub fn throughput(&self, concurrency: f64) -> f64 {
        let n = concurrency;
        self.single * n / (1.0 + self.serial * (n - 1.0) + self.crosstalk * n * (n - 1.0))
    }
}

/// Fits the law to `(concurrency, throughput)` by least squares of relative errors. `None`: fewer than 6
/// different concurrencies, or they do not follow such a law at all.
#[must_use]
pub fn usl(points: &[(f64, f64)], seed: u64) -> Option<Usl> {
    let usable = |point: &(f64, f64)| [point.0, point.1].iter().all(|x| x.is_finite() && *x > 0.0);
    let points: Vec<(f64, f64)> = points.iter().copied().filter(usable).collect();
    let mut places: Vec<f64> = points.iter().map(|point| point.0).collect();
    places.sort_by(f64::total_cmp);
    places.dedup();
    if places.len() < POINTS_MIN {
        return None;
    }
    let free = fit(&points, [true, true])?;
    let interval = crosstalk_interval(&points, free, seed)?;
    let [a, b, c] = constrained(&points)?;
    let (single, serial, crosstalk) = (1.0 / a, b / a, c / a);
    let mut law = Usl { single, serial, crosstalk, crosstalk_interval: interval, peak: None, error: 0.0 };
    // Below a billionth it is arithmetic noise.
    if interval.low > 1e-9 && crosstalk > 1e-9 && serial < 1.0 {
        let at = ((1.0 - serial) / crosstalk).sqrt();
        law.peak = Some((at, law.throughput(at)));
    }
    let squares = points.iter().map(|(n, x)| (law.throughput(*n) / x - 1.0).powi(2)).sum::<f64>();
    law.error = (squares / points.len() as f64).sqrt();
    Some(law)
}

/// `N / X = a + b (N - 1) + c N (N - 1)`: the law in a form that is linear in what is looked for.
type Line = [f64; 3];

/// The fit with neither share negative.
fn constrained(points: &[(f64, f64)]) -> Option<Line> {
    let allowed = |line: &Line| line[0] > 0.0 && line[1] >= 0.0 && line[2] >= 0.0;
    let choices = [[true, true], [true, false], [false, true], [false, false]];
    let fits = choices.into_iter().filter_map(|with| fit(points, with)).filter(allowed);
    fits.min_by(|a, b| squares(points, a).total_cmp(&squares(points, b)))
}

/// Least squares of relative errors, without the serial or crosstalk term if not asked for.
fn fit(points: &[(f64, f64)], with: [bool; 2]) -> Option<Line> {
    let [with_serial, with_crosstalk] = with;
    let mut sums = [[0.0; 4]; 3];
    for (n, x) in points {
        // Each row divided by what it should come to, so that errors count relatively.
        let scale = x / n;
        let row = [
            scale,
            if with_serial { scale * (n - 1.0) } else { 0.0 },
            if with_crosstalk { scale * n * (n - 1.0) } else { 0.0 },
            1.0,
        ];
        for (sums, factor) in sums.iter_mut().zip(&row[..3]) {
            for (sum, value) in sums.iter_mut().zip(&row) {
                *sum += factor * value;
            }
        }
    }
    // A term that is left out is 0.
    for (index, with) in [(1, with_serial), (2, with_crosstalk)] {
        if !with {
            sums[index][index] = 1.0;
        }
    }
    solve(sums)
}

/// Three equations by elimination; `None`: they do not determine an answer.
fn solve(mut rows: [[f64; 4]; 3]) -> Option<Line> {
    for column in 0..3 {
        let pivot = (column..3).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()))?;
        rows.swap(column, pivot);
        let head = rows[column];
        if head[column].abs() < 1e-300 {
            return None;
        }
        for (_, row) in rows.iter_mut().enumerate().filter(|(index, _)| *index != column) {
            let factor = row[column] / head[column];
            row.iter_mut().zip(&head).for_each(|(value, head)| *value -= factor * head);
        }
    }
    let line = [0, 1, 2].map(|index| rows[index][3] / rows[index][index]);
    line.iter().all(|value| value.is_finite()).then_some(line)
}

/// `N / X` by the fit, as a multiple of what was measured.
fn relative((n, x): (f64, f64), [a, b, c]: &Line) -> f64 {
    (a + b * (n - 1.0) + c * n * (n - 1.0)) * x / n
}

fn squares(points: &[(f64, f64)], line: &Line) -> f64 {
    points.iter().map(|point| (relative(*point, line) - 1.0).powi(2)).sum()
}

/// Draws the residuals of the free fit again and again, and looks where the crosstalk goes.
fn crosstalk_interval(points: &[(f64, f64)], line: Line, seed: u64) -> Option<Interval> {
    let count = points.len();
    // Three numbers were fitted, so the residuals are smaller than the errors they stand for.
    let widen = (count as f64 / (count - 3) as f64).sqrt();
    let fitted: Vec<f64> = points.iter().map(|point| relative(*point, &line)).collect();
    let residuals: Vec<f64> = fitted.iter().map(|fitted| (1.0 / fitted - 1.0) * widen).collect();
    let mut random = Random::from_seed(seed);
    let mut draw = || {
        let again = points.iter().zip(&fitted).map(|((n, x), fitted)| {
            let residual = residuals[random.below(count as u64) as usize];
            // The fit's own throughput, with another point's error.
            (*n, x / fitted / (1.0 + residual).max(0.01))
        });
        let [a, _, c] = fit(&again.collect::<Vec<_>>(), [true, true])?;
        (a > 0.0).then_some(c / a)
    };
    let drawn: Vec<f64> = (0..RESAMPLES).filter_map(|_| draw()).collect();
    bootstrap::middle_share(&drawn)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::unit;

    const PLACES: [f64; 9] = [1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0];

    fn measured(law: (f64, f64, f64), noise: f64, seed: u64) -> Vec<(f64, f64)> {
        let mut random = Random::from_seed(seed);
        let (g, s, k) = law;
        let at = |n: f64| g * n / (1.0 + s * (n - 1.0) + k * n * (n - 1.0));
        PLACES.map(|n| (n, at(n) * (1.0 + noise * (2.0 * unit(&mut random) - 1.0)))).to_vec()
    }

    #[test]
    fn an_exact_law_is_found_exactly() {
        let law = usl(&measured((1_000.0, 0.03, 0.0005), 0.0, 1), 1).expect("the points follow the law");
        assert!((law.single - 1_000.0).abs() < 1e-6, "{law:?}");
        assert!((law.serial - 0.03).abs() < 1e-9 && (law.crosstalk - 0.0005).abs() < 1e-12, "{law:?}");
        let (at, throughput) = law.peak.expect("crosstalk makes a peak");
        assert!((at - (0.97_f64 / 0.0005).sqrt()).abs() < 1e-6, "{law:?}");
        assert!((throughput - law.throughput(at)).abs() < 1e-9);
    }

    #[test]
    fn without_crosstalk_no_peak_is_shown() {
        for noise in [0.0, 0.02] {
            let law = usl(&measured((500.0, 0.05, 0.0), noise, 4), 2).expect("the points follow the law");
            assert_eq!(law.peak, None, "{law:?}");
            assert!(law.crosstalk >= 0.0 && law.serial >= 0.0, "{law:?}");
        }
    }

    #[test]
    fn too_few_points_are_no_fit() {
        let points = measured((500.0, 0.05, 0.001), 0.0, 4);
        assert_eq!(usl(&points[..5], 1), None);
        assert_eq!(usl(&[(1.0, 1.0); 20], 1), None);
        assert_eq!(usl(&[(f64::NAN, 1.0); 20], 1), None);
    }
}
