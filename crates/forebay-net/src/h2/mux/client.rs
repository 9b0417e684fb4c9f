//! The client's side: streams on a connection to a server.

use std::future::poll_fn;
use std::rc::Rc;
use std::time::Duration;

use forebay_base::time::Instant;

use super::driver::Driver;
use super::handle::{Handle, Side};
use super::state::Core;
use crate::buffer::BufferPool;
use crate::h2::Limits;
use crate::h2::connection::{Connection, Counters};
use crate::link::Link;
use crate::stream::{Stream, StreamError};
use crate::wheel::Wheel;

/// A connection to a server, to be shared. When nobody holds on to it, it is closed once its streams are done.
#[derive(Clone, Debug)]
pub struct Client {
    user: Rc<User>,
}

#[derive(Debug)]
struct User {
    core: Rc<Core>,
    scheme: &'static [u8],
}

impl Client {
    /// Takes over a connection; `secure` says which scheme requests on it have. The future drives it and must be
    /// polled for anything to happen; it ends with the connection, and says what has been counted on it.
    pub fn new(
        link: Link,
        limits: Limits,
        secure: bool,
        wheel: &Wheel,
        buffers: &BufferPool,
    ) -> (Self, impl Future<Output = Counters> + 'static) {
        let core = Rc::new(Core::new(Connection::client(limits, Instant::now())));
        // Whether a server that takes nothing is still there is found out by a ping; how long it may take nothing is
        // up to those who send.
        let mut driver = Driver::new(Rc::clone(&core), link, Duration::MAX, wheel, buffers, &[]);
        let scheme = if secure { &b"https"[..] } else { b"http" };
        let drive = async move {
            // How long it may be idle is up to whoever holds it.
            while poll_fn(|cx| driver.poll(cx, Duration::MAX, false)).await.is_some() {}
            driver.close().await;
            driver.core.borrow().connection.counters()
        };
        (Self { user: Rc::new(User { core, scheme }) }, drive)
    }

    /// A stream for a request, whose head is to be sent first.
    ///
    /// # Errors
    /// `Refused`: there is no room now, or the server answers no more; `Closed`: the connection is gone.
    pub fn open(&self) -> Result<Rc<dyn Stream>, StreamError> {
        let mut state = self.user.core.borrow();
        if state.connection.dead().is_some() {
            return Err(StreamError::Closed);
        }
        let slot = state.connection.open(Instant::now()).ok_or(StreamError::Refused)?;
        let side = Side::Client { scheme: self.user.scheme };
        Ok(Rc::new(Handle::new(Rc::clone(&self.user.core), slot, side)))
    }

    /// Streams that may be opened now.
    #[must_use]
    pub fn room(&self) -> usize {
        self.user.core.borrow().connection.room_for_streams()
    }

    /// Streams that are open.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.user.core.borrow().connection.open_streams()
    }

    /// Whether streams may be opened, now or when others have ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.user.core.borrow().connection.is_open()
    }

    /// Whether the server's settings have come.
    #[must_use]
    pub fn is_greeted(&self) -> bool {
        self.user.core.borrow().connection.is_greeted()
    }

    /// Whether the server understands extended CONNECT (RFC 8441); not known before its settings have come.
    #[must_use]
    pub fn offers_connect(&self) -> bool {
        self.user.core.borrow().connection.offers_connect()
    }

    /// No more streams; the connection ends when those that are open are done.
    pub fn close(&self) {
        self.user.close();
    }

    /// What has been counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.user.core.borrow().connection.counters()
    }
}

impl User {
    fn close(&self) {
        let mut state = self.core.borrow();
        state.connection.leave(Instant::now());
        state.wake_driver();
    }
}

impl Drop for User {
    fn drop(&mut self) {
        self.close();
    }
}
