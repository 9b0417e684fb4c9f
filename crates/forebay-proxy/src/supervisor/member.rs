//! One endpoint, and everything that speaks for and against it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::address::Address;
use forebay_policy::health::{Health, Rules, State};
use forebay_policy::outlier::{Cause, Ejection, Window};

use super::view::{CheckView, Out, Reason, Source, Steer};
use crate::upstream::Shared;

/// Shares grow in so many steps, so that workers need not follow every moment.
const RAMP_STEPS: u64 = 20;
/// An endpoint that cannot be connected to is tried so soon, and then never more often,
const TRIAL_FIRST: Duration = Duration::from_secs(1);
/// nor less often than this.
const TRIAL_LAST: Duration = Duration::from_secs(5);
/// A check that has passed says nothing any more after so many of its intervals.
const CHECK_AGE_MAX: u32 = 3;

/// See the module.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) shared: Arc<Shared>,
    pub(super) source: Source,
    pub(super) weight: u32,
    pub(super) priority: u8,
    /// Tells it from another that comes to the same address, or is checked in another way.
    pub(super) id: u64,
    pub(super) health: Health,
    /// Since when its checks fail.
    pub(super) unhealthy: Instant,
    pub(super) last: Option<(Instant, bool, Box<str>)>,
    pub(super) next: Option<Instant>,
    pub(super) checks: (u64, u64),
    pub(super) ejected: Option<Ejected>,
    /// It is being tried whether it is still there.
    pub(super) suspect: bool,
    pub(super) ejection: Ejection,
    pub(super) ejections: [u64; Cause::ALL.len()],
    pub(super) wish: Option<(Steer, Instant)>,
    /// Since when nothing was known of its health, if nothing is.
    pub(super) unchecked: Instant,
    /// When its share began to grow.
    pub(super) ramping: Option<Instant>,
    /// Since when it has been out, as was logged.
    pub(super) out_since: Option<Instant>,
    /// In thousandths, as published.
    pub(super) share: Option<u32>,
    pub(super) tally: Tally,
}

/// Why and since when an endpoint is ejected.
#[derive(Clone, Debug)]
pub(super) struct Ejected {
    pub(super) cause: Cause,
    pub(super) since: Instant,
    pub(super) until: Instant,
    pub(super) detail: Box<str>,
    /// It is being tried whether it can be reached again.
    pub(super) probing: bool,
}

/// What an endpoint has done so far, by all workers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests that have ended, and connections that could not be opened.
    pub requests: u64,
    /// Of those, the failed ones.
    pub failures: u64,
    /// Responses that have begun.
    pub answers: u64,
    /// How long all of them took to begin, in nanoseconds.
    pub waited: u64,
}

impl Tally {
    /// What came since `before`.
    pub(super) fn since(self, before: Self) -> Window {
        let answers = self.answers.saturating_sub(before.answers);
        let waited = self.waited.saturating_sub(before.waited);
        Window {
            requests: self.requests.saturating_sub(before.requests),
            failures: self.failures.saturating_sub(before.failures),
            latency: waited.checked_div(answers).map(Duration::from_nanos),
        }
    }
}

impl Member {
    pub(super) fn address(&self) -> &Address {
        &self.shared.address
    }

    /// An operator has taken it out.
    pub(super) fn is_steered_out(&self) -> bool {
        self.wish.is_some()
    }

    /// The first reason why it is out. `checked`: the service has a health check.
    pub(super) fn out(&self, checked: bool) -> Option<Reason> {
        let wish = self.wish.map(|(steer, _)| reason_of(steer));
        let health = match self.health.state() {
            State::Down if checked => Some(Reason::Unhealthy),
            State::Unchecked if checked => Some(Reason::Unchecked),
            _ => None,
        };
        let ejected = self.ejected.as_ref().map(|ejected| Reason::Ejected(ejected.cause));
        wish.or(health).or(ejected)
    }

    /// Every reason why it is out, the most deliberate first.
    pub(super) fn outs(&self, checked: bool) -> Vec<Out> {
        let mut outs = Vec::new();
        if let Some((steer, since)) = self.wish {
            let detail = match steer {
                Steer::Disable => "until it is enabled: no requests, no checks",
                Steer::Drain | Steer::Enable => "until it is enabled: no new requests",
            };
            outs.push(Out { reason: reason_of(steer), since, until: None, detail: detail.into() });
        }
        let met = || self.last.as_ref().map_or_else(Box::default, |(_, _, detail)| detail.clone());
        match self.health.state() {
            State::Down if checked => outs.push(Out {
                reason: Reason::Unhealthy,
                since: self.unhealthy,
                until: self.next,
                detail: met(),
            }),
            State::Unchecked if checked => {
                let since = self.unchecked;
                outs.push(Out { reason: Reason::Unchecked, since, until: self.next, detail: met() });
            }
            _ => {}
        }
        if let Some(Ejected { cause, since, until, detail, .. }) = &self.ejected {
            outs.push(Out {
                reason: Reason::Ejected(*cause),
                since: *since,
                until: Some(*until),
                detail: detail.clone(),
            });
        }
        outs
    }

    /// It does not answer, as far as is known.
    pub(super) fn is_lost(&self, checked: bool) -> bool {
        let unreachable =
            self.ejected.as_ref().is_some_and(|ejected| ejected.cause == Cause::ConnectFailures);
        unreachable || (checked && self.health.state() == State::Down)
    }

    /// How far its share has grown, from 0 to 1.
    pub(super) fn ramp(&self, slow_start: Duration, now: Instant) -> f32 {
        let Some(began) = self.ramping else { return 1.0 };
        let whole = slow_start.as_nanos().max(1);
        let steps = now.since(began).as_nanos() * u128::from(RAMP_STEPS) / whole;
        u64::try_from(steps).unwrap_or(RAMP_STEPS).min(RAMP_STEPS) as f32 / RAMP_STEPS as f32
    }

    pub(super) fn check(&self) -> CheckView {
        CheckView {
            state: self.health.state(),
            last: self.last.clone(),
            next: self.next,
            counts: self.checks,
        }
    }

    /// Something changes with time alone.
    pub(super) fn is_busy(&self) -> bool {
        self.ejected.is_some() || self.ramping.is_some() || self.ejection != Ejection::default()
    }

    /// Nothing is known of its health any more: it was not checked for a while.
    pub(super) fn doubt(&mut self, now: Instant) {
        self.health = Health::new();
        self.unchecked = now;
        self.next = None;
    }

    /// It has been away, and is the same one still. Its failures stay, for they say what to expect; that it was up
    /// holds only if a check said so lately. `rules`: those of the check of the service, if it has one.
    pub(super) fn come_back(&mut self, rules: Option<&Rules>, now: Instant) {
        self.next = None;
        self.suspect = false;
        if let Some(ejected) = &mut self.ejected {
            // Nobody has heard what came of it.
            ejected.probing = false;
        }
        let Some(rules) = rules else { return };
        let lately = |(at, _, _): &(Instant, bool, Box<str>)| {
            now.since(*at) <= rules.interval.saturating_mul(CHECK_AGE_MAX)
        };
        let is_disabled = matches!(self.wish, Some((Steer::Disable, _)));
        if is_disabled || (self.health.state() == State::Up && !self.last.as_ref().is_some_and(lately)) {
            self.doubt(now);
        }
    }

    /// The ejection is over; the next failures count from `failing` and `unreachable`.
    pub(super) fn readmit(&mut self, now: Instant, failing: u32) {
        self.ejected = None;
        self.ejection.end(now);
        self.shared.failing.store(failing, Ordering::Relaxed);
        self.shared.unreachable.store(0, Ordering::Relaxed);
    }
}

impl Ejected {
    /// When it is tried again after a trial that failed: when it has been out for another quarter of the time it
    /// has been out already. So one that was away for a moment is found at once, and one that stays away costs
    /// little. `eject_for` may make it sooner.
    pub(super) fn next_trial(&self, now: Instant, eject_for: Duration) -> Instant {
        now + (now.since(self.since) / 4).clamp(TRIAL_FIRST, TRIAL_LAST).min(eject_for)
    }
}

/// When an ejected endpoint may come back that was to be left out until `until`. `first`: it is not one that comes
/// and goes. Whether it can be connected to is known by trying, so that is not waited for so long.
pub(super) fn first_trial(cause: Cause, first: bool, now: Instant, until: Instant) -> Instant {
    if cause == Cause::ConnectFailures && first { until.min(now + TRIAL_FIRST) } else { until }
}

const fn reason_of(steer: Steer) -> Reason {
    match steer {
        Steer::Disable => Reason::Disabled,
        Steer::Drain | Steer::Enable => Reason::Drained,
    }
}
