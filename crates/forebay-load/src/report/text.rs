//! The closing words of a run on a terminal: the verdict first, then where every request went, then times.

mod lab;
mod wrap;

use std::fmt::Write as _;

pub(crate) use lab::{growth, sent};

use super::facts::{Facts, QUANTILES, Response, quantile_text};
use super::figures::{self, NONE, bytes, count, duration, duration_or_none, float, share, things};
use super::judgement::State;
use super::{ROWS_MAX, escape};
use crate::hdr::Hdr;
use crate::outcome::{ErrorKind, Outcome, Series, Tally};

/// Letters of a name in a table.
const NAME: usize = 28;
/// Steps of which an error is told, for each kind.
pub(crate) const EXAMPLES: usize = 3;
/// Letters of a name where there is little room.
const NAME_NARROW: usize = 18;
/// No text is made narrower: it would be words below each other.
const WIDTH_MIN: usize = 54;

/// What a piece of text is, for whoever colours it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ink {
    /// A heading.
    Strong,
    /// Of less weight.
    Soft,
    /// All is well.
    Good,
    /// Doubtful.
    Doubtful,
    /// Not well.
    Bad,
}

/// The summary of a run, ending with a newline. Of `width` columns, or as many as it takes. `paint` colours a
/// piece of it or gives it back as it is.
#[must_use]
pub fn text(outcome: &Outcome, width: Option<usize>, paint: &dyn Fn(Ink, &str) -> String) -> String {
    let facts = Facts::of(outcome);
    let room = width.map_or(usize::MAX, |width| width.max(WIDTH_MIN));
    let mut page = Page { out: String::new(), paint, room };
    page.verdict(&facts);
    page.accounting(&facts);
    page.times(&facts);
    page.rows("Stages", stage_rows(outcome));
    page.rows("Steps", step_rows(outcome));
    page.errors(&facts);
    page.thresholds(&facts);
    page.faults(outcome);
    page.processes(outcome);
    page.generator(&facts);
    page.notes(outcome);
    page.out
}

struct Page<'a> {
    out: String,
    paint: &'a dyn Fn(Ink, &str) -> String,
    /// Columns.
    room: usize,
}

impl Page<'_> {
    /// Lines of these pieces, broken at words; all but the first begin with `hang` spaces.
    fn pieces(&mut self, hang: usize, pieces: &[(Option<Ink>, &str)]) {
        wrap::lines(&mut self.out, self.paint, self.room, hang, pieces);
    }

    fn line(&mut self, line: &str) {
        self.pieces(4, &[(None, line)]);
    }

    /// One line, as it is.
    fn table_line(&mut self, ink: Option<Ink>, line: &str) {
        let line = line.trim_end();
        let line = ink.map_or_else(|| line.to_owned(), |ink| (self.paint)(ink, line));
        self.out.push_str(&line);
        self.out.push('\n');
    }

    fn heading(&mut self, text: &str) {
        self.out.push('\n');
        self.pieces(0, &[(Some(Ink::Strong), text)]);
    }

    fn soft(&mut self, text: &str) {
        self.pieces(2, &[(None, "  "), (Some(Ink::Soft), text)]);
    }

    fn verdict(&mut self, facts: &Facts<'_>) {
        let Facts { outcome, judgement, .. } = facts;
        let target = escape::without_secrets(&outcome.target);
        let about = format!("  {}  {}", escape::plain(&outcome.name), escape::plain(&target));
        self.pieces(2, &[(Some(ink(judgement.state)), judgement.state.word()), (None, &about)]);
        self.pieces(2, &[(None, "  "), (None, judgement.meaning())]);
        for reason in judgement.reasons.iter().take(ROWS_MAX) {
            self.line(&format!("  - {}", escape::shorten(reason, 400)));
        }
    }

    fn accounting(&mut self, facts: &Facts<'_>) {
        let tally = &facts.total;
        self.heading("Where every request went");
        let Tally { planned, ok, timeouts, not_started, .. } = tally;
        let errors = tally.errors();
        let bad = |number: u64| (number > 0).then_some(Ink::Bad);
        self.pieces(
            4,
            &[
                (None, &format!("  {} planned = {} ok + ", count(*planned), count(*ok))),
                (bad(errors), &things(errors, "error")),
                (None, " + "),
                (bad(*timeouts), &things(*timeouts, "timeout")),
                (None, " + "),
                (bad(*not_started), &count(*not_started)),
                (None, " not started"),
            ],
        );
        if !tally.balances() {
            let text = "the sum does not hold: this is a defect of the generator";
            self.pieces(2, &[(None, "  "), (Some(Ink::Bad), text)]);
        }
        let rates = format!(
            "{} planned, {} started, {} ok; {} not ok",
            figures::rate(facts.per_second(tally.planned)),
            figures::rate(facts.per_second(facts.started())),
            figures::rate(facts.throughput()),
            share(tally.bad(), tally.planned),
        );
        self.line(&format!("  {rates}; {} out, {} in", bytes(tally.bytes_out), bytes(tally.bytes_in)));
        if let Some(note) = facts.warmup_note() {
            self.soft(&note);
        }
    }

    fn times(&mut self, facts: &Facts<'_>) {
        let Facts { total, response, .. } = facts;
        let heads = QUANTILES.map(|(name, _)| name).into_iter().chain(["mean"]);
        let columns: Vec<_> = heads.map(|head| (head, 10)).collect();
        // The tail beyond p99 and the mean are what one can do without first, then p95.
        let table = Columns::fitting(&columns, &[3, 5, 1], (24, 24), self.room);
        self.out.push('\n');
        self.table_line(Some(Ink::Strong), &table.head("Times"));
        if response.judged().is_empty() {
            let as_expected = if total.statuses.is_empty() { "" } else { " as expected" };
            self.line(&format!("  nothing was answered{as_expected}, so there are no times of it"));
        } else {
            let cells = QUANTILES.map(|(_, quantile)| quantile_text(response.quantile(quantile)));
            let mean = duration_or_none(response.judged().mean());
            let cells: Vec<_> = cells.into_iter().chain([mean]).collect();
            self.table_line(None, &table.row("response, from plan", &cells));
        }
        let others = [
            ("service, from sending", &total.service),
            ("start delay", &total.delay),
            ("first byte", &total.first_byte),
            ("connect", &total.connect),
            ("TLS handshake in it", &total.handshake),
            ("errors' response", &total.failed),
        ];
        for (label, hdr) in others.into_iter().filter(|(_, hdr)| !hdr.is_empty()) {
            let cells = QUANTILES.map(|(_, quantile)| duration_or_none(hdr.quantile(quantile)));
            let cells: Vec<_> = cells.into_iter().chain([duration_or_none(hdr.mean())]).collect();
            self.table_line(None, &table.row(label, &cells));
        }
        if !total.censored.is_empty() {
            let note = format!(
                "{} not waited for to the end: the true times are longer",
                things(total.censored.count(), "request")
            );
            self.soft(&note);
        }
        self.soft(facts.model_note());
    }

    fn rows(&mut self, title: &str, rows: Vec<(String, Tally)>) {
        if rows.len() < 2 {
            return;
        }
        let columns =
            [("planned", 11), ("ok", 11), ("not ok", 10), ("p50", 10), ("p95", 10), ("p99", 10), ("max", 10)];
        let table = Columns::fitting(&columns, &[4, 1, 6, 0], (NAME, NAME_NARROW), self.room);
        self.out.push('\n');
        self.table_line(Some(Ink::Strong), &table.head(title));
        let beyond = rows.len().saturating_sub(ROWS_MAX);
        for (name, tally) in rows.into_iter().take(ROWS_MAX) {
            let response = Response::of(&tally);
            let at = |quantile| quantile_text(response.quantile(quantile));
            let bad = if tally.bad() > 0 { share(tally.bad(), tally.planned) } else { "·".to_owned() };
            let cells = [count(tally.planned), count(tally.ok), bad, at(0.5), at(0.95), at(0.99), at(1.0)];
            self.table_line(None, &table.row(&name, &cells));
        }
        if beyond > 0 {
            self.soft(&format!("and {beyond} more"));
        }
    }

    fn errors(&mut self, facts: &Facts<'_>) {
        let tally = &facts.total;
        if tally.errors() == 0 {
            // The plan may expect them; who reads it should know all the same.
            if tally.statuses.keys().any(|status| *status >= 400) {
                self.heading("Answers, all as the plan expects");
                self.statuses(facts);
            }
            return;
        }
        self.heading("Errors");
        for (kind, number) in &tally.errors {
            self.line(&format!(
                "  {:<20}{:>10}  {}",
                kind.label(),
                count(*number),
                share(*number, tally.planned)
            ));
            let examples = examples(facts.outcome, *kind);
            for example in examples.iter().take(EXAMPLES) {
                self.pieces(6, &[(None, "    "), (Some(Ink::Soft), &escape::shorten(example, 300))]);
            }
        }
        self.statuses(facts);
    }

    fn statuses(&mut self, facts: &Facts<'_>) {
        let statuses = facts.total.statuses.iter().take(ROWS_MAX);
        let statuses: Vec<_> =
            statuses.map(|(status, number)| format!("{status} × {}", count(*number))).collect();
        if !statuses.is_empty() {
            self.soft(&format!("statuses: {}", statuses.join(", ")));
        }
    }

    fn thresholds(&mut self, facts: &Facts<'_>) {
        let rows = &facts.judgement.thresholds;
        if rows.is_empty() {
            return;
        }
        let invalid = facts.judgement.state == State::Invalid;
        self.heading(if invalid { "Thresholds, which say nothing of an invalid run" } else { "Thresholds" });
        let widths = rows.iter().map(|one| escape::plain(&one.text).chars().count());
        let width = widths.max().unwrap_or(0).min(NAME * 2);
        for one in rows.iter().take(ROWS_MAX) {
            let word = format!("{:<13}", one.state.label());
            let state = if invalid { Ink::Soft } else { ink(one.state) };
            // The reason usually says it already.
            let interval = one.interval.as_ref().filter(|text| !one.why.contains(text.as_str()));
            let interval = interval.map(|text| format!(" ({text})")).unwrap_or_default();
            let text = escape::plain(&one.text);
            let mut line = format!(" {text:<width$}  {}{interval}", one.observed);
            let _ = write!(line, ", {}", things(one.samples, "sample"));
            if !one.why.is_empty() {
                let _ = write!(line, ": {}", escape::shorten(&one.why, 300));
            }
            self.pieces(6, &[(None, "  "), (Some(state), &word), (None, &line)]);
        }
    }

    fn generator(&mut self, facts: &Facts<'_>) {
        let generator = &facts.outcome.generator;
        self.heading("Generator");
        let at = |hdr: &Hdr| duration_or_none(hdr.quantile(0.99));
        self.line(&format!(
            "  pacing p99 {}, start lag p99 {}, busiest thread {} of a core, kept from running {} of the time",
            at(&generator.pacing),
            at(&generator.lag),
            percent(generator.busiest),
            percent(generator.starved),
        ));
        let per = if facts.outcome.series.is_empty() { NONE.to_owned() } else { per_request(facts) };
        self.soft(&format!(
            "{}, {} CPU ({per} a request), {}, {} in flight at most, {} memory",
            things(generator.workers as u64, "thread"),
            duration(generator.cpu),
            connections(facts.outcome),
            count(generator.in_flight_max),
            bytes(generator.memory_max),
        ));
    }
}

/// `3 connections, HTTP/2 over TLSv1.3`.
pub(crate) fn connections(outcome: &Outcome) -> String {
    let mut text = things(outcome.generator.connects, "connection");
    if outcome.generator.resumed > 0 {
        let _ = write!(text, " ({} resumed)", count(outcome.generator.resumed));
    }
    if !outcome.protocols.is_empty() {
        let _ = write!(text, " of {}", escape::plain(&outcome.protocols.join(" and ")));
    }
    text
}

/// What the first error of this kind was, by step.
pub(crate) fn examples(outcome: &Outcome, kind: ErrorKind) -> Vec<String> {
    let first = |series: &Series| {
        let judged = outcome.stages.iter().zip(&series.stages).filter(|(stage, _)| !stage.warmup);
        let example = judged.filter_map(|(_, tally)| tally.examples.get(&kind)).next()?;
        Some(format!("{}: {}", escape::shorten(&series.step, NAME), escape::shorten(example, 250)))
    };
    outcome.series.iter().filter_map(first).collect()
}

/// CPU time for each request that was started.
pub(crate) fn per_request(facts: &Facts<'_>) -> String {
    let started = facts.started() + facts.warmup.planned.saturating_sub(facts.warmup.not_started);
    if started == 0 {
        return NONE.to_owned();
    }
    figures::micros(facts.outcome.generator.cpu.as_secs_f64() * 1e6 / float(started))
}

/// A share of one as `31 %`.
pub(crate) fn percent(share: f64) -> String {
    format!("{} %", figures::digits(share * 100.0))
}

/// The results of each stage, all steps together. None when there is one only.
pub(crate) fn stage_rows(outcome: &Outcome) -> Vec<(String, Tally)> {
    let stages = outcome.stages.iter().enumerate().map(|(index, stage)| {
        let mut tally = Tally::default();
        for series in &outcome.series {
            if let Some(of) = series.stages.get(index) {
                tally.merge(of);
            }
        }
        let name = if stage.warmup {
            format!("{} (not judged)", escape::shorten(&stage.name, NAME - 17))
        } else {
            stage.name.clone()
        };
        (name, tally)
    });
    stages.collect()
}

/// The results of each step, all stages that are judged together.
pub(crate) fn step_rows(outcome: &Outcome) -> Vec<(String, Tally)> {
    let steps = outcome.series.iter().map(|series| {
        let mut tally = Tally::default();
        for (_, of) in outcome.stages.iter().zip(&series.stages).filter(|(stage, _)| !stage.warmup) {
            tally.merge(of);
        }
        (series.step.clone(), tally)
    });
    steps.collect()
}

/// The columns of a table that there is room for.
#[derive(Debug)]
struct Columns {
    /// Which of all, what stands above it, and how wide it is.
    kept: Vec<(usize, String, usize)>,
    /// Columns of the names.
    label: usize,
}

impl Columns {
    /// As many of `columns` as fit beside a label; with too little room the label gets narrower, from the first
    /// to the second width, and columns are left out in the order of `spare`.
    fn fitting(columns: &[(&str, usize)], spare: &[usize], label: (usize, usize), room: usize) -> Self {
        let of = |(index, (head, width)): (usize, &(&str, usize))| (index, (*head).to_owned(), *width);
        let mut kept: Vec<_> = columns.iter().enumerate().map(of).collect();
        let wide = |kept: &[(usize, String, usize)]| kept.iter().map(|(_, _, width)| width).sum::<usize>();
        for index in spare {
            if wide(&kept) + label.1 <= room {
                break;
            }
            kept.retain(|(of, _, _)| of != index);
        }
        let label = room.saturating_sub(wide(&kept)).clamp(label.1, label.0);
        Self { kept, label }
    }

    fn head(&self, title: &str) -> String {
        self.line(title, |(_, head, _)| head)
    }

    fn row(&self, label: &str, cells: &[String]) -> String {
        let label = escape::shorten(label, self.label.saturating_sub(3));
        let none = String::new();
        self.line(&format!("  {label}"), |(index, _, _)| cells.get(*index).unwrap_or(&none))
    }

    fn line<'s>(&'s self, label: &str, cell: impl Fn(&'s (usize, String, usize)) -> &'s String) -> String {
        let mut line = format!("{label:<width$}", width = self.label);
        for column in &self.kept {
            let _ = write!(line, "{:>width$}", cell(column), width = column.2);
        }
        line
    }
}

const fn ink(state: State) -> Ink {
    match state {
        State::Pass => Ink::Good,
        State::Inconclusive => Ink::Doubtful,
        State::Fail | State::Invalid => Ink::Bad,
    }
}

#[cfg(test)]
mod tests;
