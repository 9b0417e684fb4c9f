//! What workers share of a service: its endpoints, and who of them may be picked.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};

use forebay_net::address::Address;
use forebay_policy::balance::{Parts, Ring, stable_hash};
use forebay_policy::outlier::Cause;

use super::queue::Line;

/// What all workers know of one endpoint. The same for as long as the endpoint is there, or anybody still uses it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) address: Address,
    /// `address` as text: the label of metrics and logs.
    pub(crate) name: Box<str>,
    /// The name that has led to it, or its address without the port.
    pub(crate) host: OnceLock<Box<str>>,
    /// Tells it from others, the same in every process: for rings and cookies.
    pub(crate) hash: u64,
    /// Requests being served.
    pub(crate) in_flight: AtomicU32,
    /// Open connections, in use or idle.
    pub(crate) connections: AtomicU32,
    /// Requests that failed in a row.
    pub(crate) failing: AtomicU32,
    /// Connections in a row that could not be opened.
    pub(crate) unreachable: AtomicU32,
    /// It gets no requests, so it needs no idle connections either.
    pub(crate) out: AtomicBool,
    /// It does not answer, so whoever waits for it may go elsewhere.
    pub(crate) lost: AtomicBool,
}

impl Shared {
    pub(crate) fn new(service: &str, address: Address) -> Self {
        let name = address.to_string();
        let mut identity = Vec::with_capacity(service.len() + 1 + name.len());
        identity.extend_from_slice(service.as_bytes());
        identity.push(0);
        identity.extend_from_slice(name.as_bytes());
        Self {
            host: OnceLock::new(),
            address,
            name: name.into(),
            hash: stable_hash(&identity),
            in_flight: AtomicU32::new(0),
            connections: AtomicU32::new(0),
            failing: AtomicU32::new(0),
            unreachable: AtomicU32::new(0),
            out: AtomicBool::new(false),
            lost: AtomicBool::new(false),
        }
    }

    /// What the settings call its host: the name that is checked where connections to it are secured.
    pub(crate) fn host(&self) -> &str {
        match self.host.get() {
            Some(host) => host,
            None => self.name.rsplit_once(':').map_or(&*self.name, |(address, _)| address),
        }
    }

    pub(crate) fn load(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }
}

/// A service's endpoints at a time. Immutable.
#[derive(Debug, Default)]
pub(crate) struct Members {
    /// All, in order of address, whether they may be picked or not.
    pub(crate) all: Vec<Arc<Shared>>,
    /// The configured weights of all.
    pub(crate) weights: Vec<u32>,
    /// Who may be picked: index into `all`, and effective weight.
    pub(crate) picks: Vec<(usize, u32)>,
    /// For consistent hashing: of all, so that one who is out for a while moves nobody else's keys. Shared with
    /// those before for as long as the same endpoints have the same weights.
    ring: Arc<OnceLock<Ring>>,
    /// Who of them has only some of its keys: they start slowly.
    parts: OnceLock<Parts>,
    /// Index into `picks` by `Shared::hash`: for cookies.
    by_hash: OnceLock<HashMap<u64, usize>>,
}

impl Members {
    pub(crate) fn new(all: Vec<Arc<Shared>>, weights: Vec<u32>, picks: Vec<(usize, u32)>) -> Self {
        let (ring, parts, by_hash) = (Arc::default(), OnceLock::new(), OnceLock::new());
        Self { all, weights, picks, ring, parts, by_hash }
    }

    /// These come after `before`: the ring stays if it would be the same.
    pub(crate) fn after(self, before: &Self) -> Self {
        let same = |(one, another): (&Arc<Shared>, &Arc<Shared>)| one.hash == another.hash;
        let is_same = self.weights == before.weights
            && self.all.len() == before.all.len()
            && self.all.iter().zip(&before.all).all(same);
        if is_same { Self { ring: Arc::clone(&before.ring), ..self } } else { self }
    }

    /// The ring of all endpoints; made by the first that asks.
    pub(crate) fn ring(&self) -> &Ring {
        self.ring.get_or_init(|| {
            let hashes: Vec<u64> = self.all.iter().map(|shared| shared.hash).collect();
            Ring::new(&hashes, &self.weights)
        })
    }

    /// Whether the endpoint with this index into `all` has this key of those that the ring gives it: one that
    /// starts slowly has a part of them. Somebody has every key.
    #[inline]
    pub(crate) fn admits(&self, index: usize, key: u64) -> bool {
        let parts = self.parts.get_or_init(|| Parts::new(&self.weights, &self.picks));
        self.all.get(index).is_some_and(|shared| parts.admit(index, shared.hash, key))
    }

    /// The place among the picks of the endpoint with this hash.
    pub(crate) fn pick_of(&self, hash: u64) -> Option<usize> {
        let by_hash = self.by_hash.get_or_init(|| {
            self.picks.iter().enumerate().map(|(place, (index, _))| (self.all[*index].hash, place)).collect()
        });
        by_hash.get(&hash).copied()
    }

    /// Whether `other` says the same about picking.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.picks == other.picks
            && self.weights == other.weights
            && self.all.len() == other.all.len()
            && self.all.iter().zip(&other.all).all(|(one, another)| Arc::ptr_eq(one, another))
    }
}

/// A service's endpoints as they change. One per service for as long as it is configured.
#[derive(Debug)]
pub(crate) struct Roster {
    pub(crate) service: Box<str>,
    /// Changes with `members`.
    epoch: AtomicU64,
    members: Mutex<Arc<Members>>,
    /// Requests, of all workers, that wait for an endpoint that has room.
    pub(crate) waiting: AtomicU32,
    /// In which order.
    pub(super) line: Line,
    /// Failures in a row that are worth telling the control plane; `u32::MAX`: none.
    pub(crate) failing_max: AtomicU32,
    /// The same of connections that could not be opened.
    pub(crate) unreachable_max: AtomicU32,
}

impl Roster {
    fn new(service: &str) -> Self {
        Self {
            service: service.into(),
            epoch: AtomicU64::new(1),
            members: Mutex::default(),
            waiting: AtomicU32::new(0),
            line: Line::default(),
            failing_max: AtomicU32::new(u32::MAX),
            unreachable_max: AtomicU32::new(u32::MAX),
        }
    }

    /// Changes whenever `members` would give something else.
    #[inline]
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The endpoints now.
    pub(crate) fn members(&self) -> Arc<Members> {
        Arc::clone(&self.lock())
    }

    pub(crate) fn publish(&self, members: Members) {
        let mut now = self.lock();
        *now = Arc::new(members);
        self.epoch.fetch_add(1, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Arc<Members>> {
        self.members.lock().expect("no panic under this lock")
    }
}

/// What workers are told besides plans.
#[derive(Clone, Debug)]
pub(crate) enum News {
    /// Close an idle connection to this endpoint: another worker needs the place.
    Shed(Arc<Roster>, Arc<Shared>),
    /// An endpoint of the service has room again, or there are others now.
    Room(Arc<Roster>),
    /// An endpoint is lost: whoever waits for it looks again.
    Lost,
}

/// An endpoint that treats requests badly.
#[derive(Clone, Debug)]
pub(crate) struct Report {
    pub(crate) roster: Arc<Roster>,
    pub(crate) endpoint: Arc<Shared>,
    pub(crate) grief: Grief,
}

/// What a worker has to say against an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Grief {
    /// It has failed too often in a row.
    Failing(Cause),
    /// Its host acknowledged nothing on a connection: it may be gone.
    Silent,
}

/// The services all workers share, and how workers and the control plane speak to each other.
#[derive(Default)]
pub(crate) struct Registry {
    rosters: Mutex<HashMap<Box<str>, Arc<Roster>>>,
    known: Mutex<Known>,
    tell: OnceLock<Tell>,
    report: OnceLock<Hear>,
    /// Endpoints lost so far.
    lost: AtomicU64,
}

/// Every endpoint that anybody still uses, in a service or not: one that comes back while requests of its former
/// time are under way goes on with the same counts, or bounds would hold twice.
#[derive(Debug, Default)]
struct Known {
    by_service: HashMap<Box<str>, HashMap<Address, Weak<Shared>>>,
    count: usize,
    /// Counts up to which dead entries are left where they are.
    sweep_at: usize,
}

/// Entries that are never worth looking through.
const KNOWN_MIN: usize = 1_000;

impl Known {
    fn shared(&mut self, service: &str, address: &Address) -> Arc<Shared> {
        let known = self.by_service.get_mut(service);
        let same = known.and_then(|addresses| addresses.get(address)).and_then(Weak::upgrade);
        same.unwrap_or_else(|| self.add(service, address.clone()))
    }

    fn add(&mut self, service: &str, address: Address) -> Arc<Shared> {
        if self.count >= self.sweep_at {
            self.sweep();
        }
        let shared = Arc::new(Shared::new(service, address.clone()));
        let known = self.by_service.entry(service.into()).or_default();
        self.count += usize::from(known.insert(address, Arc::downgrade(&shared)).is_none());
        shared
    }

    /// Forgets who is used by nobody. Afterwards there is room for as many again, so that there are never more
    /// than twice as many entries as there were endpoints in use.
    fn sweep(&mut self) {
        self.by_service.retain(|_, known| {
            known.retain(|_, shared| shared.strong_count() > 0);
            !known.is_empty()
        });
        self.count = self.by_service.values().map(HashMap::len).sum();
        self.sweep_at = (self.count * 2).max(KNOWN_MIN);
    }
}

type Tell = Box<dyn Fn(&News) + Send + Sync>;
type Hear = Box<dyn Fn(Report) + Send + Sync>;

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry").field("rosters", &self.rosters).finish_non_exhaustive()
    }
}

impl Registry {
    /// The roster of `service`; made at first sight.
    pub(crate) fn roster(&self, service: &str) -> Arc<Roster> {
        let mut rosters = self.lock();
        if let Some(roster) = rosters.get(service) {
            return Arc::clone(roster);
        }
        let roster = Arc::new(Roster::new(service));
        rosters.insert(service.into(), Arc::clone(&roster));
        roster
    }

    /// The endpoint of `service` at `address`: the one that is in use, or a new one.
    pub(crate) fn shared(&self, service: &str, address: &Address) -> Arc<Shared> {
        self.known.lock().expect("no panic under this lock").shared(service, address)
    }

    /// Forgets services that `keep` does not know.
    pub(crate) fn retain(&self, keep: impl Fn(&str) -> bool) {
        self.lock().retain(|service, _| keep(service));
    }

    /// Says how all workers are told something; once, by whoever starts them.
    pub(crate) fn on_news(&self, tell: impl Fn(&News) + Send + Sync + 'static) {
        // A second one would be a second gateway on the same registry, and there is none.
        let _ = self.tell.set(Box::new(tell));
    }

    /// Says who hears of endpoints that treat requests badly; once.
    pub(crate) fn on_report(&self, hear: impl Fn(Report) + Send + Sync + 'static) {
        let _ = self.report.set(Box::new(hear));
    }

    /// Endpoints lost so far: a worker that has missed the news sees it by this.
    pub(crate) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    pub(crate) fn tell(&self, news: &News) {
        if matches!(news, News::Lost) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(tell) = self.tell.get() {
            tell(news);
        }
    }

    pub(crate) fn report(&self, report: Report) {
        if let Some(hear) = self.report.get() {
            hear(report);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, Arc<Roster>>> {
        self.rosters.lock().expect("no panic under this lock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_that_nobody_uses_are_forgotten_and_those_in_use_are_not() {
        let registry = Registry::default();
        let address = |n: u16| Address::from(std::net::SocketAddr::from(([127, 0, 0, 1], n)));
        let in_use: Vec<Arc<Shared>> = (0..10).map(|n| registry.shared("app", &address(n))).collect();
        for round in 0..20_u16 {
            (100..1_000).for_each(|n| drop(registry.shared("app", &address(round * 1_000 + n))));
        }
        assert!(registry.known.lock().expect("no panic under this lock").count <= KNOWN_MIN);
        for (n, shared) in (0..10).zip(&in_use) {
            assert!(Arc::ptr_eq(shared, &registry.shared("app", &address(n))));
            assert!(!Arc::ptr_eq(shared, &registry.shared("shop", &address(n))));
        }
    }
}
