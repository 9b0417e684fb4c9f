//! The statistics held against systems whose truth is known: how often they are wrong, and how often right.
//!
//! Everything follows from seeds, so a failure repeats.

use std::collections::VecDeque;
use std::time::Duration;

use forebay_base::seed::Random;
use forebay_load::capacity::{self, End, Next, Search, StepResult};
use forebay_load::compare::{self, Run, compare};
use forebay_load::hdr::Hdr;
use forebay_load::lab::LabOutcome;
use forebay_load::outcome::{
    FORMAT, Generator, HEAT_BUCKETS, Machine, Outcome, Series, Tally, Window, heat_bucket,
};
use forebay_load::plan::Stage;
use forebay_load::stats;
use forebay_load::threshold::{State, Threshold};
use forebay_load::verdict::{self, Kind, Verdict};

/// Chance with the shapes that queues need.
struct Chance(Random);

impl Chance {
    fn of(seed: u64) -> Self {
        // Neighbouring seeds give unrelated sequences only after a step.
        Self(Random::from_seed(Random::from_seed(seed).next_u64()))
    }

    fn unit(&mut self) -> f64 {
        stats::unit(&mut self.0)
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * (1.0 - self.unit()).ln()
    }

    /// G. Box and M. Muller, 1958.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (2.0 * std::f64::consts::PI * self.unit()).cos()
    }
}

/// How a run differs from the next of the same system: by its machine's mood, as a share.
const MOOD: f64 = 0.02;
/// Requests of a run.
const REQUESTS: f64 = 20_000.0;

/// A run of a system whose response times are log-normal with a median of `speed` times 10 ms.
fn run(speed: f64, chance: &mut Chance) -> Run {
    let mood = (MOOD * chance.normal()).exp();
    // The sample's quantile is the true one at a share that itself is nearly normal.
    let mut at = |share: f64, deviations: f64| {
        let spread = (share * (1.0 - share) / REQUESTS).sqrt() / density(deviations);
        Some(0.01 * speed * mood * (0.6 * (deviations + spread * chance.normal())).exp())
    };
    let (p50, p95, p99) = (at(0.5, 0.0), at(0.95, 1.644_85), at(0.99, 2.326_35));
    let errors = (0..20).filter(|_| chance.unit() < 0.1).count() as f64 / REQUESTS;
    Run {
        p50,
        p95,
        p99,
        mean: p50.map(|p50| 1.2 * p50),
        errors,
        throughput: 1_000.0 * (1.0 + 0.001 * chance.normal()),
        planned: REQUESTS as u64,
        ..Run::default()
    }
}

fn density(deviations: f64) -> f64 {
    (-0.5 * deviations * deviations).exp() / (2.0 * std::f64::consts::PI).sqrt()
}

/// In how many of `pairs` comparisons, five runs a side, a difference is called.
fn called(pairs: u64, speed: f64) -> (u64, u64) {
    let settings = compare::Settings { resamples: 200, ..compare::Settings::default() };
    let (mut better, mut worse) = (0, 0);
    for seed in 0..pairs {
        let mut chance = Chance::of(seed);
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for side in compare::order(5) {
            match side {
                compare::Side::A => before.push(run(1.0, &mut chance)),
                compare::Side::B => after.push(run(speed, &mut chance)),
            }
        }
        match compare(&before, &after, &settings).outcome {
            compare::Outcome::Better => better += 1,
            compare::Outcome::Worse => worse += 1,
            _ => {}
        }
    }
    (better, worse)
}

#[test]
fn the_same_system_is_called_different_in_less_than_5_of_100_comparisons() {
    let (better, worse) = called(800, 1.0);
    println!("false alarms: {better} better, {worse} worse of 800");
    assert!(better + worse < 40, "{better} better, {worse} worse of 800");
}

#[test]
fn without_a_least_effect_too_false_alarms_stay_below_5_of_100() {
    let settings = compare::Settings { resamples: 1, min_effect: 0.0, ..compare::Settings::default() };
    let alarms = (0..800).filter(|seed| {
        let mut chance = Chance::of(10_000 + seed);
        let mut runs = || (0..5).map(|_| run(1.0, &mut chance)).collect::<Vec<_>>();
        let (before, after) = (runs(), runs());
        matches!(
            compare(&before, &after, &settings).outcome,
            compare::Outcome::Better | compare::Outcome::Worse
        )
    });
    let alarms = alarms.count();
    println!("false alarms without a least effect: {alarms} of 800");
    assert!(alarms < 40, "{alarms} of 800");
}

#[test]
fn a_tenth_more_time_is_found_in_more_than_80_of_100_comparisons() {
    let (better, worse) = called(300, 1.1);
    println!("+10 %: {worse} worse, {better} better of 300");
    assert!(worse > 240 && better == 0, "{worse} worse, {better} better of 300");
}

/// Why runs are compared and not requests: the test is right, its use would be wrong.
/// How often a single run of a system `speed` times as slow is called worse than `saved` runs, of 2000.
fn gated(saved: usize, speed: f64, tolerance: f64) -> usize {
    let settings = compare::Settings { tolerance, ..compare::Settings::default() };
    let failed = |seed: &u64| {
        let mut chance = Chance::of(50_000 + seed);
        let history: Vec<Run> = (0..saved).map(|_| run(1.0, &mut chance)).collect();
        compare::gate(&history, &[run(speed, &mut chance)], &settings).kind == Kind::Fail
    };
    (0..2_000).filter(failed).count()
}

#[test]
fn one_run_of_the_same_system_is_called_worse_than_its_history_in_less_than_5_of_100_cases() {
    for saved in [compare::BASELINE_MIN, 10, 20] {
        // Without a tolerance the interval is alone, and its errors are what it promises.
        let (alone, usual) = (gated(saved, 1.0, 1e-9), gated(saved, 1.0, 0.2));
        println!(
            "false alarms of a gate with {saved} saved runs: {alone} without a tolerance, {usual} of 2000"
        );
        assert!((20..100).contains(&alone) && usual < 20, "{saved}: {alone} and {usual} of 2000");
    }
}

#[test]
fn one_run_that_takes_a_third_more_time_is_found_in_more_than_80_of_100_cases() {
    for saved in [compare::BASELINE_MIN, 10, 20] {
        let found = gated(saved, 1.33, 0.2);
        println!("a third more time found with {saved} saved runs: {found} of 2000");
        assert!(found > 1_600, "{saved}: {found} of 2000");
    }
}

#[test]
fn raw_requests_of_one_run_each_would_call_the_same_system_different() {
    let alarms = (0..100).filter(|seed| {
        let mut chance = Chance::of(*seed);
        let mut requests = || {
            let mood = (0.05 * chance.normal()).exp();
            (0..4_000).map(|_| mood * (0.6 * chance.normal()).exp()).collect::<Vec<f64>>()
        };
        stats::mann_whitney(&requests(), &requests()).p < 0.05
    });
    let alarms = alarms.count();
    println!("raw requests: {alarms} false alarms of 100");
    assert!(alarms > 50, "{alarms} of 100");
}

#[test]
fn the_interval_of_a_percentile_covers_the_truth_as_often_as_promised() {
    for (quantile, count) in [(0.5, 200), (0.95, 500), (0.99, 1_000)] {
        let (low, high) = stats::order_interval(count, quantile, 0.95);
        let (low, high) = (low.expect("there are samples enough"), high.expect("there are samples enough"));
        let mut chance = Chance::of(count);
        let (mut too_high, mut too_low) = (0, 0);
        for _ in 0..2_000 {
            // Of evenly spread samples, the rank-th is at most the quantile if so many samples are.
            let within = (0..count).filter(|_| chance.unit() <= quantile).count() as u64;
            too_high += u32::from(within < low);
            too_low += u32::from(within >= high);
        }
        println!("p{}: lower bound wrong {too_high}, upper {too_low} of 2000", quantile * 100.0);
        // Each bound is wrong in at most 5 of 100; 2,000 tries may show 127 of that by chance.
        assert!(too_high <= 127 && too_low <= 127, "{quantile}: {too_high} and {too_low} of 2000");
        assert!(too_high + too_low >= 40, "{quantile}: bounds this wide say less than they could");
    }
}

/// A system exactly at its limit: whatever is said of it is wrong, and may be said only rarely.
#[test]
fn a_threshold_at_the_truth_is_mostly_inconclusive() {
    let threshold = Threshold::parse("p(99)<46.0517ms").expect("it is a threshold");
    let (mut passed, mut failed) = (0, 0);
    for seed in 0..600 {
        let mut chance = Chance::of(seed);
        let times = (0..1_500).map(|_| chance.exponential(0.01));
        match threshold.judge(&outcome(times, 1_500, 10)).state {
            State::Passed => passed += 1,
            State::Failed => failed += 1,
            State::Inconclusive => {}
        }
    }
    println!("at the limit: {passed} passed, {failed} failed of 600");
    assert!(passed <= 44 && failed <= 44, "{passed} passed, {failed} failed of 600");
}

/// A server: `WORKERS` at once, each request takes `SERVICE` seconds on average, the rest waits in line.
const WORKERS: usize = 8;
const SERVICE: f64 = 0.02;
/// What 99 of 100 requests must be done within, seconds.
const LIMIT: f64 = 0.15;

/// How likely a request takes longer than `time` at a rate: waiting by A. Erlang (1917), and service.
fn slower_than(time: f64, rate: f64) -> f64 {
    let workers = WORKERS as f64;
    let load = rate * SERVICE;
    // Erlang's B by its recurrence, then C.
    let blocked = (1..=WORKERS).fold(1.0, |b, n| load * b / (n as f64 + load * b));
    let waits = blocked / (1.0 - load / workers * (1.0 - blocked));
    let excess = workers - 1.0 - load;
    let done = (-time / SERVICE).exp();
    done * (1.0 + waits * (1.0 - (-time * excess / SERVICE).exp()) / excess)
}

/// The rate at which the limit just holds.
fn true_knee() -> f64 {
    let (mut low, mut high) = (1.0, WORKERS as f64 / SERVICE * 0.999_9);
    for _ in 0..100 {
        let middle = f64::midpoint(low, high);
        if slower_than(LIMIT, middle) < 0.01 { low = middle } else { high = middle }
    }
    low
}

/// Serves arrivals by chance, for `settle` seconds unseen and then for `length`: when each came, and how long it
/// took.
fn serve(rate: f64, settle: f64, length: f64, chance: &mut Chance) -> Vec<(f64, f64)> {
    let mut free: VecDeque<f64> = VecDeque::from([0.0; WORKERS]);
    let (mut now, mut times) = (0.0, Vec::new());
    loop {
        now += chance.exponential(1.0 / rate);
        if now >= settle + length {
            return times;
        }
        let start = free.pop_front().unwrap_or(0.0).max(now);
        let end = start + chance.exponential(SERVICE);
        let place = free.partition_point(|at| *at < end);
        free.insert(place, end);
        if now >= settle {
            times.push((now - settle, end - now));
        }
    }
}

#[test]
fn the_known_knee_of_a_queue_is_found_within_5_of_100() {
    let knee = true_knee();
    assert!((slower_than(LIMIT, knee) - 0.01).abs() < 1e-9);
    for seed in 0..5 {
        let mut chance = Chance::of(seed);
        let slos = vec![Threshold::parse("p(99)<150ms").expect("it is a threshold")];
        let settings = capacity::Settings {
            step_min: Duration::from_secs(60),
            seed,
            ..capacity::Settings::new(37.0 + 9.0 * seed as f64, 10_000.0, slos.clone())
        };
        let mut search = Search::new(settings).expect("the settings are right");
        while let Next::Run(step) = search.next() {
            let (settle, length) = (step.settle.as_secs_f64(), step.length.as_secs_f64());
            let served = serve(step.rate, settle, length, &mut chance);
            let mut outcome = queue(&served, step.length.as_secs());
            outcome.verdict = verdict::judge(&slos, &outcome);
            search.record(step.rate, StepResult::of(&outcome));
        }
        let found = search.capacity();
        let (held, guess) = (found.last_passing.unwrap_or(0.0), found.knee.unwrap_or(0.0));
        println!("seed {seed}: true {knee:.1}, held {held:.1}, knee {guess:.1}, {} steps", found.steps.len());
        assert_eq!(found.end, End::Found, "seed {seed}: {:#?}", found.says);
        assert!((guess / knee - 1.0).abs() < 0.05, "seed {seed}: {guess} for {knee}: {:#?}", found.says);
        assert!((held / knee - 1.0).abs() < 0.08, "seed {seed}: {held} held for {knee}: {:#?}", found.says);
    }
}

/// Requests in one line are slow together: taken as independent, 39 of 100 such runs would pass. Those that do
/// had no rush in them, and nothing in a run tells of what it did not meet.
#[test]
fn a_short_run_beyond_the_knee_of_a_queue_passes_half_as_often_as_if_requests_were_independent() {
    let threshold = Threshold::parse("p(99)<150ms").expect("it is a threshold");
    let passed = (0..100).filter(|seed| {
        let served = serve(1.03 * true_knee(), 5.0, 15.0, &mut Chance::of(*seed));
        threshold.judge(&queue(&served, 15)).state == State::Passed
    });
    let passed = passed.count();
    println!("3 % beyond the knee: {passed} passed of 100");
    assert!(passed < 28, "{passed} of 100");
}

/// Throughput measured at some concurrencies, each wrong by a few hundredths.
fn measured(law: (f64, f64, f64), noise: f64, seed: u64) -> Vec<(f64, f64)> {
    let mut chance = Chance::of(seed);
    let (single, serial, crosstalk) = law;
    let at = |n: f64| single * n / (1.0 + serial * (n - 1.0) + crosstalk * n * (n - 1.0));
    [1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 24.0, 32.0, 48.0, 64.0]
        .map(|n| (n, at(n) * (1.0 + noise * chance.normal())))
        .to_vec()
}

#[test]
fn the_scalability_law_is_found_again() {
    let (single, serial, crosstalk) = (1_000.0, 0.04, 0.000_6);
    let (mut covered, mut peaks) = (0, 0);
    for seed in 0..40 {
        let law =
            stats::usl(&measured((single, serial, crosstalk), 0.02, seed), seed).expect("ten points fit");
        let off = |found: f64, truth: f64| (found / truth - 1.0).abs();
        assert!(off(law.single, single) < 0.06, "seed {seed}: {law:?}");
        assert!(off(law.serial, serial) < 0.35, "seed {seed}: {law:?}");
        assert!(off(law.crosstalk, crosstalk) < 0.25, "seed {seed}: {law:?}");
        covered += u32::from(law.crosstalk_interval.contains(crosstalk));
        peaks += u32::from(law.peak.is_some_and(|(at, _)| off(at, 40.0) < 0.1));
    }
    println!("crosstalk covered {covered} of 40, peak within a tenth {peaks} of 40");
    assert!(covered >= 34 && peaks >= 38, "covered {covered}, peaks {peaks} of 40");
}

#[test]
fn a_peak_that_is_not_there_is_rarely_shown() {
    let shown = (0..40).filter(|seed| {
        let law = stats::usl(&measured((1_000.0, 0.05, 0.0), 0.02, 1_000 + seed), *seed);
        law.is_some_and(|law| law.peak.is_some())
    });
    let shown = shown.count();
    println!("peaks without crosstalk: {shown} of 40");
    assert!(shown <= 4, "{shown} of 40");
}

/// A run against the queue, second by second.
fn queue(served: &[(f64, f64)], seconds: u64) -> Outcome {
    let window = |second| Window {
        start_ms: second * 1_000,
        length_ms: 1_000,
        heat: vec![0; HEAT_BUCKETS],
        ..Window::default()
    };
    let mut timeline: Vec<Window> = (0..seconds).map(window).collect();
    for (at, time) in served {
        if let Some(window) = timeline.get_mut(*at as usize) {
            window.planned += 1;
            window.ok += 1;
            window.heat[heat_bucket((time * 1e6) as u64)] += 1;
        }
        if let Some(window) = timeline.get_mut((at + time) as usize) {
            window.finished += 1;
        }
    }
    Outcome { timeline, ..outcome(served.iter().map(|(_, time)| *time), served.len(), seconds) }
}

/// A run by a generator without fault: response times in seconds.
fn outcome(times: impl Iterator<Item = f64>, planned: usize, seconds: u64) -> Outcome {
    let mut response = Hdr::default();
    times.for_each(|time| response.record(Duration::from_secs_f64(time)));
    let planned = planned as u64;
    let tally = Tally { planned, ok: planned, response, ..Tally::default() };
    let length = Duration::from_secs(seconds);
    let rate = planned as f64 / seconds as f64;
    Outcome {
        format: FORMAT,
        name: "simulated".to_owned(),
        target: "http://localhost".to_owned(),
        tags: Vec::new(),
        started_unix_ms: 0,
        machine: Machine::default(),
        seed: 1,
        model: "open".to_owned(),
        keep_alive: true,
        protocols: Vec::new(),
        users_max: 100_000,
        stages: vec![Stage { name: "steady".to_owned(), length, from: rate, to: rate, warmup: false }],
        took: length,
        loaded: length,
        interrupted: false,
        series: vec![Series { step: "get".to_owned(), tags: Vec::new(), stages: vec![tally] }],
        timeline: Vec::new(),
        generator: Generator::default(),
        lab: LabOutcome::default(),
        verdict: Verdict::default(),
    }
}
