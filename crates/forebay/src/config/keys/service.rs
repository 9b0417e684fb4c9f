//! The keys of services.

use std::time::Duration;

use super::super::schema::{Key, Shape, Table};
use super::texts::ADDRESS;
use super::{FIRST_BYTE, HOUR, IDLE, MILLISECOND, SPAN, TOTAL};

pub(super) static SERVICE: Table = Table {
    name: "service",
    doc: "An entry of `services`: endpoints that answer alike.",
    keys: &[
        Key::new(
            "endpoints",
            Shape::List { min: 1, item: &Shape::Either(&[Shape::Text(&ADDRESS), Shape::Table(&ENDPOINT)]) },
        )
        .required()
        .doc("Where the service can be reached: `host:port`, each once.")
        .example("[127.0.0.1:3001, {address: app.test:3002, weight: 3}]"),
        Key::new("balance", Shape::Either(&[Shape::Word("least_loaded"), Shape::Word("round_robin")]))
            .default("least_loaded")
            .doc("How the next endpoint is picked. `least_loaded`: of two random ones, that with fewer requests in flight for its weight. `round_robin`: in turn, by weight.")
            .example("round_robin"),
        Key::new("timeout", Shape::Either(&[SPAN, Shape::Table(&TIMEOUT)]))
            .doc("How long the parts of a request may take; a duration alone is `total`.")
            .example("30s"),
        Key::new("pool", Shape::Table(&POOL))
            .doc("Bounds on connections to each endpoint.")
            .example("{connections_max: 100}"),
    ],
    later: &[
        "health",
        "outlier",
        "breaker",
        "concurrency",
        "protocol",
        "tls",
        "slow_start",
        "panic_below",
        "command",
        "scale",
        "deploy",
        "kubernetes",
    ],
    choices: &[],
};

pub(super) static ENDPOINT: Table = Table {
    name: "endpoint",
    doc: "The long form of an item of `endpoints`.",
    keys: &[
        Key::new("address", Shape::Text(&ADDRESS)).required().doc("`host:port`.").example("127.0.0.1:3001"),
        Key::new("weight", Shape::Count { min: 1, max: 1_000_000 })
            .default("1")
            .doc("Share of requests relative to the service's other endpoints.")
            .example("3"),
    ],
    later: &[],
    choices: &[],
};

pub(super) static TIMEOUT: Table = Table {
    name: "timeout",
    doc: "The long form of `timeout` in a service and in `defaults`. What a route says goes before what its service says, and that before `defaults`, key by key.",
    keys: &[
        Key::new("connect", Shape::Time { min: MILLISECOND, max: Duration::from_secs(300) })
            .default("2s")
            .doc("TCP connect, for each attempt.")
            .example("500ms"),
        FIRST_BYTE.default("1m"),
        IDLE.default("1m"),
        TOTAL,
    ],
    later: &[],
    choices: &[],
};

pub(super) static POOL: Table = Table {
    name: "pool",
    doc: "Connections to each endpoint of a service.",
    keys: &[
        Key::new("connections_max", Shape::Count { min: 1, max: 1_000_000 })
            .default("2048")
            .doc("Open connections to one endpoint, in use or idle, over all workers.")
            .example("100"),
        Key::new("idle_max", Shape::Count { min: 0, max: 100_000 })
            .default("512")
            .doc("Idle connections kept to one endpoint by each worker. 0: none is used twice.")
            .example("0"),
        Key::new("idle_timeout", Shape::Time { min: MILLISECOND, max: HOUR })
            .default("4s")
            .doc(
                "How long an idle connection is kept. Keep it shorter than the server's own keep-alive time.",
            )
            .example("30s"),
    ],
    later: &[],
    choices: &[],
};
