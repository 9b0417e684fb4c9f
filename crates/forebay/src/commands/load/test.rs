//! A single test: run, judge, report.

use forebay_load::outcome::Outcome;
use forebay_load::plan::Plan;
use forebay_load::verdict;

use super::engine::{self, Interrupt};
use super::live::View;
use super::{outputs, plan, tell};
use crate::cli::load::Test;
use crate::commands::Output;

/// Runs the test. Gives the exit status.
///
/// # Errors
/// It could not be run, or its results not be written.
pub(super) fn test(args: &Test, out: &mut Output<'_>) -> anyhow::Result<u8> {
    let Test { what, amount, asked, thresholds, watch, outputs, baseline: _ } = args;
    let what = what.as_deref().unwrap_or_default();
    let mut loaded = match plan::load(what, amount, asked) {
        Ok(loaded) => loaded,
        Err(refused) => {
            tell(&refused.problems)?;
            return Ok(refused.status);
        }
    };
    tell(&loaded.warnings)?;
    loaded.plan.thresholds.extend(thresholds.iter().cloned());
    loaded.plan.lab.watch.extend(watch.iter().cloned());
    outputs::prepare(outputs)?;
    let interrupt = Interrupt::listen()?;
    let mut outcome = run(&loaded.plan, &interrupt, outputs.json, out)?;
    outcome.verdict = verdict::judge(&loaded.plan.thresholds, &outcome);
    outputs::write(outputs, &outcome, out)?;
    Ok(outcome.verdict.exit_code())
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
    let outcome = engine::run(plan, interrupt, |progress| Ok(view.show(out, progress)?));
    view.finish(out)?;
    outcome
}
