//! The server's side: requests out of a connection, one by one.

use std::future::poll_fn;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::time::Duration;

use forebay_base::time::Instant;

use super::driver::Driver;
use super::handle::{Handle, Side};
use super::state::Core;
use crate::buffer::BufferPool;
use crate::h2::Limits;
use crate::h2::connection::{Connection, Counters};
use crate::h2::head::Request;
use crate::link::Link;
use crate::stream::Stream;
use crate::wheel::Wheel;

/// A client's connection.
#[derive(Debug)]
pub struct Server {
    pub(super) driver: Driver,
}

/// A request that has come.
#[derive(Debug)]
pub struct Incoming {
    /// Its stream, in use until it is dropped, and until then counted against `Limits::streams`.
    pub stream: Rc<dyn Stream>,
    /// Its head. If `error` is set it goes beyond the limits and is to be answered accordingly.
    pub head: LentHead,
    /// There is no body.
    pub finished: bool,
}

/// A request's head that is used again once it is dropped.
#[derive(Debug)]
pub struct LentHead {
    head: Option<Box<Request>>,
    core: Rc<Core>,
}

impl Server {
    /// Takes over a connection; `received` is what was read from it already.
    #[must_use]
    pub fn new(link: Link, limits: Limits, wheel: &Wheel, buffers: &BufferPool, received: &[u8]) -> Self {
        let connection = Connection::server(limits, Instant::now());
        let core = Rc::new(Core::new(connection));
        Self { driver: Driver::new(core, link, limits.stall, wheel, buffers, received) }
    }

    /// The next request; `None`: the connection is over, and closed. Whoever waits here drives the connection, so that
    /// nothing moves on any of its streams while nobody does.
    ///
    /// When no stream was open for as long as `idle`, or `draining` says so, the client is asked to open no more; the
    /// end comes once all that are open are done. `draining` is asked whenever this is polled, and waking all of the
    /// wheel has it polled.
    pub async fn accept(&mut self, idle: Duration, draining: impl Fn() -> bool) -> Option<Incoming> {
        let arrived = poll_fn(|cx| self.driver.poll(cx, idle, draining())).await;
        let Some(arrived) = arrived else {
            self.driver.close().await;
            return None;
        };
        let core = &self.driver.core;
        Some(Incoming {
            stream: Rc::new(Handle::new(Rc::clone(core), arrived.slot, Side::Server)),
            head: LentHead { head: Some(arrived.head), core: Rc::clone(core) },
            finished: arrived.finished,
        })
    }

    /// What has been counted so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.driver.core.borrow().connection.counters()
    }

    /// Streams that are open.
    #[must_use]
    pub fn streams(&self) -> usize {
        self.driver.core.borrow().connection.open_streams()
    }
}

impl Deref for LentHead {
    type Target = Request;

    fn deref(&self) -> &Request {
        self.head.as_ref().expect("it is taken out only when dropped")
    }
}

impl DerefMut for LentHead {
    fn deref_mut(&mut self) -> &mut Request {
        self.head.as_mut().expect("it is taken out only when dropped")
    }
}

impl Drop for LentHead {
    fn drop(&mut self) {
        if let Some(head) = self.head.take() {
            self.core.borrow().connection.recycle(head);
        }
    }
}
