//! Whoever sends a request: who that is, and the way back, be it a connection or a stream of one.

use std::cell::Cell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll};

use forebay_base::time::Instant;
use forebay_net::link::{Ended, Link, LinkError};
use forebay_net::stream::{Reset, Stream, StreamError};
use forebay_net::tls::Handshake;
use forebay_net::wheel::Alarm;

use crate::plan::Listener;

/// One client, as a request sees it.
pub(crate) struct Client {
    pub(crate) wire: Wire,
    pub(crate) alarm: Alarm,
    pub(crate) who: Rc<Who>,
    /// It has gone away, and what was being done for it is dropped.
    pub(crate) gone: Cell<bool>,
}

/// What carries a request and its response.
pub(crate) enum Wire {
    /// A connection of its own, until the response has ended.
    Link(Link),
    /// A part of a connection that carries several.
    Stream(Rc<dyn Stream>),
}

/// What is known of a client's connection.
pub(crate) struct Who {
    /// The other end; behind a proxy that says so at the beginning of the connection, the one it names.
    pub(crate) peer: SocketAddr,
    /// A proxy has connected, and has not said for whom: what is sent is not its own, nor to be believed as such.
    pub(crate) unnamed: bool,
    /// Our end, if it is not to be had from what carries a request.
    pub(crate) local: Cell<Option<SocketAddr>>,
    /// The peer's address as text.
    text: Text,
    /// Where it came in.
    pub(crate) listener: Listener,
    /// What was agreed on, if nobody on the way can read along.
    pub(crate) secured: Option<Box<Handshake>>,
}

impl Who {
    pub(crate) fn new(peer: SocketAddr, listener: Listener) -> Self {
        let text = Text::new(peer.ip());
        Self { peer, unnamed: false, local: Cell::default(), text, listener, secured: None }
    }

    pub(crate) fn secured(peer: SocketAddr, listener: Listener, handshake: Handshake) -> Self {
        Self { secured: Some(Box::new(handshake)), ..Self::new(peer, listener) }
    }

    /// The same with our end known.
    pub(crate) fn at(self, local: Option<SocketAddr>) -> Self {
        self.local.set(local);
        self
    }

    /// The same; `unnamed`: the peer is not who it speaks for.
    pub(crate) fn unnamed(self, unnamed: bool) -> Self {
        Self { unnamed, ..self }
    }

    /// The peer's address as text.
    pub(crate) fn text(&self) -> &[u8] {
        &self.text.text[..usize::from(self.text.len)]
    }

    /// `https` if nobody on the way could read along, else `http`.
    pub(crate) const fn scheme(&self) -> &'static str {
        if self.secured.is_some() { "https" } else { "http" }
    }
}

/// An address as text.
struct Text {
    text: [u8; 45],
    len: u8,
}

impl Text {
    fn new(address: IpAddr) -> Self {
        use std::io::Write as _;
        let mut text = [0; 45];
        let mut rest = &mut text[..];
        // The longest IPv6 address takes 45 bytes.
        let _ = write!(rest, "{}", address.to_canonical());
        let len = 45 - rest.len() as u8;
        Self { text, len }
    }
}

impl Client {
    pub(crate) fn new(wire: Wire, alarm: Alarm, who: Rc<Who>) -> Self {
        Self { wire, alarm, who, gone: Cell::new(false) }
    }

    /// Ready when the client has closed its sending side, is gone altogether, or has sent something behind its
    /// request. A stream ends with its request, so that only its reset says anything.
    #[inline]
    pub(crate) fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<Ended> {
        match &self.wire {
            Wire::Link(link) => link.poll_ended(cx),
            Wire::Stream(stream) => stream.poll_ended(cx).map(|_| Ended::Reset),
        }
    }

    /// Sends a whole answer: a head of `head_len` bytes, and its body.
    pub(crate) async fn answer(
        &self,
        reply: &[u8],
        head_len: usize,
        until: impl Fn() -> Instant,
    ) -> Result<(), LinkError> {
        match &self.wire {
            Wire::Link(link) => link.write_all([reply], &self.alarm, until).await,
            Wire::Stream(stream) => {
                let (head, body) = reply.split_at(head_len.min(reply.len()));
                stream.send_head(head, body.is_empty()).map_err(broken)?;
                if body.is_empty() { Ok(()) } else { send(&**stream, body, true, &self.alarm, until).await }
            }
        }
    }

    /// Whether the client has broken its connection off. Sees nothing of a stream, which tells by itself.
    pub(crate) fn is_reset(&self) -> bool {
        match &self.wire {
            Wire::Link(link) => link.is_reset(),
            Wire::Stream(_) => false,
        }
    }

    /// Sees to it that the client cannot take what it got for a whole response.
    pub(crate) fn break_off(&self) {
        match &self.wire {
            Wire::Link(link) => link.reset_on_close(),
            Wire::Stream(stream) => stream.reset(Reset::InternalError),
        }
    }

    /// Our end of its connection, as far as it is known. Few ask.
    #[cold]
    pub(crate) fn local(&self) -> Option<SocketAddr> {
        self.who.local.get().or_else(|| match &self.wire {
            Wire::Link(link) => link.local(),
            Wire::Stream(_) => None,
        })
    }

    /// The stream, if it is one.
    #[inline]
    pub(crate) fn stream(&self) -> Option<&dyn Stream> {
        match &self.wire {
            Wire::Link(_) => None,
            Wire::Stream(stream) => Some(&**stream),
        }
    }
}

/// Sends all of `data` on `stream`, and the end of its body if `end`. `deadline` says when the other side is too late
/// with making room: it is asked anew whenever some was made.
pub(crate) async fn send(
    stream: &dyn Stream,
    mut data: &[u8],
    end: bool,
    alarm: &Alarm,
    deadline: impl Fn() -> Instant,
) -> Result<(), LinkError> {
    let mut until = None;
    std::future::poll_fn(|cx| {
        loop {
            match stream.poll_send(cx, data, end) {
                Poll::Ready(Ok(sent)) => {
                    data = &data[sent.min(data.len())..];
                    until = None;
                    if data.is_empty() {
                        return Poll::Ready(Ok(()));
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(broken(error))),
                Poll::Pending => {
                    let until = *until.get_or_insert_with(&deadline);
                    return alarm.poll(cx, until).map(|()| Err(LinkError::TimedOut));
                }
            }
        }
    })
    .await
}

/// What has happened to a stream, as it would be said of a connection.
pub(crate) fn broken(error: StreamError) -> LinkError {
    let kind = match error {
        StreamError::Refused => std::io::ErrorKind::ConnectionRefused,
        StreamError::Malformed | StreamError::HeadTooLarge => std::io::ErrorKind::InvalidData,
        StreamError::Reset(_) | StreamError::Closed => std::io::ErrorKind::ConnectionReset,
    };
    LinkError::Io(kind.into())
}
