//! Any text is either a load plan that can be run or problems that say where they are.
#![no_main]

use std::path::Path;
use std::time::Duration;

use forebay::config::Surroundings;
use forebay::load::{Changes, load_text, target};
use libfuzzer_sys::fuzz_target;

/// Where the files are that examples draw on.
const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/load");

fuzz_target!(|text: &str| {
    if let Ok(url) = target::parse(text) {
        assert!(url.port() > 0 && (url.path.is_empty() || url.path.starts_with('/')), "{url:?}");
        assert!(!url.path.contains('#') && !url.authority.contains(['/', '@', ' ']), "{url:?}");
    }
    // No name is looked up: the target is an address, whatever the plan says.
    let around = Surroundings { env: &|_| None, base: Some(Path::new(EXAMPLES)) };
    let target = target::parse("http://127.0.0.1:8080").expect("it is a URL");
    let changes = Changes { target: Some(target), ..Changes::default() };
    match load_text("plan.yaml", text, around, &changes) {
        Ok(loaded) => {
            let plan = loaded.plan;
            assert!(!plan.scenarios.is_empty() && !plan.target.addresses.is_empty());
            assert!(plan.stages.iter().all(|stage| stage.length > Duration::ZERO));
            assert!(
                plan.stages.iter().all(|stage| [stage.from, stage.to].iter().all(|rate| rate.is_finite()))
            );
            for step in plan.scenarios.iter().flat_map(|scenario| &scenario.steps) {
                assert_eq!(step.path.check_target(), Ok(()));
                assert!(step.headers.iter().all(|(_, value)| value.check_field().is_ok()));
                assert!(step.timeout > Duration::ZERO && step.think.0 <= step.think.1);
            }
        }
        Err(problems) => {
            assert!(!problems.is_empty());
            // YAML also breaks lines at a carriage return, and a problem may be at the end of the text.
            let lines = text.split(['\n', '\r']).count() + 1;
            for problem in &problems {
                let what = problem.to_string();
                assert!(!what.is_empty() && problem.at.line as usize <= lines, "{what}");
            }
        }
    }
});
