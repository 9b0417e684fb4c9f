//! Build the gateway for commands that run it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

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

/// The binary that was named, or one that is built for it in release.
pub(crate) fn gateway_or(named: Option<&Path>) -> Result<PathBuf> {
    named.map_or_else(|| gateway("release"), existing)
}

/// The path of a file that has to be there, from wherever it is looked at.
pub(crate) fn existing(path: &Path) -> Result<PathBuf> {
    path.canonicalize().with_context(|| format!("no such file: {}", path.display()))
}

/// Where builds and results of long commands go.
pub(crate) fn target_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| tree::root().join("target"), PathBuf::from)
}
