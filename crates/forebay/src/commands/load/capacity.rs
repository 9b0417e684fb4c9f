//! `forebay load capacity`: the highest rate at which objectives hold.

use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use forebay_load::capacity::{
    Capacity, End, Next, Phase, Saved, Search, Settings, Step, StepResult, StepState,
};
use forebay_load::plan::{Arrivals, Model, Plan, Stage};
use forebay_load::report::figures;
use forebay_load::report::html::{self, About};
use forebay_load::verdict;

use super::engine::Interrupt;
use super::{Usage, outputs, plan, tell, test};
use crate::cli::load::{Amount, Capacity as Asked, EXIT_FAIL, EXIT_INCONCLUSIVE, EXIT_INVALID, Outputs};
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
    tell(&loaded.warnings)?;
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
        let result = try_rate(&plan, &step, &interrupt, args.json, out)?;
        // What was ended early says nothing.
        if interrupt.came() {
            break;
        }
        if !args.json {
            out.line(line(step.rate, &result, out))?;
        }
        search.record(step.rate, result);
    }
    let target = plan.target.to_string();
    let found = Saved::of(&plan.name, &target, started_unix_ms, search.capacity());
    match args.json {
        true => out.line(found.write().trim_end())?,
        false => tell_found(&found.capacity, interrupt.came(), out)?,
    }
    write(&found, args.save.iter(), args.report.iter())?;
    Ok(status(&found.capacity))
}

/// Writes what was found as JSON and as pages.
fn write<'a>(
    found: &Saved,
    json: impl Iterator<Item = &'a PathBuf>,
    pages: impl Iterator<Item = &'a PathBuf>,
) -> anyhow::Result<()> {
    let Saved { name, target, started_unix_ms, capacity, .. } = found;
    let mut files = outputs::Files::default();
    json.for_each(|file| files.write(file, found.write()));
    let about = About { name, target, started_unix_ms: *started_unix_ms };
    pages.for_each(|file| files.write(file, html::capacity(&about, capacity)));
    files.finish()
}

/// Writes reports of a search that was saved. Gives the exit status that it had.
///
/// # Errors
/// It has no such report, or one cannot be written.
pub(super) fn report(found: &Saved, asked: &Outputs, out: &mut Output<'_>) -> anyhow::Result<u8> {
    let Outputs { json, out: folder, report, save, junit, prometheus, hgrm } = asked;
    let others = [("--junit", junit), ("--prometheus", prometheus), ("--hgrm", hgrm)];
    if let Some((flag, _)) = outputs::given(others).first() {
        return Err(Usage(format!("{flag} is of a run, and this is a search for capacity")).into());
    }
    if let Some(folder) = folder {
        outputs::make_folder(folder)?;
    }
    let in_folder = |name: &str| folder.as_ref().map(|folder| folder.join(name));
    let [page, result] = [in_folder("report.html"), in_folder("result.json")];
    outputs::writable(&outputs::given([
        ("--report", report),
        ("--save", save),
        ("--out", &page),
        ("--out", &result),
    ]))?;
    if *json {
        out.line(found.write().trim_end())?;
    } else {
        for done in &found.capacity.steps {
            out.line(line(done.rate, &done.result, out))?;
        }
        tell_found(&found.capacity, false, out)?;
    }
    write(found, save.iter().chain(&result), report.iter().chain(&page))?;
    Ok(status(&found.capacity))
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
fn try_rate(
    plan: &Plan,
    step: &Step,
    interrupt: &Interrupt,
    quiet: bool,
    out: &mut Output<'_>,
) -> anyhow::Result<StepResult> {
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
    let pictured = out.is_terminal() && !quiet;
    if !quiet && !pictured {
        out.line(out.dim(&begin(step)))?;
    }
    let mut outcome = test::run(&plan, interrupt, !pictured, out)?;
    outcome.verdict = verdict::judge(&plan.thresholds, &outcome);
    Ok(StepResult::of(&outcome))
}

/// What is tried now and for how long, where there is no picture of it.
fn begin(step: &Step) -> String {
    let what = match step.phase {
        _ if step.retry => "trying again",
        Phase::Double | Phase::Halve => "trying",
        Phase::Bisect => "trying between",
        Phase::Confirm => "confirming",
    };
    let time = |length: Duration| figures::length(length);
    let (settle, length) = (time(step.settle), time(step.length));
    format!("{:>10}  {what}: {settle} to settle, {length} judged", figures::rate(step.rate))
}

/// Lets the target's queues run empty.
fn rest(length: Duration, interrupt: &Interrupt) {
    let start = Instant::now();
    while start.elapsed() < length && !interrupt.came() {
        thread::sleep(LOOK.min(length));
    }
}

fn line(rate: f64, result: &StepResult, out: &Output<'_>) -> String {
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
        figures::rate(rate),
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

const fn status(found: &Capacity) -> u8 {
    match found.end {
        End::Found | End::MaxRate => EXIT_OK,
        End::NothingHeld => EXIT_FAIL,
        End::GeneratorLimit => EXIT_INVALID,
        End::Running | End::StepsMax => EXIT_INCONCLUSIVE,
    }
}
