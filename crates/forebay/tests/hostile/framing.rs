//! Where a body ends: whatever two servers could read differently.

use crate::table::{Row, all_served, check, fine, refused, served};

/// What a smuggler wants the origin to see.
const HIDDEN: &str = "GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n";

/// A POST with these header lines and a body that hides a request.
fn post(lines: &str) -> String {
    format!("POST /x HTTP/1.1\r\nHost: t\r\n{lines}\r\n\r\n5\r\nhello\r\n0\r\n\r\n{HIDDEN}")
}

fn ambiguous(lines: &str) -> Row {
    refused(lines, post(lines), 400, "ambiguous_framing")
}

#[test]
fn a_length_that_can_be_read_in_two_ways_is_refused() {
    check(&[
        ambiguous("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        ambiguous("Transfer-Encoding: chunked\r\nContent-Length: 5"),
        ambiguous("Content-Length: 0\r\nTransfer-Encoding: chunked"),
        ambiguous("Content-Length: 5\r\nContent-Length: 6"),
        ambiguous("Content-Length: 5\r\nContent-Length: 5"),
        ambiguous("Content-Length: 5\r\ncontent-length: 0"),
        ambiguous("Content-Length: 5, 5"),
        ambiguous("Content-Length: 5, 6"),
        ambiguous("Content-Length: 5,"),
        ambiguous("Content-Length: +5"),
        ambiguous("Content-Length: -5"),
        ambiguous("Content-Length: -0"),
        ambiguous("Content-Length: 0x5"),
        ambiguous("Content-Length: 5 5"),
        ambiguous("Content-Length: 5.0"),
        ambiguous("Content-Length: 5e0"),
        ambiguous("Content-Length: 5;a=b"),
        ambiguous("Content-Length: \"5\""),
        ambiguous("Content-Length: 5_0"),
        ambiguous("Content-Length:"),
        ambiguous("Content-Length: five"),
        ambiguous("Content-Length: \u{665}"),
        ambiguous("Content-Length: 18446744073709551621"),
        ambiguous("Content-Length: 99999999999999999999999999999999999999"),
        refused("Content-Length: 5 with a VT", post("Content-Length: 5\x0b"), 400, "malformed_request"),
    ]);
}

#[test]
fn a_transfer_coding_besides_one_final_chunked_is_refused() {
    let unsupported = |lines: &str| refused(lines, post(lines), 501, "transfer_coding_unsupported");
    let malformed = |lines: &str| refused(lines, post(lines), 400, "malformed_request");
    check(&[
        ambiguous("Transfer-Encoding: chunked, chunked"),
        ambiguous("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        ambiguous("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
        ambiguous("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"),
        ambiguous("Transfer-Encoding: xchunked"),
        ambiguous("Transfer-Encoding: chunkedx"),
        ambiguous("Transfer-Encoding: chunked;q=1"),
        ambiguous("Transfer-Encoding: chunked, identity"),
        ambiguous("Transfer-Encoding: chunked, gzip"),
        ambiguous("Transfer-Encoding: identity"),
        ambiguous("Transfer-Encoding: gzip"),
        ambiguous("Transfer-Encoding:"),
        ambiguous("Transfer-Encoding: ,chunked"),
        ambiguous("Transfer-Encoding: chunked,"),
        ambiguous("Transfer-Encoding: \"chunked\""),
        ambiguous("Transfer-Encoding: chun ked"),
        ambiguous("Transfer-Encoding: chunked\tx"),
        unsupported("Transfer-Encoding: gzip, chunked"),
        unsupported("Transfer-Encoding: deflate,chunked"),
        malformed("Transfer-Encoding: chunked\x0b"),
        malformed("Transfer-Encoding: \x0bchunked"),
        malformed("Transfer-Encoding: chunked\x0c"),
        malformed("Transfer-Encoding : chunked"),
        malformed("Transfer-Encoding\t: chunked"),
        malformed("Transfer-Encoding\x0b: chunked"),
        malformed("Transfer-Encoding\r\n : chunked"),
        malformed("X: y\r\n Transfer-Encoding: chunked"),
        malformed("X: y\rTransfer-Encoding: chunked"),
        malformed("X: y\nTransfer-Encoding: chunked"),
        malformed("X: y\0\r\nTransfer-Encoding: chunked"),
        refused(
            "a transfer coding in HTTP/1.0",
            format!("POST /x HTTP/1.0\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{HIDDEN}"),
            400,
            "ambiguous_framing",
        ),
    ]);
}

#[test]
fn unusual_but_clear_framing_is_served() {
    let with = |lines: &str, body: &str| {
        let bytes = format!("POST /x HTTP/1.1\r\nHost: t\r\n{lines}\r\n\r\n{body}");
        served(lines, bytes, "/x", "hello", fine)
    };
    let chunks = "5\r\nhello\r\n0\r\n\r\n";
    check(&[
        with("Content-Length:5", "hello"),
        with("Content-Length: \t 5 \t", "hello"),
        with("content-LENGTH: 5", "hello"),
        with("Transfer-Encoding: Chunked", chunks),
        with("Transfer-Encoding:\tchunked\t", chunks),
        with("tRANSFER-eNCODING: CHUNKED", chunks),
        with("Content-Length: 5\r\nConnection: content-length", "hello"),
        with("Transfer-Encoding: chunked\r\nConnection: transfer-encoding", chunks),
        // Dropped, like every name that servers confuse with another: it must not become a framing.
        with("Content-Length: 5\r\nTransfer_Encoding: chunked", "hello"),
        with("Transfer-Encoding: chunked\r\nContent_Length: 3", chunks),
    ]);
}

#[test]
fn a_request_in_a_body_stays_a_body() {
    let length = HIDDEN.len();
    check(&[
        served(
            "by length",
            format!("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n{HIDDEN}"),
            "/x",
            HIDDEN,
            fine,
        ),
        served(
            "in a chunk",
            format!(
                "POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n{length:x}\r\n{HIDDEN}\r\n0\r\n\r\n"
            ),
            "/x",
            HIDDEN,
            fine,
        ),
        served(
            "of a GET",
            format!("GET /x HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n{HIDDEN}"),
            "/x",
            HIDDEN,
            fine,
        ),
        served(
            "of a HEAD",
            format!("HEAD /x HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n{HIDDEN}"),
            "/x",
            HIDDEN,
            fine,
        ),
        served(
            "of a DELETE in chunks",
            format!(
                "DELETE /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n{length:X}\r\n{HIDDEN}\r\n0\r\n\r\n"
            ),
            "/x",
            HIDDEN,
            fine,
        ),
        all_served(
            "followed by a request",
            format!(
                "POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n{HIDDEN}GET /y HTTP/1.1\r\nHost: t\r\n\r\n"
            ),
            &[("/x", HIDDEN), ("/y", "")],
        ),
    ]);
}
