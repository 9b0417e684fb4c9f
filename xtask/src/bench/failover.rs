//! One of three origins fails under load: who notices, and for how long.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::ValueEnum;

use super::headline;
use super::machine::{self, Pinning};
use super::peer::{self, Kind, Peer, Site};
use crate::{build, tree};

pub(super) mod load;
mod origin;
mod report;
mod verdict;

use origin::Origin;
use verdict::Verdict;

/// Requests per second.
const RATE: u32 = 2_000;
/// Time of one run,
const TIME: Duration = Duration::from_secs(60);
/// and of one that is only to see that everything works.
const TIME_QUICK: Duration = Duration::from_secs(10);
/// Origins behind the proxy.
const ORIGINS: usize = 3;

/// How the first origin fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Scenario {
    /// Its process is killed
    Kill,
    /// Every packet to it is lost
    Dark,
    /// It accepts and never answers
    Silent,
    /// It answers 500
    Failing,
}

/// What `cargo xtask bench failover` was told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) peers: Vec<Kind>,
    /// None: all.
    pub(crate) scenarios: Vec<Scenario>,
    pub(crate) quick: bool,
    pub(crate) split: bool,
    /// Whether this may replace the committed results.
    pub(crate) complete: bool,
    pub(crate) out: Option<PathBuf>,
    pub(crate) forebay: Option<PathBuf>,
}

/// One proxy in one scenario.
#[derive(Clone, Debug)]
struct Run {
    scenario: Scenario,
    peer: Kind,
    verdict: Verdict,
}

/// What every run needs.
struct Bench {
    settings: Settings,
    pinning: Pinning,
    forebay: Option<PathBuf>,
    folder: PathBuf,
}

/// Measures, prints, and writes down.
pub(crate) fn run(settings: Settings) -> Result<()> {
    let folder = machine::prepare()?;
    let wanted = settings.peers.contains(&Kind::Forebay);
    let forebay = wanted.then(|| build::gateway_or(settings.forebay.as_deref())).transpose()?;
    let pinning = Pinning::choose(settings.split)?;
    let bench = Bench { settings, pinning, forebay, folder: folder.path().to_owned() };
    let mut runs = Vec::new();
    for scenario in bench.scenarios() {
        for &peer in &bench.settings.peers {
            let verdict = bench.measure(scenario, peer).with_context(|| format!("{peer}, {scenario}"))?;
            eprintln!("xtask: {scenario}, {peer}: {verdict}");
            runs.push(Run { scenario, peer, verdict });
        }
    }
    let text = report::markdown(&bench, &runs);
    println!("{text}");
    if let Some(path) = bench.destination() {
        headline::write_page(&path, &text)?;
    }
    Ok(())
}

impl Bench {
    fn measure(&self, scenario: Scenario, kind: Kind) -> Result<Verdict> {
        let origins = (0..ORIGINS)
            .map(|_| Origin::start(&self.folder, &self.pinning))
            .collect::<Result<Vec<Origin>>>()?;
        let peer = Peer::launch(kind, &self.template(scenario, kind, &origins)?, self.site(&origins))?;
        let fault = self.fault();
        let plan = load::Plan {
            address: peer.address,
            rate: RATE,
            time: self.time(),
            fresh: false,
            pinning: &self.pinning,
        };
        let (samples, at) = std::thread::scope(|scope| {
            let load = scope.spawn(|| load::run(plan));
            // Only the main thread may end children that it started; a run lasts long enough for a plain sleep.
            std::thread::sleep(fault);
            let at = std::time::Instant::now();
            let begun = origins[0].begin(scenario);
            let load = load.join().ok().context("the load generator panicked")?;
            begun?;
            load.map(|outcome| (outcome.samples, at.saturating_duration_since(outcome.start)))
        })?;
        Ok(verdict::judge(&samples, at, self.time()))
    }

    /// The peer's settings, with its origins filled in.
    fn template(&self, scenario: Scenario, kind: Kind, origins: &[Origin]) -> Result<String> {
        let text = peer::choose(&kind.template("failover")?, "watched", scenario.is_watched());
        let quoted: Vec<String> = origins.iter().map(|origin| format!("\"{}\"", origin.address)).collect();
        let servers = origins.iter().enumerate().map(|(number, origin)| match kind {
            Kind::Haproxy => format!("    server s{number} {} pool-max-conn -1", origin.address),
            _ => format!("        server {};", origin.address),
        });
        let servers: Vec<String> = servers.collect();
        Ok(text.replace("{{origins}}", &quoted.join(", ")).replace("{{servers}}", &servers.join("\n")))
    }

    fn site<'a>(&'a self, origins: &[Origin]) -> Site<'a> {
        Site {
            folder: &self.folder,
            origin: origins[0].address,
            pinning: &self.pinning,
            forebay: self.forebay.as_deref(),
        }
    }

    fn scenarios(&self) -> Vec<Scenario> {
        let all = &Scenario::value_variants();
        all.iter().copied().filter(|one| self.has(*one)).collect()
    }

    fn has(&self, scenario: Scenario) -> bool {
        self.settings.scenarios.is_empty() || self.settings.scenarios.contains(&scenario)
    }

    fn time(&self) -> Duration {
        if self.settings.quick { TIME_QUICK } else { TIME }
    }

    /// When the fault begins: a quarter of the time goes before it, to compare with.
    fn fault(&self) -> Duration {
        self.time() / 4
    }

    /// Only a complete run may replace the committed results.
    fn destination(&self) -> Option<PathBuf> {
        let Settings { scenarios, quick, complete, out, .. } = &self.settings;
        let complete = *complete && !quick && scenarios.is_empty();
        out.clone().or_else(|| complete.then(|| tree::root().join("benches/FAILOVER.md")))
    }
}

impl Scenario {
    /// Whether proxies are told to look after their origins; the others must be noticed by default.
    fn is_watched(self) -> bool {
        matches!(self, Self::Silent | Self::Failing)
    }

    /// For people.
    fn title(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::Dark => "black hole",
            Self::Silent => "accepts, never answers",
            Self::Failing => "answers 500",
        }
    }
}

impl std::fmt::Display for Scenario {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.title())
    }
}
