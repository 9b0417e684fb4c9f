//! HTTP/1 on the wire, without I/O: bytes in, heads and body parts out.
//!
//! Strict by design (RFC 9112, and harder where leniency has been used for request smuggling): a head or a
//! body that two servers could read in two ways is an error, never a guess.

mod body;
mod chunked;
mod field;
mod head;

pub use body::{Body, BodyError, Part};
pub use chunked::{CHUNK_END, Chunked, ChunkedError, chunk_start};
pub(crate) use chunked::{is_allowed_in_trailers, is_framing};
pub use field::{Field, Name, Span};
pub use head::{Framing, HeadError, HeadLimits, Outcome, RequestHead, ResponseHead, Version};
pub(crate) use head::{METHOD_BYTES_MAX, has_underscore, parse_length};

#[cfg(test)]
mod tests;
