//! Chunked bodies that are not quite.

use crate::table::{Row, all_served, check, fine, refused, refused_at_end, served};

fn chunks(body: impl AsRef<[u8]>) -> Vec<u8> {
    let head = b"POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    [&head[..], body.as_ref()].concat()
}

fn bad(body: &str) -> Row {
    refused(&format!("{body:?}"), chunks(body), 400, "body_malformed")
}

fn good(body: &str) -> Row {
    served(&format!("{body:?}"), chunks(body), "/x", "hello", fine)
}

#[test]
fn bad_chunk_sizes_are_refused() {
    check(&[
        bad("\r\nhello\r\n0\r\n\r\n"),
        bad("0x5\r\nhello\r\n0\r\n\r\n"),
        bad("+5\r\nhello\r\n0\r\n\r\n"),
        bad("-5\r\nhello\r\n0\r\n\r\n"),
        bad("5_\r\nhello\r\n0\r\n\r\n"),
        bad(" 5\r\nhello\r\n0\r\n\r\n"),
        bad("5 \r\nhello\r\n0\r\n\r\n"),
        bad("\t5\r\nhello\r\n0\r\n\r\n"),
        bad("5\t\r\nhello\r\n0\r\n\r\n"),
        bad("5\x0b\r\nhello\r\n0\r\n\r\n"),
        bad("5\0\r\nhello\r\n0\r\n\r\n"),
        bad("G\r\nhello\r\n0\r\n\r\n"),
        bad("5h\r\nhello\r\n0\r\n\r\n"),
        bad("5,5\r\nhello\r\n0\r\n\r\n"),
        bad(";a\r\nhello\r\n0\r\n\r\n"),
        bad("FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
        bad("10000000000000005\r\nhello\r\n0\r\n\r\n"),
        bad("000000000000000000000000000000005\r\nhello\r\n0\r\n\r\n"),
        refused_at_end(
            "a size near the top of 63 bits",
            chunks("7FFFFFFFFFFFFFFF\r\nhello"),
            413,
            "body_too_large",
        ),
        refused_at_end(
            "two sizes whose sum overflows",
            chunks("5\r\nhello\r\n7FFFFFFFFFFFFFFF\r\nhello"),
            413,
            "body_too_large",
        ),
    ]);
}

#[test]
fn bad_line_ends_in_chunks_are_refused() {
    check(&[
        bad("5\nhello\r\n0\r\n\r\n"),
        bad("5\r\nhello\n0\r\n\r\n"),
        bad("5\r\nhello0\r\n\r\n"),
        bad("5\r\nhelloX\r\n0\r\n\r\n"),
        bad("5\r\nhello\r0\r\n\r\n"),
        bad("5\rhello\r\n0\r\n\r\n"),
        bad("5\r\rhello\r\n0\r\n\r\n"),
        bad("5\r\nhello\r\n0\n\r\n"),
        bad("5\r\nhello\r\n0\r\n\n"),
        bad("5\r\nhello\r\n0\r\n\rGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n"),
        bad("5\r\nhello\r\n\r\n0\r\n\r\n"),
    ]);
}

#[test]
fn bad_chunk_extensions_are_refused() {
    let huge = format!("5;a={}\r\nhello\r\n0\r\n\r\n", "b".repeat(20_000));
    let many = format!("{}0\r\n\r\n", format!("1;a={}\r\nh\r\n", "b".repeat(200)).repeat(200));
    check(&[
        bad("5;a\nGET /smuggled HTTP/1.1\r\nhello\r\n0\r\n\r\n"),
        bad("5;a\n\r\nhello\r\n0\r\n\r\n"),
        bad("5;a\rb\r\nhello\r\n0\r\n\r\n"),
        bad("5;a=\"b\r\n\"\r\nhello\r\n0\r\n\r\n"),
        bad("5;a\0b\r\nhello\r\n0\r\n\r\n"),
        bad("5;a\x7f\r\nhello\r\n0\r\n\r\n"),
        bad("0;a\nb\r\n\r\n"),
        refused("one huge extension", chunks(huge), 400, "body_malformed"),
        refused("many extensions", chunks(many), 400, "body_malformed"),
    ]);
}

#[test]
fn bad_trailers_are_refused() {
    let many = format!("5\r\nhello\r\n0\r\n{}\r\n", "X: y\r\n".repeat(200));
    let huge = format!("5\r\nhello\r\n0\r\nX: {}\r\n\r\n", "y".repeat(20_000));
    check(&[
        bad("5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"),
        bad("5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        bad("5\r\nhello\r\n0\r\nHost: other\r\n\r\n"),
        bad("5\r\nhello\r\n0\r\nno colon\r\n\r\n"),
        bad("5\r\nhello\r\n0\r\nX : y\r\n\r\n"),
        bad("5\r\nhello\r\n0\r\n: y\r\n\r\n"),
        bad("5\r\nhello\r\n0\r\nX: y\nZ: z\r\n\r\n"),
        bad("5\r\nhello\r\n0\r\nX: y\rZ: z\r\n\r\n"),
        bad("5\r\nhello\r\n0\r\nX: y\r\n folded\r\n\r\n"),
        bad("5\r\nhello\r\n0\r\nX: \0\r\n\r\n"),
        bad("5\r\nhello\r\n0\r\nGET /smuggled HTTP/1.1\r\nHost: t\r\n\r\n"),
        refused("too many trailers", chunks(many), 400, "body_malformed"),
        refused("a huge trailer", chunks(huge), 400, "body_malformed"),
    ]);
}

#[test]
fn unusual_but_valid_chunks_are_served() {
    check(&[
        good("5\r\nhello\r\n0\r\n\r\n"),
        good("0005\r\nhello\r\n000\r\n\r\n"),
        good("1\r\nh\r\n1\r\ne\r\n1\r\nl\r\n1\r\nl\r\n1\r\no\r\n0\r\n\r\n"),
        good("5;a\r\nhello\r\n0\r\n\r\n"),
        good("5;a=b\r\nhello\r\n0;c=d\r\n\r\n"),
        good("5;a=\"b c;d\"\r\nhello\r\n0\r\n\r\n"),
        good("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"),
        all_served(
            "sizes in both cases, then a request",
            chunks("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\nGET /y HTTP/1.1\r\nHost: t\r\n\r\n"),
            &[("/x", "01234567890123456789"), ("/y", "")],
        ),
    ]);
}

#[test]
fn trailers_that_would_steer_the_origin_are_left_out() {
    check(&[served(
        "authorization and a forged address among the trailers",
        chunks("5\r\nhello\r\n0\r\nAuthorization: x\r\nX-Forwarded-For: 9.9.9.9\r\nX-Sum: 1\r\n\r\n"),
        "/x",
        "hello",
        |request| {
            let names: Vec<&str> = request.trailers.0.iter().map(|(name, _)| name.as_str()).collect();
            let allowed = names.iter().all(|name| name.eq_ignore_ascii_case("x-sum"));
            (!allowed).then(|| format!("trailers {names:?}"))
        },
    )]);
}
