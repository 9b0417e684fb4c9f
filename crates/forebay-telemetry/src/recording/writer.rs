//! The thread that writes a recording to its file, up to the file's bound.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, SyncSender};
use std::thread;

use super::{Shared, State};
use crate::log::{Event, Log};

/// Most files of one name: `traffic.jsonl`, then `traffic-2.jsonl` and so on.
const FILES_MAX: usize = 100;

/// Whole lines on their way to the file.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u64,
    /// Told once this batch and all before it are written.
    pub(super) seen: Option<SyncSender<()>>,
}

/// The thread's own state.
struct Loop {
    file: File,
    /// Bytes in it.
    len: u64,
    shared: Arc<Shared>,
    log: Log,
}

/// Makes a new file that only its owner can read; one that is there already is left alone.
pub(super) fn create(wanted: &Path) -> io::Result<(File, PathBuf)> {
    let mut path = wanted.to_owned();
    for number in 2..=FILES_MAX + 1 {
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => path = numbered(wanted, number),
            Err(error) => return Err(error),
        }
    }
    let what = format!("it exists, and so do its numbered successors up to {FILES_MAX}; move some away");
    Err(io::Error::new(io::ErrorKind::AlreadyExists, what))
}

/// `traffic-2.jsonl` for `traffic.jsonl`.
fn numbered(path: &Path, number: usize) -> PathBuf {
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{number}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

/// Writes `first`, and starts the thread that writes what is `received`.
pub(super) fn start(
    mut file: File,
    first: &[u8],
    shared: Arc<Shared>,
    log: Log,
    received: Receiver<Batch>,
) -> io::Result<()> {
    file.write_all(first)?;
    let state = Loop { file, len: first.len() as u64, shared, log };
    thread::Builder::new().name("recording".to_owned()).spawn(move || state.run(&received))?;
    Ok(())
}

impl Loop {
    fn run(mut self, batches: &Receiver<Batch>) {
        while let Ok(Batch { bytes, lines, seen }) = batches.recv() {
            match self.shared.state() {
                State::Open => self.write(&bytes, lines),
                State::Full => self.shared.count_beyond(lines),
                State::Failed => self.shared.count_dropped(lines),
            }
            self.shared.release(bytes.len());
            if let Some(seen) = seen {
                // Whoever asked may have stopped waiting.
                let _ = seen.send(());
            }
        }
    }

    /// Writes as many whole lines as still fit.
    fn write(&mut self, bytes: &[u8], lines: u64) {
        let left = self.shared.settings.bytes_max.saturating_sub(self.len);
        let (fitting, count) = match usize::try_from(left) {
            Ok(left) if left < bytes.len() => fitting(bytes, left),
            _ => (bytes, lines),
        };
        if let Err(error) = self.file.write_all(fitting) {
            // Half a line would spoil the file for its reader.
            let _ = self.file.set_len(self.len);
            self.shared.end(State::Failed);
            self.shared.count_dropped(lines);
            self.log.emit(&Event::RecordingFailed { path: &self.shared.path, error: &error });
            return;
        }
        self.len += fitting.len() as u64;
        self.shared.counts.written.fetch_add(count, Ordering::Relaxed);
        if count < lines {
            self.shared.end(State::Full);
            self.shared.count_beyond(lines - count);
            self.log.emit(&Event::RecordingFull { path: &self.shared.path, bytes: self.len });
        }
    }
}

/// The whole lines at the front of `bytes` that take no more than `left` bytes, and how many they are.
fn fitting(bytes: &[u8], left: usize) -> (&[u8], u64) {
    let end = bytes[..left].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let fitting = &bytes[..end];
    (fitting, fitting.iter().filter(|&&byte| byte == b'\n').count() as u64)
}
