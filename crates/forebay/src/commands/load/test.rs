//! A single test: run, judge, report.

use std::path::Path;

use forebay_load::compare::{Run, Settings, gate};
use forebay_load::outcome::Outcome;
use forebay_load::plan::Plan;
use forebay_load::verdict;

use super::engine::{self, Interrupt};
use super::live::View;
use super::{compare, outputs, plan, tell};
use crate::cli::EXIT_USAGE;
use crate::cli::load::{Outputs, Test};
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
    judged(&loaded.plan, outputs, baseline.as_deref(), None, out)
}

/// Runs a plan, judges it, and writes what came of it, with a note of what has to be known to read it. Gives the
/// exit status.
///
/// # Errors
/// It could not be run, or its results not be written.
pub(super) fn judged(
    plan: &Plan,
    outputs: &Outputs,
    baseline: Option<&Path>,
    note: Option<String>,
    out: &mut Output<'_>,
) -> anyhow::Result<u8> {
    outputs::prepare(outputs)?;
    let baseline = baseline.map(compare::saved).transpose()?;
    let interrupt = Interrupt::listen()?;
    let mut outcome = run(plan, &interrupt, outputs.json, out)?;
    outcome.lab.notes.extend(note);
    outcome.verdict = verdict::judge(&plan.thresholds, &outcome);
    let written = outputs::write(outputs, &outcome, out);
    let gate = baseline.map(|runs| gate(&runs, &[Run::of(&outcome)], &Settings::default()));
    if let Some(gate) = gate.as_ref().filter(|_| !outputs.json) {
        out.line("")?;
        out.line(out.bold(&format!("Against the baseline: {}", gate.kind.label())))?;
        compare::show(&gate.comparison, out)?;
    }
    written?;
    let verdicts = [Some(outcome.verdict.kind), gate.map(|gate| gate.kind)];
    Ok(outputs::status(verdicts.into_iter().flatten()))
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
