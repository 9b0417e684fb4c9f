//! Shares, and what moves when endpoints come, go and change.

use std::cell::RefCell;

use proptest::prelude::*;

use super::super::{bounded, stable_hash};
use super::*;

/// Endpoints and their weights.
type Set = Vec<(u64, u32)>;

fn ring(set: &[(u64, u32)]) -> Ring {
    let (ids, weights): (Vec<u64>, Vec<u32>) = set.iter().copied().unzip();
    Ring::new(&ids, &weights)
}

/// Which id owns each place.
fn owners(set: &[(u64, u32)]) -> Vec<u64> {
    ring(set).places.iter().map(|owner| set[usize::from(*owner)].0).collect()
}

/// How many places each endpoint of the set owns.
fn counts(set: &[(u64, u32)]) -> Vec<u32> {
    let mut counts = vec![0; set.len()];
    ring(set).places.iter().for_each(|owner| counts[usize::from(*owner)] += 1);
    counts
}

fn id(n: u64) -> u64 {
    stable_hash(format!("10.0.{}.{}:8080", n / 250, n % 250).as_bytes())
}

fn equal(endpoints: u64) -> Set {
    (0..endpoints).map(|n| (id(n), 1)).collect()
}

fn sets() -> impl Strategy<Value = Set> {
    let weight = prop_oneof![Just(1), 1_u32..10, 1_u32..1_000];
    let weights = prop::collection::vec(weight, 1..40);
    (any::<u32>(), weights).prop_map(|(first, weights)| {
        weights.into_iter().enumerate().map(|(n, weight)| (id(u64::from(first) + n as u64), weight)).collect()
    })
}

/// The share of places by weight, as so many places.
fn fair(set: &[(u64, u32)], n: usize) -> f64 {
    let sum: f64 = set.iter().map(|(_, weight)| f64::from(*weight)).sum();
    PLACES as f64 * f64::from(set[n].1) / sum
}

/// A tenth, or chance where an endpoint has only a few places.
fn allowed(fair: f64) -> f64 {
    fair / 10.0 + 4.0 * fair.sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn weights_are_respected(set in sets()) {
        for (n, count) in counts(&set).into_iter().enumerate() {
            let fair = fair(&set, n);
            prop_assert!((f64::from(count) - fair).abs() <= allowed(fair), "{n} of {set:?}: {count}, not {fair}");
        }
    }

    #[test]
    fn who_leaves_moves_its_own_keys_and_no_others(set in sets(), left in any::<prop::sample::Index>()) {
        let mut rest = set.clone();
        let (left, _) = rest.remove(left.index(set.len()));
        prop_assume!(!rest.is_empty());
        // Read backwards: who joins takes what it will own, and nothing else changes.
        for (before, after) in owners(&set).into_iter().zip(owners(&rest)) {
            prop_assert!(before == after || before == left);
        }
    }

    #[test]
    fn who_gains_weight_only_takes(set in sets(), gains in any::<prop::sample::Index>(), by in 1_u32..1_000) {
        let mut heavier = set.clone();
        let gains = gains.index(set.len());
        heavier[gains].1 += by;
        for (before, after) in owners(&set).into_iter().zip(owners(&heavier)) {
            prop_assert!(before == after || after == set[gains].0);
        }
    }

    #[test]
    fn the_race_is_won_by_who_is_first_at_each_place(set in sets()) {
        let ring = ring(&set);
        let mut runs: Vec<Run> =
            (0..).zip(&ring.runners).map(|(n, runner)| Run::new(n, *runner, &TIMES)).collect();
        runs.sort_by_key(|run| ring.runners[usize::from(run.owner)].id);
        for place in (0..PLACES).step_by(61) {
            prop_assert_eq!(ring.places[place], first_at(place, &runs));
        }
    }

    #[test]
    fn neither_order_nor_scale_matters(set in sets(), turn in any::<prop::sample::Index>(), double in 0_u32..8) {
        let mut turned = set.clone();
        turned.rotate_left(turn.index(set.len()));
        turned.iter_mut().for_each(|(_, weight)| *weight <<= double);
        prop_assert_eq!(owners(&set), owners(&turned));
    }

    #[test]
    fn whoever_is_admitted_is_found(set in sets(), key in any::<u64>(), admitted in any::<u64>()) {
        let admit = |n: usize| admitted & (1 << n) != 0;
        let picked = ring(&set).pick(key, admit);
        prop_assert_eq!(picked.is_some(), (0..set.len()).any(admit));
        prop_assert!(picked.is_none_or(admit));
    }
}

#[test]
fn the_order_of_places_is_a_permutation_that_can_be_undone() {
    for n in 0..100 {
        let run = Run::new(0, Runner { id: id(n), weight: 3.0 }, &TIMES);
        let mut seen = vec![false; PLACES];
        for steps in 0..PLACES {
            let place = run.place(steps);
            seen[place] = true;
            assert!(run.time_at(place).total_cmp(&(TIMES[steps] / 3.0)).is_eq(), "{n}: {steps}");
        }
        assert!(!seen.contains(&false), "{n}");
    }
}

#[test]
fn any_weights_fit() {
    let weights = [u32::MAX, 0, 1, 1_000_000];
    let set: Set = weights.into_iter().enumerate().map(|(n, weight)| (id(n as u64), weight)).collect();
    let counts = counts(&set);
    assert_eq!(counts.iter().sum::<u32>() as usize, PLACES);
    assert!(counts[0] > 65_000, "{counts:?}");
    assert!(Ring::new(&[1, 2, 3], &[5]).pick(9, |n| n == 2).is_some(), "no weight counts as 1");
}

#[test]
fn shares_of_a_thousand_are_exact_to_about_a_tenth() {
    let set = equal(1_000);
    let fair = fair(&set, 0);
    let counts = counts(&set);
    let square = |count: &u32| (f64::from(*count) / fair - 1.0).powi(2);
    let deviation = (counts.iter().map(square).sum::<f64>() / 1_000.0).sqrt();
    assert!(deviation < 0.1, "{deviation}");
    assert!(counts.iter().all(|count| f64::from(*count) > fair / 2.0 && f64::from(*count) < fair * 1.5));
}

#[test]
fn of_ten_one_that_leaves_moves_a_tenth() {
    let all = equal(10);
    let (before, after) = (owners(&all), owners(&all[1..]));
    let moved = before.iter().zip(&after).filter(|(before, after)| before != after).count();
    assert!((PLACES / 11..PLACES / 9).contains(&moved), "{moved}");
    // And what it leaves is shared by all others.
    let mut heirs: Vec<u64> = before.iter().zip(&after).filter(|(b, a)| b != a).map(|(_, a)| *a).collect();
    heirs.sort_unstable();
    let most = heirs.chunk_by(|a, b| a == b).map(<[u64]>::len).max();
    assert!(most.is_some_and(|most| most < moved / 6), "{most:?} of {moved}");
}

#[test]
fn who_is_not_admitted_leaves_its_keys_to_all_others() {
    let ring = ring(&equal(10));
    let mut counts = [0_u32; 10];
    for key in (0..100_000_u64).filter(|key| ring.pick(*key, |_| true) == Some(3)) {
        counts[ring.pick(key, |n| n != 3).expect("nine are admitted")] += 1;
    }
    let sum: u32 = counts.iter().sum();
    let others = counts.iter().enumerate().filter(|(n, _)| *n != 3);
    assert!(others.clone().all(|(_, count)| *count > sum / 12 && *count < sum / 7), "{counts:?}");
    assert_eq!(counts[3], 0);
}

#[test]
fn when_hardly_any_is_admitted_each_key_still_has_its_own() {
    let ring = ring(&equal(1_000));
    let admitted = [17, 404, 900];
    let mut counts = [0_u32; 3];
    for key in 0..3_000 {
        let picked = ring.pick(key, |n| admitted.contains(&n));
        assert_eq!(picked, ring.pick(key, |n| admitted.contains(&n)));
        let nth = admitted.iter().position(|n| picked == Some(*n)).expect("one of the admitted");
        counts[nth] += 1;
    }
    assert!(counts.iter().all(|count| (800..1_200).contains(count)), "{counts:?}");
}

#[test]
fn of_those_with_the_same_id_the_first_has_all() {
    let ring = Ring::new(&[7, 8, 7], &[1, 1, 1]);
    assert!(!ring.places.contains(&2) && ring.places.contains(&0) && ring.places.contains(&1));
}

#[test]
fn where_there_is_nobody_none_is_picked() {
    assert_eq!(Ring::new(&[], &[]).pick(7, |_| true), None);
    assert_eq!(ring(&equal(3)).pick(7, |_| false), None);
}

/// Gateways of different versions must agree on who gets which key: these answers never change.
#[test]
fn known_answers_stay_as_they_are() {
    let weights = [1, 2, 3, 4, 5];
    let set: Set = (0..5).map(|n| (id(n), weights[n as usize])).collect();
    let ring = ring(&set);
    let picks: Vec<_> = (0..16).filter_map(|key| ring.pick(key, |_| true)).collect();
    assert_eq!(picks, [3, 3, 4, 4, 3, 1, 3, 1, 1, 3, 3, 4, 3, 4, 1, 2]);
    let bytes: Vec<u8> = ring.places.iter().flat_map(|owner| owner.to_le_bytes()).collect();
    assert_eq!(stable_hash(&bytes), 0x170e_e4c5_f018_9c71);
    let picks: Vec<_> = (0..16).filter_map(|key| ring.preferred(mix(key), |_| true)).collect();
    assert_eq!(picks, [3, 2, 0, 2, 4, 2, 1, 4, 2, 3, 1, 3, 4, 1, 1, 2]);
}

#[test]
fn a_key_that_everybody_asks_for_is_spread_by_the_bound() {
    let ring = ring(&equal(5));
    let loads = RefCell::new([0_u32; 5]);
    for total in 0..1_000 {
        let picked = ring.pick(42, |n| bounded(loads.borrow()[n], total, 1, 5)).expect("one has room");
        loads.borrow_mut()[picked] += 1;
    }
    let loads = loads.into_inner();
    assert!(loads.iter().all(|load| *load <= 250), "{loads:?}");
    assert_eq!(loads.iter().filter(|load| **load == 250).count(), 4, "{loads:?}");
}
