//! The keys of `dns`.

use std::time::Duration;

use super::super::schema::{Key, Shape, Table};
use super::DAY;
use super::texts::NAME_SERVER;

/// Asking more often than this would be load, not discovery.
const TTL: Shape = Shape::Time { min: Duration::from_millis(10), max: DAY };

pub(super) static DNS: Table = Table {
    name: "dns",
    doc: "How names among endpoints are looked up. A name is asked for again when the TTL of its answer has passed. An answer that fails, or has no address, changes nothing: the last good one holds.",
    keys: &[
        Key::new("servers", Shape::List { min: 0, item: &Shape::Text(&NAME_SERVER) })
            .default("[]")
            .doc("Name servers to ask in place of the system's, with port 53 unless they name another. None: those of `/etc/resolv.conf`.")
            .example("[10.0.0.2, \"127.0.0.1:5353\"]"),
        Key::new("ttl_min", TTL).default("1s").doc("A name is not asked for again sooner than this.").example("5s"),
        Key::new("ttl_max", TTL).default("5m").doc("Nor later than this.").example("30s"),
        Key::new("timeout", Shape::Time { min: Duration::from_millis(10), max: Duration::from_secs(60) })
            .default("2s")
            .doc("For one question to one server.")
            .example("500ms"),
        Key::new(
            "family",
            Shape::Either(&[
                Shape::Word("auto"),
                Shape::Word("ipv4"),
                Shape::Word("ipv6"),
                Shape::Word("both"),
            ]),
        )
        .default("auto")
        .doc("Which addresses of a name are endpoints. `auto`: the IPv4 ones if there are any, else the IPv6 ones.")
        .example("both"),
    ],
    later: &[],
    choices: &[],
};
