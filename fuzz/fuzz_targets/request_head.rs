//! A request head means the same whatever follows it, and nothing in it can split it anew.
#![no_main]

use forebay_net::h1::{Field, Framing, HeadLimits, Name, Outcome, RequestHead};
use libfuzzer_sys::fuzz_target;

const LIMITS: HeadLimits = HeadLimits { bytes: 8 << 10, fields: 100, target: 4 << 10 };

fuzz_target!(|bytes: &[u8]| {
    let mut head = RequestHead::default();
    let Ok(Outcome::Complete(len)) = head.parse(bytes, &LIMITS) else { return };
    let bytes = &bytes[..len];

    assert!(len <= LIMITS.bytes && head.fields.len() <= LIMITS.fields && head.target.len() <= LIMITS.target);
    assert!(bytes.ends_with(b"\r\n\r\n"));
    assert!(is_token(head.method.of_head(bytes)));
    assert!(head.target.of_head(bytes).iter().all(|byte| !byte.is_ascii_control() && *byte != b' '));
    head.fields.iter().for_each(|field| check(field, bytes));
    assert_eq!(count(&head.fields, bytes, b"host") > 0, head.host.is_some());

    let lengths = count(&head.fields, bytes, b"content-length");
    let codings = count(&head.fields, bytes, b"transfer-encoding");
    match head.framing {
        Framing::None => assert_eq!((lengths, codings), (0, 0)),
        Framing::Length(_) => assert_eq!((lengths, codings), (1, 0)),
        Framing::Chunked => assert_eq!((lengths, codings), (0, 1)),
        Framing::UntilClose => panic!("a request cannot end with its connection"),
    }

    let mut again = RequestHead::default();
    assert_eq!(again.parse(bytes, &LIMITS), Ok(Outcome::Complete(len)));
    assert_eq!((again.framing, again.keep_alive), (head.framing, head.keep_alive));
    for shorter in [len - 1, len - 2, len - 3, len / 2, len / 3] {
        assert_eq!(again.parse(&bytes[..shorter], &LIMITS), Ok(Outcome::Partial), "{shorter} of {len} bytes");
    }
});

fn check(field: &Field, bytes: &[u8]) {
    let (name, value) = (field.name.of_head(bytes), field.value.of_head(bytes));
    assert!(is_token(name));
    assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
    assert_eq!(value.trim_ascii(), value);
    assert_eq!(field.known == Name::ContentLength, name.eq_ignore_ascii_case(b"content-length"));
    assert_eq!(field.known == Name::TransferEncoding, name.eq_ignore_ascii_case(b"transfer-encoding"));
    assert_eq!(field.underscore, name.contains(&b'_'));
}

fn count(fields: &[Field], bytes: &[u8], name: &[u8]) -> usize {
    fields.iter().filter(|field| field.name.of_head(bytes).eq_ignore_ascii_case(name)).count()
}

fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte))
}
