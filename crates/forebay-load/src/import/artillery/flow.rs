//! `scenarios`: what a user does.

use std::fmt::Write;
use std::time::Duration;

use forebay_base::units::show_duration;

use super::Script;
use super::config::{not_strict, pairs, time};
use super::text::translated;
use crate::base64;
use crate::import::Tree;
use crate::import::yaml;
use crate::plan::STEPS_MAX;

/// The methods that are keys.
const METHODS: [&str; 6] = ["get", "post", "put", "patch", "delete", "head"];

/// A step as YAML, its pause apart: Artillery says it after the step.
struct Step {
    pairs: Vec<(String, String)>,
    think: Duration,
}

pub(super) fn scenario(script: &mut Script, scenario: &Tree) {
    script.count += 1;
    let mut out = String::new();
    let mut steps = Vec::new();
    let name = scenario
        .get("name")
        .and_then(Tree::text)
        .map_or_else(|| format!("scenario {}", script.count), str::to_owned);
    let _ = writeln!(out, "  - name: {}", yaml::quote(&name));
    for (key, value) in scenario.map().unwrap_or_default().iter().filter(|(_, value)| !value.is_null()) {
        match (key.as_str(), value.text()) {
            ("name", _) | ("engine", Some("http")) => {}
            ("engine", engine) => {
                script.no_counterpart(value.line, &format!("engine: {}", engine.unwrap_or("")), "")
            }
            ("weight", _) => match value.count() {
                Some(weight) => {
                    let _ = writeln!(out, "    weight: {weight}");
                }
                None => script.problem(value.line, "`weight` is not a whole number"),
            },
            ("flow", _) => flow(script, value, &mut steps),
            ("beforeScenario" | "afterScenario" | "beforeRequest" | "afterResponse", _) => {
                script.no_counterpart(value.line, key, "it is JavaScript");
            }
            _ => script.no_counterpart(value.line, &format!("scenarios: {key}"), ""),
        }
    }
    if steps.is_empty() {
        script.problem(scenario.line, format!("the scenario `{name}` sends nothing"));
    }
    if steps.len() > STEPS_MAX {
        script.problem(
            scenario.line,
            format!("the scenario `{name}` has {} steps; a plan's has at most {STEPS_MAX}", steps.len()),
        );
    }
    out.push_str("    steps:\n");
    for Step { mut pairs, think } in steps.into_iter().take(STEPS_MAX) {
        if !think.is_zero() {
            pairs.push(("think".to_owned(), show_duration(think)));
        }
        let _ = writeln!(
            out,
            "      - {}",
            yaml::map(pairs.iter().map(|(key, value)| (key.as_str(), value.clone())))
        );
    }
    script.scenarios.push_str(&out);
}

fn flow(script: &mut Script, flow: &Tree, steps: &mut Vec<Step>) {
    for item in flow.items() {
        let Some([(first, value), rest @ ..]) = item.map() else {
            script.problem(item.line, "an item of `flow` is a map such as `get: {url: /}`");
            continue;
        };
        if item.get("loop").is_some() {
            repeated(script, item, steps);
            continue;
        }
        match first.as_str() {
            "think" => think(script, value, steps.last_mut()),
            "log" => script.note("`log` is left out"),
            method if METHODS.contains(&method) || method == "options" => {
                if let Some(step) = request(script, method, value) {
                    steps.push(step);
                }
            }
            "function" => {
                let name = value.text().unwrap_or_default();
                script.no_counterpart(
                    item_line(item, value),
                    &format!("function: {name}"),
                    "it is JavaScript",
                );
            }
            other => script.no_counterpart(item_line(item, value), &format!("flow: {other}"), ""),
        }
        rest.iter().for_each(|(key, value)| script.no_counterpart(value.line, &format!("flow: {key}"), ""));
    }
}

const fn item_line(item: &Tree, value: &Tree) -> usize {
    if value.line == 0 { item.line } else { value.line }
}

fn think(script: &mut Script, value: &Tree, before: Option<&mut Step>) {
    match (time(value), before) {
        (Some(time), Some(step)) => step.think += time,
        (Some(_), None) => script.note("a `think` before the first request is left out"),
        (None, _) => script.no_counterpart(
            value.line,
            &format!("think: {}", value.text().unwrap_or_default()),
            "write a time",
        ),
    }
}

/// A loop of a known number of rounds is written out.
fn repeated(script: &mut Script, item: &Tree, steps: &mut Vec<Step>) {
    for (key, value) in item.map().unwrap_or_default() {
        if !matches!(key.as_str(), "loop" | "count") {
            script.no_counterpart(value.line, &format!("loop: {key}"), "write the steps out");
        }
    }
    let Some(count) = item.get("count").and_then(Tree::count) else {
        return script.no_counterpart(item.line, "a loop without a count", "write the steps out");
    };
    let Some(body) = item.get("loop") else { return };
    for _ in 0..count {
        if steps.len() > STEPS_MAX {
            return;
        }
        let before = steps.len();
        flow(script, body, steps);
        // Rounds that send nothing could be endless.
        if steps.len() == before {
            return;
        }
    }
}

fn request(script: &mut Script, method: &str, request: &Tree) -> Option<Step> {
    let Some(entries) = request.map() else {
        script.problem(request.line, format!("`{method}` is a map with a `url`"));
        return None;
    };
    let path = path(script, request)?;
    let mut step = match METHODS.contains(&method) {
        true => vec![(method.to_owned(), yaml::quote(&path))],
        false => {
            vec![("request".to_owned(), yaml::quote(&format!("{} {path}", method.to_ascii_uppercase())))]
        }
    };
    let mut headers = Vec::new();
    for (key, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
        match key.as_str() {
            "url" | "qs" => {}
            "name" => step.push(("name".to_owned(), yaml::quote(value.text().unwrap_or_default()))),
            "headers" => headers.extend(pairs(script, value)),
            "json" => {
                let body = translated_json(script, value);
                step.push(("json".to_owned(), yaml::json(&body)));
            }
            "body" => {
                let body = translated(script, value.line, value.text().unwrap_or_default());
                step.push(("body".to_owned(), yaml::quote(&body)));
            }
            "form" => {
                let body = encoded(script, value);
                step.push(("body".to_owned(), yaml::quote(&body)));
                headers.push(("content-type".to_owned(), "application/x-www-form-urlencoded".to_owned()));
            }
            "cookie" => {
                let cookies: Vec<_> =
                    pairs(script, value).iter().map(|(name, value)| format!("{name}={value}")).collect();
                headers.push(("cookie".to_owned(), cookies.join("; ")));
            }
            "auth" => headers.extend(authorization(script, value)),
            "timeout" => match time(value) {
                Some(time) => step.push(("timeout".to_owned(), show_duration(time))),
                None => script.problem(value.line, "`timeout` is not a time"),
            },
            "capture" => step.extend(capture(script, value)),
            "expect" => step.extend(expect(script, value)),
            // Noted for all: redirects are not followed.
            "followRedirect" => {}
            "gzip" => headers.push(("accept-encoding".to_owned(), "gzip".to_owned())),
            "beforeRequest" | "afterResponse" => {
                let names: Vec<_> = value.items().iter().filter_map(Tree::text).collect();
                script.no_counterpart(
                    value.line,
                    &format!("{key}: {}", names.join(", ")),
                    "it is JavaScript",
                );
            }
            _ => script.no_counterpart(value.line, &format!("{method}: {key}"), ""),
        }
    }
    if !headers.is_empty() {
        let pairs = headers.iter().map(|(name, value)| (name.as_str(), yaml::quote(value)));
        step.push(("headers".to_owned(), yaml::map(pairs)));
    }
    Some(Step { pairs: step, think: Duration::ZERO })
}

/// The path of a request, its query included.
fn path(script: &mut Script, request: &Tree) -> Option<String> {
    let Some(url) = request.get("url").or_else(|| request.get("uri")) else {
        script.problem(request.line, "a request has no `url`");
        return None;
    };
    let text = translated(script, url.line, url.text().unwrap_or_default());
    let text = text.split_once('#').map_or(text.as_str(), |(text, _)| text);
    let text = text.strip_prefix("{{ target }}").unwrap_or(text);
    let own =
        text.strip_prefix(script.target.as_str()).filter(|rest| rest.starts_with('/') || rest.is_empty());
    let path = match own.unwrap_or(text) {
        "" => "/",
        path if path.starts_with('/') => path,
        other => {
            script.problem(url.line, format!("`{other}` is not a path of the target"));
            return None;
        }
    };
    let query = request.get("qs").map(|query| encoded(script, query)).unwrap_or_default();
    let joint = if query.is_empty() {
        ""
    } else if path.contains('?') {
        "&"
    } else {
        "?"
    };
    Some(format!(
        "{}{joint}{query}",
        path.replace(' ', "%20").replace("{{%20", "{{ ").replace("%20}}", " }}")
    ))
}

/// A map as a query or form; values that are filled in are not encoded.
fn encoded(script: &mut Script, value: &Tree) -> String {
    let part = |text: &str| if text.contains("{{") { text.to_owned() } else { yaml::form(text) };
    let pairs = pairs(script, value);
    let parts: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", yaml::form(name), part(value))).collect();
    parts.join("&")
}

fn translated_json(script: &mut Script, value: &Tree) -> serde_json::Value {
    fn walk(script: &mut Script, line: usize, value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) => Value::String(translated(script, line, &text)),
            Value::Array(items) => items.into_iter().map(|item| walk(script, line, item)).collect(),
            Value::Object(map) => {
                let entries = map
                    .into_iter()
                    .map(|(key, value)| (translated(script, line, &key), walk(script, line, value)));
                Value::Object(entries.collect())
            }
            other => other,
        }
    }
    walk(script, value.line, value.to_json())
}

fn authorization(script: &mut Script, value: &Tree) -> Option<(String, String)> {
    let user = value.get("user").and_then(Tree::text)?;
    let password = value.get("pass").and_then(Tree::text).unwrap_or_default();
    if user.contains("{{") || password.contains("{{") {
        script.no_counterpart(value.line, "auth with values", "write the header `authorization`");
        return None;
    }
    Some((
        "authorization".to_owned(),
        format!("Basic {}", base64::encode(format!("{user}:{password}").as_bytes())),
    ))
}

fn capture(script: &mut Script, value: &Tree) -> Option<(String, String)> {
    let mut captures = Vec::new();
    for one in value.items() {
        let Some(name) = one.get("as").and_then(Tree::text) else {
            script.problem(one.line, "a capture has no `as`");
            continue;
        };
        let mut source = None;
        for (key, value) in one.map().unwrap_or_default() {
            match (key.as_str(), value.text()) {
                ("as", _) => {}
                ("json", Some(path)) => source = Some(("json", path)),
                ("header", Some(field)) => source = Some(("header", field)),
                ("regexp", Some(pattern)) => source = Some(("regex", pattern)),
                ("group", Some("1")) => {}
                ("strict", _) => not_strict(script, value),
                _ => script.no_counterpart(value.line, &format!("capture: {key}"), ""),
            }
        }
        if let Some((key, text)) = source {
            captures.push((name, yaml::map([(key, yaml::quote(text))])));
        }
    }
    (!captures.is_empty()).then(|| ("capture".to_owned(), yaml::map(captures)))
}

fn expect(script: &mut Script, value: &Tree) -> Option<(String, String)> {
    let (mut status, mut regex) = (None, None);
    let (mut headers, mut json) = (Vec::new(), Vec::new());
    for (key, value) in value.items().iter().filter_map(Tree::map).flatten() {
        let texts: Vec<_> = value.items().iter().filter_map(Tree::text).collect();
        match (key.as_str(), texts.as_slice()) {
            ("statusCode", [_, ..]) => status = Some(format!("[{}]", texts.join(", "))),
            ("contentType", [kind]) => headers.push(("content-type", yaml::quote(kind))),
            ("hasHeader", [name]) => headers.push((*name, yaml::quote("*"))),
            ("headerEquals", [name, text]) => {
                script.note("`headerEquals` became a header that contains the text");
                headers.push((*name, yaml::quote(text)));
            }
            ("hasProperty", [path]) => {
                json.push((format!("$.{}", path.trim_start_matches("$.")), yaml::quote("*")))
            }
            ("matchesRegexp", [pattern]) => regex = Some(yaml::quote(pattern)),
            _ => script.no_counterpart(value.line, &format!("expect: {key}"), ""),
        }
    }
    let mut pairs = Vec::new();
    pairs.extend(status.map(|status| ("status", status)));
    pairs.extend(regex.map(|regex| ("regex", regex)));
    if !headers.is_empty() {
        pairs.push(("header", yaml::map(headers)));
    }
    if !json.is_empty() {
        pairs.push(("json", yaml::map(json.iter().map(|(path, value)| (path.as_str(), value.clone())))));
    }
    (!pairs.is_empty()).then(|| ("expect".to_owned(), yaml::map(pairs)))
}
