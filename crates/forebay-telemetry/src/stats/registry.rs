//! Which names a worker counts for, and when they may be forgotten.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Class, EndpointName, EndpointStats, RouteStats};
use crate::metric::Snapshot;

/// What the forgotten routes of a worker had counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Retired {
    pub(crate) requests: [u64; Class::ALL.len()],
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
    pub(crate) duration: Snapshot,
}

#[derive(Debug, Default)]
pub(super) struct Registry {
    pub(super) routes: BTreeMap<Box<str>, Entry<RouteStats>>,
    pub(super) endpoints: BTreeMap<EndpointName, Entry<EndpointStats>>,
    pub(super) retired: Retired,
}

#[derive(Debug, Default)]
pub(super) struct Entry<T> {
    pub(super) stats: Arc<T>,
    /// In no plan any more; dropped once the last request that counts here has ended.
    pub(super) forgotten: bool,
}

impl Registry {
    /// Drops what is forgotten and no longer counted by anybody.
    pub(super) fn sweep(&mut self) {
        let Self { routes, endpoints, retired } = self;
        routes.retain(|_, entry| {
            let gone = entry.is_gone();
            if gone {
                retired.fold(&entry.stats);
            }
            !gone
        });
        endpoints.retain(|_, entry| !entry.is_gone());
    }
}

impl<T> Entry<T> {
    fn is_gone(&mut self) -> bool {
        // Nobody else holds it, and what the last holder counted is visible here. A scrape's own short-lived
        // reference merely postpones the end to the next one.
        self.forgotten && Arc::get_mut(&mut self.stats).is_some()
    }
}

impl Retired {
    fn fold(&mut self, route: &RouteStats) {
        route.requests.add_to(&mut self.requests);
        self.bytes_in += route.bytes_in.get();
        self.bytes_out += route.bytes_out.get();
        route.duration.add_to(&mut self.duration);
    }

    pub(super) fn add(&mut self, other: &Self) {
        for (sum, count) in self.requests.iter_mut().zip(&other.requests) {
            *sum += count;
        }
        self.bytes_in += other.bytes_in;
        self.bytes_out += other.bytes_out;
        self.duration.merge(&other.duration);
    }
}
