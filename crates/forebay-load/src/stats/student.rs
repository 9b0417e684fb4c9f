//! Student's distribution of t: how far a mean of few may lie from the truth (W. Gosset, 1908).

use std::f64::consts::FRAC_PI_2;

/// No quantile that is asked for lies beyond.
const T_MAX: f64 = 1e4;
/// Halvings until the quantile is as exact as a number can be.
const HALVINGS: usize = 80;

/// What `t` with so many degrees of freedom, at least 1, does not exceed with probability `p`, from 0.5 to below 1.
#[must_use]
pub fn t_quantile(p: f64, freedom: usize) -> f64 {
    let (mut low, mut high) = (0.0, T_MAX);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        if 0.5 + 0.5 * within(middle, freedom.max(1)) < p {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// How likely `t` lies between `-t` and `t`: a finite sum for whole degrees of freedom (Abramowitz and Stegun,
/// 26.7.3 and 26.7.4).
fn within(t: f64, freedom: usize) -> f64 {
    let angle = (t / (freedom as f64).sqrt()).atan();
    let (sin, cos) = angle.sin_cos();
    let odd = freedom % 2 == 1;
    let mut term = if odd { cos } else { 1.0 };
    let mut sum = 0.0;
    for index in (if odd { 3 } else { 2 }..=freedom).step_by(2) {
        sum += term;
        term *= cos * cos * (index - 1) as f64 / index as f64;
    }
    if odd { (angle + sin * sum) / FRAC_PI_2 } else { sin * sum }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_values_are_right() {
        let check = |freedom, p, expected: f64| {
            let found = t_quantile(p, freedom);
            assert!((found - expected).abs() < 5e-4, "{freedom} {p}: {found}");
        };
        check(1, 0.975, 12.706);
        check(2, 0.975, 4.303);
        check(3, 0.95, 2.353);
        check(4, 0.975, 2.776);
        check(5, 0.99, 3.365);
        check(9, 0.975, 2.262);
        check(30, 0.975, 2.042);
        check(999, 0.975, 1.962);
        assert!(t_quantile(0.5, 7).abs() < 1e-9);
    }
}
