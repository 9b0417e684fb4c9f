//! Services and endpoints as JSON: what is known of them, and when each thing was or will be.
//!
//! A moment that was has two members: `since`, which is RFC 3339 for people, and `since_seconds_ago`. One that
//! will be has `until` and `until_in_seconds`. Seconds are measured on the clock that nobody sets.

use std::time::SystemTime;

use forebay_base::time::Instant;
use forebay_policy::{health, outlier};
use forebay_proxy::supervisor::{CheckView, EndpointView, Out, Reason, ServiceView, Source, SourceView};
use forebay_telemetry::rfc3339;
use serde_json::{Map, Value, json};

/// One moment on both clocks, so that instants become dates.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    now: Instant,
    wall: SystemTime,
}

impl Clocks {
    /// Reads both.
    pub(super) fn read() -> Self {
        Self { now: Instant::now(), wall: SystemTime::now() }
    }

    /// `name` and `name_seconds_ago`, both null if it has not been.
    fn past(self, into: &mut Value, name: &str, at: Option<Instant>) {
        let ago = at.map(|at| self.now.since(at));
        into[name] = json!(ago.map(|ago| rfc3339::text(self.wall.checked_sub(ago).unwrap_or(self.wall))));
        into[format!("{name}_seconds_ago")] = json!(ago.map(|ago| millis(ago.as_secs_f64())));
    }

    /// `name` and `name_in_seconds`, both null if nobody knows. What is overdue is now.
    fn future(self, into: &mut Value, name: &str, at: Option<Instant>) {
        let wait = at.filter(|at| *at != Instant::NEVER).map(|at| at.since(self.now));
        into[name] = json!(wait.map(|wait| rfc3339::text(self.wall.checked_add(wait).unwrap_or(self.wall))));
        into[format!("{name}_in_seconds")] = json!(wait.map(|wait| millis(wait.as_secs_f64())));
    }
}

/// A service with all its endpoints.
pub(super) fn service(view: &ServiceView, clocks: Clocks) -> Value {
    let mut value = summary(view, clocks);
    value["endpoints"] = view.endpoints.iter().map(|view| endpoint(view, clocks)).collect();
    value
}

/// A service without them, but for how many are in which state.
pub(super) fn summary(view: &ServiceView, clocks: Clocks) -> Value {
    let ServiceView { name, balance, panic, priority, waiting, sources, endpoints } = view;
    json!({
        "name": name,
        "balance": balance,
        "panic": panic,
        "priority": priority,
        "waiting": waiting,
        "states": states(endpoints),
        "sources": sources.iter().map(|view| source(view, clocks)).collect::<Vec<_>>(),
    })
}

/// One endpoint.
pub(super) fn endpoint(view: &EndpointView, clocks: Clocks) -> Value {
    let EndpointView {
        address,
        source,
        weight,
        priority,
        share,
        outs,
        ramp,
        in_flight,
        connections,
        check,
        ejections,
    } = view;
    let ejections: Map<String, Value> = outlier::Cause::ALL
        .iter()
        .zip(ejections)
        .map(|(cause, count)| (cause.label().to_owned(), json!(count)))
        .collect();
    json!({
        "address": address.to_string(),
        "state": view.state(),
        "source": source.to_string(),
        "weight": weight,
        "priority": priority,
        "share": share.map(|thousandths| f64::from(thousandths) / 1e3),
        "ramp_percent": ramp,
        "outs": outs.iter().map(|view| out(view, clocks)).collect::<Vec<_>>(),
        "in_flight": in_flight,
        "connections": connections,
        "check": check.as_ref().map(|view| self::check(view, clocks)),
        "ejections": ejections,
    })
}

/// An endpoint that stands alone, with the name of its service.
pub(super) fn endpoint_of(service: &str, view: &EndpointView, clocks: Clocks) -> Value {
    let mut value = endpoint(view, clocks);
    value["service"] = json!(service);
    value
}

/// How many endpoints are in each state; those with none are left out.
fn states(endpoints: &[EndpointView]) -> Value {
    let mut states = Map::new();
    for view in endpoints {
        let count = states.entry(view.state()).or_insert(json!(0));
        *count = json!(count.as_u64().unwrap_or(0) + 1);
    }
    states.into()
}

fn out(view: &Out, clocks: Clocks) -> Value {
    let Out { reason, since, until, detail } = view;
    let cause = if let Reason::Ejected(cause) = reason { Some(cause.label()) } else { None };
    let mut value = json!({ "reason": reason.label(), "cause": cause, "detail": detail });
    clocks.past(&mut value, "since", Some(*since));
    clocks.future(&mut value, "until", *until);
    value
}

fn check(view: &CheckView, clocks: Clocks) -> Value {
    let CheckView { state, last, next, counts: (passed, failed) } = view;
    let state = match state {
        health::State::Unchecked => "unchecked",
        health::State::Up => "up",
        health::State::Down => "down",
    };
    let last = last.as_ref().map(|(at, passed, met)| {
        let mut value = json!({ "passed": passed, "detail": met });
        clocks.past(&mut value, "at", Some(*at));
        value
    });
    let mut value = json!({ "state": state, "last": last, "passed": passed, "failed": failed });
    clocks.future(&mut value, "next", *next);
    value
}

fn source(view: &SourceView, clocks: Clocks) -> Value {
    let SourceView { source, found, denied, failing, asked, next } = view;
    let kind = match source {
        Source::Settings => "settings",
        Source::Name(_) => "name",
        Source::File => "file",
        Source::Admin => "admin",
    };
    let failing = failing.as_ref().map(|(why, since)| {
        let mut value = json!({ "why": why });
        clocks.past(&mut value, "since", Some(*since));
        value
    });
    let mut value = json!({
        "source": source.to_string(),
        "kind": kind,
        "found": found,
        "denied": denied,
        "failing": failing,
    });
    clocks.past(&mut value, "asked", *asked);
    clocks.future(&mut value, "next", *next);
    value
}

/// To the millisecond: more digits would only be noise.
fn millis(seconds: f64) -> f64 {
    (seconds * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    const fn second(second: u64) -> Instant {
        Instant::from_nanos(second * 1_000_000_000)
    }

    /// Second 100 of the process is second 1,000 of 1970.
    fn clocks() -> Clocks {
        Clocks { now: second(100), wall: UNIX_EPOCH + Duration::from_secs(1_000) }
    }

    #[test]
    fn what_was_and_what_will_be_have_dates() {
        let mut value = json!({});
        clocks().past(&mut value, "since", Some(second(90)));
        clocks().future(&mut value, "until", Some(second(160)));
        clocks().future(&mut value, "next", Some(second(99)));
        assert_eq!(
            value,
            json!({
                "since": "1970-01-01T00:16:30.000Z", "since_seconds_ago": 10.0,
                "until": "1970-01-01T00:17:40.000Z", "until_in_seconds": 60.0,
                "next": "1970-01-01T00:16:40.000Z", "next_in_seconds": 0.0,
            })
        );
    }

    #[test]
    fn what_never_was_or_will_be_is_null() {
        let mut value = json!({});
        clocks().past(&mut value, "asked", None);
        clocks().future(&mut value, "next", Some(Instant::NEVER));
        assert_eq!(
            value,
            json!({ "asked": null, "asked_seconds_ago": null, "next": null, "next_in_seconds": null })
        );
    }

    #[test]
    fn an_endpoint_says_why_it_is_out() {
        let view = EndpointView {
            address: std::net::SocketAddr::from(([10, 0, 0, 1], 80)).into(),
            source: Source::Name("app.test:80".into()),
            weight: 2,
            priority: 1,
            share: None,
            outs: vec![Out {
                reason: Reason::Ejected(outlier::Cause::ConnectFailures),
                since: second(98),
                until: Some(second(103)),
                detail: "3 connections in a row failed".into(),
            }],
            ramp: None,
            in_flight: 3,
            connections: 4,
            check: Some(CheckView {
                state: health::State::Down,
                last: Some((second(99), false, "connection refused".into())),
                next: Some(second(101)),
                counts: (7, 2),
            }),
            ejections: [1, 0, 0, 0],
        };
        let value = endpoint_of("shop", &view, clocks());
        assert_eq!(value["state"], "ejected");
        assert_eq!(value["service"], "shop");
        assert_eq!(value["source"], "name app.test:80");
        assert_eq!(value["outs"][0]["cause"], "connect_failures");
        assert_eq!(value["outs"][0]["until_in_seconds"], 3.0);
        assert_eq!(value["check"]["last"]["detail"], "connection refused");
        assert_eq!(value["check"]["last"]["at_seconds_ago"], 1.0);
        assert_eq!(value["ejections"]["connect_failures"], 1);
        assert_eq!(value["share"], Value::Null);
    }
}
