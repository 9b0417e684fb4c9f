//! A PROXY protocol header is decided on by its own bytes, however many follow, and means the same written anew.
#![no_main]

use forebay_net::proxy_protocol::{Client, Header, Malformed, Outcome, V2_MAX, parse, write_v1, write_v2};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let decided = parse(bytes);
    match &decided {
        Ok(Outcome::Partial { missing }) => assert!(*missing > 0 && bytes.len() + missing <= V2_MAX),
        Ok(Outcome::Complete { used, header }) => {
            assert!(*used <= bytes.len() && *used <= V2_MAX);
            assert_eq!(parse(&bytes[..*used]), decided);
            assert!(matches!(parse(&bytes[..used - 1]), Ok(Outcome::Partial { .. })));
            write_anew(header);
        }
        Err(Malformed::NoHeader | Malformed::Broken(_)) => {}
    }
    if !matches!(decided, Ok(Outcome::Partial { .. })) {
        assert_eq!(parse(&[bytes, b"GET / HTTP/1.1\r\n"].concat()), decided);
    }
});

fn write_anew(header: &Header) {
    let Client::Ip { source, destination } = header.client else { return };
    let mut written = Vec::new();
    write_v2(&mut written, Some((source, destination)), &header.tlvs);
    // Addresses that are mapped into IPv6 come out as those of IPv4.
    let Ok(Outcome::Complete { used, header: again }) = parse(&written) else { panic!("{header:?}") };
    assert_eq!((used, &again.tlvs), (written.len(), &header.tlvs));
    let mut line = Vec::new();
    write_v1(&mut line, Some((source, destination)));
    let Ok(Outcome::Complete { header: said, .. }) = parse(&line) else { panic!("{header:?}") };
    assert_eq!(said.client, again.client);
}
