//! Keys of `record`.

use super::super::schema::{Key, Shape, Table};
use super::texts::{FILE, HEADER_NAME, QUERY_NAME, ROUTE_NAME, SHARE};

pub(super) static RECORD: Table = Table {
    name: "record",
    doc: "The long form of `record`. A recording holds what clients sent, personal data included: its file can be read by its owner alone, and bodies are written as they are. Where they hold secrets, write `body_max: 0` or name the `routes`.",
    keys: &[
        Key::new("file", Shape::Text(&FILE))
            .required()
            .doc("Where requests go. Always a new file: where there is one of that name, `-2`, `-3` and so on up to `-100` is added to the name. A relative path begins at the settings file.")
            .example("traffic.jsonl"),
        Key::new("sample", Shape::Text(&SHARE))
            .default("1%")
            .doc("How many of the requests are written, picked by chance.")
            .example("100%"),
        Key::new("routes", Shape::Either(&[Shape::Word("all"), Shape::List { min: 1, item: &Shape::Text(&ROUTE_NAME) }]))
            .default("all")
            .doc("Whose requests: those of every route, or of these, each by its `name` or its `match`.")
            .example("[/*]"),
        Key::new("body_max", Shape::Size { min: 0, max: 8 << 20 })
            .default("64KiB")
            .doc("Longest body that is written; of longer ones only the length is. 0: no bodies.")
            .example("0"),
        Key::new("bytes_max", Shape::Size { min: 1 << 10, max: 1 << 40 })
            .default("100MiB")
            .doc("Largest size of the file. Before it would be exceeded the recording ends, and the log says so.")
            .example("1GiB"),
        Key::new("redact", Shape::List { min: 0, item: &Shape::Text(&HEADER_NAME) })
            .default("[authorization, cookie, set-cookie, proxy-authorization, x-api-key]")
            .doc("Headers whose values are replaced by `REDACTED`. What stands here takes the place of the default.")
            .example("[authorization, cookie, x-session]"),
        Key::new("redact_query", Shape::List { min: 0, item: &Shape::Text(&QUERY_NAME) })
            .default("[token, access_token, api_key, key, password]")
            .doc("Query parameters whose values are replaced by `REDACTED`, in the target and in `Referer`. What stands here takes the place of the default.")
            .example("[token, session]"),
    ],
    later: &[],
    choices: &[],
};
