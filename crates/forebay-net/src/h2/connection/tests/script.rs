//! What happens on a connection, written down: frames in, events and frames out, in order.

use std::fmt::Write;
use std::time::Duration;

use forebay_base::time::Instant;

use crate::h2::Limits;
use crate::h2::connection::{Connection, Event};
use crate::h2::frame::{self, ErrorCode, HEADER_BYTES, Header, Kind, PREFACE};

pub(super) const END: u8 = frame::END_STREAM;
pub(super) const HEAD: u8 = frame::END_HEADERS;
pub(super) const PADDED: u8 = frame::PADDED;
pub(super) const PRIORITY: u8 = frame::PRIORITY;
pub(super) const ACK: u8 = frame::ACK;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIO: u8 = 2;
pub(super) const RST: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

/// One thing that happens.
#[derive(Clone, Debug)]
pub(super) enum Do {
    /// The other side sends this.
    Peer(Vec<u8>),
    /// We answer on a stream: `200`, and its end.
    Answer(u32),
    /// We answer on a stream, and body will follow.
    Begin(u32),
    /// We send so many bytes of body, if the windows allow.
    Send(u32, usize),
    /// We have nothing to send with the window shut.
    Blocked(u32),
    /// We reset a stream.
    Reset(u32),
    /// The stream's user lets go of it.
    Release(u32),
    /// The user takes so many bytes.
    Take(u32, usize),
    /// So many seconds pass.
    Wait(u64),
    /// We ask the other side to leave.
    Leave,
    /// We send a request; `true`: it ends there.
    Ask(&'static str, bool),
}

/// A frame as bytes.
pub(super) fn raw(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes()[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// The same, sent by the other side.
pub(super) fn peer(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Do {
    Do::Peer(raw(kind, flags, stream, payload))
}

/// A field block of literals.
pub(super) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        bytes.push(0);
        for text in [name, value] {
            assert!(text.len() < 127, "one byte of length");
            bytes.push(text.len() as u8);
            bytes.extend(text.as_bytes());
        }
    }
    bytes
}

pub(super) fn request(method: &str) -> Vec<u8> {
    block(&[(":method", method), (":scheme", "http"), (":path", "/"), (":authority", "a.test")])
}

/// A request with more fields.
pub(super) fn request_with(method: &str, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = request(method);
    bytes.extend(block(fields));
    bytes
}

pub(super) fn get(stream: u32) -> Do {
    peer(HEADERS, HEAD | END, stream, &request("GET"))
}

pub(super) fn post(stream: u32) -> Do {
    peer(HEADERS, HEAD, stream, &request("POST"))
}

pub(super) fn post_of(stream: u32, length: &str) -> Do {
    peer(HEADERS, HEAD, stream, &request_with("POST", &[("content-length", length)]))
}

pub(super) fn setting(id: u16, value: u32) -> Vec<u8> {
    [&id.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

/// A connection and what has happened on it.
pub(super) struct Script {
    pub(super) connection: Connection,
    now: Instant,
    log: Vec<String>,
    /// Stream number and slot, of those that were opened.
    slots: Vec<(u32, u32)>,
    pending: Vec<u8>,
    /// Bytes handed over at a time.
    piece: usize,
    pub(super) written: usize,
    pub(super) frames_written: usize,
}

impl Script {
    /// A server to which a client has said hello.
    pub(super) fn server(limits: Limits, piece: usize) -> Self {
        let mut script = Self::new(Connection::server(limits, Instant::from_nanos(0)), piece);
        let hello = [&PREFACE[..], &raw(SETTINGS, 0, 0, &[]), &raw(SETTINGS, ACK, 0, &[])].concat();
        script.run(&Do::Peer(hello));
        script.log.clear();
        script
    }

    /// A client to which a server has said hello.
    pub(super) fn client(limits: Limits, piece: usize) -> Self {
        let mut script = Self::new(Connection::client(limits, Instant::from_nanos(0)), piece);
        script.run(&Do::Peer([raw(SETTINGS, 0, 0, &[]), raw(SETTINGS, ACK, 0, &[])].concat()));
        script.log.clear();
        script
    }

    pub(super) fn new(connection: Connection, piece: usize) -> Self {
        let mut script = Self {
            connection,
            now: Instant::from_nanos(0),
            log: Vec::new(),
            slots: Vec::new(),
            pending: Vec::new(),
            piece,
            written: 0,
            frames_written: 0,
        };
        script.note_output();
        script.log.clear();
        script
    }

    pub(super) fn log(&self) -> String {
        self.log.join("; ")
    }

    pub(super) fn slot(&self, stream: u32) -> u32 {
        self.slots.iter().rev().find(|(id, _)| *id == stream).expect("the stream was opened").1
    }

    pub(super) fn run(&mut self, step: &Do) {
        match step {
            Do::Peer(bytes) => {
                for piece in bytes.chunks(self.piece) {
                    self.receive(piece);
                }
            }
            Do::Answer(id) => {
                let sent = self.connection.send_response(self.slot(*id), b"HTTP/1.1 200 OK\r\n\r\n", true);
                self.note_error(sent);
            }
            Do::Begin(id) => {
                let sent = self.connection.send_response(self.slot(*id), b"HTTP/1.1 200 OK\r\n\r\n", false);
                self.note_error(sent);
            }
            Do::Send(id, n) => {
                let sent = self.connection.send_data(self.slot(*id), &vec![b'x'; *n], false);
                self.note_error(sent.map(drop));
            }
            Do::Blocked(id) => self.connection.blocked(self.slot(*id), self.now),
            Do::Reset(id) => self.connection.reset(self.slot(*id), ErrorCode::CANCEL),
            Do::Release(id) => self.connection.release(self.slot(*id)),
            Do::Take(id, n) => self.connection.taken(self.slot(*id), *n),
            Do::Wait(seconds) => {
                self.now = self.now + Duration::from_secs(*seconds);
                if self.connection.deadline() <= self.now {
                    self.connection.tick(self.now);
                }
            }
            Do::Leave => self.connection.leave(self.now),
            Do::Ask(text, end) => match self.connection.open(self.now) {
                Some(slot) => {
                    let sent = self.connection.send_request(slot, text.as_bytes(), b"http", *end);
                    let id = self.connection.streams.at(slot).id;
                    self.slots.push((id, slot));
                    self.note_error(sent);
                }
                None => self.log.push("no room".into()),
            },
        }
        self.note_gone();
        self.note_output();
    }

    fn receive(&mut self, piece: &[u8]) {
        self.pending.extend(piece);
        loop {
            let step = self.connection.receive(&self.pending, self.now);
            let (event, consumed) = (step.event, step.consumed);
            let starved = matches!(event, Event::Starved(_));
            let over = matches!(event, Event::Over);
            self.note(event);
            self.pending.drain(..consumed);
            self.note_gone();
            self.note_output();
            if starved || over {
                return;
            }
        }
    }

    fn note_error(&mut self, sent: Result<(), crate::stream::StreamError>) {
        if let Err(error) = sent {
            self.log.push(format!("cannot {error:?}"));
        }
    }

    fn note(&mut self, event: Event) {
        let id = |script: &mut Self, slot| script.connection.streams.at(slot).id;
        let end = |finished| if finished { " end" } else { "" };
        let line = match event {
            Event::Request { slot, head, finished } => {
                let number = id(self, slot);
                self.slots.push((number, slot));
                let large = if head.error.is_some() { " too large" } else { "" };
                self.connection.recycle(head);
                format!("request {number}{large}{}", end(finished))
            }
            Event::Response { slot, head, finished } => {
                let line = format!("response {} {}{}", id(self, slot), head.head.status, end(finished));
                self.connection.recycle_response(head);
                line
            }
            Event::Data { slot, bytes, finished } => {
                let start = format!("data {} ", id(self, slot));
                let mut len = bytes.len();
                if let Some(before) = self.log.last().and_then(|line| line.strip_prefix(&start)) {
                    len += before.parse::<usize>().unwrap_or(0);
                    self.log.pop();
                }
                format!("{start}{len}{}", end(finished))
            }
            Event::Trailers { slot, lines } => {
                format!("trailers {} {}", id(self, slot), String::from_utf8_lossy(&lines).trim())
            }
            Event::Nothing | Event::Starved(_) | Event::Window(_) | Event::Windows | Event::Over => return,
        };
        self.log.push(line);
    }

    fn note_gone(&mut self) {
        while let Some((slot, error)) = self.connection.next_gone() {
            let id = self.slots.iter().rev().find(|(_, other)| *other == slot).map_or(0, |entry| entry.0);
            self.log.push(format!("gone {id} {error:?}"));
        }
    }

    /// Notes frames written, and takes them.
    fn note_output(&mut self) {
        let out = self.connection.output().to_vec();
        self.connection.wrote(out.len());
        self.written += out.len();
        let mut rest = out.strip_prefix(&PREFACE[..]).unwrap_or(&out);
        while let Some(bytes) = rest.first_chunk::<HEADER_BYTES>() {
            let header = Header::parse(bytes);
            let (payload, after) = rest[HEADER_BYTES..].split_at(header.len as usize);
            rest = after;
            self.frames_written += 1;
            self.note_frame(&header, payload);
        }
        assert!(rest.is_empty(), "whole frames are written");
    }

    fn note_frame(&mut self, header: &Header, payload: &[u8]) {
        let code = |bytes: &[u8]| ErrorCode(u32::from_be_bytes(bytes.try_into().unwrap()));
        let id = header.stream;
        let mut line = match header.kind {
            Kind::RstStream => format!("> reset {id} {:?}", code(payload)),
            Kind::GoAway => {
                let last = code(&payload[..4]).0;
                format!("> goaway {last} {:?}", code(&payload[4..8]))
            }
            Kind::Settings if header.has(frame::ACK) => "> settings ack".into(),
            Kind::Ping if header.has(frame::ACK) => format!("> pong {}", payload[0]),
            Kind::Ping => "> ping".into(),
            Kind::WindowUpdate => format!("> update {id} {}", code(payload).0),
            Kind::Headers => format!("> head {id}"),
            Kind::Data => format!("> data {id} {}", payload.len()),
            other => format!("> {other:?} {id}"),
        };
        if matches!(header.kind, Kind::Headers | Kind::Data) && header.has(frame::END_STREAM) {
            write!(line, " end").unwrap();
        }
        self.log.push(line);
    }
}

/// One rule: where it stands and what it says, what happens, and what must come of it.
pub(super) type Row = (&'static str, Vec<Do>, &'static str);

/// Runs every row with its bytes in one piece, in single bytes, and in between.
pub(super) fn check(rows: &[Row], start: impl Fn(usize) -> Script) {
    let mut wrong = String::new();
    for (rule, steps, expected) in rows {
        assert!(rule.starts_with("RFC ") || rule.starts_with('§'), "{rule}: where does it stand?");
        for piece in [usize::MAX, 1, 7] {
            let mut script = start(piece);
            for step in steps {
                script.run(step);
            }
            if script.log() != *expected {
                let _ =
                    writeln!(wrong, "{rule} (by {piece})\n  is:     {}\n  not:    {expected}", script.log());
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}
