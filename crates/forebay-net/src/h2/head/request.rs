//! Heads of requests as they come in (RFC 9113 §8.3.1, RFC 8441).

use super::Malformed;
use super::rules::{Budget, check_connection, check_visible, copy, copy_field, judge};

use crate::h1::{Framing, HeadError, METHOD_BYTES_MAX, Name, RequestHead, Span, Version, parse_length};
use crate::h2::Limits;
use crate::h2::hpack::{Decoder, HpackError, Seen, Verdict};

const COOKIE: Verdict = Verdict { known: Name::Other, underscore: false };

/// A request's head with the bytes that its spans refer to. Meant to be used again and again.
#[derive(Debug, Default)]
pub struct Request {
    /// What the spans refer to.
    pub bytes: Vec<u8>,
    /// The head. `host` is `:authority`, or `Host` without one; a `Host` that was sent stands among the fields too.
    /// `Framing::Chunked` stands for a body of unknown length. The target of a plain CONNECT is its authority.
    pub head: RequestHead,
    /// `:protocol`, which makes a CONNECT an extended one.
    pub protocol: Option<Span>,
    /// Whether `:scheme` is `https`.
    pub secure: bool,
    /// Bytes that the DATA frames must have together, if the client has said so.
    pub length: Option<u64>,
    /// The head goes beyond the limits and is to be answered accordingly; it holds what came before that.
    pub error: Option<HeadError>,
}

/// Takes the fields of a request one by one.
#[derive(Debug)]
pub struct RequestAssembler<'a> {
    into: &'a mut Request,
    budget: Budget,
    extended_connect: bool,
    malformed: Option<Malformed>,
    method: Option<Span>,
    scheme: Option<Span>,
    authority: Option<Span>,
    path: Option<Span>,
    host: Option<Span>,
    /// No pseudo-header field may follow.
    regular: bool,
    /// Place of the `cookie` field.
    cookie: Option<usize>,
    /// Crumbs that came when other fields had followed the first ones.
    late_crumbs: Vec<u8>,
}

impl<'a> RequestAssembler<'a> {
    /// Begins a head, forgetting what `into` holds. `extended_connect`: we have announced that we understand it.
    pub fn new(into: &'a mut Request, limits: &Limits, extended_connect: bool) -> Self {
        let Request { bytes, head, protocol, secure, length, error } = &mut *into;
        bytes.clear();
        head.begin(Version::Http2);
        *protocol = None;
        *secure = false;
        *length = None;
        *error = None;
        Self {
            into,
            budget: Budget::new(limits),
            extended_connect,
            malformed: None,
            method: None,
            scheme: None,
            authority: None,
            path: None,
            host: None,
            regular: false,
            cookie: None,
            late_crumbs: Vec::new(),
        }
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
            self.take_pseudo(name, value).map(|taken| taken.map(|()| None))
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

    fn take_pseudo(&mut self, name: &[u8], value: &[u8]) -> Result<Result<(), HeadError>, Malformed> {
        if self.regular {
            return Err(Malformed("pseudo-header field after a regular one"));
        }
        if let Err(error) = self.budget.count(name, value) {
            return Ok(Err(error));
        }
        check_visible(value)?;
        let slot = match name {
            b":method" => &mut self.method,
            b":scheme" => &mut self.scheme,
            b":authority" => &mut self.authority,
            b":path" => &mut self.path,
            b":protocol" if self.extended_connect => &mut self.into.protocol,
            _ => return Err(Malformed("unknown pseudo-header field")),
        };
        if slot.replace(copy(&mut self.into.bytes, value)).is_some() {
            return Err(Malformed("pseudo-header field twice"));
        }
        Ok(Ok(()))
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
        if known == Name::Other && name == b"cookie" {
            return Ok(self.take_crumb(value).map(|()| verdict));
        }
        if let Err(error) = self.budget.count_regular(name, value) {
            return Ok(Err(error));
        }
        let field = copy_field(&mut self.into.bytes, verdict, name, value);
        match known {
            Name::Host if self.host.replace(field.value).is_some() => return Err(Malformed("host twice")),
            Name::ContentLength => {
                let length = parse_length(value).map_err(|_| Malformed("content-length is not a number"))?;
                if self.into.length.replace(length).is_some() {
                    return Err(Malformed("content-length twice"));
                }
            }
            _ => {}
        }
        self.into.head.fields.push(field);
        Ok(Ok(verdict))
    }

    /// Joins the crumbs of a cookie (RFC 9113 §8.2.3).
    fn take_crumb(&mut self, value: &[u8]) -> Result<(), HeadError> {
        let Request { bytes, head, .. } = &mut *self.into;
        let Some(place) = self.cookie else {
            self.budget.count_crumb(b"")?;
            self.budget.count(b"cookie", value)?;
            self.cookie = Some(head.fields.len());
            head.fields.push(copy_field(bytes, COOKIE, b"cookie", value));
            return Ok(());
        };
        self.budget.count_crumb(value)?;
        if place + 1 == head.fields.len() {
            let span = &mut head.fields[place].value;
            let start = bytes.len() - span.len();
            bytes.extend_from_slice(b"; ");
            bytes.extend_from_slice(value);
            *span = Span::new(start, bytes.len() - start);
        } else {
            self.late_crumbs.extend_from_slice(b"; ");
            self.late_crumbs.extend_from_slice(value);
        }
        Ok(())
    }

    /// Ends the head; `end`: no body follows.
    ///
    /// # Errors
    /// It is malformed. A head beyond the limits is not, if nothing else is wrong with what was read of it.
    pub fn finish(mut self, end: bool) -> Result<(), Malformed> {
        if let Some(malformed) = self.malformed {
            return Err(malformed);
        }
        self.join_late_crumbs();
        self.settle_line()?;
        self.settle_host()?;
        self.settle_body(end)
    }

    fn join_late_crumbs(&mut self) {
        let Request { bytes, head, .. } = &mut *self.into;
        if let Some(place) = self.cookie
            && !self.late_crumbs.is_empty()
        {
            let start = bytes.len();
            let early = head.fields[place].value.of_head(bytes).to_vec();
            bytes.extend_from_slice(&early);
            bytes.extend_from_slice(&self.late_crumbs);
            head.fields[place].value = Span::new(start, bytes.len() - start);
        }
    }

    /// Method, scheme and path: what the request line of HTTP/1.1 says.
    fn settle_line(&mut self) -> Result<(), Malformed> {
        let cut_short = self.into.error.is_some();
        let Request { bytes, head, secure, protocol, .. } = &mut *self.into;
        let missing = |span: Option<Span>, what| match span {
            Some(span) => Ok(span),
            // It may have been among what was not read.
            None if cut_short => Ok(Span::default()),
            None => Err(Malformed(what)),
        };
        head.method = missing(self.method, "no :method")?;
        let method = head.method.of_head(bytes);
        if self.method.is_some() && !is_token(method) {
            return Err(Malformed("invalid :method"));
        }
        let connect = method == b"CONNECT";
        if protocol.is_some() && !connect {
            return Err(Malformed(":protocol without CONNECT"));
        }
        if connect && protocol.is_none() {
            if self.scheme.is_some() || self.path.is_some() {
                return Err(Malformed("CONNECT with :scheme or :path"));
            }
            head.target = missing(self.authority, "CONNECT without :authority")?;
            return Ok(());
        }
        if let Some(protocol) = protocol
            && !is_token(protocol.of_head(bytes))
        {
            return Err(Malformed("invalid :protocol"));
        }
        let scheme = missing(self.scheme, "no :scheme")?.of_head(bytes);
        *secure = scheme.eq_ignore_ascii_case(b"https");
        if self.scheme.is_some() && !*secure && !scheme.eq_ignore_ascii_case(b"http") {
            return Err(Malformed(":scheme is neither http nor https"));
        }
        head.target = missing(self.path, "no :path")?;
        match head.target.of_head(bytes) {
            [b'/', ..] => Ok(()),
            b"*" if method == b"OPTIONS" => Ok(()),
            _ if self.path.is_none() => Ok(()),
            _ => Err(Malformed("invalid :path")),
        }
    }

    fn settle_host(&mut self) -> Result<(), Malformed> {
        let Request { bytes, head, secure, error, .. } = &mut *self.into;
        head.host = self.authority.or(self.host);
        let Some(host) = head.host else {
            return if error.is_some() { Ok(()) } else { Err(Malformed("neither :authority nor host")) };
        };
        let text = host.of_head(bytes);
        if text.is_empty() {
            return Err(Malformed("empty authority"));
        }
        check_visible(text)?;
        if text.iter().any(|byte| matches!(byte, b'@' | b'/' | b'?' | b'#' | b'\\' | b',')) {
            return Err(Malformed("invalid authority"));
        }
        if self.authority.is_some()
            && let Some(other) = self.host
            && !is_same_authority(text, other.of_head(bytes), *secure)
        {
            return Err(Malformed("host differs from :authority"));
        }
        Ok(())
    }

    fn settle_body(&mut self, end: bool) -> Result<(), Malformed> {
        let Request { bytes, head, length, .. } = &mut *self.into;
        if length.is_some() && head.method.of_head(bytes) == b"CONNECT" {
            return Err(Malformed("CONNECT with content-length"));
        }
        head.framing = match *length {
            Some(1..) if end => return Err(Malformed("content-length without content")),
            Some(length) => Framing::Length(length),
            None if end => Framing::None,
            None => Framing::Chunked,
        };
        Ok(())
    }
}

fn is_token(text: &[u8]) -> bool {
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    (1..=METHOD_BYTES_MAX).contains(&text.len()) && text.iter().all(allowed)
}

/// Whether two authorities are the same but for case and the scheme's own port.
fn is_same_authority(one: &[u8], other: &[u8], secure: bool) -> bool {
    let port: &[u8] = if secure { b":443" } else { b":80" };
    let bare = |text: &'_ [u8]| text.strip_suffix(port).unwrap_or(text).to_ascii_lowercase();
    one.eq_ignore_ascii_case(other) || bare(one) == bare(other)
}
