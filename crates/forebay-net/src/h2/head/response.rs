//! Heads of responses as they come in (RFC 9113 §8.3.2).

use super::Malformed;
use super::rules::{Budget, check_connection, copy_field, judge};

use crate::h1::{Framing, HeadError, Name, ResponseHead, Version, parse_length};
use crate::h2::Limits;
use crate::h2::hpack::{Decoder, HpackError, Seen, Verdict};

/// A response's head with the bytes that its spans refer to. Meant to be used again and again.
#[derive(Debug, Default)]
pub struct Response {
    /// What the spans refer to.
    pub bytes: Vec<u8>,
    /// The head. `Framing::UntilClose` stands for a body of unknown length.
    pub head: ResponseHead,
    /// Bytes that the DATA frames must have together, if known; 0 for responses that have no body by their nature.
    pub length: Option<u64>,
    /// The head goes beyond the limits; it holds what came before that.
    pub error: Option<HeadError>,
}

/// Takes the fields of a response one by one.
#[derive(Debug)]
pub struct ResponseAssembler<'a> {
    into: &'a mut Response,
    budget: Budget,
    malformed: Option<Malformed>,
    /// No pseudo-header field may follow.
    regular: bool,
}

impl<'a> ResponseAssembler<'a> {
    /// Begins a head, forgetting what `into` holds.
    pub fn new(into: &'a mut Response, limits: &Limits) -> Self {
        let Response { bytes, head, length, error } = &mut *into;
        bytes.clear();
        head.begin(Version::Http2);
        *length = None;
        *error = None;
        Self { into, budget: Budget::new(limits), malformed: None, regular: false }
    }

    /// Takes the fields of a whole block.
    ///
    /// # Errors
    /// It cannot be decoded.
    pub fn block(&mut self, decoder: &mut Decoder, block: &[u8]) -> Result<(), HpackError> {
        decoder.judge(block, |name, value, seen| self.take(name, value, seen))
    }

    /// Takes a field. Once one is malformed or too much, further ones are ignored.
    pub fn field(&mut self, name: &[u8], value: &[u8]) {
        self.take(name, value, Seen { name: None, whole: false });
    }

    #[inline]
    fn take(&mut self, name: &[u8], value: &[u8], seen: Seen) -> Option<Verdict> {
        if self.malformed.is_some() || self.into.error.is_some() {
            return None;
        }
        let taken = if name.first() == Some(&b':') {
            self.take_pseudo(name, value).map(|()| Ok(None))
        } else {
            self.take_regular(name, value, seen).map(|taken| taken.map(Some))
        };
        match taken {
            Ok(Ok(verdict)) => return verdict,
            Ok(Err(error)) => self.into.error = Some(error),
            Err(malformed) => self.malformed = Some(malformed),
        }
        None
    }

    fn take_pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<(), Malformed> {
        if self.regular {
            return Err(Malformed("pseudo-header field after a regular one"));
        }
        if name != b":status" {
            return Err(Malformed("unknown pseudo-header field"));
        }
        if self.into.head.status != 0 {
            return Err(Malformed("pseudo-header field twice"));
        }
        let [first @ b'1'..=b'9', second @ b'0'..=b'9', third @ b'0'..=b'9'] = value else {
            return Err(Malformed("invalid :status"));
        };
        let digit = |byte: &u8| u16::from(byte - b'0');
        self.into.head.status = digit(first) * 100 + digit(second) * 10 + digit(third);
        Ok(())
    }

    #[inline]
    fn take_regular(
        &mut self,
        name: &[u8],
        value: &[u8],
        seen: Seen,
    ) -> Result<Result<Verdict, HeadError>, Malformed> {
        self.regular = true;
        let verdict = judge(name, value, seen)?;
        let known = verdict.known;
        check_connection(known, value)?;
        if let Err(error) = self.budget.count_regular(name, value) {
            return Ok(Err(error));
        }
        match known {
            Name::ContentLength => {
                let length = parse_length(value).map_err(|_| Malformed("content-length is not a number"))?;
                if self.into.length.replace(length).is_some() {
                    return Err(Malformed("content-length twice"));
                }
            }
            Name::Date => self.into.head.has_date = true,
            _ => {}
        }
        let field = copy_field(&mut self.into.bytes, verdict, name, value);
        self.into.head.fields.push(field);
        Ok(Ok(verdict))
    }

    /// Ends the head; `to_head`: the request was a HEAD; `end`: no body follows.
    ///
    /// # Errors
    /// It is malformed. A head beyond the limits is not, if nothing else is wrong with what was read of it.
    pub fn finish(self, to_head: bool, end: bool) -> Result<(), Malformed> {
        if let Some(malformed) = self.malformed {
            return Err(malformed);
        }
        let Response { head, length, .. } = self.into;
        match head.status {
            0 => return Err(Malformed("no :status")),
            // HTTP/2 has no other protocol to switch to (RFC 9113 §8.6).
            101 => return Err(Malformed("status 101")),
            100..200 if end => return Err(Malformed("interim response that ends the stream")),
            _ => {}
        }
        let bodiless = to_head || head.is_interim() || matches!(head.status, 204 | 304);
        head.framing = match *length {
            _ if bodiless => {
                *length = if head.is_interim() { None } else { Some(0) };
                Framing::None
            }
            Some(1..) if end => return Err(Malformed("content-length without content")),
            Some(length) => Framing::Length(length),
            None if end => Framing::Length(0),
            None => Framing::UntilClose,
        };
        Ok(())
    }
}
