//! Of two that chance names, the one that will answer sooner.

use super::lots::Lots;

/// Picks the one with the lower cost of two endpoints drawn by weight (the power of two choices). Cost counts
/// relative to weight; the usual cost is that of [`Ewma`](super::Ewma).
///
/// A pick costs the same for two endpoints and for a thousand, unless those left out, or the one drawn first,
/// have most of the weight.
#[derive(Clone, Debug)]
pub struct PeakEwma {
    lots: Lots,
}

impl PeakEwma {
    /// For as many endpoints as there are weights. A weight of 0 counts as 1. Draws follow from `seed`.
    #[must_use]
    pub fn new(weights: &[u32], seed: u64) -> Self {
        Self { lots: Lots::new(weights, seed) }
    }

    /// An endpoint that `skip` does not leave out; `None` if it leaves out all. `cost` says what one more request
    /// costs at an endpoint, in any unit; what is not a number loses to none and wins over none.
    pub fn pick(&mut self, cost: impl Fn(usize) -> f64, skip: impl Fn(usize) -> bool) -> Option<usize> {
        let (first, second) = self.lots.draw_two(skip)?;
        let Some(second) = second else { return Some(first) };
        let relative = |n: usize, other: usize| cost(n) * f64::from(self.lots.weight(other));
        Some(if relative(second, first) < relative(first, second) { second } else { first })
    }
}
