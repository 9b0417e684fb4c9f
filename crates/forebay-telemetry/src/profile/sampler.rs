//! Interrupts whatever thread is running, and remembers who had called whom.
//!
//! The handler of the signal is the one of the `pprof` crate, which follows frame pointers: what is built without
//! them has no callers.

use std::time::Duration;

use pprof::{ProfilerGuard, ProfilerGuardBuilder};

use super::Error;

/// A sampler that runs; it stops when this is dropped.
pub(super) struct Sampler {
    guard: ProfilerGuard<'static>,
}

/// Where a thread was, and how often it was seen there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Stack {
    /// The thread's name.
    pub(super) thread: String,
    /// Calls from the innermost: each inside the instruction that called.
    pub(super) calls: Vec<u64>,
    pub(super) times: u64,
}

impl Sampler {
    /// Interrupts `rate` times in each second of processor time of all threads together, whichever runs then. The
    /// kernel counts in ticks of its own, a few milliseconds long.
    ///
    /// # Errors
    /// The system does not let us, or somebody else samples.
    pub(super) fn start(rate: u32) -> Result<Self, Error> {
        let rate = i32::try_from(rate).unwrap_or(1);
        let guard = ProfilerGuardBuilder::default().frequency(rate).build();
        guard.map(|guard| Self { guard }).map_err(|error| unavailable("cannot start the sampler", &error))
    }

    /// What was seen.
    ///
    /// # Errors
    /// What had been put aside cannot be read.
    pub(super) fn finish(self) -> Result<Vec<Stack>, Error> {
        let report = self.guard.report().build_unresolved();
        let report = report.map_err(|error| unavailable("cannot read the samples", &error))?;
        let stacks = report.data.iter().map(|(seen, times)| Stack {
            thread: name(&seen.thread_name, seen.thread_name_length),
            // A call returns to the instruction behind it.
            calls: seen.frames.iter().map(|frame| (frame.ip as u64).saturating_sub(1)).collect(),
            times: u64::try_from(*times).unwrap_or(0),
        });
        Ok(stacks.collect())
    }
}

fn name(bytes: &[u8], length: usize) -> String {
    String::from_utf8_lossy(bytes.get(..length).unwrap_or(bytes)).into_owned()
}

fn unavailable(what: &str, error: &pprof::Error) -> Error {
    Error::Unavailable(format!("{what}: {error}"))
}

/// Processor time between two samples at this rate.
pub(super) fn period(rate: u32) -> Duration {
    Duration::from_secs(1) / rate.max(1)
}
