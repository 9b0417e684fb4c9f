//! Whatever stands in a file: problems with places in it, and never a panic.

use proptest::prelude::*;

use super::json::{self, Schema};
use super::*;

/// Files to begin from: right ones, which mutations make wrong in places a random text never reaches.
fn examples() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples");
    let files = std::fs::read_dir(folder).expect("there are examples");
    let paths = files.map(|file| file.expect("it was listed").path());
    let mut paths: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|kind| kind == "yaml")).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read_to_string(path).expect("it was listed")).collect()
}

/// Loads a text and checks what holds of every outcome.
fn load_anything(text: &str) {
    // YAML breaks lines at a carriage return too.
    let lines = u32::try_from(text.split(['\n', '\r']).count()).expect("test texts are short");
    match load_str(text) {
        Ok(loaded) => {
            assert_eq!(Schema::of_settings().check(&json::of_yaml(text)), Ok(()), "{text}");
            assert!(!loaded.server.listen.is_empty() && !loaded.plan.routes.is_empty());
            for service in &loaded.plan.services {
                assert!(!service.endpoints.is_empty());
            }
        }
        Err(problems) => {
            assert!(
                problems.iter().any(|problem| problem.severity == forebay_base::problem::Severity::Error)
            );
            for problem in problems {
                assert!(problem.at.line <= lines + 1, "{problem}\n{text}");
                assert!(!problem.to_string().contains('\n'), "{problem:?}");
            }
        }
    }
}

#[test]
fn every_example_is_right() {
    let schema = Schema::of_settings();
    for text in examples() {
        let loaded = load_with_files(&text);
        let mut warnings = lines(&loaded.warnings);
        // Whoever has the repository has the keys of its examples.
        warnings.retain(|warning| !warning.contains("can read the private key"));
        assert_eq!(warnings, [""; 0], "{text}");
        assert_eq!(schema.check(&json::of_yaml(&text)), Ok(()), "{text}");
        for listen in loaded.server.listen {
            let address = listen.address.ip();
            assert!(
                address.is_none_or(|address| address.ip().is_loopback()),
                "an example listens on {listen}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        load_anything(&text);
    }

    #[test]
    fn any_text_of_yaml_is_read_or_refused(text in "[a-c:,\\[\\]{}\"'#|>&*!%@`$ \n\t0-9-]{0,80}") {
        load_anything(&text);
    }

    #[test]
    fn a_file_with_a_piece_changed_is_read_or_refused(
        file in 0_usize..100,
        at in 0_usize..4000,
        length in 0_usize..30,
        piece in prop::sample::select(vec![
            "", " ", "\n", "-", ":", ": ", "{", "}", "[", "]", "*", "0", "9", "99999999999999999999", "~",
            "true", "\"", "'", "$", "${", "${A:-b}", "\u{0}", "\u{7f}", "é", "\u{2028}", "to: ", "off", "/", "%",
        ]),
    ) {
        let examples = examples();
        let mut letters: Vec<char> = examples[file % examples.len()].chars().collect();
        let at = at % letters.len();
        let end = (at + length).min(letters.len());
        letters.splice(at..end, piece.chars());
        load_anything(&letters.into_iter().collect::<String>());
    }
}
