//! Changes of members and weights.

use proptest::prelude::*;

use super::*;

/// No one left out, so many picks.
fn picks(balancer: &mut RoundRobin, n: usize) -> Vec<usize> {
    (0..n).filter_map(|_| balancer.pick(|_| false)).collect()
}

/// Savings add up to 0, and nobody owes more than one pick.
fn check(balancer: &RoundRobin) -> Result<(), TestCaseError> {
    let sum = balancer.sum();
    prop_assert_eq!(balancer.endpoints.iter().map(|turn| turn.saved).sum::<i64>(), 0, "{:?}", balancer);
    prop_assert!(balancer.endpoints.iter().all(|turn| turn.saved >= -sum), "{:?}", balancer);
    Ok(())
}

/// Members by name, each with its weight.
type Set = Vec<(u8, u32)>;

fn sets() -> impl Strategy<Value = Set> {
    let weight = prop_oneof![1_u32..10, 1_u32..1_000, Just(u32::MAX)];
    prop::collection::btree_map(0_u8..12, weight, 1..10).prop_map(|set| set.into_iter().collect())
}

/// The balancer of the next set.
fn change(before: &RoundRobin, old: &Set, new: &Set) -> RoundRobin {
    let weights: Vec<u32> = new.iter().map(|(_, weight)| *weight).collect();
    RoundRobin::resume(&weights, before, |n| old.iter().position(|(name, _)| *name == new[n].0))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_saved_stays_consistent(changes in prop::collection::vec((sets(), 0_usize..20), 1..20)) {
        let mut old = Set::new();
        let mut balancer = RoundRobin::new(&[]);
        for (set, picked) in changes {
            balancer = change(&balancer, &old, &set);
            check(&balancer)?;
            let sum = balancer.sum();
            prop_assert!(balancer.endpoints.iter().all(|turn| turn.saved <= sum), "{balancer:?}");
            prop_assert_eq!(picks(&mut balancer, picked).len(), picked);
            check(&balancer)?;
            old = set;
        }
    }

    #[test]
    fn who_leaves_does_not_change_whose_turn_it_is(all in 2_usize..20, picked in 0_usize..50, left in any::<prop::sample::Index>()) {
        let mut balancer = RoundRobin::new(&vec![1; all]);
        picks(&mut balancer, picked);
        let left = left.index(all);
        let was = |n: usize| if n < left { n } else { n + 1 };
        let mut resumed = RoundRobin::resume(&vec![1; all - 1], &balancer, |n| Some(was(n)));
        let expected: Vec<usize> = picks(&mut balancer, all).into_iter().filter(|n| *n != left).collect();
        let next: Vec<usize> = picks(&mut resumed, all - 1).into_iter().map(was).collect();
        prop_assert_eq!(next, expected);
    }

    #[test]
    fn those_who_stay_do_not_starve_while_others_flap(
        weights in prop::collection::vec(1_u32..10, 2..8),
        flapping in prop::collection::vec(1_u32..10, 1..4),
        every in 1_usize..7,
        first in any::<bool>(),
    ) {
        let stays = weights.len();
        let mut balancer = RoundRobin::new(&weights);
        let mut counts = vec![0_u32; stays];
        for round in 0..4_000 {
            // Those who flap come as strangers each time, before or behind those who stay.
            let (mut now, mut was): (Vec<u32>, Vec<Option<usize>>) = (weights.clone(), (0..stays).map(Some).collect());
            let flap: &[u32] = if round % 2 == 0 { &flapping } else { &[] };
            let offset = |flap: &[u32]| if first { flap.len() } else { 0 };
            let before: &[u32] = if round % 2 == 0 { &[] } else { &flapping };
            was.iter_mut().flatten().for_each(|n| *n += if round == 0 { 0 } else { offset(before) });
            let at = if first { 0 } else { stays };
            now.splice(at..at, flap.iter().copied());
            was.splice(at..at, flap.iter().map(|_| None));
            balancer = RoundRobin::resume(&now, &balancer, |n| was[n]);
            check(&balancer)?;
            for picked in picks(&mut balancer, every) {
                if let Some(count) = picked.checked_sub(offset(flap)).and_then(|n| counts.get_mut(n)) {
                    *count += 1;
                }
            }
        }
        // Relative to each other, whatever those who flap got.
        let (sum, all) = (weights.iter().sum::<u32>(), counts.iter().sum::<u32>());
        for (weight, count) in weights.iter().zip(&counts) {
            let fair = f64::from(all) * f64::from(*weight) / f64::from(sum);
            let count = f64::from(*count);
            prop_assert!(count > fair * 0.8 && count < fair * 2.0, "{weights:?}: {counts:?}");
        }
    }
}

#[test]
fn a_change_does_not_restart_the_cycle() {
    let mut balancer = RoundRobin::new(&[1, 1, 1]);
    assert_eq!(picks(&mut balancer, 2), [0, 1]);
    let mut same = RoundRobin::resume(&[1, 1, 1], &balancer, Some);
    assert_eq!(picks(&mut same, 4), [2, 0, 1, 2]);
    // Another one has come first in the list; the turn is still that of who was last.
    let mut more = RoundRobin::resume(&[1, 1, 1, 1], &balancer, |n| n.checked_sub(1));
    assert_eq!(picks(&mut more, 1), [3]);
    let mut fewer = RoundRobin::resume(&[1, 1], &balancer, |n| Some(n + 1));
    assert_eq!(picks(&mut fewer, 3), [1, 0, 1]);
}

#[test]
fn weights_on_another_scale_change_nothing() {
    let mut balancer = RoundRobin::new(&[5, 1, 1]);
    picks(&mut balancer, 3);
    let mut scaled = RoundRobin::resume(&[500, 100, 100], &balancer, Some);
    assert_eq!(picks(&mut scaled, 20), picks(&mut balancer, 20));
}

#[test]
fn who_leaves_and_comes_back_gains_nothing() {
    let (mut balancer, mut picked) = (RoundRobin::new(&[1, 1]), Vec::new());
    for _ in 0..100 {
        picked.extend(balancer.pick(|_| false));
        let alone = RoundRobin::resume(&[1], &balancer, |_| Some(1));
        balancer = RoundRobin::resume(&[1, 1], &alone, |n| n.checked_sub(1));
    }
    assert!(picked.iter().filter(|n| **n == 1).count() >= 50, "{picked:?}");
}

#[test]
fn a_new_set_starts_anew() {
    let mut balancer = RoundRobin::resume(&[5, 1, 1], &RoundRobin::new(&[1]), |_| None);
    assert_eq!(picks(&mut balancer, 7), [0, 0, 1, 0, 2, 0, 0]);
    // Whatever is said about who was where.
    let mut balancer = RoundRobin::resume(&[1, 1], &RoundRobin::new(&[]), Some);
    assert_eq!(picks(&mut balancer, 2), [0, 1]);
    assert_eq!(RoundRobin::resume(&[], &balancer, Some).pick(|_| false), None);
}
