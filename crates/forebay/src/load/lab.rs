//! What is started, watched and broken while load is on.

use std::time::Duration;

use forebay_load::lab::{Budget, Fault, FaultKind, Lab, Of, Process, READY_WITHIN, Ready, Watch};

use super::lower::{Lower, texts};
use super::target;
use crate::config::problems::{Mark, Spanned};
use crate::config::read::short;
use crate::config::value::{Fields, Pair, Value};

/// The keys of the lab at the top of a plan, in the order their mistakes are most likely about.
const KEYS: [&str; 4] = ["faults", "watch", "processes", "cycles"];

/// Reads all of it.
pub(super) fn lower(lower: &mut Lower<'_, '_>, top: &Fields) -> Lab {
    let cycles = top.table("cycles");
    let lab = Lab {
        processes: tables(top.map("processes"))
            .filter_map(|(name, fields)| process(lower, name, fields))
            .collect(),
        watch: tables(top.map("watch")).filter_map(|(name, fields)| watch(name, fields)).collect(),
        faults: top.list("faults").iter().filter_map(fault).collect(),
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

fn watch(name: &str, fields: &Fields) -> Option<Watch> {
    let of = match (fields.text("process"), fields.count("pid"), fields.count("port")) {
        (Some(process), ..) => Of::Process(process.value.to_owned()),
        (None, Some(pid), _) => Of::Pid(pid),
        (None, None, port) => Of::Port(port?),
    };
    let profile = fields.text("profile").map(|url| url.value.to_owned());
    Some(Watch { name: name.to_owned(), of, profile })
}

fn fault(item: &Spanned<Value>) -> Option<Fault> {
    let Value::Table(fields) = &item.value else { return None };
    let process = |key| fields.text(key).map(|name| name.value.to_owned());
    let kind = match process("kill") {
        Some(process) => FaultKind::Kill { process },
        None => FaultKind::Pause { process: process("pause")? },
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
