//! Connections to one endpoint that carry several requests each, kept by one worker.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Poll, Waker};
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::h2::mux;
use forebay_net::stream::Stream;
use forebay_net::wheel::Alarm;

use super::ConnectError;

/// Requests on one connection from which on another one is opened, if there may be more: what one connection loses
/// holds all of them up, and one server thread may serve it.
const CROWDED: usize = 64;
/// Requests that wait for a connection that is being opened, before another one is opened beside it.
const WAITING_MAX: usize = 64;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    open: RefCell<Vec<Lane>>,
    opening: RefCell<Vec<Rc<Opening>>>,
    /// What the endpoint has agreed to by ALPN, where it could have been either.
    multiplexes: Cell<Option<bool>>,
}

/// A connection that carries several requests.
#[derive(Debug)]
struct Lane {
    client: mux::Client,
    /// Since when it has carried none, as far as was looked.
    quiet: Option<Instant>,
}

/// A connection that is being opened, and those who wait for it.
#[derive(Debug, Default)]
struct Opening {
    outcome: Cell<Option<Outcome>>,
    waiting: RefCell<Vec<Waker>>,
    count: Cell<usize>,
}

/// What has become of it.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// It is open.
    Opened,
    /// It could not be opened.
    Failed(ConnectError),
    /// Whoever was opening it does not want it any more, or it came out as one that carries one request at a time.
    Abandoned,
}

/// Says to all who wait what has become of a connection. Dropped without a word, it is given up.
#[derive(Debug)]
pub(super) struct Opener<'a> {
    lanes: &'a Lanes,
    opening: Rc<Opening>,
}

impl Lanes {
    /// A stream of the connection with the fewest requests; `None`: there is none, or all are crowded and there may
    /// be another (`more`).
    pub(super) fn take(&self, more: bool) -> Option<Rc<dyn Stream>> {
        let mut open = self.open.borrow_mut();
        if open.is_empty() {
            return None;
        }
        open.retain(|lane| lane.client.is_open());
        let free = open.iter_mut().filter(|lane| lane.client.room() > 0);
        let least = free.min_by_key(|lane| lane.client.streams())?;
        if more && least.client.streams() >= CROWDED {
            return None;
        }
        least.quiet = None;
        least.client.open().ok()
    }

    /// Whether the endpoint is known to carry several requests on a connection, or not to.
    pub(super) fn multiplexes(&self) -> Option<bool> {
        self.multiplexes.get()
    }

    /// It has been agreed on.
    pub(super) fn agree(&self, multiplexes: bool) {
        self.multiplexes.set(Some(multiplexes));
    }

    /// Waits for a connection that is being opened, if there is one with few others waiting. `None`: there is not.
    pub(super) async fn wait(&self, alarm: &Alarm, until: Instant) -> Option<Result<(), ConnectError>> {
        let opening = {
            let opening = self.opening.borrow();
            Rc::clone(opening.iter().find(|opening| opening.count.get() < WAITING_MAX)?)
        };
        opening.count.set(opening.count.get() + 1);
        let outcome = std::future::poll_fn(|cx| match opening.outcome.get() {
            Some(outcome) => Poll::Ready(Some(outcome)),
            None => {
                let mut waiting = opening.waiting.borrow_mut();
                if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
                    waiting.push(cx.waker().clone());
                }
                alarm.poll(cx, until).map(|()| None)
            }
        });
        let outcome = outcome.await;
        opening.count.set(opening.count.get() - 1);
        Some(match outcome {
            Some(Outcome::Opened | Outcome::Abandoned) => Ok(()),
            Some(Outcome::Failed(error)) => Err(error),
            None => Err(ConnectError::TimedOut),
        })
    }

    /// A connection is being opened from here on.
    pub(super) fn begin(&self) -> Opener<'_> {
        let opening = Rc::new(Opening::default());
        self.opening.borrow_mut().push(Rc::clone(&opening));
        Opener { lanes: self, opening }
    }

    /// Lets no new request onto any of them; each closes once its requests have ended.
    pub(super) fn close(&self) {
        for lane in self.open.borrow_mut().drain(..) {
            lane.client.close();
        }
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.open.borrow().is_empty()
    }

    /// Closes those that have carried nothing for as long as `timeout`, and forgets those that have ended.
    pub(super) fn sweep(&self, now: Instant, timeout: Duration) {
        self.open.borrow_mut().retain_mut(|lane| {
            if lane.client.streams() > 0 {
                lane.quiet = None;
            } else if now.since(*lane.quiet.get_or_insert(now)) >= timeout {
                lane.client.close();
                return false;
            }
            lane.client.is_open()
        });
    }
}

impl Opener<'_> {
    /// It is open.
    pub(super) fn opened(self, lane: mux::Client) {
        self.lanes.open.borrow_mut().push(Lane { client: lane, quiet: None });
        self.opening.outcome.set(Some(Outcome::Opened));
    }

    /// It could not be opened.
    pub(super) fn failed(self, error: ConnectError) {
        self.opening.outcome.set(Some(Outcome::Failed(error)));
    }
}

impl Drop for Opener<'_> {
    fn drop(&mut self) {
        if self.opening.outcome.get().is_none() {
            self.opening.outcome.set(Some(Outcome::Abandoned));
        }
        self.lanes.opening.borrow_mut().retain(|opening| !Rc::ptr_eq(opening, &self.opening));
        for waker in self.opening.waiting.borrow_mut().drain(..) {
            waker.wake();
        }
    }
}
