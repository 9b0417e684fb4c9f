//! Fetches from a server that says exactly what the test wants.

use std::net::{Shutdown, TcpListener};
use std::thread;

use super::*;

const TIME: Duration = Duration::from_secs(30);
const BYTES: usize = 1_000;

/// What a fetch from a server finds that answers with these bytes and closes.
fn fetch(answer: &'static [u8]) -> Result<Answer, String> {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let url = format!("http://{}/base", listener.local_addr().expect("it is bound"));
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client comes");
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0; 1];
            stream.read_exact(&mut byte).expect("the client sends a whole head");
            request.extend(byte);
        }
        // A client that has read enough may be gone.
        let _ = stream.write_all(answer).and_then(|()| stream.shutdown(Shutdown::Write));
        String::from_utf8(request).expect("it is ASCII")
    });
    let url = Url::parse(&url).expect("it is one").join("/debug?seconds=1");
    let found = get(&url, &Limits { time: TIME, bytes: BYTES, stop: &AtomicBool::new(false) });
    let request = server.join().expect("the server does not panic");
    assert!(request.starts_with("GET /base/debug?seconds=1 HTTP/1.1\r\nHost: 127.0.0.1:"), "{request}");
    found
}

#[test]
fn bodies_end_by_length_by_chunks_and_by_close() {
    let whole = Ok(Answer { status: 200, body: b"hello".to_vec() });
    assert_eq!(fetch(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), whole);
    assert_eq!(
        fetch(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
        whole
    );
    assert_eq!(fetch(b"HTTP/1.1 200 OK\r\n\r\nhello"), whole);
    assert_eq!(fetch(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello"), whole);
    assert_eq!(
        fetch(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").map(|answer| answer.status),
        Ok(404)
    );
}

#[test]
fn what_is_no_whole_answer_says_why() {
    for (answer, why) in [
        (&b""[..], "closed without an answer"),
        (b"HTTP/1.1 200 OK\r\nContent-Le", "closed without an answer"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "does not answer as HTTP/1.1 does"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", "closed within its answer"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "does not answer as HTTP/1.1 does"),
    ] {
        let found = fetch(answer).expect_err("it is not whole");
        assert!(found.contains(why), "{found}");
    }
}

#[test]
fn too_much_is_refused() {
    static LARGE: [u8; BYTES + 100] = [b'x'; BYTES + 100];
    let answer = [b"HTTP/1.1 200 OK\r\n\r\n", &LARGE[..]].concat().leak();
    assert!(fetch(answer).is_err_and(|why| why.contains("more than 1000 bytes")));
}

#[test]
fn a_fetch_that_nobody_wants_ends() {
    // It accepts by itself and never answers.
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
    let address = listener.local_addr().expect("it is bound");
    let url = Url::parse(&format!("http://{address}")).expect("it is one");
    let stopped = get(&url, &Limits { time: TIME, bytes: BYTES, stop: &AtomicBool::new(true) });
    assert!(stopped.is_err_and(|why| why.contains("the run ended")));
    let time = Duration::from_millis(1);
    let late = get(&url, &Limits { time, bytes: BYTES, stop: &AtomicBool::new(false) });
    assert!(late.is_err_and(|why| why.contains("took longer")));
}

#[test]
fn urls_are_taken_apart() {
    let parts = |url: &str| Url::parse(url).map(|url| (url.authority, url.address, url.path));
    let all = |authority: &str, address: &str, path: &str| {
        Ok((authority.to_owned(), address.to_owned(), path.to_owned()))
    };
    assert_eq!(parts("http://api:6060/x?y"), all("api:6060", "api:6060", "/x?y"));
    assert_eq!(parts("http://api"), all("api", "api:80", ""));
    assert_eq!(parts("http://[::1]/"), all("[::1]", "[::1]:80", "/"));
    assert_eq!(parts("http://[::1]:81?q"), all("[::1]:81", "[::1]:81", "/?q"));
    for wrong in [
        "api:80",
        "https://api",
        "http://",
        "http://:80",
        "http://a:x",
        "http://u@a",
        "http://a/b c",
        "http://a\r\nb",
    ] {
        assert!(parts(wrong).is_err(), "{wrong}");
    }
    assert_eq!(Url::parse("http://a/b/").expect("it is one").join("/c").to_string(), "http://a/b/c");
}
