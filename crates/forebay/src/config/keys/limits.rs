//! The keys of `limits`.

use std::time::Duration;

use super::super::schema::{Key, Shape, Table};
use super::{BODY_BOUND, DAY, HOUR, MILLISECOND};

pub(super) static LIMITS: Table = Table {
    name: "limits",
    doc: "Bounds on what clients may send and hold. Every one has a default; none can be switched off but where it says so.",
    keys: &[
        Key::new("head_bytes", Shape::Size { min: 1 << 10, max: 1 << 20 })
            .default("32KiB")
            .doc("Request line and headers together; also the bound of a response's head.")
            .example("16KiB"),
        Key::new("headers", Shape::Count { min: 1, max: 1_000 })
            .default("100")
            .doc("Header fields of a request or response.")
            .example("50"),
        Key::new("uri_bytes", Shape::Size { min: 64, max: 64 << 10 })
            .default("8KiB")
            .doc("The request target. At most `head_bytes`.")
            .example("4KiB"),
        Key::new("body_max", Shape::Size { min: 0, max: BODY_BOUND })
            .default("64MiB")
            .doc("Request body, unless the route or `defaults` says otherwise.")
            .example("1MiB"),
        Key::new("header_timeout", Shape::Time { min: MILLISECOND, max: Duration::from_secs(600) })
            .default("10s")
            .doc("From the first byte of a request's head (or from connecting) to its last.")
            .example("5s"),
        Key::new(
            "body_rate_min",
            Shape::Either(&[Shape::Word("off"), Shape::ByteRate { max: 1 << 30 }]),
        )
        .default("1KiB/s")
        .doc("Slowest request body over its life, after a grace of ten seconds.")
        .example("off"),
        Key::new("write_stall", Shape::Time { min: MILLISECOND, max: HOUR })
            .default("30s")
            .doc("Longest wait for a client to take more of a response.")
            .example("10s"),
        Key::new("idle", Shape::Time { min: MILLISECOND, max: DAY })
            .default("1m")
            .doc("Longest wait for the next request on a connection that is kept.")
            .example("15s"),
        Key::new("connections", Shape::Count { min: 1, max: 10_000_000 })
            .default("16384")
            .doc("Client connections in all. Beyond it new ones wait to be accepted.")
            .example("1000"),
        Key::new("connections_per_ip", Shape::Count { min: 1, max: 10_000_000 })
            .default("4096")
            .doc("Client connections from one IP address; trusted proxies are exempt. Beyond it a new one is closed.")
            .example("100"),
        Key::new("drain", Shape::Time { min: Duration::ZERO, max: HOUR })
            .default("30s")
            .doc("How long stopping waits for requests in flight.")
            .example("5s"),
        Key::new("drain_delay", Shape::Time { min: Duration::ZERO, max: HOUR })
            .default("0s")
            .doc("How long new connections are still taken once `/readyz` says that we stop: as long as a balancer in front needs to notice.")
            .example("10s"),
        Key::new(
            "header_underscores",
            Shape::Either(&[Shape::Word("drop"), Shape::Word("allow"), Shape::Word("refuse")]),
        )
        .default("drop")
        .doc("Headers with `_` in their names, which many servers confuse with `-`: left out, passed on, or answered with 400.")
        .example("refuse"),
        Key::new("merge_slashes", Shape::Switch)
            .default("false")
            .doc("Take `//` in paths for `/`, before routing.")
            .example("true"),
        Key::new("half_close", Shape::Either(&[Shape::Word("finish"), Shape::Word("abort")]))
            .default("finish")
            .doc("When a client closes its sending side while it waits: finish the response, or take the client for gone. In the middle of a response it is taken for gone either way once the service has been silent for ten seconds: until something is sent, both look the same.")
            .example("abort"),
        Key::new("handshake_timeout", Shape::Time { min: MILLISECOND, max: Duration::from_secs(600) })
            .default("10s")
            .doc("From accepting a connection to the end of its TLS handshake, and of a PROXY protocol header before it.")
            .example("5s"),
        Key::new("http2", Shape::Table(&HTTP2))
            .doc("Bounds on connections that speak HTTP/2. Head bytes, headers and `write_stall` are those above.")
            .example("{streams: 50}"),
    ],
    later: &[],
    choices: &[],
};

pub(super) static HTTP2: Table = Table {
    name: "http2",
    doc: "Bounds on what a client may have us do and hold by one HTTP/2 connection.",
    keys: &[
        Key::new("streams", Shape::Count { min: 1, max: 1_000 })
            .default("100")
            .doc("Requests at a time on one connection.")
            .example("50"),
        Key::new("cookie_crumbs", Shape::Count { min: 1, max: 10_000 })
            .default("1000")
            .doc("Pieces that the `cookie` header of a request may come in. They do not count as headers.")
            .example("200"),
        Key::new("stream_window", Shape::Size { min: 1 << 10, max: 16 << 20 })
            .default("64KiB")
            .doc("Bytes of one request's body that may be on their way to us or wait for its service. Times `streams`, it bounds the memory that one connection takes: a request whose service reads slowly holds so much, and keeps no other waiting.")
            .example("256KiB"),
        Key::new("connection_window", Shape::Size { min: 64 << 10, max: 256 << 20 })
            .default("1MiB")
            .doc("Bytes of the bodies of all requests of a connection that may be on their way to us: a bound on speed over long distances. At least `stream_window`.")
            .example("4MiB"),
        Key::new("glitches", Shape::Count { min: 10, max: 1_000_000 })
            .default("400")
            .doc("Frames that make work and bring nothing, such as resets, pings and settings, above what the requests served excuse. At three quarters of it the client is asked to come again on another connection, beyond it this one is closed.")
            .example("200"),
        Key::new("continuations", Shape::Count { min: 0, max: 1_000 })
            .default("16")
            .doc("CONTINUATION frames of one head.")
            .example("4"),
    ],
    later: &[],
    choices: &[],
};
