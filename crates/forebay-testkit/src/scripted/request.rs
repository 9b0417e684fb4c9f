//! A request as a script sees it, and how it is found in what a connection sent.

use std::time::Duration;

/// Bytes of a head.
pub(super) const HEAD_MAX: usize = 64 << 10;
/// Bytes of a body.
pub(super) const BODY_MAX: usize = 16 << 20;

/// A request, whole.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Counted from 0 over all connections, in the order in which their last byte was read.
    pub number: u64,
    /// When its last byte was read, after the first request's.
    pub at: Duration,
    /// Its connection, counted from 0.
    pub connection: u64,
    /// Counted from 0 on its connection.
    pub turn: u64,
    /// The method.
    pub method: &'a str,
    /// The target, as it was sent.
    pub target: &'a str,
    /// Request line and fields, without the empty line.
    pub head: &'a str,
    /// The body.
    pub body: &'a [u8],
}

/// Where a request lies in what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// Bytes of the head, with the empty line.
    pub(super) head: usize,
    /// Bytes of the body.
    pub(super) body: usize,
}

impl Request<'_> {
    /// The value of a field, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        field(self.head, name)
    }
}

/// Finds the first request in `bytes`. `None`: more must come.
///
/// # Errors
/// What came is no request that this server understands.
pub(super) fn find(bytes: &[u8]) -> Result<Option<Extent>, String> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > HEAD_MAX { Err("a head without an end".to_owned()) } else { Ok(None) };
    };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| "a head that is no text".to_owned())?;
    let line = head.lines().next().unwrap_or_default();
    if line.split(' ').count() != 3 || !line.ends_with(" HTTP/1.1") {
        return Err(format!("not a request line: {line:?}"));
    }
    if field(head, "transfer-encoding").is_some() {
        return Err("a chunked body".to_owned());
    }
    let body = match field(head, "content-length") {
        None => 0,
        Some(text) => text.parse().map_err(|_| format!("content-length: {text:?}"))?,
    };
    if body > BODY_MAX {
        return Err(format!("a body of {body} bytes"));
    }
    let extent = Extent { head: end + 4, body };
    Ok((bytes.len() >= extent.head + extent.body).then_some(extent))
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &str, expected: Result<Option<(usize, usize)>, &str>) {
        let found = find(bytes.as_bytes()).map(|found| found.map(|extent| (extent.head, extent.body)));
        assert_eq!(found, expected.map_err(str::to_owned), "{bytes:?}");
    }

    #[test]
    fn a_request_is_found_once_it_is_whole() {
        check("", Ok(None));
        check("GET / HTTP/1.1\r\nHost: a\r\n", Ok(None));
        check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Ok(Some((27, 0))));
        check("PUT / HTTP/1.1\r\ncontent-LENGTH: 2\r\n\r\na", Ok(None));
        check("PUT / HTTP/1.1\r\ncontent-LENGTH: 2\r\n\r\nabGET", Ok(Some((37, 2))));
    }

    #[test]
    fn anything_else_is_named() {
        check("GET /\r\n\r\n", Err("not a request line: \"GET /\""));
        check("PUT / HTTP/1.1\r\nContent-Length: x\r\n\r\n", Err("content-length: \"x\""));
        check("PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", Err("a chunked body"));
    }
}
