//! The keys of steps.

use super::texts::{
    BODY, CONTENT, FILE, HEADER_NAME, JSON_PATH, LABEL, METHOD, NAME, PATH, PATTERN, REQUEST, STATUS, TAG,
    TEMPLATE, THINK, TITLE,
};
use super::{HOUR, MILLISECOND, TIMEOUT};
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
        Key::new("grpc", Shape::Table(&GRPC))
            .doc("A unary call of gRPC instead of a request. It needs HTTP/2.")
            .example("{method: shop.Cart/Add, message: {hex: 0a0474657374}}"),
        Key::new("websocket", Shape::Table(&WEBSOCKET))
            .doc("Messages over a WebSocket instead of a request; each is counted and timed like one.")
            .example("{path: /chat, send: hello}"),
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
        Choice {
            keys: &["get", "post", "put", "patch", "delete", "head", "request", "grpc", "websocket"],
            how: Choose::One,
        },
        Choice { keys: &["json", "body", "body_file", "grpc", "websocket"], how: Choose::AtMostOne },
        Choice { keys: &["capture", "grpc", "websocket"], how: Choose::AtMostOne },
        Choice { keys: &["expect", "grpc", "websocket"], how: Choose::AtMostOne },
    ],
};

pub(super) static GRPC: Table = Table {
    name: "grpc",
    doc: "A unary call of gRPC. It is ok if it ends with the `grpc-status` that is expected; any other is an error of its own kind, such as `grpc_unavailable`.",
    keys: &[
        Key::new("method", Shape::Text(&METHOD))
            .required()
            .doc("What is called: package and service, then the method.")
            .example("shop.Cart/Remove"),
        Key::new("message", Shape::Table(&MESSAGE))
            .doc("The message, as the bytes it is encoded to. Default: an empty one, all of whose fields have their defaults.")
            .example("{base64: CgR0ZXN0}"),
        Key::new("metadata", Shape::Map { min: 1, key: &HEADER_NAME, value: &Shape::Text(&TEMPLATE) })
            .doc("Metadata of the call; the value of a name that ends with `-bin` is base64.")
            .example("{authorization: \"Bearer {{ $uuid }}\"}"),
        Key::new("status", Shape::Count { min: 0, max: 16 })
            .default("0")
            .doc("The `grpc-status` that is expected; 0 is OK.")
            .example("5"),
    ],
    later: &["proto", "json"],
    choices: &[],
};

pub(super) static MESSAGE: Table = Table {
    name: "message",
    doc: "A message of gRPC: the bytes of its encoding, without the five that go before them on the wire.",
    keys: &[
        Key::new("hex", Shape::Text(&CONTENT))
            .doc("In pairs of hexadecimal digits.")
            .example("0a 04 74 65 73 74"),
        Key::new("base64", Shape::Text(&CONTENT)).doc("In base64.").example("CgR0ZXN0"),
        Key::new("file", Shape::Text(&FILE)).doc("A file that holds just these bytes.").example("body.bin"),
    ],
    later: &[],
    choices: &[Choice { keys: &["hex", "base64", "file"], how: Choose::One }],
};

pub(super) static WEBSOCKET: Table = Table {
    name: "websocket",
    doc: "Messages over a WebSocket that is opened over HTTP/1.1 (`wss` where the target is `https://`) and closed after them. Each is a request as far as counts and times go, from sending to what comes back; opening is part of the first one's time. `timeout` holds for each.",
    keys: &[
        Key::new("path", Shape::Text(&PATH)).required().doc("Where it is asked for.").example("/chat"),
        Key::new("send", Shape::Text(&BODY)).doc("The message, as text.").example("\"hello {{ $uuid }}\""),
        Key::new("send_file", Shape::Text(&FILE))
            .doc("A file that is the message, byte for byte; nothing is filled in.")
            .example("body.bin"),
        Key::new("expect", Shape::Either(&[Shape::Word("echo"), Shape::Word("none")]))
            .default("echo")
            .doc("What comes back: the same message, or nothing that is waited for, so that times are only those of sending. Other messages before it are passed over.")
            .example("none"),
        Key::new("regex", Shape::Text(&PATTERN))
            .doc("A regular expression (of linear time) that the message that comes back matches.")
            .example("'\"ok\"'"),
        Key::new("messages", Shape::Count { min: 1, max: 1_000_000 })
            .default("1")
            .doc("How many are sent, unless the last stage ends before.")
            .example("10"),
        Key::new("interval", Shape::Time { min: MILLISECOND, max: HOUR })
            .doc("From one message to the next. One that has to wait for the one before counts from when it was due. Default: the next is sent once the last is answered.")
            .example("100ms"),
    ],
    later: &[],
    choices: &[
        Choice { keys: &["send", "send_file"], how: Choose::One },
        Choice { keys: &["expect", "regex"], how: Choose::AtMostOne },
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
