//! What a server must enforce for its connection as a whole, by frames: settings, pings, windows, the end.

use super::script::*;
use super::server::{check_server, head};

#[test]
fn settings_are_judged_and_acknowledged() {
    let settings = |list: &[(u16, u32)]| {
        let payload: Vec<u8> = list.iter().flat_map(|(id, value)| setting(*id, *value)).collect();
        peer(SETTINGS, 0, 0, &payload)
    };
    check_server(&[
        ("§6.5.3 settings are acknowledged", vec![settings(&[(1, 0), (3, 7), (6, 100)])], "> settings ack"),
        ("§6.5 none at all are, too", vec![settings(&[])], "> settings ack"),
        ("§6.5.2 unknown ones are ignored", vec![settings(&[(0xfafa, 7)])], "> settings ack"),
        ("§6.5.2 ENABLE_PUSH is 0 or 1", vec![settings(&[(2, 1)])], "> settings ack"),
        ("§6.5.2 ENABLE_PUSH is nothing else", vec![settings(&[(2, 2)])], "> goaway 0 PROTOCOL_ERROR"),
        ("§6.5.2 the largest window", vec![settings(&[(4, (1 << 31) - 1)])], "> settings ack"),
        ("§6.5.2 a window too large", vec![settings(&[(4, 1 << 31)])], "> goaway 0 FLOW_CONTROL_ERROR"),
        ("§6.5.2 the smallest frame size", vec![settings(&[(5, 16_384)])], "> settings ack"),
        ("§6.5.2 a frame size too small", vec![settings(&[(5, 16_383)])], "> goaway 0 PROTOCOL_ERROR"),
        ("§6.5.2 the largest frame size", vec![settings(&[(5, (1 << 24) - 1)])], "> settings ack"),
        ("§6.5.2 a frame size too large", vec![settings(&[(5, 1 << 24)])], "> goaway 0 PROTOCOL_ERROR"),
        (
            "RFC 8441 §3 ENABLE_CONNECT_PROTOCOL is 0 or 1",
            vec![settings(&[(8, 2)])],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "RFC 8441 §3 it is not taken back",
            vec![settings(&[(8, 1)]), settings(&[(8, 0)])],
            "> settings ack; > goaway 0 PROTOCOL_ERROR",
        ),
        (
            "RFC 9218 §2.1 NO_RFC7540_PRIORITIES is 0 or 1",
            vec![settings(&[(9, 2)])],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "§6.5.3 an acknowledgement of nothing is ignored",
            vec![peer(SETTINGS, ACK, 0, &[]), get(1)],
            "request 1 end",
        ),
        (
            "§6.5.3 the last value counts",
            vec![get(1), Do::Begin(1), settings(&[(4, 1), (4, 3)]), Do::Send(1, 9)],
            "request 1 end; > head 1; > settings ack; > data 1 3",
        ),
        ("§6.6 a client cannot push", vec![peer(PUSH, HEAD, 1, &[0, 0, 0, 2])], "> goaway 0 PROTOCOL_ERROR"),
        ("§6.7 a ping is answered", vec![peer(PING, 0, 0, &[9; 8])], "> pong 9"),
        ("§6.7 an answer is not", vec![peer(PING, ACK, 0, &[9; 8])], ""),
        (
            "§6.8 a client that goes is still answered",
            vec![get(1), peer(GOAWAY, 0, 0, &[0; 8]), Do::Answer(1)],
            "request 1 end; > head 1 end",
        ),
    ]);
}

#[test]
fn windows_are_kept() {
    let large = vec![0; 16_384];
    let data = |stream| peer(DATA, 0, stream, &large);
    let update = |stream, by: u32| peer(UPDATE, 0, stream, &by.to_be_bytes());
    let window = |value| peer(SETTINGS, 0, 0, &setting(4, value));
    check_server(&[
        (
            "§6.9.1 no more than the window is sent",
            vec![window(5), get(1), Do::Begin(1), Do::Send(1, 9)],
            "> settings ack; request 1 end; > head 1; > data 1 5",
        ),
        (
            "§6.9.1 a shut window sends nothing",
            vec![window(0), get(1), Do::Begin(1), Do::Send(1, 9)],
            "> settings ack; request 1 end; > head 1",
        ),
        (
            "§6.9 until it opens",
            vec![window(0), get(1), Do::Begin(1), update(1, 4), Do::Send(1, 9)],
            "> settings ack; request 1 end; > head 1; > data 1 4",
        ),
        (
            "§6.9.2 a setting changes open windows",
            vec![window(5), get(1), Do::Begin(1), Do::Send(1, 5), window(7), Do::Send(1, 9)],
            "> settings ack; request 1 end; > head 1; > data 1 5; > settings ack; > data 1 2",
        ),
        (
            "§6.9.2 below zero, too",
            vec![
                window(5),
                get(1),
                Do::Begin(1),
                Do::Send(1, 5),
                window(2),
                update(1, 3),
                Do::Send(1, 9),
                update(1, 1),
                Do::Send(1, 9),
            ],
            "> settings ack; request 1 end; > head 1; > data 1 5; > settings ack; > data 1 1",
        ),
        (
            "§6.9.2 but not beyond the largest",
            vec![get(1), update(1, (1 << 31) - 1 - 65_535), window(65_536)],
            "request 1 end; gone 1 Closed; > goaway 1 FLOW_CONTROL_ERROR",
        ),
        (
            "§6.9.2 nor the connection's",
            vec![window(1), get(1), Do::Begin(1), update(0, 5), Do::Send(1, 9)],
            "> settings ack; request 1 end; > head 1; > data 1 1",
        ),
        (
            "§6.9 an update of nothing, for a stream",
            vec![post(1), update(1, 0)],
            "request 1; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
        ),
        ("§6.9 an update of nothing, for the connection", vec![update(0, 0)], "> goaway 0 PROTOCOL_ERROR"),
        (
            "§6.9 the reserved bit of an update is ignored",
            vec![update(0, 1 << 31)],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "§6.9.1 a stream's window beyond the largest",
            vec![post(1), update(1, (1 << 31) - 1)],
            "request 1; gone 1 Malformed; > reset 1 FLOW_CONTROL_ERROR",
        ),
        ("§6.9.1 as large as allowed", vec![post(1), update(1, (1 << 31) - 1 - 65_535)], "request 1"),
        (
            "§6.9.1 the connection's window beyond the largest",
            vec![update(0, (1 << 31) - 1)],
            "> goaway 0 FLOW_CONTROL_ERROR",
        ),
        ("§6.9.1 the connection's as large as allowed", vec![update(0, (1 << 31) - 1 - 65_535)], ""),
        (
            "§6.9.1 a stream's window overrun",
            vec![post(1), data(1), data(1), data(1), data(1), peer(DATA, 0, 1, b"x")],
            "request 1; data 1 65536; > update 0 65536; gone 1 Malformed; > reset 1 FLOW_CONTROL_ERROR",
        ),
        (
            "§6.9 what is taken is given back, by half windows",
            vec![post(1), data(1), data(1), Do::Take(1, 16_384), Do::Take(1, 16_384)],
            "request 1; data 1 32768; > update 1 32768",
        ),
        (
            "§6.9 and for the connection what is received",
            vec![
                post(1),
                post(3),
                data(1),
                data(1),
                data(3),
                data(3),
                Do::Take(1, 32_768),
                Do::Take(3, 32_768),
            ],
            "request 1; request 3; data 1 32768; data 3 32768; > update 0 65536; > update 1 32768; > update 3 32768",
        ),
        (
            "§6.9 body nobody takes keeps only its stream's window",
            vec![post(1), post(3), data(1), data(1), data(1), data(1), data(3), Do::Take(3, 16_384), data(3)],
            "request 1; request 3; data 1 65536; > update 0 65536; data 3 32768",
        ),
        (
            "§6.9.1 padding counts",
            vec![
                post(1),
                data(1),
                data(1),
                data(1),
                peer(DATA, PADDED, 1, &[&[255][..], &[0; 16_383]].concat()),
                peer(DATA, 0, 1, &[0; 257]),
            ],
            "request 1; data 1 65280; > update 0 65536; gone 1 Malformed; > reset 1 FLOW_CONTROL_ERROR",
        ),
        (
            "§6.9 a window that stays shut",
            vec![window(0), get(1), Do::Begin(1), Do::Blocked(1), Do::Wait(31)],
            "> settings ack; request 1 end; > head 1; gone 1 Closed; > reset 1 CANCEL",
        ),
        (
            "§6.9 one that opens in time",
            vec![
                window(0),
                get(1),
                Do::Begin(1),
                Do::Blocked(1),
                Do::Wait(20),
                update(1, 5),
                Do::Send(1, 9),
                Do::Wait(20),
            ],
            "> settings ack; request 1 end; > head 1; > data 1 5",
        ),
        (
            "§6.9 one that opens, and nothing to send then",
            vec![window(0), get(1), Do::Begin(1), Do::Blocked(1), Do::Wait(20), update(1, 5), Do::Wait(20)],
            "> settings ack; request 1 end; > head 1",
        ),
        (
            "§6.9 one that opens and shuts again",
            vec![
                window(0),
                get(1),
                Do::Begin(1),
                Do::Blocked(1),
                Do::Wait(20),
                update(1, 5),
                Do::Send(1, 9),
                Do::Blocked(1),
                Do::Wait(20),
                Do::Wait(20),
            ],
            "> settings ack; request 1 end; > head 1; > data 1 5; gone 1 Closed; > reset 1 CANCEL",
        ),
    ]);
}

#[test]
fn a_connection_is_left_in_two_steps() {
    let pong = || peer(PING, ACK, 0, b"leaving?");
    check_server(&[
        ("§6.8 first that it is going", vec![Do::Leave], "> goaway 2147483647 NO_ERROR; > ping"),
        (
            "§6.8 requests under way are answered",
            vec![Do::Leave, get(1), pong(), Do::Answer(1)],
            "> goaway 2147483647 NO_ERROR; > ping; request 1 end; > goaway 1 NO_ERROR; > head 1 end",
        ),
        (
            "§6.8 then up to which, after a second at the latest",
            vec![get(1), Do::Leave, Do::Wait(1)],
            "request 1 end; > goaway 2147483647 NO_ERROR; > ping; > goaway 1 NO_ERROR",
        ),
        (
            "§6.8 later ones are ignored",
            vec![Do::Leave, pong(), get(1), post(3), peer(DATA, END, 3, b"x")],
            "> goaway 2147483647 NO_ERROR; > ping; > goaway 0 NO_ERROR",
        ),
        (
            "§6.8 but count for the table",
            vec![
                get(1),
                Do::Leave,
                pong(),
                head(HEAD | END, 3, &[0x40, 1, b'x', 1, b'y']),
                head(HEAD | END, 5, &[0xbf]),
            ],
            "request 1 end; > goaway 2147483647 NO_ERROR; > ping; > goaway 1 NO_ERROR; gone 1 Closed; > goaway 5 COMPRESSION_ERROR",
        ),
        (
            "§6.8 it is said once",
            vec![Do::Leave, Do::Leave, pong(), pong(), Do::Wait(2)],
            "> goaway 2147483647 NO_ERROR; > ping; > goaway 0 NO_ERROR",
        ),
        (
            "§6.8 a client may not take back what it refuses",
            vec![
                peer(GOAWAY, 0, 0, &[0, 0, 0, 2, 0, 0, 0, 0]),
                peer(GOAWAY, 0, 0, &[0, 0, 0, 4, 0, 0, 0, 0]),
            ],
            "> goaway 0 PROTOCOL_ERROR",
        ),
    ]);
}
