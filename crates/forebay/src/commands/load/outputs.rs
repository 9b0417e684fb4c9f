//! Where the result of a run goes, and what the exit status says of it.

use std::fs;
use std::path::Path;
use std::time::SystemTime;

use anyhow::Context as _;
use forebay_load::outcome::Outcome;
use forebay_load::report::{self, Ink};
use forebay_load::verdict::{Kind, Verdict};

use crate::cli::EXIT_OK;
use crate::cli::load::Outputs;
use crate::commands::Output;

/// Makes sure that results can be written before time is spent on them.
///
/// # Errors
/// A folder cannot be made, or is none.
pub(super) fn prepare(outputs: &Outputs) -> anyhow::Result<()> {
    let Outputs { json: _, out, report, save, junit, prometheus, hgrm } = outputs;
    if let Some(folder) = out {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    for file in [report, save, junit, prometheus, hgrm].into_iter().flatten() {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        anyhow::ensure!(
            folder.is_dir(),
            "cannot write {}: there is no folder {}",
            file.display(),
            folder.display()
        );
    }
    Ok(())
}

/// The exit status of several verdicts: of the one that says least for the target.
pub(super) fn status(verdicts: impl Iterator<Item = Kind>) -> u8 {
    let status = |kind| Verdict { kind, ..Verdict::default() }.exit_code();
    let rank = |kind: &Kind| match kind {
        Kind::Pass => 0,
        Kind::Inconclusive => 1,
        Kind::Fail => 2,
        Kind::Invalid => 3,
    };
    verdicts.max_by_key(rank).map_or(EXIT_OK, status)
}

/// Writes a file.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_file(file: &Path, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    fs::write(file, content).with_context(|| format!("cannot write {}", file.display()))
}

/// Now, in milliseconds since 1970.
pub(super) fn unix_ms() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// A form of a result, and what its file is called in a folder of all of them.
type Form = (&'static str, fn(&Outcome) -> String);

const HTML: Form = ("report.html", report::html::run);
const JSON: Form = ("result.json", report::json::write);
const JUNIT: Form = ("junit.xml", report::junit);
const PROMETHEUS: Form = ("metrics.prom", report::prometheus);
const HGRM: Form = ("response.hgrm", report::hgrm);

/// Writes whatever is asked for, and tells what came of it.
///
/// # Errors
/// A file cannot be written.
pub(super) fn write(outputs: &Outputs, outcome: &Outcome, out: &mut Output<'_>) -> anyhow::Result<()> {
    let Outputs { json, out: folder, report, save, junit, prometheus, hgrm } = outputs;
    if *json {
        out.line(report::json::write(outcome).trim_end())?;
    } else {
        out.line(text(outcome, out).trim_end())?;
    }
    for (file, (name, form)) in
        [(report, HTML), (save, JSON), (junit, JUNIT), (prometheus, PROMETHEUS), (hgrm, HGRM)]
    {
        let files = [file.clone(), folder.as_ref().map(|folder| folder.join(name))];
        for file in files.into_iter().flatten() {
            write_file(&file, form(outcome))?;
        }
    }
    if let Some(page) =
        report.clone().or_else(|| folder.as_ref().map(|folder| folder.join(HTML.0))).filter(|_| !json)
    {
        out.line(format!("\nThe report is in {}.", page.display()))?;
    }
    Ok(())
}

/// The result as people read it on a terminal.
fn text(outcome: &Outcome, out: &Output<'_>) -> String {
    report::text(outcome, &|ink, text| match ink {
        Ink::Strong => out.bold(text),
        Ink::Good => out.green(text),
        Ink::Bad => out.red(text),
        Ink::Doubtful => out.yellow(text),
        Ink::Soft => out.dim(text),
    })
}
