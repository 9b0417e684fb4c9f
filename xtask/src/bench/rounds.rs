//! Alternating rounds: every row with every peer, in an order that moves on each round.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::machine::Pinning;
use super::peer::{Backend, Kind, Peer, Site};
use super::result::{Figures, Metric, Outcome, Sample, Spread};
use super::row::{Entry, Load, Row, Tuning};
use super::{closed, handshakes, idle, multiplexed, open};

/// Load before each measurement, so that connections, pools and caches are warm.
const WARM_UP_SECONDS: u32 = 1;
/// A generator that sends later than this does not measure the proxy.
const LATENESS_MAX_MICROS: f64 = 1000.0;

/// What to measure.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) rows: Vec<&'static Row>,
    /// Ratios are of the first to each other one.
    pub(crate) peers: Vec<Kind>,
    pub(crate) rounds: u32,
    /// Of one measurement.
    pub(crate) seconds: u32,
    pub(crate) pinning: Pinning,
    /// The gateway's binary, when it takes part.
    pub(crate) forebay: Option<PathBuf>,
}

/// Starts everything, measures everything, ends everything.
pub(crate) fn run(plan: &Plan, folder: &Path) -> Result<Outcome> {
    let backend = Backend::start(folder, &plan.pinning)?;
    let site =
        Site { folder, origin: backend.address, pinning: &plan.pinning, forebay: plan.forebay.as_deref() };
    let peers =
        plan.peers.iter().map(|kind| Variants::start(*kind, &plan.rows, site)).collect::<Result<Vec<_>>>()?;
    let mut bench = Bench { plan, site, peers, outcome: Outcome::default() };
    for peer in &bench.peers {
        bench.outcome.fields.push(peer.fields()?);
    }
    let (open, closed): (Vec<&Row>, Vec<&Row>) =
        plan.rows.iter().partition(|row| matches!(row.load, Load::Open { .. }));
    bench.rounds(&closed)?;
    if !open.is_empty() {
        bench.outcome.fixed_rate = Some(bench.capacity()?);
        bench.rounds(&open)?;
    }
    Ok(bench.outcome)
}

/// A proxy in each way that rows want it.
struct Variants {
    kind: Kind,
    /// Each combination once.
    peers: Vec<(Entry, Tuning, Peer)>,
}

impl Variants {
    fn start(kind: Kind, rows: &[&Row], site: Site<'_>) -> Result<Self> {
        let mut variants = Self { kind, peers: Vec::new() };
        // What the fixed rate is taken from, and whose fields are shown.
        variants.add(Row::small(), site)?;
        for row in rows.iter().filter(|row| !matches!(row.load, Load::Idle { .. })) {
            variants.add(row, site)?;
        }
        Ok(variants)
    }

    fn add(&mut self, row: &Row, site: Site<'_>) -> Result<()> {
        if self.find(row).is_none() {
            let peer = Peer::start(self.kind, row.entry, row.tuning, site)
                .with_context(|| format!("{}, {}", self.kind, row.title))?;
            self.peers.push((row.entry, row.tuning, peer));
        }
        Ok(())
    }

    fn find(&self, row: &Row) -> Option<&Peer> {
        let fits = |entry: &Entry, tuning: &Tuning| *entry == row.entry && *tuning == row.tuning;
        self.peers.iter().find(|(entry, tuning, _)| fits(entry, tuning)).map(|(_, _, peer)| peer)
    }

    /// What the origin gets: the same work, however requests came in.
    fn fields(&self) -> Result<String> {
        let mut all: Vec<String> =
            self.peers.iter().map(|(_, _, peer)| peer.fields()).collect::<Result<_>>()?;
        all.dedup();
        Ok(all.join("; or: "))
    }
}

struct Bench<'a> {
    plan: &'a Plan,
    site: Site<'a>,
    peers: Vec<Variants>,
    outcome: Outcome,
}

impl Bench<'_> {
    fn rounds(&mut self, rows: &[&Row]) -> Result<()> {
        for round in 0..self.plan.rounds {
            for row in rows {
                for turn in 0..self.peers.len() {
                    let peer = (turn + round as usize) % self.peers.len();
                    self.sample(row, peer, round)?;
                }
            }
        }
        Ok(())
    }

    fn sample(&mut self, row: &Row, peer: usize, round: u32) -> Result<()> {
        let kind = self.plan.peers[peer];
        let figures = self.measure(row, peer).with_context(|| format!("{kind}, {}", row.title))?;
        let values: Vec<String> =
            figures.values.iter().map(|(metric, value)| format!("{} {value:.2}", metric.title())).collect();
        let fault = figures.fault.as_ref().map_or_else(String::new, |fault| format!(" INVALID: {fault}"));
        eprintln!(
            "round {}/{} · {} · {kind} · {}{fault}",
            round + 1,
            self.plan.rounds,
            row.title,
            values.join(" · ")
        );
        self.outcome.samples.push(Sample { row: row.name, peer, round, figures });
        Ok(())
    }

    fn measure(&self, row: &Row, peer: usize) -> Result<Figures> {
        let find = || self.peers[peer].find(row).context("it was not started");
        match row.load {
            Load::Closed { path, connections, body } => {
                let running = find()?;
                let plan = closed::Plan {
                    address: running.address,
                    entry: row.entry,
                    path,
                    connections,
                    body,
                    cookies: &[],
                    seconds: self.plan.seconds,
                    pinning: &self.plan.pinning,
                };
                closed::run(closed::Plan { seconds: WARM_UP_SECONDS, ..plan })?;
                closed_figures(running, plan)
            }
            Load::Open { connections, share } => {
                let running = find()?;
                let capacity = self.outcome.fixed_rate.context("the capacity was not measured")?;
                let plan = open::Plan {
                    address: running.address,
                    path: "/small",
                    connections,
                    rate: capacity * share,
                    time: Duration::from_secs(self.plan.seconds.into()),
                    pinning: &self.plan.pinning,
                };
                open_figures(running, plan)
            }
            Load::Multiplexed { path, connections, streams } => {
                let running = find()?;
                let plan = multiplexed::Plan {
                    address: running.address,
                    entry: row.entry,
                    path,
                    connections,
                    streams,
                    seconds: self.plan.seconds,
                    pinning: &self.plan.pinning,
                };
                multiplexed::run(multiplexed::Plan { seconds: WARM_UP_SECONDS, ..plan })?;
                multiplexed_figures(running, plan)
            }
            Load::Handshakes { clients } => {
                let running = find()?;
                let plan = handshakes::Plan {
                    address: running.address,
                    clients,
                    time: Duration::from_secs(self.plan.seconds.into()),
                    pinning: &self.plan.pinning,
                };
                handshakes::run(handshakes::Plan {
                    time: Duration::from_secs(WARM_UP_SECONDS.into()),
                    ..plan
                })?;
                handshake_figures(running, plan)
            }
            // A process of its own: memory that an earlier load left behind would hide the growth.
            Load::Idle { connections } => {
                let fresh = Peer::start(self.plan.peers[peer], row.entry, row.tuning, self.site)?;
                idle::measure(&fresh, row.entry, connections)
            }
        }
    }

    /// Requests per second of the slowest peer with small requests, from this run; measured now when it was not.
    fn capacity(&self) -> Result<f64> {
        let row = Row::small();
        let mut slowest = f64::INFINITY;
        for peer in 0..self.peers.len() {
            let known = self.outcome.median(row.name, Metric::Rate, peer);
            let rate = match known {
                Some(rate) => rate,
                None => self.rate(peer)?,
            };
            slowest = slowest.min(rate);
        }
        Ok(slowest)
    }

    fn rate(&self, peer: usize) -> Result<f64> {
        let figures = self.measure(Row::small(), peer)?;
        let rates =
            figures.values.iter().filter(|(metric, _)| *metric == Metric::Rate).map(|(_, value)| *value);
        Ok(Spread::of(rates).context("wrk counted no requests")?.median)
    }
}

/// Of one measurement of a proxy that is warm.
pub(super) fn closed_figures(peer: &Peer, plan: closed::Plan<'_>) -> Result<Figures> {
    let process = &peer.process;
    let before = process.cpu()?;
    let counts = closed::run(plan)?;
    let cpu = process.cpu()?.saturating_sub(before);
    let requests = counts.requests as f64;
    Ok(Figures {
        values: vec![
            (Metric::Cpu, cpu.as_secs_f64() * 1e6 / requests),
            (Metric::Rate, requests / counts.seconds),
            (Metric::P50, counts.p50),
            (Metric::P99, counts.p99),
        ],
        fault: counts.fault,
    })
}

fn multiplexed_figures(peer: &Peer, plan: multiplexed::Plan<'_>) -> Result<Figures> {
    let process = &peer.process;
    let before = process.cpu()?;
    let counts = multiplexed::run(plan)?;
    let cpu = process.cpu()?.saturating_sub(before);
    let requests = counts.requests as f64;
    Ok(Figures {
        values: vec![
            (Metric::Cpu, cpu.as_secs_f64() * 1e6 / requests),
            (Metric::Rate, requests / f64::from(plan.seconds)),
        ],
        fault: counts.fault,
    })
}

fn handshake_figures(peer: &Peer, plan: handshakes::Plan<'_>) -> Result<Figures> {
    let process = &peer.process;
    let before = process.cpu()?;
    let count = handshakes::run(plan)?;
    let cpu = process.cpu()?.saturating_sub(before);
    Ok(Figures { values: vec![(Metric::Handshake, cpu.as_secs_f64() * 1e6 / count as f64)], fault: None })
}

fn open_figures(peer: &Peer, plan: open::Plan<'_>) -> Result<Figures> {
    open::run(open::Plan { time: Duration::from_secs(WARM_UP_SECONDS.into()), ..plan })?;
    let process = &peer.process;
    let before = process.cpu()?;
    let outcome = open::run(plan)?;
    let cpu = process.cpu()?.saturating_sub(before);
    let answered = outcome.latencies.total() as f64;
    Ok(Figures {
        values: vec![
            (Metric::Cpu, cpu.as_secs_f64() * 1e6 / answered),
            (Metric::P50, outcome.latencies.quantile(0.5)),
            (Metric::P99, outcome.latencies.quantile(0.99)),
        ],
        fault: open_fault(&outcome),
    })
}

fn open_fault(outcome: &open::Outcome) -> Option<String> {
    let late = outcome.lateness.quantile(0.5);
    if outcome.failed > 0 {
        return Some(format!("{} requests were not answered", outcome.failed));
    }
    (late > LATENESS_MAX_MICROS).then(|| format!("the load generator was late by {late} µs at the median"))
}
