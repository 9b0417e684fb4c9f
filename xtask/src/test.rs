//! Run every test of the workspace on a machine that may have nothing but a Rust toolchain.

use std::process::ExitCode;

use anyhow::{Context, Result};

use crate::{shell, tools, tree};

/// `cargo xtask test`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Passed on to `cargo test`, for example: cargo xtask test -- -p forebay-net
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Provides the tools and runs the tests; the closing line is cargo's own.
///
/// Black-box tests run the binary that cargo builds along with them: an optimised one was tried, took two more
/// minutes to build and saved two seconds.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    tools::provide(tools::FOR_TESTS)?;
    let mut tests = shell::cargo();
    tests
        .args(["test", "--workspace", "--no-fail-fast"])
        .args(&args.rest)
        .current_dir(tree::root())
        .env("PATH", tools::search_path());
    let status = tests.status().with_context(|| format!("cannot start {}", shell::spell(&tests)))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
