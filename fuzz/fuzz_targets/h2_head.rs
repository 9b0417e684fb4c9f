//! Heads of HTTP/2: fields are judged alike whether they come one by one or out of the table, and a request that is
//! accepted is one in HTTP/1.1 too, with the same fields.
#![no_main]

use forebay_net::h1::{HeadLimits, Outcome, RequestHead};
use forebay_net::h2::Limits;
use forebay_net::h2::head::{Malformed, Request, RequestAssembler, ResponseAssembler, TrailerAssembler};
use forebay_net::h2::hpack::Decoder;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|block: &[u8]| {
    let limits = Limits { head_bytes: 2_000, fields: 20, cookie_crumbs: 10, ..Limits::default() };
    let mut fields = Vec::new();
    let mut bytes = 0;
    let decoded = Decoder::new(4096).decode(block, |name, value| {
        bytes += name.len() + value.len();
        if bytes < 1 << 20 {
            fields.push((name.to_vec(), value.to_vec()));
        }
    });
    if decoded.is_err() || bytes >= 1 << 20 {
        return;
    }
    let (one_by_one, outcome) = assemble(&limits, |assembler| {
        fields.iter().for_each(|(name, value)| assembler.field(name, value));
    });
    let mut decoder = Decoder::new(4096);
    let (at_once, same) = assemble(&limits, |assembler| {
        assembler.block(&mut decoder, block).expect("it was decoded before");
    });
    assert_eq!(outcome, same);
    if outcome.is_ok() {
        assert_eq!(format!("{one_by_one:?}"), format!("{at_once:?}"));
        check_as_http1(&one_by_one);
    }

    let mut response = Default::default();
    let mut responses = ResponseAssembler::new(&mut response, &limits);
    let mut trailers = TrailerAssembler::new(&limits);
    for (name, value) in &fields {
        responses.field(name, value);
        trailers.field(name, value);
    }
    let _ = (responses.finish(false, false), trailers.finish());
});

fn assemble(
    limits: &Limits,
    fill: impl FnOnce(&mut RequestAssembler<'_>),
) -> (Request, Result<(), Malformed>) {
    let mut request = Request::default();
    let mut assembler = RequestAssembler::new(&mut request, limits, true);
    fill(&mut assembler);
    let outcome = assembler.finish(false);
    assert!(request.bytes.len() <= 3 * limits.head_bytes);
    (request, outcome)
}

fn check_as_http1(request: &Request) {
    let Request { bytes, head, error, .. } = request;
    if error.is_some() {
        return;
    }
    let host = head.host.map(|host| host.of_head(bytes)).unwrap_or_default();
    let mut text = [head.method.of_head(bytes), b" / HTTP/1.1\r\nhost: ", host, b"\r\n"].concat();
    let passed = |field: &&forebay_net::h1::Field| field.name.of_head(bytes) != b"host";
    for field in head.fields.iter().filter(passed) {
        for part in [field.name.of_head(bytes), b": ", field.value.of_head(bytes), b"\r\n"] {
            text.extend_from_slice(part);
        }
    }
    text.extend_from_slice(b"\r\n");
    let mut parsed = RequestHead::default();
    let limits = HeadLimits { bytes: 1 << 16, fields: 100, target: 8_192 };
    assert_eq!(parsed.parse(&text, &limits), Ok(Outcome::Complete(text.len())));
    assert_eq!(parsed.fields.len() - 1, head.fields.iter().filter(passed).count());
}
