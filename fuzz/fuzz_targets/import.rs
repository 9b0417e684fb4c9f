//! What other tools wrote becomes something that can be used here, or problems that say why not.
#![no_main]

use std::time::Duration;

use forebay_load::import::{Draft, Imported, Options, Pace, Refused};
use forebay_load::import::{access_log, artillery, har, k6, urls, vegeta};
use forebay_load::recording::{Recording, Replay};
use libfuzzer_sys::fuzz_target;

/// Requests a list becomes; few, so that a run is quick.
const PACE: Pace = Pace { rate: 10.0, length: Duration::from_secs(2) };

// The first byte says which tool, and how to read it.
fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else { return };
    let options = Options {
        host: (first & 8 != 0).then(|| "*".to_owned()),
        secrets: first & 16 != 0,
        all_methods: first & 32 != 0,
        pace: PACE,
    };
    let text = String::from_utf8_lossy(bytes);
    match first & 7 {
        0 => check(urls::parse(&text, &options)),
        1 => check(vegeta::parse(&text, &options, &mut body_file)),
        2 => check(har::parse(&text, &options)),
        3 => check(access_log::parse(bytes, &options)),
        4 => check_draft(k6::parse(&text)),
        5 => {
            let Ok(tree) = forebay::load::tree(&text) else { return };
            check_draft(artillery::parse(&tree));
        }
        _ => {}
    }
});

fn body_file(name: &str) -> Result<Vec<u8>, String> {
    if name.len() % 2 == 0 { Ok(name.into()) } else { Err("no such file".to_owned()) }
}

fn check(imported: Result<Imported, Refused>) {
    let Imported { recording, origin, notes } = match imported {
        Ok(imported) => imported,
        Err(refused) => return check_refused(&refused),
    };
    assert!(origin.is_empty() || origin.starts_with("http://") || origin.starts_with("https://"), "{origin}");
    assert!(notes.iter().all(|note| !note.is_empty()));
    assert!(!recording.is_empty());
    let again = Recording::parse(&recording.to_lines()).expect("it was written by us");
    // Lines tell microseconds; what is spread over a second may fall between two.
    let micros = |recording: &Recording| -> Vec<_> {
        recording.entries().map(|(at, request)| (at.as_micros(), request.clone())).collect()
    };
    assert_eq!(micros(&again), micros(&recording));
    let parts = recording.plan_parts(&Replay::at(1.0)).expect("it is not longer than a month");
    for step in parts.scenarios.iter().flat_map(|scenario| &scenario.steps) {
        assert_eq!(step.path.check_target(), Ok(()));
        assert!(step.headers.iter().all(|(_, value)| value.check_field().is_ok()));
    }
}

/// A draft may have to be completed by hand, but it is YAML.
fn check_draft(draft: Result<Draft, Refused>) {
    match draft {
        Ok(Draft { yaml, .. }) => {
            let tree = forebay::load::tree(&yaml);
            assert!(tree.is_ok(), "{tree:?}\n{yaml}");
        }
        Err(refused) => check_refused(&refused),
    }
}

fn check_refused(refused: &Refused) {
    assert!(!refused.problems.is_empty() && refused.problems.len() <= 101);
    assert!(refused.problems.iter().all(|problem| !problem.is_empty() && problem.len() <= 4_096));
}
