//! A run in the text format that Prometheus scrapes, for a textfile collector or a push gateway.
//!
//! All of it are gauges and summaries of one run: the next run's take their place.

use std::collections::BTreeSet;
use std::fmt::{Display, Write as _};
use std::time::Duration;

use super::escape::{label, without_secrets};
use super::facts::Facts;
use super::judgement::State;
use super::{NAME_MAX, ROWS_MAX, escape, text};
use crate::hdr::Hdr;
use crate::outcome::{Outcome, Tally};

/// The exposition of what is judged, ending with a newline; warm-up is left out.
#[must_use]
pub fn prometheus(outcome: &Outcome) -> String {
    let facts = Facts::of(outcome);
    let mut page = Page(String::new());
    about(&mut page, &facts);
    let mut steps = text::step_rows(outcome);
    steps.truncate(ROWS_MAX);
    tell_apart(&mut steps);
    requests(&mut page, &steps);
    times(&mut page, &steps);
    thresholds(&mut page, &facts);
    generator(&mut page, outcome);
    page.0
}

/// Names that look the same once they are cut would be the same series.
fn tell_apart(steps: &mut [(String, Tally)]) {
    let mut seen = BTreeSet::new();
    for (index, (name, _)) in steps.iter_mut().enumerate() {
        if !seen.insert(escape::plain(name)) {
            *name = format!("{} ({index})", escape::shorten(name, NAME_MAX - 10));
        }
    }
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP forebay_load_{name} {help}\n# TYPE forebay_load_{name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) {
        let labels: Vec<_> =
            labels.iter().map(|(name, value)| format!("{name}=\"{}\"", label(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        let _ = writeln!(self.0, "forebay_load_{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.family(name, "gauge", help);
        self.sample(name, &[], value);
    }
}

fn about(page: &mut Page, facts: &Facts<'_>) {
    let outcome = facts.outcome;
    page.family("info", "gauge", "The run: always 1.");
    let target = without_secrets(&outcome.target);
    let seed = outcome.seed.to_string();
    let protocol = outcome.protocols.join(",");
    let labels = [
        ("name", outcome.name.as_str()),
        ("target", &target),
        ("model", &outcome.model),
        ("protocol", &protocol),
        ("seed", &seed),
        ("version", &outcome.machine.forebay),
    ];
    page.sample("info", &labels, 1);
    page.family("verdict", "gauge", "1 for the state the run ended in, 0 for the others.");
    for state in State::ALL {
        page.sample("verdict", &[("state", state.label())], u8::from(state == facts.judgement.state));
    }
    let started = Duration::from_millis(outcome.started_unix_ms).as_secs_f64();
    page.gauge("start_time_seconds", "When the run started, since 1970.", started);
    page.gauge("judged_seconds", "Length of the stages that are judged.", facts.seconds);
}

fn requests(page: &mut Page, steps: &[(String, Tally)]) {
    page.family("requests", "gauge", "Planned requests by what came of them; their sum is what was planned.");
    for (step, tally) in steps {
        let errors = tally.errors();
        let buckets = [
            ("ok", tally.ok),
            ("error", errors),
            ("timeout", tally.timeouts),
            ("not_started", tally.not_started),
        ];
        for (outcome, count) in buckets {
            page.sample("requests", &[("step", step), ("outcome", outcome)], count);
        }
    }
    page.family("errors", "gauge", "Errors by kind.");
    for (step, tally) in steps {
        for (kind, count) in &tally.errors {
            page.sample("errors", &[("step", step), ("kind", kind.label())], count);
        }
    }
    page.family("responses", "gauge", "Answers by status, expected or not.");
    for (step, tally) in steps {
        for (status, count) in tally.statuses.iter().take(ROWS_MAX) {
            page.sample("responses", &[("step", step), ("status", &status.to_string())], count);
        }
    }
}

/// A family's name and description, and what of a tally it shows.
type Times = (&'static str, &'static str, fn(&Tally) -> Hdr);

fn times(page: &mut Page, steps: &[(String, Tally)]) {
    let families: [Times; 3] = [
        (
            "response_seconds",
            "From the planned start to the last byte; what timed out or was not started as long as it was waited for.",
            Tally::judged,
        ),
        ("service_seconds", "From the actual start to the last byte.", |tally| tally.service.clone()),
        ("start_delay_seconds", "From the planned to the actual start.", |tally| tally.delay.clone()),
    ];
    for (name, help, hdr) in families {
        page.family(name, "summary", help);
        for (step, tally) in steps {
            let hdr = hdr(tally);
            for quantile in ["0.5", "0.95", "0.99", "0.999", "1"] {
                let at = quantile.parse().ok().and_then(|quantile| hdr.quantile(quantile));
                let at = at.map_or(f64::NAN, |at| at.as_secs_f64());
                page.sample(name, &[("step", step), ("quantile", quantile)], at);
            }
            let mean = hdr.mean().unwrap_or_default().as_secs_f64();
            let sum = mean * super::figures::float(hdr.count());
            page.sample(&format!("{name}_sum"), &[("step", step)], sum);
            page.sample(&format!("{name}_count"), &[("step", step)], hdr.count());
        }
    }
}

fn thresholds(page: &mut Page, facts: &Facts<'_>) {
    page.family("threshold", "gauge", "1 for the state a threshold ended in, 0 for the others.");
    let mut seen = BTreeSet::new();
    let rows = facts.judgement.thresholds.iter().filter(|row| seen.insert(label(&row.text)));
    for row in rows.take(ROWS_MAX) {
        for state in [State::Pass, State::Fail, State::Inconclusive] {
            let labels = [("threshold", row.text.as_str()), ("state", state.label())];
            page.sample("threshold", &labels, u8::from(state == row.state));
        }
    }
}

fn generator(page: &mut Page, outcome: &Outcome) {
    let generator = &outcome.generator;
    let p99 = |hdr: &Hdr| hdr.quantile(0.99).map_or(f64::NAN, |at| at.as_secs_f64());
    page.gauge("generator_pacing_p99_seconds", "How late arrivals were handed out.", p99(&generator.pacing));
    page.gauge(
        "generator_lag_p99_seconds",
        "How late requests started although a user was free.",
        p99(&generator.lag),
    );
    page.gauge("generator_busiest_ratio", "Greatest share of a core one thread used.", generator.busiest);
    page.gauge("generator_cpu_seconds", "CPU time of all threads.", generator.cpu.as_secs_f64());
    page.gauge("generator_connections", "Connections opened.", generator.connects);
    page.gauge("generator_memory_bytes", "Most memory held.", generator.memory_max);
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{Story, hostile, outcome};
    use super::*;

    /// Name, labels and value of each sample; fails on a line that is none.
    fn samples(text: &str) -> Vec<(String, String, f64)> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| {
                let (series, value) = line.rsplit_once(' ').expect("a sample has a value");
                let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
                assert!(labels.ends_with('}'), "{line}");
                let quotes = labels.replace("\\\\", "").replace("\\\"", "").matches('"').count();
                assert!(quotes.is_multiple_of(2), "{line}");
                (name.to_owned(), labels.to_owned(), value.parse().expect("a value is a number"))
            })
            .collect()
    }

    #[test]
    fn every_family_is_described_once_and_no_series_appears_twice() {
        let mut twice = hostile();
        let repeated = twice.verdict.thresholds[0].clone();
        twice.verdict.thresholds.push(repeated);
        for outcome in [outcome(&Story::stalled()), twice] {
            let text = prometheus(&outcome);
            let families: Vec<&str> =
                text.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next()).collect();
            assert_eq!(families.len(), families.iter().collect::<BTreeSet<_>>().len());
            let mut seen = BTreeSet::new();
            for (name, labels, _) in samples(&text) {
                let family = name.trim_end_matches("_sum").trim_end_matches("_count");
                assert!(families.contains(&family), "{name}");
                assert!(seen.insert((name.clone(), labels.clone())), "{name}{{{labels}");
            }
        }
    }

    #[test]
    fn requests_add_up() {
        let outcome = outcome(&Story::stalled());
        let all = samples(&prometheus(&outcome));
        let sum: f64 =
            all.iter().filter(|(name, ..)| name == "forebay_load_requests").map(|(.., value)| value).sum();
        assert!((sum - super::super::figures::float(outcome.total().planned)).abs() < 0.5, "{sum}");
    }

    #[test]
    fn names_stay_within_their_quotes() {
        let text = prometheus(&hostile());
        assert!(samples(&text).len() > 20);
        assert!(!text.contains("secret"));
    }
}
