//! What comes behind a valid request on the same connection.

use crate::table::{Row, all_served, check, refused, refused_after, refused_at_end, silent_at_end};

const FIRST: &str = "GET /first HTTP/1.1\r\nHost: t\r\n\r\n";

/// Behind a valid request: refused, and the valid one served.
fn behind(name: &str, bytes: impl AsRef<[u8]>, status: u16, reason: &'static str) -> Row {
    let bytes = [FIRST.as_bytes(), bytes.as_ref()].concat();
    refused_after(name, bytes, &["/first"], status, reason)
}

#[test]
fn what_comes_behind_a_request_is_judged_by_itself() {
    check(&[
        behind("garbage", b"\0\xff\xfe garbage\r\n\r\n", 400, "malformed_request"),
        behind("a bare LF", "GET /x HTTP/1.1\nHost: t\n\n", 400, "malformed_request"),
        behind(
            "two lengths",
            "POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
            400,
            "ambiguous_framing",
        ),
        behind(
            "a coding and a length",
            "POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
            400,
            "ambiguous_framing",
        ),
        behind("an encoded slash", "GET /a%2fb HTTP/1.1\r\nHost: t\r\n\r\n", 400, "bad_target"),
        behind("two hosts", "GET /x HTTP/1.1\r\nHost: t\r\nHost: u\r\n\r\n", 400, "bad_host"),
        behind("the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505, "version_unsupported"),
        behind(
            "a bad chunk",
            "POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            400,
            "body_malformed",
        ),
    ]);
}

#[test]
fn what_comes_behind_a_refusal_is_never_read() {
    let hidden = "GET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n";
    check(&[
        refused(
            "behind a bad head",
            format!("GET /x HTTP/1.1\r\nX : y\r\n\r\n{hidden}"),
            400,
            "malformed_request",
        ),
        refused(
            "behind a bad target",
            format!("GET /%00 HTTP/1.1\r\nHost: t\r\n\r\n{hidden}"),
            400,
            "bad_target",
        ),
        refused(
            "behind a bad chunk",
            format!("POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n{hidden}"),
            400,
            "body_malformed",
        ),
    ]);
}

#[test]
fn a_request_after_connection_close_is_never_read() {
    check(&[all_served(
        "behind Connection: close",
        "GET /x HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n",
        &[("/x", "")],
    )]);
}

#[test]
fn what_is_cut_off_is_never_taken_for_whole() {
    check(&[
        silent_at_end("nothing", ""),
        silent_at_end("an empty line", "\r\n"),
        silent_at_end("half a head", "GET /x HTTP/1.1\r\nHost: t\r\n"),
        silent_at_end("half a line", "GET /x HT"),
        refused_at_end(
            "a body short of its length",
            "POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhello",
            400,
            "body_truncated",
        ),
        refused_at_end(
            "no body at all",
            "POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n",
            400,
            "body_truncated",
        ),
        refused_at_end(
            "a chunk short of its size",
            "POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
            400,
            "body_truncated",
        ),
        refused_at_end(
            "no last chunk",
            "POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
            400,
            "body_truncated",
        ),
        refused_at_end(
            "no end after the last chunk",
            "POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
            400,
            "body_truncated",
        ),
    ]);
}
