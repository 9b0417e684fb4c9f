//! Reads `services`, and the timeouts that `defaults` gives them.

use std::collections::HashMap;

use forebay_proxy::plan::{PANIC_BELOW, PoolLimits, Protocol, Service, Timeouts};

use super::lower::Lower;
use super::problems::{Mark, Problems, Spanned};
use super::read::short;
use super::value::{Fields, Value};
use super::{balance, health, outlier};
use forebay_base::nearest::nearest;

mod carried;
mod endpoints;

use carried::Carried;

/// Unknown names for which the nearest known one is sought; that takes a look at every service.
const SUGGESTIONS_MAX: usize = 20;

/// The services of the plan, with what finding them by name needs.
#[derive(Default)]
pub(super) struct Services {
    pub(super) list: Vec<Service>,
    /// Index into `list`, by name.
    names: HashMap<Box<str>, usize>,
    /// Where each stands.
    marks: Vec<Mark>,
    /// Whether a route leads to it.
    used: Vec<bool>,
    /// How often a route leads to a service that is not there: then it is not known which are unused.
    missed: usize,
}

/// Reads every service; one with mistakes in it is kept, so that routes to it are not mistakes too.
pub(super) fn lower(lower: &mut Lower<'_, '_>, top: &Fields, defaults: Option<&Fields>) -> Services {
    let usual = timeouts(defaults, Timeouts::default());
    let mut services = Services::default();
    for pair in top.map("services") {
        let name = &pair.name.value;
        check_name(lower.problems, &pair.name);
        let service = match &pair.value.value {
            Value::Table(fields) => service(lower, name, fields, usual),
            _ => Service { timeout: usual, ..Service::new(name) },
        };
        services.push(service, pair.name.at);
    }
    services
}

impl Services {
    /// The service of this name, which from then on counts as used; or what to write instead.
    pub(super) fn find(&mut self, name: &str) -> Result<usize, String> {
        if let Some(index) = self.names.get(name) {
            self.used[*index] = true;
            return Ok(*index);
        }
        self.miss();
        let looked_at = if self.missed > SUGGESTIONS_MAX { &[] } else { self.list.as_slice() };
        let known = looked_at.iter().map(|service| service.name.as_ref());
        Err(match nearest(name, known) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if self.list.is_empty() => "add it to `services`".to_owned(),
            None => "add it to `services`, or name one that is there".to_owned(),
        })
    }

    /// A route leads to something, but it is not known to what: that is told elsewhere.
    pub(super) fn miss(&mut self) {
        self.missed += 1;
    }

    /// Tells services no route leads to.
    pub(super) fn warn_unused(&self, problems: &mut Problems) {
        if self.missed > 0 {
            return;
        }
        for (index, service) in self.list.iter().enumerate().filter(|(index, _)| !self.used[*index]) {
            let what = format!("no route leads to the service `{}`", service.name);
            problems.warn_fix(self.marks[index], what, "add a route with it as `to`, or remove it");
        }
    }

    /// Adds a service whose name is new.
    pub(super) fn push(&mut self, service: Service, at: Mark) {
        self.names.insert(service.name.clone(), self.list.len());
        self.list.push(service);
        self.marks.push(at);
        self.used.push(false);
    }
}

/// The name is a label of metrics and part of paths of the admin side.
fn check_name(problems: &mut Problems, name: &Spanned<Box<str>>) {
    let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if !name.value.chars().all(letter) {
        let what = format!("`{}` cannot be the name of a service", short(&name.value));
        problems.error_fix(name.at, what, "use letters, digits, `-`, `_` and `.`");
    }
}

fn service(lower: &mut Lower<'_, '_>, name: &str, fields: &Fields, usual: Timeouts) -> Service {
    let endpoints = endpoints::read(lower, fields);
    let Carried { protocol, tls, proxy_protocol } = carried::read(lower, fields, &endpoints);
    let health = health::read(lower, fields, &endpoints, protocol);
    Service {
        name: name.into(),
        endpoints,
        endpoints_file: endpoints::file(lower, fields),
        endpoints_allow: endpoints::allowed(lower, fields),
        balance: balance::read(lower, name, fields),
        health,
        outlier: outlier::read(lower, fields),
        // `off` is no time.
        slow_start: fields.time("slow_start").unwrap_or_default(),
        panic_below: fields.count("panic_below").unwrap_or(PANIC_BELOW),
        timeout: timeouts(Some(fields), usual),
        pool: pool(lower, fields.table("pool"), protocol),
        protocol,
        tls,
        proxy_protocol,
    }
}

/// Timeouts as a service or `defaults` has them, over those that hold otherwise.
pub(super) fn timeouts(fields: Option<&Fields>, usual: Timeouts) -> Timeouts {
    let Some(fields) = fields else { return usual };
    if let Some(total) = fields.time("timeout") {
        return Timeouts { total: Some(total), ..usual };
    }
    let Some(long) = fields.table("timeout") else { return usual };
    Timeouts {
        connect: long.time("connect").unwrap_or(usual.connect),
        tcp_user: long.time("tcp_user").unwrap_or(usual.tcp_user),
        first_byte: long.time("first_byte").unwrap_or(usual.first_byte),
        idle: long.time("idle").unwrap_or(usual.idle),
        total: long.time("total").or(usual.total),
    }
}

fn pool(lower: &mut Lower<'_, '_>, fields: Option<&Fields>, protocol: Protocol) -> PoolLimits {
    let usual = PoolLimits::default();
    let Some(fields) = fields else { return usual };
    let pool = PoolLimits {
        connections_max: fields.count("connections_max").unwrap_or(usual.connections_max),
        idle_max: fields.count("idle_max").unwrap_or(usual.idle_max),
        idle_timeout: fields.time("idle_timeout").unwrap_or(usual.idle_timeout),
        requests_max: fields.count("requests_max"),
        queue_max: fields.count("queue_max").unwrap_or(usual.queue_max),
        queue_timeout: fields.time("queue_timeout").unwrap_or(usual.queue_timeout),
    };
    if let Some((requests, written)) = pool.requests_max.zip(fields.get("requests_max"))
        && requests > pool.connections_max
        && protocol == Protocol::Http1
    {
        let what = format!(
            "{requests} requests to an endpoint never come about with {} connections, one for each",
            pool.connections_max
        );
        lower.problems.warn_fix(written.at, what, "raise `connections_max`, or remove `requests_max`");
    }
    pool
}
