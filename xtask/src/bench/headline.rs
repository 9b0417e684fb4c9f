//! Headlines: what was to be reached on each page of results, gathered at the end of the first page.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::tree;

/// The page that has the headlines of all others.
pub(crate) const RESULTS: &str = "RESULTS.md";
/// The others, in the order they are shown.
const PAGES: [&str; 5] = ["FAILOVER.md", "UPGRADE.md", "RELOAD.md", "BALANCE.md", "LOAD_RESULTS.md"];

/// Around the headline of a page.
const HEADLINE: Marks = Marks { begin: "<!-- headline:begin -->", end: "<!-- headline:end -->" };
/// Around the headlines of others.
const ELSEWHERE: Marks = Marks { begin: "<!-- elsewhere:begin -->", end: "<!-- elsewhere:end -->" };

/// Something that was to be reached.
#[derive(Clone, Debug)]
pub(crate) struct Goal {
    /// With its unit.
    pub(crate) what: String,
    /// The greatest figure that is good enough.
    pub(crate) most: String,
    pub(crate) measured: String,
    pub(crate) reached: bool,
    /// What the others have, one for each name that the table is given.
    pub(crate) others: Vec<String>,
}

/// The headline of a page: a table of goals, of which others may have their own figures.
pub(crate) fn goals(others: &[String], goals: &[Goal]) -> String {
    let Marks { begin, end } = HEADLINE;
    let cells = |texts: &[String]| texts.iter().map(|text| format!(" {text} |")).collect::<String>();
    let mut text = format!("{begin}\n| goal | at most | measured | |{}\n", cells(others));
    let _ = writeln!(text, "|---|---:|---:|---|{}", "---:|".repeat(others.len()));
    for Goal { what, most, measured, reached, others } in goals {
        let word = if *reached { "reached" } else { "**missed**" };
        let _ = writeln!(text, "| {what} | {most} | {measured} | {word} |{}", cells(others));
    }
    let _ = writeln!(text, "{end}");
    text
}

/// Writes a page; what one of the committed pages says shows at the end of the first one at once.
pub(crate) fn write_page(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("xtask: wrote {}", path.display());
    refresh(&tree::root().join("benches"), path)
}

/// Gathers the headlines again if this page of the folder has one or shows them.
fn refresh(folder: &Path, written: &Path) -> Result<()> {
    let written = written.canonicalize()?;
    let is_it = |name: &str| folder.join(name).canonicalize().is_ok_and(|page| page == written);
    if !is_it(RESULTS) && !PAGES.into_iter().any(is_it) {
        return Ok(());
    }
    let results = folder.join(RESULTS);
    let before =
        fs::read_to_string(&results).with_context(|| format!("cannot read {}", results.display()))?;
    let after = with_elsewhere(&before, &read_pages(folder)?);
    fs::write(&results, after).with_context(|| format!("cannot write {}", results.display()))
}

struct Marks {
    begin: &'static str,
    end: &'static str,
}

impl Marks {
    /// What is before, between and behind the marks.
    fn split<'t>(&self, text: &'t str) -> Option<[&'t str; 3]> {
        let (before, rest) = text.split_once(self.begin)?;
        let (between, behind) = rest.split_once(self.end)?;
        Some([before, between, behind])
    }
}

/// Name and text of each page that there is.
fn read_pages(folder: &Path) -> Result<Vec<(&'static str, String)>> {
    let there = PAGES.into_iter().filter(|name| folder.join(name).exists());
    there
        .map(|name| {
            let text = fs::read_to_string(folder.join(name));
            Ok((name, text.with_context(|| format!("cannot read {name}"))?))
        })
        .collect()
}

/// The results with the headlines of these pages instead of those they had, if any.
fn with_elsewhere(results: &str, pages: &[(&str, String)]) -> String {
    let section = elsewhere(pages);
    match ELSEWHERE.split(results) {
        Some([before, _, behind]) => format!("{before}{section}{behind}"),
        None => format!("{}\n\n{section}\n", results.trim_end()),
    }
}

/// A page without a headline is left out.
fn elsewhere(pages: &[(&str, String)]) -> String {
    let mut text = format!("{}\n## Elsewhere\n\nHeadlines of the other pages.\n", ELSEWHERE.begin);
    for (name, page) in pages {
        let Some([_, headline, _]) = HEADLINE.split(page) else { continue };
        let title = page.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or(name);
        let _ = write!(text, "\n### [{title}]({name})\n\n{}\n", headline.trim());
    }
    text + ELSEWHERE.end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goal(reached: bool, others: &[&str]) -> Goal {
        let others = others.iter().map(ToString::to_string).collect();
        Goal { what: "errors".to_owned(), most: "0".to_owned(), measured: "1".to_owned(), reached, others }
    }

    /// A page with a headline of one word.
    fn page(title: &str, headline: &str) -> String {
        format!("# {title}\n\nx\n\n{}\n{headline}\n{}\n\n## More\n", HEADLINE.begin, HEADLINE.end)
    }

    #[test]
    fn others_stand_behind_the_word() {
        let table = goals(&["nginx".to_owned()], &[goal(true, &["7"]), goal(false, &["8"])]);
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[1], "| goal | at most | measured | | nginx |");
        assert_eq!(lines[2], "|---|---:|---:|---|---:|");
        assert_eq!(lines[3..5], ["| errors | 0 | 1 | reached | 7 |", "| errors | 0 | 1 | **missed** | 8 |"]);
    }

    #[test]
    fn headlines_are_replaced_in_place_and_nothing_else() {
        let once = with_elsewhere("# Side by side\n\nfigures\n", &[("A.md", page("A", "old"))]);
        assert!(once.starts_with("# Side by side\n\nfigures\n\n<!-- elsewhere:begin -->\n## Elsewhere\n"));
        assert!(once.contains("### [A](A.md)\n\nold\n"));
        let pages = [("A.md", page("A", "new")), ("B.md", "# B\nno headline\n".to_owned())];
        let twice = with_elsewhere(&format!("{once}behind\n"), &pages);
        assert_eq!(twice, format!("{}behind\n", once.replace("old", "new")));
    }

    #[test]
    fn writing_a_page_refreshes_the_results_and_writing_another_file_does_not() {
        let folder = std::env::temp_dir().join(format!("forebay-headline-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("the system's folder is writable");
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).expect("writable");
        let refreshed = |name: &str| {
            refresh(&folder, &folder.join(name)).expect("all is there");
            fs::read_to_string(folder.join(RESULTS)).expect("it was written")
        };
        write(RESULTS, "# Side by side\n");
        write("RELOAD.md", &page("Reloads", "flat"));
        write("other.md", "# Other\n");
        assert_eq!(refreshed("other.md"), "# Side by side\n");
        assert!(refreshed("RELOAD.md").contains("### [Reloads](RELOAD.md)\n\nflat\n"));
        write(RESULTS, "# New figures\n");
        assert!(refreshed(RESULTS).contains("flat"));
        fs::remove_dir_all(&folder).expect("it is ours");
    }

    #[test]
    fn the_committed_results_have_the_headlines_of_the_committed_pages() {
        let folder = tree::root().join("benches");
        let results = fs::read_to_string(folder.join(RESULTS)).expect("it is committed");
        let pages = read_pages(&folder).expect("they can be read");
        assert_eq!(results, with_elsewhere(&results, &pages));
        assert_eq!(pages.len(), pages.iter().filter(|(_, page)| HEADLINE.split(page).is_some()).count());
    }
}
