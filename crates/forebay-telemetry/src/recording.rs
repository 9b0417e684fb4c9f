//! Requests written down as they came in, with their timing, so that they can be sent again.
//!
//! A worker picks requests by chance of its own, keeps what they hold until their bodies are there, and hands
//! whole lines to one thread that writes them. Whatever could grow has a bound: a body, all that is held in
//! memory, the file. What does not fit is left out and counted; no request ever waits for its recording.

use std::cell::{Cell, RefCell};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError, sync_channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use std::{fmt, io};

use forebay_base::seed::Random;
use forebay_base::time::Instant;

use crate::log::{Event, Log};
pub use share::Share;
use writer::Batch;

mod format;
mod share;
#[cfg(test)]
mod tests;
mod writer;

/// Headers whose values are not written unless the settings name others.
pub const REDACT: [&str; 5] = ["authorization", "cookie", "set-cookie", "proxy-authorization", "x-api-key"];
/// Query parameters whose values are not written unless the settings name others.
pub const REDACT_QUERY: [&str; 5] = ["token", "access_token", "api_key", "key", "password"];

/// A worker's lines are handed to the writer once there are more bytes than this.
const BATCH_BYTES: usize = 16 << 10;
/// Batches on their way to the writer, over all workers.
const BATCHES_MAX: usize = 256;
/// Bodies that are being received and batches on their way, over all workers, in bytes.
const MEMORY_MAX: usize = 32 << 20;
/// How often a flush looks for room in a full channel.
const FLUSH_RETRY: Duration = Duration::from_millis(1);

/// What to write down, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where it goes. Never an existing file: see [`Recording::path`].
    pub file: PathBuf,
    /// How many of the requests are picked.
    pub sample: Share,
    /// Bodies up to this many bytes are kept, longer ones left out. At most 8 MiB.
    pub body_max: usize,
    /// The file ends before it has more bytes than this.
    pub bytes_max: u64,
    /// Headers whose values are replaced, whatever their case.
    pub redact: Box<[Box<str>]>,
    /// Query parameters whose values are replaced, whatever their case.
    pub redact_query: Box<[Box<str>]>,
}

/// What became of the requests that were picked, over all recordings of this process.
#[derive(Debug, Default)]
pub struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
    limit: AtomicU64,
}

/// A running recording; clones are of the same. Its thread ends, and its file is closed, once the last of
/// them and of their sinks is gone.
#[derive(Clone)]
pub struct Recording {
    shared: Arc<Shared>,
    batches: SyncSender<Batch>,
}

/// One worker's way into the recording. Not `Sync`: each worker has its own.
pub struct Sink {
    shared: Arc<Shared>,
    batches: SyncSender<Batch>,
    chance: RefCell<Random>,
    lines: RefCell<Lines>,
    /// Requests that came after the end of the recording and are not among the counts yet.
    late: Cell<u64>,
}

/// The head of a request that is written down.
#[derive(Clone, Copy, Debug)]
pub struct Head<'a> {
    /// When it had arrived.
    pub arrived: Instant,
    /// As sent.
    pub method: &'a [u8],
    /// Path and query.
    pub target: &'a str,
    /// The host asked for, without its port; may be empty.
    pub host: &'a str,
    /// Its port, if one was sent.
    pub port: Option<u16>,
    /// Length of the body; `None`: not known before its end.
    pub body_len: Option<u64>,
}

/// A request that is being recorded while its body arrives.
pub struct Tape {
    shared: Arc<Shared>,
    /// The line as far as the head makes it.
    line: Vec<u8>,
    /// `None`: too long to be kept.
    body: Option<Vec<u8>>,
    /// Most bytes of `body`.
    room: usize,
    /// Bytes of the body so far, kept or not.
    bytes: u64,
    /// Share of `MEMORY_MAX`.
    reserved: usize,
}

/// What workers and writer share.
#[derive(Debug)]
struct Shared {
    settings: Settings,
    path: PathBuf,
    started: Instant,
    state: AtomicU8,
    /// Bytes in use, of `MEMORY_MAX`.
    memory: AtomicUsize,
    counts: Arc<Counts>,
    /// Sinks made so far.
    sinks: AtomicU64,
}

/// Lines of a worker that are not handed over yet.
#[derive(Default)]
struct Lines {
    bytes: Vec<u8>,
    count: u64,
}

/// Whether more is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum State {
    Open,
    /// The next line would not have fitted into the file.
    Full,
    /// The file could not be written.
    Failed,
}

impl Counts {
    /// Requests that are in a file.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Requests left out because memory was short, the writer could not keep up, or the file not be written.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Requests left out because the file was full.
    #[must_use]
    pub fn limit(&self) -> u64 {
        self.limit.load(Ordering::Relaxed)
    }
}

impl Recording {
    /// Makes the file, which only its owner can read, and starts the thread that writes it.
    ///
    /// # Errors
    /// The file cannot be made, or the thread cannot start.
    pub fn start(settings: Settings, counts: Arc<Counts>, log: Log) -> io::Result<Self> {
        let (file, path) = writer::create(&settings.file)?;
        let shared = Arc::new(Shared {
            path,
            started: Instant::now(),
            state: AtomicU8::new(State::Open as u8),
            memory: AtomicUsize::new(0),
            counts,
            sinks: AtomicU64::new(0),
            settings,
        });
        let unix = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let first = format::first_line(unix, shared.settings.sample);
        let (batches, received) = sync_channel(BATCHES_MAX);
        let event = Event::RecordingStarted { path: &shared.path, sample: &shared.settings.sample };
        log.emit(&event);
        writer::start(file, &first, Arc::clone(&shared), log.clone(), received)?;
        Ok(Self { shared, batches })
    }

    /// What it was started with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// The file: the one of the settings, or with a number in its name if that was there already.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// A way in for one worker. What the first picks is the same in each run, and so on.
    #[must_use]
    pub fn sink(&self) -> Sink {
        let number = self.shared.sinks.fetch_add(1, Ordering::Relaxed);
        Sink {
            shared: Arc::clone(&self.shared),
            batches: self.batches.clone(),
            chance: RefCell::new(Random::from_seed(number << 32)),
            lines: RefCell::default(),
            late: Cell::new(0),
        }
    }

    /// Waits until what sinks have handed over is written or counted, no longer than `wait`; true if it is.
    #[must_use]
    pub fn flush(&self, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        let (seen, through) = sync_channel(1);
        let mut batch = Batch { seen: Some(seen), ..Batch::default() };
        while let Err(TrySendError::Full(refused)) = self.batches.try_send(batch) {
            if Instant::now() >= deadline {
                return false;
            }
            std::thread::sleep(FLUSH_RETRY);
            batch = refused;
        }
        through.recv_timeout(deadline.since(Instant::now())).is_ok()
    }
}

impl Sink {
    /// Whether the next request is one of the sample.
    #[inline]
    pub fn picks(&self) -> bool {
        self.shared.settings.sample.holds(self.chance.borrow_mut().next_u64())
    }

    /// Records a request that was picked, or begins to if it has a body: give that to the tape. `None`: it
    /// has none, or the request is left out, and counted.
    pub fn open<'a>(
        &self,
        head: &Head<'_>,
        fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    ) -> Option<Tape> {
        let settings = &self.shared.settings;
        if self.shared.state() != State::Open {
            self.late.set(self.late.get() + 1);
            return None;
        }
        if head.body_len == Some(0) {
            let mut lines = self.lines.borrow_mut();
            format::head(&mut lines.bytes, head, fields, self.shared.started, settings);
            self.end_line(&mut lines, Some(&[]), 0);
            return None;
        }
        let fits = |len: &usize| *len <= settings.body_max;
        let room = match head.body_len {
            Some(len) => usize::try_from(len).ok().filter(fits),
            None => Some(settings.body_max),
        };
        let mut line = Vec::new();
        format::head(&mut line, head, fields, self.shared.started, settings);
        let reserved = line.len() + room.unwrap_or(0);
        if !self.shared.reserve(reserved) {
            self.shared.count_dropped(1);
            return None;
        }
        Some(Tape {
            shared: Arc::clone(&self.shared),
            line,
            body: room.map(|_| Vec::new()),
            room: room.unwrap_or(0),
            bytes: 0,
            reserved,
        })
    }

    /// The request's body has ended; or, if it is not `complete`, no more of it will be read.
    pub fn close(&self, mut tape: Tape, complete: bool) {
        let mut lines = self.lines.borrow_mut();
        lines.bytes.append(&mut tape.line);
        let body = tape.body.take().filter(|_| complete);
        self.end_line(&mut lines, body.as_deref(), tape.bytes);
    }

    /// Hands over what there is. For the worker's periodic tick.
    pub fn flush(&self) {
        let late = self.late.take();
        match self.shared.state() {
            _ if late == 0 => {}
            State::Failed => self.shared.count_dropped(late),
            State::Open | State::Full => self.shared.count_beyond(late),
        }
        self.hand_over(&mut self.lines.borrow_mut());
    }

    fn end_line(&self, lines: &mut Lines, body: Option<&[u8]>, bytes: u64) {
        format::body(&mut lines.bytes, body, bytes);
        lines.count += 1;
        if lines.bytes.len() > BATCH_BYTES {
            self.hand_over(lines);
        }
    }

    fn hand_over(&self, lines: &mut Lines) {
        if lines.count == 0 {
            return;
        }
        let Lines { bytes, count } = std::mem::take(lines);
        let reserved = bytes.len();
        if !self.shared.reserve(reserved) {
            self.shared.count_dropped(count);
            return;
        }
        let batch = Batch { bytes, lines: count, seen: None };
        if self.batches.try_send(batch).is_err() {
            self.shared.release(reserved);
            self.shared.count_dropped(count);
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.flush();
    }
}

impl Tape {
    /// Keeps a piece of the body, if the body still fits.
    pub fn take(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        let Some(body) = &mut self.body else { return };
        let needed = body.len() + data.len();
        if needed > self.room {
            self.body = None;
            self.shared.release(self.room);
            self.reserved -= self.room;
            return;
        }
        if body.capacity() < needed {
            // Grown by doubling, but never beyond what is reserved.
            let capacity = (body.capacity() * 2).clamp(needed, self.room);
            body.reserve_exact(capacity - body.len());
        }
        body.extend_from_slice(data);
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.shared.release(self.reserved);
    }
}

impl Shared {
    fn state(&self) -> State {
        match self.state.load(Ordering::Relaxed) {
            0 => State::Open,
            1 => State::Full,
            _ => State::Failed,
        }
    }

    fn end(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }

    fn reserve(&self, bytes: usize) -> bool {
        let before = self.memory.fetch_add(bytes, Ordering::Relaxed);
        let fits = before + bytes <= MEMORY_MAX;
        if !fits {
            self.release(bytes);
        }
        fits
    }

    fn release(&self, bytes: usize) {
        self.memory.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn count_beyond(&self, requests: u64) {
        self.counts.limit.fetch_add(requests, Ordering::Relaxed);
    }

    fn count_dropped(&self, requests: u64) {
        self.counts.dropped.fetch_add(requests, Ordering::Relaxed);
    }
}

impl fmt::Debug for Recording {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recording").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

/// Shows no more than its size: what it holds is not redacted.
impl fmt::Debug for Tape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tape").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
