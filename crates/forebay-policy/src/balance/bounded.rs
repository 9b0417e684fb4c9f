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
