//! Every metric there is: name, type, meaning, labels, and where its numbers come from.

use super::Seen;
use super::page::{Page, Value};
use crate::collect::Route;
use crate::process::Usage;
use crate::stats::GrpcCodes;
use certificates::CERTIFICATES;
use protocols::PROTOCOLS;
pub(super) use upstreams::STATES;
use upstreams::UPSTREAMS;

mod certificates;
mod protocols;
mod upstreams;

/// Metrics that belong together.
pub(super) struct Section {
    pub(super) title: &'static str,
    pub(super) families: &'static [Family],
}

/// One metric and all its series.
pub(crate) struct Family {
    /// Full name as scraped, with its unit; counters end in `_total`.
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// One sentence, without a line break or backslash.
    pub(super) help: &'static str,
    pub(super) labels: &'static [&'static str],
    pub(super) samples: fn(&mut Page, &Seen<'_>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

const BY_ROUTE: &[&str] = &["route"];

/// In the order of the page. To add a metric, add it to its section: the page and its reference follow.
pub(super) const CATALOGUE: &[Section] = &[
    Section { title: "Requests", families: REQUESTS },
    Section { title: "Client connections", families: CONNECTIONS },
    Section { title: "Protocols", families: PROTOCOLS },
    Section { title: "Certificates", families: CERTIFICATES },
    Section { title: "Services and their endpoints", families: UPSTREAMS },
    Section { title: "Forebay itself", families: ITSELF },
    Section { title: "The process", families: PROCESS },
    Section { title: "The page of metrics", families: PAGE },
];

const REQUESTS: &[Family] = &[
    Family {
        name: "forebay_requests_total",
        kind: Kind::Counter,
        help: "Requests that have ended, by the class of their status, or aborted: the client left before the last byte, or Forebay had to end.",
        labels: &["route", "class"],
        samples: |page, seen| {
            for route in &seen.collected.routes {
                page.classes(&[&route.name], &route.requests);
            }
        },
    },
    Family {
        name: "forebay_requests_unrouted_total",
        kind: Kind::Counter,
        help: "Requests answered before a route was known: malformed, or matched by none.",
        labels: &["class"],
        samples: |page, seen| page.classes(&[], &seen.collected.unrouted),
    },
    Family {
        name: "forebay_requests_cut_total",
        kind: Kind::Counter,
        help: "Requests broken off because they had not ended when draining had to; they count as aborted too.",
        labels: &[],
        samples: |page, seen| page.sample(&[], seen.collected.cut),
    },
    Family {
        name: "forebay_requests_in_flight",
        kind: Kind::Gauge,
        help: "Requests between their head and their last byte.",
        labels: BY_ROUTE,
        samples: |page, seen| each_route(page, seen, |route| route.in_flight.into()),
    },
    Family {
        name: "forebay_request_duration_seconds",
        kind: Kind::Histogram,
        help: "From the end of a request's head to the last byte of its response.",
        labels: BY_ROUTE,
        samples: |page, seen| {
            for route in &seen.collected.routes {
                page.histogram(&[&route.name], &route.duration());
            }
        },
    },
    Family {
        name: "forebay_request_body_bytes_total",
        kind: Kind::Counter,
        help: "Bytes of request bodies received.",
        labels: BY_ROUTE,
        samples: |page, seen| each_route(page, seen, |route| route.bytes_in.into()),
    },
    Family {
        name: "forebay_response_body_bytes_total",
        kind: Kind::Counter,
        help: "Bytes of response bodies sent.",
        labels: BY_ROUTE,
        samples: |page, seen| each_route(page, seen, |route| route.bytes_out.into()),
    },
    Family {
        name: "forebay_grpc_responses_total",
        kind: Kind::Counter,
        help: "Responses to gRPC and gRPC-Web requests, Forebay's own included, by the name of their status; other: without one, or with a number gRPC does not know. Statuses that never occurred are left out.",
        labels: &["route", "code"],
        samples: |page, seen| {
            for route in &seen.collected.routes {
                for (code, &count) in GrpcCodes::LABELS.iter().zip(&route.grpc) {
                    if count > 0 {
                        page.sample(&[&route.name, code], count);
                    }
                }
            }
        },
    },
    Family {
        name: "forebay_refusals_total",
        kind: Kind::Counter,
        help: "Answers Forebay made itself instead of a service, by reason.",
        labels: &["reason"],
        samples: |page, seen| {
            for (reason, &count) in seen.telemetry.reasons().iter().zip(&seen.collected.refusals) {
                page.sample(&[reason], count);
            }
        },
    },
];

const CONNECTIONS: &[Family] = &[
    Family {
        name: "forebay_connections",
        kind: Kind::Gauge,
        help: "Open client connections: busy with a request, or idle between two.",
        labels: &["state"],
        samples: |page, seen| {
            let connections = seen.collected.connections;
            page.sample(&["busy"], connections.active - connections.idle);
            page.sample(&["idle"], connections.idle);
        },
    },
    Family {
        name: "forebay_connections_accepted_total",
        kind: Kind::Counter,
        help: "Client connections accepted, refused ones included.",
        labels: &[],
        samples: |page, seen| page.sample(&[], seen.collected.connections.accepted),
    },
    Family {
        name: "forebay_connections_refused_total",
        kind: Kind::Counter,
        help: "Client connections closed at once: their address had too many (per_ip).",
        labels: &["reason"],
        samples: |page, seen| page.sample(&["per_ip"], seen.collected.connections.refused_per_ip),
    },
];

const ITSELF: &[Family] = &[
    Family {
        name: "forebay_plan_generation",
        kind: Kind::Gauge,
        help: "Number of the plan being served: 1 at the start, one more with each reload.",
        labels: &[],
        samples: |page, seen| page.sample(&[], seen.telemetry.plan_generation()),
    },
    Family {
        name: "forebay_reloads_total",
        kind: Kind::Counter,
        help: "Reloads of the settings: succeeded, or failed and left the old plan running.",
        labels: &["result"],
        samples: |page, seen| {
            let (succeeded, failed) = seen.telemetry.reloads();
            page.sample(&["succeeded"], succeeded);
            page.sample(&["failed"], failed);
        },
    },
    Family {
        name: "forebay_access_log_dropped_total",
        kind: Kind::Counter,
        help: "Lines of the access log lost because its target could not keep up or failed.",
        labels: &[],
        samples: |page, seen| page.sample(&[], seen.telemetry.access_log_lost()),
    },
    Family {
        name: "forebay_record_requests_total",
        kind: Kind::Counter,
        help: "Requests picked for the recording: written, dropped for want of memory or because the file could not be written, or left out because the file has reached its limit.",
        labels: &["outcome"],
        samples: |page, seen| {
            let recorded = seen.telemetry.recorded();
            page.sample(&["written"], recorded.written());
            page.sample(&["dropped"], recorded.dropped());
            page.sample(&["limit"], recorded.limit());
        },
    },
    Family {
        name: "forebay_workers",
        kind: Kind::Gauge,
        help: "Worker threads of the data path.",
        labels: &[],
        samples: |page, seen| page.sample(&[], seen.telemetry.workers().len() as u64),
    },
    Family {
        name: "forebay_uptime_seconds",
        kind: Kind::Gauge,
        help: "Time since the start, by a clock that nobody sets.",
        labels: &[],
        samples: |page, seen| page.sample(&[], seen.uptime()),
    },
    Family {
        name: "forebay_build_info",
        kind: Kind::Gauge,
        help: "Always 1; the version is in the label.",
        labels: &["version"],
        samples: |page, _| page.sample(&[env!("CARGO_PKG_VERSION")], 1_u64),
    },
];

const PROCESS: &[Family] = &[
    Family {
        name: "process_cpu_seconds_total",
        kind: Kind::Counter,
        help: "CPU time of the process, user and kernel.",
        labels: &[],
        samples: |page, seen| of_process(page, seen, |usage| usage.cpu.into()),
    },
    Family {
        name: "process_resident_memory_bytes",
        kind: Kind::Gauge,
        help: "Memory of the process held in RAM.",
        labels: &[],
        samples: |page, seen| of_process(page, seen, |usage| usage.resident_bytes.into()),
    },
    Family {
        name: "process_open_fds",
        kind: Kind::Gauge,
        help: "Open file descriptors.",
        labels: &[],
        samples: |page, seen| of_process(page, seen, |usage| usage.open_fds.into()),
    },
    Family {
        name: "process_max_fds",
        kind: Kind::Gauge,
        help: "The most file descriptors the process may open.",
        labels: &[],
        samples: |page, seen| of_process(page, seen, |usage| usage.max_fds.into()),
    },
    Family {
        name: "process_start_time_seconds",
        kind: Kind::Gauge,
        help: "When the process started, in seconds since 1970.",
        labels: &[],
        samples: |page, seen| page.sample(&[], seen.started_unix()),
    },
];

const PAGE: &[Family] = &[Family {
    name: "forebay_metrics_omitted_series",
    kind: Kind::Gauge,
    help: "Series left out above because the page had grown too long, or there are too many endpoints to show each; anything but 0 means numbers are missing.",
    labels: &[],
    samples: Page::omissions,
}];

fn each_route(page: &mut Page, seen: &Seen<'_>, value: fn(&Route) -> Value) {
    for route in &seen.collected.routes {
        page.sample(&[&route.name], value(route));
    }
}

fn of_process(page: &mut Page, seen: &Seen<'_>, value: fn(Usage) -> Value) {
    if let Some(usage) = seen.usage {
        page.sample(&[], value(usage));
    }
}
