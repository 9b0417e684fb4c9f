//! `forebay schema` and `forebay reference`: what the binary says about itself, printed.

use std::io;

use super::Output;
use crate::{cli, config};

/// Prints the JSON Schema of the settings.
///
/// # Errors
/// When it cannot be written.
pub fn schema(out: &mut Output<'_>) -> io::Result<()> {
    out.line(format!("{:#}", config::json_schema()))
}

/// Prints a reference page.
///
/// # Errors
/// When it cannot be written.
pub fn reference(args: &cli::Reference, out: &mut Output<'_>) -> io::Result<()> {
    let page = match args.page {
        cli::Page::Settings => config::reference(),
        cli::Page::Metrics => forebay_telemetry::exposition::reference(),
    };
    out.line(page.trim_end())
}
