//! All balancers behind one door, and some that are broken on purpose.

use std::collections::BTreeMap;
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_policy::balance::{Ewma, LeastLoaded, Parts, PeakEwma, Ring, RoundRobin, bounded, stable_hash};

use crate::control::Member;

/// How the next endpoint is picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rule {
    RoundRobin,
    LeastLoaded,
    PeakEwma,
    Ring,
    /// Canary: hears of every second change only.
    BrokenStale,
    /// Canary: picks of all there are, usable or not.
    BrokenBlind,
    /// Canary: consistent hashing without the bound.
    BrokenUnbounded,
    /// Canary: forgets to pick at times.
    BrokenIdle,
}

impl Rule {
    /// Whether loads are bounded.
    pub(crate) fn is_bounded(self) -> bool {
        matches!(self, Self::Ring | Self::BrokenUnbounded)
    }
}

/// A worker's balancer, with those it may pick and what it has seen of them itself.
pub(crate) struct Picker {
    rule: Rule,
    seed: u64,
    /// Id and effective weight, by index.
    roster: Vec<(u64, u32)>,
    /// Id and configured weight of the same.
    configured: Vec<(u64, u32)>,
    balancer: Balancer,
    ewmas: BTreeMap<u64, Ewma>,
    changes: u64,
    picks: u64,
}

enum Balancer {
    RoundRobin(RoundRobin),
    LeastLoaded(LeastLoaded),
    PeakEwma(PeakEwma),
    Ring(Ring, Parts),
}

impl Picker {
    pub(crate) fn new(rule: Rule, seed: u64) -> Self {
        let mut picker = Self {
            rule,
            seed,
            roster: Vec::new(),
            configured: Vec::new(),
            balancer: Balancer::RoundRobin(RoundRobin::new(&[])),
            ewmas: BTreeMap::new(),
            changes: 0,
            picks: 0,
        };
        picker.balancer = picker.build(&[], &[]);
        picker
    }

    /// Others may be picked from now on. What moved on a ring although it should not have.
    pub(crate) fn change(
        &mut self,
        roster: Vec<(u64, u32)>,
        members: &BTreeMap<u64, Member>,
    ) -> Result<(), String> {
        self.changes += 1;
        let is_missed = self.rule == Rule::BrokenStale && self.changes.is_multiple_of(2);
        if is_missed || self.roster == roster {
            return Ok(());
        }
        let weight = |id: &u64| members.get(id).map_or(1, |member| member.weight);
        let configured: Vec<(u64, u32)> = roster.iter().map(|(id, _)| (*id, weight(id))).collect();
        let balancer = self.build(&roster, &configured);
        if let (Balancer::Ring(before, _), Balancer::Ring(after, _)) = (&self.balancer, &balancer) {
            check_moves((before, &self.configured), (after, &configured))?;
        }
        self.configured = configured;
        self.balancer = balancer;
        self.roster = roster;
        Ok(())
    }

    fn build(&self, roster: &[(u64, u32)], configured: &[(u64, u32)]) -> Balancer {
        let weights: Vec<u32> = roster.iter().map(|(_, weight)| *weight).collect();
        let seed = self.seed ^ self.changes;
        match self.rule {
            Rule::RoundRobin | Rule::BrokenIdle => {
                let Balancer::RoundRobin(before) = &self.balancer else {
                    unreachable!("it was built by this")
                };
                let was = |n: usize| self.roster.iter().position(|(id, _)| *id == roster[n].0);
                Balancer::RoundRobin(RoundRobin::resume(&weights, before, was))
            }
            Rule::LeastLoaded | Rule::BrokenStale | Rule::BrokenBlind => {
                Balancer::LeastLoaded(LeastLoaded::new(&weights, seed))
            }
            Rule::PeakEwma => Balancer::PeakEwma(PeakEwma::new(&weights, seed)),
            Rule::Ring | Rule::BrokenUnbounded => {
                let ring = match &self.balancer {
                    // As gateways do: one that starts slowly changes nothing on the ring.
                    Balancer::Ring(ring, _) if self.configured == configured => ring.clone(),
                    _ => {
                        let ids: Vec<u64> = roster.iter().map(|(id, _)| on_ring(*id)).collect();
                        let weights: Vec<u32> = configured.iter().map(|(_, weight)| *weight).collect();
                        Ring::new(&ids, &weights)
                    }
                };
                let weights: Vec<u32> = configured.iter().map(|(_, weight)| *weight).collect();
                let picks: Vec<(usize, u32)> = roster.iter().map(|(_, weight)| *weight).enumerate().collect();
                Balancer::Ring(ring, Parts::new(&weights, &picks))
            }
        }
    }

    /// An endpoint has answered, or let the client wait.
    pub(crate) fn observe(&mut self, endpoint: u64, now: Instant, latency: Duration) {
        self.ewmas.entry(endpoint).or_default().observe(now, latency);
    }

    /// The endpoint for a request with this key, and whether it is another one than the key's own.
    pub(crate) fn pick(
        &mut self,
        key: u64,
        members: &BTreeMap<u64, Member>,
        now: Instant,
    ) -> Option<(u64, bool)> {
        self.picks += 1;
        if self.rule == Rule::BrokenIdle && self.picks.is_multiple_of(1_000) {
            return None;
        }
        if self.rule == Rule::BrokenBlind {
            let nth = key as usize % members.len().max(1);
            return members.keys().nth(nth).map(|id| (*id, false));
        }
        let roster = &self.roster;
        let load = |n: usize| members.get(&roster[n].0).map_or(0, |member| member.in_flight);
        let picked = match &mut self.balancer {
            Balancer::RoundRobin(balancer) => balancer.pick(|_| false),
            Balancer::LeastLoaded(balancer) => balancer.pick(load, |_| false),
            Balancer::PeakEwma(balancer) => {
                let ewma = |n: usize| self.ewmas.get(&roster[n].0).copied().unwrap_or_default();
                let cost = |n: usize| ewma(n).cost(now, load(n));
                balancer.pick(cost, |_| false)
            }
            Balancer::Ring(ring, parts) => {
                let total = (0..roster.len()).map(|n| u64::from(load(n))).sum();
                let weights = roster.iter().map(|(_, weight)| u64::from(*weight)).sum();
                let has_room = |n: usize| bounded(load(n), total, roster[n].1, weights);
                let admits = |n: usize| parts.admit(n, on_ring(roster[n].0), key);
                let own = ring.pick(key, admits)?;
                let picked = match self.rule {
                    Rule::BrokenUnbounded => Some(own),
                    _ => ring.pick(key, |n| admits(n) && has_room(n)).or_else(|| ring.pick(key, has_room)),
                };
                return picked.map(|n| (roster[n].0, n != own));
            }
        };
        picked.map(|n| (roster[n].0, false))
    }
}

fn on_ring(id: u64) -> u64 {
    stable_hash(&id.to_le_bytes())
}

type Side<'a> = (&'a Ring, &'a [(u64, u32)]);

/// A key changes hands only if its owner has left or its new one has come.
fn check_moves((before, old): Side, (after, new): Side) -> Result<(), String> {
    let weight = |roster: &[(u64, u32)], id: u64| {
        roster.iter().find(|(other, _)| *other == id).map(|(_, weight)| *weight)
    };
    for key in 0..64 {
        let (Some(from), Some(to)) = (before.pick(key, |_| true), after.pick(key, |_| true)) else {
            continue;
        };
        let (from, to) = (old[from].0, new[to].0);
        if from != to && weight(new, from).is_some() && weight(old, to).is_some() {
            return Err(format!("key {key} moved from {from} to {to}, who both stayed"));
        }
    }
    Ok(())
}
