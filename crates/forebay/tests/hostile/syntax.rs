//! Heads that are not HTTP, and some that look odd and are.

use crate::table::{Row, all_served, check, fine, refused, served};

fn bad(bytes: impl AsRef<[u8]>) -> Row {
    let bytes = bytes.as_ref();
    refused(&format!("{:?}", String::from_utf8_lossy(bytes)), bytes, 400, "malformed_request")
}

/// A GET with this header line.
fn bad_field(line: &str) -> Row {
    bad(format!("GET /x HTTP/1.1\r\nHost: t\r\n{line}\r\n\r\n"))
}

fn version(line: &str) -> Row {
    refused(line, format!("{line}\r\nHost: t\r\n\r\n"), 505, "version_unsupported")
}

#[test]
fn lines_that_end_in_anything_but_crlf_are_refused() {
    check(&[
        bad("GET /x HTTP/1.1\nHost: t\n\n"),
        bad("GET /x HTTP/1.1\nHost: t\r\n\r\n"),
        bad("GET /x HTTP/1.1\r\nHost: t\n\r\n"),
        bad("GET /x HTTP/1.1\r\nHost: t\r\n\n"),
        bad("GET /x HTTP/1.1\rHost: t\r\r"),
        bad("GET /x HTTP/1.1\r\rHost: t\r\n\r\n"),
        bad_field("X: a\rb"),
        bad_field("X: a\nb"),
        bad_field("X: a\r\r"),
        bad_field("X: a\n\nGET /smuggled HTTP/1.1\r\nHost: t"),
        bad("\nGET /x HTTP/1.1\r\nHost: t\r\n\r\n"),
        bad("\rGET /x HTTP/1.1\r\nHost: t\r\n\r\n"),
        bad("\r\n\nGET /x HTTP/1.1\r\nHost: t\r\n\r\n"),
    ]);
}

#[test]
fn fields_that_are_not_fields_are_refused() {
    check(&[
        bad_field("X: a\r\n folded"),
        bad_field("X: a\r\n\tfolded"),
        bad("GET /x HTTP/1.1\r\n Host: t\r\n\r\n"),
        refused("a Host after the head", "GET /x HTTP/1.1\r\n\r\n Host: t\r\n\r\n", 400, "bad_host"),
        bad_field("X : a"),
        bad_field("X\t: a"),
        bad_field(" X: a"),
        bad_field("no colon"),
        bad_field(": empty"),
        bad_field("X@Y: a"),
        bad_field("X Y: a"),
        bad_field("X(Y): a"),
        bad_field("X/Y: a"),
        bad_field("X\"Y: a"),
        bad_field("X[Y]: a"),
        bad_field("\u{e9}: a"),
        bad_field("X\0Y: a"),
        bad_field("X: a\0b"),
        bad_field("X: a\x01b"),
        bad_field("X: a\x0bb"),
        bad_field("X: a\x1bb"),
        bad_field("X: a\x7fb"),
    ]);
}

#[test]
fn request_lines_that_are_not_request_lines_are_refused() {
    check(&[
        bad("GET  /x HTTP/1.1\r\nHost: t\r\n\r\n"),
        bad("GET /x  HTTP/1.1\r\nHost: t\r\n\r\n"),
        bad("GET /x HTTP/1.1 \r\nHost: t\r\n\r\n"),
        bad("GET\t/x\tHTTP/1.1\r\nHost: t\r\n\r\n"),
        bad("GET\x0b/x HTTP/1.1\r\nHost: t\r\n\r\n"),
        bad(" GET /x HTTP/1.1\r\nHost: t\r\n\r\n"),
        bad("GET /x y HTTP/1.1\r\nHost: t\r\n\r\n"),
        bad("GET /x\r\nHost: t\r\n\r\n"),
        bad("GET\r\nHost: t\r\n\r\n"),
        bad("GET /x \r\nHost: t\r\n\r\n"),
        bad("GET /x http/1.1\r\nHost: t\r\n\r\n"),
        bad("GET /x HTTP/1.1x\r\nHost: t\r\n\r\n"),
        bad("GET /x HTTP/1\r\nHost: t\r\n\r\n"),
        bad("GET /x HTTP/1.\r\nHost: t\r\n\r\n"),
        bad("GET /x HTTP/1,1\r\nHost: t\r\n\r\n"),
        bad("GET /x HTTP/+1.1\r\nHost: t\r\n\r\n"),
        bad("GET /x HTTPS/1.1\r\nHost: t\r\n\r\n"),
        bad("GET /x FTP/1.1\r\nHost: t\r\n\r\n"),
        bad("G@T /x HTTP/1.1\r\nHost: t\r\n\r\n"),
        bad("G(T /x HTTP/1.1\r\nHost: t\r\n\r\n"),
        bad("GE\0T /x HTTP/1.1\r\nHost: t\r\n\r\n"),
        bad(b"GE\xffT /x HTTP/1.1\r\nHost: t\r\n\r\n"),
        bad("{\"json\": true}\r\n\r\n"),
        bad(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 a TLS hello"),
        bad(b"\x05\x01\x00"),
        bad("SSH-2.0-OpenSSH_9.2\r\n"),
    ]);
}

#[test]
fn other_versions_are_refused() {
    check(&[
        version("GET /x HTTP/0.9"),
        version("GET /x HTTP/1.2"),
        version("GET /x HTTP/1.9"),
        version("GET /x HTTP/2.0"),
        version("GET /x HTTP/3.0"),
    ]);
}

#[test]
fn one_empty_line_is_forgiven_and_no_more() {
    check(&[
        served("one", "\r\nGET /x HTTP/1.1\r\nHost: t\r\n\r\n", "/x", "", fine),
        all_served(
            "one between two requests",
            "GET /x HTTP/1.1\r\nHost: t\r\n\r\n\r\nGET /y HTTP/1.1\r\nHost: t\r\n\r\n",
            &[("/x", ""), ("/y", "")],
        ),
        bad(format!("{}GET /x HTTP/1.1\r\nHost: t\r\n\r\n", "\r\n".repeat(50))),
        bad("\r\n".repeat(100)),
    ]);
}

#[test]
fn odd_but_valid_heads_are_served() {
    check(&[
        served("no space after a colon", "GET /x HTTP/1.1\r\nHost:t\r\nX:y\r\n\r\n", "/x", "", fine),
        served("tabs around a value", "GET /x HTTP/1.1\r\nHost:\tt\t\r\n\r\n", "/x", "", fine),
        served("a method nobody knows", "FROBNICATE /x HTTP/1.1\r\nHost: t\r\n\r\n", "/x", "", |request| {
            (request.method != "FROBNICATE").then(|| "another method".to_owned())
        }),
        served(
            "a method in lower case is another method",
            "get /x HTTP/1.1\r\nHost: t\r\n\r\n",
            "/x",
            "",
            |request| (request.method != "get").then(|| "another method".to_owned()),
        ),
        served(
            "bytes beyond ASCII in a value",
            b"GET /x HTTP/1.1\r\nHost: t\r\nX: caf\xe9\r\n\r\n",
            "/x",
            "",
            |request| (request.headers.get("x") != Some("caf\u{e9}")).then(|| "another value".to_owned()),
        ),
        served("an empty value", "GET /x HTTP/1.1\r\nHost: t\r\nX:\r\n\r\n", "/x", "", |request| {
            (request.headers.get("x") != Some("")).then(|| "another value".to_owned())
        }),
        served(
            "every character a name may have",
            "GET /x HTTP/1.1\r\nHost: t\r\n!#$%&'*+-.^`|~9aZ: y\r\n\r\n",
            "/x",
            "",
            |request| {
                (request.headers.get("!#$%&'*+-.^`|~9aZ") != Some("y"))
                    .then(|| "the field is gone".to_owned())
            },
        ),
        served(
            "underscored names are dropped",
            "GET /x HTTP/1.1\r\nHost: t\r\nX_Real_IP: 9.9.9.9\r\nX-User: a\r\nX_User: root\r\n\r\n",
            "/x",
            "",
            |request| {
                request
                    .headers
                    .0
                    .iter()
                    .find(|(name, _)| name.contains('_'))
                    .map(|(name, _)| format!("{name} reached the origin"))
            },
        ),
    ]);
}
