//! The registry: every key of a settings file, what it takes, and what it does.

use std::time::Duration;

use super::schema::{Key, Shape, Table};

mod route;
mod service;
mod texts;

use route::{EDITS, HEADERS, MATCH, REDIRECT, REGEX, REPLACE_PREFIX, RESPOND, REWRITE, ROUTE, ROUTE_TIMEOUT};
use service::{ENDPOINT, POOL, SERVICE, TIMEOUT};
use texts::{BLOCK, FILE, LISTEN, NAME, TOKEN};

/// Every table, in the order of the reference.
pub(crate) static TABLES: [&Table; 20] = [
    &TOP,
    &SERVICE,
    &ENDPOINT,
    &TIMEOUT,
    &POOL,
    &ROUTE,
    &MATCH,
    &ROUTE_TIMEOUT,
    &HEADERS,
    &EDITS,
    &REWRITE,
    &REPLACE_PREFIX,
    &REGEX,
    &REDIRECT,
    &RESPOND,
    &DEFAULTS,
    &LIMITS,
    &ADMIN,
    &SECRET,
    &LOGS,
];

/// The whole file.
pub(crate) static TOP: Table = Table {
    name: "top",
    doc: "The keys at the left margin of the file.",
    keys: &[
        Key::new("listen", Shape::OneOrMore(&Shape::Text(&LISTEN)))
            .required()
            .doc("Where clients connect: `127.0.0.1:8080`, `[::1]:8080`, `localhost:8080`, or `:8080` for every IPv4 address of the machine (`[::]:8080` for IPv6). `http://` in front is allowed.")
            .example("127.0.0.1:8081"),
        Key::new("services", Shape::Map { min: 0, key: &NAME, value: &Shape::Table(&SERVICE) })
            .doc("The services requests are forwarded to, by name.")
            .example("{other: {endpoints: [127.0.0.1:3001]}}"),
        Key::new("routes", Shape::List { min: 1, item: &Shape::Table(&ROUTE) })
            .required()
            .doc("What is done with which request. The most specific `match` wins, wherever it stands in the list; requests that match nothing are answered with 404.")
            .example("[{match: /other, respond: 204}]"),
        Key::new("defaults", Shape::Table(&DEFAULTS))
            .doc("What holds for every route and service that does not say otherwise.")
            .example("{body_max: 1MiB}"),
        Key::new("limits", Shape::Table(&LIMITS))
            .doc("Bounds on what clients may send and hold.")
            .example("{headers: 50}"),
        Key::new("trusted_proxies", Shape::List { min: 0, item: &Shape::Text(&BLOCK) })
            .default("[]")
            .doc("Addresses of proxies in front of this one. Only their `Forwarded`, `X-Forwarded-*`, `X-Real-IP` and `x-request-id` are believed; from anybody else these headers are replaced.")
            .example("[10.0.0.0/8, \"::1\"]"),
        Key::new("admin", Shape::Either(&[Shape::Word("off"), Shape::Text(&LISTEN), Shape::Table(&ADMIN)]))
            .default("127.0.0.1:9900")
            .doc("Where metrics, health and status are served. An address other than loopback needs a token.")
            .example("127.0.0.1:9901"),
        Key::new("workers", Shape::Either(&[Shape::Word("auto"), Shape::Count { min: 1, max: 256 }]))
            .default("auto")
            .doc("Threads that serve requests. `auto`: one for each processor this process may use.")
            .example("4"),
        Key::new("logs", Shape::Table(&LOGS)).doc("What is written down, and where.").example("{access: json}"),
    ],
    later: &["tls", "stores", "traces", "metrics", "slos", "alerts"],
    choice: None,
};

static DEFAULTS: Table = Table {
    name: "defaults",
    doc: "What holds for every route and service that does not say otherwise.",
    keys: &[
        Key::new("timeout", Shape::Either(&[SPAN, Shape::Table(&TIMEOUT)]))
            .doc("Timeouts of services that do not set them; a duration alone is `total`.")
            .example("30s"),
        Key::new("headers", Shape::Table(&HEADERS))
            .doc("Header edits of every route, but for the headers the route names itself.")
            .example("{response: {set: {x-frame-options: DENY}}}"),
        BODY_MAX,
    ],
    later: &[
        "retry",
        "hedge",
        "rate_limit",
        "concurrency",
        "cache",
        "compress",
        "cors",
        "auth",
        "allow",
        "deny",
        "fault",
        "idempotency",
    ],
    choice: None,
};

static LIMITS: Table = Table {
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
            .doc("When a client closes its sending side while it waits: finish the response, or take the client for gone.")
            .example("abort"),
    ],
    later: &[],
    choice: None,
};

static ADMIN: Table = Table {
    name: "admin",
    doc: "The long form of `admin`.",
    keys: &[
        Key::new("listen", Shape::Text(&LISTEN))
            .default("127.0.0.1:9900")
            .doc("Where it is served.")
            .example("127.0.0.1:9901"),
        Key::new("token", Shape::Either(&[Shape::Text(&TOKEN), Shape::Table(&SECRET)]))
            .doc("What `Authorization: Bearer ...` must say. Needed when `listen` is not a loopback address.")
            .example("\"${ADMIN_TOKEN:-0123456789abcdef}\""),
    ],
    later: &["tls"],
    choice: None,
};

static SECRET: Table = Table {
    name: "secret",
    doc: "A secret that stands in a file of its own.",
    keys: &[
        Key::new("file", Shape::Text(&FILE))
            .required()
            .doc("Read when the settings are; one line break at its end is left out. A relative path begins at the settings file.")
            .example("token"),
    ],
    later: &[],
    choice: None,
};

static LOGS: Table = Table {
    name: "logs",
    doc: "What is written down, and where.",
    keys: &[
        Key::new(
            "access",
            Shape::Either(&[
                Shape::Word("off"),
                Shape::Word("json"),
                Shape::Word("text"),
                Shape::Word("auto"),
            ]),
        )
        .default("auto")
        .doc("One record for each request. `auto`: text on a terminal, else JSON.")
        .example("json"),
        Key::new("to", Shape::Either(&[Shape::Word("stdout"), Shape::Word("stderr"), Shape::Text(&FILE)]))
            .default("stdout")
            .doc("Where access records go. A relative path begins at the settings file.")
            .example("stderr"),
        Key::new(
            "level",
            Shape::Either(&[
                Shape::Word("error"),
                Shape::Word("warn"),
                Shape::Word("info"),
                Shape::Word("debug"),
            ]),
        )
        .default("info")
        .doc("Least important message about Forebay itself that is written, to standard error.")
        .example("debug"),
    ],
    later: &[],
    choice: None,
};

const SPAN: Shape = Shape::Time { min: MILLISECOND, max: Duration::from_secs(7 * 86_400) };
const FIRST_BYTE: Key = Key::new("first_byte", Shape::Time { min: MILLISECOND, max: DAY })
    .doc("From the end of sending the request to the first byte of the response.")
    .example("5s");
const IDLE: Key = Key::new("idle", Shape::Time { min: MILLISECOND, max: DAY })
    .doc("Between two pieces of the request's or the response's body.")
    .example("10s");
const TOTAL: Key = Key::new("total", SPAN)
    .doc("From the request's head to the response's last byte. Not written: no bound but the others.")
    .example("30s");
const BODY_MAX: Key = Key::new("body_max", Shape::Size { min: 0, max: BODY_BOUND })
    .doc("Largest request body. Default: the one of `defaults`, else that of `limits`.")
    .example("1MiB");
const STATUS: Shape = Shape::Count { min: 200, max: 599 };
const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Largest `body_max`: 1 TiB.
const BODY_BOUND: u64 = 1 << 40;
