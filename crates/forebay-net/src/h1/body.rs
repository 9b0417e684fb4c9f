//! A message's body as it arrives, whatever delimits it.

use super::chunked::{Chunked, ChunkedError};
use super::head::Framing;

/// The rest of a body.
#[derive(Debug)]
pub enum Body {
    /// All of it has been seen.
    Done,
    /// So many bytes are still to come; never 0.
    Length(u64),
    /// Chunks; boxed because few bodies need it and every exchange would pay for its size.
    Chunked(Box<Chunked>),
    /// Everything until the connection ends.
    UntilClose,
    /// Whatever the protocol around it says: it does not come from the input.
    Outside,
}

/// What one step found in the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Part {
    /// Bytes of the input that are used up.
    pub consumed: usize,
    /// Bytes of data, now at the front of the input.
    pub data: usize,
}

/// Why a body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// The chunked coding is broken.
    Chunked(ChunkedError),
    /// The sender closed before the end.
    Truncated,
}

impl Body {
    /// The body that `framing` announces.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        match framing {
            Framing::None | Framing::Length(0) => Self::Done,
            Framing::Length(length) => Self::Length(length),
            Framing::Chunked => Self::Chunked(Box::default()),
            Framing::UntilClose => Self::UntilClose,
        }
    }

    /// Whether all of it has been seen.
    #[must_use]
    pub fn is_done(&self) -> bool {
        match self {
            Self::Done => true,
            Self::Chunked(chunked) => chunked.is_done(),
            Self::Length(_) | Self::UntilClose | Self::Outside => false,
        }
    }

    /// Bytes still to come, where that is known.
    #[must_use]
    pub const fn left(&self) -> Option<u64> {
        match self {
            Self::Done => Some(0),
            Self::Length(left) => Some(*left),
            Self::Chunked(_) | Self::UntilClose | Self::Outside => None,
        }
    }

    /// Bytes that are still to come at least: all of them, or those of a chunk that has announced its size.
    #[must_use]
    pub fn announced(&self) -> u64 {
        match self {
            Self::Length(left) => *left,
            Self::Chunked(chunked) => chunked.announced(),
            Self::Done | Self::UntilClose | Self::Outside => 0,
        }
    }

    /// Takes what belongs to this body from the start of `input`; data ends up at its front.
    ///
    /// # Errors
    /// The chunked coding is broken; the connection must be closed.
    pub fn take(&mut self, input: &mut [u8]) -> Result<Part, BodyError> {
        match self {
            Self::Done | Self::Outside => Ok(Part::default()),
            Self::Length(left) => {
                let take = usize::try_from(*left).unwrap_or(usize::MAX).min(input.len());
                *left -= take as u64;
                if *left == 0 {
                    *self = Self::Done;
                }
                Ok(Part { consumed: take, data: take })
            }
            Self::Chunked(chunked) => {
                let step = chunked.decode(input).map_err(BodyError::Chunked)?;
                Ok(Part { consumed: step.consumed, data: step.data })
            }
            Self::UntilClose => Ok(Part { consumed: input.len(), data: input.len() }),
        }
    }

    /// The sender closed its side.
    ///
    /// # Errors
    /// `Truncated` unless the body was over, or ends with the connection.
    pub fn end_of_input(&mut self) -> Result<(), BodyError> {
        if matches!(self, Self::UntilClose) {
            *self = Self::Done;
        }
        if self.is_done() { Ok(()) } else { Err(BodyError::Truncated) }
    }

    /// Trailer fields to pass on, each line ended by CRLF.
    #[must_use]
    pub fn trailers(&self) -> &[u8] {
        match self {
            Self::Chunked(chunked) => chunked.trailers(),
            _ => &[],
        }
    }
}
