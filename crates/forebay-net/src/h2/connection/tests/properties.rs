//! Random traffic between our two sides, cut at random; and random bytes.

use std::collections::BTreeMap;

use forebay_base::time::Instant;
use proptest::prelude::*;

use super::script::{Do, Script};
use crate::h2::Limits;
use crate::h2::connection::{Connection, Event};
use crate::h2::frame::PREFACE;

const NOW: Instant = Instant::from_nanos(0);

/// One side, with what it has received.
struct End {
    connection: Connection,
    input: Vec<u8>,
    /// By slot: body received and not taken, all of it so far, whether it is over, its trailers.
    bodies: BTreeMap<u32, Body>,
    opened: Vec<u32>,
}

#[derive(Default)]
struct Body {
    untaken: usize,
    bytes: Vec<u8>,
    finished: bool,
    trailers: Vec<u8>,
    head: bool,
}

/// A message and how far it was sent.
struct Sending {
    slot: u32,
    body: Vec<u8>,
    at: usize,
    trailers: bool,
    done: bool,
}

impl End {
    fn new(connection: Connection) -> Self {
        Self { connection, input: Vec::new(), bodies: BTreeMap::new(), opened: Vec::new() }
    }

    /// Reads what has come, and takes body at once or later.
    fn read(&mut self, take: bool) {
        loop {
            let step = self.connection.receive(&self.input, NOW);
            match step.event {
                Event::Starved(_) | Event::Over => {
                    self.input.drain(..step.consumed);
                    break;
                }
                Event::Request { slot, head, finished } => {
                    self.connection.recycle(head);
                    self.opened.push(slot);
                    self.bodies.insert(slot, Body { finished, head: true, ..Body::default() });
                }
                Event::Response { slot, head, finished } => {
                    self.connection.recycle_response(head);
                    let body = self.bodies.entry(slot).or_default();
                    body.head = true;
                    body.finished |= finished;
                }
                Event::Data { slot, bytes, finished } => {
                    let body = self.bodies.entry(slot).or_default();
                    body.untaken += bytes.len();
                    body.bytes.extend_from_slice(&self.input[bytes]);
                    body.finished |= finished;
                }
                Event::Trailers { slot, lines } => {
                    let body = self.bodies.entry(slot).or_default();
                    body.trailers = lines;
                    body.finished = true;
                }
                Event::Nothing | Event::Window(_) | Event::Windows => {}
            }
            self.input.drain(..step.consumed);
        }
        if take {
            for (slot, body) in &mut self.bodies {
                self.connection.taken(*slot, std::mem::take(&mut body.untaken));
            }
        }
        assert_eq!(self.connection.next_gone(), None, "no stream is reset");
    }
}

impl Sending {
    fn push(&mut self, connection: &mut Connection) {
        while !self.done && self.at < self.body.len() {
            let n = connection.send_data(self.slot, &self.body[self.at..], !self.trailers).unwrap();
            self.at += n;
            if n == 0 {
                return;
            }
            self.done = self.at == self.body.len() && !self.trailers;
        }
        if !self.done {
            let lines: &[u8] = if self.trailers { b"x-end: 1\r\n" } else { b"" };
            connection.send_trailers(self.slot, lines).unwrap();
            self.done = true;
        }
    }
}

fn pattern(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|n| (n * 7 + seed) as u8).collect()
}

fn limits(stream_window: u32) -> Limits {
    Limits { stream_window, connection_window: 70_000, ..Limits::default() }
}

/// Moves some of what one side has written to the other.
fn carry(from: &mut End, to: &mut End, n: usize) {
    let n = from.connection.output().len().min(n);
    to.input.extend_from_slice(&from.connection.output()[..n]);
    from.connection.wrote(n);
}

/// Sends a body on each of a hundred streams, of which all but the last are never read.
fn check_last_of(sender: &mut End, receiver: &mut End, slots: &[u32]) {
    const LEN: usize = 500_000;
    let sending =
        |slot: &u32| Sending { slot: *slot, body: pattern(1, LEN), at: 0, trailers: false, done: false };
    let mut bodies: Vec<_> = slots.iter().map(sending).collect();
    let last = *slots.last().expect("there are some");
    for _ in 0..10_000 {
        bodies.iter_mut().for_each(|body| body.push(&mut sender.connection));
        carry(sender, receiver, usize::MAX);
        receiver.read(false);
        receiver
            .connection
            .taken(last, std::mem::take(&mut receiver.bodies.entry(last).or_default().untaken));
        carry(receiver, sender, usize::MAX);
        sender.read(false);
        if receiver.bodies[&last].finished {
            break;
        }
    }
    assert_eq!(receiver.bodies[&last].bytes.len(), LEN);
    for slot in &slots[..slots.len() - 1] {
        let body = &receiver.bodies[slot];
        assert!(!body.finished && body.untaken == 65_536, "{}", body.untaken);
    }
}

#[test]
fn streams_that_nobody_reads_keep_no_other_waiting() {
    let limits = || Limits { streams: 100, ..Limits::default() };
    let mut client = End::new(Connection::client(limits(), NOW));
    let mut server = End::new(Connection::server(limits(), NOW));
    for _ in 0..2 {
        carry(&mut client, &mut server, usize::MAX);
        server.read(false);
        carry(&mut server, &mut client, usize::MAX);
        client.read(false);
    }
    let slots: Vec<u32> = (0..100).map(|_| client.connection.open(NOW).expect("there is room")).collect();
    for slot in &slots {
        let head = b"POST / HTTP/1.1\r\nHost: a.test\r\n\r\n";
        client.connection.send_request(*slot, head, b"http", false).expect("the stream is open");
    }
    check_last_of(&mut client, &mut server, &slots);
    for slot in &slots {
        server
            .connection
            .send_response(*slot, b"HTTP/1.1 200 OK\r\n\r\n", false)
            .expect("the stream is open");
    }
    check_last_of(&mut server, &mut client, &slots);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn messages_arrive_whole_however_they_are_cut(
        messages in prop::collection::vec((0..200_000_usize, 0..200_000_usize, any::<bool>()), 1..8),
        cuts in prop::collection::vec((1..30_000_usize, 1..30_000_usize, any::<bool>()), 1..40),
        window in 1_024..100_000_u32,
    ) {
        let mut client = End::new(Connection::client(limits(window), NOW));
        let mut server = End::new(Connection::server(limits(window), NOW));
        let mut requests = Vec::new();
        for (seed, (len, _, trailers)) in messages.iter().enumerate() {
            let slot = client.connection.open(NOW).unwrap();
            client
                .connection
                .send_request(slot, b"POST / HTTP/1.1\r\nHost: a.test\r\n\r\n", b"http", false)
                .unwrap();
            let body = pattern(seed, *len);
            requests.push(Sending { slot, body, at: 0, trailers: *trailers, done: false });
        }
        let mut responses: Vec<Sending> = Vec::new();
        let mut round = 0;
        loop {
            let (up, down, take) = cuts[round % cuts.len()];
            // The last rounds take everything: who never takes anything never gets any more.
            let take = take || round > 20;
            requests.iter_mut().for_each(|request| request.push(&mut client.connection));
            responses.iter_mut().for_each(|response| response.push(&mut server.connection));
            carry(&mut client, &mut server, up);
            server.read(take);
            for slot in std::mem::take(&mut server.opened) {
                let seed = responses.len();
                server.connection.send_response(slot, b"HTTP/1.1 200 OK\r\n\r\n", false).unwrap();
                let body = pattern(seed + 100, messages[seed].1);
                responses.push(Sending { slot, body, at: 0, trailers: messages[seed].2, done: false });
            }
            carry(&mut server, &mut client, down);
            client.read(take);
            for end in [&client, &server] {
                prop_assert_eq!(end.connection.dead(), None);
                for body in end.bodies.values() {
                    prop_assert!(body.untaken <= window.max(65_535) as usize, "a window is overrun");
                }
            }
            let over = |end: &End| end.bodies.len() == messages.len() && end.bodies.values().all(|b| b.finished);
            if over(&client) && over(&server) {
                break;
            }
            round += 1;
            prop_assert!(round < 20_000, "it goes on");
        }
        for (seed, (up, down, trailers)) in messages.iter().enumerate() {
            let (request, response) = (&server.bodies[&responses[seed].slot], &client.bodies[&requests[seed].slot]);
            prop_assert!(request.bytes == pattern(seed, *up) && response.bytes == pattern(seed + 100, *down));
            let lines: &[u8] = if *trailers { b"x-end: 1\r\n" } else { b"" };
            prop_assert_eq!((&request.trailers[..], &response.trailers[..]), (lines, lines));
        }
        prop_assert_eq!(server.connection.counters().glitches, 0);
        prop_assert_eq!(client.connection.counters().glitches, 0);
        prop_assert_eq!((server.connection.open_streams(), client.connection.open_streams()), (0, 0));
    }

    #[test]
    fn no_bytes_make_it_panic_or_write_without_end(
        bytes in prop::collection::vec(any::<u8>(), 0..2_000),
        client in any::<bool>(),
    ) {
        let mut script = if client {
            Script::client(Limits::default(), 11)
        } else {
            Script::server(Limits::default(), 11)
        };
        script.written = 0;
        script.run(&Do::Peer(bytes.clone()));
        prop_assert!(script.written <= 200 + 3 * bytes.len());
    }

    #[test]
    fn no_frames_make_it_panic_or_write_without_end(
        frames in prop::collection::vec(
            (0..11_u8, any::<u8>(), 0..8_u32, prop::collection::vec(any::<u8>(), 0..20)),
            0..60,
        ),
    ) {
        let mut connection = Connection::server(Limits::default(), NOW);
        let mut input = PREFACE.to_vec();
        input.extend(super::script::raw(super::script::SETTINGS, 0, 0, &[]));
        for (kind, flags, stream, payload) in &frames {
            // Heads that can be read get further.
            let payload = match *kind {
                1 if flags % 3 > 0 => super::script::request("POST"),
                _ => payload.clone(),
            };
            let flags = if *kind == 1 { flags & 5 } else { *flags };
            input.extend(super::script::raw(*kind, flags, *stream, &payload));
        }
        let mut rest = &input[..];
        loop {
            let step = connection.receive(rest, NOW);
            rest = &rest[step.consumed..];
            match step.event {
                Event::Starved(_) | Event::Over => break,
                Event::Request { slot, head, .. } => {
                    connection.recycle(head);
                    if slot % 2 == 0 {
                        let _ = connection.send_response(slot, b"HTTP/1.1 200 OK\r\n\r\n", true);
                    } else {
                        connection.release(slot);
                    }
                }
                _ => {}
            }
            while let Some((slot, _)) = connection.next_gone() {
                connection.release(slot);
            }
        }
        prop_assert!(connection.output().len() <= 300 + 4 * input.len());
        prop_assert!(connection.open_streams() <= 100);
    }
}
