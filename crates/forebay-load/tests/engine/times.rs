//! Percentiles against the script: never better than the truth, and not much worse.
//!
//! Bounds from below are exact. Those from above leave room for a machine that has other things to do.

use forebay_testkit::scripted::{Delays, How, Options, Reply, Scripted, Span};

use super::*;

/// Room for a busy machine.
const SLACK: Duration = ms(50);
/// The same for the slowest of many.
const SLACK_TAIL: Duration = ms(300);

/// Runs `rate` for `length` against these delays, and compares percentiles of response and service time.
fn check(delays: Delays, rate: u32, length: Duration) {
    let script = delays.clone();
    let server = Scripted::start(move |request| Reply::after(script.of(request.number)));
    let outcome = run(&open(server.address(), rate.into(), length));
    let total = outcome.total();
    let count = u64::from(rate) * length.as_millis() as u64 / 1000;
    assert_eq!(buckets_of(&total), (count, count, 0, 0, 0));
    for quantile in [0.01, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0] {
        let truth = delays.quantile(quantile, count);
        let slack = if quantile <= 0.9 { SLACK } else { SLACK_TAIL };
        for (clock, times) in [("response", &total.response), ("service", &total.service)] {
            let told = times.quantile(quantile).expect("there are answers");
            assert!(told >= truth, "{clock} p{}: {told:?}, but {truth:?} is the truth", quantile * 100.0);
            assert!(told <= truth + slack, "{clock} p{}: {told:?}, {truth:?} is the truth", quantile * 100.0);
        }
    }
    assert_eq!(server.truth().given(How::Whole), count);
}

#[test]
fn percentiles_are_those_of_the_script() {
    check(Delays::Fixed(ms(20)), 200, ms(2000));
    check(Delays::Ladder { from: ms(1), to: ms(100), rungs: 100 }, 200, ms(3000));
    check(Delays::Mixed { fast: ms(2), slow: ms(400), every: 50 }, 200, ms(2000));
}

#[test]
fn response_time_is_service_time_and_start_delay() {
    // One user and 10 ms of work for arrivals every 5 ms: the wait grows by 5 ms with each.
    let server = Scripted::start(|_| Reply::after(ms(10)));
    let mut plan = open(server.address(), 200.0, ms(500));
    plan.users_max = 1;
    let total = run(&plan).total();
    assert_eq!(total.ok, 100);
    assert!(total.response.max() >= Some(ms(505)), "{:?}", total.response.max());
    assert!(total.delay.max() >= Some(ms(495)), "{:?}", total.delay.max());
    assert!(total.service.quantile(0.5) <= Some(ms(10) + SLACK), "{:?}", total.service.quantile(0.5));
    assert!(total.service.min() >= Some(ms(10)));
}

#[test]
fn a_queue_is_seen_as_it_grows() {
    // 100 per second can be served, 200 per second come, for 3 s: request n comes at 5 n ms and is done at
    // 10 (n + 1) ms at the earliest.
    let server = Scripted::start(|_| Reply::work(ms(10)));
    let outcome = run(&open(server.address(), 200.0, ms(3000)));
    let total = outcome.total();
    assert_eq!(buckets_of(&total), (600, 600, 0, 0, 0));
    check_between(total.response.max(), ms(3005), ms(3005) + SLACK_TAIL);
    // Requests may overtake each other between the clock and the line: their sum stays the same.
    let mean = ms(10) + ms(5) * 599 / 2;
    check_between(total.response.mean(), mean - ms(5), mean + SLACK_TAIL);
    check_between(total.response.quantile(0.5), ms(1505) - ms(50), ms(1505) + SLACK_TAIL);
    assert!(outcome.took >= ms(6000), "{:?}", outcome.took);
}

#[test]
fn a_queue_that_outlasts_the_grace_loses_nobody() {
    // As before, but only 4 s in all: at most 400 are answered, the others are censored.
    let server = Scripted::start(|_| Reply::work(ms(10)));
    let mut plan = open(server.address(), 200.0, ms(3000));
    plan.grace = ms(1000);
    plan.users_max = 50;
    let total = run(&plan).total();
    let (planned, ok, errors, timeouts, not_started) = buckets_of(&total);
    assert_eq!((planned, errors), (600, 0));
    assert!((1..=400).contains(&ok), "{ok}");
    assert!((1..=50).contains(&timeouts), "{timeouts}");
    assert_eq!(not_started, 600 - ok - timeouts);
    // Whoever was not answered had waited for 1 s at least.
    assert!(total.censored.min() >= Some(ms(1000)), "{:?}", total.censored.min());
    assert!(total.judged().quantile(0.5) >= Some(ms(1000)));
}

/// A full stall of `stall` in a run of `length` at `rate`, with few users: tools that time from the real start
/// see a few slow requests, but everyone who came meanwhile has waited.
///
/// Those who came in the first hundredth of `length` of the stall are the slowest hundredth of all, so that p99 is
/// the stall less a hundredth of `length`, and what it takes to drain the queue.
fn check_stall(stall: Duration, length: Duration, rate: u32) {
    let span = Span::new(length / 3, stall);
    let options = Options { stalls: vec![span], ..Options::default() };
    let server = Scripted::with(options, |_| Reply::now());
    let mut plan = open(server.address(), rate.into(), length);
    plan.users_max = 10;
    let outcome = run(&plan);
    let total = outcome.total();
    let count = u64::from(rate) * length.as_millis() as u64 / 1000;
    assert_eq!(buckets_of(&total), (count, count, 0, 0, 0));
    let theory = stall - length / 100;
    // Two arrivals: where the stall begins lies between two of them.
    let least = theory - Duration::from_secs(2) / rate;
    check_between(total.response.quantile(0.99), least, theory + SLACK_TAIL);
    check_between(total.response.max(), stall - Duration::from_secs(2) / rate, stall + SLACK_TAIL);
    assert!(total.response.quantile(0.5) < Some(SLACK), "{:?}", total.response.quantile(0.5));
    // Only the ten that were under way had slow service.
    assert!(total.service.count_within(stall / 2) >= count - 10 - count / 200);
    assert!(total.service.quantile(0.99) < Some(theory / 2), "{:?}", total.service.quantile(0.99));
}

#[test]
fn a_stall_is_seen_by_everyone_who_came_meanwhile() {
    // A fifth of 1.4 s in 30 s, at a quarter of 2,000 per second.
    check_stall(ms(280), ms(6000), 500);
}

#[test]
#[ignore = "takes half a minute: run by name, or see `cargo xtask bench load`"]
fn a_stall_of_1400_ms_in_30_s_at_2000_per_second() {
    check_stall(ms(1400), ms(30_000), 2000);
}

fn check_between(told: Option<Duration>, least: Duration, most: Duration) {
    let told = told.expect("there are answers");
    assert!(least <= told && told <= most, "{told:?} is not from {least:?} to {most:?}");
}
