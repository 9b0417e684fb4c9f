//! Answers that are wrong, as a table.

use std::sync::Arc;

use forebay_testkit::check::problem;
use forebay_testkit::gateway;
use forebay_testkit::message::Broken;
use forebay_testkit::origin::{Conn, Origin};
use forebay_testkit::settings::in_front_of;
use forebay_testkit::wire::Client;

use crate::table::ask;

/// What an origin answers, what it does then, and what a client must see.
struct Case {
    name: &'static str,
    method: &'static str,
    answer: Vec<u8>,
    then: Then,
    expect: Expect,
}

/// What the origin does after its answer.
#[derive(Clone, Copy)]
enum Then {
    /// Waits for the next request, as if all was well.
    Stays,
    Closes,
    Resets,
}

/// What the client sees.
enum Expect {
    /// The gateway's own 502 with this reason.
    BadGateway(&'static str),
    /// A complete response; the origin's connection is used again or not.
    Whole { status: u16, body: &'static str, reused: bool },
    /// The head, and a body that is visibly cut short.
    Cut,
    /// Either of the last two failures, as the pieces happen to arrive: but nothing that looks complete.
    NeverWhole,
}

use Then::{Closes, Resets, Stays};

const OK: &str = "HTTP/1.1 200 OK\r\n";

fn case(name: &'static str, answer: impl AsRef<[u8]>, then: Then, expect: Expect) -> Case {
    Case { name, method: "GET", answer: answer.as_ref().to_vec(), then, expect }
}

/// An answer that is no HTTP/1.1 response.
fn malformed(name: &'static str, answer: impl AsRef<[u8]>) -> Case {
    case(name, answer, Stays, Expect::BadGateway("upstream_malformed"))
}

/// An answer whose head is beyond the limits.
fn too_large(name: &'static str, answer: impl AsRef<[u8]>) -> Case {
    case(name, answer, Stays, Expect::BadGateway("upstream_head_too_large"))
}

/// A 200 with these header lines and a body.
fn malformed_head(lines: &'static str) -> Case {
    malformed(lines, format!("{OK}{lines}\r\n\r\nhello"))
}

/// A chunked 200 with this body.
fn bad_chunks(body: &'static str) -> Case {
    let answer = format!("{OK}Transfer-Encoding: chunked\r\n\r\n{body}");
    case(body, answer, Stays, Expect::NeverWhole)
}

fn whole(name: &'static str, answer: impl AsRef<[u8]>, then: Then, status: u16, body: &'static str) -> Case {
    case(name, answer, then, Expect::Whole { status, body, reused: false })
}

#[test]
fn an_answer_that_is_not_http_becomes_502() {
    check(vec![
        malformed("nonsense", "hello\r\n\r\n"),
        malformed("another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        malformed("a TLS alert", b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n"),
        malformed("HTTP/2 as text", "HTTP/2 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        malformed("HTTP/0.9", "HTTP/0.9 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        malformed("ICY", "ICY 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        malformed("two digits", "HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello"),
        malformed("four digits", "HTTP/1.1 2000 OK\r\nContent-Length: 5\r\n\r\nhello"),
        malformed("letters", "HTTP/1.1 abc OK\r\nContent-Length: 5\r\n\r\nhello"),
        malformed("a sign", "HTTP/1.1 +20 OK\r\nContent-Length: 5\r\n\r\nhello"),
        malformed("status 0", "HTTP/1.1 000 OK\r\nContent-Length: 5\r\n\r\nhello"),
        malformed("status 99", "HTTP/1.1 099 OK\r\nContent-Length: 5\r\n\r\nhello"),
        malformed("two spaces", "HTTP/1.1  200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        malformed("a NUL in the reason", "HTTP/1.1 200 O\0K\r\nContent-Length: 5\r\n\r\nhello"),
        malformed("bare LF", "HTTP/1.1 200 OK\nContent-Length: 5\n\nhello"),
        malformed("one bare LF", "HTTP/1.1 200 OK\r\nX: y\nContent-Length: 5\r\n\r\nhello"),
        malformed("a bare CR", "HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 5\r\n\r\nhello"),
        malformed("a space first", " HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"),
        malformed_head("X : y\r\nContent-Length: 5"),
        malformed_head("Content-Length : 5"),
        malformed_head("X: a\r\n folded\r\nContent-Length: 5"),
        malformed_head("no colon\r\nContent-Length: 5"),
        malformed_head(": empty\r\nContent-Length: 5"),
        malformed_head("X: a\0b\r\nContent-Length: 5"),
        malformed_head("X\0: a\r\nContent-Length: 5"),
        too_large(
            "a head of 100 KB",
            format!("{OK}X: {}\r\nContent-Length: 5\r\n\r\nhello", "y".repeat(100_000)),
        ),
        too_large("a head without end", format!("{OK}X: {}", "y".repeat(300_000))),
        too_large("5,000 headers", format!("{OK}{}Content-Length: 5\r\n\r\nhello", "X: y\r\n".repeat(5_000))),
    ]);
}

#[test]
fn an_answer_of_ambiguous_length_becomes_502() {
    check(vec![
        malformed_head("Content-Length: 5\r\nTransfer-Encoding: chunked"),
        malformed_head("Transfer-Encoding: chunked\r\nContent-Length: 5"),
        malformed_head("Content-Length: 5\r\nContent-Length: 6"),
        malformed_head("Content-Length: 5\r\nContent-Length: 5"),
        malformed_head("Content-Length: 5, 5"),
        malformed_head("Content-Length: +5"),
        malformed_head("Content-Length: -5"),
        malformed_head("Content-Length: 0x5"),
        malformed_head("Content-Length: five"),
        malformed_head("Content-Length:"),
        malformed_head("Content-Length: 99999999999999999999"),
        malformed_head("Transfer-Encoding: chunked, chunked"),
        malformed_head("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
        malformed_head("Transfer-Encoding: gzip"),
        malformed_head("Transfer-Encoding: gzip, chunked"),
        malformed_head("Transfer-Encoding: chunked, gzip"),
        malformed_head("Transfer-Encoding: identity"),
        malformed_head("Transfer-Encoding: xchunked"),
        malformed(
            "a coding in HTTP/1.0",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
    ]);
}

#[test]
fn interim_answers_are_bounded_and_never_a_way_out() {
    let flood = "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n".repeat(2_000);
    check(vec![
        malformed("a flood", format!("{flood}{OK}Content-Length: 5\r\n\r\nhello")),
        malformed(
            "a switch nobody asked for",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nhello",
        ),
        malformed(
            "one with a body",
            "HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
        ),
        case(
            "then nothing",
            "HTTP/1.1 103 Early Hints\r\n\r\n",
            Closes,
            Expect::BadGateway("upstream_closed"),
        ),
    ]);
}

#[test]
fn an_answer_that_is_cut_off_never_looks_whole() {
    let chunked = format!("{OK}Transfer-Encoding: chunked\r\n\r\n");
    check(vec![
        case("short of its length", format!("{OK}Content-Length: 10\r\n\r\nhello"), Closes, Expect::Cut),
        case(
            "short of its length by a reset",
            format!("{OK}Content-Length: 10\r\n\r\nhello"),
            Resets,
            Expect::NeverWhole,
        ),
        case("without a body", format!("{OK}Content-Length: 10\r\n\r\n"), Closes, Expect::NeverWhole),
        case("in a chunk", format!("{chunked}5\r\nhel"), Closes, Expect::Cut),
        case("in a chunk by a reset", format!("{chunked}5\r\nhel"), Resets, Expect::NeverWhole),
        case("between chunks", format!("{chunked}5\r\nhello\r\n"), Closes, Expect::Cut),
        case("before the last empty line", format!("{chunked}5\r\nhello\r\n0\r\n"), Closes, Expect::Cut),
        case("in the trailers", format!("{chunked}5\r\nhello\r\n0\r\nX: y"), Closes, Expect::Cut),
        case("until close, by a reset", format!("{OK}\r\nhello"), Resets, Expect::NeverWhole),
        case("in the head", format!("{OK}Content-Le"), Closes, Expect::BadGateway("upstream_closed")),
        case(
            "in the head by a reset",
            format!("{OK}Content-Le"),
            Resets,
            Expect::BadGateway("upstream_closed"),
        ),
        case("before anything", "", Closes, Expect::BadGateway("upstream_closed")),
        case("before anything by a reset", "", Resets, Expect::BadGateway("upstream_closed")),
    ]);
}

#[test]
fn bad_chunks_from_an_origin_never_look_whole() {
    check(vec![
        bad_chunks("zz\r\nhello\r\n0\r\n\r\n"),
        bad_chunks("0x5\r\nhello\r\n0\r\n\r\n"),
        bad_chunks("-5\r\nhello\r\n0\r\n\r\n"),
        bad_chunks("FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
        bad_chunks("5\nhello\n0\n\n"),
        bad_chunks("5\r\nhelloX\r\n0\r\n\r\n"),
        bad_chunks("5\r\nhello0\r\n\r\n"),
        bad_chunks("5\r\nhello\r\n0\r\nno colon\r\n\r\n"),
        bad_chunks("5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n"),
        bad_chunks("5;a\nb\r\nhello\r\n0\r\n\r\n"),
    ]);
}

#[test]
fn bytes_beyond_an_answer_are_nobody_elses_answer() {
    let poison = "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nx-path: poison\r\n\r\npoison";
    check(vec![
        whole("after a length", format!("{OK}Content-Length: 5\r\n\r\nhello{poison}"), Stays, 200, "hello"),
        whole(
            "after the last chunk",
            format!("{OK}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n{poison}"),
            Stays,
            200,
            "hello",
        ),
        whole("after nothing", format!("{OK}Content-Length: 0\r\n\r\n{poison}"), Stays, 200, ""),
        whole("after 204", format!("HTTP/1.1 204 No Content\r\n\r\n{poison}"), Stays, 204, ""),
        whole("in 204", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello", Stays, 204, ""),
        whole(
            "in 204 by chunks",
            "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            Stays,
            204,
            "",
        ),
        whole("in 304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello", Stays, 304, ""),
        whole("after 304", format!("HTTP/1.1 304 Not Modified\r\n\r\n{poison}"), Stays, 304, ""),
        Case {
            method: "HEAD",
            ..whole("in an answer to HEAD", format!("{OK}Content-Length: 5\r\n\r\nhello"), Stays, 200, "")
        },
        Case {
            method: "HEAD",
            ..whole(
                "after an answer to HEAD",
                format!("{OK}Content-Length: 5\r\n\r\n{poison}"),
                Stays,
                200,
                "",
            )
        },
        whole("one CRLF too many", format!("{OK}Content-Length: 5\r\n\r\nhello\r\n"), Stays, 200, "hello"),
    ]);
}

#[test]
fn odd_but_clear_answers_are_passed_on() {
    let reused = |name, answer: &str, status, body| {
        case(name, answer, Stays, Expect::Whole { status, body, reused: true })
    };
    check(vec![
        whole("until close", format!("{OK}\r\nhello"), Closes, 200, "hello"),
        whole("HTTP/1.0 until close", "HTTP/1.0 200 OK\r\n\r\nhello", Closes, 200, "hello"),
        whole(
            "HTTP/1.0 with a length",
            "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            Stays,
            200,
            "hello",
        ),
        whole(
            "that says close",
            format!("{OK}Connection: close\r\nContent-Length: 5\r\n\r\nhello"),
            Stays,
            200,
            "hello",
        ),
        reused("no reason", "HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\nhello", 200, "hello"),
        reused(
            "a long reason",
            "HTTP/1.1 200 All is well (really)\r\nContent-Length: 5\r\n\r\nhello",
            200,
            "hello",
        ),
        reused("an unknown status", "HTTP/1.1 299 Odd\r\nContent-Length: 5\r\n\r\nhello", 299, "hello"),
        reused(
            "304 with the length of what it is not sending",
            "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
            304,
            "",
        ),
        reused(
            "chunk extensions",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\n\r\n",
            200,
            "hello",
        ),
        reused(
            "an interim answer first",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
            200,
            "hello",
        ),
    ]);
}

/// Runs all cases through one gateway and one origin, each between ordinary requests of other clients.
#[track_caller]
fn check(cases: Vec<Case>) {
    let cases = Arc::new(cases);
    let scripts = Arc::clone(&cases);
    let origin = Origin::start(move |conn| misbehave(conn, &scripts));
    let gateway = gateway!("{}", in_front_of(origin.address(), ""));
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let judged = ask(&mut gateway.client(), &format!("/before/{number}"))
            .and_then(|()| judge(case, number, &mut gateway.client()))
            .and_then(|()| ask(&mut gateway.client(), &format!("/after/{number}")))
            .and_then(|()| ask(&mut gateway.client(), &format!("/again/{number}")))
            .and_then(|()| reuse(case, number, &origin));
        wrong.extend(judged.err().map(|what| format!("- {:?}: {what}", case.name)));
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

/// Answers `/case/N` as told and everything else as it should.
fn misbehave(conn: &mut Conn, cases: &[Case]) {
    while let Ok(request) = conn.request() {
        let number = request.target.strip_prefix("/case/").and_then(|text| text.parse::<usize>().ok());
        let Some(case) = number.map(|number| &cases[number]) else {
            conn.echo(&request);
            continue;
        };
        conn.send(&case.answer);
        match case.then {
            Stays => {}
            Closes => return,
            Resets => return conn.reset(),
        }
    }
}

fn judge(case: &Case, number: usize, client: &mut Client) -> Result<(), String> {
    let method = case.method;
    let asked = client.ask(format!("{method} /case/{number} HTTP/1.1\r\nHost: t\r\n\r\n"));
    match (&case.expect, asked) {
        (Expect::BadGateway(reason), Ok(response)) => {
            let found = problem(&response, 502)?;
            if found == *reason { Ok(()) } else { Err(format!("reason {found} instead of {reason}")) }
        }
        (Expect::Whole { status, body, .. }, Ok(response)) => {
            if response.status == *status && response.text() == *body {
                Ok(())
            } else {
                Err(format!("not {status} with {body:?}: {response}"))
            }
        }
        (Expect::NeverWhole, Ok(response)) => problem(&response, 502).map(|_| ()),
        (Expect::Cut | Expect::NeverWhole, Err(failed)) => match failed.why {
            Broken::Truncated | Broken::Reset | Broken::Nothing => Ok(()),
            Broken::Late | Broken::Malformed(_) => Err(failed.to_string()),
        },
        (Expect::Cut, Ok(response)) => Err(format!("looks whole: {response}")),
        (_, Err(failed)) => Err(format!("no whole response: {failed}")),
    }
}

/// Checks that the connection of a case was used again only where that is safe.
fn reuse(case: &Case, number: usize, origin: &Origin) -> Result<(), String> {
    let seen = origin.seen();
    let target = format!("/case/{number}");
    let Some(at) = seen.iter().rposition(|seen| seen.request.target == target) else {
        return Err("it never reached the origin".to_owned());
    };
    let again = seen[at + 1..].iter().any(|later| later.connection == seen[at].connection);
    let wanted = matches!(case.expect, Expect::Whole { reused: true, .. });
    if again == wanted { Ok(()) } else { Err(format!("the connection was used again: {again}")) }
}
