//! The tables of a run's page: thresholds, stages, steps, errors, the generator, and what was set.

use std::fmt::Write as _;

use super::super::facts::{Facts, Response, quantile_text};
use super::super::figures::{self, bytes, count, duration_or_none, length, share};
use super::super::judgement::{Row, State};
use super::super::text::{EXAMPLES, connections, examples, per_request, percent, step_rows};
use super::super::{ROWS_MAX, escape};
use super::table::{Cell, Table};
use crate::outcome::{ErrorKind, Outcome, Tally};
use crate::plan::Stage;

/// What had to hold.
pub(super) fn thresholds(facts: &Facts<'_>) -> String {
    let rows = &facts.judgement.thresholds;
    let mut out = String::from("<section><h2>Thresholds</h2>");
    if rows.is_empty() {
        out.push_str(
            "<p class=\"nothing\">The plan has none, so only the run itself was judged.</p></section>\n",
        );
        return out;
    }
    if facts.judgement.state == State::Invalid {
        out.push_str("<p>The run is invalid, so these say nothing about the target.</p>");
    }
    let mut table =
        Table::new("Thresholds", &["must hold", "state", ">seen", ">samples", "at 95 %, and why"]);
    let invalid = facts.judgement.state == State::Invalid;
    for row in rows {
        let label = row.state.label();
        // Green would be read as a promise.
        let class = if invalid { "off" } else { label };
        table.row(
            "",
            [
                Cell::Markup(format!("<code>{}</code>", escape::html(&row.text))),
                Cell::Markup(format!("<span class=\"state {class}\">{label}</span>")),
                Cell::Number(row.observed.clone()),
                Cell::Number(count(row.samples)),
                Cell::Why(reason(row)),
            ],
        );
    }
    out.push_str(&table.finish());
    out.push_str("</section>\n");
    out
}

/// The interval it lies in, unless the reason says it anyway, and the reason.
fn reason(row: &Row) -> String {
    match &row.interval {
        Some(interval) if row.why.is_empty() => interval.clone(),
        Some(interval) if !row.why.contains(interval.as_str()) => format!("{interval}; {}", row.why),
        _ => row.why.clone(),
    }
}

const COUNTS: [&str; 9] =
    [">planned", ">ok", ">errors", ">timeouts", ">not started", ">p50", ">p95", ">p99", ">max"];

/// Results by stage.
pub(super) fn stages(outcome: &Outcome) -> String {
    let mut columns = vec!["stage", "length", ">load"];
    columns.extend(COUNTS);
    let mut table = Table::new("Results by stage", &columns);
    for (index, stage) in outcome.stages.iter().enumerate() {
        let mut tally = Tally::default();
        outcome.series.iter().filter_map(|series| series.stages.get(index)).for_each(|of| tally.merge(of));
        let name = if stage.warmup {
            format!("{} (warm-up, not judged)", escape::shorten(&stage.name, 80))
        } else {
            stage.name.clone()
        };
        let mut cells = vec![
            Cell::Name(name),
            Cell::Text(length(stage.length)),
            Cell::Number(load(stage, &outcome.model)),
        ];
        cells.extend(counts(&tally));
        table.row(if stage.warmup { " class=\"soft\"" } else { "" }, cells);
    }
    format!(
        "<section><h2>Stages</h2><p>A request belongs to the stage it was planned in.</p>{}</section>\n",
        table.finish()
    )
}

/// `100 → 400/s`.
fn load(stage: &Stage, model: &str) -> String {
    let unit = if model == "closed" { " users" } else { "/s" };
    if model == "recorded" {
        return "as recorded".to_owned();
    }
    let (from, to) = (figures::digits(stage.from), figures::digits(stage.to));
    if from == to { format!("{to}{unit}") } else { format!("{from} → {to}{unit}") }
}

/// Results by step.
pub(super) fn steps(outcome: &Outcome) -> String {
    let mut columns = vec!["step", "tags"];
    columns.extend(COUNTS);
    let mut table = Table::new("Results by step", &columns);
    for (series, (name, tally)) in outcome.series.iter().zip(step_rows(outcome)) {
        let tags =
            series.tags.iter().take(8).map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>();
        let mut cells = vec![Cell::Name(name), Cell::Text(tags.join(" "))];
        cells.extend(counts(&tally));
        table.row("", cells);
    }
    if outcome.series.is_empty() {
        return "<section><h2>Steps</h2><p class=\"nothing\">No step was reached.</p></section>\n".to_owned();
    }
    format!("<section><h2>Steps</h2>{}</section>\n", table.finish())
}

fn counts(tally: &Tally) -> [Cell; 9] {
    let response = Response::of(tally);
    let at = |quantile| Cell::Number(quantile_text(response.quantile(quantile)));
    [
        Cell::Number(count(tally.planned)),
        Cell::Number(count(tally.ok)),
        Cell::Bad(tally.errors()),
        Cell::Bad(tally.timeouts),
        Cell::Bad(tally.not_started),
        at(0.5),
        at(0.95),
        at(0.99),
        at(1.0),
    ]
}

/// What went wrong, and the statuses of all answers.
pub(super) fn errors(facts: &Facts<'_>) -> String {
    let total = &facts.total;
    let mut out = String::from("<section><h2>Errors and answers</h2>");
    if total.errors() == 0 {
        out.push_str("<p class=\"nothing\">No request that was judged ended as an error.</p>");
    } else {
        let mut table = Table::new(
            "Errors by kind",
            &["kind", ">requests", ">of all planned", "what it means, and the first"],
        );
        for (kind, number) in &total.errors {
            table.row(
                "",
                [
                    Cell::Name(kind.label().to_owned()),
                    Cell::Number(count(*number)),
                    Cell::Number(share(*number, total.planned)),
                    Cell::Why(meant(facts.outcome, *kind)),
                ],
            );
        }
        out.push_str(&table.finish());
    }
    if !total.statuses.is_empty() {
        let answers: u64 = total.statuses.values().sum();
        let mut table = Table::new("Answers by status", &["status", ">answers", ">of all answers"]);
        for (status, number) in &total.statuses {
            table.row(
                "",
                [
                    Cell::Name(status.to_string()),
                    Cell::Number(count(*number)),
                    Cell::Number(share(*number, answers)),
                ],
            );
        }
        out.push_str(&table.finish());
    }
    out.push_str("</section>\n");
    out
}

/// What a kind of error means, with what the first ones were.
fn meant(outcome: &Outcome, kind: ErrorKind) -> String {
    let examples = examples(outcome, kind);
    let told = examples.iter().take(EXAMPLES).map(String::as_str);
    std::iter::once(meaning(kind)).chain(told).collect::<Vec<_>>().join("; ")
}

const fn meaning(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Status => "answered with a status that was not expected",
        ErrorKind::Check => "answered, but not as the plan expects",
        ErrorKind::Capture => "answered, but without a value that later steps need",
        ErrorKind::ConnectRefused => "nobody accepts connections there",
        ErrorKind::ConnectFailed => "no connection could be made",
        ErrorKind::Reset => "the connection was reset before the answer was complete",
        ErrorKind::Closed => "the connection was closed before a byte of the answer",
        ErrorKind::Truncated => "the connection was closed within the answer",
        ErrorKind::Protocol => "the answer is not as its protocol has it",
        ErrorKind::BodyTooLong => {
            "the body is longer than the 1 MiB that conditions are looked for in: the plan's fault"
        }
        ErrorKind::OutOfSockets => {
            "the generator's machine had no socket or port left: not the target's fault"
        }
        ErrorKind::Template => "a value the request needs was missing: the plan's fault",
        ErrorKind::Tls => "the connection could not be secured",
        ErrorKind::StreamReset => "the server gave this request up, and not the connection",
        ErrorKind::StreamRefused => {
            "the server did not process it: refused, or sent too late for this connection"
        }
        ErrorKind::Grpc(_) => "the call ended with this gRPC status, and another was expected",
    }
}

/// Whether the generator itself did well.
pub(super) fn generator(facts: &Facts<'_>) -> String {
    let generator = &facts.outcome.generator;
    let rows = [
        ("pacing, p99", duration_or_none(generator.pacing.quantile(0.99))),
        ("start lag, p99", duration_or_none(generator.lag.quantile(0.99))),
        ("busiest thread", format!("{} of a core", percent(generator.busiest))),
        ("kept from running", format!("{} of the time", percent(generator.starved))),
        ("threads", count(generator.workers as u64)),
        ("CPU time", figures::duration(generator.cpu)),
        ("CPU time per request", per_request(facts)),
        ("connections opened", connections(facts.outcome)),
        ("in flight at most", count(generator.in_flight_max)),
        ("memory at most", bytes(generator.memory_max)),
    ];
    format!(
        "<section><h2>The generator itself</h2><p>Only if it did well do the other numbers mean something. Pacing is \
         how late requests were handed out, start lag how late they started although a user was \
         free.</p>{}</section>\n",
        list(&rows.map(|(name, value)| (name.to_owned(), value)))
    )
}

/// What was set, and what ran where.
pub(super) fn settings(facts: &Facts<'_>) -> String {
    let outcome = facts.outcome;
    let machine = &outcome.machine;
    let mut rows = vec![
        ("target".to_owned(), escape::without_secrets(&outcome.target).into_owned()),
        ("model".to_owned(), outcome.model.clone()),
        ("users at most".to_owned(), count(outcome.users_max as u64)),
        (
            "connections".to_owned(),
            if outcome.keep_alive { "kept" } else { "one for each request" }.to_owned(),
        ),
        ("seed".to_owned(), outcome.seed.to_string()),
        ("started".to_owned(), figures::date(outcome.started_unix_ms)),
        ("took".to_owned(), length(outcome.took)),
        ("forebay".to_owned(), machine.forebay.clone()),
        ("system".to_owned(), machine.system.clone()),
        ("processors".to_owned(), count(machine.cores as u64)),
    ];
    rows.extend(
        outcome.tags.iter().take(ROWS_MAX).map(|(name, value)| (format!("tag {name}"), value.clone())),
    );
    format!("<section><h2>Settings and machine</h2>{}</section>\n", list(&rows))
}

fn list(rows: &[(String, String)]) -> String {
    let mut out = String::from("<dl class=\"facts\">");
    for (name, value) in rows {
        let _ = write!(out, "<div><dt>{}</dt><dd>{}</dd></div>", escape::html(name), escape::html(value));
    }
    out.push_str("</dl>");
    out
}
