//! The table of an upgrade run.

use std::fmt::Write;
use std::time::Duration;

use super::{Bench, EVERY, RATE, Run, clients};
use crate::bench::headline::{self, Goal};
use crate::bench::machine;
use crate::bench::peer::Kind;

/// The report, with what machine and which versions it is about.
pub(super) fn markdown(bench: &Bench, runs: &[Run]) -> String {
    let mut text = String::from(
        "# While the process is replaced\n\nWritten by `cargo xtask bench upgrade`. What is measured and how: \
         [README](README.md#upgrade).\n\n",
    );
    for line in machine::describe().into_iter().chain([bench.pinning.describe()]) {
        let _ = writeln!(text, "- {line}");
    }
    for peer in &bench.settings.peers {
        let _ = writeln!(text, "- {peer}: {}", peer.version(bench.forebay.as_deref()));
    }
    let _ = writeln!(
        text,
        "- {RATE} requests per second, open loop; {} s in peace, then an upgrade every {} s\n",
        bench.quiet().as_secs(),
        EVERY.as_secs()
    );
    let others = bench.settings.peers.iter().filter(|peer| **peer != Kind::Forebay);
    let others: Vec<String> = others.map(ToString::to_string).collect();
    text.push_str(&headline::goals(&others, &goals(runs, bench.upgrades())));
    text.push_str(
        "\n| proxy | requests | upgrades | of requests | errors | p99 before, ms | p99 from then on, ms | slowest, ms | \
         longest gap before, ms | from then on, ms |\n|---|---|---:|---:|---:|---:|---:|---:|---:|---:|\n",
    );
    runs.iter().for_each(|run| row(&mut text, run));
    text
}

/// Errors with each kind of clients, beside those of the other proxies.
fn goals(runs: &[Run], upgrades: u32) -> Vec<Goal> {
    let own = runs.iter().filter(|run| run.peer == Kind::Forebay);
    own.map(|run| {
        let others = runs.iter().filter(|other| other.fresh == run.fresh && other.peer != Kind::Forebay);
        let told = |run: &Run| match upgrades - run.verdict.upgrades {
            0 => run.verdict.errors.to_string(),
            failed => format!("{}; {failed} upgrades failed", run.verdict.errors),
        };
        Goal {
            what: format!("{upgrades} upgrades, {}: requests failed", clients(run.fresh)),
            most: "0".to_owned(),
            measured: told(run),
            reached: run.verdict.errors == 0 && run.verdict.upgrades == upgrades,
            others: others.map(told).collect(),
        }
    })
    .collect()
}

fn row(text: &mut String, run: &Run) {
    let Run { peer, fresh, verdict } = run;
    let ([p99, then], [gap, gap_then]) = (verdict.p99.map(millis), verdict.gap.map(millis));
    let _ = writeln!(
        text,
        "| {peer} | {} | {} | {} | {} | {p99} | {then} | {} | {gap} | {gap_then} |",
        clients(*fresh),
        verdict.upgrades,
        verdict.requests,
        verdict.errors,
        millis(verdict.max),
    );
}

fn millis(time: Duration) -> String {
    let millis = time.as_secs_f64() * 1e3;
    if millis < 10.0 { format!("{millis:.2}") } else { format!("{millis:.0}") }
}
