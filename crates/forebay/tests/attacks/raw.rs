//! A client of HTTP/2 that sends any frame, in any order.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use forebay_net::h2::frame::{
    END_HEADERS, END_STREAM, ErrorCode, HEADER_BYTES, Header, Kind, PREFACE, Setting, WINDOW_MAX, write,
};
use forebay_testkit::DEADLINE;

/// A request for `/` as a field block: method, scheme and path of the static table, an authority of one byte that does
/// not go into the table.
pub(crate) const GET: &[u8] = &[0x82, 0x86, 0x84, 0x01, 1, b't'];

/// The same for `/big`.
pub(crate) const GET_BIG: &[u8] = &[0x82, 0x86, 0x04, 4, b'/', b'b', b'i', b'g', 0x01, 1, b't'];

/// A request with a body.
pub(crate) const POST: &[u8] = &[0x83, 0x86, 0x84, 0x01, 1, b't'];

/// One connection.
pub(crate) struct Raw {
    stream: TcpStream,
    /// What is to be sent next.
    pub(crate) out: Vec<u8>,
    next: u32,
}

/// A frame that has come.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) header: Header,
    pub(crate) payload: Vec<u8>,
}

impl Raw {
    /// Connects, and says preface and settings.
    pub(crate) fn connect(address: SocketAddr, settings: &[Setting]) -> Self {
        let stream = TcpStream::connect(address).expect("the gateway listens");
        stream.set_nodelay(true).expect("a connected socket takes options");
        stream.set_read_timeout(Some(DEADLINE)).expect("the timeout is not zero");
        stream.set_write_timeout(Some(DEADLINE)).expect("the timeout is not zero");
        let mut out = PREFACE.to_vec();
        write::settings(&mut out, settings);
        write::settings_ack(&mut out);
        Self { stream, out, next: 1 }
    }

    /// Whether no stream was opened on it.
    pub(crate) const fn is_new(&self) -> bool {
        self.next == 1
    }

    /// The number of the next stream.
    pub(crate) fn stream(&mut self) -> u32 {
        self.next += 2;
        self.next - 2
    }

    /// Adds any frame.
    pub(crate) fn frame(&mut self, kind: Kind, flags: u8, stream: u32, payload: &[u8]) {
        let len = u32::try_from(payload.len()).expect("tests send small frames");
        self.out.extend_from_slice(&Header { len, kind, flags, stream }.to_bytes());
        self.out.extend_from_slice(payload);
    }

    /// Adds a request without a body.
    pub(crate) fn ask(&mut self, block: &[u8]) -> u32 {
        let stream = self.stream();
        self.frame(Kind::Headers, END_HEADERS | END_STREAM, stream, block);
        stream
    }

    /// Adds a request whose body is to come.
    pub(crate) fn begin(&mut self) -> u32 {
        let stream = self.stream();
        self.frame(Kind::Headers, END_HEADERS, stream, POST);
        stream
    }

    /// Adds a reset.
    pub(crate) fn reset(&mut self, stream: u32) {
        write::rst_stream(&mut self.out, stream, ErrorCode::CANCEL);
    }

    /// Opens the connection's window as wide as it goes.
    pub(crate) fn widen(&mut self) {
        write::window_update(&mut self.out, 0, WINDOW_MAX - 65_535);
    }

    /// Sends what was added. An error means that the gateway has closed.
    pub(crate) fn send(&mut self) -> io::Result<()> {
        let out = std::mem::take(&mut self.out);
        self.stream.write_all(&out)
    }

    /// The next frame; an error once the connection is over.
    pub(crate) fn receive(&mut self) -> io::Result<Frame> {
        let mut bytes = [0; HEADER_BYTES];
        self.stream.read_exact(&mut bytes)?;
        let header = Header::parse(&bytes);
        let mut payload = vec![0; header.len as usize];
        self.stream.read_exact(&mut payload)?;
        Ok(Frame { header, payload })
    }

    /// Reads until the connection is over, which it must say with this code. Where the gateway has closed before all
    /// was sent, its last words may be lost, and that it asked to leave before is the last that is heard.
    #[track_caller]
    pub(crate) fn end_with(&mut self, expected: ErrorCode, what: &str) {
        loop {
            match self.receive() {
                Ok(frame) if frame.header.kind == Kind::GoAway => {
                    let told = code(&frame.payload[4..]).map(ErrorCode);
                    assert!([Some(expected), Some(ErrorCode::NO_ERROR)].contains(&told), "{what}: {told:?}");
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => panic!("{what}: it does not end"),
                Err(_) => return,
            }
        }
    }

    /// Sends a request and returns the status of its answer, once that has ended well.
    pub(crate) fn status(&mut self, block: &[u8]) -> Result<u16, String> {
        let stream = self.ask(block);
        self.send().map_err(|error| error.to_string())?;
        let mut status = None;
        loop {
            let frame = self.receive().map_err(|error| error.to_string())?;
            let Frame { header, payload } = frame;
            match header.kind {
                Kind::GoAway => return Err(format!("GOAWAY {:?}", code(&payload[4..]))),
                Kind::RstStream if header.stream == stream => {
                    return Err(format!("reset {:?}", code(&payload)));
                }
                Kind::Headers if header.stream == stream => status = Some(status_of(&payload)),
                Kind::Data if !payload.is_empty() => write::window_update(&mut self.out, 0, header.len),
                _ => {}
            }
            if header.stream == stream && header.flags & END_STREAM != 0 {
                return status.ok_or_else(|| "body without a head".to_owned());
            }
        }
    }
}

/// The status of a response, whose first field is written as this gateway does.
fn status_of(block: &[u8]) -> u16 {
    match block {
        [0x88, ..] => 200,
        [0x8c, ..] => 400,
        [0x08, 3, a, b, c, ..] => {
            [a, b, c].into_iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'))
        }
        _ => 0,
    }
}

fn code(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}
