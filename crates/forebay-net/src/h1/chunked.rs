//! The chunked transfer coding (RFC 9112 §7.1), decoded in place and written anew.

/// Bytes of chunk extensions in one chunk line; they are dropped, not forwarded.
const EXTENSION_BYTES_MAX: usize = 256;
/// Bytes of chunk extensions in one body: beyond it the sender is wasting our time on purpose.
const EXTENSION_BYTES_TOTAL_MAX: usize = 16 << 10;
/// Bytes of trailers after the last chunk.
const TRAILER_BYTES_MAX: usize = 8 << 10;
/// Fields among the trailers.
const TRAILER_FIELDS_MAX: usize = 32;
/// Hexadecimal digits of a chunk size: leading zeros beyond this are an attack on somebody's integer.
const SIZE_DIGITS_MAX: usize = 16;

/// Ends a chunk's data.
pub const CHUNK_END: &[u8] = b"\r\n";

/// Why a chunked body is refused. The connection must be closed after any of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkedError {
    /// Not the chunked grammar.
    Syntax(&'static str),
    /// Extensions or trailers beyond their bounds.
    TooLarge(&'static str),
}

/// What one step found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// Bytes taken from the input.
    pub(super) consumed: usize,
    /// Bytes of data, now at the start of the input.
    pub(super) data: usize,
}

/// A chunked body as it arrives.
#[derive(Debug, Default)]
pub struct Chunked {
    state: State,
    /// Data of the present chunk still to come, or its size so far.
    left: u64,
    digits: usize,
    extension: usize,
    extension_total: usize,
    quoted: bool,
    trailers: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Size,
    Extension,
    SizeLf,
    Data,
    DataCr,
    DataLf,
    TrailerStart,
    Trailer,
    TrailerLf,
    LastLf,
    Done,
}

impl Chunked {
    /// Whether the last chunk and its trailers have been seen.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Bytes of data that the present chunk has announced and that are still to come.
    pub(super) fn announced(&self) -> u64 {
        if matches!(self.state, State::SizeLf | State::Data) { self.left } else { 0 }
    }

    /// The trailer fields that may be passed on, each line ended by CRLF; empty until done.
    #[must_use]
    pub fn trailers(&self) -> &[u8] {
        if self.is_done() { &self.trailers } else { &[] }
    }

    /// Decodes `input` in place: chunk data is moved to its front.
    pub(super) fn decode(&mut self, input: &mut [u8]) -> Result<Step, ChunkedError> {
        let mut at = 0;
        let mut data = 0;
        while at < input.len() && self.state != State::Done {
            if self.state == State::Data {
                let available = input.len() - at;
                let take = usize::try_from(self.left).unwrap_or(usize::MAX).min(available);
                if data != at {
                    input.copy_within(at..at + take, data);
                }
                data += take;
                at += take;
                self.left -= take as u64;
                if self.left == 0 {
                    self.state = State::DataCr;
                }
            } else {
                self.take_byte(input[at])?;
                at += 1;
            }
        }
        Ok(Step { consumed: at, data })
    }

    fn take_byte(&mut self, byte: u8) -> Result<(), ChunkedError> {
        self.state = match self.state {
            State::Size => self.take_size(byte)?,
            State::Extension => self.take_extension(byte)?,
            State::SizeLf => self.end_size_line(byte)?,
            State::DataCr => expect(byte, b'\r', State::DataLf, "chunk data does not end in CRLF")?,
            State::DataLf => expect(byte, b'\n', State::Size, "chunk data does not end in CRLF")?,
            State::TrailerStart if byte == b'\r' => State::LastLf,
            State::TrailerStart | State::Trailer => self.take_trailer(byte)?,
            State::TrailerLf => {
                self.trailers.push(byte);
                expect(byte, b'\n', State::TrailerStart, "trailer line does not end in CRLF")?
            }
            State::LastLf => {
                let done = expect(byte, b'\n', State::Done, "body does not end in CRLF")?;
                self.keep_allowed_trailers()?;
                done
            }
            State::Data | State::Done => self.state,
        };
        Ok(())
    }

    fn take_size(&mut self, byte: u8) -> Result<State, ChunkedError> {
        let digit = match byte {
            b'0'..=b'9' => byte - b'0',
            b'a'..=b'f' => byte - b'a' + 10,
            b'A'..=b'F' => byte - b'A' + 10,
            b'\r' if self.digits > 0 => return Ok(State::SizeLf),
            b';' if self.digits > 0 => {
                self.extension = 0;
                self.quoted = false;
                return Ok(State::Extension);
            }
            _ => return Err(ChunkedError::Syntax("chunk size is not hexadecimal")),
        };
        self.digits += 1;
        if self.digits > SIZE_DIGITS_MAX {
            return Err(ChunkedError::Syntax("chunk size has too many digits"));
        }
        self.left = self.left << 4 | u64::from(digit);
        // Bodies are bounded far below this; a size near the top of 64 bits is there to overflow a sum.
        if self.left > u64::MAX >> 1 {
            return Err(ChunkedError::Syntax("chunk size is too large"));
        }
        Ok(State::Size)
    }

    fn take_extension(&mut self, byte: u8) -> Result<State, ChunkedError> {
        self.extension += 1;
        self.extension_total += 1;
        if self.extension > EXTENSION_BYTES_MAX || self.extension_total > EXTENSION_BYTES_TOTAL_MAX {
            return Err(ChunkedError::TooLarge("chunk extensions"));
        }
        match byte {
            b'\r' if !self.quoted => Ok(State::SizeLf),
            b'"' => {
                self.quoted = !self.quoted;
                Ok(State::Extension)
            }
            // Neither quoted pairs nor control characters: servers differ on where such an extension ends.
            b'\t' | b' '..=b'[' | b']'..=b'~' => Ok(State::Extension),
            _ => Err(ChunkedError::Syntax("invalid chunk extension")),
        }
    }

    fn end_size_line(&mut self, byte: u8) -> Result<State, ChunkedError> {
        let next = if self.left == 0 { State::TrailerStart } else { State::Data };
        self.digits = 0;
        expect(byte, b'\n', next, "chunk size line does not end in CRLF")
    }

    fn take_trailer(&mut self, byte: u8) -> Result<State, ChunkedError> {
        if self.trailers.len() >= TRAILER_BYTES_MAX {
            return Err(ChunkedError::TooLarge("trailers"));
        }
        self.trailers.push(byte);
        match byte {
            b'\r' => Ok(State::TrailerLf),
            b'\n' => Err(ChunkedError::Syntax("bare LF in trailers")),
            _ => Ok(State::Trailer),
        }
    }

    /// Checks the trailers' grammar and leaves only those that may be passed on (RFC 9110 §6.5.1).
    fn keep_allowed_trailers(&mut self) -> Result<(), ChunkedError> {
        if self.trailers.is_empty() {
            return Ok(());
        }
        self.trailers.extend_from_slice(b"\r\n");
        let mut space = [httparse::EMPTY_HEADER; TRAILER_FIELDS_MAX];
        let parsed = httparse::parse_headers(&self.trailers, &mut space);
        let Ok(httparse::Status::Complete((_, fields))) = parsed else {
            return Err(match parsed {
                Err(httparse::Error::TooManyHeaders) => ChunkedError::TooLarge("trailers"),
                _ => ChunkedError::Syntax("invalid trailer field"),
            });
        };
        let mut kept = Vec::new();
        for field in fields {
            let name = field.name.as_bytes();
            if is_framing(name) {
                return Err(ChunkedError::Syntax("framing field among the trailers"));
            }
            if is_allowed_in_trailers(name) {
                kept.extend_from_slice(name);
                kept.extend_from_slice(b": ");
                kept.extend_from_slice(field.value);
                kept.extend_from_slice(b"\r\n");
            }
        }
        self.trailers = kept;
        Ok(())
    }
}

fn expect(byte: u8, wanted: u8, next: State, error: &'static str) -> Result<State, ChunkedError> {
    if byte == wanted { Ok(next) } else { Err(ChunkedError::Syntax(error)) }
}

pub(crate) fn is_framing(name: &[u8]) -> bool {
    [&b"content-length"[..], b"transfer-encoding", b"host"].iter().any(|bad| name.eq_ignore_ascii_case(bad))
}

/// Fields that steer routing, authentication, caching or the body's meaning have no place after the body.
pub(crate) fn is_allowed_in_trailers(name: &[u8]) -> bool {
    const BARRED: [&[u8]; 26] = [
        b"age",
        b"authorization",
        b"cache-control",
        b"connection",
        b"content-encoding",
        b"content-range",
        b"content-type",
        b"cookie",
        b"date",
        b"expect",
        b"expires",
        b"forwarded",
        b"keep-alive",
        b"location",
        b"max-forwards",
        b"pragma",
        b"range",
        b"retry-after",
        b"set-cookie",
        b"te",
        b"trailer",
        b"upgrade",
        b"vary",
        b"via",
        b"x-real-ip",
        b"x-request-id",
    ];
    let barred = BARRED.iter().any(|bad| name.eq_ignore_ascii_case(bad));
    let prefixed =
        |prefix: &[u8]| name.len() >= prefix.len() && name[..prefix.len()].eq_ignore_ascii_case(prefix);
    !barred
        && !prefixed(b"proxy-")
        && !prefixed(b"x-forwarded-")
        && !prefixed(b"if-")
        && !name.contains(&b'_')
}

/// The line before a chunk of `len` bytes of data: returns its text and how much of it counts.
#[must_use]
pub fn chunk_start(len: usize) -> ([u8; 18], usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut text = [0; 18];
    let digits = (usize::BITS - len.leading_zeros()).div_ceil(4).max(1) as usize;
    for (place, slot) in text[..digits].iter_mut().enumerate() {
        *slot = HEX[len >> ((digits - 1 - place) * 4) & 15];
    }
    text[digits] = b'\r';
    text[digits + 1] = b'\n';
    (text, digits + 2)
}
