//! Compares figure by figure, then says what it comes to.

use super::{Comparison, Figure, Outcome, RUNS_MIN, Row, Run, Settings, run};
use crate::stats;
use crate::threshold::Unit;

/// Chance of a false alarm by the primary figure.
const PRIMARY_CHANCE: f64 = 0.04;
/// Chance of a false alarm by the errors.
const ERRORS_CHANCE: f64 = 0.01;
/// A share of failures greater by this is never called no difference.
const ERRORS_APART: f64 = 0.01;
/// Chance of a false alarm by any of the figures that only inform.
const OTHERS_CHANCE: f64 = 0.05;
/// Errors that differ by less than this share of all requests do not matter.
const ERRORS_EFFECT_MIN: f64 = 0.001;

pub(super) fn compare(before: &[Run], after: &[Run], settings: &Settings) -> Comparison {
    let (first, second) = (valid(before), valid(after));
    let mut figures: Vec<Figure> =
        Figure::ALL.into_iter().filter(|figure| *figure != settings.primary).collect();
    figures.insert(0, settings.primary);
    let mut rows: Vec<Row> =
        figures.into_iter().filter_map(|figure| row(figure, &first, &second, settings)).collect();
    set_chances(&mut rows, settings);
    for row in &mut rows {
        let (first, second) = (run::values(&first, row.figure), run::values(&second, row.figure));
        row.outcome = outcome(row, &first, &second, settings);
    }
    let (outcome, mut reasons) = failing(&first, &second).unwrap_or_else(|| overall(&rows, settings));
    reasons.extend(remarks(before, after, &first, &second));
    Comparison { outcome, reasons, rule: rule(settings), runs: (first.len(), second.len()), figures: rows }
}

/// Runs that say something of the target, and all of it.
pub(super) fn valid(runs: &[Run]) -> Vec<Run> {
    runs.iter().copied().filter(|run| !run.invalid && !run.interrupted).collect()
}

/// A figure's numbers, not yet judged; `None`: a side lacks it.
fn row(figure: Figure, first: &[Run], second: &[Run], settings: &Settings) -> Option<Row> {
    let (first, second) = (run::values(first, figure), run::values(second, figure));
    let (before, after) = (stats::median(&first)?, stats::median(&second)?);
    let enough = first.len() >= RUNS_MIN && second.len() >= RUNS_MIN;
    let interval = || stats::ratio_interval(&first, &second, settings.resamples, settings.seed);
    Some(Row {
        figure,
        before,
        after,
        ratio: (before > 0.0).then_some(after / before),
        interval: if enough { interval() } else { None },
        p: enough.then(|| stats::mann_whitney(&first, &second).p),
        p_max: 0.0,
        outcome: Outcome::Inconclusive,
    })
}

/// Shares the allowed chance of a false alarm out among figures.
fn set_chances(rows: &mut [Row], settings: &Settings) {
    let is_deciding = |figure: Figure| figure == settings.primary || figure == Figure::Errors;
    for row in rows.iter_mut() {
        row.p_max = if row.figure == settings.primary { PRIMARY_CHANCE } else { ERRORS_CHANCE };
    }
    // Holm: the least p must stay below the chance divided by all, the next by one less, until one does not.
    let mut others: Vec<&mut Row> = rows.iter_mut().filter(|row| !is_deciding(row.figure)).collect();
    others.sort_by(|a, b| a.p.unwrap_or(1.0).total_cmp(&b.p.unwrap_or(1.0)));
    let (count, mut missed) = (others.len(), None);
    for (index, row) in others.into_iter().enumerate() {
        let chance = OTHERS_CHANCE / (count - index) as f64;
        row.p_max = missed.unwrap_or(chance);
        if row.p.is_none_or(|p| p > chance) {
            // Those that follow have no chance any more.
            missed = missed.or(Some(0.0));
        }
    }
}

fn outcome(row: &Row, first: &[f64], second: &[f64], settings: &Settings) -> Outcome {
    let Some(p) = row.p else { return Outcome::Inconclusive };
    let effect_min = settings.noise_floor.map_or(0.0, |noise| 2.0 * noise).max(settings.min_effect);
    let difference = row.after - row.before;
    let relative = row.ratio.map(|ratio| (ratio - 1.0).abs());
    let matters = if row.figure == Figure::Errors {
        difference.abs() >= ERRORS_EFFECT_MIN && relative.is_none_or(|relative| relative >= effect_min)
    } else {
        relative.is_some_and(|relative| relative >= effect_min)
    };
    if p <= row.p_max && matters {
        let more = difference > 0.0;
        return if more == row.figure.more_is_better() { Outcome::Better } else { Outcome::Worse };
    }
    let above = if row.figure == Figure::Errors {
        farthest(first, second).max(ERRORS_EFFECT_MIN)
    } else {
        let Some(interval) = row.interval else { return Outcome::Inconclusive };
        let high = interval.high.unwrap_or(f64::INFINITY);
        (high - 1.0).max(1.0 - interval.low).max(effect_min)
    };
    Outcome::NoDifferenceShown { above }
}

/// How far any run of one side is from any of the other.
fn farthest(first: &[f64], second: &[f64]) -> f64 {
    let ends = |values: &[f64]| {
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(*value), high.max(*value))
        })
    };
    let (a, b) = (ends(first), ends(second));
    (b.1 - a.0).max(a.1 - b.0)
}

/// What there is to say if not one request of a side was ok: no times and no chance are needed for it.
fn failing(first: &[Run], second: &[Run]) -> Option<(Outcome, Vec<String>)> {
    let fails = |runs: &[Run]| {
        let sent = runs.iter().any(|run| run.planned > 0);
        sent && runs.iter().all(|run| run.planned == 0 || run.errors >= 1.0)
    };
    if first.is_empty() || second.is_empty() {
        return None;
    }
    let (outcome, why) = match (fails(first), fails(second)) {
        (false, true) => (Outcome::Worse, "worse: after, not one request was ok"),
        (true, false) => (Outcome::Better, "better: before, not one request was ok"),
        (true, true) => (Outcome::Inconclusive, "one cannot tell: not one request was ok on either side"),
        (false, false) => return None,
    };
    Some((outcome, vec![why.to_owned()]))
}

/// What the primary figure and the errors come to together.
fn overall(rows: &[Row], settings: &Settings) -> (Outcome, Vec<String>) {
    let find = |figure: Figure| rows.iter().find(|row| row.figure == figure);
    let errors = find(Figure::Errors).filter(|_| settings.primary != Figure::Errors);
    let Some(primary) = find(settings.primary) else {
        // More failures are worse, whatever is known of times; fewer do not make up for them.
        let worse = errors.filter(|row| row.outcome == Outcome::Worse);
        let mut reasons: Vec<String> = worse.into_iter().map(sentence).collect();
        reasons.push(format!("{} is not known of every run", settings.primary.label()));
        return (worse.map_or(Outcome::Inconclusive, |row| row.outcome), reasons);
    };
    let of_errors = errors.map_or(Outcome::Inconclusive, |row| row.outcome);
    let outcome = match (primary.outcome, of_errors) {
        (Outcome::Better, Outcome::Worse) | (Outcome::Worse, Outcome::Better) => Outcome::Inconclusive,
        (_, Outcome::Worse) => Outcome::Worse,
        (Outcome::NoDifferenceShown { .. }, Outcome::Better) => Outcome::Better,
        // Failures that differ by so much are not nothing, though so few runs cannot tell them from chance.
        (Outcome::Better | Outcome::NoDifferenceShown { .. }, _) if errors.is_some_and(apart) => {
            Outcome::Inconclusive
        }
        (primary, _) => primary,
    };
    let decides = |row: &&Row| matches!(row.outcome, Outcome::Better | Outcome::Worse) || apart(row);
    let deciding = [Some(primary), errors.filter(decides)];
    let reasons = deciding.into_iter().flatten().map(sentence).collect();
    (outcome, reasons)
}

/// Whether more fail on the later side, by more than a percentage point of the requests.
fn apart(row: &Row) -> bool {
    row.after > row.before + ERRORS_APART
}

fn sentence(row: &Row) -> String {
    let Row { figure, before, after, ratio, interval, p, outcome, .. } = row;
    let show = |value: f64| figure_text(*figure, value);
    let change = ratio.map_or_else(String::new, |ratio| format!(" ({:+.1} %)", (ratio - 1.0) * 100.0));
    let span = interval
        .and_then(|interval| Some((interval.low, interval.high?)))
        .map_or_else(String::new, |(low, high)| {
            format!(", {:+.1} % to {:+.1} % at 95 %", (low - 1.0) * 100.0, (high - 1.0) * 100.0)
        });
    let chance = p.map_or_else(String::new, |p| format!(", p {p:.3}"));
    let numbers =
        format!("{} went from {} to {}{change}{span}{chance}", figure.label(), show(*before), show(*after));
    match outcome {
        Outcome::Better => format!("better: {numbers}"),
        Outcome::Worse => format!("worse: {numbers}"),
        Outcome::NoDifferenceShown { .. } if *figure == Figure::Errors && apart(row) => {
            format!("one cannot tell: {numbers}")
        }
        Outcome::NoDifferenceShown { above } => {
            format!("no difference above {} shown: {numbers}", Unit::Share.show(*above))
        }
        Outcome::Inconclusive => format!("one cannot tell: {numbers}"),
    }
}

pub(super) fn figure_text(figure: Figure, value: f64) -> String {
    match figure {
        Figure::Errors => Unit::Share,
        Figure::Throughput => Unit::PerSecond,
        _ => Unit::Seconds,
    }
    .show(value)
}

/// What a reader should know of the runs.
fn remarks(before: &[Run], after: &[Run], first: &[Run], second: &[Run]) -> Vec<String> {
    let mut remarks = Vec::new();
    match first.len().min(second.len()) {
        0 => remarks.push("one side has no valid run".to_owned()),
        1 => remarks.push("one run per side shows differences, but is no comparison: make at least 5".to_owned()),
        count if count < RUNS_MIN => remarks.push(format!(
            "{count} runs per side are too few to tell a difference from chance: make at least {RUNS_MIN}, better 5"
        )),
        _ => {}
    }
    let dropped = before.len() + after.len() - first.len() - second.len();
    if dropped > 0 {
        remarks.push(format!("{dropped} runs were left out, because their generator did not do its part or they were ended early"));
    }
    let cut_short = first.iter().chain(second).filter(|run| run.cut_short).count();
    if cut_short > 0 {
        remarks.push(format!(
            "in {cut_short} runs requests had no answer when waiting ended: their times may be longer"
        ));
    }
    remarks
}

fn rule(settings: &Settings) -> String {
    format!(
        "{} decides with a chance of a false alarm of {}, errors with {}: together at most 5 %; the other figures \
         inform, with 5 % among all of them (Holm)",
        settings.primary.label(),
        Unit::Share.show(PRIMARY_CHANCE),
        Unit::Share.show(ERRORS_CHANCE)
    )
}
