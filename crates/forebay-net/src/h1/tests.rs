//! What the codec takes and what it refuses, as tables.

use super::*;

const LIMITS: HeadLimits = HeadLimits { bytes: 4096, fields: 100, target: 1024 };

fn request(text: &str) -> Result<RequestHead, HeadError> {
    let mut head = RequestHead::default();
    match head.parse(text.as_bytes(), &LIMITS)? {
        Outcome::Complete(len) => {
            assert_eq!(len, text.len(), "{text:?}");
            Ok(head)
        }
        Outcome::Partial => panic!("partial: {text:?}"),
    }
}

fn refused(text: &str) -> HeadError {
    match request(text) {
        Err(error) => error,
        Ok(_) => panic!("taken: {text:?}"),
    }
}

#[test]
fn framing_that_two_servers_could_read_differently_is_refused() {
    let cases = [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5, 5",
        "Content-Length: +5",
        "Content-Length: -5",
        "Content-Length: 0x5",
        "Content-Length: 5 5",
        "Content-Length: ",
        "Content-Length: 99999999999999999999",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked, chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked;q=1",
        "Transfer-Encoding: identity",
        "Transfer-Encoding: ",
        "Transfer-Encoding: chunked, gzip",
        "Transfer-Encoding: identity, chunked",
    ];
    for case in cases {
        let text = format!("POST / HTTP/1.1\r\nHost: a\r\n{case}\r\n\r\n");
        assert!(matches!(refused(&text), HeadError::Framing(_)), "{case}");
    }
    assert!(matches!(
        refused("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
        HeadError::Framing(_)
    ));
    assert_eq!(
        refused("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"),
        HeadError::TransferCoding
    );
}

#[test]
fn heads_that_are_not_http_are_refused() {
    let cases = [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n",
        "G@T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
        "MMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMMM / HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for case in cases {
        assert!(matches!(refused(case), HeadError::Syntax(_)), "{case:?}: {:?}", refused(case));
    }
    for case in ["GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "GET / HTTP/1.1\r\n\r\n"] {
        assert_eq!(refused(case), HeadError::Host, "{case:?}");
    }
    for case in ["GET / HTTP/1.2\r\n", "GET / HTTP/2.0\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        assert_eq!(refused(case), HeadError::Version, "{case:?}");
    }
}

#[test]
fn limits_have_their_own_errors() {
    let long = "a".repeat(1100);
    assert_eq!(refused(&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n")), HeadError::TargetTooLong);
    let fields = "X: y\r\n".repeat(101);
    assert_eq!(refused(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")), HeadError::TooManyFields);
    let big = "b".repeat(4096);
    assert_eq!(refused(&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {big}\r\n\r\n")), HeadError::TooLarge);
    let mut head = RequestHead::default();
    assert_eq!(head.parse(format!("GET /{long}").as_bytes(), &LIMITS), Err(HeadError::TargetTooLong));
    assert_eq!(
        head.parse(format!("GET / HTTP/1.1\r\nX: {big}").as_bytes(), &LIMITS),
        Err(HeadError::TooLarge)
    );
}

#[test]
fn more_fields_than_fit_on_the_stack_are_still_parsed() {
    let fields = "X: y\r\n".repeat(90);
    let head = request(&format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n")).unwrap();
    assert_eq!(head.fields.len(), 91);
}

#[test]
fn persistence_follows_version_and_connection() {
    let cases = [
        ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", true),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", false),
        ("GET / HTTP/1.1\r\nHost: a\r\nConnection: x, CLOSE\r\n\r\n", false),
        ("GET / HTTP/1.0\r\n\r\n", false),
        ("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", true),
        ("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n", false),
    ];
    for (text, keep) in cases {
        assert_eq!(request(text).unwrap().keep_alive, keep, "{text:?}");
    }
}

#[test]
fn fields_named_in_connection_are_hop_by_hop() {
    let text = "GET / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nConnection: x-one, upgrade\r\nX-Two: 2\r\n\r\n";
    let head = request(text).unwrap();
    let hops: Vec<_> = head
        .fields
        .iter()
        .filter(|field| field.hop_by_hop)
        .map(|field| std::str::from_utf8(field.name.of_head(text.as_bytes())).unwrap())
        .collect();
    assert_eq!(hops, ["X-One", "Connection"]);
    assert!(head.connection_upgrade);
}

fn response_framing(text: &str, to_head: bool) -> Result<Framing, HeadError> {
    let mut head = ResponseHead::default();
    match head.parse(text.as_bytes(), &LIMITS, to_head)? {
        Outcome::Complete(_) => Ok(head.framing),
        Outcome::Partial => panic!("partial: {text:?}"),
    }
}

#[test]
fn responses_are_delimited_as_the_rfc_says() {
    let cases = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", false, Framing::Length(7)),
        ("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n", true, Framing::None),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", false, Framing::Chunked),
        ("HTTP/1.1 200\r\n\r\n", false, Framing::UntilClose),
        ("HTTP/1.1 204 No Content\r\nContent-Length: 7\r\n\r\n", false, Framing::None),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n", false, Framing::None),
        ("HTTP/1.1 103 Early Hints\r\n\r\n", false, Framing::None),
    ];
    for (text, to_head, framing) in cases {
        assert_eq!(response_framing(text, to_head), Ok(framing), "{text:?}");
    }
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nContent-Length: 8\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\nContent-Length: 7\n\n",
        "HTTP/1.1 20x OK\r\n\r\n",
        "HTTP/1.1 099 OK\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "nonsense\r\n\r\n",
    ] {
        assert!(response_framing(text, false).is_err(), "{text:?}");
    }
}

/// Feeds `wire` in pieces of `piece` bytes; returns data, trailers and what is left over.
fn dechunk(wire: &str, piece: usize) -> Result<(String, String, String), BodyError> {
    let mut body = Body::new(Framing::Chunked);
    let mut data = Vec::new();
    let mut rest: Vec<u8> = Vec::new();
    for bytes in wire.as_bytes().chunks(piece) {
        rest.extend_from_slice(bytes);
        let part = body.take(&mut rest)?;
        data.extend_from_slice(&rest[..part.data]);
        rest.drain(..part.consumed);
    }
    body.end_of_input()?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((text(&data), text(body.trailers()), text(&rest)))
}

#[test]
fn chunks_decode_the_same_however_they_arrive() {
    let wire = "5\r\nhello\r\n1;a=\"b;c\"\r\n \r\n00005\r\nworld\r\n0\r\nX-Sum: 1\r\nExpires: 0\r\n\r\nGET /";
    for piece in 1..wire.len() {
        let (data, trailers, rest) = dechunk(wire, piece).unwrap();
        assert_eq!((&*data, &*trailers, &*rest), ("hello world", "X-Sum: 1\r\n", "GET /"), "{piece}");
    }
}

#[test]
fn broken_chunks_are_refused() {
    let many = format!("0\r\n{}\r\n", "X: y\r\n".repeat(33));
    let long_extension = format!("1;{}\r\na\r\n0\r\n\r\n", "x".repeat(300));
    let long_trailer = format!("0\r\nX: {}\r\n\r\n", "x".repeat(9000));
    let many_extensions = "1;aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\na\r\n".repeat(600) + "0\r\n\r\n";
    let cases: &[&str] = &[
        "\r\n",
        "0x5\r\nhello\r\n0\r\n\r\n",
        "+5\r\nhello\r\n0\r\n\r\n",
        "-1\r\n",
        "1_0\r\n",
        " 5\r\nhello\r\n0\r\n\r\n",
        "5 \r\nhello\r\n0\r\n\r\n",
        "5\nhello\r\n0\r\n\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "ffffffffffffffff\r\n",
        "00000000000000005\r\nhello\r\n0\r\n\r\n",
        "5;a\nb\r\nhello\r\n0\r\n\r\n",
        "5;a\rb\r\nhello\r\n0\r\n\r\n",
        "5;\"a\r\n\"\r\nhello\r\n0\r\n\r\n",
        "5;a=\"\\\"\"\r\nhello\r\n0\r\n\r\n",
        ";\r\n",
        "0\r\n\n",
        "0\r\nContent-Length: 5\r\n\r\n",
        "0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "0\r\nHost: b\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\n X: y\r\n\r\n",
        &many,
        &long_extension,
        &long_trailer,
        &many_extensions,
    ];
    for case in cases {
        for piece in [1, 3, 10_000] {
            let result = dechunk(case, piece);
            assert!(matches!(result, Err(BodyError::Chunked(_))), "{case:?}: {result:?}");
        }
    }
    assert_eq!(dechunk("5\r\nhell", 3), Err(BodyError::Truncated));
    assert_eq!(dechunk("5\r\nhello\r\n0\r\n", 3), Err(BodyError::Truncated));
}

#[test]
fn a_chunk_announces_its_size_before_its_data() {
    let mut body = Body::new(Framing::Chunked);
    let mut input = *b"100\r\nhello";
    assert_eq!(body.take(&mut input), Ok(Part { consumed: 10, data: 5 }));
    assert_eq!(body.announced(), 251);
}

#[test]
fn chunk_starts_are_hexadecimal() {
    for (len, text) in [(0, "0\r\n"), (9, "9\r\n"), (16, "10\r\n"), (255, "ff\r\n"), (65_536, "10000\r\n")] {
        let (bytes, used) = chunk_start(len);
        assert_eq!(&bytes[..used], text.as_bytes());
    }
}

#[test]
fn a_length_body_ends_where_it_says() {
    let mut body = Body::new(Framing::Length(5));
    let mut input = *b"helloGET /";
    assert_eq!(body.take(&mut input), Ok(Part { consumed: 5, data: 5 }));
    assert!(body.is_done());
    let mut short = Body::new(Framing::Length(5));
    assert_eq!(short.take(&mut input[..3]), Ok(Part { consumed: 3, data: 3 }));
    assert_eq!(short.end_of_input(), Err(BodyError::Truncated));
}
