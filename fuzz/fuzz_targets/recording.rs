//! Whatever is read as a recording can be written, read again, and sent again: all of it, in the order of time.
#![no_main]

use forebay_load::recording::{FIELDS_MAX, Recording, Replay};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let recording = match Recording::parse(bytes) {
        Ok(recording) => recording,
        Err(error) => {
            let lines = bytes.iter().filter(|byte| **byte == b'\n').count() + 1;
            return assert!(!error.what.is_empty() && error.line <= lines, "{error}");
        }
    };
    assert!(!recording.is_empty());
    assert!(recording.entries().is_sorted_by_key(|(at, _)| at));
    for request in recording.requests() {
        assert!(request.target.starts_with('/') && request.headers.len() <= FIELDS_MAX);
        assert!(request.target.bytes().all(|byte| byte.is_ascii_graphic()), "{:?}", request.target);
        let lines = request.headers.iter().flat_map(|(name, value)| [name, value]);
        assert!(!lines.chain([&request.method, &request.host]).any(|text| text.contains(['\r', '\n', '\0'])));
    }

    let again = Recording::parse(&recording.to_lines()).expect("it was written by us");
    assert!(again.entries().eq(recording.entries()));

    let parts = recording.plan_parts(&Replay::at(2.0)).expect("a month at twice the speed is in bounds");
    assert_eq!(parts.arrivals.len(), recording.len());
    assert!(parts.arrivals.is_sorted_by_key(|arrival| arrival.at));
    assert!(parts.arrivals.iter().all(|arrival| (arrival.scenario as usize) < parts.scenarios.len()));
    for step in parts.scenarios.iter().flat_map(|scenario| &scenario.steps) {
        assert_eq!(step.path.check_target(), Ok(()));
        assert!(step.headers.iter().all(|(_, value)| value.check_field().is_ok()));
    }
});
