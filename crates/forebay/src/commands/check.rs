//! `forebay check`: every problem of a settings file, or what it amounts to.

use std::collections::HashMap;
use std::io;

use forebay_base::problem::{Problem, Severity};
use serde_json::{Value, json};

use super::Output;
use crate::cli;
use crate::config::{self, Loaded};

/// Checks the file and says what was found. Gives the exit status.
///
/// # Errors
/// When it cannot be written.
pub fn check(args: &cli::Check, out: &mut Output<'_>) -> io::Result<u8> {
    let file = args.config.display().to_string();
    let result = config::load(&args.config);
    if args.json {
        out.line(format!("{:#}", as_json(&file, &result)))?;
    } else {
        match &result {
            Ok(loaded) => {
                show_problems(&loaded.warnings, out)?;
                out.line(format!("{} {file}: {}", out.green("ok"), summary(loaded)))?;
            }
            Err(problems) => {
                show_problems(problems, out)?;
                out.line(count(problems, &file))?;
            }
        }
    }
    Ok(if result.is_ok() { cli::EXIT_OK } else { cli::EXIT_PROBLEMS })
}

/// Prints problems in a line each; for a person with the line of the file and a mark under the place.
///
/// # Errors
/// When it cannot be written.
pub fn show_problems(problems: &[Problem], out: &mut Output<'_>) -> io::Result<()> {
    let mut sources = HashMap::new();
    for problem in problems {
        if !out.is_terminal() {
            out.line(problem.to_string())?;
            continue;
        }
        let severity = match problem.severity {
            Severity::Error => out.red("error"),
            Severity::Warning => out.yellow("warning"),
        };
        out.line(format!("{severity}: {}", out.bold(&problem.what)))?;
        show_place(problem, &mut sources, out)?;
        if let Some(fix) = &problem.fix {
            out.line(format!("   {} {fix}", out.dim("=")))?;
        }
        out.line("")?;
    }
    Ok(())
}

/// The line a problem is in, with a mark under its column.
fn show_place(
    problem: &Problem,
    sources: &mut HashMap<String, Vec<String>>,
    out: &mut Output<'_>,
) -> io::Result<()> {
    let at = &problem.at;
    out.line(format!("  {} {at}", out.dim("-->")))?;
    let lines = sources.entry(at.file.to_string()).or_insert_with(|| source_lines(&at.file));
    let Some(line) = (at.line as usize).checked_sub(1).and_then(|index| lines.get(index)) else {
        return Ok(());
    };
    // Long lines are cut around the place.
    let column = (at.column as usize).saturating_sub(1);
    let from = column.saturating_sub(60);
    let shown: String = line.chars().skip(from).take(100).map(printable).collect();
    let number = at.line.to_string();
    let gap = " ".repeat(number.len());
    let bar = out.dim("|");
    out.line(format!("  {} {bar} {shown}", out.dim(&number)))?;
    out.line(format!("  {gap} {bar} {}{}", " ".repeat(column - from), out.red("^")))
}

/// The lines of the file as they are now; none when it cannot be read, or is none.
fn source_lines(file: &str) -> Vec<String> {
    let text = config::read_file(file.as_ref()).unwrap_or_default();
    text.trim_start_matches('\u{feff}').lines().map(str::to_owned).collect()
}

fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

/// What the settings amount to, in a line.
#[must_use]
pub fn summary(loaded: &Loaded) -> String {
    let endpoints: usize = loaded.plan.services.iter().map(|service| service.endpoints.len()).sum();
    let listen: Vec<_> = loaded.server.listen.iter().map(ToString::to_string).collect();
    let admin = match &loaded.server.admin {
        Some(admin) => format!("admin on {}", admin.listen),
        None => "no admin".to_owned(),
    };
    format!(
        "{}, {} ({}), listening on {}, {admin}",
        counted(loaded.plan.routes.len(), "route"),
        counted(loaded.plan.services.len(), "service"),
        counted(endpoints, "endpoint"),
        listen.join(" and "),
    )
}

fn count(problems: &[Problem], file: &str) -> String {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let warnings = problems.len() - errors;
    match warnings {
        0 => format!("{} in {file}", counted(errors, "error")),
        _ => format!("{} and {} in {file}", counted(errors, "error"), counted(warnings, "warning")),
    }
}

/// `1 route`, `2 routes`.
fn counted(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

fn as_json(file: &str, result: &Result<Loaded, Vec<Problem>>) -> Value {
    let problems = match result {
        Ok(loaded) => &loaded.warnings,
        Err(problems) => problems,
    };
    let mut report = json!({
        "file": file,
        "ok": result.is_ok(),
        "problems": problems.iter().map(problem_json).collect::<Vec<_>>(),
    });
    if let Ok(loaded) = result {
        report["routes"] = loaded.plan.routes.len().into();
        report["services"] = loaded.plan.services.len().into();
        report["listen"] = loaded.server.listen.iter().map(ToString::to_string).collect();
        report["admin"] = loaded.server.admin.as_ref().map(|admin| admin.listen.to_string()).into();
    }
    report
}

fn problem_json(problem: &Problem) -> Value {
    json!({
        "file": &*problem.at.file,
        "line": problem.at.line,
        "column": problem.at.column,
        "severity": problem.severity.to_string(),
        "what": problem.what,
        "fix": problem.fix,
    })
}
