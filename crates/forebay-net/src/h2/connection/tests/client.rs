//! What a client must enforce, by frames.

use super::script::*;
use crate::h2::Limits;
use crate::h2::connection::Connection;
use crate::h2::frame::{END_HEADERS, PREFACE};
use forebay_base::time::Instant;

const GET: &str = "GET / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const POST: &str = "POST / HTTP/1.1\r\nHost: a.test\r\n\r\n";
const HEAD_REQUEST: &str = "HEAD / HTTP/1.1\r\nHost: a.test\r\n\r\n";

fn ask() -> Do {
    Do::Ask(GET, true)
}

fn answer(flags: u8, stream: u32, fields: &[(&str, &str)]) -> Do {
    peer(HEADERS, flags, stream, &block(fields))
}

fn ok(flags: u8) -> Do {
    answer(flags | END_HEADERS, 1, &[(":status", "200")])
}

fn data(flags: u8, bytes: &[u8]) -> Do {
    peer(DATA, flags, 1, bytes)
}

fn server_window(bytes: u32) -> Do {
    peer(SETTINGS, 0, 0, &setting(4, bytes))
}

fn goaway(last: u32) -> Do {
    peer(GOAWAY, 0, 0, &[last.to_be_bytes(), [0; 4]].concat())
}

#[test]
fn how_long_a_server_takes_nothing_is_no_fault() {
    check(
        &[(
            "§6.9 a window that stays shut",
            vec![server_window(0), Do::Ask(POST, false), Do::Blocked(1), Do::Wait(9), Do::Wait(60), ok(END)],
            "> settings ack; > head 1; > ping; response 1 200 end",
        )],
        |piece| {
            Script::client(Limits { stall: std::time::Duration::from_secs(1), ..Limits::default() }, piece)
        },
    );
}

#[test]
fn a_broken_connection_is_the_fault_of_one_answer_or_of_all() {
    let two = || vec![ask(), ask()];
    let after = |step| [two(), vec![step]].concat();
    check(
        &[
            (
                "§5.4.1 a frame of one stream",
                after(data(PADDED, &[9])),
                "> head 1 end; > head 3 end; gone 1 Malformed; gone 3 Closed; > goaway 0 PROTOCOL_ERROR",
            ),
            (
                "§5.4.1 a frame of none",
                after(peer(DATA, 0, 0, b"x")),
                "> head 1 end; > head 3 end; gone 1 Malformed; gone 3 Malformed; > goaway 0 PROTOCOL_ERROR",
            ),
        ],
        |piece| Script::client(Limits::default(), piece),
    );
}

#[test]
fn responses_follow_the_rules() {
    let of = |length: &'static str| answer(HEAD, 1, &[(":status", "200"), ("content-length", length)]);
    check(
        &[
            (
                "§8.3.2 a response",
                vec![ask(), ok(0), data(END, b"abc")],
                "> head 1 end; response 1 200; data 1 3 end",
            ),
            ("§8.3.2 one without a body", vec![ask(), ok(END)], "> head 1 end; response 1 200 end"),
            (
                "§8.3.2 no :status",
                vec![ask(), answer(HEAD | END, 1, &[("x", "y")])],
                "> head 1 end; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
            (
                "§8.3.2 a request's pseudo-header field",
                vec![ask(), answer(HEAD | END, 1, &[(":status", "200"), (":path", "/")])],
                "> head 1 end; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
            (
                "§8.1 interim responses",
                vec![ask(), answer(HEAD, 1, &[(":status", "103")]), ok(END)],
                "> head 1 end; response 1 103; response 1 200 end",
            ),
            (
                "§8.1 an interim response ends nothing",
                vec![ask(), answer(HEAD | END, 1, &[(":status", "103")])],
                "> head 1 end; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
            (
                "§8.6 there is no 101",
                vec![ask(), answer(HEAD, 1, &[(":status", "101")])],
                "> head 1 end; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
            (
                "§8.1 body before its head",
                vec![ask(), data(END, b"x")],
                "> head 1 end; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
            (
                "§8.1 body after an interim response",
                vec![ask(), answer(HEAD, 1, &[(":status", "100")]), data(END, b"x")],
                "> head 1 end; response 1 100; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
            (
                "§8.1 trailers",
                vec![ask(), ok(0), answer(HEAD | END, 1, &[("grpc-status", "0")])],
                "> head 1 end; response 1 200; trailers 1 grpc-status: 0",
            ),
            (
                "§8.1 a second head",
                vec![ask(), ok(0), ok(0)],
                "> head 1 end; response 1 200; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
            (
                "§8.1.1 as long as announced",
                vec![ask(), of("3"), data(END, b"abc")],
                "> head 1 end; response 1 200; data 1 3 end",
            ),
            (
                "§8.1.1 shorter than announced",
                vec![ask(), of("4"), data(END, b"abc")],
                "> head 1 end; response 1 200; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
            (
                "§8.1.1 longer than announced",
                vec![ask(), of("2"), data(END, b"abc")],
                "> head 1 end; response 1 200; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
            (
                "§8.1.1 a length for HEAD is no promise",
                vec![
                    Do::Ask(HEAD_REQUEST, true),
                    answer(HEAD | END, 1, &[(":status", "200"), ("content-length", "4")]),
                ],
                "> head 1 end; response 1 200 end",
            ),
            (
                "§8.1.1 nor for 304",
                vec![ask(), answer(HEAD | END, 1, &[(":status", "304"), ("content-length", "4")])],
                "> head 1 end; response 1 304 end",
            ),
            (
                "§8.1.1 but body is a fault then",
                vec![Do::Ask(HEAD_REQUEST, true), ok(0), data(END, b"x")],
                "> head 1 end; response 1 200; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
            (
                "§8.1 a response before the request is over",
                vec![Do::Ask(POST, false), ok(END), Do::Send(1, 3)],
                "> head 1; response 1 200 end; > data 1 3",
            ),
            (
                "§8.1 the server wants no more of the request",
                vec![Do::Ask(POST, false), ok(END), peer(RST, 0, 1, &[0; 4]), Do::Send(1, 3)],
                "> head 1; response 1 200 end; gone 1 Reset(0); cannot Closed",
            ),
            (
                "§8.7 a refused stream may be sent again",
                vec![ask(), peer(RST, 0, 1, &[0, 0, 0, 7])],
                "> head 1 end; gone 1 Refused",
            ),
            (
                "§8.4 no pushes",
                vec![ask(), peer(PUSH, HEAD, 1, &[0, 0, 0, 2])],
                "> head 1 end; gone 1 Malformed; > goaway 0 PROTOCOL_ERROR",
            ),
            (
                "§5.1.1 a server opens nothing",
                vec![answer(HEAD, 2, &[(":status", "200")])],
                "> goaway 0 PROTOCOL_ERROR",
            ),
            ("§5.1 an answer that nobody asked for", vec![ok(END)], "> goaway 0 PROTOCOL_ERROR"),
            (
                "§5.1 a second answer",
                vec![ask(), ok(END), ok(END)],
                "> head 1 end; response 1 200 end; > goaway 0 STREAM_CLOSED",
            ),
            (
                "§5.1 the answer to what we reset",
                vec![ask(), Do::Reset(1), ok(0), data(END, b"abc")],
                "> head 1 end; > reset 1 CANCEL",
            ),
            (
                "§6.5.2 the server cannot ask for pushes",
                vec![peer(SETTINGS, 0, 0, &setting(2, 1))],
                "> goaway 0 PROTOCOL_ERROR",
            ),
            (
                "§5.1.2 no more streams than the server allows",
                vec![peer(SETTINGS, 0, 0, &setting(3, 1)), ask(), ask()],
                "> settings ack; > head 1 end; no room",
            ),
            (
                "§5.1.2 and again when one has ended",
                vec![peer(SETTINGS, 0, 0, &setting(3, 1)), ask(), ok(END), Do::Release(1), ask()],
                "> settings ack; > head 1 end; response 1 200 end; > head 3 end",
            ),
            (
                "§6.8 what the server will not answer may be sent again",
                vec![ask(), ask(), ask(), goaway(3), ok(END), ask()],
                "> head 1 end; > head 3 end; > head 5 end; gone 5 Refused; response 1 200 end; no room",
            ),
            (
                "§6.8 GOAWAY in two steps",
                vec![ask(), ask(), goaway(1 << 30), goaway(1)],
                "> head 1 end; > head 3 end; gone 3 Refused",
            ),
            (
                "§6.8 what was refused stays so",
                vec![ask(), goaway(1), goaway(3)],
                "> head 1 end; gone 1 Malformed; > goaway 0 PROTOCOL_ERROR",
            ),
            (
                "§6.7 a server that does not answer is taken for gone",
                vec![ask(), Do::Wait(10), Do::Wait(10)],
                "> head 1 end; > ping; gone 1 Closed; > goaway 0 NO_ERROR",
            ),
            (
                "§6.7 nor is it asked again and again",
                vec![
                    ask(),
                    Do::Wait(10),
                    peer(PING, ACK, 0, b"present?"),
                    Do::Wait(300),
                    Do::Wait(20),
                    peer(PING, ACK, 0, b"present?"),
                ],
                "> head 1 end; > ping; > ping",
            ),
            (
                "§6.7 unless it has said something meanwhile",
                vec![ask(), Do::Wait(10), peer(PING, ACK, 0, b"present?"), Do::Wait(1), ok(0), Do::Wait(10)],
                "> head 1 end; > ping; response 1 200; > ping",
            ),
            (
                "§6.7 one that does is not",
                vec![ask(), Do::Wait(10), peer(PING, ACK, 0, b"present?"), Do::Wait(9)],
                "> head 1 end; > ping",
            ),
            (
                "§6.7 nobody is asked when nothing is waited for",
                vec![ask(), ok(END), Do::Wait(100)],
                "> head 1 end; response 1 200 end",
            ),
            (
                "§8.1 no end of interim responses",
                (0..18)
                    .map(|n| if n == 0 { ask() } else { answer(HEAD, 1, &[(":status", "102")]) })
                    .collect(),
                "> head 1 end; response 1 102; response 1 102; response 1 102; response 1 102; response 1 102; response 1 102; response 1 102; response 1 102; response 1 102; response 1 102; response 1 102; response 1 102; response 1 102; response 1 102; response 1 102; response 1 102; gone 1 Malformed; > reset 1 ENHANCE_YOUR_CALM",
            ),
            (
                "§6.5.2 a head beyond our largest",
                vec![
                    ask(),
                    peer(
                        HEADERS,
                        HEAD | END,
                        1,
                        &block(&[&[(":status", "200")][..], &[("x", "y"); 101]].concat()),
                    ),
                ],
                "> head 1 end; gone 1 HeadTooLarge; > reset 1 ENHANCE_YOUR_CALM",
            ),
        ],
        |piece| Script::client(Limits::default(), piece),
    );
}

#[test]
fn a_client_says_hello_first() {
    let connection = Connection::client(Limits::default(), Instant::from_nanos(0));
    assert!(connection.output().starts_with(PREFACE));
    assert_eq!(connection.output()[PREFACE.len() + 3], SETTINGS);
    check(
        &[
            (
                "§3.4 the server's SETTINGS come first",
                vec![peer(PING, 0, 0, &[0; 8])],
                "> goaway 0 PROTOCOL_ERROR",
            ),
            (
                "§3.4 requests need not wait for them",
                vec![ask(), peer(SETTINGS, 0, 0, &[]), ok(END)],
                "> head 1 end; > settings ack; response 1 200 end",
            ),
        ],
        |piece| Script::new(Connection::client(Limits::default(), Instant::from_nanos(0)), piece),
    );
}

#[test]
fn an_upgrade_becomes_an_extended_connect() {
    const UPGRADE: &str =
        "GET /chat HTTP/1.1\r\nHost: a.test\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    let mut client = Script::client(Limits::default(), usize::MAX);
    client.run(&peer(SETTINGS, 0, 0, &setting(8, 1)));
    assert!(client.connection.offers_connect());
    let slot = client.connection.open(Instant::from_nanos(0)).unwrap();
    client.connection.send_request(slot, UPGRADE.as_bytes(), b"http", false).unwrap();
    let mut server = Script::server(Limits::default(), usize::MAX);
    server.run(&Do::Peer(client.connection.output().to_vec()));
    assert_eq!(server.log(), "request 1");
}
