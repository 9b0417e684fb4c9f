//! What is read as a result can be shown in every form there is, and be written and read again.
#![no_main]

use forebay_load::report::{self, html, json};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let outcome = match json::read(text) {
        Ok(outcome) => outcome,
        Err(why) => return assert!(!why.is_empty()),
    };
    let total = outcome.total();
    assert_eq!(total.planned, total.ok + total.errors() + total.timeouts + total.not_started);

    let again = json::read(&json::write(&outcome)).expect("it was written by us");
    assert_eq!((again.total().planned, again.total().judged()), (total.planned, total.judged()));
    assert!(again.verdict.kind == outcome.verdict.kind);

    let page = html::run(&outcome);
    assert!(page.starts_with("<!") && page.trim_end().ends_with("</html>"));
    let shown = report::text(&outcome, Some(80), &|_, text| text.to_owned());
    assert!(!shown.chars().any(|c| c.is_control() && c != '\n'), "{shown:?}");
    for text in [report::junit(&outcome), report::prometheus(&outcome), report::hgrm(&outcome)] {
        assert!(text.is_empty() || text.ends_with('\n'));
    }
});
