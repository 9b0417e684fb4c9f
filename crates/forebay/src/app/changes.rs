//! What a reload changes, by name: for the operator who wants to see that it is what was meant, no more.

use std::collections::{HashMap, HashSet};
use std::fmt;

use forebay_net::tls::ServerSettings;
use forebay_proxy::plan::{self, Acme, Action, Dns, Limits, Plan, Recorded, Route, Service, Tls};
use serde_json::{Value, json};

/// Most lines of `Changes::summary`.
const SUMMARY_MAX: usize = 1_000;
/// Most of them in the log's single line.
const LINE_MAX: usize = 10;

/// How one plan differs from another.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    services: Group,
    routes: Group,
    /// Keys of `limits` that differ.
    limits: Vec<&'static str>,
    /// Keys of `dns` that differ.
    dns: Vec<&'static str>,
    /// Keys of `tls` that differ.
    tls: Vec<&'static str>,
    /// What is spoken at an address listened on.
    listen: bool,
    trusted_proxies: bool,
    record: bool,
}

/// How things with names differ.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Group {
    added: Vec<Box<str>>,
    removed: Vec<Box<str>>,
    changed: Vec<Changed>,
    /// They are the same, in another order.
    reordered: bool,
}

/// How two things of one name differ.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Changed {
    name: Box<str>,
    /// Keys that differ; never empty.
    keys: Vec<&'static str>,
    /// How, if `endpoints` is one of them.
    endpoints: Option<Counts>,
}

/// How many endpoints were added, removed, and given another weight or priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    added: usize,
    removed: usize,
    changed: usize,
}

impl Changes {
    /// What is different in `new`. Nothing is looked into that is equal, so that a large file with a small
    /// change is compared in a few milliseconds.
    #[must_use]
    pub fn between(old: &Plan, new: &Plan) -> Self {
        // Taken apart, so that what is added to plans is compared too. The router is made of the routes.
        let Plan { router: _, routes: _, services: _, limits, trusted_proxies, record, dns, listeners, tls } =
            new;
        Self {
            services: Group::between(
                &old.services,
                &new.services,
                |service| &service.name,
                |before, now| {
                    let endpoints = (before.endpoints != now.endpoints)
                        .then(|| Counts::between(&before.endpoints, &now.endpoints));
                    (service_keys(before, now), endpoints)
                },
            ),
            routes: Group::between(
                &old.routes,
                &new.routes,
                |route| &route.name,
                |before, now| (route_keys((old, before), (new, now)), None),
            ),
            limits: limit_keys(&old.limits, limits),
            dns: dns_keys(&old.dns, dns),
            tls: tls_keys(old.tls.as_ref(), tls.as_ref()),
            listen: old.listeners != *listeners,
            trusted_proxies: old.trusted_proxies != *trusted_proxies,
            record: recorded(old, old.record.as_ref()) != recorded(new, record.as_ref()),
        }
    }

    /// Whether both plans mean the same.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// For people, a line for each change; at most a thousand, of which the last counts the others.
    #[must_use]
    pub fn summary(&self) -> Vec<String> {
        self.lines(SUMMARY_MAX)
    }

    /// For tools.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "services": self.services.to_json(),
            "routes": self.routes.to_json(),
            "limits": self.limits,
            "dns": self.dns,
            "tls": self.tls,
            "listen": self.listen,
            "trusted_proxies": self.trusted_proxies,
            "record": self.record,
        })
    }

    fn lines(&self, max: usize) -> Vec<String> {
        let Self { services, routes, limits, dns, tls, listen, trusted_proxies, record } = self;
        let keys = |what: &str, keys: &[&str]| {
            (!keys.is_empty()).then(|| format!("{what} changed: {}", keys.join(", ")))
        };
        let whole = |what: &str, changed: bool| changed.then(|| format!("{what} changed"));
        let rest = [
            keys("limits", limits),
            keys("dns", dns),
            keys("tls", tls),
            whole("listen", *listen),
            whole("trusted_proxies", *trusted_proxies),
            whole("record", *record),
        ];
        let rest: Vec<String> = rest.into_iter().flatten().collect();
        let total = services.len() + routes.len() + rest.len();
        // One line is for the number of those that are left out.
        let shown = if total > max { max.saturating_sub(1) } else { max };
        // The few lines that are about everything must not be lost behind many about one route each.
        let all = rest.into_iter().chain(services.lines("service")).chain(routes.lines("route"));
        let mut lines: Vec<String> = all.take(shown).collect();
        if total > lines.len() {
            lines.push(format!("and {} more", total - lines.len()));
        }
        lines
    }
}

impl fmt::Display for Changes {
    /// One line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines(LINE_MAX).join("; "))
    }
}

impl Group {
    /// `keys` says under which keys two of the same name differ; none: they do not.
    fn between<T>(
        old: &[T],
        new: &[T],
        name: fn(&T) -> &Box<str>,
        keys: impl Fn(&T, &T) -> (Vec<&'static str>, Option<Counts>),
    ) -> Self {
        let before: HashMap<&str, &T> = old.iter().map(|one| (&**name(one), one)).collect();
        let now: HashSet<&str> = new.iter().map(|one| &**name(one)).collect();
        let mut group = Self::default();
        for one in new {
            let Some(other) = before.get(&**name(one)) else {
                group.added.push(name(one).clone());
                continue;
            };
            let (keys, endpoints) = keys(other, one);
            if !keys.is_empty() {
                group.changed.push(Changed { name: name(one).clone(), keys, endpoints });
            }
        }
        let gone = old.iter().filter(|one| !now.contains(&**name(one)));
        group.removed = gone.map(|one| name(one).clone()).collect();
        let stayed = group.added.is_empty() && group.removed.is_empty();
        group.reordered = stayed && !old.iter().map(name).eq(new.iter().map(name));
        group
    }

    fn len(&self) -> usize {
        self.added.len() + self.removed.len() + self.changed.len() + usize::from(self.reordered)
    }

    fn lines(&self, noun: &'static str) -> impl Iterator<Item = String> {
        let added = self.added.iter().map(move |name| format!("{noun} added: {name}"));
        let removed = self.removed.iter().map(move |name| format!("{noun} removed: {name}"));
        let changed = self.changed.iter().map(move |changed| format!("{noun} changed: {changed}"));
        let reordered = self.reordered.then(|| format!("{noun}s stand in another order"));
        added.chain(removed).chain(changed).chain(reordered)
    }

    fn to_json(&self) -> Value {
        json!({
            "added": self.added,
            "removed": self.removed,
            "changed": self.changed.iter().map(Changed::to_json).collect::<Vec<_>>(),
            "reordered": self.reordered,
        })
    }
}

impl Changed {
    fn to_json(&self) -> Value {
        let mut value = json!({ "name": self.name, "keys": self.keys });
        if let Some(Counts { added, removed, changed }) = self.endpoints {
            value["endpoints"] = json!({ "added": added, "removed": removed, "changed": changed });
        }
        value
    }
}

impl fmt::Display for Changed {
    /// `shop (endpoints +2 -1, balance)`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.name)?;
        for (index, key) in self.keys.iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            f.write_str(key)?;
            if let (&"endpoints", Some(counts)) = (key, self.endpoints) {
                write!(f, "{counts}")?;
            }
        }
        f.write_str(")")
    }
}

impl Counts {
    fn between(old: &[plan::Endpoint], new: &[plan::Endpoint]) -> Self {
        let (old, new) = differing(old, new);
        let before: HashMap<&str, &plan::Endpoint> = old.iter().map(|one| (&*one.address, one)).collect();
        let mut counts = Self::default();
        for one in new {
            match before.get(&*one.address) {
                None => counts.added += 1,
                Some(other) => counts.changed += usize::from(*other != one),
            }
        }
        // Addresses of a service are unique: those that are not new were there.
        counts.removed = (old.len() + counts.added).saturating_sub(new.len());
        counts
    }
}

impl fmt::Display for Counts {
    /// ` +2 -1 ~1`; without what is 0. Nothing if only their order is another.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (sign, count) in [('+', self.added), ('-', self.removed), ('~', self.changed)] {
            if count > 0 {
                write!(f, " {sign}{count}")?;
            }
        }
        Ok(())
    }
}

/// Both without what they begin with and end with alike: of a thousand endpoints mostly few have changed.
fn differing<'a, T: PartialEq>(old: &'a [T], new: &'a [T]) -> (&'a [T], &'a [T]) {
    let same = old.iter().zip(new).take_while(|(one, other)| one == other).count();
    let (old, new) = (&old[same..], &new[same..]);
    let same = old.iter().rev().zip(new.iter().rev()).take_while(|(one, other)| one == other).count();
    (&old[..old.len() - same], &new[..new.len() - same])
}

/// The keys whose flag is set.
fn set(keys: impl IntoIterator<Item = (&'static str, bool)>) -> Vec<&'static str> {
    keys.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
}

fn service_keys(old: &Service, new: &Service) -> Vec<&'static str> {
    let Service {
        name: _,
        endpoints,
        endpoints_file,
        endpoints_allow,
        balance,
        health,
        outlier,
        slow_start,
        panic_below,
        timeout,
        pool,
        protocol,
        tls,
        proxy_protocol,
    } = new;
    set([
        ("endpoints", old.endpoints != *endpoints),
        ("endpoints_file", old.endpoints_file != *endpoints_file),
        ("endpoints_allow", old.endpoints_allow != *endpoints_allow),
        ("balance", old.balance != *balance),
        ("health", old.health != *health),
        ("outlier", old.outlier != *outlier),
        ("slow_start", old.slow_start != *slow_start),
        ("panic_below", old.panic_below != *panic_below),
        ("timeout", old.timeout != *timeout),
        ("pool", old.pool != *pool),
        ("protocol", old.protocol != *protocol),
        ("tls", old.tls != *tls),
        ("proxy_protocol", old.proxy_protocol != *proxy_protocol),
    ])
}

fn route_keys((old_plan, old): (&Plan, &Route), (new_plan, new): (&Plan, &Route)) -> Vec<&'static str> {
    let Route {
        name: _,
        matcher,
        action,
        timeout,
        request_headers,
        response_headers,
        rewrite,
        body_max,
        upgrade,
        grpc_web,
    } = new;
    let headers = old.request_headers != *request_headers || old.response_headers != *response_headers;
    set([
        ("match", old.matcher != *matcher),
        (action_key(action), !same_action((old_plan, &old.action), (new_plan, action))),
        ("timeout", old.timeout != *timeout),
        ("headers", headers),
        ("rewrite", old.rewrite != *rewrite),
        ("body_max", old.body_max != *body_max),
        ("upgrade", old.upgrade != *upgrade),
        ("grpc_web", old.grpc_web != *grpc_web),
    ])
}

const fn action_key(action: &Action) -> &'static str {
    match action {
        Action::Forward(_) | Action::Split(_) => "to",
        Action::Redirect { .. } => "redirect",
        Action::Respond { .. } => "respond",
    }
}

/// Services are compared by name: their index is another when one before them has come or gone.
fn same_action((old_plan, old): (&Plan, &Action), (new_plan, new): (&Plan, &Action)) -> bool {
    let same_service = |before: usize, now: usize| service(old_plan, before) == service(new_plan, now);
    match (old, new) {
        (Action::Forward(before), Action::Forward(now)) => {
            before.len() == now.len()
                && before.iter().zip(now).all(|(before, now)| {
                    same_service(before.service, now.service) && before.weight == now.weight
                })
        }
        (Action::Split(before), Action::Split(now)) => {
            let plan::Split { read, write, read_after_write } = now;
            same_service(before.read, *read)
                && same_service(before.write, *write)
                && before.read_after_write == *read_after_write
        }
        (Action::Redirect { status, to }, Action::Redirect { status: new_status, to: new_to }) => {
            status == new_status && to == new_to
        }
        (
            Action::Respond { status, content_type, body },
            Action::Respond { status: new_status, content_type: new_type, body: new_body },
        ) => status == new_status && content_type == new_type && body == new_body,
        _ => false,
    }
}

fn service(plan: &Plan, index: usize) -> Option<&str> {
    plan.services.get(index).map(|service| &*service.name)
}

fn limit_keys(old: &Limits, new: &Limits) -> Vec<&'static str> {
    let Limits {
        head_bytes,
        headers,
        uri_bytes,
        body_max,
        header_timeout,
        body_rate_min,
        write_stall,
        idle,
        connections,
        connections_per_ip,
        drain,
        drain_delay,
        header_underscores,
        merge_slashes,
        half_close,
        handshake_timeout,
        http2,
    } = new;
    set([
        ("head_bytes", old.head_bytes != *head_bytes),
        ("handshake_timeout", old.handshake_timeout != *handshake_timeout),
        ("http2", old.http2 != *http2),
        ("headers", old.headers != *headers),
        ("uri_bytes", old.uri_bytes != *uri_bytes),
        ("body_max", old.body_max != *body_max),
        ("header_timeout", old.header_timeout != *header_timeout),
        ("body_rate_min", old.body_rate_min != *body_rate_min),
        ("write_stall", old.write_stall != *write_stall),
        ("idle", old.idle != *idle),
        ("connections", old.connections != *connections),
        ("connections_per_ip", old.connections_per_ip != *connections_per_ip),
        ("drain", old.drain != *drain),
        ("drain_delay", old.drain_delay != *drain_delay),
        ("header_underscores", old.header_underscores != *header_underscores),
        ("merge_slashes", old.merge_slashes != *merge_slashes),
        ("half_close", old.half_close != *half_close),
    ])
}

fn dns_keys(old: &Dns, new: &Dns) -> Vec<&'static str> {
    let Dns { servers, ttl_min, ttl_max, timeout, family } = new;
    set([
        ("servers", old.servers != *servers),
        ("ttl_min", old.ttl_min != *ttl_min),
        ("ttl_max", old.ttl_max != *ttl_max),
        ("timeout", old.timeout != *timeout),
        ("family", old.family != *family),
    ])
}

/// `tls` itself, if it has come or gone.
fn tls_keys(old: Option<&Tls>, new: Option<&Tls>) -> Vec<&'static str> {
    let (old, new) = match (old, new) {
        (Some(old), Some(new)) => (old, new),
        (None, None) => return Vec::new(),
        (None, Some(_)) => return vec!["added"],
        (Some(_), None) => return vec!["removed"],
    };
    let Tls { server, redirect, hsts, acme } = new;
    let ServerSettings { certificates, min_version, client_auth, tickets, unknown_name } = server.settings();
    let before = old.server.settings();
    let acme_keys = acme_keys(old.acme.as_ref(), acme.as_ref());
    let keys = set([
        ("certificates", before.certificates != *certificates),
        ("min_version", before.min_version != *min_version),
        ("client_auth", before.client_auth != *client_auth),
        ("tickets", before.tickets != *tickets),
        ("unknown_name", before.unknown_name != *unknown_name),
        ("redirect", old.redirect != *redirect),
        ("hsts", old.hsts != *hsts),
    ]);
    keys.into_iter().chain(acme_keys).collect()
}

fn acme_keys(old: Option<&Acme>, new: Option<&Acme>) -> Vec<&'static str> {
    let (Some(old), Some(new)) = (old, new) else { return set([("domains", old != new)]) };
    let Acme { domains, email, directory, ca, storage, challenge } = new;
    let acme = old.directory != *directory
        || old.ca != *ca
        || old.storage != *storage
        || old.challenge != *challenge;
    set([("domains", old.domains != *domains), ("email", old.email != *email), ("acme", acme)])
}

/// What is recorded, without the routes' indices.
fn recorded<'a>(
    plan: &'a Plan,
    recorded: Option<&'a Recorded>,
) -> Option<(&'a forebay_telemetry::recording::Settings, Option<HashSet<&'a str>>)> {
    let Recorded { settings, routes } = recorded?;
    let named = |flags: &[bool]| {
        let chosen = plan.routes.iter().zip(flags).filter(|(_, chosen)| **chosen);
        chosen.map(|(route, _)| &*route.name).collect()
    };
    Some((settings, routes.as_deref().map(named)))
}

#[cfg(test)]
mod tests;
