//! Clients that ask for much and take nothing, or a byte at a time.

use forebay_net::h2::frame::{Kind, Setting, write};

use crate::raw::{GET_BIG, Raw};
use crate::scene::{Ceiling, Scene};

/// Connections, at the same time.
const CONNECTIONS: usize = 5;

/// Streams of each: as many as are allowed.
const STREAMS: usize = 100;

/// Waiting is bounded by this, and short here.
const STALL: &str = "limits: { write_stall: 2s }";

/// What waits for a window holds a buffer and what belongs to a request.
const CEILING: Ceiling = Ceiling { mib: 32, requests: 40 * (CONNECTIONS * STREAMS) as u32 };

/// Asks for as much as it may on each connection, and returns them once all of it has reached the origin.
fn ask_all(scene: &mut Scene, window: u32, widen: bool) -> Vec<Raw> {
    let before = scene.origin.count();
    let mut all = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut raw = Raw::connect(scene.gateway.addr(), &[Setting::InitialWindowSize(window)]);
        if widen {
            raw.widen();
        }
        for _ in 0..STREAMS {
            raw.ask(GET_BIG);
        }
        raw.send().expect("it is welcome so far");
        scene.witness("while they ask");
        all.push(raw);
    }
    scene.origin.await_count(before + CONNECTIONS * STREAMS);
    all
}

/// Reads until all streams were reset.
fn await_resets(raw: &mut Raw) {
    let mut resets = 0;
    while resets < STREAMS {
        let frame = raw.receive().expect("the connection lasts");
        resets += usize::from(frame.header.kind == Kind::RstStream);
    }
}

#[test]
fn windows_that_stay_shut() {
    let mut scene = Scene::new(STALL);
    let mut all = ask_all(&mut scene, 0, true);
    scene.check("zero_window", CEILING);
    all.iter_mut().for_each(await_resets);
    scene.check("zero_window_over", CEILING);
}

#[test]
fn a_window_of_the_connection_that_stays_shut() {
    let mut scene = Scene::new(STALL);
    let mut all = ask_all(&mut scene, 1 << 30, false);
    scene.check("zero_shared_window", CEILING);
    all.iter_mut().for_each(await_resets);
    scene.check("zero_shared_window_over", CEILING);
}

#[test]
fn a_connection_that_nobody_reads_from() {
    let mut scene = Scene::new(STALL);
    let all = ask_all(&mut scene, 1 << 30, true);
    scene.check("unread", CEILING);
    // What it still holds is what it had sent before it lost patience.
    for mut raw in all {
        while raw.receive().is_ok() {}
    }
    scene.check("unread_over", CEILING);
}

#[test]
fn a_window_that_opens_by_a_byte_at_a_time() {
    // CVE-2019-9511.
    let mut scene = Scene::new("");
    let mut raw = Raw::connect(scene.gateway.addr(), &[Setting::InitialWindowSize(0)]);
    raw.widen();
    let streams: Vec<_> = (0..STREAMS).map(|_| raw.ask(GET_BIG)).collect();
    let mut bytes = 0;
    for _ in 0..50 {
        streams.iter().for_each(|stream| write::window_update(&mut raw.out, *stream, 1));
        raw.send().expect("it is taken for slow only");
        scene.witness("dribble");
    }
    while bytes < 50 * STREAMS {
        let frame = raw.receive().expect("the connection lasts");
        if frame.header.kind == Kind::Data {
            bytes += frame.payload.len();
        }
    }
    // A frame may cost what a request does, no more.
    scene.check("dribble", Ceiling { mib: 16, requests: 50 * STREAMS as u32 });
}

#[test]
fn bodies_for_a_service_that_does_not_read() {
    // Each stream may send a window full, which has to be kept somewhere: their number and their windows are the bound.
    let mut scene = Scene::new("");
    let mut raw = Raw::connect(scene.gateway.addr(), &[]);
    for _ in 0..STREAMS {
        let stream = raw.begin();
        for _ in 0..6 {
            raw.frame(Kind::Data, 0, stream, &[b'b'; 10_000]);
        }
    }
    raw.send().expect("it is within the windows");
    scene.check("uploads", Ceiling { mib: 16, requests: 40 * STREAMS as u32 });
}
