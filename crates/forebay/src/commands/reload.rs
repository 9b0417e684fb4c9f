//! `forebay reload`: new settings for a running gateway, and what they change.

use std::time::Duration;

use serde_json::Value;

use super::Output;
use super::remote::{Remote, printable};
use crate::cli::EXIT_OK;
use crate::cli::admin::Reload;

/// Longest wait for the gateway to load its settings.
const RELOAD_MAX: Duration = Duration::from_secs(120);

/// Reloads and says what changed. Gives the exit status.
///
/// # Errors
/// The settings were refused, or nobody answers.
pub fn reload(args: &Reload, out: &mut Output<'_>) -> anyhow::Result<u8> {
    let remote = Remote::find(&args.admin)?;
    let report = remote.ask("POST", "/api/v1/reload", None, RELOAD_MAX)?.expect_done()?;
    if args.json {
        out.line(format!("{report:#}"))?;
        return Ok(EXIT_OK);
    }
    let plan = &report["generation"];
    if report["changed"] == false {
        out.line(format!("{}: plan {plan} stays in use", out.green("nothing changed")))?;
        return Ok(EXIT_OK);
    }
    out.line(format!("{}: plan {plan} is in use", out.green("reloaded")))?;
    for line in report["summary"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        out.line(format!("  {}", printable(line)))?;
    }
    Ok(EXIT_OK)
}
