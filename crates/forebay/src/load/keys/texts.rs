//! The kinds of text that values of load plans are.

use crate::config::schema::Text;

pub(super) static URL: Text =
    Text { noun: "a URL, such as `http://127.0.0.1:8080`", min: 1, max: 8_192, pattern: Some("^https?://") };
pub(super) static TITLE: Text = Text { noun: "a name", min: 1, max: 200, pattern: None };
pub(super) static TAG: Text = Text { noun: "a text", min: 0, max: 8_192, pattern: None };
pub(super) static NAME: Text = Text {
    noun: "a name of letters, digits, `-`, `_` and `.`",
    min: 1,
    max: 100,
    pattern: Some(r"^[0-9a-zA-Z_.-]+$"),
};
pub(super) static LABEL: Text = Text {
    noun: "a name of letters, digits, `_`, `-` and `.`",
    min: 1,
    max: 100,
    pattern: Some(r"^[a-zA-Z_][0-9a-zA-Z_.-]*$"),
};
pub(super) static STAGES: Text =
    Text { noun: "stages in a line, such as `30s@50, 1m@50..200`", min: 1, max: 8_192, pattern: Some("@") };
pub(super) static LEVEL: Text = Text { noun: "a level, such as `50/s`", min: 1, max: 40, pattern: None };
pub(super) static THRESHOLD: Text =
    Text { noun: "a condition, such as `p(95)<100ms`", min: 1, max: 500, pattern: None };
pub(super) static PATH: Text =
    Text { noun: "a path, such as `/items/{{ id }}`", min: 1, max: 8_192, pattern: Some("^/") };
pub(super) static METHOD: Text = Text {
    noun: "a service and a method, such as `shop.Cart/Add`",
    min: 3,
    max: 1_000,
    pattern: Some("^[0-9a-zA-Z_.]+/[0-9a-zA-Z_]+$"),
};
pub(super) static REQUEST: Text = Text {
    noun: "a method and a path, such as `PURGE /cache`",
    min: 1,
    max: 8_292,
    pattern: Some("^[!-~]+ +"),
};
pub(super) static HEADER_NAME: Text = Text {
    noun: "the name of a header, such as `x-env`",
    min: 1,
    max: 256,
    pattern: Some(r"^[0-9a-zA-Z!#$%&'*+.^_`|~-]+$"),
};
pub(super) static TEMPLATE: Text = Text { noun: "the value of a header", min: 0, max: 8_192, pattern: None };
pub(super) static BODY: Text = Text { noun: "text", min: 0, max: 1 << 20, pattern: None };
pub(super) static HOST: Text = Text { noun: "a name, such as `shop.test`", min: 1, max: 253, pattern: None };
pub(super) static FILE: Text = Text { noun: "the path of a file", min: 1, max: 4_096, pattern: None };
pub(super) static THINK: Text =
    Text { noun: "a duration or two, such as `1s` or `1s..3s`", min: 1, max: 100, pattern: Some("^[0-9]") };
pub(super) static JSON_PATH: Text =
    Text { noun: "a place in JSON, such as `$.items[0].id`", min: 1, max: 1_000, pattern: None };
pub(super) static PATTERN: Text = Text { noun: "a regular expression", min: 1, max: 4_096, pattern: None };
pub(super) static STATUS: Text =
    Text { noun: "a status, such as `200` or `2xx`", min: 1, max: 40, pattern: None };
pub(super) static WORD: Text = Text { noun: "a word of a command", min: 0, max: 4_096, pattern: None };
pub(super) static PROBE: Text =
    Text { noun: "an address or a URL, such as `127.0.0.1:3000`", min: 1, max: 8_192, pattern: None };
pub(super) static SHARE: Text =
    Text { noun: "a share, such as `0.1%`", min: 1, max: 40, pattern: Some("%$") };
pub(super) static CONTENT: Text = Text { noun: "a text", min: 1, max: 8_192, pattern: None };
