//! How a run compares with saved ones, as a section of its page.

use super::super::escape;
use super::super::figures::micros;
use super::super::text::percent;
use super::table::{Cell, Table};
use crate::compare::{BASELINE_MIN, Bound, Figure, Gate};
use crate::outcome::Outcome;

/// The section; empty if nobody asked for a comparison.
pub(super) fn section(outcome: &Outcome) -> String {
    let Some(gate) = &outcome.verdict.baseline else { return String::new() };
    let Gate { kind, missing, saved, now: _, reasons, bounds } = gate;
    let (class, word) = match missing {
        0 => (kind.label(), kind.label()),
        _ => ("off", "not judged"),
    };
    let reasons: Vec<_> = reasons.iter().take(50).map(|reason| escape::html_said(reason)).collect();
    let table = if bounds.is_empty() { String::new() } else { table(bounds) };
    format!(
        "<section><h2>Against the baseline</h2><p><span class=\"state {class}\">{word}</span> {saved} saved runs, of \
         which {BASELINE_MIN} are needed.</p>{table}<ul><li>{}</ul></section>\n",
        reasons.join("<li>")
    )
}

fn table(bounds: &[Bound]) -> String {
    let columns = ["figure", ">usually", ">now", ">another such run is at most", ">tolerated", "state"];
    let mut table = Table::new("Against the baseline", &columns);
    for Bound { figure, usual, now, expected_max, tolerated_max, worse } in bounds {
        let shown = |value: f64| {
            Cell::Number(match figure {
                Figure::Errors => percent(value),
                _ => micros(value * 1e6),
            })
        };
        let state = if *worse { "<span class=\"state fail\">worse</span>" } else { "no worse" };
        table.row(
            "",
            [
                Cell::Name(figure.label().to_owned()),
                shown(*usual),
                shown(*now),
                shown(*expected_max),
                shown(*tolerated_max),
                Cell::Markup(state.to_owned()),
            ],
        );
    }
    table.finish()
}
