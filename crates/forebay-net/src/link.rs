//! One connection's bytes, in both directions, shared by the two halves of an exchange in one task.

mod handshake;
mod secured;
mod session;
mod socket;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use forebay_base::time::Instant;
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use self::secured::Secured;
use self::socket::{Socket, poll_peek_unix};
use crate::buffer::Buffer;
use crate::tls::Failure;
use crate::wheel::Alarm;

pub use self::handshake::TlsFailure;

/// Flags of send(2) on Linux: more follows; a broken connection is an error and not a signal.
const MORE: i32 = 0x8000;
const NO_SIGNAL: i32 = 0x4000;

/// A connection. All methods take `&self`: an upload and a download may use it at the same time, in one
/// task; a borrow never lives across a wait.
#[derive(Debug)]
pub struct Link {
    wire: RefCell<Wire>,
    silence: Cell<Option<Silence>>,
}

/// What carries the bytes.
#[derive(Debug)]
enum Wire {
    Tcp(TcpStream),
    Unix(UnixStream),
    Tls(Box<Secured>),
}

/// How long the other side may leave what was sent unacknowledged.
#[derive(Clone, Copy, Debug)]
struct Silence {
    quick: Duration,
    /// A write had to wait, so that it does not hold.
    waited: bool,
}

/// Why waiting for the other side ended without success.
#[derive(Debug)]
pub enum LinkError {
    /// The deadline passed.
    TimedOut,
    /// The connection broke.
    Io(io::Error),
}

/// What the other side is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It has closed its sending side; it may still be reading.
    Closed,
    /// The connection is broken.
    Reset,
    /// It has sent more.
    Sending,
}

/// Why the other side has ended a secured connection whose handshake was over on our side, if it has said so by an
/// alert (RFC 8446 §6.2): with TLS 1.3 a server looks at our certificate only then. `error` is what reading has come to.
#[must_use]
pub fn alert(error: &io::Error) -> Option<Failure> {
    match error.get_ref()?.downcast_ref()? {
        alert @ rustls::Error::AlertReceived(_) => Some(alert.into()),
        _ => None,
    }
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::TimedOut => Self::TimedOut,
            LinkError::Io(error) => Self::Io(error),
        }
    }
}

impl Link {
    /// Takes over a connected socket; turns Nagle's delay off.
    #[must_use]
    pub fn new(stream: TcpStream) -> Self {
        // A socket that is already dead says so on its first read.
        let _ = stream.set_nodelay(true);
        Self::from_wire(Wire::Tcp(stream), None)
    }

    /// Takes over a connected socket of this machine.
    #[must_use]
    pub fn unix(stream: UnixStream) -> Self {
        Self::from_wire(Wire::Unix(stream), None)
    }

    const fn from_wire(wire: Wire, silence: Option<Silence>) -> Self {
        Self { wire: RefCell::new(wire), silence: Cell::new(silence) }
    }

    /// The socket, of a connection that is not secured.
    fn into_socket(self) -> Result<(Socket, Option<Silence>), Failure> {
        let socket = Socket::of(self.wire.into_inner());
        Ok((socket.ok_or_else(|| Failure::Io(io::ErrorKind::Unsupported.into()))?, self.silence.get()))
    }

    /// Whether what goes over it is secured.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        matches!(&*self.wire.borrow(), Wire::Tls(_))
    }

    /// Has the kernel break the connection when nothing of what was sent is acknowledged for as long as `quick`
    /// (RFC 5482): a host that has gone without a word is noticed in seconds, and not by the timeout of an answer.
    ///
    /// The kernel counts the time in which the other side has no room just the same. So once a write had to wait
    /// for room, it is only its deadline that counts, until `expect_quick_acknowledgements`.
    pub fn break_when_silent(&self, quick: Duration) {
        self.silence.set(Some(Silence { quick, waited: false }));
        self.set_user_timeout(Some(quick));
    }

    /// Back to the bound of `break_when_silent`, if a write had to wait since the last time.
    #[inline]
    pub fn expect_quick_acknowledgements(&self) {
        if let Some(silence) = self.silence.get()
            && silence.waited
        {
            self.silence.set(Some(Silence { waited: false, ..silence }));
            self.set_user_timeout(Some(silence.quick));
        }
    }

    /// The other side has no room for more, and may take its time.
    #[cold]
    pub(crate) fn be_patient(&self) {
        if let Some(silence) = self.silence.get()
            && !silence.waited
        {
            self.silence.set(Some(Silence { waited: true, ..silence }));
            self.set_user_timeout(None);
        }
    }

    fn set_user_timeout(&self, after: Option<Duration>) {
        // Where that is not to be had it takes longer.
        let _ = self.wire.borrow().reference().set_tcp_user_timeout(after);
    }

    /// The address of the other side.
    ///
    /// # Errors
    /// The connection is gone, or is one of this machine's, which has none.
    pub fn peer(&self) -> io::Result<SocketAddr> {
        let address = self.wire.borrow().reference().peer_addr()?;
        address.as_socket().ok_or_else(|| io::ErrorKind::Unsupported.into())
    }

    /// Our address; `None`: the connection is gone, or is one of this machine's, which has none.
    #[must_use]
    pub fn local(&self) -> Option<SocketAddr> {
        self.wire.borrow().reference().local_addr().ok()?.as_socket()
    }

    /// Waits until there is something to read (or the end), holding no buffer meanwhile. A read may find nothing
    /// yet: not every byte of a secured connection is one of ours.
    #[inline]
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &*self.wire.borrow() {
            Wire::Tcp(stream) => stream.poll_read_ready(cx),
            Wire::Unix(stream) => stream.poll_read_ready(cx),
            Wire::Tls(secured) => secured.poll_readable(cx),
        }
    }

    /// Ready when the other side has closed its sending side, is gone altogether, or has sent something, so
    /// that its end cannot be seen yet. Takes nothing.
    #[inline]
    pub fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<Ended> {
        let peeked = match &mut *self.wire.borrow_mut() {
            Wire::Tcp(stream) => {
                if stream.poll_read_ready(cx).is_pending() {
                    return Poll::Pending;
                }
                ready!(stream.poll_peek(cx, &mut ReadBuf::new(&mut [0])))
            }
            Wire::Unix(stream) => ready!(poll_peek_unix(stream, cx)),
            Wire::Tls(secured) => return secured.poll_ended(cx),
        };
        Poll::Ready(match peeked {
            Ok(0) => Ended::Closed,
            Ok(_) => Ended::Sending,
            Err(_) => Ended::Reset,
        })
    }

    /// Reads once into `buffer`'s space; 0: the other side has closed its sending side. A secured connection that
    /// is cut off without a word is an error, `UnexpectedEof`: more was to come, for all we know (RFC 8446 §6.1).
    #[inline]
    pub fn poll_fill(&self, cx: &mut Context<'_>, buffer: &mut Buffer) -> Poll<io::Result<usize>> {
        let mut wire = self.wire.borrow_mut();
        let mut window = ReadBuf::new(buffer.space());
        ready!(match &mut *wire {
            Wire::Tcp(stream) => Pin::new(stream).poll_read(cx, &mut window),
            Wire::Unix(stream) => Pin::new(stream).poll_read(cx, &mut window),
            Wire::Tls(secured) => return secured.poll_fill(cx, buffer),
        })?;
        let n = window.filled().len();
        buffer.advance(n);
        Poll::Ready(Ok(n))
    }

    /// Writes some of `bytes`. After `Pending`, the next call must begin with the same ones: on a secured connection
    /// some of them may be on their way.
    #[inline]
    pub fn poll_write(&self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match &mut *self.wire.borrow_mut() {
            Wire::Tcp(stream) => Pin::new(stream).poll_write(cx, bytes),
            Wire::Unix(stream) => Pin::new(stream).poll_write(cx, bytes),
            Wire::Tls(secured) => secured.poll_write(cx, &[IoSlice::new(bytes)]),
        }
    }

    /// Writes some of `slices`; see `poll_write`.
    #[inline]
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut *self.wire.borrow_mut() {
            Wire::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Wire::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Wire::Tls(secured) => secured.poll_write(cx, slices),
        }
    }

    /// Reads once, waiting until `deadline`, which is asked at every poll that finds nothing; 0: the end.
    ///
    /// # Errors
    /// The deadline passed or the connection broke.
    #[inline]
    pub async fn fill(
        &self,
        buffer: &mut Buffer,
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Result<usize, LinkError> {
        std::future::poll_fn(|cx| match self.poll_fill(cx, buffer) {
            Poll::Ready(result) => Poll::Ready(result.map_err(LinkError::Io)),
            Poll::Pending => alarm.poll(cx, deadline()).map(|()| Err(LinkError::TimedOut)),
        })
        .await
    }

    /// Reads once without waiting; `None`: there is nothing yet.
    #[inline]
    pub async fn fill_now(&self, buffer: &mut Buffer) -> Option<io::Result<usize>> {
        std::future::poll_fn(|cx| match self.poll_fill(cx, buffer) {
            Poll::Ready(result) => Poll::Ready(Some(result)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
    }

    /// Waits until there is something to read or `deadline` (asked at every poll) has passed.
    ///
    /// # Errors
    /// The deadline passed or the connection broke.
    #[inline]
    pub async fn readable(&self, alarm: &Alarm, deadline: impl Fn() -> Instant) -> Result<(), LinkError> {
        std::future::poll_fn(|cx| match self.poll_readable(cx) {
            Poll::Ready(result) => Poll::Ready(result.map_err(LinkError::Io)),
            Poll::Pending => alarm.poll(cx, deadline()).map(|()| Err(LinkError::TimedOut)),
        })
        .await
    }

    /// Writes all `slices` in order, together where the system lets it. `deadline` says when the other side
    /// is too late with taking the next bytes: it is asked anew whenever some were taken.
    ///
    /// # Errors
    /// The other side took nothing until the deadline, or the connection broke.
    #[inline]
    pub async fn write_all<const N: usize>(
        &self,
        slices: [&[u8]; N],
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Result<(), LinkError> {
        self.write(slices, false, alarm, deadline).await
    }

    /// Like `write_all`; with `more`, the system may keep the last part of a packet back for what follows at
    /// once. If it does not follow, `push` must.
    ///
    /// # Errors
    /// As `write_all`.
    #[inline]
    pub async fn write<const N: usize>(
        &self,
        mut slices: [&[u8]; N],
        more: bool,
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Result<(), LinkError> {
        let mut until = None;
        std::future::poll_fn(|cx| {
            while let Some(poll) = self.poll_write_slices(cx, &mut slices, more) {
                match poll {
                    Poll::Ready(Ok(())) => until = None,
                    Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                    Poll::Pending => {
                        if self.has_progressed() {
                            until = None;
                        }
                        self.be_patient();
                        // Only a write that has to wait looks at the clock.
                        let at = *until.get_or_insert_with(&deadline);
                        if alarm.poll(cx, at).is_pending() {
                            return Poll::Pending;
                        }
                        // The event loop speaks up only when a good part of a large send buffer is free, which
                        // a slow but steady reader may take long for: the socket itself knows of any room.
                        match self.send_now(&mut slices) {
                            Ok(()) => until = None,
                            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                                return Poll::Ready(Err(LinkError::TimedOut));
                            }
                            Err(error) => return Poll::Ready(Err(error.into())),
                        }
                    }
                }
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// One write of what is left in `slices`; `None`: nothing is.
    #[inline]
    fn poll_write_slices<const N: usize>(
        &self,
        cx: &mut Context<'_>,
        slices: &mut [&[u8]; N],
        more: bool,
    ) -> Option<Poll<io::Result<()>>> {
        let mut left = slices.iter().filter(|slice| !slice.is_empty());
        let only = left.next()?;
        let wrote = if more {
            self.poll_send_more(cx, &slices.map(IoSlice::new))
        } else if left.next().is_none() {
            self.poll_write(cx, only)
        } else {
            self.poll_write_vectored(cx, &slices.map(IoSlice::new))
        };
        Some(wrote.map(|wrote| take(slices, wrote?)))
    }

    /// Whether some of what a write waits for was taken since the last question, though none of it is complete.
    #[cold]
    fn has_progressed(&self) -> bool {
        match &mut *self.wire.borrow_mut() {
            Wire::Tcp(_) | Wire::Unix(_) => false,
            Wire::Tls(secured) => secured.take_progress(),
        }
    }

    /// Writes some of `slices` without asking the event loop whether there is room.
    fn send_now<const N: usize>(&self, slices: &mut [&[u8]; N]) -> io::Result<()> {
        let mut wire = self.wire.borrow_mut();
        if let Wire::Tls(secured) = &mut *wire {
            let completed = secured.send_now(&slices.map(IoSlice::new))?;
            return if completed > 0 { take(slices, completed) } else { Ok(()) };
        }
        let wrote = wire.reference().send_vectored_with_flags(&slices.map(IoSlice::new), NO_SIGNAL)?;
        take(slices, wrote)
    }

    /// For a write that has waited for too long: how many of `bytes` the socket takes after all, 0 if it has taken
    /// some of those under way. The event loop speaks up only when a good part of a large send buffer is free, which a
    /// slow but steady reader may take long for.
    ///
    /// # Errors
    /// `WouldBlock`: there is no room; or the connection broke.
    #[cold]
    pub(crate) fn write_late(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.has_progressed() {
            return Ok(0);
        }
        let mut slices = [bytes];
        self.send_now(&mut slices)?;
        Ok(bytes.len() - slices[0].len())
    }

    /// Writes some of `slices` as the beginning of something longer.
    fn poll_send_more(&self, cx: &mut Context<'_>, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        let wire = self.wire.borrow();
        let Wire::Tcp(stream) = &*wire else {
            drop(wire);
            return self.poll_write_vectored(cx, slices);
        };
        loop {
            ready!(stream.poll_write_ready(cx))?;
            let send = || SockRef::from(stream).send_vectored_with_flags(slices, MORE | NO_SIGNAL);
            match stream.try_io(Interest::WRITABLE, send) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return Poll::Ready(done),
            }
        }
    }

    /// Sends what a write with `more` has kept back.
    pub fn push(&self) {
        // Saying again that nothing is to be delayed sends what is being delayed (tcp(7), TCP_NODELAY). A
        // connection that is broken says so at the next read or write.
        if let Wire::Tcp(stream) = &*self.wire.borrow() {
            let _ = stream.set_nodelay(true);
        }
    }

    /// Whether the other side has broken the connection off, although nothing is read from it. One that has only closed
    /// its sending side has not.
    #[must_use]
    pub fn is_reset(&self) -> bool {
        let error = self.wire.borrow().reference().take_error();
        error.map_or(true, |error| error.is_some())
    }

    /// Whether nothing has arrived since the last read: no byte, no end. Takes a byte if there is one, so it
    /// is for connections that are of no more use then. No system call in the common case: the event loop
    /// would have said.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        let probe = match &mut *self.wire.borrow_mut() {
            Wire::Tcp(stream) => stream.try_read(&mut [0]),
            Wire::Unix(stream) => stream.try_read(&mut [0]),
            Wire::Tls(secured) => return secured.is_quiet(),
        };
        matches!(probe, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Says that nothing more will be sent.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn shutdown(&self) -> io::Result<()> {
        std::future::poll_fn(|cx| match &mut *self.wire.borrow_mut() {
            Wire::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Wire::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Wire::Tls(secured) => secured.poll_shutdown(cx),
        })
        .await
    }

    /// Makes closing this connection a reset, so that the other side cannot take what it got for complete.
    pub fn reset_on_close(&self) {
        let mut wire = self.wire.borrow_mut();
        if let Wire::Tls(secured) = &mut *wire {
            secured.abandon();
        }
        // A socket that is already gone needs no reset.
        let _ = wire.reference().set_linger(Some(Duration::ZERO));
    }
}

impl Wire {
    /// The socket, to be asked and told things.
    fn reference(&self) -> SockRef<'_> {
        match self {
            Self::Tcp(stream) => SockRef::from(stream),
            Self::Unix(stream) => SockRef::from(stream),
            Self::Tls(secured) => secured.socket.reference(),
        }
    }
}

/// Takes the first `n` bytes, which were written, off `slices`.
fn take<const N: usize>(slices: &mut [&[u8]; N], mut n: usize) -> io::Result<()> {
    if n == 0 {
        return Err(io::ErrorKind::WriteZero.into());
    }
    for slice in slices {
        let taken = n.min(slice.len());
        *slice = &slice[taken..];
        n -= taken;
    }
    Ok(())
}
