//! The page of a run: complete, bounded, and safe with any name.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::super::figures;
use super::super::synthetic::{self, Story};
use super::{About, run};
use crate::capacity::{Capacity, Done, End, Phase, StepResult, StepState};
use crate::compare::{self, Run};
use crate::outcome::Outcome;
use crate::report::html;

fn page(name: &str, outcome: &Outcome) -> String {
    let page = run(outcome);
    keep(name, &page);
    page
}

/// Writes a page where `FOREBAY_REPORTS` says, to be looked at.
fn keep(name: &str, page: &str) {
    if let Some(folder) = std::env::var_os("FOREBAY_REPORTS") {
        fs::write(Path::new(&folder).join(name).with_extension("html"), page)
            .expect("the folder takes files");
    }
}

/// Names of elements in the order they are opened and closed, but for those whose end tag may be left out.
fn unclosed(page: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    let body = page.split("<script>").next().unwrap_or_default();
    for tag in body.split('<').skip(1) {
        let inside = tag.split('>').next().unwrap_or_default();
        let name = inside.trim_start_matches('/').split([' ', '/', '\n']).next().unwrap_or_default();
        let void =
            ["!doctype", "meta", "link", "html", "body", "td", "li", "tr", "path", "rect"].contains(&name);
        let head = name == "th" && inside.contains("scope=\"col\"");
        if void || head || inside.ends_with('/') {
            continue;
        }
        if !inside.starts_with('/') {
            open.push(name.to_owned());
        } else if open.pop().as_deref() != Some(name) {
            return vec![format!("</{name}> closes something else")];
        }
    }
    open
}

#[test]
fn the_page_is_complete_and_small() {
    let late = Story { late: true, ..Story::calm() };
    let runs = [
        ("calm", synthetic::outcome(&Story::calm())),
        ("late", synthetic::outcome(&late)),
        ("stalled", synthetic::with_lab()),
    ];
    for (name, outcome) in runs {
        let page = page(name, &outcome);
        assert!(page.len() < 300_000, "{name}: {}", page.len());
        assert_eq!(unclosed(&page), Vec::<String>::new(), "{name}");
        for outside in ["src=\"http", "href=\"http", "@import", "url(http", "fetch("] {
            assert!(!page.contains(outside), "{name}: {outside}");
        }
    }
}

#[test]
fn names_are_text_whatever_they_say() {
    let page = page("hostile", &synthetic::hostile());
    assert_eq!(page.matches("</script>").count(), 1);
    assert!(!page.contains("<img"), "markup of a name is markup of the page");
    assert!(!page.contains("secret"), "a password is in the page");
    assert_eq!(unclosed(&page), Vec::<String>::new());
    assert!(page.len() < 400_000, "{}", page.len());
}

#[test]
fn the_longest_run_has_a_page_that_can_be_mailed() {
    let mut outcome = synthetic::outcome(&Story::stalled());
    let window = outcome.timeline.last().cloned().expect("there are windows");
    outcome.timeline = (0..3_600)
        .map(|index| {
            let heat = (0..48).map(|bucket| (index as u32 * 7 + bucket * bucket) % 977).collect();
            crate::outcome::Window { start_ms: index * 1_000, heat, ..window.clone() }
        })
        .collect();
    let series = outcome.series[0].clone();
    outcome.series = (0..300).map(|_| series.clone()).collect();
    let page = page("longest", &outcome);
    assert!(page.len() < 1_000_000, "{}", page.len());
}

#[test]
fn a_run_without_anything_says_so() {
    let mut outcome = synthetic::outcome(&Story::calm());
    outcome.series.clear();
    outcome.timeline.clear();
    outcome.stages.clear();
    let page = page("nothing", &outcome);
    assert!(page.contains("nothing to draw") && page.contains("no times"));
    assert_eq!(unclosed(&page), Vec::<String>::new());
}

fn about() -> About<'static> {
    About { name: "checkout", target: "http://shop.test", started_unix_ms: 1_795_269_789_000 }
}

/// A search whose target bends at about 1,000 a second.
fn capacity_found() -> Capacity {
    use Phase::{Bisect, Confirm, Double};
    use StepState::{Held, Missed};
    let step = |rate: f64, phase, state| {
        let load = rate / 1_100.0;
        let time = |factor: f64| Some(factor * 0.002 / (1.0 - load.min(0.985)));
        let run = Run {
            p50: time(1.0),
            p95: time(2.4),
            p99: time(4.0),
            mean: time(1.1),
            cut_short: false,
            errors: if load > 1.0 { 0.02 } else { 0.0 },
            throughput: rate.min(1_080.0),
            cpu_per_request: None,
            planned: 15_000,
            invalid: false,
            interrupted: false,
        };
        let missed = state == Missed;
        let reasons =
            if missed { vec!["`p(99)<200ms` did not hold: 530 ms was seen".to_owned()] } else { Vec::new() };
        let binding = missed.then(|| "p(99)<200ms".to_owned());
        let result = StepResult { state, reasons, binding, run, generator: 0.2 };
        Done { rate, phase, length: Duration::from_secs(15), result }
    };
    Capacity {
        slos: vec!["p(99)<200ms".to_owned(), "errors<0.1%".to_owned()],
        end: End::Found,
        last_passing: Some(1_000.0),
        first_failing: Some(1_050.0),
        knee: Some(1_025.0),
        binding: Some("p(99)<200ms".to_owned()),
        sustain_windows: 3,
        sustain_passed: 3,
        steps: vec![
            step(100.0, Double, Held),
            step(200.0, Double, Held),
            step(400.0, Double, Held),
            step(800.0, Double, Held),
            step(1_600.0, Double, Missed),
            step(1_200.0, Bisect, Missed),
            step(1_000.0, Bisect, Held),
            step(1_050.0, Bisect, Missed),
            step(1_000.0, Confirm, Held),
            step(1_000.0, Confirm, Held),
        ],
        usl: None,
        says: vec!["1,000/s held 3 times of 3; the limit is about 1,025/s".to_owned()],
    }
}

#[test]
fn a_search_for_capacity_has_a_page() {
    let mut found = capacity_found();
    keep("capacity", &html::capacity(&about(), &found));
    found.slos.push("</script><img src=x>".to_owned());
    found.steps.push(found.steps[0].clone());
    found.steps[0].result.run.p99 = None;
    found.steps[1].rate = f64::NAN;
    let page = html::capacity(&about(), &found);
    assert_eq!((page.matches("</script>").count(), page.matches("<img").count()), (1, 0));
    assert_eq!(unclosed(&page), Vec::<String>::new());
    found.steps.clear();
    assert!(html::capacity(&about(), &found).contains("nothing to draw"));
}

#[test]
fn a_comparison_has_a_page() {
    let run = |index: u64, factor: f64| {
        let time = |ms: u64| Some(figures::float(ms + index % 3) / 1e3 * factor);
        Run {
            p50: time(50),
            p95: time(90),
            p99: time(200),
            mean: time(60),
            ..capacity_found().steps[0].result.run
        }
    };
    let side = |factor: f64| (0..5).map(|index| run(index, factor)).collect::<Vec<_>>();
    let settings = compare::Settings::default();
    let comparison = compare::compare(&side(1.0), &side(1.3), &settings);
    let page = html::compare(&about(), "main", "</script>branch", &comparison);
    keep("compare", &page);
    assert!(page.contains("WORSE"), "a third more time is worse");
    assert_eq!(page.matches("</script>").count(), 1);
    assert_eq!(unclosed(&page), Vec::<String>::new());
    let page = html::compare(&about(), "a", "b", &compare::compare(&[], &[], &settings));
    assert_eq!(unclosed(&page), Vec::<String>::new());
}
