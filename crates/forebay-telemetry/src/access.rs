//! One line per request, written off the hot path: workers fill buffers, one thread writes them.
//!
//! A full channel never slows a request: the buffer's lines are dropped and counted. What a stranger sent is
//! escaped to plain ASCII, so no request can forge a line, a field or a terminal's escape sequence.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::time::Duration;
use std::{fmt, io};

use crate::rfc3339::Clock;
pub use crate::writer::Target;
use crate::writer::{Batch, Writer};

mod json;
mod text;

/// A worker's buffer is handed to the writer once it holds more than this.
const BATCH_BYTES: usize = 16 << 10;
/// Emptied buffers that wait at each sink for their next use.
const SPARES_MAX: usize = 8;
/// Batches on their way to the writer, over all workers: about 4 MiB.
const BATCHES_MAX: usize = 256;
/// Longest part of a client's path, query or header that is written, in bytes; the rest becomes `...`.
const FIELD_BYTES_MAX: usize = 8 << 10;

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line, for machines.
    #[default]
    Json,
    /// Aligned columns, for people.
    Text,
}

/// What to write, where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How a line looks.
    pub format: Format,
    /// Where it goes.
    pub target: Target,
    /// Colours in `Format::Text`: for terminals, see [`Target::is_terminal`].
    pub colour: bool,
}

/// The running access log: owns the writer thread. Workers write through [`AccessLog::sink`].
#[derive(Debug)]
pub struct AccessLog {
    settings: Settings,
    writer: Writer,
    dropped: Arc<AtomicU64>,
}

/// One worker's way into the log. Not `Sync`: each worker has its own.
pub struct AccessSink {
    style: Style,
    buffer: Vec<u8>,
    lines: u64,
    clock: Clock,
    batches: SyncSender<Batch>,
    dropped: Arc<AtomicU64>,
    spares: Receiver<Vec<u8>>,
    home: SyncSender<Vec<u8>>,
}

/// How a client's connection is secured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Secured<'a> {
    /// `TLSv1.3` or the like.
    pub version: &'static str,
    /// The name it asked for.
    pub sni: Option<&'a str>,
    /// The subject of the certificate it showed, verified (RFC 4514).
    pub subject: Option<&'a str>,
}

/// What is known of a request when its last byte is sent (or never will be). Bytes are as received.
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// When the request's head had arrived: nanoseconds since 1970.
    pub unix_nanos: u64,
    /// Who asks, after trusted proxies were believed.
    pub client: IpAddr,
    /// Who connected.
    pub peer: SocketAddr,
    /// Empty if the request line could not be read.
    pub method: &'a [u8],
    /// The authority asked for; empty if unknown.
    pub host: &'a [u8],
    /// The path asked for, without the query; empty if unknown.
    pub path: &'a [u8],
    /// What follows `?`.
    pub query: Option<&'a [u8]>,
    /// `HTTP/1.1` or the like.
    pub protocol: &'static str,
    /// How the client's connection is secured; `None`: it is not.
    pub secured: Option<Secured<'a>>,
    /// Status sent to the client; 0 if none was.
    pub status: u16,
    /// Number of the gRPC status; `None`: it is no gRPC, or there was none.
    pub grpc_status: Option<u8>,
    /// Why Forebay answered itself, or broke the request off, if it did.
    pub reason: Option<&'a str>,
    /// The matched route.
    pub route: Option<&'a str>,
    /// The service the request went to.
    pub service: Option<&'a str>,
    /// The endpoint that answered, or was tried last.
    pub endpoint: Option<&'a str>,
    /// The value of `x-request-id`.
    pub request_id: &'a [u8],
    /// Bytes of the request's body.
    pub bytes_in: u64,
    /// Bytes of the response's body.
    pub bytes_out: u64,
    /// From the request's head to the response's last byte.
    pub duration_nanos: u64,
    /// From the end of sending upstream to the response's first byte.
    pub first_byte_nanos: Option<u64>,
    /// Endpoints tried; 0 if none was needed.
    pub attempts: u32,
    /// The header of that name.
    pub user_agent: Option<&'a [u8]>,
    /// The header of that name.
    pub referer: Option<&'a [u8]>,
    /// The client did not get the last byte.
    pub aborted: bool,
}

#[derive(Clone, Copy, Debug)]
enum Style {
    Json,
    Text { colour: bool },
}

impl AccessLog {
    /// Opens the target and starts the writer thread. Lines lost are added to `dropped`.
    ///
    /// # Errors
    /// If the file cannot be opened for appending or the thread cannot start.
    pub fn start(settings: Settings, dropped: Arc<AtomicU64>) -> io::Result<Self> {
        let writer = Writer::start("access-log", &settings.target, BATCHES_MAX, Arc::clone(&dropped))?;
        Ok(Self { settings, writer, dropped })
    }

    /// A way in for one worker.
    #[must_use]
    pub fn sink(&self) -> AccessSink {
        let Settings { format, target: _, colour } = self.settings;
        let style = match format {
            Format::Json => Style::Json,
            Format::Text => Style::Text { colour },
        };
        AccessSink::new(style, self.writer.sender(), Arc::clone(&self.dropped))
    }

    /// Lines lost so far because the writer could not keep up or could not write.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Opens the file anew, for after it was renamed. If it cannot be, the old one stays in use; the error is
    /// told by [`AccessLog::last_error`]. Does not wait.
    pub fn reopen(&self) {
        self.writer.reopen();
    }

    /// What went wrong last with opening or writing, if anything has since this was last asked.
    #[must_use]
    pub fn last_error(&self) -> Option<io::Error> {
        self.writer.take_error()
    }

    /// Waits until what sinks have handed over is written or counted as lost, no longer than `wait`; true if it
    /// is. For the end: drop the sinks, which hands over their last lines, and then call this.
    pub fn flush(&self, wait: Duration) -> bool {
        self.writer.flush(wait)
    }
}

impl AccessSink {
    fn new(style: Style, batches: SyncSender<Batch>, dropped: Arc<AtomicU64>) -> Self {
        let (home, spares) = sync_channel(SPARES_MAX);
        Self { style, buffer: Vec::new(), lines: 0, clock: Clock::default(), batches, dropped, spares, home }
    }

    /// Adds one line to the worker's buffer; hands the buffer over when it is full. Never blocks.
    pub fn record(&mut self, record: &AccessRecord<'_>) {
        match self.style {
            Style::Json => json::line(&mut self.buffer, &mut self.clock, record),
            Style::Text { colour } => text::line(&mut self.buffer, &mut self.clock, record, colour),
        }
        self.lines += 1;
        if self.buffer.len() > BATCH_BYTES {
            self.flush();
        }
    }

    /// Hands over what there is. For the worker's periodic tick, so that lines appear within its period.
    pub fn flush(&mut self) {
        if self.buffer.is_empty() {
            return;
        }
        let spare = self.spares.try_recv().unwrap_or_default();
        let bytes = std::mem::replace(&mut self.buffer, spare);
        let batch = Batch { bytes, lines: std::mem::take(&mut self.lines), home: Some(self.home.clone()) };
        if let Err(TrySendError::Full(batch) | TrySendError::Disconnected(batch)) =
            self.batches.try_send(batch)
        {
            self.dropped.fetch_add(batch.lines, Ordering::Relaxed);
            batch.recycle();
        }
    }
}

impl Drop for AccessSink {
    fn drop(&mut self) {
        self.flush();
    }
}

impl fmt::Debug for AccessSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessSink")
            .field("style", &self.style)
            .field("lines", &self.lines)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
