//! `forebay load compare`: whether one side is faster, from runs in turns or from saved results.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use forebay_base::problem::Problem;
use forebay_load::compare::{self, Comparison, Figure, Outcome, Row, Run, Settings, Side};
use forebay_load::plan::Plan;
use forebay_load::report::html::{self, About};
use forebay_load::report::{figures, json};
use forebay_load::verdict;

use super::engine::Interrupt;
use super::plan::Refused;
use super::{outputs, plan, report, tell, test};
use crate::cli::load::{Compare, EXIT_FAIL, EXIT_INCONCLUSIVE};
use crate::cli::{EXIT_OK, EXIT_USAGE};
use crate::commands::Output;
use crate::load::target;

/// Saved results that are read of a folder.
const RESULTS_MAX: usize = 1_000;

/// Runs of each side unless it is said.
const RUNS: u32 = 5;

/// Compares and tells what is shown. Gives the exit status.
///
/// # Errors
/// A run could not be made, or a result not be read.
pub(super) fn compare(args: &Compare, out: &mut Output<'_>) -> anyhow::Result<u8> {
    outputs::writable(&outputs::given([("--report", &args.report)]))?;
    let started_unix_ms = outputs::unix_ms();
    let mut interrupted = false;
    let (before, after) = match (is_saved(&args.before), is_saved(&args.after)) {
        (true, true) => {
            let idle: Vec<_> = args.only_for_runs().collect();
            if !idle.is_empty() {
                let fix = "leave it out, or name two plans or URLs to run";
                let refused = plan::usage(&idle.join(", "), "saved results are compared as they are", fix);
                tell(&refused.problems)?;
                return Ok(refused.status);
            }
            (saved(Path::new(&args.before))?, saved(Path::new(&args.after))?)
        }
        (false, false) => match plans(args) {
            Ok((plans, warnings)) => {
                tell(&warnings)?;
                let runs = run(args, &plans, out)?;
                interrupted = runs.interrupted;
                (runs.before, runs.after)
            }
            Err(refused) => {
                tell(&refused.problems)?;
                return Ok(refused.status);
            }
        },
        _ => {
            let refused = plan::usage(
                "forebay load compare",
                "one side is a saved result and the other is not",
                "give two saved results or folders of them, or two plans or URLs",
            );
            tell(&refused.problems)?;
            return Ok(EXIT_USAGE);
        }
    };
    let settings = Settings { min_effect: args.effect, ..Settings::default() };
    let comparison = compare::compare(&before, &after, &settings);
    match args.json {
        true => out.line(serde_json::to_string_pretty(&comparison)?)?,
        false => show(&comparison, out)?,
    }
    if let Some(file) = &args.report {
        let about = About { name: "before and after", target: &args.after, started_unix_ms };
        outputs::write_file(file, html::compare(&about, &args.before, &args.after, &comparison))?;
    }
    Ok(match comparison.outcome {
        // Fewer runs than were to be made may show that it is worse, but not that it is not.
        Outcome::Better | Outcome::NoDifferenceShown { .. } if interrupted => EXIT_INCONCLUSIVE,
        Outcome::Better | Outcome::NoDifferenceShown { .. } => EXIT_OK,
        Outcome::Worse => EXIT_FAIL,
        Outcome::Inconclusive => EXIT_INCONCLUSIVE,
    })
}

/// Whether a side is results and nothing to be run.
fn is_saved(side: &str) -> bool {
    let path = Path::new(side);
    !target::has_scheme(side) && (path.is_dir() || path.extension().is_some_and(|kind| kind == "json"))
}

/// The runs of a saved result, or of a folder of them.
///
/// # Errors
/// One cannot be read, or there is none.
fn saved(path: &Path) -> anyhow::Result<Vec<Run>> {
    let runs = history(path)?;
    anyhow::ensure!(!runs.is_empty(), "there is no result (`.json`) in {}", path.display());
    Ok(runs)
}

/// The same of a folder that may still be empty.
///
/// # Errors
/// One cannot be read.
pub(super) fn history(path: &Path) -> anyhow::Result<Vec<Run>> {
    let mut files = vec![path.to_owned()];
    if path.is_dir() {
        files = results(path).with_context(|| format!("cannot read the folder {}", path.display()))?;
    }
    files.iter().map(|file| report::read(file).map(|outcome| Run::of(&outcome))).collect()
}

fn results(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)?.take(RESULTS_MAX) {
        let path = entry?.path();
        if path.extension().is_some_and(|kind| kind == "json") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn plans(args: &Compare) -> Result<([Plan; 2], Vec<Problem>), Refused> {
    let load = |what: &str| plan::load(what, &args.amount, &args.asked);
    let (before, after) = (load(&args.before)?, load(&args.after)?);
    let warnings = before.warnings.into_iter().chain(after.warnings).collect();
    Ok(([before.plan, after.plan], warnings))
}

/// What both sides came to.
struct Runs {
    before: Vec<Run>,
    after: Vec<Run>,
    /// Somebody ended it, so that there are fewer than were asked for.
    interrupted: bool,
}

/// Runs both sides in turns. Ended before its time, it keeps the runs that were whole.
fn run(args: &Compare, plans: &[Plan; 2], out: &mut Output<'_>) -> anyhow::Result<Runs> {
    let folders = args.out.as_ref().map(|folder| [folder.join("before"), folder.join("after")]);
    for folder in folders.iter().flatten() {
        outputs::make_folder(folder)?;
    }
    let results = folders
        .iter()
        .flatten()
        .flat_map(|folder| (1..=runs_of(args)).map(|number| ("--out", folder.join(file_name(number)))));
    outputs::writable(&results.collect::<Vec<_>>())?;
    let interrupt = Interrupt::listen()?;
    let mut runs = [Vec::new(), Vec::new()];
    let order = compare::order(runs_of(args));
    for (number, side) in order.iter().enumerate() {
        let (index, name) = match side {
            Side::A => (0, "before"),
            Side::B => (1, "after"),
        };
        if !args.json {
            out.line(out.dim(&format!("run {} of {}: {name}", number + 1, order.len())))?;
        }
        let plan = &plans[index];
        let mut outcome = test::run(plan, &interrupt, args.json, out)?;
        if interrupt.came() {
            Output::noted(&format!(
                "ended before its time: this is what {number} of {} runs show",
                order.len()
            ));
            break;
        }
        outcome.verdict = verdict::judge(&plan.thresholds, &outcome);
        if let Some(folders) = &folders {
            let file = folders[index].join(file_name(runs[index].len() + 1));
            outputs::write_file(&file, json::write(&outcome))?;
        }
        runs[index].push(Run::of(&outcome));
    }
    let [before, after] = runs;
    Ok(Runs { before, after, interrupted: interrupt.came() })
}

fn runs_of(args: &Compare) -> usize {
    args.runs.unwrap_or(RUNS) as usize
}

fn file_name(number: usize) -> String {
    format!("run-{number:03}.json")
}

/// What a comparison shows, as people read it.
///
/// # Errors
/// It cannot be written.
fn show(comparison: &Comparison, out: &mut Output<'_>) -> std::io::Result<()> {
    let head = match comparison.outcome {
        Outcome::Better => out.green("BETTER"),
        Outcome::Worse => out.red("WORSE"),
        Outcome::NoDifferenceShown { above } => {
            out.bold(&format!("NO DIFFERENCE SHOWN above {}", percent(above)))
        }
        Outcome::Inconclusive => out.yellow("INCONCLUSIVE"),
    };
    let (before, after) = comparison.runs;
    out.line(format!("{head}  after against before, {after} and {before} runs"))?;
    for reason in &comparison.reasons {
        out.line(format!("  {reason}"))?;
    }
    out.line("")?;
    out.line(out.bold(&format!(
        "{:<12} {:>11} {:>11} {:>9}  {:<22} {:>7}",
        "", "before", "after", "change", "interval (95 %)", "p"
    )))?;
    for row in &comparison.figures {
        out.line(self::row(row))?;
    }
    out.line(out.dim(&comparison.rule))
}

fn row(row: &Row) -> String {
    let change = |ratio: f64| format!("{:+.1} %", (ratio - 1.0) * 100.0);
    let interval = row.interval.as_ref().map(|interval| {
        let high = interval.high.map_or_else(|| "any".to_owned(), change);
        format!("{} to {high}", change(interval.low))
    });
    format!(
        "{:<12} {:>11} {:>11} {:>9}  {:<22} {:>7}",
        name(row.figure),
        value(row.figure, row.before),
        value(row.figure, row.after),
        row.ratio.map(change).unwrap_or_default(),
        interval.unwrap_or_default(),
        row.p.map(|p| format!("{p:.3}")).unwrap_or_default(),
    )
}

const fn name(figure: Figure) -> &'static str {
    match figure {
        Figure::P50 => "p50",
        Figure::P95 => "p95",
        Figure::P99 => "p99",
        Figure::Mean => "mean",
        Figure::Errors => "not ok",
        Figure::Throughput => "throughput",
        Figure::Cpu => "cpu/request",
    }
}

fn value(figure: Figure, value: f64) -> String {
    match figure {
        Figure::Errors => percent(value),
        Figure::Throughput => figures::rate(value),
        Figure::P50 | Figure::P95 | Figure::P99 | Figure::Mean | Figure::Cpu => figures::micros(value * 1e6),
    }
}

fn percent(share: f64) -> String {
    format!("{} %", figures::digits(share * 100.0))
}
