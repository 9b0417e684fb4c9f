//! What all field lists have in common: which bytes and which names may stand in them, and how many.

use super::Malformed;
use crate::h1::{Field, HeadError, Name, Span, has_underscore};
use crate::h2::Limits;
use crate::h2::hpack::{Seen, Verdict};

/// What each field counts besides its name and value (RFC 9113 §6.5.2).
const FIELD_OVERHEAD: usize = 32;

/// Bytes of names: characters of tokens but for capital letters.
static NAME_BYTES: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        allowed[byte] = matches!(byte as u8,
            b'a'..=b'z' | b'0'..=b'9' | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^'
            | b'_' | b'`' | b'|' | b'~');
        byte += 1;
    }
    allowed
};

/// Checks what has not been found well-formed before of a field that is no pseudo-header field.
#[inline]
pub(super) fn judge(name: &[u8], value: &[u8], seen: Seen) -> Result<Verdict, Malformed> {
    if !seen.whole {
        check_value(value)?;
    }
    if let Some(verdict) = seen.name {
        return Ok(verdict);
    }
    check_name(name)?;
    let underscore = has_underscore(name);
    let known = if underscore { Name::of_underscored(name) } else { Name::classify(name) };
    Ok(Verdict { known, underscore })
}

/// Checks a name that is no pseudo-header field's (RFC 9113 §8.2.1, RFC 9110 §5.1).
#[inline]
pub(super) fn check_name(name: &[u8]) -> Result<(), Malformed> {
    if name.is_empty() {
        return Err(Malformed("empty field name"));
    }
    let fine = name.iter().fold(true, |fine, byte| fine & NAME_BYTES[usize::from(*byte)]);
    if fine { Ok(()) } else { Err(Malformed("invalid field name")) }
}

/// Checks a value: no control characters but tabs, no white space around it.
#[inline]
pub(super) fn check_value(value: &[u8]) -> Result<(), Malformed> {
    let is_space = |byte: Option<&u8>| matches!(byte, Some(b' ' | b'\t'));
    if is_space(value.first()) || is_space(value.last()) {
        return Err(Malformed("white space around a field value"));
    }
    // No branch within the loop, so that it works on many bytes at once.
    let bad =
        value.iter().fold(false, |bad, byte| bad | ((*byte < b' ') & (*byte != b'\t')) | (*byte == 0x7f));
    if bad { Err(Malformed("control character in a field value")) } else { Ok(()) }
}

/// Checks that a field does not belong to one connection only (RFC 9113 §8.2.2).
#[inline]
pub(super) fn check_connection(known: Name, value: &[u8]) -> Result<(), Malformed> {
    match known {
        Name::Connection
        | Name::ProxyConnection
        | Name::KeepAlive
        | Name::TransferEncoding
        | Name::Upgrade => Err(Malformed("connection-specific field")),
        Name::Te if !value.eq_ignore_ascii_case(b"trailers") => Err(Malformed("te other than trailers")),
        _ => Ok(()),
    }
}

/// Checks that a value is visible characters only: a part of a request line, or an authority.
#[inline]
pub(super) fn check_visible(value: &[u8]) -> Result<(), Malformed> {
    let bad = value.iter().fold(false, |bad, byte| bad | (*byte <= b' ') | (*byte == 0x7f));
    if bad { Err(Malformed("space or control character in a pseudo-header field")) } else { Ok(()) }
}

/// What a head has used up of its limits.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: usize,
    fields: usize,
    crumbs: usize,
}

impl Budget {
    pub(super) const fn new(limits: &Limits) -> Self {
        Self { bytes: limits.head_bytes, fields: limits.fields, crumbs: limits.cookie_crumbs }
    }

    /// Counts a field, pseudo or not.
    #[inline]
    pub(super) fn count(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        self.spend(name.len() + value.len() + FIELD_OVERHEAD)
    }

    /// Counts a field that is none of the pseudo-header fields.
    #[inline]
    pub(super) fn count_regular(&mut self, name: &[u8], value: &[u8]) -> Result<(), HeadError> {
        self.fields = self.fields.checked_sub(1).ok_or(HeadError::TooManyFields)?;
        self.count(name, value)
    }

    /// Counts a crumb that is joined to others: it costs what it takes there.
    pub(super) fn count_crumb(&mut self, value: &[u8]) -> Result<(), HeadError> {
        self.crumbs = self.crumbs.checked_sub(1).ok_or(HeadError::TooManyFields)?;
        self.spend(value.len() + b"; ".len())
    }

    #[inline]
    fn spend(&mut self, cost: usize) -> Result<(), HeadError> {
        self.bytes = self.bytes.checked_sub(cost).ok_or(HeadError::TooLarge)?;
        Ok(())
    }
}

/// Copies `text` behind `bytes` and says where.
#[inline]
pub(super) fn copy(bytes: &mut Vec<u8>, text: &[u8]) -> Span {
    let start = bytes.len();
    bytes.extend_from_slice(text);
    Span::new(start, text.len())
}

/// Copies a field behind `bytes`.
#[inline]
pub(super) fn copy_field(bytes: &mut Vec<u8>, verdict: Verdict, name: &[u8], value: &[u8]) -> Field {
    let Verdict { known, underscore } = verdict;
    bytes.reserve(name.len() + value.len());
    Field {
        name: copy(bytes, name),
        value: copy(bytes, value),
        known,
        hop_by_hop: known.is_hop_by_hop(),
        underscore,
    }
}
