//! A run as one page one can mail: verdict first, then where every request went, pictures and tables.
//!
//! The page is complete: style, pictures and a little script are in it, and it asks no server for anything. All
//! it shows can be read without the script, on a phone, and on paper.

mod baseline;
mod capacity;
mod compare;
mod document;
mod headline;
mod lab;
mod percentiles;
mod plot;
mod table;
mod tables;
#[cfg(test)]
mod tests;
mod timeline;

use super::escape;
use super::facts::Facts;
use super::figures;
use crate::capacity::Capacity;
use crate::compare::Comparison;
use crate::outcome::Outcome;

/// What a page is about, where no outcome says it.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    /// The plan's name.
    pub name: &'a str,
    /// Where requests went, as a URL.
    pub target: &'a str,
    /// When it started, in milliseconds since 1970.
    pub started_unix_ms: u64,
}

/// The page of a run.
#[must_use]
pub fn run(outcome: &Outcome) -> String {
    let facts = Facts::of(outcome);
    let body = [
        headline::verdict(&facts),
        headline::tiles(&facts),
        headline::accounting(&facts),
        tables::thresholds(&facts),
        baseline::section(outcome),
        timeline::section(&facts),
        percentiles::section(&facts),
        lab::section(&facts),
        tables::stages(outcome),
        tables::steps(outcome),
        tables::errors(&facts),
        tables::generator(&facts),
        tables::settings(&facts),
    ]
    .concat();
    let about = format!(
        "<code>{}</code> · {} · {}",
        escape::html(&escape::without_secrets(&outcome.target)),
        figures::date(outcome.started_unix_ms),
        figures::length(outcome.took),
    );
    let title = format!("{}: {}", facts.judgement.state.word(), escape::shorten(&outcome.name, 60));
    document::page(&title, &outcome.name, &about, &body)
}

/// The page of a search for capacity.
#[must_use]
pub fn capacity(about: &About<'_>, capacity: &Capacity) -> String {
    capacity::page(about, capacity)
}

/// The page of a comparison; `before` and `after` are what the two sides are called.
#[must_use]
pub fn compare(about: &About<'_>, before: &str, after: &str, comparison: &Comparison) -> String {
    compare::page(about, before, after, comparison)
}

impl About<'_> {
    fn line(&self) -> String {
        let target = escape::html(&escape::without_secrets(self.target));
        format!("<code>{target}</code> · {}", figures::date(self.started_unix_ms))
    }
}
