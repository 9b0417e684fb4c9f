//! The keys of steps.

use super::TIMEOUT;
use super::texts::{
    BODY, CONTENT, FILE, HEADER_NAME, JSON_PATH, LABEL, NAME, PATH, PATTERN, REQUEST, STATUS, TAG, TEMPLATE,
    THINK, TITLE,
};
use crate::config::schema::{Choice, Choose, Key, Shape, Table};

pub(super) static STEP: Table = Table {
    name: "step",
    doc: "An item of `steps`: one request, and what is done with its answer. The method is the key of the path.",
    keys: &[
        Key::new("get", Shape::Text(&PATH)).doc("The path of a GET, with its query.").example("\"/items/1?full=yes\""),
        Key::new("post", Shape::Text(&PATH)).doc("The path of a POST.").example("/cart"),
        Key::new("put", Shape::Text(&PATH)).doc("The path of a PUT.").example("/items/1"),
        Key::new("patch", Shape::Text(&PATH)).doc("The path of a PATCH.").example("/items/1"),
        Key::new("delete", Shape::Text(&PATH)).doc("The path of a DELETE.").example("/items/1"),
        Key::new("head", Shape::Text(&PATH)).doc("The path of a HEAD.").example("/items/1"),
        Key::new("request", Shape::Text(&REQUEST)).doc("Any other method, and the path.").example("PURGE /cache"),
        Key::new("name", Shape::Text(&TITLE))
            .doc("What reports call it; steps of the same name are counted together. Default: method and path.")
            .example("item"),
        Key::new("headers", Shape::Map { min: 1, key: &HEADER_NAME, value: &Shape::Text(&TEMPLATE) })
            .doc("Headers of this request. `Host`, `Content-Length` and `Connection` are written anyway.")
            .example("{if-none-match: \"*\"}"),
        Key::new("json", Shape::Any)
            .doc("The body as JSON; `content-type` is `application/json` unless `headers` says otherwise. A value in braces is part of a text: for a number write `body`.")
            .example("{item: 1, note: \"by a test\"}"),
        Key::new("body", Shape::Text(&BODY)).doc("The body.").example("a=1&b=2"),
        Key::new("body_file", Shape::Text(&FILE))
            .doc("A file that is the body, byte for byte; nothing is filled in.")
            .example("body.bin"),
        Key::new("timeout", TIMEOUT)
            .doc("Longest time for this request, from connecting to the last byte of the answer.")
            .example("2s"),
        Key::new("think", Shape::Text(&THINK))
            .doc("Pause before the next step: a duration, or two to choose between.")
            .example("1s..3s"),
        Key::new("capture", Shape::Map { min: 1, key: &LABEL, value: &Shape::Table(&CAPTURE) })
            .doc("What later steps of the scenario need from the answer, by the name they use. If nothing is found, the step has failed and the rest is left out.")
            .example("{token: {json: $.token}}"),
        Key::new("expect", Shape::Table(&EXPECT))
            .doc("What the answer must be like. Default: a status below 400.")
            .example("{status: 200}"),
        Key::new("tags", Shape::Map { min: 1, key: &NAME, value: &Shape::Text(&TAG) })
            .doc("Words that thresholds select by.")
            .example("{kind: write}"),
    ],
    later: &["loop", "if"],
    choices: &[
        Choice { keys: &["get", "post", "put", "patch", "delete", "head", "request"], how: Choose::One },
        Choice { keys: &["json", "body", "body_file"], how: Choose::AtMostOne },
    ],
};

pub(super) static CAPTURE: Table = Table {
    name: "capture",
    doc: "Where a captured value is found.",
    keys: &[
        Key::new("json", Shape::Text(&JSON_PATH)).doc("A place in the body, which is JSON.").example("\"$.items[0].id\""),
        Key::new("header", Shape::Text(&HEADER_NAME)).doc("A header.").example("etag"),
        Key::new("regex", Shape::Text(&PATTERN))
            .doc("The first group of a regular expression (of linear time) in the body, or its match if there is no group.")
            .example("'id=(\\d+)'"),
    ],
    later: &["cookie", "xpath"],
    choices: &[Choice { keys: &["json", "header", "regex"], how: Choose::One }],
};

pub(super) static EXPECT: Table = Table {
    name: "expect",
    doc: "What an answer must be like; everything written must hold.",
    keys: &[
        Key::new("status", Shape::OneOrMore(&Shape::Text(&STATUS)))
            .doc("One of these: a status, a class such as `2xx`, or a bound such as `<400`. Default: below 400.")
            .example("[200, 204]"),
        Key::new("contains", Shape::OneOrMore(&Shape::Text(&CONTENT)))
            .doc("A text that the body contains, or several, all of them.")
            .example("in stock"),
        Key::new("regex", Shape::Text(&PATTERN))
            .doc("A regular expression (of linear time) that the body matches somewhere.")
            .example("'^ok$'"),
        Key::new("json", Shape::Map { min: 1, key: &JSON_PATH, value: &Shape::Any })
            .doc("Places in the body, which is JSON, and what stands there; `*`: anything, `null`: null.")
            .example("{$.ok: true}"),
        Key::new("header", Shape::Map { min: 1, key: &HEADER_NAME, value: &Shape::Text(&CONTENT) })
            .doc("Headers, and a text that each contains; `*`: anything.")
            .example("{content-type: json}"),
        Key::new("body_max", Shape::Size { min: 0, max: 1 << 40 })
            .doc("Most bytes the body may have.")
            .example("1MiB"),
    ],
    later: &[],
    choices: &[],
};
