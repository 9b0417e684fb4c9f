//! Attacks, and what they cost us: counted in frames and bytes, not in time.

use std::time::Duration;

use super::script::*;
use crate::h2::Limits;
use crate::h2::frame::ErrorCode;

fn limits() -> Limits {
    Limits { glitches: 100, ..Limits::default() }
}

/// Sends what `flood` makes of 0, 1, 2, … until the connection ends, which it must within `rounds_max`; returns the
/// rounds it took. Whatever comes of each round is let go of.
fn rounds(rounds_max: u32, mut flood: impl FnMut(u32) -> Vec<Do>) -> (u32, Script) {
    let mut script = Script::server(limits(), usize::MAX);
    script.written = 0;
    script.frames_written = 0;
    for round in 0..rounds_max {
        for step in flood(round) {
            script.run(&step);
            if script.connection.dead().is_some() {
                return (round + 1, script);
            }
        }
    }
    panic!("it went on for {rounds_max} rounds");
}

/// Such a flood ends the connection after about `glitches` rounds, having written at most a frame for each and the
/// three of the leave.
fn check_flood(flood: impl FnMut(u32) -> Vec<Do>) {
    let (took, script) = rounds(200, flood);
    assert_eq!(script.connection.dead(), Some(ErrorCode::ENHANCE_YOUR_CALM));
    assert!((90..=110).contains(&took), "{took} rounds");
    assert!(script.log().contains("> goaway 2147483647 NO_ERROR"), "it was asked to leave before");
    assert!(script.frames_written <= 2 * took as usize + 4, "{} frames", script.frames_written);
    assert!(script.written <= 40 * took as usize + 100, "{} bytes", script.written);
}

const RESET: [u8; 4] = [0, 0, 0, 8];

#[test]
fn rapid_reset_ends_the_connection() {
    check_flood(|n| vec![get(2 * n + 1), peer(RST, 0, 2 * n + 1, &RESET), Do::Release(2 * n + 1)]);
}

#[test]
fn rapid_reset_while_work_goes_on_never_has_more_than_the_allowed_streams() {
    // Nobody releases anything: requests beyond the limit are refused, and that counts too.
    let mut script = Script::server(Limits { streams: 10, ..limits() }, usize::MAX);
    for n in 0..60 {
        script.run(&get(2 * n + 1));
        script.run(&peer(RST, 0, 2 * n + 1, &RESET));
    }
    assert_eq!(script.log().matches("request").count(), 10);
    assert_eq!(script.connection.in_use(), 10);
}

#[test]
fn requests_that_are_served_excuse_as_many_resets() {
    let mut script = Script::server(limits(), usize::MAX);
    for n in 0..1_000 {
        script.run(&get(4 * n + 1));
        script.run(&Do::Answer(4 * n + 1));
        script.run(&Do::Release(4 * n + 1));
        script.run(&get(4 * n + 3));
        script.run(&peer(RST, 0, 4 * n + 3, &RESET));
        script.run(&Do::Release(4 * n + 3));
    }
    assert_eq!(script.connection.dead(), None);
    assert!(!script.connection.is_leaving());
}

#[test]
fn resets_of_what_is_being_answered_are_no_fault() {
    let mut script = Script::server(limits(), usize::MAX);
    for n in 0..1_000 {
        script.run(&get(2 * n + 1));
        script.run(&Do::Begin(2 * n + 1));
        script.run(&peer(RST, 0, 2 * n + 1, &RESET));
        script.run(&Do::Release(2 * n + 1));
    }
    assert_eq!(script.connection.counters().glitches, 0);
}

#[test]
fn made_you_reset_by_its_six_ways() {
    let update = |id, by: u32| peer(UPDATE, 0, id, &by.to_be_bytes());
    // A window made to overflow.
    check_flood(|n| vec![get(2 * n + 1), update(2 * n + 1, u32::MAX >> 1), Do::Release(2 * n + 1)]);
    // A window update of nothing.
    check_flood(|n| vec![get(2 * n + 1), update(2 * n + 1, 0), Do::Release(2 * n + 1)]);
    // DATA behind the end.
    check_flood(|n| vec![get(2 * n + 1), peer(DATA, 0, 2 * n + 1, b"x"), Do::Release(2 * n + 1)]);
    // A head behind the end.
    check_flood(|n| vec![get(2 * n + 1), get(2 * n + 1), Do::Release(2 * n + 1)]);
    // More body than announced.
    check_flood(|n| vec![post_of(2 * n + 1, "1"), peer(DATA, 0, 2 * n + 1, b"xyz"), Do::Release(2 * n + 1)]);
    // A priority that is malformed.
    check_flood(|n| vec![post(2 * n + 1), peer(PRIO, 0, 2 * n + 1, &[0; 4]), Do::Release(2 * n + 1)]);
    check_flood(|n| {
        let itself = [&(2 * n + 1).to_be_bytes()[..], &[1]].concat();
        vec![post(2 * n + 1), peer(PRIO, 0, 2 * n + 1, &itself), Do::Release(2 * n + 1)]
    });
}

#[test]
fn made_you_reset_holds_its_streams_until_the_work_has_ended() {
    let mut script = Script::server(Limits { streams: 10, ..limits() }, usize::MAX);
    for n in 0..40 {
        script.run(&get(2 * n + 1));
        if n < 10 {
            script.run(&peer(UPDATE, 0, 2 * n + 1, &[0; 4]));
        }
    }
    assert_eq!(script.connection.in_use(), 10);
    assert_eq!(script.connection.counters().refused, 30);
}

#[test]
fn small_frames_end_the_connection() {
    check_flood(|_| vec![peer(SETTINGS, 0, 0, &[])]);
    check_flood(|_| vec![peer(SETTINGS, 0, 0, &setting(4, 7))]);
    check_flood(|_| vec![peer(SETTINGS, ACK, 0, &[])]);
    check_flood(|_| vec![peer(PING, 0, 0, &[0; 8])]);
    check_flood(|_| vec![peer(PING, ACK, 0, &[0; 8])]);
    check_flood(|_| vec![peer(PRIO, 0, 5, &[0, 0, 0, 1, 1])]);
    check_flood(|_| vec![peer(UPDATE, 0, 0, &[0, 0, 0, 1])]);
    check_flood(|_| vec![peer(0xbb, 0, 0, b"x")]);
    check_flood(|_| vec![peer(GOAWAY, 0, 0, &[0; 8])]);
    check_flood(|n| match n {
        0 => vec![post(1), peer(DATA, 0, 1, &[])],
        _ => vec![peer(DATA, 0, 1, &[])],
    });
    check_flood(|n| match n {
        0 => vec![post(1), peer(DATA, PADDED, 1, &[0])],
        _ => vec![peer(DATA, PADDED, 1, &[3, 0, 0, 0])],
    });
    check_flood(|n| match n {
        0 => vec![get(1), peer(UPDATE, 0, 1, &[0, 0, 0, 1])],
        _ => vec![peer(UPDATE, 0, 1, &[0, 0, 0, 1])],
    });
    check_flood(|n| match n {
        0 => vec![post(1), peer(RST, 0, 1, &RESET)],
        _ => vec![peer(RST, 0, 1, &RESET)],
    });
}

#[test]
fn malformed_and_outsized_heads_end_the_connection() {
    check_flood(|n| vec![peer(HEADERS, HEAD | END, 2 * n + 1, &block(&[("x", "y")]))]);
    let bomb = request_with("GET", &vec![("a", "b"); 101]);
    check_flood(|n| {
        vec![peer(HEADERS, HEAD | END, 2 * n + 1, &bomb), Do::Reset(2 * n + 1), Do::Release(2 * n + 1)]
    });
}

#[test]
fn what_happens_now_and_then_adds_up_to_nothing() {
    let mut script = Script::server(limits(), usize::MAX);
    for _ in 0..10_000 {
        script.run(&peer(PING, 0, 0, &[0; 8]));
        script.run(&Do::Wait(1));
    }
    assert!(!script.connection.is_leaving());
}

#[test]
fn updates_and_pings_that_come_with_body_are_no_fault() {
    let mut script = Script::server(limits(), usize::MAX);
    script.run(&get(1));
    script.run(&Do::Begin(1));
    for _ in 0..10_000 {
        script.run(&Do::Send(1, 1_000));
        script.run(&peer(UPDATE, 0, 0, &1_000_u32.to_be_bytes()));
        script.run(&peer(UPDATE, 0, 1, &1_000_u32.to_be_bytes()));
        script.run(&peer(PING, 0, 0, &[0; 8]));
    }
    assert_eq!(script.connection.counters().glitches, 0);
}

#[test]
fn a_head_a_few_times_too_large_is_answered_and_others_go_on() {
    for (frames, expected) in [
        (7, "request 1 end; request 3 too large end; request 5 end; > head 1 end"),
        (8, "request 1 end; gone 1 Closed; > goaway 1 ENHANCE_YOUR_CALM; cannot Closed"),
    ] {
        let mut script = Script::server(limits(), usize::MAX);
        // Fields of nothing but a name, as many as a frame holds: eight frames and the request are beyond 128 KiB.
        let fields = block(&[("x-filler-filler", "")]).repeat(910);
        script.run(&get(1));
        script.run(&peer(HEADERS, END, 3, &request("GET")));
        for n in 1..=frames {
            script.run(&peer(CONTINUATION, if n == frames { HEAD } else { 0 }, 3, &fields));
        }
        if script.connection.dead().is_none() {
            script.run(&get(5));
        }
        script.run(&Do::Answer(1));
        assert_eq!(script.log(), expected, "{frames}: {}", fields.len() * frames);
    }
}

#[test]
fn a_head_without_end_is_neither_kept_nor_decoded() {
    // By count: many frames with next to nothing in them.
    let mut script = Script::server(limits(), usize::MAX);
    script.run(&peer(HEADERS, END, 1, &[]));
    let mut frames = 0;
    while script.connection.dead().is_none() {
        script.run(&peer(CONTINUATION, 0, 1, &[]));
        frames += 1;
    }
    assert_eq!(frames, limits().continuations + 1);
    assert_eq!(script.log(), "> goaway 0 ENHANCE_YOUR_CALM");
    // By bytes: few frames, full ones.
    let mut script = Script::server(limits(), usize::MAX);
    script.run(&peer(HEADERS, END, 1, &[0; 16_384]));
    let mut bytes = 16_384;
    while script.connection.dead().is_none() {
        script.run(&peer(CONTINUATION, 0, 1, &[0; 16_384]));
        bytes += 16_384;
    }
    assert!(bytes <= 4 * limits().head_bytes + 2 * 16_384, "{bytes}");
    assert_eq!(script.log(), "> goaway 0 ENHANCE_YOUR_CALM");
}

#[test]
fn windows_that_stay_shut_free_their_streams() {
    let mut script = Script::server(Limits { streams: 100, ..limits() }, usize::MAX);
    script.run(&peer(SETTINGS, 0, 0, &setting(4, 0)));
    for n in 0..60 {
        script.run(&get(2 * n + 1));
        script.run(&Do::Begin(2 * n + 1));
        script.run(&Do::Blocked(2 * n + 1));
    }
    assert_eq!(script.connection.open_streams(), 60);
    script.run(&Do::Wait(31));
    for n in 0..60 {
        script.run(&Do::Release(2 * n + 1));
    }
    assert_eq!((script.connection.open_streams(), script.connection.in_use()), (0, 0));
    assert!(limits().stall < Duration::from_secs(31));
}

#[test]
fn heads_beyond_the_limits_are_not_excused_by_being_refused_in_order() {
    let many: Vec<_> = (0..200).map(|n| (format!("x-{n}"), "y".to_owned())).collect();
    let fields: Vec<_> = many.iter().map(|(name, value)| (&**name, &**value)).collect();
    let (took, script) = rounds(200, |n| {
        let id = 2 * n + 1;
        let head = peer(HEADERS, HEAD | END, id, &request_with("GET", &fields));
        vec![head, Do::Answer(id), Do::Release(id)]
    });
    assert_eq!(script.connection.dead(), Some(ErrorCode::ENHANCE_YOUR_CALM));
    assert!((90..=110).contains(&took), "{took} rounds");
}
