//! `forebay upgrade`: the program's file, as it is now, takes over from the process that runs.

use std::time::Duration;

use super::Output;
use super::remote::{Remote, printable};
use crate::cli::EXIT_OK;
use crate::cli::admin::Upgrade;

/// Longest wait for the new process to be ready: the gateway gives up before.
const UPGRADE_MAX: Duration = Duration::from_secs(600);

/// Upgrades and says what came of it. Gives the exit status.
///
/// # Errors
/// The new process did not become ready, and the old one serves on; or nobody answers.
pub fn upgrade(args: &Upgrade, out: &mut Output<'_>) -> anyhow::Result<u8> {
    let remote = Remote::find(&args.admin)?;
    let report = remote.ask("POST", "/api/v1/upgrade", None, UPGRADE_MAX)?.expect_done()?;
    if args.json {
        out.line(format!("{report:#}"))?;
        return Ok(EXIT_OK);
    }
    let told =
        report["detail"].as_str().unwrap_or("the new process serves, the old one finishes what it has");
    out.line(format!("{}: {}", out.green("upgraded"), printable(told)))?;
    Ok(EXIT_OK)
}
