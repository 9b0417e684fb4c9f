//! The keys of services.

use std::time::Duration;

use super::super::schema::{Choice, Choose, Key, Shape, Table};
use super::balance::BALANCE;
use super::health::{HEALTH, OUTLIER};
use super::texts::{ADDRESS, BLOCK, CHECK_PATH, FILE};
use super::tls::SERVICE_TLS;
use super::{FIRST_BYTE, HOUR, IDLE, MILLISECOND, SPAN, TOTAL};

pub(super) static SERVICE: Table = Table {
    name: "service",
    doc: "An entry of `services`: endpoints that answer alike.",
    keys: &[
        Key::new(
            "endpoints",
            Shape::List { min: 1, item: &Shape::Either(&[Shape::Text(&ADDRESS), Shape::Table(&ENDPOINT)]) },
        )
        .doc("Where the service can be reached: `ip:port`; `unix:/path`, a Unix socket; `name:port`, which leads to an endpoint for each address of the name and is asked for again; or `_service._proto.name`, whose SRV records list them. Each once, at most 1,000.")
        .example("[127.0.0.1:3001, {address: app.test:3002, weight: 3}]"),
        Key::new("endpoints_file", Shape::Text(&FILE))
            .doc("A file that lists more of them, in JSON or YAML, and is watched: a list of `ip:port` or of maps with `address`, `weight` and `priority`, or a map with it as `endpoints`. A relative path begins at the settings file. While the file is not there or wrong, what was last read of it holds.")
            .example("endpoints.json"),
        Key::new(
            "protocol",
            Shape::Either(&[
                Shape::Word("http1"),
                Shape::Word("h2"),
                Shape::Word("h2c"),
                Shape::Word("auto"),
            ]),
        )
        .default("http1")
        .doc("What is spoken with endpoints. `h2`: HTTP/2, which needs `tls`; `h2c`: HTTP/2 without TLS, as gRPC servers inside a network speak it; `auto`: with `tls`, HTTP/2 if the endpoint agrees to it, else HTTP/1.1.")
        .example("h2c"),
        Key::new("tls", Shape::Either(&[Shape::Word("off"), Shape::Word("on"), Shape::Table(&SERVICE_TLS)]))
            .default("off")
            .doc("Connect to endpoints with TLS. `on`: their certificates must be for the names they are written with, and issued by somebody the system trusts; a map: as it says.")
            .example("{ca: certs/ca.pem}"),
        Key::new("proxy_protocol", Shape::Either(&[Shape::Word("off"), Shape::Word("v1"), Shape::Word("v2")]))
            .default("off")
            .doc("Begin every connection to an endpoint with a PROXY protocol header of this version, which says who the client is. A connection then serves one client only.")
            .example("v2"),
        Key::new("endpoints_allow", Shape::List { min: 0, item: &Shape::Text(&BLOCK) })
            .default("[]")
            .doc("Link-local and metadata addresses, such as `169.254.0.0/16`, that names and the file may lead to all the same.")
            .example("[169.254.10.0/24]"),
        Key::new(
            "balance",
            Shape::Either(&[
                Shape::Word("least_loaded"),
                Shape::Word("round_robin"),
                Shape::Word("peak_ewma"),
                Shape::Word("sticky"),
                Shape::Table(&BALANCE),
            ]),
        )
        .default("least_loaded")
        .doc("How the next endpoint is picked. `least_loaded`: of two random ones, that with fewer requests in flight for its weight. `round_robin`: in turn, by weight. `peak_ewma`: of two random ones, that with the lesser product of recent latency and requests in flight. `sticky`: the one a cookie names. A map: by hash, or `sticky` with more said.")
        .example("{hash: path}"),
        Key::new(
            "health",
            Shape::Either(&[
                Shape::Word("off"),
                Shape::Word("tcp"),
                Shape::Word("grpc"),
                Shape::Text(&CHECK_PATH),
                Shape::Table(&HEALTH),
            ]),
        )
        .default("off")
        .doc("How endpoints are asked whether they are well: GET of a path; `tcp`, whether they can be connected to; `grpc`, by the gRPC health protocol. An endpoint that is not gets no requests until it is.")
        .example("/healthz"),
        Key::new(
            "outlier",
            Shape::Either(&[
                Shape::Word("off"),
                Shape::Word("connect"),
                Shape::Word("on"),
                Shape::Table(&OUTLIER),
            ]),
        )
        .default("connect")
        .doc("When an endpoint is left out for a while because of how it treats requests. `connect`: only if it cannot be connected to; `on`: also for failures and for being much slower than the others; a map: as `on`, but for what it says.")
        .example("on"),
        Key::new("slow_start", Shape::Either(&[Shape::Word("off"), Shape::Time { min: Duration::ZERO, max: HOUR }]))
            .default("off")
            .doc("How long the share of an endpoint that is new or back grows to its full weight.")
            .example("30s"),
        Key::new("panic_below", Shape::Percent { min: 0, max: 100 })
            .default("50%")
            .doc("Below this share of usable endpoints all are used: better a bad answer of some than the whole load on the few that are left. `0%`: never.")
            .example("30%"),
        Key::new("timeout", Shape::Either(&[SPAN, Shape::Table(&TIMEOUT)]))
            .doc("How long the parts of a request may take; a duration alone is `total`.")
            .example("30s"),
        Key::new("pool", Shape::Table(&POOL))
            .doc("Bounds on connections to each endpoint and on requests, and on those that wait.")
            .example("{connections_max: 100}"),
    ],
    later: &[
        "breaker",
        "concurrency",
        "command",
        "scale",
        "deploy",
        "kubernetes",
    ],
    choices: &[Choice { keys: &["endpoints", "endpoints_file"], how: Choose::AtLeastOne }],
};

pub(super) static ENDPOINT: Table = Table {
    name: "endpoint",
    doc: "The long form of an item of `endpoints`.",
    keys: &[
        Key::new("address", Shape::Text(&ADDRESS))
            .required()
            .doc("`ip:port`, `unix:/path`, `name:port` or `_service._proto.name`.")
            .example("127.0.0.1:3001"),
        Key::new("weight", Shape::Count { min: 1, max: 1_000_000 })
            .default("1")
            .doc("Share of requests relative to the service's other endpoints. For SRV records, times their own weight.")
            .example("3"),
        Key::new("priority", Shape::Count { min: 0, max: 9 })
            .default("0")
            .doc("Endpoints with a greater number are used only while too few with a lesser one are usable: 1 is a backup of 0. Priorities of SRV records count within it.")
            .example("1"),
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
        Key::new("tcp_user", Shape::Time { min: MILLISECOND, max: Duration::from_secs(300) })
            .default("1s")
            .doc("How long the endpoint's host may leave unacknowledged what was sent to it (the TCP user timeout, RFC 5482): a host that is gone is noticed after this, however long its answers may take. Once the server has no room for more of a body, `idle` holds instead.")
            .example("5s"),
        FIRST_BYTE.default("1m"),
        IDLE.default("1m"),
        TOTAL,
    ],
    later: &[],
    choices: &[],
};

pub(super) static POOL: Table = Table {
    name: "pool",
    doc: "Connections to each endpoint of a service, requests to it, and requests that wait until one may go.",
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
        Key::new("requests_max", Shape::Count { min: 1, max: 1_000_000 })
            .doc("Requests in flight to one endpoint, over all workers. Default: `connections_max`.")
            .example("50"),
        Key::new("queue_max", Shape::Count { min: 0, max: 100_000 })
            .default("1024")
            .doc("Requests of the service that wait, for each worker, while every endpoint has as many as it may; beyond it they are answered with 503. 0: none waits.")
            .example("100"),
        Key::new("queue_timeout", Shape::Time { min: MILLISECOND, max: HOUR })
            .default("5s")
            .doc("Longest such wait; then it is 503.")
            .example("1s"),
    ],
    later: &[],
    choices: &[],
};
