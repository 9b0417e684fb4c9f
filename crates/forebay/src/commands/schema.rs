//! `forebay schema` and `forebay reference`: the registry of settings, printed.

use std::io;

use super::Output;
use crate::config;

/// Prints the JSON Schema of the settings.
///
/// # Errors
/// When it cannot be written.
pub fn schema(out: &mut Output<'_>) -> io::Result<()> {
    out.line(format!("{:#}", config::json_schema()))
}

/// Prints the reference page of the settings.
///
/// # Errors
/// When it cannot be written.
pub fn reference(out: &mut Output<'_>) -> io::Result<()> {
    out.line(config::reference().trim_end())
}
