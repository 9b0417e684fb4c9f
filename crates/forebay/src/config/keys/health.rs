//! The keys of `health` and `outlier`.

use std::time::Duration;

use super::super::schema::{Choice, Choose, Key, Shape, Table};
use super::texts::{CHECK_PATH, GRPC_SERVICE, HEADER_NAME, HEADER_VALUE, NEW_HOST, STATUS_RANGE, WANTED};
use super::{DAY, HOUR, MILLISECOND, SECOND, STATUS};

/// Checks more often than this would be load, not checks.
const INTERVAL: Shape = Shape::Time { min: Duration::from_millis(100), max: HOUR };
const IN_A_ROW: Shape = Shape::Count { min: 1, max: 100 };

pub(super) static HEALTH: Table = Table {
    name: "health",
    doc: "The long form of `health`. Endpoints are asked by one thread, each at its own time; a check never begins before the last one of that endpoint has ended, so `timeout` may be longer than `interval`. An endpoint that is new gets requests once a check has passed; as long as none of the service's has, those not checked yet get them all the same.",
    keys: &[
        Key::new("path", Shape::Text(&CHECK_PATH))
            .doc("Path and query of a GET that has to be answered as expected.")
            .example("/healthz"),
        Key::new("tcp", Shape::Switch).doc("`true`: it is enough that a connection can be made.").example("true"),
        Key::new("grpc", Shape::Text(&GRPC_SERVICE))
            .doc("A gRPC service that has to be serving, as `grpc.health.v1.Health` says; `\"\"`: the server as a whole. Needs HTTP/2 (`protocol`).")
            .example("shop.Cart"),
        Key::new("interval", INTERVAL)
            .default("2s")
            .doc("Between two checks of one endpoint, give or take a tenth.")
            .example("10s"),
        Key::new("timeout", Shape::Time { min: MILLISECOND, max: Duration::from_secs(300) })
            .default("1s")
            .doc("From connecting to the last byte of the answer.")
            .example("500ms"),
        Key::new("rise", IN_A_ROW)
            .default("2")
            .doc("Successes in a row that bring an endpoint back.")
            .example("3"),
        Key::new("fall", IN_A_ROW).default("2").doc("Failures in a row that take it out.").example("3"),
        Key::new("fast_interval", INTERVAL)
            .default("250ms")
            .doc("Between two checks while it is not yet decided: after the first failure, or the first success. Never longer than `interval`.")
            .example("500ms"),
        Key::new("port", Shape::Count { min: 1, max: 65_535 })
            .doc("Another port to ask at, without TLS or PROXY header, by HTTP/1.1 or, for `grpc`, HTTP/2. Default: the endpoint's own, and asked as requests are sent.")
            .example("8081"),
        Key::new("host", Shape::Text(&NEW_HOST))
            .doc("`Host` of the request. Default: the endpoint as written in the settings.")
            .example("shop.test"),
        Key::new(
            "headers",
            Shape::Map { min: 0, key: &HEADER_NAME, value: &Shape::Text(&HEADER_VALUE) },
        )
        .doc("More headers of the request.")
        .example("{x-check: gateway}"),
        Key::new(
            "status",
            Shape::OneOrMore(&Shape::Either(&[STATUS, Shape::Text(&STATUS_RANGE)])),
        )
        .default("200-299")
        .doc("Statuses that are expected, one by one or as ranges.")
        .example("[200, 300-399]"),
        Key::new("body", Shape::Text(&WANTED))
            .doc("A text that has to stand within the first 64 KiB of the answer's body.")
            .example("\"ok\""),
    ],
    later: &[],
    choices: &[Choice { keys: &["path", "tcp", "grpc"], how: Choose::One }],
};

pub(super) static OUTLIER: Table = Table {
    name: "outlier",
    doc: "The long form of `outlier`. What is not written is as with `outlier: on`. An ejected endpoint gets no requests for `eject_for`; each further ejection in a row lasts as much longer, up to `eject_for_max`, and a while without trouble takes it back.",
    keys: &[
        Key::new("connect_failures", Shape::Either(&[Shape::Word("off"), Shape::Count { min: 0, max: 10_000 }]))
            .default("3")
            .doc("So many connections in a row could not be opened.")
            .example("5"),
        Key::new("failures", Shape::Either(&[Shape::Word("off"), Shape::Count { min: 0, max: 10_000 }]))
            .default("5")
            .doc("So many requests in a row failed: no connection, no answer in time, a broken connection, a status from 500 on, or one of gRPC that says that the server has failed: `UNKNOWN`, `INTERNAL`, `UNAVAILABLE`, `DATA_LOSS`, and `DEADLINE_EXCEEDED` if the caller set no deadline.")
            .example("10"),
        Key::new("error_ratio", Shape::Either(&[Shape::Word("off"), Shape::Percent { min: 0, max: 100 }]))
            .default("20%")
            .doc("Within a window, the share of failed requests exceeds that of the other endpoints by so many points of percent.")
            .example("10%"),
        Key::new("latency_factor", Shape::Either(&[Shape::Word("off"), Shape::Count { min: 2, max: 1_000 }]))
            .default("5")
            .doc("Within a window, the mean time to the first byte is so many times the median of the other endpoints'.")
            .example("3"),
        Key::new("window", Shape::Time { min: SECOND, max: HOUR })
            .default("10s")
            .doc("How long a window is.")
            .example("30s"),
        Key::new("requests_min", Shape::Count { min: 1, max: 1_000_000 })
            .default("100")
            .doc("Requests an endpoint needs within a window to be compared with the others.")
            .example("20"),
        Key::new("eject_for", Shape::Time { min: Duration::from_millis(100), max: DAY })
            .default("5s")
            .doc("How long the first ejection lasts. An endpoint that cannot be connected to is tried after a second, and comes back as soon as it can be.")
            .example("10s"),
        Key::new("eject_for_max", Shape::Time { min: Duration::from_millis(100), max: DAY })
            .default("5m")
            .doc("How long the longest one lasts.")
            .example("1m"),
        Key::new("ejected_max", Shape::Percent { min: 0, max: 100 })
            .default("50%")
            .doc("Most endpoints of the service ejected at a time; but one may always be, if there are others.")
            .example("30%"),
    ],
    later: &[],
    choices: &[],
};
