//! The page of a run: complete, bounded, and safe with any name.

use std::fs;
use std::path::Path;

use super::super::synthetic::{self, Story};
use super::run;
use crate::outcome::Outcome;

/// The page; also written where `FOREBAY_REPORTS` says, to be looked at.
fn page(name: &str, outcome: &Outcome) -> String {
    let page = run(outcome);
    if let Some(folder) = std::env::var_os("FOREBAY_REPORTS") {
        fs::write(Path::new(&folder).join(name).with_extension("html"), &page).expect("the folder takes files");
    }
    page
}

/// Names of elements in the order they are opened and closed, but for those whose end tag may be left out.
fn unclosed(page: &str) -> Vec<String> {
    let mut open: Vec<String> = Vec::new();
    let body = page.split("<script>").next().unwrap_or_default();
    for tag in body.split('<').skip(1) {
        let inside = tag.split('>').next().unwrap_or_default();
        let name = inside.trim_start_matches('/').split([' ', '/', '\n']).next().unwrap_or_default();
        let void = ["!doctype", "meta", "link", "html", "body", "td", "li", "tr", "path", "rect"].contains(&name);
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
    for (name, story) in [("calm", Story::calm()), ("stalled", Story::stalled())] {
        let page = page(name, &synthetic::outcome(&story));
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
    outcome.timeline = (0..3_600).map(|index| {
        let heat = (0..48).map(|bucket| (index as u32 * 7 + bucket * bucket) % 977).collect();
        crate::outcome::Window { start_ms: index * 1_000, heat, ..window.clone() }
    }).collect();
    let series = outcome.series[0].clone();
    outcome.series = (0..2_000).map(|_| series.clone()).collect();
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
