//! The table of a failover run.

use std::fmt::Write;
use std::time::Duration;

use super::{Bench, ORIGINS, RATE, Run, Scenario};
use crate::bench::machine;

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
    text.push_str(
        "| the origin | proxy | settings | errors | error rate | slow | last start, s | recovered after, s | p99 before, \
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
