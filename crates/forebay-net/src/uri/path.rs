//! Brings a path into canonical form, byte by byte: for paths that are not canonical already.

use super::TargetError;
use super::class::{is_plain, is_raw, is_unreserved, plain_path_len};

/// Appends the canonical form of `raw` to `out`. `raw` must begin with `/` and hold no query.
///
/// The result begins with `/`, is at most three times as long, and is its own canonical form.
///
/// # Errors
/// When the path is malformed or servers would not agree on its meaning. `out` may then hold a part of it.
pub fn canonical_path(raw: &[u8], merge_slashes: bool, out: &mut String) -> Result<(), TargetError> {
    let [b'/', segments @ ..] = raw else { return Err(TargetError::Form) };
    if plain_path_len(raw, merge_slashes) == raw.len() {
        out.push_str(super::ascii(raw)?);
        return Ok(());
    }
    let root = out.len();
    out.push('/');
    // `out` ends with the slash that the next segment stands behind.
    let mut segments = segments;
    loop {
        let end = memchr::memchr(b'/', segments).unwrap_or(segments.len());
        let is_open = push_segment(&segments[..end], root, merge_slashes, out)?;
        let Some(rest) = segments.get(end + 1..) else { return Ok(()) };
        if !is_open {
            out.push('/');
        }
        segments = rest;
    }
}

/// Appends a segment, or resolves it. Says whether `out` still ends with a slash that the next segment may
/// stand behind.
fn push_segment(
    segment: &[u8],
    root: usize,
    merge_slashes: bool,
    out: &mut String,
) -> Result<bool, TargetError> {
    let start = out.len();
    push_canonical(segment, out)?;
    match &out.as_bytes()[start..] {
        b"" => return Ok(merge_slashes),
        b"." => out.truncate(start),
        b".." => out.truncate(parent(&out[root..start]).ok_or(TargetError::DotSegment)? + root),
        // Some servers cut parameters off before they resolve dot segments.
        [b'.', b';', ..] | [b'.', b'.', b';', ..] => return Err(TargetError::DotSegment),
        _ => return Ok(false),
    }
    Ok(true)
}

/// Length of what is left of `path`, which ends with a slash, without its last segment.
fn parent(path: &str) -> Option<usize> {
    let above = path.strip_suffix('/')?;
    above.rfind('/').map(|slash| slash + 1)
}

/// Appends a segment with every byte in its one spelling.
fn push_canonical(segment: &[u8], out: &mut String) -> Result<(), TargetError> {
    let mut rest = segment;
    while let [byte, after @ ..] = rest {
        rest = match byte {
            b'%' => push_escape(rest, out)?,
            b'\\' => return Err(TargetError::Backslash),
            byte if is_plain(*byte) => {
                out.push(char::from(*byte));
                after
            }
            byte if is_raw(*byte) => {
                push_encoded(*byte, out);
                after
            }
            _ => return Err(TargetError::Character),
        };
    }
    Ok(())
}

/// Appends the character whose escapes `text` begins with; returns what follows.
fn push_escape<'a>(text: &'a [u8], out: &mut String) -> Result<&'a [u8], TargetError> {
    let (first, mut rest) = split_escape(text).ok_or(TargetError::Escape)?;
    match first {
        0 => return Err(TargetError::EncodedNul),
        b'/' | b'\\' => return Err(TargetError::EncodedSlash),
        byte if is_unreserved(byte) => out.push(char::from(byte)),
        byte if byte.is_ascii() => push_encoded(byte, out),
        lead => {
            let mut bytes = [lead, 0, 0, 0];
            let len = utf8_len(lead).ok_or(TargetError::Utf8)?;
            for byte in &mut bytes[1..len] {
                (*byte, rest) = split_escape(rest).ok_or(TargetError::Utf8)?;
            }
            std::str::from_utf8(&bytes[..len]).map_err(|_| TargetError::Utf8)?;
            bytes[..len].iter().for_each(|byte| push_encoded(*byte, out));
        }
    }
    Ok(rest)
}

/// The byte that `%XX` at the beginning of `text` stands for, and what follows.
fn split_escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, rest @ ..] = text else { return None };
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(high)? << 4 | digit(low)?, rest))
}

/// How many bytes a UTF-8 sequence with this first byte has; `None` if no sequence begins so.
fn utf8_len(lead: u8) -> Option<usize> {
    match lead {
        0xc2..=0xdf => Some(2),
        0xe0..=0xef => Some(3),
        0xf0..=0xf4 => Some(4),
        _ => None,
    }
}

fn push_encoded(byte: u8, out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}
