//! Artillery scripts: the part of them that speaks HTTP and needs no JavaScript.

use std::fmt::Write;

use super::yaml::{self, Stage};
use super::{Draft, Problems, Refused, Tree};

mod config;
mod flow;
mod text;

/// What Artillery does unasked and plans do not.
const DIFFERENT: [&str; 4] = [
    "cookies are not sent back unasked: capture `set-cookie` where a session needs it",
    "redirects are not followed",
    "an answer of 400 or more is an error unless its step expects it",
    "connections are kept from one user to the next; `keep_alive: false` opens one for each request",
];

/// Reads a script: YAML or JSON, made a tree by the caller.
///
/// # Errors
/// Everything in it that has no counterpart: functions, plugins, other engines, loops without a count and so on.
pub fn parse(script: &Tree) -> Result<Draft, Refused> {
    let Some(entries) = script.map() else {
        return Err(Refused::from("an Artillery script is a map with `config` and `scenarios`".to_owned()));
    };
    let mut script = Script::default();
    DIFFERENT.iter().for_each(|note| script.note(*note));
    for (key, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
        match key.as_str() {
            "config" => config::read(&mut script, value),
            // Steps are read once it is known where they go.
            "scenarios" => {}
            "before" | "after" => script.no_counterpart(value.line, key, "run what it does before the test"),
            _ => script.no_counterpart(value.line, key, ""),
        }
    }
    let scenarios = entries.iter().find(|(key, _)| key == "scenarios").map(|(_, value)| value);
    match scenarios {
        Some(scenarios) => {
            scenarios.items().iter().for_each(|scenario| flow::scenario(&mut script, scenario))
        }
        None => script.problems.add("there are no `scenarios`"),
    }
    if script.stages.is_empty() {
        script.problems.add("`config.phases` does not say how much is sent for how long");
    }
    script.finish()
}

/// What becomes of a script.
#[derive(Default)]
struct Script {
    problems: Problems,
    notes: Vec<String>,
    /// Where requests go; other URLs are refused.
    target: String,
    stages: Vec<Stage>,
    users_max: Option<u64>,
    /// Keys of the plan, their values YAML.
    lines: Vec<(&'static str, String)>,
    /// Feeders, their values YAML.
    feeders: Vec<(String, String)>,
    thresholds: Vec<String>,
    /// Scenarios as YAML, each a list item.
    scenarios: String,
    count: usize,
}

impl Script {
    /// Notes something that cannot be said here.
    fn no_counterpart(&mut self, line: usize, what: &str, instead: &str) {
        let instead = if instead.is_empty() { String::new() } else { format!("; {instead}") };
        self.problem(line, format!("`{what}` has no counterpart{instead}"));
    }

    fn problem(&mut self, line: usize, what: impl std::fmt::Display) {
        if line == 0 { self.problems.add(what.to_string()) } else { self.problems.at(line, what) }
    }

    fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    fn finish(self) -> Result<Draft, Refused> {
        let Self {
            problems,
            notes,
            target,
            stages,
            users_max,
            lines,
            feeders,
            thresholds,
            scenarios,
            count: _,
        } = self;
        problems.finish()?;
        let mut yaml = String::new();
        yaml::comment(&mut yaml, "Made of an Artillery script.");
        notes.iter().for_each(|note| yaml::comment(&mut yaml, &format!("- {note}")));
        let target = if target.is_empty() { "http://127.0.0.1:8080" } else { &target };
        let _ = writeln!(yaml, "target: {}", yaml::quote(target));
        yaml::stages(&mut yaml, &stages);
        if let Some(users) = users_max {
            let _ = writeln!(yaml, "users_max: {users}");
        }
        for (key, value) in lines {
            let _ = writeln!(yaml, "{key}: {value}");
        }
        if !feeders.is_empty() {
            yaml.push_str("feeders:\n");
            for (name, feeder) in feeders {
                let _ = writeln!(yaml, "  {name}: {feeder}");
            }
        }
        yaml.push_str("scenarios:\n");
        yaml.push_str(&scenarios);
        if !thresholds.is_empty() {
            yaml.push_str("thresholds:\n");
            for threshold in thresholds {
                let _ = writeln!(yaml, "  - {}", yaml::quote(&threshold));
            }
        }
        Ok(Draft { yaml, notes })
    }
}
