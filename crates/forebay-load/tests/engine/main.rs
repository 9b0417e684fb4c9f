//! The engine against a server of scripted delays, stalls and faults: every count and percentile by arithmetic.

mod counts;
mod faults;
mod http2;
mod sessions;
mod times;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use forebay_load::outcome::{ErrorKind, Outcome, Tally};
use forebay_load::plan::{Arrivals, Body, Http2, Kind, Model, Plan, Scenario, Stage, Step, Target};
use forebay_load::run;
use forebay_load::template::Template;

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// `rate` arrivals per second, evenly, for `length`.
fn open(address: SocketAddr, rate: f64, length: Duration) -> Plan {
    Plan {
        name: "test".to_owned(),
        target: Target {
            authority: address.to_string(),
            addresses: vec![address],
            prefix: String::new(),
            tls: None,
        },
        model: Model::Open(Arrivals::Uniform),
        stages: vec![stage("only", rate, rate, length)],
        scenarios: vec![scenario("only", vec![get("/")])],
        thresholds: Vec::new(),
        seed: 1,
        grace: Duration::from_secs(10),
        users_max: 1000,
        keep_alive: true,
        http2: Http2::default(),
        workers: 1,
        variables: Vec::new(),
        feeders: Vec::new(),
        tags: Vec::new(),
        lab: forebay_load::lab::Lab::default(),
    }
}

/// `users` who ask again once answered, for `length`.
fn closed(address: SocketAddr, users: u32, length: Duration) -> Plan {
    Plan { model: Model::Closed { iterations: None }, ..open(address, users.into(), length) }
}

fn stage(name: &str, from: f64, to: f64, length: Duration) -> Stage {
    Stage { name: name.to_owned(), length, from, to, warmup: false }
}

fn scenario(name: &str, steps: Vec<Step>) -> Scenario {
    Scenario { name: name.to_owned(), weight: 1, steps, tags: Vec::new() }
}

fn get(path: &str) -> Step {
    Step {
        kind: Kind::Http,
        name: path.to_owned(),
        method: "GET".to_owned(),
        path: template(path),
        headers: Vec::new(),
        body: Body::None,
        timeout: Duration::from_secs(30),
        think: (Duration::ZERO, Duration::ZERO),
        capture: Vec::new(),
        expect: Vec::new(),
        tags: Vec::new(),
    }
}

fn template(text: &str) -> Template {
    Template::parse(text).expect("tests write templates")
}

/// Runs a plan to its end and checks what must hold of every run.
fn run(plan: &Plan) -> Outcome {
    run_until(plan, &Arc::default())
}

fn run_until(plan: &Plan, stop: &Arc<AtomicBool>) -> Outcome {
    let mut last = run::Progress::default();
    let outcome = run::run(plan, stop, &mut |progress| last = progress.clone()).expect("the plan can be run");
    for series in &outcome.series {
        assert_eq!(series.stages.len(), plan.stages.len(), "{}", series.step);
        for (tally, stage) in series.stages.iter().zip(&plan.stages) {
            let of = format!("{}, {}", series.step, stage.name);
            check_sums(tally, &of);
            // In a closed model nobody is late: users start when they are ready.
            let started = if plan.is_open() { tally.planned - tally.not_started } else { 0 };
            assert_eq!(tally.delay.count(), started, "{of}: delay");
        }
    }
    check_timeline(&outcome);
    let whole = outcome.select(|_| true, |_| true);
    let told = (last.planned, last.ok, last.errors, last.timeouts, last.not_started);
    assert_eq!(
        told,
        (whole.planned, whole.ok, whole.errors(), whole.timeouts, whole.not_started),
        "progress"
    );
    outcome
}

/// Every planned request is in one bucket, and every bucket has its times.
fn check_sums(tally: &Tally, of: &str) {
    let Tally { planned, ok, timeouts, not_started, .. } = *tally;
    let errors = tally.errors();
    assert_eq!(planned, ok + errors + timeouts + not_started, "{of}");
    assert_eq!(tally.response.count(), ok, "{of}: response");
    assert_eq!(tally.service.count(), ok, "{of}: service");
    assert_eq!(tally.failed.count(), errors, "{of}: failed");
    assert_eq!(tally.censored.count(), timeouts + not_started, "{of}: censored");
    assert_eq!(tally.judged().count(), ok + timeouts + not_started, "{of}: judged");
}

/// The timeline tells of the same requests as the series.
fn check_timeline(outcome: &Outcome) {
    let whole = outcome.select(|_| true, |_| true);
    let sum =
        |count: fn(&forebay_load::outcome::Window) -> u64| outcome.timeline.iter().map(count).sum::<u64>();
    assert_eq!(sum(|window| window.planned), whole.planned, "timeline: planned");
    assert_eq!(sum(|window| window.ok), whole.ok, "timeline: ok");
    assert_eq!(sum(|window| window.errors), whole.errors(), "timeline: errors");
    assert_eq!(sum(|window| window.timeouts), whole.timeouts, "timeline: timeouts");
    assert_eq!(sum(|window| window.not_started), whole.not_started, "timeline: not started");
    let starts = outcome.timeline.iter().map(|window| (window.start_ms, window.length_ms));
    let starts: Vec<(u64, u64)> = starts.collect();
    assert!(starts.windows(2).all(|pair| pair[0].0 + pair[0].1 == pair[1].0), "{starts:?}");
}

/// (planned, ok, errors, timeouts, not started) of everything that is judged.
fn buckets(outcome: &Outcome) -> (u64, u64, u64, u64, u64) {
    buckets_of(&outcome.total())
}

fn buckets_of(tally: &Tally) -> (u64, u64, u64, u64, u64) {
    (tally.planned, tally.ok, tally.errors(), tally.timeouts, tally.not_started)
}

/// Everything of one step, in all stages.
fn step(outcome: &Outcome, name: &str) -> Tally {
    outcome.select(|series| series.step == name, |_| true)
}

fn errors(tally: &Tally) -> Vec<(ErrorKind, u64)> {
    tally.errors.iter().map(|(kind, count)| (*kind, *count)).collect()
}
