//! Write docs/reference anew from what the binary says about itself.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{shell, test, tree};

/// The pages: `forebay reference NAME` prints docs/reference/NAME.md.
pub(crate) const PAGES: &[&str] = &["settings"];

/// `cargo xtask reference`.
pub(crate) fn run() -> Result<()> {
    let folder = tree::root().join("docs/reference");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for page in PAGES {
        let path = folder.join(format!("{page}.md"));
        fs::write(&path, render(page)?).with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", tree::relative(&path));
    }
    Ok(())
}

/// The page as the binary prints it now.
fn render(page: &str) -> Result<String> {
    let gateway = test::build_gateway("dev")?;
    shell::read(Command::new(gateway).args(["reference", page]))
}
