//! Any bytes from a client, or a server, end in an error or are answered; what they cost stays in proportion.
#![no_main]

use forebay_base::time::Instant;
use forebay_net::h2::Limits;
use forebay_net::h2::connection::{Connection, Event};
use libfuzzer_sys::fuzz_target;

/// Answers to what was read are at most a few frames for each.
const OUT_PER_BYTE: usize = 6;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else { return };
    let whole = run(*choice, bytes, bytes.len().max(1));
    assert_eq!(run(*choice, bytes, 1), whole, "however it is cut");
});

/// What came of the bytes, in pieces of this size.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outcome {
    requests: usize,
    responses: usize,
    data: usize,
    finished: usize,
    gone: usize,
    dead: bool,
    written: Vec<u8>,
}

/// What the other side says first, unless that is up to the input.
fn hello(choice: u8) -> &'static [u8] {
    match choice & 0x11 {
        0x00 => b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
        0x01 => b"\0\0\0\x04\0\0\0\0\0",
        _ => b"",
    }
}

fn run(choice: u8, bytes: &[u8], size: usize) -> Outcome {
    let now = Instant::from_nanos(0);
    // Windows so large that none is given back: when that happens depends on how the input is cut.
    let limits = Limits {
        streams: 8,
        glitches: 50,
        stream_window: 1 << 20,
        connection_window: 1 << 22,
        ..Limits::default()
    };
    let mut connection = match choice & 1 {
        0 => Connection::server(limits, now),
        _ => Connection::client(limits, now),
    };
    if choice & 1 == 1 {
        for _ in 0..2 {
            let slot = connection.open(now).expect("a new connection has room");
            let text = b"POST / HTTP/1.1\r\nHost: a.test\r\n\r\n";
            connection.send_request(slot, text, b"http", choice & 2 == 0).expect("it is a request");
        }
    }
    let greeting = connection.output().len();
    let mut outcome = Outcome::default();
    let mut pending = Vec::new();
    let greeted = [hello(choice), bytes].concat();
    for piece in greeted.chunks(size) {
        pending.extend_from_slice(piece);
        loop {
            let step = connection.receive(&pending, now);
            pending.drain(..step.consumed);
            match step.event {
                Event::Starved(_) | Event::Over => break,
                Event::Request { slot, head, finished } => {
                    outcome.requests += 1;
                    outcome.finished += usize::from(finished);
                    connection.recycle(head);
                    match choice & 0xc {
                        0x0 => connection.release(slot),
                        0x4 => drop(connection.send_response(slot, b"HTTP/1.1 200 OK\r\n\r\n", true)),
                        _ => {}
                    }
                }
                Event::Response { head, finished, .. } => {
                    outcome.responses += 1;
                    outcome.finished += usize::from(finished);
                    connection.recycle_response(head);
                }
                Event::Data { slot, bytes, finished } => {
                    outcome.data += bytes.len();
                    outcome.finished += usize::from(finished);
                    connection.taken(slot, bytes.len());
                }
                Event::Trailers { .. } => outcome.finished += 1,
                Event::Nothing | Event::Window(_) | Event::Windows => {}
            }
            while let Some((slot, _)) = connection.next_gone() {
                outcome.gone += 1;
                if choice & 1 == 0 {
                    connection.release(slot);
                }
            }
        }
    }
    while connection.next_gone().is_some() {
        outcome.gone += 1;
    }
    assert!(connection.output().len() <= greeting + 300 + OUT_PER_BYTE * bytes.len());
    assert!(connection.open_streams() <= 8);
    outcome.dead = connection.dead().is_some();
    outcome.written = connection.output().to_vec();
    outcome
}
