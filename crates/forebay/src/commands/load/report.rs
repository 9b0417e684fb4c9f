//! `forebay load report`: reports of a saved result.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use forebay_load::capacity::Saved;
use forebay_load::outcome::Outcome;
use forebay_load::report::json;

use super::{capacity, outputs};
use crate::cli::load::Report;
use crate::commands::Output;
use crate::load;

/// Largest saved result that is read, in bytes.
const RESULT_MAX: u64 = 256 << 20;

/// Writes the reports. Gives the exit status of the verdict.
///
/// # Errors
/// The result cannot be read, or a report not be written.
pub(super) fn report(args: &Report, out: &mut Output<'_>) -> anyhow::Result<u8> {
    let text = text(&args.result)?;
    if let Some(search) = Saved::read(&text) {
        let search = search.map_err(|error| anyhow!("{}: {error}", args.result.display()))?;
        return capacity::report(&search, &args.outputs, out);
    }
    let outcome = outcome(&text, &args.result)?;
    outputs::prepare(&args.outputs)?;
    outputs::write(&args.outputs, &outcome, out)?;
    Ok(outcome.verdict.exit_code())
}

/// A saved result.
///
/// # Errors
/// It cannot be read, or is none of this version.
pub(super) fn read(path: &Path) -> anyhow::Result<Outcome> {
    outcome(&text(path)?, path)
}

fn text(path: &Path) -> anyhow::Result<String> {
    let name = path.display();
    let bytes = load::read_file(path, RESULT_MAX).map_err(|error| anyhow!("cannot read {name}: {error}"))?;
    String::from_utf8(bytes).with_context(|| format!("{name} is no result of `forebay load --save`"))
}

fn outcome(text: &str, path: &Path) -> anyhow::Result<Outcome> {
    json::read(text).map_err(|error| anyhow!("{}: {error}", path.display()))
}
