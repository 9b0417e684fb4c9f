//! The receiving half of a request: frames taken apart as they arrive, the body handed on without a buffer between.

use std::task::{Context, Poll, ready};

use quinn::{ReadError, RecvStream};

use super::connection::Shared;
use super::frame::{Code, Head, kind};
use super::head::decode_trailers;
use super::qpack::Broken;
use crate::buffer::Buffer;
use crate::stream::StreamError;

/// Bytes read at a time when a frame's head is looked for.
const LOOK: usize = 2 << 10;

/// Why there is no more to receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The stream is of no more use, and the other side knows.
    Stream(StreamError),
    /// The stream has to be reset with this code; the connection goes on.
    Message(Code),
    /// The connection has to be closed with this code.
    Connection(Code),
    /// The head has more bytes than allowed.
    TooLarge,
}

impl From<Broken> for Trouble {
    fn from(_: Broken) -> Self {
        Self::Connection(Code::DECOMPRESSION_FAILED)
    }
}

/// What a stream still has for us.
#[derive(Debug)]
pub(crate) struct Receiver {
    stream: RecvStream,
    /// Read and not yet used: from `at` on. Holds at most a head, or what was read with a frame's head.
    input: Vec<u8>,
    at: usize,
    /// Bytes of DATA to come before the next frame.
    data: u64,
    /// Bytes to come of a frame that means nothing.
    skip: u64,
    phase: Phase,
    /// What `content-length` announces.
    announced: Option<u64>,
    /// Bytes of body that have come.
    seen: u64,
    trailers: Vec<u8>,
    /// Found when looking ahead.
    trouble: Option<Trouble>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The head is to come.
    Head,
    Body,
    /// Trailers have come, and nothing but the end may follow.
    Trailers,
    Over,
}

impl Receiver {
    pub(crate) fn new(stream: RecvStream) -> Self {
        Self {
            stream,
            input: Vec::new(),
            at: 0,
            data: 0,
            skip: 0,
            phase: Phase::Head,
            announced: None,
            seen: 0,
            trailers: Vec::new(),
            trouble: None,
        }
    }

    /// The head of the request, still compressed, to be followed by `begin_body`; at most `bytes_max` of it.
    pub(crate) fn poll_head(
        &mut self,
        cx: &mut Context<'_>,
        shared: &Shared,
        bytes_max: usize,
    ) -> Poll<Result<&[u8], Trouble>> {
        let Some(head) = ready!(self.poll_frame(cx, shared))? else {
            return Poll::Ready(Err(Trouble::Message(Code::REQUEST_INCOMPLETE)));
        };
        if head.kind != kind::HEADERS {
            return Poll::Ready(Err(Trouble::Connection(Code::FRAME_UNEXPECTED)));
        }
        if head.len > bytes_max as u64 {
            return Poll::Ready(Err(Trouble::TooLarge));
        }
        ready!(self.poll_block(cx, head))?;
        Poll::Ready(Ok(&self.input[self.at + head.size..][..head.len as usize]))
    }

    /// The head has been read: what follows is a body, of so many bytes if that was `announced`.
    ///
    /// # Errors
    /// What follows at once shows that it is malformed.
    pub(crate) fn begin_body(
        &mut self,
        cx: &mut Context<'_>,
        shared: &Shared,
        announced: Option<u64>,
    ) -> Result<(), Trouble> {
        if let Some(head) = Head::parse(self.rest()) {
            self.used(head.size + head.len as usize);
        }
        if self.rest().is_empty() {
            // A body may be long in coming.
            (self.input, self.at) = (Vec::new(), 0);
        }
        self.announced = announced;
        self.phase = Phase::Body;
        self.look_ahead(cx, shared);
        self.trouble.map_or(Ok(()), Err)
    }

    /// Whether all of the body has been taken, and nothing can follow.
    pub(crate) fn is_over(&self) -> bool {
        self.phase == Phase::Over
    }

    pub(crate) fn take_trailers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.trailers)
    }

    /// Reads body into `into`'s space; 0: it is over.
    pub(crate) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
        shared: &Shared,
        into: &mut Buffer,
    ) -> Poll<Result<usize, Trouble>> {
        ready!(self.poll_arrived(cx, shared))?;
        if self.is_over() {
            return Poll::Ready(Ok(0));
        }
        let space = into.space();
        let room = usize::try_from(self.data).unwrap_or(usize::MAX).min(space.len());
        let waiting = self.rest();
        let n = if waiting.is_empty() {
            match ready!(self.stream.poll_read(cx, &mut space[..room])).map_err(lost)? {
                // A frame that is cut short (RFC 9114 §7.1).
                0 if room > 0 => return Poll::Ready(Err(Trouble::Connection(Code::FRAME_ERROR))),
                n => n,
            }
        } else {
            let n = room.min(waiting.len());
            space[..n].copy_from_slice(&waiting[..n]);
            self.used(n);
            n
        };
        into.advance(n);
        self.data -= n as u64;
        self.seen += n as u64;
        if self.announced.is_some_and(|announced| self.seen > announced) {
            return Poll::Ready(Err(Trouble::Message(Code::MESSAGE_ERROR)));
        }
        self.look_ahead(cx, shared);
        Poll::Ready(Ok(n))
    }

    /// Ready when there is body to be taken, or none will come any more.
    pub(crate) fn poll_arrived(
        &mut self,
        cx: &mut Context<'_>,
        shared: &Shared,
    ) -> Poll<Result<(), Trouble>> {
        if let Some(trouble) = self.trouble {
            return Poll::Ready(Err(trouble));
        }
        while self.data == 0 && !self.is_over() {
            let Some(head) = ready!(self.poll_frame(cx, shared))? else {
                if self.announced.is_some_and(|announced| self.seen != announced) {
                    return Poll::Ready(Err(Trouble::Message(Code::MESSAGE_ERROR)));
                }
                self.phase = Phase::Over;
                self.input = Vec::new();
                return Poll::Ready(Ok(()));
            };
            match head.kind {
                kind::DATA if self.phase == Phase::Body => {
                    self.used(head.size);
                    self.data = head.len;
                    if head.len == 0 {
                        shared.glitch();
                    }
                }
                kind::HEADERS if self.phase == Phase::Body => {
                    if head.len > shared.limits.head_bytes as u64 {
                        return Poll::Ready(Err(Trouble::Message(Code::EXCESSIVE_LOAD)));
                    }
                    ready!(self.poll_block(cx, head))?;
                    let block = &self.input[self.at + head.size..][..head.len as usize];
                    self.trailers = decode_trailers(block, &shared.limits)?;
                    self.used(head.size + head.len as usize);
                    self.phase = Phase::Trailers;
                }
                _ => return Poll::Ready(Err(Trouble::Connection(Code::FRAME_UNEXPECTED))),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Ready when the other side has reset the stream, with its code, and whatever was not yet taken is gone.
    pub(crate) fn poll_reset(&mut self, cx: &mut Context<'_>) -> Poll<StreamError> {
        if self.is_over() {
            return Poll::Pending;
        }
        let mut reset = std::pin::pin!(self.stream.received_reset());
        match ready!(reset.as_mut().poll(cx)) {
            Ok(Some(code)) => Poll::Ready(reset_with(code)),
            Ok(None) => Poll::Pending,
            Err(_) => Poll::Ready(StreamError::Closed),
        }
    }

    /// Tells the other side that nothing more is wanted. No-op once all has come.
    pub(crate) fn stop(&mut self, code: Code) {
        if !self.is_over() {
            // It may have been reset, or stopped, already.
            let _ = self.stream.stop(code.into());
        }
    }

    /// Finds out at once, if possible, whether the body is over.
    fn look_ahead(&mut self, cx: &mut Context<'_>, shared: &Shared) {
        if self.data == 0
            && let Poll::Ready(Err(trouble)) = self.poll_arrived(cx, shared)
        {
            self.trouble = Some(trouble);
        }
    }

    /// The head of the next frame that means something, which is left in the input; `None`: nothing comes any more.
    fn poll_frame(&mut self, cx: &mut Context<'_>, shared: &Shared) -> Poll<Result<Option<Head>, Trouble>> {
        loop {
            if self.skip > 0 {
                let n = usize::try_from(self.skip).unwrap_or(usize::MAX).min(self.rest().len());
                self.used(n);
                self.skip -= n as u64;
            }
            if self.skip == 0
                && let Some(head) = Head::parse(self.rest())
            {
                if kind::is_known(head.kind) {
                    return Poll::Ready(Ok(Some(head)));
                }
                shared.glitch();
                self.used(head.size);
                self.skip = head.len;
                continue;
            }
            if ready!(self.poll_fill(cx, LOOK))? == 0 {
                let whole = self.skip == 0 && self.rest().is_empty();
                return Poll::Ready(if whole {
                    Ok(None)
                } else {
                    Err(Trouble::Connection(Code::FRAME_ERROR))
                });
            }
        }
    }

    /// Waits until all of the frame that the input begins with is there. Its length has been checked.
    fn poll_block(&mut self, cx: &mut Context<'_>, head: Head) -> Poll<Result<(), Trouble>> {
        let len = head.size + head.len as usize;
        while self.rest().len() < len {
            if ready!(self.poll_fill(cx, (len - self.rest().len()).max(LOOK)))? == 0 {
                return Poll::Ready(Err(Trouble::Connection(Code::FRAME_ERROR)));
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Reads at most `room` bytes behind what is in the input; 0: the end.
    fn poll_fill(&mut self, cx: &mut Context<'_>, room: usize) -> Poll<Result<usize, Trouble>> {
        self.input.drain(..std::mem::take(&mut self.at));
        let len = self.input.len();
        self.input.resize(len + room, 0);
        let read = self.stream.poll_read(cx, &mut self.input[len..]);
        let n = if let Poll::Ready(Ok(n)) = read { n } else { 0 };
        self.input.truncate(len + n);
        read.map_err(lost)
    }

    fn rest(&self) -> &[u8] {
        &self.input[self.at..]
    }

    fn used(&mut self, n: usize) {
        self.at = (self.at + n).min(self.input.len());
    }
}

/// The other side has reset a stream with `code`.
pub(crate) fn reset_with(code: quinn::VarInt) -> StreamError {
    StreamError::Reset(u32::try_from(code.into_inner()).unwrap_or(u32::MAX))
}

fn lost(error: ReadError) -> Trouble {
    Trouble::Stream(match error {
        ReadError::Reset(code) => reset_with(code),
        _ => StreamError::Closed,
    })
}
