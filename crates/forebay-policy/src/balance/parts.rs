//! Which of its keys an endpoint has while it starts slowly.

use super::hash::mix;

/// For a [`Ring`](super::Ring), whose places follow from configured weights alone: what part of their keys endpoints
/// admit whose effective weight is less than that for now. The others go to whoever is next on the ring.
///
/// Which keys those are follows from the key and the endpoint; so a key that has come to an endpoint stays there as
/// its part grows, and no key moves but those of endpoints that start slowly.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    /// From 0 to 1, by index. Empty: everybody has all.
    parts: Box<[f64]>,
}

impl Parts {
    /// `weights` are the configured ones, by index; `picks` say who may be picked with which effective weight, as
    /// [`Selection`](crate::select::Selection) has them. Weights of 0, and none, count as 1.
    ///
    /// An endpoint's part is such that its share of all keys becomes what its effective weight says. Who is at
    /// least as far as all on average has all of its keys, so there is always somebody who has.
    #[must_use]
    pub fn new(weights: &[u32], picks: &[(usize, u32)]) -> Self {
        let weight = |index: usize| u128::from(weights.get(index).copied().unwrap_or(1).max(1));
        let all: u128 = picks.iter().map(|(index, _)| weight(*index)).sum();
        let effective_all: u128 = picks.iter().map(|(_, effective)| u128::from((*effective).max(1))).sum();
        // The share by effective weight, and that of the places on the ring.
        let shares = |index: usize, effective: u32| {
            (u128::from(effective.max(1)) * all, weight(index) * effective_all)
        };
        let is_less = |(index, effective): &(usize, u32)| {
            let (share, places) = shares(*index, *effective);
            share < places
        };
        if !picks.iter().any(is_less) {
            return Self::default();
        }
        let mut parts = vec![1.0; weights.len()].into_boxed_slice();
        for (index, effective) in picks.iter().filter(|pick| is_less(pick)) {
            let (share, places) = shares(*index, *effective);
            if let Some(part) = parts.get_mut(*index) {
                *part = share as f64 / places as f64;
            }
        }
        Self { parts }
    }

    /// Whether the endpoint with this index, and this id on the ring, has this key already.
    #[inline]
    #[must_use]
    pub fn admit(&self, index: usize, id: u64, key: u64) -> bool {
        let Some(part) = self.parts.get(index).filter(|part| **part < 1.0) else { return true };
        // From the key otherwise than its place, or whole places would come at once.
        let drawn = (mix(key.rotate_left(32) ^ mix(!id)) >> 11) as f64;
        drawn < part * (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Ring, stable_hash};
    use super::*;

    const KEYS: u64 = 20_000;

    fn ids(endpoints: usize) -> Vec<u64> {
        (0..endpoints).map(|n| stable_hash(format!("10.0.0.{n}:80").as_bytes())).collect()
    }

    /// Whose each key is; effective weights of all.
    fn owners(ring: &Ring, weights: &[u32], effective: &[u32]) -> Vec<usize> {
        let ids = ids(weights.len());
        let picks: Vec<(usize, u32)> = effective.iter().copied().enumerate().collect();
        let parts = Parts::new(weights, &picks);
        let owner = |key| {
            ring.pick(stable_hash(&u64::to_le_bytes(key)), |n| {
                parts.admit(n, ids[n], stable_hash(&u64::to_le_bytes(key)))
            })
        };
        (0..KEYS).map(|key| owner(key).expect("somebody has all of its keys")).collect()
    }

    fn check(weights: &[u32], effective: &[u32], expected: &[f64]) {
        let owners = owners(&Ring::new(&ids(weights.len()), weights), weights, effective);
        for (n, expected) in expected.iter().enumerate() {
            let share = owners.iter().filter(|owner| **owner == n).count() as f64 / KEYS as f64;
            assert!((share - expected).abs() < 0.02, "{n} of {effective:?} has {share}, not {expected}");
        }
    }

    #[test]
    fn shares_become_what_effective_weights_say() {
        check(&[1, 1, 1], &[1, 1, 1], &[0.333, 0.333, 0.333]);
        check(&[1, 1, 1], &[100, 10, 100], &[0.476, 0.048, 0.476]);
        check(&[1, 1, 1], &[100, 50, 100], &[0.4, 0.2, 0.4]);
        check(&[1, 1], &[10, 100], &[0.091, 0.909]);
        check(&[3, 1], &[30, 100], &[0.231, 0.769]);
    }

    #[test]
    fn all_that_start_together_have_all_keys() {
        assert_eq!(Parts::new(&[1, 2], &[(0, 10), (1, 20)]), Parts::default());
        assert_eq!(Parts::new(&[], &[]), Parts::default());
        assert_eq!(Parts::new(&[5], &[(0, 1)]), Parts::default());
    }

    #[test]
    fn keys_come_one_after_the_other_and_stay() {
        let weights = [1, 1, 1, 1];
        let ring = Ring::new(&ids(4), &weights);
        let full = owners(&ring, &weights, &[1, 1, 1, 1]);
        let mut before = owners(&ring, &weights, &[100, 10, 100, 100]);
        for ramp in [20, 50, 75, 100] {
            let now = owners(&ring, &weights, &[100, ramp, 100, 100]);
            for ((before, now), full) in before.iter().zip(&now).zip(&full) {
                assert!(
                    now == before || (*now == 1 && now == full),
                    "{before} had it, {now} has it at {ramp}"
                );
            }
            before = now;
        }
        assert_eq!(before, full);
    }

    proptest! {
        #[test]
        fn somebody_admits_whatever_the_weights(
            picks in prop::collection::vec((any::<u32>(), any::<u32>()), 1..20), key in any::<u64>()
        ) {
            let weights: Vec<u32> = picks.iter().map(|(weight, _)| *weight).collect();
            let effective: Vec<(usize, u32)> = picks.iter().map(|(_, effective)| *effective).enumerate().collect();
            let parts = Parts::new(&weights, &effective);
            prop_assert!((0..picks.len()).any(|n| parts.admit(n, n as u64, key)));
        }
    }
}
