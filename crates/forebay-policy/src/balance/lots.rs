//! Draw lots by weight.

use forebay_base::seed::Random;

/// Draws before all endpoints are looked at, because those drawn were left out or the same.
const DRAWS_MAX: usize = 4;

/// As many endpoints as there are weights, drawn by weight. A draw costs the same for two and for a thousand,
/// unless those left out have most of the weight (Walker's alias method).
#[derive(Clone, Debug)]
pub(super) struct Lots {
    weights: Vec<u32>,
    table: Vec<Slot>,
    random: Random,
}

/// One of as many equally likely slots as there are endpoints.
#[derive(Clone, Copy, Debug)]
struct Slot {
    /// Of 2^32 draws of this slot, so many fall to its own endpoint.
    own: u64,
    /// The endpoint that the others fall to.
    other: usize,
}

impl Lots {
    /// A weight of 0 counts as 1. Draws follow from `seed`.
    pub(super) fn new(weights: &[u32], seed: u64) -> Self {
        let weights: Vec<u32> = weights.iter().map(|weight| (*weight).max(1)).collect();
        Self { table: slots(&weights), weights, random: Random::from_seed(seed) }
    }

    pub(super) fn weight(&self, n: usize) -> u32 {
        self.weights[n]
    }

    /// Two different endpoints that `skip` does not leave out, the second `None` if there is only one.
    pub(super) fn draw_two(&mut self, skip: impl Fn(usize) -> bool) -> Option<(usize, Option<usize>)> {
        let first = self.draw(&skip)?;
        if self.table.len() == 2 {
            // Half of the draws would be of the first once more.
            return Some((first, Some(1 - first).filter(|n| !skip(*n))));
        }
        Some((first, self.draw(|n| n == first || skip(n))))
    }

    /// One endpoint by weight among those that `skip` does not leave out.
    fn draw(&mut self, skip: impl Fn(usize) -> bool) -> Option<usize> {
        for _ in 0..DRAWS_MAX {
            let drawn = self.draw_any()?;
            if !skip(drawn) {
                return Some(drawn);
            }
        }
        let weights = self.weights.iter().map(|weight| u64::from(*weight)).enumerate();
        let left = weights.filter(|(n, _)| !skip(*n));
        let mut before = self.random.below(left.clone().map(|(_, weight)| weight).sum());
        for (n, weight) in left {
            match before.checked_sub(weight) {
                Some(rest) => before = rest,
                None => return Some(n),
            }
        }
        None
    }

    fn draw_any(&mut self) -> Option<usize> {
        let drawn = self.random.next_u64();
        let (high, low) = (drawn >> 32, drawn & 0xffff_ffff);
        let slot = usize::try_from((high * self.table.len() as u64) >> 32).ok()?;
        let Slot { own, other } = *self.table.get(slot)?;
        Some(if low < own { slot } else { other })
    }
}

/// Fills slots of equal size: what an endpoint has too little for its slot, one with too much puts in.
fn slots(weights: &[u32]) -> Vec<Slot> {
    let count = weights.len() as u128;
    let sum: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    // In units in which a slot holds `sum`.
    let mut amounts: Vec<u128> = weights.iter().map(|weight| u128::from(*weight) * count).collect();
    let (mut small, mut large): (Vec<usize>, Vec<usize>) =
        (0..weights.len()).partition(|n| amounts[*n] < sum);
    let mut table: Vec<Slot> = (0..weights.len()).map(|n| Slot { own: 1 << 32, other: n }).collect();
    while let (Some(poor), Some(rich)) = (small.pop(), large.last().copied()) {
        let own = (amounts[poor] << 32) / sum;
        table[poor] = Slot { own: own as u64, other: rich };
        amounts[rich] -= sum - amounts[poor];
        if amounts[rich] < sum {
            large.pop();
            small.push(rich);
        }
    }
    table
}
