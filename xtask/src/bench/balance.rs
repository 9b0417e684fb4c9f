//! What balancing costs: CPU per request before one, ten and a thousand endpoints, by each way of picking.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::machine::{self, Pinning};
use super::peer::{Backend, Kind, Peer, Site};
use super::result::{Figures, Outcome, Sample};
use super::{closed, headline, rounds, row, wire};
use crate::{build, tree};
use subject::Subject;

mod report;
mod subject;

/// Paths, each with a cookie, that are asked for in turn.
const REQUESTS: usize = 100;
/// Of clients.
const CONNECTIONS: u32 = 64;
/// Requests after which every endpoint has had one, or it is not balanced.
const COOKIES_MAX: usize = 2_000;

/// What `cargo xtask bench balance` was told.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Each measures every gateway once, for a second.
    pub(crate) rounds: u32,
    pub(crate) split: bool,
    pub(crate) json: bool,
    /// Whether this may replace the committed results.
    pub(crate) complete: bool,
    pub(crate) out: Option<PathBuf>,
    pub(crate) forebay: Option<PathBuf>,
    /// An older binary to compare with.
    pub(crate) before: Option<PathBuf>,
}

/// What every part needs.
struct Bench {
    settings: Settings,
    pinning: Pinning,
    forebay: PathBuf,
    before: Option<PathBuf>,
    subjects: Vec<Subject>,
    folder: PathBuf,
}

/// Measures, prints, and writes down.
pub(crate) fn run(settings: Settings) -> Result<()> {
    let folder = machine::prepare()?;
    let forebay = build::gateway_or(settings.forebay.as_deref())?;
    let before = settings.before.as_deref().map(build::existing).transpose()?;
    let pinning = Pinning::choose(settings.split)?;
    let subjects = subject::all(before.is_some());
    let bench = Bench { settings, pinning, forebay, before, subjects, folder: folder.path().to_owned() };
    let outcome = bench.measure()?;
    let text = report::markdown(&bench, &outcome);
    if bench.settings.json {
        println!("{:#}", report::json(&bench, &outcome));
    } else {
        println!("{text}");
    }
    match bench.destination() {
        Some(path) => headline::write_page(&path, &text),
        None => Ok(()),
    }
}

impl Bench {
    /// All gateways run all the while; in each round each has its turn, in an order that moves on.
    fn measure(&self) -> Result<Outcome> {
        let origin = Backend::start_at(subject::MANY, &self.folder, &self.pinning)?;
        let peers =
            self.subjects.iter().map(|one| self.start(*one, &origin)).collect::<Result<Vec<Peer>>>()?;
        let sticky = self.subjects.iter().position(|one| *one == subject::STICKY);
        let cookies = learn_cookies(&peers[sticky.context("nobody gives cookies")?])?;
        for peer in &peers {
            closed::run(self.load(peer, &cookies))?;
        }
        let mut outcome = Outcome::default();
        for round in 0..self.settings.rounds {
            for turn in 0..peers.len() {
                let peer = (turn + round as usize) % peers.len();
                let title = self.subjects[peer].title;
                let figures = rounds::closed_figures(&peers[peer], self.load(&peers[peer], &cookies))
                    .with_context(|| title.to_owned())?;
                self.tell(round, title, &figures);
                outcome.samples.push(Sample { row: row::Name::Small, peer, round, figures });
            }
        }
        Ok(outcome)
    }

    fn start(&self, subject: Subject, origin: &Backend) -> Result<Peer> {
        let binary = if subject.is_before { self.before.as_deref() } else { Some(self.forebay.as_path()) };
        let site =
            Site { folder: &self.folder, origin: origin.address, pinning: &self.pinning, forebay: binary };
        let settings = subject.settings(&Kind::Forebay.template("balance")?, origin.address);
        Peer::launch(Kind::Forebay, &settings, site).with_context(|| subject.title.to_owned())
    }

    /// The same for all.
    fn load<'a>(&'a self, peer: &Peer, cookies: &'a [String]) -> closed::Plan<'a> {
        closed::Plan {
            entry: row::Entry::Plain,
            address: peer.address,
            path: "/small",
            connections: CONNECTIONS,
            body: 0,
            cookies,
            seconds: 1,
            pinning: &self.pinning,
        }
    }

    fn tell(&self, round: u32, title: &str, figures: &Figures) {
        let values: Vec<String> =
            figures.values.iter().map(|(metric, value)| format!("{} {value:.2}", metric.title())).collect();
        let fault = figures.fault.as_ref().map_or_else(String::new, |fault| format!(" INVALID: {fault}"));
        eprintln!("round {}/{} · {title} · {}{fault}", round + 1, self.settings.rounds, values.join(" · "));
    }

    fn destination(&self) -> Option<PathBuf> {
        let complete = self.settings.complete && self.settings.split;
        self.settings.out.clone().or_else(|| complete.then(|| tree::root().join("benches/BALANCE.md")))
    }
}

/// Asks without a cookie until every endpoint has given its own; one for each of the different requests.
fn learn_cookies(sticky: &Peer) -> Result<Vec<String>> {
    let mut stream = wire::connect(sticky.address)?;
    let mut cookies: Vec<String> = Vec::new();
    for _ in 0..COOKIES_MAX {
        let (head, _) = wire::exchange(&mut stream, "/small")?;
        let cookie = cookie_of(&String::from_utf8_lossy(&head)).context("no cookie from `sticky`")?;
        if !cookies.contains(&cookie) {
            cookies.push(cookie);
        }
        if cookies.len() == usize::from(subject::TEN) {
            return Ok(cookies.into_iter().cycle().take(REQUESTS).collect());
        }
    }
    bail!("only {} endpoints have given cookies", cookies.len());
}

fn cookie_of(head: &str) -> Option<String> {
    let value = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("set-cookie").then_some(value)
    })?;
    let pair = value.split(';').next()?;
    Some(pair.strip_prefix(subject::COOKIE)?.strip_prefix('=')?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cookie_is_found_by_its_name() {
        let head = |line: &str| format!("HTTP/1.1 200 OK\r\nA: b\r\n{line}\r\n\r\n");
        assert_eq!(cookie_of(&head("Set-Cookie: backend=1f; Path=/")).as_deref(), Some("1f"));
        assert_eq!(cookie_of(&head("Set-Cookie: other=1f; Path=/")), None);
        assert_eq!(cookie_of(&head("Cookie: backend=1f")), None);
    }
}
