//! Which addresses does a name have now, and for how long? Asks name servers as the system's resolver would.
//!
//! A stub resolver: it asks the servers of `/etc/resolv.conf` (or others), which do the real work, and keeps
//! nothing. `/etc/hosts`, search domains, `localhost`, chains of aliases and answers too long for UDP are taken
//! care of. Every answer comes with its time to live, so that whoever asks knows when to ask again.

mod client;
mod error;
mod message;
mod name;
mod system;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use client::Client;
pub use error::DnsError;
use message::{Data, Kind, Reply};
pub use name::BadName;
use name::Name;
use system::{Hosts, ResolvConf};

/// Longest an answer "there is none" is believed, whatever it says itself.
pub const NEGATIVE_TTL_MAX: Duration = Duration::from_secs(300);
/// How long what stands in `/etc/hosts` is believed: then the file is read again.
pub const HOSTS_TTL: Duration = Duration::from_secs(5);
/// Most targets of one service that are looked at, the most preferred ones.
pub const TARGETS_MAX: usize = 1_000;
/// Questions of one resolver that are on their way at the same time, each with a socket of its own; others wait.
pub const QUESTIONS_MAX: usize = 100;
/// Aliases followed for one name, within answers and from one to the next.
const ALIASES_MAX: usize = 16;
/// Targets of a service whose addresses are asked for at the same time.
const TARGETS_AT_ONCE: usize = 16;

/// Looks names up. Cheap to clone; clones are the same.
#[derive(Clone, Debug)]
pub struct Resolver {
    options: Arc<Options>,
    /// One for each question on its way: `QUESTIONS_MAX` in all.
    permits: Arc<Semaphore>,
}

/// Whom to ask, and for what.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name servers; empty: those of `resolv_conf`.
    pub servers: Vec<SocketAddr>,
    /// For one question to one server, over UDP; as long again over TCP if the answer is too long for it.
    pub timeout: Duration,
    /// Which addresses are wanted.
    pub family: Family,
    /// Name servers and search domains; read for each name, so that changes are noticed.
    pub resolv_conf: PathBuf,
    /// Names that no server is asked for; read for each name.
    pub hosts: PathBuf,
}

/// Which addresses of a name are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Family {
    /// IPv4 if there are any, else IPv6.
    #[default]
    Auto,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
    /// All.
    Both,
}

/// The addresses of a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// In order, each once, at least one.
    pub addresses: Vec<IpAddr>,
    /// How long they may be believed.
    pub ttl: Duration,
}

/// The hosts that offer a service (RFC 2782).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Services {
    /// In order of priority, host and port; at least one, at most [`TARGETS_MAX`].
    pub targets: Vec<SrvTarget>,
    /// How long they may be believed, addresses included.
    pub ttl: Duration,
}

/// A host that offers a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SrvTarget {
    /// Its name, in lower case, without a dot at the end.
    pub host: Box<str>,
    /// Where it listens.
    pub port: u16,
    /// The least first.
    pub priority: u16,
    /// Share among those of the same priority.
    pub weight: u16,
    /// Its addresses, or why there are none.
    pub addresses: Result<Vec<IpAddr>, DnsError>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            timeout: Duration::from_secs(2),
            family: Family::default(),
            resolv_conf: PathBuf::from("/etc/resolv.conf"),
            hosts: PathBuf::from("/etc/hosts"),
        }
    }
}

impl Resolver {
    /// A resolver; nothing is asked or read yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self { options: Arc::new(options), permits: Arc::new(Semaphore::new(QUESTIONS_MAX)) }
    }

    /// The addresses of a host. A dot at the end of its name means that no search domain is tried.
    ///
    /// # Errors
    /// There is none, or it could not be found out. Takes at most the timeout, twice over for UDP and TCP, for
    /// each server, twice around, for each search domain.
    pub async fn addresses(&self, host: &str) -> Result<Answer, DnsError> {
        if let Ok(address) = host.parse::<IpAddr>() {
            return Ok(Answer { addresses: vec![address], ttl: NEGATIVE_TTL_MAX });
        }
        let found = Hosts::load(&self.options.hosts).find(host);
        if let Some(addresses) = self.wanted(found) {
            return Ok(Answer { addresses, ttl: HOSTS_TTL });
        }
        if system::is_localhost(host) {
            let loopback = vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
            let addresses = self.wanted(loopback).unwrap_or_default();
            return Ok(Answer { addresses, ttl: NEGATIVE_TTL_MAX });
        }
        let system = ResolvConf::load(&self.options.resolv_conf);
        let client = self.client(&system);
        let mut none = None;
        for name in candidates(host, &system)? {
            match self.addresses_of(&client, &name).await {
                Err(error) if error.is_negative() => none = Some(DnsError::lesser(none, error)),
                // No guess at another name while it is not known what this one means.
                done => return done,
            }
        }
        Err(none.unwrap_or(DnsError::NoSuchName { ttl: None }))
    }

    /// The hosts that offer a service, such as `_http._tcp.shop.test`.
    ///
    /// # Errors
    /// There is none, or it could not be found out. That of a single target's addresses stands with the target.
    pub async fn services(&self, service: &str) -> Result<Services, DnsError> {
        let system = ResolvConf::load(&self.options.resolv_conf);
        let client = self.client(&system);
        let mut none = None;
        for name in candidates(service, &system)? {
            match look_up(&client, &name, Kind::Srv).await {
                Ok(found) => return self.with_addresses(found).await,
                Err(error) if error.is_negative() => none = Some(DnsError::lesser(none, error)),
                Err(error) => return Err(error),
            }
        }
        Err(none.unwrap_or(DnsError::NoSuchName { ttl: None }))
    }

    fn client(&self, system: &ResolvConf) -> Client<'_> {
        let servers = if self.options.servers.is_empty() { &system.servers } else { &self.options.servers };
        Client { servers: servers.clone(), timeout: self.options.timeout, permits: &self.permits }
    }

    async fn addresses_of(&self, client: &Client<'_>, name: &Name) -> Result<Answer, DnsError> {
        let v4 = || async { Ok(Answer::of(look_up(client, name, Kind::A).await?)) };
        let v6 = || async { Ok(Answer::of(look_up(client, name, Kind::Aaaa).await?)) };
        match self.options.family {
            Family::V4 => v4().await,
            Family::V6 => v6().await,
            Family::Auto => match v4().await {
                Err(none @ DnsError::NoData { .. }) => match v6().await {
                    Err(error) if error.is_negative() => Err(DnsError::lesser(Some(none), error)),
                    done => done,
                },
                done => done,
            },
            Family::Both => match tokio::join!(v4(), v6()) {
                (Ok(v4), Ok(v6)) => Ok(v4.and(v6)),
                (Ok(answer), Err(none)) | (Err(none), Ok(answer)) if none.is_negative() => Ok(answer),
                // Half an answer would take the other half's endpoints away.
                (Ok(_), Err(error)) | (Err(error), Ok(_)) => Err(error),
                (Err(one), Err(other)) if one.is_negative() => {
                    Err(if other.is_negative() { DnsError::lesser(Some(one), other) } else { other })
                }
                (Err(one), Err(_)) => Err(one),
            },
        }
    }

    /// Those of the family that is wanted, in order; `None` if there are none.
    fn wanted(&self, mut addresses: Vec<IpAddr>) -> Option<Vec<IpAddr>> {
        let any_v4 = addresses.iter().any(IpAddr::is_ipv4);
        addresses.retain(|address| match self.options.family {
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
            Family::Auto => address.is_ipv4() == any_v4,
            Family::Both => true,
        });
        addresses.sort_unstable();
        addresses.dedup();
        Some(addresses).filter(|addresses| !addresses.is_empty())
    }

    /// Asks for the addresses of each target, unless they came along.
    async fn with_addresses(&self, found: Found) -> Result<Services, DnsError> {
        let Found { data, mut ttl, more } = found;
        let mut records: Vec<_> = data.into_iter().filter_map(Data::into_srv).collect();
        // A single root as target: the service is decidedly not offered here (RFC 2782).
        records.retain(|record| !record.target.is_root());
        if records.is_empty() {
            return Err(DnsError::NotOffered { ttl: Some(ttl.min(NEGATIVE_TTL_MAX)) });
        }
        records.sort_unstable_by(|a, b| {
            (a.priority, &a.target, a.port, a.weight).cmp(&(b.priority, &b.target, b.port, b.weight))
        });
        records.dedup_by(|a, b| (a.priority, &a.target, a.port) == (b.priority, &b.target, b.port));
        records.truncate(TARGETS_MAX);
        let mut hosts: Vec<&Name> = records.iter().map(|record| &record.target).collect();
        hosts.sort_unstable();
        hosts.dedup();
        let mut known = self.came_along(&hosts, &more);
        let missing = hosts.into_iter().filter(|host| !known.iter().any(|(name, _)| name == *host));
        known.extend(self.ask_all(missing.cloned().collect()).await);
        for (_, answer) in &known {
            match answer {
                Ok(answer) => ttl = ttl.min(answer.ttl),
                Err(error) => ttl = ttl.min(error.ttl().unwrap_or(ttl)),
            }
        }
        let targets = records.into_iter().map(|record| {
            let answer = known.iter().find(|(name, _)| *name == record.target).map(|(_, answer)| answer);
            let addresses = match answer {
                Some(Ok(answer)) => Ok(answer.addresses.clone()),
                Some(Err(error)) => Err(error.clone()),
                None => Err(DnsError::NoSuchName { ttl: None }),
            };
            SrvTarget {
                host: record.target.to_string().into(),
                port: record.port,
                priority: record.priority,
                weight: record.weight,
                addresses,
            }
        });
        Ok(Services { targets: targets.collect(), ttl })
    }

    /// Addresses that stand beside the service's own records, where they are all that would be asked for.
    fn came_along(&self, hosts: &[&Name], more: &[message::Record]) -> Vec<(Name, Result<Answer, DnsError>)> {
        let wanted = |data: &Data| match self.options.family {
            Family::Auto | Family::V4 => matches!(data, Data::A(_)),
            Family::V6 => matches!(data, Data::Aaaa(_)),
            // It is not known whether those of the other family were left out.
            Family::Both => false,
        };
        let answer = |host: &&Name| {
            let records: Vec<_> =
                more.iter().filter(|record| record.name == **host && wanted(&record.data)).collect();
            let ttl = records.iter().map(|record| record.ttl).min()?;
            let data = records.iter().map(|record| record.data.clone()).collect();
            Some(((*host).clone(), Ok(Answer::of(Found { data, ttl, more: Vec::new() }))))
        };
        hosts.iter().filter_map(answer).collect()
    }

    async fn ask_all(&self, hosts: Vec<Name>) -> Vec<(Name, Result<Answer, DnsError>)> {
        let mut hosts = hosts.into_iter();
        let mut asking = JoinSet::new();
        let mut answers = Vec::new();
        loop {
            while asking.len() < TARGETS_AT_ONCE
                && let Some(host) = hosts.next()
            {
                let resolver = self.clone();
                asking.spawn(async move {
                    // Targets are whole names: no search domains.
                    let answer = resolver.addresses(&format!("{host}.")).await;
                    (host, answer)
                });
            }
            match asking.join_next().await {
                Some(Ok(answer)) => answers.push(answer),
                // A look-up that panicked has no answer.
                Some(Err(_)) => {}
                None => return answers,
            }
        }
    }
}

impl Answer {
    fn of(found: Found) -> Self {
        let mut addresses: Vec<_> = found.data.iter().filter_map(Data::address).collect();
        addresses.sort_unstable();
        addresses.dedup();
        Self { addresses, ttl: found.ttl }
    }

    fn and(mut self, other: Self) -> Self {
        self.addresses.extend(other.addresses);
        Self { addresses: self.addresses, ttl: self.ttl.min(other.ttl) }
    }
}

/// Records of the kind that was asked for, at least one.
struct Found {
    data: Vec<Data>,
    /// The least of theirs and of the aliases that led to them.
    ttl: Duration,
    /// What came along.
    more: Vec<message::Record>,
}

/// Asks for one kind of record, through aliases.
async fn look_up(client: &Client<'_>, name: &Name, kind: Kind) -> Result<Found, DnsError> {
    let mut trail = Trail::from(name.clone());
    loop {
        let reply = client.ask(&trail.name, kind).await?;
        match trail.follow(reply, kind)? {
            Step::Found(found) => return Ok(found),
            Step::Ask(further) => trail = further,
        }
    }
}

/// What the message says if it is the answer to the question with this number for a host's IPv4 addresses. This is what
/// strangers may send; `Resolver` asks by itself.
#[must_use]
pub fn read_addresses(message: &[u8], id: u16, host: &str) -> Option<Answer> {
    let name = Name::parse(host).ok()?;
    let reply = message::answer(message, id, &name, Kind::A).ok()?;
    match Trail::from(name).follow(reply, Kind::A) {
        Ok(Step::Found(found)) => Some(Answer::of(found)),
        _ => None,
    }
}

/// Where aliases have led so far.
struct Trail {
    name: Name,
    /// The least of theirs.
    ttl: Duration,
    aliases: usize,
}

/// What comes of an answer.
enum Step {
    Found(Found),
    /// The server knew the alias, but not what it leads to, nor that it leads nowhere.
    Ask(Trail),
}

impl From<Name> for Trail {
    fn from(name: Name) -> Self {
        Self { name, ttl: Duration::MAX, aliases: 0 }
    }
}

impl Trail {
    fn follow(self, reply: Reply, kind: Kind) -> Result<Step, DnsError> {
        let Self { name: asked, mut ttl, mut aliases } = self;
        let mut name = &asked;
        while let Some((target, its_ttl)) = reply.alias(name) {
            (name, ttl, aliases) = (target, ttl.min(its_ttl), aliases + 1);
            if aliases > ALIASES_MAX {
                return Err(DnsError::Endless);
            }
        }
        let (name, moved) = (name.clone(), *name != asked);
        let Reply { absent, negative_ttl, records, more } = reply;
        let negative = negative_ttl.map(|negative| negative.min(ttl).min(NEGATIVE_TTL_MAX));
        if absent {
            return Err(DnsError::NoSuchName { ttl: negative });
        }
        let matching = records.into_iter().filter(|record| record.name == name && record.data.is(kind));
        let matching: Vec<_> = matching.collect();
        if let Some(least) = matching.iter().map(|record| record.ttl).min() {
            let data = matching.into_iter().map(|record| record.data).collect();
            return Ok(Step::Found(Found { data, ttl: ttl.min(least), more }));
        }
        match moved && negative_ttl.is_none() {
            true => Ok(Step::Ask(Self { name, ttl, aliases })),
            false => Err(DnsError::NoData { ttl: negative }),
        }
    }
}

/// The whole names that a name may mean, in the order in which they are tried.
fn candidates(text: &str, system: &ResolvConf) -> Result<Vec<Name>, DnsError> {
    let own = Name::parse(text).map_err(DnsError::BadName)?;
    if text.ends_with('.') {
        return Ok(vec![own]);
    }
    let mut names: Vec<_> = system.search.iter().filter_map(|domain| own.within(domain)).collect();
    let dots = text.bytes().filter(|&byte| byte == b'.').count();
    names.insert(if dots >= system.dots { 0 } else { names.len() }, own);
    Ok(names)
}

#[cfg(test)]
mod tests;
