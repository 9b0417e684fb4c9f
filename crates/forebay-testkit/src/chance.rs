//! Choices that a seed decides, so that a run that went wrong can be had again.

use std::env;

/// A stream of numbers that looks random and depends on nothing but its seed.
#[derive(Clone, Debug)]
pub struct Chance {
    state: u64,
}

impl Chance {
    /// The stream of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// The seeds of a test: these, or the one that `FOREBAY_SEED` names.
    #[must_use]
    pub fn seeds(usual: &[u64]) -> Vec<u64> {
        match env::var("FOREBAY_SEED").ok().and_then(|text| text.parse().ok()) {
            Some(seed) => vec![seed],
            None => usual.to_vec(),
        }
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        // SplitMix64: each step is a bijection of the counter, so no state is a trap.
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 for the bound 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.number().checked_rem(bound as u64).unwrap_or(0) as usize
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, share: usize) -> bool {
        self.below(100) < share
    }

    /// One of these; there must be one.
    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_decides_everything() {
        let numbers = |seed| {
            let mut chance = Chance::new(seed);
            (0..10).map(|_| chance.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(numbers(7), numbers(7));
        assert_ne!(numbers(7), numbers(8));
    }
}
