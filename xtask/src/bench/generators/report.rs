//! The tables of `benches/LOAD_RESULTS.md`: what was won and what was lost, and how to get it again.

use std::fmt::Write;

use anyhow::Result;

use super::tool::{Kind, Missing};
use super::{Bench, Results, cost, scale, truth};
use crate::bench::headline::{self, Goal};
use crate::bench::machine;
use crate::bench::result::Spread;

/// The whole report.
pub(crate) fn markdown(bench: &Bench, results: &Results, missing: &[Missing]) -> Result<String> {
    let mut out = String::new();
    writeln!(out, "# Load generators side by side\n")?;
    writeln!(out, "Written by `cargo xtask bench load`. What is measured and how: [README](README.md).\n")?;
    for line in machine::describe() {
        writeln!(out, "- {line}")?;
    }
    writeln!(out, "- {}", pinning(bench))?;
    for tool in &bench.tools {
        writeln!(out, "- {}: {}", tool.kind, tool.version)?;
    }
    for Missing { name, why } in missing {
        writeln!(out, "- {name}: not measured: {why}")?;
    }
    writeln!(out)?;
    goals(&mut out, results)?;
    cost_table(&mut out, bench, results)?;
    truth_table(&mut out, bench, results)?;
    stall_table(&mut out, results)?;
    limits(&mut out, bench, results)?;
    Ok(out)
}

/// What forebay was to reach, and whether the median of the rounds did.
fn goals(out: &mut String, results: &Results) -> Result<()> {
    let mut rows: Vec<(String, f64, f64)> = Vec::new();
    for (kind, most) in [(Kind::Wrk, 1.3), (Kind::Oha, 0.5)] {
        let ratio = cost_ratio(results, kind).map(|ratio| ratio.median);
        rows.extend(ratio.map(|ratio| (format!("CPU per request over {kind}'s"), ratio, most)));
    }
    let truth = || results.truth.iter().filter(|sample| sample.kind == Kind::Forebay);
    let p50 = Spread::of(truth().map(|sample| (sample.claim.p50 / sample.truth.0 - 1.0).abs() * 100.0));
    let p99 = Spread::of(truth().map(|sample| (sample.claim.p99 / sample.truth.1 - 1.0).abs() * 100.0));
    rows.extend(
        p50.map(|off| ("p50 off the truth at 5,000 requests per second, %".to_owned(), off.max, 2.0)),
    );
    rows.extend(p99.map(|off| ("p99 off the truth, %".to_owned(), off.max, 2.0)));
    let pacing = Spread::of(results.pacing.iter().map(|pacing| pacing.handed * 1e3));
    rows.extend(
        pacing
            .map(|p99| ("pacing error p99 at 10,000 requests per second, µs".to_owned(), p99.median, 200.0)),
    );
    let memory = results.memory.as_ref().map(|memory| mega(memory.max));
    rows.extend(memory.map(|memory| ("memory over ten million requests, MB".to_owned(), memory, 100.0)));
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "## Won and lost\n")?;
    let goals = rows.into_iter().map(|(what, measured, most)| Goal {
        what,
        most: most.to_string(),
        measured: format!("{measured:.2}"),
        reached: measured <= most,
        others: Vec::new(),
    });
    out.push_str(&headline::goals(&[], &goals.collect::<Vec<Goal>>()));
    writeln!(out)?;
    Ok(())
}

/// Forebay's CPU per request over another's, round by round.
fn cost_ratio(results: &Results, kind: Kind) -> Option<Spread> {
    let of = |kind: Kind| results.cost.iter().filter(move |sample| sample.kind == kind);
    Spread::of(of(kind).filter_map(|sample| {
        let forebay = of(Kind::Forebay).find(|forebay| forebay.round == sample.round)?;
        Some(forebay.run.cpu_per_request() / sample.run.cpu_per_request())
    }))
}

fn pinning(bench: &Bench) -> String {
    if bench.pinning.proxy.is_empty() {
        return "cores: not pinned".to_owned();
    }
    format!("cores: generator on {:?}, server on {:?}", bench.pinning.proxy, bench.pinning.rest)
}

fn cost_table(out: &mut String, bench: &Bench, results: &Results) -> Result<()> {
    let samples = &results.cost;
    if samples.is_empty() {
        return Ok(());
    }
    let rounds = samples.iter().map(|sample| sample.round).max().map_or(0, |round| round + 1);
    writeln!(out, "## What a request costs\n")?;
    writeln!(
        out,
        "GET of 90 bytes over {} kept connections, each asking again once answered; {rounds} alternating rounds of \
         {} s. CPU is user and system time of the generator's process, start and report included, over answered \
         requests. Median (least to greatest).\n",
        cost::USERS,
        samples[0].seconds
    )?;
    writeln!(
        out,
        "| generator | CPU per request, µs | forebay's over it | requests per second | memory, MB |"
    )?;
    writeln!(out, "|---|---:|---:|---:|---:|")?;
    for tool in &bench.tools {
        let of = |kind: Kind| samples.iter().filter(move |sample| sample.kind == kind);
        let own = of(tool.kind);
        let ratio = cost_ratio(results, tool.kind);
        let cpu = Spread::of(own.clone().map(|sample| sample.run.cpu_per_request()));
        let rate =
            Spread::of(own.clone().map(|sample| sample.run.claim.ok as f64 / f64::from(sample.seconds)));
        let memory = Spread::of(own.map(|sample| sample.run.memory_max() as f64 / 1e6));
        let ratio = if tool.kind == Kind::Forebay { "–".to_owned() } else { spread(ratio, 2, true) };
        let (cpu, rate, memory) = (spread(cpu, 2, false), spread(rate, 0, false), spread(memory, 0, false));
        writeln!(out, "| {} | {cpu} | {ratio} | {rate} | {memory} |", tool.kind)?;
    }
    writeln!(out)?;
    Ok(())
}

fn truth_table(out: &mut String, bench: &Bench, results: &Results) -> Result<()> {
    let Some(first) = results.truth.first() else { return Ok(()) };
    writeln!(out, "## Known delays at a fixed rate\n")?;
    writeln!(
        out,
        "{} requests per second to a server of delays from 5 to 35 ms, each known beforehand: the true p50 is \
         {:.2} ms and the true p99 {:.2} ms, counted from the planned start. Median of the rounds of what each \
         generator says, and how far that is off (least to greatest).\n",
        truth::RATE,
        first.truth.0,
        first.truth.1
    )?;
    writeln!(
        out,
        "| generator | times from | p50, ms | off by | p99, ms | off by | sent of what was planned |"
    )?;
    writeln!(out, "|---|---|---:|---:|---:|---:|---:|")?;
    for tool in &bench.tools {
        let own: Vec<&truth::Sample> =
            results.truth.iter().filter(|sample| sample.kind == tool.kind).collect();
        if own.is_empty() {
            writeln!(out, "| {} | keeps no rate | – | – | – | – | – |", tool.kind)?;
            continue;
        }
        let seconds = if bench.settings.quick { 2 } else { bench.settings.seconds.max(10) };
        let planned = f64::from(truth::RATE) * f64::from(seconds);
        let of = |value: fn(&truth::Sample) -> f64| Spread::of(own.iter().map(|sample| value(sample)));
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            tool.kind,
            tool.kind.clock(),
            median(of(|sample| sample.claim.p50)),
            percent(of(|sample| sample.claim.p50 / sample.truth.0 - 1.0)),
            median(of(|sample| sample.claim.p99)),
            percent(of(|sample| sample.claim.p99 / sample.truth.1 - 1.0)),
            percent_plain(Spread::of(own.iter().map(|sample| sample.requests as f64 / planned))),
        )?;
    }
    let server = |value: fn(&truth::Sample) -> f64| Spread::of(results.truth.iter().map(value));
    writeln!(
        out,
        "\nThe server kept to its delays: its own p50 was off by {}, its p99 by {}.\n",
        percent(server(|sample| sample.took.0 / sample.truth.0 - 1.0)),
        percent(server(|sample| sample.took.1 / sample.truth.1 - 1.0)),
    )?;
    Ok(())
}

fn stall_table(out: &mut String, results: &Results) -> Result<()> {
    let Some(first) = results.stall.first() else { return Ok(()) };
    writeln!(out, "## A server that stalls\n")?;
    writeln!(
        out,
        "{} requests per second over {} connections for {} s; after 10 s the server does nothing for 1.4 s, else it \
         answers at once. wrk keeps no rate and sends as fast as it can. By arithmetic p99 is {:.2} s and more by what it takes to catch up, and the longest wait \
         1.4 s.\n",
        truth::STALL_RATE,
        truth::STALL_USERS,
        truth::STALL_SECONDS,
        first.truth.1 / 1e3,
    )?;
    writeln!(
        out,
        "| generator | times from | p50, ms | p99, ms | max, ms | answered | counted as bad | reached the server |"
    )?;
    writeln!(out, "|---|---|---:|---:|---:|---:|---:|---:|")?;
    for truth::Sample { kind, claim, requests, .. } in &results.stall {
        let max = claim.max.map_or_else(|| "–".to_owned(), |max| format!("{max:.0}"));
        writeln!(
            out,
            "| {kind} | {} | {:.2} | {:.2} | {max} | {} | {} | {requests} |",
            kind.clock(),
            claim.p50,
            claim.p99,
            claim.ok,
            claim.bad
        )?;
    }
    writeln!(out)?;
    Ok(())
}

fn limits(out: &mut String, bench: &Bench, results: &Results) -> Result<()> {
    if results.pacing.is_empty() && results.memory.is_none() && results.connections.is_none() {
        return Ok(());
    }
    writeln!(out, "## Limits of forebay\n")?;
    if !results.pacing.is_empty() {
        let of = |value: fn(&scale::Pacing) -> f64| Spread::of(results.pacing.iter().map(value));
        let bad: u64 = results.pacing.iter().map(|pacing| pacing.bad).sum();
        let ok: u64 = results.pacing.iter().map(|pacing| pacing.ok).sum();
        writeln!(
            out,
            "- {} requests per second, all of the generator on one core: pacing error p99 {} µs, from the planned \
             instant to when the arrival is handed out; to when it is sent {} µs at the median and {} µs at p99 \
             ({ok} answered, {bad} bad)",
            scale::PACING_RATE,
            spread(of(|pacing| pacing.handed * 1e3), 0, false),
            spread(of(|pacing| pacing.sent_p50 * 1e3), 0, false),
            spread(of(|pacing| pacing.sent_p99 * 1e3), 0, false),
        )?;
    }
    if let Some(scale::Memory { ok, bad, early, late, max, time }) = &results.memory {
        writeln!(
            out,
            "- {ok} requests in {:.0} s ({bad} bad): at most {:.1} MB resident; {:.1} MB in the first fifth of the \
             time, {:.1} MB in the last",
            time.as_secs_f64(),
            mega(*max),
            mega(*early),
            mega(*late),
        )?;
    }
    if let Some(scale::Connections { ok, bad, max, p99 }) = &results.connections {
        let connections = if bench.settings.quick { scale::CONNECTIONS / 10 } else { scale::CONNECTIONS };
        writeln!(
            out,
            "- {connections} connections at once: {ok} answered, {bad} bad, p99 {p99:.0} ms, at most {:.1} MB resident",
            mega(*max)
        )?;
    }
    Ok(())
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn spread(spread: Option<Spread>, digits: usize, bold: bool) -> String {
    let Some(Spread { min, median, max }) = spread else { return "–".to_owned() };
    let mark = if bold { "**" } else { "" };
    format!("{mark}{median:.digits$}{mark} ({min:.digits$} to {max:.digits$})")
}

fn median(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "–".to_owned(), |spread| format!("{:.2}", spread.median))
}

fn percent(spread: Option<Spread>) -> String {
    let Some(Spread { min, median, max }) = spread else { return "–".to_owned() };
    format!("{:+.1} % ({:+.1} to {:+.1})", median * 100.0, min * 100.0, max * 100.0)
}

fn percent_plain(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "–".to_owned(), |spread| format!("{:.1} %", spread.median * 100.0))
}
