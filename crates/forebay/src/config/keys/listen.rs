//! The keys of `listen`.

use super::super::schema::{Key, Shape, Table};
use super::ON_OFF;
use super::texts::LISTEN;

pub(super) static LISTENER: Table = Table {
    name: "listener",
    doc: "The long form of an item of `listen`.",
    keys: &[
        Key::new("address", Shape::Text(&LISTEN))
            .required()
            .doc("As the short form: `https://0.0.0.0:443`, `127.0.0.1:8080` or `unix:/run/forebay.sock`.")
            .example("127.0.0.1:8081"),
        Key::new("http2", ON_OFF)
            .default("on")
            .doc("Offer HTTP/2: by ALPN with TLS, else to clients that begin with it.")
            .example("off"),
        Key::new("http3", ON_OFF)
            .default("off")
            .doc("Offer HTTP/3 as well, at the UDP port of the same number, and say so to clients (`Alt-Svc`). Only with `https://`.")
            .example("on"),
        Key::new("proxy_protocol", ON_OFF)
            .default("off")
            .doc("Every connection begins with a PROXY protocol header, version 1 or 2, which says who the client is. Only `trusted_proxies` may connect; others are closed at once, and so is who sends no header.")
            .example("on"),
    ],
    later: &[],
    choices: &[],
};
