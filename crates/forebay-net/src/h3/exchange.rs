//! A request's stream as the rest of the gateway uses it.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use quinn::{RecvStream, SendStream, StoppedError, VarInt};

use super::connection::{Open, Shared};
use super::frame::Code;
use super::head;
use super::recv::{Receiver, Trouble, reset_with};
use super::send::Sender;
use crate::buffer::Buffer;
use crate::h1::ResponseHead;
use crate::h2::head::Request;
use crate::stream::{Reset, Stream, StreamError};

type Stopped = Pin<Box<dyn Future<Output = Result<Option<VarInt>, StoppedError>>>>;

/// One request and its response. Dropped before both have ended, it resets the stream.
#[derive(Debug)]
pub(crate) struct Exchange {
    halves: Rc<Halves>,
}

#[derive(Debug)]
struct Halves {
    receiver: RefCell<Receiver>,
    sender: RefCell<Sender>,
    /// Notices that the other side has stopped the response; made when somebody asks first.
    stopped: RefCell<Watch>,
    /// The other side is at fault that it came to nothing.
    fault: Cell<bool>,
    open: Open,
}

#[derive(Default)]
struct Watch(Option<Stopped>);

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Watch").field(&self.0.is_some()).finish()
    }
}

impl Exchange {
    pub(crate) fn new(open: Open, send: SendStream, recv: RecvStream) -> Self {
        let halves = Halves {
            receiver: RefCell::new(Receiver::new(recv)),
            sender: RefCell::new(Sender::new(send)),
            stopped: RefCell::default(),
            fault: Cell::new(false),
            open,
        };
        Self { halves: Rc::new(halves) }
    }

    pub(crate) fn shared(&self) -> &Shared {
        self.halves.open.shared()
    }

    pub(crate) fn into_stream(self) -> Rc<dyn Stream> {
        Rc::new(self)
    }

    /// Reads the head of the request; ready with whether that is all of it.
    pub(crate) fn poll_head(&self, cx: &mut Context<'_>, into: &mut Request) -> Poll<Result<bool, Trouble>> {
        let shared = self.shared();
        let mut receiver = self.halves.receiver.borrow_mut();
        let block = ready!(receiver.poll_head(cx, shared, shared.limits.head_bytes))?;
        head::decode(block, &shared.limits, shared.connect, into)?;
        receiver.begin_body(cx, shared, into.length)?;
        Poll::Ready(Ok(receiver.is_over()))
    }

    /// Lets the other side know of `trouble`, as far as it does not.
    pub(crate) fn fail(&self, trouble: Trouble) -> StreamError {
        self.halves.fail(trouble)
    }
}

impl Halves {
    fn fail(&self, trouble: Trouble) -> StreamError {
        match trouble {
            Trouble::Stream(error) => {
                self.fault.set(true);
                error
            }
            Trouble::Message(code) => {
                self.fault.set(true);
                self.receiver.borrow_mut().stop(code);
                self.sender.borrow_mut().reset(code);
                StreamError::Malformed
            }
            Trouble::Connection(code) => {
                self.open.shared().close(code);
                StreamError::Closed
            }
            Trouble::TooLarge => StreamError::HeadTooLarge,
        }
    }

    /// Ready once all that was said is handed over.
    fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        self.sender.borrow_mut().poll_flush(cx)
    }
}

impl Drop for Halves {
    fn drop(&mut self) {
        let (receiver, sender) = (self.receiver.get_mut(), self.sender.get_mut());
        if sender.is_whole() {
            receiver.stop(Code::NO_ERROR);
        } else {
            receiver.stop(Code::REQUEST_CANCELLED);
            sender.reset(Code::INTERNAL_ERROR);
        }
        let shared = self.open.shared();
        if self.fault.get() {
            shared.glitch();
        } else {
            shared.served();
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if self.halves.sender.borrow().is_ending() {
            tokio::task::spawn_local(finish(Rc::clone(&self.halves)));
        }
    }
}

/// Hands over the end of a response that QUIC had no room for, within the time that a window may stay shut.
async fn finish(halves: Rc<Halves>) {
    let flushed = std::future::poll_fn(|cx| halves.poll_flush(cx));
    let stall = halves.open.shared().limits.stall;
    if !matches!(tokio::time::timeout(stall, flushed).await, Ok(Ok(()))) {
        halves.sender.borrow_mut().reset(Code::REQUEST_CANCELLED);
    }
}

impl Stream for Exchange {
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>> {
        let arrived = self.halves.receiver.borrow_mut().poll_arrived(cx, self.shared());
        arrived.map_err(|trouble| self.fail(trouble))
    }

    fn poll_data(&self, cx: &mut Context<'_>, into: &mut Buffer) -> Poll<Result<usize, StreamError>> {
        let read = self.halves.receiver.borrow_mut().poll_data(cx, self.shared(), into);
        read.map_err(|trouble| self.fail(trouble))
    }

    fn is_finished(&self) -> bool {
        self.halves.receiver.borrow().is_over()
    }

    fn take_trailers(&self) -> Vec<u8> {
        self.halves.receiver.borrow_mut().take_trailers()
    }

    fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<StreamError> {
        if let Poll::Ready(error) = self.halves.receiver.borrow_mut().poll_reset(cx) {
            self.halves.fault.set(true);
            return Poll::Ready(error);
        }
        let mut sender = self.halves.sender.borrow_mut();
        if let Poll::Ready(Err(error)) = sender.poll_flush(cx) {
            return Poll::Ready(error);
        }
        if sender.is_over() {
            return Poll::Pending;
        }
        let mut watch = self.halves.stopped.borrow_mut();
        let stopped = watch.0.get_or_insert_with(|| Box::pin(sender.stopped()));
        let ended = match ready!(stopped.as_mut().poll(cx)) {
            Ok(Some(code)) => reset_with(code),
            Ok(None) | Err(_) => StreamError::Closed,
        };
        self.halves.fault.set(true);
        Poll::Ready(ended)
    }

    fn send_head(&self, text: &[u8], end: bool) -> Result<(), StreamError> {
        self.halves.sender.borrow_mut().send_head(text, end)
    }

    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>> {
        self.halves.sender.borrow_mut().poll_room(cx)
    }

    fn poll_send(&self, cx: &mut Context<'_>, data: &[u8], end: bool) -> Poll<Result<usize, StreamError>> {
        self.halves.sender.borrow_mut().poll_send(cx, data, end)
    }

    fn send_trailers(&self, lines: &[u8]) -> Result<(), StreamError> {
        self.halves.sender.borrow_mut().send_trailers(lines)
    }

    fn reset(&self, why: Reset) {
        let code = match why {
            Reset::NoError => Code::NO_ERROR,
            Reset::Cancel => Code::REQUEST_CANCELLED,
            Reset::InternalError => Code::INTERNAL_ERROR,
            Reset::Refused => Code::REQUEST_REJECTED,
            Reset::ProtocolError => Code::MESSAGE_ERROR,
        };
        self.halves.receiver.borrow_mut().stop(code);
        let mut sender = self.halves.sender.borrow_mut();
        // A response that is whole stays so, whatever has become of the request.
        if !sender.is_whole() {
            sender.reset(code);
        }
    }

    fn poll_head(
        &self,
        _: &mut Context<'_>,
        _: &mut ResponseHead,
        _: &mut Buffer,
    ) -> Poll<Result<usize, StreamError>> {
        // Requests come in by HTTP/3, and none are sent.
        Poll::Ready(Err(StreamError::Closed))
    }
}
