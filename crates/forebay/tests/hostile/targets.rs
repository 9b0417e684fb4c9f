//! Targets that servers read differently.

use crate::table::{Row, check, fine, refused, served};

fn bad(target: &str) -> Row {
    refused(target, format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n"), 400, "bad_target")
}

fn becomes(target: &str, upstream: &str) -> Row {
    served(target, format!("GET {target} HTTP/1.1\r\nHost: t\r\n\r\n"), upstream, "", fine)
}

/// What the line's own grammar forbids may be called either; it is refused all the same.
fn malformed(target: impl AsRef<[u8]>) -> Row {
    let target = target.as_ref();
    let bytes = [b"GET ", target, b" HTTP/1.1\r\nHost: t\r\n\r\n"].concat();
    refused(&String::from_utf8_lossy(target), bytes, 400, "malformed_request")
}

#[test]
fn targets_that_hide_something_are_refused() {
    check(&[
        bad("/a%2fb"),
        bad("/a%2Fb"),
        bad("/a%5cb"),
        bad("/a\\b"),
        bad("/a%00b"),
        bad("/../x"),
        bad("/a/../../x"),
        bad("/%2e%2e/x"),
        bad("/.%2e/x"),
        bad("/..;/x"),
        bad("/a/..;a=b/x"),
        bad("/%ff"),
        bad("/%c0%af"),
        bad("/%e0%80%af"),
        bad("/%ed%a0%80"),
        bad("/%zz"),
        bad("/%"),
        bad("/%2"),
        bad("/%u002f"),
        bad("/a#b"),
        bad("/a?b#c"),
        bad("x"),
        bad("?x"),
        bad("#"),
        bad("t:80"),
        bad("*"),
    ]);
}

#[test]
fn bytes_that_no_target_holds_are_refused() {
    check(&[
        malformed("/a b"),
        malformed("/a\tb"),
        malformed("/a\0b"),
        malformed("/a\x01b"),
        malformed("/a\x7fb"),
        malformed("/a\rb"),
        refused("beyond ASCII", b"GET /caf\xc3\xa9 HTTP/1.1\r\nHost: t\r\n\r\n", 400, "bad_target"),
        malformed(b"/caf\xe9"),
        refused(
            "beyond ASCII in a query",
            b"GET /?caf\xc3\xa9 HTTP/1.1\r\nHost: t\r\n\r\n",
            400,
            "bad_target",
        ),
    ]);
}

#[test]
fn what_reaches_the_origin_is_canonical() {
    check(&[
        becomes("/a/./b", "/a/b"),
        becomes("/a/../b", "/b"),
        becomes("/a/%2e%2e/b", "/b"),
        becomes("/%61%2D%7e", "/a-~"),
        becomes("/%e2%82%ac", "/%E2%82%AC"),
        becomes("/%252f", "/%252f"),
        becomes("/%0d%0aX:y", "/%0D%0AX:y"),
        becomes("//a//b", "//a//b"),
        becomes("/a?%2f/../?", "/a?%2f/../?"),
        becomes("/a?", "/a?"),
        becomes("/a;b=c", "/a;b=c"),
    ]);
}
