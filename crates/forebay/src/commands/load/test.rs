//! A single test: run, judge, report.

use forebay_load::compare::{Run, Settings, gate};
use forebay_load::outcome::Outcome;
use forebay_load::plan::Plan;
use forebay_load::verdict::{self, Kind, Verdict};

use super::engine::{self, Interrupt};
use super::live::View;
use super::{compare, outputs, plan, tell};
use crate::cli::EXIT_USAGE;
use crate::cli::load::{Baseline, Outputs, Test};
use crate::commands::Output;
use crate::load;

/// Runs the test. Gives the exit status.
///
/// # Errors
/// It could not be run, or its results not be written.
pub(super) fn test(args: &Test, out: &mut Output<'_>) -> anyhow::Result<u8> {
    let Test { what, amount, asked, thresholds, watch, outputs, baseline } = args;
    let what = what.as_deref().unwrap_or_default();
    let mut loaded = match plan::load(what, amount, asked) {
        Ok(loaded) => loaded,
        Err(refused) => {
            tell(&refused.problems)?;
            return Ok(refused.status);
        }
    };
    tell(&loaded.warnings)?;
    let unmet = load::unmet(&loaded.plan, "--threshold", thresholds);
    if !unmet.is_empty() {
        tell(&unmet)?;
        return Ok(EXIT_USAGE);
    }
    loaded.plan.thresholds.extend(thresholds.iter().cloned());
    loaded.plan.lab.watch.extend(watch.iter().cloned());
    judged(&loaded.plan, outputs, Some(baseline), None, out)
}

/// Runs a plan, judges it, and writes what came of it, with a note of what has to be known to read it. Gives the
/// exit status.
///
/// # Errors
/// It could not be run, or its results not be written.
pub(super) fn judged(
    plan: &Plan,
    outputs: &Outputs,
    baseline: Option<&Baseline>,
    note: Option<String>,
    out: &mut Output<'_>,
) -> anyhow::Result<u8> {
    outputs::prepare(outputs)?;
    let history = baseline.and_then(|asked| asked.baseline.as_deref()).map(compare::history).transpose()?;
    let runs = baseline.map_or(1, |asked| asked.runs);
    let interrupt = Interrupt::listen()?;
    let mut now = Vec::new();
    let mut earlier: Vec<Verdict> = Vec::new();
    let mut outcome = loop {
        if runs > 1 && !outputs.json {
            out.line(out.dim(&format!("run {} of {runs}", now.len() + 1)))?;
        }
        let mut outcome = run(plan, &interrupt, outputs.json, out)?;
        outcome.verdict = verdict::judge(&plan.thresholds, &outcome);
        now.push(Run::of(&outcome));
        if now.len() >= usize::from(runs) || interrupt.came() {
            break outcome;
        }
        earlier.push(outcome.verdict);
    };
    outcome.lab.notes.extend(note);
    let settings =
        Settings { tolerance: baseline.map_or(0.0, |asked| asked.tolerance), ..Settings::default() };
    outcome.verdict = earlier.iter().zip(1..).fold(outcome.verdict, add);
    if let Some(history) = history {
        outcome.verdict = outcome.verdict.against(gate(&history, &now, &settings));
    }
    outputs::write(outputs, &outcome, out)?;
    Ok(outcome.verdict.exit_code())
}

/// The verdict of the last run, made as grave as one before it.
fn add(mut last: Verdict, (earlier, number): (&Verdict, usize)) -> Verdict {
    if earlier.kind != Kind::Pass {
        let why = earlier.reasons.first().map_or("", String::as_str);
        last.reasons.push(format!("run {number} came to `{}`: {why}", earlier.kind.label()));
    }
    last.kind = last.kind.graver(earlier.kind);
    last
}

/// Runs a plan while a person watches; nobody does if `quiet`. The verdict is left open.
///
/// # Errors
/// It could not be run, or nobody reads any more.
pub(super) fn run(
    plan: &Plan,
    interrupt: &Interrupt,
    quiet: bool,
    out: &mut Output<'_>,
) -> anyhow::Result<Outcome> {
    let mut view = View::new(plan, out, quiet);
    view.begin(out)?;
    let outcome = engine::run(plan, interrupt, |progress| Ok(view.show(out, progress)?));
    view.finish(out)?;
    outcome
}
