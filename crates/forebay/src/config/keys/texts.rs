//! The kinds of text that values are.

use super::super::schema::Text;

pub(super) static LISTEN: Text = Text {
    noun: "an address to listen on, such as `https://0.0.0.0:443`, `127.0.0.1:8080` or `unix:/run/forebay.sock`",
    min: 1,
    max: 255,
    pattern: Some(r"^((https?://)?[0-9a-zA-Z\[\]:.]*:[0-9]{1,5}|unix:/.+)$"),
};
pub(super) static ADMIN_LISTEN: Text = Text {
    noun: "an address to listen on, such as `127.0.0.1:9900` or `:9900`",
    min: 1,
    max: 255,
    pattern: Some(r"^(http://)?[0-9a-zA-Z\[\]:.]*:[0-9]{1,5}$"),
};
pub(super) static ADDRESS: Text = Text {
    noun: "an address, such as `127.0.0.1:3000`, `app.internal:3000` or `unix:/run/app.sock`",
    min: 1,
    max: 300,
    pattern: Some(r"^([0-9a-zA-Z\[\]:._-]+:[0-9]{1,5}|_[0-9a-zA-Z-]+\._[0-9a-zA-Z._-]+|unix:/.+)$"),
};
pub(super) static NAME_SERVER: Text = Text {
    noun: "the address of a name server, such as `10.0.0.2` or `127.0.0.1:5353`",
    min: 1,
    max: 64,
    pattern: Some(r"^[0-9a-fA-F:.\[\]]+$"),
};
pub(super) static BLOCK: Text = Text {
    noun: "an address or a block of addresses, such as `10.0.0.0/8`",
    min: 1,
    max: 64,
    pattern: Some(r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$"),
};
pub(super) static NAME: Text = Text {
    noun: "a name of letters, digits, `-`, `_` and `.`",
    min: 1,
    max: 100,
    pattern: Some(r"^[0-9a-zA-Z_.-]+$"),
};
pub(super) static LABEL: Text = Text { noun: "a name", min: 1, max: 200, pattern: None };
pub(super) static SHORT_MATCH: Text =
    Text { noun: "a match, such as `shop.test/cart/*` or `GET /health`", min: 1, max: 10_000, pattern: None };
pub(super) static HOST: Text =
    Text { noun: "a host name, such as `shop.test` or `*.shop.test`", min: 1, max: 255, pattern: None };
pub(super) static NEW_HOST: Text =
    Text { noun: "a host name, such as `internal.test`", min: 1, max: 300, pattern: None };
pub(super) static PATH: Text =
    Text { noun: "a path, such as `/cart/*`", min: 1, max: 10_000, pattern: Some("^[/*]") };
pub(super) static PREFIX: Text =
    Text { noun: "a path, such as `/api`", min: 1, max: 10_000, pattern: Some("^/") };
pub(super) static PATH_TEMPLATE: Text =
    Text { noun: "a path, such as `/index.html`", min: 1, max: 4_096, pattern: Some(r"^(/|\{path\})") };
pub(super) static CHECK_PATH: Text =
    Text { noun: "a path, such as `/healthz`", min: 1, max: 4_096, pattern: Some("^/") };
pub(super) static STATUS_RANGE: Text = Text {
    noun: "a range of statuses, such as `200-299`",
    min: 1,
    max: 100,
    pattern: Some("^[2-5][0-9]{2}-[2-5][0-9]{2}$"),
};
pub(super) static WANTED: Text = Text { noun: "text", min: 1, max: 4_096, pattern: None };
pub(super) static METHOD: Text = Text { noun: "a method, such as `GET`", min: 1, max: 100, pattern: None };
pub(super) static HEADER_NAME: Text = Text {
    noun: "the name of a header, such as `x-env`",
    min: 1,
    max: 256,
    pattern: Some(r"^[0-9a-zA-Z!#$%&'*+.^_`|~-]+$"),
};
pub(super) static COOKIE_NAME: Text = Text {
    noun: "the name of a cookie, such as `session`",
    min: 1,
    max: 256,
    pattern: Some(r"^[0-9a-zA-Z!#$%&'*+.^_`|~-]+$"),
};
pub(super) static HEADER_VALUE: Text =
    Text { noun: "the value of a header", min: 0, max: 8_192, pattern: None };
pub(super) static QUERY_NAME: Text =
    Text { noun: "the name of a query parameter", min: 1, max: 1_000, pattern: None };
pub(super) static MATCH_VALUE: Text =
    Text { noun: "a value, one with `*` at its end, or `*`", min: 0, max: 8_192, pattern: None };
pub(super) static TEMPLATE: Text =
    Text { noun: "a URL, such as `https://{host}{path}` or `/new`", min: 1, max: 4_096, pattern: None };
pub(super) static PATTERN: Text = Text { noun: "a regular expression", min: 1, max: 4_096, pattern: None };
pub(super) static REPLACEMENT: Text =
    Text { noun: "a replacement, such as `/new/$1`", min: 0, max: 4_096, pattern: None };
pub(super) static BODY: Text = Text { noun: "text", min: 0, max: 1 << 20, pattern: None };
pub(super) static TOKEN: Text =
    Text { noun: "a token of 16 characters or more", min: 1, max: 1_024, pattern: None };
pub(super) static SHARE: Text = Text {
    noun: "a percentage, such as `1%`",
    min: 1,
    max: 16,
    pattern: Some(r"^[0-9]{1,3}(\.[0-9]{1,4})?%$"),
};
pub(super) static ROUTE_NAME: Text =
    Text { noun: "the name or the match of a route", min: 1, max: 10_000, pattern: None };
pub(super) static FILE: Text = Text { noun: "the path of a file", min: 1, max: 4_096, pattern: None };
pub(super) static FOLDER: Text = Text { noun: "the path of a folder", min: 1, max: 4_096, pattern: None };
pub(super) static DOMAIN: Text = Text {
    noun: "a host name, such as `shop.example.com`",
    min: 1,
    max: 253,
    pattern: Some(r"^[0-9a-zA-Z.-]+$"),
};
pub(super) static EMAIL: Text = Text {
    noun: "an address of e-mail, such as `ops@example.com`",
    min: 3,
    max: 254,
    pattern: Some(r"^[^@ ]+@[^@ ]+$"),
};
pub(super) static ACME_URL: Text =
    Text { noun: "the URL of an ACME server's directory", min: 1, max: 2_048, pattern: Some(r"^https?://") };
pub(super) static PROTOCOL: Text = Text {
    noun: "the name of a protocol, such as `websocket`",
    min: 1,
    max: 100,
    pattern: Some(r"^[0-9a-zA-Z!#$%&'*+.^_`|~-]+$"),
};
pub(super) static GRPC_SERVICE: Text =
    Text { noun: "the name of a gRPC service, such as `shop.Cart`", min: 0, max: 255, pattern: None };
