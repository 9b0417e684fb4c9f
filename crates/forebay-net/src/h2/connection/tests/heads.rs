//! What makes a request malformed, as far as a connection sees it (RFC 9113 §8): its stream ends, the rest goes on.

use super::script::*;
use crate::h2::Limits;

const RESET: &str = "> reset 1 PROTOCOL_ERROR; request 3 end";

/// Each block is that of a request without a body; another request follows.
fn check_blocks(rows: &[(&'static str, Vec<u8>, &'static str)]) {
    let rows: Vec<Row> = rows
        .iter()
        .map(|(rule, block, expected)| (*rule, vec![peer(HEADERS, HEAD | END, 1, block), get(3)], *expected))
        .collect();
    check(&rows, |piece| Script::server(Limits::default(), piece));
}

#[test]
fn malformed_heads_end_their_stream() {
    let with = |name, value| request_with("GET", &[(name, value)]);
    const FINE: &str = "request 1 end; request 3 end";
    check_blocks(&[
        ("§8.3.1 a request", request("GET"), FINE),
        ("§8.2.1 a name with capitals", with("X-Test", "1"), RESET),
        ("§8.2.1 a name with a space", with("x test", "1"), RESET),
        ("§8.2.1 a name with a colon", with("x:test", "1"), RESET),
        ("§8.2.1 no name", with("", "1"), RESET),
        ("§8.2.1 a value with NUL", with("x-test", "a\0b"), RESET),
        ("§8.2.1 a value with CR", with("x-test", "a\rb"), RESET),
        ("§8.2.1 a value with LF", with("x-test", "a\nb"), RESET),
        ("§8.2.1 a value that begins with a space", with("x-test", " a"), RESET),
        ("§8.2.1 a value that ends with a tab", with("x-test", "a\t"), RESET),
        ("§8.2.1 an empty value", with("x-test", ""), FINE),
        ("§8.2.2 connection", with("connection", "close"), RESET),
        ("§8.2.2 keep-alive", with("keep-alive", "timeout=5"), RESET),
        ("§8.2.2 proxy-connection", with("proxy-connection", "close"), RESET),
        ("§8.2.2 transfer-encoding", with("transfer-encoding", "chunked"), RESET),
        ("§8.2.2 upgrade", with("upgrade", "websocket"), RESET),
        ("§8.2.2 te other than trailers", with("te", "gzip"), RESET),
        ("§8.2.2 te: trailers", with("te", "trailers"), FINE),
        ("§8.2.3 crumbs of a cookie", request_with("GET", &[("cookie", "a=b"), ("cookie", "c=d")]), FINE),
        (
            "§8.3 an unknown pseudo-header field",
            block(&[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "a"),
                (":x", "y"),
            ]),
            RESET,
        ),
        (
            "§8.3 a response's pseudo-header field",
            block(&[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "a"),
                (":status", "200"),
            ]),
            RESET,
        ),
        (
            "§8.3 a pseudo-header field behind others",
            block(&[
                (":method", "GET"),
                (":scheme", "http"),
                (":authority", "a"),
                ("x", "y"),
                (":path", "/"),
            ]),
            RESET,
        ),
        ("§8.3.1 no :method", block(&[(":scheme", "http"), (":path", "/"), (":authority", "a")]), RESET),
        ("§8.3.1 no :scheme", block(&[(":method", "GET"), (":path", "/"), (":authority", "a")]), RESET),
        ("§8.3.1 no :path", block(&[(":method", "GET"), (":scheme", "http"), (":authority", "a")]), RESET),
        (
            "§8.3.1 an empty :path",
            block(&[(":method", "GET"), (":scheme", "http"), (":path", ""), (":authority", "a")]),
            RESET,
        ),
        (
            "§8.3.1 :method twice",
            block(&[
                (":method", "GET"),
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "a"),
            ]),
            RESET,
        ),
        (
            "§8.3.1 :path twice",
            block(&[
                (":method", "GET"),
                (":scheme", "http"),
                (":path", "/"),
                (":path", "/"),
                (":authority", "a"),
            ]),
            RESET,
        ),
        (
            "§8.3.1 host instead of :authority",
            block(&[(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "a")]),
            FINE,
        ),
        ("§8.3.1 host other than :authority", request_with("GET", &[("host", "b.test")]), RESET),
        (
            "§8.3.1 an asterisk is for OPTIONS",
            block(&[(":method", "GET"), (":scheme", "http"), (":path", "*"), (":authority", "a")]),
            RESET,
        ),
        (
            "§8.3.1 OPTIONS *",
            block(&[(":method", "OPTIONS"), (":scheme", "http"), (":path", "*"), (":authority", "a")]),
            FINE,
        ),
        ("§8.5 CONNECT", block(&[(":method", "CONNECT"), (":authority", "a:443")]), FINE),
        (
            "§8.5 CONNECT with :path",
            block(&[(":method", "CONNECT"), (":path", "/"), (":authority", "a:443")]),
            RESET,
        ),
        ("§8.5 CONNECT without :authority", block(&[(":method", "CONNECT")]), RESET),
        (
            "RFC 8441 §4 extended CONNECT",
            block(&[
                (":method", "CONNECT"),
                (":protocol", "websocket"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "a"),
            ]),
            FINE,
        ),
        (
            "RFC 8441 §4 :protocol is for CONNECT",
            block(&[
                (":method", "GET"),
                (":protocol", "websocket"),
                (":scheme", "http"),
                (":path", "/"),
                (":authority", "a"),
            ]),
            RESET,
        ),
        ("§8.1.1 content-length is a number", with("content-length", "1x"), RESET),
        ("§8.1.1 a length and no body", with("content-length", "1"), RESET),
        ("§8.1.1 a length of nothing", with("content-length", "0"), FINE),
        (
            "§8.1.1 two lengths",
            request_with("GET", &[("content-length", "0"), ("content-length", "0")]),
            RESET,
        ),
        (
            "§6.5.2 a list beyond our largest is for the gateway to answer",
            request_with("GET", &vec![("x", "y"); 101]),
            "request 1 too large end; request 3 end",
        ),
    ]);
}

#[test]
fn bodies_are_as_long_as_announced_and_trailers_end_them() {
    let trailers = |flags, fields: &[(&str, &str)]| peer(HEADERS, flags, 1, &block(fields));
    let data = |flags, bytes: &[u8]| peer(DATA, flags, 1, bytes);
    check(
        &[
            (
                "§8.1.1 as long as announced",
                vec![post_of(1, "5"), data(0, b"abc"), data(END, b"de")],
                "request 1; data 1 5 end",
            ),
            (
                "§8.1.1 shorter than announced",
                vec![post_of(1, "5"), data(0, b"abc"), data(END, b"d"), get(3)],
                "request 1; data 1 3; gone 1 Malformed; > reset 1 PROTOCOL_ERROR; request 3 end",
            ),
            (
                "§8.1.1 shorter, with an empty end",
                vec![post_of(1, "5"), data(0, b"abc"), data(END, b""), get(3)],
                "request 1; data 1 3; gone 1 Malformed; > reset 1 PROTOCOL_ERROR; request 3 end",
            ),
            (
                "§8.1.1 nothing, where something was announced",
                vec![post_of(1, "5"), data(END, b"")],
                "request 1; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
            (
                "§8.1.1 longer than announced",
                vec![post_of(1, "5"), data(0, b"abc"), data(END, b"def")],
                "request 1; data 1 3; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
            (
                "§8.1.1 longer, and no end",
                vec![post_of(1, "2"), data(0, b"abc")],
                "request 1; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
            (
                "§8.1.1 something, where nothing was announced",
                vec![post_of(1, "0"), data(END, b"x")],
                "request 1; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
            (
                "§8.1.1 an empty end behind all of it",
                vec![post_of(1, "3"), data(0, b"abc"), data(END, b"")],
                "request 1; data 1 3 end",
            ),
            (
                "§8.1.1 padding is not content",
                vec![post_of(1, "3"), data(END | PADDED, b"\x02abc\0\0")],
                "request 1; data 1 3 end",
            ),
            ("§8.1 no body at all", vec![post(1), data(END, b"")], "request 1; data 1 0 end"),
            (
                "§8.1 trailers",
                vec![post(1), data(0, b"abc"), trailers(HEAD | END, &[("x-sum", "7")])],
                "request 1; data 1 3; trailers 1 x-sum: 7",
            ),
            (
                "§8.1 trailers and no body",
                vec![post(1), trailers(HEAD | END, &[("x-sum", "7")])],
                "request 1; trailers 1 x-sum: 7",
            ),
            (
                "§8.1 trailers in two frames",
                vec![
                    post(1),
                    trailers(END, &[("x-sum", "7")]),
                    peer(CONTINUATION, HEAD, 1, &block(&[("x-more", "8")])),
                ],
                "request 1; trailers 1 x-sum: 7\r\nx-more: 8",
            ),
            (
                "§8.1 trailers that do not end the stream",
                vec![post(1), trailers(HEAD, &[("x-sum", "7")]), get(3)],
                "request 1; gone 1 Malformed; > reset 1 PROTOCOL_ERROR; request 3 end",
            ),
            (
                "§8.1 trailers with a pseudo-header field",
                vec![post(1), trailers(HEAD | END, &[(":path", "/")])],
                "request 1; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
            (
                "§8.1 trailers with a connection-specific field",
                vec![post(1), trailers(HEAD | END, &[("connection", "close")])],
                "request 1; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
            (
                "§8.1 DATA after trailers",
                vec![post(1), trailers(HEAD | END, &[("x-sum", "7")]), data(END, b"x")],
                "request 1; trailers 1 x-sum: 7; gone 1 Malformed; > reset 1 STREAM_CLOSED",
            ),
            (
                "§8.1.1 trailers before all that was announced",
                vec![post_of(1, "5"), data(0, b"abc"), trailers(HEAD | END, &[("x-sum", "7")])],
                "request 1; data 1 3; gone 1 Malformed; > reset 1 PROTOCOL_ERROR",
            ),
        ],
        |piece| Script::server(Limits::default(), piece),
    );
}
