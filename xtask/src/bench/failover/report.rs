//! The table of a failover run.

use std::fmt::Write;
use std::time::Duration;

use super::{Bench, ORIGINS, RATE, Run, Scenario};
use crate::bench::headline::{self, Goal};
use crate::bench::machine;
use crate::bench::peer::Kind;

/// What a failure may cost: errors per hundred requests,
const ERROR_RATE_MAX: f64 = 0.1;
/// and time until all is well.
const RECOVERY_MAX: Duration = Duration::from_secs(2);

/// The report, with what machine and which versions it is about.
pub(super) fn markdown(bench: &Bench, runs: &[Run]) -> String {
    let mut text = String::from(
        "# When an origin fails\n\nWritten by `cargo xtask bench failover`. What is measured and how: \
         [README](README.md#failover).\n\n",
    );
    for line in machine::describe().into_iter().chain([bench.pinning.describe()]) {
        let _ = writeln!(text, "- {line}");
    }
    for peer in &bench.settings.peers {
        let _ = writeln!(text, "- {peer}: {}", peer.version(bench.forebay.as_deref()));
    }
    let _ = writeln!(
        text,
        "- {RATE} requests per second for {} s, open loop; one of {ORIGINS} origins fails after {} s\n",
        bench.time().as_secs(),
        bench.fault().as_secs_f64()
    );
    let others = bench.settings.peers.iter().filter(|peer| **peer != Kind::Forebay);
    let others: Vec<String> = others.map(ToString::to_string).collect();
    text.push_str(&headline::goals(&others, &goals(runs)));
    text.push_str(
        "\n| the origin | proxy | settings | errors | error rate | slow | last start, s | recovered after, s | p99 before, \
         ms | during, ms | after, ms |\n|---|---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    runs.iter().for_each(|run| row(&mut text, run));
    let disturbed: Vec<&Run> = runs.iter().filter(|run| run.verdict.before > 0).collect();
    for Run { scenario, peer, verdict } in disturbed {
        let _ = writeln!(
            text,
            "\n{scenario}, {peer}: {} requests had suffered before the fault; this machine was busy.",
            verdict.before
        );
    }
    text
}

/// Errors and recovery of each scenario, beside those of the other proxies.
fn goals(runs: &[Run]) -> Vec<Goal> {
    let own = runs.iter().filter(|run| run.peer == Kind::Forebay);
    own.flat_map(|run| {
        let scenario = run.scenario;
        let others =
            || runs.iter().filter(move |other| other.scenario == scenario && other.peer != Kind::Forebay);
        let rate = |run: &Run| format!("{:.3}", run.verdict.error_rate());
        let recovery = |run: &Run| format!("{:.2}", run.verdict.recovery.as_secs_f64());
        [
            Goal {
                what: format!("{scenario}: error rate, %"),
                most: ERROR_RATE_MAX.to_string(),
                measured: rate(run),
                reached: run.verdict.error_rate() <= ERROR_RATE_MAX,
                others: others().map(rate).collect(),
            },
            Goal {
                what: format!("{scenario}: recovered after, s"),
                most: RECOVERY_MAX.as_secs().to_string(),
                measured: recovery(run),
                reached: run.verdict.recovery <= RECOVERY_MAX,
                others: others().map(recovery).collect(),
            },
        ]
    })
    .collect()
}

fn row(text: &mut String, run: &Run) {
    let Run { scenario, peer, verdict } = run;
    let settings = if scenario.is_watched() { "watched" } else { "plain" };
    let [before, during, after] = verdict.p99.map(millis);
    let _ = writeln!(
        text,
        "| {} | {peer} | {settings} | {} | {:.3} % | {} | {:.2} | {:.2} | {before} | {during} | {after} |",
        Scenario::title(*scenario),
        verdict.errors,
        verdict.error_rate(),
        verdict.slow,
        verdict.last_start.as_secs_f64(),
        verdict.recovery.as_secs_f64(),
    );
}

fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis < 10.0 { format!("{millis:.2}") } else { format!("{millis:.0}") }
}
