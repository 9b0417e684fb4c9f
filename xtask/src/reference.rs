//! Write docs/reference anew from what the binary says about itself.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{build, shell, tree};

/// The pages: `forebay reference NAME` prints docs/reference/NAME.md.
pub(crate) const PAGES: &[&str] = &["cli", "load-plan", "metrics", "refusals", "settings"];

/// `cargo xtask reference`.
pub(crate) fn run() -> Result<()> {
    let folder = tree::root().join("docs/reference");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let gateway = build::gateway("dev")?;
    for page in PAGES {
        let path = folder.join(format!("{page}.md"));
        fs::write(&path, shell::read(Command::new(&gateway).args(["reference", page]))?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", tree::relative(&path));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a page is fresh is tested where its text comes from; here, that it comes from anywhere.
    #[test]
    fn every_reference_page_is_generated() {
        for path in tree::files("md").expect("the repository can be read") {
            let path = tree::relative(&path);
            let Some(page) = path.strip_prefix("docs/reference/") else { continue };
            let page = page.trim_end_matches(".md");
            assert!(PAGES.contains(&page), "{path} is not written by `cargo xtask reference`");
        }
    }
}
