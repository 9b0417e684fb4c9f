//! Metrics of the protocols that clients and endpoints speak.

use super::{Family, Kind, Page, Seen};
use crate::stats::{Http2Stats, ProtocolStats};

/// With whom HTTP/2 is spoken, by the place in `ProtocolStats::http2_ended`.
const SIDES: [&str; 2] = ["client", "endpoint"];

pub(super) const PROTOCOLS: &[Family] = &[
    Family {
        name: "forebay_requests_by_version_total",
        kind: Kind::Counter,
        help: "Requests that have ended, by the version of HTTP the client spoke.",
        labels: &["version"],
        samples: |page, seen| {
            for (index, version) in ProtocolStats::VERSIONS.iter().enumerate() {
                page.sample(&[version], sum(seen, |stats| stats.requests[index].get()));
            }
        },
    },
    Family {
        name: "forebay_connections_by_protocol",
        kind: Kind::Gauge,
        help: "Open client connections by what is spoken on them; http1: also those that have not said yet.",
        labels: &["protocol", "tls"],
        samples: |page, seen| {
            let level = |of: fn(&ProtocolStats) -> i64| level(seen, of);
            let (plain2, secured2) =
                (level(|stats| stats.http2[0].get()), level(|stats| stats.http2[1].get()));
            let (http3, secured) = (level(|stats| stats.http3.get()), level(|stats| stats.secured.get()));
            let active = seen.collected.connections.active;
            page.sample(&["http1", "no"], (active - secured - plain2).max(0));
            page.sample(&["http1", "yes"], (secured - secured2 - http3).max(0));
            page.sample(&["http2", "no"], plain2);
            page.sample(&["http2", "yes"], secured2);
            page.sample(&["http3", "yes"], http3);
        },
    },
    Family {
        name: "forebay_streams",
        kind: Kind::Gauge,
        help: "Open streams: requests under way on client connections that carry several at a time.",
        labels: &["protocol"],
        samples: |page, seen| {
            page.sample(&["http2"], level(seen, |stats| stats.streams[0].get()));
            page.sample(&["http3"], level(seen, |stats| stats.streams[1].get()));
        },
    },
    Family {
        name: "forebay_tls_handshakes_total",
        kind: Kind::Counter,
        help: "TLS handshakes with clients that came to an agreement, by version; resumed: an earlier session went on, without certificates and signatures.",
        labels: &["version", "resumed"],
        samples: |page, seen| {
            for (version, name) in ProtocolStats::TLS.iter().enumerate() {
                for (resumed, word) in ["no", "yes"].iter().enumerate() {
                    page.sample(&[name, word], sum(seen, |stats| stats.handshakes[version][resumed].get()));
                }
            }
        },
    },
    Family {
        name: "forebay_tls_handshakes_failed_total",
        kind: Kind::Counter,
        help: "TLS handshakes with clients that failed, by reason: refused is our certificate by the client, closed and broken are connections. Reasons that never occurred are left out.",
        labels: &["reason"],
        samples: |page, seen| {
            for (index, reason) in ProtocolStats::FAILURES.iter().enumerate() {
                some(page, &[reason], sum(seen, |stats| stats.failed(index)));
            }
        },
    },
    Family {
        name: "forebay_proxy_protocol_refused_total",
        kind: Kind::Counter,
        help: "Client connections closed because they did not begin with a PROXY header that is well-formed and from one of the trusted proxies.",
        labels: &[],
        samples: |page, seen| page.sample(&[], sum(seen, |stats| stats.proxy_refused.get())),
    },
    Family {
        name: "forebay_tunnels",
        kind: Kind::Gauge,
        help: "Open tunnels: requests that have turned into something else, by protocol.",
        labels: &["protocol"],
        samples: |page, seen| {
            for (index, name) in ProtocolStats::TUNNELS.iter().enumerate() {
                page.sample(&[name], level(seen, |stats| stats.tunnels[index].active.get()));
            }
        },
    },
    Family {
        name: "forebay_tunnels_opened_total",
        kind: Kind::Counter,
        help: "Tunnels opened so far, by protocol.",
        labels: &["protocol"],
        samples: |page, seen| {
            for (index, name) in ProtocolStats::TUNNELS.iter().enumerate() {
                page.sample(&[name], sum(seen, |stats| stats.tunnels[index].opened.get()));
            }
        },
    },
    Family {
        name: "forebay_http2_connections_ended_total",
        kind: Kind::Counter,
        help: "Connections of HTTP/2 that have ended, with clients and with endpoints.",
        labels: &["side"],
        samples: |page, seen| each_side(page, seen, |stats| stats.connections.get()),
    },
    Family {
        name: "forebay_http2_resets_received_total",
        kind: Kind::Counter,
        help: "Streams of HTTP/2 that the other side reset; counted when their connection ends.",
        labels: &["side"],
        samples: |page, seen| each_side(page, seen, |stats| stats.resets_received.get()),
    },
    Family {
        name: "forebay_http2_resets_sent_total",
        kind: Kind::Counter,
        help: "Streams of HTTP/2 that Forebay reset; counted when their connection ends.",
        labels: &["side"],
        samples: |page, seen| each_side(page, seen, |stats| stats.resets_sent.get()),
    },
    Family {
        name: "forebay_http2_streams_refused_total",
        kind: Kind::Counter,
        help: "Streams of HTTP/2 refused because their connection had too many; counted when it ends.",
        labels: &["side"],
        samples: |page, seen| each_side(page, seen, |stats| stats.refused.get()),
    },
    Family {
        name: "forebay_http2_heads_too_large_total",
        kind: Kind::Counter,
        help: "Heads of HTTP/2 with too many bytes or fields; counted when their connection ends.",
        labels: &["side"],
        samples: |page, seen| each_side(page, seen, |stats| stats.heads_too_large.get()),
    },
    Family {
        name: "forebay_http2_glitches_total",
        kind: Kind::Counter,
        help: "Frames and faults of HTTP/2 that made work, brought nothing and were not forgiven until their connection ended: attacks show here.",
        labels: &["side"],
        samples: |page, seen| each_side(page, seen, |stats| stats.glitches.get()),
    },
    Family {
        name: "forebay_http2_goaways_total",
        kind: Kind::Counter,
        help: "The last GOAWAY of connections of HTTP/2 that have ended, sent by Forebay or received, by code. Codes that never occurred are left out.",
        labels: &["side", "direction", "code"],
        samples: |page, seen| {
            for (side, name) in SIDES.iter().enumerate() {
                for (sent, direction) in [(true, "sent"), (false, "received")] {
                    for (index, code) in Http2Stats::CODES.iter().enumerate() {
                        let count = sum(seen, |stats| stats.http2_ended[side].goaways(sent, index));
                        some(page, &[name, direction, code], count);
                    }
                }
            }
        },
    },
];

fn each_side(page: &mut Page, seen: &Seen<'_>, of: impl Fn(&Http2Stats) -> u64) {
    for (side, name) in SIDES.iter().enumerate() {
        page.sample(&[name], sum(seen, |stats| of(&stats.http2_ended[side])));
    }
}

/// A series of something that may never occur.
fn some(page: &mut Page, labels: &[&str], count: u64) {
    if count > 0 {
        page.sample(labels, count);
    }
}

fn sum(seen: &Seen<'_>, of: impl Fn(&ProtocolStats) -> u64) -> u64 {
    seen.telemetry.workers().iter().map(|worker| of(&worker.protocols)).sum()
}

fn level(seen: &Seen<'_>, of: impl Fn(&ProtocolStats) -> i64) -> i64 {
    seen.telemetry.workers().iter().map(|worker| of(&worker.protocols)).sum()
}
