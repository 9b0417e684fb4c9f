//! One service: its endpoints from all sources, and what workers are told of them.

mod judge;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::address::Address;
use forebay_policy::health::{self, State};
use forebay_policy::outlier::{Cause, Ejection};
use forebay_policy::select::{Candidate, Selection, select};
use forebay_telemetry::log::{Event, Log};

use super::ENDPOINTS_MAX;
use super::member::{Member, Tally};
use super::memory::Memory;
use super::view::{Answer, Found, Source, Steer};
use crate::health::Speech;
use crate::plan;
use crate::upstream::{Members, News, Registry, Roster};

/// Addresses shown in a line of the log.
const SHOWN_MAX: usize = 10;

/// See the module.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) spec: plan::Service,
    pub(super) health: Option<Arc<plan::Health>>,
    pub(super) roster: Arc<Roster>,
    /// What names and the file have said.
    pub(super) told: BTreeMap<Source, Told>,
    /// What operators have added.
    pub(super) added: BTreeMap<Address, Found>,
    /// What operators want of endpoints, those that are away for the moment included.
    pub(super) wishes: BTreeMap<Address, (Steer, Instant)>,
    /// In order of address.
    pub(super) members: Vec<Member>,
    /// Those that have just left.
    memory: Memory,
    pub(super) panic: bool,
    pub(super) priority: u8,
    /// Answers of names and files: good, failed.
    pub(super) lookups: (u64, u64),
    /// It has had endpoints: those that come now are newcomers, and start slowly.
    settled: bool,
    /// When the windows of outlier detection end.
    window_end: Instant,
}

/// What a name or file has said.
#[derive(Clone, Debug, Default)]
pub(super) struct Told {
    pub(super) found: Vec<Found>,
    pub(super) denied: u32,
    pub(super) failing: Option<(Box<str>, Instant)>,
    pub(super) asked: Option<Instant>,
    pub(super) next: Option<Instant>,
}

/// What changing a service needs besides.
pub(super) struct Means<'a> {
    pub(super) registry: &'a Registry,
    pub(super) log: &'a Log,
    /// Set when an endpoint goes.
    pub(super) gone: &'a AtomicBool,
    pub(super) ids: &'a mut u64,
}

impl Means<'_> {
    pub(super) fn id(&mut self) -> u64 {
        *self.ids += 1;
        *self.ids
    }
}

impl Service {
    pub(super) fn new(spec: &plan::Service, means: &mut Means<'_>, now: Instant) -> Self {
        let roster = means.registry.roster(&spec.name);
        let mut service = Self {
            spec: plan::Service::new(&spec.name),
            health: None,
            roster,
            told: BTreeMap::new(),
            added: BTreeMap::new(),
            wishes: BTreeMap::new(),
            members: Vec::new(),
            memory: Memory::default(),
            panic: false,
            priority: 0,
            lookups: (0, 0),
            settled: false,
            window_end: now,
        };
        service.take_over(spec, means, now);
        service
    }

    /// New settings; what they leave alone goes on.
    pub(super) fn take_over(&mut self, spec: &plan::Service, means: &mut Means<'_>, now: Instant) {
        // Whoever is spoken with in another way is checked in another way.
        let health_changed = self.spec.health != spec.health || Speech::of(&self.spec) != Speech::of(spec);
        let outlier_changed = self.spec.outlier != spec.outlier;
        self.spec = spec.clone();
        if health_changed {
            self.health = spec.health.clone().map(Arc::new);
            for member in self.members.iter_mut().chain(self.memory.members()) {
                member.id = means.id();
                member.next = None;
                // It has been in use without, and another check may be of another opinion.
                if member.health.state() == State::Unchecked || self.health.is_none() {
                    member.health = health::Health::up();
                }
            }
        }
        if outlier_changed {
            for member in self.members.iter_mut().chain(self.memory.members()) {
                member.readmit(now, 0);
                member.ejection = Ejection::default();
            }
        }
        let outlier = &self.spec.outlier;
        let or_never = |max: u32| if max == 0 { u32::MAX } else { max };
        self.roster.failing_max.store(or_never(outlier.failures), Ordering::Relaxed);
        self.roster.unreachable_max.store(or_never(outlier.connect_failures), Ordering::Relaxed);
        self.window_end = now + outlier.window;
        let (file, names) = (spec.endpoints_file.is_some(), &spec.endpoints);
        self.told.retain(|source, _| match source {
            Source::File => file,
            Source::Name(name) => names.iter().any(|endpoint| endpoint.address == *name),
            Source::Settings | Source::Admin => false,
        });
        if file {
            self.told.entry(Source::File).or_default();
        }
        for endpoint in names.iter().filter(|endpoint| Address::parse(&endpoint.address).is_none()) {
            self.told.entry(Source::Name(endpoint.address.clone())).or_default();
        }
        self.gather(means, now);
        self.settle(means, now);
    }

    /// A name or file was asked; `true`: it says something else than before.
    pub(super) fn discovered(
        &mut self,
        source: &Source,
        answer: Answer,
        means: &mut Means<'_>,
        now: Instant,
    ) -> bool {
        // An answer to a question that nobody has any more.
        let Some(told) = self.told.get_mut(source) else { return false };
        told.asked = Some(now);
        told.next = Some(answer.next);
        told.denied = answer.denied;
        match answer.found {
            Ok(found) => {
                self.lookups.0 += 1;
                told.failing = None;
                if told.found == found {
                    return false;
                }
                told.found = found;
            }
            Err(error) => {
                self.lookups.1 += 1;
                let since = told.failing.as_ref().map_or(now, |(_, since)| *since);
                told.failing = Some((error, since));
                return false;
            }
        }
        self.regather(source, means, now);
        true
    }

    /// Gathers anew, and says what came and went.
    pub(super) fn regather(&mut self, source: &Source, means: &mut Means<'_>, now: Instant) {
        let before = self.addresses();
        self.gather(means, now);
        let after = self.addresses();
        let only_in = |these: &[Address], those: &[Address]| {
            let only: Vec<_> = these.iter().filter(|one| those.binary_search(one).is_err()).collect();
            listed(&only)
        };
        let (added, removed) = (only_in(&after, &before), only_in(&before, &after));
        if !(added.is_empty() && removed.is_empty()) {
            means.log.emit(&Event::EndpointsChanged {
                service: &self.spec.name,
                source,
                added: &added,
                removed: &removed,
                total: after.len(),
            });
        }
        self.settle(means, now);
    }

    /// Makes members of what all sources say. The first source to name an address is believed: settings, then
    /// operators, then names and the file.
    fn gather(&mut self, means: &mut Means<'_>, now: Instant) {
        let mut wanted: BTreeMap<Address, (Source, u32, u8)> = BTreeMap::new();
        for endpoint in &self.spec.endpoints {
            if let Some(address) = Address::parse(&endpoint.address) {
                wanted.entry(canonical(&address)).or_insert((
                    Source::Settings,
                    endpoint.weight,
                    endpoint.priority,
                ));
            }
        }
        for found in self.added.values() {
            wanted.entry(found.address.clone()).or_insert((Source::Admin, found.weight, found.priority));
        }
        for (source, told) in &self.told {
            for found in &told.found {
                if wanted.len() < ENDPOINTS_MAX {
                    let address = canonical(&found.address);
                    wanted.entry(address).or_insert((source.clone(), found.weight, found.priority));
                }
            }
        }
        let mut before: BTreeMap<Address, Member> =
            self.members.drain(..).map(|member| (member.address().clone(), member)).collect();
        let rules = self.rules();
        let mut back = Vec::new();
        for (address, (source, weight, priority)) in wanted {
            let member = if let Some(member) = before.remove(&address) {
                Member { source, weight, priority, ..member }
            } else if let Some(mut member) = self.memory.take(&address, now) {
                member.come_back(rules.as_ref(), now);
                let wish = self.wishes.get(&address).copied();
                back.push(address);
                Member { source, weight, priority, id: means.id(), wish, ..member }
            } else {
                self.newcomer(&address, source, weight, priority, means, now)
            };
            self.members.push(member);
        }
        if !before.is_empty() {
            means.gone.store(true, Ordering::Relaxed);
        }
        for gone in before.into_values() {
            // Whoever waits for it may go elsewhere only if it did not answer; else it finishes.
            gone.shared.out.store(true, Ordering::Relaxed);
            self.memory.keep(gone, now);
        }
        self.pardon(&back, now);
    }

    fn newcomer(
        &self,
        address: &Address,
        source: Source,
        weight: u32,
        priority: u8,
        means: &mut Means<'_>,
        now: Instant,
    ) -> Member {
        // It may be in use still, from another time.
        let shared = means.registry.shared(&self.spec.name, address);
        // The first name that has led to an address stays; others may lead to it too.
        if let Source::Name(name) = &source {
            let _ = shared.host.set(host_of(name).into());
        }
        shared.failing.store(0, Ordering::Relaxed);
        shared.unreachable.store(0, Ordering::Relaxed);
        let is_late = self.settled && !self.spec.slow_start.is_zero();
        let health = if self.health.is_some() { health::Health::new() } else { health::Health::up() };
        Member {
            shared,
            source,
            weight,
            priority,
            id: means.id(),
            health,
            unhealthy: now,
            last: None,
            next: None,
            checks: (0, 0),
            ejected: None,
            suspect: false,
            ejection: Ejection::default(),
            ejections: [0; Cause::ALL.len()],
            wish: self.wishes.get(address).copied(),
            unchecked: now,
            ramping: is_late.then_some(now),
            out_since: None,
            share: None,
            tally: Tally::default(),
        }
    }

    /// Remembers what an operator wants of an endpoint, even while it is away.
    pub(super) fn note_wish(&mut self, endpoint: Address, wish: Option<(Steer, Instant)>) {
        match wish {
            Some(wish) => self.wishes.insert(endpoint, wish),
            None => self.wishes.remove(&endpoint),
        };
        if self.wishes.len() > ENDPOINTS_MAX {
            let members = &self.members;
            let is_here =
                |address: &Address| members.binary_search_by(|one| one.address().cmp(address)).is_ok();
            self.wishes.retain(|address, _| is_here(address));
        }
    }

    /// Decides who may be picked, and tells workers if that has changed.
    pub(super) fn settle(&mut self, means: &mut Means<'_>, now: Instant) {
        let checked = self.health.is_some();
        self.note_changes(checked, means.log, now);
        let (selection, indices) = self.select(checked, now);
        self.note_panic(&selection, means.log);
        let picks: Vec<(usize, u32)> =
            selection.picks.iter().map(|(place, weight)| (indices[*place], *weight)).collect();
        let lost = self.mark(&picks, checked);
        self.settled |= !self.members.is_empty();
        let all = self.members.iter().map(|member| Arc::clone(&member.shared)).collect();
        let weights = self.members.iter().map(|member| member.weight).collect();
        let before = self.roster.members();
        let members = Members::new(all, weights, picks).after(&before);
        if matches!(self.spec.balance, plan::Balance::Hash(_)) {
            // No request should have to wait until it is made.
            let _ = members.ring();
        }
        if !members.is_same(&before) {
            self.roster.publish(members);
            if self.roster.waiting.load(Ordering::SeqCst) > 0 {
                means.registry.tell(&News::Room(Arc::clone(&self.roster)));
            }
        }
        if lost {
            means.registry.tell(&News::Lost);
        }
    }

    /// Says who went out and who came back since the last time; those who come back start slowly.
    fn note_changes(&mut self, checked: bool, log: &Log, now: Instant) {
        let service = &*self.spec.name;
        for member in &mut self.members {
            let shared = Arc::clone(&member.shared);
            let endpoint = &shared.address;
            match (member.out(checked), member.out_since) {
                // Nobody has said anything against it.
                (Some(super::Reason::Unchecked), _) => {}
                (Some(reason), None) => {
                    member.out_since = Some(now);
                    member.ramping = None;
                    let outs = member.outs(checked);
                    let detail = outs.first().map_or("", |out| &*out.detail);
                    log.emit(&Event::EndpointOut { service, endpoint, reason: reason.label(), detail });
                }
                (None, Some(since)) => {
                    member.out_since = None;
                    member.ramping = (!self.spec.slow_start.is_zero()).then_some(now);
                    log.emit(&Event::EndpointBack { service, endpoint, after: now.since(since) });
                }
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
    }

    /// The selection among those an operator has not taken out, and which members they are.
    fn select(&self, checked: bool, now: Instant) -> (Selection, Vec<usize>) {
        let candidate = |member: &Member, usable: bool| Candidate {
            usable,
            weight: member.weight,
            priority: member.priority,
            ramp: member.ramp(self.spec.slow_start, now),
        };
        let indices: Vec<usize> =
            (0..self.members.len()).filter(|index| !self.members[*index].is_steered_out()).collect();
        let usable = |member: &Member, unchecked: bool| match member.out(checked) {
            None => true,
            Some(super::Reason::Unchecked) => unchecked && member.ejected.is_none(),
            Some(_) => false,
        };
        let of = |unchecked: bool| {
            let members = indices.iter().map(|index| &self.members[*index]);
            let candidates: Vec<Candidate> =
                members.map(|member| candidate(member, usable(member, unchecked))).collect();
            select(&candidates, self.spec.panic_below)
        };
        let selection = of(false);
        // As long as too few checks have passed, those not checked yet are as good as any: no reason to panic.
        let selection = if selection.panic || selection.picks.is_empty() { of(true) } else { selection };
        (selection, indices)
    }

    fn note_panic(&mut self, selection: &Selection, log: &Log) {
        self.priority = selection.priority;
        if std::mem::replace(&mut self.panic, selection.panic) != selection.panic {
            let checked = self.health.is_some();
            let usable = self.members.iter().filter(|member| member.out(checked).is_none()).count();
            let (service, total) = (&*self.spec.name, self.members.len());
            log.emit(&Event::Panic { service, begins: selection.panic, usable, total });
        }
    }

    /// Tells each endpoint whether it is picked; `true`: one more is lost.
    fn mark(&mut self, picks: &[(usize, u32)], checked: bool) -> bool {
        let sum: u64 = picks.iter().map(|(_, weight)| u64::from(*weight)).sum();
        let mut newly_lost = false;
        let mut picks = picks.iter().peekable();
        for (index, member) in self.members.iter_mut().enumerate() {
            let picked = picks.next_if(|(picked, _)| *picked == index);
            member.share = picked
                .map(|(_, weight)| u32::try_from(u64::from(*weight) * 1000 / sum.max(1)).unwrap_or(1000));
            let is_lost = picked.is_none() && member.is_lost(checked);
            member.shared.out.store(picked.is_none(), Ordering::Relaxed);
            newly_lost |= !member.shared.lost.swap(is_lost, Ordering::Relaxed) && is_lost;
        }
        newly_lost
    }

    /// Of all members, in order.
    pub(super) fn addresses(&self) -> Vec<Address> {
        self.members.iter().map(Member::address).cloned().collect()
    }

    /// The member at this address.
    pub(super) fn find(&mut self, address: &Address) -> Option<&mut Member> {
        let at = self.members.binary_search_by(|member| member.address().cmp(address)).ok()?;
        self.members.get_mut(at)
    }

    pub(super) fn rules(&self) -> Option<health::Rules> {
        let health = self.health.as_ref()?;
        Some(health::Rules {
            rise: health.rise,
            fall: health.fall,
            interval: health.interval,
            fast_interval: health.fast_interval,
        })
    }
}

/// The same for every way in which an address can be written: an IPv4 address that is mapped into IPv6 is itself,
/// and only a link-local address has a zone.
pub(super) fn canonical(address: &Address) -> Address {
    match address {
        Address::Ip(address) => canonical_ip(*address).into(),
        Address::Unix(_) => address.clone(),
    }
}

fn canonical_ip(address: SocketAddr) -> SocketAddr {
    match (address, address.ip().to_canonical()) {
        (_, IpAddr::V4(ip)) => SocketAddr::from((ip, address.port())),
        (SocketAddr::V6(_), IpAddr::V6(ip)) if ip.is_unicast_link_local() => address,
        (_, ip) => SocketAddr::new(ip, address.port()),
    }
}

fn listed(addresses: &[&Address]) -> String {
    let mut text = addresses.iter().take(SHOWN_MAX).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    if addresses.len() > SHOWN_MAX {
        let _ = write!(text, " and {} more", addresses.len() - SHOWN_MAX);
    }
    text
}

/// How long an endpoint may take to accept a connection when it is tried.
pub(super) fn patience(service: &Service) -> Duration {
    service.spec.timeout.connect
}

/// The host of `host:port`; of SRV records, the domain they belong to (RFC 6125 §6.4).
fn host_of(name: &str) -> &str {
    let host = name.rsplit_once(':').map_or(name, |(host, _)| host);
    let mut rest = host;
    while let Some((label, parent)) = rest.split_once('.').filter(|(label, _)| label.starts_with('_')) {
        let _ = label;
        rest = parent;
    }
    rest
}
