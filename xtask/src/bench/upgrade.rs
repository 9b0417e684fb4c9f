//! A proxy's process is replaced again and again under load: who notices.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::failover::load;
use super::headline;
use super::machine::{self, Pinning};
use super::peer::{Backend, Kind};
use crate::{build, tree};

mod report;
mod server;
mod verdict;

use server::Server;
use verdict::Verdict;

/// Requests per second.
const RATE: u32 = 2_000;
/// Upgrades in a row,
const UPGRADES: u32 = 10;
/// and when it is only to see that everything works.
const UPGRADES_QUICK: u32 = 2;
/// From one to the next. The one before has drained by then.
const EVERY: Duration = Duration::from_secs(3);
/// Without an upgrade, at first, to compare with.
const QUIET: Duration = Duration::from_secs(10);
/// and when it is only to see that everything works.
const QUIET_QUICK: Duration = Duration::from_secs(3);

/// What `cargo xtask bench upgrade` was told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) peers: Vec<Kind>,
    pub(crate) quick: bool,
    pub(crate) split: bool,
    /// Whether this may replace the committed results.
    pub(crate) complete: bool,
    pub(crate) out: Option<PathBuf>,
    pub(crate) forebay: Option<PathBuf>,
}

/// One proxy with one kind of clients.
#[derive(Clone, Debug)]
struct Run {
    peer: Kind,
    /// Every other request on a connection of its own, instead of all on kept ones.
    fresh: bool,
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
    for &peer in &bench.settings.peers {
        for fresh in [false, true] {
            let verdict = bench.measure(peer, fresh).with_context(|| peer.to_string())?;
            eprintln!("xtask: {peer}, {}: {verdict}", clients(fresh));
            runs.push(Run { peer, fresh, verdict });
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
    fn measure(&self, kind: Kind, fresh: bool) -> Result<Verdict> {
        let origin = Backend::start(&self.folder, &self.pinning)?;
        let mut server =
            Server::start(kind, self.forebay.as_deref(), &self.folder, origin.address, &self.pinning)?;
        let (quiet, time) = (self.quiet(), self.time());
        let plan = load::Plan { address: server.address, rate: RATE, time, fresh, pinning: &self.pinning };
        let (outcome, done) = std::thread::scope(|scope| {
            let begun = Instant::now();
            let load = scope.spawn(|| load::run(plan));
            let mut done = 0;
            for number in 0..self.upgrades() {
                let at = begun + quiet + EVERY * number;
                std::thread::sleep(at.saturating_duration_since(Instant::now()));
                // What keeps it from happening shows in the count.
                match server.upgrade(EVERY) {
                    Ok(()) => done += 1,
                    Err(error) => eprintln!("xtask: {kind}: {error:#}"),
                }
            }
            let outcome = load.join().ok().context("the load generator panicked")?;
            outcome.map(|outcome| (outcome, done))
        })?;
        Ok(verdict::judge(&outcome.samples, quiet, done))
    }

    fn upgrades(&self) -> u32 {
        if self.settings.quick { UPGRADES_QUICK } else { UPGRADES }
    }

    fn quiet(&self) -> Duration {
        if self.settings.quick { QUIET_QUICK } else { QUIET }
    }

    fn time(&self) -> Duration {
        self.quiet() + EVERY * (self.upgrades() + 1)
    }

    /// Only a complete run may replace the committed results.
    fn destination(&self) -> Option<PathBuf> {
        let Settings { quick, complete, out, .. } = &self.settings;
        let complete = *complete && !quick;
        out.clone().or_else(|| complete.then(|| tree::root().join("benches/UPGRADE.md")))
    }
}

/// For people.
fn clients(fresh: bool) -> &'static str {
    if fresh { "every other on a new one" } else { "all on kept connections" }
}
