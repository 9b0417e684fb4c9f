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

/// Bounds on what the other side of a connection may have us do and hold. Body that nobody has taken yet is at most
/// `streams` times `stream_window`; a client opens as many streams as it has requests and the server allows.
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
    /// Bytes of one stream's body that may be on their way to us or wait to be taken here:
    /// `SETTINGS_INITIAL_WINDOW_SIZE`. 1 KiB to 16 MiB.
    pub stream_window: u32,
    /// Bytes of body that may be on their way to us on all streams together. They are given back as soon as they are
    /// here, so that a stream nobody reads keeps no other waiting: a bound on speed, not on memory. HTTP/3 gives them
    /// back when they are taken, and has at least `streams` times `stream_window` instead.
    pub connection_window: u32,
    /// Frames that make work and bring nothing (resets, settings, pings, priorities, empty data, window updates of
    /// nothing, streams reset by us for the other side's fault), above what the requests served excuse. At three
    /// quarters of it the connection is told to go away, beyond it closed.
    pub glitches: u32,
    /// CONTINUATION frames of one head, which may have four times `head_bytes` before the connection is closed.
    pub continuations: u32,
    /// Longest wait for the rest of a head or a frame, and for a client that takes nothing: for room to write, and
    /// for a window that stays shut. A server may take nothing as long as its users like, if it answers pings, and
    /// has at least 30 seconds for the rest.
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
