//! What people and tools are shown of services and endpoints, and what they may ask for.

use std::fmt;
use std::sync::Arc;

use forebay_base::time::Instant;
use forebay_net::address::Address;
use forebay_policy::{health, outlier};

use crate::health::Speech;
use crate::plan;

/// How an endpoint came to be known.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// Its address stands in the settings.
    Settings,
    /// A name of the settings leads to it: `host:port`, or a name with SRV records.
    Name(Box<str>),
    /// It stands in the service's `endpoints_file`.
    File,
    /// An operator added it at run time.
    Admin,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings => f.write_str("settings"),
            Self::Name(name) => write!(f, "name {name}"),
            Self::File => f.write_str("file"),
            Self::Admin => f.write_str("admin"),
        }
    }
}

/// An endpoint as a source tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Where it can be reached.
    pub address: Address,
    /// 1 to 1,000,000.
    pub weight: u32,
    /// 0 to 9; the least first.
    pub priority: u8,
}

/// What a source said when it was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The endpoints; or why there is no answer, and then the last good one holds.
    pub found: Result<Vec<Found>, Box<str>>,
    /// How many were left out because they are link-local or serve a cloud's metadata.
    pub denied: u32,
    /// When the source will be asked again.
    pub next: Instant,
}

/// An endpoint that is to be checked, and how.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its service.
    pub service: Box<str>,
    /// Where it is.
    pub address: Address,
    /// What `Host` says unless the check has its own: the endpoint as written in the settings.
    pub host: Box<str>,
    /// What its certificate is for, if it shows one.
    pub(crate) name: Box<str>,
    /// How it is checked.
    pub health: Arc<plan::Health>,
    /// What is spoken with it.
    pub(crate) speech: Speech,
    /// Tells this endpoint from another that comes to the same address later, or is checked in another way.
    pub(crate) id: u64,
}

/// A service and its endpoints at a moment.
#[derive(Clone, Debug)]
pub struct ServiceView {
    /// Its name.
    pub name: Box<str>,
    /// How it picks.
    pub balance: &'static str,
    /// Too few endpoints are usable, so all are used.
    pub panic: bool,
    /// The lowest priority in use; 0 unless endpoints of the first were too few.
    pub priority: u8,
    /// Requests that wait because every endpoint has as many as it may.
    pub waiting: u32,
    /// Names and files, and what came of asking them.
    pub sources: Vec<SourceView>,
    /// In order of address.
    pub endpoints: Vec<EndpointView>,
}

/// A name or file that leads to endpoints.
#[derive(Clone, Debug)]
pub struct SourceView {
    /// Which one.
    pub source: Source,
    /// Endpoints of its last good answer.
    pub found: u32,
    /// Of its last answer, those left out because of their address.
    pub denied: u32,
    /// Why it has no answer now, and since when; the last good one holds.
    pub failing: Option<(Box<str>, Instant)>,
    /// When it was asked; `None`: not yet.
    pub asked: Option<Instant>,
    /// When it will be asked again.
    pub next: Option<Instant>,
}

/// An endpoint at a moment.
#[derive(Clone, Debug)]
pub struct EndpointView {
    /// Where it is: its name in metrics, logs and commands.
    pub address: Address,
    /// How it came to be known.
    pub source: Source,
    /// As configured.
    pub weight: u32,
    /// As configured.
    pub priority: u8,
    /// Its share of the picks, in thousandths of the service's; `None`: it is not picked.
    pub share: Option<u32>,
    /// Why it is out; empty: it is not. In panic it may be picked all the same.
    pub outs: Vec<Out>,
    /// How far its share has grown, in percent; `None`: it does not grow.
    pub ramp: Option<u8>,
    /// Requests being served.
    pub in_flight: u32,
    /// Open connections, in use or idle.
    pub connections: u32,
    /// The health check, if there is one.
    pub check: Option<CheckView>,
    /// How often it has been ejected, by cause: in the order of `outlier::Cause::ALL`.
    pub ejections: [u64; outlier::Cause::ALL.len()],
}

impl EndpointView {
    /// One word: `up`, `ramping`, or the first reason why it is out.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self.outs.first() {
            Some(out) => out.reason.label(),
            None if self.ramp.is_some() => "ramping",
            None => "up",
        }
    }
}

/// Why an endpoint is out, and until when.
#[derive(Clone, Debug)]
pub struct Out {
    /// The kind of reason.
    pub reason: Reason,
    /// Since when.
    pub since: Instant,
    /// When it will be tried again; `None`: when somebody says so, or its check passes.
    pub until: Option<Instant>,
    /// More, for people: what the last check met, or what had failed.
    pub detail: Box<str>,
}

/// A reason for an endpoint to be out. The most deliberate comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// An operator said so: no requests and no checks.
    Disabled,
    /// An operator said so: no new requests; checks go on.
    Drained,
    /// Its health check fails.
    Unhealthy,
    /// It has not been checked yet.
    Unchecked,
    /// It treated requests badly.
    Ejected(outlier::Cause),
}

impl Reason {
    /// One word for it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Disabled => "disabled",
            Self::Drained => "drained",
            Self::Unhealthy => "unhealthy",
            Self::Unchecked => "unchecked",
            Self::Ejected(_) => "ejected",
        }
    }
}

/// What health checks of an endpoint found.
#[derive(Clone, Debug)]
pub struct CheckView {
    /// What they amount to.
    pub state: health::State,
    /// When the last one ended, whether it passed, and what it met.
    pub last: Option<(Instant, bool, Box<str>)>,
    /// When the next one begins.
    pub next: Option<Instant>,
    /// Checks so far: passed, failed.
    pub counts: (u64, u64),
}

/// What an operator may do to an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Steer {
    /// No new requests; those in flight finish, and checks go on.
    Drain,
    /// No new requests, and no checks.
    Disable,
    /// Back to normal: ends draining, disabling and ejection.
    Enable,
}

/// Why nothing was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SteerError {
    /// No service has this name. Those that exist:
    NoService(Vec<Box<str>>),
    /// The service has no such endpoint. Those it has:
    NoEndpoint(Vec<Address>),
    /// It came from this source, and only what was added at run time can be removed so.
    NotAdded(Source),
    /// The service has it already.
    AlreadyThere,
    /// The service has as many endpoints as it may.
    Full(usize),
    /// Link-local addresses and those that serve a cloud's metadata need `endpoints_allow`.
    Denied,
    /// Another process is taking over, and has been told the state of everything.
    HandedOver,
    /// Out of range: the weight or the priority.
    OutOfRange(&'static str),
}

impl fmt::Display for SteerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, before: &str, known: &[T]) -> fmt::Result {
            const SHOWN: usize = 10;
            f.write_str(before)?;
            for (index, one) in known.iter().take(SHOWN).enumerate() {
                write!(f, "{}{one}", if index == 0 { "" } else { ", " })?;
            }
            if known.len() > SHOWN { write!(f, " and {} more", known.len() - SHOWN) } else { Ok(()) }
        }
        match self {
            Self::NoService(known) => list(f, "no service has this name; there are: ", known),
            Self::NoEndpoint(known) if known.is_empty() => f.write_str("the service has no endpoint now"),
            Self::NoEndpoint(known) => list(f, "the service has no such endpoint; it has: ", known),
            Self::NotAdded(source) => {
                write!(f, "it comes from: {source}; remove it there, or drain or disable it here")
            }
            Self::AlreadyThere => f.write_str("the service has this endpoint already"),
            Self::Full(max) => write!(f, "the service has {max} endpoints already, the most it may"),
            Self::Denied => f.write_str(
                "link-local and metadata addresses are not taken; list them in the service's `endpoints_allow`",
            ),
            Self::HandedOver => f.write_str("another process has taken over; ask again"),
            Self::OutOfRange(what) => f.write_str(what),
        }
    }
}
