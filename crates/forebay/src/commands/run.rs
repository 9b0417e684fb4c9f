//! `forebay run`: serve.

use std::io::{self, IsTerminal as _};
use std::path::PathBuf;

use forebay_base::problem::Problem;
use forebay_telemetry::log::{Event, Log, Settings};

use super::Output;
use crate::app::{Bound, Heir, Inherited, Source};
use crate::cli::{self, EXIT_OK, EXIT_PROBLEMS, FILE_DEFAULT};
use crate::config::{self, Loaded};

/// Serves until told to stop. Returns the exit status.
///
/// # Errors
/// An address is not to be had, or a log cannot be opened.
pub fn run(args: &cli::Run) -> anyhow::Result<u8> {
    let (mut heir, inherited) = Heir::appointed()?.unzip();
    let result = serve(args, inherited, &mut heir);
    // It is there still: this process has not come so far as to serve.
    if let (Some(heir), Err(error)) = (heir, &result) {
        heir.failed(&format!("{error:#}"));
    }
    result
}

/// `heir` is taken once the other process has been told how it went.
fn serve(args: &cli::Run, inherited: Option<Inherited>, heir: &mut Option<Heir>) -> anyhow::Result<u8> {
    let (loaded, source) = match load(args) {
        Ok(loaded) => loaded,
        Err(problems) => {
            let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
            if let Some(heir) = heir.take() {
                heir.failed(&told.join("\n"));
            }
            let mut errors = io::stderr().lock();
            let terminal = errors.is_terminal();
            Output::new(&mut errors, terminal).problems(&problems)?;
            return Ok(EXIT_PROBLEMS);
        }
    };
    let log = Log::start(&Settings::to_stderr(loaded.server.logs.level))?;
    for warning in &loaded.warnings {
        log.emit(&Event::SettingsWarning { problem: warning });
    }
    let bound = match inherited {
        Some(inherited) => Bound::bind_with(loaded, inherited)?,
        None => Bound::bind_by_systemd(loaded)?,
    };
    let control = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    control.block_on(async {
        let app = bound.start_as(heir, log, source).await?;
        app.run().await
    })?;
    Ok(EXIT_OK)
}

fn load(args: &cli::Run) -> Result<(Loaded, Option<Source>), Vec<Problem>> {
    let cli::Run { config, to, listen, admin } = args;
    if !to.is_empty() {
        let mut loaded = config::from_flags(to, listen)?;
        config::override_addresses(&mut loaded, &[], admin.as_deref())?;
        return Ok((loaded, None));
    }
    let file = config.clone().unwrap_or_else(|| PathBuf::from(FILE_DEFAULT));
    let source = Source::new(file, listen.clone(), admin.clone());
    Ok((source.load()?, Some(source)))
}
