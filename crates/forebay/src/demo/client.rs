//! A client of the demo: one connection that is kept, one request at a time.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use forebay_net::h1::{Body, HeadLimits, Outcome, ResponseHead};

/// Longest wait for a connection, and for the next bytes of a response.
const PATIENCE: Duration = Duration::from_secs(10);
const LIMITS: HeadLimits = HeadLimits { bytes: 32 << 10, fields: 100, target: 0 };
/// Bytes read at once.
const PIECE: usize = 16 << 10;

/// A client and its connection, if it has one.
#[derive(Debug)]
pub(super) struct Client {
    address: SocketAddr,
    stream: Option<TcpStream>,
    head: ResponseHead,
    input: Vec<u8>,
}

impl Client {
    /// One that will connect to `address`.
    pub(super) fn new(address: SocketAddr) -> Self {
        Self { address, stream: None, head: ResponseHead::default(), input: Vec::new() }
    }

    /// Connects unless it is connected. Returns whether it had to.
    ///
    /// # Errors
    /// Nobody accepts the connection.
    pub(super) fn connect(&mut self) -> io::Result<bool> {
        if self.stream.is_some() {
            return Ok(false);
        }
        let stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        self.input.clear();
        self.stream = Some(stream);
        Ok(true)
    }

    /// Sends a request and reads the whole response. Returns its status.
    ///
    /// # Errors
    /// No whole response came; the connection is given up.
    pub(super) fn ask(&mut self, request: &[u8]) -> io::Result<u16> {
        let Some(mut stream) = self.stream.take() else { return Err(io::ErrorKind::NotConnected.into()) };
        stream.write_all(request)?;
        self.read_head(&mut stream)?;
        self.read_body(&mut stream)?;
        if self.head.keep_alive && self.input.is_empty() {
            self.stream = Some(stream);
        }
        Ok(self.head.status)
    }

    /// Reads the head of the final response, and takes it off the input.
    fn read_head(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        loop {
            if !self.input.is_empty() {
                match self.head.parse(&self.input, &LIMITS, false) {
                    Ok(Outcome::Complete(len)) => {
                        self.input.drain(..len);
                        if !self.head.is_interim() {
                            return Ok(());
                        }
                        continue;
                    }
                    Ok(Outcome::Partial) => {}
                    Err(_) => return Err(io::ErrorKind::InvalidData.into()),
                }
            }
            if self.fill(stream)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Reads the body to its end; nobody needs what is in it.
    fn read_body(&mut self, stream: &mut TcpStream) -> io::Result<()> {
        let mut body = Body::new(self.head.framing);
        loop {
            while !self.input.is_empty() && !body.is_done() {
                let part = body.take(&mut self.input).map_err(|_| io::ErrorKind::InvalidData)?;
                if part.consumed == 0 {
                    break;
                }
                self.input.drain(..part.consumed);
            }
            if body.is_done() {
                return Ok(());
            }
            if self.fill(stream)? == 0 {
                return body.end_of_input().map_err(|_| io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn fill(&mut self, stream: &mut TcpStream) -> io::Result<usize> {
        let start = self.input.len();
        self.input.resize(start + PIECE, 0);
        let read = stream.read(&mut self.input[start..]);
        self.input.truncate(start + read.as_ref().map_or(0, |read| *read));
        read
    }
}
