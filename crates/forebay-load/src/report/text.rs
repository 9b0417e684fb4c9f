//! The closing words of a run on a terminal: the verdict first, then where every request went, then times.

use std::fmt::Write as _;

use super::facts::{Facts, QUANTILES, Response, quantile_text};
use super::figures::{self, NONE, bytes, count, duration, duration_or_none, float, share, things};
use super::judgement::State;
use super::{ROWS_MAX, escape};
use crate::hdr::Hdr;
use crate::outcome::{Outcome, Tally};

/// Letters of a name in a table.
const NAME: usize = 28;

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

/// The summary of a run, ending with a newline. `paint` colours a piece of it or gives it back as it is.
#[must_use]
pub fn text(outcome: &Outcome, paint: &dyn Fn(Ink, &str) -> String) -> String {
    let facts = Facts::of(outcome);
    let mut page = Page { out: String::new(), paint };
    page.verdict(&facts);
    page.accounting(&facts);
    page.times(&facts);
    page.rows("Stages", stage_rows(outcome));
    page.rows("Steps", step_rows(outcome));
    page.errors(&facts.total);
    page.thresholds(&facts);
    page.generator(&facts);
    page.out
}

struct Page<'a> {
    out: String,
    paint: &'a dyn Fn(Ink, &str) -> String,
}

impl Page<'_> {
    fn line(&mut self, line: &str) {
        self.out.push_str(line.trim_end());
        self.out.push('\n');
    }

    fn heading(&mut self, text: &str) {
        let text = (self.paint)(Ink::Strong, text);
        self.out.push('\n');
        self.line(&text);
    }

    fn soft(&mut self, text: &str) {
        let text = (self.paint)(Ink::Soft, text);
        self.line(&format!("  {text}"));
    }

    fn verdict(&mut self, facts: &Facts<'_>) {
        let Facts { outcome, judgement, .. } = facts;
        let word = (self.paint)(ink(judgement.state), judgement.state.word());
        let target = escape::without_secrets(&outcome.target);
        self.line(&format!("{word}  {}  {}", escape::plain(&outcome.name), escape::plain(&target)));
        self.line(&format!("  {}", judgement.meaning()));
        for reason in judgement.reasons.iter().take(ROWS_MAX) {
            self.line(&format!("  - {}", escape::shorten(reason, 400)));
        }
    }

    fn accounting(&mut self, facts: &Facts<'_>) {
        let tally = &facts.total;
        self.heading("Where every request went");
        let Tally { planned, ok, timeouts, not_started, .. } = tally;
        let errors = tally.errors();
        self.line(&format!(
            "  {} planned = {} ok + {} + {} + {} not started",
            count(*planned),
            count(*ok),
            self.bad(errors, &things(errors, "error")),
            self.bad(*timeouts, &things(*timeouts, "timeout")),
            self.bad(*not_started, &count(*not_started)),
        ));
        if !tally.balances() {
            let text = (self.paint)(Ink::Bad, "the sum does not hold: this is a defect of the generator");
            self.line(&format!("  {text}"));
        }
        let rates = format!(
            "{} planned, {} started, {} ok; {} not ok",
            figures::rate(facts.per_second(tally.planned)),
            figures::rate(facts.per_second(facts.started())),
            figures::rate(facts.per_second(tally.ok)),
            share(tally.bad(), tally.planned),
        );
        self.line(&format!("  {rates}; {} out, {} in", bytes(tally.bytes_out), bytes(tally.bytes_in)));
        if let Some(note) = facts.warmup_note() {
            self.soft(&note);
        }
    }

    /// The text as something bad, if there is any of it.
    fn bad(&self, number: u64, text: &str) -> String {
        if number > 0 { (self.paint)(Ink::Bad, text) } else { text.to_owned() }
    }

    fn times(&mut self, facts: &Facts<'_>) {
        let Facts { total, response, .. } = facts;
        let names = QUANTILES.map(|(name, _)| name);
        let head = times_row("Times", names.map(str::to_owned), "mean");
        self.out.push('\n');
        let head = (self.paint)(Ink::Strong, &head);
        self.line(&head);
        if response.judged().is_empty() {
            self.line("  nothing was answered, so there are no times");
            return;
        }
        let cells = QUANTILES.map(|(_, quantile)| quantile_text(response.quantile(quantile)));
        let mean = duration_or_none(response.judged().mean());
        self.line(&times_row("  response, from plan", cells, &mean));
        let others = [
            ("  service, from sending", &total.service),
            ("  start delay", &total.delay),
            ("  first byte", &total.first_byte),
            ("  connect", &total.connect),
            ("  errors' response", &total.failed),
        ];
        for (label, hdr) in others.into_iter().filter(|(_, hdr)| !hdr.is_empty()) {
            self.line(&times_row(label, cells_of(hdr), &duration_or_none(hdr.mean())));
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
        let header = ["planned", "ok", "not ok", "p50", "p95", "p99", "max"].map(str::to_owned);
        let header = (self.paint)(Ink::Strong, &row(title, &header));
        self.out.push('\n');
        self.line(&header);
        let beyond = rows.len().saturating_sub(ROWS_MAX);
        for (name, tally) in rows.into_iter().take(ROWS_MAX) {
            let response = Response::of(&tally);
            let at = |quantile| quantile_text(response.quantile(quantile));
            let bad = if tally.bad() > 0 { share(tally.bad(), tally.planned) } else { "·".to_owned() };
            let cells = [count(tally.planned), count(tally.ok), bad, at(0.5), at(0.95), at(0.99), at(1.0)];
            self.line(&row(&format!("  {}", escape::shorten(&name, NAME - 4)), &cells));
        }
        if beyond > 0 {
            self.soft(&format!("and {beyond} more"));
        }
    }

    fn errors(&mut self, tally: &Tally) {
        if tally.errors() == 0 {
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
        }
        let statuses: Vec<_> = tally
            .statuses
            .iter()
            .take(ROWS_MAX)
            .map(|(status, number)| format!("{status} × {}", count(*number)))
            .collect();
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
            let word = (self.paint)(if invalid { Ink::Soft } else { ink(one.state) }, &word);
            // The reason usually says it already.
            let interval = one.interval.as_ref().filter(|text| !one.why.contains(text.as_str()));
            let interval = interval.map(|text| format!(" ({text})")).unwrap_or_default();
            let text = escape::plain(&one.text);
            let mut line = format!("  {word} {text:<width$}  {}{interval}", one.observed);
            let _ = write!(line, ", {}", things(one.samples, "sample"));
            if !one.why.is_empty() {
                let _ = write!(line, ": {}", escape::shorten(&one.why, 300));
            }
            self.line(&line);
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
            things(generator.connects, "connection"),
            count(generator.in_flight_max),
            bytes(generator.memory_max),
        ));
    }
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

fn cells_of(hdr: &Hdr) -> [String; 5] {
    QUANTILES.map(|(_, quantile)| duration_or_none(hdr.quantile(quantile)))
}

fn times_row(label: &str, cells: [String; 5], mean: &str) -> String {
    let [p50, p95, p99, p999, max] = cells;
    format!("{label:<23}{p50:>10}{p95:>10}{p99:>10}{p999:>10}{max:>10}{mean:>10}")
}

fn row(label: &str, [planned, ok, bad, p50, p95, p99, max]: &[String; 7]) -> String {
    format!("{label:<NAME$}{planned:>11}{ok:>11}{bad:>10}{p50:>10}{p95:>10}{p99:>10}{max:>10}")
}

const fn ink(state: State) -> Ink {
    match state {
        State::Pass => Ink::Good,
        State::Inconclusive => Ink::Doubtful,
        State::Fail | State::Invalid => Ink::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{Story, hostile, outcome};
    use super::*;

    fn plain(outcome: &Outcome) -> String {
        text(outcome, &|_, text| text.to_owned())
    }

    #[test]
    fn the_verdict_comes_first_and_the_sum_is_shown() {
        let text = plain(&outcome(&Story::stalled()));
        assert!(
            text.starts_with("INVALID") || text.starts_with("FAIL") || text.starts_with("INCONCLUSIVE"),
            "{text}"
        );
        let sum = text.lines().find(|line| line.contains(" planned = ")).expect("the sum is shown");
        let numbers: Vec<u64> =
            sum.replace(',', "").split_whitespace().filter_map(|word| word.parse().ok()).collect();
        assert_eq!(numbers.len(), 5, "{sum}");
        assert_eq!(numbers[0], numbers[1..].iter().sum::<u64>(), "{sum}");
    }

    #[test]
    fn a_run_without_answers_has_no_times() {
        let mut outcome = outcome(&Story::calm());
        outcome.series.clear();
        outcome.timeline.clear();
        let text = plain(&outcome);
        assert!(text.contains("0 planned = 0 ok + 0 errors + 0 timeouts + 0 not started"), "{text}");
        assert!(text.contains("nothing was answered"), "{text}");
    }

    #[test]
    fn names_do_not_steer_the_terminal() {
        let text = plain(&hostile());
        assert!(text.chars().all(|letter| letter == '\n' || !letter.is_control()), "{text:?}");
        let widest = text.lines().map(|line| line.chars().count()).max();
        assert!(widest < Some(450), "{widest:?}");
    }

    #[test]
    fn whoever_colours_it_changes_no_word() {
        let outcome = outcome(&Story::stalled());
        let coloured = text(&outcome, &|_, text| format!("\x1b[1m{text}\x1b[0m"));
        assert_eq!(coloured.replace("\x1b[1m", "").replace("\x1b[0m", ""), plain(&outcome));
    }
}
