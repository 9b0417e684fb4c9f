//! The rules of an HTTP/2 connection (RFC 9113), for either side of it: bytes in, events and bytes out.
//!
//! No socket and no clock: whoever drives it hands over what was read and what time it is, acts on events, and writes
//! what `output` holds. What the other side may have us do and hold is bounded by [`Limits`]; a frame that breaks a
//! rule ends its stream or the connection as the RFC says, and counts against a budget (`Counters::glitches`).

mod body;
pub(crate) mod budget;
mod control;
mod faults;
mod heads;
mod outgoing;
mod streams;
mod timers;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use forebay_base::time::Instant;

use self::body::Incoming;
use self::budget::Budget;
use self::heads::Block;
use self::streams::Streams;
use super::Limits;
use super::frame::{self, ErrorCode, FrameError, HEADER_BYTES, Header, Kind, PREFACE, Scope, Setting};
use super::frame::{PAYLOAD_DEFAULT, WINDOW_DEFAULT, WINDOW_MAX, write};
use super::head::{Request, Response};
use super::hpack::{Decoder, Encoder, TABLE_BYTES_DEFAULT};
use crate::stream::StreamError;

/// Which side of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Answers requests.
    Server,
    /// Sends them.
    Client,
}

/// What came of some input.
#[derive(Debug)]
pub enum Event {
    /// Nothing to act upon; go on.
    Nothing,
    /// More bytes are needed: this many from the start of the input, or at least the next one.
    Starved(usize),
    /// A request; its stream's slot is in use until `release`.
    Request {
        /// The stream.
        slot: u32,
        /// Its head; better given back by `recycle` when done with.
        head: Box<Request>,
        /// There is no body.
        finished: bool,
    },
    /// The head of a response, maybe an interim one.
    Response {
        /// The stream.
        slot: u32,
        /// The head.
        head: Box<Response>,
        /// There is no body.
        finished: bool,
    },
    /// Body has come: these bytes of the input, to be given back to the stream's window by `taken`.
    Data {
        /// The stream.
        slot: u32,
        /// Where it is in the input.
        bytes: Range<usize>,
        /// That was all.
        finished: bool,
    },
    /// The body is over; these are its trailers, lines ended by CRLF.
    Trailers {
        /// The stream.
        slot: u32,
        /// The lines.
        lines: Vec<u8>,
    },
    /// The window of a stream has opened.
    Window(u32),
    /// The connection's window, or those of all streams, may have opened.
    Windows,
    /// The connection is over: write the output, then close.
    Over,
}

/// How much of the input is used up, and what came of it.
#[derive(Debug)]
pub struct Step {
    /// Bytes used up from the start of the input.
    pub consumed: usize,
    /// What they were.
    pub event: Event,
}

/// What has been counted on a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames and faults that made work and brought nothing, less what was forgiven since.
    pub glitches: u32,
    /// Streams reset by the other side.
    pub resets_received: u64,
    /// Streams reset by us.
    pub resets_sent: u64,
    /// Streams refused because too many were open.
    pub refused: u64,
    /// Heads with too many bytes or fields.
    pub heads_too_large: u64,
    /// Requests, or responses, that came to their end.
    pub served: u64,
    /// Frames received.
    pub frames: u64,
    /// Why we ended the connection, if we did.
    pub goaway_sent: Option<u32>,
    /// Why the other side did.
    pub goaway_received: Option<u32>,
}

/// One connection.
#[derive(Debug)]
pub struct Connection {
    role: Role,
    limits: Limits,
    out: Vec<u8>,
    phase: Phase,
    dead: Option<ErrorCode>,
    encoder: Encoder,
    decoder: Decoder,
    /// A head whose end has not come.
    block: Option<Block>,
    /// DATA whose end has not come.
    incoming: Option<Incoming>,
    streams: Streams,
    /// Streams that are gone and whose users do not know yet.
    gone: VecDeque<(u32, StreamError)>,
    budget: Budget,
    counters: Counters,
    peer: Peer,
    /// Bytes we may send on all streams together.
    send_window: i64,
    /// Bytes the other side may send on all streams together.
    receive_window: i64,
    /// The stream of the frame that came last; 0: the connection.
    at_stream: u32,
    /// Bytes received and not yet given back to the other side's window.
    credit: u32,
    /// Highest stream the other side has opened.
    last_peer_id: u32,
    /// Next stream we open.
    next_id: u32,
    leaving: Leaving,
    due: Due,
    #[expect(clippy::vec_box, reason = "heads are handed out in their boxes")]
    spare_requests: Vec<Box<Request>>,
    #[expect(clippy::vec_box, reason = "heads are handed out in their boxes")]
    spare_responses: Vec<Box<Response>>,
}

/// How far the beginning of the connection has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// The client's preface is to come.
    Preface,
    /// The other side's SETTINGS are to come.
    Settings,
    /// All is said.
    Open,
}

/// What the other side has said about itself.
#[derive(Debug)]
struct Peer {
    initial_window: u32,
    payload_max: u32,
    streams_max: u32,
    connect: bool,
    /// It has acknowledged our settings.
    acknowledged: bool,
    /// The last stream it will answer.
    left: Option<u32>,
}

/// How far the end of the connection has got, on our side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    /// The other side was told to open no more streams; it may not know yet.
    Announced,
    /// It was told up to which stream we answer.
    Told {
        last: u32,
    },
}

/// When something is late.
#[derive(Debug)]
struct Due {
    /// The acknowledgement of our settings.
    settings: Instant,
    /// The rest of a head.
    block: Instant,
    /// The rest of a frame.
    frame: Instant,
    /// The second GOAWAY.
    goaway: Instant,
    /// A window that is shut; somewhere around the first of them.
    windows: Instant,
    /// The answer to the PING that asks whether the other side is there.
    pong: Instant,
    /// Last time something came but for such an answer.
    heard: Instant,
    /// Last time such a PING was sent; `NEVER`: not yet.
    asked: Instant,
}

/// Spare heads kept for what comes next.
const SPARE_HEADS_MAX: usize = 4;

/// Output above this is not kept while it is empty.
const OUT_KEPT_MAX: usize = 1 << 10;

/// A server has at least so much time for the rest of a head or a frame, however short a client's is: who asks has
/// timeouts of its own for what matters to it.
const SERVER_STALL_MIN: Duration = Duration::from_secs(30);

/// Streams a server is assumed to allow before its settings are known (RFC 9113 §6.5.2 recommends at least this).
const STREAMS_ASSUMED: u32 = 100;

impl Connection {
    /// The server's side of a new connection.
    #[must_use]
    pub fn server(limits: Limits, now: Instant) -> Self {
        Self::new(Role::Server, limits, now)
    }

    /// The client's side of a new connection.
    #[must_use]
    pub fn client(limits: Limits, now: Instant) -> Self {
        let stall = limits.stall.max(SERVER_STALL_MIN);
        Self::new(Role::Client, Limits { stall, ..limits }, now)
    }

    fn new(role: Role, limits: Limits, now: Instant) -> Self {
        let mut connection = Self {
            role,
            limits,
            out: Vec::new(),
            phase: if role == Role::Server { Phase::Preface } else { Phase::Settings },
            dead: None,
            encoder: Encoder::new(),
            decoder: Decoder::new(TABLE_BYTES_DEFAULT),
            block: None,
            incoming: None,
            streams: Streams::default(),
            gone: VecDeque::new(),
            budget: Budget::new(limits.glitches, now),
            counters: Counters::default(),
            peer: Peer {
                initial_window: WINDOW_DEFAULT,
                payload_max: PAYLOAD_DEFAULT,
                streams_max: STREAMS_ASSUMED,
                connect: false,
                acknowledged: false,
                left: None,
            },
            send_window: i64::from(WINDOW_DEFAULT),
            receive_window: i64::from(WINDOW_DEFAULT),
            at_stream: 0,
            credit: 0,
            last_peer_id: 0,
            next_id: 1,
            leaving: Leaving::No,
            due: Due {
                settings: now + limits.stall,
                block: Instant::NEVER,
                frame: Instant::NEVER,
                goaway: Instant::NEVER,
                windows: Instant::NEVER,
                pong: Instant::NEVER,
                heard: now,
                asked: Instant::NEVER,
            },
            spare_requests: Vec::new(),
            spare_responses: Vec::new(),
        };
        connection.greet();
        connection
    }

    /// Preface and settings.
    fn greet(&mut self) {
        let Limits { streams, head_bytes, stream_window, connection_window, .. } = self.limits;
        let window = Setting::InitialWindowSize(stream_window.min(WINDOW_MAX));
        let list = Setting::MaxHeaderListSize(u32::try_from(head_bytes).unwrap_or(u32::MAX));
        match self.role {
            Role::Server => write::settings(
                &mut self.out,
                &[
                    Setting::MaxConcurrentStreams(streams),
                    window,
                    list,
                    Setting::EnableConnectProtocol(true),
                    Setting::NoRfc7540Priorities(true),
                ],
            ),
            Role::Client => {
                self.out.extend_from_slice(PREFACE);
                write::settings(&mut self.out, &[Setting::EnablePush(false), window, list]);
            }
        }
        let connection_window = connection_window.min(WINDOW_MAX);
        if connection_window > WINDOW_DEFAULT {
            write::window_update(&mut self.out, 0, connection_window - WINDOW_DEFAULT);
            self.receive_window = i64::from(connection_window);
        }
    }

    /// Takes the next frame, or a part of one, from the start of `input`. To be called again with the rest until it
    /// is starved; then with more behind what is left.
    pub fn receive(&mut self, input: &[u8], now: Instant) -> Step {
        if self.dead.is_some() {
            return Step { consumed: input.len(), event: Event::Over };
        }
        let asked = self.due.pong != Instant::NEVER;
        match self.take(input, now) {
            Ok(Step { consumed, event: Event::Starved(wanted) }) => {
                if input.len() == consumed || self.incoming.is_some() {
                    self.due.frame = Instant::NEVER;
                } else if self.due.frame == Instant::NEVER || consumed > 0 {
                    self.due.frame = now + self.limits.stall;
                }
                Step { consumed, event: Event::Starved(wanted) }
            }
            Ok(step) => {
                self.due.frame = Instant::NEVER;
                if !asked || self.due.pong != Instant::NEVER {
                    self.due.heard = now;
                }
                let event = if self.dead.is_some() { Event::Over } else { step.event };
                Step { consumed: step.consumed, event }
            }
            Err(error) => {
                self.fail_by_frame(&error);
                Step { consumed: input.len(), event: Event::Over }
            }
        }
    }

    fn take(&mut self, input: &[u8], now: Instant) -> Result<Step, FrameError> {
        if let Some(incoming) = self.incoming {
            return Ok(self.take_body(incoming, input));
        }
        if self.phase == Phase::Preface {
            return self.take_preface(input);
        }
        let Some(bytes) = input.first_chunk::<HEADER_BYTES>() else { return Ok(starved(HEADER_BYTES)) };
        let header = Header::parse(bytes);
        self.at_stream = header.stream;
        self.check_place(&header)?;
        header.check_len(PAYLOAD_DEFAULT)?;
        let rest = &input[HEADER_BYTES..];
        if header.kind == Kind::Data {
            return self.begin_body(&header, rest, now);
        }
        let whole = HEADER_BYTES + header.len as usize;
        let Some(payload) = rest.get(..header.len as usize) else { return Ok(starved(whole)) };
        self.counters.frames += 1;
        let event = match self.act(&header, payload, now) {
            Err(FrameError { scope: Scope::Stream, code, .. }) => {
                self.provoked(header.stream, code, now)?;
                Event::Nothing
            }
            other => other?,
        };
        Ok(Step { consumed: whole, event })
    }

    fn take_preface(&mut self, input: &[u8]) -> Result<Step, FrameError> {
        let len = input.len().min(PREFACE.len());
        if input[..len] != PREFACE[..len] {
            return Err(protocol("not the preface of HTTP/2"));
        }
        if len < PREFACE.len() {
            return Ok(starved(PREFACE.len()));
        }
        self.phase = Phase::Settings;
        Ok(Step { consumed: len, event: Event::Nothing })
    }

    /// Whether a frame may come now, whatever is in it.
    fn check_place(&mut self, header: &Header) -> Result<(), FrameError> {
        if self.phase == Phase::Settings {
            if header.kind != Kind::Settings || header.has(frame::ACK) {
                return Err(protocol("the first frame must be SETTINGS"));
            }
            return Ok(());
        }
        match &self.block {
            Some(block) if header.kind != Kind::Continuation || header.stream != block.stream() => {
                Err(protocol("a head must be continued at once"))
            }
            None if header.kind == Kind::Continuation => Err(protocol("CONTINUATION of nothing")),
            _ => Ok(()),
        }
    }

    fn act(&mut self, header: &Header, payload: &[u8], now: Instant) -> Result<Event, FrameError> {
        match header.kind {
            Kind::Headers => self.receive_headers(header, payload, now),
            Kind::Continuation => self.receive_continuation(header, payload, now),
            Kind::Priority => self.receive_priority(header, payload, now),
            Kind::RstStream => self.receive_reset(header, payload, now),
            Kind::Settings => self.receive_settings(header, payload, now),
            Kind::PushPromise => Err(protocol("pushes are not allowed")),
            Kind::Ping => self.receive_ping(header, payload, now),
            Kind::GoAway => self.receive_goaway(header, payload, now),
            Kind::WindowUpdate => self.receive_window_update(header, payload, now),
            Kind::Data | Kind::Unknown(_) => self.small(now),
        }
    }

    /// Whether a stream was never opened.
    const fn is_idle(&self, id: u32) -> bool {
        let ours = id % 2 == 1;
        match self.role {
            Role::Server => !ours || id > self.last_peer_id,
            Role::Client => !ours || id >= self.next_id,
        }
    }

    /// Bytes the other side may send on a stream it opens now. Before it has acknowledged our settings it may go by
    /// the default.
    fn window_of_new(&self) -> i64 {
        let ours = i64::from(self.limits.stream_window.min(WINDOW_MAX));
        if self.peer.acknowledged { ours } else { ours.max(i64::from(WINDOW_DEFAULT)) }
    }

    /// What waits to be written.
    #[must_use]
    #[inline]
    pub fn output(&self) -> &[u8] {
        &self.out
    }

    /// The first `n` bytes of the output were written.
    pub fn wrote(&mut self, n: usize) {
        if n < self.out.len() {
            self.out.drain(..n);
        } else {
            self.out.clear();
        }
    }

    /// Gives memory back that a quiet connection does not need.
    pub fn rest(&mut self) {
        if self.out.is_empty() && self.out.capacity() > OUT_KEPT_MAX {
            self.out = Vec::new();
        }
        self.spare_requests = Vec::new();
        self.spare_responses = Vec::new();
    }

    /// The next stream that is gone and whose user should know.
    pub fn next_gone(&mut self) -> Option<(u32, StreamError)> {
        self.gone.pop_front()
    }

    /// Nobody uses the stream in `slot` any more. It must have been given up, or be over.
    pub fn release(&mut self, slot: u32) {
        if !self.streams.at(slot).is_over() {
            self.reset(slot, ErrorCode::CANCEL);
        }
        self.gone.retain(|(gone, _)| *gone != slot);
        self.streams.change(slot, |stream| stream.held = false);
    }

    /// A head to be used again.
    pub fn recycle(&mut self, head: Box<Request>) {
        if self.spare_requests.len() < SPARE_HEADS_MAX {
            self.spare_requests.push(head);
        }
    }

    /// A head to be used again.
    pub fn recycle_response(&mut self, head: Box<Response>) {
        if self.spare_responses.len() < SPARE_HEADS_MAX {
            self.spare_responses.push(head);
        }
    }

    /// Streams that are open.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.streams.counted()
    }

    /// Whether no stream is open and none is to be opened: the connection can be closed.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let told = matches!(self.leaving, Leaving::Told { .. });
        self.dead.is_some() || ((told || self.peer.left.is_some()) && self.streams.is_quiet())
    }

    /// Whether streams may be opened, now or when others have ended.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.dead.is_none()
            && self.leaving == Leaving::No
            && self.peer.left.is_none()
            && self.next_id < WINDOW_MAX
    }

    /// Whether the other side's settings have come.
    #[must_use]
    pub fn is_greeted(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Streams that somebody uses.
    #[must_use]
    pub fn in_use(&self) -> usize {
        self.streams.in_use()
    }

    /// Why the connection ended, if it has; `NO_ERROR` if the other side closed it.
    #[must_use]
    pub const fn dead(&self) -> Option<ErrorCode> {
        self.dead
    }

    /// What has been counted.
    #[must_use]
    pub const fn counters(&self) -> Counters {
        Counters { glitches: self.budget.glitches(), ..self.counters }
    }
}

const fn starved(wanted: usize) -> Step {
    Step { consumed: 0, event: Event::Starved(wanted) }
}

/// A breach of protocol that ends the connection.
const fn protocol(reason: &'static str) -> FrameError {
    FrameError::connection(ErrorCode::PROTOCOL_ERROR, reason)
}
