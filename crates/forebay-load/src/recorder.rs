//! What one sending thread counts: every planned request in exactly one bucket, in constant memory.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::arrival::stage_of;
use crate::hdr::Hdr;
use crate::outcome::{EXAMPLE_BYTES_MAX, ErrorKind, Tally};
use crate::plan::Stage;
use crate::window::{Bucket, Windows};

/// One thread's counts. Instants are durations since the start of the run.
#[derive(Debug)]
pub(crate) struct Recorder {
    stages: Vec<Stage>,
    /// By series, then by stage.
    pub(crate) series: Vec<Vec<Tally>>,
    pub(crate) windows: Windows,
    /// See `outcome::Generator::lags`.
    pub(crate) lags: Vec<Hdr>,
    /// See `outcome::Generator::unsent`.
    pub(crate) unsent: u64,
    /// What has happened since somebody last asked.
    moment: Moment,
    in_flight: u64,
    pub(crate) in_flight_max: u64,
    pub(crate) connects: u64,
    pub(crate) resumed: u64,
    /// What was spoken over the connections.
    pub(crate) protocols: BTreeSet<&'static str>,
    /// Whether start delays mean anything: not in a closed model.
    open: bool,
}

/// What happened in a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Moment {
    pub(crate) planned: u64,
    pub(crate) ok: u64,
    pub(crate) errors: u64,
    pub(crate) timeouts: u64,
    pub(crate) not_started: u64,
    /// Response times of what is ok.
    pub(crate) response: Hdr,
    /// Requests in flight at its end; not a sum.
    pub(crate) in_flight: u64,
    /// How long it was.
    pub(crate) span: Duration,
}

/// A request that was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Started {
    pub(crate) series: u16,
    pub(crate) planned: Duration,
    pub(crate) at: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Times {
    /// When the first byte of the answer was here.
    pub(crate) first_byte: Option<Duration>,
    /// Time to connect, if it had to.
    pub(crate) connect: Option<Duration>,
    /// The part of it that securing the connection took.
    pub(crate) handshake: Option<Duration>,
    /// The status of the answer, if there was one.
    pub(crate) status: Option<u16>,
    /// There was an answer that has no status.
    pub(crate) replied: bool,
    pub(crate) bytes_out: u64,
    pub(crate) bytes_in: u64,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Ok,
    Error(ErrorKind),
    Timeout,
}

impl Recorder {
    /// Counts for so many series.
    pub(crate) fn new(stages: &[Stage], series: usize, length: Duration, open: bool) -> Self {
        Self {
            stages: stages.to_vec(),
            series: vec![vec![Tally::default(); stages.len()]; series],
            windows: Windows::new(length),
            lags: vec![Hdr::default(); stages.len()],
            unsent: 0,
            moment: Moment::default(),
            in_flight: 0,
            in_flight_max: 0,
            connects: 0,
            resumed: 0,
            protocols: BTreeSet::new(),
            open,
        }
    }

    /// A request is meant to start at `planned`.
    pub(crate) fn plan(&mut self, series: u16, planned: Duration) {
        self.tally(series, planned).planned += 1;
        self.windows.plan(planned);
        self.moment.planned += 1;
    }

    /// It does start, and `free`: a user stood ready when its time came, so that any delay is our own.
    pub(crate) fn start(&mut self, started: Started, free: bool) {
        let delay = started.at.saturating_sub(started.planned);
        if self.open {
            self.tally(started.series, started.planned).delay.record(delay);
            if free {
                let stage = stage_of(&self.stages, started.planned);
                self.lags[stage].record(delay);
            }
        }
        self.in_flight += 1;
        self.in_flight_max = self.in_flight_max.max(self.in_flight);
    }

    /// It is over.
    pub(crate) fn settle(&mut self, started: Started, times: Times, ending: Ending, now: Duration) {
        let Started { series, planned, at } = started;
        let response = now.saturating_sub(planned);
        let tally = self.tally(series, planned);
        let Times { first_byte, connect, handshake, status, replied, bytes_out, bytes_in } = times;
        tally.bytes_out += bytes_out;
        tally.bytes_in += bytes_in;
        if let Some(status) = status {
            *tally.statuses.entry(status).or_default() += 1;
        }
        if let Some(first_byte) = first_byte {
            tally.first_byte.record(first_byte.saturating_sub(at));
        }
        if let Some(connect) = connect {
            tally.connect.record(connect);
        }
        if let Some(handshake) = handshake {
            tally.handshake.record(handshake);
        }
        let bucket = match ending {
            Ending::Ok => {
                tally.ok += 1;
                tally.response.record(response);
                tally.service.record(now.saturating_sub(at));
                Bucket::Ok
            }
            Ending::Error(kind) => {
                *tally.errors.entry(kind).or_default() += 1;
                tally.failed.record(response);
                Bucket::Error
            }
            Ending::Timeout => {
                tally.timeouts += 1;
                tally.censored.record(response);
                Bucket::Timeout
            }
        };
        self.windows.settle(planned, bucket, replied || status.is_some(), response);
        match bucket {
            Bucket::Ok => {
                self.moment.ok += 1;
                self.moment.response.record(response);
            }
            Bucket::Error => self.moment.errors += 1,
            _ => self.moment.timeouts += 1,
        }
        self.connects += u64::from(connect.is_some());
        self.in_flight -= 1;
    }

    /// What an error of this kind was: the first one is kept.
    pub(crate) fn example(&mut self, started: Started, kind: ErrorKind, tell: impl FnOnce() -> String) {
        let examples = &mut self.tally(started.series, started.planned).examples;
        examples.entry(kind).or_insert_with(|| {
            let mut text = tell();
            let ends = text.char_indices().map(|(at, letter)| at + letter.len_utf8());
            let end = ends.take_while(|end| *end <= EXAMPLE_BYTES_MAX).last().unwrap_or(0);
            text.truncate(end);
            text
        });
    }

    /// A planned request never started until `now`: because nobody was free, or, if somebody was (`free`),
    /// because we did not get to it.
    pub(crate) fn give_up(&mut self, series: u16, planned: Duration, now: Duration, free: bool) {
        let waited = now.saturating_sub(planned);
        if free {
            let stage = stage_of(&self.stages, planned);
            self.lags[stage].record(waited);
            self.unsent += 1;
        }
        let tally = self.tally(series, planned);
        tally.not_started += 1;
        tally.censored.record(waited);
        self.windows.settle(planned, Bucket::NotStarted, false, waited);
        self.moment.not_started += 1;
    }

    /// What has happened in the `span` since the last call.
    pub(crate) fn take_moment(&mut self, span: Duration) -> Moment {
        Moment { in_flight: self.in_flight, span, ..std::mem::take(&mut self.moment) }
    }

    #[inline]
    fn tally(&mut self, series: u16, planned: Duration) -> &mut Tally {
        let stage = stage_of(&self.stages, planned);
        &mut self.series[usize::from(series)][stage]
    }
}

impl Moment {
    /// Adds what happened after it.
    pub(crate) fn merge(&mut self, other: &Self) {
        let Self { planned, ok, errors, timeouts, not_started, response, in_flight, span } = other;
        self.planned += planned;
        self.ok += ok;
        self.errors += errors;
        self.timeouts += timeouts;
        self.not_started += not_started;
        self.response.merge(response);
        self.in_flight = *in_flight;
        self.span += *span;
    }
}
