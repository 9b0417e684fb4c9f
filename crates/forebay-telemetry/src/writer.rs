//! A thread that writes lines, so that no other thread ever waits for a disk or a pipe.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use forebay_base::time::Instant;

/// A buffer that a rare long line has blown up beyond this is not kept for reuse.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// How often a flush looks for room in a full channel.
const FLUSH_RETRY: Duration = Duration::from_millis(1);

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to this file, which is made if need be.
    File(PathBuf),
}

/// The way to the thread, which ends once this and every sender are gone.
#[derive(Debug)]
pub(crate) struct Writer {
    batches: SyncSender<Batch>,
    orders: Arc<Orders>,
}

/// Whole lines on their way to the target. Empty ones just wake the thread.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) bytes: Vec<u8>,
    /// How many lines `bytes` holds, for the count of losses.
    pub(crate) lines: u64,
    /// Where the emptied buffer is wanted.
    pub(crate) home: Option<SyncSender<Vec<u8>>>,
}

/// What passes between the thread and its owner beside the lines.
#[derive(Debug, Default)]
struct Orders {
    reopen: AtomicBool,
    error: Mutex<Option<io::Error>>,
}

/// The thread's own state.
struct Loop {
    path: Option<PathBuf>,
    output: Output,
    /// A write failed half-way: the next one starts on a new line.
    torn: bool,
    lost: Arc<AtomicU64>,
    orders: Arc<Orders>,
}

enum Output {
    Stdout(io::Stdout),
    Stderr(io::Stderr),
    File(File),
}

impl Target {
    /// Whether lines here are read by a person on a terminal.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        match self {
            Self::Stdout => io::stdout().is_terminal(),
            Self::Stderr => io::stderr().is_terminal(),
            Self::File(_) => false,
        }
    }
}

impl Writer {
    /// Opens the target and starts the thread. At most `batches_max` batches wait; lines that could not be
    /// written are added to `lost`.
    pub(crate) fn start(
        name: &str,
        target: &Target,
        batches_max: usize,
        lost: Arc<AtomicU64>,
    ) -> io::Result<Self> {
        let orders = Arc::<Orders>::default();
        let state = Loop::open(target, lost, Arc::clone(&orders))?;
        let (batches, received) = sync_channel(batches_max);
        thread::Builder::new().name(name.to_owned()).spawn(move || state.run(&received))?;
        Ok(Self { batches, orders })
    }

    /// A way in.
    pub(crate) fn sender(&self) -> SyncSender<Batch> {
        self.batches.clone()
    }

    pub(crate) fn reopen(&self) {
        self.orders.reopen.store(true, Ordering::Release);
        // When the channel is full, the thread is awake and sees the order anyway.
        let _ = self.batches.try_send(Batch::default());
    }

    pub(crate) fn take_error(&self) -> Option<io::Error> {
        lock(&self.orders.error).take()
    }

    /// Waits until everything sent before is written or counted as lost, no longer than `wait`; true if it is.
    pub(crate) fn flush(&self, wait: Duration) -> bool {
        let deadline = Instant::now() + wait;
        // An empty batch that comes home has seen all others through.
        let (home, back) = sync_channel(1);
        let mut batch = Batch { home: Some(home), ..Batch::default() };
        while let Err(TrySendError::Full(refused)) = self.batches.try_send(batch) {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(FLUSH_RETRY);
            batch = refused;
        }
        back.recv_timeout(deadline.since(Instant::now())).is_ok()
    }
}

impl Batch {
    /// Sends the emptied buffer home, unless it has grown too big or enough are there.
    pub(crate) fn recycle(self) {
        let Self { mut bytes, lines: _, home } = self;
        if let Some(home) = home
            && bytes.capacity() <= KEPT_BYTES_MAX
        {
            bytes.clear();
            let _ = home.try_send(bytes);
        }
    }
}

impl Loop {
    fn open(target: &Target, lost: Arc<AtomicU64>, orders: Arc<Orders>) -> io::Result<Self> {
        let (path, output) = match target {
            Target::Stdout => (None, Output::Stdout(io::stdout())),
            Target::Stderr => (None, Output::Stderr(io::stderr())),
            Target::File(path) => (Some(path.clone()), Output::File(append_to(path)?)),
        };
        Ok(Self { path, output, torn: false, lost, orders })
    }

    fn run(mut self, batches: &Receiver<Batch>) {
        while let Ok(batch) = batches.recv() {
            if self.orders.reopen.swap(false, Ordering::Acquire) {
                self.reopen();
            }
            self.write(&batch);
            batch.recycle();
        }
    }

    fn reopen(&mut self) {
        let Some(path) = &self.path else { return };
        match append_to(path) {
            Ok(file) => self.output = Output::File(file),
            Err(error) => self.report(error),
        }
    }

    fn write(&mut self, batch: &Batch) {
        if batch.bytes.is_empty() {
            return;
        }
        let result = if self.torn { self.output.write(b"\n") } else { Ok(()) };
        let result = result.and_then(|()| self.output.write(&batch.bytes));
        self.torn = result.is_err();
        if let Err(error) = result {
            self.lost.fetch_add(batch.lines, Ordering::Relaxed);
            self.report(error);
        }
    }

    fn report(&self, error: io::Error) {
        *lock(&self.orders.error) = Some(error);
    }
}

impl Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Stdout(out) => out.write_all(bytes).and_then(|()| out.flush()),
            Self::Stderr(out) => out.write_all(bytes),
            Self::File(out) => out.write_all(bytes),
        }
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing under this lock panics")
}
