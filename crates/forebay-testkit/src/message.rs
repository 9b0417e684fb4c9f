//! Strict reading of HTTP/1 messages, for both ends of a test: whatever is not exactly right is an error.
//!
//! Written from RFC 9112 and on purpose not from the gateway's own codec, so that one can catch the other.

use std::fmt;
use std::io::{self, Read};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// Longest head either end of a test accepts.
const HEAD_MAX: usize = 256 << 10;

/// Header fields in the order they came, names as they were written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, String)>);

/// A request as an origin saw it.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// As written.
    pub method: String,
    /// As written.
    pub target: String,
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// As written.
    pub headers: Headers,
    /// The head's exact bytes, with the empty line.
    pub head: Vec<u8>,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// Fields after a chunked body.
    pub trailers: Headers,
}

/// A response as a client saw it.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// Three digits.
    pub status: u16,
    /// `HTTP/1.1` or `HTTP/1.0`.
    pub version: String,
    /// As written.
    pub headers: Headers,
    /// The head's exact bytes, with the empty line.
    pub head: Vec<u8>,
    /// The body, without its framing.
    pub body: Vec<u8>,
    /// Fields after a chunked body.
    pub trailers: Headers,
    /// The 1xx responses before it.
    pub interim: Vec<Response>,
}

/// Why a message did not arrive whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Broken {
    /// Closed before its first byte.
    Nothing,
    /// Closed in the middle.
    Truncated,
    /// Reset by the peer.
    Reset,
    /// The deadline passed.
    Late,
    /// Not HTTP as the RFC has it.
    Malformed(String),
}

/// How a message's body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// After this many bytes (none at all: 0).
    Length(u64),
    /// After the empty chunk.
    Chunked,
    /// With the connection.
    Close,
}

/// A stream with what was read of it but not yet used.
#[derive(Debug)]
pub struct Reader {
    stream: TcpStream,
    buffer: Vec<u8>,
    used: usize,
    deadline: Instant,
}

/// What is still to come of a body.
#[derive(Debug)]
pub struct Body {
    framing: Framing,
    /// Bytes of the current chunk still to come.
    chunk: u64,
    begun: bool,
    done: bool,
    /// Fields after a chunked body; complete once the body is.
    pub trailers: Headers,
}

impl Headers {
    /// The value of the first field of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }

    /// The values of all fields of that name, in order.
    #[must_use]
    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = self.0.iter().filter(|(field, _)| field.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// Whether the comma-separated field `name` lists `member`.
    #[must_use]
    pub fn lists(&self, name: &str, member: &str) -> bool {
        let members = self.all(name).into_iter().flat_map(|value| value.split(','));
        members.map(str::trim).any(|found| found.eq_ignore_ascii_case(member))
    }
}

impl Request {
    /// The framing of its body.
    pub fn framing(&self) -> Result<Framing, Broken> {
        Ok(declared(&self.version, &self.headers)?.unwrap_or(Framing::Length(0)))
    }
}

impl Response {
    /// The framing of its body when it answers `method`.
    pub fn framing(&self, method: &str) -> Result<Framing, Broken> {
        let declared = declared(&self.version, &self.headers)?;
        if self.status < 200 || self.status == 204 {
            return match declared {
                None => Ok(Framing::Length(0)),
                Some(_) => malformed(format!("a {} response with a body's framing", self.status)),
            };
        }
        if method == "HEAD" || self.status == 304 {
            return Ok(Framing::Length(0));
        }
        Ok(declared.unwrap_or(Framing::Close))
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Whether it says that the connection ends with it.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.headers.lists("connection", "close")
    }
}

impl fmt::Display for Response {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(2_000)]);
        write!(out, "{}{body}", String::from_utf8_lossy(&self.head))
    }
}

impl Reader {
    /// Reads from `stream`; every wait ends at `deadline` from now.
    #[must_use]
    pub fn new(stream: TcpStream, deadline: Duration) -> Self {
        Self { stream, buffer: Vec::new(), used: 0, deadline: Instant::now() + deadline }
    }

    /// The time by which every further read must succeed, from now.
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = Instant::now() + deadline;
    }

    /// The bytes read but not used.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        &self.buffer[self.used..]
    }

    /// Waits for more bytes; `false` at the end of the stream.
    pub fn fill(&mut self) -> Result<bool, Broken> {
        if self.used == self.buffer.len() {
            self.buffer.clear();
            self.used = 0;
        }
        let mut piece = [0; 32 << 10];
        let wait = self.deadline.saturating_duration_since(Instant::now());
        if wait.is_zero() {
            return Err(Broken::Late);
        }
        // Fails only for a zero timeout, which was just excluded.
        let _ = self.stream.set_read_timeout(Some(wait));
        match self.stream.read(&mut piece) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.buffer.extend_from_slice(&piece[..count]);
                Ok(true)
            }
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Err(Broken::Late),
                io::ErrorKind::Interrupted => Ok(true),
                _ => Err(Broken::Reset),
            },
        }
    }

    /// A request's head. `Broken::Nothing` when the peer closes before its first byte.
    pub fn request(&mut self) -> Result<Request, Broken> {
        let head = self.head()?;
        let (line, headers) = split(&head)?;
        let parts: Vec<&str> = line.split(' ').collect();
        let [method, target, version] = parts[..] else {
            return malformed(format!("request line {line:?}"));
        };
        if !token(method) || target.is_empty() || !matches!(version, "HTTP/1.1" | "HTTP/1.0") {
            return malformed(format!("request line {line:?}"));
        }
        let (method, target, version) = (method.into(), target.into(), version.into());
        Ok(Request { method, target, version, headers, head, ..Request::default() })
    }

    /// A response's head. `Broken::Nothing` when the peer closes before its first byte.
    pub fn response(&mut self) -> Result<Response, Broken> {
        let head = self.head()?;
        let (line, headers) = split(&head)?;
        let bytes = line.as_bytes();
        let shaped = bytes.len() >= 13
            && (line.starts_with("HTTP/1.1 ") || line.starts_with("HTTP/1.0 "))
            && bytes[9..12].iter().all(u8::is_ascii_digit)
            && bytes[12] == b' ';
        if !shaped {
            return malformed(format!("status line {line:?}"));
        }
        let status = line[9..12].parse().unwrap_or(0);
        Ok(Response { status, version: line[..8].into(), headers, head, ..Response::default() })
    }

    /// A head's exact bytes, through its empty line.
    fn head(&mut self) -> Result<Vec<u8>, Broken> {
        loop {
            if let Some(end) = find(self.rest(), b"\r\n\r\n") {
                let head = self.rest()[..end + 4].to_vec();
                self.used += end + 4;
                return Ok(head);
            }
            if self.rest().len() > HEAD_MAX {
                return malformed("a head without end");
            }
            if !self.fill()? {
                return Err(if self.rest().is_empty() { Broken::Nothing } else { Broken::Truncated });
            }
        }
    }

    /// One line, without its CRLF.
    fn line(&mut self) -> Result<Vec<u8>, Broken> {
        loop {
            if let Some(end) = find(self.rest(), b"\r\n") {
                let line = self.rest()[..end].to_vec();
                self.used += end + 2;
                return Ok(line);
            }
            if self.rest().len() > HEAD_MAX {
                return malformed("a line without end");
            }
            self.need()?;
        }
    }

    /// At most `max` of the bytes to come, at least one.
    fn some(&mut self, max: u64) -> Result<Vec<u8>, Broken> {
        if self.rest().is_empty() {
            self.need()?;
        }
        let take = self.rest().len().min(usize::try_from(max).unwrap_or(usize::MAX));
        let piece = self.rest()[..take].to_vec();
        self.used += take;
        Ok(piece)
    }

    fn need(&mut self) -> Result<(), Broken> {
        if self.fill()? { Ok(()) } else { Err(Broken::Truncated) }
    }
}

impl Body {
    /// A body that ends as `framing` says.
    #[must_use]
    pub fn new(framing: Framing) -> Self {
        Self { framing, chunk: 0, begun: false, done: false, trailers: Headers::default() }
    }

    /// The next piece of content as it comes; `None` once the body is complete.
    pub fn next(&mut self, reader: &mut Reader) -> Result<Option<Vec<u8>>, Broken> {
        if self.done {
            return Ok(None);
        }
        match self.framing {
            Framing::Length(0) => {
                self.done = true;
                Ok(None)
            }
            Framing::Length(left) => {
                let piece = reader.some(left)?;
                self.framing = Framing::Length(left - piece.len() as u64);
                Ok(Some(piece))
            }
            Framing::Close => {
                if reader.rest().is_empty() && !reader.fill()? {
                    self.done = true;
                    return Ok(None);
                }
                reader.some(u64::MAX).map(Some)
            }
            Framing::Chunked => self.next_of_chunk(reader),
        }
    }

    fn next_of_chunk(&mut self, reader: &mut Reader) -> Result<Option<Vec<u8>>, Broken> {
        if self.chunk == 0 {
            if self.begun && !reader.line()?.is_empty() {
                return malformed("no CRLF after a chunk's data");
            }
            self.begun = true;
            let line = reader.line()?;
            self.chunk = chunk_size(&line)?;
            if self.chunk == 0 {
                self.trailers = trailers(reader)?;
                self.done = true;
                return Ok(None);
            }
        }
        let piece = reader.some(self.chunk)?;
        self.chunk -= piece.len() as u64;
        Ok(Some(piece))
    }

    /// The whole of it, appended to `content`, which keeps what came when the rest did not.
    pub fn collect(&mut self, reader: &mut Reader, content: &mut Vec<u8>) -> Result<(), Broken> {
        while let Some(piece) = self.next(reader)? {
            content.extend_from_slice(&piece);
        }
        Ok(())
    }
}

/// The framing that the fields declare, if they do.
fn declared(version: &str, headers: &Headers) -> Result<Option<Framing>, Broken> {
    let (lengths, codings) = (headers.all("content-length"), headers.all("transfer-encoding"));
    match (&lengths[..], &codings[..]) {
        ([], []) => Ok(None),
        ([length], []) => {
            let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
            match length.parse() {
                Ok(length) if digits => Ok(Some(Framing::Length(length))),
                _ => malformed(format!("content-length {length:?}")),
            }
        }
        ([], [coding]) if coding.eq_ignore_ascii_case("chunked") && version == "HTTP/1.1" => {
            Ok(Some(Framing::Chunked))
        }
        _ => malformed(format!("content-length {lengths:?} with transfer-encoding {codings:?}")),
    }
}

/// The size a chunk's first line tells. The gateway frames anew, so it has no reason to send extensions.
fn chunk_size(line: &[u8]) -> Result<u64, Broken> {
    let text = String::from_utf8_lossy(line);
    if line.is_empty() || line.len() > 16 || !line.iter().all(u8::is_ascii_hexdigit) {
        return malformed(format!("chunk size {text:?}"));
    }
    u64::from_str_radix(&text, 16).or_else(|_| malformed(format!("chunk size {text:?}")))
}

fn trailers(reader: &mut Reader) -> Result<Headers, Broken> {
    let mut trailers = Headers::default();
    loop {
        let line = reader.line()?;
        if line.is_empty() {
            return Ok(trailers);
        }
        trailers.0.push(field(&line)?);
    }
}

/// The first line and the fields of a head.
fn split(head: &[u8]) -> Result<(String, Headers), Broken> {
    let mut rest = &head[..head.len() - 2];
    let mut lines = Vec::new();
    while let Some(end) = find(rest, b"\r\n") {
        lines.push(&rest[..end]);
        rest = &rest[end + 2..];
    }
    let Some((first, fields)) = lines.split_first() else {
        return malformed("a head without a line");
    };
    if !first.iter().all(|&byte| matches!(byte, b' '..=b'~' | 0x80..)) {
        return malformed(format!("first line {:?}", latin1(first)));
    }
    let headers = fields.iter().map(|line| field(line)).collect::<Result<Vec<_>, _>>()?;
    Ok((latin1(first), Headers(headers)))
}

/// One field line: a token, a colon, and a value without control characters.
fn field(line: &[u8]) -> Result<(String, String), Broken> {
    let text = latin1(line);
    let Some((name, value)) = text.split_once(':') else {
        return malformed(format!("field line {text:?}"));
    };
    let clean = value.chars().all(|c| c == '\t' || !c.is_ascii_control());
    if !token(name) || !clean {
        return malformed(format!("field line {text:?}"));
    }
    Ok((name.into(), value.trim_matches([' ', '\t']).into()))
}

fn token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Each byte as the character of the same number: nothing is lost, nothing fails.
fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Where `needle` first is in `hay`.
fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

fn malformed<T>(what: impl Into<String>) -> Result<T, Broken> {
    Err(Broken::Malformed(what.into()))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::TcpListener;

    use super::*;

    /// A reader of exactly these bytes, then the end.
    fn reader(bytes: &[u8]) -> Reader {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a loopback port is free");
        let address = listener.local_addr().expect("a bound listener has an address");
        let mut writer = TcpStream::connect(address).expect("the listener is there");
        writer.write_all(bytes).expect("the socket's buffer has room");
        Reader::new(listener.accept().expect("it just connected").0, Duration::from_secs(5))
    }

    fn response(bytes: &[u8]) -> Result<Vec<u8>, Broken> {
        let mut reader = reader(bytes);
        let head = reader.response()?;
        let mut content = Vec::new();
        Body::new(head.framing("GET")?).collect(&mut reader, &mut content)?;
        Ok(content)
    }

    #[test]
    fn each_framing_gives_its_body() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
            b"HTTP/1.0 200 OK\r\n\r\nhello",
        ] {
            assert_eq!(response(bytes), Ok(b"hello".to_vec()));
        }
    }

    #[test]
    fn a_short_body_is_truncated() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello"[..],
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            b"HTTP/1.1 200 OK\r\nContent-",
        ] {
            assert_eq!(response(bytes), Err(Broken::Truncated));
        }
    }

    #[test]
    fn what_is_not_strictly_http_is_malformed() {
        for bytes in [
            &b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello"[..],
            b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
            b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
        ] {
            assert!(matches!(response(bytes), Err(Broken::Malformed(_))), "{:?}", latin1(bytes));
        }
    }
}
