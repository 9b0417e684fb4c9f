//! Build the gateway for commands that run it.

use std::path::PathBuf;

use anyhow::Result;

use crate::{shell, tree};

/// Builds the `forebay` binary with this profile and gives its path.
pub(crate) fn gateway(profile: &str) -> Result<PathBuf> {
    eprintln!("xtask: building forebay (profile {profile})");
    let mut build = shell::cargo();
    build.args(["build", "--package", "forebay", "--profile", profile]).current_dir(tree::root());
    shell::run(&mut build)?;
    let folder = if profile == "dev" { "debug" } else { profile };
    Ok(target_folder().join(folder).join("forebay"))
}

/// Where builds and results of long commands go.
pub(crate) fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| tree::root().join("target"), PathBuf::from)
}
