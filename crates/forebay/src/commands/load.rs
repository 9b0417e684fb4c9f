//! `forebay load`: test a service under load.

use std::fmt;
use std::io::{self, IsTerminal as _};

use forebay_base::problem::Problem;

use super::Output;
use crate::cli::load::{Command, Load};
use crate::cli::{EXIT_OK, EXIT_PROBLEMS, EXIT_USAGE};
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
        Some(Command::Check(args)) => return Ok(check::check(args, out)?),
        Some(Command::Schema) => {
            out.line(format!("{:#}", load::json_schema()))?;
            return Ok(EXIT_OK);
        }
        _ => {}
    }
    // What a run finds out is judged and kept, whether or not anybody still reads.
    out.outlive_readers();
    let status = match work(args, out) {
        Err(error) if error.is::<Usage>() => {
            tell(&plan::usage("forebay load", &error.to_string(), "see `forebay load --help`").problems)?;
            return Ok(EXIT_USAGE);
        }
        done => done?,
    };
    match out.lost() {
        Some(error) => Err(anyhow::Error::new(error).context("cannot write to standard output")),
        None => Ok(status),
    }
}

fn work(args: &Load, out: &mut Output<'_>) -> anyhow::Result<u8> {
    match &args.command {
        None => test::test(&args.test, out),
        Some(Command::Report(args)) => report::report(args, out),
        Some(Command::Check(_) | Command::Schema) => Ok(EXIT_OK),
        Some(Command::Capacity(args)) => capacity::capacity(args, out),
        Some(Command::Scale(args)) => scale::scale(args, out),
        Some(Command::Compare(args)) => compare::compare(args, out),
        Some(Command::Replay(args)) => replay::replay(args, out),
        Some(Command::Import(args)) => import::import(args, out),
    }
}

/// A mistake in the command line that is found out late: the exit status says so.
#[derive(Debug)]
struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Tells problems on standard error. Gives the exit status.
fn tell(problems: &[Problem]) -> io::Result<u8> {
    let mut errors = io::stderr().lock();
    let terminal = errors.is_terminal();
    let mut out = Output::new(&mut errors, terminal);
    // That nobody reads them does not make them fewer.
    out.outlive_readers();
    out.problems(problems)?;
    Ok(EXIT_PROBLEMS)
}
