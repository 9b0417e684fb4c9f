//! Closed-loop load with wrk: each connection asks again once it was answered.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::machine::Pinning;
use super::peer;
use super::row::Entry;
use crate::{shell, tree};

/// What to send, to whom, for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) address: SocketAddr,
    /// Plain or secured: wrk speaks HTTP/1.1 only.
    pub(crate) entry: Entry,
    pub(crate) path: &'a str,
    pub(crate) connections: u32,
    pub(crate) body: u32,
    /// None: all requests are the same. Else each in turn has one of these, and a path of its own below `path`.
    pub(crate) cookies: &'a [String],
    pub(crate) seconds: u32,
    pub(crate) pinning: &'a Pinning,
}

/// What wrk counted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Counts {
    /// Answered requests.
    pub(crate) requests: u64,
    /// From start to end.
    pub(crate) seconds: f64,
    /// Median latency in µs.
    pub(crate) p50: f64,
    /// 99th percentile of latency in µs.
    pub(crate) p99: f64,
    /// Failed connects, reads, writes, statuses and timeouts by name; `None` when there were none.
    pub(crate) fault: Option<String>,
}

/// Runs wrk to its end.
pub(crate) fn run(plan: Plan<'_>) -> Result<Counts> {
    let Plan { address, entry, path, connections, body, cookies, seconds, pinning } = plan;
    let mut wrk = peer::wrk(pinning)?;
    wrk.args(["--threads", "1", "--timeout", "10s"])
        .args(["--connections", &connections.to_string()])
        .args(["--duration", &format!("{seconds}s")])
        .arg("--script")
        .arg(tree::root().join("benches/wrk.lua"))
        .arg(format!("{}://{address}{path}", entry.scheme()))
        .args(["--", &body.to_string()])
        .args(cookies);
    let output = shell::read(&mut wrk)?;
    parse(&output).with_context(|| format!("wrk printed no figures: {output}"))
}

/// Reads the line that benches/wrk.lua writes.
fn parse(output: &str) -> Option<Counts> {
    let line = output.lines().find_map(|line| line.strip_prefix("figures "))?;
    let mut figures = line.split(' ').filter_map(|word| {
        let (name, value) = word.split_once('=')?;
        Some((name, value.parse::<u64>().ok()?))
    });
    let mut next = |expected| figures.next().filter(|(name, _)| *name == expected).map(|(_, value)| value);
    let requests = next("requests")?;
    let micros = next("micros")?;
    let mut faults = Vec::new();
    for name in ["connect", "read", "write", "status", "timeout"] {
        let count = next(name)?;
        if count > 0 {
            faults.push(format!("{count} {name} errors"));
        }
    }
    let (p50, p99) = (next("p50")? as f64, next("p99")? as f64);
    let fault = (!faults.is_empty()).then(|| faults.join(", "));
    Some(Counts { requests, seconds: micros as f64 / 1e6, p50, p99, fault })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_read_by_name() {
        let output = "Running 1s test\n\
            figures requests=10 micros=2000000 connect=0 read=0 write=0 status=0 timeout=0 p50=5 p99=9\n";
        let expected = Counts { requests: 10, seconds: 2.0, p50: 5.0, p99: 9.0, fault: None };
        assert_eq!(parse(output), Some(expected));
    }

    #[test]
    fn errors_are_named() {
        let output = "figures requests=1 micros=1 connect=0 read=3 write=0 status=2 timeout=0 p50=5 p99=9";
        let fault = parse(output).and_then(|counts| counts.fault);
        assert_eq!(fault.as_deref(), Some("3 read errors, 2 status errors"));
        assert_eq!(parse("figures requests=1"), None);
    }
}
