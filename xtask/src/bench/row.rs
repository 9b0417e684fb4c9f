//! The rows of the table: what load each one is.

use clap::ValueEnum;

/// One kind of load.
#[derive(Debug)]
pub(crate) struct Row {
    /// As in `--only`.
    pub(crate) name: Name,
    /// For readers of the table.
    pub(crate) title: &'static str,
    /// What is sent.
    pub(crate) load: Load,
    /// What the peers are tuned for.
    pub(crate) tuning: Tuning,
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
        tuning: Tuning::Small,
    },
    Row {
        name: Name::Get10k,
        title: "GET 10 KiB, 64 connections",
        load: Load::Closed { path: "/10k", connections: 64, body: 0 },
        tuning: Tuning::Small,
    },
    Row {
        name: Name::Get1m,
        title: "GET 1 MiB, 16 connections",
        load: Load::Closed { path: "/1m", connections: 16, body: 0 },
        tuning: Tuning::Large,
    },
    Row {
        name: Name::Post10k,
        title: "POST 10 KiB, 64 connections",
        load: Load::Closed { path: "/sink", connections: 64, body: 10 << 10 },
        tuning: Tuning::Small,
    },
    Row {
        name: Name::Rate,
        title: "GET 90 B at 70 % of the slowest peer's rate, 64 connections",
        load: Load::Open { connections: 64, share: 0.7 },
        tuning: Tuning::Small,
    },
    Row {
        name: Name::Idle,
        title: "5,000 idle connections",
        load: Load::Idle { connections: 5_000 },
        tuning: Tuning::Small,
    },
];

impl Row {
    /// The row whose capacity the fixed rate is taken from.
    pub(crate) fn small() -> &'static Self {
        &ALL[0]
    }
}
