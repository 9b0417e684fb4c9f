//! Conditions that could never hold: about steps, stages and tags that are not in the plan.

use forebay_base::problem::{Position, Problem};
use forebay_load::plan::{Labels, Plan, Stage};
use forebay_load::threshold::{Measure, Threshold};

use super::lower::Lower;
use super::threshold;
use crate::config::problems::Spanned;
use crate::config::read::short;
use crate::config::schema::listed;
use crate::config::value::Fields;
use forebay_base::nearest::nearest;

/// Most names that a message lists.
const LISTED_MAX: usize = 8;

/// What is wrong, and what to do.
type Wrong = (String, String);

/// Why conditions of flags could never hold, each a problem; `flag` is how they were given, such as `--threshold`.
#[must_use]
pub fn unmet(plan: &Plan, flag: &str, thresholds: &[Threshold]) -> Vec<Problem> {
    let known = Known::of(plan);
    let wrong = thresholds.iter().filter_map(|threshold| Some((threshold, known.unmet(threshold)?)));
    wrong
        .map(|(threshold, (what, fix))| {
            Problem::error(Position::file(flag), format!("`{threshold}`: {what}")).fix(fix)
        })
        .collect()
}

/// Tells conditions of the file that could never hold.
pub(super) fn check(lower: &mut Lower<'_, '_>, top: &Fields, plan: &Plan) {
    if plan.thresholds.is_empty() {
        return;
    }
    let known = Known::of(plan);
    let replaced = lower.changes.levels.is_some() || lower.changes.preset.is_some();
    for text in top.list("thresholds").iter().filter_map(Spanned::text) {
        let Ok(threshold) = threshold(text.value) else { continue };
        let Some((what, fix)) = known.unmet(&threshold) else { continue };
        let by_stage = threshold.select.iter().any(|(key, _)| key == "stage");
        let fix = match replaced && by_stage {
            true => format!("{fix}; flags have replaced the stages of the plan"),
            false => fix,
        };
        lower.problems.error_fix(text.at, format!("`{}`: {what}", short(text.value)), fix);
    }
    for threshold in &lower.changes.thresholds {
        if let Some((what, fix)) = known.unmet(threshold) {
            lower.problems.error_fix(top.at, format!("`{threshold}`: {what}"), fix);
        }
    }
}

/// What conditions can be about.
struct Known<'p> {
    plan: &'p Plan,
    /// Of every step.
    all: Vec<Labels>,
    /// Of steps that are sent: their scenarios are chosen at times.
    sent: Vec<Labels>,
}

impl<'p> Known<'p> {
    fn of(plan: &'p Plan) -> Self {
        let all = plan.labels();
        let chosen =
            |name: &str| plan.scenarios.iter().any(|scenario| scenario.name == name && scenario.weight > 0);
        let idle = |labels: &&Labels| {
            let mut scenarios = labels.tags.iter().filter(|(key, _)| key == "scenario").peekable();
            scenarios.peek().is_some() && scenarios.all(|(_, name)| !chosen(name))
        };
        let sent = all.iter().filter(|labels| !idle(labels)).cloned().collect();
        Self { plan, all, sent }
    }

    /// Why it could never hold.
    fn unmet(&self, threshold: &Threshold) -> Option<Wrong> {
        let select = &threshold.select;
        if threshold.measure == Measure::Recovery {
            return self.recovery_unmet(select);
        }
        let (stages, steps): (Vec<_>, Vec<_>) = select.iter().partition(|(key, _)| key == "stage");
        let each = stages.iter().find_map(|(_, name)| self.stage_unmet(name));
        let each = each.or_else(|| steps.iter().find_map(|(key, value)| self.label_unmet(key, value)));
        each.or_else(|| {
            let fix = || "write a threshold for each".to_owned();
            if stages.windows(2).any(|two| two[0] != two[1]) {
                return Some(("no request is in two stages".to_owned(), fix()));
            }
            let all = |labels: &&Labels| steps.iter().all(|(key, value)| has(labels, key, value));
            let none = self.sent.iter().find(all).is_none();
            (none && !steps.is_empty()).then(|| ("no step is all of this at once".to_owned(), fix()))
        })
    }

    fn recovery_unmet(&self, select: &[(String, String)]) -> Option<Wrong> {
        if self.plan.lab.faults.is_empty() {
            let what = "the plan breaks nothing, so there is nothing to recover from";
            return Some((what.to_owned(), "add `faults`, or leave it out".to_owned()));
        }
        let what = "recovery is of the whole test, not of some requests";
        (!select.is_empty()).then(|| (what.to_owned(), "leave out the braces".to_owned()))
    }

    fn stage_unmet(&self, name: &str) -> Option<Wrong> {
        let judged = |stage: &&Stage| !stage.warmup && stage.from + stage.to > 0.0;
        match self.plan.stages.iter().find(|stage| stage.name == name) {
            Some(stage) if stage.warmup => {
                let what = format!("the stage `{name}` is warm-up, which is not judged");
                Some((what, "name another stage".to_owned()))
            }
            Some(stage) if !judged(&stage) => {
                let what = format!("nothing is sent in the stage `{name}`");
                Some((what, "name another stage".to_owned()))
            }
            Some(_) => None,
            None => {
                let names = self.plan.stages.iter().filter(judged).map(|stage| stage.name.as_str());
                Some(absent("stage", name, names))
            }
        }
    }

    fn label_unmet(&self, key: &str, value: &str) -> Option<Wrong> {
        if self.sent.iter().any(|labels| has(labels, key, value)) {
            return None;
        }
        if self.all.iter().any(|labels| has(labels, key, value)) {
            let what = format!("what has the {key} `{value}` is never sent: its scenario has the weight 0");
            return Some((what, "give the scenario a `weight`, or leave the threshold out".to_owned()));
        }
        if is_step(key) {
            return Some(absent("step", value, self.sent.iter().map(|labels| labels.step.as_str())));
        }
        let tags = || self.sent.iter().flat_map(|labels| &labels.tags);
        if tags().any(|(of, _)| of == key) {
            let values = tags().filter(|(of, _)| of == key).map(|(_, is)| is.as_str());
            let what = if key == "scenario" { key.to_owned() } else { format!("tag `{key}` with the value") };
            return Some(absent(&what, value, values));
        }
        Some(absent("tag", key, ["step", "stage"].into_iter().chain(tags().map(|(of, _)| of.as_str()))))
    }
}

fn has(labels: &Labels, key: &str, value: &str) -> bool {
    labels.tags.iter().any(|(of, is)| of == key && is == value) || (is_step(key) && labels.step == value)
}

/// Other tools call steps by their `name`.
fn is_step(key: &str) -> bool {
    key == "step" || key == "name"
}

fn absent<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Wrong {
    let mut names: Vec<&str> = Vec::new();
    for one in known {
        if !names.contains(&one) {
            names.push(one);
        }
    }
    let fix = match nearest(name, names.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => {
            let shown = names.iter().take(LISTED_MAX).map(|name| format!("`{name}`")).collect::<Vec<_>>();
            let there = if shown.len() == 1 { "there is only" } else { "there are" };
            let more = if names.len() > LISTED_MAX { " and more" } else { "" };
            let last = if more.is_empty() { "and" } else { "," };
            format!("{there} {}{more}", listed(&shown, last).replace(" , ", ", "))
        }
    };
    (format!("there is no {what} `{name}`"), fix)
}
