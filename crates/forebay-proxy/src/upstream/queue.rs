//! Requests that wait until an endpoint has room: in the order in which they came, whichever worker they came to,
//! and not too many.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicU64, Ordering, fence};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};

use forebay_base::time::Instant;
use forebay_net::wheel::Alarm;

use super::{News, Registry, Roster};

/// Who waits for a service, over all workers. Locked only by those who wait, and by those who make room for them.
#[derive(Debug, Default)]
pub(crate) struct Line {
    next: AtomicU64,
    /// By number, whether anything will do: see `Ticket::choosy`.
    waiting: Mutex<BTreeMap<u64, bool>>,
}

impl Line {
    fn enter(&self, choosy: bool) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(number, choosy);
        number
    }

    fn leave(&self, number: u64) {
        self.lock().remove(&number);
    }

    /// Whether nobody who would take anything came before.
    fn is_first(&self, number: u64) -> bool {
        self.lock().iter().find(|(_, choosy)| !**choosy).is_none_or(|(first, _)| number <= *first)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, bool>> {
        self.waiting.lock().expect("no panic under this lock")
    }
}

/// One worker's part of the line.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(super) roster: Arc<Roster>,
    pub(super) registry: Arc<Registry>,
    tickets: RefCell<VecDeque<Rc<Ticket>>>,
}

/// All queues of a worker, those of services that are no longer configured included.
pub(crate) type Queues = Rc<RefCell<Vec<Weak<Queue>>>>;

#[derive(Debug)]
struct Ticket {
    number: u64,
    /// It has tried some endpoints already, and only others will do: so it does not hold up who comes behind it.
    choosy: bool,
    /// What it waits for is a connection of this worker, so that it is nobody else's business.
    local: bool,
    waker: RefCell<Option<Waker>>,
    /// There may be room since it has last looked.
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
    pub(super) fn new(roster: Arc<Roster>, registry: Arc<Registry>, queues: &Queues) -> Rc<Self> {
        let queue = Rc::new(Self { roster, registry, tickets: RefCell::default() });
        let mut queues = queues.borrow_mut();
        queues.retain(|queue| queue.strong_count() > 0);
        queues.push(Rc::downgrade(&queue));
        queue
    }

    pub(crate) fn roster(&self) -> &Arc<Roster> {
        &self.roster
    }

    /// Whether anybody waits for the service, here or at another worker: then newcomers go behind them.
    #[inline]
    pub(super) fn has_line(&self) -> bool {
        self.roster.waiting.load(Ordering::Relaxed) > 0
    }

    /// An endpoint has room again: whoever is first looks, here or at another worker.
    #[inline]
    pub(super) fn room(&self) {
        if self.roster.waiting.load(Ordering::SeqCst) > 0 {
            self.call();
        }
    }

    #[cold]
    fn call(&self) {
        if !self.wake() {
            self.registry.tell(&News::Room(Arc::clone(&self.roster)));
        }
    }

    /// Has those who may look for room do so. `true`: the first of all is here, and nobody elsewhere need look.
    pub(crate) fn wake(&self) -> bool {
        let tickets = self.tickets.borrow();
        let mut line_is_ours = false;
        let mut choosy = false;
        for ticket in tickets.iter().filter(|ticket| ticket.choosy) {
            choosy = true;
            ticket.call();
        }
        if let Some(first) = tickets.iter().find(|ticket| !ticket.choosy) {
            let is_first = self.roster.line.is_first(first.number);
            line_is_ours = is_first && !first.local;
            if is_first {
                first.call();
            }
        }
        line_is_ours && !choosy
    }

    /// Whether it is this one's turn to look for room.
    fn may_look(&self, ticket: &Ticket) -> bool {
        if ticket.choosy {
            return true;
        }
        let is_first_here = |tickets: &VecDeque<Rc<Ticket>>| {
            tickets.iter().find(|ticket| !ticket.choosy).is_none_or(|first| first.number == ticket.number)
        };
        self.roster.line.is_first(ticket.number) && (!ticket.local || is_first_here(&self.tickets.borrow()))
    }

    /// Waits until `look` finds something. Those who take anything look in the order in which they came; where room is
    /// each worker's own (`local`), in that in which they came to this one.
    pub(super) async fn wait<T>(
        &self,
        look: impl Fn() -> Option<T>,
        (choosy, local): (bool, bool),
        max: u32,
        alarm: &Alarm,
        until: Instant,
        mut gone: impl FnMut(&mut Context<'_>) -> bool,
    ) -> Result<T, QueueError> {
        let place = self.enter(choosy, local, max)?;
        let ticket = &*place.ticket;
        std::future::poll_fn(|cx| {
            if ticket.called.replace(false)
                && self.may_look(ticket)
                && let Some(found) = look()
            {
                return Poll::Ready(Ok(found));
            }
            if gone(cx) {
                return Poll::Ready(Err(QueueError::ClientGone));
            }
            let mut waker = ticket.waker.borrow_mut();
            if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
                *waker = Some(cx.waker().clone());
            }
            drop(waker);
            alarm.poll(cx, until).map(|()| Err(QueueError::TimedOut))
        })
        .await
    }

    fn enter(&self, choosy: bool, local: bool, max: u32) -> Result<Place<'_>, QueueError> {
        let mut tickets = self.tickets.borrow_mut();
        if tickets.len() as u64 >= u64::from(max) {
            return Err(QueueError::Full);
        }
        let number = self.roster.line.enter(choosy || local);
        // It looks for itself once, after it is seen to wait: whoever makes room before that need not know of it.
        let ticket =
            Rc::new(Ticket { number, choosy, local, waker: RefCell::default(), called: Cell::new(true) });
        tickets.push_back(Rc::clone(&ticket));
        self.roster.waiting.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        Ok(Place { queue: self, ticket })
    }
}

impl Ticket {
    fn call(&self) {
        self.called.set(true);
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }
}

impl Drop for Place<'_> {
    /// The next in the line may find room too.
    fn drop(&mut self) {
        let Self { queue, ticket } = self;
        queue.roster.waiting.fetch_sub(1, Ordering::SeqCst);
        queue.roster.line.leave(ticket.number);
        let mut tickets = queue.tickets.borrow_mut();
        if tickets.front().is_some_and(|first| Rc::ptr_eq(first, ticket)) {
            tickets.pop_front();
        } else {
            tickets.retain(|other| !Rc::ptr_eq(other, ticket));
        }
        drop(tickets);
        queue.room();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_waits_for_a_connection_of_its_worker_is_first_there_and_holds_up_no_other_worker() {
        fn wait(queue: &Queue) -> Place<'_> {
            queue.enter(false, true, 9).expect("there is room in line")
        }
        let registry = Arc::new(Registry::default());
        let worker = || Queue::new(registry.roster("app"), Arc::clone(&registry), &Queues::default());
        let (one, two) = (worker(), worker());
        let first = wait(&one);
        let places = [wait(&two), wait(&two)];
        let may_look = |queue: &Queue, place: &Place<'_>| queue.may_look(&place.ticket);
        assert!(may_look(&one, &first));
        assert_eq!(places.each_ref().map(|place| may_look(&two, place)), [true, false]);
        assert!(!two.wake(), "the other worker may have room too");
    }

    #[test]
    fn the_first_who_takes_anything_is_first_and_the_choosy_hold_nobody_up() {
        let line = Line::default();
        let numbers: Vec<u64> =
            [true, false, true, false].into_iter().map(|choosy| line.enter(choosy)).collect();
        let first = |line: &Line| numbers.iter().map(|number| line.is_first(*number)).collect::<Vec<_>>();
        assert_eq!(first(&line), [true, true, false, false]);
        line.leave(numbers[1]);
        assert_eq!(first(&line), [true, true, true, true]);
        line.leave(numbers[0]);
        line.leave(numbers[3]);
        line.leave(numbers[2]);
        assert!(line.lock().is_empty());
    }
}
