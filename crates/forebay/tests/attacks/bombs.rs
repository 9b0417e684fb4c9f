//! Heads that are small on the wire and large, or many, once they are unpacked.

use forebay_net::h2::frame::{END_HEADERS, END_STREAM, ErrorCode, Kind};

use crate::raw::{GET, Raw};
use crate::scene::{Ceiling, Scene};

/// Connections of an attack, one after the other.
const ROUNDS: u32 = 2;

/// Heads on one connection: more than it lives.
const HEADS: usize = 500;

/// Bytes of a field block that fits a frame.
const BLOCK: usize = 16 << 10;

/// The first entry that was put into the other side's table.
const NEWEST: u8 = 0x80 | 62;

/// Has a field put into the table, then refers to it by a byte as often as a frame holds, in one head after the other.
#[track_caller]
fn check(what: &str, name: &[u8], value: &[u8]) {
    let mut scene = Scene::new("");
    for _ in 0..ROUNDS {
        let mut raw = Raw::connect(scene.gateway.addr(), &[]);
        assert_eq!(raw.status(&with_field(name, value)), Ok(200), "{what}");
        let mut block = GET.to_vec();
        block.resize(BLOCK, NEWEST);
        // Each is answered, until there were too many.
        assert_eq!(raw.status(&block), Ok(431), "{what}");
        for _ in 0..HEADS {
            let stream = raw.stream();
            raw.frame(Kind::Headers, END_HEADERS | END_STREAM, stream, &block);
            if raw.send().is_err() {
                break;
            }
        }
        scene.witness(what);
        raw.end_with(ErrorCode::ENHANCE_YOUR_CALM, what);
    }
    // 400 heads of 16 KiB on each connection, whose fields would be up to 13 GiB. A field that only has to be found may
    // cost a four-hundredth of a request.
    scene.check(what, Ceiling { mib: 8, requests: ROUNDS * 400 * 40 });
}

/// A request with one more field, which goes into the table.
fn with_field(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut block = GET.to_vec();
    // Literal with incremental indexing, new name (RFC 7541 §6.2.1).
    block.push(0x40);
    for text in [name, value] {
        push_len(&mut block, text.len());
        block.extend_from_slice(text);
    }
    block
}

/// A length with a prefix of seven bits (RFC 7541 §5.1).
fn push_len(block: &mut Vec<u8>, len: usize) {
    if len < 127 {
        block.push(len as u8);
        return;
    }
    block.push(127);
    let mut rest = len - 127;
    while rest >= 128 {
        block.push(rest as u8 | 128);
        rest >>= 7;
    }
    block.push(rest as u8);
}

#[test]
fn one_large_field_again_and_again() {
    check("bomb_large", b"x-large", &[b'l'; 4_000]);
}

#[test]
fn a_field_of_next_to_nothing_again_and_again() {
    check("bomb_tiny", b"x", b"");
}

#[test]
fn thousands_of_cookie_crumbs() {
    check("bomb_crumbs", b"cookie", b"");
    check("bomb_pairs", b"cookie", b"a=b");
}

#[test]
fn a_table_that_is_never_the_same() {
    // Every head fills the table anew, which throws out what was there.
    let mut scene = Scene::new("");
    let mut raw = Raw::connect(scene.gateway.addr(), &[]);
    let mut block = GET.to_vec();
    for n in 0..80 {
        block.push(0x40);
        push_len(&mut block, 3);
        block.extend_from_slice(format!("x{n:02}").as_bytes());
        push_len(&mut block, 30);
        block.extend_from_slice(&[b'v'; 30]);
    }
    for _ in 0..500 {
        assert_eq!(raw.status(&block), Ok(200));
    }
    scene.check("bomb_table", Ceiling { mib: 4, requests: 500 * 10 });
}
