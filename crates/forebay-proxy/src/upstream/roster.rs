//! What workers share of a service: its endpoints, and who of them may be picked.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use forebay_policy::balance::{Ring, stable_hash};
use forebay_policy::outlier::Cause;

/// What all workers know of one endpoint. The same for as long as the endpoint is there.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) address: SocketAddr,
    /// `address` as text: the label of metrics and logs.
    pub(crate) name: Box<str>,
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
    pub(crate) fn new(service: &str, address: SocketAddr) -> Self {
        let name = address.to_string();
        let mut identity = Vec::with_capacity(service.len() + 1 + name.len());
        identity.extend_from_slice(service.as_bytes());
        identity.push(0);
        identity.extend_from_slice(name.as_bytes());
        Self {
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
    /// For consistent hashing: of all, so that one who is out for a while moves nobody else's keys.
    ring: OnceLock<Ring>,
    /// Index into `picks` by `Shared::hash`: for cookies.
    by_hash: OnceLock<HashMap<u64, usize>>,
}

impl Members {
    pub(crate) fn new(all: Vec<Arc<Shared>>, weights: Vec<u32>, picks: Vec<(usize, u32)>) -> Self {
        Self { all, weights, picks, ring: OnceLock::new(), by_hash: OnceLock::new() }
    }

    /// The ring of all endpoints; made by the first worker that asks.
    pub(crate) fn ring(&self) -> &Ring {
        self.ring.get_or_init(|| {
            let hashes: Vec<u64> = self.all.iter().map(|shared| shared.hash).collect();
            Ring::new(&hashes, &self.weights)
        })
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
    tell: OnceLock<Tell>,
    report: OnceLock<Hear>,
    /// Endpoints lost so far.
    lost: AtomicU64,
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
