//! What is wrong with a settings file, where, and what to do about it.

use std::fmt;
use std::sync::Arc;

/// One thing wrong with the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it is written.
    pub at: Position,
    /// What is wrong: lower case, no full stop.
    pub what: String,
    /// What to write instead, if that is known.
    pub fix: Option<String>,
    /// Whether the settings are unusable because of it.
    pub severity: Severity,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The settings cannot be used.
    Error,
    /// The settings can be used, but probably do not mean what was intended.
    Warning,
}

/// A place in a settings file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The file as the user named it, or the command-line flag.
    pub file: Arc<str>,
    /// Counted from 1; 0 when the problem is not in a particular line.
    pub line: u32,
    /// In characters, counted from 1; 0 when `line` is.
    pub column: u32,
}

impl Problem {
    /// Something that makes the settings unusable.
    #[must_use]
    pub fn error(at: Position, what: impl Into<String>) -> Self {
        Self { at, what: what.into(), fix: None, severity: Severity::Error }
    }

    /// Something suspicious.
    #[must_use]
    pub fn warning(at: Position, what: impl Into<String>) -> Self {
        Self { at, what: what.into(), fix: None, severity: Severity::Warning }
    }

    /// The same problem with what to do about it.
    #[must_use]
    pub fn fix(self, fix: impl Into<String>) -> Self {
        Self { fix: Some(fix.into()), ..self }
    }
}

impl Position {
    /// The file as a whole.
    #[must_use]
    pub fn file(file: impl Into<Arc<str>>) -> Self {
        Self { file: file.into(), line: 0, column: 0 }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.at, self.severity, self.what)?;
        match &self.fix {
            Some(fix) => write!(f, "; {fix}"),
            None => Ok(()),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}", self.file),
            line => write!(f, "{}:{line}:{}", self.file, self.column),
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

impl std::error::Error for Problem {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_reads_like_a_compilers() {
        let at = Position { file: "forebay.yaml".into(), line: 3, column: 5 };
        let problem = Problem::error(at, "unknown key `lisen`").fix("did you mean `listen`?");
        assert_eq!(
            problem.to_string(),
            "forebay.yaml:3:5: error: unknown key `lisen`; did you mean `listen`?"
        );
    }

    #[test]
    fn a_problem_of_the_whole_file_has_no_line() {
        let problem = Problem::warning(Position::file("--to"), "odd");
        assert_eq!(problem.to_string(), "--to: warning: odd");
    }
}
