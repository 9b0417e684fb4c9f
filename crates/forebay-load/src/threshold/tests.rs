//! Thresholds read, shown, and held against made-up runs.

use proptest::prelude::*;

use super::*;
use crate::outcome::{ErrorKind, Outcome, Tally, Window};
use crate::verdict::sample::{answered, of, outcome, series, stage, times};

fn parsed(text: &str) -> Threshold {
    Threshold::parse(text).unwrap_or_else(|error| panic!("{error}"))
}

/// What is read is shown so, and reads the same again.
fn check_shown(text: &str, shown: &str) {
    let threshold = parsed(text);
    assert_eq!(threshold.to_string(), shown, "{text}");
    assert_eq!(parsed(shown), threshold, "{shown}");
}

fn check_refused(text: &str, why: &str) {
    let error = Threshold::parse(text).map(|threshold| threshold.to_string());
    let error = error.map_err(|error| error.to_string());
    assert!(error.as_ref().is_err_and(|error| error.contains(why)), "{text}: {error:?}");
}

fn check(text: &str, outcome: &Outcome, state: State, observed: &str, why: &str) -> Judged {
    let judged = parsed(text).judge(outcome);
    assert_eq!((judged.state, judged.observed.as_str()), (state, observed), "{judged:#?}");
    assert!(judged.why.contains(why), "{:?} does not say {why:?}", judged.why);
    let json = serde_json::to_string(&judged).expect("it can be written");
    let read: Judged = serde_json::from_str(&json).expect("it can be read");
    assert_eq!((read.state, read.observed.as_str(), &read.why), (state, observed, &judged.why));
    judged
}

#[test]
fn the_grammar_of_k6_is_understood() {
    check_shown("p(95)<100", "p(95)<100ms");
    check_shown("p(99.9) <= 1500.5", "p(99.9)<=1.5005s");
    check_shown("avg<50", "avg<50ms");
    check_shown("med < 20", "p(50)<20ms");
    check_shown("max<500", "max<500ms");
    check_shown("min>=1", "min>=1ms");
    check_shown("rate<0.001", "errors<0.1%");
    check_shown("count===100", "count==100");
    check_shown("count!=0", "count!=0");
}

#[test]
fn units_and_synonyms_are_understood() {
    check_shown("p95 < 250ms", "p(95)<250ms");
    check_shown("P(99)<0.2 s", "p(99)<200ms");
    check_shown("p(50)<70us", "p(50)<70us");
    check_shown("mean<2m", "avg<120s");
    check_shown("p(100)<1s", "max<1s");
    check_shown("error_rate<0.07%", "errors<0.07%");
    check_shown("errors==0", "errors==0%");
    check_shown("availability>99.9%", "availability>99.9%");
    check_shown("not_started<1%", "not_started<1%");
    check_shown("throughput>1_000/s", "throughput>1000/s");
    check_shown("rps>=60/min", "sent>=1/s");
    check_shown("recovery<30s", "recovery<30s");
    check_shown("service_p(99)<20ms", "service_p(99)<20ms");
    check_shown("ttfb_avg<20ms", "first_byte_avg<20ms");
    check_shown("p(99){step:login, region : 'eu<west>'}<200ms", "p(99){step:login,region:eu<west>}<200ms");
}

#[test]
fn a_mistake_is_named_with_a_way_out() {
    check_refused("", "it compares nothing; write for example `p(95)<100ms`");
    check_refused("p(95)", "it compares nothing");
    check_refused("p(95)<", "no limit after `<`");
    check_refused("<100ms", "nothing is left of the comparison");
    check_refused("error<1%", "did you mean `errors`?");
    check_refused("latency<1s", "`latency` is not measured; known are");
    check_refused("p(101)<1s", "`101` is not a percentile");
    check_refused("p()<1s", "`` is not a percentile");
    check_refused("p(95)=100ms", "unknown comparison");
    check_refused("p(95)<fast", "does not begin with a number");
    check_refused("p(95)<100 parsecs", "unknown unit `parsecs`");
    check_refused("p(95)<1%", "unknown unit `%`: a time has");
    check_refused("errors<5", "more than everything");
    check_refused("errors<0", "say `<=0` or `==0`");
    check_refused("availability>100%", "nothing is above 100 %");
    check_refused("rate>0.95", "say `availability>99.9%`");
    check_refused("recovery<30", "the limit has no unit");
    check_refused("p(95)<-1ms", "it must be 0 or more");
    check_refused("p(95)<1e999", "unknown unit `e999`");
    check_refused("p(95){step}<1s", "`step` selects nothing");
    check_refused("p(95){}<1s", "the selector is empty");
    check_refused("p(95){step:a<1s", "compares nothing");
    check_refused(&"p".repeat(10_000), "longer than 500 bytes");
}

#[test]
fn metrics_of_k6_are_translated() {
    let shown = |metric, text| match Threshold::parse_k6(metric, text) {
        Ok(threshold) => threshold.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(shown("http_req_duration{name:login}", "p(95)<200"), "p(95){name:login}<200ms");
    assert_eq!(shown("http_req_waiting", "med<20"), "first_byte_p(50)<20ms");
    assert_eq!(shown("http_req_failed", "rate<0.01"), "errors<1%");
    assert_eq!(shown("checks", "rate>0.99"), "availability>99%");
    assert_eq!(shown("http_reqs", "rate>100"), "sent>100/s");
    assert_eq!(shown("http_reqs", "count>100"), "count>100");
    assert_eq!(shown("dropped_iterations", "count==0"), "not_started==0%");
    assert!(shown("dropped_iterations", "count<9").contains("only `count==0`"));
    assert!(shown("http_req_duration", "rate<9").contains("`rate` of `http_req_duration`"));
    assert!(shown("iteration_duration", "p(95)<1").contains("`iteration_duration`"));
}

#[test]
fn a_percentile_passes_only_with_samples_enough() {
    let few = outcome(answered([5_000; 298]));
    let judged = check("p(99)<100ms", &few, State::Inconclusive, "5 ms", "at least 299 are needed");
    assert_eq!((judged.samples, judged.samples_needed), (298, Some(299)));
    check("p(99)<100ms", &outcome(answered([5_000; 299])), State::Passed, "5 ms", "5 ms");
    // Few are enough to fail.
    check("p(99)<1ms", &few, State::Failed, "5 ms", "at 5 ms or above");
    check("p(95)<100ms", &outcome(answered([5_000; 58])), State::Inconclusive, "5 ms", "at least 59");
    check("p(50)<100ms", &outcome(answered([5_000; 5])), State::Passed, "5 ms", "");
}

#[test]
fn no_data_never_passes() {
    let nothing = outcome(Tally::default());
    for text in ["p(99)<1h", "avg<1h", "max<1h", "errors<=100ms"] {
        let Ok(threshold) = Threshold::parse(text) else { continue };
        assert_eq!(threshold.judge(&nothing).state, State::Inconclusive, "{text}");
    }
    check("errors<1%", &nothing, State::Inconclusive, "nothing", "no requests were planned");
    check("errors==0", &nothing, State::Inconclusive, "nothing", "no requests were planned");
    check("connect_p(99)<1s", &outcome(answered([1])), State::Inconclusive, "nothing", "had to connect");
    check("recovery<30s", &nothing, State::Inconclusive, "nothing", "no fault was injected");
}

#[test]
fn a_limit_within_what_chance_explains_is_inconclusive() {
    // Times from 1 to 1,000 ms: p95 lies near 950 ms.
    let run = outcome(answered((1..=1_000).map(|n| n * 1_000)));
    let judged = check("p(95)<955ms", &run, State::Inconclusive, "950 ms", "and the limit is within; about");
    assert!(judged.samples_needed.is_some_and(|needed| needed > 1_000), "{judged:?}");
    check("p(95)<970ms", &run, State::Passed, "950 ms", "between 938 ms and 962 ms at 95 %");
    check("p(95)<930ms", &run, State::Failed, "950 ms", "between 938 ms and 962 ms at 95 %");
    check("p(95)>930ms", &run, State::Passed, "950 ms", "");
    check("avg<510ms", &run, State::Inconclusive, "501 ms", "between 485 ms and 516 ms");
    check("avg<520ms", &run, State::Passed, "501 ms", "");
    check("avg<480ms", &run, State::Failed, "501 ms", "");
}

#[test]
fn the_greatest_and_the_least_are_facts_of_the_run() {
    let run = outcome(answered([5_000, 7_000]));
    check("max<10ms", &run, State::Passed, "7 ms", "it was 7 ms in this run");
    check("max<7ms", &run, State::Failed, "7 ms", "");
    check("min>=5ms", &run, State::Passed, "5 ms", "");
}

/// 990 answers after 10 ms, and 10 requests that were given up after so long.
fn cut_short(us: u64) -> Outcome {
    let mut tally = answered([10_000; 990]);
    tally.planned += 10;
    tally.timeouts = 10;
    tally.censored = times([us; 10]);
    outcome(tally)
}

#[test]
fn what_was_given_up_makes_a_percentile_a_lower_bound() {
    check("p(99.5)<9s", &cut_short(5_000_000), State::Inconclusive, ">= 5 s", "10 requests had no answer");
    check("p(99.5)<9ms", &cut_short(5_000_000), State::Failed, ">= 5 s", "");
    check("max<9s", &cut_short(5_000_000), State::Inconclusive, ">= 5 s", "");
    check("max<4s", &cut_short(5_000_000), State::Failed, ">= 5 s", "10 requests had no answer");
    check("avg<4s", &cut_short(5_000_000), State::Inconclusive, ">= 59.9 ms", "");
    // Wherever the ten end, they lie above the median.
    check("p(50)<20ms", &cut_short(5_000_000), State::Passed, "10 ms", "");
    // Given up before others were answered: the lower half is not known to be the lower half.
    check("p(99.5)<9s", &cut_short(1_000), State::Inconclusive, ">= 10 ms", "");
    check("p(50)<20ms", &cut_short(1_000), State::Passed, "10 ms", "");
}

#[test]
fn whatever_is_not_ok_counts_as_an_error() {
    let mut tally = answered([5_000; 9_970]);
    tally.planned = 10_000;
    tally.errors.insert(ErrorKind::Reset, 10);
    tally.timeouts = 10;
    tally.not_started = 10;
    let run = outcome(tally);
    let parts = "of 10000 planned, 10 were errors, 10 timed out, 10 were not started";
    check("errors<0.5%", &run, State::Passed, "0.3 %", parts);
    check("errors<0.31%", &run, State::Inconclusive, "0.3 %", "and the limit is within");
    check("errors<0.1%", &run, State::Failed, "0.3 %", "");
    check("availability>99.5%", &run, State::Passed, "99.7 %", parts);
    check("availability>99.9%", &run, State::Failed, "99.7 %", "");
    check("not_started<1%", &run, State::Passed, "0.1 %", "it was 0.1 % in this run");
    check("not_started==0", &run, State::Failed, "0.1 %", "");
    check("count==9990", &run, State::Passed, "9990", "");
    check("sent>998/s", &run, State::Passed, "999/s", "");
    check("throughput>998/s", &run, State::Failed, "997/s", "");
}

#[test]
fn no_errors_prove_only_what_their_number_can() {
    let run = |count| outcome(answered((0..count).map(|_| 5_000)));
    let judged =
        check("errors<0.1%", &run(2_000), State::Inconclusive, "0 %", "about 2995 samples would tell");
    assert_eq!(judged.samples_needed, Some(2_995));
    check("errors<0.1%", &run(2_995), State::Passed, "0 %", "");
    check("availability>99.9%", &run(2_000), State::Inconclusive, "100 %", "about 2995 samples");
    // That there was none in this run is a fact.
    check("errors==0", &run(10), State::Passed, "0 %", "");
    check("errors<=0", &run(10), State::Passed, "0 %", "");
    check("availability>=100%", &run(10), State::Passed, "100 %", "");
}

#[test]
fn answers_that_come_after_the_load_are_not_throughput() {
    // 200/s for 10 s to a target that does 100/s: it needs another 10 s.
    let mut run =
        of(vec![stage("main", 10, 200.0)], vec![series("main", &[], vec![answered([5_000_000; 2_000])])]);
    run.took = std::time::Duration::from_secs(20);
    let window = |second: u64| Window {
        start_ms: second * 1_000,
        length_ms: 1_000,
        finished: 100,
        ..Window::default()
    };
    run.timeline = (0..20).map(window).collect();
    check("throughput>150/s", &run, State::Failed, "100/s", "");
    run.took = std::time::Duration::from_millis(10_400);
    check("throughput>150/s", &run, State::Passed, "200/s", "");
}

#[test]
fn a_stages_throughput_is_that_of_the_stage_as_far_as_it_came() {
    let stages = vec![stage("low", 10, 10.0), stage("high", 10, 100.0)];
    let tallies = vec![answered([5_000; 100]), answered([5_000; 1_000])];
    let mut run = of(stages, vec![series("main", &[], tallies)]);
    check("throughput{stage:high}>99/s", &run, State::Passed, "100/s", "");
    check("throughput>99/s", &run, State::Failed, "55/s", "");
    run.loaded = std::time::Duration::from_secs(15);
    check("throughput{stage:high}>199/s", &run, State::Passed, "200/s", "");
}

#[test]
fn what_comes_in_clusters_proves_less() {
    // 20 windows of 500 requests; 60 of 10,000 are slow, evenly or all within one window.
    let run = |slow_in: fn(usize) -> u32| {
        let mut run = outcome(answered((0..10_000).map(|n| if n < 60 { 300_000 } else { 10_000 })));
        run.stages[0].length = std::time::Duration::from_secs(20);
        let window = |second: usize| {
            let slow = slow_in(second);
            let mut heat = vec![0; crate::outcome::HEAT_BUCKETS];
            heat[crate::outcome::heat_bucket(10_000)] = 500 - slow;
            heat[crate::outcome::heat_bucket(300_000)] = slow;
            let (start_ms, ok) = (second as u64 * 1_000, u64::from(500 - slow));
            Window { start_ms, length_ms: 1_000, planned: 500, ok, heat, ..Window::default() }
        };
        run.timeline = (0..20).map(window).collect();
        run
    };
    let (even, clustered) = (run(|_| 3), run(|second| if second == 7 { 60 } else { 0 }));
    check("p(99)<200ms", &even, State::Passed, "10 ms", "");
    check("p(99)<200ms", &clustered, State::Inconclusive, "10 ms", "in clusters, so that");
    // Nothing was slower than this, in clusters or not; and what a run broke, it broke.
    check("p(99)<900ms", &clustered, State::Passed, "10 ms", "");
    check("p(99.9)<200ms", &clustered, State::Failed, "300 ms", "");
    let bad = |mut run: Outcome| {
        let tally = &mut run.series[0].stages[0];
        tally.planned += 60;
        tally.timeouts = 60;
        run
    };
    check("errors<1%", &bad(even), State::Passed, "0.596 %", "60 timed out");
    check("errors<1%", &bad(clustered), State::Inconclusive, "0.596 %", "in clusters, so that");
}

#[test]
fn a_recovery_is_as_exact_as_its_windows() {
    use std::time::Duration;

    use crate::lab::{End, Episode, Recovery};

    let run = |times: &[(End, u64)]| {
        let mut run = outcome(answered([5_000; 100]));
        let episode = |(end, seconds): &(End, u64)| {
            let time = Duration::from_secs(*seconds);
            let resolution = Duration::from_secs(1);
            let recovery =
                Recovery { end: *end, ttr_off: Some(time), watched: time, resolution, ..Recovery::default() };
            Episode { what: "kill api".to_owned(), cycle: 0, on: Duration::from_secs(3), off: None, recovery }
        };
        run.lab.episodes = times.iter().map(episode).collect();
        run
    };
    let fast = run(&[(End::Recovered, 2), (End::Recovered, 7), (End::NoEffect, 0)]);
    check(
        "recovery<30s",
        &fast,
        State::Passed,
        "7 s",
        "between 6 s and 8 s; of such faults that proves for at least 36 %",
    );
    check("recovery<8s", &fast, State::Inconclusive, "7 s", "the limit is within");
    check("recovery<5s", &fast, State::Failed, "7 s", "");
    check("recovery<1s", &run(&[(End::NoEffect, 0)]), State::Passed, "0 s", "");
    let never = run(&[(End::Recovered, 2), (End::Never, 40)]);
    check("recovery<30s", &never, State::Failed, ">= 40 s", "had not recovered when the watch ended");
    check("recovery<60s", &never, State::Inconclusive, ">= 40 s", "had not recovered when the watch ended");
    check("recovery<30s", &run(&[(End::Unproven, 2)]), State::Inconclusive, "nothing", "cannot be told");
}

#[test]
fn selectors_choose_steps_stages_and_tags() {
    let stages = vec![stage("low", 10, 10.0), stage("peak", 10, 10.0)];
    let tallies = |us: u64| vec![answered(vec![us; 400]), answered(vec![us * 2; 400])];
    let mut run = of(
        stages,
        vec![
            series("login", &[("area", "shop")], tallies(1_000)),
            series("pay", &[("area", "till")], tallies(5_000)),
        ],
    );
    check("max{step:login}<1s", &run, State::Passed, "2 ms", "");
    check("max{stage:low}<1s", &run, State::Passed, "5 ms", "");
    check("max{step:pay,stage:peak}<1s", &run, State::Passed, "10 ms", "");
    check("max{area:shop,stage:low}<1s", &run, State::Passed, "1 ms", "");
    check("max{name:pay}<1s", &run, State::Passed, "10 ms", "");
    check("max{step:logn}<1s", &run, State::Inconclusive, "nothing", "no step `logn`; did you mean `login`?");
    check("max{stage:spike}<1s", &run, State::Inconclusive, "nothing", "there is no stage `spike`");
    check("max{area:shed}<1s", &run, State::Inconclusive, "nothing", "no value of the tag `area` `shed`");
    check("max{aera:shop}<1s", &run, State::Inconclusive, "nothing", "there is no tag `aera`");
    check("max{step:login,area:till}<1s", &run, State::Inconclusive, "nothing", "no planned requests fit");
    run.stages[0].warmup = true;
    check("max{stage:low}<1s", &run, State::Inconclusive, "nothing", "`low` is warm-up, which is not judged");
    check("min<1s", &run, State::Passed, "2 ms", "");
}

fn any_threshold() -> impl Strategy<Value = Threshold> {
    let measure = prop_oneof![
        (1_u32..10_000)
            .prop_map(|n| Measure::Time(Clock::Response, Statistic::Quantile(f64::from(n) / 10_000.0))),
        Just(Measure::Time(Clock::FirstByte, Statistic::Max)),
        Just(Measure::Errors),
        Just(Measure::Throughput),
        Just(Measure::Recovery),
    ];
    let op = prop_oneof![Just(Op::Less), Just(Op::AtMost), Just(Op::Equal)];
    let select = prop::collection::vec(("[a-z]{1,8}", "[a-z0-9 <>=]{1,8}"), 0..3);
    (measure, op, 1_u32..1_000_000, select).prop_map(|(measure, op, limit, select)| {
        let trim = |(key, value): (String, String)| (key, format!("v{value}").trim().to_owned());
        let limit = f64::from(limit) / if measure.unit() == Unit::Share { 1_000_001.0 } else { 1_000.0 };
        let limit = tidy(limit);
        Threshold { measure, select: select.into_iter().map(trim).collect(), op, limit }
    })
}

proptest! {
    #[test]
    fn no_text_is_a_panic(text in "\\PC{0,40}") {
        let _ = Threshold::parse(&text);
    }

    #[test]
    fn what_looks_like_a_threshold_is_no_panic(text in "(p\\(|avg|rate|errors|\\{|\\}|:|[<>=!]|[0-9.%]|ms|µs){1,9}") {
        let _ = Threshold::parse(&text);
    }

    #[test]
    fn what_is_shown_reads_the_same(threshold in any_threshold()) {
        let shown = threshold.to_string();
        let read = parsed(&shown);
        prop_assert!((read.limit - threshold.limit).abs() <= 1e-9 * threshold.limit, "{shown}");
        prop_assert_eq!(Threshold { limit: threshold.limit, ..read }, threshold);
    }

    #[test]
    fn more_errors_never_turn_a_failure_into_a_pass(bad in 0_u64..200, more in 1_u64..200) {
        let state = |bad: u64| {
            let mut tally = answered([1_000; 3_000]);
            tally.planned += bad;
            tally.timeouts = bad;
            tally.censored = times((0..bad).map(|_| 2_000_000));
            ["errors<3%", "p(99)<1s", "max<1s"].map(|text| parsed(text).judge(&outcome(tally.clone())).state)
        };
        let rank = |state| match state { State::Passed => 0, State::Inconclusive => 1, State::Failed => 2 };
        for (before, after) in state(bad).into_iter().zip(state(bad + more)) {
            prop_assert!(rank(before) <= rank(after));
        }
    }
}
