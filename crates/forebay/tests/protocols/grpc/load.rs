//! Calls that the load tester makes.

use forebay_testkit::DEADLINE;

use super::{Server, in_front_of};
use crate::load::{Found, load_steps};

/// Runs a step so often against the server itself and through a gateway.
fn check(step: &str, test: impl Fn(Found)) {
    let server = Server::start();
    let gateway = in_front_of(server.address);
    for address in [server.address, gateway.addr()] {
        let step = format!("      - grpc: {step}\n        timeout: {}s\n", DEADLINE.as_secs());
        test(load_steps(&format!("http://{address}"), &step, 20, "http2: on"));
    }
}

#[test]
fn a_call_is_ok_if_its_status_is() {
    check("{ method: test.Echo/Unary, message: { hex: 0a0474657374 } }", |found| {
        assert_eq!(found.all_ok(), 20);
    });
    check("{ method: test.Echo/Unary, metadata: { want-status: 5 }, status: 5 }", |found| {
        assert_eq!(found.all_ok(), 20);
    });
}

#[test]
fn a_status_is_a_kind_of_error() {
    check("{ method: test.Echo/Unary, metadata: { want-status: 14 } }", |found| {
        assert_eq!(found.errors(), r#"{"grpc_unavailable":20}"#);
        assert!(found.examples().contains("grpc-status 14 as%20you%20like"), "{}", found.examples());
    });
    check("{ method: test.Echo/None }", |found| {
        assert_eq!(found.errors(), r#"{"grpc_unimplemented":20}"#);
    });
    check("{ method: test.Echo/Unary, status: 3 }", |found| {
        assert_eq!(found.errors(), r#"{"check":20}"#);
        assert!(found.examples().contains("grpc-status 3 was expected; it is 0"), "{}", found.examples());
    });
}
