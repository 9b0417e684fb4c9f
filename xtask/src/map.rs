//! Print every source file with its first line: the shortest tour of the code.

use std::fs;
use std::io::{ErrorKind, Write};

use anyhow::{Context, Result};

use crate::tree;

/// `cargo xtask map`.
pub(crate) fn run() -> Result<()> {
    let mut rows = Vec::new();
    for path in tree::files("rs")? {
        let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        rows.push((tree::relative(&path), purpose(&text).unwrap_or("?").to_owned()));
    }
    let width = rows.iter().map(|(path, _)| path.len()).max().unwrap_or(0);
    let mut out = std::io::stdout().lock();
    for (path, purpose) in rows {
        match writeln!(out, "{path:width$}  {purpose}") {
            // The reader has seen enough.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(()),
            written => written?,
        }
    }
    Ok(())
}

/// What the first line says the file is for; `None` when it does not say.
pub(crate) fn purpose(text: &str) -> Option<&str> {
    let words = text.lines().next()?.strip_prefix("//! ")?.trim();
    (!words.is_empty()).then_some(words)
}
