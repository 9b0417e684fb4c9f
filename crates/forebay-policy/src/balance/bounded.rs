//! How much more than its share an endpoint may have to do.

/// Whether an endpoint with `load` requests in flight may take one more, if no endpoint is to have more than
/// 5/4 of its share: at most ⌈1.25 · (total + 1) · weight / weights⌉ (Mirrokni, Thorup, Zadimoghaddam,
/// "Consistent Hashing with Bounded Loads", 2018).
///
/// `total` is what all endpoints that may be picked have in flight, without the request to be placed; `weight` is
/// this endpoint's, `weights` the sum of all of them. As the bounds add up to more than `total`, at least one
/// endpoint may always take one more. A weight of 0 counts as 1.
#[must_use]
pub fn bounded(load: u32, total: u64, weight: u32, weights: u64) -> bool {
    let share = (u128::from(total) + 1) * u128::from(weight.max(1));
    let bound = (share * 5).div_ceil(u128::from(weights.max(1)) * 4);
    u128::from(load) < bound
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn one_always_may_take_one_more(endpoints in prop::collection::vec((0_u32..1_000, 0_u32..1_000_000), 1..20)) {
            let total = endpoints.iter().map(|(load, _)| u64::from(*load)).sum();
            let weights = endpoints.iter().map(|(_, weight)| u64::from((*weight).max(1))).sum();
            prop_assert!(endpoints.iter().any(|(load, weight)| bounded(*load, total, *weight, weights)));
        }

        #[test]
        fn none_overflows(load in any::<u32>(), total in any::<u64>(), weight in any::<u32>(), weights in any::<u64>()) {
            let _ = bounded(load, total, weight, weights);
        }
    }

    #[test]
    fn a_quarter_above_the_share_is_the_bound() {
        // Of four with 99 in flight: the next one makes 100, 25 each, so 32 (31.25 rounded up).
        assert!(bounded(31, 99, 1, 4));
        assert!(!bounded(32, 99, 1, 4));
        // Idle ones may take one whatever their weight is.
        assert!(bounded(0, 0, 1, 1_000_000));
        assert!(!bounded(1, 0, 1, 1_000_000));
        assert!(bounded(49, 99, 2, 5));
        assert!(!bounded(50, 99, 2, 5));
    }
}
