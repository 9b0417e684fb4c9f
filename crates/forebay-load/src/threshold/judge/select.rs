//! Which requests a threshold is about.

use std::time::Duration;

use crate::outcome::{Outcome, Series, Tally};
use crate::plan::Stage;
use forebay_base::nearest::nearest;

/// Everything that fits each key and value, warm-up left out; or why there is nothing.
pub(super) fn tally(select: &[(String, String)], outcome: &Outcome) -> Result<Tally, String> {
    let (by_stage, by_series): (Vec<_>, Vec<_>) = select.iter().partition(|(key, _)| key == "stage");
    for (_, name) in &by_stage {
        stage_exists(name, outcome)?;
    }
    for (key, value) in &by_series {
        series_exists(key, value, outcome)?;
    }
    let fits = |series: &Series| by_series.iter().all(|(key, value)| has(series, key, value));
    let judged = |stage: &Stage| !stage.warmup && by_stage.iter().all(|(_, name)| stage.name == *name);
    let tally = outcome.select(fits, judged);
    if tally.planned > 0 {
        return Ok(tally);
    }
    Err(if select.is_empty() { "no requests were planned" } else { "no planned requests fit the selector" }
        .to_owned())
}

/// How long the stages took that fit, warm-up left out.
pub(super) fn length(select: &[(String, String)], outcome: &Outcome) -> Duration {
    let names = || select.iter().filter(|(key, _)| key == "stage").map(|(_, name)| name);
    outcome.length_of(|stage| !stage.warmup && names().all(|name| stage.name == *name))
}

fn has(series: &Series, key: &str, value: &str) -> bool {
    let tagged = series.tags.iter().any(|(of, is)| of == key && is == value);
    tagged || (is_name(key) && series.step == value)
}

/// k6 knows steps by `name`.
fn is_name(key: &str) -> bool {
    key == "step" || key == "name"
}

fn stage_exists(name: &str, outcome: &Outcome) -> Result<(), String> {
    match outcome.stages.iter().find(|stage| stage.name == name) {
        Some(stage) if stage.warmup => Err(format!("the stage `{name}` is warm-up, which is not judged")),
        Some(_) => Ok(()),
        None => Err(absent("stage", name, outcome.stages.iter().map(|stage| stage.name.as_str()))),
    }
}

fn series_exists(key: &str, value: &str, outcome: &Outcome) -> Result<(), String> {
    if outcome.series.iter().any(|series| has(series, key, value)) {
        return Ok(());
    }
    if is_name(key) {
        return Err(absent("step", value, outcome.series.iter().map(|series| series.step.as_str())));
    }
    let tags = || outcome.series.iter().flat_map(|series| &series.tags);
    if tags().any(|(of, _)| of == key) {
        let values = tags().filter(|(of, _)| of == key).map(|(_, is)| is.as_str());
        return Err(absent(&format!("value of the tag `{key}`"), value, values));
    }
    Err(absent("tag", key, tags().map(|(of, _)| of.as_str()).chain(["step", "stage"])))
}

fn absent<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> String {
    match nearest(name, known) {
        Some(meant) => format!("there is no {what} `{name}`; did you mean `{meant}`?"),
        None => format!("there is no {what} `{name}`"),
    }
}
