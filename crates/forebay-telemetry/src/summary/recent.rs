//! What is going on now: rates and percentiles of the last seconds, and a few minutes to draw.
//!
//! Counters only say what happened since the start. The recorder looks at them at every tick and keeps the
//! differences: one sample per tick for all traffic, and a window of the last 10 to 20 seconds for each of the
//! busiest routes and endpoints.

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use forebay_base::time::Instant;
use serde_json::{Value, json};

use super::{Latency, Summary, busiest_endpoints, busiest_routes, seconds};
use crate::collect::{ByClass, Collected};
use crate::metric::Snapshot;
use crate::stats::{Class, EndpointName, Telemetry};

/// Samples kept: five minutes at a tick per second.
const SAMPLES_MAX: usize = 300;
/// Routes, and endpoints, watched and shown: the busiest. Each costs about 8 KiB.
const ROWS_MAX: usize = 100;
/// The window of a row is between one and two of these.
const WINDOW: Duration = Duration::from_secs(10);

/// Rates and percentiles over a short time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Recent {
    /// The time looked at.
    pub window: Duration,
    /// Requests that ended in it.
    pub requests: u64,
    /// Of these, 5xx.
    pub errors: u64,
    /// How long they took.
    pub duration: Latency,
}

/// Looks at the counters now and then, and remembers.
#[derive(Debug, Default)]
pub struct Recorder {
    samples: VecDeque<Sample>,
    last: Option<Mark>,
    last_cpu: Option<(Instant, Duration)>,
    routes: HashMap<Box<str>, Window>,
    endpoints: HashMap<EndpointName, Window>,
    window_began: Option<Instant>,
    summary: Summary,
}

/// All traffic between two ticks.
#[derive(Clone, Copy, Debug)]
struct Sample {
    recent: Recent,
    in_flight: i64,
    connections: i64,
    /// Processors used: 1.0 is one of them all the time.
    cpu: f64,
    resident_bytes: u64,
}

/// The counters at a moment.
#[derive(Clone, Debug)]
struct Mark {
    at: Instant,
    by_class: ByClass,
    durations: Snapshot,
}

/// Two moments to compare with: the older one is used, the newer one replaces it when the window moves on.
#[derive(Clone, Debug)]
struct Window {
    older: Mark,
    newer: Mark,
    recent: Recent,
}

impl Recent {
    /// Requests per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        ratio(self.requests, self.window.as_secs_f64())
    }

    /// The share of errors among the requests, 0 to 1; 0 if there were none.
    #[must_use]
    pub fn error_share(&self) -> f64 {
        ratio(self.errors, ratio(self.requests, 1.0))
    }

    fn to_json(self) -> Value {
        json!({
            "window_seconds": self.window.as_secs_f64(),
            "requests_per_second": self.rate(),
            "error_share": self.error_share(),
            "duration": self.duration.to_json(),
        })
    }
}

impl Recorder {
    /// One that has seen nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Looks at the counters. To be called about once a second.
    pub fn tick(&mut self, telemetry: &Telemetry, now: Instant) {
        let collected = Collected::from(telemetry);
        self.summary = Summary::from(telemetry, &collected, ROWS_MAX);
        self.sample(&collected, now);
        let moves_on = self.window_began.is_none_or(|began| now.since(began) >= WINDOW);
        if moves_on {
            self.window_began = Some(now);
        }
        let rows = busiest_routes(&collected, ROWS_MAX).map(|route| {
            (route.name.clone(), Mark { at: now, by_class: route.requests, durations: route.duration() })
        });
        watch(&mut self.routes, rows, moves_on);
        let rows = busiest_endpoints(&collected, ROWS_MAX).map(|endpoint| {
            let mark = Mark { at: now, by_class: endpoint.responses, durations: endpoint.first_byte() };
            ((endpoint.service.clone(), endpoint.address.clone()), mark)
        });
        watch(&mut self.endpoints, rows, moves_on);
    }

    /// The newest sample of all traffic; nothing before the second tick.
    #[must_use]
    pub fn recent(&self) -> Option<Recent> {
        self.samples.back().map(|sample| sample.recent)
    }

    /// The summary of the last tick, with what is recent beside what is since the start, and the samples to
    /// draw as one array per quantity, the oldest first; null where there was nothing to measure.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut value = self.summary.to_json();
        value["recent"] = self.recent().unwrap_or_default().to_json();
        value["recent"]["cpu"] = json!(self.samples.back().map_or(0.0, |sample| sample.cpu));
        for (row, route) in self.summary.routes.iter().enumerate() {
            value["routes"][row]["recent"] = recent_json(self.routes.get(&route.name));
        }
        for (row, endpoint) in self.summary.endpoints.iter().enumerate() {
            let name = (endpoint.service.clone(), endpoint.address.clone());
            value["endpoints"][row]["recent"] = recent_json(self.endpoints.get(&name));
        }
        value["history"] = self.history_json();
        value
    }

    fn sample(&mut self, collected: &Collected, now: Instant) {
        let mark = Mark { at: now, by_class: collected.requests, durations: collected.duration() };
        let usage = self.summary.usage.unwrap_or_default();
        let cpu_before = self.last_cpu.replace((now, usage.cpu));
        let Some(last) = self.last.replace(mark.clone()) else { return };
        if self.samples.len() == SAMPLES_MAX {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample {
            recent: mark.since(&last),
            in_flight: self.summary.total.in_flight,
            connections: collected.connections.active,
            cpu: cpu_before.map_or(0.0, |(at, cpu)| {
                let spent = usage.cpu.saturating_sub(cpu).as_secs_f64();
                if now > at { spent / now.since(at).as_secs_f64() } else { 0.0 }
            }),
            resident_bytes: usage.resident_bytes,
        });
    }

    fn history_json(&self) -> Value {
        let each = |quantity: fn(&Sample) -> Value| self.samples.iter().map(quantity).collect::<Vec<_>>();
        json!({
            "requests_per_second": each(|sample| json!(sample.recent.rate())),
            "error_share": each(|sample| json!(sample.recent.error_share())),
            "p50": each(|sample| measured(&sample.recent.duration, |duration| duration.p50)),
            "p95": each(|sample| measured(&sample.recent.duration, |duration| duration.p95)),
            "p99": each(|sample| measured(&sample.recent.duration, |duration| duration.p99)),
            "in_flight": each(|sample| json!(sample.in_flight)),
            "connections": each(|sample| json!(sample.connections)),
            "cpu": each(|sample| json!(sample.cpu)),
            "resident_bytes": each(|sample| json!(sample.resident_bytes)),
        })
    }
}

impl Mark {
    fn since(&self, earlier: &Self) -> Recent {
        let mut grown = self.by_class;
        for (count, before) in grown.iter_mut().zip(&earlier.by_class) {
            *count = count.saturating_sub(*before);
        }
        Recent {
            window: self.at.since(earlier.at),
            requests: grown.iter().sum(),
            errors: grown[Class::ServerError as usize],
            duration: Latency::of(&self.durations.since(&earlier.durations)),
        }
    }
}

/// Brings the windows of the rows up to date and forgets those of other rows.
fn watch<Name: std::hash::Hash + Eq>(
    windows: &mut HashMap<Name, Window>,
    rows: impl Iterator<Item = (Name, Mark)>,
    moves_on: bool,
) {
    let mut before = std::mem::take(windows);
    for (name, mark) in rows {
        let window = match before.remove(&name) {
            Some(window) => window.advanced(mark, moves_on),
            None => Window::starting(mark),
        };
        windows.insert(name, window);
    }
}

impl Window {
    /// The first look at a row says nothing about when its requests were: it shows none.
    fn starting(mark: Mark) -> Self {
        Self { older: mark.clone(), recent: Recent::default(), newer: mark }
    }

    fn advanced(self, mark: Mark, moves_on: bool) -> Self {
        let recent = mark.since(&self.older);
        if moves_on { Self { older: self.newer, newer: mark, recent } } else { Self { recent, ..self } }
    }
}

fn recent_json(window: Option<&Window>) -> Value {
    window.map_or(Recent::default(), |window| window.recent).to_json()
}

/// A quantile in seconds, or null where nothing was measured.
fn measured(duration: &Latency, quantile: fn(&Latency) -> u64) -> Value {
    if duration.count == 0 { Value::Null } else { json!(seconds(quantile(duration))) }
}

/// `part / whole`, or 0 if there is no whole.
#[expect(
    clippy::cast_precision_loss,
    reason = "rates for people: counts past 2^53 lose nothing that matters"
)]
fn ratio(part: u64, whole: f64) -> f64 {
    if whole > 0.0 { part as f64 / whole } else { 0.0 }
}
