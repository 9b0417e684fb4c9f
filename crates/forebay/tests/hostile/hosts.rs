//! Whom a request is for: `Host`, absolute targets, and both.

use forebay_testkit::message::Request;

use crate::table::{Row, check, fine, refused, served};

fn bad(lines: &str) -> Row {
    refused(lines, format!("GET /x HTTP/1.1\r\n{lines}\r\n\r\n"), 400, "bad_host")
}

fn good(lines: &str) -> Row {
    served(lines, format!("GET /x HTTP/1.1\r\n{lines}\r\n\r\n"), "/x", "", one_host)
}

fn one_host(request: &Request) -> Option<String> {
    let hosts = request.headers.all("host");
    (hosts.len() != 1 || hosts[0].is_empty()).then(|| format!("hosts {hosts:?}"))
}

#[test]
fn a_host_that_is_not_exactly_one_host_is_refused() {
    let malformed =
        |lines: &str| refused(lines, format!("GET /x HTTP/1.1\r\n{lines}\r\n\r\n"), 400, "malformed_request");
    check(&[
        bad("Host: t\r\nHost: other"),
        bad("Host: t\r\nHost: t"),
        bad("Host: t\r\nhost:"),
        bad("X: no host at all"),
        malformed("Host : t"),
        bad("Host:"),
        bad("Host: a,b"),
        bad("Host: a, b"),
        bad("Host: a b"),
        bad("Host: a\tb"),
        bad("Host: user@t"),
        bad("Host: user:secret@t"),
        bad("Host: t/x"),
        bad("Host: t?x"),
        bad("Host: t#x"),
        bad("Host: t\\x"),
        bad("Host: t%00"),
        bad("Host: t%2eexample"),
        bad("Host: http://t/"),
        bad("Host: \"t\""),
        bad("Host: <t>"),
        bad("Host: t:http"),
        bad("Host: t:99999"),
        bad("Host: t:-1"),
        bad("Host: t:80:80"),
        bad("Host: :80"),
        bad("Host: a..b"),
        bad("Host: .t"),
        bad("Host: [::1"),
        bad("Host: ::1"),
        bad("Host: [::g]"),
        bad("Host: [::1]x"),
        bad("Host: t\u{e9}"),
        bad(&format!("Host: {}", "a".repeat(300))),
    ]);
}

#[test]
fn a_host_in_every_valid_spelling_is_served() {
    check(&[
        good("Host: t"),
        good("Host: T.Example"),
        good("Host: t.example."),
        good("Host: t:8080"),
        good("Host: t:"),
        good("Host: 127.0.0.1"),
        good("Host: [::1]"),
        good("Host: [::1]:8080"),
        good("Host: t\r\nConnection: host"),
        served("none in HTTP/1.0", "GET /x HTTP/1.0\r\n\r\n", "/x", "", fine),
    ]);
}

#[test]
fn an_absolute_target_must_agree_with_the_host() {
    let line = |target: &str, host: &str| format!("GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n");
    check(&[
        served("the same", line("http://t/x?y", "t"), "/x?y", "", one_host),
        served("in another case", line("HTTP://T.Example/x", "t.example"), "/x", "", one_host),
        served("without a path", line("http://t", "t"), "/", "", one_host),
        served("without a path but with a query", line("http://t?y", "t"), "/?y", "", one_host),
        refused("another host", line("http://other/x", "t"), 400, "bad_host"),
        refused("another port", line("http://t:81/x", "t"), 400, "bad_host"),
        refused("a host in front of another", line("http://t.other/x", "t"), 400, "bad_host"),
        refused("no Host", "GET http://t/x HTTP/1.1\r\n\r\n", 400, "bad_host"),
        refused("user information", line("http://user@t/x", "t"), 400, "bad_target"),
        refused("an empty host", line("http:///x", "t"), 400, "bad_target"),
        refused("another scheme", line("ftp://t/x", "t"), 400, "bad_target"),
        refused("a script", line("javascript://t/%0aalert(1)", "t"), 400, "bad_target"),
        refused("a file", line("file:///etc/passwd", "t"), 400, "bad_target"),
        refused("one slash", line("http:/t/x", "t"), 400, "bad_target"),
        refused("a comma", line("http://t,other/x", "t"), 400, "bad_target"),
        refused("a backslash", line("http://t\\x", "t"), 400, "bad_target"),
        refused("a bad port", line("http://t:x/", "t"), 400, "bad_target"),
        refused("climbing", line("http://t/../x", "t"), 400, "bad_target"),
    ]);
}
