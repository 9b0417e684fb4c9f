//! Endpoints that come, go, are slow, flap and fail, under every balancer, in virtual time: whatever happens, who is
//! picked is there and usable, counts are right, and nobody has more than the rules allow.
//!
//! Everything follows from a seed. One that failed is printed; `FOREBAY_SIM_SEED=N` runs it alone, and
//! `FOREBAY_SIM_RUNS=N` runs so many of them.

mod control;
mod judge;
mod picker;
mod story;
mod world;

use std::env;
use std::time::Duration;

use picker::Rule;
use story::Story;
use world::{Mode, Scenario, Trouble, run};

/// Seeds that are run for each balancer, unless `FOREBAY_SIM_RUNS` says otherwise.
const RUNS: u64 = 4;

const RULES: [Rule; 4] = [Rule::RoundRobin, Rule::LeastLoaded, Rule::PeakEwma, Rule::Ring];

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok().and_then(|text| text.parse().ok())
}

fn seeds() -> Vec<u64> {
    match number("FOREBAY_SIM_SEED") {
        Some(seed) => vec![seed],
        None => (1..=number("FOREBAY_SIM_RUNS").unwrap_or(RUNS)).collect(),
    }
}

/// Endpoints in two tiers and all kinds of trouble.
fn troubled(rule: Rule, seed: u64) -> Scenario {
    Scenario {
        // Each builds a ring of its own, which takes long without optimization.
        workers: if rule.is_bounded() { 1 } else { 3 },
        tiers: 2,
        troubles_per_second: 1.0,
        length: Duration::from_secs(40),
        slow_start: Duration::from_secs(3),
        ..Scenario::calm(rule, seed)
    }
}

/// The story of a run that nothing was wrong with.
fn tell(scenario: &Scenario) -> Story {
    run(scenario).unwrap_or_else(|wrong| {
        let Scenario { rule, seed, .. } = scenario;
        panic!("{rule:?}: {wrong}; FOREBAY_SIM_SEED={seed} runs it again")
    })
}

#[test]
fn whatever_happens_the_rules_hold() {
    let mut all = Story::default();
    for seed in seeds() {
        for rule in RULES {
            all.add(&tell(&troubled(rule, seed)));
        }
    }
    // A simulation in which nothing happens would prove nothing.
    if number("FOREBAY_SIM_SEED").is_none() {
        let Story { came, gone, gone_busy, ejected, turned, panicked, overflowed, failed, .. } = all;
        let happened = [came, gone, gone_busy, ejected, turned, panicked, overflowed, failed];
        assert!(happened.iter().all(|times| *times > 0), "{all:?}");
    }
}

#[test]
fn the_same_seed_tells_the_same_story() {
    let scenario = troubled(Rule::LeastLoaded, 7);
    assert_eq!(tell(&scenario), tell(&scenario));
    assert_ne!(tell(&scenario), tell(&troubled(Rule::LeastLoaded, 8)));
}

#[test]
fn broken_balancers_are_caught() {
    let caught = |rule: Rule, wrong: &str| {
        let mut found = (1..20).filter_map(|seed| run(&troubled(rule, seed)).err());
        assert!(found.any(|found| found.contains(wrong)), "{rule:?} is not caught");
    };
    caught(Rule::BrokenStale, "is not there");
    caught(Rule::BrokenBlind, "is not usable");
    caught(Rule::BrokenUnbounded, "more than its bound");
    caught(Rule::BrokenIdle, "nobody is picked");
}

#[test]
fn equal_endpoints_have_equal_shares() {
    for rule in RULES {
        let scenario = Scenario { endpoints: 8, length: Duration::from_secs(200), ..Scenario::calm(rule, 1) };
        let story = tell(&scenario);
        assert!(story.picks() >= 100_000, "{story:?}");
        for (id, picks) in &story.picked {
            let off = picks.abs_diff(story.picks() / 8);
            assert!(off * 50 <= story.picks(), "{rule:?}: {id} has {picks} of {}", story.picks());
        }
    }
}

#[test]
fn a_slow_endpoint_gets_clearly_less_until_it_is_fast_again() {
    for rule in [Rule::PeakEwma, Rule::LeastLoaded] {
        let script = vec![(20, Trouble::Turn(0, Mode::Slow)), (60, Trouble::Turn(0, Mode::Well))];
        let scenario = Scenario { length: Duration::from_secs(180), script, ..Scenario::calm(rule, 1) };
        let story = tell(&scenario);
        let share = |from, to| story.share(0, from, to) * scenario.endpoints as f64;
        assert!((0.9..1.1).contains(&share(2, 20)), "{rule:?}: {}", share(2, 20));
        assert!((0.9..1.1).contains(&share(150, 180)), "{rule:?}: {}", share(150, 180));
        // Who looks at loads alone notices only when requests pile up.
        let most = if rule == Rule::PeakEwma { 0.1 } else { 0.6 };
        assert!(share(22, 60) < most, "{rule:?}: {}", share(22, 60));
    }
}

#[test]
fn every_worker_finds_out_who_is_new_or_fast_again() {
    // So busy that an endpoint is never idle, once one of the workers has found it; and so many of them that one
    // alone does not make up its share.
    let busy = Scenario { workers: 16, requests_per_second: 4_000.0, ..Scenario::calm(Rule::PeakEwma, 1) };
    let script = vec![(5, Trouble::Come)];
    let story = tell(&Scenario { script, length: Duration::from_secs(20), ..busy.clone() });
    assert!(story.share(4, 10, 20) > 0.9 / 5.0, "{}", story.share(4, 10, 20));

    let script = vec![(5, Trouble::Turn(0, Mode::Slow)), (15, Trouble::Turn(0, Mode::Well))];
    let story = tell(&Scenario { script, length: Duration::from_secs(90), ..busy });
    assert!(story.share(0, 7, 15) < 0.1 / 4.0, "{}", story.share(0, 7, 15));
    assert!(story.share(0, 80, 90) > 0.8 / 4.0, "{}", story.share(0, 80, 90));
}

#[test]
fn a_new_endpoint_starts_slowly() {
    for rule in RULES {
        let script = vec![(20, Trouble::Come)];
        let slow_start = Duration::from_secs(40);
        let scenario =
            Scenario { length: Duration::from_secs(80), script, slow_start, ..Scenario::calm(rule, 1) };
        let story = tell(&scenario);
        let shares: Vec<f64> =
            (0..6).map(|n| story.share(scenario.endpoints, 20 + n * 8, 28 + n * 8)).collect();
        assert!(shares.is_sorted(), "{rule:?}: {shares:?}");
        assert!(shares[0] < shares[5] / 4.0 && shares[5] > 0.8 / 5.0, "{rule:?}: {shares:?}");
    }
}

#[test]
fn a_check_that_flaps_does_not_make_the_state_flap() {
    let script = vec![(10, Trouble::Turn(0, Mode::Flapping))];
    let story =
        tell(&Scenario { length: Duration::from_secs(300), script, ..Scenario::calm(Rule::RoundRobin, 1) });
    // Each change takes two results in a row, and there were many that were alone.
    assert!(story.turned > 4 && story.turned * 5 < story.contradicted * 2, "{story:?}");
}

#[test]
fn who_fails_requests_is_left_out_and_comes_back() {
    for mode in [Mode::Failing, Mode::Refusing, Mode::Hanging] {
        let script = vec![(20, Trouble::Turn(0, mode)), (60, Trouble::Turn(0, Mode::Well))];
        let scenario =
            Scenario { length: Duration::from_secs(120), script, ..Scenario::calm(Rule::LeastLoaded, 1) };
        let story = tell(&scenario);
        let share = |from, to| story.share(0, from, to) * scenario.endpoints as f64;
        assert!(story.ejected > 0 && share(25, 60) < 0.05, "{mode:?}: {}", share(25, 60));
        assert!(share(100, 120) > 0.9, "{mode:?}: {}", share(100, 120));
    }
}
