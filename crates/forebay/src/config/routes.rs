//! Reads `routes`, and what `defaults` gives them.

use std::collections::HashMap;

use forebay_proxy::plan::{Route, TimeoutOverrides, Upgrades};
use forebay_proxy::route::{Conflict, ConflictKind, MatchError, MatchParts, Matcher, Router, ValueTest};

use super::action;
use super::edits::{self, EditLists};
use super::lower::Lower;
use super::problems::{Mark, Spanned};
use super::read::short;
use super::services::Services;
use super::value::{Field, Fields, Pair, Value};
use super::{rewrite, upgrade};

/// A route of the plan and where its `match` stands.
pub(super) struct Placed {
    pub(super) route: Route,
    pub(super) at: Mark,
}

/// What every route gets unless it says otherwise.
struct Usual {
    request: EditLists,
    response: EditLists,
    body_max: Option<u64>,
    upgrade: Upgrades,
    grpc_web: bool,
}

/// Reads every route. One with several `match`es becomes several that share the rest.
pub(super) fn lower(
    lower: &mut Lower<'_, '_>,
    top: &Fields,
    defaults: Option<&Fields>,
    services: &mut Services,
) -> Vec<Placed> {
    let headers = defaults.and_then(|defaults| defaults.table("headers"));
    let usual = Usual {
        request: edits::read(lower, headers, "request"),
        response: edits::read(lower, headers, "response"),
        body_max: defaults.and_then(|defaults| defaults.number("body_max")),
        upgrade: upgrade::read(lower, defaults).unwrap_or_default(),
        grpc_web: defaults.and_then(|defaults| defaults.word("grpc_web")) == Some("on"),
    };
    let mut routes = Vec::new();
    let mut names = HashMap::new();
    for item in top.list("routes") {
        if let Value::Table(fields) = &item.value {
            lower_route(lower, fields, &usual, services, &mut names, &mut routes);
        }
    }
    routes
}

/// The router over all routes; those that get in each other's way are problems.
pub(super) fn router(lower: &mut Lower<'_, '_>, routes: &[Placed]) -> Router {
    let matchers: Vec<_> = routes.iter().map(|placed| placed.route.matcher.clone()).collect();
    let (router, conflicts) = Router::build(&matchers);
    for Conflict { first, second, kind } in conflicts {
        // Told at the one further down: the writer thinks of the other as the earlier.
        let (wins, loses) = (&routes[first], &routes[second]);
        let (here, other) = if wins.at > loses.at { (wins, loses) } else { (loses, wins) };
        let (name, place) = (&other.route.name, other.at.line);
        let same = here.route.matcher == other.route.matcher;
        match kind {
            _ if same => lower.problems.error_fix(
                here.at,
                format!(
                    "`{}` matches the same requests as route `{name}` in line {place}",
                    here.route.matcher
                ),
                "remove one of the two",
            ),
            ConflictKind::Ambiguous => lower.problems.warn_fix(
                here.at,
                format!("some requests match this route and route `{name}` in line {place}, neither is the more specific, and `{}` wins by its text alone", wins.route.matcher),
                "make one of them more specific",
            ),
            ConflictKind::Unreachable => lower.problems.error_fix(
                loses.at,
                format!(
                    "this route is never taken: all its requests go to route `{}` in line {}",
                    wins.route.name, wins.at.line
                ),
                "remove one of the two, or make this one more specific",
            ),
        }
    }
    router
}

fn lower_route(
    lower: &mut Lower<'_, '_>,
    fields: &Fields,
    usual: &Usual,
    services: &mut Services,
    names: &mut HashMap<Box<str>, u32>,
    routes: &mut Vec<Placed>,
) {
    let matchers = matchers(lower, fields);
    let headers = fields.table("headers");
    let request = edits::read(lower, headers, "request");
    let response = edits::read(lower, headers, "response");
    let rewrite = rewrite::read(lower, fields, &matchers);
    let action = action::read(lower, fields, services, &matchers);
    let upgrade = upgrade::read(lower, Some(fields));
    refuse_idle_words(lower, fields);
    for (number, (at, matcher)) in matchers.into_iter().enumerate() {
        let route = Route {
            name: name(lower, fields, &matcher, number, names),
            matcher,
            action: action.copy(),
            timeout: timeout(fields),
            request_headers: request.over(&usual.request),
            response_headers: response.over(&usual.response),
            rewrite: rewrite.clone(),
            body_max: fields.number("body_max").or(usual.body_max),
            upgrade: upgrade.as_ref().unwrap_or(&usual.upgrade).clone(),
            grpc_web: fields.word("grpc_web").map_or(usual.grpc_web, |word| word == "on"),
        };
        routes.push(Placed { route, at });
    }
}

/// The route's own name, numbered from its second `match` on; else the text of its `match`.
fn name(
    lower: &mut Lower<'_, '_>,
    fields: &Fields,
    matcher: &Matcher,
    number: usize,
    names: &mut HashMap<Box<str>, u32>,
) -> Box<str> {
    let written = fields.text("name");
    let name: Box<str> = match written {
        Some(name) if number == 0 => name.value.into(),
        Some(name) => format!("{} ({})", name.value, number + 1).into(),
        None => matcher.to_string().into(),
    };
    let at = written.map_or(fields.at, |name| name.at);
    if written.is_some_and(|name| name.value.chars().any(char::is_control)) {
        lower.problems.error(at, "a name has no control characters");
    }
    // Routes without a name that have the same text match the same, which is told elsewhere.
    if let Some(line) = names.insert(name.clone(), at.line)
        && written.is_some()
    {
        let what = format!("the route in line {line} has the name `{}` too", short(&name));
        lower.problems.error_fix(at, what, "give each its own name");
    }
    name
}

fn matchers(lower: &mut Lower<'_, '_>, fields: &Fields) -> Vec<(Mark, Matcher)> {
    let items = fields.get("match").map_or(&[][..], |written| written.value.list());
    items.iter().filter_map(|item| Some((item.at, matcher(lower, item)?))).collect()
}

fn matcher(lower: &mut Lower<'_, '_>, item: &Spanned<Value>) -> Option<Matcher> {
    match &item.value {
        Value::Text(text) => Matcher::parse_short(text)
            .map_err(|error| {
                lower.problems.error(item.at, format!("`{}` is no match: {error}", short(text)));
            })
            .ok(),
        Value::Table(long) => Matcher::from_parts(match_parts(long))
            .map_err(|error| {
                let at = match_error_place(long, &error);
                lower.problems.error(at, format!("this is no match: {error}"));
            })
            .ok(),
        _ => None,
    }
}

fn match_parts(long: &Fields) -> MatchParts {
    let text = |name| long.text(name).map(|text| text.value.to_owned()).unwrap_or_default();
    let pairs = |name| {
        let pair = |pair: &Pair| match &pair.value.value {
            Value::Text(value) => Some((pair.name.value.to_string(), ValueTest::parse(value))),
            _ => None,
        };
        long.map(name).iter().filter_map(pair).collect()
    };
    let methods = long.get("method").map_or(&[][..], |methods| methods.value.list());
    MatchParts {
        host: text("host"),
        path: text("path"),
        methods: methods.iter().filter_map(Spanned::text).map(|method| method.value.to_owned()).collect(),
        headers: pairs("header"),
        queries: pairs("query"),
    }
}

/// Where the part of a long form stands that an error is about.
fn match_error_place(long: &Fields, error: &MatchError) -> Mark {
    let (key, name) = match error {
        MatchError::Host(_) | MatchError::HostPort | MatchError::HostWildcard => ("host", None),
        MatchError::Method(name) => ("method", Some(name)),
        MatchError::HeaderName(name) | MatchError::HeaderValue(name) | MatchError::HeaderTwice(name) => {
            ("header", Some(name))
        }
        MatchError::QueryTwice(name) => ("query", Some(name)),
        MatchError::QueryName => ("query", None),
        _ => ("path", None),
    };
    let Some(value) = long.get(key) else { return long.at };
    let same = |text: &str| name.is_some_and(|name| name.eq_ignore_ascii_case(text));
    let in_map = long.map(key).iter().rev().find(|pair| same(&pair.name.value)).map(|pair| pair.name.at);
    let in_list = value.value.list().iter().filter_map(Spanned::text).find(|text| same(text.value));
    in_map.or(in_list.map(|text| text.at)).unwrap_or(value.at)
}

fn timeout(fields: &Fields) -> TimeoutOverrides {
    if let Some(total) = fields.time("timeout") {
        return TimeoutOverrides { total: Some(total), ..TimeoutOverrides::default() };
    }
    let Some(long) = fields.table("timeout") else { return TimeoutOverrides::default() };
    TimeoutOverrides {
        first_byte: long.time("first_byte"),
        idle: long.time("idle"),
        total: long.time("total"),
    }
}

/// Words that only mean something when a request is forwarded: elsewhere they would silently do nothing.
fn refuse_idle_words(lower: &mut Lower<'_, '_>, fields: &Fields) {
    let Some(answer) = ["redirect", "respond"].into_iter().find(|name| fields.has(name)) else { return };
    if fields.has("to") {
        return;
    }
    let headers = fields.table("headers").and_then(|headers| headers.field("request"));
    let idle = ["timeout", "rewrite", "upgrade", "grpc_web"].map(|name| fields.field(name));
    let idle = idle.into_iter().chain([headers]);
    for Field { name, at, .. } in idle.flatten() {
        let what = format!("`{name}` does nothing here: nothing is forwarded by a route with `{answer}`");
        lower.problems.error_fix(*at, what, "remove it");
    }
}
