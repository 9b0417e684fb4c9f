//! Heads of HTTP/2 messages: field lists in, checked for all that RFC 9113 §8 calls malformed, and text out.

mod encode;
mod request;
mod response;
mod rules;
mod trailers;

pub use encode::{NotAHead, encode_request, encode_response, encode_trailers, encode_upgrade};
pub use request::{Request, RequestAssembler};
pub use response::{Response, ResponseAssembler};
pub use trailers::TrailerAssembler;

#[cfg(test)]
mod tests;

/// A message that must be answered by a stream error, `PROTOCOL_ERROR` (RFC 9113 §8.1.1): which rule it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed(pub &'static str);
