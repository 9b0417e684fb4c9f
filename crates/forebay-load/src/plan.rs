//! A load test, complete and without a mistake: what to send, when, how often, and what must hold.
//!
//! Whoever reads plan files, command lines or other tools' formats makes one of these; the engine runs it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use forebay_net::tls;
use serde::{Deserialize, Serialize};

use crate::capture::Capture;
use crate::expect::Expect;
use crate::feeder::Feeder;
use crate::lab::Lab;
use crate::prepare::Prepared;
use crate::template::Template;
use crate::threshold::Threshold;

/// Stages of a plan.
pub const STAGES_MAX: usize = 100;
/// Scenarios of a plan, unless it replays a recording.
pub const SCENARIOS_MAX: usize = 100;
/// Steps of a scenario.
pub const STEPS_MAX: usize = 100;
/// Different names and tags of steps: each has histograms of its own for every stage. Further ones share `other`.
pub const SERIES_MAX: usize = 200;
/// Series times stages: what memory is bounded by. With many stages there are fewer series.
pub const CELLS_MAX: usize = 400;
/// Users, and so connections, at once.
pub const USERS_MAX: usize = 100_000;
/// Arrivals per second.
pub const RATE_MAX: f64 = 1_000_000.0;

/// A load test.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What reports call it.
    pub name: String,
    /// Where requests go.
    pub target: Target,
    /// Who decides when a request starts.
    pub model: Model,
    /// What happens when; at least one. Arrivals per second in an open model, users in a closed one.
    pub stages: Vec<Stage>,
    /// What is sent; at least one. Each arrival runs one of them, chosen by weight.
    pub scenarios: Vec<Scenario>,
    /// What must hold for the run to pass.
    pub thresholds: Vec<Threshold>,
    /// What every choice by chance follows from: the same seed, the same arrivals and choices.
    pub seed: u64,
    /// How long answers are waited for after the last stage. What is unanswered then counts as timed out, what
    /// is unsent as not started.
    pub grace: Duration,
    /// Users at once in an open model: an arrival that finds none free waits for one, and its wait is part of
    /// its response time. 1 to `USERS_MAX`.
    pub users_max: usize,
    /// Whether connections are kept from one request to the next.
    pub keep_alive: bool,
    /// Whether requests share connections.
    pub http2: Http2,
    /// Threads that send; 0: half of the processors, at least one.
    pub workers: usize,
    /// Values templates may use, besides those captured and fed.
    pub variables: Vec<(String, String)>,
    /// Values that come from files.
    pub feeders: Vec<Feeder>,
    /// Words a report is found by.
    pub tags: Vec<(String, String)>,
    /// What is started, watched and broken meanwhile.
    pub lab: Lab,
}

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `host:port` as the `Host` header says it; the port left out when it is the scheme's own.
    pub authority: String,
    /// The addresses the name stood for when the plan was made; connections take turns. At least one.
    pub addresses: Vec<SocketAddr>,
    /// Put before every step's path: empty, or begins with `/` and does not end with one.
    pub prefix: String,
    /// How connections are secured; `None`: they are not.
    pub tls: Option<Box<Tls>>,
}

/// How connections are secured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tls {
    /// The name or address that is asked for, and that certificates are checked for.
    pub host: String,
    /// For requests; it offers what `Http2::when` says.
    pub client: tls::Client,
    /// For WebSocket: it offers HTTP/1.1 alone.
    pub upgrading: tls::Client,
}

/// Whether requests share connections, and how many how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Http2 {
    /// Whether it is spoken.
    pub when: When,
    /// Most connections at once, by all threads together; `None`: as many as it takes, `SPREAD` before any has two
    /// requests at once.
    pub connections: Option<usize>,
    /// Most requests at once on one connection; the server may allow fewer. At least one.
    pub streams: usize,
}

/// Whether HTTP/2 is spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum When {
    /// As both sides agree by ALPN (RFC 7301); never where connections are not secured.
    #[default]
    Auto,
    /// Always: where connections are not secured, without asking (RFC 9113 §3.3).
    On,
    /// Never.
    Off,
}

impl Echo {
    /// A message that matches.
    ///
    /// # Errors
    /// The pattern is wrong or too large: says why.
    pub fn matching(pattern: &str) -> Result<Self, String> {
        crate::capture::regex(pattern).map(Self::Matching)
    }
}

impl Http2 {
    /// Requests at once on one connection, unless something else is said.
    pub const STREAMS: usize = 100;
    /// Connections among which requests are spread, unless something else is said.
    pub const SPREAD: usize = 16;

    /// Whether it may be spoken with a target, though perhaps only if that agrees.
    #[must_use]
    pub const fn may_be_spoken(&self, target: &Target) -> bool {
        match self.when {
            When::On => true,
            When::Auto => target.tls.is_some(),
            When::Off => false,
        }
    }
}

impl Default for Http2 {
    fn default() -> Self {
        Self { when: When::Auto, connections: None, streams: Self::STREAMS }
    }
}

impl Target {
    /// `http` or `https`.
    #[must_use]
    pub const fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme(), self.authority, self.prefix)
    }
}

/// Who decides when a request starts.
#[derive(Clone, Debug, PartialEq)]
pub enum Model {
    /// The plan does: arrivals come whether or not earlier ones are done.
    Open(Arrivals),
    /// The target does: each user asks again once answered. Latencies of a closed model leave out those who
    /// would have come while it was slow.
    Closed {
        /// So many runs of scenarios by all users together, then it is over; `None`: until the last stage ends.
        iterations: Option<u64>,
    },
    /// A recording does: each arrival has its instant and its scenario.
    Recorded(Arc<[Arrival]>),
}

/// How arrivals are spread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrivals {
    /// Evenly.
    Uniform,
    /// By chance, as independent users come: finds queues that even spacing hides.
    Poisson,
}

/// One request of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When, after the start.
    pub at: Duration,
    /// Which of the plan's scenarios.
    pub scenario: u32,
}

/// What happens for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stage {
    /// What reports call it.
    pub name: String,
    /// How long; more than zero.
    pub length: Duration,
    /// Arrivals per second, or users, at its start. Finite, 0 or more.
    pub from: f64,
    /// The same at its end; on the way there it changes evenly.
    pub to: f64,
    /// Drawn, but not judged.
    pub warmup: bool,
}

/// What one user does, in order.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What reports call it.
    pub name: String,
    /// How often it is chosen, in proportion to the others'. 0: never.
    pub weight: u32,
    /// At least one.
    pub steps: Vec<Step>,
    /// Words that thresholds select by; every step has them too.
    pub tags: Vec<(String, String)>,
}

/// One request of a scenario and what is done with its answer.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it is besides a request.
    pub kind: Kind,
    /// What reports call it; steps of the same name and the same tags are counted together.
    pub name: String,
    /// The method.
    pub method: String,
    /// The request target, after the target's prefix; begins with `/`.
    pub path: Template,
    /// Fields besides `Host`, `Content-Length` and `Connection`, which are written by the engine unless named.
    pub headers: Vec<(String, Template)>,
    /// What is sent after the head.
    pub body: Body,
    /// From the start of the request, connecting included, to the last byte of its answer.
    pub timeout: Duration,
    /// Pause before the scenario's next step, chosen evenly between the two. None after the last step of a
    /// closed model's scenario is a user who asks again at once.
    pub think: (Duration, Duration),
    /// What later steps need from the answer. A step whose capture finds nothing has failed, and the rest of
    /// the scenario is left out.
    pub capture: Vec<Capture>,
    /// What the answer must be like; none: a status below 400.
    pub expect: Vec<Expect>,
    /// Words that thresholds select by.
    pub tags: Vec<(String, String)>,
}

/// What a step is besides a request.
#[derive(Clone, Debug, Default)]
pub enum Kind {
    /// Nothing.
    #[default]
    Http,
    /// A unary call of gRPC: what matters is the status at the end of its answer. It needs HTTP/2.
    Grpc(Grpc),
    /// Messages over a connection that becomes a WebSocket (RFC 6455), each counted like a request.
    WebSocket(Box<WebSocket>),
}

/// What a call of gRPC is to come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grpc {
    /// The `grpc-status` that is expected; 0 is OK.
    pub status: u8,
}

/// Messages over one WebSocket. The first is planned when the step is, so that connecting is part of its response
/// time.
#[derive(Clone, Debug)]
pub struct WebSocket {
    /// What each message is.
    pub send: Body,
    /// Whether messages are text, not bytes.
    pub text: bool,
    /// What comes back.
    pub expect: Echo,
    /// How many are sent; at least one.
    pub messages: u32,
    /// From one planned message to the next; `None`: the next one is sent once the last is answered.
    pub interval: Option<Duration>,
}

/// What comes back for a message.
#[derive(Clone, Debug)]
pub enum Echo {
    /// The same message. Others before it are passed over.
    Same,
    /// A message that matches. Others before it are passed over.
    Matching(regex::bytes::Regex),
    /// Nothing that is waited for.
    Nothing,
}

/// What is sent after a head.
#[derive(Clone, Debug)]
pub enum Body {
    /// Nothing.
    None,
    /// The same bytes each time.
    Bytes(Arc<[u8]>),
    /// A text with values in it.
    Template(Template),
}

/// What results are kept apart by, and thresholds select by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// The name that one step has, or several; `other` where there are too many names.
    pub step: String,
    /// Their tags, those of their scenarios, and `scenario`.
    pub tags: Vec<(String, String)>,
}

impl Plan {
    /// What results will be kept apart by, in the order of the steps.
    #[must_use]
    pub fn labels(&self) -> Vec<Labels> {
        Prepared::new(self).series.into_iter().map(|(step, tags)| Labels { step, tags }).collect()
    }

    /// How long all stages take together.
    #[must_use]
    pub fn length(&self) -> Duration {
        self.stages.iter().map(|stage| stage.length).sum()
    }

    /// Whether requests start by a plan, not by earlier answers.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        !matches!(self.model, Model::Closed { .. })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A step with nothing special about it.
    pub(crate) fn step(method: &str, path: &str, headers: &[(&str, &str)]) -> Step {
        let template = |text: &str| Template::parse(text).expect("tests write templates");
        Step {
            kind: Kind::Http,
            name: path.to_owned(),
            method: method.to_owned(),
            path: template(path),
            headers: headers.iter().map(|(name, value)| ((*name).to_owned(), template(value))).collect(),
            body: Body::None,
            timeout: Duration::from_secs(10),
            think: (Duration::ZERO, Duration::ZERO),
            capture: Vec::new(),
            expect: Vec::new(),
            tags: Vec::new(),
        }
    }

    /// A plan of one scenario with these steps: 100 arrivals in a second.
    pub(crate) fn plan(steps: Vec<Step>) -> Plan {
        let length = Duration::from_secs(1);
        Plan {
            name: "test".to_owned(),
            target: Target {
                authority: "shop.test".to_owned(),
                addresses: vec![SocketAddr::from(([127, 0, 0, 1], 9))],
                prefix: "/v1".to_owned(),
                tls: None,
            },
            model: Model::Open(Arrivals::Uniform),
            stages: vec![Stage { name: "only".to_owned(), length, from: 100.0, to: 100.0, warmup: false }],
            scenarios: vec![Scenario { name: "only".to_owned(), weight: 1, steps, tags: Vec::new() }],
            thresholds: Vec::new(),
            seed: 1,
            grace: Duration::from_secs(5),
            users_max: 100,
            keep_alive: true,
            http2: Http2::default(),
            workers: 1,
            variables: Vec::new(),
            feeders: Vec::new(),
            tags: Vec::new(),
            lab: Lab::default(),
        }
    }
}
