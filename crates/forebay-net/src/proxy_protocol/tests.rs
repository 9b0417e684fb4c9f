//! Headers by tables, and what holds for all of them.

use std::net::SocketAddr;

use proptest::prelude::*;

use super::checksum::Checksum;
use super::*;

fn address(text: &str) -> SocketAddr {
    text.parse().expect("the test has an address")
}

fn ip(source: &str, destination: &str) -> Client {
    Client::Ip { source: address(source), destination: address(destination) }
}

/// A header of version 2 from its four fields.
fn v2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = v2::SIGNATURE.to_vec();
    bytes.extend_from_slice(&[command, family]);
    bytes.extend_from_slice(&(rest.len() as u16).to_be_bytes());
    bytes.extend_from_slice(rest);
    bytes
}

/// Addresses of 203.0.113.7:50000 and 192.0.2.1:443, and what follows them.
fn tcp4(tlvs: &[u8]) -> Vec<u8> {
    let mut rest = vec![203, 0, 113, 7, 192, 0, 2, 1, 0xc3, 0x50, 0x01, 0xbb];
    rest.extend_from_slice(tlvs);
    v2(0x21, 0x11, &rest)
}

/// A whole header, which ends where the bytes do; every part of it is the beginning of one.
#[track_caller]
fn whole(bytes: &[u8]) -> Header {
    for length in 0..bytes.len() {
        let Ok(Outcome::Partial { missing }) = parse(&bytes[..length]) else {
            panic!("{length} of {bytes:?}: {:?}", parse(&bytes[..length]));
        };
        assert!(missing > 0 && length + missing <= bytes.len(), "{length} of {bytes:?}: {missing}");
    }
    let followed = [bytes, b"GET / HTTP/1.1\r\n\r\n"].concat();
    match parse(&followed) {
        Ok(Outcome::Complete { used, header }) if used == bytes.len() => *header,
        other => panic!("{bytes:?}: {other:?}"),
    }
}

#[track_caller]
fn refused(bytes: &[u8]) -> Malformed {
    parse(bytes).expect_err("it is not allowed")
}

#[test]
fn lines_say_who_it_is() {
    let longest = "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    assert_eq!(longest.len(), 104);
    let padded = format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_MAX - 16));
    assert_eq!(padded.len(), V1_MAX);
    let ones = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
    for (line, client) in [
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1234 80\r\n", ip("192.0.2.1:1234", "198.51.100.2:80")),
        ("PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n", ip("0.0.0.0:0", "255.255.255.255:65535")),
        ("PROXY TCP6 2001:db8::1 ::1 1234 80\r\n", ip("[2001:db8::1]:1234", "[::1]:80")),
        ("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", ip("[::ffff:192.0.2.1]:1", "[::1]:2")),
        (longest, ip(ones, ones)),
        ("PROXY UNKNOWN\r\n", Client::Unknown),
        ("PROXY UNKNOWN ffff::1 what ever \u{e9}\r\n", Client::Unknown),
        (&padded, Client::Unknown),
    ] {
        assert_eq!(whole(line.as_bytes()), Header { client, ..Header::default() }, "{line}");
    }
}

#[test]
fn lines_that_are_wrong_are_refused() {
    let long = format!("PROXY UNKNOWN {}\r\n", "x".repeat(V1_MAX - 15));
    for (line, why) in [
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1234 80\n", "CRLF"),
        ("PROXY \n", "CRLF"),
        ("PROXY \r\n", "none of TCP4"),
        ("PROXY UNKNOWNS\r\n", "none of TCP4"),
        ("PROXY tcp4 192.0.2.1 198.51.100.2 1234 80\r\n", "none of TCP4"),
        ("PROXY UDP4 192.0.2.1 198.51.100.2 1234 80\r\n", "none of TCP4"),
        ("PROXY  TCP4 192.0.2.1 198.51.100.2 1234\r\n", "none of TCP4"),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1234\r\n", "port"),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1234 \r\n", "port"),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1234 80 \r\n", "too many"),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1234 80 90\r\n", "too many"),
        ("PROXY TCP4 192.0.2.1  198.51.100.2 1234 80\r\n", "too many"),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 01234 80\r\n", "port"),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 +1234 80\r\n", "port"),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 65536 80\r\n", "port"),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 -1 80\r\n", "port"),
        ("PROXY TCP4 192.0.2.01 198.51.100.2 1234 80\r\n", "family"),
        ("PROXY TCP4 192.0.2 198.51.100.2 1234 80\r\n", "family"),
        ("PROXY TCP4 shop.test 198.51.100.2 1234 80\r\n", "family"),
        ("PROXY TCP4 ::1 198.51.100.2 1234 80\r\n", "family"),
        ("PROXY TCP6 192.0.2.1 ::1 1234 80\r\n", "family"),
        ("PROXY TCP6 fe80::1%eth0 ::1 1234 80\r\n", "family"),
        ("PROXY TCP6 [::1] ::1 1234 80\r\n", "family"),
        ("PROXY TCP4\t192.0.2.1 198.51.100.2 1234 80\r\n", "none of TCP4"),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1234 80\r\r\n", "CR in it"),
        ("PROXY UNKNOWN\r \r\n", "CR in it"),
        ("PROXY TCP4 \u{e9} 198.51.100.2 1234 80\r\n", "family"),
        (&long, "longer than 107"),
    ] {
        match refused(line.as_bytes()) {
            Malformed::Broken(what) => assert!(what.contains(why), "{line:?}: {what}"),
            Malformed::NoHeader => panic!("{line:?} is one, if a bad one"),
        }
    }
    assert_eq!(refused(b"PROXY TCP4 \xff 198.51.100.2 1 2\r\n"), Malformed::Broken("the line is not ASCII"));
}

#[test]
fn what_begins_otherwise_is_no_header_and_that_is_seen_at_once() {
    for text in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"proxy TCP4",
        b"PROXY\r\n",
        b"PROXY\tUNKNOWN",
        b"\r\n\r\n\0\r\nQUIX\n",
        b"\r\nGET / HTTP/1.1",
        b"\x16\x03\x01",
        b"\0",
    ] {
        assert_eq!(refused(text), Malformed::NoHeader, "{text:?}");
        let first = (0..).find(|length| parse(&text[..*length]).is_err()).expect("the whole is refused");
        assert_eq!(refused(&[&text[..first], b"more"].concat()), Malformed::NoHeader);
    }
}

#[test]
fn bytes_say_who_it_is() {
    let tcp6: Vec<u8> = [[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7], [0; 16]].concat();
    let tcp6 = [tcp6, vec![0xc3, 0x50, 0, 80]].concat();
    for (bytes, client) in [
        (v2(0x20, 0x00, &[]), Client::Itself),
        (v2(0x20, 0x11, &[0; 12]), Client::Itself),
        (v2(0x20, 0xff, b"whatever it is"), Client::Itself),
        (v2(0x21, 0x00, &[]), Client::Unknown),
        (tcp4(&[]), ip("203.0.113.7:50000", "192.0.2.1:443")),
        (v2(0x21, 0x21, &tcp6), ip("[2001:db8::7]:50000", "[::]:80")),
        (v2(0x21, 0x31, &[b'/'; 216]), Client::Unix),
    ] {
        assert_eq!(whole(&bytes), Header { client, ..Header::default() }, "{bytes:?}");
    }
}

#[test]
fn bytes_that_are_wrong_are_refused() {
    for (bytes, why) in [
        (v2(0x10, 0x11, &[0; 12]), "version or command"),
        (v2(0x11, 0x11, &[0; 12]), "version or command"),
        (v2(0x22, 0x11, &[0; 12]), "version or command"),
        (v2(0x31, 0x11, &[0; 12]), "version or command"),
        (v2(0x21, 0x10, &[0; 12]), "family or protocol"),
        (v2(0x21, 0x01, &[0; 12]), "family or protocol"),
        (v2(0x21, 0x13, &[0; 12]), "family or protocol"),
        (v2(0x21, 0x41, &[0; 12]), "family or protocol"),
        (v2(0x21, 0x12, &[0; 12]), "datagrams"),
        (v2(0x21, 0x22, &[0; 36]), "datagrams"),
        (v2(0x21, 0x32, &[0; 216]), "datagrams"),
        (v2(0x21, 0x11, &[0; 11]), "no room"),
        (v2(0x21, 0x21, &[0; 35]), "no room"),
        (v2(0x21, 0x31, &[0; 215]), "no room"),
        (v2(0x21, 0x00, &[4]), "longer than the header"),
        (v2(0x21, 0x00, &[4, 0, 1]), "longer than the header"),
        (tcp4(&[4, 0]), "longer than the header"),
        (tcp4(&[0xea, 0xff, 0xff, 0]), "longer than the header"),
        (tcp4(&[2, 0, 1, 0xff]), "not UTF-8"),
        (tcp4(&[2, 0, 1, b'a', 2, 0, 1, b'a']), "twice"),
        (tcp4(&[0x20, 0, 4, 1, 0, 0, 0]), "too short"),
        (tcp4(&[0x20, 0, 6, 1, 0, 0, 0, 0, 0x21]), "longer than the header"),
        (tcp4(&[3, 0, 3, 0, 0, 0]), "another length"),
        (tcp4(&[3, 0, 4, 0, 0, 0, 0]), "checksum is wrong"),
        (v2(0x21, 0x11, &vec![0; V2_MAX - 15]), "longer than 4096"),
        (v2(0x20, 0x00, &vec![0; V2_MAX - 15]), "longer than 4096"),
    ] {
        match refused(&bytes) {
            Malformed::Broken(what) => assert!(what.contains(why), "{bytes:?}: {what}"),
            Malformed::NoHeader => panic!("{bytes:?} is one, if a bad one"),
        }
    }
    // What is wrong in the first bytes is not waited out.
    assert!(parse(&v2(0x21, 0x11, &[0; 11])[..16]).is_err());
    assert!(parse(&v2(0x22, 0x11, &[0; 12])[..13]).is_err());
}

#[test]
fn what_is_said_besides_is_understood() {
    let tlvs = [
        &[0x01, 0, 2][..],
        b"h2",
        &[0x02, 0, 9],
        b"shop.test",
        &[0x04, 0, 1, 0],
        &[0x05, 0, 2, 7, 7],
        &[0xea, 0, 0],
        &[0x20, 0, 23, 0b101, 0, 0, 0, 0],
        &[0x21, 0, 7],
        b"TLSv1.3",
        &[0x22, 0, 5],
        b"alice",
    ]
    .concat();
    let ssl = Ssl {
        secured: true,
        certificate: true,
        verified: true,
        version: Some("TLSv1.3".into()),
        name: Some("alice".into()),
    };
    let expected =
        Tlvs { alpn: Some((*b"h2").into()), authority: Some("shop.test".into()), ssl: Some(ssl.clone()) };
    assert_eq!(whole(&tcp4(&tlvs)).tlvs, expected);
    let ssl_of = |bytes: &[u8]| whole(&tcp4(bytes)).tlvs.ssl;
    let none = Ssl { certificate: false, verified: false, version: None, name: None, ..ssl };
    assert_eq!(ssl_of(&[0x20, 0, 5, 0b001, 0, 0, 0, 0]), Some(none.clone()), "nothing was verified");
    assert_eq!(
        ssl_of(&[0x20, 0, 5, 0b011, 0, 0, 0, 1]),
        Some(Ssl { certificate: true, ..none }),
        "it was shown and found bad"
    );
}

#[test]
fn a_checksum_is_checked_wherever_it_stands() {
    for before in [&[][..], &[4, 0, 2, 0, 0]] {
        let mut bytes = tcp4(&[before, &[3, 0, 4, 0, 0, 0, 0, 2, 0, 1, b'a']].concat());
        let sum = Checksum::default().add(&bytes).value();
        let at = 16 + 12 + before.len() + 3;
        bytes[at..at + 4].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(whole(&bytes).tlvs.authority.as_deref(), Some("a"));
        for wrong in [16, at - 4, at, bytes.len() - 1] {
            let mut bytes = bytes.clone();
            bytes[wrong] ^= 1;
            assert!(parse(&bytes).is_err(), "{wrong}");
        }
    }
}

#[test]
fn headers_are_written_for_both_families() {
    let written = |from: &str, to: &str| {
        let mut out = b"before".to_vec();
        write_v1(&mut out, Some((address(from), address(to))));
        String::from_utf8(out).expect("it is text")
    };
    for (from, to, line) in [
        ("192.0.2.1:1", "198.51.100.2:2", "beforePROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\n"),
        ("[::ffff:192.0.2.1]:1", "198.51.100.2:2", "beforePROXY TCP4 192.0.2.1 198.51.100.2 1 2\r\n"),
        ("[2001:db8::1]:1", "[::1]:2", "beforePROXY TCP6 2001:db8::1 ::1 1 2\r\n"),
        ("[2001:db8::1]:1", "198.51.100.2:2", "beforePROXY TCP6 2001:db8::1 ::ffff:198.51.100.2 1 2\r\n"),
    ] {
        assert_eq!(written(from, to), line);
    }
    let mut out = Vec::new();
    write_v1(&mut out, None);
    assert_eq!(whole(&out).client, Client::Unknown);
    out.clear();
    write_v2(&mut out, None, &Tlvs::default());
    assert_eq!(whole(&out).client, Client::Itself);
    out.clear();
    write_v2(&mut out, Some((address("203.0.113.7:50000"), address("192.0.2.1:443"))), &Tlvs::default());
    assert_eq!(out, tcp4(&[]));
}

#[test]
fn what_does_not_fit_is_left_out() {
    let tlvs = Tlvs {
        alpn: Some(vec![b'x'; V2_MAX].into()),
        authority: Some("a".repeat(70_000).into()),
        ssl: Some(Ssl { version: Some("b".repeat(70_000).into()), ..Ssl::default() }),
    };
    let mut out = Vec::new();
    write_v2(&mut out, Some((address("203.0.113.7:50000"), address("192.0.2.1:443"))), &tlvs);
    assert_eq!(whole(&out).tlvs, Tlvs { ssl: Some(Ssl::default()), ..Tlvs::default() });
}

fn addresses() -> impl Strategy<Value = SocketAddr> {
    prop_oneof![
        (any::<[u8; 4]>(), any::<u16>()).prop_map(|(ip, port)| (ip, port).into()),
        (any::<[u8; 16]>(), any::<u16>()).prop_map(|(ip, port)| (ip, port).into()),
    ]
}

fn texts() -> impl Strategy<Value = Option<Box<str>>> {
    proptest::option::of("[a-zé.]{0,20}".prop_map(Into::into))
}

prop_compose! {
    fn tlvs()(
        alpn in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..10)),
        authority in texts(),
        secured in proptest::option::of((any::<bool>(), any::<bool>(), any::<bool>())),
        (version, name) in (texts(), texts()),
    ) -> Tlvs {
        let ssl = secured.map(|(secured, certificate, verified)| Ssl {
            secured,
            certificate,
            verified: certificate && verified,
            version,
            name,
        });
        Tlvs { alpn: alpn.map(Into::into), authority, ssl }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(from in addresses(), to in addresses(), tlvs in tlvs()) {
        let (source, destination) = paired(from, to);
        let client = Client::Ip { source, destination };
        let mut one = Vec::new();
        write_v1(&mut one, Some((from, to)));
        let header = Header { client: client.clone(), ..Header::default() };
        prop_assert_eq!(whole(&one), header);
        let mut two = Vec::new();
        write_v2(&mut two, Some((from, to)), &tlvs);
        prop_assert_eq!(whole(&two), Header { client, tlvs });
    }

    #[test]
    fn more_bytes_never_change_what_is_decided(
        two in any::<bool>(),
        command in prop_oneof![Just(0x20), Just(0x21), any::<u8>()],
        family in prop_oneof![Just(0), Just(0x11), Just(0x21), any::<u8>()],
        bytes in proptest::collection::vec(prop_oneof![any::<u8>(), Just(b'\r'), Just(b'\n'), Just(b' '), Just(0)], 0..300),
        line in "(TCP4|TCP6|UNKNOWN) [0-9a-f.:]{0,12} [0-9a-f.:]{0,12} [0-9]{0,6} [0-9]{0,6}(\r\n|\n|)",
    ) {
        let header = if two { v2(command, family, &bytes) } else { [b"PROXY ", line.as_bytes(), &bytes].concat() };
        let mut decided = None;
        for length in 0..=header.len() {
            let outcome = parse(&header[..length]);
            if let Some(before) = &decided {
                prop_assert_eq!(&outcome, before);
            } else if let Ok(Outcome::Partial { missing }) = outcome {
                prop_assert!(missing > 0 && length + missing <= V2_MAX);
            } else {
                if let Ok(Outcome::Complete { used, .. }) = outcome {
                    prop_assert_eq!(used, length);
                }
                decided = Some(outcome);
            }
        }
    }
}
