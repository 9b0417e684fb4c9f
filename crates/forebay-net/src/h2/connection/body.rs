//! Body that comes in (RFC 9113 §6.1), a piece at a time, and the windows it comes through (§5.2).

use forebay_base::time::Instant;

use super::{Connection, Event, Step, protocol, starved};
use crate::h2::frame::{END_STREAM, ErrorCode, FrameError, HEADER_BYTES, Header, PADDED, write};

/// A DATA frame whose header was taken.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming {
    /// Its stream, which may be gone by now.
    stream: u32,
    /// Bytes of data still to come.
    data: u32,
    /// Bytes of padding still to come, after the data.
    padding: u32,
    /// It is the last one of its stream.
    end: bool,
    /// Its length, by which the connection's window is smaller until all of it is here.
    len: u32,
}

impl Connection {
    /// Judges a DATA frame by its header.
    pub(super) fn begin_body(
        &mut self,
        header: &Header,
        rest: &[u8],
        now: Instant,
    ) -> Result<Step, FrameError> {
        let id = header.stream;
        if id == 0 {
            return Err(protocol("DATA needs a stream"));
        }
        let (prefix, padding) = match rest.first() {
            _ if !header.has(PADDED) => (0, 0),
            _ if header.len == 0 => {
                return Err(FrameError::connection(
                    ErrorCode::FRAME_SIZE_ERROR,
                    "padding without its length",
                ));
            }
            Some(padding) => (1, u32::from(*padding)),
            None => return Ok(starved(HEADER_BYTES + 1)),
        };
        let Some(data) = header.len.checked_sub(prefix + padding) else {
            return Err(protocol("more padding than payload"));
        };
        self.counters.frames += 1;
        if self.is_idle(id) {
            return Err(protocol("DATA on a stream that is not open"));
        }
        let len = i64::from(header.len);
        if len > self.receive_window {
            return Err(FrameError::connection(ErrorCode::FLOW_CONTROL_ERROR, "connection window overrun"));
        }
        self.receive_window -= len;
        let end = header.has(END_STREAM);
        if let Err(code) = self.admit_body(id, len, data, end)? {
            self.provoked(id, code, now)?;
        }
        if data == 0 && !end {
            self.glitch(now)?;
        }
        // What is no data need not wait for anybody to take it.
        if let Some(slot) = self.streams.find(id) {
            self.give_back_to(slot, prefix + padding);
        }
        let consumed = HEADER_BYTES + prefix as usize;
        let incoming = Incoming { stream: id, data, padding, end, len: header.len };
        self.incoming = Some(incoming);
        let step = self.take_body(incoming, &rest[prefix as usize..]);
        let event = match step.event {
            Event::Data { slot, bytes, finished } => {
                Event::Data { slot, bytes: bytes.start + consumed..bytes.end + consumed, finished }
            }
            Event::Starved(_) => Event::Nothing,
            event => event,
        };
        Ok(Step { consumed: consumed + step.consumed, event })
    }

    /// Whether a stream may receive so much now; else the code to reset it with.
    fn admit_body(
        &mut self,
        id: u32,
        len: i64,
        data: u32,
        end: bool,
    ) -> Result<Result<(), ErrorCode>, FrameError> {
        let Some(slot) = self.streams.find(id) else { return self.admit_late(id, len) };
        let stream = self.streams.at(slot);
        if !stream.receiving {
            return Ok(Err(ErrorCode::STREAM_CLOSED));
        }
        if !stream.head_received {
            return Ok(Err(ErrorCode::PROTOCOL_ERROR));
        }
        if len > stream.receive_window {
            return Ok(Err(ErrorCode::FLOW_CONTROL_ERROR));
        }
        stream.receive_window -= len;
        if let Some(left) = stream.announced {
            let after = left.checked_sub(u64::from(data));
            if after.is_none() || (end && after != Some(0)) {
                return Ok(Err(ErrorCode::PROTOCOL_ERROR));
            }
            stream.announced = after;
        }
        Ok(Ok(()))
    }

    /// DATA on a stream that is over. It may have been under way when we reset it, within the window it had then.
    fn admit_late(&mut self, id: u32, len: i64) -> Result<Result<(), ErrorCode>, FrameError> {
        match self.streams.given_up(id) {
            Some(stream) if stream.by_us && len <= stream.window => {
                stream.window -= len;
                Ok(Ok(()))
            }
            Some(stream) if stream.by_us => {
                Err(FrameError::connection(ErrorCode::FLOW_CONTROL_ERROR, "window of a reset stream overrun"))
            }
            Some(_) => Ok(Err(ErrorCode::STREAM_CLOSED)),
            None => Err(FrameError::connection(ErrorCode::STREAM_CLOSED, "DATA on a closed stream")),
        }
    }

    /// Takes what has come of a DATA frame.
    pub(super) fn take_body(&mut self, mut incoming: Incoming, input: &[u8]) -> Step {
        let available = u32::try_from(input.len()).unwrap_or(u32::MAX);
        let data = incoming.data.min(available);
        let padding = incoming.padding.min(available - data);
        incoming.data -= data;
        incoming.padding -= padding;
        let through = incoming.data == 0 && incoming.padding == 0;
        let consumed = (data + padding) as usize;
        if consumed == 0 && !through {
            return starved(1);
        }
        let finished = incoming.end && incoming.data == 0;
        self.incoming = (!through).then_some(Incoming { end: incoming.end && !finished, ..incoming });
        if through {
            self.give_back(incoming.len);
        }
        let Some(slot) = self.streams.find(incoming.stream) else {
            // Nobody will take it.
            return Step { consumed, event: Event::Nothing };
        };
        if finished {
            self.finish_receiving(slot);
        }
        let event = if data > 0 || finished {
            Event::Data { slot, bytes: 0..data as usize, finished }
        } else {
            Event::Nothing
        };
        Step { consumed, event }
    }

    /// The other side has sent all it will on a stream.
    pub(super) fn finish_receiving(&mut self, slot: u32) {
        self.streams.change(slot, |stream| stream.receiving = false);
        self.settle(slot);
    }

    /// Counts a stream whose two directions have come to their end.
    pub(super) fn settle(&mut self, slot: u32) {
        let stream = self.streams.at(slot);
        if stream.is_over() && !stream.gone {
            let excuses = !stream.too_large;
            self.counters.served += 1;
            if excuses {
                self.budget.served();
            }
        }
    }

    /// The user of a stream has taken, or given up on, `n` bytes of its body: as many may be sent on it.
    pub fn taken(&mut self, slot: u32, n: usize) {
        self.give_back_to(slot, u32::try_from(n).unwrap_or(u32::MAX));
    }

    /// Gives bytes back to the connection's window, half a window at a time: as soon as they are here, because those
    /// who take nothing must not keep others waiting. What they hold meanwhile is bounded by the windows of streams.
    fn give_back(&mut self, n: u32) {
        self.credit = self.credit.saturating_add(n);
        if u64::from(self.credit) * 2 >= u64::from(self.limits.connection_window) && self.dead.is_none() {
            write::window_update(&mut self.out, 0, self.credit);
            self.receive_window += i64::from(self.credit);
            self.credit = 0;
        }
    }

    /// Gives bytes back to the window of a stream, half a window at a time.
    fn give_back_to(&mut self, slot: u32, n: u32) {
        let window = self.limits.stream_window;
        let stream = self.streams.at(slot);
        if !stream.receiving {
            return;
        }
        stream.credit = stream.credit.saturating_add(n);
        if stream.credit > 0 && u64::from(stream.credit) * 2 >= u64::from(window) {
            stream.receive_window += i64::from(stream.credit);
            write::window_update(&mut self.out, stream.id, std::mem::take(&mut stream.credit));
        }
    }
}
