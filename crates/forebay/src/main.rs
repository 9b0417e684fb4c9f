//! The `forebay` binary: reads the command line, does what it says, and exits with its status.

use std::process::ExitCode;

use clap::Parser as _;
use forebay::cli::{Cli, Command, EXIT_OK, EXIT_PROBLEMS};
use forebay::commands::{self, Output};

#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli.command) {
        Ok(status) => ExitCode::from(status),
        Err(error) => {
            let _ = Output::complain(&format!("error: {error:#}"));
            ExitCode::from(EXIT_PROBLEMS)
        }
    }
}

fn run(command: &Command) -> anyhow::Result<u8> {
    Ok(match command {
        Command::Run(args) => commands::run::run(args)?,
        Command::Check(args) => Output::with_stdout(EXIT_OK, |out| commands::check::check(args, out))?,
        Command::Explain(args) => Output::with_stdout(EXIT_OK, |out| commands::explain::explain(args, out))?,
        Command::Schema => Output::with_stdout(EXIT_OK, |out| commands::schema::schema(out).map(|()| EXIT_OK))?,
        Command::Reference => Output::with_stdout(EXIT_OK, |out| commands::schema::reference(out).map(|()| EXIT_OK))?,
        Command::Demo(args) => commands::demo::demo(args)?,
    })
}
