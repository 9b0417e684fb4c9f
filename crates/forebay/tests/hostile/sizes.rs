//! Whatever is too large.

use crate::table::{Row, all_served, check_with, declined, fine, refused, served};

/// Small enough that the tables stay quick.
const LIMITS: &str = "limits: { head_bytes: 8KiB, headers: 50, uri_bytes: 2KiB, body_max: 64KiB }";

fn get(target: &str, fields: &str) -> String {
    format!("GET {target} HTTP/1.1\r\nHost: t\r\n{fields}\r\n")
}

fn check(rows: &[Row]) {
    check_with(LIMITS, rows);
}

#[test]
fn heads_have_bounds() {
    let letters = |count: usize| "a".repeat(count);
    check(&[
        refused(
            "one header of 9 KiB",
            get("/x", &format!("X: {}\r\n", letters(9 << 10))),
            431,
            "head_too_large",
        ),
        refused("a name of 9 KiB", get("/x", &format!("{}: y\r\n", letters(9 << 10))), 431, "head_too_large"),
        refused(
            "90 KiB of headers",
            get("/x", &format!("X: {}\r\n", letters(900)).repeat(100)),
            431,
            "head_too_large",
        ),
        refused("51 headers", get("/x", &"X: y\r\n".repeat(50)), 431, "head_too_large"),
        refused("5,000 headers", get("/x", &"X:\r\n".repeat(1_500)), 431, "head_too_large"),
        refused(
            "a target of 2 KiB and one",
            get(&format!("/{}", letters(2 << 10)), ""),
            414,
            "target_too_long",
        ),
        refused("a query of 3 KiB", get(&format!("/?{}", letters(3 << 10)), ""), 414, "target_too_long"),
        refused("a target without end", format!("GET /{}", letters(20 << 10)), 414, "target_too_long"),
        refused(
            "a head without end",
            format!("GET /x HTTP/1.1\r\nHost: t\r\n{}", "X: y\r\n".repeat(30) + &"X: ".repeat(9_000)),
            431,
            "head_too_large",
        ),
        served("50 headers", get("/x", &"X: y\r\n".repeat(49)), "/x", "", fine),
        served(
            "a header of 7 KiB",
            get("/x", &format!("X: {}\r\n", letters(7 << 10))),
            "/x",
            "",
            |request| {
                (request.headers.get("x").map(str::len) != Some(7 << 10)).then(|| "it was cut".to_owned())
            },
        ),
        served(
            "a target of 2 KiB",
            get(&format!("/{}", letters((2 << 10) - 1)), ""),
            &format!("/{}", letters((2 << 10) - 1)),
            "",
            fine,
        ),
    ]);
}

#[test]
fn bodies_have_bounds() {
    let length = |length: u64| format!("POST /x HTTP/1.1\r\nHost: t\r\nContent-Length: {length}\r\n\r\n");
    let chunked = "POST /x HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    let full = "b".repeat(64 << 10);
    check(&[
        declined("a byte too long", format!("{}{full}b", length((64 << 10) + 1)), 413, "body_too_large"),
        declined("announced only", length(1 << 40), 413, "body_too_large"),
        declined("the largest number there is", length(9_223_372_036_854_775_807), 413, "body_too_large"),
        declined(
            "announced after a promise to wait",
            "POST /x HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 70000\r\n\r\n",
            413,
            "body_too_large",
        ),
        declined(
            "one chunk too long",
            format!("{chunked}10001\r\n{full}b\r\n0\r\n\r\n"),
            413,
            "body_too_large",
        ),
        declined(
            "one chunk too many",
            format!("{chunked}10000\r\n{full}\r\n1\r\nb\r\n0\r\n\r\n"),
            413,
            "body_too_large",
        ),
        refused("a chunk too long, half of it", format!("{chunked}20000\r\n{full}b"), 413, "body_too_large"),
        served("just short enough", format!("{}{full}", length(64 << 10)), "/x", &full, fine),
        served(
            "just short enough in chunks",
            format!("{chunked}10000\r\n{full}\r\n0\r\n\r\n"),
            "/x",
            &full,
            fine,
        ),
        all_served(
            "70,000 requests' worth of tiny chunks",
            format!("{chunked}{}0\r\n\r\nGET /y HTTP/1.1\r\nHost: t\r\n\r\n", "1\r\nb\r\n".repeat(20_000)),
            &[("/x", &"b".repeat(20_000)), ("/y", "")],
        ),
    ]);
}
