//! What is sent: scenarios and their steps.

use forebay_load::plan::{STEPS_MAX, Scenario};

use super::lower::{Lower, texts};
use super::names::Names;
use super::step::{self, Usual};
use crate::config::problems::{Mark, Spanned};
use crate::config::value::{Fields, Value};

/// The scenarios of a plan; `names` are those every scenario has.
pub(super) fn lower(lower: &mut Lower<'_, '_>, top: &Fields, names: &Names) -> Vec<Scenario> {
    let usual = Usual::of(lower, top, names);
    let items = top.list("scenarios").iter().enumerate();
    let scenarios: Vec<_> =
        items.filter_map(|(index, item)| scenario(lower, item, index, &usual, names.clone())).collect();
    let weightless = scenarios.iter().all(|scenario| scenario.weight == 0);
    if weightless && !scenarios.is_empty() {
        let at = top.get("scenarios").map_or(Mark::FILE, |value| value.at);
        lower.problems.error_fix(at, "no scenario is ever chosen", "give one a `weight` above 0");
    }
    scenarios
}

fn scenario(
    lower: &mut Lower<'_, '_>,
    item: &Spanned<Value>,
    index: usize,
    usual: &Usual,
    mut names: Names,
) -> Option<Scenario> {
    let Value::Table(fields) = &item.value else { return None };
    if let Some(one_more) = fields.list("steps").get(STEPS_MAX) {
        lower.problems.error(one_more.at, format!("more than {STEPS_MAX} steps in a scenario"));
        return None;
    }
    let steps = fields.list("steps").iter().filter_map(|item| match &item.value {
        Value::Table(fields) => step::lower(lower, fields, usual, &mut names),
        _ => None,
    });
    Some(Scenario {
        steps: steps.collect(),
        name: fields
            .text("name")
            .map_or_else(|| format!("scenario {}", index + 1), |name| name.value.to_owned()),
        weight: fields.count("weight").unwrap_or(1),
        tags: texts(fields.map("tags")),
    })
}
