//! Metrics of services and their endpoints.

use super::super::page::{Page, Value};
use super::super::{Seen, is_up};
use super::{Family, Kind};
use crate::collect::Endpoint;
use crate::stats::{Class, EndpointNumbers, ServiceNumbers};

const BY_SERVICE: &[&str] = &["service"];
const BY_ENDPOINT: &[&str] = &["service", "endpoint"];

/// What an endpoint may be, each in one word.
pub(in super::super) const STATES: [&str; 7] =
    ["up", "ramping", "disabled", "drained", "unhealthy", "unchecked", "ejected"];

pub(super) const UPSTREAMS: &[Family] = &[
    Family {
        name: "forebay_upstream_endpoints",
        kind: Kind::Gauge,
        help: "Endpoints of a service, by state; of those that are out for several reasons, the most deliberate counts.",
        labels: &["service", "state"],
        samples: |page, seen| {
            for service in &seen.services {
                for state in STATES {
                    let count = service.endpoints.iter().filter(|endpoint| endpoint.state == state).count();
                    page.sample(&[&service.service, state], count as u64);
                }
            }
        },
    },
    Family {
        name: "forebay_upstream_panic",
        kind: Kind::Gauge,
        help: "1 while too few endpoints of a service are usable, so that all are used; else 0.",
        labels: BY_SERVICE,
        samples: |page, seen| each_service(page, seen, |service| u64::from(service.panic)),
    },
    Family {
        name: "forebay_upstream_queue_waiting",
        kind: Kind::Gauge,
        help: "Requests that wait because every endpoint of a service has as many as it may.",
        labels: BY_SERVICE,
        samples: |page, seen| each_service(page, seen, |service| service.waiting),
    },
    Family {
        name: "forebay_upstream_sources",
        kind: Kind::Gauge,
        help: "Names and files that lead to endpoints of a service: with a fresh answer, or failing, so that the last good one holds.",
        labels: &["service", "state"],
        samples: |page, seen| {
            pairs(page, seen, ["fresh", "failing"], |service| service.sources);
        },
    },
    Family {
        name: "forebay_upstream_lookups_total",
        kind: Kind::Counter,
        help: "Answers of names and files that lead to endpoints of a service: good, or failed.",
        labels: &["service", "result"],
        samples: |page, seen| {
            pairs(page, seen, ["good", "failed"], |service| service.lookups);
        },
    },
    Family {
        name: "forebay_upstream_endpoint_up",
        kind: Kind::Gauge,
        help: "1 if nothing keeps an endpoint out; else 0.",
        labels: BY_ENDPOINT,
        samples: |page, seen| {
            each_shown(page, seen, |page, names, endpoint| page.sample(names, u64::from(is_up(endpoint))));
        },
    },
    Family {
        name: "forebay_upstream_endpoint_state",
        kind: Kind::Gauge,
        help: "Always 1; the label says the state an endpoint is in now.",
        labels: &["service", "endpoint", "state"],
        samples: |page, seen| {
            each_shown(page, seen, |page, names, endpoint| {
                page.sample(&[names[0], names[1], endpoint.state], 1_u64);
            });
        },
    },
    Family {
        name: "forebay_upstream_endpoint_share",
        kind: Kind::Gauge,
        help: "The share of its service's requests that an endpoint is to get, 0 to 1.",
        labels: BY_ENDPOINT,
        samples: |page, seen| {
            each_shown(page, seen, |page, names, endpoint| page.sample(names, Value::Ratio(endpoint.share)));
        },
    },
    Family {
        name: "forebay_upstream_health_checks_total",
        kind: Kind::Counter,
        help: "Health checks of an endpoint: passed, or failed.",
        labels: &["service", "endpoint", "result"],
        samples: |page, seen| {
            each_shown(page, seen, |page, names, endpoint| {
                let Some((passed, failed)) = endpoint.checks else { return };
                page.sample(&[names[0], names[1], "passed"], passed);
                page.sample(&[names[0], names[1], "failed"], failed);
            });
        },
    },
    Family {
        name: "forebay_upstream_ejections_total",
        kind: Kind::Counter,
        help: "How often an endpoint was left out because of how it treats requests, by cause.",
        labels: &["service", "endpoint", "cause"],
        samples: |page, seen| {
            each_shown(page, seen, |page, names, endpoint| {
                for (cause, count) in &endpoint.ejections {
                    page.sample(&[names[0], names[1], cause], *count);
                }
            });
        },
    },
    Family {
        name: "forebay_upstream_responses_total",
        kind: Kind::Counter,
        help: "Responses of an endpoint, by the class of their status, or aborted: the client left before the last byte.",
        labels: &["service", "endpoint", "class"],
        samples: |page, seen| {
            for endpoint in &seen.collected.endpoints {
                page.classes(&[&endpoint.service, &endpoint.address], &endpoint.responses);
            }
            page.omit(seen.used_omitted * Class::ALL.len());
        },
    },
    Family {
        name: "forebay_upstream_requests_in_flight",
        kind: Kind::Gauge,
        help: "Requests at an endpoint: sent, and their response's last byte not here yet.",
        labels: BY_ENDPOINT,
        samples: |page, seen| each_endpoint(page, seen, |endpoint| endpoint.in_flight.into()),
    },
    Family {
        name: "forebay_upstream_first_byte_seconds",
        kind: Kind::Histogram,
        help: "From the end of sending a request to the first byte of its response.",
        labels: BY_ENDPOINT,
        samples: |page, seen| {
            for endpoint in &seen.collected.endpoints {
                page.histogram(&[&endpoint.service, &endpoint.address], &endpoint.first_byte());
            }
            page.omit(seen.used_omitted);
        },
    },
    Family {
        name: "forebay_upstream_connects_total",
        kind: Kind::Counter,
        help: "Connections opened to an endpoint.",
        labels: BY_ENDPOINT,
        samples: |page, seen| each_endpoint(page, seen, |endpoint| endpoint.connects.into()),
    },
    Family {
        name: "forebay_upstream_connect_failures_total",
        kind: Kind::Counter,
        help: "Connections to an endpoint that failed or took too long to open.",
        labels: BY_ENDPOINT,
        samples: |page, seen| each_endpoint(page, seen, |endpoint| endpoint.connect_failures.into()),
    },
    Family {
        name: "forebay_upstream_connections_idle",
        kind: Kind::Gauge,
        help: "Idle connections to an endpoint kept for the next request.",
        labels: BY_ENDPOINT,
        samples: |page, seen| each_endpoint(page, seen, |endpoint| endpoint.idle.into()),
    },
    Family {
        name: "forebay_upstream_reused_total",
        kind: Kind::Counter,
        help: "Requests sent on a connection that had served one before.",
        labels: BY_ENDPOINT,
        samples: |page, seen| each_endpoint(page, seen, |endpoint| endpoint.reused.into()),
    },
    Family {
        name: "forebay_upstream_connection_reuse_ratio",
        kind: Kind::Gauge,
        help: "The share of an endpoint's connections in use, since it came, that had served a request before, 0 to 1.",
        labels: BY_ENDPOINT,
        samples: |page, seen| {
            for endpoint in &seen.collected.endpoints {
                if let Some(ratio) = endpoint.reuse_ratio() {
                    page.sample(&[&endpoint.service, &endpoint.address], Value::Ratio(ratio));
                }
            }
            page.omit(seen.used_omitted);
        },
    },
    Family {
        name: "forebay_upstream_resent_total",
        kind: Kind::Counter,
        help: "Requests sent again on a new connection: the endpoint had closed the one that was kept, and the request may be repeated.",
        labels: BY_ENDPOINT,
        samples: |page, seen| each_endpoint(page, seen, |endpoint| endpoint.resent.into()),
    },
    Family {
        name: "forebay_upstream_moved_total",
        kind: Kind::Counter,
        help: "Requests that waited for an endpoint when it went out, and were sent to another one.",
        labels: BY_ENDPOINT,
        samples: |page, seen| each_endpoint(page, seen, |endpoint| endpoint.moved.into()),
    },
    Family {
        name: "forebay_upstream_timeouts_total",
        kind: Kind::Counter,
        help: "Requests given up because an endpoint took too long.",
        labels: BY_ENDPOINT,
        samples: |page, seen| each_endpoint(page, seen, |endpoint| endpoint.timeouts.into()),
    },
    Family {
        name: "forebay_upstream_resets_total",
        kind: Kind::Counter,
        help: "Connections an endpoint closed or reset in the middle of a request or response.",
        labels: BY_ENDPOINT,
        samples: |page, seen| each_endpoint(page, seen, |endpoint| endpoint.resets.into()),
    },
];

fn each_service(page: &mut Page, seen: &Seen<'_>, value: fn(&ServiceNumbers) -> u64) {
    for service in &seen.services {
        page.sample(&[&service.service], value(service));
    }
}

/// Two numbers of each service, by the words of the last label. Services that never had any are left out.
fn pairs(page: &mut Page, seen: &Seen<'_>, words: [&str; 2], values: fn(&ServiceNumbers) -> (u64, u64)) {
    for service in &seen.services {
        let (one, other) = values(service);
        if (one, other) != (0, 0) {
            page.sample(&[&service.service, words[0]], one);
            page.sample(&[&service.service, words[1]], other);
        }
    }
}

/// Each endpoint whose state is shown, with the names of its service and itself.
fn each_shown(page: &mut Page, seen: &Seen<'_>, write: fn(&mut Page, &[&str; 2], &EndpointNumbers)) {
    for (service, endpoint) in seen.shown() {
        write(page, &[service, &endpoint.address], endpoint);
    }
    page.omit(seen.states_omitted());
}

fn each_endpoint(page: &mut Page, seen: &Seen<'_>, value: fn(&Endpoint) -> Value) {
    for endpoint in &seen.collected.endpoints {
        page.sample(&[&endpoint.service, &endpoint.address], value(endpoint));
    }
    page.omit(seen.used_omitted);
}
