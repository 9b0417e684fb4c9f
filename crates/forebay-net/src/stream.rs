//! One exchange of several on a connection: what HTTP/2 and HTTP/3 have in common for those who use them.
//!
//! Heads go out as the text of an HTTP/1.1 head, with its first line and the empty one, which the connection turns
//! into what its protocol wants; heads come in as spans in a buffer, as those of HTTP/1 do. So there is one message
//! type, and whoever writes or reads heads need not know which protocol carries them.

use std::task::{Context, Poll};

use crate::buffer::Buffer;
use crate::h1::ResponseHead;

/// Why a stream is of no more use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StreamError {
    /// The other side has reset this stream, with this code (RFC 9113 §7, RFC 9114 §8.1).
    Reset(u32),
    /// The other side did not process it, so that it may be sent again: `REFUSED_STREAM`, or a stream beyond the
    /// last one of a GOAWAY (RFC 9113 §8.7).
    Refused,
    /// What it sent on this stream is malformed (RFC 9113 §8.1.1); the stream has been reset.
    Malformed,
    /// The head of the response has more bytes or fields than allowed; the stream has been reset.
    HeadTooLarge,
    /// The connection is gone.
    Closed,
}

/// Why we give a stream up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The response is complete, and the rest of the request is not wanted (RFC 9113 §8.1).
    NoError,
    /// The exchange is of no more use to this side.
    Cancel,
    /// It went wrong here, or behind us.
    InternalError,
    /// It was not processed and may be sent again.
    Refused,
    /// The other side sent what it may not.
    ProtocolError,
}

/// One request and its response on a connection that carries several at a time. All methods take `&self`: both
/// directions may use it at the same time, in one task. Dropping it before both have ended resets the stream.
pub trait Stream: std::fmt::Debug {
    /// Waits until there is something to read, holding no buffer meanwhile: a head for whoever has sent a request and
    /// not yet read the final one, else body, or its end.
    ///
    /// # Errors
    /// The stream or its connection is gone.
    fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<Result<(), StreamError>>;

    /// Reads body that has arrived into `into`'s space, which must not be empty; 0: the body is over, and its
    /// trailers are known.
    ///
    /// # Errors
    /// The stream or its connection is gone.
    fn poll_data(&self, cx: &mut Context<'_>, into: &mut Buffer) -> Poll<Result<usize, StreamError>>;

    /// Whether nothing more of the body will come, and all of it was taken.
    fn is_finished(&self) -> bool;

    /// Trailer fields of the finished body, each line ended by CRLF; those that RFC 9110 §6.5.1 does not allow are
    /// left out.
    fn take_trailers(&self) -> Vec<u8>;

    /// Ready when the other side has reset the stream, or its connection is gone. That its body is over is no end.
    fn poll_ended(&self, cx: &mut Context<'_>) -> Poll<StreamError>;

    /// Sends a head: the text of an HTTP/1.1 head. What belongs to HTTP/1 only (`Connection`, `Transfer-Encoding`,
    /// …) is left out. A status from 100 to 199 is an interim response. `end`: there is no body.
    ///
    /// # Errors
    /// The stream or its connection is gone.
    fn send_head(&self, head: &[u8], end: bool) -> Result<(), StreamError>;

    /// How many bytes of body can be sent now; waits until it is at least one.
    ///
    /// # Errors
    /// The stream or its connection is gone.
    fn poll_room(&self, cx: &mut Context<'_>) -> Poll<Result<usize, StreamError>>;

    /// Sends some of `data` and returns how much. `end`: nothing follows it; the body is over once all of it has been
    /// taken, at once if it is empty.
    ///
    /// # Errors
    /// The stream or its connection is gone.
    fn poll_send(&self, cx: &mut Context<'_>, data: &[u8], end: bool) -> Poll<Result<usize, StreamError>>;

    /// Ends the body with trailers, lines of `name: value` each ended by CRLF; none: just ends it.
    ///
    /// # Errors
    /// The stream or its connection is gone.
    fn send_trailers(&self, lines: &[u8]) -> Result<(), StreamError>;

    /// For whoever is about to send a request: whether the other side lets one turn into a tunnel (RFC 8441), which is
    /// known once its settings have come.
    fn poll_tunnels(&self, cx: &mut Context<'_>) -> Poll<bool> {
        let _ = cx;
        Poll::Ready(false)
    }

    /// Why the other side has ended the connection by an alert of TLS, in a word, if that is how it came to its end.
    fn alert(&self) -> Option<&'static str> {
        None
    }

    /// Gives the stream up; nothing can be sent or received after it. No-op if both directions have ended.
    fn reset(&self, why: Reset);

    /// For whoever has sent a request: reads the next head of the response, its bytes at the end of `into` (which
    /// grows as needed, within the connection's limit on heads), and returns their number. Spans of `head` begin
    /// where these bytes do. `Framing::UntilClose` stands for a body without an announced length.
    ///
    /// # Errors
    /// The stream or its connection is gone.
    fn poll_head(
        &self,
        cx: &mut Context<'_>,
        head: &mut ResponseHead,
        into: &mut Buffer,
    ) -> Poll<Result<usize, StreamError>>;
}
