//! Reloads while streams and requests are under way: nobody is dropped, memory stays flat, and it is soon over.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::headline;
use super::machine::{self, Pinning};
use super::open;
use super::peer::{Backend, Kind};
use crate::{build, tree};
use gateway::Gateway;
use streams::{Outcome, Streams};

mod gateway;
mod report;
mod streams;

/// Long streams that are open all the while, and how often settings change meanwhile.
const STREAMS: usize = 1_000;
const RELOADS: usize = 1_000;
/// Reloads before the first look at memory.
const WARM_UP: usize = 100;
/// Between two reloads.
const PAUSE: Duration = Duration::from_millis(40);
/// Services, and endpoints of each, of the large settings.
const SERVICES: usize = 100;
const ENDPOINTS: usize = 1_000;
/// Reloads of the large settings.
const LARGE_RELOADS: usize = 10;
/// Requests per second meanwhile.
const RATE: u32 = 1_000;
/// Between two of those reloads.
const LARGE_PAUSE: Duration = Duration::from_millis(500);

/// What `cargo xtask bench reload` was told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// A tenth of everything, to see that it works.
    pub(crate) quick: bool,
    pub(crate) split: bool,
    /// Whether this may replace the committed results.
    pub(crate) complete: bool,
    pub(crate) out: Option<PathBuf>,
    pub(crate) forebay: Option<PathBuf>,
}

/// What every part needs.
struct Bench {
    settings: Settings,
    pinning: Pinning,
    forebay: PathBuf,
    folder: PathBuf,
}

/// Streams across reloads.
struct Held {
    reloads: usize,
    /// Of a reload, as the operator waits for it.
    took: Vec<Duration>,
    /// Of the whole.
    time: Duration,
    streams: Outcome,
    /// Resident memory after the warm-up and then ten times, in bytes.
    memory: Vec<u64>,
}

/// Large settings.
struct Large {
    bytes: usize,
    took: Vec<Duration>,
    /// p99 of small requests without and with reloads, in µs.
    p99: [f64; 2],
    failed: u64,
}

/// Measures, prints, and writes down.
pub(crate) fn run(settings: Settings) -> Result<()> {
    let folder = machine::prepare()?;
    let forebay = build::gateway_or(settings.forebay.as_deref())?;
    let pinning = Pinning::choose(settings.split)?;
    let bench = Bench { settings, pinning, forebay, folder: folder.path().to_owned() };
    let held = bench.hold().context("streams across reloads")?;
    let large = bench.large().context("large settings")?;
    let text = report::markdown(&bench, &held, &large);
    println!("{text}");
    if let Some(path) = bench.destination() {
        headline::write_page(&path, &text)?;
    }
    Ok(())
}

impl Bench {
    /// Every stream is open before the first reload and ends after the last.
    fn hold(&self) -> Result<Held> {
        let origin = Backend::start(&self.folder, &self.pinning)?;
        let (streams, held) = streams::listen()?;
        let gateway = self.start(|at| small_settings(at, origin.address, held, 0))?;
        let streams = Streams::open(gateway.address, streams, self.scaled(STREAMS), &self.pinning)?;
        let (reloads, warm_up) = (self.scaled(RELOADS), self.scaled(WARM_UP));
        let (mut took, mut memory) = (Vec::new(), Vec::new());
        let start = Instant::now();
        for number in 1..=warm_up + reloads {
            gateway.write(&small_settings(gateway.at(), origin.address, held, number))?;
            let one = gateway.reload()?;
            if number > warm_up {
                took.push(one);
            }
            let done = number.saturating_sub(warm_up);
            if number >= warm_up && done.is_multiple_of((reloads / 10).max(1)) {
                memory.push(gateway.memory()?);
            }
            std::thread::sleep(PAUSE);
        }
        let time = start.elapsed();
        Ok(Held { reloads, took, time, streams: streams.end()?, memory })
    }

    fn large(&self) -> Result<Large> {
        let origin = Backend::start(&self.folder, &self.pinning)?;
        let reloads = self.scaled(LARGE_RELOADS).max(3);
        let mut gateway = self.start(|at| large_settings(at, origin.address, 0))?;
        let time = LARGE_PAUSE * u32::try_from(reloads).context("few reloads")?;
        let load = || open::Plan {
            address: gateway.address,
            path: "/small",
            connections: 64,
            rate: f64::from(RATE),
            time: time + Duration::from_secs(2),
            pinning: &self.pinning,
        };
        let before = open::run(load())?;
        let plan = load();
        let (took, during) = std::thread::scope(|scope| {
            let during = scope.spawn(|| open::run(plan));
            let took = (1..=reloads)
                .map(|number| {
                    std::thread::sleep(LARGE_PAUSE);
                    gateway.write(&large_settings(gateway.at(), origin.address, number))?;
                    gateway.reload()
                })
                .collect::<Result<Vec<Duration>>>();
            (took, during.join())
        });
        let during = during.ok().context("the load generator panicked")??;
        let bytes = large_settings(gateway.at(), origin.address, 0).len();
        gateway.check_alive()?;
        Ok(Large {
            bytes,
            took: took?,
            p99: [before.latencies.quantile(0.99), during.latencies.quantile(0.99)],
            failed: before.failed + during.failed,
        })
    }

    fn start(&self, settings: impl Fn(gateway::At) -> String) -> Result<Gateway> {
        Gateway::start(&self.forebay, &self.folder, &self.pinning, settings)
    }

    fn scaled(&self, count: usize) -> usize {
        if self.settings.quick { count.div_ceil(10) } else { count }
    }

    fn version(&self) -> String {
        Kind::Forebay.version(Some(&self.forebay))
    }

    fn destination(&self) -> Option<PathBuf> {
        let complete = self.settings.complete && !self.settings.quick && self.settings.split;
        let committed = complete.then(|| tree::root().join("benches/RELOAD.md"));
        self.settings.out.clone().or(committed)
    }
}

/// Streams lead to a service that stays as it is; what changes lies beside it.
fn small_settings(at: gateway::At, origin: SocketAddr, held: SocketAddr, number: usize) -> String {
    // The share of an endpoint, the text of a route, and whether a second endpoint is there at all.
    let (weight, second) = (1 + number % 7, if number.is_multiple_of(2) { "" } else { ", \"127.0.0.1:9\"" });
    format!(
        "{at}limits: {{ connections_per_ip: 20000, body_rate_min: off }}\n\
         services:\n\
         \x20 held: {{ endpoints: [\"{held}\"] }}\n\
         \x20 other: {{ endpoints: [{{ address: \"{origin}\", weight: {weight} }}{second}] }}\n\
         routes:\n\
         \x20 - {{ match: /stream, to: held, name: held }}\n\
         \x20 - {{ match: /plan, respond: \"{number}\", name: plan }}\n\
         \x20 - {{ match: /*, to: other, name: other }}\n"
    )
}

/// A hundred thousand endpoints, of which one is different each time, and a service that answers.
fn large_settings(at: gateway::At, origin: SocketAddr, number: usize) -> String {
    let mut text = format!("{at}services:\n  origin: {{ endpoints: [\"{origin}\"] }}\n");
    for service in 0..SERVICES {
        text.push_str(&format!("  s{service}:\n    endpoints:\n"));
        for endpoint in 0..ENDPOINTS {
            let last = if endpoint == 0 { 200 + number % 50 } else { endpoint % 200 };
            text.push_str(&format!("      - 10.{service}.{}.{last}:80\n", endpoint / 200));
        }
    }
    text.push_str("routes:\n  - { match: /*, to: origin }\n");
    for service in 0..SERVICES {
        text.push_str(&format!("  - {{ match: /s{service}/*, to: s{service} }}\n"));
    }
    text
}

/// The middle one, the greatest one.
fn middle_and_most(times: &[Duration]) -> (Duration, Duration) {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let middle = sorted.get(sorted.len() / 2).copied().unwrap_or_default();
    (middle, sorted.last().copied().unwrap_or_default())
}

/// Fails unless a reply of the admin side is a success that says something changed.
fn check_changed(reply: &[u8]) -> Result<()> {
    let value: serde_json::Value = serde_json::from_slice(reply).context("the reply is not JSON")?;
    if value["changed"] != true {
        bail!("the gateway says that nothing changed: {value}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_of_a_large_service_are_all_different() {
        let text = large_settings(gateway::At::of(1, 2), SocketAddr::from(([127, 0, 0, 1], 3)), 7);
        let mut seen = std::collections::HashSet::new();
        let endpoints = text.lines().filter(|line| line.starts_with("      - "));
        assert_eq!(endpoints.filter(|line| seen.insert(*line)).count(), SERVICES * ENDPOINTS);
    }

    #[test]
    fn the_middle_is_the_median() {
        let times: Vec<Duration> = [3, 1, 2].into_iter().map(Duration::from_secs).collect();
        assert_eq!(middle_and_most(&times), (Duration::from_secs(2), Duration::from_secs(3)));
    }
}
