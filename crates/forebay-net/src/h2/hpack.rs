//! HPACK (RFC 7541): field lists to bytes and back.

mod decoder;
mod encoder;
pub(crate) mod huffman;
pub(crate) mod integer;
mod table;

pub use decoder::Decoder;
pub use encoder::{Encoder, Pseudo};

pub(crate) use decoder::{Seen, Verdict};

#[cfg(test)]
mod tests;

/// Bytes of a dynamic table at the beginning of every connection, and unless settings say otherwise.
pub const TABLE_BYTES_DEFAULT: usize = 4_096;

/// Why a field block cannot be decoded. The connection must be closed with `COMPRESSION_ERROR`, for both sides now
/// hold different tables (RFC 9113 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HpackError(pub &'static str);
