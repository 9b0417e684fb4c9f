//! What every source file owes its reader.

use std::fs;

use crate::{map, tree};

/// Left-over notes to oneself; what is open belongs where work is planned.
const MARKS: [&str; 4] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

#[test]
fn every_file_says_first_what_it_is_for() {
    let silent = files(|_, text| map::purpose(text).is_none());
    assert!(silent.is_empty(), "the first line must be `//! what the file is for`: {silent:#?}");
}

#[test]
fn no_file_is_called_mod() {
    let found = files(|path, _| path.ends_with("/mod.rs"));
    assert!(found.is_empty(), "`foo.rs` and `foo/` instead of: {found:#?}");
}

#[test]
fn no_note_to_oneself_is_left() {
    let found = files(|_, text| {
        let mut words = text.split(|letter: char| !letter.is_ascii_alphanumeric());
        words.any(|word| MARKS.contains(&word))
    });
    assert!(found.is_empty(), "one of {MARKS:?} in: {found:#?}");
}

#[test]
fn there_are_files_to_check() {
    assert!(files(|path, _| path == "xtask/src/house/files.rs").len() == 1);
}

/// The source files of which this holds.
fn files(holds: impl Fn(&str, &str) -> bool) -> Vec<String> {
    let paths = tree::files("rs").expect("the repository can be read");
    let named = paths.into_iter().map(|path| {
        // Others may be editing: a file that is gone by now owes nothing.
        let text = fs::read_to_string(&path).unwrap_or_else(|_| "//! gone".to_owned());
        (tree::relative(&path), text)
    });
    named.filter(|(path, text)| holds(path, text)).map(|(path, _)| path).collect()
}
