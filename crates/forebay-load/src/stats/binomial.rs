//! What counts prove: shares, and percentiles by the order of samples.
//!
//! Samples are taken as independent. Requests are not quite: what these bounds say is on the hopeful side.

/// Fewest samples among which, with `confidence`, at least one lies beyond the `quantile`: below it, a
/// percentile has no upper bound. 299 for p99 at 95 %.
#[must_use]
pub fn percentile_floor(quantile: f64, confidence: f64) -> u64 {
    if !(quantile > 0.0 && quantile < 1.0) {
        return 1;
    }
    ((1.0 - confidence).ln() / quantile.ln()).ceil() as u64
}

/// Ranks, from 1, between which the `quantile` of `count` samples lies; each bound by itself holds with
/// `confidence`. `None`: there are too few samples for that bound.
///
/// The number of samples up to the quantile is binomial; no other assumption is made.
#[must_use]
pub fn order_interval(count: u64, quantile: f64, confidence: f64) -> (Option<u64>, Option<u64>) {
    let wrong = 1.0 - confidence;
    // The r-th least exceeds the quantile if fewer than r samples lie up to it.
    let below = |rank: u64| cdf(rank - 1, count, quantile);
    let low = partition(1, count.saturating_add(1), |rank| below(rank) <= wrong) - 1;
    let high = partition(1, count.saturating_add(1), |rank| below(rank) < confidence);
    ((low > 0).then_some(low), (high <= count).then_some(high))
}

/// A lower bound of the true share when `hits` of `count` were seen (C. Clopper and E. Pearson, 1934).
#[must_use]
pub fn share_low(hits: u64, count: u64, confidence: f64) -> f64 {
    if hits == 0 || count == 0 {
        return 0.0;
    }
    // At least `hits` would be seen with a probability that grows with the share.
    bisect(0.0, 1.0, |share| 1.0 - cdf(hits - 1, count, share) < 1.0 - confidence)
}

/// An upper bound of the true share when `hits` of `count` were seen: about 3 / `count` for none at 95 %.
#[must_use]
pub fn share_high(hits: u64, count: u64, confidence: f64) -> f64 {
    if hits >= count {
        return 1.0;
    }
    bisect(0.0, 1.0, |share| cdf(hits, count, share) > 1.0 - confidence)
}

/// About how many samples would prove a share to be on the side of `limit` where `hits` of `count` were seen.
/// `None`: that close, no affordable number would.
#[must_use]
pub fn share_samples(hits: u64, count: u64, limit: f64, confidence: f64) -> Option<u64> {
    /// More than anybody waits for.
    const SAMPLES_MAX: f64 = 1e10;
    if !(limit > 0.0 && limit < 1.0) {
        return None;
    }
    if hits == 0 {
        return Some(((1.0 - confidence).ln() / (1.0 - limit).ln()).ceil() as u64);
    }
    let share = hits as f64 / count as f64;
    let distance = share - limit;
    let z = super::normal::quantile(confidence);
    let needed = (z * z * limit * (1.0 - limit) / (distance * distance)).ceil();
    (needed < SAMPLES_MAX).then_some((needed as u64).max(percentile_floor(1.0 - limit, confidence)))
}

/// How likely at most `hits` of `count` tries succeed, each with probability `share`.
pub(super) fn cdf(hits: u64, count: u64, share: f64) -> f64 {
    if hits >= count {
        return 1.0;
    }
    beta_share(1.0 - share, (count - hits) as f64, (hits + 1) as f64)
}

/// The point in `low..high` where `is_below` turns false.
pub(super) fn bisect(mut low: f64, mut high: f64, is_below: impl Fn(f64) -> bool) -> f64 {
    for _ in 0..100 {
        let middle = low.midpoint(high);
        if is_below(middle) { low = middle } else { high = middle }
    }
    low.midpoint(high)
}

/// The least number of `low..high` for which `is_below` is false, or `high`.
fn partition(mut low: u64, mut high: u64, is_below: impl Fn(u64) -> bool) -> u64 {
    while low < high {
        let middle = low + (high - low) / 2;
        if is_below(middle) { low = middle + 1 } else { high = middle }
    }
    low
}

/// The regularized incomplete beta function, by its continued fraction (DLMF 8.17.22, evaluated from the front
/// by Lentz' method).
fn beta_share(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let scale = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    // The fraction converges quickly only on this side.
    if x < (a + 1.0) / (a + b + 2.0) {
        scale * fraction(x, a, b) / a
    } else {
        1.0 - scale * fraction(1.0 - x, b, a) / b
    }
}

fn fraction(x: f64, a: f64, b: f64) -> f64 {
    /// It takes about the root of the greater parameter, so this serves 10^10 samples.
    const TERMS_MAX: u32 = 200_000;
    let nonzero = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / nonzero(1.0 - (a + b) * x / (a + 1.0));
    let mut value = d;
    for term in 1..TERMS_MAX {
        let m = f64::from(term);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        let mut change = 1.0;
        for step in [even, odd] {
            d = 1.0 / nonzero(1.0 + step * d);
            c = nonzero(1.0 + step / c);
            change = c * d;
            value *= change;
        }
        if (change - 1.0).abs() < 1e-15 {
            break;
        }
    }
    value
}

/// The logarithm of the gamma function for positive numbers: Stirling's series, reached by the recurrence.
fn ln_gamma(mut x: f64) -> f64 {
    let mut shift = 1.0;
    while x < 15.0 {
        shift *= x;
        x += 1.0;
    }
    let inverse = 1.0 / (x * x);
    let series = (1.0 / 12.0 - inverse * (1.0 / 360.0 - inverse * (1.0 / 1260.0 - inverse / 1680.0))) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * std::f64::consts::PI).ln() + series - f64::ln(shift)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gamma_is_the_factorial() {
        for (x, expected) in [(1.0, 0.0), (5.0, 24_f64.ln()), (0.5, std::f64::consts::PI.sqrt().ln())] {
            assert!((ln_gamma(x) - expected).abs() < 1e-13, "{x}: {}", ln_gamma(x));
        }
    }

    #[test]
    fn the_binomial_sums_its_terms() {
        let count = 12;
        let mut sum = 0.0;
        let mut ways = 1.0;
        for hits in 0..count {
            sum += ways * 0.3_f64.powi(hits) * 0.7_f64.powi(count - hits);
            ways *= f64::from(count - hits) / f64::from(hits + 1);
            assert!((cdf(hits as u64, 12, 0.3) - sum).abs() < 1e-13, "{hits}");
        }
    }

    #[test]
    fn floors_are_those_of_the_textbook() {
        let floors = |q| [percentile_floor(q, 0.95), percentile_floor(q, 0.99)];
        assert_eq!([floors(0.95), floors(0.99), floors(0.999)], [[59, 90], [299, 459], [2_995, 4_603]]);
        assert_eq!([0.0, 1.0, f64::NAN].map(|q| percentile_floor(q, 0.95)), [1, 1, 1]);
    }

    #[test]
    fn a_percentile_has_an_upper_bound_only_from_the_floor_on() {
        assert_eq!(order_interval(298, 0.99, 0.95).1, None);
        assert_eq!(order_interval(299, 0.99, 0.95).1, Some(299));
        assert_eq!(order_interval(0, 0.99, 0.95), (None, None));
        assert_eq!(order_interval(298, 0.01, 0.95).0, None);
        // Both bounds together hold at 95 % if each does at 97.5 %.
        assert_eq!(order_interval(1_000, 0.99, 0.975), (Some(983), Some(997)));
    }

    #[test]
    fn no_errors_prove_about_three_in_n() {
        for count in [100, 1_000, 1_000_000] {
            let high = share_high(0, count, 0.95) * count as f64;
            assert!((2.9..3.0).contains(&high), "{count}: {high}");
        }
        assert_eq!(share_low(0, 100, 0.95), 0.0);
        assert_eq!((share_high(100, 100, 0.95), share_high(0, 0, 0.95)), (1.0, 1.0));
        // Ten of ten prove no more than 74 %.
        assert!((share_low(10, 10, 0.95) - 0.741).abs() < 1e-3);
    }

    #[test]
    fn a_proof_takes_as_many_samples_as_it_says() {
        assert_eq!(share_samples(0, 10, 0.001, 0.95), Some(2_995));
        let needed = share_samples(5, 10_000, 0.001, 0.95).expect("half the limit can be shown");
        assert!(share_high(needed / 2_000, needed, 0.95) < 0.0011, "{needed}");
        assert_eq!(share_samples(10, 10_000, 0.001, 0.95), None);
    }

    #[test]
    fn large_counts_stay_exact() {
        let count = 100_000_000;
        let (low, high) = order_interval(count, 0.99, 0.95);
        let spread = 1.645 * (count as f64 * 0.99 * 0.01).sqrt();
        assert!((99_000_000.0 - spread - low.unwrap_or(0) as f64).abs() < 100.0, "{low:?}");
        assert!((99_000_000.0 + spread - high.unwrap_or(0) as f64).abs() < 100.0, "{high:?}");
    }

    proptest! {
        #[test]
        fn bounds_enclose_what_was_seen(hits in 0_u64..1_000, misses in 0_u64..1_000) {
            let count = hits + misses;
            prop_assume!(count > 0);
            let seen = hits as f64 / count as f64;
            let (low, high) = (share_low(hits, count, 0.95), share_high(hits, count, 0.95));
            prop_assert!(low <= seen + 1e-12 && seen <= high + 1e-12, "{low} {seen} {high}");
        }

        #[test]
        fn each_bound_of_an_order_interval_holds(count in 1_u64..3_000, quantile in 0.01_f64..0.999) {
            let (low, high) = order_interval(count, quantile, 0.95);
            prop_assert!(low.is_none_or(|low| cdf(low - 1, count, quantile) <= 0.05 + 1e-9));
            if let Some(high) = high {
                prop_assert!(low.is_none_or(|low| low <= high) && high <= count);
                prop_assert!(cdf(high - 1, count, quantile) >= 0.95 - 1e-9);
            } else {
                prop_assert!(cdf(count - 1, count, quantile) < 0.95);
            }
        }
    }
}
