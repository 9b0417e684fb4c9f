//! For tests from outside: real gateways, origins that follow a script, clients that send exact bytes.
//!
//! Everything blocks, has a deadline, and panics with a sentence when it is not met: these are tests' tools.

pub mod acme;
pub mod chance;
pub mod check;
pub mod dns;
pub mod gateway;
pub mod lineage;
pub mod message;
pub mod metrics;
pub mod origin;
pub mod scratch;
pub mod scripted;
pub mod servers;
pub mod settings;
pub mod streams;
pub mod tls;
pub mod wire;

use std::time::Duration;

/// Longest wait for anything that ought to happen soon. Long enough for a busy machine: only a failing test
/// waits this long.
pub const DEADLINE: Duration = Duration::from_secs(20);
