//! What a server must enforce, by frames.

use forebay_base::time::Instant;

use super::script::*;
use crate::h2::Limits;
use crate::h2::connection::Connection;
use crate::h2::frame::PREFACE;

fn limits() -> Limits {
    Limits { streams: 4, stream_window: 1 << 16, connection_window: 1 << 17, ..Limits::default() }
}

pub(super) fn check_server(rows: &[Row]) {
    check(rows, |piece| Script::server(limits(), piece));
}

/// A frame of HEADERS with this block.
pub(super) fn head(flags: u8, stream: u32, block: &[u8]) -> Do {
    peer(HEADERS, flags, stream, block)
}

#[test]
fn preface_and_settings_come_first() {
    let hello = |rest: &[Vec<u8>]| Do::Peer([&PREFACE[..], &rest.concat()].concat());
    let settings = |payload: &[u8]| raw(SETTINGS, 0, 0, payload);
    let rows: Vec<Row> = vec![
        ("§3.4 the preface, then SETTINGS", vec![hello(&[settings(&[])])], "> settings ack"),
        (
            "§3.4 another preface is an error",
            vec![Do::Peer(b"GET / HTTP/1.1\r\nHost: a.test\r\n\r\n".to_vec())],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "§3.4 a preface that goes wrong in the middle",
            vec![Do::Peer(b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n".to_vec())],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        ("§3.4 the preface may take its time", vec![Do::Peer(PREFACE[..10].to_vec()), Do::Wait(1)], ""),
        (
            "§3.4 but not too long",
            vec![Do::Peer(PREFACE[..10].to_vec()), Do::Wait(31)],
            "> goaway 0 SETTINGS_TIMEOUT",
        ),
        (
            "§3.4 HEADERS before SETTINGS",
            vec![hello(&[raw(HEADERS, HEAD | END, 1, &request("GET"))])],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        ("§3.4 PING before SETTINGS", vec![hello(&[raw(PING, 0, 0, &[0; 8])])], "> goaway 0 PROTOCOL_ERROR"),
        (
            "§3.4 an acknowledgement is not the client's SETTINGS",
            vec![hello(&[raw(SETTINGS, ACK, 0, &[])])],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "§3.4 an unknown frame before SETTINGS",
            vec![hello(&[raw(0xbb, 0, 0, &[])])],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "§6.5.3 settings that are never acknowledged",
            vec![hello(&[settings(&[])]), Do::Wait(31)],
            "> settings ack; > goaway 0 SETTINGS_TIMEOUT",
        ),
    ];
    check(&rows, |piece| Script::new(Connection::server(limits(), Instant::from_nanos(0)), piece));
}

#[test]
fn frames_have_their_sizes_and_streams() {
    let large = vec![0; 16_385];
    check_server(&[
        (
            "§4.2 a frame beyond our largest, of DATA",
            vec![post(1), peer(DATA, 0, 1, &large)],
            "request 1; gone 1 Closed; > goaway 1 FRAME_SIZE_ERROR",
        ),
        (
            "§4.2 a frame beyond our largest, of HEADERS",
            vec![head(HEAD, 1, &large)],
            "> goaway 0 FRAME_SIZE_ERROR",
        ),
        (
            "§4.2 a frame beyond our largest, of a kind unknown",
            vec![peer(0xbb, 0, 0, &large)],
            "> goaway 0 FRAME_SIZE_ERROR",
        ),
        (
            "§4.2 a frame as large as allowed",
            vec![post(1), peer(DATA, END, 1, &large[..16_384])],
            "request 1; data 1 16384 end",
        ),
        ("§4.1 unknown kinds are ignored", vec![peer(0xbb, 0xff, 7, b"grease"), get(1)], "request 1 end"),
        (
            "§5.5 unknown kinds are ignored within a stream",
            vec![post(1), peer(0xbb, 0, 1, b"x"), peer(DATA, END, 1, b"y")],
            "request 1; data 1 1 end",
        ),
        (
            "§5.5 but not within a field block",
            vec![head(0, 1, &request("GET")), peer(0xbb, 0, 1, b"x")],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        ("§4.1 undefined flags are ignored", vec![peer(PING, 0xfe, 0, &[7; 8])], "> pong 7"),
        (
            "§4.1 the reserved bit is ignored",
            vec![head(HEAD | END, 1 | 1 << 31, &request("GET"))],
            "request 1 end",
        ),
        ("§6.1 DATA on no stream", vec![peer(DATA, 0, 0, b"x")], "> goaway 0 PROTOCOL_ERROR"),
        ("§6.2 HEADERS on no stream", vec![head(HEAD, 0, &request("GET"))], "> goaway 0 PROTOCOL_ERROR"),
        ("§6.3 PRIORITY on no stream", vec![peer(PRIO, 0, 0, &[0, 0, 0, 1, 1])], "> goaway 0 PROTOCOL_ERROR"),
        (
            "§6.3 PRIORITY of another size",
            vec![post(1), peer(PRIO, 0, 1, &[0; 4])],
            "request 1; gone 1 Malformed; > reset 1 FRAME_SIZE_ERROR",
        ),
        (
            "§6.3 PRIORITY of another size where nothing can be reset",
            vec![peer(PRIO, 0, 1, &[0; 4])],
            "> goaway 0 FRAME_SIZE_ERROR",
        ),
        ("§6.4 RST_STREAM on no stream", vec![peer(RST, 0, 0, &[0; 4])], "> goaway 0 PROTOCOL_ERROR"),
        (
            "§6.4 RST_STREAM of another size",
            vec![post(1), peer(RST, 0, 1, &[0; 3])],
            "request 1; gone 1 Closed; > goaway 1 FRAME_SIZE_ERROR",
        ),
        ("§6.5 SETTINGS on a stream", vec![peer(SETTINGS, 0, 1, &[])], "> goaway 0 PROTOCOL_ERROR"),
        (
            "§6.5 SETTINGS that is no multiple of six",
            vec![peer(SETTINGS, 0, 0, &[0; 7])],
            "> goaway 0 FRAME_SIZE_ERROR",
        ),
        (
            "§6.5 an acknowledgement with something in it",
            vec![peer(SETTINGS, ACK, 0, &setting(3, 1))],
            "> goaway 0 FRAME_SIZE_ERROR",
        ),
        ("§6.7 PING on a stream", vec![peer(PING, 0, 1, &[0; 8])], "> goaway 0 PROTOCOL_ERROR"),
        ("§6.7 PING of another size", vec![peer(PING, 0, 0, &[0; 7])], "> goaway 0 FRAME_SIZE_ERROR"),
        ("§6.8 GOAWAY on a stream", vec![peer(GOAWAY, 0, 1, &[0; 8])], "> goaway 0 PROTOCOL_ERROR"),
        ("§6.8 GOAWAY too short", vec![peer(GOAWAY, 0, 0, &[0; 7])], "> goaway 0 FRAME_SIZE_ERROR"),
        (
            "§6.9 WINDOW_UPDATE of another size",
            vec![peer(UPDATE, 0, 0, &[0; 5])],
            "> goaway 0 FRAME_SIZE_ERROR",
        ),
        (
            "§6.10 CONTINUATION on no stream",
            vec![peer(CONTINUATION, HEAD, 0, &[])],
            "> goaway 0 PROTOCOL_ERROR",
        ),
    ]);
}

#[test]
fn streams_are_opened_in_order_by_the_client() {
    check_server(&[
        ("§5.1.1 odd streams", vec![get(1), get(3)], "request 1 end; request 3 end"),
        ("§5.1.1 numbers may be left out", vec![get(1), get(9)], "request 1 end; request 9 end"),
        ("§5.1.1 an even stream is not the client's", vec![get(2)], "> goaway 0 PROTOCOL_ERROR"),
        (
            "§5.1.1 a lower number",
            vec![get(5), get(3)],
            "request 5 end; gone 5 Closed; > goaway 5 PROTOCOL_ERROR",
        ),
        ("§5.1.1 the highest number", vec![get((1 << 31) - 1)], "request 2147483647 end"),
        ("§5.1 DATA on an idle stream", vec![peer(DATA, 0, 1, b"x")], "> goaway 0 PROTOCOL_ERROR"),
        (
            "§5.1 DATA on a stream passed over",
            vec![get(5), peer(DATA, 0, 3, b"x")],
            "request 5 end; gone 5 Closed; > goaway 5 STREAM_CLOSED",
        ),
        (
            "§5.1 RST_STREAM on an idle stream",
            vec![peer(RST, 0, 1, &[0, 0, 0, 8])],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "§5.1 WINDOW_UPDATE on an idle stream",
            vec![peer(UPDATE, 0, 1, &[0, 0, 0, 8])],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "§5.1 WINDOW_UPDATE on an idle stream of ours",
            vec![peer(UPDATE, 0, 2, &[0, 0, 0, 8])],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "§5.1 RST_STREAM on an idle stream of ours",
            vec![peer(RST, 0, 2, &[0, 0, 0, 8])],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        ("§5.1 DATA on an idle stream of ours", vec![peer(DATA, 0, 2, b"x")], "> goaway 0 PROTOCOL_ERROR"),
        (
            "§5.1 PRIORITY on an idle stream",
            vec![peer(PRIO, 0, 7, &[0, 0, 0, 1, 1]), get(1)],
            "request 1 end",
        ),
        (
            "§5.1.2 as many streams as allowed",
            vec![get(1), get(3), get(5), get(7)],
            "request 1 end; request 3 end; request 5 end; request 7 end",
        ),
        (
            "§5.1.2 one more is refused",
            vec![get(1), get(3), get(5), get(7), get(9)],
            "request 1 end; request 3 end; request 5 end; request 7 end; > reset 9 REFUSED_STREAM",
        ),
        (
            "§5.1.2 a refused stream with a body to come",
            vec![get(1), get(3), get(5), get(7), post(9), peer(DATA, END, 9, b"abc")],
            "request 1 end; request 3 end; request 5 end; request 7 end; > reset 9 REFUSED_STREAM",
        ),
        (
            "§5.1.2 an answered stream makes room",
            vec![get(1), get(3), get(5), get(7), Do::Answer(3), get(9)],
            "request 1 end; request 3 end; request 5 end; request 7 end; > head 3 end; request 9 end",
        ),
        (
            "§5.1.2 a half-closed one does not",
            vec![post(1), get(3), get(5), get(7), Do::Answer(1), get(9)],
            "request 1; request 3 end; request 5 end; request 7 end; > head 1 end; > reset 9 REFUSED_STREAM",
        ),
        (
            "§5.1.2 a reset one does not while work for it goes on",
            vec![get(1), get(3), get(5), get(7), peer(RST, 0, 1, &[0, 0, 0, 8]), get(9)],
            "request 1 end; request 3 end; request 5 end; request 7 end; gone 1 Reset(8); > reset 9 REFUSED_STREAM",
        ),
        (
            "§5.1.2 it does once that has ended",
            vec![get(1), get(3), get(5), get(7), peer(RST, 0, 1, &[0, 0, 0, 8]), Do::Release(1), get(9)],
            "request 1 end; request 3 end; request 5 end; request 7 end; gone 1 Reset(8); request 9 end",
        ),
        (
            "§5.1.2 the table stays right through a refused head",
            vec![
                get(1),
                get(3),
                get(5),
                get(7),
                head(HEAD | END, 9, &[0x40, 1, b'x', 1, b'y']),
                Do::Answer(1),
                head(HEAD | END, 11, &[&request("GET")[..], &[0xbe]].concat()),
            ],
            "request 1 end; request 3 end; request 5 end; request 7 end; > reset 9 REFUSED_STREAM; > head 1 end; request 11 end",
        ),
    ]);
}

#[test]
fn closed_streams_stay_closed() {
    check_server(&[
        (
            "§5.1 half-closed: DATA",
            vec![get(1), peer(DATA, 0, 1, b"x")],
            "request 1 end; gone 1 Malformed; > reset 1 STREAM_CLOSED",
        ),
        (
            "§5.1 half-closed: HEADERS",
            vec![get(1), head(HEAD | END, 1, &block(&[("x", "y")]))],
            "request 1 end; gone 1 Malformed; > reset 1 STREAM_CLOSED",
        ),
        (
            "§5.1 half-closed: CONTINUATION",
            vec![get(1), peer(CONTINUATION, HEAD, 1, &[])],
            "request 1 end; gone 1 Closed; > goaway 1 PROTOCOL_ERROR",
        ),
        ("§5.1 half-closed: WINDOW_UPDATE", vec![get(1), peer(UPDATE, 0, 1, &[0, 0, 0, 8])], "request 1 end"),
        ("§5.1 half-closed: PRIORITY", vec![get(1), peer(PRIO, 0, 1, &[0, 0, 0, 3, 1])], "request 1 end"),
        (
            "§5.1 half-closed: RST_STREAM",
            vec![get(1), peer(RST, 0, 1, &[0, 0, 0, 8])],
            "request 1 end; gone 1 Reset(8)",
        ),
        (
            "§5.1 closed by both: DATA",
            vec![get(1), Do::Answer(1), peer(DATA, 0, 1, b"x")],
            "request 1 end; > head 1 end; > goaway 1 STREAM_CLOSED",
        ),
        (
            "§5.1 closed by both: HEADERS",
            vec![get(1), Do::Answer(1), get(1)],
            "request 1 end; > head 1 end; > goaway 1 STREAM_CLOSED",
        ),
        (
            "§5.1 closed by both: WINDOW_UPDATE may have been under way",
            vec![get(1), Do::Answer(1), peer(UPDATE, 0, 1, &[0, 0, 0, 8])],
            "request 1 end; > head 1 end",
        ),
        (
            "§5.1 closed by both: RST_STREAM may have been under way",
            vec![get(1), Do::Answer(1), peer(RST, 0, 1, &[0, 0, 0, 8])],
            "request 1 end; > head 1 end",
        ),
        (
            "§5.1 closed by both: PRIORITY is allowed",
            vec![get(1), Do::Answer(1), peer(PRIO, 0, 1, &[0, 0, 0, 3, 1])],
            "request 1 end; > head 1 end",
        ),
        (
            "§5.1 reset by the client: DATA",
            vec![post(1), peer(RST, 0, 1, &[0, 0, 0, 8]), peer(DATA, 0, 1, b"x")],
            "request 1; gone 1 Reset(8); > reset 1 STREAM_CLOSED",
        ),
        (
            "§5.1 reset by the client: HEADERS",
            vec![post(1), peer(RST, 0, 1, &[0, 0, 0, 8]), get(1)],
            "request 1; gone 1 Reset(8); > reset 1 STREAM_CLOSED",
        ),
        (
            "§5.1 reset by the client: RST_STREAM again",
            vec![post(1), peer(RST, 0, 1, &[0, 0, 0, 8]), peer(RST, 0, 1, &[0, 0, 0, 8])],
            "request 1; gone 1 Reset(8)",
        ),
        (
            "§5.1 reset by us: DATA may have been under way",
            vec![post(1), Do::Reset(1), peer(DATA, END, 1, b"x")],
            "request 1; > reset 1 CANCEL",
        ),
        (
            "§5.1 reset by us: trailers may have been under way",
            vec![post(1), Do::Reset(1), head(HEAD | END, 1, &block(&[("x", "y")]))],
            "request 1; > reset 1 CANCEL",
        ),
        (
            "§5.1 reset by us: but no more than its window",
            vec![
                post(1),
                Do::Reset(1),
                peer(DATA, 0, 1, &[0; 16_384]),
                peer(DATA, 0, 1, &[0; 16_384]),
                peer(DATA, 0, 1, &[0; 16_384]),
                peer(DATA, 0, 1, &[0; 16_384]),
                peer(DATA, 0, 1, b"x"),
            ],
            "request 1; > reset 1 CANCEL; > update 0 65536; > goaway 1 FLOW_CONTROL_ERROR",
        ),
        (
            "§5.1 reset by us: their reset has crossed ours",
            vec![post(1), Do::Reset(1), peer(RST, 0, 1, &[0, 0, 0, 8])],
            "request 1; > reset 1 CANCEL",
        ),
        (
            "§8.1 the rest of a request that was answered",
            vec![post(1), Do::Answer(1), peer(DATA, END, 1, b"abc")],
            "request 1; > head 1 end; data 1 3 end",
        ),
        (
            "§8.1 a request given up after its answer",
            vec![post(1), Do::Answer(1), Do::Release(1), peer(DATA, END, 1, b"abc")],
            "request 1; > head 1 end; > reset 1 CANCEL",
        ),
        (
            "§6.4 a reset ends what we send",
            vec![get(1), Do::Begin(1), peer(RST, 0, 1, &[0, 0, 0, 8]), Do::Send(1, 5)],
            "request 1 end; > head 1; gone 1 Reset(8); cannot Closed",
        ),
    ]);
}

#[test]
fn field_blocks_are_whole() {
    let get = request("GET");
    let (one, two) = get.split_at(9);
    check_server(&[
        (
            "§6.10 a head in two frames",
            vec![head(END, 1, one), peer(CONTINUATION, HEAD, 1, two)],
            "request 1 end",
        ),
        (
            "§6.10 an empty CONTINUATION",
            vec![head(END, 1, &get), peer(CONTINUATION, HEAD, 1, &[])],
            "request 1 end",
        ),
        (
            "§6.10 an empty HEADERS",
            vec![head(END, 1, &[]), peer(CONTINUATION, HEAD, 1, &get)],
            "request 1 end",
        ),
        (
            "§6.10 END_STREAM is that of HEADERS",
            vec![head(0, 1, one), peer(CONTINUATION, HEAD | END, 1, two), peer(DATA, END, 1, b"x")],
            "request 1; data 1 1 end",
        ),
        (
            "§6.10 continued on another stream",
            vec![head(END, 1, one), peer(CONTINUATION, HEAD, 3, two)],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "§6.10 DATA in between",
            vec![post(1), head(END, 3, one), peer(DATA, 0, 1, b"x")],
            "request 1; gone 1 Closed; > goaway 1 PROTOCOL_ERROR",
        ),
        (
            "§6.10 HEADERS in between",
            vec![head(END, 1, one), head(HEAD | END, 3, &get)],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "§6.10 PING in between",
            vec![head(END, 1, one), peer(PING, 0, 0, &[0; 8])],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "§6.10 SETTINGS in between",
            vec![head(END, 1, one), peer(SETTINGS, 0, 0, &[])],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "§6.10 RST_STREAM in between",
            vec![head(END, 1, one), peer(RST, 0, 1, &[0; 4])],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "§6.10 CONTINUATION of nothing",
            vec![peer(CONTINUATION, HEAD, 1, &get)],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "§6.10 CONTINUATION after the end",
            vec![head(HEAD, 1, &get), peer(CONTINUATION, HEAD, 1, &get)],
            "request 1; gone 1 Closed; > goaway 1 PROTOCOL_ERROR",
        ),
        (
            "§6.10 the rest of a head that does not come",
            vec![head(END, 1, one), Do::Wait(31)],
            "> goaway 0 ENHANCE_YOUR_CALM",
        ),
        ("§4.3 an index of no entry", vec![head(HEAD | END, 1, &[0xff, 0])], "> goaway 1 COMPRESSION_ERROR"),
        (
            "§4.3 a block that ends within a field",
            vec![head(HEAD | END, 1, &[0x40, 5, b'a'])],
            "> goaway 1 COMPRESSION_ERROR",
        ),
        (
            "§4.3 a broken block of trailers",
            vec![post(1), head(HEAD | END, 1, &[0x80])],
            "request 1; gone 1 Closed; > goaway 1 COMPRESSION_ERROR",
        ),
        (
            "§4.3 a broken block on a stream reset by us",
            vec![post(1), Do::Reset(1), head(HEAD | END, 1, &[0x80])],
            "request 1; > reset 1 CANCEL; > goaway 1 COMPRESSION_ERROR",
        ),
        (
            "§4.3 a table larger than announced",
            vec![head(HEAD | END, 1, &[0x3f, 0xe2, 0x1f])],
            "> goaway 1 COMPRESSION_ERROR",
        ),
        (
            "§4.3 a malformed head still counts for the table",
            vec![
                head(HEAD | END, 1, &[0x40, 1, b'x', 1, b'y']),
                head(HEAD | END, 3, &[&get[..], &[0xbe]].concat()),
            ],
            "> reset 1 PROTOCOL_ERROR; request 3 end",
        ),
        (
            "§4.3 a head on a half-closed stream still counts for the table",
            vec![
                head(HEAD | END, 1, &get),
                head(HEAD | END, 1, &[0x40, 1, b'x', 1, b'y']),
                head(HEAD | END, 3, &[&get[..], &[0xbe]].concat()),
            ],
            "request 1 end; gone 1 Malformed; > reset 1 STREAM_CLOSED; request 3 end",
        ),
    ]);
}

#[test]
fn padding_and_priorities_fit() {
    let get = request("GET");
    let padded = |padding: u8, block: &[u8], rest: usize| [&[padding][..], block, &vec![0; rest]].concat();
    let prio = |stream: u32, block: &[u8]| [&stream.to_be_bytes()[..], &[15], block].concat();
    check_server(&[
        ("§6.2 padding", vec![head(HEAD | END | PADDED, 1, &padded(9, &get, 9))], "request 1 end"),
        (
            "§6.2 no padding, and its length",
            vec![head(HEAD | END | PADDED, 1, &padded(0, &get, 0))],
            "request 1 end",
        ),
        (
            "§6.2 more padding than payload",
            vec![head(HEAD | END | PADDED, 1, &padded(255, &get, 0))],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "§6.2 padded without a length",
            vec![head(HEAD | END | PADDED, 1, &[])],
            "> goaway 0 FRAME_SIZE_ERROR",
        ),
        ("§6.2 a priority", vec![head(HEAD | END | PRIORITY, 1, &prio(3, &get))], "request 1 end"),
        (
            "§6.2 too short for a priority",
            vec![head(HEAD | END | PRIORITY, 1, &[0; 4])],
            "> goaway 0 FRAME_SIZE_ERROR",
        ),
        (
            "§6.2 padding and a priority",
            vec![head(HEAD | END | PADDED | PRIORITY, 1, &padded(3, &prio(0, &get), 3))],
            "request 1 end",
        ),
        (
            "§5.3.1 a stream that depends on itself, by HEADERS",
            vec![head(HEAD | END | PRIORITY, 1, &prio(1, &get)), head(HEAD | END, 3, &get)],
            "> reset 1 PROTOCOL_ERROR; request 3 end",
        ),
        (
            "§5.3.1 a stream that depends on itself, by PRIORITY",
            vec![post(1), peer(PRIO, 0, 1, &[0, 0, 0, 1, 1])],
            "request 1; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
        ),
        (
            "§5.3.1 an idle stream that depends on itself",
            vec![peer(PRIO, 0, 1, &[0, 0, 0, 1, 1])],
            "> goaway 0 PROTOCOL_ERROR",
        ),
        (
            "§6.1 padding of DATA",
            vec![post(1), peer(DATA, END | PADDED, 1, &padded(4, b"abc", 4))],
            "request 1; data 1 3 end",
        ),
        (
            "§6.1 nothing but padding",
            vec![post(1), peer(DATA, PADDED, 1, &padded(4, b"", 4)), peer(DATA, END, 1, b"x")],
            "request 1; data 1 1 end",
        ),
        (
            "§6.1 nothing but padding ends a stream",
            vec![post(1), peer(DATA, END | PADDED, 1, &padded(4, b"", 4))],
            "request 1; data 1 0 end",
        ),
        (
            "§6.1 more padding than payload, of DATA",
            vec![post(1), peer(DATA, PADDED, 1, &padded(4, b"abc", 0))],
            "request 1; gone 1 Closed; > goaway 1 PROTOCOL_ERROR",
        ),
        (
            "§6.1 padding as long as the payload",
            vec![post(1), peer(DATA, PADDED, 1, &[1])],
            "request 1; gone 1 Closed; > goaway 1 PROTOCOL_ERROR",
        ),
        (
            "§6.1 padded DATA without a length",
            vec![post(1), peer(DATA, PADDED, 1, &[])],
            "request 1; gone 1 Closed; > goaway 1 FRAME_SIZE_ERROR",
        ),
    ]);
}
