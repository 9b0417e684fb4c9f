//! The control plane in small: what is known of each endpoint, and who may be picked because of it.

use std::collections::BTreeMap;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_policy::health::{self, Health, State};
use forebay_policy::outlier::{self, Ejection, Window, compare, may_eject};
use forebay_policy::select::{Candidate, Selection, select};

use crate::story::Story;

pub(crate) const HEALTH: health::Rules = health::Rules {
    rise: 2,
    fall: 2,
    interval: Duration::from_secs(2),
    fast_interval: Duration::from_millis(250),
};
const OUTLIER: outlier::Rules = outlier::Rules { error_ratio: 20, latency_factor: 5, requests_min: 20 };
const CONNECT_FAILURES: u32 = 3;
const FAILURES: u32 = 5;
const EJECT_FOR: Duration = Duration::from_secs(3);
const EJECT_FOR_MAX: Duration = Duration::from_secs(20);
/// Percent.
pub(crate) const EJECTED_MAX: u8 = 50;

/// What is known of one endpoint.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) weight: u32,
    pub(crate) priority: u8,
    pub(crate) health: Health,
    pub(crate) ejection: Ejection,
    pub(crate) in_flight: u32,
    /// When its slow start began.
    since: Option<Instant>,
    connect_failures: u32,
    failures: u32,
    window: Window,
    latencies: (Duration, u32),
}

impl Member {
    pub(crate) fn new(weight: u32, priority: u8) -> Self {
        Self {
            weight,
            priority,
            health: Health::new(),
            ejection: Ejection::default(),
            in_flight: 0,
            since: None,
            connect_failures: 0,
            failures: 0,
            window: Window::default(),
            latencies: (Duration::ZERO, 0),
        }
    }

    pub(crate) fn is_usable(&self) -> bool {
        self.health.state() == State::Up && self.ejection.until().is_none()
    }

    fn ramp(&self, now: Instant, slow_start: Duration) -> f32 {
        let Some(since) = self.since else { return 1.0 };
        if slow_start.is_zero() { 1.0 } else { now.since(since).as_secs_f32() / slow_start.as_secs_f32() }
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    Answered,
    Failed,
    TimedOut,
    NotConnected,
}

/// See the module.
pub(crate) struct Control {
    pub(crate) members: BTreeMap<u64, Member>,
    slow_start: Duration,
    panic_below: u8,
}

impl Control {
    pub(crate) fn new(slow_start: Duration, panic_below: u8) -> Self {
        Self { members: BTreeMap::new(), slow_start, panic_below }
    }

    /// A member leaves. As fewer are left, fewer may be ejected: those who would be back soonest are.
    pub(crate) fn remove(&mut self, endpoint: u64, now: Instant) -> Option<Member> {
        let gone = self.members.remove(&endpoint);
        while self.ejected() > 0 && !may_eject(self.ejected() - 1, self.members.len(), EJECTED_MAX) {
            let ejected = self.members.values_mut().filter(|member| member.ejection.until().is_some());
            let Some(member) = ejected.min_by_key(|member| member.ejection.until()) else { break };
            member.ejection.end(now);
        }
        gone
    }

    pub(crate) fn ejected(&self) -> usize {
        self.members.values().filter(|member| member.ejection.until().is_some()).count()
    }

    /// A check has ended. The new state if it changed.
    pub(crate) fn checked(&mut self, endpoint: u64, ok: bool, now: Instant) -> Option<State> {
        let member = self.members.get_mut(&endpoint)?;
        let before = member.health.state();
        let changed = member.health.record(&HEALTH, ok)?;
        if changed == State::Up && before == State::Down {
            member.since = Some(now);
        }
        Some(changed)
    }

    /// A newcomer starts slowly from when it can be picked.
    pub(crate) fn start_slowly(&mut self, endpoint: u64, now: Instant) {
        if let Some(member) = self.members.get_mut(&endpoint) {
            member.since = Some(now);
        }
    }

    /// A request has ended. Whether an endpoint was ejected because of it.
    pub(crate) fn ended(
        &mut self,
        endpoint: u64,
        outcome: Outcome,
        latency: Duration,
        now: Instant,
        story: &mut Story,
    ) -> bool {
        let Some(member) = self.members.get_mut(&endpoint) else { return false };
        member.in_flight -= 1;
        member.window.requests += 1;
        let failed = outcome != Outcome::Answered;
        if failed {
            story.failed += 1;
            member.window.failures += 1;
            member.failures += 1;
        } else {
            member.failures = 0;
        }
        member.connect_failures =
            if outcome == Outcome::NotConnected { member.connect_failures + 1 } else { 0 };
        if matches!(outcome, Outcome::Answered | Outcome::TimedOut) {
            member.latencies = (member.latencies.0 + latency, member.latencies.1 + 1);
        }
        if member.connect_failures >= CONNECT_FAILURES || member.failures >= FAILURES {
            return self.eject(endpoint, now, story);
        }
        false
    }

    fn eject(&mut self, endpoint: u64, now: Instant, story: &mut Story) -> bool {
        let may = may_eject(self.ejected(), self.members.len(), EJECTED_MAX);
        let Some(member) = self.members.get_mut(&endpoint) else { return false };
        let ejects = may && member.ejection.until().is_none();
        if ejects {
            member.ejection.begin(now, EJECT_FOR, EJECT_FOR_MAX);
            member.failures = 0;
            member.connect_failures = 0;
            story.ejected += 1;
        }
        ejects
    }

    /// A window is over: endpoints are compared.
    pub(crate) fn compare(&mut self, now: Instant, story: &mut Story) {
        let mut windows = Vec::new();
        for member in self.members.values_mut() {
            let (sum, count) = std::mem::take(&mut member.latencies);
            windows.push(Window { latency: sum.checked_div(count), ..std::mem::take(&mut member.window) });
        }
        let ids: Vec<u64> = self.members.keys().copied().collect();
        for (endpoint, cause) in ids.into_iter().zip(compare(&OUTLIER, &windows)) {
            if cause.is_some() {
                self.eject(endpoint, now, story);
            }
        }
    }

    /// Time has passed: who has been out long enough comes back, slowly.
    pub(crate) fn tick(&mut self, now: Instant) {
        for member in self.members.values_mut() {
            if member.ejection.until().is_some_and(|until| until <= now) {
                member.ejection.end(now);
                member.since = Some(now);
            }
            member.ejection.well(now, EJECT_FOR);
        }
    }

    /// Who may be picked, by id.
    pub(crate) fn select(&self, now: Instant) -> (Selection, Vec<(u64, u32)>) {
        let candidate = |member: &Member| Candidate {
            usable: member.is_usable(),
            weight: member.weight,
            priority: member.priority,
            ramp: member.ramp(now, self.slow_start),
        };
        let candidates: Vec<Candidate> = self.members.values().map(candidate).collect();
        let selection = select(&candidates, self.panic_below);
        let ids: Vec<u64> = self.members.keys().copied().collect();
        let roster = selection.picks.iter().map(|(n, weight)| (ids[*n], *weight)).collect();
        (selection, roster)
    }
}
