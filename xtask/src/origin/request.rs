//! Just enough of HTTP/1.1 requests for a backend that trusts its proxy.

use std::time::Duration;

use memchr::memmem;

/// Longest `/delay`.
const DELAY_MAX: Duration = Duration::from_secs(60);

/// What the bytes hold.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    /// The head's end has not come yet.
    Partial,
    /// A whole head.
    Head {
        /// With its empty line, in bytes.
        length: usize,
        /// Path and query.
        target: &'a [u8],
        /// What follows.
        body: Body,
    },
}

/// What is left of a request's body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// Nothing.
    None,
    /// This many bytes, not 0.
    Length(u64),
    /// Chunks; at the start of this part.
    Chunked(Part),
}

/// A place in a chunked body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// In the line of a chunk's size, which is this so far.
    Size(u64),
    /// In the rest of that line.
    Extension(u64),
    /// In a chunk (with its line end) of which this is left.
    Data(u64),
    /// In the trailers, in a line that is empty so far or not.
    Trailer(Line),
    /// Behind the last line end.
    Over,
}

/// A trailer line so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Nothing yet: a line end here ends the body.
    Empty,
    /// Part of a field.
    Field,
}

/// Reads one head.
pub(crate) fn parse(bytes: &[u8]) -> Parsed<'_> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return Parsed::Partial };
    let length = end + 4;
    let line_end = memchr::memchr(b'\r', bytes).unwrap_or(end);
    let mut words = bytes[..line_end].split(|&byte| byte == b' ');
    let method = words.next().unwrap_or_default();
    let target = words.next().unwrap_or_default();
    let body = if method == b"GET" { Body::None } else { body(&bytes[line_end..end]) };
    Parsed::Head { length, target, body }
}

/// The wait that `/delay?ms=N` asks for.
pub(crate) fn delay(target: &[u8]) -> Option<Duration> {
    let digits = target.strip_prefix(b"/delay?ms=")?;
    let millis = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(Duration::from_millis(millis).min(DELAY_MAX))
}

fn body(fields: &[u8]) -> Body {
    for line in fields.split(|&byte| byte == b'\n') {
        let Some(colon) = memchr::memchr(b':', line) else { continue };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok()).unwrap_or(0);
            return if length == 0 { Body::None } else { Body::Length(length) };
        }
        if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Body::Chunked(Part::Size(0));
        }
    }
    Body::None
}

impl Body {
    /// Whether the whole body has come.
    pub(crate) fn is_over(&self) -> bool {
        *self == Self::None
    }

    /// Takes what belongs to the body and says how many bytes that was; `None`: the framing is broken.
    pub(crate) fn skip(&mut self, bytes: &[u8]) -> Option<usize> {
        match self {
            Self::None => Some(0),
            Self::Length(left) => {
                let used = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= used as u64;
                if *left == 0 {
                    *self = Self::None;
                }
                Some(used)
            }
            Self::Chunked(part) => {
                let mut used = 0;
                while used < bytes.len() {
                    used += part.skip(&bytes[used..])?;
                    if *part == Part::Over {
                        *self = Self::None;
                        break;
                    }
                }
                Some(used)
            }
        }
    }
}

impl Part {
    fn skip(&mut self, bytes: &[u8]) -> Option<usize> {
        let byte = bytes[0];
        match self {
            Self::Data(left) => {
                let used = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                *left -= used as u64;
                if *left == 0 {
                    *self = Self::Size(0);
                }
                return Some(used);
            }
            Self::Size(size) | Self::Extension(size) if byte == b'\n' => {
                *self =
                    if *size == 0 { Self::Trailer(Line::Empty) } else { Self::Data(size.checked_add(2)?) };
            }
            Self::Size(size) => match char::from(byte).to_digit(16) {
                Some(digit) => *size = size.checked_mul(16)?.checked_add(digit.into())?,
                None => *self = Self::Extension(*size),
            },
            Self::Extension(_) => {}
            Self::Trailer(Line::Empty) if byte == b'\n' => *self = Self::Over,
            Self::Trailer(line) if byte == b'\n' => *line = Line::Empty,
            Self::Trailer(line) if byte != b'\r' => *line = Line::Field,
            Self::Trailer(_) | Self::Over => {}
        }
        Some(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], rest_after: &[u8]) {
        for cut in 0..bytes.len() {
            let mut body = Body::Chunked(Part::Size(0));
            let mut used = body.skip(&bytes[..cut]).expect("well framed");
            if used == cut {
                used += body.skip(&bytes[cut..]).expect("well framed");
            }
            assert!(body.is_over(), "cut at {cut}");
            assert_eq!(&bytes[used..], rest_after, "cut at {cut}");
        }
    }

    #[test]
    fn chunked_bodies_end_at_their_last_byte() {
        check(b"5\r\nhello\r\n0\r\n\r\n", b"");
        check(b"A;x=y\r\n0123456789\r\n1\r\nz\r\n0\r\nSum: 1\r\n\r\n", b"");
    }

    #[test]
    fn the_next_request_stays() {
        let mut body = Body::Chunked(Part::Size(0));
        let bytes = b"1\r\na\r\n0\r\n\r\nGET /";
        let used = body.skip(bytes).expect("well framed");
        assert_eq!(&bytes[used..], b"GET /");
    }

    #[test]
    fn a_head_names_target_and_body() {
        let bytes = b"POST /sink?a HTTP/1.1\r\ncontent-LENGTH: 12\r\n\r\nxx";
        let expected = Parsed::Head { length: bytes.len() - 2, target: b"/sink?a", body: Body::Length(12) };
        assert_eq!(parse(bytes), expected);
        assert_eq!(parse(&bytes[..30]), Parsed::Partial);
    }
}
