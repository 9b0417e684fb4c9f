//! What must hold after every step, worked out another way than the deciders do.

use std::collections::BTreeMap;

use forebay_policy::health::State;

use crate::control::{Control, EJECTED_MAX, HEALTH, Member};

/// Results of checks since the state of an endpoint last changed, by endpoint.
#[derive(Default)]
pub(crate) struct Judge {
    results: BTreeMap<u64, Vec<bool>>,
}

/// The sums a bound is worked out from, before a request is placed.
pub(crate) struct Sums {
    pub(crate) total: u64,
    pub(crate) weights: u64,
}

impl Sums {
    pub(crate) fn of(roster: &[(u64, u32)], members: &BTreeMap<u64, Member>) -> Self {
        let load = |id: u64| members.get(&id).map_or(0, |member| u64::from(member.in_flight));
        let total = roster.iter().map(|(id, _)| load(*id)).sum();
        Self { total, weights: roster.iter().map(|(_, weight)| u64::from(*weight)).sum() }
    }
}

/// Who is picked is there, and usable unless there is panic.
pub(crate) fn check_pick(picked: u64, members: &BTreeMap<u64, Member>, panic: bool) -> Result<(), String> {
    let Some(member) = members.get(&picked) else { return Err(format!("{picked} is not there")) };
    if panic || member.is_usable() { Ok(()) } else { Err(format!("{picked} is not usable: {member:?}")) }
}

/// Who was picked has no more than 5/4 of its share, rounded up.
pub(crate) fn check_bound(picked: u64, load: u32, roster: &[(u64, u32)], sums: &Sums) -> Result<(), String> {
    let weight = roster.iter().find(|(id, _)| *id == picked).map_or(0, |(_, weight)| u64::from(*weight));
    let Sums { total, weights } = sums;
    let rest = (u64::from(load) - 1) * 4 * weights;
    if rest < 5 * (total + 1) * weight {
        return Ok(());
    }
    Err(format!("{picked} has {load} of {}, more than its bound by weight {weight} of {weights}", total + 1))
}

/// No more are ejected than may be.
pub(crate) fn check_ejected(control: &Control) -> Result<(), String> {
    let (ejected, all) = (control.ejected(), control.members.len());
    let most = (all * usize::from(EJECTED_MAX) / 100).max(usize::from(all > 1));
    if ejected <= most { Ok(()) } else { Err(format!("{ejected} of {all} are ejected")) }
}

/// What members have in flight is what is out there.
pub(crate) fn check_in_flight(
    members: &BTreeMap<u64, Member>,
    outstanding: impl Iterator<Item = u64>,
) -> Result<(), String> {
    let mut counts: BTreeMap<u64, u32> = BTreeMap::new();
    outstanding.for_each(|endpoint| *counts.entry(endpoint).or_default() += 1);
    for (endpoint, member) in members {
        let count = counts.get(endpoint).copied().unwrap_or(0);
        if count != member.in_flight {
            return Err(format!("{endpoint} has {count} in flight, but {} are counted", member.in_flight));
        }
    }
    Ok(())
}

impl Judge {
    /// The state changes when, and only when, as many results in a row say so as must.
    pub(crate) fn check_health(
        &mut self,
        endpoint: u64,
        before: State,
        ok: bool,
        after: State,
    ) -> Result<(), String> {
        let results = self.results.entry(endpoint).or_default();
        results.push(ok);
        let row = |wanted: bool| results.iter().rev().take_while(|ok| **ok == wanted).count();
        let expected = match before {
            State::Unchecked if ok => State::Up,
            State::Unchecked | State::Up if row(false) >= HEALTH.fall as usize => State::Down,
            State::Down if row(true) >= HEALTH.rise as usize => State::Up,
            _ => before,
        };
        if expected != after {
            return Err(format!("{endpoint} turned from {before:?} to {after:?} after {results:?}"));
        }
        if before != after {
            results.clear();
        }
        Ok(())
    }
}
