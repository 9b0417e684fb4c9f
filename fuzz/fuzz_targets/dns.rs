//! Whatever a name server sends: addresses in order, each once, none that was not sent, and no longer than it may be.
#![no_main]

use std::time::Duration;

use forebay_net::dns::read_addresses;
use libfuzzer_sys::fuzz_target;

const HOST: &str = "shop.test";
const QUESTION: &[u8] = b"\x04shop\x04test\0\0\x01\0\x01";
/// What a record is long, at least: the root as name, kind, class, time to live, length, and the address.
const RECORD: usize = 15;

// Flags and counts as in a message's head, then what follows the question.
fuzz_target!(|input: &[u8]| {
    let Some((head, records)) = input.split_at_checked(8) else { return };
    let message = [b"\0\x07", &head[..2], b"\0\x01", &head[2..], QUESTION, records].concat();
    check(&message);
});

fn check(message: &[u8]) {
    assert_eq!(read_addresses(message, 8, HOST), None);
    let Some(answer) = read_addresses(message, 7, HOST) else { return };
    assert!(answer.addresses.is_sorted_by(|one, next| one < next), "{answer:?}");
    assert!((1..=message.len() / RECORD).contains(&answer.addresses.len()), "{answer:?}");
    assert!(answer.ttl <= Duration::from_secs(i32::MAX as u64), "{answer:?}");
    for address in &answer.addresses {
        let std::net::IpAddr::V4(address) = address else { panic!("{answer:?}") };
        assert!(message.windows(4).any(|bytes| *bytes == address.octets()), "{answer:?}");
    }
}
