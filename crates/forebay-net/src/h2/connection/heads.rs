//! Heads and trailers that come in (RFC 9113 §6.2, §6.10 and §8): put together, decoded, and matched with streams.

use forebay_base::time::Instant;

use super::{Connection, Event, Leaving, Role, protocol};
use crate::h2::frame::{self, END_HEADERS, END_STREAM, ErrorCode, FrameError, Header};
use crate::h2::head::{Malformed, RequestAssembler, ResponseAssembler, TrailerAssembler};
use crate::h2::hpack::HpackError;
use crate::stream::StreamError;

/// Interim responses to one request.
const INTERIM_MAX: u8 = 16;

/// How many times the limit on heads a field block may have in bytes: that much is decoded, for the sake of the table
/// and of other streams, and its stream gets an answer that says so.
const OVERSIZE: usize = 4;

/// A field block whose end has not come.
#[derive(Debug)]
pub(super) struct Block {
    opening: Opening,
    bytes: Vec<u8>,
    /// CONTINUATION frames so far.
    frames: u32,
}

/// What a HEADERS frame says besides its fields.
#[derive(Clone, Copy, Debug)]
struct Opening {
    stream: u32,
    end: bool,
    /// It depends on itself.
    depends_on_itself: bool,
}

/// What a field block is.
#[derive(Clone, Copy, Debug)]
enum Meaning {
    /// A new request.
    Request,
    /// The head of a response on the stream in this slot.
    Response(u32),
    /// Trailers.
    Trailers(u32),
    /// Decoded for the sake of the table; the stream ends with this code, if any.
    Nothing(Option<ErrorCode>),
}

impl Block {
    pub(super) const fn stream(&self) -> u32 {
        self.opening.stream
    }
}

impl Connection {
    pub(super) fn receive_headers(
        &mut self,
        header: &Header,
        payload: &[u8],
        now: Instant,
    ) -> Result<Event, FrameError> {
        let headers = frame::headers(header, payload)?;
        let opening = Opening {
            stream: header.stream,
            end: header.has(END_STREAM),
            depends_on_itself: headers.priority.is_some_and(|priority| priority.depends_on == header.stream),
        };
        if header.has(END_HEADERS) {
            return self.receive_block(opening, headers.fragment, now);
        }
        self.check_block(headers.fragment.len(), 0)?;
        self.block = Some(Block { opening, bytes: headers.fragment.to_vec(), frames: 0 });
        self.due.block = now + self.limits.stall;
        Ok(Event::Nothing)
    }

    pub(super) fn receive_continuation(
        &mut self,
        header: &Header,
        payload: &[u8],
        now: Instant,
    ) -> Result<Event, FrameError> {
        let fragment = frame::continuation(header, payload)?;
        let Some(mut block) = self.block.take() else { return Err(protocol("CONTINUATION of nothing")) };
        block.frames += 1;
        self.check_block(block.bytes.len() + fragment.len(), block.frames)?;
        block.bytes.extend_from_slice(fragment);
        if header.has(END_HEADERS) {
            self.due.block = Instant::NEVER;
            return self.receive_block(block.opening, &block.bytes, now);
        }
        self.block = Some(block);
        Ok(Event::Nothing)
    }

    /// A head that goes on and on ends the connection, before any of it is decoded.
    fn check_block(&self, bytes: usize, continuations: u32) -> Result<(), FrameError> {
        if continuations > self.limits.continuations
            || bytes > self.limits.head_bytes.saturating_mul(OVERSIZE)
        {
            return Err(FrameError::connection(ErrorCode::ENHANCE_YOUR_CALM, "head far beyond its limits"));
        }
        Ok(())
    }

    /// Decodes a whole field block, whatever becomes of it: the next one relies on its table.
    fn receive_block(&mut self, opening: Opening, block: &[u8], now: Instant) -> Result<Event, FrameError> {
        let meaning = match self.meaning(opening)? {
            _ if opening.depends_on_itself => Meaning::Nothing(Some(ErrorCode::PROTOCOL_ERROR)),
            meaning => meaning,
        };
        match meaning {
            Meaning::Request => self.receive_request(opening, block, now),
            Meaning::Response(slot) => self.receive_response(slot, opening, block, now),
            Meaning::Trailers(slot) => self.receive_trailers(slot, block),
            Meaning::Nothing(code) => {
                self.decoder.decode(block, |_, _| ()).map_err(broken)?;
                match code {
                    Some(code) => self.provoked(opening.stream, code, now)?,
                    None => drop(self.glitch(now)?),
                }
                Ok(Event::Nothing)
            }
        }
    }

    /// What a head on this stream is.
    fn meaning(&mut self, opening: Opening) -> Result<Meaning, FrameError> {
        let id = opening.stream;
        if let Some(slot) = self.streams.find(id) {
            let stream = self.streams.at(slot);
            return Ok(match (stream.receiving, stream.head_received) {
                (false, _) => Meaning::Nothing(Some(ErrorCode::STREAM_CLOSED)),
                (true, false) => Meaning::Response(slot),
                (true, true) if opening.end => Meaning::Trailers(slot),
                // Trailers end the stream (RFC 9113 §8.1).
                (true, true) => Meaning::Nothing(Some(ErrorCode::PROTOCOL_ERROR)),
            });
        }
        if self.role == Role::Server && id % 2 == 1 && id > self.last_peer_id {
            return Ok(self.meaning_of_new(id));
        }
        if self.is_idle(id) {
            return Err(protocol("stream of the wrong side"));
        }
        match self.streams.given_up(id).map(|stream| stream.by_us) {
            Some(true) => Ok(Meaning::Nothing(None)),
            Some(false) => Ok(Meaning::Nothing(Some(ErrorCode::STREAM_CLOSED))),
            None if self.streams.has_ended(id) => {
                Err(FrameError::connection(ErrorCode::STREAM_CLOSED, "HEADERS on a closed stream"))
            }
            // Opening a stream closes those before it that were not opened (RFC 9113 §5.1.1).
            None => Err(protocol("streams must be opened in order")),
        }
    }

    fn meaning_of_new(&mut self, id: u32) -> Meaning {
        if matches!(self.leaving, Leaving::Told { .. }) {
            // The other side will find that out by itself (RFC 9113 §6.8).
            self.last_peer_id = id;
            self.streams.remember(id, true, self.window_of_new());
            return Meaning::Nothing(None);
        }
        self.last_peer_id = id;
        if self.streams.counted() >= self.limits.streams as usize {
            self.counters.refused += 1;
            return Meaning::Nothing(Some(ErrorCode::REFUSED_STREAM));
        }
        Meaning::Request
    }

    fn receive_request(&mut self, opening: Opening, block: &[u8], now: Instant) -> Result<Event, FrameError> {
        let mut head = self.spare_requests.pop().unwrap_or_default();
        let mut assembler = RequestAssembler::new(&mut head, &self.limits, true);
        assembler.block(&mut self.decoder, block).map_err(broken)?;
        if let Err(Malformed(reason)) = assembler.finish(opening.end) {
            self.recycle(head);
            return Err(FrameError::stream(ErrorCode::PROTOCOL_ERROR, reason));
        }
        if head.error.is_some() {
            self.counters.heads_too_large += 1;
            self.glitch(now)?;
        } else {
            self.budget.asked();
        }
        let too_large = head.error.is_some();
        let slot = self.open_slot(opening.stream);
        let stream = self.streams.at(slot);
        stream.head_received = true;
        stream.too_large = too_large;
        stream.announced = head.length;
        stream.receiving = !opening.end;
        Ok(Event::Request { slot, head, finished: opening.end })
    }

    fn receive_response(
        &mut self,
        slot: u32,
        opening: Opening,
        block: &[u8],
        now: Instant,
    ) -> Result<Event, FrameError> {
        let mut head = self.spare_responses.pop().unwrap_or_default();
        let mut assembler = ResponseAssembler::new(&mut head, &self.limits);
        assembler.block(&mut self.decoder, block).map_err(broken)?;
        let to_head = self.streams.at(slot).to_head;
        if let Err(Malformed(reason)) = assembler.finish(to_head, opening.end) {
            self.recycle_response(head);
            return Err(FrameError::stream(ErrorCode::PROTOCOL_ERROR, reason));
        }
        if head.error.is_some() {
            self.counters.heads_too_large += 1;
            self.recycle_response(head);
            self.abandon(slot, ErrorCode::ENHANCE_YOUR_CALM, StreamError::HeadTooLarge);
            return self.glitch(now);
        }
        let stream = self.streams.at(slot);
        if head.head.is_interim() {
            stream.interims = stream.interims.saturating_add(1);
            if stream.interims > INTERIM_MAX {
                self.recycle_response(head);
                return Err(FrameError::stream(ErrorCode::ENHANCE_YOUR_CALM, "too many interim responses"));
            }
        } else {
            stream.head_received = true;
            stream.announced = head.length;
        }
        if opening.end {
            self.finish_receiving(slot);
        }
        Ok(Event::Response { slot, head, finished: opening.end })
    }

    fn receive_trailers(&mut self, slot: u32, block: &[u8]) -> Result<Event, FrameError> {
        let mut assembler = TrailerAssembler::new(&self.limits);
        assembler.block(&mut self.decoder, block).map_err(broken)?;
        let lines = assembler
            .finish()
            .map_err(|Malformed(reason)| FrameError::stream(ErrorCode::PROTOCOL_ERROR, reason))?;
        if self.streams.at(slot).announced.is_some_and(|left| left > 0) {
            return Err(FrameError::stream(ErrorCode::PROTOCOL_ERROR, "less body than announced"));
        }
        self.finish_receiving(slot);
        Ok(Event::Trailers { slot, lines })
    }

    /// A slot for a stream with its windows as they are at the start.
    pub(super) fn open_slot(&mut self, id: u32) -> u32 {
        let window = self.window_of_new();
        self.streams.open(id, i64::from(self.peer.initial_window), window)
    }
}

/// Both sides hold different tables now.
fn broken(error: HpackError) -> FrameError {
    let HpackError(reason) = error;
    FrameError::connection(ErrorCode::COMPRESSION_ERROR, reason)
}
