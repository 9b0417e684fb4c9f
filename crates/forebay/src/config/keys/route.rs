//! The keys of routes.

use super::super::schema::{Choice, Choose, Key, Shape, Table};
use super::texts::{
    BODY, COOKIE_NAME, HEADER_NAME, HEADER_VALUE, HOST, LABEL, MATCH_VALUE, METHOD, NAME, NEW_HOST, PATH,
    PATH_TEMPLATE, PATTERN, PREFIX, QUERY_NAME, REPLACEMENT, SHORT_MATCH, TEMPLATE,
};
use super::{BODY_MAX, DAY, FIRST_BYTE, GRPC_WEB, IDLE, SECOND, SPAN, STATUS, TOTAL, UPGRADE_KEY};

pub(super) static ROUTE: Table = Table {
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
                Shape::Table(&SPLIT),
                Shape::Map { min: 1, key: &NAME, value: &Shape::Count { min: 0, max: 1_000_000 } },
            ]),
        )
        .doc("The service to forward to, or several with their weights: `{shop: 95, shop-next: 5}`, or one for reads and one for writes: `{read: replica, write: primary}`.")
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
        UPGRADE_KEY,
        GRPC_WEB,
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
    choices: &[Choice { keys: &["to", "redirect", "respond"], how: Choose::One }],
};

pub(super) static SPLIT: Table = Table {
    name: "split",
    doc: "The form of `to` that parts reads from writes. Safe methods (GET, HEAD, OPTIONS, TRACE) read, all others write.",
    keys: &[
        Key::new("read", Shape::Text(&NAME)).required().doc("The service that is read from.").example("app"),
        Key::new("write", Shape::Text(&NAME))
            .required()
            .doc("The service that is written to.")
            .example("spare"),
        Key::new("read_after_write", Shape::Either(&[Shape::Word("off"), STAY, Shape::Table(&READ_AFTER_WRITE)]))
            .default("off")
            .doc("A client that has written reads from the service it wrote to for so long, so that it does not miss its own write. Whole seconds. A duration alone is `stay`.")
            .example("5s"),
    ],
    later: &[],
    choices: &[],
};

pub(super) static READ_AFTER_WRITE: Table = Table {
    name: "read_after_write",
    doc: "The long form of `read_after_write`: by what a client that has written is known again. Without `cookie` and `header`, by the cookie `forebay_wrote`.",
    keys: &[
        Key::new("stay", STAY)
            .required()
            .doc("For how long after its last write. Whole seconds; longer than replicas lag behind.")
            .example("5s"),
        Key::new("cookie", Shape::Text(&COOKIE_NAME))
            .default("forebay_wrote")
            .doc("A cookie that is set with the answer to a write.")
            .example("wrote"),
        Key::new("header", Shape::Text(&HEADER_NAME))
            .doc("A header the client sends with every request, such as a user's id. Remembered by each gateway for itself.")
            .example("x-user"),
    ],
    later: &[],
    choices: &[Choice { keys: &["cookie", "header"], how: Choose::AtMostOne }],
};

const STAY: Shape = Shape::Time { min: SECOND, max: DAY };

pub(super) static MATCH: Table = Table {
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
    choices: &[],
};

pub(super) static ROUTE_TIMEOUT: Table = Table {
    name: "route_timeout",
    doc: "The long form of `timeout` in a route. `connect` is the service's own.",
    keys: &[FIRST_BYTE, IDLE, TOTAL],
    later: &[],
    choices: &[],
};

pub(super) static HEADERS: Table = Table {
    name: "headers",
    doc: "Header edits of a route or of `defaults`. A header a route names replaces what `defaults` does with that header; others are kept.",
    keys: &[
        Key::new("request", Shape::Table(&EDITS))
            .doc("On the way to the service.")
            .example("{set: {x-env: test}}"),
        Key::new("response", Shape::Table(&EDITS))
            .doc("On the way to the client; answers Forebay makes itself for this route are edited too, and interim ones (1xx) and trailers as `edits` says.")
            .example("{remove: [server]}"),
    ],
    later: &[],
    choices: &[],
};

pub(super) static EDITS: Table = Table {
    name: "edits",
    doc: "First `remove`, then `set`, then `add`. Headers that frame the message or belong to one connection cannot be edited. What is removed or set is also taken out of trailers and of interim (1xx) answers; what is set or added goes into the head of the request or of the final answer alone.",
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
    choices: &[],
};

pub(super) static REWRITE: Table = Table {
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
    choices: &[Choice { keys: &["strip_prefix", "replace_prefix", "regex", "path"], how: Choose::AtMostOne }],
};

pub(super) static REPLACE_PREFIX: Table = Table {
    name: "replace_prefix",
    doc: "Whole segments at the front of the path.",
    keys: &[
        Key::new("from", Shape::Text(&PREFIX)).required().doc("What is taken off.").example("/v1"),
        Key::new("to", Shape::Text(&PREFIX)).required().doc("What takes its place.").example("/api/v1"),
    ],
    later: &[],
    choices: &[],
};

pub(super) static REGEX: Table = Table {
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
    choices: &[],
};

pub(super) static REDIRECT: Table = Table {
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
    choices: &[],
};

pub(super) static RESPOND: Table = Table {
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
    choices: &[],
};
