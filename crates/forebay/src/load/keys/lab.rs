//! The keys of what is started, watched and broken.

use std::time::Duration;

use super::texts::{FILE, NAME, PROBE, SHARE, TAG, URL, WORD};
use super::{HOUR, MILLISECOND, WEEK};
use crate::config::schema::{Choice, Choose, Key, Shape, Table};

pub(super) static PROCESS: Table = Table {
    name: "process",
    doc: "An entry of `processes`: a program that belongs to the test. It is started before the load and ended after it, with its children.",
    keys: &[
        Key::new("command", Shape::OneOrMore(&Shape::Text(&WORD)))
            .required()
            .doc("The program and its arguments; no shell in between.")
            .example("[sleep, \"60\"]"),
        Key::new("env", Shape::Map { min: 1, key: &NAME, value: &Shape::Text(&TAG) })
            .doc("Added to its environment.")
            .example("{PORT: \"3000\"}"),
        Key::new("ready", Shape::Text(&PROBE))
            .doc("How it is known to be ready: an address that accepts connections, or a URL that answers below 400. Default: as soon as it is started.")
            .example("127.0.0.1:3000"),
        Key::new("ready_within", Shape::Time { min: MILLISECOND, max: HOUR })
            .default("30s")
            .doc("How long it may take to be ready.")
            .example("5s"),
        Key::new("restart", Shape::Time { min: Duration::ZERO, max: HOUR })
            .doc("How long after a fault killed it, it is started again. Not written: not at all.")
            .example("5s"),
    ],
    later: &["cwd", "shell"],
    choices: &[],
};

pub(super) static WATCH: Table = Table {
    name: "watch",
    doc: "An entry of `watch`: a process whose CPU and memory are looked at once a second, with its children.",
    keys: &[
        Key::new("process", Shape::Text(&NAME)).doc("One of `processes`.").example("api"),
        Key::new("pid", Shape::Count { min: 1, max: u32::MAX as u64 })
            .doc("A process by its number.")
            .example("1"),
        Key::new("port", Shape::Count { min: 1, max: 65_535 })
            .doc("Whoever listens on this TCP port of this machine.")
            .example("3001"),
        Key::new("profile", Shape::Text(&URL))
            .doc("Where it serves profiles as Go programs do; `/debug/pprof/...` is added.")
            .example("http://127.0.0.1:6060"),
    ],
    later: &[],
    choices: &[Choice { keys: &["process", "pid", "port"], how: Choose::One }],
};

pub(super) static FAULT: Table = Table {
    name: "fault",
    doc: "An item of `faults`. Only processes that the plan itself starts can be broken.",
    keys: &[
        Key::new("at", Shape::Time { min: Duration::ZERO, max: WEEK })
            .required()
            .doc("When, after the start of the load, or of the cycle.")
            .example("30s"),
        Key::new("kill", Shape::Text(&NAME))
            .doc("Ends a process without a chance to clean up (SIGKILL).")
            .example("api"),
        Key::new("pause", Shape::Text(&NAME))
            .doc("Lets a process stand still and keep its connections (SIGSTOP), then go on.")
            .example("api"),
        Key::new("for", Shape::Time { min: MILLISECOND, max: HOUR })
            .doc("How long. After a kill: until it is started again; default: its `restart`.")
            .example("10s"),
    ],
    later: &["delay", "drop"],
    choices: &[Choice { keys: &["kill", "pause"], how: Choose::One }],
};

pub(super) static CYCLES: Table = Table {
    name: "cycles",
    doc: "The faults again and again: one recovery proves little.",
    keys: &[
        Key::new("count", Shape::Count { min: 1, max: 100 })
            .required()
            .doc("How often the faults are gone through.")
            .example("5"),
        Key::new("every", Shape::Time { min: MILLISECOND, max: WEEK })
            .required()
            .doc("From the start of a cycle to the start of the next; leave time to heal.")
            .example("1m"),
    ],
    later: &[],
    choices: &[],
};

pub(super) static RECOVERED: Table = Table {
    name: "recovered",
    doc: "When all counts as well again after a fault: all of it, for so long.",
    keys: &[
        Key::new("errors", Shape::Text(&SHARE))
            .default("0.1%")
            .doc("Most requests that are not ok.")
            .example("1%"),
        Key::new("p99", Shape::Time { min: MILLISECOND, max: HOUR })
            .doc("Longest 99th percentile of response times. Default: a fifth above what it was before the fault.")
            .example("200ms"),
        Key::new("hold", Shape::Time { min: Duration::from_secs(1), max: HOUR })
            .default("10s")
            .doc("For how long it has to be so.")
            .example("5s"),
    ],
    later: &[],
    choices: &[],
};

/// Where the output of processes goes; a key of the whole file.
pub(super) const LOGS: Key = Key::new("logs", Shape::Text(&FILE))
    .doc("A folder for the output of processes, each in `NAME.log`. Not written: only its end is kept, for messages.")
    .example("logs");
