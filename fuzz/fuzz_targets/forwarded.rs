//! Whatever clients write into forwarding fields, only what trusted proxies vouch for counts.
#![no_main]

use std::net::{IpAddr, Ipv4Addr};

use forebay_net::cidr::CidrSet;
use forebay_net::forwarded::{Elements, Node, client_address, write_element};
use libfuzzer_sys::fuzz_target;

const TRUSTED_PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));

fuzz_target!(|input: &[u8]| {
    let lines: Vec<&[u8]> = input.split(|byte| *byte == b'\n').collect();
    let trusted: CidrSet = "10.0.0.0/8, 2001:db8::/32".parse().expect("two blocks");
    let none = || std::iter::empty::<&[u8]>();
    let all = || lines.iter().copied();

    assert_eq!(client_address(STRANGER, all(), all(), &trusted), STRANGER);
    let by_x = client_address(TRUSTED_PEER, all(), none(), &trusted);
    let by_forwarded = client_address(TRUSTED_PEER, none(), all(), &trusted);
    assert_eq!(client_address(TRUSTED_PEER, all(), all(), &trusted), by_x);
    for client in [by_x, by_forwarded] {
        assert_eq!(client.to_canonical(), client);
        check(client);
    }
});

/// What the gateway writes is what it reads.
fn check(client: IpAddr) {
    let mut line = Vec::new();
    write_element(client, Some("shop.test:8080"), "https", &mut line);
    let elements: Vec<_> = Elements::new(&line).collect();
    let [Ok(element)] = elements.as_slice() else { panic!("{elements:?}") };
    assert_eq!(element.client, Some(Node::Address(client)));
    assert_eq!((element.host, element.proto), (Some(&b"shop.test:8080"[..]), Some(&b"https"[..])));
}
