//! Two sides compared, as a page: what differs, how sure that is, and what could not be shown.

use super::super::escape;
use super::super::figures::{NONE, digits, micros, rate};
use super::super::text::percent;
use super::table::{Cell, Table};
use super::{About, document};
use crate::compare::{Comparison, Figure, Outcome, Row};

/// Greatest change that the picture of intervals shows, as a factor.
const FACTOR_MAX: f64 = 2.0;

/// The page of a comparison; `before` and `after` are what the sides are called.
pub(super) fn page(about: &About<'_>, before: &str, after: &str, comparison: &Comparison) -> String {
    let Comparison { outcome, reasons, rule, runs, figures } = comparison;
    let (class, word, meaning) = match outcome {
        Outcome::Better => ("pass", "BETTER", "the second side is better than the first".to_owned()),
        Outcome::Worse => ("fail", "WORSE", "the second side is worse than the first".to_owned()),
        Outcome::NoDifferenceShown { above } => {
            ("pass", "NO DIFFERENCE SHOWN", format!("if there is one, it is not above {}", percent(*above)))
        }
        Outcome::Inconclusive => {
            ("inconclusive", "INCONCLUSIVE", "too few runs, or they contradict each other".to_owned())
        }
    };
    let reasons: Vec<_> = reasons.iter().take(50).map(|reason| escape::html_said(reason)).collect();
    let reasons =
        if reasons.is_empty() { String::new() } else { format!("<ul><li>{}</ul>", reasons.join("<li>")) };
    let body = format!(
        "<div class=\"verdict {class}\" role=\"status\"><strong>{word}</strong> {meaning}{reasons}</div>\n\
         <section><h2>Figure by figure</h2><p>Medians of {} runs of <b>{}</b> and {} runs of <b>{}</b>; the unit is \
         the run, not the request.</p>{}<p class=\"note\">{}</p></section>\n",
        runs.0,
        escape::html(before),
        runs.1,
        escape::html(after),
        table(before, after, figures),
        escape::html_said(rule),
    );
    document::page(&format!("{word}: {}", about.name), about.name, &about.line(), &body)
}

fn table(before: &str, after: &str, rows: &[Row]) -> String {
    let (before, after) =
        (format!(">{}", escape::shorten(before, 30)), format!(">{}", escape::shorten(after, 30)));
    let columns = ["figure", &before, &after, ">change", ">at 95 % between", "where it lies", ">p", "shows"];
    let mut table = Table::new("Comparison by figure", &columns);
    for row in rows {
        let Row { figure, before, after, ratio, interval, p, p_max, outcome } = row;
        let (class, word) = match outcome {
            Outcome::Better => ("pass", "better".to_owned()),
            Outcome::Worse => ("fail", "worse".to_owned()),
            Outcome::NoDifferenceShown { above } => ("off", format!("none above {}", percent(*above))),
            Outcome::Inconclusive => ("inconclusive", "cannot be told".to_owned()),
        };
        let bounds = interval.as_ref().map(|interval| (interval.low, interval.high));
        let between = bounds.map_or_else(
            || NONE.to_owned(),
            |(low, high)| format!("{} and {}", change(low), high.map_or_else(|| "more".to_owned(), change)),
        );
        table.row(
            "",
            [
                Cell::Name(figure.label().to_owned()),
                Cell::Number(shown(*figure, *before)),
                Cell::Number(shown(*figure, *after)),
                Cell::Number(ratio.map_or_else(|| NONE.to_owned(), change)),
                Cell::Number(between),
                Cell::Markup(picture(*ratio, bounds)),
                Cell::Number(
                    p.map_or_else(|| NONE.to_owned(), |p| format!("{} (of {})", digits(p), digits(*p_max))),
                ),
                Cell::Markup(format!("<span class=\"state {class}\">{word}</span>")),
            ],
        );
    }
    table.finish()
}

/// A ratio as `+12 %`.
fn change(ratio: f64) -> String {
    let change = (ratio - 1.0) * 100.0;
    let sign = if change >= 0.0 { "+" } else { "" };
    format!("{sign}{} %", digits(change))
}

/// The interval on a line whose middle is no change.
fn picture(ratio: Option<f64>, bounds: Option<(f64, Option<f64>)>) -> String {
    let place = |ratio: f64| {
        let share = 0.5 + ratio.max(1e-6).ln() / FACTOR_MAX.ln() / 2.0;
        if share.is_finite() { share.clamp(0.0, 1.0) * 100.0 } else { 50.0 }
    };
    let (Some(ratio), Some((low, high))) = (ratio, bounds) else { return String::new() };
    let (from, to) = (place(low), high.map_or(100.0, place));
    format!(
        "<div class=\"forest\" role=\"img\" aria-label=\"{} to {}\"><i style=\"left:{from:.1}%;width:{:.1}%\"></i><b \
         style=\"left:{:.1}%\"></b></div>",
        change(low),
        high.map_or_else(|| "more".to_owned(), change),
        (to - from).max(0.5),
        place(ratio),
    )
}

fn shown(figure: Figure, value: f64) -> String {
    match figure {
        Figure::P50 | Figure::P95 | Figure::P99 | Figure::Mean | Figure::Cpu => micros(value * 1e6),
        Figure::Errors => percent(value),
        Figure::Throughput => rate(value),
    }
}
