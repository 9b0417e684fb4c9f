//! Gathers every problem of a file, so that all are told at once.

use std::sync::Arc;

use forebay_base::problem::{Position, Problem, Severity};

/// Problems kept of one file; the rest are only counted.
const PROBLEMS_MAX: usize = 500;

/// A place in the file being read. `Mark::FILE` is the file as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mark {
    /// Counted from 1.
    pub(crate) line: u32,
    /// In characters, counted from 1.
    pub(crate) column: u32,
}

/// Something with the place it was written at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spanned<T> {
    /// Where it begins.
    pub(crate) at: Mark,
    /// What it is.
    pub(crate) value: T,
}

/// The problems found so far.
#[derive(Debug)]
pub(crate) struct Problems {
    file: Arc<str>,
    /// At most `PROBLEMS_MAX`.
    list: Vec<Problem>,
    /// Problems beyond that.
    more: usize,
}

impl Mark {
    /// The file as a whole.
    pub(crate) const FILE: Self = Self { line: 0, column: 0 };

    /// So many characters further in the same line.
    pub(crate) fn right(self, characters: usize) -> Self {
        let characters = u32::try_from(characters).unwrap_or(u32::MAX);
        Self { column: self.column.saturating_add(characters), ..self }
    }
}

impl<T> Spanned<T> {
    /// The same place with something else.
    pub(crate) fn with<U>(&self, value: U) -> Spanned<U> {
        Spanned { at: self.at, value }
    }
}

impl Problems {
    /// None yet. `file` is named as the user named it.
    pub(crate) fn new(file: &str) -> Self {
        Self { file: file.into(), list: Vec::new(), more: 0 }
    }

    /// Notes something that makes the settings unusable.
    pub(crate) fn error(&mut self, at: Mark, what: impl Into<String>) {
        self.push(Problem::error(self.position(at), what));
    }

    /// Notes something that makes the settings unusable, and what to do about it.
    pub(crate) fn error_fix(&mut self, at: Mark, what: impl Into<String>, fix: impl Into<String>) {
        self.push(Problem::error(self.position(at), what).fix(fix));
    }

    /// Notes something suspicious, and what to do about it.
    pub(crate) fn warn_fix(&mut self, at: Mark, what: impl Into<String>, fix: impl Into<String>) {
        self.push(Problem::warning(self.position(at), what).fix(fix));
    }

    /// Whether anything so far makes the settings unusable.
    pub(crate) fn fatal(&self) -> bool {
        self.more > 0 || self.list.iter().any(|problem| problem.severity == Severity::Error)
    }

    /// Whether further problems are only counted, so that there is no use in finding remedies.
    pub(crate) fn full(&self) -> bool {
        self.list.len() >= PROBLEMS_MAX
    }

    /// Everything found, in the order of the file.
    pub(crate) fn sorted(mut self) -> Vec<Problem> {
        self.list.sort_by(|a, b| a.at.cmp(&b.at));
        if self.more > 0 {
            let what = format!("{} more problems are not listed", self.more);
            self.list.push(Problem::error(self.position(Mark::FILE), what));
        }
        self.list
    }

    fn push(&mut self, problem: Problem) {
        // Texts of the file may be quoted in it, and a problem is one line on somebody's terminal.
        let Problem { at, what, fix, severity } = problem;
        let problem = Problem { at, what: visible(what), fix: fix.map(visible), severity };
        if self.full() {
            self.more += 1;
        } else {
            self.list.push(problem);
        }
    }

    fn position(&self, at: Mark) -> Position {
        Position { file: self.file.clone(), line: at.line, column: at.column }
    }
}

/// The text with its control characters spelt out.
fn visible(text: String) -> String {
    if !text.contains(char::is_control) {
        return text;
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => out.extend(c.escape_default()),
            false => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_come_in_the_order_of_the_file() {
        let mut problems = Problems::new("f");
        problems.error(Mark { line: 9, column: 1 }, "late");
        problems.error(Mark { line: 2, column: 7 }, "right");
        problems.error(Mark { line: 2, column: 3 }, "left");
        let texts: Vec<_> = problems.sorted().iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["f:2:3: error: left", "f:2:7: error: right", "f:9:1: error: late"]);
    }

    #[test]
    fn a_flood_of_problems_is_cut_and_counted() {
        let mut problems = Problems::new("f");
        for _ in 0..PROBLEMS_MAX + 7 {
            problems.error(Mark::FILE, "bad");
        }
        let list = problems.sorted();
        assert_eq!(list.len(), PROBLEMS_MAX + 1);
        assert_eq!(list[PROBLEMS_MAX].what, "7 more problems are not listed");
    }
}
