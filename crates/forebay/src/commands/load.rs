//! `forebay load`: test a service under load.

use std::io::{self, IsTerminal as _};

use forebay_base::problem::Problem;

use super::Output;
use crate::cli::load::{Command, Load};
use crate::cli::{EXIT_OK, EXIT_PROBLEMS};
use crate::load;

mod capacity;
mod check;
mod compare;
mod engine;
mod import;
mod live;
mod outputs;
mod plan;
mod replay;
mod report;
mod scale;
mod test;

/// Does what the words after `load` say. Gives the exit status.
///
/// # Errors
/// What was asked could not be done.
pub fn load(args: &Load, out: &mut Output<'_>) -> anyhow::Result<u8> {
    match &args.command {
        None => test::test(&args.test, out),
        Some(Command::Report(args)) => report::report(args, out),
        Some(Command::Check(args)) => Ok(check::check(args, out)?),
        Some(Command::Schema) => {
            out.line(format!("{:#}", load::json_schema()))?;
            Ok(EXIT_OK)
        }
        Some(Command::Capacity(args)) => capacity::capacity(args, out),
        Some(Command::Scale(args)) => scale::scale(args, out),
        Some(Command::Compare(args)) => compare::compare(args, out),
        Some(Command::Replay(args)) => replay::replay(args, out),
        Some(Command::Import(args)) => import::import(args, out),
    }
}

/// Tells problems on standard error. Gives the exit status.
fn tell(problems: &[Problem]) -> io::Result<u8> {
    let mut errors = io::stderr().lock();
    let terminal = errors.is_terminal();
    Output::new(&mut errors, terminal).problems(problems)?;
    Ok(EXIT_PROBLEMS)
}
