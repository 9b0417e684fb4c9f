//! What is done with one request, and when.

use std::fmt::Write;
use std::time::Duration;

/// What is done with one request.
#[derive(Clone, Debug)]
pub struct Reply {
    /// From the request's last byte to the answer's first, or to the fault.
    pub(super) delay: Duration,
    /// Whether the delay is work, for which a desk must be free.
    pub(super) work: bool,
    pub(super) how: How,
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) close: bool,
}

/// How an answer is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// As it should be.
    Whole,
    /// The body in so many pieces with a pause between them; 1 or more.
    Slow {
        /// How many.
        pieces: u32,
        /// From one to the next.
        gap: Duration,
    },
    /// The head and half of the body, then the end of the connection.
    Truncated,
    /// Bytes that are no HTTP, then the end of the connection.
    Garbage,
    /// The end of the connection instead.
    Closed,
    /// A reset instead.
    Reset,
    /// Not at all.
    Never,
}

impl Reply {
    /// A 200 with a short body, at once.
    #[must_use]
    pub fn now() -> Self {
        Self::after(Duration::ZERO)
    }

    /// A 200 with a short body, so long after the request's last byte.
    #[must_use]
    pub fn after(delay: Duration) -> Self {
        Self {
            delay,
            work: false,
            how: How::Whole,
            status: 200,
            headers: Vec::new(),
            body: b"ok\n".to_vec(),
            close: false,
        }
    }

    /// A 200 after so much work at one of the desks: requests wait in line until one is free.
    #[must_use]
    pub fn work(time: Duration) -> Self {
        Self { work: true, ..Self::after(time) }
    }

    /// Something else than a whole answer.
    #[must_use]
    pub fn how(self, how: How) -> Self {
        Self { how, ..self }
    }

    /// With this status, 200 to 599.
    #[must_use]
    pub fn status(self, status: u16) -> Self {
        Self { status, ..self }
    }

    /// With this body.
    #[must_use]
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// With a body of so many bytes.
    #[must_use]
    pub fn size(self, bytes: usize) -> Self {
        self.body(vec![b'x'; bytes])
    }

    /// With this field besides the others.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Says that the connection ends after the answer, and ends it.
    #[must_use]
    pub fn close(self) -> Self {
        Self { close: true, ..self }
    }

    /// Whether the connection ends with the answer.
    pub(super) fn ends(&self) -> bool {
        self.close || !matches!(self.how, How::Whole | How::Slow { .. })
    }

    /// What is sent, and how much of it is the head.
    pub(super) fn bytes(&self, to_head: bool) -> (Vec<u8>, usize) {
        match self.how {
            How::Garbage => (b"SSH-2.0-nothing here speaks HTTP\r\n\r\n".to_vec(), 0),
            How::Closed | How::Reset | How::Never => (Vec::new(), 0),
            How::Whole | How::Slow { .. } | How::Truncated => {
                let mut bytes = self.head().into_bytes();
                let head = bytes.len();
                let sent = match self.how {
                    _ if to_head || matches!(self.status, 204 | 304) => 0,
                    How::Truncated => self.body.len() / 2,
                    _ => self.body.len(),
                };
                bytes.extend_from_slice(&self.body[..sent]);
                (bytes, head)
            }
        }
    }

    fn head(&self) -> String {
        let reason = if self.status < 400 { "Fine" } else { "Scripted" };
        let mut head = format!("HTTP/1.1 {} {reason}\r\n", self.status);
        // Writing to a text cannot fail.
        if self.status != 204 {
            let _ = write!(head, "Content-Length: {}\r\n", self.body.len());
        }
        if self.close {
            head.push_str("Connection: close\r\n");
        }
        for (name, value) in &self.headers {
            let _ = write!(head, "{name}: {value}\r\n");
        }
        head.push_str("\r\n");
        head
    }
}
