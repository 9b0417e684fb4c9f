//! What a request costs: a plain GET over kept connections, as fast as it goes, in alternating rounds.

use anyhow::{Context, Result};

use super::Bench;
use super::run::{self, Run};
use super::tool::{Kind, Load};

/// Users of each generator.
pub(crate) const USERS: u32 = 64;

/// One generator in one round.
#[derive(Clone, Debug)]
pub(crate) struct Sample {
    pub(crate) kind: Kind,
    pub(crate) round: u32,
    pub(crate) seconds: u32,
    pub(crate) run: Run,
}

/// Each generator in each round, in an order that moves on.
pub(crate) fn measure(bench: &Bench) -> Result<Vec<Sample>> {
    let rounds = if bench.settings.quick { 1 } else { bench.settings.rounds };
    let seconds = if bench.settings.quick { 1 } else { bench.settings.seconds };
    let mut samples = Vec::new();
    for round in 0..rounds {
        for turn in 0..bench.tools.len() {
            let tool = &bench.tools[(turn + round as usize) % bench.tools.len()];
            let load = Load { url: bench.fast_url(), connections: USERS, seconds, rate: None };
            let run = run::run(tool, &load, &bench.pinning.proxy).with_context(|| tool.kind.to_string())?;
            eprintln!(
                "round {}/{rounds} · cost · {} · {:.2} µs per request · {} requests · {:.0} MB",
                round + 1,
                tool.kind,
                run.cpu_per_request(),
                run.claim.ok,
                run.memory_max() as f64 / 1e6,
            );
            samples.push(Sample { kind: tool.kind, round, seconds, run });
        }
    }
    Ok(samples)
}
