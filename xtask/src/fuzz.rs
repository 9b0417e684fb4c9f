//! Run the fuzz targets, one after the other, each for the same time.

use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};

use crate::{shell, tree};

/// `cargo xtask fuzz`.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Time for each target
    #[arg(long, default_value_t = 60)]
    seconds: u32,
    /// Only this one; without it, every target in turn
    target: Option<String>,
}

/// Fails when a target crashes, hangs or uses too much memory; the input that did it is in fuzz/artifacts.
pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let targets = match &args.target {
        Some(target) => vec![target.clone()],
        None => targets()?,
    };
    if targets.is_empty() {
        bail!("no target in fuzz/fuzz_targets");
    }
    provide()?;
    for target in &targets {
        eprintln!("xtask: fuzzing {target} for {} s", args.seconds);
        shell::run(&mut fuzz(target, args.seconds))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Every target by the name of its file.
fn targets() -> Result<Vec<String>> {
    let folder = tree::root().join("fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))? {
        if let Some(name) = entry?.file_name().to_string_lossy().strip_suffix(".rs") {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// New inputs go to a folder of their own: the seeds in fuzz/corpus stay as they were committed.
fn fuzz(target: &str, seconds: u32) -> Command {
    let found = tree::root().join("fuzz/target/corpus").join(target);
    let seeds = tree::root().join("fuzz/corpus").join(target);
    // libFuzzer wants its folders to exist; when they do not it says so itself.
    let _ = fs::create_dir_all(&found);
    let mut command = cargo(&["+nightly", "fuzz", "run", target]);
    command.args([found, seeds]).arg("--");
    command.arg(format!("-max_total_time={seconds}"));
    command.args(["-timeout=5", "-rss_limit_mb=2048", "-max_len=16384", "-print_final_stats=1"]);
    command.current_dir(tree::root().join("fuzz"));
    command
}

fn provide() -> Result<()> {
    if !answers(&mut cargo(&["+nightly", "--version"])) {
        bail!("fuzzing needs a nightly compiler: rustup toolchain install nightly");
    }
    if !answers(&mut cargo(&["fuzz", "--version"])) {
        eprintln!("xtask: installing cargo-fuzz");
        shell::run(&mut cargo(&["install", "cargo-fuzz", "--locked"]))
            .context("cannot install cargo-fuzz")?;
    }
    Ok(())
}

/// The cargo that picks a toolchain: `cargo xtask` runs under one and hands it down, the fuzzer needs another.
fn cargo(args: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command.args(args).env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO");
    command
}

fn answers(command: &mut Command) -> bool {
    command.output().is_ok_and(|output| output.status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_target_is_built_and_has_seeds() {
        let manifest =
            fs::read_to_string(tree::root().join("fuzz/Cargo.toml")).expect("the crate has a manifest");
        let targets = targets().expect("there are targets");
        assert!(!targets.is_empty());
        for target in targets {
            let file = format!("path = \"fuzz_targets/{target}.rs\"");
            assert!(manifest.contains(&file), "fuzz/Cargo.toml does not build {target}");
            let seeds = tree::root().join("fuzz/corpus").join(&target);
            assert!(seeds.read_dir().is_ok_and(|mut seeds| seeds.next().is_some()), "no seeds for {target}");
        }
    }
}
