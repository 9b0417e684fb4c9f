//! Verdicts over made-up runs.

use std::time::Duration;

use super::sample::{answered, outcome, stage, times};
use super::*;
use crate::outcome::Window;

/// The word and the first reason.
fn check(thresholds: &[&str], outcome: &Outcome, kind: Kind, first: &str) {
    let thresholds: Vec<Threshold> =
        thresholds.iter().map(|text| Threshold::parse(text).expect("a threshold")).collect();
    let verdict = judge(&thresholds, outcome);
    assert_eq!(verdict.kind, kind, "{verdict:#?}");
    let reason = verdict.reasons.first().map_or("", String::as_str);
    assert!(reason.contains(first) && first.is_empty() == reason.is_empty(), "{:#?}", verdict.reasons);
    let text = serde_json::to_string(&verdict).expect("it can be written");
    let read: Verdict = serde_json::from_str(&text).expect("it can be read");
    assert_eq!(
        (read.kind, read.reasons, read.thresholds.len()),
        (kind, verdict.reasons, verdict.thresholds.len())
    );
    assert_eq!(verdict.thresholds.iter().filter(|one| !one.implied).count(), thresholds.len());
}

fn good() -> Outcome {
    outcome(answered((0..10_000).map(|n| 5_000 + n)))
}

#[test]
fn a_run_passes_only_if_every_threshold_holds() {
    check(&["p(99)<20ms", "errors<0.1%"], &good(), Kind::Pass, "");
    check(&["p(99)<20ms", "avg<1ms"], &good(), Kind::Fail, "`avg<1ms` did not hold: 10 ms was seen");
    check(&["p(99)<20ms", "errors<0.01%"], &good(), Kind::Inconclusive, "of `errors<0.01%` one cannot tell");
    check(&["errors<0.01%", "avg<1ms"], &good(), Kind::Fail, "`avg<1ms`");
}

#[test]
fn without_thresholds_a_run_is_only_valid() {
    check(&[], &good(), Kind::Pass, "no threshold was given: nothing was judged but that fewer than 1 %");
}

/// So many of a thousand quick requests, the others being errors that are quicker still.
fn with_ok(ok: u64) -> Outcome {
    let mut tally = answered((0..ok).map(|n| 5_000 + n));
    tally.planned = 1_000;
    tally.errors.insert(ErrorKind::Status, 1_000 - ok);
    tally.statuses = [(200, ok), (503, 1_000 - ok)].into_iter().filter(|(_, count)| *count > 0).collect();
    tally.failed = times((0..1_000 - ok).map(|_| 300));
    outcome(tally)
}

#[test]
fn quick_errors_are_no_pass_though_nothing_was_said_of_them() {
    let failed = "`errors<1%` did not hold: 87 % was seen; implied, as nothing was said of errors: 870 errors, \
                  0 timed out and 0 not started of 1000 planned";
    for thresholds in [&[][..], &["p(50)<200ms"], &["errors{step:main}<90%"], &["sent>1/s", "count>10"]] {
        check(thresholds, &with_ok(130), Kind::Fail, failed);
    }
    check(&[], &with_ok(990), Kind::Fail, "`errors<1%` did not hold: 1 % was seen");
    check(&["p(50)<200ms"], &with_ok(991), Kind::Pass, "");
    let implied = |thresholds: &[&str]| {
        let thresholds: Vec<_> =
            thresholds.iter().map(|text| Threshold::parse(text).expect("a threshold")).collect();
        judge(&thresholds, &with_ok(130)).thresholds.iter().filter(|one| one.implied).count()
    };
    assert_eq!((implied(&[]), implied(&["throughput{step:main}>1/s"])), (1, 1));
    for said in ["errors<90%", "availability>1%", "not_started<1%", "throughput>1/s"] {
        assert_eq!(implied(&[said]), 0, "{said}");
        check(&[said], &with_ok(130), Kind::Pass, "");
    }
}

#[test]
fn a_run_in_which_nothing_was_ok_fails_whatever_was_asked() {
    let says = "not one of 1000 requests was ok: status × 1000; answers by status: 503 × 1000";
    for thresholds in [&[][..], &["not_started<1%"], &["p(99)<1s"], &["sent>1/s"]] {
        check(thresholds, &with_ok(0), Kind::Fail, says);
    }
    // What came back is no doing of a generator that was late.
    let mut late = with_ok(0);
    late.generator.lag = times([2_000; 100]);
    check(&[], &late, Kind::Fail, says);
    // Without an answer it may be.
    let mut unanswered = outcome(Tally { planned: 10, timeouts: 10, ..Tally::default() });
    check(&[], &unanswered, Kind::Fail, "timed out × 10");
    unanswered.generator.lag = times([2_000; 100]);
    check(&[], &unanswered, Kind::Invalid, "the generator was late");
    let mut cut = outcome(Tally { planned: 10, timeouts: 10, ..Tally::default() });
    cut.interrupted = true;
    check(&[], &cut, Kind::Inconclusive, "ended before its time");
}

#[test]
fn late_arrivals_are_not_helped_by_more_workers() {
    let advice = |pacing: u64| {
        let mut late = good();
        late.generator.lag = times([9_000; 100]);
        late.generator.pacing = times([pacing; 100]);
        judge(&[], &late).reasons[0].contains("more `workers`")
    };
    assert_eq!((advice(100), advice(8_000)), (true, false));
}

#[test]
fn nothing_planned_is_not_a_pass() {
    check(&[], &outcome(Tally::default()), Kind::Inconclusive, "no request that is judged was planned");
    let mut warm = good();
    warm.stages[0].warmup = true;
    check(&["errors<1%"], &warm, Kind::Inconclusive, "every stage is warm-up");
}

#[test]
fn a_late_generator_makes_a_run_invalid_and_says_so_first() {
    let mut late = good();
    late.generator.lag = times([2_000; 100]);
    check(
        &["p(99)<20ms", "avg<1ms"],
        &late,
        Kind::Invalid,
        "the generator was late: requests were started 2 ms",
    );
    // 2 ms are within 5 % of 50 ms, and of the median without a limit they are not.
    check(
        &["p(99)<50ms"],
        &late,
        Kind::Pass,
        "up to 2 ms (p99) of the response times are the generator's own",
    );
    check(&[], &late, Kind::Invalid, "at most 1 ms");
    let mut late = good();
    late.generator.pacing = times([9_000; 100]);
    check(&["p(99)<50ms"], &late, Kind::Invalid, "arrivals were handed out 9");
}

#[test]
fn a_saturated_generator_makes_a_run_invalid() {
    let mut busy = good();
    busy.generator.busiest = 0.95;
    check(&["p(99)<50ms"], &busy, Kind::Invalid, "used 95 % of a core");
    busy.generator.busiest = 0.5;
    check(&["p(99)<50ms"], &busy, Kind::Pass, "");
    busy.generator.starved = 0.45;
    check(&["p(99)<50ms"], &busy, Kind::Invalid, "was starved");
}

#[test]
fn missing_sockets_are_the_generators_fault() {
    let mut tally = answered([5_000; 10_000]);
    tally.planned += 5;
    tally.errors.insert(ErrorKind::OutOfSockets, 5);
    let few = outcome(tally.clone());
    check(&["p(99)<50ms"], &few, Kind::Pass, "5 requests were not sent");
    check(&["errors<0.01%"], &few, Kind::Invalid, "ran out of sockets or ports for 5 of");
    tally.planned += 200;
    tally.errors.insert(ErrorKind::OutOfSockets, 205);
    check(&["p(99)<50ms"], &outcome(tally), Kind::Invalid, "ran out of sockets or ports");
}

#[test]
fn counts_that_do_not_add_up_are_a_defect() {
    let mut tally = answered([5_000; 1_000]);
    tally.planned += 1;
    check(&["p(50)<50ms"], &outcome(tally), Kind::Invalid, "1001 planned, but 1000 ok");
}

#[test]
fn a_slow_target_is_no_fault_of_the_generator() {
    let mut tally = answered([5_000; 1_000]);
    tally.planned += 500;
    tally.not_started = 500;
    tally.censored = times([3_000_000; 500]);
    let mut slow = outcome(tally);
    slow.generator.in_flight_max = 100;
    check(&["errors<50%"], &slow, Kind::Pass, "500 requests (33.3 %)");
    check(&["errors<1%"], &slow, Kind::Fail, "`errors<1%` did not hold: 33.3 % was seen");
    let reasons = judge(&[], &slow).reasons;
    assert!(
        reasons[1].contains("500 requests (33.3 %)") && reasons[1].contains("`users_max`"),
        "{reasons:?}"
    );
    slow.generator.in_flight_max = 7;
    let reasons = judge(&[], &slow).reasons;
    assert!(!reasons[1].contains("`users_max`") && reasons[1].contains("`grace`"), "{reasons:?}");
}

#[test]
fn an_interrupted_run_may_fail_but_not_pass() {
    let mut cut = good();
    cut.interrupted = true;
    check(&["p(99)<20ms"], &cut, Kind::Inconclusive, "ended before its time");
    check(&["avg<1ms"], &cut, Kind::Fail, "ended before its time");
    for thresholds in [&[][..], &[Threshold::parse("p(99)<20ms").expect("a threshold")]] {
        let reasons = judge(thresholds, &cut).reasons;
        assert_eq!(reasons.len(), 1, "{reasons:?}");
    }
}

#[test]
fn a_drift_is_never_silent() {
    let window = |second: u64, p99_us: u64| Window {
        start_ms: second * 1_000,
        length_ms: 1_000,
        p50_us: 5_000 + second % 3,
        p99_us,
        finished: 100,
        ..Window::default()
    };
    let mut run = good();
    run.stages = vec![stage("soak", 60, 100.0)];
    run.timeline = (0..60).map(|second| window(second, 10_000 + 100 * second)).collect();
    check(&["p(99)<20ms"], &run, Kind::Pass, "the stage `soak` never settled: p99 rose by");
    run.timeline = (0..60).map(|second| window(second, 10_000 + 10 * (second % 7))).collect();
    check(&["p(99)<20ms"], &run, Kind::Pass, "");
    assert_eq!(judge(&[], &run).trends[0].state, Steadiness::Steady);
    run.stages[0].length = Duration::from_secs(9);
    assert_eq!(judge(&[], &run).trends[0].state, Steadiness::TooFewBlocks);
}

#[test]
fn each_kind_has_its_exit_code() {
    let codes = [Kind::Pass, Kind::Fail, Kind::Invalid, Kind::Inconclusive]
        .map(|kind| Verdict { kind, ..Verdict::default() }.exit_code());
    assert_eq!(codes, [0, 3, 4, 5]);
}

#[test]
fn a_baseline_makes_a_verdict_graver_and_never_better() {
    let check = |own: Kind, gate: Kind, missing: usize, expected: Kind| {
        let gate = Gate {
            kind: gate,
            missing,
            saved: 5,
            now: 1,
            reasons: vec!["so it is".to_owned()],
            bounds: Vec::new(),
        };
        let verdict = Verdict { kind: own, ..Verdict::default() }.against(gate);
        assert_eq!((verdict.kind, verdict.reasons.len()), (expected, 1));
        let text = serde_json::to_string(&verdict).expect("it can be written");
        assert_eq!(serde_json::from_str::<Verdict>(&text).expect("it can be read"), verdict);
    };
    check(Kind::Pass, Kind::Pass, 0, Kind::Pass);
    check(Kind::Pass, Kind::Fail, 0, Kind::Fail);
    check(Kind::Inconclusive, Kind::Fail, 0, Kind::Fail);
    check(Kind::Fail, Kind::Pass, 0, Kind::Fail);
    check(Kind::Invalid, Kind::Fail, 0, Kind::Invalid);
    check(Kind::Pass, Kind::Inconclusive, 3, Kind::Pass);
}

#[test]
fn a_hiccup_of_the_generator_in_one_stage_is_not_hidden_by_the_others() {
    let mut run = sample::of(
        vec![stage("long", 100, 100.0), stage("short", 5, 20.0)],
        vec![sample::series("main", &[], vec![answered([5_000; 10_000]), answered([5_000; 100])])],
    );
    run.generator.lag = times((0..10_100).map(|n| if n < 50 { 2_800_000 } else { 20 }));
    run.generator.lags =
        vec![times([20; 10_000]), times((0..100).map(|n| if n < 50 { 2_800_000 } else { 20 }))];
    check(
        &["p(99)<20ms"],
        &run,
        Kind::Invalid,
        "in the stage `short` requests were started 2.8 s after their time",
    );
    // The same in the warm-up is nobody's business.
    run.stages[1].warmup = true;
    check(&["p(99)<20ms"], &run, Kind::Pass, "");
}

#[test]
fn a_limit_missed_by_the_generators_own_delay_is_not_the_targets_failure() {
    let mut run = outcome(answered((0..10_000).map(|n| if n == 0 { 2_780_000 } else { 5_000 })));
    check(&["max<500ms"], &run, Kind::Fail, "`max<500ms` did not hold");
    run.generator.lag = times((0..10_000).map(|n| if n == 0 { 2_775_000 } else { 20 }));
    check(&["max<500ms"], &run, Kind::Invalid, "the generator was late: `max<500ms` did not hold, but");
    // What the generator added does not explain it.
    run.generator.lag = times((0..10_000).map(|n| if n == 0 { 900_000 } else { 20 }));
    check(&["max<500ms"], &run, Kind::Fail, "`max<500ms` did not hold");
}

#[test]
fn what_the_generator_did_not_get_to_is_not_the_targets_fault() {
    let mut tally = answered([5_000; 9_800]);
    (tally.planned, tally.not_started) = (10_000, 200);
    let mut run = outcome(tally);
    check(&["errors<1%"], &run, Kind::Fail, "`errors<1%` did not hold");
    run.generator.unsent = 200;
    check(&["errors<1%"], &run, Kind::Invalid, "the generator did not get to 200 of 10000 requests");
}
