//! What carries a request to its endpoint, and the response back: a connection of its own, or a stream of one.

use std::task::{Context, Poll};

use forebay_base::time::Instant;
use forebay_net::buffer::Buffer;
use forebay_net::h1::Body;
use forebay_net::link::{Link, LinkError};
use forebay_net::stream::Stream;
use forebay_net::wheel::Alarm;

use crate::client::broken;
use crate::upstream::Carrier;

/// See the module. On the side of the client it is the same thing the other way round.
#[derive(Clone, Copy)]
pub(super) enum Over<'a> {
    Link(&'a Link),
    Stream(&'a dyn Stream),
}

impl<'a> Over<'a> {
    pub(super) fn of(carrier: &'a Carrier) -> Self {
        match carrier {
            Carrier::Link(held) => Self::Link(&held.link),
            Carrier::Stream(stream) => Self::Stream(&**stream),
        }
    }

    /// Waits until there is something to read, holding no buffer meanwhile.
    #[inline]
    pub(super) fn poll_readable(self, cx: &mut Context<'_>) -> Poll<Result<(), LinkError>> {
        match self {
            Self::Link(link) => link.poll_readable(cx).map_err(LinkError::Io),
            Self::Stream(stream) => stream.poll_readable(cx).map_err(broken),
        }
    }

    /// Waits until there is something to read or `deadline` (asked at every poll) has passed.
    #[inline]
    pub(super) async fn readable(
        self,
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Result<(), LinkError> {
        std::future::poll_fn(|cx| match self.poll_readable(cx) {
            Poll::Ready(result) => Poll::Ready(result),
            Poll::Pending => alarm.poll(cx, deadline()).map(|()| Err(LinkError::TimedOut)),
        })
        .await
    }

    /// Reads once, waiting until `deadline`, which is asked at every poll that finds nothing; 0: the end.
    #[inline]
    pub(super) async fn fill(
        self,
        buffer: &mut Buffer,
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Result<usize, LinkError> {
        match self {
            Self::Link(link) => link.fill(buffer, alarm, deadline).await,
            Self::Stream(stream) => {
                std::future::poll_fn(|cx| match stream.poll_data(cx, buffer) {
                    Poll::Ready(result) => Poll::Ready(result.map_err(broken)),
                    Poll::Pending => alarm.poll(cx, deadline()).map(|()| Err(LinkError::TimedOut)),
                })
                .await
            }
        }
    }

    /// What was read belongs to `body`, whose data ends up at the front of `buffer`: how much of it is used up, and
    /// how much is data. `None`: it is no body.
    pub(super) fn take(
        self,
        body: &mut Body,
        buffer: &mut Buffer,
    ) -> Result<(usize, usize), forebay_net::h1::BodyError> {
        match self {
            Self::Link(_) => body.take(buffer.filled_mut()).map(|part| (part.consumed, part.data)),
            Self::Stream(stream) => {
                if stream.is_finished() {
                    *body = Body::Done;
                }
                Ok((buffer.len(), buffer.len()))
            }
        }
    }

    /// Waits until a stream has room for more, so that nothing is read that could only be kept. A connection has its
    /// own buffers. Holds no buffer.
    #[inline]
    pub(super) async fn has_room(
        self,
        alarm: &Alarm,
        deadline: impl Fn() -> Instant,
    ) -> Result<(), LinkError> {
        let Self::Stream(stream) = self else { return Ok(()) };
        let mut until = None;
        std::future::poll_fn(|cx| match stream.poll_room(cx) {
            Poll::Ready(result) => Poll::Ready(result.map(|_| ()).map_err(broken)),
            Poll::Pending => {
                let until = *until.get_or_insert_with(&deadline);
                alarm.poll(cx, until).map(|()| Err(LinkError::TimedOut))
            }
        })
        .await
    }
}
