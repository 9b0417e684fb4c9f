//! Closed-loop load with h2load: each stream of each connection asks again once it was answered.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::machine::Pinning;
use super::process::launcher;
use super::row::Entry;
use crate::{shell, tools};

/// What to send, to whom, for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) address: SocketAddr,
    pub(crate) entry: Entry,
    pub(crate) path: &'a str,
    pub(crate) connections: u32,
    pub(crate) streams: u32,
    pub(crate) seconds: u32,
    pub(crate) pinning: &'a Pinning,
}

/// What h2load counted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Counts {
    /// Answered requests.
    pub(crate) requests: u64,
    /// Failed, errored and timed out ones; `None` when there were none.
    pub(crate) fault: Option<String>,
}

/// Runs h2load to its end.
pub(crate) fn run(plan: Plan<'_>) -> Result<Counts> {
    let Plan { address, entry, path, connections, streams, seconds, pinning } = plan;
    let scheme = entry.scheme();
    let mut h2load = launcher(&tools::find("h2load").context("h2load is not installed")?, &pinning.rest);
    h2load
        .args(["--threads", "1", "--clients", &connections.to_string()])
        .args(["--max-concurrent-streams", &streams.to_string()])
        .args(["--duration", &seconds.to_string()])
        .arg(format!("{scheme}://{address}{path}"));
    let output = shell::read(&mut h2load)?;
    parse(&output).with_context(|| format!("h2load printed no figures: {output}"))
}

/// Reads the line `requests: 9 total, 9 started, 9 done, 9 succeeded, 0 failed, 0 errored, 0 timeout`.
fn parse(output: &str) -> Option<Counts> {
    let line = output.lines().find_map(|line| line.strip_prefix("requests: "))?;
    let count = |name: &str| -> Option<u64> {
        let mut parts = line.split(", ").filter_map(|part| part.split_once(' '));
        parts.find(|(_, found)| *found == name)?.0.parse().ok()
    };
    let requests = count("succeeded")?;
    let mut faults = Vec::new();
    for name in ["failed", "errored", "timeout"] {
        let count = count(name)?;
        if count > 0 {
            faults.push(format!("{count} {name}"));
        }
    }
    let over_h2 = output.lines().any(|line| line == "Application protocol: h2" || line.ends_with(": h2c"));
    if !over_h2 {
        faults.push("not HTTP/2".to_owned());
    }
    Some(Counts { requests, fault: (!faults.is_empty()).then(|| faults.join(", ")) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(output: &str, expected: Option<(u64, Option<&str>)>) {
        let counts = parse(output);
        let told = counts.as_ref().map(|counts| (counts.requests, counts.fault.as_deref()));
        assert_eq!(told, expected, "{output}");
    }

    #[test]
    fn figures_and_errors_are_read_by_name() {
        let fine = "5 total, 7 started, 5 done, 5 succeeded, 0 failed, 0 errored, 0 timeout";
        check(&format!("Application protocol: h2c\nrequests: {fine}\n"), Some((5, None)));
        check(&format!("Application protocol: h2\nrequests: {fine}\n"), Some((5, None)));
        check(&format!("Application protocol: http/1.1\nrequests: {fine}\n"), Some((5, Some("not HTTP/2"))));
        let failed = "5 total, 7 started, 5 done, 2 succeeded, 3 failed, 1 errored, 0 timeout";
        check(
            &format!("Application protocol: h2\nrequests: {failed}"),
            Some((2, Some("3 failed, 1 errored"))),
        );
        check("requests: 5 total", None);
        check("", None);
    }
}
