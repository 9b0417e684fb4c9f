//! The keys of `upgrade`.

use std::time::Duration;

use super::super::schema::{Key, Shape, Table};
use super::texts::PROTOCOL;
use super::{DAY, MILLISECOND, SECOND};

/// What routes and `defaults` say about upgrades and gRPC-Web.
pub(super) const UPGRADE_KEY: Key = Key::new(
    "upgrade",
    Shape::Either(UPGRADE_SHAPES),
)
.doc("Protocols that connections may turn into, once the service has agreed with 101. Default: the one of `defaults`, else `websocket`.")
.example("[websocket, chat]");

const UPGRADE_SHAPES: &[Shape] = &[
    Shape::Word("off"),
    Shape::Text(&PROTOCOL),
    Shape::List { min: 1, item: &Shape::Text(&PROTOCOL) },
    Shape::Table(&UPGRADE),
];

pub(super) static UPGRADE: Table = Table {
    name: "upgrade",
    doc: "The long form of `upgrade`.",
    keys: &[
        Key::new("allow", Shape::OneOrMore(&Shape::Text(&PROTOCOL)))
            .default("websocket")
            .doc("Protocols that connections may turn into, as clients name them in `Upgrade`, without version.")
            .example("[websocket, chat]"),
        Key::new("idle", Shape::Time { min: MILLISECOND, max: DAY })
            .default("5m")
            .doc("Longest time without a byte in either direction.")
            .example("1h"),
        Key::new(
            "lifetime",
            Shape::Either(&[
                Shape::Word("off"),
                Shape::Time { min: SECOND, max: Duration::from_secs(30 * 86_400) },
            ]),
        )
        .default("off")
        .doc("How long such a connection may last in all.")
        .example("24h"),
    ],
    later: &[],
    choices: &[],
};
