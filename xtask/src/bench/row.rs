//! The rows of the table: what load each one is.

use clap::ValueEnum;

use super::peer::Kind;
use super::result::Metric;

/// One kind of load.
#[derive(Debug)]
pub(crate) struct Row {
    /// As in `--only`.
    pub(crate) name: Name,
    /// For readers of the table.
    pub(crate) title: &'static str,
    /// What is sent.
    pub(crate) load: Load,
    /// How it comes in.
    pub(crate) entry: Entry,
    /// What the peers are tuned for.
    pub(crate) tuning: Tuning,
    /// What is to be reached.
    pub(crate) goal: Option<Goal>,
}

/// CPU per request or handshake, relative to others.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Goal {
    /// Of which figure.
    pub(crate) metric: Metric,
    /// The greatest ratio that is good enough.
    pub(crate) most: f64,
    /// To whom; `None`: to the better of all others.
    pub(crate) to: Option<Kind>,
}

/// What is spoken with the peers. To the origin it is always plain HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// HTTP/1.1.
    Plain,
    /// HTTP/2 without TLS, by prior knowledge.
    H2,
    /// TLS 1.3: HTTP/2 if the client asks for it, else HTTP/1.1.
    Tls,
}

/// What matters most to a peer's settings. A peer with one good setting for everything has no use for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tuning {
    /// Many small messages.
    Small,
    /// Large bodies.
    Large,
}

/// The row's word on the command line and in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "lower")]
pub(crate) enum Name {
    /// GET of 90 bytes, 64 connections
    Small,
    /// GET of 10 KiB, 64 connections
    Get10k,
    /// GET of 1 MiB, 16 connections
    Get1m,
    /// POST of 10 KiB, 64 connections
    Post10k,
    /// GET of 90 bytes at a fixed rate
    Rate,
    /// Memory of connections that wait
    Idle,
    /// GET of 90 bytes over HTTP/2, 16 connections of 16 streams
    H2,
    /// The same, secured
    H2Tls,
    /// GET of 90 bytes over TLS, 64 connections
    Tls,
    /// A TLS connection each, and nothing else
    Handshake,
    /// Memory of TLS connections that wait
    IdleTls,
    /// Memory of HTTP/2 connections that wait
    IdleH2,
}

/// How the load is made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Load {
    /// Each connection sends its next request when the last one was answered: as fast as the proxy can.
    Closed {
        /// Of the origin.
        path: &'static str,
        /// Kept alive throughout.
        connections: u32,
        /// Bytes of the request's body; 0: GET.
        body: u32,
    },
    /// As `Closed` on each of several streams of each connection.
    Multiplexed {
        /// Of the origin.
        path: &'static str,
        /// Kept alive throughout.
        connections: u32,
        /// Requests in flight on each.
        streams: u32,
    },
    /// Full handshakes of TLS 1.3, one after the other on each thread; no request follows.
    Handshakes {
        /// In flight at once.
        clients: u32,
    },
    /// Requests start at planned times, whatever became of earlier ones.
    Open {
        /// Kept alive throughout.
        connections: u32,
        /// Part of the slowest peer's requests per second in the row `small`.
        share: f64,
    },
    /// Connections that made one request each and wait.
    Idle {
        /// All open at once.
        connections: u32,
    },
}

/// In the order they are run.
pub(crate) const ALL: &[Row] = &[
    Row {
        name: Name::Small,
        title: "GET 90 B, 64 connections",
        load: Load::Closed { path: "/small", connections: 64, body: 0 },
        entry: Entry::Plain,
        tuning: Tuning::Small,
        goal: None,
    },
    Row {
        name: Name::Get10k,
        title: "GET 10 KiB, 64 connections",
        load: Load::Closed { path: "/10k", connections: 64, body: 0 },
        entry: Entry::Plain,
        tuning: Tuning::Small,
        goal: None,
    },
    Row {
        name: Name::Get1m,
        title: "GET 1 MiB, 16 connections",
        load: Load::Closed { path: "/1m", connections: 16, body: 0 },
        entry: Entry::Plain,
        tuning: Tuning::Large,
        goal: None,
    },
    Row {
        name: Name::Post10k,
        title: "POST 10 KiB, 64 connections",
        load: Load::Closed { path: "/sink", connections: 64, body: 10 << 10 },
        entry: Entry::Plain,
        tuning: Tuning::Small,
        goal: None,
    },
    Row {
        name: Name::Rate,
        title: "GET 90 B at 70 % of the slowest peer's rate, 64 connections",
        load: Load::Open { connections: 64, share: 0.7 },
        entry: Entry::Plain,
        tuning: Tuning::Small,
        goal: None,
    },
    Row {
        name: Name::Idle,
        title: "5,000 idle connections",
        load: Load::Idle { connections: 5_000 },
        entry: Entry::Plain,
        tuning: Tuning::Small,
        goal: None,
    },
    Row {
        name: Name::H2,
        title: "HTTP/2: GET 90 B, 16 connections of 16 streams",
        load: Load::Multiplexed { path: "/small", connections: 16, streams: 16 },
        entry: Entry::H2,
        tuning: Tuning::Small,
        goal: Some(Goal { metric: Metric::Cpu, most: 0.85, to: None }),
    },
    Row {
        name: Name::H2Tls,
        title: "HTTP/2 over TLS: the same",
        load: Load::Multiplexed { path: "/small", connections: 16, streams: 16 },
        entry: Entry::Tls,
        tuning: Tuning::Small,
        goal: Some(Goal { metric: Metric::Cpu, most: 0.85, to: None }),
    },
    Row {
        name: Name::Tls,
        title: "TLS: GET 90 B, 64 connections",
        load: Load::Closed { path: "/small", connections: 64, body: 0 },
        entry: Entry::Tls,
        tuning: Tuning::Small,
        goal: Some(Goal { metric: Metric::Cpu, most: 0.8, to: None }),
    },
    Row {
        name: Name::Handshake,
        title: "TLS 1.3 handshakes, full, 8 at once",
        load: Load::Handshakes { clients: 8 },
        entry: Entry::Tls,
        tuning: Tuning::Small,
        goal: Some(Goal { metric: Metric::Handshake, most: 1.0 / 1.2, to: Some(Kind::Nginx) }),
    },
    Row {
        name: Name::IdleTls,
        title: "10,000 idle TLS connections",
        load: Load::Idle { connections: 10_000 },
        entry: Entry::Tls,
        tuning: Tuning::Small,
        goal: None,
    },
    Row {
        name: Name::IdleH2,
        title: "10,000 idle HTTP/2 connections",
        load: Load::Idle { connections: 10_000 },
        entry: Entry::H2,
        tuning: Tuning::Small,
        goal: None,
    },
];

impl Entry {
    /// Of the address that load generators are given.
    pub(crate) fn scheme(self) -> &'static str {
        match self {
            Self::Plain | Self::H2 => "http",
            Self::Tls => "https",
        }
    }
}

impl Row {
    /// The row whose capacity the fixed rate is taken from.
    pub(crate) fn small() -> &'static Self {
        &ALL[0]
    }
}
