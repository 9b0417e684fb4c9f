//! `forebay check`: every problem of a settings file, or what it amounts to.

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
                out.problems(&loaded.warnings)?;
                out.line(format!("{} {file}: {}", out.green("ok"), summary(loaded)))?;
            }
            Err(problems) => {
                out.problems(problems)?;
                out.line(count(problems, &file))?;
            }
        }
    }
    Ok(if result.is_ok() { cli::EXIT_OK } else { cli::EXIT_PROBLEMS })
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

pub(super) fn count(problems: &[Problem], file: &str) -> String {
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let warnings = problems.len() - errors;
    match warnings {
        0 => format!("{} in {file}", counted(errors, "error")),
        _ => format!("{} and {} in {file}", counted(errors, "error"), counted(warnings, "warning")),
    }
}

/// `1 route`, `2 routes`.
pub(super) fn counted(number: usize, noun: &str) -> String {
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

pub(super) fn problem_json(problem: &Problem) -> Value {
    json!({
        "file": &*problem.at.file,
        "line": problem.at.line,
        "column": problem.at.column,
        "severity": problem.severity.to_string(),
        "what": problem.what,
        "fix": problem.fix,
    })
}
