//! Reads, has the rules applied, writes, and keeps the deadlines of one connection.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use forebay_base::time::Instant;

use super::state::{Arrived, Core, OUT_MAX};
use crate::buffer::{Buffer, BufferPool, Lent};
use crate::h2::frame::{HEADER_BYTES, PAYLOAD_DEFAULT};
use crate::link::{self, Link};
use crate::wheel::{Alarm, Wheel};

/// Reads in one turn before something is written.
const FILLS_MAX: usize = 16;

/// Largest piece of input that must be held at a time: a frame that is not taken in parts.
const FRAME_MAX: usize = HEADER_BYTES + PAYLOAD_DEFAULT as usize;

/// Space for reading below this is worth making more of.
const SPACE_MIN: usize = 2 << 10;

/// A connection without streams for this long holds no memory it does not need.
const REST_AFTER: Duration = Duration::from_secs(1);

/// Deadlines further off than this are looked at when it has passed: whoever waits must be found by those who wake
/// everybody, also if nothing is due.
const LOOK_AROUND: Duration = Duration::from_secs(60);

/// Longest wait for the other side to close too, so that it can read what was written last.
const LINGER: Duration = Duration::from_secs(1);

/// The most that is read and thrown away meanwhile, in reads.
const LINGER_READS: usize = 64;

pub(super) struct Driver {
    pub(super) core: Rc<Core>,
    link: Link,
    alarm: Alarm,
    buffers: BufferPool,
    input: Option<Lent>,
    /// Bytes the next frame needs.
    wanted: usize,
    /// When the other side must have taken some of the output.
    write_due: Instant,
    stall: Duration,
    /// The other side takes nothing any more.
    stuck: bool,
    /// Since when no stream has been open.
    quiet: Instant,
    rested: bool,
}

impl std::fmt::Debug for Driver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Driver").field("core", &self.core).field("link", &self.link).finish_non_exhaustive()
    }
}

impl Driver {
    pub(super) fn new(
        core: Rc<Core>,
        link: Link,
        stall: Duration,
        wheel: &Wheel,
        buffers: &BufferPool,
        received: &[u8],
    ) -> Self {
        let input = (!received.is_empty()).then(|| {
            let mut input = buffers.take();
            input.make_room(received.len(), received.len());
            input.space()[..received.len()].copy_from_slice(received);
            input.advance(received.len());
            input
        });
        Self {
            core,
            link,
            alarm: wheel.alarm(),
            buffers: buffers.clone(),
            input,
            wanted: 0,
            write_due: Instant::NEVER,
            stuck: false,
            stall,
            quiet: Instant::NEVER,
            rested: true,
        }
    }

    /// Does what can be done now. Ready with a request, or with `None` once the connection is over and what was to be
    /// written is written. `idle`: how long it may be without streams. `leave`: whether it is time to go.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        idle: Duration,
        leave: bool,
    ) -> Poll<Option<Arrived>> {
        let now = Instant::now();
        {
            let mut state = self.core.borrow();
            state.begin_turn(cx);
            if leave {
                state.connection.leave(now);
            }
        }
        loop {
            if let Some(arrived) = self.receive(cx, now) {
                self.quiet = Instant::NEVER;
                return Poll::Ready(Some(arrived));
            }
            let was_full = self.core.borrow().connection.output().len() > OUT_MAX;
            self.flush(cx, now);
            if self.is_over() {
                return Poll::Ready(None);
            }
            let is_full = self.core.borrow().connection.output().len() > OUT_MAX;
            if was_full && !is_full {
                continue;
            }
            if !self.keep_time(cx, now, idle) {
                break;
            }
        }
        self.core.borrow().grant();
        Poll::Pending
    }

    /// Takes what is there, and reads more, until there is a request or nothing is left.
    fn receive(&mut self, cx: &mut Context<'_>, now: Instant) -> Option<Arrived> {
        for _ in 0..FILLS_MAX {
            if let Some(input) = &mut self.input {
                let mut state = self.core.borrow();
                let (used, wanted, arrived) = state.dispatch(input.filled(), now);
                input.consume(used);
                self.wanted = wanted;
                if arrived.is_some() {
                    return arrived;
                }
            }
            if self.input.as_ref().is_some_and(|input| input.is_empty()) {
                self.input = None;
            }
            {
                let state = self.core.borrow();
                if state.connection.dead().is_some() || state.connection.output().len() > OUT_MAX {
                    return None;
                }
            }
            match self.fill(cx) {
                Poll::Ready(true) => {}
                Poll::Ready(false) => {
                    self.core.borrow().end();
                    return None;
                }
                Poll::Pending => return None,
            }
        }
        // There may be more: others first.
        cx.waker().wake_by_ref();
        None
    }

    /// Reads once; whether the connection is still there.
    fn fill(&mut self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut input = match self.input.take() {
            Some(input) => input,
            None => match self.link.poll_readable(cx) {
                Poll::Ready(Ok(())) => self.buffers.take(),
                Poll::Ready(Err(_)) => return Poll::Ready(false),
                Poll::Pending => return Poll::Pending,
            },
        };
        make_room(&mut input, self.wanted);
        let read = self.link.poll_fill(cx, &mut input);
        if !input.is_empty() {
            self.input = Some(input);
        }
        read.map(|read| match read {
            Ok(n) => n > 0,
            Err(error) => {
                self.core.borrow().alert = link::alert(&error).map(|why| why.word());
                false
            }
        })
    }

    /// Writes what waits to be written.
    fn flush(&mut self, cx: &mut Context<'_>, now: Instant) {
        let mut state = self.core.borrow();
        while !state.connection.output().is_empty() {
            match self.link.poll_write(cx, state.connection.output()) {
                Poll::Ready(Ok(n)) if n > 0 => {
                    state.connection.wrote(n);
                    self.write_due = Instant::NEVER;
                }
                Poll::Ready(_) => state.break_off(),
                Poll::Pending => {
                    self.link.be_patient();
                    self.write_due = self.write_due.min(now + self.stall);
                    return;
                }
            }
        }
        self.write_due = Instant::NEVER;
        self.link.expect_quick_acknowledgements();
    }

    /// The other side has taken nothing for too long, as far as the event loop knows.
    fn write_late(&mut self, now: Instant) {
        let mut state = self.core.borrow();
        match self.link.write_late(state.connection.output()) {
            Ok(n) => {
                state.connection.wrote(n);
                self.write_due = now + self.stall;
            }
            Err(_) => {
                self.stuck = true;
                state.break_off();
            }
        }
    }

    fn is_over(&self) -> bool {
        let state = self.core.borrow();
        state.connection.is_done() && state.connection.output().is_empty()
    }

    /// Does what is due, and sees to being woken for the rest; whether something was due.
    fn keep_time(&mut self, cx: &Context<'_>, now: Instant, idle: Duration) -> bool {
        let mut state = self.core.borrow();
        let quiet = state.connection.open_streams() == 0;
        self.quiet = if quiet { self.quiet.min(now) } else { Instant::NEVER };
        self.rested &= quiet;
        if self.write_due <= now {
            drop(state);
            self.write_late(now);
            return true;
        }
        if state.connection.deadline() <= now {
            state.connection.tick(now);
            state.tell_gone();
            if state.connection.dead().is_some() {
                state.end();
            }
            return true;
        }
        if self.quiet + idle <= now && !state.connection.is_leaving() {
            state.connection.leave(now);
            return true;
        }
        if !self.rested && self.quiet + REST_AFTER <= now {
            self.rested = true;
            state.rest();
        }
        let idle_at = if state.connection.is_leaving() { Instant::NEVER } else { self.quiet + idle };
        let rest_at = if self.rested { Instant::NEVER } else { self.quiet + REST_AFTER };
        let due = [state.connection.deadline(), self.write_due, idle_at, rest_at, now + LOOK_AROUND];
        let due = due.into_iter().min().unwrap_or(now);
        if self.alarm.poll(cx, due).is_ready() {
            cx.waker().wake_by_ref();
        }
        false
    }

    /// Whether it holds a buffer for reading.
    #[cfg(test)]
    pub(super) const fn has_buffer(&self) -> bool {
        self.input.is_some()
    }

    /// Closes the connection such that the other side can read what was written last.
    pub(super) async fn close(&mut self) {
        self.core.borrow().end();
        self.input = None;
        if self.stuck {
            return;
        }
        let until = Instant::now() + LINGER;
        let mut shutdown = std::pin::pin!(self.link.shutdown());
        let done = poll_fn(|cx| match shutdown.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(done.is_ok()),
            Poll::Pending => self.alarm.poll(cx, until).map(|()| false),
        });
        if !done.await {
            return;
        }
        for _ in 0..LINGER_READS {
            if self.link.readable(&self.alarm, || until).await.is_err() {
                return;
            }
            let mut buffer = self.buffers.take();
            match self.link.fill(&mut buffer, &self.alarm, || until).await {
                Ok(n) if n > 0 => {}
                _ => return,
            }
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.core.borrow().end();
    }
}

/// Room for the rest of a frame, and more while it is cheap.
fn make_room(input: &mut Buffer, wanted: usize) {
    let wanted = wanted.min(FRAME_MAX);
    let missing = wanted.saturating_sub(input.len());
    if input.space().len() < missing.max(SPACE_MIN) {
        let max = input.capacity().max(wanted);
        input.make_room(missing.max(1), max);
    }
}
