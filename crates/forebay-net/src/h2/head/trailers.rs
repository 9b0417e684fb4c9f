//! Trailers as they come in.

use super::Malformed;
use super::rules::{Budget, check_connection, check_name, check_value};
use crate::h1::{Name, is_allowed_in_trailers, is_framing};
use crate::h2::Limits;
use crate::h2::hpack::{Decoder, HpackError};

/// Takes the fields of trailers one by one.
#[derive(Debug)]
pub struct TrailerAssembler {
    lines: Vec<u8>,
    budget: Budget,
    malformed: Option<Malformed>,
}

impl TrailerAssembler {
    /// Begins trailers.
    #[must_use]
    pub fn new(limits: &Limits) -> Self {
        Self { lines: Vec::new(), budget: Budget::new(limits), malformed: None }
    }

    /// Takes the fields of a whole block.
    ///
    /// # Errors
    /// It cannot be decoded.
    pub fn block(&mut self, decoder: &mut Decoder, block: &[u8]) -> Result<(), HpackError> {
        decoder.decode(block, |name, value| self.field(name, value))
    }

    /// Takes a field. Once one is malformed or too much, further ones are ignored.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        if self.malformed.is_none() {
            self.malformed = self.take(name, value).err();
        }
    }

    fn take(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        if name.first() == Some(&b':') {
            return Err(Malformed("pseudo-header field among the trailers"));
        }
        check_name(name)?;
        check_value(value)?;
        check_connection(Name::classify(name), value)?;
        self.budget.count_regular(name, value).map_err(|_| Malformed("trailers too large"))?;
        if is_framing(name) {
            return Err(Malformed("framing field among the trailers"));
        }
        if is_allowed_in_trailers(name) {
            for part in [name, b": ", value, b"\r\n"] {
                self.lines.extend_from_slice(part);
            }
        }
        Ok(())
    }

    /// The fields that may be passed on (RFC 9110 §6.5.1), each a line ended by CRLF.
    ///
    /// # Errors
    /// They are malformed, or beyond the limits of heads.
    pub fn finish(self) -> Result<Vec<u8>, Malformed> {
        match self.malformed {
            Some(malformed) => Err(malformed),
            None => Ok(self.lines),
        }
    }
}
