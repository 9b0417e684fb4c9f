//! Any text is either settings or problems that say where they are.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Err(problems) = forebay::config::load_str(text) else { return };
    assert!(!problems.is_empty());
    // YAML also breaks lines at a carriage return, and a problem may be at the end of the text.
    let lines = text.split(['\n', '\r']).count() + 1;
    for problem in &problems {
        let what = problem.to_string();
        assert!(!what.is_empty());
        assert!(problem.at.line as usize <= lines, "{what}");
        assert_eq!(problem.at.line == 0, problem.at.column == 0, "{what}");
    }
});
