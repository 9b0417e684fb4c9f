//! Time lines as data: each window is what it was like, the fault is at 20 s, and off at 25 s.

use super::*;

const ON: u64 = 20;
const OFF: u64 = 25;

/// What a second was like.
#[derive(Clone, Copy)]
enum Second {
    Good,
    Errors,
    Slow,
    /// Nothing is answered, everything waits.
    Stuck,
    /// Nothing was planned.
    Silent,
    /// One request in a thousand failed.
    OneError,
}

use Second::{Errors, Good, OneError, Silent, Slow, Stuck};

fn window(second: u64, what: Second) -> Window {
    let good = Window {
        start_ms: second * 1_000,
        length_ms: 1_000,
        planned: 1_000,
        ok: 1_000,
        finished: 1_000,
        backlog: 3,
        p99_us: 10_000,
        ..Window::default()
    };
    match what {
        Good => good,
        Errors => Window { ok: 400, errors: 600, ..good },
        Slow => Window { p99_us: 900_000, ..good },
        Stuck => Window { finished: 0, backlog: 900, ..good },
        Silent => Window { start_ms: good.start_ms, length_ms: 1_000, ..Window::default() },
        OneError => Window { ok: 999, errors: 1, ..good },
    }
}

fn timeline(parts: &[(u64, Second)]) -> Vec<Window> {
    let seconds = parts.iter().flat_map(|(count, what)| (0..*count).map(|_| *what));
    (0..).zip(seconds).map(|(second, what)| window(second, what)).collect()
}

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn span(until: u64) -> Span {
    Span { control: secs(0)..secs(ON), on: secs(ON), off: Some(secs(OFF)), until: secs(until) }
}

const BUDGET: Budget =
    Budget { errors: 0.001, p99: Some(Duration::from_millis(50)), hold: Duration::from_secs(10) };

/// How it ended, and detection, recovery from the fault, and from its removal in seconds.
fn check(
    parts: &[(u64, Second)],
    end: End,
    ttd: Option<u64>,
    ttr_on: Option<u64>,
    ttr_off: Option<u64>,
) -> Recovery {
    let timeline = timeline(parts);
    let found = recovery(&timeline, &span(timeline.len() as u64), &BUDGET);
    assert_eq!(found.end, end, "{found:?}");
    assert_eq!(
        (found.ttd, found.ttr_on, found.ttr_off),
        (ttd.map(secs), ttr_on.map(secs), ttr_off.map(secs)),
        "{found:?}"
    );
    assert_eq!(found.resolution, secs(1));
    found
}

#[test]
fn healed_seven_seconds_after_the_removal_is_seven_seconds() {
    let found = check(&[(20, Good), (12, Errors), (20, Good)], End::Recovered, Some(0), Some(12), Some(7));
    assert_eq!((found.bad_windows, found.bad_requests, found.held), (12, 12 * 600, 10_000));
    assert!(found.notes.is_empty(), "{found:?}");
}

#[test]
fn each_way_of_being_bad_counts() {
    for what in [Errors, Slow, Stuck] {
        check(&[(22, Good), (5, what), (20, Good)], End::Recovered, Some(2), Some(7), Some(2));
    }
}

#[test]
fn back_before_the_removal_is_recovered_at_once_after_it() {
    let parts = [(20, Good), (2, Errors), (30, Good)];
    check(&parts, End::Recovered, Some(0), Some(2), Some(0));
}

#[test]
fn a_removal_that_disturbs_is_told_from_the_fault() {
    let mut long = span(80);
    long.off = Some(secs(40));
    let timeline = timeline(&[(20, Good), (2, Errors), (18, Good), (5, Slow), (35, Good)]);
    let found = recovery(&timeline, &long, &BUDGET);
    assert_eq!((found.ttr_on, found.ttr_off), (Some(secs(2)), Some(secs(5))), "{found:?}");
}

#[test]
fn a_relapse_within_the_hold_starts_it_anew() {
    let parts = [(20, Good), (8, Errors), (5, Good), (1, Errors), (15, Good)];
    check(&parts, End::Recovered, Some(0), Some(14), Some(9));
}

#[test]
fn never_back_says_longer_than_it_was_watched() {
    let found = check(&[(20, Good), (20, Stuck)], End::Never, Some(0), None, None);
    assert_eq!(found.watched, secs(15));
    assert!(found.notes[0].contains("longer than the 15s"), "{found:?}");
}

#[test]
fn good_for_less_than_the_hold_proves_nothing() {
    check(&[(20, Good), (10, Errors), (9, Good)], End::Unproven, Some(0), None, None);
    check(&[(20, Good), (10, Errors), (10, Good)], End::Recovered, Some(0), Some(10), Some(5));
}

#[test]
fn a_fault_that_nobody_notices_has_no_effect() {
    let found = check(&[(60, Good)], End::NoEffect, None, Some(0), Some(0));
    assert!(found.notes[0].contains("no effect"), "{found:?}");
}

#[test]
fn a_fault_that_is_never_removed_is_timed_from_its_begin() {
    let timeline = timeline(&[(20, Good), (4, Errors), (20, Good)]);
    let found = recovery(&timeline, &Span { off: None, ..span(44) }, &BUDGET);
    assert_eq!((found.end, found.ttr_on, found.ttr_off), (End::Recovered, Some(secs(4)), None));
    assert_eq!(found.watched, secs(24));
}

#[test]
fn without_requests_nothing_can_be_told() {
    check(&[(20, Good), (30, Silent)], End::Unknown, None, None, None);
    assert_eq!(recovery(&[], &span(40), &BUDGET).end, End::Unknown);
}

#[test]
fn silence_after_errors_is_not_recovery() {
    check(&[(20, Good), (6, Errors), (30, Silent)], End::Never, Some(0), None, None);
}

#[test]
fn a_system_that_was_bad_before_cannot_recover() {
    check(&[(10, Good), (10, Errors), (5, Errors), (30, Good)], End::Unknown, None, None, None);
}

#[test]
fn as_many_bad_seconds_as_before_are_forgiven_and_said() {
    let before = [(9, Good), (1, Slow), (9, Good), (1, Slow)];
    let after = [(6, Errors), (5, Good), (1, Slow), (20, Good)];
    let found = check(&[&before[..], &after[..]].concat(), End::Recovered, Some(0), Some(6), Some(1));
    assert!((found.control_bad - 0.1).abs() < 1e-9);
    assert!(found.notes.iter().any(|note| note.contains("10 %")), "{found:?}");
}

#[test]
fn one_error_in_a_thousand_is_within_a_budget_of_one_in_a_thousand() {
    check(&[(20, Good), (30, OneError)], End::NoEffect, None, Some(0), Some(0));
}

#[test]
fn without_a_limit_the_p99_before_the_fault_says_what_is_slow() {
    let timeline = timeline(&[(20, Good), (7, Slow), (20, Good)]);
    let found = recovery(&timeline, &span(47), &Budget { p99: None, ..BUDGET });
    assert_eq!((found.p99_limit, found.ttr_off), (Some(Duration::from_millis(12)), Some(secs(2))));
}

#[test]
fn few_requests_show_little() {
    let mut few = timeline(&[(20, Good), (7, Errors), (20, Good)]);
    for window in &mut few {
        window.planned /= 100;
        window.ok /= 100;
        window.errors /= 100;
        window.finished /= 100;
    }
    let found = recovery(&few, &span(47), &BUDGET);
    assert_eq!((found.end, found.held, found.needed), (End::Recovered, 100, 3_000));
    assert!(found.notes.iter().any(|note| note.contains("it takes 3000")), "{found:?}");
}

#[test]
fn times_are_as_exact_as_windows_are_long() {
    let long: Vec<Window> = timeline(&[(20, Good), (10, Errors), (30, Good)])
        .chunks(5)
        .map(|five| Window {
            length_ms: 5_000,
            planned: five.iter().map(|one| one.planned).sum(),
            errors: five.iter().map(|one| one.errors).sum(),
            finished: five.iter().map(|one| one.finished).sum(),
            ..five[0].clone()
        })
        .collect();
    let found = recovery(&long, &span(60), &BUDGET);
    assert_eq!((found.ttr_off, found.resolution), (Some(secs(5)), secs(5)));
}

#[test]
fn cycles_are_told_by_their_median_and_their_longest() {
    let recovered = |seconds: u64| Recovery {
        end: End::Recovered,
        ttd: Some(secs(1)),
        ttr_on: Some(secs(seconds + 5)),
        ttr_off: Some(secs(seconds)),
        ..Recovery::default()
    };
    let cycles = [3, 9, 4, 2, 5].map(recovered);
    let all = summary("kill api", &cycles);
    assert_eq!(all.ttr_off, Some(Spread { median: secs(4), max: secs(9) }));
    assert_eq!((all.cycles, all.recovered), (5, 5));
    assert!(all.proves.is_some_and(|share| (share - 0.549).abs() < 0.001), "{all:?}");
    let never = Recovery { end: End::Never, ..Recovery::default() };
    let one_missing = summary("kill api", cycles.iter().chain([&never]));
    assert_eq!((one_missing.recovered, one_missing.ttr_off, one_missing.proves), (5, None, None));
    assert_eq!(summary("nothing", []).proves, None);
}

#[test]
fn a_recovery_is_kept_as_json() {
    let timeline = timeline(&[(20, Good), (12, Errors), (20, Good)]);
    let found = recovery(&timeline, &span(52), &BUDGET);
    let json = serde_json::to_string(&found).expect("it has only plain values");
    assert_eq!(serde_json::from_str::<Recovery>(&json).expect("we wrote it"), found);
}
