//! The tables: ratios first, then the figures they come from, and how to get them again.

use std::fmt::Write;

use anyhow::Result;
use serde_json::{Value, json};

use super::peer::Kind;
use super::result::{Metric, Outcome, Spread};
use super::rounds::Plan;
use super::row::Row;
use super::{headline, machine, row};

/// The whole report, as it is kept in benches/RESULTS.md.
pub(crate) fn markdown(plan: &Plan, outcome: &Outcome) -> Result<String> {
    let mut out = String::new();
    writeln!(out, "# Side by side\n")?;
    writeln!(out, "Written by `{}`. What is measured and how: [README](README.md).\n", command())?;
    conditions(&mut out, plan, outcome)?;
    goals(&mut out, plan, outcome)?;
    ratios(&mut out, plan, outcome)?;
    medians(&mut out, plan, outcome)?;
    faults(&mut out, plan, outcome)?;
    Ok(out)
}

/// Everything, by round.
pub(crate) fn json(plan: &Plan, outcome: &Outcome) -> Value {
    let samples: Vec<Value> = outcome
        .samples
        .iter()
        .map(|sample| {
            let values: serde_json::Map<String, Value> = sample
                .figures
                .values
                .iter()
                .map(|(metric, value)| (metric.key().to_owned(), json!(value)))
                .collect();
            json!({
                "row": format!("{:?}", sample.row).to_lowercase(),
                "peer": label(plan, sample.peer),
                "round": sample.round,
                "values": values,
                "fault": sample.figures.fault,
            })
        })
        .collect();
    json!({
        "command": command(),
        "machine": machine::describe(),
        "pinning": plan.pinning.describe(),
        "versions": versions(plan),
        "rounds": plan.rounds,
        "seconds": plan.seconds,
        "fixed_rate_base": outcome.fixed_rate,
        "samples": samples,
    })
}

fn conditions(out: &mut String, plan: &Plan, outcome: &Outcome) -> Result<()> {
    for line in machine::describe().into_iter().chain([plan.pinning.describe()]).chain(versions(plan)) {
        writeln!(out, "- {line}")?;
    }
    writeln!(out, "- {} rounds, {} s for each measurement", plan.rounds, plan.seconds)?;
    if let Some(rate) = outcome.fixed_rate {
        writeln!(out, "- fixed rate: 70 % of the slowest peer's {rate:.0} requests per second")?;
    }
    for (peer, fields) in outcome.fields.iter().enumerate() {
        writeln!(out, "- fields that {} sends to the origin: {fields}", label(plan, peer))?;
    }
    writeln!(out)?;
    Ok(())
}

/// What was to be reached, of the rows that were run, by the first peer if that is us.
fn goals(out: &mut String, plan: &Plan, outcome: &Outcome) -> Result<()> {
    if plan.peers.first() != Some(&Kind::Forebay) {
        return Ok(());
    }
    let goals: Vec<headline::Goal> =
        plan.rows.iter().filter_map(|row| goal(plan, outcome, row, row.goal?)).collect();
    if !goals.is_empty() {
        writeln!(out, "{}", headline::goals(&[], &goals))?;
    }
    Ok(())
}

/// `None` when nobody of those it is about took part, or no round of it was sound.
fn goal(plan: &Plan, outcome: &Outcome, row: &Row, goal: row::Goal) -> Option<headline::Goal> {
    let row::Goal { metric, most, to } = goal;
    let others = (1..plan.peers.len()).filter(|peer| to.is_none_or(|kind| plan.peers[*peer] == kind));
    let other = outcome.least(row.name, metric, others)?;
    let ratio = outcome.ratio(row.name, metric, 0, other)?;
    let Spread { min, median, max } = ratio;
    Some(headline::Goal {
        what: format!("{}: {} over that of {}", row.title, metric.title(), label(plan, other)),
        most: format!("{most:.2}"),
        measured: format!("{median:.2} ({min:.2} to {max:.2})"),
        reached: median <= most,
        others: Vec::new(),
    })
}

fn ratios(out: &mut String, plan: &Plan, outcome: &Outcome) -> Result<()> {
    if plan.peers.len() < 2 {
        return Ok(());
    }
    writeln!(out, "## {} relative to each other one\n", label(plan, 0))?;
    writeln!(
        out,
        "Median of the rounds (least to greatest). Below 1: less CPU, latency, memory, or requests.\n"
    )?;
    let others = 1..plan.peers.len();
    let titles: Vec<String> = others.clone().map(|other| format!("to {}", label(plan, other))).collect();
    header(out, &titles)?;
    each_line(plan, outcome, |row, metric| {
        if metric == Metric::Base {
            return Ok(());
        }
        let cells = others.clone().map(|other| {
            outcome.ratio(row.name, metric, 0, other).map_or_else(
                || "invalid".to_owned(),
                |ratio| format!("**{:.2}** ({:.2} to {:.2})", ratio.median, ratio.min, ratio.max),
            )
        });
        line(out, row.title, metric, &cells.collect::<Vec<_>>())
    })?;
    writeln!(out)?;
    Ok(())
}

fn medians(out: &mut String, plan: &Plan, outcome: &Outcome) -> Result<()> {
    writeln!(out, "## Medians\n")?;
    let titles: Vec<String> = (0..plan.peers.len()).map(|peer| label(plan, peer)).collect();
    header(out, &titles)?;
    each_line(plan, outcome, |row, metric| {
        let cells = (0..plan.peers.len())
            .map(|peer| outcome.median(row.name, metric, peer).map_or_else(|| "invalid".to_owned(), number));
        line(out, row.title, metric, &cells.collect::<Vec<_>>())
    })?;
    writeln!(out)?;
    Ok(())
}

fn faults(out: &mut String, plan: &Plan, outcome: &Outcome) -> Result<()> {
    let mut any = false;
    for sample in &outcome.samples {
        let Some(fault) = &sample.figures.fault else { continue };
        if !any {
            writeln!(out, "## Left out because of errors\n")?;
        }
        any = true;
        let peer = label(plan, sample.peer);
        writeln!(out, "- round {}, {peer}, {:?}: {fault}", sample.round + 1, sample.row)?;
    }
    Ok(())
}

/// Calls for each row with each metric that it has.
fn each_line(plan: &Plan, outcome: &Outcome, mut call: impl FnMut(&Row, Metric) -> Result<()>) -> Result<()> {
    for row in &plan.rows {
        for metric in Metric::ALL {
            let present = outcome.samples.iter().any(|sample| {
                sample.row == row.name && sample.figures.values.iter().any(|(found, _)| *found == metric)
            });
            if present {
                call(row, metric)?;
            }
        }
    }
    Ok(())
}

fn header(out: &mut String, titles: &[String]) -> Result<()> {
    writeln!(out, "| load | figure | {} |", titles.join(" | "))?;
    writeln!(out, "|---|---|{}", "---:|".repeat(titles.len()))?;
    Ok(())
}

fn line(out: &mut String, row: &str, metric: Metric, cells: &[String]) -> Result<()> {
    writeln!(out, "| {row} | {} | {} |", metric.title(), cells.join(" | "))?;
    Ok(())
}

/// Enough digits to compare by.
fn number(value: f64) -> String {
    if value < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

/// The peer's name; a peer that is compared with itself gets a number.
fn label(plan: &Plan, peer: usize) -> String {
    let kind = plan.peers[peer];
    let before = plan.peers[..peer].iter().filter(|other| **other == kind).count();
    if before == 0 { kind.to_string() } else { format!("{kind} again") }
}

fn versions(plan: &Plan) -> Vec<String> {
    let mut kinds = plan.peers.clone();
    kinds.dedup();
    kinds.into_iter().map(|kind| format!("{kind}: {}", kind.version(plan.forebay.as_deref()))).collect()
}

fn command() -> String {
    let words: Vec<String> = std::env::args().skip(1).collect();
    format!("cargo xtask {}", words.join(" "))
}
