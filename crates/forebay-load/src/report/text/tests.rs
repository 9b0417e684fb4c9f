//! The closing words of made-up runs.

use super::super::synthetic::{Story, hostile, outcome, with_lab};
use super::*;

fn plain(outcome: &Outcome) -> String {
    text(outcome, None, &|_, text| text.to_owned())
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
    let coloured = text(&outcome, None, &|_, text| format!("\x1b[1m{text}\x1b[0m"));
    assert_eq!(coloured.replace("\x1b[1m", "").replace("\x1b[0m", ""), plain(&outcome));
}

#[test]
fn no_line_is_wider_than_the_terminal() {
    for outcome in [outcome(&Story::stalled()), hostile(), with_lab()] {
        for width in [54, 60, 80, 100, 200] {
            let text = text(&outcome, Some(width), &|_, text| text.to_owned());
            for line in text.lines() {
                assert!(line.chars().count() <= width, "{width}: {line}");
            }
        }
    }
}

#[test]
fn little_room_leaves_out_columns_and_no_words() {
    let words = |width| {
        let text = text(&with_lab(), width, &|_, text| text.to_owned());
        // Tables apart: whatever is said is said.
        let said = text.lines().filter(|line| !line.contains(" ms  ") && !line.contains("p50"));
        said.flat_map(str::split_whitespace).map(str::to_owned).collect::<Vec<_>>()
    };
    let narrow = words(Some(80));
    let missing: Vec<_> = words(None).into_iter().filter(|word| !narrow.contains(word)).collect();
    assert!(missing.iter().all(|word| word.starts_with(|first: char| first.is_ascii_digit())), "{missing:?}");
}

#[test]
fn what_the_lab_saw_is_told() {
    let mut outcome = with_lab();
    outcome.lab.notes = vec!["the process api ended by itself".to_owned()];
    outcome.lab.watched[1].leak.verdict = crate::lab::LeakVerdict::Growing;
    let text = plain(&outcome);
    for said in [
        "pause api from 24.3 s to 25.7 s: recovered 2 s after its end, noticed at once, 38 not ok; 3 windows",
        "api: full",
        "api: memory grows: 72 MB/h, at 95 % between -4 MB/h and 150 MB/h over 30 s; 2.4 MB/h would matter",
        "What went otherwise than planned\n  - the process api ended by itself",
    ] {
        assert!(text.contains(said), "{said}: {text}");
    }
    assert!(!text.contains("generator: full"), "it has its own section: {text}");
}

#[test]
fn answers_that_are_all_wrong_are_answers() {
    let mut outcome = outcome(&Story::calm());
    for tally in outcome.series.iter_mut().flat_map(|series| &mut series.stages) {
        tally.errors = [(ErrorKind::Status, tally.ok)].into();
        tally.failed = std::mem::take(&mut tally.response);
        tally.service = Hdr::default();
        tally.ok = 0;
    }
    let text = plain(&outcome);
    assert!(text.contains("nothing was answered as expected"), "{text}");
    assert!(text.contains("errors' response "), "{text}");
}

#[test]
fn the_first_error_of_a_kind_is_told_with_its_step() {
    let mut outcome = outcome(&Story::stalled());
    let said = "json $.id is 5 was expected; it is null";
    let tally = &mut outcome.series[1].stages[1];
    let kind = *tally.errors.keys().next().expect("it has errors");
    tally.examples.insert(kind, said.to_owned());
    let text = plain(&outcome);
    assert!(text.contains(&format!("\n    POST /orders: {said}\n")), "{text}");
    assert!(super::super::html::run(&outcome).contains(&format!("POST /orders: {said}")));
}
