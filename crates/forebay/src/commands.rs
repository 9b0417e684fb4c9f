//! What each word of the command line does.

pub mod check;
pub mod demo;
pub mod endpoint;
pub mod explain;
pub mod load;
pub mod reference;
pub mod reload;
pub mod run;
pub mod schema;
pub mod upgrade;

mod output;
mod problems;
mod remote;

pub use output::Output;

use crate::cli::{Command, EXIT_OK};

/// Does what the command line says. Gives the exit status.
///
/// # Errors
/// When a command could not do its work.
pub fn dispatch(command: &Command, out: &mut Output<'_>) -> anyhow::Result<u8> {
    match command {
        Command::Run(args) => run::run(args),
        Command::Reload(args) => reload::reload(args, out),
        Command::Endpoint(args) => endpoint::endpoint(&args.command, out),
        Command::Upgrade(args) => upgrade::upgrade(args, out),
        Command::Check(args) => Ok(check::check(args, out)?),
        Command::Explain(args) => Ok(explain::explain(args, out)?),
        Command::Schema => schema::schema(out).map(|()| EXIT_OK).map_err(Into::into),
        Command::Reference(args) => reference::reference(args, out).map(|()| EXIT_OK).map_err(Into::into),
        Command::Demo(args) => demo::demo(args, out),
        Command::Load(args) => load::load(args, out),
    }
}
