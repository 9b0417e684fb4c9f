//! What a run found out: counts, times, curves, the generator's own health, and the verdict.
//!
//! It is what reports show, what is kept as JSON, and what comparisons read back.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::hdr::Hdr;
use crate::lab::LabOutcome;
use crate::plan::Stage;
use crate::verdict::Verdict;

/// Version of the form an outcome has as JSON.
pub const FORMAT: u32 = 1;

/// Bytes of `Tally::examples` each.
pub const EXAMPLE_BYTES_MAX: usize = 200;

/// A run, over.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// `FORMAT` of whoever wrote it.
    pub format: u32,
    /// The plan's name.
    pub name: String,
    /// Where requests went, as a URL.
    pub target: String,
    /// The plan's tags.
    pub tags: Vec<(String, String)>,
    /// When it started, in milliseconds since 1970.
    pub started_unix_ms: u64,
    /// What ran where.
    pub machine: Machine,
    /// The plan's seed.
    pub seed: u64,
    /// `open`, `closed` or `recorded`.
    pub model: String,
    /// Whether connections were kept.
    pub keep_alive: bool,
    /// What was spoken, such as `HTTP/2 over TLSv1.3`; empty: no connection was made.
    #[serde(default)]
    pub protocols: Vec<String>,
    /// Most users at once that were allowed.
    pub users_max: usize,
    /// The stages as planned.
    pub stages: Vec<Stage>,
    /// From the first planned instant to the end of the last request, grace included.
    pub took: Duration,
    /// How far into its stages the run came: to their end, unless it was stopped or its iterations were used up.
    pub loaded: Duration,
    /// Whether it was ended before its time.
    pub interrupted: bool,
    /// Results by step name, each by stage. Only planned instants say which stage a request belongs to.
    pub series: Vec<Series>,
    /// Results by second of planned time, warm-up included; windows get longer when there are many.
    pub timeline: Vec<Window>,
    /// How the generator itself did.
    pub generator: Generator,
    /// What was seen of processes, faults and recoveries.
    pub lab: LabOutcome,
    /// What came of it, thresholds included.
    pub verdict: Verdict,
}

/// What ran where.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Version of this program.
    pub forebay: String,
    /// Operating system and its version.
    pub system: String,
    /// Processors this process may use.
    pub cores: usize,
}

/// The results of one step name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Series {
    /// The step's name.
    pub step: String,
    /// The step's tags and its scenario's.
    pub tags: Vec<(String, String)>,
    /// One for each stage of the plan, in order.
    pub stages: Vec<Tally>,
}

/// Counts and times of requests.
///
/// Every planned request ends in exactly one bucket: `planned = ok + errors + timeouts + not_started`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Requests the plan (or, in a closed model, the user) meant to send.
    pub planned: u64,
    /// Answered as expected.
    pub ok: u64,
    /// Answered otherwise, or not at all for a reason other than time; by kind.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Unanswered when their time was up, or when the run's was.
    pub timeouts: u64,
    /// Never sent: no user was free until the run ended.
    pub not_started: u64,
    /// Answers by status, expected or not.
    pub statuses: BTreeMap<u16, u64>,
    /// What the first error of a kind was, where there is more to say than its kind does; each of at most
    /// `EXAMPLE_BYTES_MAX` bytes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub examples: BTreeMap<ErrorKind, String>,
    /// Response time of what is ok: from the planned start to the last byte.
    pub response: Hdr,
    /// Response time of errors: kept apart, so that fast failures do not improve a percentile.
    pub failed: Hdr,
    /// Time waited for what timed out or was not started, from the planned start: the true time is longer.
    pub censored: Hdr,
    /// Service time of what is ok: from the actual start to the last byte.
    pub service: Hdr,
    /// Start delay of whatever was started: from the planned to the actual start. Empty in a closed model, whose
    /// requests are planned when they start.
    pub delay: Hdr,
    /// Time to the first byte of the answer, from the actual start.
    pub first_byte: Hdr,
    /// Time to connect, of requests that had to.
    pub connect: Hdr,
    /// The part of `connect` that handshakes of TLS took.
    #[serde(default, skip_serializing_if = "Hdr::is_empty")]
    pub handshake: Hdr,
    /// Bytes sent, heads included; those of HTTP/2 count as they were before they were packed.
    pub bytes_out: u64,
    /// Bytes received, heads included, as with `bytes_out`.
    pub bytes_in: u64,
}

/// Why a request is an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// Answered with a status that was not expected.
    Status,
    /// Answered, but not as `expect` says.
    Check,
    /// Answered, but without what `capture` was to take.
    Capture,
    /// Nobody accepts connections there.
    ConnectRefused,
    /// No connection for another reason.
    ConnectFailed,
    /// The connection was reset before the answer was complete.
    Reset,
    /// The connection was closed before a byte of the answer.
    Closed,
    /// The connection was closed within the answer.
    Truncated,
    /// The answer is not HTTP, or not as its protocol has it.
    Protocol,
    /// The body is longer than what is looked at, so that a condition on it cannot be told: the plan's fault.
    BodyTooLong,
    /// This machine had no socket or port left: the generator's fault.
    OutOfSockets,
    /// A value of a template was missing: the plan's fault.
    Template,
    /// The connection could not be secured.
    Tls,
    /// The server gave this one stream of a connection up (RFC 9113 §6.4).
    StreamReset,
    /// The server did not process the request: it refused the stream, or closed the connection to new ones
    /// (RFC 9113 §8.7).
    StreamRefused,
    /// A call of gRPC ended with this status, 1 to 16, where another was expected.
    Grpc(u8),
}

/// A piece of the timeline.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Window {
    /// When it begins, after the start of the run.
    pub start_ms: u64,
    /// How long it is.
    pub length_ms: u64,
    /// Requests planned in it.
    pub planned: u64,
    /// Those answered as expected.
    pub ok: u64,
    /// Those that are errors.
    pub errors: u64,
    /// Those that timed out.
    pub timeouts: u64,
    /// Those that were not started.
    pub not_started: u64,
    /// Requests that ended in it, however they did, whenever they were asked for.
    pub finished: u64,
    /// Those of them that were answered, as expected or not.
    pub answered: u64,
    /// Requests in flight or waiting for a user at its end.
    pub backlog: u64,
    /// Response time in microseconds of those planned in it, timeouts and the not started counted as long as
    /// they were waited for; 0: none.
    pub p50_us: u64,
    /// As `p50_us`.
    pub p95_us: u64,
    /// As `p50_us`.
    pub p99_us: u64,
    /// As `p50_us`.
    pub max_us: u64,
    /// How many took how long: index `i` counts from `heat_bound_us(i)` to below the next.
    pub heat: Vec<u32>,
}

/// How the generator itself did: only if it did well does anything else mean something.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Generator {
    /// Threads that sent.
    pub workers: usize,
    /// How late arrivals were handed out, against the plan.
    pub pacing: Hdr,
    /// How late requests were started although a user was free: pacing, and the generator's own queue. All
    /// stages that are judged.
    pub lag: Hdr,
    /// The same for each stage of the plan, warm-up included: a hiccup in one must not be hidden by the others.
    pub lags: Vec<Hdr>,
    /// Requests that were not started although a user was free: the generator's fault, not the target's.
    pub unsent: u64,
    /// CPU time of all its threads.
    pub cpu: Duration,
    /// Greatest share of a core one of its threads used over all stages that are judged, 0 to 1.
    pub busiest: f64,
    /// Greatest share of the time that the same thread could have run, but others did, 0 to 1.
    pub starved: f64,
    /// Connections opened.
    pub connects: u64,
    /// Those of them whose handshake of TLS went on with an earlier session.
    #[serde(default)]
    pub resumed: u64,
    /// Most requests in flight at once.
    pub in_flight_max: u64,
    /// Most memory this process held, in bytes.
    pub memory_max: u64,
}

/// Buckets of `Window::heat`.
pub const HEAT_BUCKETS: usize = 48;

/// Where bucket `index` of `Window::heat` begins, in microseconds: 0, then from 50 µs on each about 1.4 times
/// the one before; the last has no end.
#[must_use]
pub fn heat_bound_us(index: usize) -> u64 {
    const HALF_STEPS: [u64; 2] = [50, 71];
    match index.checked_sub(1) {
        None => 0,
        Some(step) => HALF_STEPS[step % 2] << (step / 2),
    }
}

/// The bucket of `Window::heat` for a response time in microseconds.
#[must_use]
pub fn heat_bucket(us: u64) -> usize {
    (1..HEAT_BUCKETS).take_while(|index| heat_bound_us(*index) <= us).count()
}

impl Tally {
    /// All errors together.
    #[must_use]
    pub fn errors(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Whether every planned request is in exactly one bucket.
    #[must_use]
    pub fn balances(&self) -> bool {
        self.planned == self.ok + self.errors() + self.timeouts + self.not_started
    }

    /// Whatever is not ok.
    #[must_use]
    pub fn bad(&self) -> u64 {
        self.planned.saturating_sub(self.ok)
    }

    /// Adds what another counted.
    pub fn merge(&mut self, other: &Self) {
        let Self {
            planned,
            ok,
            errors,
            timeouts,
            not_started,
            statuses,
            examples,
            response,
            failed,
            censored,
            service,
            delay,
            first_byte,
            connect,
            handshake,
            bytes_out,
            bytes_in,
        } = other;
        self.planned += planned;
        self.ok += ok;
        for (kind, count) in errors {
            *self.errors.entry(*kind).or_default() += count;
        }
        self.timeouts += timeouts;
        self.not_started += not_started;
        for (status, count) in statuses {
            *self.statuses.entry(*status).or_default() += count;
        }
        for (kind, example) in examples {
            self.examples.entry(*kind).or_insert_with(|| example.clone());
        }
        self.response.merge(response);
        self.failed.merge(failed);
        self.censored.merge(censored);
        self.service.merge(service);
        self.delay.merge(delay);
        self.first_byte.merge(first_byte);
        self.connect.merge(connect);
        self.handshake.merge(handshake);
        self.bytes_out += bytes_out;
        self.bytes_in += bytes_in;
    }

    /// Response times to judge by: those of what is ok, and for what timed out or was not started the time
    /// waited, which is less than the truth.
    #[must_use]
    pub fn judged(&self) -> Hdr {
        let mut judged = self.response.clone();
        judged.merge(&self.censored);
        judged
    }
}

impl Outcome {
    /// Everything that is judged, in one: all series, all stages but warm-up.
    #[must_use]
    pub fn total(&self) -> Tally {
        self.select(|_| true, |stage| !stage.warmup)
    }

    /// The series and stages that fit, in one.
    #[must_use]
    pub fn select(&self, series: impl Fn(&Series) -> bool, stage: impl Fn(&Stage) -> bool) -> Tally {
        let mut total = Tally::default();
        for one in self.series.iter().filter(|one| series(one)) {
            for (_, tally) in self.stages.iter().zip(&one.stages).filter(|(of, _)| stage(of)) {
                total.merge(tally);
            }
        }
        total
    }

    /// How long the stages that are judged took together, as far as the run came.
    #[must_use]
    pub fn judged_length(&self) -> Duration {
        self.length_of(|stage| !stage.warmup)
    }

    /// How long the stages that fit took together, as far as the run came: one that was stopped, or whose
    /// iterations were used up, has not had them all.
    #[must_use]
    pub fn length_of(&self, fits: impl Fn(&Stage) -> bool) -> Duration {
        let mut start = Duration::ZERO;
        let mut sum = Duration::ZERO;
        for stage in &self.stages {
            if fits(stage) {
                sum += stage.length.min(self.loaded.saturating_sub(start));
            }
            start += stage.length;
        }
        sum
    }
}

impl ErrorKind {
    /// Every kind.
    pub const ALL: [Self; 31] = [
        Self::Status,
        Self::Check,
        Self::Capture,
        Self::ConnectRefused,
        Self::ConnectFailed,
        Self::Reset,
        Self::Closed,
        Self::Truncated,
        Self::Protocol,
        Self::BodyTooLong,
        Self::OutOfSockets,
        Self::Template,
        Self::Tls,
        Self::StreamReset,
        Self::StreamRefused,
        Self::Grpc(1),
        Self::Grpc(2),
        Self::Grpc(3),
        Self::Grpc(4),
        Self::Grpc(5),
        Self::Grpc(6),
        Self::Grpc(7),
        Self::Grpc(8),
        Self::Grpc(9),
        Self::Grpc(10),
        Self::Grpc(11),
        Self::Grpc(12),
        Self::Grpc(13),
        Self::Grpc(14),
        Self::Grpc(15),
        Self::Grpc(16),
    ];

    /// What it is called in reports.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Check => "check",
            Self::Capture => "capture",
            Self::ConnectRefused => "connect_refused",
            Self::ConnectFailed => "connect_failed",
            Self::Reset => "reset",
            Self::Closed => "closed",
            Self::Truncated => "truncated",
            Self::Protocol => "protocol",
            Self::BodyTooLong => "body_too_long",
            Self::OutOfSockets => "out_of_sockets",
            Self::Template => "template",
            Self::Tls => "tls",
            Self::StreamReset => "stream_reset",
            Self::StreamRefused => "stream_refused",
            Self::Grpc(1) => "grpc_cancelled",
            Self::Grpc(3) => "grpc_invalid_argument",
            Self::Grpc(4) => "grpc_deadline_exceeded",
            Self::Grpc(5) => "grpc_not_found",
            Self::Grpc(6) => "grpc_already_exists",
            Self::Grpc(7) => "grpc_permission_denied",
            Self::Grpc(8) => "grpc_resource_exhausted",
            Self::Grpc(9) => "grpc_failed_precondition",
            Self::Grpc(10) => "grpc_aborted",
            Self::Grpc(11) => "grpc_out_of_range",
            Self::Grpc(12) => "grpc_unimplemented",
            Self::Grpc(13) => "grpc_internal",
            Self::Grpc(14) => "grpc_unavailable",
            Self::Grpc(15) => "grpc_data_loss",
            Self::Grpc(16) => "grpc_unauthenticated",
            Self::Grpc(_) => "grpc_unknown",
        }
    }

    /// That of a `grpc-status` other than 0; numbers that stand for nothing count as UNKNOWN.
    #[must_use]
    pub const fn of_grpc(status: u32) -> Self {
        match status {
            1..=16 => Self::Grpc(status as u8),
            _ => Self::Grpc(2),
        }
    }
}

impl Serialize for ErrorKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

impl<'de> Deserialize<'de> for ErrorKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let label = std::borrow::Cow::<'_, str>::deserialize(deserializer)?;
        let found = Self::ALL.into_iter().find(|kind| kind.label() == label);
        found.ok_or_else(|| serde::de::Error::custom(format!("`{label}` is no kind of error")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heat_buckets_and_bounds_agree() {
        for index in 0..HEAT_BUCKETS {
            assert_eq!(heat_bucket(heat_bound_us(index)), index);
        }
        assert_eq!(heat_bucket(49), 0);
        assert_eq!(heat_bucket(u64::MAX), HEAT_BUCKETS - 1);
    }

    #[test]
    fn every_kind_of_error_has_a_name_of_its_own() {
        for kind in ErrorKind::ALL {
            let written = serde_json::to_string(&BTreeMap::from([(kind, 1)])).unwrap();
            let read: BTreeMap<ErrorKind, u64> = serde_json::from_str(&written).unwrap();
            assert_eq!(read, BTreeMap::from([(kind, 1)]), "{written}");
        }
        assert_eq!([0, 14, 99].map(ErrorKind::of_grpc), [2, 14, 2].map(ErrorKind::Grpc));
        assert!(serde_json::from_str::<ErrorKind>("\"grpc_ok\"").is_err());
    }

    #[test]
    fn a_tally_balances_only_if_every_request_is_somewhere() {
        let mut tally = Tally { planned: 4, ok: 1, timeouts: 1, not_started: 1, ..Tally::default() };
        assert!(!tally.balances());
        tally.errors.insert(ErrorKind::Reset, 1);
        assert!(tally.balances());
        let copy = tally.clone();
        tally.merge(&copy);
        assert!(tally.balances());
        assert_eq!((tally.planned, tally.bad()), (8, 6));
    }
}
