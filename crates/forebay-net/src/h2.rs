//! HTTP/2 on the wire (RFC 9113), for both sides of a connection.
//!
//! `frame` and `hpack` know bytes; `connection` knows the rules, without I/O; `mux` drives a connection over a link
//! and gives out [`crate::stream::Stream`]s.

pub mod connection;
pub mod frame;
pub mod head;
pub mod hpack;
pub mod mux;

use std::time::Duration;

/// Bounds on what the other side of a connection may have us do and hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Streams open at a time: `SETTINGS_MAX_CONCURRENT_STREAMS`. 1 to 1,000.
    pub streams: u32,
    /// Bytes of a head as `SETTINGS_MAX_HEADER_LIST_SIZE` counts them: names, values and 32 for each field.
    pub head_bytes: usize,
    /// Fields of a head, not counting the crumbs of `cookie`.
    pub fields: usize,
    /// Crumbs that a `cookie` field may be split into (RFC 9113 §8.2.3).
    pub cookie_crumbs: usize,
    /// Bytes of body one stream may have in flight to us: `SETTINGS_INITIAL_WINDOW_SIZE`. 1 KiB to 16 MiB.
    pub stream_window: u32,
    /// The same for the connection as a whole: with what waits to be written, its budget of memory.
    pub connection_window: u32,
    /// Frames that make work and bring nothing (resets, settings, pings, priorities, empty data, window updates of
    /// nothing, streams reset by us for the other side's fault), above what the requests served excuse. At three
    /// quarters of it the connection is told to go away, beyond it closed.
    pub glitches: u32,
    /// CONTINUATION frames of one head.
    pub continuations: u32,
    /// Longest wait for the rest of a head, for room to write, and for a window that stays shut.
    pub stall: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            streams: 100,
            head_bytes: 32 << 10,
            fields: 100,
            cookie_crumbs: 1_000,
            stream_window: 64 << 10,
            connection_window: 1 << 20,
            glitches: 400,
            continuations: 16,
            stall: Duration::from_secs(30),
        }
    }
}
