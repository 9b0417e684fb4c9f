//! `forebay schema`: what a settings file may hold, for editors.

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
