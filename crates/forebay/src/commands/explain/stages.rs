//! What happens to a request on its way, in the order in which it happens.

use forebay_base::units::{show_duration, show_size};
use forebay_net::uri::Target as Uri;
use forebay_proxy::plan::{Action, Plan, ReadAfterWrite, Recorded, Route, Split, Target, Upgrades, WriterBy};
use forebay_proxy::route::{HeaderEdits, Rewrite, Values};

use super::request::Request;
use super::service;

/// One stage.
pub(super) struct Stage {
    pub(super) name: &'static str,
    /// What it does, in lines.
    pub(super) does: Vec<String>,
}

/// The stages of a request that takes the route with this index.
pub(super) fn of(
    plan: &Plan,
    index: usize,
    request: &Request,
    target: &Uri,
    host: &str,
    secured: bool,
) -> Vec<Stage> {
    let route = &plan.routes[index];
    let path = target.path();
    let values = Values { host, path, query: target.query(), params: route.matcher.params(path) };
    let body_max = route.body_max.unwrap_or(plan.limits.body_max);
    let mut stages = vec![Stage {
        name: "limits",
        does: vec![format!(
            "body at most {}, head at most {}",
            show_size(body_max),
            show_size(plan.limits.head_bytes as u64)
        )],
    }];
    let recorded = plan.record.as_ref().filter(|record| record.wants(index));
    stages.extend(recorded.map(|record| Stage { name: "record", does: vec![self::record(record)] }));
    if matches!(route.action, Action::Forward(_) | Action::Split(_)) {
        stages.push(Stage { name: "upgrade", does: upgrade(route, request) });
        if route.grpc_web {
            let does = "requests in gRPC-Web become gRPC, and the answers gRPC-Web".to_owned();
            stages.push(Stage { name: "grpc_web", does: vec![does] });
        }
    }
    match &route.action {
        Action::Forward(targets) => {
            stages.push(Stage { name: "request", does: edits(&route.request_headers) });
            stages.extend(route.rewrite.as_ref().map(|rewrite| self::rewrite(rewrite, &values)));
            stages.push(Stage { name: "forward", does: forward(plan, route, targets) });
        }
        Action::Split(split) => {
            stages.push(Stage { name: "request", does: edits(&route.request_headers) });
            stages.extend(route.rewrite.as_ref().map(|rewrite| self::rewrite(rewrite, &values)));
            stages.extend(self::split(plan, route, split, request));
        }
        Action::Redirect { status, to } => {
            let mut location = String::new();
            let does = match to.render(&values, &mut location) {
                Ok(()) => format!("{status} to {location}"),
                Err(error) => format!("refused with 400: {error}"),
            };
            stages.push(Stage { name: "redirect", does: vec![does] });
        }
        Action::Respond { status, content_type, body } => {
            let does = match body.len() {
                0 => format!("{status} without a body"),
                _ => format!("{status} with {} of {content_type}", show_size(body.len() as u64)),
            };
            stages.push(Stage { name: "respond", does: vec![does] });
        }
    }
    let mut response = edits(&route.response_headers);
    let ours = secured && !route.response_headers.touches(b"strict-transport-security");
    let hsts = plan.tls.as_ref().and_then(|tls| tls.hsts.as_ref()).filter(|_| ours);
    response.extend(hsts.map(|hsts| format!("set strict-transport-security: {hsts}")));
    stages.push(Stage { name: "response", does: response });
    stages.retain(|stage| !stage.does.is_empty());
    stages
}

/// What the connection may turn into, if that is out of the ordinary or asked for.
fn upgrade(route: &Route, request: &Request) -> Vec<String> {
    let Upgrades { allowed, idle, lifetime } = &route.upgrade;
    if route.upgrade == Upgrades::default() && !is_upgrade(request) {
        return Vec::new();
    }
    if allowed.is_empty() {
        return vec!["none: connections stay what they are".to_owned()];
    }
    let lifetime = lifetime.map_or_else(|| "unbounded".to_owned(), show_duration);
    vec![format!(
        "to {} once the service agrees: idle {}, lifetime {lifetime}",
        allowed.join(" or "),
        show_duration(*idle)
    )]
}

/// The protocol that a request asks for and may not have.
pub(super) fn refused_upgrade(route: &Route, request: &Request) -> Option<String> {
    let forwards = matches!(route.action, Action::Forward(_) | Action::Split(_));
    let asked = request.header(b"upgrade").filter(|_| forwards && is_upgrade(request))?;
    let names = asked.split(|byte| *byte == b',').map(|name| String::from_utf8_lossy(name.trim_ascii()));
    // Clients that would rather speak HTTP/2 go on without it.
    let names: Vec<_> = names.filter(|name| !name.is_empty() && !name.eq_ignore_ascii_case("h2c")).collect();
    let is_allowed = |name: &str| route.upgrade.allowed.iter().any(|known| known.eq_ignore_ascii_case(name));
    match names.first() {
        Some(first) if !names.iter().any(|name| is_allowed(name)) => Some(first.to_string()),
        _ => None,
    }
}

fn is_upgrade(request: &Request) -> bool {
    let options = request.header(b"connection").unwrap_or_default().split(|byte| *byte == b',');
    options.into_iter().any(|option| option.trim_ascii().eq_ignore_ascii_case(b"upgrade"))
}

fn record(record: &Recorded) -> String {
    let settings = &record.settings;
    let bodies = match settings.body_max {
        0 => "without bodies".to_owned(),
        max => format!("with bodies up to {}", show_size(max as u64)),
    };
    let (sample, file) = (settings.sample, settings.file.display());
    format!("{sample} of requests to {file}, {bodies}, until it has {}", show_size(settings.bytes_max))
}

fn edits(edits: &HeaderEdits) -> Vec<String> {
    let appended: Vec<_> = edits.appended().collect();
    let mut set: Vec<&str> = Vec::new();
    let mut lines = Vec::new();
    for name in
        edits.dropped().filter(|name| appended.iter().all(|(other, _)| !other.eq_ignore_ascii_case(name)))
    {
        lines.push(format!("remove {name}"));
    }
    for (name, value) in &appended {
        // What is set is dropped and comes back first; what follows is added.
        let first = edits.drops(name.as_bytes()) && set.iter().all(|other| !other.eq_ignore_ascii_case(name));
        let verb = if first { "set" } else { "add" };
        lines.push(format!("{verb} {name}: {}", String::from_utf8_lossy(value)));
        set.push(name);
    }
    lines
}

fn rewrite(rewrite: &Rewrite, values: &Values<'_>) -> Stage {
    let mut target = Uri::default();
    let path = match rewrite.apply(values, &mut target) {
        Ok(()) => format!("target becomes {}", target.path_and_query()),
        Err(error) => format!("refused with 400: {error}"),
    };
    let host = rewrite.host().map(|host| format!("host becomes {host}"));
    Stage { name: "rewrite", does: std::iter::once(path).chain(host).collect() }
}

fn forward(plan: &Plan, route: &Route, targets: &[Target]) -> Vec<String> {
    let all: u64 = targets.iter().map(|target| u64::from(target.weight)).sum();
    let mut lines = Vec::new();
    for target in targets {
        let share = match targets.len() {
            1 => String::new(),
            _ => format!(", {} of {all} requests", target.weight),
        };
        lines.extend(service::lines(&plan.services[target.service], route, &share));
    }
    lines
}

/// Whether the request reads or writes, and the services it may go to.
fn split(plan: &Plan, route: &Route, split: &Split, request: &Request) -> Vec<Stage> {
    let Split { read, write, read_after_write } = split;
    let (method, primary) = (&request.method, &plan.services[*write].name);
    let mut services = vec![*write];
    let mut does = Vec::new();
    if is_safe(method) {
        does.push(format!("{method} reads: to service {}", plan.services[*read].name));
        services = vec![*read];
    } else {
        does.push(format!("{method} writes: to service {primary}"));
    }
    if let Some(ReadAfterWrite { stay, by }) = read_after_write {
        let (what, has_it) = match by {
            WriterBy::Cookie(name) => (format!("the cookie {name}"), request.cookie(name).is_some()),
            WriterBy::Header(name) => {
                (format!("the header {name}"), request.header(name.as_bytes()).is_some())
            }
        };
        let stay = show_duration(*stay);
        does.push(format!("a client that has written reads from {primary} for {stay}, known by {what}"));
        match (is_safe(method), has_it) {
            (false, _) => {}
            (true, false) => {
                does.push(format!("this request is without {what}: nobody known to have written"))
            }
            (true, true) => {
                does.push(format!("this request has {what}: to {primary} if it wrote within {stay}"));
                services.push(*write);
            }
        }
    }
    let forward = services.into_iter().map(|service| {
        let does = forward(plan, route, &[Target { service, weight: 1 }]);
        Stage { name: "forward", does }
    });
    std::iter::once(Stage { name: "split", does }).chain(forward).collect()
}

/// Methods that only read (RFC 9110 section 9.2.1).
fn is_safe(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE")
}
