//! Comparisons of made-up runs.

use super::*;
use crate::outcome::ErrorKind;
use crate::verdict::Kind;
use crate::verdict::sample::{answered, outcome, times};

/// Runs whose times spread a little around so much.
fn runs(count: usize, p99: f64, errors: f64) -> Vec<Run> {
    let spread = |index: usize| 1.0 + 0.01 * (index % 5) as f64;
    let one = |index| Run {
        p50: Some(0.1 * p99 * spread(index)),
        p95: Some(0.5 * p99 * spread(index)),
        p99: Some(p99 * spread(index)),
        mean: Some(0.2 * p99 * spread(index)),
        errors: errors * spread(index),
        throughput: 1_000.0,
        planned: 10_000,
        ..Run::default()
    };
    (0..count).map(one).collect()
}

/// Fewer draws: unoptimized, the usual number takes seconds.
fn quick() -> Settings {
    Settings { resamples: 500, ..Settings::default() }
}

fn check(before: &[Run], after: &[Run], expected: Outcome, reason: &str) -> Comparison {
    let settings = quick();
    let comparison = compare(before, after, &settings);
    assert_eq!(comparison.outcome, expected, "{comparison:#?}");
    let found = comparison.reasons.iter().any(|said| said.contains(reason));
    assert!(found, "{:#?} does not say {reason:?}", comparison.reasons);
    comparison
}

#[test]
fn sides_take_turns() {
    use Side::{A, B};
    assert_eq!(order(4), [A, B, B, A, A, B, B, A]);
    assert_eq!(order(0), []);
}

#[test]
fn many_more_failures_are_never_no_difference() {
    let few = "errors went from 0 % to";
    // Too few runs to tell from chance, or one run that was well.
    check(&runs(4, 0.100, 0.0), &runs(4, 0.100, 0.9), Outcome::Inconclusive, few);
    let mut most = runs(5, 0.100, 0.9);
    most[0].errors = 0.0;
    check(&runs(5, 0.100, 0.0), &most, Outcome::Inconclusive, few);
    check(&runs(5, 0.100, 0.0), &runs(5, 0.100, 0.9), Outcome::Worse, few);
}

#[test]
fn a_clear_difference_is_called_one() {
    check(
        &runs(5, 0.100, 0.0),
        &runs(5, 0.110, 0.0),
        Outcome::Worse,
        "worse: p99 went from 102 ms to 112 ms (+10.0 %)",
    );
    check(
        &runs(5, 0.110, 0.0),
        &runs(5, 0.100, 0.0),
        Outcome::Better,
        "better: p99 went from 112 ms to 102 ms (-9.1 %)",
    );
    check(&runs(4, 0.100, 0.0), &runs(4, 0.150, 0.0), Outcome::Worse, "p 0.029");
}

#[test]
fn a_small_difference_is_none_however_certain() {
    let comparison = compare(&runs(20, 0.100, 0.0), &runs(20, 0.1045, 0.0), &quick());
    assert!(comparison.figures[0].p.is_some_and(|p| p < 0.001), "{comparison:#?}");
    assert!(
        matches!(comparison.outcome, Outcome::NoDifferenceShown { above } if (0.05..0.08).contains(&above)),
        "{comparison:#?}"
    );
    let noisy = Settings { noise_floor: Some(0.06), ..quick() };
    let comparison = compare(&runs(20, 0.100, 0.0), &runs(20, 0.110, 0.0), &noisy);
    assert!(matches!(comparison.outcome, Outcome::NoDifferenceShown { .. }), "{comparison:#?}");
}

#[test]
fn too_few_runs_compare_nothing() {
    let few = |count| (runs(count, 0.1, 0.0), runs(count, 0.2, 0.0));
    let (before, after) = few(1);
    let comparison = check(&before, &after, Outcome::Inconclusive, "no comparison");
    assert_eq!(comparison.figures[0].ratio, Some(2.0));
    assert_eq!((comparison.figures[0].p, comparison.figures[0].interval), (None, None));
    let (before, after) = few(3);
    check(&before, &after, Outcome::Inconclusive, "3 runs per side are too few");
    check(&[], &after, Outcome::Inconclusive, "one side has no valid run");
}

#[test]
fn errors_are_never_paid_for_with_speed() {
    check(
        &runs(5, 0.1, 0.0),
        &runs(5, 0.05, 0.2),
        Outcome::Inconclusive,
        "worse: errors went from 0 % to 20.4 %",
    );
    check(&runs(5, 0.1, 0.0), &runs(5, 0.1, 0.2), Outcome::Worse, "worse: errors");
    check(
        &runs(5, 0.1, 0.2),
        &runs(5, 0.1, 0.0),
        Outcome::Better,
        "better: errors went from 20.4 % to 0 % (-100.0 %)",
    );
}

#[test]
fn invalid_runs_are_left_out() {
    let mut after = runs(6, 0.2, 0.0);
    after[0].invalid = true;
    let comparison = check(&runs(5, 0.1, 0.0), &after, Outcome::Worse, "1 runs were left out");
    assert_eq!(comparison.runs, (5, 5));
    after.iter_mut().for_each(|run| run.invalid = true);
    check(&runs(5, 0.1, 0.0), &after, Outcome::Inconclusive, "one side has no valid run");
}

/// One run as it would be now.
fn one(p99: f64, errors: f64) -> Vec<Run> {
    runs(1, p99, errors)
}

fn check_gate(baseline: &[Run], now: &[Run], kind: Kind, reason: &str) -> Gate {
    let gate = gate(baseline, now, &quick());
    assert_eq!(gate.kind, kind, "{gate:#?}");
    assert!(gate.reasons.iter().any(|said| said.contains(reason)), "{:#?}", gate.reasons);
    let json = serde_json::to_string(&gate).expect("it can be written");
    assert_eq!(serde_json::from_str::<Gate>(&json).expect("it can be read").reasons, gate.reasons);
    gate
}

#[test]
fn one_run_is_held_against_what_was_saved() {
    let saved = runs(5, 0.1, 0.0);
    let passed = "no worse than the baseline: p99 is 100 ms, usually 102 ms; another run like the saved ones is at most";
    check_gate(&saved, &one(0.1, 0.0), Kind::Pass, passed);
    check_gate(&saved, &one(0.05, 0.0), Kind::Pass, "p99 is 50 ms");
    // Beyond the interval, but within a fifth.
    let gate = check_gate(&saved, &one(0.12, 0.0), Kind::Pass, "122 ms is tolerated");
    assert!(gate.bounds[0].now > gate.bounds[0].expected_max, "{gate:#?}");
    check_gate(&saved, &one(0.125, 0.0), Kind::Fail, "worse than the baseline: p99 is 125 ms");
    check_gate(&saved, &runs(3, 0.125, 0.0), Kind::Fail, "worse than the baseline: p99 is 126 ms");
}

#[test]
fn a_history_that_varies_much_shows_little_and_says_so() {
    let mut wild = runs(5, 0.1, 0.0);
    wild.iter_mut()
        .zip([0.3, 0.5, 1.0, 1.7, 3.0])
        .for_each(|(run, by)| run.p99 = run.p99.map(|p99| p99 * by));
    check_gate(&wild, &one(0.2, 0.0), Kind::Pass, "would not have been noticed: save more or longer runs");
}

#[test]
fn more_errors_are_worse_beyond_a_point_of_percent() {
    let saved = runs(5, 0.1, 0.001);
    check_gate(&saved, &one(0.1, 0.01), Kind::Pass, "errors are 1 %, usually 0.10");
    check_gate(&saved, &one(0.1, 0.012), Kind::Fail, "worse than the baseline: errors are 1.2 %");
    let none = [Run { p99: None, errors: 1.0, planned: 10, ..Run::default() }];
    check_gate(&saved, &none, Kind::Fail, "worse than the baseline: errors are 100 %");
}

#[test]
fn a_small_history_decides_nothing() {
    let says = "it has 4 of the 5 valid runs that are needed (1 more)";
    assert_eq!(check_gate(&runs(4, 0.1, 0.0), &one(0.9, 0.0), Kind::Inconclusive, says).missing, 1);
    assert_eq!(check_gate(&[], &one(0.9, 0.0), Kind::Inconclusive, "(5 more)").missing, 5);
    let mut saved = runs(6, 0.1, 0.0);
    (saved[0].invalid, saved[1].interrupted) = (true, true);
    check_gate(&saved, &one(0.9, 0.0), Kind::Inconclusive, "2 saved runs were left out");
}

#[test]
fn a_run_that_means_nothing_is_not_held_against_the_baseline() {
    let saved = runs(5, 0.1, 0.0);
    let change = |change: fn(&mut Run)| {
        let mut now = one(0.1, 0.0);
        now.iter_mut().for_each(change);
        now
    };
    check_gate(&saved, &change(|run| run.invalid = true), Kind::Invalid, "no whole and valid run");
    check_gate(&saved, &change(|run| run.interrupted = true), Kind::Inconclusive, "no whole and valid run");
}

#[test]
fn a_side_that_fails_every_request_is_worse_whatever_its_times() {
    let failing = |count: usize| -> Vec<Run> {
        (0..count).map(|_| Run { errors: 1.0, planned: 10_000, ..Run::default() }).collect()
    };
    check(&runs(5, 0.1, 0.0), &failing(5), Outcome::Worse, "worse: after, not one request was ok");
    check(&runs(1, 0.1, 0.0), &failing(1), Outcome::Worse, "not one request was ok");
    check(&failing(5), &runs(5, 0.1, 0.0), Outcome::Better, "better: before, not one request was ok");
    check(&failing(5), &failing(5), Outcome::Inconclusive, "on either side");
    let mut quick_failures = runs(5, 0.05, 1.0);
    quick_failures.iter_mut().for_each(|run| run.errors = 1.0);
    check(&runs(5, 0.1, 0.0), &quick_failures, Outcome::Worse, "not one request was ok");
    let mut some = failing(4);
    some.extend(runs(1, 0.1, 0.5));
    check(&runs(5, 0.1, 0.0), &some, Outcome::Worse, "worse: errors went from 0 % to 100 %");
}

#[test]
fn the_same_system_gives_the_noise() {
    let floor = noise_floor(&runs(5, 0.1, 0.0), &runs(5, 0.103, 0.0), Figure::P99);
    assert!(floor.is_some_and(|floor| (floor - 0.03).abs() < 1e-9), "{floor:?}");
    assert_eq!(noise_floor(&[], &runs(5, 0.1, 0.0), Figure::P99), None);
}

#[test]
fn cpu_is_the_targets_alone_and_without_warm_up() {
    use std::time::Duration;

    use crate::lab::{Usage, Watched};
    use crate::verdict::sample::{of, series, stage};

    let mut stages = vec![stage("warm", 10, 100.0), stage("main", 10, 100.0)];
    stages[0].warmup = true;
    let tallies = vec![answered([5_000; 1_000]), answered([5_000; 1_000])];
    let mut run = of(stages, vec![series("get", &[], tallies)]);
    let usage =
        |ms: u64| Usage { cpu: Duration::from_millis(ms), seen: Duration::from_secs(10), ..Usage::default() };
    let watched = |name: &str, ms| Watched {
        name: name.to_owned(),
        stages: vec![usage(70_000), usage(ms)],
        ..Watched::default()
    };
    run.lab.watched = vec![watched("generator", 90_000)];
    assert_eq!(Run::of(&run).cpu_per_request, None);
    run.lab.watched.extend([watched("gateway", 2_000), watched("api", 3_000)]);
    assert_eq!(Run::of(&run).cpu_per_request, Some(0.005));
}

#[test]
fn a_run_is_a_few_numbers() {
    let mut tally = answered([10_000; 99]);
    tally.planned = 110;
    tally.errors.insert(ErrorKind::Reset, 10);
    tally.timeouts = 1;
    tally.censored = times([1_000_000]);
    let run = Run::of(&outcome(tally));
    assert_eq!((run.planned, run.cut_short, run.invalid, run.cpu_per_request), (110, true, false, None));
    assert!((run.errors - 0.1).abs() < 1e-12 && (run.throughput - 9.9).abs() < 1e-12, "{run:?}");
    assert!(run.p50.is_some_and(|p50| (p50 - 0.01).abs() < 1e-4), "{run:?}");
    assert!(run.mean.is_some_and(|mean| (mean - 0.0199).abs() < 1e-3), "{run:?}");
    assert_eq!(Run::of(&outcome(crate::outcome::Tally::default())).p99, None);
}
