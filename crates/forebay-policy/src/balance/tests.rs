//! Shares, order and what is left out.

use proptest::prelude::*;

use super::*;

const PICKS: u32 = 100_000;

/// How often each endpoint is picked.
fn counts(endpoints: usize, mut pick: impl FnMut() -> Option<usize>) -> Vec<u32> {
    let mut counts = vec![0; endpoints];
    for _ in 0..PICKS {
        counts[pick().expect("not all are left out")] += 1;
    }
    counts
}

/// Every endpoint has its share of the picks, give or take 2 % of all picks; those left out have none.
fn check_shares(
    weights: &[u32],
    is_out: impl Fn(usize) -> bool,
    counts: &[u32],
) -> Result<(), TestCaseError> {
    let sum: u64 = weights.iter().enumerate().filter(|(n, _)| !is_out(*n)).map(|(_, w)| u64::from(*w)).sum();
    for (n, (weight, count)) in weights.iter().zip(counts).enumerate() {
        let expected = if is_out(n) { 0 } else { u64::from(*weight) * u64::from(PICKS) / sum };
        let allowed = if is_out(n) { 0 } else { u64::from(PICKS) / 50 };
        prop_assert!(u64::from(*count).abs_diff(expected) <= allowed, "{n} of {weights:?}: {counts:?}");
    }
    Ok(())
}

/// Weights, and a bit per endpoint that is left out; endpoint 0 never is.
fn services() -> impl Strategy<Value = (Vec<u32>, u32)> {
    let weight = prop_oneof![1_u32..10, 1_u32..1_000, Just(1), Just(1_000_000)];
    (prop::collection::vec(weight, 1..20), any::<u32>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn turns_are_shared_by_weight((weights, out) in services()) {
        let is_out = |n: usize| n > 0 && out & (1 << n) != 0;
        let mut balancer = RoundRobin::new(&weights);
        let counts = counts(weights.len(), || balancer.pick(is_out));
        check_shares(&weights, is_out, &counts)?;
    }

    #[test]
    fn idle_endpoints_are_drawn_by_weight((weights, out) in services(), seed in any::<u64>()) {
        let is_out = |n: usize| n > 0 && out & (1 << n) != 0;
        let mut balancer = LeastLoaded::new(&weights, seed);
        let counts = counts(weights.len(), || balancer.pick(|_| 0, is_out));
        check_shares(&weights, is_out, &counts)?;
    }

    #[test]
    fn endpoints_of_the_same_cost_are_drawn_by_weight((weights, out) in services(), seed in any::<u64>()) {
        let is_out = |n: usize| n > 0 && out & (1 << n) != 0;
        let mut balancer = PeakEwma::new(&weights, seed);
        let counts = counts(weights.len(), || balancer.pick(|n| f64::from(weights[n]), is_out));
        check_shares(&weights, is_out, &counts)?;
    }

    #[test]
    fn requests_in_flight_follow_the_weights(weights in prop::collection::vec(1_u32..5, 2..10), seed in any::<u64>()) {
        let mut balancer = LeastLoaded::new(&weights, seed);
        let mut loads = vec![0_u32; weights.len()];
        for _ in 0..PICKS {
            let picked = balancer.pick(|n| loads[n], |_| false).expect("none is left out");
            loads[picked] += 1;
        }
        check_shares(&weights, |_| false, &loads)?;
    }
}

#[test]
fn turns_are_smooth() {
    let picks = |weights: &[u32], n: usize| {
        let mut balancer = RoundRobin::new(weights);
        (0..n).filter_map(|_| balancer.pick(|_| false)).collect::<Vec<_>>()
    };
    assert_eq!(picks(&[5, 1, 1], 7), [0, 0, 1, 0, 2, 0, 0]);
    assert_eq!(picks(&[1, 1, 1], 6), [0, 1, 2, 0, 1, 2]);
    assert_eq!(picks(&[0, 0], 4), [0, 1, 0, 1]);
}

#[test]
fn when_all_are_left_out_none_is_picked() {
    assert_eq!(RoundRobin::new(&[1, 2]).pick(|_| true), None);
    assert_eq!(RoundRobin::new(&[]).pick(|_| false), None);
    assert_eq!(LeastLoaded::new(&[1, 2], 7).pick(|_| 0, |_| true), None);
    assert_eq!(LeastLoaded::new(&[], 7).pick(|_| 0, |_| false), None);
    assert_eq!(PeakEwma::new(&[1, 2], 7).pick(|_| 0.0, |_| true), None);
    assert_eq!(PeakEwma::new(&[], 7).pick(|_| 0.0, |_| false), None);
}

#[test]
fn the_only_one_left_is_picked() {
    let mut turns = RoundRobin::new(&[1_000_000, 1, 1_000_000]);
    let mut loaded = LeastLoaded::new(&[1_000_000, 1, 1_000_000], 7);
    for _ in 0..100 {
        assert_eq!(turns.pick(|n| n != 1), Some(1));
        assert_eq!(loaded.pick(|_| 9, |n| n != 1), Some(1));
    }
}

#[test]
fn of_two_the_less_loaded_is_picked() {
    let mut balancer = LeastLoaded::new(&[1, 1], 7);
    assert!((0..100).all(|_| balancer.pick(|n| [3, 2][n], |_| false) == Some(1)));
    let mut balancer = LeastLoaded::new(&[2, 1], 7);
    assert!((0..100).all(|_| balancer.pick(|n| [3, 2][n], |_| false) == Some(0)));
    let mut balancer = LeastLoaded::new(&[1_000_000, 1], 7);
    assert!((0..100).all(|_| balancer.pick(|n| [999_999, 1][n], |_| false) == Some(0)));
}

#[test]
fn of_two_the_cheaper_is_picked() {
    let mut balancer = PeakEwma::new(&[1, 1], 7);
    assert!((0..100).all(|_| balancer.pick(|n| [0.3, 0.2][n], |_| false) == Some(1)));
    let mut balancer = PeakEwma::new(&[2, 1], 7);
    assert!((0..100).all(|_| balancer.pick(|n| [0.3, 0.2][n], |_| false) == Some(0)));
}

#[test]
fn what_is_not_a_number_stops_nobody() {
    let mut balancer = PeakEwma::new(&[1, 1, 1], 7);
    let counts = counts(3, || balancer.pick(|n| [f64::NAN, f64::INFINITY, 1.0][n], |_| false));
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    assert_eq!(balancer.pick(|_| f64::NAN, |n| n != 1), Some(1));
}

#[test]
fn the_most_loaded_of_many_is_never_picked() {
    let mut balancer = LeastLoaded::new(&[1; 10], 7);
    assert!((0..10_000).all(|_| balancer.pick(|n| u32::from(n == 3), |_| false) != Some(3)));
}

#[test]
fn a_turn_left_out_is_not_made_up_for_all_at_once() {
    let mut balancer = RoundRobin::new(&[1, 1]);
    for _ in 0..1_000 {
        assert_eq!(balancer.pick(|n| n == 0), Some(1));
    }
    let picks: Vec<_> = (0..6).filter_map(|_| balancer.pick(|_| false)).collect();
    assert_eq!(picks, [0, 1, 0, 1, 0, 1]);
}
