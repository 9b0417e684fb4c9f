//! A stream as its user sees it.

use std::rc::Rc;
use std::task::{Context, Poll};

use super::state::{Core, OUT_MAX, remember};
use crate::buffer::Buffer;
use crate::h1::ResponseHead;
use crate::h2::frame::ErrorCode;
use crate::stream::{Reset, Stream, StreamError};

/// A stream in use; dropping it gives it up.
#[derive(Debug)]
pub(super) struct Handle {
    core: Rc<Core>,
    slot: u32,
    side: Side,
}

/// Which side of the stream this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// Answers.
    Server,
    /// Asks, by this scheme.
    Client { scheme: &'static [u8] },
}

impl Handle {
    pub(super) const fn new(core: Rc<Core>, slot: u32, side: Side) -> Self {
        Self { core, slot, side }
    }
}

impl Stream for Handle {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let mut state = self.core.borrow();
        let gone = state.gone(self.slot);
        let half = state.half(self.slot);
        if half.finished || !half.unread().is_empty() || !half.heads.is_empty() {
            return Poll::Ready(Ok(()));
        }
        if let Some(error) = gone {
            return Poll::Ready(Err(error));
        }
        remember(&mut half.readable, cx);
        Poll::Pending
    }

    fn poll_data(&self, cx: &mut Context<'_>, into: &mut Buffer) -> Poll<Result<usize, StreamError>> {
        let mut state = self.core.borrow();
        let gone = state.gone(self.slot);
        let half = state.half(self.slot);
        if !half.finished
            && let Some(error) = gone
        {
            return Poll::Ready(Err(error));
        }
        let unread = half.unread();
        if unread.is_empty() {
            if half.finished {
                return Poll::Ready(Ok(0));
            }
            remember(&mut half.readable, cx);
            return Poll::Pending;
        }
        let space = into.space();
        let n = unread.len().min(space.len());
        space[..n].copy_from_slice(&unread[..n]);
        into.advance(n);
        half.take(n);
        let before = state.connection.output().len();
        state.connection.taken(self.slot, n);
        if state.connection.output().len() > before {
            state.wake_driver();
        }
        Poll::Ready(Ok(n))
    }

    fn is_finished(&self) -> bool {
        let mut state = self.core.borrow();
        let half = state.half(self.slot);
        half.finished && half.unread().is_empty()
    }

    fn alert(&self) -> Option<&'static str> {
        self.core.borrow().alert
    }

    fn poll_tunnels(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let mut state = self.core.borrow();
        let over = self.side == Side::Server || state.gone(self.slot).is_some();
        if over || state.connection.is_greeted() {
            return Poll::Ready(!over && state.connection.offers_connect());
        }
        remember(&mut state.half(self.slot).ended, cx);
        Poll::Pending
    }

    fn take_trailers(&self) -> Vec<u8> {
        std::mem::take(&mut self.core.borrow().half(self.slot).trailers)
    }

    fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<StreamError> {
        let mut state = self.core.borrow();
        if let Some(error) = state.gone(self.slot) {
            return Poll::Ready(error);
        }
        remember(&mut state.half(self.slot).ended, cx);
        Poll::Pending
    }

    fn send_head(&self, head: &[u8], end: bool) -> Result<(), StreamError> {
        let mut state = self.core.borrow();
        if let Some(error) = state.gone(self.slot) {
            return Err(error);
        }
        let sent = match self.side {
            // What is only a hint is not worth the memory while the other side reads nothing.
            Side::Server if is_interim(head) && state.connection.output().len() > OUT_MAX => Ok(()),
            Side::Server => state.connection.send_response(self.slot, head, end),
            Side::Client { scheme } => state.connection.send_request(self.slot, head, scheme, end),
        };
        state.wake_driver();
        sent
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>> {
        self.core.borrow().poll_room(self.slot, cx)
    }

    fn poll_send(&self, cx: &mut Context<'_>, data: &[u8], end: bool) -> Poll<Result<usize, StreamError>> {
        self.core.borrow().poll_send(self.slot, cx, data, end)
    }

    fn send_trailers(&self, lines: &[u8]) -> Result<(), StreamError> {
        let mut state = self.core.borrow();
        if let Some(error) = state.gone(self.slot) {
            return Err(error);
        }
        let sent = state.connection.send_trailers(self.slot, lines);
        state.wake_driver();
        sent
    }

    fn reset(&self, why: Reset) {
        let code = match why {
            Reset::NoError => ErrorCode::NO_ERROR,
            Reset::Cancel => ErrorCode::CANCEL,
            Reset::InternalError => ErrorCode::INTERNAL_ERROR,
            Reset::Refused => ErrorCode::REFUSED_STREAM,
            Reset::ProtocolError => ErrorCode::PROTOCOL_ERROR,
        };
        let mut state = self.core.borrow();
        if !state.connection.is_over(self.slot) {
            state.connection.reset(self.slot, code);
            state.half(self.slot).error = Some(StreamError::Closed);
            state.wake_driver();
        }
    }

    fn poll_head(
        &self,
        cx: &mut Context<'_>,
        head: &mut ResponseHead,
        into: &mut Buffer,
    ) -> Poll<Result<usize, StreamError>> {
        let mut state = self.core.borrow();
        let gone = state.gone(self.slot);
        let half = state.half(self.slot);
        if let Some(error @ (StreamError::Malformed | StreamError::HeadTooLarge)) = gone {
            // Better no answer than the beginning of one that is known to be of no use.
            return Poll::Ready(Err(error));
        }
        let Some(mut response) = half.heads.pop_front() else {
            if let Some(error) = gone {
                return Poll::Ready(Err(error));
            }
            remember(&mut half.readable, cx);
            return Poll::Pending;
        };
        let n = response.bytes.len();
        if into.space().len() < n {
            let len = into.len() + n;
            into.make_room(n, len);
        }
        into.space()[..n].copy_from_slice(&response.bytes);
        into.advance(n);
        std::mem::swap(head, &mut response.head);
        state.connection.recycle_response(response);
        Poll::Ready(Ok(n))
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        let mut state = self.core.borrow();
        let code = match self.side {
            // The answer was complete, and the rest of the request is not wanted (RFC 9113 §8.1).
            Side::Server if state.connection.has_sent(self.slot) => ErrorCode::NO_ERROR,
            Side::Server => ErrorCode::INTERNAL_ERROR,
            Side::Client { .. } => ErrorCode::CANCEL,
        };
        state.connection.reset(self.slot, code);
        state.release(self.slot);
    }
}

/// Whether it is the head of an interim response; that which ends HTTP/1.1 is none.
fn is_interim(head: &[u8]) -> bool {
    head.get(9) == Some(&b'1') && !head[9..].starts_with(b"101")
}
