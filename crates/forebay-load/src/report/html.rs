//! A run as one page one can mail: verdict first, then where every request went, pictures and tables.
//!
//! The page is complete: style, pictures and a little script are in it, and it asks no server for anything. All
//! it shows can be read without the script, on a phone, and on paper.

mod document;
mod headline;
mod lab;
mod percentiles;
mod plot;
mod tables;
#[cfg(test)]
mod tests;
mod table;
mod timeline;

use super::escape;
use super::facts::Facts;
use super::figures;
use crate::outcome::Outcome;

/// The page of a run.
#[must_use]
pub fn run(outcome: &Outcome) -> String {
    let facts = Facts::of(outcome);
    let body = [
        headline::verdict(&facts),
        headline::tiles(&facts),
        headline::accounting(&facts),
        tables::thresholds(&facts),
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
