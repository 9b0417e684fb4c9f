//! `forebay load scale`: the same load against 1, 2, 4 workers of a process the plan starts.

use std::time::Duration;

use anyhow::{anyhow, bail};
use forebay_load::compare::Run;
use forebay_load::lab::scale::{self, Reached, Row, Variant, WORKERS};
use forebay_load::lab::{Lab, Of, Watch};
use forebay_load::plan::Plan;
use forebay_load::report::figures;
use forebay_load::stats;
use forebay_load::verdict::{self, Kind};

use super::engine::{self, Interrupt};
use super::{outputs, plan, tell};
use crate::cli::load::{Amount, Scale};
use crate::commands::Output;

/// Runs the plan with each number of workers. Gives the exit status.
///
/// # Errors
/// No process of the plan has a number of workers, or a run could not be made.
pub(super) fn scale(args: &Scale, out: &mut Output<'_>) -> anyhow::Result<u8> {
    let loaded = match plan::load(&args.plan, &Amount::default(), &args.asked) {
        Ok(loaded) => loaded,
        Err(refused) => {
            tell(&refused.problems)?;
            return Ok(refused.status);
        }
    };
    tell(&loaded.warnings)?;
    let mut plan = loaded.plan;
    if !scale::scales(&plan.lab) {
        bail!(
            "no process of the plan has a number of workers: write `{WORKERS}` in its `command` or `env`, \
             for example `env: {{ GOMAXPROCS: \"{WORKERS}\" }}`"
        );
    }
    watch_those_that_scale(&mut plan.lab);
    let variants = scale::variants(&plan.lab, &args.counts);
    let interrupt = Interrupt::listen()?;
    let mut runs: Vec<Vec<Run>> = vec![Vec::new(); variants.len()];
    let mut kinds = Vec::new();
    // Round by round, so that a machine that gets slower is slower for all.
    for _ in 0..args.runs {
        for (variant, runs) in variants.iter().zip(&mut runs) {
            let (run, kind) = one(&plan, variant, &interrupt)?;
            if interrupt.came() {
                bail!("it was ended before its time: there is nothing to compare");
            }
            if !args.json {
                out.line(line(variant, &run, kind, out))?;
            }
            runs.push(run);
            kinds.push(kind);
        }
    }
    let reached: Vec<Reached> =
        variants.iter().zip(&runs).map(|(variant, runs)| middle(variant, runs)).collect();
    let rows = scale::table(&reached);
    if args.json {
        let text = serde_json::to_string_pretty(&rows);
        out.line(text.map_err(|error| anyhow!("cannot write the result: {error}"))?)?;
    } else {
        show(&rows, out)?;
    }
    Ok(outputs::status(kinds.into_iter()))
}

/// Their CPU time says what a request costs with more workers.
fn watch_those_that_scale(lab: &mut Lab) {
    let scaling: Vec<String> = lab
        .processes
        .iter()
        .filter(|process| scale::scales(&Lab { processes: vec![(*process).clone()], ..Lab::default() }))
        .map(|process| process.name.clone())
        .filter(|name| !lab.watch.iter().any(|watch| watch.of == Of::Process(name.clone())))
        .collect();
    let watch = |name: String| Watch { name: name.clone(), of: Of::Process(name), profile: None };
    lab.watch.extend(scaling.into_iter().map(watch));
}

fn one(plan: &Plan, variant: &Variant, interrupt: &Interrupt) -> anyhow::Result<(Run, Kind)> {
    let plan = Plan { lab: variant.lab.clone(), ..plan.clone() };
    let mut outcome = engine::run(&plan, interrupt, |_| Ok(()))?;
    outcome.verdict = verdict::judge(&plan.thresholds, &outcome);
    let kind = outcome.verdict.kind;
    Ok((Run::of(&outcome), kind))
}

/// The middle one of several runs.
fn middle(variant: &Variant, runs: &[Run]) -> Reached {
    let of = |figure: fn(&Run) -> Option<f64>| {
        let figures: Vec<f64> = runs.iter().filter_map(figure).collect();
        (!figures.is_empty()).then(|| stats::median(&figures)).flatten()
    };
    Reached {
        workers: variant.workers,
        rate: of(|run| Some(run.throughput)).unwrap_or(0.0),
        cpu_per_request: of(|run| run.cpu_per_request).map(Duration::from_secs_f64),
    }
}

fn line(variant: &Variant, run: &Run, kind: Kind, out: &Output<'_>) -> String {
    let time = |seconds: Option<f64>| figures::duration_or_none(seconds.map(Duration::from_secs_f64));
    let state = match kind {
        Kind::Pass => out.green(kind.label()),
        Kind::Fail => out.red(kind.label()),
        Kind::Inconclusive | Kind::Invalid => out.yellow(kind.label()),
    };
    format!(
        "{:>12}  {:>12}  p50 {:>8}  p99 {:>8}  CPU {:>8} a request  {state}",
        variant.label,
        figures::rate(run.throughput),
        time(run.p50),
        time(run.p99),
        time(run.cpu_per_request),
    )
}

fn show(rows: &[Row], out: &mut Output<'_>) -> anyhow::Result<()> {
    out.line("")?;
    out.line(out.dim(&format!(
        "{:>8}  {:>12}  {:>9}  {:>10}  {:>14}",
        "workers", "answers", "speed-up", "efficiency", "CPU a request"
    )))?;
    for Row { reached, speedup, efficiency } in rows {
        out.line(format!(
            "{:>8}  {:>12}  {:>8.2}x  {:>8.0} %  {:>14}",
            reached.workers,
            figures::rate(reached.rate),
            speedup,
            efficiency * 100.0,
            figures::duration_or_none(reached.cpu_per_request),
        ))?;
    }
    Ok(())
}
