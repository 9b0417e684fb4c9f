//! `forebay demo`: see it work.

use crate::cli;

/// Runs the demo. Returns the exit status.
///
/// # Errors
/// An address is not to be had.
pub fn demo(_args: &cli::Demo) -> anyhow::Result<u8> {
    anyhow::bail!("the demo arrives with the next change")
}
