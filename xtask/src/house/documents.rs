//! Documents that cannot lie about where things are.

use std::fs;
use std::path::{Path, PathBuf};

use crate::tree;

/// A path in a document starts with one of these, so that `/metrics` or `text/plain` are not taken for one.
const FOLDERS: [&str; 8] =
    ["crates/", "docs/", "examples/", "benches/", "fuzz/", "xtask/", ".ci/", ".cargo/"];

#[test]
fn paths_in_documents_exist() {
    let mut broken = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a listed document can be read");
        let folder = document.parent().expect("a document lies in a folder");
        for named in paths(&text) {
            if !exists(&named, folder) {
                broken.push(format!("{}: {named:?}", tree::relative(&document)));
            }
        }
    }
    assert!(broken.is_empty(), "named but not there: {broken:#?}");
}

#[derive(Debug, PartialEq, Eq)]
enum Named {
    /// From the root.
    Path(String),
    /// A source file by its last parts.
    Source(String),
    /// Relative to the document.
    Link(String),
}

/// Every Markdown file but decisions, which tell of their own time, and build output.
fn documents() -> Vec<PathBuf> {
    let all = tree::files("md").expect("the repository can be read");
    all.into_iter().filter(|path| !path.starts_with(tree::root().join("docs/decisions"))).collect()
}

fn exists(named: &Named, folder: &Path) -> bool {
    match named {
        Named::Path(path) => tree::root().join(path).exists(),
        Named::Link(path) => folder.join(path).exists(),
        Named::Source(ending) => {
            let sources = tree::files("rs").expect("the repository can be read");
            sources.iter().any(|source| source.ends_with(ending))
        }
    }
}

/// The paths a text names: in backticks, and as targets of links.
fn paths(text: &str) -> Vec<Named> {
    let quoted = text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).filter_map(quoted);
    let links = text.split("](").skip(1).filter_map(|rest| link(rest.split(')').next()?));
    quoted.chain(links).collect()
}

fn quoted(words: &str) -> Option<Named> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_./".contains(letter);
    if words.is_empty() || !words.chars().all(plain) {
        return None;
    }
    if FOLDERS.iter().any(|folder| words.starts_with(folder)) {
        return Some(Named::Path(words.to_owned()));
    }
    words.ends_with(".rs").then(|| Named::Source(words.to_owned()))
}

fn link(target: &str) -> Option<Named> {
    let path = target.split(['#', ' ']).next()?;
    let elsewhere = path.is_empty() || path.contains(':') || path.starts_with('/');
    (!elsewhere).then(|| Named::Link(path.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[Named]) {
        assert_eq!(paths(text), expected, "{text:?}");
    }

    #[test]
    fn a_path_is_known_by_its_folder_or_ending() {
        check("see `crates/forebay/src/main.rs`", &[Named::Path("crates/forebay/src/main.rs".into())]);
        check("start at `pipeline.rs`, not `main`", &[Named::Source("pipeline.rs".into())]);
        check("`/metrics`, `text/plain`, `cargo run`, `docs/*.md`", &[]);
    }

    #[test]
    fn a_link_leads_somewhere_unless_it_leaves() {
        check("[a](../README.md#top)", &[Named::Link("../README.md".into())]);
        check("[a](https://example.com) [b](#here) [c](mailto:x@example.com)", &[]);
    }
}
