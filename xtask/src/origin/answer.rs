//! The bytes the origin sends, built once.

use std::borrow::Cow;

/// A whole response, ready to send.
pub(crate) type Answer = Cow<'static, [u8]>;

/// Every response that can be prebuilt. They live as long as the process.
pub(crate) struct Answers {
    small: &'static [u8],
    kib_10: &'static [u8],
    mib_1: &'static [u8],
    accepted: &'static [u8],
    missing: &'static [u8],
}

impl Answers {
    pub(crate) fn new() -> Self {
        Self {
            small: filled("200 OK", 90).leak(),
            kib_10: filled("200 OK", 10 << 10).leak(),
            mib_1: filled("200 OK", 1 << 20).leak(),
            accepted: filled("200 OK", 2).leak(),
            missing: filled("404 Not Found", 10).leak(),
        }
    }

    /// The same as from a service that is broken.
    pub(crate) fn failing() -> Self {
        let failed = filled("500 Internal Server Error", 10).leak();
        Self { small: failed, kib_10: failed, mib_1: failed, accepted: failed, missing: failed }
    }

    /// The answer to this target; `/head` answers with the request's own head.
    pub(crate) fn find(&self, target: &[u8], head: &[u8]) -> Answer {
        let path = target.split(|&byte| byte == b'?').next().unwrap_or(target);
        Cow::Borrowed(match path {
            b"/small" | b"/delay" => self.small,
            b"/10k" => self.kib_10,
            b"/1m" => self.mib_1,
            path if path.starts_with(b"/small/") => self.small,
            b"/sink" => self.accepted,
            b"/head" => return Cow::Owned(respond("200 OK", head)),
            _ => self.missing,
        })
    }
}

fn filled(status: &str, length: usize) -> Vec<u8> {
    respond(status, &vec![b'x'; length])
}

/// A fixed date: one fewer thing to compute, and proxies need not add their own.
fn respond(status: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = format!(
        "HTTP/1.1 {status}\r\nServer: origin\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n\
         Content-Type: text/plain\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    bytes
}
