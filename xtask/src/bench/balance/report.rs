//! The table of a balance run.

use std::fmt::Write;

use serde_json::{Value, json};

use super::subject::{self, Subject};
use super::{Bench, CONNECTIONS, REQUESTS};
use crate::bench::headline::{self, Goal};
use crate::bench::machine;
use crate::bench::peer::Kind;
use crate::bench::result::{Metric, Outcome, Spread};
use crate::bench::row::Name;

/// What balancing may add to a request, in µs.
const ADDED_MAX: f64 = 0.2;

/// The report, with what machine and which versions it is about.
pub(super) fn markdown(bench: &Bench, outcome: &Outcome) -> String {
    let mut text = String::from(
        "# What balancing costs\n\nWritten by `cargo xtask bench balance`. What is measured and how: \
         [README](README.md#balancing).\n\n",
    );
    for line in conditions(bench) {
        let _ = writeln!(text, "- {line}");
    }
    let _ = write!(
        text,
        "- GET of 90 bytes over {CONNECTIONS} connections, {REQUESTS} paths and cookies in turn; {} rounds, 1 s for each \
         measurement\n\n",
        bench.settings.rounds
    );
    text.push_str(&headline::goals(&[], &goals(bench, outcome)));
    text.push_str(
        "\nMedian of the rounds (least to greatest), of CPU per request in µs. Differences and ratios are taken within \
         a round; what *one endpoint, again* differs by is noise. Where that is large, compare the least of each.\n\n\
         | endpoints | CPU per request, µs | more than one endpoint, µs | ratio |\n|---|---:|---:|---:|\n",
    );
    for (index, subject) in bench.subjects.iter().enumerate() {
        let [cpu, more, ratio] = cells(outcome, index);
        let _ = writeln!(text, "| {} | {cpu} | {more} | {ratio} |", subject.title);
    }
    faults(&mut text, bench, outcome);
    text
}

/// Everything, by round.
pub(super) fn json(bench: &Bench, outcome: &Outcome) -> Value {
    let samples = outcome.samples.iter().map(|sample| {
        let values = sample.figures.values.iter();
        let values: serde_json::Map<String, Value> =
            values.map(|(metric, value)| (metric.key().to_owned(), json!(value))).collect();
        json!({
            "subject": bench.subjects[sample.peer].title,
            "round": sample.round,
            "values": values,
            "fault": sample.figures.fault,
        })
    });
    json!({
        "conditions": conditions(bench),
        "rounds": bench.settings.rounds,
        "added_max_us": ADDED_MAX,
        "samples": samples.collect::<Vec<Value>>(),
    })
}

fn conditions(bench: &Bench) -> Vec<String> {
    let mut lines = machine::describe();
    lines.push(bench.pinning.describe());
    lines.push(format!("forebay: {}", Kind::Forebay.version(Some(&bench.forebay))));
    let before = bench.before.as_deref();
    lines.extend(before.map(|path| format!("earlier binary: {}", Kind::Forebay.version(Some(path)))));
    lines
}

/// This binary over the older one, if there is one. What several endpoints cost over one is told, but is no goal: most
/// of it is their connections.
fn goals(bench: &Bench, outcome: &Outcome) -> Vec<Goal> {
    subject::PAIRS
        .iter()
        .filter_map(|(one, other)| {
            let at = |subject: Subject| bench.subjects.iter().position(|known| *known == subject);
            let added = outcome.difference(Name::Small, Metric::Cpu, at(*one)?, at(*other)?)?;
            Some(Goal {
                what: format!("CPU per request over the earlier binary: {}, µs", one.title),
                most: ADDED_MAX.to_string(),
                measured: signed(added),
                reached: added.median <= ADDED_MAX,
                others: Vec::new(),
            })
        })
        .collect()
}

/// The figure itself, how much more than the baseline's it is, and their ratio.
fn cells(outcome: &Outcome, subject: usize) -> [String; 3] {
    let cpu = Spread::of(outcome.by_round(Name::Small, Metric::Cpu, subject).into_iter().map(|(_, cpu)| cpu));
    let cpu = cpu.map_or_else(|| "invalid".to_owned(), plain);
    if subject == 0 {
        return [cpu, "–".to_owned(), "–".to_owned()];
    }
    let more = outcome.difference(Name::Small, Metric::Cpu, subject, 0);
    let ratio = outcome.ratio(Name::Small, Metric::Cpu, subject, 0);
    let absent = || "invalid".to_owned();
    [cpu, more.map_or_else(absent, signed), ratio.map_or_else(absent, plain)]
}

fn plain(Spread { min, median, max }: Spread) -> String {
    format!("{median:.2} ({min:.2} to {max:.2})")
}

fn signed(Spread { min, median, max }: Spread) -> String {
    format!("{median:+.2} ({min:+.2} to {max:+.2})")
}

fn faults(text: &mut String, bench: &Bench, outcome: &Outcome) {
    let bad = outcome.samples.iter().filter_map(|sample| Some((sample, sample.figures.fault.as_ref()?)));
    for (number, (sample, fault)) in bad.enumerate() {
        let before = if number == 0 { "\n## Left out because of errors\n\n" } else { "" };
        let _ = writeln!(
            text,
            "{before}- round {}, {}: {fault}",
            sample.round + 1,
            bench.subjects[sample.peer].title
        );
    }
}
