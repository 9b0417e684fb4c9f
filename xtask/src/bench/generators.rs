//! Compare `forebay load` with other load generators: what a request costs, and whether what they say is true.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;

use super::headline;
use super::machine::{self, Pinning};
use super::peer::Backend;
use crate::{build, tree};

mod cost;
mod report;
mod run;
mod scale;
mod tool;
mod truth;

use tool::{Kind, Tool};

/// What is asked of the generators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// CPU time and memory for a plain GET, in alternating rounds
    Cost,
    /// 5,000 requests per second to a server of known delays: what each says of them
    Truth,
    /// A server that stalls for 1.4 s in 30 s at 2,000 requests per second
    Stall,
    /// How late forebay starts requests at 10,000 per second
    Pacing,
    /// Memory of forebay over ten million requests
    Memory,
    /// 10,000 connections of forebay
    Connections,
}

/// What `cargo xtask bench load` was told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Of `cost` and `truth`.
    pub(crate) rounds: u32,
    /// Of one measurement of `cost` and `truth`.
    pub(crate) seconds: u32,
    /// Everything with little of it, to see that it works.
    pub(crate) quick: bool,
    /// None: all.
    pub(crate) parts: Vec<Part>,
    /// Keep the generator on one core, and whatever it loads on the others.
    pub(crate) split: bool,
    /// Where the report goes besides the terminal.
    pub(crate) out: Option<PathBuf>,
    /// Measured instead of what is built.
    pub(crate) forebay: Option<PathBuf>,
}

/// What every part needs.
#[derive(Debug)]
pub(crate) struct Bench {
    settings: Settings,
    tools: Vec<Tool>,
    /// `proxy` is the generator's core.
    pinning: Pinning,
    backend: Backend,
    /// For files of a run.
    folder: PathBuf,
}

/// What came of the parts that were run.
#[derive(Debug, Default)]
pub(crate) struct Results {
    cost: Vec<cost::Sample>,
    truth: Vec<truth::Sample>,
    stall: Vec<truth::Sample>,
    pacing: Vec<scale::Pacing>,
    memory: Option<scale::Memory>,
    connections: Option<scale::Connections>,
}

/// Measures, prints, and writes down.
pub(crate) fn run(settings: Settings) -> Result<()> {
    let folder = machine::prepare()?;
    let forebay = build::gateway_or(settings.forebay.as_deref())?;
    let (tools, missing) = tool::provide(&forebay);
    let pinning = Pinning::choose(settings.split)?;
    let backend = Backend::start(folder.path(), &pinning)?;
    let bench = Bench { settings, tools, pinning, backend, folder: folder.path().to_owned() };
    let results = bench.measure()?;
    let text = report::markdown(&bench, &results, &missing)?;
    println!("{text}");
    if let Some(path) = bench.destination() {
        headline::write_page(&path, &text)?;
    }
    Ok(())
}

impl Bench {
    fn measure(&self) -> Result<Results> {
        let mut results = Results::default();
        if self.has(Part::Cost) {
            results.cost = cost::measure(self)?;
        }
        if self.has(Part::Truth) {
            results.truth = truth::known_delays(self)?;
        }
        if self.has(Part::Stall) {
            results.stall = truth::stall(self)?;
        }
        if self.has(Part::Pacing) {
            results.pacing = scale::pacing(self)?;
        }
        if self.has(Part::Memory) {
            results.memory = Some(scale::memory(self)?);
        }
        if self.has(Part::Connections) {
            results.connections = Some(scale::connections(self)?);
        }
        Ok(results)
    }

    fn has(&self, part: Part) -> bool {
        self.settings.parts.is_empty() || self.settings.parts.contains(&part)
    }

    fn forebay(&self) -> Result<&Tool> {
        match self.tools.iter().find(|tool| tool.kind == Kind::Forebay) {
            Some(tool) => Ok(tool),
            None => bail!("forebay does not take part"),
        }
    }

    /// The fast server's answer of 90 bytes.
    fn fast_url(&self) -> String {
        format!("http://{}/small", self.backend.address)
    }

    /// Only a complete run may replace the committed results.
    fn destination(&self) -> Option<PathBuf> {
        let Settings { rounds, seconds, quick, parts, split, out, forebay: _ } = &self.settings;
        let complete = !quick && parts.is_empty() && *split && *rounds >= 5 && *seconds >= 5;
        out.clone().or_else(|| complete.then(|| tree::root().join("benches/LOAD_RESULTS.md")))
    }
}
