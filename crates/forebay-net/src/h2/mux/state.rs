//! What the driver and the streams of a connection share.

use std::cell::{RefCell, RefMut};
use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use forebay_base::time::Instant;

use crate::h2::connection::{Connection, Event};
use crate::h2::head::{Request, Response};
use crate::stream::StreamError;

/// Bytes that may wait to be written. Beyond it nothing more is read, so that answers to frames cannot pile up, and no
/// stream may send body.
pub(super) const OUT_MAX: usize = 64 << 10;

/// Bytes of body a stream may send each time it is its turn.
const TURN: usize = 16 << 10;

/// A buffer for body above this is not kept for the next stream.
const DATA_KEPT_MAX: usize = 16 << 10;

/// The shared state, borrowed for moments only.
#[derive(Debug)]
pub(super) struct Core {
    state: RefCell<State>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) connection: Connection,
    /// By slot.
    halves: Vec<Half>,
    /// Streams that wait for room in the output or in the connection's window, first come first served.
    queue: VecDeque<u32>,
    /// Streams whose turn it is, and that have not sent yet.
    granted: usize,
    driver: Option<Waker>,
    driver_woken: bool,
    /// The settings of the other side have come, and whoever waits for that was told.
    greeted: bool,
    /// Why the other side has ended the connection, if it has said so by an alert.
    pub(super) alert: Option<&'static str>,
}

/// What the user of one stream waits for, or has not taken yet.
#[derive(Debug, Default)]
pub(super) struct Half {
    data: Vec<u8>,
    /// Bytes of `data` that were taken.
    taken: usize,
    pub(super) finished: bool,
    pub(super) trailers: Vec<u8>,
    pub(super) heads: VecDeque<Box<Response>>,
    pub(super) error: Option<StreamError>,
    queued: bool,
    /// It has waited, and it is its turn now.
    granted: bool,
    pub(super) readable: Option<Waker>,
    pub(super) ended: Option<Waker>,
    pub(super) writable: Option<Waker>,
}

/// A request for whoever accepts them.
pub(super) struct Arrived {
    pub(super) slot: u32,
    pub(super) head: Box<Request>,
    pub(super) finished: bool,
}

impl Core {
    pub(super) const fn new(connection: Connection) -> Self {
        let state = State {
            connection,
            halves: Vec::new(),
            queue: VecDeque::new(),
            granted: 0,
            driver: None,
            driver_woken: false,
            greeted: false,
            alert: None,
        };
        Self { state: RefCell::new(state) }
    }

    /// The state, for as long as it takes to look something up.
    #[inline]
    pub(super) fn borrow(&self) -> RefMut<'_, State> {
        self.state.borrow_mut()
    }
}

impl State {
    /// The driver has its turn: it need be woken for what comes after.
    pub(super) fn begin_turn(&mut self, cx: &Context<'_>) {
        self.driver_woken = false;
        remember(&mut self.driver, cx);
    }

    /// There is something to write, or to look at.
    #[inline]
    pub(super) fn wake_driver(&mut self) {
        if !self.driver_woken {
            self.driver_woken = true;
            if let Some(driver) = &self.driver {
                driver.wake_by_ref();
            }
        }
    }

    /// The half of a stream in use.
    #[inline]
    pub(super) fn half(&mut self, slot: u32) -> &mut Half {
        let slot = slot as usize;
        if slot >= self.halves.len() {
            self.halves.resize_with(slot + 1, Half::default);
        }
        &mut self.halves[slot]
    }

    /// Takes frames from `input` until there is a request, or no whole frame, or too much waits to be written.
    /// Returns the bytes used up, and how many are needed for the next frame.
    pub(super) fn dispatch(&mut self, input: &[u8], now: Instant) -> (usize, usize, Option<Arrived>) {
        let mut used = 0;
        while self.connection.output().len() <= OUT_MAX {
            let rest = &input[used..];
            let step = self.connection.receive(rest, now);
            if !self.greeted && self.connection.is_greeted() {
                self.greeted = true;
                self.halves.iter_mut().for_each(Half::wake);
            }
            let arrived = match step.event {
                Event::Starved(wanted) => return (used, wanted, None),
                Event::Over => {
                    self.end();
                    return (input.len(), 0, None);
                }
                Event::Request { slot, head, finished } => {
                    self.half(slot).finished = finished;
                    Some(Arrived { slot, head, finished })
                }
                event => {
                    self.deliver(event, rest);
                    None
                }
            };
            used += step.consumed;
            self.tell_gone();
            if arrived.is_some() {
                return (used, 0, arrived);
            }
        }
        (used, 0, None)
    }

    fn deliver(&mut self, event: Event, input: &[u8]) {
        match event {
            Event::Data { slot, bytes, finished } => {
                let half = self.half(slot);
                half.data.extend_from_slice(&input[bytes]);
                half.finished |= finished;
                wake(&mut half.readable);
            }
            Event::Response { slot, head, finished } => {
                let half = self.half(slot);
                half.heads.push_back(head);
                half.finished |= finished;
                wake(&mut half.readable);
            }
            Event::Trailers { slot, lines } => {
                let half = self.half(slot);
                half.trailers = lines;
                half.finished = true;
                wake(&mut half.readable);
            }
            Event::Window(slot) => wake(&mut self.half(slot).writable),
            Event::Windows => {
                for half in self.halves.iter_mut().filter(|half| !half.queued) {
                    wake(&mut half.writable);
                }
            }
            Event::Nothing | Event::Starved(_) | Event::Over | Event::Request { .. } => {}
        }
    }

    /// Tells users of streams that are gone.
    pub(super) fn tell_gone(&mut self) {
        while let Some((slot, error)) = self.connection.next_gone() {
            let half = self.half(slot);
            half.error = Some(error);
            half.wake();
        }
    }

    /// Nothing can be written any more.
    pub(super) fn break_off(&mut self) {
        let left = self.connection.output().len();
        self.connection.wrote(left);
        self.end();
    }

    /// The connection is over: everybody hears of it.
    pub(super) fn end(&mut self) {
        self.connection.closed();
        self.tell_gone();
        self.queue.clear();
        for half in &mut self.halves {
            half.queued = false;
            half.wake();
        }
    }

    /// Bytes a stream may send now; waits for its turn if there is no room.
    pub(super) fn poll_room(&mut self, slot: u32, cx: &Context<'_>) -> Poll<Result<usize, StreamError>> {
        if let Some(error) = self.gone(slot) {
            return Poll::Ready(Err(error));
        }
        let room = OUT_MAX.saturating_sub(self.connection.output().len());
        let window = self.connection.room(slot);
        let shut = window == 0;
        let granted = self.half(slot).granted;
        let waiting = self.granted > 0 || self.queue.iter().any(|other| *other != slot);
        if !shut && room > 0 && (granted || !waiting) {
            return Poll::Ready(Ok(window.min(room).min(TURN)));
        }
        if shut {
            self.connection.blocked(slot, Instant::now());
        }
        // A stream that waits for a window of its own must not keep its place before those that could send.
        let in_line = !self.connection.is_shut(slot);
        self.use_turn(slot);
        let half = self.half(slot);
        remember(&mut half.writable, cx);
        if in_line && !half.queued {
            half.queued = true;
            self.queue.push_back(slot);
        }
        if !shut && room > 0 {
            // Those before it may not want to send any more.
            self.wake_driver();
        }
        Poll::Pending
    }

    /// Sends body if it is the stream's turn.
    pub(super) fn poll_send(
        &mut self,
        slot: u32,
        cx: &Context<'_>,
        data: &[u8],
        end: bool,
    ) -> Poll<Result<usize, StreamError>> {
        let room = if data.is_empty() {
            0
        } else {
            match self.poll_room(slot, cx) {
                Poll::Ready(Ok(room)) => room,
                other => return other,
            }
        };
        if let Some(error) = self.gone(slot) {
            return Poll::Ready(Err(error));
        }
        let part = &data[..data.len().min(room)];
        let sent = self.connection.send_data(slot, part, end && part.len() == data.len());
        self.use_turn(slot);
        self.wake_driver();
        Poll::Ready(sent)
    }

    fn use_turn(&mut self, slot: u32) {
        if std::mem::take(&mut self.half(slot).granted) {
            self.granted = self.granted.saturating_sub(1);
        }
    }

    /// Why a stream is of no more use, if so.
    pub(super) fn gone(&mut self, slot: u32) -> Option<StreamError> {
        let dead = self.connection.dead().is_some();
        self.half(slot).error.or_else(|| dead.then_some(StreamError::Closed))
    }

    /// Lets those who have waited longest send, as many as there is room for.
    pub(super) fn grant(&mut self) {
        let room = OUT_MAX.saturating_sub(self.connection.output().len()).min(self.connection.shared_room());
        let mut turns = room.div_ceil(TURN);
        self.granted = 0;
        while turns > 0
            && let Some(slot) = self.queue.pop_front()
        {
            let half = self.half(slot);
            half.queued = false;
            half.granted = true;
            wake(&mut half.writable);
            self.granted += 1;
            turns -= 1;
        }
        if room > 0 && !self.queue.is_empty() {
            // Whoever was woken may not want to send any more.
            self.wake_driver();
        }
    }

    /// The user of a stream has let go of it.
    pub(super) fn release(&mut self, slot: u32) {
        self.use_turn(slot);
        let half = self.half(slot);
        let unread = half.unread().len();
        let queued = std::mem::take(&mut half.queued);
        half.clear();
        if queued {
            self.queue.retain(|other| *other != slot);
        }
        if unread > 0 {
            self.connection.taken(slot, unread);
        }
        self.connection.release(slot);
        self.wake_driver();
    }

    /// Gives memory back that a quiet connection does not need.
    pub(super) fn rest(&mut self) {
        if self.connection.in_use() == 0 {
            self.halves = Vec::new();
            self.queue = VecDeque::new();
        }
        self.connection.rest();
    }
}

impl Half {
    /// Body that has come and was not taken.
    #[inline]
    pub(super) fn unread(&self) -> &[u8] {
        &self.data[self.taken..]
    }

    /// The first `n` unread bytes were taken.
    pub(super) fn take(&mut self, n: usize) {
        self.taken += n;
        if self.taken == self.data.len() {
            self.data.clear();
            self.taken = 0;
        } else if self.taken * 2 > self.data.len() {
            // What was taken must not make the buffer outgrow the window.
            self.data.drain(..self.taken);
            self.taken = 0;
        }
    }

    fn wake(&mut self) {
        wake(&mut self.readable);
        wake(&mut self.ended);
        wake(&mut self.writable);
    }

    /// Makes it ready for the next stream.
    fn clear(&mut self) {
        let mut data = std::mem::take(&mut self.data);
        data.clear();
        if data.capacity() > DATA_KEPT_MAX {
            data = Vec::new();
        }
        *self = Self { data, ..Self::default() };
    }
}

/// Wakes whoever waits.
fn wake(waker: &mut Option<Waker>) {
    if let Some(waker) = waker.take() {
        waker.wake();
    }
}

/// Has the task woken that is polling.
pub(super) fn remember(waker: &mut Option<Waker>, cx: &Context<'_>) {
    if !waker.as_ref().is_some_and(|known| known.will_wake(cx.waker())) {
        *waker = Some(cx.waker().clone());
    }
}
