//! Requests that wait until an endpoint has room: in the order in which they came, and not too many.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};

use forebay_base::time::Instant;
use forebay_net::wheel::Alarm;

use super::{News, Registry, Roster};

/// One worker's queue of a service.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(super) roster: Arc<Roster>,
    pub(super) registry: Arc<Registry>,
    tickets: RefCell<VecDeque<Rc<Ticket>>>,
}

#[derive(Debug, Default)]
struct Ticket {
    waker: RefCell<Option<Waker>>,
    /// It has been told that there may be room.
    called: Cell<bool>,
}

/// Why waiting ended without room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueueError {
    /// There is no waiting.
    None,
    /// As many wait as may.
    Full,
    /// It took too long.
    TimedOut,
    /// The client has left.
    ClientGone,
}

/// A place in the queue; given up when dropped.
struct Place<'q> {
    queue: &'q Queue,
    ticket: Rc<Ticket>,
}

impl Queue {
    pub(super) fn new(roster: Arc<Roster>, registry: Arc<Registry>) -> Self {
        Self { roster, registry, tickets: RefCell::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.tickets.borrow().is_empty()
    }

    /// An endpoint has room again: the first who waits here looks; if nobody does, others are told.
    #[inline]
    pub(super) fn room(&self) {
        if self.roster.waiting.load(Ordering::SeqCst) > 0 {
            self.call();
        }
    }

    #[cold]
    fn call(&self) {
        if !self.wake_first() {
            self.registry.tell(&News::Room(Arc::clone(&self.roster)));
        }
    }

    /// Has the first who waits look for room; `false`: nobody waits here.
    pub(crate) fn wake_first(&self) -> bool {
        let tickets = self.tickets.borrow();
        let Some(first) = tickets.front() else { return false };
        first.called.set(true);
        if let Some(waker) = first.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
        true
    }

    /// Waits until `look` finds something, which only the first in the queue may do.
    pub(super) async fn wait<T>(
        &self,
        look: impl Fn() -> Option<T>,
        max: u32,
        alarm: &Alarm,
        until: Instant,
        mut gone: impl FnMut(&mut Context<'_>) -> bool,
    ) -> Result<T, QueueError> {
        let place = self.enter(max)?;
        std::future::poll_fn(|cx| {
            if self.is_first(&place.ticket) {
                place.ticket.called.set(false);
                if let Some(found) = look() {
                    return Poll::Ready(Ok(found));
                }
            }
            if gone(cx) {
                return Poll::Ready(Err(QueueError::ClientGone));
            }
            let mut waker = place.ticket.waker.borrow_mut();
            if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
            drop(waker);
            alarm.poll(cx, until).map(|()| Err(QueueError::TimedOut))
        })
        .await
    }

    fn enter(&self, max: u32) -> Result<Place<'_>, QueueError> {
        let mut tickets = self.tickets.borrow_mut();
        if tickets.len() as u64 >= u64::from(max) {
            return Err(QueueError::Full);
        }
        let ticket = Rc::new(Ticket::default());
        tickets.push_back(Rc::clone(&ticket));
        self.roster.waiting.fetch_add(1, Ordering::SeqCst);
        Ok(Place { queue: self, ticket })
    }

    fn is_first(&self, ticket: &Rc<Ticket>) -> bool {
        self.tickets.borrow().front().is_some_and(|first| Rc::ptr_eq(first, ticket))
    }
}

impl Drop for Place<'_> {
    /// The next in the queue may find room too.
    fn drop(&mut self) {
        self.queue.roster.waiting.fetch_sub(1, Ordering::SeqCst);
        let mut tickets = self.queue.tickets.borrow_mut();
        if tickets.front().is_some_and(|first| Rc::ptr_eq(first, &self.ticket)) {
            tickets.pop_front();
        } else {
            tickets.retain(|other| !Rc::ptr_eq(other, &self.ticket));
        }
        drop(tickets);
        self.queue.wake_first();
    }
}
