//! `forebay reference`: the pages of `docs/reference`, written from what the binary knows of itself.

use std::io;

use super::Output;
use crate::cli::{self, Page};
use crate::{config, load};

mod command_line;
mod refusals;

/// Prints a reference page.
///
/// # Errors
/// When it cannot be written.
pub fn reference(args: &cli::Reference, out: &mut Output<'_>) -> io::Result<()> {
    out.line(text(args.page).trim_end())
}

/// The page in Markdown.
fn text(page: Page) -> String {
    match page {
        Page::Settings => config::reference(),
        Page::Metrics => forebay_telemetry::exposition::reference(),
        Page::Refusals => refusals::reference(),
        Page::Cli => command_line::reference(),
        Page::LoadPlan => load::reference(),
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum as _;

    use super::*;

    #[test]
    fn every_page_is_fresh() {
        for page in Page::value_variants() {
            let name = page.to_possible_value().expect("no page is left out").get_name().to_owned();
            let path = format!("{}/../../docs/reference/{name}.md", env!("CARGO_MANIFEST_DIR"));
            let written = std::fs::read_to_string(path).unwrap_or_default();
            let fresh = written.trim_end() == text(*page).trim_end();
            assert!(fresh, "docs/reference/{name}.md is stale: run `cargo xtask reference`");
        }
    }

    #[test]
    fn a_bar_never_ends_a_cell_early() {
        for page in Page::value_variants() {
            let mut columns = 0;
            for line in text(*page).lines() {
                let bars = line.matches('|').count() - line.matches("\\|").count();
                if line.starts_with('|') {
                    assert!(columns == 0 || bars == columns, "{page:?}: {line}");
                    columns = bars;
                } else {
                    columns = 0;
                }
            }
        }
    }
}
