//! Compare Forebay with its peers on this machine, in alternating rounds, by ratios.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;

use crate::{build, tools, tree};

mod balance;
mod certificate;
mod client;
mod closed;
mod failover;
mod generators;
mod handshakes;
mod headline;
mod histogram;
mod idle;
pub(crate) mod machine;
mod multiplexed;
mod open;
mod peer;
mod process;
mod reload;
mod report;
mod result;
mod rounds;
mod row;
mod upgrade;
mod wire;

use machine::{Folder, Pinning};
use peer::Kind;
use row::Row;

/// `cargo xtask bench`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// What is compared
    #[arg(value_enum, default_value_t = Subject::Proxy)]
    subject: Subject,
    /// Each round measures every row with every peer
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Time of one measurement
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Only these rows
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROW")]
    only: Vec<row::Name>,
    /// With `load`: only these parts
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PART")]
    parts: Vec<generators::Part>,
    /// With `failover`: only these
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SCENARIO")]
    scenarios: Vec<failover::Scenario>,
    /// Who is compared; ratios are of the first to each other one
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = DEFAULT_PEERS)]
    peers: Vec<Kind>,
    /// One round of one second: to see that everything works
    #[arg(long)]
    quick: bool,
    /// Compare the first peer with itself: how far ratios stray from 1 is the noise
    #[arg(long)]
    aa: bool,
    /// Keep the proxy on one core and load and origin on the others
    #[arg(long, value_enum, default_value_t = Pin::Split)]
    pin: Pin,
    /// Run ahead of everything else on a machine that is not quiet; needs root
    #[arg(long)]
    ahead: bool,
    /// Print the figures as JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Also write the tables here; a complete run writes benches/RESULTS.md without being asked
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Measure this binary instead of building one
    #[arg(long, value_name = "FILE")]
    forebay: Option<PathBuf>,
    /// With `balance`: an older binary to compare with
    #[arg(long, value_name = "FILE")]
    before: Option<PathBuf>,
}

const DEFAULT_PEERS: [Kind; 3] = [Kind::Forebay, Kind::Nginx, Kind::Haproxy];

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Subject {
    /// The plain reverse proxy, with nginx and HAProxy
    Proxy,
    /// The load tester, with other load generators; writes benches/LOAD_RESULTS.md
    Load,
    /// An origin fails under load, with nginx and HAProxy; writes benches/FAILOVER.md
    Failover,
    /// Reloads under long streams and requests; writes benches/RELOAD.md
    Reload,
    /// The process is replaced under load, with nginx and HAProxy; writes benches/UPGRADE.md
    Upgrade,
    /// What picking an endpoint costs; writes benches/BALANCE.md
    Balance,
}

/// Which cores do what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Pin {
    /// The proxy has the first core for itself; load and origin share the others
    Split,
    /// The kernel decides
    None,
}

/// Measures, prints, and writes down.
pub(crate) fn run(args: &Args) -> Result<()> {
    match args.subject {
        Subject::Proxy => run_proxy(args),
        Subject::Load => run_load(args),
        Subject::Failover => run_failover(args),
        Subject::Reload => run_reload(args),
        Subject::Upgrade => run_upgrade(args),
        Subject::Balance => run_balance(args),
    }
}

fn run_failover(args: &Args) -> Result<()> {
    if args.ahead {
        machine::run_ahead()?;
    }
    failover::run(failover::Settings {
        peers: peers(args)?,
        scenarios: args.scenarios.clone(),
        quick: args.quick,
        split: args.pin == Pin::Split,
        complete: args.peers == DEFAULT_PEERS && !args.aa && args.forebay.is_none(),
        out: args.out.clone(),
        forebay: args.forebay.clone(),
    })
}

fn run_reload(args: &Args) -> Result<()> {
    if args.ahead {
        machine::run_ahead()?;
    }
    reload::run(reload::Settings {
        quick: args.quick,
        split: args.pin == Pin::Split,
        complete: args.forebay.is_none(),
        out: args.out.clone(),
        forebay: args.forebay.clone(),
    })
}

fn run_upgrade(args: &Args) -> Result<()> {
    if args.ahead {
        machine::run_ahead()?;
    }
    upgrade::run(upgrade::Settings {
        peers: peers(args)?,
        quick: args.quick,
        split: args.pin == Pin::Split,
        complete: args.peers == DEFAULT_PEERS && !args.aa && args.forebay.is_none(),
        out: args.out.clone(),
        forebay: args.forebay.clone(),
    })
}

fn run_balance(args: &Args) -> Result<()> {
    if args.ahead {
        machine::run_ahead()?;
    }
    balance::run(balance::Settings {
        // Many short turns: what slows the machine for a while then slows all alike.
        rounds: if args.quick { 1 } else { args.rounds.saturating_mul(args.seconds) },
        split: args.pin == Pin::Split,
        json: args.json,
        complete: !args.quick && args.rounds >= 5 && args.seconds >= 5 && args.forebay.is_none(),
        out: args.out.clone(),
        forebay: args.forebay.clone(),
        before: args.before.clone(),
    })
}

fn run_load(args: &Args) -> Result<()> {
    if args.ahead {
        machine::run_ahead()?;
    }
    generators::run(generators::Settings {
        rounds: args.rounds,
        seconds: args.seconds,
        quick: args.quick,
        parts: args.parts.clone(),
        split: args.pin == Pin::Split,
        out: args.out.clone(),
        forebay: args.forebay.clone(),
    })
}

fn run_proxy(args: &Args) -> Result<()> {
    let peers = peers(args)?;
    tools::provide(tools::FOR_BENCH)?;
    let forebay = forebay(args, &peers)?;
    machine::raise_open_files()?;
    if args.ahead {
        machine::run_ahead()?;
    }
    let folder = Folder::create()?;
    machine::clean_up_on_signals(folder.path().to_owned())?;

    let plan = rounds::Plan {
        rows: rows(args),
        peers,
        rounds: if args.quick { 1 } else { args.rounds },
        seconds: if args.quick { 1 } else { args.seconds },
        pinning: Pinning::choose(args.pin == Pin::Split)?,
        forebay,
    };
    let result = rounds::run(&plan, folder.path())?;
    let text = report::markdown(&plan, &result)?;
    if args.json {
        println!("{:#}", report::json(&plan, &result));
    } else {
        println!("{text}");
    }
    if let Some(path) = destination(args) {
        headline::write_page(&path, &text)?;
    }
    Ok(())
}

fn peers(args: &Args) -> Result<Vec<Kind>> {
    let mut peers = args.peers.clone();
    if args.aa {
        peers.truncate(1);
        peers.push(peers[0]);
    }
    if peers.is_empty() {
        bail!("--peers needs at least one name");
    }
    Ok(peers)
}

fn forebay(args: &Args, peers: &[Kind]) -> Result<Option<PathBuf>> {
    if !peers.contains(&Kind::Forebay) {
        return Ok(None);
    }
    build::gateway_or(args.forebay.as_deref()).map(Some)
}

fn rows(args: &Args) -> Vec<&'static Row> {
    row::ALL.iter().filter(|row| args.only.is_empty() || args.only.contains(&row.name)).collect()
}

/// Only a complete run may replace the committed results.
fn destination(args: &Args) -> Option<PathBuf> {
    let complete = !args.quick
        && !args.aa
        && args.only.is_empty()
        && args.peers == DEFAULT_PEERS
        && args.pin == Pin::Split
        && args.rounds >= 5
        && args.forebay.is_none();
    args.out.clone().or_else(|| complete.then(|| tree::root().join("benches").join(headline::RESULTS)))
}
