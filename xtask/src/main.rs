//! House-keeping commands: `cargo xtask test`, `bench`, `suite`, `map`, `reference`, `fuzz`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "these are commands for people at a terminal")]

mod bench;
mod build;
mod fuzz;
#[cfg(test)]
mod house;
mod map;
mod origin;
mod reference;
mod shell;
mod suite;
mod test;
mod tools;
mod tree;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    match run(command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Test(args) => test::run(&args),
        Command::Bench(args) => bench::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Map => map::run().map(|()| ExitCode::SUCCESS),
        Command::Reference => reference::run().map(|()| ExitCode::SUCCESS),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Suite(args) => suite::run(&args),
        Command::Origin(args) => origin::run(&args).map(|()| ExitCode::SUCCESS),
    }
}

#[derive(Parser)]
#[command(name = "cargo xtask", about = "House-keeping for Forebay", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install or find what the tests need, then run every test of the workspace
    Test(test::Args),
    /// Compare Forebay with nginx and HAProxy on this machine
    Bench(bench::Args),
    /// Print every source file with what it is for
    Map,
    /// Write docs/reference anew from the binary
    Reference,
    /// Fuzz one target, or all of them in turn
    Fuzz(fuzz::Args),
    /// Run the standard load scenarios against the demo, from low load to high
    Suite(suite::Args),
    /// Serve as the backend of a bench
    Origin(origin::Args),
}
