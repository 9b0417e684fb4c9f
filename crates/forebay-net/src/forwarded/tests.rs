//! Chains of proxies, honest and otherwise.

use proptest::prelude::*;

use super::*;

const TRUSTED: &str = "10.0.0.0/8 2001:db8::/32";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("a test address")
}

fn client(peer: &str, x_forwarded_for: &[&str], forwarded: &[&str]) -> IpAddr {
    let trusted = TRUSTED.parse().expect("a test set");
    let x_forwarded_for = x_forwarded_for.iter().map(|line| line.as_bytes());
    client_address(ip(peer), x_forwarded_for, forwarded.iter().map(|line| line.as_bytes()), &trusted)
}

#[track_caller]
fn check_x(peer: &str, lines: &[&str], expected: &str) {
    assert_eq!(client(peer, lines, &[]), ip(expected), "{lines:?}");
}

#[track_caller]
fn check_forwarded(lines: &[&str], expected: &str) {
    assert_eq!(client("10.0.0.1", &[], lines), ip(expected), "{lines:?}");
}

#[test]
fn an_untrusted_peer_is_the_client_whatever_it_says() {
    check_x("7.7.7.7", &["1.2.3.4"], "7.7.7.7");
    check_x("::ffff:7.7.7.7", &["1.2.3.4"], "7.7.7.7");
    assert_eq!(client("7.7.7.7", &[], &["for=1.2.3.4"]), ip("7.7.7.7"));
}

#[test]
fn the_rightmost_untrusted_address_is_the_client() {
    check_x("10.0.0.1", &[], "10.0.0.1");
    check_x("10.0.0.1", &["1.2.3.4"], "1.2.3.4");
    check_x("10.0.0.1", &["6.6.6.6, 1.2.3.4"], "1.2.3.4");
    check_x("10.0.0.1", &["6.6.6.6,1.2.3.4 ,\t10.0.0.2"], "1.2.3.4");
    check_x("10.0.0.1", &["6.6.6.6", "1.2.3.4", "10.0.0.3, 10.0.0.2"], "1.2.3.4");
    check_x("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3");
    check_x("::ffff:10.0.0.1", &["1.2.3.4, ::ffff:10.0.0.2"], "1.2.3.4");
    check_x("2001:db8::1", &["2001:dead::1"], "2001:dead::1");
}

#[test]
fn addresses_may_come_with_ports() {
    check_x("10.0.0.1", &["1.2.3.4:5678"], "1.2.3.4");
    check_x("10.0.0.1", &["[2001:dead::1]"], "2001:dead::1");
    check_x("10.0.0.1", &["[2001:dead::1]:80"], "2001:dead::1");
}

#[test]
fn what_is_no_address_ends_the_walk() {
    for garbage in [
        "unknown",
        "_x",
        "1.2.3",
        "1.2.3.4.5",
        "01.2.3.4",
        "1.2.3.4:",
        "1.2.3.4:99999",
        "1.2.3.4 5.6.7.8",
        "\"1.2.3.4\"",
        "for=1.2.3.4",
        "fe80::1%1",
        "[fe80::1%1]:80",
        "[1.2.3.4]",
        "[::1",
        "é",
        "1.2.3.4\0",
        "*",
    ] {
        check_x("10.0.0.1", &["6.6.6.6", garbage], "10.0.0.1");
        check_x("10.0.0.1", &[&format!("6.6.6.6, {garbage}, 10.0.0.2")], "10.0.0.2");
        check_x("10.0.0.1", &[&format!("{garbage}, 1.2.3.4")], "1.2.3.4");
    }
}

#[test]
fn empty_elements_count_for_nothing() {
    check_x("10.0.0.1", &["1.2.3.4, ,,10.0.0.2,"], "1.2.3.4");
    check_x("10.0.0.1", &["", " "], "10.0.0.1");
    check_forwarded(&[",for=1.2.3.4, ,"], "1.2.3.4");
    check_forwarded(&["", " \t"], "10.0.0.1");
}

#[test]
fn the_walk_is_bounded() {
    let trusted = ["10.0.0.2"; HOPS_MAX - 1].join(",");
    check_x("10.0.0.1", &["1.2.3.4", &trusted], "1.2.3.4");
    check_x("10.0.0.1", &["1.2.3.4", "10.0.0.3", &trusted], "10.0.0.3");
    check_x("10.0.0.1", &["1.2.3.4", &",".repeat(HOPS_MAX)], "10.0.0.1");
    let trusted = ["for=10.0.0.2"; HOPS_MAX - 1].join(",");
    check_forwarded(&["for=1.2.3.4", &trusted], "1.2.3.4");
    check_forwarded(&["for=1.2.3.4", "for=10.0.0.3", &trusted], "10.0.0.3");
    check_forwarded(&[&format!("for=1.2.3.4, for=10.0.0.3, {trusted}")], "10.0.0.1");
}

#[test]
fn forwarded_names_the_client_too() {
    check_forwarded(&["for=1.2.3.4"], "1.2.3.4");
    check_forwarded(&["For=\"1.2.3.4:80\""], "1.2.3.4");
    check_forwarded(&["for=\"[2001:dead::1]:80\";proto=https"], "2001:dead::1");
    check_forwarded(&["for=\"[2001:dead::1]\""], "2001:dead::1");
    check_forwarded(&["for=1.2.3.4:80"], "10.0.0.1");
    check_forwarded(&["for=6.6.6.6, by=10.0.0.9;for=1.2.3.4 ; host=a, for=10.0.0.2"], "1.2.3.4");
    check_forwarded(&["for=6.6.6.6, for=1.2.3.4", "for=10.0.0.2"], "1.2.3.4");
    check_forwarded(&["host=\"a,for=6.6.6.6\";for=1.2.3.4"], "1.2.3.4");
    check_forwarded(&["for=\"1.2.3.4:_x\""], "1.2.3.4");
    check_forwarded(&["x=\"\\\"\";for=1.2.3.4;"], "1.2.3.4");
}

#[test]
fn hidden_nodes_end_the_walk() {
    check_forwarded(&["for=1.2.3.4, for=unknown"], "10.0.0.1");
    check_forwarded(&["for=1.2.3.4, for=_secret, for=10.0.0.2"], "10.0.0.2");
    check_forwarded(&["for=1.2.3.4, proto=https, for=10.0.0.2"], "10.0.0.2");
    check_forwarded(&["for=\"1.2.3\\.4\""], "10.0.0.1");
}

#[test]
fn a_malformed_line_counts_for_nothing() {
    for line in [
        "for",
        "for=",
        "for =1.2.3.4",
        "for= 1.2.3.4",
        "=1.2.3.4",
        "for=[::1]",
        "for=\"1.2.3.4",
        "for=1.2.3.4 x",
        "for=1.2.3.4;for=5.6.7.8",
        "for=\"a\"b",
        "for=\"a\\",
        "for=a;b",
        "for=a/b",
        "for=\"\x01\"",
        "f(r=a",
    ] {
        check_forwarded(&["for=6.6.6.6", line], "10.0.0.1");
        check_forwarded(&[&format!("for=6.6.6.6, {line}")], "10.0.0.1");
        check_forwarded(&[line, "for=1.2.3.4"], "1.2.3.4");
    }
    // An open quote of the client swallows the beginning of what a trusted proxy appended.
    check_forwarded(&["for=\"6.6.6.6, for=\"[2001:dead::1]\""], "10.0.0.1");
}

#[test]
fn x_forwarded_for_goes_first() {
    assert_eq!(client("10.0.0.1", &["1.2.3.4"], &["for=6.6.6.6"]), ip("1.2.3.4"));
    assert_eq!(client("10.0.0.1", &[""], &["for=6.6.6.6"]), ip("10.0.0.1"));
}

#[test]
fn elements_carry_host_and_proto() {
    let line = b"for=1.2.3.4;host=\"a:80\";proto=https;by=_x, proto=http";
    let elements: Vec<_> = Elements::new(line).collect();
    let first =
        Element { client: Some(Node::Address(ip("1.2.3.4"))), host: Some(b"a:80"), proto: Some(b"https") };
    let second = Element { proto: Some(b"http"), ..Element::default() };
    assert_eq!(elements, [Ok(first), Ok(second)]);
}

#[test]
fn elements_are_written_as_they_are_read() {
    let written = |address: &str, host: Option<&str>| {
        let mut out = Vec::new();
        write_element(ip(address), host, "https", &mut out);
        String::from_utf8(out).expect("ASCII")
    };
    assert_eq!(written("1.2.3.4", None), "for=1.2.3.4;proto=https");
    assert_eq!(written("::ffff:1.2.3.4", Some("a.example")), "for=1.2.3.4;host=a.example;proto=https");
    assert_eq!(written("2001:db8::1", Some("a:80")), "for=\"[2001:db8::1]\";host=\"a:80\";proto=https");
    assert_eq!(written("::1", Some("[::1]")), "for=\"[::1]\";host=\"[::1]\";proto=https");
}

proptest! {
    #[test]
    fn any_bytes_give_an_address_that_was_vouched_for(
        lines in prop::collection::vec("[for=0-9.,;:_a\\[\\]\"\\\\ -]{0,40}", 0..4),
    ) {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        client("10.0.0.1", &lines, &[]);
        client("10.0.0.1", &[], &lines);
        let honest: Vec<&str> = lines.iter().copied().chain(["1.2.3.4"]).collect();
        prop_assert_eq!(client("10.0.0.1", &honest, &[]), ip("1.2.3.4"));
        let honest: Vec<&str> = lines.iter().copied().chain(["for=1.2.3.4"]).collect();
        prop_assert_eq!(client("10.0.0.1", &[], &honest), ip("1.2.3.4"));
    }

    #[test]
    fn what_is_written_is_read_back(bits in any::<u128>(), is_v4 in any::<bool>()) {
        let address: IpAddr = if is_v4 {
            std::net::Ipv4Addr::from_bits(bits as u32).into()
        } else {
            Ipv6Addr::from_bits(bits).into()
        };
        let mut out = Vec::new();
        write_element(address, Some("[::1]:80"), "http", &mut out);
        let client = Elements::new(&out).map(|element| element.map(|e| e.client)).collect::<Vec<_>>();
        prop_assert_eq!(client, [Ok(Some(Node::Address(address.to_canonical())))]);
    }
}
