//! The sending half of a request: heads and body put into frames, handed to QUIC as it has room for them.

use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use quinn::{SendStream, WriteError};

use super::frame::{Code, kind, push_frame};
use super::head;
use super::recv::reset_with;
use crate::stream::StreamError;

/// Longest DATA frame: what one call to send hands over at most.
pub(crate) const FRAME_BYTES_MAX: usize = 64 << 10;

/// What a stream still has to tell the other side.
#[derive(Debug)]
pub(crate) struct Sender {
    stream: SendStream,
    /// Heads of frames and of messages that QUIC had no room for yet.
    pending: Vec<u8>,
    /// Bytes of body that the last DATA frame still lacks.
    owed: usize,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// All is said, but not yet handed over.
    Ending,
    /// All is said and handed over.
    Over,
    Reset,
}

impl Sender {
    pub(crate) fn new(stream: SendStream) -> Self {
        Self { stream, pending: Vec::new(), owed: 0, phase: Phase::Open }
    }

    /// Whether nothing more can be said: all has been, or the stream was reset.
    pub(crate) fn is_over(&self) -> bool {
        self.phase != Phase::Open
    }

    /// Whether all was said, and is waiting to be handed over.
    pub(crate) fn is_ending(&self) -> bool {
        self.phase == Phase::Ending
    }

    /// Whether all was said.
    pub(crate) fn is_whole(&self) -> bool {
        matches!(self.phase, Phase::Ending | Phase::Over)
    }

    /// Sends a head, the text of an HTTP/1.1 response's; `end`: there is no body.
    pub(crate) fn send_head(&mut self, text: &[u8], end: bool) -> Result<(), StreamError> {
        self.is_open()?;
        head::encode(text, &mut self.pending)?;
        self.send_pending(end)
    }

    /// Ends the body with trailers.
    pub(crate) fn send_trailers(&mut self, lines: &[u8]) -> Result<(), StreamError> {
        self.is_open()?;
        if self.owed > 0 {
            // A frame of body was begun and is not whole.
            return Err(StreamError::Malformed);
        }
        if !lines.is_empty() {
            head::encode_trailers(lines, &mut self.pending);
        }
        self.send_pending(true)
    }

    /// Ready when there is room for body, as far as that is known.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>> {
        self.is_open()?;
        ready!(self.poll_flush(cx))?;
        Poll::Ready(Ok(if self.owed > 0 { self.owed } else { FRAME_BYTES_MAX }))
    }

    /// Sends some of `data`. What a frame has announced is owed: the same bytes must be offered again.
    pub(crate) fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        data: &[u8],
        end: bool,
    ) -> Poll<Result<usize, StreamError>> {
        self.is_open()?;
        ready!(self.poll_flush(cx))?;
        if self.owed == 0 && !data.is_empty() {
            self.owed = data.len().min(FRAME_BYTES_MAX);
            push_frame(kind::DATA, self.owed, &mut self.pending);
            ready!(self.poll_flush(cx))?;
        }
        let n = self.owed.min(data.len());
        let n = if n > 0 { ready!(self.poll_write(cx, &data[..n]))? } else { 0 };
        self.owed -= n;
        if end && n == data.len() {
            if self.owed > 0 {
                return Poll::Ready(Err(StreamError::Malformed));
            }
            self.finish();
        }
        Poll::Ready(Ok(n))
    }

    /// Hands over what QUIC had no room for, and the end if that is all.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        while !self.pending.is_empty() {
            let n = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.pending)).map_err(lost)?;
            self.pending.drain(..n);
        }
        if self.phase == Phase::Ending {
            self.finish();
        }
        Poll::Ready(Ok(()))
    }

    /// Gives up: the other side learns that the response is not whole.
    pub(crate) fn reset(&mut self, code: Code) {
        if !matches!(self.phase, Phase::Over | Phase::Reset) {
            self.phase = Phase::Reset;
            self.pending = Vec::new();
            // It may be closed already.
            let _ = self.stream.reset(code.into());
        }
    }

    /// Done when the other side has stopped the stream, or has got all of it.
    pub(crate) fn stopped(
        &self,
    ) -> impl Future<Output = Result<Option<quinn::VarInt>, quinn::StoppedError>> + Send + use<> {
        self.stream.stopped()
    }

    fn is_open(&self) -> Result<(), StreamError> {
        if self.is_over() { Err(StreamError::Closed) } else { Ok(()) }
    }

    /// Hands over as much as there is room for now; who polls next hands over the rest.
    fn send_pending(&mut self, end: bool) -> Result<(), StreamError> {
        if end {
            self.phase = Phase::Ending;
        }
        match self.poll_flush(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(done) => done,
            Poll::Pending => Ok(()),
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, StreamError>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes).map_err(lost)
    }

    fn finish(&mut self) {
        self.phase = Phase::Over;
        // If the other side has stopped it, that is noticed elsewhere.
        let _ = self.stream.finish();
    }
}

fn lost(error: WriteError) -> StreamError {
    match error {
        WriteError::Stopped(code) => reset_with(code),
        _ => StreamError::Closed,
    }
}
