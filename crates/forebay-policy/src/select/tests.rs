//! Tiers, panic, slow start.

use proptest::prelude::*;

use super::*;

/// One tier per word, one endpoint per letter: `u` is usable, `-` is not. Weights are 1.
fn tiers(words: &str) -> Vec<Candidate> {
    let mut candidates = Vec::new();
    for (priority, word) in (0..).zip(words.split(' ')) {
        let candidate = |letter| Candidate { usable: letter == 'u', weight: 1, priority, ramp: 1.0 };
        candidates.extend(word.chars().map(candidate));
    }
    candidates
}

/// Who is picked, in the same notation (`x` is picked), the tier that decided, and whether it is panic.
fn check(words: &str, panic_below: u8, picked: &str, priority: u8, panic: bool) {
    let selection = select(&tiers(words), panic_below);
    let mut n = 0;
    let mark = |letter: char| {
        if letter == ' ' {
            return letter;
        }
        n += 1;
        if selection.picks.iter().any(|(index, _)| *index == n - 1) { 'x' } else { '-' }
    };
    let marks: String = words.chars().map(mark).collect();
    let found = (marks.as_str(), selection.priority, selection.panic);
    assert_eq!(found, (picked, priority, panic), "{words} below {panic_below} %");
}

#[test]
fn the_best_tier_is_used_alone_while_it_has_enough() {
    check("uuuu uu", 50, "xxxx --", 0, false);
    check("uu-- uu", 50, "xx-- --", 0, false);
    check("u--- uu", 25, "x--- --", 0, false);
    check("u--- uu", 0, "x--- --", 0, false);
}

#[test]
fn a_few_of_a_tier_go_on_beside_the_next() {
    check("u--- uu", 50, "x--- xx", 1, false);
    check("u--- u--- uu uu", 50, "x--- x--- xx --", 2, false);
    // A single backup that is well is enough, however large the tier above is.
    check("---------- u", 50, "---------- x", 1, false);
    check("-- -- u", 0, "-- -- x", 2, false);
}

#[test]
fn when_no_tier_has_enough_one_is_used_whole() {
    check("u---", 50, "xxxx", 0, true);
    check("----", 50, "xxxx", 0, true);
    check("u--- u---", 50, "xxxx x---", 0, true);
    check("---- u---", 50, "---- xxxx", 1, true);
    check("---- ----", 50, "xxxx ----", 0, true);
    check("uuu-", 100, "xxxx", 0, true);
    check("uuu-", 255, "xxxx", 0, true);
    check("u---", 1, "x---", 0, false);
    check("----", 1, "xxxx", 0, true);
}

#[test]
fn without_panic_there_may_be_nobody() {
    check("----", 0, "----", 0, false);
    check("-- --", 0, "-- --", 0, false);
    assert_eq!(select(&[], 50), Selection::default());
}

/// Weights of these endpoints (weight, progress).
fn weights(candidates: &[(u32, f32)]) -> Vec<u32> {
    let candidate =
        |(weight, ramp): &(u32, f32)| Candidate { usable: true, weight: *weight, priority: 0, ramp: *ramp };
    let candidates: Vec<Candidate> = candidates.iter().map(candidate).collect();
    select(&candidates, 50).picks.into_iter().map(|(_, weight)| weight).collect()
}

#[test]
fn weights_stay_as_written_unless_somebody_starts_slowly() {
    assert_eq!(weights(&[(1, 1.0), (7, 1.0), (0, 5.0)]), [1, 7, 1]);
    assert_eq!(weights(&[(1, 1.0), (1, 0.5)]), [100, 50]);
    assert_eq!(weights(&[(3, 1.0), (3, 0.0)]), [300, 30]);
    assert_eq!(weights(&[(3, 1.0), (3, -1.0)]), [300, 30]);
    assert_eq!(weights(&[(u32::MAX, 1.0), (1, 0.5)]), [u32::MAX, 1]);
}

#[test]
fn who_is_not_picked_does_not_make_others_start_slowly() {
    let mut candidates = tiers("u u");
    candidates[1].ramp = 0.2;
    assert_eq!(select(&candidates, 50).picks, [(0, 1)]);
}

fn candidates() -> impl Strategy<Value = Vec<Candidate>> {
    let candidate = (any::<bool>(), any::<u32>(), 0_u8..4, any::<f32>())
        .prop_map(|(usable, weight, priority, ramp)| Candidate { usable, weight, priority, ramp });
    prop::collection::vec(candidate, 0..30)
}

proptest! {
    #[test]
    fn only_panic_picks_who_is_not_usable(candidates in candidates(), panic_below in any::<u8>()) {
        let selection = select(&candidates, panic_below);
        prop_assert!(selection.picks.iter().all(|(_, weight)| *weight >= 1));
        prop_assert!(selection.picks.is_sorted_by_key(|(n, _)| *n));
        let has_unusable = selection.picks.iter().any(|(n, _)| !candidates[*n].usable);
        prop_assert_eq!(selection.panic, has_unusable);
        let nobody = !candidates.iter().any(|candidate| candidate.usable);
        prop_assert_eq!(selection.picks.is_empty(), nobody && (panic_below == 0 || candidates.is_empty()));
    }

    #[test]
    fn panic_takes_nobody_away(candidates in candidates(), panic_below in 1_u8..=100) {
        let selection = select(&candidates, panic_below);
        let calm = select(&candidates, 0);
        let picked = |n: usize| selection.picks.iter().any(|(index, _)| *index == n);
        prop_assert!(calm.picks.iter().all(|(n, _)| picked(*n)));
    }

    #[test]
    fn a_share_that_starts_slowly_only_grows(weight in any::<u32>(), other in any::<u32>()) {
        let shares = (0..=100_u8).map(|percent| {
            let weights = weights(&[(weight, f32::from(percent) / 100.0), (other, 1.0)]);
            f64::from(weights[0]) / f64::from(weights[1])
        });
        let shares: Vec<f64> = shares.collect();
        prop_assert!(shares.is_sorted(), "{shares:?}");
    }
}
