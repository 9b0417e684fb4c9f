//! Who wants to know of a name or file, what they were told last, and the telling.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use forebay_base::time::Instant;
use forebay_net::address::Address;
use forebay_net::cidr::CidrSet;
use forebay_telemetry::log::Event;
use tokio::sync::watch;

use super::Teller;
use super::denied::is_denied;
use crate::supervisor::{Answer, ENDPOINTS_MAX, Found, Source};

/// Greatest weight of an endpoint.
const WEIGHT_MAX: u32 = 1_000_000;
/// Greatest priority of an endpoint.
const PRIORITY_MAX: u8 = 9;
/// Addresses of a kind that are named in a message.
const NAMED_MAX: usize = 3;

/// A question that is asked again and again, and those who want to know.
pub(super) struct Watch {
    teller: Arc<Teller>,
    state: Mutex<State>,
    answered: watch::Sender<bool>,
}

/// A service that wants to know, and what it makes of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Subscriber {
    pub(super) service: Box<str>,
    pub(super) source: Source,
    /// For leads that have none.
    pub(super) port: u16,
    /// Times that of a lead.
    pub(super) weight: u32,
    /// Plus that of a lead.
    pub(super) priority: u8,
    /// Addresses that are taken whatever they are.
    pub(super) allow: CidrSet,
}

/// What was found, before a service's own settings are applied to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lead {
    pub(super) to: LeadsTo,
    /// At least 1.
    pub(super) weight: u32,
    pub(super) priority: u8,
}

/// What a lead says of an endpoint's address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum LeadsTo {
    /// The port is that of the service's settings.
    Host(IpAddr),
    /// All of it.
    Address(Address),
}

struct State {
    /// Each with the addresses denied it last, so that they are told of once.
    subscribers: Vec<(Subscriber, Vec<IpAddr>)>,
    last: Option<Told>,
}

#[derive(Clone)]
struct Told {
    leads: Result<Vec<Lead>, Box<str>>,
    path: Option<Box<Path>>,
    next: Instant,
}

impl Lead {
    /// An address of a name.
    pub(super) const fn of(address: IpAddr) -> Self {
        Self { to: LeadsTo::Host(address), weight: 1, priority: 0 }
    }
}

impl Watch {
    pub(super) fn new(teller: Arc<Teller>, subscribers: Vec<Subscriber>) -> Arc<Self> {
        let subscribers = subscribers.into_iter().map(|subscriber| (subscriber, Vec::new())).collect();
        let state = Mutex::new(State { subscribers, last: None });
        Arc::new(Self { teller, state, answered: watch::Sender::new(false) })
    }

    /// Replaces those who want to know. Those who are new are told the last answer at once.
    pub(super) fn subscribe(&self, subscribers: Vec<Subscriber>) {
        let now = Instant::now();
        let mut state = self.state();
        let State { subscribers: before, last } = &mut *state;
        // The usual reload: nothing new here.
        if before.iter().map(|(subscriber, _)| subscriber).eq(&subscribers) {
            return;
        }
        // By service and source, of which there may be a hundred thousand.
        let mut known: HashMap<_, _> = before
            .drain(..)
            .map(|known| ((known.0.service.clone(), known.0.source.clone()), known))
            .collect();
        for new in subscribers {
            let old = known.remove(&(new.service.clone(), new.source.clone()));
            if let Some(old) = old.filter(|(old, _)| *old == new) {
                before.push(old);
                continue;
            }
            let mut denied = Vec::new();
            if let Some(last) = last {
                self.tell_one(&new, last, true, &mut denied, now);
            }
            before.push((new, denied));
        }
    }

    /// Tells everybody. `path` is that of a file; a failure of it is told as one.
    pub(super) fn tell(&self, leads: Result<Vec<Lead>, Box<str>>, path: Option<&Path>, next: Instant) {
        let now = Instant::now();
        let told = Told { leads, path: path.map(Into::into), next };
        let mut state = self.state();
        let State { subscribers, last } = &mut *state;
        // The same failure again is no news.
        let news = last.as_ref().is_none_or(|last| last.leads.as_ref().err() != told.leads.as_ref().err());
        for (subscriber, denied) in subscribers {
            self.tell_one(subscriber, &told, news, denied, now);
        }
        *last = Some(told);
        drop(state);
        self.answered.send_replace(true);
    }

    pub(super) fn has_answered(&self) -> bool {
        *self.answered.borrow()
    }

    /// Waits for the first answer, good or bad.
    pub(super) async fn answered(&self) {
        // The sender lives as long as this does.
        let _ = self.answered.subscribe().wait_for(|answered| *answered).await;
    }

    fn tell_one(&self, to: &Subscriber, told: &Told, news: bool, denied: &mut Vec<IpAddr>, now: Instant) {
        let Told { leads, path, next } = told;
        let Teller { sink, log } = &*self.teller;
        let service = &*to.service;
        let (found, left_out) = match leads {
            Ok(leads) => to.take(leads),
            Err(error) => {
                match (path, &to.source) {
                    _ if !news => {}
                    (Some(path), _) => log.emit(&Event::EndpointsFileRefused { service, path, error }),
                    (None, Source::Name(endpoint)) => {
                        log.emit(&Event::ResolveFailed { service, endpoint, error });
                    }
                    (None, _) => {}
                }
                (Err(error.clone()), Vec::new())
            }
        };
        if !left_out.is_empty() && left_out != *denied {
            log.emit(&Event::EndpointsDenied { service, source: &to.source, count: left_out.len() });
        }
        let count = u32::try_from(left_out.len()).unwrap_or(u32::MAX);
        if leads.is_ok() {
            *denied = left_out;
        }
        sink.discovered(service, &to.source, Answer { found, denied: count, next: *next }, now);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under this lock")
    }
}

impl Subscriber {
    /// The endpoints that the leads mean for this service, in order, at most `ENDPOINTS_MAX`; and the addresses
    /// that are not taken. If none is left because of that, it is a failure: somebody plays tricks with the name,
    /// and its last good answer is better.
    fn take(&self, leads: &[Lead]) -> (Result<Vec<Found>, Box<str>>, Vec<IpAddr>) {
        let mut denied = Vec::new();
        let mut found: BTreeMap<Address, Found> = BTreeMap::new();
        for lead in leads {
            let address = match &lead.to {
                LeadsTo::Host(ip) => Address::Ip(SocketAddr::new(*ip, self.port)),
                LeadsTo::Address(address) => address.clone(),
            };
            if let Some(ip) =
                address.ip().map(|address| address.ip()).filter(|ip| is_denied(*ip, &self.allow))
            {
                denied.push(ip);
                continue;
            }
            let weight = self.weight.saturating_mul(lead.weight).clamp(1, WEIGHT_MAX);
            let priority = self.priority.saturating_add(lead.priority).min(PRIORITY_MAX);
            let new = Found { address, weight, priority };
            let known = found.entry(new.address.clone()).or_insert_with(|| new.clone());
            if new.priority < known.priority {
                *known = new;
            }
        }
        denied.sort_unstable();
        denied.dedup();
        if found.is_empty() && !denied.is_empty() {
            let named: Vec<_> = denied.iter().take(NAMED_MAX).map(ToString::to_string).collect();
            let more = if denied.len() > NAMED_MAX { " and others" } else { "" };
            let why = format!(
                "leads only to addresses that are not taken ({}{more}); list them in `endpoints_allow` if they are meant",
                named.join(", ")
            );
            return (Err(why.into()), denied);
        }
        (Ok(found.into_values().take(ENDPOINTS_MAX).collect()), denied)
    }
}
