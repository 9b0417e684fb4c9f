//! What generators say of a server whose every delay is known.

use std::time::Duration;

use anyhow::{Context, Result};
use forebay_testkit::scripted::{Delays, Options, Reply, Scripted, Span};

use super::Bench;
use super::run;
use super::tool::{Claim, Kind, Load};

/// Requests per second to the server of known delays.
pub(crate) const RATE: u32 = 5_000;
/// Users at once: five times what is in flight on average.
pub(crate) const USERS: u32 = 500;
/// From the shortest to the longest delay, by steps of 0.5 ms.
pub(crate) const DELAYS: Delays =
    Delays::Ladder { from: Duration::from_millis(5), to: Duration::from_millis(35), rungs: 61 };

/// Requests per second to the server that stalls.
pub(crate) const STALL_RATE: u32 = 2_000;
/// Length of a run with a stall.
pub(crate) const STALL_SECONDS: u32 = 30;
/// Few users: as many as are needed while the server does not stall.
pub(crate) const STALL_USERS: u32 = 20;
/// The stall.
pub(crate) const STALL: Span = Span::new(Duration::from_secs(10), Duration::from_millis(1400));

/// One generator against one server.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) kind: Kind,
    pub(crate) claim: Claim,
    /// Requests that reached the server.
    pub(crate) requests: u64,
    /// In milliseconds, by arithmetic.
    pub(crate) truth: (f64, f64),
    /// How long the server really took, p50 and p99 in milliseconds.
    pub(crate) took: (f64, f64),
}

/// Each generator that keeps a rate, against the ladder of delays.
pub(crate) fn known_delays(bench: &Bench) -> Result<Vec<Sample>> {
    let rounds = if bench.settings.quick { 1 } else { bench.settings.rounds };
    let seconds = if bench.settings.quick { 2 } else { bench.settings.seconds.max(10) };
    let planned = u64::from(RATE) * u64::from(seconds);
    let truth = [0.5, 0.99].map(|quantile| millis(DELAYS.quantile(quantile, planned)));
    let mut samples = Vec::new();
    for round in 0..rounds {
        for tool in bench.tools.iter().filter(|tool| tool.kind.keeps_rates()) {
            let server =
                on_rest(bench, || Scripted::start(|request| Reply::after(DELAYS.of(request.number))))?;
            let load = Load { url: server.url(), connections: USERS, seconds, rate: Some(RATE) };
            let run = run::run(tool, &load, &bench.pinning.proxy).with_context(|| tool.kind.to_string())?;
            let sample = sample(tool.kind, run.claim, &server, (truth[0], truth[1]));
            tell(&format!("round {}/{rounds} · truth", round + 1), &sample);
            samples.push(sample);
        }
    }
    Ok(samples)
}

/// Each generator against a server that stalls once. Whoever came in the first hundredth of the run's length of
/// the stall is among the slowest hundredth of all: p99 is the stall less that.
pub(crate) fn stall(bench: &Bench) -> Result<Vec<Sample>> {
    let seconds = if bench.settings.quick { 15 } else { STALL_SECONDS };
    let p99 = millis(STALL.length) - f64::from(seconds) * 10.0;
    let mut samples = Vec::new();
    for tool in &bench.tools {
        let server = on_rest(bench, || {
            let options = Options { stalls: vec![STALL], ..Options::default() };
            Scripted::with(options, |_| Reply::now())
        })?;
        let load = Load { url: server.url(), connections: STALL_USERS, seconds, rate: Some(STALL_RATE) };
        let run = run::run(tool, &load, &bench.pinning.proxy).with_context(|| tool.kind.to_string())?;
        let sample = sample(tool.kind, run.claim, &server, (0.0, p99));
        tell("stall", &sample);
        samples.push(sample);
    }
    Ok(samples)
}

/// Starts a server whose thread runs where the generator does not.
fn on_rest(bench: &Bench, start: impl FnOnce() -> Scripted + Send) -> Result<Scripted> {
    std::thread::scope(|scope| {
        let starting = scope.spawn(|| bench.pinning.join_rest().map(|()| start()));
        starting.join().ok().context("the scripted server could not be started")?
    })
}

fn sample(kind: Kind, claim: Claim, server: &Scripted, truth: (f64, f64)) -> Sample {
    let seen = server.truth();
    let took = (millis(seen.took(0.5)), millis(seen.took(0.99)));
    Sample { kind, claim, requests: seen.requests, truth, took }
}

fn tell(part: &str, sample: &Sample) {
    let Sample { kind, claim, requests, truth, took } = sample;
    eprintln!(
        "{part} · {kind} · says p50 {:.3} p99 {:.3} ms of {} · truth {:.3} and {:.3} · server took {:.3} and {:.3} · {requests} seen",
        claim.p50, claim.p99, claim.ok, truth.0, truth.1, took.0, took.1
    );
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}
