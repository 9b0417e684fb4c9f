//! A secured connection over a socket: plaintext on this side, records on the other.
//!
//! While nothing flows it holds no buffer. Records are read into a block that all connections of a thread share,
//! and are decrypted there; only an incomplete record, or plaintext nobody took yet, is kept. What is written is
//! encrypted into such a block, and only what the socket did not take is kept.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::task::{Context, Poll, ready};

use rustls::Error;

use super::Ended;
use super::session::{Send, Sending, Session, Step};
use super::socket::Socket;
use crate::buffer::Buffer;

/// Plaintext that is encrypted at once: two records. Bounds what is kept for someone who does not read.
const PLAIN_MAX: usize = 2 * 16_384;
/// What records add to that, generously.
const OVERHEAD_MAX: usize = 512;
/// Records that are due and wait for something to go with: session tickets, the last word of a handshake. More than
/// that do not wait.
const RIDERS_MAX: usize = 4096;
/// Records read at once. Must be more than one of the largest, 18,437 bytes in TLS 1.2.
const RECORDS_MAX: usize = 40 * 1024;
/// Reads in a row that brought nothing but records of TLS itself.
const IDLE_READS_MAX: usize = 16;
/// Messages that were due before the alert that ends a connection.
const LAST_WORDS_MAX: usize = 16;

thread_local! {
    static RECORDS: RefCell<Vec<u8>> = RefCell::new(vec![0; RECORDS_MAX]);
    static OUT: RefCell<Vec<u8>> = RefCell::new(vec![0; RIDERS_MAX + PLAIN_MAX + OVERHEAD_MAX]);
    static GATHERED: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A connection whose handshake is over, or under way.
pub(super) struct Secured {
    pub(super) socket: Socket,
    pub(super) session: Session,
    /// Records, or the beginning of one, that were not used yet. Less than `RECORDS_MAX`.
    records: Vec<u8>,
    /// There may be complete ones among them.
    more: bool,
    /// Plaintext that nobody took yet. At most what `RECORDS_MAX` decrypts to.
    plain: Vec<u8>,
    /// How much of it was taken.
    plain_taken: usize,
    /// Records for the other side.
    riders: Vec<u8>,
    /// How many bytes of plaintext are complete once the riders are sent; they were not reported yet.
    promised: usize,
    /// Some riders were sent since the last question.
    progressed: bool,
    /// We have said that we send nothing more.
    close_sent: bool,
    /// The other side is not to take what it got for complete.
    abandoned: bool,
    end: Option<End>,
}

/// Why nothing more comes in.
#[derive(Debug)]
pub(super) enum End {
    /// It has said so.
    Closed,
    /// Its side was closed without a word: what was sent may be incomplete.
    Truncated,
    /// The connection broke.
    Broken(io::ErrorKind),
    /// It broke the rules.
    Failed(Error),
}

impl Secured {
    /// Begins with `records` that were read already.
    pub(super) fn new(socket: Socket, session: Session, records: &[u8]) -> Self {
        Self {
            socket,
            session,
            records: records.to_vec(),
            more: true,
            plain: Vec::new(),
            plain_taken: 0,
            riders: Vec::new(),
            promised: 0,
            progressed: false,
            close_sent: false,
            abandoned: false,
            end: None,
        }
    }

    pub(super) const fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// Whether records that were kept may be complete.
    pub(super) const fn has_more(&self) -> bool {
        self.more
    }

    pub(super) fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.more || !self.plain.is_empty() || self.end.is_some() {
            return Poll::Ready(Ok(()));
        }
        self.socket.poll_read_ready(cx)
    }

    pub(super) fn poll_fill(&mut self, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>> {
        if buffer.space().is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut got = self.hand_out(buffer);
        for _ in 0..IDLE_READS_MAX {
            if got > 0 {
                return Poll::Ready(Ok(got));
            }
            if self.more {
                got = self.decrypt_kept(Some(buffer));
            } else if let Some(end) = &self.end {
                return Poll::Ready(end.result());
            } else {
                got = ready!(self.receive(Some(buffer), |socket, into| socket.poll_read(cx, into)));
            }
        }
        if got > 0 {
            return Poll::Ready(Ok(got));
        }
        // The others of this worker have waited long enough.
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Ended> {
        for _ in 0..IDLE_READS_MAX {
            if !self.plain.is_empty() {
                return Poll::Ready(Ended::Sending);
            } else if self.more {
                self.decrypt_kept(None);
            } else if let Some(end) = &self.end {
                return Poll::Ready(end.ended());
            } else {
                ready!(self.receive(None, |socket, into| socket.poll_read(cx, into)));
            }
        }
        Poll::Ready(Ended::Sending)
    }

    /// Whether nothing has arrived but records of TLS itself.
    pub(super) fn is_quiet(&mut self) -> bool {
        for _ in 0..IDLE_READS_MAX {
            if self.more {
                self.decrypt_kept(None);
            }
            if !self.plain.is_empty() || self.end.is_some() {
                return false;
            }
            if self.receive(None, |socket, into| wait_if_blocked(socket.try_read(into))).is_pending() {
                return true;
            }
        }
        false
    }

    /// Reads records once by `read`, and decrypts them into `buffer`, or keeps what they hold. Returns how many bytes
    /// of plaintext went to `buffer`. What went wrong is in `end`.
    pub(super) fn receive(
        &mut self,
        buffer: Option<&mut Buffer>,
        read: impl FnOnce(&mut Socket, &mut [u8]) -> Poll<io::Result<usize>>,
    ) -> Poll<usize> {
        RECORDS.with_borrow_mut(|block| {
            let kept = self.records.len();
            let n = match ready!(read(&mut self.socket, &mut block[kept..])) {
                Ok(0) => {
                    self.end = Some(End::Truncated);
                    return Poll::Ready(0);
                }
                Ok(n) => n,
                Err(error) => {
                    self.end = Some(End::Broken(error.kind()));
                    return Poll::Ready(0);
                }
            };
            block[..kept].copy_from_slice(&self.records);
            let (used, got) = self.decrypt(&mut block[..kept + n], buffer);
            self.keep(&block[used..kept + n]);
            Poll::Ready(got)
        })
    }

    /// Goes on with records that were kept.
    pub(super) fn decrypt_kept(&mut self, buffer: Option<&mut Buffer>) -> usize {
        let mut records = std::mem::take(&mut self.records);
        let (used, got) = self.decrypt(&mut records, buffer);
        records.drain(..used);
        if !records.is_empty() {
            self.records = records;
        }
        got
    }

    /// Decrypts `records` until `buffer` is full, or there is something to keep. Returns how many bytes of them are
    /// used up, and how many bytes of plaintext went to `buffer`.
    fn decrypt(&mut self, records: &mut [u8], mut buffer: Option<&mut Buffer>) -> (usize, usize) {
        let (mut used, mut got) = (0, 0);
        self.more = false;
        loop {
            let plain = &mut self.plain;
            let (discard, step) =
                self.session.step(&mut records[used..], &mut self.riders, None, |payload| {
                    let taken = buffer.as_deref_mut().map_or(0, |buffer| put(buffer, payload));
                    got += taken;
                    plain.extend_from_slice(&payload[taken..]);
                });
            used += discard;
            match step {
                Ok(Step::Again) => {}
                Ok(Step::Data) => {
                    let full = buffer.as_deref_mut().is_none_or(|buffer| buffer.space().is_empty());
                    if full || !self.plain.is_empty() {
                        self.more = used < records.len();
                        return (used, got);
                    }
                }
                Ok(Step::Idle) => break,
                Ok(Step::PeerClosed) => {
                    self.end = Some(End::Closed);
                    return (records.len(), got);
                }
                Err(error) => {
                    self.fail(error, &mut records[used..]);
                    return (records.len(), got);
                }
            }
        }
        (used, got)
    }

    /// Keeps records for later; there is no room for more than a block of them.
    fn keep(&mut self, rest: &[u8]) {
        if rest.len() >= RECORDS_MAX {
            self.records = Vec::new();
            self.end = Some(End::Failed(Error::General("a message is too large".into())));
        } else if rest.is_empty() {
            self.records = Vec::new();
        } else {
            self.records.clear();
            self.records.extend_from_slice(rest);
        }
    }

    /// Says why, if there is room for it at once, and reads no more. `records`: those that are left; the session knows
    /// where it stands in them.
    #[cold]
    fn fail(&mut self, error: Error, records: &mut [u8]) {
        // Its alert comes after what else it had to say. Once that is said it must not look at records any more.
        let mut used = 0;
        for _ in 0..LAST_WORDS_MAX {
            if !self.session.state().wants_write() {
                break;
            }
            used += self.session.step(&mut records[used..], &mut self.riders, None, |_| {}).0;
        }
        if crate::tls::is_unknown_name(&error) {
            name_the_reason(&mut self.riders);
        }
        if self.promised == 0 && self.socket.send_now(&self.riders).is_ok() {
            self.riders = Vec::new();
        }
        self.records = Vec::new();
        self.more = false;
        self.end = Some(End::Failed(error));
    }

    fn hand_out(&mut self, buffer: &mut Buffer) -> usize {
        if self.plain.is_empty() {
            return 0;
        }
        let taken = put(buffer, &self.plain[self.plain_taken..]);
        self.plain_taken += taken;
        if self.plain_taken == self.plain.len() {
            self.plain = Vec::new();
            self.plain_taken = 0;
        }
        taken
    }

    /// Sends some of `slices`, and is ready once the socket has taken it. After `Pending` they must begin with the
    /// same bytes.
    pub(super) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.promised == 0 {
            if self.riders.len() > RIDERS_MAX {
                ready!(self.poll_flush(cx))?;
            }
            // Nothing is encrypted, and kept, for a socket without room.
            ready!(self.socket.poll_write_ready(cx))?;
            let sent = with_plain(slices, |plain| self.send(cx, plain).map_ok(|()| plain.len()));
            if sent.is_ready() {
                return sent;
            }
        }
        ready!(self.poll_flush(cx))?;
        Poll::Ready(self.keep_promise(slices))
    }

    /// All of what was encrypted has been taken; returns how many bytes of `slices` that are.
    fn keep_promise(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let promised = std::mem::take(&mut self.promised);
        let given: usize = slices.iter().map(|slice| slice.len()).sum();
        // They are not those it was called with before: what went out is not what was meant to.
        if promised > given { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(promised) }
    }

    /// Encrypts, and writes once; what the socket did not take is kept, `Pending`.
    fn send(&mut self, cx: &mut Context<'_>, plain: &[u8]) -> Poll<io::Result<()>> {
        if plain.is_empty() {
            return Poll::Ready(Ok(()));
        }
        OUT.with_borrow_mut(|out| {
            let filled = self.encrypt(Send::Data(plain), out)?;
            let wrote = match self.socket.poll_write(cx, &out[..filled]) {
                Poll::Ready(Ok(wrote)) => wrote,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => 0,
            };
            if wrote == filled {
                return Poll::Ready(Ok(()));
            }
            self.progressed |= wrote > 0;
            self.riders.extend_from_slice(&out[wrote..filled]);
            self.promised = plain.len();
            Poll::Pending
        })
    }

    /// Puts the riders and the records of `what` into `out`, and returns how many bytes that are.
    fn encrypt(&mut self, what: Send<'_>, out: &mut [u8]) -> io::Result<usize> {
        if let Some(End::Failed(error)) = &self.end {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, error.clone()));
        }
        let mut sending = Sending { what, out, filled: 0 };
        loop {
            // Records that are kept are decrypted on the way: TLS tells of its state in their order.
            let plain = &mut self.plain;
            let (discard, step) =
                self.session.step(&mut self.records, &mut self.riders, Some(&mut sending), |payload| {
                    plain.extend_from_slice(payload)
                });
            self.records.drain(..discard);
            match step {
                Ok(Step::Idle) if sending.filled > 0 => return Ok(sending.filled),
                Ok(Step::Idle) => return Err(io::ErrorKind::BrokenPipe.into()),
                Ok(Step::PeerClosed) if matches!(self.end, Some(End::Closed)) => {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                Ok(Step::PeerClosed) => self.end = Some(End::Closed),
                Ok(Step::Data | Step::Again) => {}
                Err(error) => {
                    let mut records = std::mem::take(&mut self.records);
                    self.fail(error.clone(), &mut records);
                    return Err(io::Error::new(io::ErrorKind::BrokenPipe, error));
                }
            }
        }
    }

    /// Writes the riders.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.riders.is_empty() {
            let wrote = ready!(self.socket.poll_write(cx, &self.riders))?;
            self.sent(wrote)?;
        }
        Poll::Ready(Ok(()))
    }

    /// Takes the first `n` bytes, which were written, off the riders.
    fn sent(&mut self, n: usize) -> io::Result<()> {
        if n == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.progressed = true;
        self.riders.drain(..n);
        if self.riders.is_empty() {
            self.riders = Vec::new();
        }
        Ok(())
    }

    /// Sends some of `slices`, as `poll_write` would, without asking the event loop whether there is room. Returns how
    /// many bytes of plaintext the socket has taken; none: it is in the middle of some.
    pub(super) fn send_now(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if self.promised == 0 {
            self.promised = with_plain(slices, |plain| {
                OUT.with_borrow_mut(|out| {
                    let filled = self.encrypt(Send::Data(plain), out)?;
                    self.riders.extend_from_slice(&out[..filled]);
                    io::Result::Ok(plain.len())
                })
            })?;
        }
        let wrote = self.socket.send_now(&self.riders)?;
        self.sent(wrote)?;
        if self.riders.is_empty() { self.keep_promise(slices) } else { Ok(0) }
    }

    /// Whether the socket has taken anything since the last question.
    pub(super) fn take_progress(&mut self) -> bool {
        std::mem::take(&mut self.progressed)
    }

    pub(super) fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.close_sent {
            self.close_sent = true;
            // Who broke the rules has been told.
            if !matches!(self.end, Some(End::Failed(_))) {
                self.queue_close()?;
            }
        }
        ready!(self.poll_flush(cx))?;
        self.socket.poll_shutdown(cx)
    }

    fn queue_close(&mut self) -> io::Result<()> {
        let mut out = vec![0; self.riders.len() + OVERHEAD_MAX];
        let filled = self.encrypt(Send::CloseNotify, &mut out)?;
        out.truncate(filled);
        // What was encrypted before it is at its beginning.
        self.riders = out;
        Ok(())
    }

    /// Bytes kept for later, in both directions.
    #[cfg(test)]
    pub(super) fn bytes_held(&self) -> usize {
        self.records.capacity() + self.plain.capacity() + self.riders.capacity()
    }

    /// Ends without a word, so that the other side cannot take what it got for complete.
    pub(super) const fn abandon(&mut self) {
        self.abandoned = true;
    }
}

impl Drop for Secured {
    fn drop(&mut self) {
        let silent = self.abandoned || self.close_sent || self.session.state().is_handshaking();
        let broken = matches!(self.end, Some(End::Failed(_) | End::Broken(_)));
        // In the middle of a record there is nothing left to say.
        if !silent && !broken && self.promised == 0 && self.queue_close().is_ok() {
            // Without room at once, the other side takes it for cut off.
            let _ = self.socket.send_now(&self.riders);
        }
    }
}

impl End {
    fn result(&self) -> io::Result<usize> {
        match self {
            Self::Closed => Ok(0),
            Self::Truncated => Err(io::ErrorKind::UnexpectedEof.into()),
            Self::Broken(kind) => Err((*kind).into()),
            Self::Failed(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error.clone())),
        }
    }

    const fn ended(&self) -> Ended {
        match self {
            Self::Closed | Self::Truncated => Ended::Closed,
            Self::Broken(_) | Self::Failed(_) => Ended::Reset,
        }
    }
}

impl std::fmt::Debug for Secured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Secured")
            .field("socket", &self.socket)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}

/// rustls has one alert for all reasons not to show a certificate, `access_denied`. There is another for the only one
/// there is here, `unrecognized_name` (RFC 6066 §3), and nothing is encrypted yet.
fn name_the_reason(records: &mut [u8]) {
    if let [.., 0x15, 3, _, 0, 2, 2, reason @ 49] = records {
        *reason = 112;
    }
}

/// Puts as much of `payload` into `buffer` as there is room for.
fn put(buffer: &mut Buffer, payload: &[u8]) -> usize {
    let space = buffer.space();
    let n = payload.len().min(space.len());
    space[..n].copy_from_slice(&payload[..n]);
    buffer.advance(n);
    n
}

/// Calls `then` with the first bytes of `slices`, in one piece.
fn with_plain<T>(slices: &[IoSlice<'_>], then: impl FnOnce(&[u8]) -> T) -> T {
    let mut full = slices.iter().filter(|slice| !slice.is_empty());
    let first = full.next().map_or(&[][..], |slice| slice);
    if first.len() >= PLAIN_MAX / 2 || full.next().is_none() {
        return then(&first[..first.len().min(PLAIN_MAX)]);
    }
    GATHERED.with_borrow_mut(|gathered| {
        gathered.clear();
        for slice in slices {
            let n = slice.len().min(PLAIN_MAX - gathered.len());
            gathered.extend_from_slice(&slice[..n]);
        }
        then(gathered)
    })
}

fn wait_if_blocked(result: io::Result<usize>) -> Poll<io::Result<usize>> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
        done => Poll::Ready(done),
    }
}
