//! The settings most tests begin with.

use std::net::SocketAddr;

/// One worker, ports of its own, every request to `endpoint`; `more` are further top-level lines.
#[must_use]
pub fn in_front_of(endpoint: SocketAddr, more: &str) -> String {
    let service = format!("services:\n  app: {{ endpoints: [\"{endpoint}\"] }}\n");
    format!("{}{service}routes:\n  - {{ match: /*, to: app }}\n{more}\n", top())
}

/// Listeners on ports of their own and one worker, so that pools and counts are one.
#[must_use]
pub fn top() -> String {
    "listen: 127.0.0.1:0\nadmin: 127.0.0.1:0\nworkers: 1\n".to_owned()
}
