//! A response head means the same whatever follows it, and says in one way only where its body ends.
#![no_main]

use forebay_net::h1::{Field, Framing, HeadLimits, Outcome, ResponseHead};
use libfuzzer_sys::fuzz_target;

const LIMITS: HeadLimits = HeadLimits { bytes: 8 << 10, fields: 100, target: 0 };

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else { return };
    let to_head = first & 1 == 1;
    let mut head = ResponseHead::default();
    let Ok(Outcome::Complete(len)) = head.parse(bytes, &LIMITS, to_head) else { return };
    let bytes = &bytes[..len];

    assert!(len <= LIMITS.bytes && head.fields.len() <= LIMITS.fields);
    assert!(bytes.ends_with(b"\r\n\r\n"));
    assert!((100..=999).contains(&head.status));
    assert!(is_one_line(head.reason.of_head(bytes)));
    for field in &head.fields {
        assert!(!field.name.is_empty() && is_one_line(field.name.of_head(bytes)));
        assert!(is_one_line(field.value.of_head(bytes)));
    }

    let lengths = count(&head.fields, bytes, b"content-length");
    let codings = count(&head.fields, bytes, b"transfer-encoding");
    assert!(lengths + codings <= 1);
    match head.framing {
        Framing::None => assert!(to_head || head.is_interim() || [204, 304].contains(&head.status)),
        Framing::Length(_) => assert_eq!(lengths, 1),
        Framing::Chunked => assert_eq!(codings, 1),
        Framing::UntilClose => assert_eq!((lengths, codings), (0, 0)),
    }

    let mut again = ResponseHead::default();
    assert_eq!(again.parse(bytes, &LIMITS, to_head), Ok(Outcome::Complete(len)));
    assert_eq!((again.framing, again.keep_alive), (head.framing, head.keep_alive));
    for shorter in [len - 1, len - 2, len - 3, len / 2] {
        let parsed = again.parse(&bytes[..shorter], &LIMITS, to_head);
        assert_eq!(parsed, Ok(Outcome::Partial), "{shorter} of {len} bytes");
    }
});

fn count(fields: &[Field], bytes: &[u8], name: &[u8]) -> usize {
    fields.iter().filter(|field| field.name.of_head(bytes).eq_ignore_ascii_case(name)).count()
}

fn is_one_line(bytes: &[u8]) -> bool {
    !bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))
}
