//! Endpoints that treat requests badly: left out, tried, and taken back.

use std::fmt::Write as _;

use forebay_base::time::Instant;
use forebay_net::address::Address;
use forebay_policy::outlier::{self, Cause, Ejection};

use super::super::member::{Ejected, Member, Tally, first_trial};
use super::{Means, Service};
use crate::plan;

impl Service {
    /// Leaves an endpoint out, if not too many are already.
    pub(in super::super) fn eject(
        &mut self,
        address: &Address,
        cause: Cause,
        detail: &str,
        means: &mut Means<'_>,
        now: Instant,
    ) {
        let all = self.members.iter().filter(|member| !member.is_steered_out()).count();
        let ejected = self.members.iter().filter(|member| member.ejected.is_some()).count();
        let plan::Outlier { eject_for, eject_for_max, ejected_max, .. } = self.spec.outlier;
        if !outlier::may_eject(ejected, all, ejected_max) {
            return;
        }
        let Some(member) = self.find(address) else { return };
        if member.ejected.is_some() || member.is_steered_out() {
            return;
        }
        let is_first = member.ejection == Ejection::default();
        let until = member.ejection.begin(now, eject_for, eject_for_max);
        let until = first_trial(cause, is_first, now, until);
        member.ejected = Some(Ejected { cause, since: now, until, detail: detail.into(), probing: false });
        member.ejections[cause as usize] += 1;
        self.settle(means, now);
    }

    /// What time alone changes. Gives the endpoints that should be tried before they come back.
    pub(in super::super) fn tick(&mut self, means: &mut Means<'_>, now: Instant) -> Vec<Address> {
        self.memory.forget_old(now);
        if !self.members.iter().any(Member::is_busy) {
            return Vec::new();
        }
        let plan::Outlier { eject_for, failures, .. } = self.spec.outlier;
        let slow_start = self.spec.slow_start;
        let mut to_try = Vec::new();
        for member in &mut self.members {
            match &mut member.ejected {
                Some(Ejected { probing: true, .. }) => {}
                Some(ejected) if now < ejected.until => {}
                Some(ejected) if ejected.cause == Cause::ConnectFailures => {
                    ejected.probing = true;
                    to_try.push(member.shared.address.clone());
                }
                // On probation: one more failure is one too many.
                Some(_) => member.readmit(now, failures.saturating_sub(1)),
                None => member.ejection.well(now, eject_for),
            }
            if member.ramping.is_some_and(|began| now.since(began) >= slow_start) {
                member.ramping = None;
            }
        }
        self.settle(means, now);
        to_try
    }

    /// An endpoint was tried: an ejected one, or a suspect.
    pub(in super::super) fn tried(
        &mut self,
        address: &Address,
        result: Result<(), Box<str>>,
        means: &mut Means<'_>,
        now: Instant,
    ) {
        let eject_for = self.spec.outlier.eject_for;
        let Some(member) = self.find(address) else { return };
        let suspect = std::mem::take(&mut member.suspect);
        match (member.ejected.as_mut().filter(|ejected| ejected.probing), result) {
            (Some(_), Ok(())) => {
                member.readmit(now, 0);
                self.settle(means, now);
            }
            (Some(ejected), Err(detail)) => {
                // No new ejection, only the same one that goes on.
                ejected.until = ejected.next_trial(now, eject_for);
                ejected.detail = detail;
                ejected.probing = false;
            }
            (None, Err(detail)) if suspect => {
                let detail = format!("its host acknowledged nothing, and is {detail}");
                self.eject(address, Cause::ConnectFailures, &detail, means, now);
            }
            (None, _) => {}
        }
    }

    /// Compares the endpoints with each other, once per window. `tally` says what each has done so far.
    pub(in super::super) fn compare(
        &mut self,
        tally: impl Fn(&str, &str) -> Tally,
        means: &mut Means<'_>,
        now: Instant,
    ) {
        let plan::Outlier { error_ratio, latency_factor, requests_min, window, .. } = self.spec.outlier;
        if now < self.window_end || (error_ratio == 0 && latency_factor == 0) {
            return;
        }
        self.window_end = now + window;
        let service = self.spec.name.clone();
        let mut windows = Vec::with_capacity(self.members.len());
        for member in &mut self.members {
            let so_far = tally(&service, &member.shared.name);
            windows.push(so_far.since(member.tally));
            member.tally = so_far;
        }
        let rules = outlier::Rules { error_ratio, latency_factor, requests_min };
        let causes = outlier::compare(&rules, &windows);
        let worst: Vec<(Address, Cause, String)> = self
            .members
            .iter()
            .zip(causes)
            .zip(&windows)
            .filter_map(|((member, cause), window)| Some((member.address().clone(), cause?, told_of(window))))
            .collect();
        for (address, cause, detail) in worst {
            self.eject(&address, cause, &detail, means, now);
        }
    }

    /// Those who have come back ejected stay so only as far as that many may be.
    pub(super) fn pardon(&mut self, back: &[Address], now: Instant) {
        let all = self.members.iter().filter(|member| !member.is_steered_out()).count();
        let mut ejected = self.members.iter().filter(|member| member.ejected.is_some()).count();
        for address in back {
            let max = self.spec.outlier.ejected_max;
            let Some(member) = self.find(address).filter(|member| member.ejected.is_some()) else {
                continue;
            };
            if !outlier::may_eject(ejected - 1, all, max) {
                member.readmit(now, 0);
                ejected -= 1;
            }
        }
    }
}

/// What a window shows, for people.
fn told_of(window: &outlier::Window) -> String {
    let mut text = format!("{} of {} requests failed", window.failures, window.requests);
    if let Some(latency) = window.latency {
        // Writing to a text does not fail.
        let _ = write!(text, ", first byte after {:.1} ms on average", latency.as_secs_f64() * 1e3);
    }
    text
}
