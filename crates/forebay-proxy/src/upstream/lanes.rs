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
/// A connection whose place another worker would like to have is kept for so long all the same.
const TURN: Duration = Duration::from_millis(100);
/// Then it takes no new requests for so long: if those it has end meanwhile, it is closed.
const REST: Duration = Duration::from_millis(100);
/// If they do not, they are long ones, and it goes on for so long before it rests again.
const REST_AGAIN: Duration = Duration::from_secs(2);
/// Whoever gave a connection up asks for another one only after so long: others wait for the place.
const YIELD: Duration = Duration::from_millis(20);

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    open: RefCell<Vec<Lane>>,
    opening: RefCell<Vec<Rc<Opening>>>,
    /// What the endpoint has agreed to by ALPN, where it could have been either.
    multiplexes: Cell<Option<bool>>,
    /// Requests that the connection opened last could take at once; 0: none was opened yet.
    width: Cell<usize>,
    /// When a connection was given up for another worker.
    yielded: Cell<Option<Instant>>,
}

/// A connection that carries several requests.
#[derive(Debug)]
struct Lane {
    client: mux::Client,
    /// Since when it has carried none, as far as was looked.
    quiet: Option<Instant>,
    /// It is kept until then, whoever wants its place.
    turn: Instant,
    /// Until when it takes no new requests, for somebody wants its place.
    rests: Option<Instant>,
}

impl Lane {
    fn is_resting(&self) -> bool {
        self.rests.is_some_and(|until| Instant::now() < until)
    }
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
    /// A stream of the connection with the fewest requests; `None`: none has room, or all are crowded and there may
    /// be another (`more`).
    pub(super) fn take(&self, more: bool) -> Option<Rc<dyn Stream>> {
        let mut open = self.open.borrow_mut();
        if open.is_empty() {
            return None;
        }
        open.retain(|lane| lane.client.is_open());
        let least = least(&open)?;
        if more && open[least].client.streams() >= CROWDED {
            return None;
        }
        open[least].quiet = None;
        open[least].client.open().ok()
    }

    /// Whether a request may come, if there cannot be more connections: to one that is open, to one that is being
    /// opened, or because there is none at all, so that others must be asked for a place.
    pub(super) fn has_room(&self) -> bool {
        least(&self.open.borrow()).is_some() || self.joinable().is_some() || self.is_bare()
    }

    /// Whether there is no connection, nor will be.
    pub(super) fn is_bare(&self) -> bool {
        self.opening.borrow().is_empty() && !self.open.borrow().iter().any(|lane| lane.client.is_open())
    }

    /// A connection that is being opened and that one more may wait for.
    fn joinable(&self) -> Option<Rc<Opening>> {
        // Whoever opens it needs it too.
        let max = self.width.get().checked_sub(1).unwrap_or(WAITING_MAX).min(WAITING_MAX);
        self.opening.borrow().iter().find(|opening| opening.count.get() < max).cloned()
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
        let opening = self.joinable()?;
        let _waiting = Waiting::new(&opening);
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

    /// Another worker has no connection, and would like to have the place of one of these: closes one without
    /// requests, or lets none onto one that has had its turn, so that it may be closed soon.
    pub(super) fn shed(&self, now: Instant) {
        let mut open = self.open.borrow_mut();
        open.retain(|lane| lane.client.is_open());
        let Some(index) = (0..open.len()).min_by_key(|index| open[*index].client.streams()) else { return };
        if open[index].client.streams() == 0 {
            self.yielded.set(Some(now));
            open.swap_remove(index).client.close();
        } else if open[index].turn <= now {
            open[index].rests = Some(now + REST);
            open[index].turn = now + REST + REST_AGAIN;
        }
    }

    /// A request has ended: closes connections that have had the rest they were to have.
    #[inline]
    pub(super) fn settle(&self) {
        if self.open.borrow().iter().any(|lane| lane.rests.is_some() && lane.client.streams() == 0) {
            self.yield_rested();
        }
    }

    #[cold]
    fn yield_rested(&self) {
        self.open.borrow_mut().retain_mut(|lane| {
            let rested = lane.client.streams() == 0 && lane.is_resting();
            if rested {
                self.yielded.set(Some(Instant::now()));
                lane.client.close();
            } else if !lane.is_resting() {
                lane.rests = None;
            }
            !rested
        });
    }

    /// Whether a connection was given up a moment ago, so that its place is another worker's.
    pub(super) fn has_yielded(&self) -> bool {
        self.yielded.get().is_some_and(|at| Instant::now() < at + YIELD)
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
    /// It is open, and how much it may carry is known; whoever opened it uses one stream of it.
    pub(super) fn opened(self, lane: mux::Client) {
        self.lanes.width.set(lane.room() + lane.streams());
        let turn = Instant::now() + TURN;
        self.lanes.open.borrow_mut().push(Lane { client: lane, quiet: None, turn, rests: None });
        self.opening.outcome.set(Some(Outcome::Opened));
    }

    /// It could not be opened.
    pub(super) fn failed(self, error: ConnectError) {
        self.opening.outcome.set(Some(Outcome::Failed(error)));
    }
}

/// The one with the fewest requests of those that have room for another.
fn least(open: &[Lane]) -> Option<usize> {
    let free = |index: &usize| open[*index].client.room() > 0 && !open[*index].is_resting();
    (0..open.len()).filter(free).min_by_key(|index| open[*index].client.streams())
}

/// Counts whoever waits for a connection, for as long as it does.
struct Waiting<'o>(&'o Opening);

impl<'o> Waiting<'o> {
    fn new(opening: &'o Opening) -> Self {
        opening.count.set(opening.count.get() + 1);
        Self(opening)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.count.set(self.0.count.get() - 1);
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
