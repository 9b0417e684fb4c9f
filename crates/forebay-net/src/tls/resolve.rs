//! Which certificate is shown to whom.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::pki_types::UnixTime;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::certificate::Identity;
use super::{Alpn, UnknownName};

thread_local! {
    /// The name asked for in the handshake under way on this thread: rustls has no other way to tell.
    static ASKED: RefCell<Option<Box<str>>> = const { RefCell::new(None) };
}

/// Calls `step`, and returns the name that a client has asked for meanwhile, in lower case.
pub(crate) fn listening<T>(step: impl FnOnce() -> T) -> (T, Option<Box<str>>) {
    ASKED.set(None);
    let result = step();
    (result, ASKED.take())
}

/// Certificates by name.
#[derive(Debug, Default)]
pub(super) struct Table {
    all: Vec<Arc<Identity>>,
    /// Those of a name, `*.shop.test` among them: several, if they have keys of different kinds.
    by_name: HashMap<Box<str>, Vec<usize>>,
}

impl Table {
    pub(super) fn new(all: Vec<Arc<Identity>>) -> Self {
        let mut by_name: HashMap<Box<str>, Vec<usize>> = HashMap::new();
        for (index, identity) in all.iter().enumerate() {
            for name in &identity.info.names {
                by_name.entry(name.clone()).or_default().push(index);
            }
        }
        Self { all, by_name }
    }

    pub(super) fn all(&self) -> &[Arc<Identity>] {
        &self.all
    }

    /// Those that are never shown while others are valid, each after the first of those: all their names stand in
    /// earlier ones with keys of the same kind. By where they come from.
    pub(super) fn shadowed(&self) -> Vec<[&str; 2]> {
        let kind = |index: usize| self.all[index].key.key.algorithm();
        let earlier = |name: &str, of: usize| {
            self.by_name.get(name)?.iter().copied().find(|index| *index < of && kind(*index) == kind(of))
        };
        let mut shadowed = Vec::new();
        for (index, identity) in self.all.iter().enumerate() {
            let before: Option<Vec<usize>> =
                identity.info.names.iter().map(|name| earlier(name, index)).collect();
            if let Some(first) = before.and_then(|before| before.first().copied()) {
                shadowed.push([first, index].map(|index| &*self.all[index].info.origin));
            }
        }
        shadowed
    }

    /// The first one for exactly this name.
    fn look(&self, name: &str) -> Option<&Arc<Identity>> {
        self.by_name.get(name)?.first().map(|index| &self.all[*index])
    }

    /// The best one for exactly this name.
    fn find(&self, name: &str, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        best(self.by_name.get(name)?.iter().map(|index| &self.all[*index]), hello)
    }

    /// The first, or the best of its fellows.
    fn first(&self, hello: &ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let first = self.all.first()?;
        // Its fellows are those for the same names: one certificate per kind of key.
        best(self.all.iter().filter(|identity| identity.info.names == first.info.names), hello)
    }
}

/// The first that the client can check and that is valid now; else the first that it can check; else the first.
fn best<'a>(
    all: impl Iterator<Item = &'a Arc<Identity>> + Clone,
    hello: &ClientHello<'_>,
) -> Option<Arc<CertifiedKey>> {
    let schemes = hello.signature_schemes();
    let mut fitting = all.clone().filter(|identity| identity.key.key.choose_scheme(schemes).is_some());
    let found = match (fitting.next(), fitting.next()) {
        // Only where there is a choice does the clock matter.
        (Some(first), Some(second)) => {
            let now = i64::try_from(UnixTime::now().as_secs()).unwrap_or(i64::MAX);
            let valid = |identity: &&Arc<Identity>| identity.info.is_valid_at(now);
            [first, second].into_iter().chain(fitting).find(valid).unwrap_or(first)
        }
        (Some(only), None) => only,
        (None, _) => all.clone().next()?,
    };
    Some(Arc::clone(&found.key))
}

/// What changes while it runs; it outlives the settings.
#[derive(Debug, Default)]
pub(super) struct Installed {
    pub(super) table: RwLock<Arc<Table>>,
    challenges: RwLock<HashMap<Box<str>, Arc<CertifiedKey>>>,
    /// How many there are: usually none.
    challenged: AtomicUsize,
}

impl Installed {
    pub(super) fn table(&self) -> Arc<Table> {
        Arc::clone(&self.table.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Replaces those of `origin` by `identity`.
    pub(super) fn replace(&self, origin: &str, identity: Option<Arc<Identity>>) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        let others = table.all().iter().filter(|other| *other.info.origin != *origin).cloned();
        *table = Arc::new(Table::new(others.chain(identity).collect()));
    }

    pub(super) fn challenge(&self, domain: &str, key: Option<Arc<CertifiedKey>>) {
        let mut challenges = self.challenges.write().unwrap_or_else(PoisonError::into_inner);
        match key {
            Some(key) => challenges.insert(domain.to_ascii_lowercase().into(), key),
            None => challenges.remove(&*domain.to_ascii_lowercase()),
        };
        self.challenged.store(challenges.len(), Ordering::Release);
    }

    fn find_challenge(&self, domain: &str) -> Option<Arc<CertifiedKey>> {
        if self.challenged.load(Ordering::Acquire) == 0 {
            return None;
        }
        self.challenges.read().unwrap_or_else(PoisonError::into_inner).get(domain).cloned()
    }
}

/// Answers rustls.
#[derive(Debug)]
pub(super) struct Resolver {
    pub(super) fixed: Table,
    pub(super) installed: Arc<Installed>,
    pub(super) unknown_name: UnknownName,
}

impl ResolvesServerCert for Resolver {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let asked = hello.server_name().map(str::to_ascii_lowercase);
        ASKED.set(asked.as_deref().map(Into::into));
        if is_challenge(&hello) {
            return self.installed.find_challenge(&asked?);
        }
        let installed = self.installed.table();
        let first = || match self.unknown_name {
            UnknownName::First => self.fixed.first(&hello).or_else(|| installed.first(&hello)),
            UnknownName::Refuse => None,
        };
        let Some(name) = asked else { return first() };
        let found = self.fixed.find(&name, &hello).or_else(|| installed.find(&name, &hello)).or_else(|| {
            let wildcard = wildcard_of(&name)?;
            self.fixed.find(&wildcard, &hello).or_else(|| installed.find(&wildcard, &hello))
        });
        found.or_else(first)
    }
}

impl Resolver {
    /// Which certificate is shown to somebody who asks for `name`, whatever keys they know.
    pub(super) fn shown(&self, name: Option<&str>) -> Option<Arc<Identity>> {
        let installed = self.installed.table();
        let look = |name: &str| self.fixed.look(name).or_else(|| installed.look(name)).cloned();
        let name = name.map(str::to_ascii_lowercase);
        let found = name.and_then(|name| look(&name).or_else(|| look(&wildcard_of(&name)?)));
        let first = || self.fixed.all.first().or_else(|| installed.all.first()).cloned();
        found.or_else(|| first().filter(|_| self.unknown_name == UnknownName::First))
    }
}

/// Whether an ACME server asks for a challenge's certificate: it offers that protocol alone (RFC 8737 §3).
fn is_challenge(hello: &ClientHello<'_>) -> bool {
    let Some(mut offered) = hello.alpn() else { return false };
    offered.next() == Some(Alpn::ACME_NAME) && offered.next().is_none()
}

/// The wildcard that stands for `name`: it replaces the first label, and only that (RFC 9525 §6.3).
fn wildcard_of(name: &str) -> Option<String> {
    let (first, rest) = name.split_once('.')?;
    (!first.is_empty() && !rest.is_empty()).then(|| format!("*.{rest}"))
}
