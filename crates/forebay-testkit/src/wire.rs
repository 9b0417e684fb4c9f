//! A client that sends exactly the bytes it is told to and reads answers without mercy.

use std::fmt;
use std::io::{self, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use crate::DEADLINE;
use crate::message::{Body, Broken, Reader, Response};

/// One connection.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
    reader: Reader,
}

/// An answer that did not arrive whole.
#[derive(Clone, Debug)]
pub struct Failed {
    /// Why not.
    pub why: Broken,
    /// What came of it: its head, and its body so far.
    pub partial: Option<Box<Response>>,
}

/// How a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// In order.
    Closed,
    /// By a reset.
    Reset,
    /// With these bytes nobody asked for.
    Bytes(Vec<u8>),
    /// It did not.
    Open,
}

impl Client {
    /// Connects; every read has `DEADLINE` from its call.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address)
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        Self::over(stream)
    }

    /// Connects with a small receive buffer, for clients that do not read.
    #[must_use]
    pub fn connect_small(address: SocketAddr) -> Self {
        let socket = socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)
            .expect("the machine has sockets left");
        // Only an optimisation of the test: less is sent before the peer has to wait.
        let _ = socket.set_recv_buffer_size(4 << 10);
        socket
            .connect(&address.into())
            .unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"));
        Self::over(socket.into())
    }

    /// Uses a connection that is already there.
    #[must_use]
    pub fn over(stream: TcpStream) -> Self {
        // Pieces sent apart must leave apart.
        stream.set_nodelay(true).expect("a connected socket takes options");
        stream.set_write_timeout(Some(DEADLINE)).expect("the timeout is not zero");
        let reading = stream.try_clone().expect("the process has descriptors left");
        Self { stream, reader: Reader::new(reading, DEADLINE) }
    }

    /// Sends all of it. An error means that the peer closed.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Sends each piece in a segment of its own.
    pub fn send_pieces<'a>(&mut self, pieces: impl IntoIterator<Item = &'a [u8]>) -> io::Result<()> {
        pieces.into_iter().try_for_each(|piece| self.send(piece))
    }

    /// Sends each byte in a segment of its own.
    pub fn send_by_byte(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.send_pieces(bytes.chunks(1))
    }

    /// Sends a request and reads its answer.
    pub fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Result<Response, Failed> {
        let bytes = bytes.as_ref();
        let method = bytes.split(|&byte| byte == b' ').next().unwrap_or_default();
        let method = String::from_utf8_lossy(method).into_owned();
        // The peer may have answered and closed before it took everything: its answer tells.
        let _ = self.send(bytes);
        self.response(&method)
    }

    /// `GET`s a path and reads the answer, which must come whole.
    pub fn get(&mut self, path: &str) -> Response {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n"))
            .unwrap_or_else(|failed| panic!("GET {path}: {failed}"))
    }

    /// Reads one whole response to `method`, with the 1xx responses before it.
    pub fn response(&mut self, method: &str) -> Result<Response, Failed> {
        let mut interim = Vec::new();
        loop {
            let mut response = self.head()?;
            if response.status < 200 && response.status != 101 {
                interim.push(response);
                continue;
            }
            response.interim = interim;
            return self.body(method, response);
        }
    }

    /// Reads one response head, final or not.
    pub fn head(&mut self) -> Result<Response, Failed> {
        self.reader.set_deadline(DEADLINE);
        self.reader.response().map_err(|why| Failed { why, partial: None })
    }

    /// Reads the body of `response`, whose head was just read.
    pub fn body(&mut self, method: &str, mut response: Response) -> Result<Response, Failed> {
        let outcome = response.framing(method).and_then(|framing| {
            let mut body = Body::new(framing);
            let outcome = body.collect(&mut self.reader, &mut response.body);
            response.trailers = body.trailers;
            outcome
        });
        match outcome {
            Ok(()) => Ok(response),
            Err(why) => Err(Failed { why, partial: Some(Box::new(response)) }),
        }
    }

    /// Reads the body of `response` piece by piece.
    pub fn stream_body(&mut self, method: &str, response: &Response, mut each: impl FnMut(&[u8])) {
        let framing = response.framing(method).unwrap_or_else(|why| panic!("{why}: {response}"));
        let mut body = Body::new(framing);
        loop {
            self.reader.set_deadline(DEADLINE);
            match body.next(&mut self.reader) {
                Ok(Some(piece)) => each(&piece),
                Ok(None) => return,
                Err(why) => panic!("body of {response}: {why}"),
            }
        }
    }

    /// Waits for the connection's end.
    pub fn end(&mut self) -> End {
        self.end_within(DEADLINE)
    }

    /// Waits for the connection's end at most so long.
    pub fn end_within(&mut self, wait: Duration) -> End {
        self.reader.set_deadline(wait);
        loop {
            if !self.reader.rest().is_empty() {
                return End::Bytes(self.reader.rest().to_vec());
            }
            match self.reader.fill() {
                Ok(true) => {}
                Ok(false) => return End::Closed,
                Err(Broken::Late) => return End::Open,
                Err(_) => return End::Reset,
            }
        }
    }

    /// Tells the peer that nothing more will be sent.
    pub fn half_close(&self) {
        // Fails only when the peer is gone, which the next read tells.
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Ends the connection by a reset.
    pub fn reset(self) {
        let socket = socket2::SockRef::from(&self.stream);
        socket.set_linger(Some(Duration::ZERO)).expect("a connected socket takes options");
    }

    /// Another handle for writing, to send from one thread while another reads.
    #[must_use]
    pub fn writer(&self) -> TcpStream {
        self.stream.try_clone().expect("the process has descriptors left")
    }

    /// This end's address.
    #[must_use]
    pub fn local(&self) -> SocketAddr {
        self.stream.local_addr().expect("a connected socket has an address")
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.partial {
            None => write!(out, "{}", self.why),
            Some(partial) => write!(out, "{} after {partial}", self.why),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => write!(out, "closed without an answer"),
            Self::Truncated => write!(out, "closed in the middle of a message"),
            Self::Reset => write!(out, "reset"),
            Self::Late => write!(out, "nothing before the deadline"),
            Self::Malformed(what) => write!(out, "malformed: {what}"),
        }
    }
}
