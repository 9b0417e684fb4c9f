//! A run as JUnit XML, for the test tabs of CI systems: one case for validity, one for each threshold, one for the
//! baseline if there is one.
//!
//! A threshold that does not hold is a `failure`. One that cannot be told, for want of samples, is an `error`:
//! a green tick would be a lie, and a skip looks like one. An invalid run is an `error`, and its thresholds are
//! `skipped`, since their numbers say nothing about the target.

use std::fmt::Write as _;
use std::time::Duration;

use super::escape::{without_secrets, xml};
use super::facts::Facts;
use super::figures::{self, float};
use super::judgement::{Row, State};
use super::text::percent;
use super::{ROWS_MAX, escape};
use crate::compare::Gate;
use crate::outcome::Outcome;
use crate::verdict::Kind;

/// The report, ending with a newline.
#[must_use]
pub fn junit(outcome: &Outcome) -> String {
    let facts = Facts::of(outcome);
    let mut cases = vec![validity(&facts)];
    let invalid = facts.judgement.state == State::Invalid;
    cases.extend(facts.judgement.thresholds.iter().take(ROWS_MAX).map(|row| threshold(row, invalid)));
    if cases.len() == 1 && !invalid {
        cases.push(overall(&facts));
    }
    cases.extend(outcome.verdict.baseline.as_ref().map(|gate| baseline(gate, invalid)));
    let tally = |ending: &str| cases.iter().filter(|case| case.ending == ending).count();
    let (failures, errors, skipped) = (tally("failure"), tally("error"), tally("skipped"));
    let (tests, time) = (cases.len(), outcome.took.as_secs_f64());
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let _ = writeln!(
        out,
        "<testsuites name=\"forebay load\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" \
         time=\"{time:.3}\">"
    );
    let _ = writeln!(
        out,
        "  <testsuite name=\"{}\" tests=\"{tests}\" failures=\"{failures}\" errors=\"{errors}\" \
         skipped=\"{skipped}\" timestamp=\"{}\" time=\"{time:.3}\">",
        xml(&outcome.name),
        figures::iso_date(outcome.started_unix_ms),
    );
    properties(&mut out, &facts);
    for case in &cases {
        case.write(&mut out, &outcome.name, outcome.took);
    }
    out.push_str("  </testsuite>\n</testsuites>\n");
    out
}

struct Case {
    name: String,
    /// `failure`, `error`, `skipped`, or empty: passed.
    ending: &'static str,
    kind: &'static str,
    message: String,
    /// What was seen.
    seen: String,
}

impl Case {
    fn write(&self, out: &mut String, class: &str, took: Duration) {
        let Self { name, ending, kind, message, seen } = self;
        let time = took.as_secs_f64();
        let _ = writeln!(
            out,
            "    <testcase name=\"{}\" classname=\"{}\" time=\"{time:.3}\">",
            xml(name),
            xml(class)
        );
        let message = escape::html_text(message);
        match *ending {
            "" => {}
            "skipped" => {
                let _ = writeln!(out, "      <skipped message=\"{message}\"/>");
            }
            _ => {
                let _ = writeln!(out, "      <{ending} type=\"{kind}\" message=\"{message}\"/>");
            }
        }
        if !seen.is_empty() {
            let _ = writeln!(out, "      <system-out>{}</system-out>", escape::html_text(seen));
        }
        out.push_str("    </testcase>\n");
    }
}

fn validity(facts: &Facts<'_>) -> Case {
    let invalid = facts.judgement.state == State::Invalid;
    let generator = &facts.outcome.generator;
    Case {
        name: "the generator kept to the plan".to_owned(),
        ending: if invalid { "error" } else { "" },
        kind: "invalid",
        message: if invalid { facts.judgement.reasons.join("; ") } else { String::new() },
        seen: format!(
            "pacing p99 {}, start lag p99 {}, busiest thread {} of a core",
            figures::duration_or_none(generator.pacing.quantile(0.99)),
            figures::duration_or_none(generator.lag.quantile(0.99)),
            percent(generator.busiest),
        ),
    }
}

fn threshold(row: &Row, invalid: bool) -> Case {
    let (ending, kind) = match row.state {
        _ if invalid => ("skipped", ""),
        State::Pass => ("", ""),
        State::Fail => ("failure", "threshold"),
        State::Inconclusive => ("error", "inconclusive"),
        State::Invalid => ("error", "invalid"),
    };
    let interval = row.interval.as_ref().map(|text| format!(" ({text})")).unwrap_or_default();
    let seen = format!("{}{interval}, {}", row.observed, figures::things(row.samples, "sample"));
    let message = match ending {
        "skipped" => "not judged: the run is invalid".to_owned(),
        _ if row.why.is_empty() => seen.clone(),
        _ => row.why.clone(),
    };
    Case { name: row.text.clone(), ending, kind, message, seen }
}

/// Of a plan without thresholds: what came of it all the same.
fn overall(facts: &Facts<'_>) -> Case {
    let state = facts.judgement.state;
    let (ending, kind) = match state {
        State::Pass => ("", ""),
        State::Fail => ("failure", "threshold"),
        State::Inconclusive | State::Invalid => ("error", state.label()),
    };
    let message = facts.judgement.reasons.join("; ");
    Case { name: "the run".to_owned(), ending, kind, message, seen: String::new() }
}

/// How it compares with saved runs. Too few of them say nothing, and that is no error of this run.
fn baseline(gate: &Gate, invalid: bool) -> Case {
    let (ending, kind) = match gate.kind {
        _ if invalid || gate.missing > 0 => ("skipped", ""),
        Kind::Pass => ("", ""),
        Kind::Fail => ("failure", "baseline"),
        Kind::Inconclusive | Kind::Invalid => ("error", gate.kind.label()),
    };
    let seen = gate.reasons.join("; ");
    Case { name: "no worse than the baseline".to_owned(), ending, kind, message: seen.clone(), seen }
}

fn properties(out: &mut String, facts: &Facts<'_>) {
    let Facts { outcome, total, response, .. } = facts;
    let ms = |quantile| {
        response.quantile(quantile).map_or_else(String::new, |at| format!("{:.3}", at.at.as_secs_f64() * 1e3))
    };
    let known = [
        ("verdict", facts.judgement.state.label().to_owned()),
        ("target", without_secrets(&outcome.target).into_owned()),
        ("seed", outcome.seed.to_string()),
        ("model", outcome.model.clone()),
        ("planned", total.planned.to_string()),
        ("ok", total.ok.to_string()),
        ("errors", total.errors().to_string()),
        ("timeouts", total.timeouts.to_string()),
        ("not_started", total.not_started.to_string()),
        ("error_rate", format!("{:.6}", float(total.bad()) / float(total.planned.max(1)))),
        ("response_p50_ms", ms(0.5)),
        ("response_p95_ms", ms(0.95)),
        ("response_p99_ms", ms(0.99)),
        ("response_max_ms", ms(1.0)),
    ];
    out.push_str("    <properties>\n");
    let tags = outcome.tags.iter().take(ROWS_MAX).map(|(name, value)| (format!("tag.{name}"), value.clone()));
    for (name, value) in known.into_iter().map(|(name, value)| (name.to_owned(), value)).chain(tags) {
        let _ = writeln!(out, "      <property name=\"{}\" value=\"{}\"/>", xml(&name), xml(&value));
    }
    out.push_str("    </properties>\n");
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{Story, hostile, outcome};
    use super::*;
    use crate::threshold;

    /// The names of elements as they are opened and closed; fails unless they nest.
    fn elements(xml: &str) -> Vec<&str> {
        let mut open = Vec::new();
        let mut all = Vec::new();
        for tag in xml.split('<').skip(2) {
            let inside = tag.split('>').next().unwrap_or_default();
            let name = inside.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
            if inside.starts_with('/') {
                assert_eq!(open.pop(), Some(name), "{tag}");
                continue;
            }
            all.push(name);
            if !inside.ends_with('/') {
                open.push(name);
            }
        }
        assert_eq!(open, Vec::<&str>::new());
        all
    }

    fn count(xml: &str, name: &str) -> usize {
        elements(xml).iter().filter(|element| **element == name).count()
    }

    #[test]
    fn each_threshold_is_a_case_and_failures_are_failures() {
        let xml = junit(&outcome(&Story::stalled()));
        assert_eq!((count(&xml, "testcase"), count(&xml, "failure"), count(&xml, "error")), (7, 5, 0));
        assert!(xml.contains("tests=\"7\" failures=\"5\" errors=\"0\""), "{xml}");
    }

    #[test]
    fn what_cannot_be_told_is_not_green() {
        let mut outcome = outcome(&Story::calm());
        let before = count(&junit(&outcome), "error");
        outcome.verdict.thresholds[0].state = threshold::State::Inconclusive;
        assert_eq!(count(&junit(&outcome), "error"), before + 1);
    }

    #[test]
    fn an_invalid_run_is_an_error_and_its_thresholds_are_skipped() {
        let xml = junit(&outcome(&Story { late: true, ..Story::stalled() }));
        assert_eq!((count(&xml, "error"), count(&xml, "skipped"), count(&xml, "failure")), (1, 6, 0));
    }

    #[test]
    fn a_plan_without_thresholds_has_a_case_for_the_run() {
        let mut outcome = outcome(&Story::calm());
        outcome.verdict.thresholds.clear();
        outcome.verdict.kind = Kind::Inconclusive;
        assert_eq!((count(&junit(&outcome), "testcase"), count(&junit(&outcome), "error")), (2, 1));
    }

    #[test]
    fn the_baseline_is_a_case_and_too_small_a_one_no_failure() {
        let check = |kind: Kind, missing: usize, failures: usize, skipped: usize| {
            let gate = Gate {
                kind,
                missing,
                saved: 5 - missing,
                now: 1,
                reasons: vec!["so it is".to_owned()],
                bounds: Vec::new(),
            };
            let mut outcome = outcome(&Story::calm());
            let before = ["failure", "skipped", "error"].map(|name| count(&junit(&outcome), name));
            outcome.verdict = outcome.verdict.against(gate);
            let xml = junit(&outcome);
            let after = ["failure", "skipped", "error"].map(|name| count(&xml, name));
            assert_eq!(after, [before[0] + failures, before[1] + skipped, before[2]], "{xml}");
            assert!(xml.contains("no worse than the baseline") && xml.contains("so it is"), "{xml}");
        };
        check(Kind::Pass, 0, 0, 0);
        check(Kind::Fail, 0, 1, 0);
        check(Kind::Inconclusive, 2, 0, 1);
    }

    #[test]
    fn names_are_text_whatever_they_say() {
        let xml = junit(&hostile());
        assert!(!xml.contains("<img") && !xml.contains("secret"), "{xml}");
        assert!(xml.chars().all(|letter| letter == '\n' || !letter.is_control()));
        assert!(count(&xml, "testcase") > 1);
    }
}
