//! What we send on streams: heads, body, trailers, resets.

use forebay_base::time::Instant;

use super::{Connection, Leaving, Role};
use crate::h2::frame::{ErrorCode, WINDOW_MAX, write};
use crate::h2::head::{NotAHead, encode_request, encode_response, encode_trailers, encode_upgrade};
use crate::stream::StreamError;

/// Bytes of a DATA frame we send: what every receiver takes, and a fair turn among streams.
const DATA_MAX: usize = 16 << 10;

impl Connection {
    /// A stream for a request; `None`: there is no room for it, or no more of them will be answered.
    pub fn open(&mut self, now: Instant) -> Option<u32> {
        if self.room_for_streams() == 0 {
            return None;
        }
        if self.streams.counted() == 0 {
            // It had nothing to say before.
            self.due.heard = self.due.heard.max(now);
        }
        Some(self.open_slot(0))
    }

    /// Streams that may be opened now.
    #[must_use]
    pub fn room_for_streams(&self) -> usize {
        let over = self.dead.is_some() || self.leaving != Leaving::No || self.peer.left.is_some();
        if over || self.role == Role::Server {
            return 0;
        }
        let numbers = (WINDOW_MAX - self.next_id.min(WINDOW_MAX)) as usize / 2;
        // Streams without a number are among those counted, and will want one.
        (self.peer.streams_max as usize).min(numbers).saturating_sub(self.streams.counted())
    }

    /// Whether the server understands extended CONNECT (RFC 8441).
    #[must_use]
    pub const fn offers_connect(&self) -> bool {
        self.peer.connect
    }

    /// Sends a head: the text of an HTTP/1.1 head. `end`: nothing follows.
    ///
    /// # Errors
    /// The stream is gone, or the head is none.
    pub fn send_response(&mut self, slot: u32, text: &[u8], end: bool) -> Result<(), StreamError> {
        let stream = self.sending(slot)?;
        let (id, again) = (stream.id, stream.head_sent);
        if again {
            return Err(StreamError::Closed);
        }
        let switched = as_success(text);
        let text = switched.as_deref().unwrap_or(text);
        let Self { out, encoder, peer, .. } = self;
        let before = out.len();
        let mut status = Err(NotAHead);
        write::headers(out, id, end, peer.payload_max, |out| status = encode_response(text, encoder, out));
        let Ok(status) = status else {
            out.truncate(before);
            return Err(StreamError::Closed);
        };
        if status >= 200 {
            self.streams.at(slot).head_sent = true;
        }
        if end {
            self.finish_sending(slot);
        }
        Ok(())
    }

    /// Sends the head of a request, `scheme` being that of its target. With `Upgrade` it becomes an extended CONNECT
    /// to that protocol, if the server understands that. `end`: there is no body.
    ///
    /// # Errors
    /// The stream is gone, or will not be answered; the head is none.
    pub fn send_request(
        &mut self,
        slot: u32,
        text: &[u8],
        scheme: &[u8],
        end: bool,
    ) -> Result<(), StreamError> {
        let upgrade = upgrade_of(text).filter(|_| self.peer.connect);
        let stream = self.sending(slot)?;
        if stream.id != 0 {
            return Err(StreamError::Closed);
        }
        stream.to_head = text.starts_with(b"HEAD ");
        if self.leaving != Leaving::No || self.peer.left.is_some() || self.next_id >= WINDOW_MAX {
            return Err(StreamError::Refused);
        }
        let Self { out, encoder, peer, next_id, .. } = self;
        let (before, id) = (out.len(), *next_id);
        let mut encoded = Ok(());
        write::headers(out, id, end, peer.payload_max, |out| {
            encoded = match upgrade {
                Some(protocol) => encode_upgrade(text, scheme, protocol, encoder, out),
                None => encode_request(text, scheme, encoder, out),
            };
        });
        if encoded.is_err() {
            out.truncate(before);
            return Err(StreamError::Closed);
        }
        self.next_id += 2;
        self.streams.number(slot, id);
        self.streams.at(slot).head_sent = true;
        if end {
            self.finish_sending(slot);
        }
        Ok(())
    }

    /// Bytes of body the windows let through on a stream now.
    #[must_use]
    pub fn room(&mut self, slot: u32) -> usize {
        let shared = self.send_window;
        let stream = self.streams.at(slot);
        let window = stream.send_window.min(shared);
        if window > 0 {
            stream.shut_since = Instant::NEVER;
        }
        usize::try_from(window).unwrap_or(0)
    }

    /// Bytes of body the connection's window lets through now.
    #[must_use]
    pub fn shared_room(&self) -> usize {
        usize::try_from(self.send_window).unwrap_or(0)
    }

    /// Whether a stream's own window is shut.
    #[must_use]
    pub fn is_shut(&mut self, slot: u32) -> bool {
        self.streams.at(slot).send_window <= 0
    }

    /// Whether all that is to be sent on a stream was sent.
    #[must_use]
    pub fn has_sent(&mut self, slot: u32) -> bool {
        let stream = self.streams.at(slot);
        !stream.sending && !stream.gone
    }

    /// Whether a stream is over, in both directions.
    #[must_use]
    pub fn is_over(&mut self, slot: u32) -> bool {
        self.streams.at(slot).is_over()
    }

    /// Sends some of `data`, as much as the windows and a frame hold, and returns how much. `end`: nothing follows it.
    ///
    /// # Errors
    /// The stream is gone.
    pub fn send_data(&mut self, slot: u32, data: &[u8], end: bool) -> Result<usize, StreamError> {
        let room = self.room(slot);
        let stream = self.sending(slot)?;
        if !stream.head_sent {
            return Err(StreamError::Closed);
        }
        let n = data.len().min(room).min(DATA_MAX);
        let last = end && n == data.len();
        if n == 0 && !last {
            return Ok(0);
        }
        stream.send_window -= n as i64;
        let id = stream.id;
        self.send_window -= n as i64;
        write::data_header(&mut self.out, id, u32::try_from(n).unwrap_or(u32::MAX), last);
        self.out.extend_from_slice(&data[..n]);
        self.budget.sent();
        if last {
            self.finish_sending(slot);
        }
        Ok(n)
    }

    /// Ends the body with trailers, lines ended by CRLF; none: just ends it.
    ///
    /// # Errors
    /// The stream is gone.
    pub fn send_trailers(&mut self, slot: u32, lines: &[u8]) -> Result<(), StreamError> {
        if lines.is_empty() {
            return self.send_data(slot, &[], true).map(drop);
        }
        let stream = self.sending(slot)?;
        if !stream.head_sent {
            return Err(StreamError::Closed);
        }
        let id = stream.id;
        let Self { out, encoder, peer, .. } = self;
        write::headers(out, id, true, peer.payload_max, |out| encode_trailers(lines, encoder, out));
        self.finish_sending(slot);
        Ok(())
    }

    /// Gives a stream up; no-op if it is over.
    pub fn reset(&mut self, slot: u32, code: ErrorCode) {
        let stream = self.streams.at(slot);
        if stream.is_over() {
            return;
        }
        let id = stream.id;
        self.streams.give_up(slot, true);
        if id != 0 {
            write::rst_stream(&mut self.out, id, code);
            self.counters.resets_sent += 1;
        }
    }

    fn sending(&mut self, slot: u32) -> Result<&mut super::streams::Stream, StreamError> {
        let stream = self.streams.at(slot);
        if stream.sending { Ok(stream) } else { Err(StreamError::Closed) }
    }

    fn finish_sending(&mut self, slot: u32) {
        self.streams.change(slot, |stream| stream.sending = false);
        self.settle(slot);
    }
}

/// The answer to an upgrade, `101`, as that to an extended CONNECT, which is any success (RFC 8441 §5).
fn as_success(text: &[u8]) -> Option<Vec<u8>> {
    const SWITCHING: &[u8] = b"HTTP/1.1 101";
    let rest = text.strip_prefix(SWITCHING)?;
    Some([b"HTTP/1.1 200", rest].concat())
}

/// What a request wants to become, by its `Upgrade` field.
fn upgrade_of(text: &[u8]) -> Option<&[u8]> {
    const NAME: &[u8] = b"upgrade:";
    let mut lines = text.split(|byte| *byte == b'\n').skip(1);
    let line =
        lines.find(|line| line.get(..NAME.len()).is_some_and(|name| name.eq_ignore_ascii_case(NAME)))?;
    Some(line[NAME.len()..].trim_ascii())
}
