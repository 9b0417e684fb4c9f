//! Whole files: what they come to, and what is said about mistakes in them.

use super::*;

mod hostile;
mod json;
mod meaning;
mod mistakes;
mod protocols;
mod registry;
mod upstreams;

/// A file that is right, to which tests add a line.
const BASE: &str = "\
listen: 127.0.0.1:8080
services:
  app: {endpoints: [127.0.0.1:3000]}
routes:
  - {match: /*, to: app}
";

fn load_ok(text: &str) -> Loaded {
    load_str(text).unwrap_or_else(|problems| panic!("{text}\n{}", lines(&problems).join("\n")))
}

/// As `load_ok`, where the files are that examples name.
fn load_with_files(text: &str) -> Loaded {
    let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    load_text("f", text, Surroundings { env: &|_| None, base: Some(&base) })
        .unwrap_or_else(|problems| panic!("{text}\n{}", lines(&problems).join("\n")))
}

fn lines(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(ToString::to_string).collect()
}

/// The problems of a text, without the name of the file.
fn problems(text: &str) -> Vec<String> {
    let found = load_str(text).map_or_else(|problems| problems, |loaded| loaded.warnings);
    lines(&found).iter().map(|line| line.trim_start_matches("forebay.yaml:").to_owned()).collect()
}
