//! `forebay load capacity`: the highest rate at which objectives hold.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use forebay_load::capacity::{Capacity, End, Next, Search, Settings, Step, StepResult, StepState};
use forebay_load::plan::{Arrivals, Model, Plan, Stage};
use forebay_load::report::figures;
use forebay_load::report::html::{self, About};
use forebay_load::verdict;

use super::engine::{self, Interrupt};
use super::{outputs, plan, tell};
use crate::cli::load::{Amount, Capacity as Asked, EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_INVALID};
use crate::cli::{EXIT_OK, EXIT_USAGE};
use crate::commands::Output;
use crate::load;

/// How often a pause looks whether it was ended.
const LOOK: Duration = Duration::from_millis(100);

/// Searches and tells what was found. Gives the exit status.
///
/// # Errors
/// A run could not be made, or the result not be written.
pub(super) fn capacity(args: &Asked, out: &mut Output<'_>) -> anyhow::Result<u8> {
    let amount = Amount { poisson: args.poisson, ..Amount::default() };
    let loaded = match plan::load(&args.what, &amount, &args.asked) {
        Ok(loaded) => loaded,
        Err(refused) => {
            tell(&refused.problems)?;
            return Ok(refused.status);
        }
    };
    let mut plan = loaded.plan;
    let unmet = load::unmet(&plan, "--slo", &args.slo);
    if !unmet.is_empty() {
        tell(&unmet)?;
        return Ok(EXIT_USAGE);
    }
    plan.thresholds.extend(args.slo.iter().cloned());
    let mut search = match Search::new(settings(args, &plan)) {
        Ok(search) => search,
        Err(what) => {
            let fix = "see `forebay load capacity --help`";
            tell(&plan::usage("forebay load capacity", &what, fix).problems)?;
            return Ok(EXIT_USAGE);
        }
    };
    outputs::writable(&outputs::given([("--report", &args.report), ("--save", &args.save)]))?;
    let started_unix_ms = outputs::unix_ms();
    let interrupt = Interrupt::listen()?;
    while let Next::Run(step) = search.next() {
        rest(step.rest, &interrupt);
        if interrupt.came() {
            break;
        }
        let result = try_rate(&plan, &step, &interrupt)?;
        // What was ended early says nothing.
        if interrupt.came() {
            break;
        }
        if !args.json {
            out.line(line(&step, &result, out))?;
        }
        search.record(step.rate, result);
    }
    let found = search.capacity();
    match args.json {
        true => out.line(as_json(&found)?)?,
        false => tell_found(&found, interrupt.came(), out)?,
    }
    let mut files = outputs::Files::default();
    if let Some(file) = &args.save {
        files.write(file, as_json(&found)?);
    }
    if let Some(file) = &args.report {
        let target = format!("http://{}{}", plan.target.authority, plan.target.prefix);
        let about = About { name: &plan.name, target: &target, started_unix_ms };
        files.write(file, html::capacity(&about, &found));
    }
    files.finish()?;
    Ok(status(&found))
}

fn settings(args: &Asked, plan: &Plan) -> Settings {
    Settings {
        precision: args.precision,
        step_min: args.step,
        step_max: Duration::from_secs(600).max(args.step),
        seed: plan.seed,
        ..Settings::new(args.from, args.to, plan.thresholds.clone())
    }
}

/// Holds one rate and judges it.
fn try_rate(plan: &Plan, step: &Step, interrupt: &Interrupt) -> anyhow::Result<StepResult> {
    let stage = |name: &str, length, warmup| Stage {
        name: name.to_owned(),
        length,
        from: step.rate,
        to: step.rate,
        warmup,
    };
    let stages = [stage("settle", step.settle, true), stage("hold", step.length, false)];
    let arrivals = match plan.model {
        Model::Open(arrivals) => arrivals,
        Model::Closed { .. } | Model::Recorded(_) => Arrivals::Uniform,
    };
    let plan = Plan {
        stages: stages.into_iter().filter(|stage| !stage.length.is_zero()).collect(),
        model: Model::Open(arrivals),
        ..plan.clone()
    };
    let mut outcome = engine::run(&plan, interrupt, |_| Ok(()))?;
    outcome.verdict = verdict::judge(&plan.thresholds, &outcome);
    Ok(StepResult::of(&outcome))
}

/// Lets the target's queues run empty.
fn rest(length: Duration, interrupt: &Interrupt) {
    let start = Instant::now();
    while start.elapsed() < length && !interrupt.came() {
        thread::sleep(LOOK.min(length));
    }
}

fn line(step: &Step, result: &StepResult, out: &Output<'_>) -> String {
    let state = match result.state {
        StepState::Held => out.green("held   "),
        StepState::Missed => out.red("missed "),
        StepState::Unclear => out.yellow("unclear"),
        StepState::Generator => out.yellow("limit of the generator"),
    };
    let time = |seconds: Option<f64>| figures::duration_or_none(seconds.map(Duration::from_secs_f64));
    let run = &result.run;
    format!(
        "{:>10}  {state}  p50 {:>8}  p95 {:>8}  p99 {:>8}  not ok {:>6.2} %  {}",
        figures::rate(step.rate),
        time(run.p50),
        time(run.p95),
        time(run.p99),
        run.errors * 100.0,
        result.binding.as_deref().unwrap_or_default(),
    )
}

fn tell_found(found: &Capacity, interrupted: bool, out: &mut Output<'_>) -> anyhow::Result<()> {
    out.line("")?;
    if interrupted {
        out.line(out.yellow("The search was ended before its time; this is what it had found."))?;
    }
    let head = match found.last_passing {
        Some(rate) => format!("{} held", figures::rate(rate)),
        None => "no rate held".to_owned(),
    };
    out.line(out.bold(&head))?;
    for sentence in &found.says {
        out.line(format!("  {sentence}"))?;
    }
    Ok(())
}

fn as_json(found: &Capacity) -> anyhow::Result<String> {
    serde_json::to_string_pretty(found).map_err(|error| anyhow!("cannot write the result: {error}"))
}

const fn status(found: &Capacity) -> u8 {
    match found.end {
        End::Found | End::MaxRate => EXIT_OK,
        End::NothingHeld => EXIT_FAIL,
        End::GeneratorLimit => EXIT_INVALID,
        End::Running | End::StepsMax => EXIT_INCONCLUSIVE,
    }
}
