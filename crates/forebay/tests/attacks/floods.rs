//! Floods of frames: much to do, and nothing that is wanted.

use forebay_net::h2::frame::{
    ACK, END_HEADERS, END_STREAM, ErrorCode, Kind, PADDED, Setting, WINDOW_DEFAULT, WINDOW_MAX, write,
};

use crate::raw::{GET, Raw};
use crate::scene::{Ceiling, Scene};

/// Connections of an attack, one after the other.
const ROUNDS: u32 = 40;

/// Rounds of `burst` on one connection: far more than it lives.
const BURSTS: usize = 200;

/// Has `burst` sent again and again until the gateway ends the connection, on one connection after the other. It must
/// end each, saying `ENHANCE_YOUR_CALM` or, where `code` is given, that.
///
/// Returns how many requests have reached the origin.
#[track_caller]
fn check(name: &str, ceiling: Ceiling, code: ErrorCode, mut burst: impl FnMut(&mut Raw)) -> usize {
    let mut scene = Scene::new("");
    for _ in 0..ROUNDS {
        let mut raw = Raw::connect(scene.gateway.addr(), &[]);
        for _ in 0..BURSTS {
            burst(&mut raw);
            if raw.send().is_err() {
                break;
            }
        }
        scene.witness(name);
        raw.end_with(code, name);
    }
    scene.check(name, ceiling);
    scene.reached()
}

const CALM: ErrorCode = ErrorCode::ENHANCE_YOUR_CALM;

/// Where requests are made and given up: a connection lives for 400 faults, each of which may cost what a request
/// does, and a connection to the service is lost with it.
const USUAL: Ceiling = Ceiling { mib: 8, requests: ROUNDS * 600 };

/// Where there are frames only, which cost next to nothing.
const LITTLE: Ceiling = Ceiling { mib: 4, requests: ROUNDS * 40 };

#[test]
fn rapid_reset() {
    // CVE-2023-44487.
    let reached = check("rapid_reset", USUAL, CALM, |raw| {
        for _ in 0..100 {
            let stream = raw.ask(GET);
            raw.reset(stream);
        }
    });
    // What was reset in the same breath is not sent on: a piece of them may be read without the rest.
    assert!(reached <= 10 * ROUNDS as usize, "{reached} of {}", 400 * ROUNDS);
}

#[test]
fn rapid_reset_a_moment_later() {
    // As many as are allowed at a time, then all reset.
    check("rapid_reset_later", USUAL, CALM, |raw| {
        let streams: Vec<_> = (0..100).map(|_| raw.ask(GET)).collect();
        streams.into_iter().for_each(|stream| raw.reset(stream));
    });
}

/// A way to have the gateway reset a stream for which it works (CVE-2025-8671).
#[track_caller]
fn check_made_to_reset(name: &str, code: ErrorCode, provoke: impl Fn(&mut Raw, u32)) {
    let _ = check(name, USUAL, code, |raw| {
        for _ in 0..100 {
            let stream = raw.ask(GET);
            provoke(raw, stream);
        }
    });
}

#[test]
fn made_to_reset_by_a_window_update_of_nothing() {
    check_made_to_reset("window_update_of_nothing", CALM, |raw, stream| {
        raw.frame(Kind::WindowUpdate, 0, stream, &[0; 4]);
    });
}

#[test]
fn made_to_reset_by_a_priority_of_the_wrong_size() {
    check_made_to_reset("priority_size", CALM, |raw, stream| {
        raw.frame(Kind::Priority, 0, stream, &[0; 4]);
    });
}

#[test]
fn made_to_reset_by_a_stream_that_depends_on_itself() {
    check_made_to_reset("depends_on_itself", CALM, |raw, stream| {
        let [a, b, c, d] = stream.to_be_bytes();
        raw.frame(Kind::Priority, 0, stream, &[a, b, c, d, 16]);
    });
}

#[test]
fn made_to_reset_by_a_window_beyond_its_largest() {
    check_made_to_reset("window_overflow", CALM, |raw, stream| {
        write::window_update(&mut raw.out, stream, WINDOW_MAX);
    });
}

#[test]
fn made_to_reset_by_a_head_after_the_end() {
    check_made_to_reset("head_after_end", CALM, |raw, stream| {
        raw.frame(Kind::Headers, END_HEADERS | END_STREAM, stream, GET);
    });
}

#[test]
fn made_to_reset_by_data_after_the_end() {
    check_made_to_reset("data_after_end", CALM, |raw, stream| {
        raw.frame(Kind::Data, 0, stream, b"more");
    });
}

#[test]
fn continuations_without_end() {
    // CVE-2024-27316 and its kin: empty, small, and as large as they may be.
    for (name, size) in [("continuation_0", 0), ("continuation_1", 1), ("continuation_16k", 16 << 10)] {
        check(name, LITTLE, CALM, |raw| {
            if raw.is_new() {
                let stream = raw.stream();
                raw.frame(Kind::Headers, END_STREAM, stream, GET);
            }
            for _ in 0..20 {
                raw.frame(Kind::Continuation, 0, 1, &vec![0; size]);
            }
        });
    }
}

#[test]
fn settings_over_and_over() {
    // CVE-2019-9515.
    check("settings", LITTLE, CALM, |raw| {
        for _ in 0..100 {
            write::settings(&mut raw.out, &[Setting::InitialWindowSize(WINDOW_DEFAULT)]);
        }
    });
}

#[test]
fn windows_of_all_streams_moved_over_and_over() {
    // Each setting is work for every stream.
    check("settings_windows", USUAL, CALM, |raw| {
        if raw.is_new() {
            (0..100).for_each(|_| _ = raw.begin());
        }
        for n in 0..100 {
            write::settings(&mut raw.out, &[Setting::InitialWindowSize(WINDOW_DEFAULT + n)]);
        }
    });
}

#[test]
fn pings_over_and_over() {
    // CVE-2019-9512.
    check("pings", LITTLE, CALM, |raw| {
        (0..100).for_each(|_| write::ping(&mut raw.out, *b"hurry up"));
    });
}

#[test]
fn answers_to_what_was_not_asked() {
    check("acknowledgements", LITTLE, CALM, |raw| {
        for _ in 0..100 {
            write::settings_ack(&mut raw.out);
            raw.frame(Kind::Ping, ACK, 0, b"youasked");
        }
    });
}

#[test]
fn priorities_over_and_over() {
    // CVE-2019-9513.
    check("priorities", LITTLE, CALM, |raw| {
        let stream = if raw.is_new() { raw.begin() } else { 1 };
        for n in 0..100 {
            raw.frame(Kind::Priority, 0, stream, &[0, 0, 0, 0, n]);
        }
    });
}

#[test]
fn window_updates_over_and_over() {
    check("window_updates", LITTLE, CALM, |raw| {
        (0..100).for_each(|_| write::window_update(&mut raw.out, 0, 1));
    });
}

#[test]
fn data_of_nothing() {
    // CVE-2019-9518.
    check("empty_data", LITTLE, CALM, |raw| {
        let stream = if raw.is_new() { raw.begin() } else { 1 };
        (0..100).for_each(|_| raw.frame(Kind::Data, 0, stream, &[]));
    });
}

#[test]
fn data_of_padding() {
    check("padding", LITTLE, CALM, |raw| {
        let stream = if raw.is_new() { raw.begin() } else { 1 };
        let mut payload = vec![0; 256];
        payload[0] = 255;
        (0..100).for_each(|_| raw.frame(Kind::Data, PADDED, stream, &payload));
    });
}

#[test]
fn frames_of_no_known_kind() {
    check("unknown", LITTLE, CALM, |raw| {
        (0..100).for_each(|_| raw.frame(Kind::Unknown(77), 0, 0, b"?"));
    });
}
