//! What is started, watched and broken while load is on.

use std::time::Duration;

use forebay_base::units::show_duration;
use forebay_load::lab::{Budget, Fault, FaultKind, Lab, Of, Process, READY_WITHIN, Ready, Watch};
use forebay_load::plan::Plan;
use forebay_load::threshold::Measure;

use super::lower::{Lower, texts};
use super::target;
use crate::config::problems::{Mark, Spanned};
use crate::config::read::short;
use crate::config::value::{Fields, Pair, Value};
use forebay_base::nearest::nearest;

/// The keys of the lab at the top of a plan, in the order their mistakes are most likely about.
const KEYS: [&str; 4] = ["faults", "watch", "processes", "cycles"];

/// Reads all of it.
pub(super) fn lower(lower: &mut Lower<'_, '_>, top: &Fields) -> Lab {
    needless(lower, top);
    let started: Vec<&str> = top.map("processes").iter().map(|pair| &*pair.name.value).collect();
    let cycles = top.table("cycles");
    let lab = Lab {
        processes: tables(top.map("processes"))
            .filter_map(|(name, fields)| process(lower, name, fields))
            .collect(),
        watch: tables(top.map("watch"))
            .filter_map(|(name, fields)| watch(lower, name, fields, &started))
            .collect(),
        faults: top.list("faults").iter().filter_map(|item| fault(lower, item, &started)).collect(),
        cycles: cycles.and_then(|cycles| cycles.count("count")).unwrap_or(1),
        cycle: cycles.and_then(|cycles| cycles.time("every")).unwrap_or_default(),
        budget: top.table("recovered").map(|fields| budget(lower, fields)).unwrap_or_default(),
        logs: top.text("logs").map(|folder| lower.base.join(folder.value)),
    };
    // What was written wrongly is told already, and would only be missed here.
    if !lower.problems.fatal() {
        let at = KEYS.iter().find_map(|key| top.field(key)).map_or(Mark::FILE, |field| field.at);
        lab.problems().into_iter().for_each(|problem| lower.problems.error(at, problem));
    }
    lab
}

/// Tells what is about faults or processes where there are none.
fn needless(lower: &mut Lower<'_, '_>, top: &Fields) {
    for (key, what, needed) in [
        ("cycles", "`cycles` goes through the faults again, and there are none", "faults"),
        ("recovered", "`recovered` says when a fault is over, and there is none", "faults"),
        ("logs", "`logs` is for the output of processes, and none are started", "processes"),
    ] {
        if let Some(field) = top.field(key).filter(|_| !top.is_meant(needed)) {
            lower.problems.error_fix(field.at, what, format!("add `{needed}`, or leave it out"));
        }
    }
}

/// Tells faults that come when the test is over, or too late to see their end.
pub(super) fn check(lower: &mut Lower<'_, '_>, top: &Fields, plan: &Plan) {
    let length = plan.length();
    let mut begins = Vec::new();
    for (cycle, fault, at) in plan.lab.schedule() {
        if at < length {
            begins.push((at, fault));
            continue;
        }
        let (mark, what) = match cycle {
            0 => (mark_of(top, fault, "at"), "the fault"),
            _ => (top.field("cycles").map_or(top.at, |field| field.at), "the last cycle"),
        };
        let what = format!(
            "{what} would begin after {}, and the test takes {}",
            show_duration(at),
            show_duration(length)
        );
        return lower.problems.error_fix(mark, what, "make the stages longer, or break things earlier");
    }
    let asked = plan.thresholds.iter().any(|threshold| threshold.measure == Measure::Recovery);
    if !asked && !top.has("recovered") {
        return;
    }
    begins.sort_unstable();
    let ends = begins.iter().skip(1).map(|(next, _)| *next).chain([length]);
    for ((at, fault), until) in begins.iter().zip(ends) {
        let over = *at + plan.lab.length_of(&plan.lab.faults[*fault]).unwrap_or_default();
        let hold = plan.lab.budget.hold;
        if over + hold > until {
            let what = format!(
                "recovered is what has been well for {}, and after the end of this fault, at {}, there is less \
                 until the next one or the end of the test, at {}",
                show_duration(hold),
                show_duration(over),
                show_duration(until)
            );
            let fix = "leave more time after the fault, or shorten `hold` of `recovered`";
            return lower.problems.error_fix(mark_of(top, *fault, "at"), what, fix);
        }
    }
}

/// Where a key of a fault stands.
fn mark_of(top: &Fields, fault: usize, key: &str) -> Mark {
    match top.list("faults").get(fault) {
        Some(Spanned { value: Value::Table(fields), at }) => fields.get(key).map_or(*at, |value| value.at),
        _ => top.at,
    }
}

/// The name of a process the plan starts; anything else is told.
fn known(lower: &mut Lower<'_, '_>, name: Spanned<&str>, started: &[&str]) -> String {
    if !started.contains(&name.value) {
        let what = format!("there is no process `{}`", short(name.value));
        let fix = match nearest(name.value, started.iter().copied()) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "add it to `processes`, or correct the name".to_owned(),
        };
        lower.problems.error_fix(name.at, what, fix);
    }
    name.value.to_owned()
}

fn tables(pairs: &[Pair]) -> impl Iterator<Item = (&str, &Fields)> {
    pairs.iter().filter_map(|pair| match &pair.value.value {
        Value::Table(fields) => Some((&*pair.name.value, fields)),
        _ => None,
    })
}

fn process(lower: &mut Lower<'_, '_>, name: &str, fields: &Fields) -> Option<Process> {
    let ready = match fields.text("ready") {
        Some(text) => Some(ready(lower, text)?),
        None => None,
    };
    let words = fields.list("command").iter().filter_map(|word| Some(word.text()?.value.to_owned()));
    Some(Process {
        name: name.to_owned(),
        command: words.collect(),
        env: texts(fields.map("env")),
        ready,
        ready_within: fields.time("ready_within").unwrap_or(READY_WITHIN),
        restart: fields.time("restart"),
    })
}

fn ready(lower: &mut Lower<'_, '_>, text: Spanned<&str>) -> Option<Ready> {
    if target::has_scheme(text.value) {
        return Some(Ready::Http(text.value.to_owned()));
    }
    match text.value.parse() {
        Ok(address) => Some(Ready::Tcp(address)),
        Err(_) => {
            let what = format!("`{}` is no address with a port, and no URL", short(text.value));
            lower.problems.error_fix(text.at, what, "write, for example, `127.0.0.1:3000`");
            None
        }
    }
}

fn watch(lower: &mut Lower<'_, '_>, name: &str, fields: &Fields, started: &[&str]) -> Option<Watch> {
    let of = match (fields.text("process"), fields.count("pid"), fields.count("port")) {
        (Some(process), ..) => Of::Process(known(lower, process, started)),
        (None, Some(pid), _) => Of::Pid(pid),
        (None, None, port) => Of::Port(port?),
    };
    let profile = fields.text("profile").map(|url| url.value.to_owned());
    Some(Watch { name: name.to_owned(), of, profile })
}

fn fault(lower: &mut Lower<'_, '_>, item: &Spanned<Value>, started: &[&str]) -> Option<Fault> {
    let Value::Table(fields) = &item.value else { return None };
    let kind = match fields.text("kill") {
        Some(name) => FaultKind::Kill { process: known(lower, name, started) },
        None => FaultKind::Pause { process: known(lower, fields.text("pause")?, started) },
    };
    Some(Fault { at: fields.time("at")?, length: fields.time("for").unwrap_or(Duration::ZERO), kind })
}

fn budget(lower: &mut Lower<'_, '_>, fields: &Fields) -> Budget {
    let usual = Budget::default();
    let errors = fields.text("errors").and_then(|text| {
        let share = text.value.strip_suffix('%').and_then(|number| number.trim().parse::<f64>().ok());
        let share = share.filter(|share| (0.0..=100.0).contains(share)).map(|share| share / 100.0);
        if share.is_none() {
            let what = format!("`errors` cannot be `{}`", short(text.value));
            lower.problems.error_fix(text.at, what, "write a share, such as `0.1%`");
        }
        share
    });
    Budget {
        errors: errors.unwrap_or(usual.errors),
        p99: fields.time("p99").or(usual.p99),
        hold: fields.time("hold").unwrap_or(usual.hold),
    }
}
