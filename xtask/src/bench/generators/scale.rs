//! Forebay's own limits: how exactly it starts requests, what memory long runs take, how many connections it holds.

use std::fs;
use std::path::Path;
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
    /// From the planned instant to when the arrival is handed out, p99 in milliseconds.
    pub(crate) handed: f64,
    /// From the planned instant to when the request is sent, p50 in milliseconds.
    pub(crate) sent_p50: f64,
    /// The same, p99.
    pub(crate) sent_p99: f64,
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
        let tool = bench.forebay()?;
        let metrics = bench.folder.join("pacing.prom");
        let mut words = tool.arguments(&load);
        words.extend(["--prometheus".to_owned(), metrics.to_string_lossy().into_owned()]);
        let Run { claim, .. } = run::run_words(tool, &words, &bench.pinning.proxy)?;
        let (sent_p50, sent_p99) = claim.delay.context("forebay tells no start delay")?;
        let handed = handed(&metrics)?;
        let pacing = Pacing { handed, sent_p50, sent_p99, ok: claim.ok, bad: claim.bad };
        eprintln!("pacing · {pacing:?}");
        all.push(pacing);
    }
    Ok(all)
}

/// How late arrivals were handed out at p99, in milliseconds.
fn handed(metrics: &Path) -> Result<f64> {
    let text = fs::read_to_string(metrics).with_context(|| format!("cannot read {}", metrics.display()))?;
    let line = text.lines().find_map(|line| line.strip_prefix("forebay_load_generator_pacing_p99_seconds"));
    let seconds = line.and_then(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok());
    Ok(seconds.context("forebay does not tell its pacing")? * 1e3)
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
    let run = run::run_words(tool, &words, &bench.pinning.proxy)?;
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
