//! The bell curve.

/// How likely a standard normal number is at most `z`. Exact to about 1e-15 (G. Marsaglia, "Evaluating the
/// normal distribution", 2004).
pub(super) fn cdf(z: f64) -> f64 {
    if z.abs() > 8.0 {
        return if z > 0.0 { 1.0 } else { 0.0 };
    }
    let (mut term, mut sum, mut odd) = (z, z, 1.0);
    while term.abs() > 1e-17 * sum.abs() {
        odd += 2.0;
        term *= z * z / odd;
        sum += term;
    }
    0.5 + sum * (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// How likely a standard normal number is at least as far from 0 as `z`.
pub(super) fn two_sided(z: f64) -> f64 {
    (2.0 * cdf(-z.abs())).clamp(0.0, 1.0)
}

/// The number that a standard normal one is below with probability `p`; from -8 to 8.
pub(super) fn quantile(p: f64) -> f64 {
    super::binomial::bisect(-8.0, 8.0, |z| cdf(z) < p)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_values_are_right() {
        for (z, p) in [(0.0, 0.5), (1.644_853_627, 0.95), (1.959_963_985, 0.975), (-2.326_347_874, 0.01)] {
            assert!((cdf(z) - p).abs() < 1e-9, "{z}: {}", cdf(z));
            assert!((quantile(p) - z).abs() < 1e-8, "{p}: {}", quantile(p));
        }
        assert!((two_sided(1.959_963_985) - 0.05).abs() < 1e-9);
        assert_eq!([cdf(-40.0), cdf(40.0)], [0.0, 1.0]);
    }
}
