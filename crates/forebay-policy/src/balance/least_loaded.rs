//! The less loaded of two that chance names.

use super::lots::Lots;

/// Picks the less loaded of two endpoints drawn by weight (the power of two choices). Load counts relative to
/// weight, so that endpoints end up with as many requests in flight as their weights say.
///
/// A pick costs the same for two endpoints and for a thousand, unless those left out, or the one drawn first,
/// have most of the weight.
#[derive(Clone, Debug)]
pub struct LeastLoaded {
    lots: Lots,
}

impl LeastLoaded {
    /// For as many endpoints as there are weights. A weight of 0 counts as 1. Draws follow from `seed`.
    #[must_use]
    pub fn new(weights: &[u32], seed: u64) -> Self {
        Self { lots: Lots::new(weights, seed) }
    }

    /// An endpoint that `skip` does not leave out; `None` if it leaves out all. `load` says how many requests an
    /// endpoint has in flight.
    pub fn pick(&mut self, load: impl Fn(usize) -> u32, skip: impl Fn(usize) -> bool) -> Option<usize> {
        let (first, second) = self.lots.draw_two(skip)?;
        let Some(second) = second else { return Some(first) };
        // Of two equally loaded ones the first drawn: idle endpoints share by weight.
        let relative = |n: usize, other: usize| u64::from(load(n)) * u64::from(self.lots.weight(other));
        Some(if relative(second, first) < relative(first, second) { second } else { first })
    }
}
