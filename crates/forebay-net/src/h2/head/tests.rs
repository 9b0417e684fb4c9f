//! Heads in and out: what is malformed, what is too much, and what becomes of the rest.

use proptest::prelude::*;

use super::*;
use crate::h1::{Field, Framing, HeadError, HeadLimits, Name, Outcome, RequestHead, ResponseHead, Version};
use crate::h2::Limits;
use crate::h2::hpack::{Decoder, Encoder};

type Fields<'a> = &'a [(&'a str, &'a str)];

const GET: Fields<'_> =
    &[(":method", "GET"), (":scheme", "https"), (":path", "/a"), (":authority", "shop.test")];

fn assemble(fields: Fields<'_>, end: bool, limits: &Limits) -> Result<Request, Malformed> {
    let mut request = Request::default();
    let mut assembler = RequestAssembler::new(&mut request, limits, true);
    for (name, value) in fields {
        assembler.field(name.as_bytes(), value.as_bytes());
    }
    assembler.finish(end)?;
    Ok(request)
}

fn get_and(fields: Fields<'_>) -> Vec<(String, String)> {
    GET.iter().chain(fields).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What becomes of a GET with these further fields.
fn check_get(fields: Fields<'_>, end: bool) -> Result<Request, Malformed> {
    let fields = get_and(fields);
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
    assemble(&fields, end, &Limits::default())
}

fn shown(fields: &[Field], bytes: &[u8]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    fields
        .iter()
        .map(|field| format!("{}: {}", text(field.name.of_head(bytes)), text(field.value.of_head(bytes))))
        .collect()
}

#[test]
fn a_request_becomes_spans() {
    let request =
        check_get(&[("accept", "*/*"), ("te", "trailers"), ("x_y", "")], true).expect("it is well-formed");
    let Request { bytes, head, protocol, secure, length, error } = &request;
    assert_eq!(head.method.of_head(bytes), b"GET");
    assert_eq!(head.target.of_head(bytes), b"/a");
    assert_eq!(head.host.map(|host| host.of_head(bytes)), Some(&b"shop.test"[..]));
    assert_eq!(shown(&head.fields, bytes), ["accept: */*", "te: trailers", "x_y: "]);
    assert_eq!((head.fields[1].known, head.fields[1].hop_by_hop), (Name::Te, true));
    assert!(head.fields[2].underscore && head.keep_alive && *secure);
    assert_eq!((head.version, head.framing, *length, *error), (Version::Http2, Framing::None, None, None));
    assert!(protocol.is_none());
}

#[test]
fn bodies_are_announced_or_not() {
    let framing = |fields: Fields<'_>, end| check_get(fields, end).map(|request| request.head.framing);
    assert_eq!(framing(&[], true), Ok(Framing::None));
    assert_eq!(framing(&[], false), Ok(Framing::Chunked));
    assert_eq!(framing(&[("content-length", "3")], false), Ok(Framing::Length(3)));
    assert_eq!(framing(&[("content-length", "0")], true), Ok(Framing::Length(0)));
    assert_eq!(framing(&[("content-length", "3")], true), Err(Malformed("content-length without content")));
}

#[test]
fn malformed_fields_are_refused() {
    let rows: &[(&str, &str)] = &[
        ("", "x"),
        ("Accept", "x"),
        ("x-A", "x"),
        ("x y", "x"),
        ("x:y", "x"),
        ("x\0", "x"),
        ("x\r", "x"),
        ("x\n", "x"),
        ("x\u{e4}", "x"),
        ("x\"", "x"),
        ("x\x7f", "x"),
        ("a", "x\r\ny: z"),
        ("a", "x\ry"),
        ("a", "x\ny"),
        ("a", "x\0y"),
        ("a", "x\x01"),
        ("a", "\x1bx"),
        ("a", "x\x7f"),
        ("a", "long enough to be looked at many bytes at a time \n or not"),
        ("a", " x"),
        ("a", "x "),
        ("a", "\tx"),
        ("a", "x\t"),
        ("a", " "),
        ("connection", "close"),
        ("connection", "x"),
        ("proxy-connection", "keep-alive"),
        ("keep-alive", "timeout=5"),
        ("transfer-encoding", "chunked"),
        ("transfer-encoding", ""),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("te", "trailers, gzip"),
        ("te", ""),
        ("content-length", ""),
        ("content-length", "+1"),
        ("content-length", "1, 1"),
        ("content-length", "0x1"),
        ("content-length", "99999999999999999999"),
        ("host", "other.test"),
        ("host", "shop.test:80"),
        ("host", ""),
        (":method", "GET"),
        (":path", "/b"),
        (":status", "200"),
        (":unknown", "x"),
        (":", "x"),
        (":protocol", "websocket"),
    ];
    for (name, value) in rows {
        let found = check_get(&[(name, value)], false);
        assert!(found.is_err(), "{name:?}: {value:?} gave {found:?}");
        // It must not matter what stands around it.
        assert!(check_get(&[("a", "b"), (name, value), ("c", "d")], false).is_err(), "{name:?}: {value:?}");
    }
    for (name, value) in
        [("host", "shop.test"), ("host", "SHOP.test"), ("host", "shop.test:443"), ("a", "\u{e4} b\tc")]
    {
        check_get(&[(name, value)], false).expect(value);
    }
    for twice in ["content-length", "host"] {
        let value = if twice == "host" { "shop.test" } else { "1" };
        check_get(&[(twice, value), (twice, value)], false).expect_err(twice);
    }
}

#[test]
fn malformed_request_lines_are_refused() {
    let line = |method: &str, scheme: &str, path: &str, authority: &str| {
        let all = [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority)];
        let given: Vec<(&str, &str)> = all.into_iter().filter(|(_, value)| *value != "-").collect();
        assemble(&given, true, &Limits::default()).map(drop)
    };
    for (method, scheme, path, authority) in [
        ("GET", "http", "/", "a"),
        ("OPTIONS", "https", "*", "a"),
        ("GET", "HTTP", "/%20?a=b", "a:8080"),
        ("PURGE", "http", "//", "[::1]:80"),
        ("CONNECT", "-", "-", "a:443"),
    ] {
        assert_eq!(line(method, scheme, path, authority), Ok(()), "{method} {scheme} {path} {authority}");
    }
    for (method, scheme, path, authority) in [
        ("-", "http", "/", "a"),
        ("GET", "-", "/", "a"),
        ("GET", "http", "-", "a"),
        ("GET", "http", "/", "-"),
        ("", "http", "/", "a"),
        ("G T", "http", "/", "a"),
        ("GET\r\n", "http", "/", "a"),
        ("GET/", "http", "/", "a"),
        ("GET", "", "/", "a"),
        ("GET", "ftp", "/", "a"),
        ("GET", "http", "", "a"),
        ("GET", "http", "a", "a"),
        ("GET", "http", "*", "a"),
        ("GET", "http", "http://a/", "a"),
        ("GET", "http", "/ HTTP/1.1", "a"),
        ("GET", "http", "/\r\nx: y", "a"),
        ("GET", "http", "/\0", "a"),
        ("GET", "http", "/\x7f", "a"),
        ("GET", "http", "/", ""),
        ("GET", "http", "/", "user@a"),
        ("GET", "http", "/", "a/b"),
        ("GET", "http", "/", "a b"),
        ("GET", "http", "/", "a,b"),
        ("GET", "http", "/", "a?b"),
        ("CONNECT", "-", "-", "-"),
        ("CONNECT", "http", "-", "a"),
        ("CONNECT", "-", "/", "a"),
        ("CONNECT", "http", "/", "a"),
    ] {
        assert!(line(method, scheme, path, authority).is_err(), "{method} {scheme} {path} {authority}");
    }
}

#[test]
fn a_host_may_stand_for_the_authority() {
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "shop.test")];
    let request = assemble(&fields, true, &Limits::default()).expect("it is well-formed");
    assert_eq!(request.head.host.map(|host| host.of_head(&request.bytes)), Some(&b"shop.test"[..]));
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "user@shop.test")];
    assert!(assemble(&fields, true, &Limits::default()).is_err());
}

#[test]
fn extended_connect_is_understood_if_announced() {
    let fields = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", "/chat"),
        (":authority", "shop.test"),
    ];
    let request = assemble(&fields, false, &Limits::default()).expect("it is well-formed");
    assert_eq!(request.protocol.map(|name| name.of_head(&request.bytes)), Some(&b"websocket"[..]));
    assert_eq!(request.head.target.of_head(&request.bytes), b"/chat");

    let mut request = Request::default();
    let mut assembler = RequestAssembler::new(&mut request, &Limits::default(), false);
    for (name, value) in fields {
        assembler.field(name.as_bytes(), value.as_bytes());
    }
    assert_eq!(assembler.finish(false), Err(Malformed("unknown pseudo-header field")));
    assert!(assemble(&[&fields[..3], &fields[4..]].concat(), false, &Limits::default()).is_err());
}

#[test]
fn crumbs_become_one_cookie() {
    let cookie = |fields: Fields<'_>| {
        let request = check_get(fields, true).expect("it is well-formed");
        shown(&request.head.fields, &request.bytes)
    };
    assert_eq!(cookie(&[("cookie", "a=1")]), ["cookie: a=1"]);
    assert_eq!(cookie(&[("cookie", "a=1"), ("cookie", "b=2"), ("cookie", "c=3")]), ["cookie: a=1; b=2; c=3"]);
    assert_eq!(
        cookie(&[("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("z", "w"), ("cookie", "c=3")]),
        ["cookie: a=1; b=2; c=3", "x: y", "z: w"]
    );
    assert_eq!(
        cookie(&[("cookie", "a=1"), ("cookie", "b=2"), ("x", "y"), ("cookie", "c=3")]),
        ["cookie: a=1; b=2; c=3", "x: y"]
    );
}

#[test]
fn heads_beyond_the_limits_are_too_large_and_take_no_memory() {
    let limits = Limits { head_bytes: 1_000, fields: 10, cookie_crumbs: 5, ..Limits::default() };
    let outcome = |name: &'static str, value: String, count: usize| {
        let mut fields = GET.to_vec();
        fields.extend(std::iter::repeat_n((name, &value[..]), count));
        let request = assemble(&fields, true, &limits).expect("it is well-formed");
        assert!(request.bytes.capacity() <= 4_000, "{}", request.bytes.capacity());
        assert_eq!(request.head.method.of_head(&request.bytes), b"GET");
        request.error
    };
    assert_eq!(outcome("a", "b".to_owned(), 10), None);
    assert_eq!(outcome("a", "b".to_owned(), 11), Some(HeadError::TooManyFields));
    assert_eq!(outcome("a", "b".to_owned(), 100_000), Some(HeadError::TooManyFields));
    assert_eq!(outcome("a", "b".repeat(500), 1), None);
    assert_eq!(outcome("a", "b".repeat(500), 2), Some(HeadError::TooLarge));
    assert_eq!(outcome("a", "b".repeat(5_000_000), 1), Some(HeadError::TooLarge));
    assert_eq!(outcome("cookie", "b".to_owned(), 5), None);
    assert_eq!(outcome("cookie", "b".to_owned(), 6), Some(HeadError::TooManyFields));
    assert_eq!(outcome("cookie", "b".repeat(300), 4), Some(HeadError::TooLarge));
    assert_eq!(outcome("cookie", String::new(), 100_000), Some(HeadError::TooManyFields));
}

#[test]
fn a_path_beyond_the_limits_is_too_large_too() {
    let limits = Limits { head_bytes: 1_000, ..Limits::default() };
    let path = format!("/{}", "a".repeat(2_000));
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", &path[..]), (":authority", "a")];
    let request = assemble(&fields, true, &limits).expect("it is well-formed");
    assert_eq!(request.error, Some(HeadError::TooLarge));
    assert_eq!(request.head.method.of_head(&request.bytes), b"GET");
    assert!(request.head.target.is_empty());
}

#[test]
fn a_request_used_again_remembers_nothing() {
    let mut request = Request::default();
    let first = [
        (":method", "CONNECT"),
        (":protocol", "websocket"),
        (":scheme", "https"),
        (":path", "/chat"),
        (":authority", "shop.test"),
        ("cookie", "a"),
    ];
    let mut assembler = RequestAssembler::new(&mut request, &Limits::default(), true);
    first.iter().for_each(|(name, value)| assembler.field(name.as_bytes(), value.as_bytes()));
    assembler.finish(false).expect("it is well-formed");
    let second = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
    let mut assembler = RequestAssembler::new(&mut request, &Limits::default(), true);
    second.iter().for_each(|(name, value)| assembler.field(name.as_bytes(), value.as_bytes()));
    assembler.finish(true).expect("it is well-formed");
    assert_eq!(request.bytes, b"GEThttp/a");
    assert!(request.head.fields.is_empty() && request.protocol.is_none() && !request.secure);
}

fn respond(fields: Fields<'_>, to_head: bool, end: bool) -> Result<Response, Malformed> {
    let mut response = Response::default();
    let mut assembler = ResponseAssembler::new(&mut response, &Limits::default());
    for (name, value) in fields {
        assembler.field(name.as_bytes(), value.as_bytes());
    }
    assembler.finish(to_head, end)?;
    Ok(response)
}

#[test]
fn responses_say_where_they_end() {
    let facts = |status: &str, length: &str, to_head, end| {
        let mut fields = vec![(":status", status)];
        if !length.is_empty() {
            fields.push(("content-length", length));
        }
        let response = respond(&fields, to_head, end)?;
        Ok((response.head.status, response.head.framing, response.length))
    };
    assert_eq!(facts("200", "", false, false), Ok((200, Framing::UntilClose, None)));
    assert_eq!(facts("200", "", false, true), Ok((200, Framing::Length(0), None)));
    assert_eq!(facts("200", "7", false, false), Ok((200, Framing::Length(7), Some(7))));
    assert_eq!(facts("200", "7", true, true), Ok((200, Framing::None, Some(0))));
    assert_eq!(facts("304", "7", false, true), Ok((304, Framing::None, Some(0))));
    assert_eq!(facts("103", "", false, false), Ok((103, Framing::None, None)));
    assert_eq!(facts("200", "7", false, true), Err(Malformed("content-length without content")));
    assert_eq!(facts("103", "", false, true), Err(Malformed("interim response that ends the stream")));
    assert_eq!(facts("101", "", false, false), Err(Malformed("status 101")));
}

#[test]
fn malformed_responses_are_refused() {
    let rows: &[Fields<'_>] = &[
        &[],
        &[("a", "b")],
        &[(":status", "")],
        &[(":status", "20")],
        &[(":status", "2000")],
        &[(":status", "099")],
        &[(":status", "+20")],
        &[(":status", "200"), (":status", "200")],
        &[("a", "b"), (":status", "200")],
        &[(":status", "200"), (":path", "/")],
        &[(":status", "200"), ("connection", "close")],
        &[(":status", "200"), ("A", "b")],
        &[(":status", "200"), ("a", "b\r\nc: d")],
        &[(":status", "200"), ("content-length", "1"), ("content-length", "1")],
    ];
    for fields in rows {
        assert!(respond(fields, false, false).is_err(), "{fields:?}");
    }
}

#[test]
fn trailers_are_lines_of_what_may_be_passed_on() {
    let trailers = |fields: Fields<'_>| {
        let mut assembler = TrailerAssembler::new(&Limits::default());
        for (name, value) in fields {
            assembler.field(name.as_bytes(), value.as_bytes());
        }
        assembler.finish().map(|lines| String::from_utf8(lines).expect("text"))
    };
    assert_eq!(
        trailers(&[("grpc-status", "0"), ("authorization", "x"), ("x-forwarded-for", "y"), ("a", "")]),
        Ok("grpc-status: 0\r\na: \r\n".to_owned())
    );
    assert_eq!(trailers(&[]), Ok(String::new()));
    for (name, value) in [
        (":status", "200"),
        ("content-length", "0"),
        ("connection", "x"),
        ("A", "b"),
        ("a", "b\nc: d"),
        ("host", "x"),
    ] {
        assert!(trailers(&[("a", "b"), (name, value)]).is_err(), "{name}: {value}");
    }
    let many = vec![("a", "b"); 101];
    assert_eq!(trailers(&many), Err(Malformed("trailers too large")));
}

fn sent(encode: impl FnOnce(&mut Encoder, &mut Vec<u8>)) -> Vec<String> {
    let mut out = Vec::new();
    encode(&mut Encoder::new(), &mut out);
    let mut fields = Vec::new();
    Decoder::new(0)
        .decode(&out, |name, value| {
            fields.push(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        })
        .expect("what we encode can be decoded");
    fields
}

#[test]
fn text_becomes_fields() {
    let response =
        b"HTTP/1.1 404 Not Found\r\nServer: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\
        Content-Type: text/html; a=b\r\nEmpty: \r\n\r\nnot: a field\r\n";
    assert_eq!(
        sent(|encoder, out| assert_eq!(encode_response(response, encoder, out), Ok(404))),
        [":status: 404", "server: x", "content-type: text/html; a=b", "empty: "]
    );
    let request =
        b"PATCH /a?b=c HTTP/1.1\r\nHost: shop.test:8080\r\nKeep-Alive: 1\r\nProxy-Connection: x\r\n\
        TE: trailers\r\nUpgrade: h2c\r\nX-A: B: C\r\n\r\n";
    assert_eq!(
        sent(|encoder, out| encode_request(request, b"https", encoder, out).expect("a request")),
        [
            ":method: PATCH",
            ":scheme: https",
            ":authority: shop.test:8080",
            ":path: /a?b=c",
            "te: trailers",
            "x-a: B: C"
        ]
    );
    assert_eq!(
        sent(|encoder, out| encode_upgrade(request, b"http", b"websocket", encoder, out).expect("a request"))
            [..5],
        [
            ":method: CONNECT",
            ":protocol: websocket",
            ":scheme: http",
            ":authority: shop.test:8080",
            ":path: /a?b=c"
        ]
    );
    assert_eq!(
        sent(|encoder, out| encode_trailers(b"Grpc-Status: 0\r\nGrpc-Message:\r\n", encoder, out)),
        ["grpc-status: 0", "grpc-message: "]
    );
}

#[test]
fn what_is_no_head_is_not_sent() {
    let mut out = Vec::new();
    for text in ["", "\r\n", "HTTP/1.1 20\r\n\r\n", "HTTP/1.1 2x0 OK\r\n\r\n", "HTTP/1.1 200 OK"] {
        assert_eq!(
            encode_response(text.as_bytes(), &mut Encoder::new(), &mut out),
            Err(NotAHead),
            "{text:?}"
        );
    }
    for text in ["", "\r\n", "GET\r\n", "GET /\r\n", "GET / HTTP/1.1"] {
        assert_eq!(encode_request(text.as_bytes(), b"http", &mut Encoder::new(), &mut out), Err(NotAHead));
    }
    assert_eq!(out, b"");
}

fn names() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z0-9-]{1,12}", "[ -~]{0,6}", Just("cookie".to_owned()), Just("te".to_owned())]
}

fn values() -> impl Strategy<Value = String> {
    prop_oneof!["[ -~]{0,40}", "[\\x00-\\xff]{0,6}", Just("trailers".to_owned())]
}

proptest! {
    /// Whatever passes here would pass as HTTP/1.1 too, with the same fields: nothing can be smuggled through.
    #[test]
    fn what_is_accepted_is_accepted_as_http1(
        fields in prop::collection::vec((names(), values()), 0..8), end in any::<bool>(),
    ) {
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let Ok(request) = check_get(&fields, end) else { return Ok(()) };
        let lines = shown(&request.head.fields, &request.bytes);
        let host = lines.iter().any(|line| line.starts_with("host:"));
        let mut text = b"GET /a HTTP/1.1\r\n".to_vec();
        if !host {
            text.extend_from_slice(b"host: shop.test\r\n");
        }
        for field in &request.head.fields {
            let parts = [field.name.of_head(&request.bytes), b": ", field.value.of_head(&request.bytes), b"\r\n"];
            parts.iter().for_each(|part| text.extend_from_slice(part));
        }
        text.extend_from_slice(b"\r\n");
        let mut head = RequestHead::default();
        let limits = HeadLimits { bytes: 1 << 16, fields: 100, target: 8_192 };
        prop_assert_eq!(head.parse(&text, &limits), Ok(Outcome::Complete(text.len())));
        let parsed = shown(&head.fields, &text);
        // Where the last crumb of a cookie is empty, the space before it is none of the value's.
        let lines = lines.iter().map(|line| match line.strip_prefix("cookie: ") {
            Some(value) => format!("cookie: {}", value.trim_end()),
            None => line.clone(),
        });
        prop_assert_eq!(&parsed[usize::from(!host)..], &lines.collect::<Vec<_>>()[..]);
    }

    /// Fields that are found in the table are judged as they were when they came first.
    #[test]
    fn what_was_sent_before_is_judged_as_before(
        fields in prop::collection::vec((names(), values()), 0..6), end in any::<bool>(),
    ) {
        let fields = get_and(&fields.iter().map(|(name, value)| (&name[..], &value[..])).collect::<Vec<_>>());
        let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (&name[..], &value[..])).collect();
        let plain = assemble(&fields, end, &Limits::default());
        let (mut first, mut again) = (Vec::new(), Vec::new());
        for (place, (name, value)) in fields.iter().enumerate() {
            first.push(0x40);
            for text in [name, value] {
                first.push(text.len() as u8);
                first.extend_from_slice(text.as_bytes());
            }
            again.push(0x80 | (62 + fields.len() - 1 - place) as u8);
        }
        let mut decoder = Decoder::new(4096);
        for block in [&first, &again, &again] {
            let mut request = Request::default();
            let mut assembler = RequestAssembler::new(&mut request, &Limits::default(), true);
            assembler.block(&mut decoder, block).expect("the block is well-formed");
            let outcome = assembler.finish(end);
            prop_assert_eq!(outcome, plain.as_ref().map(drop).map_err(|malformed| *malformed));
            if let Ok(plain) = &plain {
                prop_assert_eq!(format!("{plain:?}"), format!("{request:?}"));
            }
        }
    }

    #[test]
    fn no_field_makes_it_panic(fields in prop::collection::vec((any::<Vec<u8>>(), any::<Vec<u8>>()), 0..10), end: bool) {
        let limits = Limits { head_bytes: 400, fields: 5, cookie_crumbs: 2, ..Limits::default() };
        let (mut request, mut response) = (Request::default(), Response::default());
        let mut requests = RequestAssembler::new(&mut request, &limits, true);
        let mut responses = ResponseAssembler::new(&mut response, &limits);
        let mut trailers = TrailerAssembler::new(&limits);
        for (name, value) in &fields {
            requests.field(name, value);
            responses.field(name, value);
            trailers.field(name, value);
        }
        let _ = (requests.finish(end), responses.finish(end, end), trailers.finish());
    }

    #[test]
    fn text_out_is_the_text_that_went_in(
        fields in prop::collection::vec(("[A-Za-z0-9-]{1,20}", "[!-~]([ -~]{0,60}[!-~])?"), 0..20), status in 100u16..1000,
    ) {
        prop_assume!(status != 101);
        let mut text = format!("HTTP/1.1 {status} Whatever\r\n").into_bytes();
        for (name, value) in &fields {
            text.extend_from_slice(format!("X-{name}: {value}\r\n").as_bytes());
        }
        text.extend_from_slice(b"\r\n");
        let mut out = Vec::new();
        prop_assert_eq!(encode_response(&text, &mut Encoder::new(), &mut out), Ok(status));
        let mut response = Response::default();
        let mut assembler = ResponseAssembler::new(&mut response, &Limits::default());
        Decoder::new(0).decode(&out, |name, value| assembler.field(name, value)).expect("a block");
        prop_assert_eq!(assembler.finish(false, false), Ok(()));
        let expected: Vec<String> =
            fields.iter().map(|(name, value)| format!("x-{}: {value}", name.to_ascii_lowercase())).collect();
        prop_assert_eq!(shown(&response.head.fields, &response.bytes), expected);
        let mut head = ResponseHead::default();
        let limits = HeadLimits { bytes: 1 << 16, fields: 100, target: 8_192 };
        prop_assert_eq!(head.parse(&text, &limits, false), Ok(Outcome::Complete(text.len())));
        prop_assert_eq!(head.status, response.head.status);
    }
}
