//! Request and response heads: parsed once, checked for every way two servers could disagree about them.

use std::mem::MaybeUninit;

use super::field::{Field, Name, Span};

/// Fields parsed without an allocation; heads with more pay for one.
const FIELDS_INLINE: usize = 64;

/// Longest method, in bytes; the longest registered one has 17.
pub(crate) const METHOD_BYTES_MAX: usize = 64;

/// Bounds on a head.
#[derive(Clone, Copy, Debug)]
pub struct HeadLimits {
    /// Whole head, in bytes.
    pub bytes: usize,
    /// Fields in it.
    pub fields: usize,
    /// Request target, in bytes.
    pub target: usize,
}

/// The version of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the versions")]
pub enum Version {
    Http10,
    Http11,
    Http2,
    Http3,
}

impl Version {
    /// Whether a message says by itself where it ends, so that its head need not (RFC 9113 §8.1).
    #[must_use]
    #[inline]
    pub const fn is_framed(self) -> bool {
        matches!(self, Self::Http2 | Self::Http3)
    }
}

/// Where a message's body ends (RFC 9112 §6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    None,
    /// After so many bytes.
    Length(u64),
    /// After the last chunk and its trailers.
    Chunked,
    /// With the connection; responses only.
    UntilClose,
}

/// What came of parsing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The head takes this many bytes.
    Complete(usize),
    /// More bytes are needed.
    Partial,
}

/// Why a head is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// Not HTTP: bad request or status line, field name, control character, bare CR or LF, folded line.
    Syntax(&'static str),
    /// A version other than HTTP/1.0 and HTTP/1.1.
    Version,
    /// The target exceeds `HeadLimits::target`.
    TargetTooLong,
    /// The head exceeds `HeadLimits::bytes`.
    TooLarge,
    /// More fields than `HeadLimits::fields`.
    TooManyFields,
    /// The body's length can be read in more than one way.
    Framing(&'static str),
    /// No `Host` in HTTP/1.1, or more than one.
    Host,
    /// A transfer coding besides `chunked`.
    TransferCoding,
}

/// A request's head. Reused from request to request; spans refer to the buffer it was parsed from.
#[derive(Debug)]
pub struct RequestHead {
    /// The method's bytes; case matters.
    pub method: Span,
    /// The request target as sent.
    pub target: Span,
    /// The version.
    pub version: Version,
    /// The fields in order.
    pub fields: Vec<Field>,
    /// How the body is delimited.
    pub framing: Framing,
    /// The client wants the connection to last.
    pub keep_alive: bool,
    /// The one `Host`, as sent.
    pub host: Option<Span>,
    /// `Connection` lists `upgrade`.
    pub connection_upgrade: bool,
    /// `Connection` lists fields besides the usual ones.
    connection_names: Vec<Span>,
}

/// A response's head. Reused like `RequestHead`.
#[derive(Debug)]
pub struct ResponseHead {
    /// 100 to 999.
    pub status: u16,
    /// The reason phrase.
    pub reason: Span,
    /// The version.
    pub version: Version,
    /// The fields in order.
    pub fields: Vec<Field>,
    /// How the body is delimited, given the request's method.
    pub framing: Framing,
    /// The server keeps the connection open after this.
    pub keep_alive: bool,
    /// There is a `Date`.
    pub has_date: bool,
    connection_names: Vec<Span>,
}

impl Default for RequestHead {
    fn default() -> Self {
        Self {
            method: Span::default(),
            target: Span::default(),
            version: Version::Http11,
            fields: Vec::with_capacity(FIELDS_INLINE),
            framing: Framing::None,
            keep_alive: false,
            host: None,
            connection_upgrade: false,
            connection_names: Vec::new(),
        }
    }
}

impl Default for ResponseHead {
    fn default() -> Self {
        Self {
            status: 0,
            reason: Span::default(),
            version: Version::Http11,
            fields: Vec::with_capacity(FIELDS_INLINE),
            framing: Framing::None,
            keep_alive: false,
            has_date: false,
            connection_names: Vec::new(),
        }
    }
}

impl RequestHead {
    /// Parses the head at the start of `bytes`.
    ///
    /// # Errors
    /// Anything RFC 9112 calls invalid, and what it allows a strict server to refuse. The connection must be
    /// closed after any of them: where the next message starts is unknown.
    pub fn parse(&mut self, bytes: &[u8], limits: &HeadLimits) -> Result<Outcome, HeadError> {
        self.fields.clear();
        self.connection_names.clear();
        self.host = None;
        self.connection_upgrade = false;
        let parsed = with_field_space(limits.fields, |space| {
            let mut request = httparse::Request::new(&mut []);
            match request.parse_with_uninit_headers(bytes, space) {
                Ok(httparse::Status::Partial) => Ok(Outcome::Partial),
                Ok(httparse::Status::Complete(len)) => {
                    self.method = Span::of(request.method.unwrap_or_default().as_bytes(), bytes);
                    self.target = Span::of(request.path.unwrap_or_default().as_bytes(), bytes);
                    self.version = version(request.version);
                    push_fields(&mut self.fields, request.headers, bytes);
                    Ok(Outcome::Complete(len))
                }
                Err(error) => Err(error),
            }
        });
        match parsed {
            Ok(Outcome::Complete(len)) => {
                if len > limits.bytes {
                    return Err(HeadError::TooLarge);
                }
                if self.method.len() > METHOD_BYTES_MAX {
                    return Err(HeadError::Syntax("method too long"));
                }
                if self.target.len() > limits.target {
                    return Err(HeadError::TargetTooLong);
                }
                if self.fields.len() > limits.fields {
                    return Err(HeadError::TooManyFields);
                }
                line_ends_are_crlf(&bytes[..len])?;
                self.settle(bytes)?;
                Ok(Outcome::Complete(len))
            }
            Ok(Outcome::Partial) => self.partial(bytes, limits),
            Err(error) => Err(request_error(error, bytes)),
        }
    }

    /// Makes it the empty head of a message that is framed by its protocol, for fields to be added.
    pub(crate) fn begin(&mut self, version: Version) {
        self.method = Span::default();
        self.target = Span::default();
        self.version = version;
        self.fields.clear();
        self.framing = Framing::None;
        self.keep_alive = true;
        self.host = None;
        self.connection_upgrade = false;
        self.connection_names.clear();
    }

    fn partial(&self, bytes: &[u8], limits: &HeadLimits) -> Result<Outcome, HeadError> {
        let line_end = memchr::memchr(b'\n', bytes);
        if line_end.is_none() && bytes.len() > limits.target + TARGET_SLACK {
            return Err(HeadError::TargetTooLong);
        }
        if bytes.len() >= limits.bytes {
            return Err(HeadError::TooLarge);
        }
        Ok(Outcome::Partial)
    }

    /// What the fields together mean.
    fn settle(&mut self, bytes: &[u8]) -> Result<(), HeadError> {
        let mut facts = Facts::default();
        for index in 0..self.fields.len() {
            let Field { known, value, .. } = self.fields[index];
            match known {
                Name::Host => {
                    if self.host.replace(value).is_some() {
                        return Err(HeadError::Host);
                    }
                }
                _ => facts.see(known, value, bytes, &mut self.connection_names)?,
            }
        }
        self.connection_upgrade = facts.upgrade;
        self.keep_alive = match self.version {
            Version::Http11 | Version::Http2 | Version::Http3 => !facts.close,
            Version::Http10 => facts.keep_alive && !facts.close,
        };
        if self.version == Version::Http11 && self.host.is_none() {
            return Err(HeadError::Host);
        }
        self.framing = facts.framing(self.version)?.unwrap_or(Framing::None);
        mark_connection_names(&mut self.fields, &self.connection_names, bytes);
        Ok(())
    }
}

/// Method, spaces and version around a target.
const TARGET_SLACK: usize = 64;

impl ResponseHead {
    /// Parses the head at the start of `bytes`; `to_head` says that the request was a HEAD.
    ///
    /// # Errors
    /// As for requests. The connection to the server must not be used again after any of them.
    pub fn parse(&mut self, bytes: &[u8], limits: &HeadLimits, to_head: bool) -> Result<Outcome, HeadError> {
        self.fields.clear();
        self.connection_names.clear();
        let parsed = with_field_space(limits.fields, |space| {
            let mut response = httparse::Response::new(&mut []);
            let config = httparse::ParserConfig::default();
            match config.parse_response_with_uninit_headers(&mut response, bytes, space) {
                Ok(httparse::Status::Partial) => Ok(Outcome::Partial),
                Ok(httparse::Status::Complete(len)) => {
                    self.status = response.code.unwrap_or_default();
                    self.reason = match response.reason {
                        Some(reason) if !reason.is_empty() => Span::of(reason.as_bytes(), bytes),
                        _ => Span::default(),
                    };
                    self.version = version(response.version);
                    push_fields(&mut self.fields, response.headers, bytes);
                    Ok(Outcome::Complete(len))
                }
                Err(error) => Err(error),
            }
        });
        match parsed {
            Ok(Outcome::Complete(len)) => {
                if len > limits.bytes {
                    return Err(HeadError::TooLarge);
                }
                if self.fields.len() > limits.fields {
                    return Err(HeadError::TooManyFields);
                }
                line_ends_are_crlf(&bytes[..len])?;
                self.settle(bytes, to_head)?;
                Ok(Outcome::Complete(len))
            }
            Ok(Outcome::Partial) if bytes.len() >= limits.bytes => Err(HeadError::TooLarge),
            Ok(Outcome::Partial) => Ok(Outcome::Partial),
            Err(httparse::Error::Version) => Err(HeadError::Version),
            Err(error) => Err(syntax_error(error)),
        }
    }

    /// Makes it the empty head of a message that is framed by its protocol, for fields to be added.
    pub(crate) fn begin(&mut self, version: Version) {
        self.status = 0;
        self.reason = Span::default();
        self.version = version;
        self.fields.clear();
        self.framing = Framing::None;
        self.keep_alive = true;
        self.has_date = false;
        self.connection_names.clear();
    }

    /// An interim response: 100 to 199.
    #[must_use]
    pub const fn is_interim(&self) -> bool {
        self.status < 200
    }

    fn settle(&mut self, bytes: &[u8], to_head: bool) -> Result<(), HeadError> {
        if self.status < 100 {
            return Err(HeadError::Syntax("status below 100"));
        }
        let mut facts = Facts::default();
        self.has_date = false;
        for index in 0..self.fields.len() {
            let Field { known, value, .. } = self.fields[index];
            match known {
                Name::Date => self.has_date = true,
                _ => facts.see(known, value, bytes, &mut self.connection_names)?,
            }
        }
        self.keep_alive = match self.version {
            Version::Http11 | Version::Http2 | Version::Http3 => !facts.close,
            Version::Http10 => facts.keep_alive && !facts.close,
        };
        let framing = facts.framing(self.version)?;
        let bodiless = to_head || self.is_interim() || matches!(self.status, 204 | 304);
        self.framing = if bodiless { Framing::None } else { framing.unwrap_or(Framing::UntilClose) };
        mark_connection_names(&mut self.fields, &self.connection_names, bytes);
        Ok(())
    }
}

/// Gathers what decides framing and persistence while the fields go by.
#[derive(Default)]
struct Facts {
    length: Option<u64>,
    coding: Option<Coding>,
    close: bool,
    keep_alive: bool,
    upgrade: bool,
}

#[derive(Clone, Copy)]
enum Coding {
    Chunked,
    Unsupported,
}

impl Facts {
    #[inline]
    fn see(
        &mut self,
        known: Name,
        value: Span,
        bytes: &[u8],
        names: &mut Vec<Span>,
    ) -> Result<(), HeadError> {
        match known {
            Name::ContentLength => {
                let length = parse_length(value.of_head(bytes))?;
                if self.length.replace(length).is_some() {
                    return Err(HeadError::Framing("more than one Content-Length"));
                }
            }
            Name::TransferEncoding => {
                let coding = parse_coding(value.of_head(bytes))?;
                if self.coding.replace(coding).is_some() {
                    return Err(HeadError::Framing("more than one Transfer-Encoding"));
                }
            }
            Name::Connection => self.see_connection(value, bytes, names),
            _ => {}
        }
        Ok(())
    }

    fn see_connection(&mut self, value: Span, bytes: &[u8], names: &mut Vec<Span>) {
        let text = value.of_head(bytes);
        for item in text.split(|byte| *byte == b',') {
            let item = item.trim_ascii();
            match item {
                b"" => {}
                _ if item.eq_ignore_ascii_case(b"close") => self.close = true,
                _ if item.eq_ignore_ascii_case(b"keep-alive") => self.keep_alive = true,
                _ if item.eq_ignore_ascii_case(b"upgrade") => self.upgrade = true,
                _ => names.push(Span::of(item, bytes)),
            }
        }
    }

    fn framing(&self, version: Version) -> Result<Option<Framing>, HeadError> {
        match (self.coding, self.length) {
            (Some(_), Some(_)) => Err(HeadError::Framing("Content-Length with Transfer-Encoding")),
            (Some(_), None) if version == Version::Http10 => {
                Err(HeadError::Framing("Transfer-Encoding in HTTP/1.0"))
            }
            (Some(Coding::Chunked), None) => Ok(Some(Framing::Chunked)),
            (Some(Coding::Unsupported), None) => Err(HeadError::TransferCoding),
            (None, Some(length)) => Ok(Some(Framing::Length(length))),
            (None, None) => Ok(None),
        }
    }
}

/// Digits and nothing else: no sign, no list, no white space, no overflow.
pub(crate) fn parse_length(text: &[u8]) -> Result<u64, HeadError> {
    let error = HeadError::Framing("Content-Length is not a number");
    if text.is_empty() || text.len() > 19 {
        return Err(error);
    }
    let mut length = 0u64;
    for byte in text {
        if !byte.is_ascii_digit() {
            return Err(error);
        }
        length = length * 10 + u64::from(byte - b'0');
    }
    Ok(length)
}

/// Exactly `chunked`; several codings that end in one `chunked` are well-formed but unsupported.
fn parse_coding(text: &[u8]) -> Result<Coding, HeadError> {
    if text.eq_ignore_ascii_case(b"chunked") {
        return Ok(Coding::Chunked);
    }
    let mut codings = text.rsplit(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let last_is_chunked = codings.next().is_some_and(|last| last.eq_ignore_ascii_case(b"chunked"));
    let known = |coding: &[u8]| {
        [&b"gzip"[..], b"x-gzip", b"deflate", b"compress", b"x-compress"]
            .iter()
            .any(|name| coding.eq_ignore_ascii_case(name))
    };
    if last_is_chunked && codings.all(known) {
        return Ok(Coding::Unsupported);
    }
    Err(HeadError::Framing("Transfer-Encoding does not end in one chunked"))
}

fn mark_connection_names(fields: &mut [Field], names: &[Span], bytes: &[u8]) {
    for name in names {
        let name = name.of_head(bytes);
        for field in &mut *fields {
            if field.name.of_head(bytes).eq_ignore_ascii_case(name) {
                field.hop_by_hop = true;
            }
        }
    }
}

#[inline]
fn push_fields(fields: &mut Vec<Field>, headers: &[httparse::Header<'_>], bytes: &[u8]) {
    for header in headers {
        let name = header.name.as_bytes();
        let underscore = has_underscore(name);
        let known = if underscore { Name::of_underscored(name) } else { Name::classify_here(name) };
        fields.push(Field {
            name: Span::of(name, bytes),
            value: Span::of(header.value, bytes),
            known,
            hop_by_hop: known.is_hop_by_hop(),
            underscore,
        });
    }
}

/// Names are short: a loop without a branch beats a search.
#[inline]
pub(crate) fn has_underscore(name: &[u8]) -> bool {
    name.iter().fold(false, |found, byte| found | (*byte == b'_'))
}

/// `httparse` takes a lone LF for a line end; other servers do not.
fn line_ends_are_crlf(head: &[u8]) -> Result<(), HeadError> {
    // One pass without a branch is cheaper than looking for the few line ends one by one.
    let after = head.get(1..).unwrap_or_default();
    let lone = head.iter().zip(after).fold(head.first() == Some(&b'\n'), |lone, (before, byte)| {
        lone | ((*byte == b'\n') & (*before != b'\r'))
    });
    if lone { Err(HeadError::Syntax("bare LF")) } else { Ok(()) }
}

fn version(minor: Option<u8>) -> Version {
    if minor == Some(0) { Version::Http10 } else { Version::Http11 }
}

fn request_error(error: httparse::Error, bytes: &[u8]) -> HeadError {
    match error {
        httparse::Error::Version if names_a_version(bytes) => HeadError::Version,
        httparse::Error::Version => HeadError::Syntax("not an HTTP version"),
        other => syntax_error(other),
    }
}

/// Whether the first line is method, target and a version that is neither 1.0 nor 1.1, so that 505 is fairer
/// than 400.
fn names_a_version(bytes: &[u8]) -> bool {
    let line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let mut words = line.split(|byte| *byte == b' ');
    let (Some(_), Some(_), Some(version), None) = (words.next(), words.next(), words.next(), words.next())
    else {
        return false;
    };
    matches!(version, [b'H', b'T', b'T', b'P', b'/', major, b'.', minor]
        if major.is_ascii_digit() && minor.is_ascii_digit() && !matches!((major, minor), (b'1', b'0' | b'1')))
}

fn syntax_error(error: httparse::Error) -> HeadError {
    match error {
        httparse::Error::HeaderName => HeadError::Syntax("invalid field name"),
        httparse::Error::HeaderValue => HeadError::Syntax("invalid field value"),
        httparse::Error::NewLine => HeadError::Syntax("invalid line end"),
        httparse::Error::Status => HeadError::Syntax("invalid status line"),
        httparse::Error::Token => HeadError::Syntax("invalid request line"),
        httparse::Error::TooManyHeaders => HeadError::TooManyFields,
        httparse::Error::Version => HeadError::Syntax("invalid version"),
    }
}

/// Runs `parse` with room for header references: on the stack for common heads, else once more on the heap.
fn with_field_space<'a>(
    fields_max: usize,
    mut parse: impl FnMut(&mut [MaybeUninit<httparse::Header<'a>>]) -> Result<Outcome, httparse::Error>,
) -> Result<Outcome, httparse::Error> {
    let mut inline = [const { MaybeUninit::uninit() }; FIELDS_INLINE];
    match parse(&mut inline) {
        Err(httparse::Error::TooManyHeaders) if fields_max > FIELDS_INLINE => {
            let mut space = vec![MaybeUninit::uninit(); fields_max];
            parse(&mut space)
        }
        parsed => parsed,
    }
}
