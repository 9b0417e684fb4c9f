//! Where the result of a run goes, and what the exit status says of it.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::Context as _;
use forebay_load::outcome::Outcome;
use forebay_load::report;
use forebay_load::verdict::{Kind, Verdict};

use super::{Usage, live};
use crate::cli::EXIT_OK;
use crate::cli::load::Outputs;
use crate::commands::Output;

/// Makes sure that results can be written before time is spent on them.
///
/// # Errors
/// A folder cannot be made, a file not be written, or two results would go into one file.
pub(super) fn prepare(outputs: &Outputs) -> anyhow::Result<()> {
    let Outputs { json: _, out, report, save, junit, prometheus, hgrm } = outputs;
    if let Some(folder) = out {
        make_folder(folder)?;
    }
    let mut files = given([
        ("--report", report),
        ("--save", save),
        ("--junit", junit),
        ("--prometheus", prometheus),
        ("--hgrm", hgrm),
    ]);
    files.extend(files_of(outputs).filter(|(_, given, _)| !given).map(|(_, _, file)| ("--out", file)));
    writable(&files)
}

/// Makes a folder for results, if need be.
///
/// # Errors
/// It cannot be made.
pub(super) fn make_folder(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))
}

/// The files that are named by their flags.
pub(super) fn given<const N: usize>(
    files: [(&'static str, &Option<PathBuf>); N],
) -> Vec<(&'static str, PathBuf)> {
    files.into_iter().filter_map(|(flag, file)| Some((flag, file.clone()?))).collect()
}

/// Makes sure that all of these files, each with the flag that names it, can be written.
///
/// # Errors
/// Two of them are one, or one cannot be written.
pub(super) fn writable(files: &[(&str, PathBuf)]) -> anyhow::Result<()> {
    for (index, (flag, file)) in files.iter().enumerate() {
        if let Some((other, _)) = files[..index].iter().find(|(_, other)| is_same(file, other)) {
            let what = format!("{other} and {flag} would both go into {}: name two files", file.display());
            return Err(Usage(what).into());
        }
    }
    let wrong: Vec<String> = files
        .iter()
        .filter_map(|(_, file)| Some(format!("cannot write {}: {}", file.display(), probe(file).err()?)))
        .collect();
    anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(())
}

/// Whether two paths lead to the same place, which need not be there yet.
fn is_same(one: &Path, other: &Path) -> bool {
    let place = |file: &Path| {
        let whole = fs::canonicalize(file);
        whole.or_else(|_| {
            Ok::<_, std::io::Error>(
                fs::canonicalize(folder_of(file))?.join(file.file_name().unwrap_or_default()),
            )
        })
    };
    // Both into the same pipe or device is as the user wants it.
    let is_file = fs::metadata(one).map_or(true, |found| found.is_file());
    is_file && (one == other || matches!((place(one), place(other)), (Ok(one), Ok(other)) if one == other))
}

/// Whether the file could be written, leaving it as it is.
fn probe(file: &Path) -> Result<(), String> {
    match fs::metadata(file) {
        Ok(found) if found.is_dir() => return Err("it is a folder".to_owned()),
        // To open a pipe would wait for its reader.
        Ok(found) if !found.is_file() => return Ok(()),
        Ok(_) => {
            return OpenOptions::new().append(true).open(file).map(drop).map_err(|error| error.to_string());
        }
        Err(_) => {}
    }
    let folder = folder_of(file);
    if !folder.is_dir() {
        return Err(format!("there is no folder {}", folder.display()));
    }
    let made = OpenOptions::new().append(true).create_new(true).open(file);
    made.map(drop).map_err(|error| error.to_string())?;
    fs::remove_file(file).map_err(|error| error.to_string())
}

fn folder_of(file: &Path) -> &Path {
    file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
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

/// Writes files, and goes on where one cannot be written: it is not to take the others with it.
#[derive(Debug, Default)]
pub(super) struct Files {
    failed: Vec<String>,
    replaced: Vec<String>,
}

impl Files {
    /// Writes a file.
    pub(super) fn write(&mut self, file: &Path, content: impl AsRef<[u8]>) {
        let name = file.display().to_string();
        let held = fs::metadata(file).is_ok_and(|found| found.is_file() && found.len() > 0);
        match fs::write(file, content) {
            Ok(()) if held => self.replaced.push(name),
            Ok(()) => {}
            Err(error) => self.failed.push(format!("cannot write {name}: {error}")),
        }
    }

    /// Says which files were there before.
    ///
    /// # Errors
    /// Some could not be written.
    pub(super) fn finish(self) -> anyhow::Result<()> {
        if !self.replaced.is_empty() {
            Output::noted(&format!("replaced what was in {}", self.replaced.join(", ")));
        }
        anyhow::ensure!(self.failed.is_empty(), "{}", self.failed.join("; "));
        Ok(())
    }
}

/// Writes a file.
///
/// # Errors
/// It cannot be written.
pub(super) fn write_file(file: &Path, content: impl AsRef<[u8]>) -> anyhow::Result<()> {
    let mut files = Files::default();
    files.write(file, content);
    files.finish()
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

/// The files that are asked for: the form, whether its own flag names it, and where it goes.
fn files_of(outputs: &Outputs) -> impl Iterator<Item = (Form, bool, PathBuf)> {
    let Outputs { json: _, out, report, save, junit, prometheus, hgrm } = outputs;
    [(report, HTML), (save, JSON), (junit, JUNIT), (prometheus, PROMETHEUS), (hgrm, HGRM)]
        .into_iter()
        .flat_map(move |(file, form)| {
            let in_folder = out.as_ref().map(|folder| (form, false, folder.join(form.0)));
            file.clone().map(|file| (form, true, file)).into_iter().chain(in_folder)
        })
}

/// Tells what came of it and then writes whatever is asked for; raw profiles only into a folder for everything.
///
/// # Errors
/// Some files could not be written; the others are.
pub(super) fn write(outputs: &Outputs, outcome: &Outcome, out: &mut Output<'_>) -> anyhow::Result<()> {
    if outputs.json {
        out.line(report::json::write(outcome).trim_end())?;
    } else {
        out.line(text(outcome, out).trim_end())?;
    }
    let mut files = Files::default();
    let mut page = None;
    for ((name, form), _, file) in files_of(outputs) {
        files.write(&file, form(outcome));
        if name == HTML.0 {
            page.get_or_insert(file);
        }
    }
    if let Some(folder) = &outputs.out {
        let profiles = outcome.lab.watched.iter().flat_map(|watched| &watched.profiles);
        for profile in profiles.filter(|profile| !profile.raw.is_empty()) {
            files.write(&folder.join(&profile.file), &profile.raw);
        }
    }
    files.finish()?;
    if let Some(page) = page.filter(|_| !outputs.json) {
        out.line(format!("\nThe report is in {}.", page.display()))?;
    }
    Ok(())
}

/// The result as people read it on a terminal.
fn text(outcome: &Outcome, out: &Output<'_>) -> String {
    let width = out.is_terminal().then(live::width);
    report::text(outcome, width, &|ink, text| live::paint(out, ink, text))
}

#[cfg(test)]
mod tests;
