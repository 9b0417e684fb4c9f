//! One request on one kept-alive connection, in the plainest way: for checks, not for load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use memchr::memmem;

pub(crate) mod h2;
pub(crate) mod tls;

/// Longest wait for bytes.
const WAIT: Duration = Duration::from_secs(5);

/// Connects with deadlines on every later read and write.
pub(crate) fn connect(address: SocketAddr) -> Result<TcpStream> {
    let stream =
        TcpStream::connect_timeout(&address, WAIT).with_context(|| format!("cannot connect to {address}"))?;
    stream.set_read_timeout(Some(WAIT))?;
    stream.set_write_timeout(Some(WAIT))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends GET and gives the body of a 200; anything else is an error.
pub(crate) fn get(stream: &mut (impl Read + Write), path: &str) -> Result<Vec<u8>> {
    exchange(stream, path).map(|(_, body)| body)
}

/// As `get`, with the head before the body.
pub(crate) fn exchange(stream: &mut (impl Read + Write), path: &str) -> Result<(Vec<u8>, Vec<u8>)> {
    stream.write_all(request(path).as_bytes()).context("cannot send")?;
    let mut bytes = Vec::new();
    let mut chunk = [0; 16 << 10];
    loop {
        if let Some(length) = complete(&bytes)? {
            let body = bytes.split_off(bytes.len() - length);
            return Ok((bytes, body));
        }
        match stream.read(&mut chunk).context("no answer")? {
            0 => bail!("closed before the answer was complete"),
            read => bytes.extend_from_slice(&chunk[..read]),
        }
    }
}

/// The request that every generator of ours sends.
pub(crate) fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: bench.test\r\n\r\n")
}

/// As `request`, and then the connection ends.
pub(crate) fn last_request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: bench.test\r\nConnection: close\r\n\r\n")
}

/// Whether a whole response says that it is the last one of its connection.
pub(crate) fn closes(bytes: &[u8]) -> bool {
    let head = memmem::find(bytes, b"\r\n\r\n").map_or(bytes, |end| &bytes[..end]);
    head.split(|&byte| byte == b'\n').any(|line| line.trim_ascii().eq_ignore_ascii_case(b"connection: close"))
}

/// The body's length once the whole response has come. Only 200 with a Content-Length will do.
pub(crate) fn complete(bytes: &[u8]) -> Result<Option<usize>> {
    let Some(end) = memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    if !bytes.starts_with(b"HTTP/1.1 200 ") {
        let line = bytes.split(|&byte| byte == b'\r').next().unwrap_or_default();
        bail!("answered {}", String::from_utf8_lossy(line));
    }
    let length = bytes[..end]
        .split(|&byte| byte == b'\n')
        .filter_map(|line| line.split_at_checked(15))
        .find(|(name, _)| name.eq_ignore_ascii_case(b"content-length:"))
        .and_then(|(_, value)| std::str::from_utf8(value).ok()?.trim().parse::<usize>().ok())
        .context("a response without Content-Length")?;
    let whole = end + 4 + length;
    if bytes.len() > whole {
        bail!("more bytes than the response has");
    }
    Ok((bytes.len() == whole).then_some(length))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &str, expected: Option<Option<usize>>) {
        assert_eq!(complete(bytes.as_bytes()).ok(), expected, "{bytes:?}");
    }

    #[test]
    fn a_response_is_complete_at_its_last_byte() {
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n", Some(None));
        check("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nx", Some(None));
        check("HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\nxy", Some(Some(2)));
    }

    #[test]
    fn anything_unexpected_is_an_error() {
        check("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n", None);
        check("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n", None);
        check("HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nxy", None);
    }
}
