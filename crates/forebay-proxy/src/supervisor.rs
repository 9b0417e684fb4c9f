//! The control plane's knowledge of every endpoint: which there are, which may be picked, and why not.
//!
//! One place decides, whatever the news: settings, names and files, health checks, failing requests, operators,
//! and time itself. Each change is published to the workers as a new roster of the service. No socket and no
//! clock in here.

mod member;
mod memory;
mod service;
#[cfg(test)]
mod tests;
mod view;

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use forebay_base::seed::Random;
use forebay_base::time::Instant;
use forebay_net::address::Address;
use forebay_policy::health::State as Condition;
use forebay_policy::outlier::Cause;
use forebay_telemetry::log::Log;
use forebay_telemetry::stats::{EndpointNumbers, ServiceNumbers};
use tokio::sync::Notify;

use crate::discovery;
use crate::health::Speech;
use crate::plan::Plan;
use crate::upstream::{Grief, Registry, Report};
use member::Member;
pub use member::Tally;
use service::{Means, Service, canonical, patience};
pub use view::{
    Answer, CheckView, EndpointView, Found, Out, Reason, ServiceView, Source, SourceView, Steer, SteerError,
    Target,
};

/// Most endpoints of one service, from all its sources.
pub const ENDPOINTS_MAX: usize = 1_000;
/// How long an endpoint whose host acknowledged nothing may take to accept another connection.
const SUSPECT_PATIENCE: Duration = Duration::from_millis(250);
/// Greatest weight of an endpoint.
pub const WEIGHT_MAX: u32 = 1_000_000;
/// Greatest priority of an endpoint.
pub const PRIORITY_MAX: u8 = 9;

/// See the module.
#[derive(Debug)]
pub struct Supervisor {
    registry: Arc<Registry>,
    log: Log,
    state: Mutex<State>,
    targets_changed: Notify,
    /// An endpoint has gone since somebody asked.
    gone: AtomicBool,
}

#[derive(Debug)]
struct State {
    /// In the order of the settings.
    services: Vec<Service>,
    /// Index into `services`, by name.
    names: HashMap<Box<str>, usize>,
    ids: u64,
    random: Random,
}

/// An endpoint that is to be tried: an ejected one before it comes back, or a suspect before it is ejected.
#[derive(Clone, Debug)]
pub(crate) struct Trial {
    pub(crate) service: Box<str>,
    pub(crate) address: Address,
    /// How long it may take to accept a connection.
    pub(crate) patience: Duration,
}

impl Supervisor {
    /// Supervises the services that workers know from `registry`.
    pub(crate) fn new(registry: Arc<Registry>, log: Log) -> Self {
        let random = Random::from_seed(RandomState::new().hash_one(0));
        let state = State { services: Vec::new(), names: HashMap::new(), ids: 0, random };
        Self {
            registry,
            log,
            state: Mutex::new(state),
            targets_changed: Notify::new(),
            gone: AtomicBool::new(false),
        }
    }

    /// Takes over a new plan: services and endpoints that stay keep all that is known of them.
    pub fn reconcile(&self, plan: &Plan, now: Instant) {
        let mut state = self.lock();
        let State { services, names, ids, .. } = &mut *state;
        let mut before: HashMap<Box<str>, Service> =
            services.drain(..).map(|service| (service.spec.name.clone(), service)).collect();
        let mut means = Means { registry: &self.registry, log: &self.log, gone: &self.gone, ids };
        for spec in &plan.services {
            let service = match before.remove(&spec.name) {
                Some(same) if same.spec == *spec => same,
                Some(mut other) => {
                    other.take_over(spec, &mut means, now);
                    other
                }
                None => Service::new(spec, &mut means, now),
            };
            services.push(service);
        }
        *names = services.iter().enumerate().map(|(n, service)| (service.spec.name.clone(), n)).collect();
        self.registry.retain(|service| names.contains_key(service));
        drop(state);
        self.targets_changed.notify_one();
    }

    /// A name or file of `service` was asked.
    pub fn discovered(&self, service: &str, source: &Source, answer: Answer, now: Instant) {
        let changed = self.change(service, |service, means| service.discovered(source, answer, means, now));
        if changed == Some(true) {
            self.targets_changed.notify_one();
        }
    }

    /// Every endpoint that is to be checked now.
    #[must_use]
    pub fn targets(&self) -> Vec<Target> {
        let state = self.lock();
        let mut targets = Vec::new();
        for service in &state.services {
            let Some(health) = &service.health else { continue };
            let is_checked = |member: &&Member| !matches!(member.wish, Some((Steer::Disable, _)));
            for member in service.members.iter().filter(is_checked) {
                targets.push(Target {
                    service: service.spec.name.clone(),
                    address: member.address().clone(),
                    host: match &member.source {
                        Source::Name(name) if !name.starts_with('_') => name.clone(),
                        // A path is no host.
                        _ if member.address().path().is_some() => "localhost".into(),
                        _ => member.shared.name.clone(),
                    },
                    name: member.shared.host().into(),
                    health: Arc::clone(health),
                    speech: Speech::of(&service.spec),
                    id: member.id,
                });
            }
        }
        targets
    }

    /// A check of `target` has ended; `Err` says what it met. Returns when to check again; `None`: never, for
    /// the endpoint is gone, or is checked in another way now.
    pub fn checked(&self, target: &Target, result: Result<(), Box<str>>, now: Instant) -> Option<Duration> {
        let mut state = self.lock();
        let random = state.random.next_u64();
        let State { services, names, ids, .. } = &mut *state;
        let service = services.get_mut(*names.get(&target.service)?)?;
        let rules = service.rules()?;
        let member = service.find(&target.address).filter(|member| member.id == target.id)?;
        let ok = result.is_ok();
        if matches!(member.wish, Some((Steer::Disable, _))) {
            return None;
        }
        if ok {
            member.checks.0 += 1
        } else {
            member.checks.1 += 1
        }
        member.last = Some((now, ok, result.err().unwrap_or_else(|| "passed".into())));
        let changed = member.health.record(&rules, ok);
        if changed == Some(Condition::Down) {
            member.unhealthy = now;
        }
        // A check that passes says that it can be reached; but not at another port.
        let is_its_own = |port| target.address.ip().is_none_or(|address| address.port() == port);
        let same_port = target.health.port.is_none_or(is_its_own);
        let unreachable = |ejected: &member::Ejected| ejected.cause == Cause::ConnectFailures;
        let reached = ok && same_port && member.ejected.as_ref().is_some_and(unreachable);
        if reached {
            member.readmit(now, 0);
        }
        let wait = member.health.next_in(&rules, random);
        member.next = Some(now + wait);
        if changed.is_some() || reached {
            let (registry, log, gone) = (&self.registry, &self.log, &self.gone);
            service.settle(&mut Means { registry, log, gone, ids }, now);
        }
        Some(wait)
    }

    /// Waits until `targets` may have changed. Missed changes count: it returns at once after one.
    pub async fn targets_changed(&self) {
        self.targets_changed.notified().await;
    }

    /// A worker has seen an endpoint treat requests badly. Gives the endpoint if it should be tried whether it is
    /// still there.
    pub(crate) fn reported(&self, report: &Report, now: Instant) -> Option<Trial> {
        let Report { roster, endpoint, grief } = report;
        let name = &roster.service;
        self.change(name, |service, means| {
            let is_it = |member: &&mut Member| Arc::ptr_eq(&member.shared, endpoint);
            let outlier = &service.spec.outlier;
            let (connect_failures, failures) = (outlier.connect_failures, outlier.failures);
            // It may have been replaced since.
            let member = service.find(&endpoint.address).filter(is_it)?;
            let cause = match grief {
                Grief::Silent if connect_failures == 0 || member.suspect || member.ejected.is_some() => {
                    return None;
                }
                Grief::Silent => {
                    member.suspect = true;
                    let (service, address) = (name.clone(), endpoint.address.clone());
                    return Some(Trial { service, address, patience: SUSPECT_PATIENCE });
                }
                Grief::Failing(cause) => *cause,
            };
            let (max, counter, what) = match cause {
                Cause::ConnectFailures => {
                    (connect_failures, &endpoint.unreachable, "connections could not be opened")
                }
                _ => (failures, &endpoint.failing, "requests failed"),
            };
            // It may have been forgiven since, or have come back.
            if max > 0 && counter.load(Ordering::Relaxed) >= max {
                service.eject(&endpoint.address, cause, &format!("{max} {what} in a row"), means, now);
            }
            None
        })?
    }

    /// What time alone changes; `tally` says what an endpoint of a service has done so far. Gives the endpoints
    /// that should be tried.
    pub(crate) fn tick(&self, tally: impl Fn(&str, &str) -> Tally, now: Instant) -> Vec<Trial> {
        let mut state = self.lock();
        let State { services, ids, .. } = &mut *state;
        let mut means = Means { registry: &self.registry, log: &self.log, gone: &self.gone, ids };
        let mut trials = Vec::new();
        for service in services {
            let to_try = service.tick(&mut means, now);
            service.compare(&tally, &mut means, now);
            let (name, patience) = (&service.spec.name, patience(service));
            let trial = |address| Trial { service: name.clone(), address, patience };
            trials.extend(to_try.into_iter().map(trial));
        }
        trials
    }

    /// An endpoint was tried; `Err` says what that met.
    pub(crate) fn tried(&self, trial: &Trial, result: Result<(), Box<str>>, now: Instant) {
        self.change(&trial.service, |service, means| service.tried(&trial.address, result, means, now));
    }

    /// An operator's wish.
    ///
    /// # Errors
    /// There is no such endpoint.
    pub fn steer(
        &self,
        service: &str,
        endpoint: &Address,
        steer: Steer,
        now: Instant,
    ) -> Result<(), SteerError> {
        let endpoint = canonical(endpoint);
        let result = self.change(service, |service, means| {
            let known = service.addresses();
            let (failures, checked) = (service.spec.outlier.failures, service.health.is_some());
            let Some(member) = service.find(&endpoint) else { return Err(SteerError::NoEndpoint(known)) };
            let was_disabled = matches!(member.wish, Some((Steer::Disable, _)));
            match steer {
                Steer::Enable => {
                    member.wish = None;
                    if member.ejected.is_some() {
                        member.readmit(now, failures.saturating_sub(1));
                    }
                }
                Steer::Drain | Steer::Disable if member.wish.map(|(wish, _)| wish) != Some(steer) => {
                    member.wish = Some((steer, now));
                }
                Steer::Drain | Steer::Disable => {}
            }
            if was_disabled && steer != Steer::Disable {
                // What checks said before says nothing of now, and the next one begins at once.
                member.id = means.id();
                if checked {
                    member.doubt(now);
                }
            }
            let wish = member.wish;
            service.note_wish(endpoint, wish);
            service.settle(means, now);
            Ok(())
        });
        self.targets_changed.notify_one();
        result.unwrap_or_else(|| Err(self.no_service()))
    }

    /// As `steer`, for an endpoint that is not there yet: it holds from when it comes.
    pub fn foresee(&self, service: &str, endpoint: &Address, steer: Steer, now: Instant) {
        let endpoint = canonical(endpoint);
        let wish = (steer != Steer::Enable).then_some((steer, now));
        self.change(service, |service, _| service.note_wish(endpoint, wish));
    }

    /// Adds an endpoint at run time; it stays through reloads, until it is removed or the process ends.
    ///
    /// # Errors
    /// It cannot be added; the error says why.
    pub fn add(&self, service: &str, found: Found, now: Instant) -> Result<(), SteerError> {
        if found.weight == 0 || found.weight > WEIGHT_MAX {
            return Err(SteerError::OutOfRange("a weight is a number from 1 to 1000000"));
        }
        if found.priority > PRIORITY_MAX {
            return Err(SteerError::OutOfRange("a priority is a number from 0 to 9"));
        }
        if found.address.ip().is_some_and(|address| address.port() == 0) {
            return Err(SteerError::OutOfRange("nothing can be reached at port 0"));
        }
        let found = Found { address: canonical(&found.address), ..found };
        let result = self.change(service, |service, means| {
            let is_denied = |ip| discovery::is_denied(ip, &service.spec.endpoints_allow);
            if found.address.ip().is_some_and(|address| is_denied(address.ip())) {
                return Err(SteerError::Denied);
            }
            if service.find(&found.address).is_some() {
                return Err(SteerError::AlreadyThere);
            }
            if service.members.len() >= ENDPOINTS_MAX {
                return Err(SteerError::Full(ENDPOINTS_MAX));
            }
            service.added.insert(found.address.clone(), found);
            service.regather(&Source::Admin, means, now);
            Ok(())
        });
        self.targets_changed.notify_one();
        result.unwrap_or_else(|| Err(self.no_service()))
    }

    /// Removes an endpoint that was added at run time. Requests in flight finish.
    ///
    /// # Errors
    /// There is none, or it came from elsewhere.
    pub fn remove(&self, service: &str, endpoint: &Address, now: Instant) -> Result<(), SteerError> {
        let endpoint = canonical(endpoint);
        let result = self.change(service, |service, means| {
            let known = service.addresses();
            match service.find(&endpoint).map(|member| member.source.clone()) {
                None if !service.added.contains_key(&endpoint) => return Err(SteerError::NoEndpoint(known)),
                Some(source) if source != Source::Admin => return Err(SteerError::NotAdded(source)),
                _ => {}
            }
            service.added.remove(&endpoint);
            service.wishes.remove(&endpoint);
            service.regather(&Source::Admin, means, now);
            Ok(())
        });
        result.unwrap_or_else(|| Err(self.no_service()))
    }

    /// Every service in the order of the settings.
    #[must_use]
    pub fn view(&self, now: Instant) -> Vec<ServiceView> {
        self.lock().services.iter().map(|service| service.view(now)).collect()
    }

    /// One service.
    #[must_use]
    pub fn service(&self, service: &str, now: Instant) -> Option<ServiceView> {
        let state = self.lock();
        state.services.get(*state.names.get(service)?).map(|service| service.view(now))
    }

    /// What metrics show of every service.
    #[must_use]
    pub fn numbers(&self) -> Vec<ServiceNumbers> {
        self.lock().services.iter().map(Service::numbers).collect()
    }

    /// Whether an endpoint has gone since the last call.
    pub(crate) fn take_gone(&self) -> bool {
        self.gone.swap(false, Ordering::Relaxed)
    }

    /// Whether `service` has an endpoint of this name now.
    pub(crate) fn has(&self) -> impl Fn(&str, &str) -> bool + use<> {
        let state = self.lock();
        let all: std::collections::HashSet<(Box<str>, Box<str>)> = state
            .services
            .iter()
            .flat_map(|service| {
                let name = &service.spec.name;
                service.members.iter().map(move |member| (name.clone(), member.shared.name.clone()))
            })
            .collect();
        move |service, endpoint| all.contains(&(service.into(), endpoint.into()))
    }

    fn change<T>(&self, service: &str, then: impl FnOnce(&mut Service, &mut Means<'_>) -> T) -> Option<T> {
        let mut state = self.lock();
        let State { services, names, ids, .. } = &mut *state;
        let service = services.get_mut(*names.get(service)?)?;
        let (registry, log, gone) = (&self.registry, &self.log, &self.gone);
        Some(then(service, &mut Means { registry, log, gone, ids }))
    }

    fn no_service(&self) -> SteerError {
        SteerError::NoService(self.lock().services.iter().map(|service| service.spec.name.clone()).collect())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }
}

impl Service {
    fn view(&self, now: Instant) -> ServiceView {
        let sources = self.told.iter().map(|(source, told)| SourceView {
            source: source.clone(),
            found: u32::try_from(told.found.len()).unwrap_or(u32::MAX),
            denied: told.denied,
            failing: told.failing.clone(),
            asked: told.asked,
            next: told.next,
        });
        ServiceView {
            name: self.spec.name.clone(),
            balance: self.spec.balance.label(),
            panic: self.panic,
            priority: self.priority,
            waiting: self.roster.waiting.load(Ordering::Relaxed),
            sources: sources.collect(),
            endpoints: self.members.iter().map(|member| self.endpoint(member, now)).collect(),
        }
    }

    fn endpoint(&self, member: &Member, now: Instant) -> EndpointView {
        let ramp = member.ramp(self.spec.slow_start, now);
        EndpointView {
            address: member.address().clone(),
            source: member.source.clone(),
            weight: member.weight,
            priority: member.priority,
            share: member.share,
            outs: member.outs(self.health.is_some()),
            ramp: member.ramping.map(|_| (ramp * 100.0) as u8),
            in_flight: member.shared.load(),
            connections: member.shared.connections.load(Ordering::Relaxed),
            check: self.health.as_ref().map(|_| member.check()),
            ejections: member.ejections,
        }
    }

    fn numbers(&self) -> ServiceNumbers {
        let failing =
            self.told.values().filter(|told| told.failing.is_some() || told.asked.is_none()).count();
        let checked = self.health.is_some();
        let endpoints = self.members.iter().map(|member| {
            let out = member.out(checked);
            EndpointNumbers {
                address: member.shared.name.clone(),
                up: out.is_none(),
                state: match out {
                    Some(reason) => reason.label(),
                    None if member.ramping.is_some() => "ramping",
                    None => "up",
                },
                share: f64::from(member.share.unwrap_or(0)) / 1000.0,
                checks: checked.then_some(member.checks),
                ejections: Cause::ALL
                    .iter()
                    .map(|cause| (cause.label(), member.ejections[*cause as usize]))
                    .filter(|(_, count)| *count > 0)
                    .collect(),
            }
        });
        ServiceNumbers {
            service: self.spec.name.clone(),
            panic: self.panic,
            waiting: self.roster.waiting.load(Ordering::Relaxed).into(),
            sources: ((self.told.len() - failing) as u64, failing as u64),
            lookups: self.lookups,
            endpoints: endpoints.collect(),
        }
    }
}
