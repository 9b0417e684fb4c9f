//! Searches of made-up targets.

use proptest::prelude::*;

use super::*;
use crate::verdict::sample::{answered, outcome};

fn settings(start: f64, max: f64) -> Settings {
    let slo = Threshold::parse("p(99)<200ms").expect("it is a threshold");
    Settings::new(start, max, vec![slo])
}

fn result(state: StepState, rate: f64) -> StepResult {
    let failed = matches!(state, StepState::Missed | StepState::Unclear);
    StepResult {
        state,
        reasons: Vec::new(),
        binding: failed.then(|| "p(99)<200ms".to_owned()),
        run: Run { throughput: rate, planned: 1, ..Run::default() },
        generator: 0.1,
    }
}

/// Searches a target that answers step by step, and gives back the rates that were tried as well.
fn search(settings: Settings, mut target: impl FnMut(&Step) -> StepState) -> (Capacity, Vec<f64>) {
    let mut search = Search::new(settings).expect("the settings are right");
    let mut rates = Vec::new();
    while let Next::Run(step) = search.next() {
        assert_eq!(search.next(), Next::Run(step), "asking changes nothing");
        rates.push(step.rate);
        search.record(step.rate, result(target(&step), step.rate));
    }
    (search.capacity(), rates)
}

/// A target that holds up to a rate.
fn up_to(limit: f64) -> impl Fn(&Step) -> StepState {
    move |step| if step.rate <= limit { StepState::Held } else { StepState::Missed }
}

#[test]
fn it_doubles_then_bisects_then_confirms() {
    let (found, rates) = search(settings(100.0, 10_000.0), up_to(610.0));
    assert_eq!(rates[..5], [100.0, 200.0, 400.0, 800.0, 800.0], "a miss is tried twice");
    assert_eq!(rates[5..], [600.0, 700.0, 700.0, 650.0, 650.0, 625.0, 625.0, 600.0, 600.0, 600.0]);
    assert_eq!((found.end, found.last_passing, found.first_failing), (End::Found, Some(600.0), Some(625.0)));
    assert_eq!((found.knee, found.sustain_windows, found.sustain_passed), (Some(612.5), 3, 3));
    assert_eq!(found.binding.as_deref(), Some("p(99)<200ms"));
    assert_eq!(found.says[0], "600/s held and 625/s did not (`p(99)<200ms`)");
    assert!(found.says[1].contains("held 3 times for 15 s and passed 3 times"), "{:?}", found.says);
    assert!(found.says[1].contains("at least 36 %"), "{:?}", found.says);
    let json = serde_json::to_string(&found).expect("it can be written");
    assert_eq!(serde_json::from_str::<Capacity>(&json).expect("it can be read").says, found.says);
}

#[test]
fn a_start_rate_that_fails_is_halved_and_said() {
    let (found, rates) = search(settings(1_000.0, 10_000.0), up_to(240.0));
    assert_eq!(rates[..6], [1_000.0, 1_000.0, 500.0, 500.0, 250.0, 250.0]);
    assert_eq!((found.end, found.last_passing), (End::Found, Some(234.375)));
    assert!(
        found.says.iter().any(|said| said.contains("failed at the start rate of 1000/s")),
        "{:?}",
        found.says
    );
    let (nothing, _) = search(settings(1_000.0, 10_000.0), up_to(0.0));
    assert_eq!((nothing.end, nothing.last_passing, nothing.knee), (End::NothingHeld, None, None));
}

#[test]
fn a_target_that_fails_every_request_ends_the_search_at_once_and_it_says_so() {
    let failing = |cut_short: bool| {
        let mut search = Search::new(settings(100.0, 10_000.0)).expect("the settings are right");
        while let Next::Run(step) = search.next() {
            let mut result = result(StepState::Missed, step.rate);
            result.run = Run { errors: 1.0, planned: 100, cut_short, ..Run::default() };
            result.reasons = vec!["not one of 100 requests was ok".to_owned()];
            search.record(step.rate, result);
        }
        search.capacity()
    };
    let found = failing(false);
    assert_eq!((found.end, found.last_passing, found.steps.len()), (End::NothingHeld, None, 2));
    assert!(found.says[0].starts_with("no rate held, not even 100/s"), "{:?}", found.says);
    assert!(
        found.says[1].contains("100 % of the requests failed: not one of 100 requests was ok; should"),
        "{:?}",
        found.says
    );
    // Who does not answer in time may do so at a lower rate.
    assert!(failing(true).steps.len() > 2);
    assert_eq!(found.slos, ["p(99)<200ms", "errors<1%"]);
}

#[test]
fn a_search_is_kept_and_read_back() {
    let (found, _) = search(settings(100.0, 10_000.0), up_to(610.0));
    let saved = Saved::of("shop", "http://shop.test", 7, found);
    let text = saved.write();
    assert!(text.contains("\"format\": 1"), "{text}");
    let read = Saved::read(&text).expect("it is a search").expect("it is whole");
    assert_eq!((read.name, read.started_unix_ms, read.capacity.says), (saved.name, 7, saved.capacity.says));
    let check = |text: &str, why: &str| {
        let error = Saved::read(text).expect("it is a search").expect_err("it is wrong");
        assert!(error.contains(why), "{error}");
    };
    check(&text.replace("\"format\": 1", "\"format\": 2"), "not of format 1");
    check(&text.replace("\"rate\": 100.0", "\"rate\": -1.0"), "out of range");
    check(&text.replace("\"errors\": 0.0", "\"errors\": 1e300"), "out of range");
    check(&text.replace("\"steps\"", "\"stops\""), "not a complete search");
    assert_eq!(
        ["{}", "[]", "", "{\"format\": 1, \"kind\": 3}"].map(|text| Saved::read(text).is_none()),
        [true; 4]
    );
}

#[test]
fn the_highest_rate_allowed_is_confirmed_too() {
    let (found, rates) = search(settings(300.0, 1_000.0), up_to(5_000.0));
    assert_eq!(rates, [300.0, 600.0, 1_000.0, 1_000.0, 1_000.0, 1_000.0]);
    assert_eq!((found.end, found.last_passing, found.knee), (End::MaxRate, Some(1_000.0), None));
}

#[test]
fn a_weak_generator_is_not_taken_for_the_targets_limit() {
    let weak = |step: &Step| if step.rate > 500.0 { StepState::Generator } else { StepState::Held };
    let (found, rates) = search(settings(200.0, 10_000.0), weak);
    assert_eq!(rates, [200.0, 400.0, 800.0, 800.0]);
    assert_eq!(
        (found.end, found.last_passing, found.first_failing),
        (End::GeneratorLimit, Some(400.0), None)
    );
    assert!(found.says[0].starts_with("generator limit"), "{:?}", found.says);
    assert_eq!(found.says[1], "400/s was held once and not confirmed");
}

#[test]
fn one_bad_step_is_forgiven_and_two_are_not() {
    let mut bad = 1;
    let once = |step: &Step| {
        bad -= i32::from(step.rate == 400.0);
        if step.rate > 400.0 || (step.rate == 400.0 && bad == 0) {
            StepState::Missed
        } else {
            StepState::Held
        }
    };
    let (found, _) = search(settings(100.0, 10_000.0), once);
    assert_eq!(found.last_passing, Some(400.0));
}

#[test]
fn a_rate_that_held_by_luck_is_taken_back() {
    let mut lucky = true;
    let target = |step: &Step| match step.rate {
        rate if rate <= 450.0 => StepState::Held,
        rate if rate < 700.0 && step.phase == Phase::Bisect && std::mem::take(&mut lucky) => StepState::Held,
        _ => StepState::Missed,
    };
    let (found, _) = search(settings(100.0, 10_000.0), target);
    assert_eq!((found.end, found.last_passing), (End::Found, Some(450.0)));
    assert!(found.first_failing.is_some_and(|missed| missed <= 475.0), "{found:#?}");
}

#[test]
fn what_is_unclear_gets_twice_the_time_and_then_does_not_count_as_held() {
    let mut lengths = Vec::new();
    let target = |step: &Step| {
        if step.rate > 100.0 {
            lengths.push((step.length.as_secs(), step.retry, step.rest.as_secs()));
            return StepState::Unclear;
        }
        StepState::Held
    };
    let (found, _) = search(settings(100.0, 200.0), target);
    assert_eq!(lengths[..2], [(15, false, 0), (30, true, 10)]);
    assert_eq!(found.last_passing, Some(100.0));
}

#[test]
fn slow_rates_are_held_until_there_are_samples_enough() {
    let length = |rate: f64, slo: &str| {
        let slos = vec![Threshold::parse(slo).expect("it is a threshold")];
        let search = Search::new(Settings::new(rate, 1e6, slos)).expect("the settings are right");
        match search.next() {
            Next::Run(step) => step.length.as_secs(),
            Next::Done => 0,
        }
    };
    assert_eq!(length(10.0, "p(99)<200ms"), 32);
    assert_eq!(length(10.0, "errors<0.1%"), 329);
    assert_eq!(length(0.1, "errors<0.1%"), 600);
    assert_eq!(length(1_000.0, "errors<0.1%"), 15);
}

#[test]
fn the_steps_say_how_the_target_scales() {
    // One at a time 200/s, a fiftieth of the work serial: throughput X has N = X (1 - s) / (g - s X) at work.
    let mean = |rate: f64| (1.0 - 0.02) / (200.0 - 0.02 * rate);
    let mut search = Search::new(settings(100.0, 10_000.0)).expect("the settings are right");
    while let Next::Run(step) = search.next() {
        let state = up_to(3_000.0)(&step);
        let mut result = result(state, step.rate);
        // What did not keep up, or was cut short, is no steady state and must not bend the law.
        result.run.throughput = step.rate.min(3_400.0);
        result.run.cut_short = step.rate > 3_400.0;
        result.run.mean = Some(if step.rate > 3_400.0 { 9.0 } else { mean(step.rate) });
        search.record(step.rate, result);
    }
    let found = search.capacity();
    let law = found.usl.expect("there are steps enough");
    assert!((law.single - 200.0).abs() < 0.01 && (law.serial - 0.02).abs() < 1e-6, "{law:?}");
    assert_eq!(law.peak, None);
    assert!(
        found.says.iter().any(|said| said.contains("would give 200/s, 2 % of the work is serial")),
        "{:?}",
        found.says
    );
}

#[test]
fn wrong_settings_are_refused() {
    let check = |change: fn(&mut Settings), why: &str| {
        let mut settings = settings(100.0, 1_000.0);
        change(&mut settings);
        let error = Search::new(settings).map(|_| ()).expect_err("they are wrong");
        assert!(error.contains(why), "{error}");
    };
    check(|settings| settings.start_rate = 0.0, "above 0");
    check(|settings| settings.max_rate = f64::NAN, "above 0");
    check(|settings| settings.start_rate = 2_000.0, "between the lowest and the highest");
    check(|settings| settings.slos.clear(), "something that must hold");
    check(|settings| settings.precision = 0.0, "the precision");
    check(|settings| settings.confirm = 0, "confirmed at least once");
    check(|settings| settings.step_max = Duration::ZERO, "a step needs a length");
}

#[test]
fn a_step_is_what_its_verdict_says() {
    let mut run = outcome(answered([5_000; 1_000]));
    let thresholds = |text: &str| vec![Threshold::parse(text).expect("it is a threshold")];
    let mut of = |text: &str| {
        run.verdict = crate::verdict::judge(&thresholds(text), &run);
        StepResult::of(&run)
    };
    assert_eq!(of("p(99)<200ms").state, StepState::Held);
    let missed = of("p(99)<1ms");
    assert_eq!((missed.state, missed.binding.as_deref()), (StepState::Missed, Some("p(99)<1ms")));
    assert_eq!(of("errors<0.1%").state, StepState::Unclear);
}

proptest! {
    #[test]
    fn every_search_ends_and_its_bounds_make_sense(
        states in prop::collection::vec(0_u8..20, 0..80),
        start in 1.0_f64..1_000.0,
        times in 1.0_f64..100.0,
    ) {
        let mut states = states.into_iter();
        let target = |_: &Step| match states.next().unwrap_or(0) {
            0..10 => StepState::Held,
            10..17 => StepState::Missed,
            17..19 => StepState::Unclear,
            _ => StepState::Generator,
        };
        let settings = settings(start, start * times);
        let (lowest, highest) = (settings.min_rate, settings.max_rate);
        let (found, rates) = search(settings, target);
        prop_assert!(rates.len() <= 60);
        prop_assert!(rates.iter().all(|rate| (lowest..=highest).contains(rate)), "{rates:?}");
        prop_assert!(found.end != End::Running);
        if let (Some(held), Some(missed)) = (found.last_passing, found.first_failing) {
            prop_assert!(held < missed, "{held} {missed}");
        }
        if found.end == End::Found {
            prop_assert_eq!(found.sustain_passed, 3);
        }
    }

    #[test]
    fn the_limit_of_a_clear_target_is_found_within_the_precision(limit in 20.0_f64..9_000.0) {
        let (found, _) = search(settings(100.0, 10_000.0), up_to(limit));
        prop_assert_eq!(found.end, End::Found);
        let (held, missed) = (found.last_passing.unwrap_or(0.0), found.first_failing.unwrap_or(0.0));
        prop_assert!(held <= limit && limit < missed && (missed - held) / missed <= 0.05);
    }
}

#[test]
fn a_rate_at_which_a_queue_grows_does_not_hold_though_its_times_do() {
    let run = |finished: u64| {
        let mut run = outcome(answered([5_000; 1_000]));
        let window = |second: u64| crate::outcome::Window {
            start_ms: second * 1_000,
            length_ms: 1_000,
            planned: 100,
            finished,
            ..Default::default()
        };
        run.timeline = (0..10).map(window).collect();
        run.verdict = crate::verdict::judge(&[Threshold::parse("p(99)<2s").expect("a threshold")], &run);
        StepResult::of(&run)
    };
    assert_eq!(run(100).state, StepState::Held);
    assert_eq!(run(99).state, StepState::Held);
    let behind = run(80);
    assert_eq!((behind.state, behind.binding.as_deref()), (StepState::Missed, Some("throughput")));
    assert!(behind.reasons[0].contains("while 1000 requests were due, 800 were finished"), "{behind:?}");
}
