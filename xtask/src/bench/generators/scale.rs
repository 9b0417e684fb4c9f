//! Forebay's own limits: how exactly it starts requests, what memory long runs take, how many connections it holds.

use std::time::Duration;

use anyhow::{Context, Result};

use super::run::{self, Run};
use super::tool::Load;
use super::{Bench, cost};

/// Requests per second at which starts are timed.
pub(crate) const PACING_RATE: u32 = 10_000;
/// Requests of the long run.
pub(crate) const REQUESTS: u64 = 10_000_000;
/// Connections of the wide run.
pub(crate) const CONNECTIONS: u32 = 10_000;

/// How late requests were started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacing {
    /// In milliseconds.
    pub(crate) p50: f64,
    /// In milliseconds.
    pub(crate) p99: f64,
    pub(crate) ok: u64,
    pub(crate) bad: u64,
}

/// What memory a long run took.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    pub(crate) ok: u64,
    pub(crate) bad: u64,
    /// Most of the first fifth of the run, in bytes.
    pub(crate) early: u64,
    /// Most of the last fifth.
    pub(crate) late: u64,
    pub(crate) max: u64,
    pub(crate) time: Duration,
}

/// What many connections took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Connections {
    pub(crate) ok: u64,
    pub(crate) bad: u64,
    pub(crate) max: u64,
    /// In milliseconds.
    pub(crate) p99: f64,
}

/// Each round at 10,000 requests per second to the fast server.
pub(crate) fn pacing(bench: &Bench) -> Result<Vec<Pacing>> {
    let rounds = if bench.settings.quick { 1 } else { bench.settings.rounds };
    let seconds = if bench.settings.quick { 1 } else { bench.settings.seconds };
    let mut all = Vec::new();
    for _ in 0..rounds {
        let load = Load { url: bench.fast_url(), connections: 256, seconds, rate: Some(PACING_RATE) };
        let Run { claim, .. } = forebay(bench, &load)?;
        let (p50, p99) = claim.delay.context("forebay tells no start delay")?;
        eprintln!("pacing · start delay p50 {p50:.3} p99 {p99:.3} ms");
        all.push(Pacing { p50, p99, ok: claim.ok, bad: claim.bad });
    }
    Ok(all)
}

/// Ten million requests by users who ask again once answered.
pub(crate) fn memory(bench: &Bench) -> Result<Memory> {
    let requests = if bench.settings.quick { REQUESTS / 100 } else { REQUESTS };
    // Even at a quarter of the usual speed they are done by then.
    let seconds = 1200;
    let load = Load { url: bench.fast_url(), connections: cost::USERS, seconds, rate: None };
    let tool = bench.forebay()?;
    let mut words = tool.arguments(&load);
    words.extend(["--iterations".to_owned(), requests.to_string()]);
    let run = run::run_words(tool, &words, Duration::from_secs(seconds.into()), &bench.pinning.proxy)?;
    let time = run.memory.last().map(|(at, _)| *at).unwrap_or_default();
    let most = |from: Duration, to: Duration| {
        let within = run.memory.iter().filter(|(at, _)| *at >= from && *at <= to);
        within.map(|(_, bytes)| *bytes).max().unwrap_or_default()
    };
    let memory = Memory {
        ok: run.claim.ok,
        bad: run.claim.bad,
        early: most(Duration::ZERO, time / 5),
        late: most(time * 4 / 5, time),
        max: run.memory_max(),
        time,
    };
    eprintln!("memory · {memory:?}");
    Ok(memory)
}

/// 10,000 users at once.
pub(crate) fn connections(bench: &Bench) -> Result<Connections> {
    let connections = if bench.settings.quick { CONNECTIONS / 10 } else { CONNECTIONS };
    let load =
        Load { url: bench.fast_url(), connections, seconds: bench.settings.seconds.max(5), rate: None };
    let run = forebay(bench, &load)?;
    let found =
        Connections { ok: run.claim.ok, bad: run.claim.bad, max: run.memory_max(), p99: run.claim.p99 };
    eprintln!("connections · {found:?}");
    Ok(found)
}

fn forebay(bench: &Bench, load: &Load) -> Result<Run> {
    run::run(bench.forebay()?, load, &bench.pinning.proxy)
}
