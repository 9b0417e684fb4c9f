//! What flags say in place of the keys of a plan.

use std::time::Duration;

use forebay_load::threshold::Threshold;

use super::levels::Levels;
use super::protocol::Protocol;
use super::target::Url;

/// What the command line says; whatever is not said is left to the plan.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// `--target`, or the URL itself.
    pub target: Option<Url>,
    /// `--rate` or `--users`.
    pub levels: Option<Levels>,
    /// `--for`
    pub length: Option<Duration>,
    /// `--preset`
    pub preset: Option<Preset>,
    /// `--iterations`
    pub iterations: Option<u64>,
    /// `-H`, each a name and a template of its value; they go before what a plan says of the same name.
    pub headers: Vec<(String, String)>,
    /// `--timeout`
    pub timeout: Option<Duration>,
    /// `--grace`
    pub grace: Option<Duration>,
    /// `--poisson`
    pub poisson: bool,
    /// `--warmup`
    pub warmup: Option<Duration>,
    /// `--threshold`; they are added to those of the plan.
    pub thresholds: Vec<Threshold>,
    /// `--seed`
    pub seed: Option<u64>,
    /// `--workers`; 0: as many as is usual.
    pub workers: Option<usize>,
    /// `--users-max`
    pub users_max: Option<usize>,
    /// `--no-keep-alive`
    pub no_keep_alive: bool,
    /// What is spoken.
    pub protocol: Protocol,
}

/// Stages for a common purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Many come at once.
    Spike,
    /// The same for a long time.
    Soak,
}

/// What the quick form says of its one request.
#[derive(Clone, Debug, Default)]
pub struct Quick {
    /// `-X`; `None`: GET, or POST if there is a body.
    pub method: Option<String>,
    /// `-d`
    pub body: Option<Data>,
}

/// A body as it is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// Typed: a template.
    Typed(String),
    /// A file's: sent as they are.
    Bytes(Vec<u8>),
}
