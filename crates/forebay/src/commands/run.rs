//! `forebay run`: serve.

use std::path::{Path, PathBuf};

use forebay_telemetry::log::{Event, Level, Log, Settings};

use crate::app::Bound;
use crate::cli::{self, EXIT_OK, EXIT_PROBLEMS, FILE_DEFAULT};
use crate::commands::Output;
use crate::config::{self, Loaded};

/// Serves until told to stop. Returns the exit status.
pub fn run(args: &cli::Run, output: &mut Output) -> anyhow::Result<u8> {
    let source = if args.to.is_empty() {
        Some(args.config.clone().unwrap_or_else(|| PathBuf::from(FILE_DEFAULT)))
    } else {
        None
    };
    let loaded = match load(args, source.as_deref()) {
        Ok(loaded) => loaded,
        Err(problems) => {
            output.problems(&problems);
            return Ok(EXIT_PROBLEMS);
        }
    };
    let log = Log::start(&Settings::to_stderr(level(&loaded)))?;
    for warning in &loaded.warnings {
        log.emit(&Event::SettingsWarning { problem: warning });
    }
    let bound = Bound::bind(loaded)?;
    let control = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    control.block_on(async { bound.start(log, source).await?.run().await })?;
    Ok(EXIT_OK)
}
