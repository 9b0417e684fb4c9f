//! Buckets fit together, and quantiles keep their promise.

use proptest::prelude::*;

use super::*;

const MICRO: u64 = 1_000;
const HOUR: u64 = 3_600_000_000_000;

fn of(durations: &[u64]) -> Snapshot {
    let histogram = Histogram::new();
    durations.iter().for_each(|&nanos| histogram.record(nanos));
    histogram.snapshot()
}

#[test]
fn buckets_follow_each_other_without_gap_or_overlap() {
    assert_eq!(lower_bound(0), 0);
    for index in 0..BUCKETS {
        assert_eq!(index_of(lower_bound(index)), index);
        assert_eq!(index_of(upper_bound(index) - 1), index);
    }
    assert_eq!(upper_bound(BUCKETS - 1), 1 << TOP_BITS);
    assert_eq!(index_of(u64::MAX), BUCKETS - 1);
}

#[test]
fn an_unused_histogram_has_no_buckets_and_answers_zero() {
    let histogram = Histogram::new();
    assert!(histogram.buckets.get().is_none());
    let snapshot = histogram.snapshot();
    assert_eq!((snapshot.count(), snapshot.mean(), snapshot.max(), snapshot.quantile(0.5)), (0, 0, 0, 0));
    snapshot.cumulative(&[1, 2], |count| assert_eq!(count, 0));
}

#[test]
fn the_longest_is_exact_even_beyond_the_last_bucket() {
    let snapshot = of(&[5 * HOUR, 1]);
    assert_eq!((snapshot.max(), snapshot.quantile(1.0)), (5 * HOUR, 5 * HOUR));
    assert_eq!(snapshot.sum(), 5 * HOUR + 1);
}

#[test]
fn the_difference_of_two_moments_is_what_came_between() {
    let histogram = Histogram::new();
    histogram.record(HOUR);
    let before = histogram.snapshot();
    assert_eq!(before.since(&before), Snapshot { counts: vec![0; BUCKETS], ..Snapshot::default() });
    histogram.record(MICRO);
    let between = histogram.snapshot().since(&before);
    assert_eq!((between.count(), between.sum()), (1, MICRO));
    assert!(between.max() < 2 * MICRO, "{}", between.max());
}

proptest! {
    #[test]
    fn quantiles_are_within_a_thirty_second_of_the_truth(
        mut durations in prop::collection::vec(
            prop_oneof![MICRO..HOUR, MICRO..1_000_000, 1_000_000..1_000_000_000_u64], 1..200),
        q in 0.0..=1.0_f64,
    ) {
        let snapshot = of(&durations);
        durations.sort_unstable();
        let truth = durations[usize::try_from(rank_of(q, durations.len() as u64)).unwrap() - 1];
        let error = snapshot.quantile(q).abs_diff(truth);
        prop_assert!(error <= truth / 32 + 1, "{} for {truth}", snapshot.quantile(q));
    }

    #[test]
    fn merging_is_the_same_as_recording_in_one(
        a in prop::collection::vec(0..HOUR, 0..50),
        b in prop::collection::vec(0..HOUR, 0..50),
    ) {
        let mut merged = of(&a);
        merged.merge(&of(&b));
        prop_assert_eq!(merged, of(&[a, b].concat()));
    }

    #[test]
    fn cumulative_counts_grow_to_the_total(
        durations in prop::collection::vec(0..HOUR, 0..50),
        bounds in prop::collection::btree_set(0..HOUR, 1..20),
    ) {
        let bounds: Vec<u64> = bounds.into_iter().chain([u64::MAX]).collect();
        let mut counts = Vec::new();
        of(&durations).cumulative(&bounds, |count| counts.push(count));
        prop_assert!(counts.is_sorted());
        prop_assert_eq!(counts.len(), bounds.len());
        prop_assert_eq!(counts.last(), Some(&(durations.len() as u64)));
    }
}
