//! Clients that ask for a secured resource over a connection that is not secured.

use crate::raw::{GET, Raw};
use crate::scene::Scene;

/// A request for `/` with `:scheme` being `https`.
const GET_SECURED: &[u8] = &[0x82, 0x87, 0x84, 0x01, 1, b't'];

#[track_caller]
fn check(more: &str, expected: u16, reached: usize) {
    let scene = Scene::new(more);
    let mut raw = Raw::connect(scene.gateway.addr(), &[]);
    assert_eq!(raw.status(GET_SECURED), Ok(expected));
    assert_eq!(scene.reached(), reached);
    assert_eq!(raw.status(GET), Ok(200));
}

#[test]
fn what_is_meant_for_a_secured_connection_is_not_given_over_another() {
    check("", 400, 0);
}

#[test]
fn a_trusted_proxy_has_seen_to_its_security() {
    check("trusted_proxies: [127.0.0.1]", 200, 1);
}
