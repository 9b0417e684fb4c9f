//! The registry: every key of a settings file, what it takes, and what it does.

use std::time::Duration;

use super::schema::{Choice, Key, Shape, Table, Text};

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

static SERVICE: Table = Table {
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
    choice: None,
};

static ENDPOINT: Table = Table {
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
    choice: None,
};

static TIMEOUT: Table = Table {
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
    choice: None,
};

static POOL: Table = Table {
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
    choice: None,
};

static ROUTE: Table = Table {
    name: "route",
    doc: "An item of `routes`.",
    keys: &[
        Key::new("match", Shape::OneOrMore(&Shape::Either(&[Shape::Text(&SHORT_MATCH), Shape::Table(&MATCH)])))
            .required()
            .doc("Which requests are meant: `[METHOD ]host/path`, or the long form, or a list of both of which any may match.")
            .example("[GET a.test/x, {path: /y}]"),
        Key::new("name", Shape::Text(&LABEL))
            .doc("How metrics and logs call the route. Default: the text of its `match`.")
            .example("checkout"),
        Key::new(
            "to",
            Shape::Either(&[
                Shape::Text(&NAME),
                Shape::Map { min: 1, key: &NAME, value: &Shape::Count { min: 0, max: 1_000_000 } },
            ]),
        )
        .doc("The service to forward to, or several with their weights: `{shop: 95, shop-next: 5}`.")
        .example("{app: 95, spare: 5}"),
        Key::new("redirect", Shape::Either(&[Shape::Text(&TEMPLATE), Shape::Table(&REDIRECT)]))
            .doc("Answer with this `Location` (and status 302). `{host}`, `{path}`, `{query}` (with its `?`) and parameters of `match` are filled in.")
            .example("\"https://{host}{path}\""),
        Key::new(
            "respond",
            Shape::Either(&[STATUS, Shape::Text(&BODY), Shape::Table(&RESPOND)]),
        )
        .doc("Answer with this status, or with status 200 and this text.")
        .example("204"),
        Key::new("timeout", Shape::Either(&[SPAN, Shape::Table(&ROUTE_TIMEOUT)]))
            .doc("Overrides of the service's timeouts; a duration alone is `total`.")
            .example("30s"),
        Key::new("headers", Shape::Table(&HEADERS))
            .doc("Headers changed on the way in and out. A header named here is not touched by `defaults`.")
            .example("{response: {set: {x-frame-options: DENY}}}"),
        Key::new("rewrite", Shape::Table(&REWRITE))
            .doc("Changes the target on its way to the service.")
            .example("{strip_prefix: /api}"),
        BODY_MAX,
    ],
    later: &[
        "files",
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
        "mirror",
        "fault",
        "idempotency",
        "queue",
        "serialize",
        "validate",
    ],
    choice: Some(Choice { keys: &["to", "redirect", "respond"], required: true }),
};

static MATCH: Table = Table {
    name: "match",
    doc: "The long form of `match`. What is not written matches everything; everything written must match. Of all routes that match, the most specific is taken: first by host (exact, then the longer `*.` suffix, then any), then by path (segment by segment: text, text with `*`, `{name}`, what spans segments), then those that name methods, then those with more conditions on headers, then on the query. `forebay check` tells routes that cannot be told apart, `forebay explain` which one a request takes.",
    keys: &[
        Key::new("host", Shape::Text(&HOST)).doc("A host name, or `*.` and a domain.").example("\"*.shop.test\""),
        Key::new("path", Shape::Text(&PATH))
            .doc("An exact path; `*` stands for any text within a segment, `{name}` for a whole segment, `**` for any number of segments, and `*` at the very end for all that follows.")
            .example("\"/users/{id}/*\""),
        Key::new("method", Shape::OneOrMore(&Shape::Text(&METHOD)))
            .doc("One method or several, in upper case.")
            .example("[GET, HEAD]"),
        Key::new("header", Shape::Map { min: 1, key: &HEADER_NAME, value: &Shape::Text(&MATCH_VALUE) })
            .doc("Headers that must be there with this value; `v*` stands for all that begin so, `*` for any.")
            .example("{x-version: \"2\"}"),
        Key::new("query", Shape::Map { min: 1, key: &QUERY_NAME, value: &Shape::Text(&MATCH_VALUE) })
            .doc("Query parameters that must be there with this value; `v*` stands for all that begin so, `*` for any.")
            .example("{preview: \"*\"}"),
    ],
    later: &[],
    choice: None,
};

static ROUTE_TIMEOUT: Table = Table {
    name: "route_timeout",
    doc: "The long form of `timeout` in a route. `connect` is the service's own.",
    keys: &[FIRST_BYTE, IDLE, TOTAL],
    later: &[],
    choice: None,
};

static HEADERS: Table = Table {
    name: "headers",
    doc: "Header edits of a route or of `defaults`. A header a route names replaces what `defaults` does with that header; others are kept.",
    keys: &[
        Key::new("request", Shape::Table(&EDITS))
            .doc("On the way to the service.")
            .example("{set: {x-env: test}}"),
        Key::new("response", Shape::Table(&EDITS))
            .doc("On the way to the client; answers Forebay makes itself for this route are edited too.")
            .example("{remove: [server]}"),
    ],
    later: &[],
    choice: None,
};

static EDITS: Table = Table {
    name: "edits",
    doc: "First `remove`, then `set`, then `add`. Headers that frame the message or belong to one connection cannot be edited.",
    keys: &[
        Key::new("set", Shape::Map { min: 1, key: &HEADER_NAME, value: &Shape::Text(&HEADER_VALUE) })
            .doc("Takes the place of all headers of that name.")
            .example("{x-env: test}"),
        Key::new(
            "add",
            Shape::Map { min: 1, key: &HEADER_NAME, value: &Shape::OneOrMore(&Shape::Text(&HEADER_VALUE)) },
        )
        .doc("Added after those there are; several values make several headers.")
        .example("{link: [a, b]}"),
        Key::new("remove", Shape::List { min: 1, item: &Shape::Text(&HEADER_NAME) })
            .doc("All headers of these names are left out.")
            .example("[x-debug]"),
    ],
    later: &[],
    choice: None,
};

static REWRITE: Table = Table {
    name: "rewrite",
    doc: "At most one of the four changes of the path; `host` may come with any or alone. The query stays, unless the new path has one.",
    keys: &[
        Key::new("strip_prefix", Shape::Text(&PREFIX))
            .doc("Takes whole segments off the front of the path: `/api` makes `/api/users` into `/users`.")
            .example("/api"),
        Key::new("replace_prefix", Shape::Table(&REPLACE_PREFIX))
            .doc("Puts other segments in the place of those at the front.")
            .example("{from: /v1, to: /api/v1}"),
        Key::new("regex", Shape::Table(&REGEX))
            .doc("Replaces the first match of a regular expression (of linear time) in the path.")
            .example("{pattern: \"^/old/(.*)$\", to: \"/new/$1\"}"),
        Key::new("path", Shape::Text(&PATH_TEMPLATE))
            .doc("The whole new path. `{host}`, `{path}`, `{query}` and parameters of `match` are filled in.")
            .example("/index.html"),
        Key::new("host", Shape::Text(&NEW_HOST))
            .doc("The `Host` the service sees. Default: the client's.")
            .example("internal.test"),
    ],
    later: &[],
    choice: Some(Choice { keys: &["strip_prefix", "replace_prefix", "regex", "path"], required: false }),
};

static REPLACE_PREFIX: Table = Table {
    name: "replace_prefix",
    doc: "Whole segments at the front of the path.",
    keys: &[
        Key::new("from", Shape::Text(&PREFIX)).required().doc("What is taken off.").example("/v1"),
        Key::new("to", Shape::Text(&PREFIX)).required().doc("What takes its place.").example("/api/v1"),
    ],
    later: &[],
    choice: None,
};

static REGEX: Table = Table {
    name: "regex",
    doc: "A regular expression in the syntax of the Rust `regex` crate: no look-around and no back-references, so that it always runs in linear time.",
    keys: &[
        Key::new("pattern", Shape::Text(&PATTERN))
            .required()
            .doc("Applied to the path alone.")
            .example("\"^/old/(.*)$\""),
        Key::new("to", Shape::Text(&REPLACEMENT))
            .required()
            .doc("What takes the place of the match; `$1` stands for the first group, `$${name}` for a named one.")
            .example("\"/new/$1\""),
    ],
    later: &[],
    choice: None,
};

static REDIRECT: Table = Table {
    name: "redirect",
    doc: "The long form of `redirect`.",
    keys: &[
        Key::new("to", Shape::Text(&TEMPLATE))
            .required()
            .doc("The `Location`, with `{host}`, `{path}`, `{query}` and parameters of `match` filled in.")
            .example("\"https://{host}{path}\""),
        Key::new("status", Shape::Numbers(&[301, 302, 303, 307, 308]))
        .default("302")
        .doc("301 or 308: permanent, and browsers remember it for good. 302, 303 or 307: for now. 307 and 308 keep the method.")
        .example("308"),
    ],
    later: &[],
    choice: None,
};

static RESPOND: Table = Table {
    name: "respond",
    doc: "The long form of `respond`. Headers are added with the route's `headers`.",
    keys: &[
        Key::new("status", STATUS).default("200").doc("The status of the response.").example("503"),
        Key::new("body", Shape::Text(&BODY)).doc("The body, the same for everybody.").example("hello"),
        Key::new("content_type", Shape::Text(&HEADER_VALUE))
            .default("text/plain; charset=utf-8")
            .doc("The media type of the body; not sent without one.")
            .example("text/html; charset=utf-8"),
    ],
    later: &[],
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

const MILLISECOND: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);
/// Largest `body_max`: 1 TiB.
const BODY_BOUND: u64 = 1 << 40;

const SPAN: Shape = Shape::Time { min: MILLISECOND, max: Duration::from_secs(7 * 86_400) };
const STATUS: Shape = Shape::Count { min: 200, max: 599 };

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

static LISTEN: Text = Text {
    noun: "an address to listen on, such as `127.0.0.1:8080` or `:8080`",
    min: 1,
    max: 255,
    pattern: Some(r"^(http://)?[0-9a-zA-Z\[\]:.]*:[0-9]{1,5}$"),
};
static ADDRESS: Text = Text {
    noun: "an address, such as `127.0.0.1:3000` or `app.internal:3000`",
    min: 1,
    max: 300,
    pattern: Some(r"^[0-9a-zA-Z\[\]:._-]+:[0-9]{1,5}$"),
};
static BLOCK: Text = Text {
    noun: "an address or a block of addresses, such as `10.0.0.0/8`",
    min: 1,
    max: 64,
    pattern: Some(r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$"),
};
static NAME: Text = Text {
    noun: "a name of letters, digits, `-`, `_` and `.`",
    min: 1,
    max: 100,
    pattern: Some(r"^[0-9a-zA-Z_.-]+$"),
};
static LABEL: Text = Text { noun: "a name", min: 1, max: 200, pattern: None };
static SHORT_MATCH: Text =
    Text { noun: "a match, such as `shop.test/cart/*` or `GET /health`", min: 1, max: 10_000, pattern: None };
static HOST: Text =
    Text { noun: "a host name, such as `shop.test` or `*.shop.test`", min: 1, max: 255, pattern: None };
static NEW_HOST: Text =
    Text { noun: "a host name, such as `internal.test`", min: 1, max: 300, pattern: None };
static PATH: Text = Text { noun: "a path, such as `/cart/*`", min: 1, max: 10_000, pattern: Some("^[/*]") };
static PREFIX: Text = Text { noun: "a path, such as `/api`", min: 1, max: 10_000, pattern: Some("^/") };
static PATH_TEMPLATE: Text =
    Text { noun: "a path, such as `/index.html`", min: 1, max: 4_096, pattern: Some(r"^(/|\{path\})") };
static METHOD: Text = Text { noun: "a method, such as `GET`", min: 1, max: 100, pattern: None };
static HEADER_NAME: Text = Text {
    noun: "the name of a header, such as `x-env`",
    min: 1,
    max: 256,
    pattern: Some(r"^[0-9a-zA-Z!#$%&'*+.^_`|~-]+$"),
};
static HEADER_VALUE: Text = Text { noun: "the value of a header", min: 0, max: 8_192, pattern: None };
static QUERY_NAME: Text = Text { noun: "the name of a query parameter", min: 1, max: 1_000, pattern: None };
static MATCH_VALUE: Text =
    Text { noun: "a value, one with `*` at its end, or `*`", min: 0, max: 8_192, pattern: None };
static TEMPLATE: Text =
    Text { noun: "a URL, such as `https://{host}{path}` or `/new`", min: 1, max: 4_096, pattern: None };
static PATTERN: Text = Text { noun: "a regular expression", min: 1, max: 4_096, pattern: None };
static REPLACEMENT: Text =
    Text { noun: "a replacement, such as `/new/$1`", min: 0, max: 4_096, pattern: None };
static BODY: Text = Text { noun: "text", min: 0, max: 1 << 20, pattern: None };
static TOKEN: Text = Text { noun: "a token of 16 characters or more", min: 1, max: 1_024, pattern: None };
static FILE: Text = Text { noun: "the path of a file", min: 1, max: 4_096, pattern: None };
