//! `forebay load check`: every problem of a plan, or what it amounts to.

use std::io;

use forebay_base::problem::{Problem, Severity};
use forebay_base::units::show_duration;
use forebay_load::plan::{Model, Plan};
use serde_json::json;

use crate::cli::load::Check;
use crate::cli::{EXIT_OK, EXIT_PROBLEMS};
use crate::commands::Output;
use crate::commands::check::{count, counted, problem_json};
use crate::load::{self, Changes, Loaded};

/// Checks the plan and says what was found. Gives the exit status.
///
/// # Errors
/// When it cannot be written.
pub(super) fn check(args: &Check, out: &mut Output<'_>) -> io::Result<u8> {
    let file = args.plan.display().to_string();
    let changes = Changes { target: args.target.clone(), ..Changes::default() };
    let result = load::load(&args.plan, &changes);
    if args.json {
        out.line(format!("{:#}", as_json(&file, &result)))?;
    } else {
        match &result {
            Ok(loaded) => {
                out.problems(&loaded.warnings)?;
                out.line(format!("{} {file}: {}", out.green("ok"), summary(&loaded.plan)))?;
            }
            Err(problems) => {
                out.problems(problems)?;
                out.line(count(problems, &file))?;
            }
        }
    }
    Ok(if result.is_ok() { EXIT_OK } else { EXIT_PROBLEMS })
}

/// What a plan amounts to, in a line.
fn summary(plan: &Plan) -> String {
    let steps = plan.scenarios.iter().map(|scenario| scenario.steps.len()).sum();
    let planned: f64 =
        plan.stages.iter().map(|stage| (stage.from + stage.to) / 2.0 * stage.length.as_secs_f64()).sum();
    let most = plan.stages.iter().map(|stage| stage.from.max(stage.to)).fold(0.0, f64::max);
    let amount = match plan.model {
        Model::Closed { .. } => format!("up to {most} users"),
        Model::Open(_) | Model::Recorded(_) => {
            format!("about {planned:.0} arrivals, up to {most} per second")
        }
    };
    format!(
        "{} ({}), {} in {}, {amount}, {}",
        counted(plan.scenarios.len(), "scenario"),
        counted(steps, "step"),
        counted(plan.stages.len(), "stage"),
        show_duration(plan.length()),
        counted(plan.thresholds.len(), "threshold"),
    )
}

fn as_json(file: &str, result: &Result<Loaded, Vec<Problem>>) -> serde_json::Value {
    let problems = match result {
        Ok(loaded) => &loaded.warnings,
        Err(problems) => problems,
    };
    let errors = problems.iter().filter(|problem| problem.severity == Severity::Error).count();
    let mut report = json!({
        "file": file,
        "ok": result.is_ok(),
        "errors": errors,
        "problems": problems.iter().map(problem_json).collect::<Vec<_>>(),
    });
    if let Ok(Loaded { plan, .. }) = result {
        report["target"] = plan.target.authority.as_str().into();
        report["stages"] = plan.stages.len().into();
        report["scenarios"] = plan.scenarios.len().into();
        report["seconds"] = plan.length().as_secs_f64().into();
    }
    report
}
