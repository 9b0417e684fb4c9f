//! From a recording to a plan: the same requests at the same instants, faster or slower.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::{Error, Payload, REDACTED, Recording, Request, name};
use crate::expect::Expect;
use crate::plan::{Arrival, Body, Kind, SERIES_MAX, Scenario, Step};
use crate::report::figures::digits;
use crate::template::Template;

/// What is sent for a body that was not kept: so many bytes at most.
const FILLER_MAX: usize = 1 << 20;
/// What steps are called whose own names are too many.
const OTHER: &str = "other";

/// Greatest speed that is offered to make up for a sample.
const SPEED_MAX: f64 = 1_000.0;

/// How to send a recording again.
#[derive(Clone, Debug)]
pub struct Replay {
    /// How many times as fast; more than 0.
    pub speed: f64,
    /// Whether `Host` is the recorded one and not the target's.
    pub keep_host: bool,
    /// Longest time for a request.
    pub timeout: Duration,
    /// What answers must be like. The usual: a status below 500, for what clients did wrong they do wrong again.
    pub expect: Vec<Expect>,
}

/// The parts of a plan that come from a recording.
#[derive(Clone, Debug)]
pub struct Parts {
    /// One for each request that differs from the others.
    pub scenarios: Vec<Scenario>,
    /// When which of them is sent, in the order of time; the first one at once.
    pub arrivals: Arc<[Arrival]>,
    /// From the first to the last.
    pub length: Duration,
    /// What is not sent as it was, for people.
    pub notes: Vec<String>,
    /// That only a share of the requests was recorded, what that does to the rate, and what to do about it;
    /// `None`: the recording is whole, as far as it says.
    pub sampled: Option<String>,
}

impl Replay {
    /// At so many times the recorded speed, with recorded hosts.
    #[must_use]
    pub fn at(speed: f64) -> Self {
        let expect = Expect::parse_status("<500").expect("it is a set of statuses");
        Self { speed, keep_host: true, timeout: Duration::from_secs(10), expect: vec![expect] }
    }
}

impl Recording {
    /// Scenarios and arrivals that send this again.
    ///
    /// # Errors
    /// If there is nothing to send, or the speed is not a number above 0 that keeps the length in bounds.
    pub fn plan_parts(&self, replay: &Replay) -> Result<Parts, Error> {
        let refuse = |what: &str| Error { line: 0, what: what.to_owned() };
        let first = self.entries.iter().map(|(at, _)| *at).min();
        let first = first.ok_or_else(|| refuse("there is no request in it"))?;
        let slow =
            refuse("the speed is a number above 0, such as 2 or 0.5, and the replay no longer than a year");
        let year = Duration::from_secs(366 * 86_400);
        let mut arrivals = Vec::with_capacity(self.entries.len());
        for (at, scenario) in &self.entries {
            let seconds = (*at - first).as_secs_f64() / replay.speed;
            let at = Duration::try_from_secs_f64(seconds).ok().filter(|at| *at <= year && replay.speed > 0.0);
            arrivals.push(Arrival { at: at.ok_or_else(|| slow.clone())?, scenario: *scenario });
        }
        arrivals.sort_by_key(|arrival| arrival.at);
        let names = self.names();
        let mut fillers = Fillers::default();
        let scenarios: Vec<_> = self
            .requests
            .iter()
            .zip(names)
            .map(|(request, name)| scenario(request, name, replay, &mut fillers))
            .collect();
        let length = arrivals.last().map_or(Duration::ZERO, |last| last.at);
        Ok(Parts {
            scenarios,
            arrivals: arrivals.into(),
            length,
            notes: self.notes(&fillers),
            sampled: self.sampled(replay.speed),
        })
    }

    /// A name for each request; if there are too many, those less often sent share one.
    fn names(&self) -> Vec<String> {
        let names: Vec<_> =
            self.requests.iter().map(|request| name::name(&request.method, &request.target)).collect();
        let mut counts: HashMap<&str, u64> = HashMap::new();
        for (_, index) in &self.entries {
            if let Some(name) = names.get(*index as usize) {
                *counts.entry(name).or_default() += 1;
            }
        }
        if counts.len() <= SERIES_MAX {
            return names;
        }
        let mut ranked: Vec<_> = counts.into_iter().collect();
        ranked.sort_by(|(a, a_count), (b, b_count)| b_count.cmp(a_count).then(a.cmp(b)));
        let kept: HashSet<&str> = ranked.into_iter().take(SERIES_MAX - 1).map(|(name, _)| name).collect();
        names.iter().map(|name| if kept.contains(name.as_str()) { name } else { OTHER }.to_owned()).collect()
    }

    fn sampled(&self, speed: f64) -> Option<String> {
        let sample = self.sample.filter(|sample| *sample > 0.0 && *sample < 1.0)?;
        let holds = format!("the recording holds {} of the requests", percent(sample));
        let (all, rate) = (1.0 / sample, speed * sample);
        Some(match rate {
            0.99..=1.01 => format!("{holds}: speed {} makes up for it", digits(speed)),
            _ if all > SPEED_MAX => {
                format!(
                    "{holds}: speed {} is {} of the rate; record with `sample: 100%`",
                    digits(speed),
                    percent(rate)
                )
            }
            _ => format!(
                "{holds}: speed {} is {} of the rate; use `--speed {}`, or record with `sample: 100%`",
                digits(speed),
                percent(rate),
                (all * 100.0).round() / 100.0,
            ),
        })
    }

    fn notes(&self, fillers: &Fillers) -> Vec<String> {
        let mut notes: Vec<_> = self.skipped.notes().collect();
        if fillers.used > 0 {
            notes.push(format!(
                "{} different requests had bodies that were not kept: `x` is sent instead, up to {FILLER_MAX} bytes",
                fillers.used
            ));
        }
        let mut redacted: Vec<_> = self
            .requests()
            .flat_map(|request| &request.headers)
            .filter(|(_, value)| value == REDACTED)
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        redacted.sort();
        redacted.dedup();
        if !redacted.is_empty() {
            notes.push(format!(
                "values were redacted, so these headers are not sent: {}",
                redacted.join(", ")
            ));
        }
        if self.requests().any(|request| request.target.contains(REDACTED)) {
            notes.push(format!("some queries hold `{REDACTED}` in the place of a secret"));
        }
        notes
    }
}

/// 0.01 as `1 %`.
pub(super) fn percent(share: f64) -> String {
    format!("{} %", digits(share * 100.0))
}

fn scenario(request: &Request, name: String, replay: &Replay, fillers: &mut Fillers) -> Scenario {
    let Replay { speed: _, keep_host, timeout, expect } = replay;
    let host = Some(("host", request.host.as_str())).filter(|(_, host)| *keep_host && !host.is_empty());
    let fields = request.headers.iter().filter(|(_, value)| value != REDACTED);
    let headers = host
        .into_iter()
        .chain(fields.map(|(name, value)| (name.as_str(), value.as_str())))
        .map(|(name, value)| (name.to_owned(), Template::text(value)))
        .collect();
    let body = match &request.body {
        Payload::Kept(body) if body.is_empty() => Body::None,
        Payload::Kept(body) => Body::Bytes(body.as_slice().into()),
        Payload::Omitted(0) => Body::None,
        Payload::Omitted(bytes) => Body::Bytes(fillers.take(*bytes)),
    };
    let step = Step {
        kind: Kind::Http,
        name: name.clone(),
        method: request.method.clone(),
        path: Template::text(request.target.as_str()),
        headers,
        body,
        timeout: *timeout,
        think: (Duration::ZERO, Duration::ZERO),
        capture: Vec::new(),
        expect: expect.clone(),
        tags: Vec::new(),
    };
    Scenario { name, weight: 1, steps: vec![step], tags: Vec::new() }
}

/// Bodies of `x`. Lengths are rounded up to powers of two, so that few have to be kept.
#[derive(Default)]
struct Fillers {
    made: HashMap<usize, Arc<[u8]>>,
    /// How often one was taken.
    used: usize,
}

impl Fillers {
    fn take(&mut self, bytes: u64) -> Arc<[u8]> {
        self.used += 1;
        let bytes = usize::try_from(bytes).unwrap_or(FILLER_MAX).min(FILLER_MAX).next_power_of_two();
        Arc::clone(self.made.entry(bytes).or_insert_with(|| vec![b'x'; bytes].into()))
    }
}
