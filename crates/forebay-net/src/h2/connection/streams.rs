//! The streams of a connection: those in use, found by number, and those given up lately.

use std::collections::VecDeque;

use forebay_base::time::Instant;

/// Streams given up lately that are remembered, so that what was under way when that happened is no fault.
const GIVEN_UP_MAX: usize = 128;

/// Streams that came to their end lately and are remembered, only to call a fault by its proper name.
const ENDED_MAX: usize = 8;

/// Slots that a connection without streams holds on to.
const SLOTS_KEPT_MAX: usize = 16;

/// One stream.
#[derive(Debug)]
pub(super) struct Stream {
    /// Its number; 0 until the head that opens it is sent.
    pub(super) id: u32,
    /// The other side may still send.
    pub(super) receiving: bool,
    /// We may still send.
    pub(super) sending: bool,
    /// One side has reset it, or it is gone with the connection.
    pub(super) gone: bool,
    /// Somebody still holds on to it.
    pub(super) held: bool,
    /// The final head of a response, or the request's, has come.
    pub(super) head_received: bool,
    /// The final head of a response, or the request's, was sent.
    pub(super) head_sent: bool,
    /// For what the other side answers to HEAD, a length announces no body.
    pub(super) to_head: bool,
    /// Bytes we may send. Negative after the other side has reduced its setting.
    pub(super) send_window: i64,
    /// Bytes the other side may send.
    pub(super) receive_window: i64,
    /// Bytes taken and not yet given back to the other side's window.
    pub(super) credit: u32,
    /// Bytes of body that were announced and have not come.
    pub(super) announced: Option<u64>,
    /// Its head went beyond the limits: that it is refused in order excuses nothing.
    pub(super) too_large: bool,
    /// Interim responses that have come.
    pub(super) interims: u8,
    /// Since when the window has been shut with something to send.
    pub(super) shut_since: Instant,
}

impl Stream {
    fn new(id: u32, send_window: i64, receive_window: i64) -> Self {
        Self {
            id,
            receiving: true,
            sending: true,
            gone: false,
            held: true,
            head_received: false,
            head_sent: false,
            to_head: false,
            send_window,
            receive_window,
            credit: 0,
            announced: None,
            too_large: false,
            interims: 0,
            shut_since: Instant::NEVER,
        }
    }

    /// Whether the protocol is through with it.
    pub(super) const fn is_over(&self) -> bool {
        self.gone || (!self.receiving && !self.sending)
    }

    /// Whether it stands against the number of streams the other side may open. One that was given up does until the
    /// work for it has ended, or resets would be a way to have more work done at a time than allowed.
    const fn counts(&self) -> bool {
        !self.is_over() || (self.gone && self.held)
    }
}

/// A stream that one side has reset.
#[derive(Clone, Copy, Debug)]
pub(super) struct GivenUp {
    id: u32,
    /// It was this side that reset it, so that the other need not know yet.
    pub(super) by_us: bool,
    /// Bytes that may still be under way.
    pub(super) window: i64,
}

/// All streams of a connection, each in a slot that keeps its number while somebody uses it.
#[derive(Debug, Default)]
pub(super) struct Streams {
    slots: Vec<Stream>,
    free: Vec<u32>,
    /// Number and slot of those that are not over, by number: new ones come last.
    index: Vec<(u32, u32)>,
    given_up: VecDeque<GivenUp>,
    /// The latest streams that came to their end, in a ring.
    ended: [u32; ENDED_MAX],
    ended_next: usize,
    counted: usize,
    /// Streams that are not over.
    open: usize,
}

impl Streams {
    /// A new stream and its slot; `id` 0: it gets its number later.
    pub(super) fn open(&mut self, id: u32, send_window: i64, receive_window: i64) -> u32 {
        let stream = Stream::new(id, send_window, receive_window);
        self.counted += 1;
        self.open += 1;
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot as usize] = stream;
            slot
        } else {
            self.slots.push(stream);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        };
        if id != 0 {
            self.index.push((id, slot));
        }
        slot
    }

    /// Gives the stream in `slot` its number, which must be higher than all before it.
    pub(super) fn number(&mut self, slot: u32, id: u32) {
        self.slots[slot as usize].id = id;
        self.index.push((id, slot));
    }

    /// The stream in a slot that is in use.
    #[inline]
    pub(super) fn at(&mut self, slot: u32) -> &mut Stream {
        &mut self.slots[slot as usize]
    }

    /// The slot of stream `id`, if it is not over.
    #[inline]
    pub(super) fn find(&self, id: u32) -> Option<u32> {
        let place = self.index.binary_search_by_key(&id, |entry| entry.0).ok()?;
        Some(self.index[place].1)
    }

    /// A stream that was reset lately.
    pub(super) fn given_up(&mut self, id: u32) -> Option<&mut GivenUp> {
        self.given_up.iter_mut().find(|stream| stream.id == id)
    }

    /// Streams that stand against the limit on them.
    pub(super) const fn counted(&self) -> usize {
        self.counted
    }

    /// Streams that somebody uses.
    pub(super) const fn in_use(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether no stream is open.
    pub(super) const fn is_quiet(&self) -> bool {
        self.open == 0
    }

    /// Whether stream `id` came to its end lately.
    pub(super) fn has_ended(&self, id: u32) -> bool {
        self.ended.contains(&id)
    }

    /// The slots of all streams that are not over, numbered ones.
    pub(super) fn live(&self) -> impl Iterator<Item = u32> + '_ {
        self.index.iter().map(|entry| entry.1)
    }

    /// The slots of all streams in use, over or not.
    pub(super) fn used(&self) -> Vec<u32> {
        let slots = 0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        slots.filter(|slot| !self.free.contains(slot)).collect()
    }

    /// Changes what is known of the stream in `slot`, and keeps the books.
    pub(super) fn change(&mut self, slot: u32, change: impl FnOnce(&mut Stream)) {
        let stream = &mut self.slots[slot as usize];
        let (counted, over) = (stream.counts(), stream.is_over());
        change(stream);
        let (counts, is_over, id, held) = (stream.counts(), stream.is_over(), stream.id, stream.held);
        let stream_gone = stream.gone;
        if counted && !counts {
            self.counted -= 1;
        }
        if is_over && !over {
            self.open -= 1;
            if !stream_gone {
                self.ended[self.ended_next] = id;
                self.ended_next = (self.ended_next + 1) % ENDED_MAX;
            }
            self.forget(id);
        }
        if is_over && !held {
            self.free.push(slot);
            if self.free.len() == self.slots.len() && self.slots.len() > SLOTS_KEPT_MAX {
                // Nothing is in use: a connection that was busy once need not hold on to what it needed then.
                self.slots = Vec::new();
                self.free = Vec::new();
                self.index = Vec::new();
            }
        }
    }

    fn forget(&mut self, id: u32) {
        if let Ok(place) = self.index.binary_search_by_key(&id, |entry| entry.0) {
            self.index.remove(place);
        }
    }

    /// Marks the stream in `slot` as reset.
    pub(super) fn give_up(&mut self, slot: u32, by_us: bool) {
        let stream = &self.slots[slot as usize];
        if stream.id != 0 {
            self.remember(stream.id, by_us, stream.receive_window);
        }
        self.change(slot, |stream| {
            stream.gone = true;
            stream.receiving = false;
            stream.sending = false;
        });
    }

    /// Remembers that stream `id` was reset, which may never have been in use.
    pub(super) fn remember(&mut self, id: u32, by_us: bool, window: i64) {
        if self.given_up.len() >= GIVEN_UP_MAX {
            self.given_up.pop_front();
        }
        self.given_up.push_back(GivenUp { id, by_us, window });
    }
}
