//! Reads `record`: which requests are written down, and how much of them.

use std::path::PathBuf;

use forebay_proxy::plan::Recorded;
use forebay_proxy::route::Matcher;
use forebay_telemetry::recording::{REDACT, REDACT_QUERY, Settings, Share};

use super::lower::Lower;
use super::names::is_token;
use super::problems::Spanned;
use super::read::short;
use super::routes::Placed;
use super::value::{Fields, Value};
use forebay_base::nearest::nearest;

/// Longest body that is written unless told otherwise.
const BODY_MAX: usize = 64 << 10;
/// Largest file unless told otherwise.
const BYTES_MAX: u64 = 100 << 20;
/// Headers that give away a session where they are not redacted.
const SENSITIVE: [&str; 2] = ["authorization", "cookie"];

/// What is to be written down of requests to `routes`, if anything is.
pub(super) fn lower(lower: &mut Lower<'_, '_>, top: &Fields, routes: &[Placed]) -> Option<Recorded> {
    match &top.get("record")?.value {
        Value::Text(file) => {
            let settings = Settings {
                file: path(lower, file),
                sample: Share::PERCENT,
                body_max: BODY_MAX,
                bytes_max: BYTES_MAX,
                redact: boxed(&REDACT),
                redact_query: boxed(&REDACT_QUERY),
            };
            Some(Recorded { settings, routes: None })
        }
        Value::Table(fields) => {
            let settings = Settings {
                file: path(lower, fields.text("file")?.value),
                sample: sample(lower, fields),
                body_max: fields.count("body_max").unwrap_or(BODY_MAX),
                bytes_max: fields.number("bytes_max").unwrap_or(BYTES_MAX),
                redact: headers(lower, fields),
                redact_query: names(fields, "redact_query", &REDACT_QUERY),
            };
            warn_of_secrets(lower, fields, &settings);
            Some(Recorded { settings, routes: chosen(lower, fields, routes) })
        }
        _ => None,
    }
}

fn path(lower: &Lower<'_, '_>, written: &str) -> PathBuf {
    lower.base.map_or_else(|| PathBuf::from(written), |base| base.join(written))
}

fn boxed(names: &[&str]) -> Box<[Box<str>]> {
    names.iter().map(|name| Box::from(*name)).collect()
}

/// The headers of `redact`; what cannot be one would never be redacted.
fn headers(lower: &mut Lower<'_, '_>, fields: &Fields) -> Box<[Box<str>]> {
    for text in fields.list("redact").iter().filter_map(Spanned::text) {
        if !is_token(text.value) {
            lower.problems.error(text.at, format!("`{}` is not the name of a header", short(text.value)));
        }
    }
    names(fields, "redact", &REDACT)
}

fn names(fields: &Fields, key: &str, usual: &[&str]) -> Box<[Box<str>]> {
    if !fields.has(key) {
        return boxed(usual);
    }
    fields.list(key).iter().filter_map(Spanned::text).map(|name| name.value.into()).collect()
}

fn sample(lower: &mut Lower<'_, '_>, fields: &Fields) -> Share {
    let Some(text) = fields.text("sample") else { return Share::PERCENT };
    text.value.parse().unwrap_or_else(|_| {
        let what = format!(
            "`sample` must be more than 0 and at most 100%, with up to four digits behind the point, not `{}`",
            short(text.value)
        );
        lower.problems.error_fix(text.at, what, "write, for example, `1%`");
        Share::PERCENT
    })
}

fn warn_of_secrets(lower: &mut Lower<'_, '_>, fields: &Fields, settings: &Settings) {
    let Some(written) = fields.field("redact") else { return };
    let redacted = |name: &str| settings.redact.iter().any(|other| other.eq_ignore_ascii_case(name));
    for name in SENSITIVE.into_iter().filter(|name| !redacted(name)) {
        let what =
            format!("`redact` does not name `{name}`: what clients send in it will be in the recording");
        lower.problems.warn_fix(written.value.at, what, "name it, unless that is what you want");
    }
}

/// For each route, whether it is named in `routes`.
fn chosen(lower: &mut Lower<'_, '_>, fields: &Fields, routes: &[Placed]) -> Option<Box<[bool]>> {
    if fields.list("routes").is_empty() {
        return None;
    }
    let mut chosen = vec![false; routes.len()];
    for text in fields.list("routes").iter().filter_map(Spanned::text) {
        let mut found = false;
        for (chosen, placed) in chosen.iter_mut().zip(routes) {
            if is_meant(placed, text.value) {
                *chosen = true;
                found = true;
            }
        }
        if !found {
            let what = format!("`{}` is neither the name nor the match of a route", short(text.value));
            match nearest(text.value, routes.iter().map(|placed| &*placed.route.name)) {
                Some(meant) => lower.problems.error_fix(text.at, what, format!("did you mean `{meant}`?")),
                None => lower.problems.error(text.at, what),
            }
        }
    }
    Some(chosen.into())
}

/// A route is meant by its match, or by its name: all its matches then, numbered though they are.
fn is_meant(placed: &Placed, text: &str) -> bool {
    let route = &placed.route;
    let numbered = || route.name.strip_prefix(text).is_some_and(|rest| rest.starts_with(" ("));
    *route.name == *text
        || numbered()
        || Matcher::parse_short(text).is_ok_and(|matcher| matcher == route.matcher)
}
