//! The `forebay` binary: reads the command line, does what it says, and exits with its status.

use std::process::ExitCode;

use clap::Parser as _;
use forebay::cli::{Cli, EXIT_OK, EXIT_PROBLEMS};
use forebay::commands::{self, Output};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match Output::with_stdout(EXIT_OK, |out| commands::dispatch(&cli.command, out)) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            Output::failed(&error);
            ExitCode::from(EXIT_PROBLEMS)
        }
    }
}
