//! Profiles of this process, taken while it serves: where its processor time goes.
//!
//! A timer of the kernel counts the processor time of all threads and, each time enough has passed, interrupts
//! the one that is running. The interruption only copies registers and stack ([`sampler`]); who called whom is
//! found out by the thread that takes the profile ([`stacks`]), so that the data path pays for a copy, and only
//! while somebody asks. How much time each thread has used is known exactly ([`threads`]); the samples tell how it
//! is shared out. What comes out is what `go tool pprof` reads ([`message`]).

mod image;
mod message;
mod modules;
mod names;
mod sampler;
mod stacks;
mod threads;

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, SystemTime};

use forebay_base::time::Instant;

use modules::Modules;
use sampler::Sampler;
use stacks::{Stacks, Walker};
use threads::Threads;

/// Longest profile: what is older tells little about now.
pub const LENGTH_MAX: Duration = Duration::from_secs(60);
/// Samples for each second of processor time. No round number, so that it does not march in step with timers of
/// the program.
pub const RATE_MAX: u32 = 99;
/// Samples for each second of time, when all processors are busy.
const RATE_TOTAL_MAX: u32 = 990;
/// How often samples are collected.
const TICK: Duration = Duration::from_millis(10);
/// After so many collections, threads that have begun meanwhile are looked for, and everybody's time is read.
const TICKS_BETWEEN_LOOKS: u32 = 10;

/// When the profile that is being taken ends, if there is one. The kernel's timer is one for the whole process.
static TAKEN: Mutex<Option<Instant>> = Mutex::new(None);

/// The right to take a profile. There is one; it comes back when this is dropped.
#[derive(Debug)]
pub struct Turn {
    length: Duration,
}

/// Somebody else takes a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// When it is over.
    pub left: Duration,
}

/// Why there is no profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Whoever asked for it does not want it any more.
    Abandoned,
    /// The system does not let us take one.
    Unavailable(String),
}

/// What was seen, and how.
#[derive(Debug)]
struct Seen {
    stacks: Stacks,
    threads: Threads,
    began: SystemTime,
    lasted: Duration,
    /// Processor time between two samples.
    period: Duration,
}

impl Turn {
    /// The right to take a profile of this length, [`LENGTH_MAX`] at most.
    ///
    /// # Errors
    /// Somebody has it.
    pub fn take(length: Duration) -> Result<Self, Busy> {
        let length = length.min(LENGTH_MAX);
        let now = Instant::now();
        let mut taken = lock();
        if let Some(until) = *taken {
            return Err(Busy { left: until.since(now) });
        }
        *taken = Some(now + length);
        Ok(Self { length })
    }

    /// Takes a profile of the processor time, and returns it as gzipped `profile.proto`. Blocks for as long as
    /// the profile is, or until `abandoned` becomes true.
    ///
    /// # Errors
    /// It was abandoned, or the system does not let us.
    pub fn cpu(self, abandoned: &AtomicBool) -> Result<Vec<u8>, Error> {
        // Files are read before the clock runs, and again after: not in between.
        let modules = Modules::load()?;
        let seen = self.watch(&modules, abandoned)?;
        let names = names::find(&modules, seen.stacks.addresses());
        message::write(&seen, &modules, &names).map_err(|error| Error::Unavailable(error.to_string()))
    }

    fn watch(&self, modules: &Modules, abandoned: &AtomicBool) -> Result<Seen, Error> {
        let mut walker = Walker::new(modules);
        let mut stacks = Stacks::default();
        let period = period();
        let (began, start) = (SystemTime::now(), Instant::now());
        let mut threads = Threads::list()?;
        let sampler = Sampler::start(period)?;
        for tick in 1_u32.. {
            let left = self.length.saturating_sub(Instant::now().since(start));
            thread::sleep(left.min(TICK));
            sampler.collect(|sample| stacks.add(&mut walker, sample));
            if abandoned.load(Ordering::Relaxed) {
                return Err(Error::Abandoned);
            }
            if left.is_zero() {
                break;
            }
            if tick % TICKS_BETWEEN_LOOKS == 0 {
                threads.find()?;
                threads.update();
            }
        }
        threads.update();
        Ok(Seen { stacks, threads, began, lasted: Instant::now().since(start), period })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *lock() = None;
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Abandoned => f.write_str("nobody waits for the profile any more"),
            Self::Unavailable(why) => f.write_str(why),
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    fn unavailable(what: &str, error: &std::io::Error) -> Self {
        Self::Unavailable(format!("{what}: {error}"))
    }
}

/// Samples are rarer where so many processors would make too many of them.
fn period() -> Duration {
    let processors =
        thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1));
    Duration::from_secs(1) / (RATE_TOTAL_MAX / processors).clamp(1, RATE_MAX)
}

fn lock() -> MutexGuard<'static, Option<Instant>> {
    TAKEN.lock().expect("nothing under this lock panics")
}

#[cfg(test)]
mod tests;
