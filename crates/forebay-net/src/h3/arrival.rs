//! A request on its way in: its stream is open, its head is to be read.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use quinn::{RecvStream, SendStream};

use super::connection::{Open, Shared};
use super::exchange::Exchange;
use super::frame::Code;
use super::head;
use super::recv::Trouble;
use crate::h1::Framing;
use crate::h2::head::Request;
use crate::stream::Stream;

/// A request whose head has not been read.
#[derive(Debug)]
pub struct Arrival {
    exchange: Exchange,
}

/// A request.
#[derive(Debug)]
pub struct Incoming {
    /// Its body, and where the response goes.
    pub stream: Rc<dyn Stream>,
    /// Its head. `head.version` is HTTP/3.
    pub request: Box<Request>,
    /// There is no body.
    pub finished: bool,
}

impl Arrival {
    pub(crate) fn new(shared: Rc<Shared>, send: SendStream, recv: RecvStream) -> Self {
        Self { exchange: Exchange::new(Open::new(shared), send, recv) }
    }

    /// Reads the head, into `request` from scratch; `None`: there is none that could be answered, and the client
    /// knows. A head beyond the limits is to be answered: `request.error` says how it is.
    pub async fn read(self, mut request: Box<Request>) -> Option<Incoming> {
        let exchange = self.exchange;
        let mut read = std::pin::pin!(poll_fn(|cx| exchange.poll_head(cx, &mut request)));
        // Nearly always the head has come as a whole, and there is no need for a timer.
        let now = poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await;
        let read = match now {
            Poll::Ready(read) => read,
            Poll::Pending => {
                let stall = exchange.shared().limits.stall;
                let late = Err(Trouble::Message(Code::REQUEST_REJECTED));
                tokio::time::timeout(stall, read).await.unwrap_or(late)
            }
        };
        match read {
            Ok(finished) => {
                if finished && request.head.framing == Framing::Chunked {
                    request.head.framing = Framing::None;
                }
                Some(Incoming { stream: exchange.into_stream(), request, finished })
            }
            Err(Trouble::TooLarge) => {
                head::too_large(&exchange.shared().limits, &mut request);
                Some(Incoming { stream: exchange.into_stream(), request, finished: false })
            }
            Err(trouble) => {
                exchange.fail(trouble);
                None
            }
        }
    }
}
