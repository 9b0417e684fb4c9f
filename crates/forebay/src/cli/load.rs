//! The words of `forebay load`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use forebay_base::units;
use forebay_load::lab::Watch;
use forebay_load::threshold::Threshold;

use crate::load::levels::{self, Levels, Unit};
use crate::load::{self, target};

/// Exit status when a threshold failed, or a comparison found the other side slower.
pub const EXIT_FAIL: u8 = 3;
/// Exit status when a run says nothing, because the generator itself did not keep up.
pub const EXIT_INVALID: u8 = 4;
/// Exit status when there is too little data for a verdict.
pub const EXIT_INCONCLUSIVE: u8 = 5;

/// What every help of `load` ends with.
const STATUS: &str = "Exit status: 0 it passed; 1 it could not be done; 2 the command line is wrong; 3 it failed; 4 invalid: the \
     generator did not keep up, so the figures say nothing; 5 inconclusive: too few samples for a verdict.";

/// Test a service under load.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true, after_help = STATUS)]
pub struct Load {
    /// What else than a single test.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// A single test.
    #[command(flatten)]
    pub test: Test,
}

/// What else than a single test.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find the highest rate at which objectives hold
    #[command(after_help = STATUS)]
    Capacity(Capacity),
    /// Tell whether one side is faster, from repeated runs or from saved results
    #[command(after_help = STATUS)]
    Compare(Compare),
    /// Tell what 1, 2, 4 workers of a process bring
    #[command(after_help = STATUS)]
    Scale(Scale),
    /// Send recorded traffic again, with its timing
    #[command(after_help = STATUS)]
    Replay(Replay),
    /// Make a recording of another tool's requests, or a plan of its plan
    Import(Import),
    /// Write reports of a saved result
    #[command(after_help = STATUS)]
    Report(Report),
    /// Tell every problem of a plan
    Check(Check),
    /// Print the JSON Schema of plan files, for editors
    Schema,
}

/// A single test.
#[derive(Debug, Args)]
pub struct Test {
    /// What to test: a URL, or a plan file
    #[arg(value_name = "URL|PLAN", required = true)]
    pub what: Option<String>,
    /// How much.
    #[command(flatten)]
    pub amount: Amount,
    /// How it is asked.
    #[command(flatten)]
    pub asked: Asked,
    /// A condition for the test to pass, such as `p(99)<200ms` or `rate<0.1%`; may be given several times; if none is
    /// about errors, `rate<1%` is implied
    #[arg(long = "threshold", value_name = "CONDITION", value_parser = threshold)]
    pub thresholds: Vec<Threshold>,
    /// Look at a process meanwhile: NAME=pid:123 or NAME=port:8080, either with `,http://HOST:PORT` where it serves
    /// profiles, or NAME=http://HOST:PORT
    #[arg(long, value_name = "NAME=OF", value_parser = watch)]
    pub watch: Vec<Watch>,
    /// Where results go.
    #[command(flatten)]
    pub outputs: Outputs,
    /// What it is held against.
    #[command(flatten)]
    pub baseline: Baseline,
}

/// What a test is held against.
#[derive(Clone, Debug, Args)]
pub struct Baseline {
    /// Fail if this is worse than earlier results, a folder of at least 5 that `--save` wrote: if p99 or errors are
    /// beyond what another run like those would have (97.5 %), and p99 by more than the tolerance or errors by more
    /// than 1 % of all requests
    #[arg(long, value_name = "DIR")]
    pub baseline: Option<PathBuf>,
    /// With a baseline: run so often, and judge the mean; reports are of the last run
    #[arg(long, value_name = "N", default_value_t = 1, requires = "baseline", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub runs: u16,
    /// With a baseline: how much longer p99 may be
    #[arg(long, value_name = "PERCENT", requires = "baseline", value_parser = percent, default_value = "20%")]
    pub tolerance: f64,
}

/// How much, for how long.
#[derive(Clone, Debug, Default, Args)]
pub struct Amount {
    /// Arrivals per second: `1000`, a ramp `200..1000`, or stages `30s@50, 1m@50..200` [default: 100]
    #[arg(long, value_name = "RATE", value_parser = rate, conflicts_with = "users", allow_negative_numbers = true)]
    pub rate: Option<Levels>,
    /// Users who each ask again once answered: `500`, `50..500`, or stages `30s@50..500`
    #[arg(long, value_name = "USERS", value_parser = users, allow_negative_numbers = true)]
    pub users: Option<Levels>,
    /// How long altogether [default: 30s]; the parts of a spike keep their proportion
    #[arg(long = "for", value_name = "TIME", value_parser = length)]
    pub length: Option<Duration>,
    /// With users: so many runs of scenarios together, then it is over
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000_000))]
    pub iterations: Option<u64>,
    /// Stages for a common purpose; `--rate` is the base, or `base..peak` of a spike
    #[arg(long, value_name = "NAME")]
    pub preset: Option<Preset>,
    /// Begin with so much time that is drawn, but not judged
    #[arg(long, value_name = "TIME", value_parser = length)]
    pub warmup: Option<Duration>,
    /// Let arrivals come by chance, as independent users do, instead of evenly
    #[arg(long)]
    pub poisson: bool,
}

/// Stages for a common purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// Many come at once, by default ten times as many.
    Spike,
    /// The same for a long time, by default 30 minutes.
    Soak,
}

/// How requests are made.
#[derive(Clone, Debug, Default, Args)]
pub struct Asked {
    /// A header of every request; may be given several times
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    pub headers: Vec<(String, String)>,
    /// The body, a template in which `{{{{` stands for `{{`, or `@FILE`, which is sent as it is; JSON is sent as
    /// `application/json` and anything else without a content type, unless `-H` says one; with a URL only
    #[arg(short, long, value_name = "BODY|@FILE")]
    pub data: Option<String>,
    /// The method [default: GET, or POST with a body]; with a URL only
    #[arg(short = 'X', long = "method", value_name = "METHOD", value_parser = method)]
    pub method: Option<String>,
    /// Where a plan's requests go, whatever the plan says
    #[arg(long, value_name = "URL", value_parser = url)]
    pub target: Option<target::Url>,
    /// Longest time for a request [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = length)]
    pub timeout: Option<Duration>,
    /// How long answers are waited for after the end [default: 10s]
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub grace: Option<Duration>,
    /// What choices by chance follow from [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Threads that send [default: half of the processors]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    pub workers: Option<u16>,
    /// Users, and so connections, at once when the rate is given [default: 10000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub users_max: Option<u32>,
    /// Open a connection for every request
    #[arg(long)]
    pub no_keep_alive: bool,
    /// What is spoken.
    #[command(flatten)]
    pub protocol: Protocol,
}

/// What is spoken with the target.
#[derive(Clone, Debug, Default, Args)]
pub struct Protocol {
    /// Speak HTTP/2: `on` (over `http://` without asking), `off`, or `auto`: over `https://` if the server agrees
    /// [default: auto]
    #[arg(long, value_name = "WHEN", num_args = 0..=1, require_equals = true, default_missing_value = "on")]
    pub http2: Option<When>,
    /// Most connections at once that requests share, with HTTP/2 [default: 16 before any carries two requests]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub connections: Option<u32>,
    /// Most requests at once on one connection, with HTTP/2 [default: 100]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub streams: Option<u32>,
    /// Let any certificate do
    #[arg(long, conflicts_with = "ca")]
    pub insecure: bool,
    /// Who vouches for the server, in PEM [default: the system's roots]
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// A certificate to show to a server that asks for one, in PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    pub cert: Option<PathBuf>,
    /// Its private key, in PEM
    #[arg(long, value_name = "FILE", requires = "cert")]
    pub key: Option<PathBuf>,
    /// The name to ask for and to check in certificates [default: the host of the URL]
    #[arg(long, value_name = "NAME")]
    pub server_name: Option<String>,
    /// Go on with earlier TLS sessions, as one returning client would; otherwise each connection is a handshake in
    /// full
    #[arg(long)]
    pub resume: bool,
}

/// Whether HTTP/2 is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// Always.
    On,
    /// Never.
    Off,
    /// If the server agrees.
    Auto,
}

/// Where results go besides the terminal.
#[derive(Clone, Debug, Default, Args)]
pub struct Outputs {
    /// Print the result as JSON, for programs
    #[arg(long)]
    pub json: bool,
    /// Write every report into this folder, which is made if need be
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write the report, a page that needs nothing else
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Write the result as JSON, to compare with later
    #[arg(long, value_name = "FILE.json")]
    pub save: Option<PathBuf>,
    /// Write the verdicts as JUnit XML
    #[arg(long, value_name = "FILE.xml")]
    pub junit: Option<PathBuf>,
    /// Write figures in the text format of Prometheus
    #[arg(long, value_name = "FILE")]
    pub prometheus: Option<PathBuf>,
    /// Write response times as an HDR histogram's percentiles
    #[arg(long, value_name = "FILE.hgrm")]
    pub hgrm: Option<PathBuf>,
}

/// Tell what more workers of a process bring.
#[derive(Debug, Args)]
pub struct Scale {
    /// A plan file that starts a process with `{workers}` in its `command` or `env`
    #[arg(value_name = "PLAN")]
    pub plan: String,
    /// How many workers, each in turn; the first is what the others are compared with
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_value = "1,2,4", value_parser = clap::value_parser!(u32).range(1..=1_024))]
    pub counts: Vec<u32>,
    /// Runs with each number, of which the middle one counts
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub runs: u16,
    /// How it is asked.
    #[command(flatten)]
    pub asked: Asked,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}
/// Find the highest rate at which objectives hold.
#[derive(Debug, Args)]
pub struct Capacity {
    /// What to test: a URL, or a plan file, whose stages are not used
    #[arg(value_name = "URL|PLAN")]
    pub what: String,
    /// What must hold, such as `p(99)<200ms` or `rate<0.1%`; may be given several times; if none is about errors,
    /// `rate<1%` is implied
    #[arg(long, value_name = "CONDITION", value_parser = threshold)]
    pub slo: Vec<Threshold>,
    /// The rate to begin with
    #[arg(long, value_name = "RATE", value_parser = levels::rate, default_value = "100/s")]
    pub from: f64,
    /// The highest rate to try
    #[arg(long, value_name = "RATE", value_parser = levels::rate, default_value = "100000/s")]
    pub to: f64,
    /// How close the highest rate that held and the lowest that did not have to be
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "5%")]
    pub precision: f64,
    /// How long each rate is tried, after a time to settle
    #[arg(long, value_name = "TIME", value_parser = length, default_value = "15s")]
    pub step: Duration,
    /// Let arrivals come by chance, as independent users do, instead of evenly
    #[arg(long)]
    pub poisson: bool,
    /// How it is asked.
    #[command(flatten)]
    pub asked: Asked,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
    /// Write the report, a page that needs nothing else
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE.json")]
    pub save: Option<PathBuf>,
}

/// Tell whether one side is faster.
#[derive(Debug, Args)]
pub struct Compare {
    /// One side: a URL or plan to run, or a saved result or a folder of them
    pub before: String,
    /// The other side, of the same kind
    pub after: String,
    /// How often each side is run, in turns [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub runs: Option<u32>,
    /// The smallest difference that matters
    #[arg(long, value_name = "PERCENT", value_parser = percent, default_value = "5%")]
    pub effect: f64,
    /// How much.
    #[command(flatten)]
    pub amount: Amount,
    /// How it is asked.
    #[command(flatten)]
    pub asked: Asked,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
    /// Write the report, a page that needs nothing else
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Keep the result of every run in this folder, which is made if need be
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// Send recorded traffic again.
#[derive(Debug, Args)]
pub struct Replay {
    /// The recording
    pub recording: PathBuf,
    /// Where requests go
    #[arg(long, value_name = "URL", value_parser = url)]
    pub target: target::Url,
    /// How many times as fast as it was recorded
    #[arg(long, value_name = "FACTOR", value_parser = factor, default_value = "1")]
    pub speed: f64,
    /// A condition for the test to pass; may be given several times; if none is about errors, `rate<1%` is implied
    #[arg(long = "threshold", value_name = "CONDITION", value_parser = threshold)]
    pub thresholds: Vec<Threshold>,
    /// Send the target's name as `Host`, not the recorded one
    #[arg(long)]
    pub new_host: bool,
    /// Longest time for a request
    #[arg(long, value_name = "TIME", value_parser = length, default_value = "10s")]
    pub timeout: Duration,
    /// Users, and so connections, at once
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub users_max: u32,
    /// What is spoken.
    #[command(flatten)]
    pub protocol: Protocol,
    /// Where results go.
    #[command(flatten)]
    pub outputs: Outputs,
}

/// Make a recording of another tool's requests, or a plan of its plan.
#[derive(Debug, Args)]
pub struct Import {
    /// Whose format it is
    pub format: Format,
    /// The file
    pub file: PathBuf,
    /// Where the recording or plan goes [default: standard output]
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    /// Take only requests to this host, `*` for all, `none` for those that name none; needed when there are several
    #[arg(long)]
    pub host: Option<String>,
    /// Keep cookies, credentials and the like
    #[arg(long)]
    pub secrets: bool,
    /// Take requests from a log that may change something, not GET and HEAD alone
    #[arg(long)]
    pub all_methods: bool,
    /// How fast the requests of a list are to be sent, which has no times [default: 50/s]
    #[arg(long, value_name = "RATE", value_parser = levels::rate)]
    pub rate: Option<f64>,
    /// For how long [default: 30s]
    #[arg(long = "for", value_name = "TIME", value_parser = length)]
    pub length: Option<Duration>,
}

/// What can be imported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// Targets of Vegeta, as text or JSON lines.
    Vegeta,
    /// An access log, in the common or combined format or as Forebay writes it, text or JSON.
    AccessLog,
    /// An HTTP archive, as browsers save it.
    Har,
    /// Options of k6 as JSON; scripts are refused.
    K6,
    /// The HTTP part of an Artillery script.
    Artillery,
    /// A URL in each line.
    Urls,
}

/// Write reports of a saved result.
#[derive(Debug, Args)]
pub struct Report {
    /// The result, as `--save` writes it
    pub result: PathBuf,
    /// Where results go.
    #[command(flatten)]
    pub outputs: Outputs,
}

/// Tell every problem of a plan.
#[derive(Debug, Args)]
pub struct Check {
    /// The plan file
    pub plan: PathBuf,
    /// Where its requests go, whatever the plan says
    #[arg(long, value_name = "URL", value_parser = url)]
    pub target: Option<target::Url>,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// The flags that are given.
fn named<const N: usize>(flags: [(&'static str, bool); N]) -> impl Iterator<Item = &'static str> {
    flags.into_iter().filter(|(_, given)| *given).map(|(flag, _)| flag)
}

impl Amount {
    /// The flags that are given.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        let Self { rate, users, length, iterations, preset, warmup, poisson } = self;
        named([
            ("--rate", rate.is_some()),
            ("--users", users.is_some()),
            ("--for", length.is_some()),
            ("--iterations", iterations.is_some()),
            ("--preset", preset.is_some()),
            ("--warmup", warmup.is_some()),
            ("--poisson", *poisson),
        ])
    }
}

impl Asked {
    /// The flags that are given.
    pub fn given(&self) -> impl Iterator<Item = &'static str> {
        let Self {
            headers,
            data,
            method,
            target,
            timeout,
            grace,
            seed,
            workers,
            users_max,
            no_keep_alive,
            protocol,
        } = self;
        let own = named([
            ("-H", !headers.is_empty()),
            ("-d", data.is_some()),
            ("-X", method.is_some()),
            ("--target", target.is_some()),
            ("--timeout", timeout.is_some()),
            ("--grace", grace.is_some()),
            ("--seed", seed.is_some()),
            ("--workers", workers.is_some()),
            ("--users-max", users_max.is_some()),
            ("--no-keep-alive", *no_keep_alive),
        ]);
        own.chain(protocol.given())
    }
}

impl Protocol {
    fn given(&self) -> impl Iterator<Item = &'static str> {
        let Self { http2, connections, streams, insecure, ca, cert, key, server_name, resume } = self;
        named([
            ("--http2", http2.is_some()),
            ("--connections", connections.is_some()),
            ("--streams", streams.is_some()),
            ("--insecure", *insecure),
            ("--ca", ca.is_some()),
            ("--cert", cert.is_some()),
            ("--key", key.is_some()),
            ("--server-name", server_name.is_some()),
            ("--resume", *resume),
        ])
    }
}

impl Compare {
    /// The flags that only runs need: saved results have had theirs.
    pub fn only_for_runs(&self) -> impl Iterator<Item = &'static str> {
        let Self { runs, amount, asked, out, before: _, after: _, effect: _, json: _, report: _ } = self;
        let own = named([("--runs", runs.is_some()), ("--out", out.is_some())]);
        own.chain(amount.given()).chain(asked.given())
    }
}

impl Import {
    /// The flags that mean nothing in this format.
    pub fn idle(&self) -> impl Iterator<Item = &'static str> {
        let Self { format, host, secrets, all_methods, rate, length, file: _, out: _ } = self;
        let list = matches!(format, Format::Vegeta | Format::Urls);
        let plan = matches!(format, Format::K6 | Format::Artillery);
        named([
            ("--host", plan && host.is_some()),
            ("--secrets", (plan || *format == Format::Urls) && *secrets),
            ("--all-methods", *format != Format::AccessLog && *all_methods),
            ("--rate", !list && rate.is_some()),
            ("--for", !list && length.is_some()),
        ])
    }
}

fn rate(text: &str) -> Result<Levels, String> {
    levels::parse(text, Unit::Rate)
}

fn users(text: &str) -> Result<Levels, String> {
    levels::parse(text, Unit::Users)
}

fn length(text: &str) -> Result<Duration, String> {
    levels::length(text)
}

fn time(text: &str) -> Result<Duration, String> {
    units::parse_duration(text).map_err(|error| format!("{error}; write {}", units::DURATION_HELP))
}

fn threshold(text: &str) -> Result<Threshold, String> {
    load::threshold(text)
}

fn url(text: &str) -> Result<target::Url, String> {
    let url = target::parse(text).map_err(|wrong| format!("{}; {}", wrong.what, wrong.fix))?;
    if url.path.contains('?') {
        return Err("a target has no query; write it into the paths of the steps".to_owned());
    }
    Ok(url)
}

fn header(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once(':').ok_or("write `name: value`")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}

fn method(text: &str) -> Result<String, String> {
    let token = load::is_token(text);
    token.then(|| text.to_owned()).ok_or_else(|| format!("`{text}` is no method; write, for example, `PUT`"))
}

/// `5%` as 0.05.
fn percent(text: &str) -> Result<f64, String> {
    let percent = text.strip_suffix('%').and_then(|number| number.parse::<f64>().ok());
    let percent = percent.filter(|percent| *percent > 0.0 && *percent <= 100.0);
    percent
        .map(|percent| percent / 100.0)
        .ok_or_else(|| "write a share above nothing, such as `5%`".to_owned())
}

/// Above nothing; at most a thousand times.
fn factor(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix(['x', '×']).unwrap_or(text);
    let factor = number.parse::<f64>().ok().filter(|factor| (0.001..=1_000.0).contains(factor));
    factor.ok_or_else(|| "write a number from 0.001 to 1000, such as `2`".to_owned())
}

fn watch(text: &str) -> Result<Watch, String> {
    load::watch(text)
}

#[cfg(test)]
mod tests;
