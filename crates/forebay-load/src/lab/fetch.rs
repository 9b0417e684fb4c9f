//! GETs one URL, blocking and bounded: to learn whether a process is ready, and to take its profiles.

use std::fmt;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use forebay_net::h1::{Body, Framing, HeadLimits, Outcome, ResponseHead};

/// What a response head may take; of its request there is no target to limit.
const HEAD: HeadLimits = HeadLimits { bytes: 64 * 1024, fields: 100, target: 0 };
/// How long a read waits before it looks whether the answer is still wanted.
const LOOK_UP: Duration = Duration::from_millis(100);
/// What is read at once.
const READ_SIZE: usize = 16 * 1024;

/// An `http://` URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Url {
    /// As the `Host` field says it.
    authority: String,
    /// Host and port to connect to.
    address: String,
    /// With the query; begins with `/`, or is empty.
    path: String,
}

/// What a fetch may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits<'a> {
    /// From connecting to the last byte.
    pub(crate) time: Duration,
    /// Bytes of the body.
    pub(crate) bytes: usize,
    /// Set when the answer is no longer wanted.
    pub(crate) stop: &'a AtomicBool,
}

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Url {
    /// # Errors
    ///
    /// Says in words what is wrong with it.
    pub(crate) fn parse(url: &str) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("`{url}` {what}: write http://host:port/path"));
        let Some(rest) = url.strip_prefix("http://") else {
            return wrong("is not a plain http URL");
        };
        if url.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'#') {
            return wrong("has a space, a control character or a fragment");
        }
        let path_at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(path_at);
        let host_ends = authority.rfind(']').map_or(0, |bracket| bracket + 1);
        let (host, port) = match authority[host_ends..].rfind(':') {
            Some(colon) => authority.split_at(host_ends + colon),
            None => (authority, ":80"),
        };
        if host.is_empty() || host.contains('@') || port[1..].parse::<u16>().is_err() {
            return wrong("has no host, or a port that is none");
        }
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        Ok(Self { authority: authority.to_owned(), address: format!("{host}{port}"), path })
    }

    /// The same place, further down.
    pub(crate) fn join(&self, path: &str) -> Self {
        Self { path: format!("{}{path}", self.path.trim_end_matches('/')), ..self.clone() }
    }

    fn addresses(&self) -> io::Result<Vec<SocketAddr>> {
        Ok(self.address.to_socket_addrs()?.collect())
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// The answer to a GET of the URL, whatever its status.
///
/// # Errors
///
/// Says in words why there is none.
pub(crate) fn get(url: &Url, limits: &Limits<'_>) -> Result<Answer, String> {
    let deadline = Instant::now() + limits.time;
    let mut stream = connect(url, deadline)?;
    let path = if url.path.is_empty() { "/" } else { &url.path };
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: forebay-load\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        url.authority
    );
    stream.write_all(request.as_bytes()).map_err(|error| format!("cannot ask {url}: {error}"))?;
    Reader { url, stream, deadline, limits, bytes: Vec::new() }.answer()
}

fn connect(url: &Url, deadline: Instant) -> Result<TcpStream, String> {
    let failed = |error: io::Error| format!("cannot connect to {url}: {error}");
    let mut last = io::Error::other("the name stands for no address");
    for address in url.addresses().map_err(failed)? {
        let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
        match TcpStream::connect_timeout(&address, left) {
            Ok(stream) => {
                stream.set_read_timeout(Some(LOOK_UP)).map_err(failed)?;
                stream.set_write_timeout(Some(left)).map_err(failed)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(failed(last))
}

struct Reader<'a> {
    url: &'a Url,
    stream: TcpStream,
    deadline: Instant,
    limits: &'a Limits<'a>,
    bytes: Vec<u8>,
}

impl Reader<'_> {
    fn answer(mut self) -> Result<Answer, String> {
        let (status, framing) = self.head()?;
        let mut body = Body::new(framing);
        let mut found = Vec::new();
        loop {
            if !self.bytes.is_empty() {
                let part =
                    body.take(&mut self.bytes).map_err(|error| self.not_http(&format!("{error:?}")))?;
                found.extend_from_slice(&self.bytes[..part.data]);
                self.bytes.drain(..part.consumed);
            }
            if found.len() > self.limits.bytes {
                return Err(format!("{} answers with more than {} bytes", self.url, self.limits.bytes));
            }
            if body.is_done() {
                return Ok(Answer { status, body: found });
            }
            if !self.more()? {
                body.end_of_input().map_err(|_| format!("{} closed within its answer", self.url))?;
                return Ok(Answer { status, body: found });
            }
        }
    }

    /// Reads the final head; what follows it stays in `bytes`.
    fn head(&mut self) -> Result<(u16, Framing), String> {
        let mut head = ResponseHead::default();
        loop {
            let parsed = head.parse(&self.bytes, &HEAD, false);
            match parsed.map_err(|error| self.not_http(&format!("{error:?}")))? {
                Outcome::Complete(length) => {
                    self.bytes.drain(..length);
                    if head.status >= 200 {
                        return Ok((head.status, head.framing));
                    }
                }
                Outcome::Partial if self.more()? => {}
                Outcome::Partial => return Err(format!("{} closed without an answer", self.url)),
            }
        }
    }

    /// Reads more; false: the other side is done.
    fn more(&mut self) -> Result<bool, String> {
        let mut chunk = [0; READ_SIZE];
        loop {
            if Instant::now() >= self.deadline {
                return Err(format!("{} took longer than {:?}", self.url, self.limits.time));
            }
            if self.limits.stop.load(Ordering::Relaxed) {
                return Err(format!("{} was no longer waited for: the run ended", self.url));
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(false),
                Ok(count) => {
                    self.bytes.extend_from_slice(&chunk[..count]);
                    return Ok(true);
                }
                Err(error) if is_late(&error) => {}
                Err(error) => return Err(format!("cannot read from {}: {error}", self.url)),
            }
        }
    }

    fn not_http(&self, why: &str) -> String {
        format!("{} does not answer as HTTP/1.1 does: {why}", self.url)
    }
}

fn is_late(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted)
}

#[cfg(test)]
mod tests;
