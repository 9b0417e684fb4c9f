//! A thread that writes lines, so that no other thread ever waits for a disk or a pipe.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use forebay_base::time::Instant;

/// A buffer that a rare long line has blown up beyond this is not kept for reuse.
const KEPT_BYTES_MAX: usize = 64 << 10;

/// Another process may write to the same pipe while it takes our place: what is written at once stays together
/// up to so many bytes (`PIPE_BUF` of Linux, see pipe(7)).
const TOGETHER_MAX: usize = 4 << 10;

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
    /// Either of the first two, where it is a pipe or a socket.
    Pipe(Box<dyn Write + Send>),
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
            Target::Stdout if is_pipe(&io::stdout()) => (None, Output::Pipe(Box::new(io::stdout()))),
            Target::Stderr if is_pipe(&io::stderr()) => (None, Output::Pipe(Box::new(io::stderr()))),
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
            Self::Pipe(out) => {
                pieces(bytes).try_for_each(|piece| out.write_all(piece).and_then(|()| out.flush()))
            }
        }
    }
}

/// Whether what is written may get mixed up with what another process writes. A file is appended to in whole.
fn is_pipe(output: &impl AsFd) -> bool {
    let about = output.as_fd().try_clone_to_owned().and_then(|output| File::from(output).metadata());
    about.is_ok_and(|about| !about.is_file() && !about.file_type().is_char_device())
}

/// Whole lines, as many as stay together; a longer one stands alone.
fn pieces(mut bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let fitting = &bytes[..bytes.len().min(TOGETHER_MAX)];
        let end = match fitting.iter().rposition(|byte| *byte == b'\n') {
            _ if fitting.len() == bytes.len() => bytes.len(),
            Some(at) => at + 1,
            None => bytes.iter().position(|byte| *byte == b'\n').map_or(bytes.len(), |at| at + 1),
        };
        let (piece, rest) = bytes.split_at(end);
        bytes = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).open(path)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().expect("nothing under this lock panics")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths of the pieces that lines of these lengths are written in.
    fn written(lines: &[usize]) -> Vec<usize> {
        let mut bytes = Vec::new();
        for length in lines {
            bytes.resize(bytes.len() + length - 1, b'x');
            bytes.push(b'\n');
        }
        let found: Vec<&[u8]> = pieces(&bytes).collect();
        assert_eq!(found.concat(), bytes);
        assert!(found.iter().all(|piece| piece.ends_with(b"\n")));
        found.iter().map(|piece| piece.len()).collect()
    }

    #[test]
    fn a_pipe_gets_whole_lines_as_many_as_stay_together() {
        assert_eq!(written(&[]), [0; 0]);
        assert_eq!(written(&[100, 200]), [300]);
        assert_eq!(written(&[TOGETHER_MAX]), [TOGETHER_MAX]);
        assert_eq!(written(&[TOGETHER_MAX, 1]), [TOGETHER_MAX, 1]);
        assert_eq!(written(&[3_000, 1_000, 97]), [4_000, 97]);
        assert_eq!(written(&[10, 9_000, 10]), [10, 9_000, 10]);
    }
}
