//! The options of a k6 script, as JSON: what its `options` export says, or `k6 inspect` prints.
//!
//! The script itself is JavaScript and is not read: the draft has a place for its requests.

use std::fmt::Write;
use std::time::Duration;

use super::yaml::{self, Stage};
use super::{Draft, Problems, Refused, Tree, check_size};
use crate::threshold::Threshold;

/// Options that change only what k6 itself prints or keeps.
const HARMLESS: [&str; 16] = [
    "batch",
    "batchPerHost",
    "cloud",
    "consoleOutput",
    "discardResponseBodies",
    "dns",
    "ext",
    "httpDebug",
    "linger",
    "noUsageReport",
    "paused",
    "setupTimeout",
    "summaryTimeUnit",
    "summaryTrendStats",
    "systemTags",
    "teardownTimeout",
];
/// Time k6 gives what is in flight at the end of a scenario.
const GRACE: Duration = Duration::from_secs(30);
/// Longest time of scenarios that end by iterations.
const LENGTH_MAX: Duration = Duration::from_secs(600);
const SECOND: Duration = Duration::from_secs(1);

/// Reads options.
///
/// # Errors
/// If the text is no JSON object; everything in it that has no counterpart.
pub fn parse(text: &str) -> Result<Draft, Refused> {
    check_size(text.len())?;
    let json: serde_json::Value =
        serde_json::from_str(text).map_err(|error| Refused::from(format!("this is not JSON: {error}")))?;
    let options = Tree::of_json(&json);
    let Some(entries) = options.map() else {
        return Err(Refused::from("k6 options are a JSON object".to_owned()));
    };
    let mut reader = Reader::default();
    for (key, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
        reader.option(key, value);
    }
    reader.load(&options);
    reader.finish()
}

/// What becomes of the options.
#[derive(Default)]
struct Reader {
    problems: Problems,
    notes: Vec<String>,
    /// Keys of the plan besides the stages.
    lines: Vec<(&'static str, String)>,
    stages: Vec<Stage>,
    thresholds: Vec<String>,
    iterations: Option<u64>,
}

/// A scenario of k6.
struct Scenario {
    name: String,
    start: Duration,
    stages: Vec<Stage>,
    iterations: Option<u64>,
    users_max: Option<u64>,
    grace: Duration,
}

impl Reader {
    fn option(&mut self, key: &str, value: &Tree) {
        match key {
            // Together they say how much is sent, and are read together.
            "scenarios" | "stages" | "vus" | "duration" | "iterations" => {}
            "thresholds" => self.thresholds(value),
            "tags" => self.tags(value),
            "userAgent" => {
                let agent = value.text().unwrap_or_default();
                self.lines.push(("headers", yaml::map([("user-agent", yaml::quote(agent))])));
            }
            "noConnectionReuse" if value.truth() == Some(true) => {
                self.lines.push(("keep_alive", "false".to_owned()));
            }
            "maxRedirects" if value.count() != Some(0) => {
                self.notes.push("redirects are not followed: `maxRedirects` is left out".to_owned());
            }
            "maxRedirects" => {}
            _ if HARMLESS.contains(&key) => {
                self.notes.push(format!("`{key}` is left out: it changes no load"))
            }
            // Said to be off.
            _ if value.truth() == Some(false) => {}
            _ => self.problems.add(format!("the option `{key}` has no counterpart")),
        }
    }

    fn tags(&mut self, value: &Tree) {
        let tags = value.map().unwrap_or_default();
        let pairs =
            tags.iter().map(|(key, value)| (key.as_str(), yaml::quote(value.text().unwrap_or_default())));
        let tags = yaml::map(pairs);
        self.lines.push(("tags", tags));
    }

    fn thresholds(&mut self, value: &Tree) {
        for (metric, conditions) in value.map().unwrap_or_default() {
            let Some(selected) = self.selected(metric) else { continue };
            for condition in conditions.items() {
                let text = match condition.text() {
                    Some(text) => text,
                    None => {
                        if condition.get("abortOnFail").and_then(Tree::truth) == Some(true) {
                            self.notes
                                .push(format!("`abortOnFail` of `{metric}` is left out: the run goes on"));
                        }
                        condition.get("threshold").and_then(Tree::text).unwrap_or_default()
                    }
                };
                match Threshold::parse_k6(&selected, text) {
                    Ok(threshold) => self.thresholds.push(threshold.to_string()),
                    Err(error) => self.problems.add(format!("the threshold `{metric}: {text}`: {error}")),
                }
            }
        }
    }

    /// The metric with selectors that mean something here.
    fn selected(&mut self, metric: &str) -> Option<String> {
        let Some((name, selectors)) = metric.split_once('{') else { return Some(metric.to_owned()) };
        let mut kept = Vec::new();
        let mut fits = true;
        for selector in
            selectors.trim_end_matches('}').split(',').map(str::trim).filter(|text| !text.is_empty())
        {
            let (key, value) = selector.split_once(':').unwrap_or((selector, ""));
            match key.trim() {
                // Times are those of what is ok already.
                "expected_response" if value.trim() == "true" => {}
                "name" => kept.push(format!("step:{}", value.trim())),
                "expected_response" | "group" | "method" | "proto" | "scenario" | "status" | "url"
                | "check" => {
                    self.problems
                        .add(format!("the threshold on `{metric}`: `{}` cannot be selected", key.trim()));
                    fits = false;
                }
                key => {
                    self.notes.push(format!(
                        "give the steps the tag `{key}: {}`, which a threshold selects by",
                        value.trim()
                    ));
                    kept.push(format!("{key}:{}", value.trim()));
                }
            }
        }
        let selected =
            if kept.is_empty() { name.to_owned() } else { format!("{name}{{{}}}", kept.join(",")) };
        fits.then_some(selected)
    }

    /// How much is sent for how long.
    fn load(&mut self, options: &Tree) {
        let scenarios: Vec<_> = match options.get("scenarios") {
            Some(scenarios) => {
                for key in ["stages", "vus", "duration", "iterations"] {
                    if options.get(key).is_some() {
                        self.notes.push(format!("`{key}` is left out: k6 uses `scenarios` instead"));
                    }
                }
                let scenarios = scenarios.map().unwrap_or_default();
                scenarios.iter().filter_map(|(name, scenario)| self.scenario(name, scenario)).collect()
            }
            None => self.shortcut(options).into_iter().collect(),
        };
        self.in_a_row(scenarios);
    }

    /// Options without scenarios.
    fn shortcut(&mut self, options: &Tree) -> Option<Scenario> {
        let executor = if options.get("stages").is_some() {
            "ramping-vus"
        } else if options.get("iterations").is_some() {
            "shared-iterations"
        } else if options.get("duration").is_some() {
            "constant-vus"
        } else {
            self.problems.add("nothing says how much is sent: no scenarios, stages, duration or iterations");
            return None;
        };
        self.executor("default", executor, options, &["startVUs", "vus"], "duration")
    }

    fn scenario(&mut self, name: &str, scenario: &Tree) -> Option<Scenario> {
        for (key, value) in scenario.map().unwrap_or_default().iter().filter(|(_, value)| !value.is_null()) {
            match key.as_str() {
                "executor" | "startTime" | "gracefulStop" | "vus" | "duration" | "iterations"
                | "maxDuration" | "startVUs" | "stages" | "startRate" | "rate" | "timeUnit"
                | "preAllocatedVUs" | "maxVUs" => {}
                "exec" => self.notes.push(format!(
                    "scenario `{name}`: write the requests of the function `{}`",
                    value.text().unwrap_or_default()
                )),
                "tags" => self
                    .notes
                    .push(format!("scenario `{name}`: its `tags` are left out; write them at a scenario")),
                "gracefulRampDown" => {
                    self.notes.push(format!(
                        "scenario `{name}`: `gracefulRampDown` is left out; users end their request"
                    ));
                }
                "env" | "options" if value.map().is_some_and(<[_]>::is_empty) => {}
                _ => self.problems.add(format!("scenario `{name}`: `{key}` has no counterpart")),
            }
        }
        let Some(executor) = scenario.get("executor").and_then(Tree::text) else {
            self.problems.add(format!("scenario `{name}` has no `executor`"));
            return None;
        };
        self.executor(name, executor, scenario, &["startVUs"], "maxDuration")
    }

    /// The stages of one executor. `starts` are the keys of the first users of a ramp, `longest` the key of the
    /// time after which iterations are given up.
    fn executor(
        &mut self,
        name: &str,
        executor: &str,
        from: &Tree,
        starts: &[&str],
        longest: &str,
    ) -> Option<Scenario> {
        let vus = self.level(name, from, "vus", 1.0)?;
        let start = self.time(name, from, "startTime", Duration::ZERO)?;
        let grace = self.time(name, from, "gracefulStop", GRACE)?;
        let users_max = from.get("maxVUs").or_else(|| from.get("preAllocatedVUs")).and_then(Tree::count);
        let level = |length, level, users| vec![Stage { name: None, length, from: level, to: level, users }];
        let mut iterations = None;
        let stages = match executor {
            "constant-arrival-rate" => {
                let rate = self.level(name, from, "rate", 0.0)? / self.unit(name, from)?;
                level(self.time(name, from, "duration", Duration::ZERO)?, rate, false)
            }
            "ramping-arrival-rate" => {
                let unit = self.unit(name, from)?;
                let first = self.level(name, from, "startRate", 0.0)? / unit;
                self.ramp(name, from, first, unit, false)?
            }
            "constant-vus" => level(self.time(name, from, "duration", Duration::ZERO)?, vus, true),
            "ramping-vus" => {
                let first = starts.iter().find(|key| from.get(key).is_some()).copied().unwrap_or("startVUs");
                let first = self.level(name, from, first, 1.0)?;
                self.ramp(name, from, first, 1.0, true)?
            }
            "shared-iterations" | "per-vu-iterations" => {
                let count = self.level(name, from, "iterations", 1.0)?;
                let each = if executor == "shared-iterations" { 1.0 } else { vus };
                iterations = Some((count * each) as u64);
                if each > 1.0 {
                    self.notes.push(format!(
                        "scenario `{name}`: all users share the iterations; k6 gives each its own"
                    ));
                }
                level(self.time(name, from, longest, LENGTH_MAX)?, vus, true)
            }
            _ => {
                self.problems.add(format!("scenario `{name}`: the executor `{executor}` has no counterpart"));
                return None;
            }
        };
        if stages.iter().all(|stage| stage.length.is_zero()) {
            self.problems.add(format!("scenario `{name}` takes no time: its `duration` is missing"));
            return None;
        }
        Some(Scenario { name: name.to_owned(), start, stages, iterations, users_max, grace })
    }

    fn ramp(&mut self, name: &str, from: &Tree, first: f64, unit: f64, users: bool) -> Option<Vec<Stage>> {
        let mut at = first;
        let mut stages = Vec::new();
        for stage in from.get("stages").map(Tree::items).unwrap_or_default() {
            let length = self.time(name, stage, "duration", Duration::ZERO)?;
            let to = self.level(name, stage, "target", 0.0)? / unit;
            // A stage of no length is a jump.
            if !length.is_zero() {
                stages.push(Stage { name: None, length, from: at, to, users });
            }
            at = to;
        }
        Some(stages)
    }

    fn level(&mut self, name: &str, from: &Tree, key: &str, usual: f64) -> Option<f64> {
        let Some(value) = from.get(key) else { return Some(usual) };
        let number = value.number();
        if number.is_none() {
            self.problems.add(format!("scenario `{name}`: `{key}` is not a number"));
        }
        number
    }

    fn time(&mut self, name: &str, from: &Tree, key: &str, usual: Duration) -> Option<Duration> {
        let Some(value) = from.get(key) else { return Some(usual) };
        let time = value.text().and_then(|text| yaml::duration(text, Duration::from_millis(1)));
        if time.is_none() {
            self.problems.add(format!("scenario `{name}`: `{key}` is not a duration"));
        }
        time
    }

    /// Seconds of `timeUnit`.
    fn unit(&mut self, name: &str, from: &Tree) -> Option<f64> {
        let unit = self.time(name, from, "timeUnit", SECOND)?.as_secs_f64();
        if unit == 0.0 {
            self.problems.add(format!("scenario `{name}`: `timeUnit` is 0"));
        }
        (unit > 0.0).then_some(unit)
    }

    /// Scenarios that come one after the other become stages.
    fn in_a_row(&mut self, mut scenarios: Vec<Scenario>) {
        scenarios.sort_by_key(|scenario| scenario.start);
        let several = scenarios.len() > 1;
        let mut end = Duration::ZERO;
        let mut before: Option<String> = None;
        let (mut users_max, mut grace) = (None, Duration::ZERO);
        for scenario in scenarios {
            let Scenario { name, start, mut stages, iterations, users_max: most, grace: longest } = scenario;
            let users = stages.first().is_some_and(|stage| stage.users);
            if let Some(before) = &before {
                if start < end {
                    self.problems.add(format!(
                        "the scenarios `{before}` and `{name}` run at the same time, which a plan cannot; make a plan of each"
                    ));
                }
                if self.stages.last().is_some_and(|last| last.users != users) {
                    self.problems.add(format!(
                        "the scenarios `{before}` and `{name}` mix rates and users, which a plan cannot; make a plan of each"
                    ));
                }
                if iterations.is_some() || self.iterations.is_some() {
                    self.problems.add(format!(
                        "the scenarios `{before}` and `{name}` count iterations apart; make a plan of each"
                    ));
                }
            }
            if start > end && before.is_some() {
                let pause = Stage { name: None, length: start - end, from: 0.0, to: 0.0, users };
                self.stages.push(pause);
            }
            if several && let [only] = stages.as_mut_slice() {
                only.name = Some(name.clone());
            }
            end = start + stages.iter().map(|stage| stage.length).sum::<Duration>();
            self.stages.append(&mut stages);
            self.iterations = iterations;
            users_max = users_max.max(most.filter(|_| !users));
            grace = grace.max(longest);
            before = Some(name);
        }
        if let Some(most) = users_max {
            self.lines.push(("users_max", most.max(1).to_string()));
            self.notes.push("arrivals wait for a user where k6 would drop them; the wait counts".to_owned());
        }
        self.lines.push(("grace", forebay_base::units::show_duration(grace)));
    }

    fn finish(self) -> Result<Draft, Refused> {
        let Self { problems, notes, lines, stages, thresholds, iterations } = self;
        problems.finish()?;
        let mut yaml = String::new();
        yaml::comment(
            &mut yaml,
            "Made of the options of a k6 script. Its requests are not in them: write them below.",
        );
        notes.iter().for_each(|note| yaml::comment(&mut yaml, &format!("- {note}")));
        yaml.push_str("target: http://127.0.0.1:8080\n");
        yaml::stages(&mut yaml, &stages);
        if let Some(iterations) = iterations {
            let _ = writeln!(yaml, "iterations: {iterations}");
        }
        for (key, value) in lines {
            let _ = writeln!(yaml, "{key}: {value}");
        }
        yaml.push_str("scenarios:\n  - steps:\n      - {get: /}\n");
        if !thresholds.is_empty() {
            yaml.push_str("thresholds:\n");
            for threshold in thresholds {
                let _ = writeln!(yaml, "  - {}", yaml::quote(&threshold));
            }
        }
        Ok(Draft { yaml, notes })
    }
}
