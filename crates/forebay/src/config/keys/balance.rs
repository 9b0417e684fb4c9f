//! The keys of `balance`.

use std::time::Duration;

use super::super::schema::{Choice, Choose, Key, Shape, Table};
use super::SECOND;
use super::texts::{COOKIE_NAME, HEADER_NAME};

/// What browsers cut longer lives of cookies to: 400 days.
const COOKIE_LIFE_MAX: Duration = Duration::from_secs(400 * 86_400);

pub(super) static BALANCE: Table = Table {
    name: "balance",
    doc: "The long form of `balance`, for what sends like requests to the same endpoint.",
    keys: &[
        Key::new("hash", Shape::Either(&[Shape::Word("path"), Shape::Word("client"), Shape::Table(&HASH)]))
            .doc("The same endpoint for the same key, unless it has far more to do than the others. An endpoint that comes or goes takes only its own share of keys along. `path`: the path without its query; `client`: the client's address.")
            .example("{header: x-tenant}"),
        Key::new("sticky", Shape::Table(&STICKY))
            .doc("The endpoint a cookie names; who has none gets the least loaded, and a cookie. When that endpoint is out, another one takes over.")
            .example("{cookie: backend, ttl: 1h}"),
    ],
    later: &[],
    choices: &[Choice { keys: &["hash", "sticky"], how: Choose::One }],
};

pub(super) static HASH: Table = Table {
    name: "hash",
    doc: "What `hash` takes for the key. A request that lacks it goes by the client's address.",
    keys: &[
        Key::new("header", Shape::Text(&HEADER_NAME))
            .doc("The first header of this name.")
            .example("x-tenant"),
        Key::new("cookie", Shape::Text(&COOKIE_NAME)).doc("The cookie of this name.").example("session"),
    ],
    later: &[],
    choices: &[Choice { keys: &["header", "cookie"], how: Choose::One }],
};

pub(super) static STICKY: Table = Table {
    name: "sticky",
    doc: "The cookie of `sticky`.",
    keys: &[
        Key::new("cookie", Shape::Text(&COOKIE_NAME))
            .doc("Its name. Default: `forebay_` and the name of the service.")
            .example("backend"),
        Key::new("ttl", Shape::Time { min: SECOND, max: COOKIE_LIFE_MAX })
            .doc("How long browsers keep it, in whole seconds. Default: until they are closed.")
            .example("1h"),
    ],
    later: &[],
    choices: &[],
};
