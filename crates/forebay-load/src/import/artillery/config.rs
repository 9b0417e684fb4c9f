//! `config`: where requests go, how many, and what must hold.

use std::time::Duration;

use super::text::translated;
use super::{Script, Stage};
use crate::import::Tree;
use crate::import::yaml;
use crate::template::check_name;
use crate::threshold::Threshold;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn read(script: &mut Script, config: &Tree) {
    for (key, value) in config.map().unwrap_or_default().iter().filter(|(_, value)| !value.is_null()) {
        match key.as_str() {
            "target" => {
                let target = translated(script, value.line, value.text().unwrap_or_default());
                script.target = target.trim_end_matches('/').to_owned();
            }
            "phases" => value.items().iter().for_each(|phase| self::phase(script, phase)),
            "payload" => value.items().iter().for_each(|payload| self::payload(script, payload)),
            "variables" => variables(script, value),
            "defaults" => defaults(script, value),
            "http" => http(script, value),
            "ensure" => ensure(script, value),
            "plugins" => plugins(script, value),
            "environments" => {
                let names: Vec<_> =
                    value.map().unwrap_or_default().iter().map(|(name, _)| name.as_str()).collect();
                let what = format!("environments ({})", names.join(", "));
                script.no_counterpart(value.line, &what, "write the settings of one of them into `config`");
            }
            "processor" => script.no_counterpart(value.line, "processor", "it is JavaScript"),
            _ => script.no_counterpart(value.line, &format!("config.{key}"), ""),
        }
    }
}

/// Artillery's phases are users per second who each run a scenario, as arrivals are here.
fn phase(script: &mut Script, phase: &Tree) {
    for (key, value) in phase.map().unwrap_or_default() {
        match key.as_str() {
            "duration" | "arrivalRate" | "rampTo" | "arrivalCount" | "pause" | "name" => {}
            "maxVusers" => {
                script.users_max = script.users_max.max(value.count());
                script.note(
                    "`maxVusers`: arrivals wait for a user where Artillery skips them; the wait counts",
                );
            }
            _ => script.no_counterpart(value.line, &format!("phases: {key}"), ""),
        }
    }
    let length = phase.get("duration").or_else(|| phase.get("pause")).and_then(time);
    let Some(length) = length.filter(|length| !length.is_zero()) else {
        return script.problem(phase.line, "a phase has no `duration` that is a time");
    };
    let mut number = |key: &str| match phase.get(key) {
        Some(value) => {
            let number = value.number();
            if number.is_none() {
                script.problem(value.line, format!("`{key}` is not a number"));
            }
            number
        }
        None => None,
    };
    let (rate, to, count) = (number("arrivalRate"), number("rampTo"), number("arrivalCount"));
    let from = match (rate, count) {
        (Some(rate), _) => rate,
        (None, Some(count)) => count / length.as_secs_f64(),
        (None, None) if to.is_some() || phase.get("pause").is_some() => 0.0,
        (None, None) => {
            return script.problem(phase.line, "a phase has neither `arrivalRate` nor `arrivalCount`");
        }
    };
    let name = phase.get("name").and_then(Tree::text).map(str::to_owned);
    script.stages.push(Stage { name, length, from, to: to.unwrap_or(from), users: false });
}

/// A number of seconds, or a text such as `5m`.
pub(super) fn time(value: &Tree) -> Option<Duration> {
    yaml::duration(value.text()?, SECOND)
}

fn payload(script: &mut Script, payload: &Tree) {
    let mut pairs = Vec::new();
    let mut order = "random";
    let header = payload.get("skipHeader").and_then(Tree::truth) == Some(true);
    for (key, value) in payload.map().unwrap_or_default().iter().filter(|(_, value)| !value.is_null()) {
        match (key.as_str(), value.text()) {
            ("path", Some(path)) => pairs.push(("file", yaml::quote(&translated(script, value.line, path)))),
            ("order", Some("sequence")) => order = "sequential",
            ("order", Some("random")) | ("skipHeader" | "cast" | "name", _) => {}
            ("fields", _) if header => script.note(
                "`fields` of a payload with `skipHeader` are left out: the names in the file's first line are used",
            ),
            ("fields", _) => {
                let names: Vec<_> = value.items().iter().filter_map(Tree::text).map(yaml::quote).collect();
                pairs.push(("columns", format!("[{}]", names.join(", "))));
            }
            ("delimiter", Some(",")) => {}
            ("delimiter", Some(";")) => pairs.push(("delimiter", "semicolon".to_owned())),
            ("delimiter", Some("\t" | "\\t")) => pairs.push(("delimiter", "tab".to_owned())),
            ("skipEmptyLines", Some("true")) | ("loadAll", Some("false")) => {}
            _ => script.no_counterpart(value.line, &format!("payload: {key}"), ""),
        }
    }
    if payload.get("path").is_none() {
        return script.problem(payload.line, "a payload has no `path`");
    }
    pairs.push(("order", order.to_owned()));
    let number = script.feeders.len() + 1;
    script.feeders.push((format!("payload{number}"), yaml::map(pairs)));
}

fn variables(script: &mut Script, variables: &Tree) {
    let mut pairs = Vec::new();
    for (name, value) in variables.map().unwrap_or_default() {
        match value.text() {
            Some(text) if check_name(name).is_ok() => {
                let text = translated(script, value.line, text);
                pairs.push((name.as_str(), yaml::quote(&text)));
            }
            Some(_) => script
                .problem(value.line, format!("the variable `{name}` has a name that cannot be one here")),
            None => script.no_counterpart(
                value.line,
                &format!("variables: {name}, a list"),
                "write `{{ $pick(a, b) }}` where it is used",
            ),
        }
    }
    if !pairs.is_empty() {
        let line = yaml::map(pairs);
        script.lines.push(("variables", line));
    }
}

fn defaults(script: &mut Script, defaults: &Tree) {
    for (key, value) in defaults.map().unwrap_or_default() {
        match key.as_str() {
            "headers" => {
                let headers = pairs(script, value);
                let line = yaml::map(headers.iter().map(|(name, value)| (name.as_str(), yaml::quote(value))));
                script.lines.push(("headers", line));
            }
            "strictCapture" => not_strict(script, value),
            _ => script.no_counterpart(value.line, &format!("config.defaults.{key}"), ""),
        }
    }
}

/// A capture that finds nothing is an error here, as it is in Artillery unless it is told otherwise.
pub(super) fn not_strict(script: &mut Script, value: &Tree) {
    if value.truth() != Some(true) {
        script.no_counterpart(value.line, "a capture that may find nothing (`strict: false`)", "");
    }
}

/// The entries of a map of texts.
pub(super) fn pairs(script: &mut Script, value: &Tree) -> Vec<(String, String)> {
    let mut pairs = Vec::new();
    for (name, value) in value.map().unwrap_or_default() {
        match value.text() {
            Some(text) => pairs.push((name.clone(), translated(script, value.line, text))),
            None => script.problem(value.line, format!("`{name}` is not a single value")),
        }
    }
    pairs
}

fn http(script: &mut Script, http: &Tree) {
    for (key, value) in http.map().unwrap_or_default() {
        match key.as_str() {
            "timeout" => match time(value) {
                Some(time) => script.lines.push(("timeout", forebay_base::units::show_duration(time))),
                None => script.problem(value.line, "`config.http.timeout` is not a time"),
            },
            "extendedMetrics" => {
                script.note("`extendedMetrics` is left out: connecting and first bytes are always measured")
            }
            "defaults" => defaults(script, value),
            _ => script.no_counterpart(value.line, &format!("config.http.{key}"), ""),
        }
    }
}

fn plugins(script: &mut Script, plugins: &Tree) {
    for (name, value) in plugins.map().unwrap_or_default() {
        match name.as_str() {
            "expect" => script.note("the plugin `expect` is not needed: every step may expect something"),
            "ensure" if value.map().is_some_and(|map| !map.is_empty()) => ensure(script, value),
            "ensure" => {}
            "metrics-by-endpoint" => {
                script.note("the plugin `metrics-by-endpoint` is not needed: every step is counted by itself")
            }
            _ => script.no_counterpart(value.line, &format!("the plugin {name}"), ""),
        }
    }
}

fn ensure(script: &mut Script, ensure: &Tree) {
    for (key, value) in ensure.map().unwrap_or_default() {
        match key.as_str() {
            "thresholds" => {
                for (metric, limit) in value.items().iter().filter_map(Tree::map).flatten() {
                    match metric.strip_prefix("http.response_time.") {
                        Some(statistic) => time_below(script, statistic, limit),
                        None => script.no_counterpart(limit.line, &format!("ensure: {metric}"), ""),
                    }
                }
            }
            "maxErrorRate" => threshold(script, value, |limit| format!("errors<={limit}%")),
            "min" | "max" | "median" | "p50" | "p90" | "p95" | "p99" | "p999" | "mean" => {
                time_below(script, key, value)
            }
            _ => script.no_counterpart(value.line, &format!("ensure: {key}"), "write it as a threshold"),
        }
    }
}

fn time_below(script: &mut Script, statistic: &str, limit: &Tree) {
    let measure = match statistic {
        "min" | "max" => statistic.to_owned(),
        "mean" => "avg".to_owned(),
        "median" => "med".to_owned(),
        "p999" => "p(99.9)".to_owned(),
        _ => match statistic.strip_prefix('p').filter(|digits| digits.parse::<u8>().is_ok_and(|p| p < 100)) {
            Some(digits) => format!("p({digits})"),
            None => return script.no_counterpart(limit.line, &format!("ensure: {statistic}"), ""),
        },
    };
    script.note(
        "response times are to the last byte and from the planned start; Artillery's are to the first byte",
    );
    threshold(script, limit, |limit| format!("{measure}<{limit}ms"));
}

fn threshold(script: &mut Script, limit: &Tree, text: impl Fn(&str) -> String) {
    let text = text(&limit.number().map(yaml::number).unwrap_or_default());
    match Threshold::parse(&text) {
        Ok(_) => script.thresholds.push(text),
        Err(_) => script.problem(limit.line, "the limit of a threshold is not a number"),
    }
}
