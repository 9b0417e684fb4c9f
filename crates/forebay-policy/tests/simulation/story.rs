//! What happened in a run.

use std::collections::BTreeMap;

/// Counts of what happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Story {
    /// Picks by endpoint.
    pub(crate) picked: BTreeMap<u64, u64>,
    /// The same in each second from the beginning.
    seconds: BTreeMap<(u64, u64), u64>,
    pub(crate) came: u64,
    pub(crate) gone: u64,
    /// Of those gone, who had requests in flight.
    pub(crate) gone_busy: u64,
    pub(crate) ejected: u64,
    /// Changes between up and down.
    pub(crate) turned: u64,
    /// Results of checks that spoke against the state.
    pub(crate) contradicted: u64,
    /// Picks in panic.
    pub(crate) panicked: u64,
    /// Picks of another endpoint than the key's own, because of the bound.
    pub(crate) overflowed: u64,
    /// Requests that failed.
    pub(crate) failed: u64,
}

impl Story {
    pub(crate) fn pick(&mut self, second: u64, endpoint: u64) {
        *self.picked.entry(endpoint).or_default() += 1;
        *self.seconds.entry((second, endpoint)).or_default() += 1;
    }

    pub(crate) fn picks(&self) -> u64 {
        self.picked.values().sum()
    }

    /// The share of picks that an endpoint had from one second to another.
    pub(crate) fn share(&self, endpoint: u64, from: u64, to: u64) -> f64 {
        let picks = || self.seconds.range((from, 0)..(to, 0));
        let own: u64 = picks().filter(|((_, id), _)| *id == endpoint).map(|(_, picks)| picks).sum();
        let all: u64 = picks().map(|(_, picks)| picks).sum();
        own as f64 / all.max(1) as f64
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let Self {
            picked,
            seconds: _,
            came,
            gone,
            gone_busy,
            ejected,
            turned,
            contradicted,
            panicked,
            overflowed,
            failed,
        } = other;
        for (endpoint, picks) in picked {
            *self.picked.entry(*endpoint).or_default() += picks;
        }
        self.came += came;
        self.gone += gone;
        self.gone_busy += gone_busy;
        self.ejected += ejected;
        self.turned += turned;
        self.contradicted += contradicted;
        self.panicked += panicked;
        self.overflowed += overflowed;
        self.failed += failed;
    }
}
