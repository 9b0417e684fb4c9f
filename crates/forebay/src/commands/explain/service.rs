//! What happens to a request once its service is known.

use forebay_base::units::show_duration;
use forebay_net::address::Address;
use forebay_net::tls::ClientSettings;
use forebay_proxy::plan::{
    Balance, Check, Endpoint, HashBy, Health, HttpCheck, Outlier, PoolLimits, Protocol, ProxyProtocol, Route,
    Service, Timeouts,
};

/// Most endpoints, or names, that are told one by one.
const SHOWN_MAX: usize = 10;

/// Everything about a service, in lines. `share` says how many requests of the route it gets.
pub(super) fn lines(service: &Service, route: &Route, share: &str) -> Vec<String> {
    let mut lines = vec![format!("to service {}{share}: {}", service.name, picked(service))];
    let parts = [
        tiers(service),
        names(service),
        service
            .endpoints_file
            .as_ref()
            .map(|file| format!("file: {} lists more, and is watched", file.display())),
        protocol(service),
        Some(format!("timeouts: {}", timeouts(route, service))),
        Some(format!("pool: {}", pool(service.pool))),
        Some(format!("queue: {}", queue(service.pool))),
        Some(format!("health: {}", service.health.as_ref().map_or_else(|| "not checked".to_owned(), health))),
        Some(format!("outlier: {}", outlier(&service.outlier))),
        slow_start(service),
        panic(service),
    ];
    lines.extend(parts.into_iter().flatten().map(|part| format!("  {part}")));
    lines
}

fn picked(service: &Service) -> String {
    let how = match &service.balance {
        Balance::LeastLoaded => "the less loaded of two of".to_owned(),
        Balance::RoundRobin => "in turn".to_owned(),
        Balance::PeakEwma => "the quicker of two of".to_owned(),
        Balance::Hash(HashBy::Path) => "by hash of the path one of".to_owned(),
        Balance::Hash(HashBy::Client) => "by hash of the client's address one of".to_owned(),
        Balance::Hash(HashBy::Header(name)) => format!("by hash of the header {name} one of"),
        Balance::Hash(HashBy::Cookie(name)) => format!("by hash of the cookie {name} one of"),
        Balance::Sticky(sticky) => {
            let ttl = sticky.ttl.map(|ttl| format!(" (for {})", show_duration(ttl))).unwrap_or_default();
            format!("that of the cookie {}{ttl}, else the less loaded of two of", sticky.cookie)
        }
    };
    match service.endpoints.as_slice() {
        [] => format!("{how} those of its file"),
        [only] if service.endpoints_file.is_none() && is_one(only) => only.address.to_string(),
        all => format!("{how} {}", addresses(all.iter(), service)),
    }
}

/// Whether it is one endpoint for certain: names may have many addresses.
fn is_one(endpoint: &Endpoint) -> bool {
    Address::parse(&endpoint.address).is_some()
}

fn addresses<'a>(endpoints: impl Iterator<Item = &'a Endpoint>, service: &Service) -> String {
    let weighted = service.endpoints.iter().any(|endpoint| endpoint.weight != 1);
    listed(endpoints.map(|endpoint| match weighted {
        true => format!("{} (weight {})", endpoint.address, endpoint.weight),
        false => endpoint.address.to_string(),
    }))
}

/// The first of them, and how many more there are.
fn listed(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<_> = items.collect();
    let more = items.len().saturating_sub(SHOWN_MAX);
    items.truncate(SHOWN_MAX);
    let shown = items.join(", ");
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

fn tiers(service: &Service) -> Option<String> {
    let mut priorities: Vec<_> = service.endpoints.iter().map(|endpoint| endpoint.priority).collect();
    priorities.sort_unstable();
    priorities.dedup();
    let tier = |priority: &u8| {
        let members = service.endpoints.iter().filter(|endpoint| endpoint.priority == *priority);
        format!("priority {priority}: {}", addresses(members, service))
    };
    let tiers: Vec<_> = priorities.iter().map(tier).collect();
    (tiers.len() > 1).then(|| format!("tiers, each while those before it are too few: {}", tiers.join("; ")))
}

fn names(service: &Service) -> Option<String> {
    let names = service.endpoints.iter().filter(|endpoint| !is_one(endpoint));
    let names = listed(names.map(|endpoint| match endpoint.address.contains(':') {
        true => endpoint.address.to_string(),
        false => format!("{} (SRV)", endpoint.address),
    }));
    (!names.is_empty()).then(|| format!("names, looked up again when their TTL has passed: {names}"))
}

/// What is spoken with the endpoints, if it is not just HTTP/1.1.
fn protocol(service: &Service) -> Option<String> {
    let protocol = match service.protocol {
        Protocol::Http1 => "HTTP/1.1",
        Protocol::H2 | Protocol::H2c => "HTTP/2",
        Protocol::Auto => "HTTP/2 if they agree to it, else HTTP/1.1",
    };
    let tls = service.tls.as_ref().map(|tls| {
        let ClientSettings { ca, ca_origin, certificate, name, offer: _ } = tls.settings();
        let name = name.as_deref().unwrap_or("the endpoint's name");
        let vouched = if ca.is_some() { ca_origin } else { "the system's authorities" };
        let shown = certificate.as_ref().map(|certificate| format!(", we show {}", certificate.origin));
        format!(" with TLS: they prove {name} by {vouched}{}", shown.unwrap_or_default())
    });
    let proxy = service.proxy_protocol.map(|version| match version {
        ProxyProtocol::V1 => "; connections begin with a PROXY protocol header, version 1",
        ProxyProtocol::V2 => "; connections begin with a PROXY protocol header, version 2",
    });
    if (service.protocol, tls.is_some(), proxy.is_some()) == (Protocol::Http1, false, false) {
        return None;
    }
    Some(format!("protocol: {protocol}{}{}", tls.unwrap_or_default(), proxy.unwrap_or_default()))
}

fn timeouts(route: &Route, service: &Service) -> String {
    let Timeouts { connect, tcp_user, first_byte, idle, total } = service.timeout;
    let total = match route.timeout.total.or(total) {
        Some(total) => show_duration(total),
        None => "unbounded".to_owned(),
    };
    format!(
        "connect {}, unacknowledged {}, first byte {}, idle {}, total {total}",
        show_duration(connect),
        show_duration(tcp_user),
        show_duration(route.timeout.first_byte.unwrap_or(first_byte)),
        show_duration(route.timeout.idle.unwrap_or(idle)),
    )
}

fn pool(pool: PoolLimits) -> String {
    let PoolLimits { connections_max, idle_max, idle_timeout, .. } = pool;
    format!(
        "at most {connections_max} connections to an endpoint; {idle_max} idle ones kept by each worker, for {}",
        show_duration(idle_timeout)
    )
}

fn queue(pool: PoolLimits) -> String {
    let PoolLimits { connections_max, requests_max, queue_max, queue_timeout, .. } = pool;
    let requests = requests_max.unwrap_or(connections_max);
    let full = format!("while every endpoint has {requests} requests");
    match queue_max {
        0 => format!("{full}, more are refused"),
        _ => format!(
            "{full}, {queue_max} more wait for each worker, for at most {}",
            show_duration(queue_timeout)
        ),
    }
}

fn health(health: &Health) -> String {
    let Health { check, interval, timeout, rise, fall, fast_interval, port } = health;
    let what = match check {
        Check::Tcp => "a connection".to_owned(),
        Check::Grpc(service) if service.is_empty() => "gRPC health of the server".to_owned(),
        Check::Grpc(service) => format!("gRPC health of {service}"),
        Check::Http(HttpCheck { path, host, headers: _, status, body }) => {
            let host = host.as_ref().map(|host| format!(" of {host}")).unwrap_or_default();
            let expected = match (status.as_slice(), body) {
                ([(200, 299)], None) => String::new(),
                (ranges, body) => {
                    let ranges = listed(ranges.iter().map(|(first, last)| match first == last {
                        true => first.to_string(),
                        false => format!("{first}-{last}"),
                    }));
                    let body = body.as_ref().map(|body| format!(" with `{body}` in its body"));
                    format!(" expecting {ranges}{}", body.unwrap_or_default())
                }
            };
            format!("GET {path}{host}{expected}")
        }
    };
    let port = port.map(|port| format!(" at port {port}")).unwrap_or_default();
    format!(
        "every {} {what}{port} within {}, out after {}, back after {}, every {} in between",
        show_duration(*interval),
        show_duration(*timeout),
        counted(*fall, "failure"),
        counted(*rise, "success"),
        show_duration(*fast_interval)
    )
}

/// `1 failure`, `2 failures`.
fn counted(number: u32, noun: &str) -> String {
    let plural = if noun.ends_with('s') { "es" } else { "s" };
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}{plural}") }
}

fn outlier(outlier: &Outlier) -> String {
    let Outlier { connect_failures, failures, error_ratio, latency_factor, window, .. } = outlier;
    let Outlier { requests_min, eject_for, eject_for_max, ejected_max, .. } = outlier;
    let window = format!(" within {} of at least {requests_min} requests", show_duration(*window));
    let causes = [
        (*connect_failures > 0).then(|| format!("{connect_failures} connections failed in a row")),
        (*failures > 0).then(|| format!("{failures} requests failed in a row")),
        (*error_ratio > 0).then(|| format!("{error_ratio}% more failures than others{window}")),
        (*latency_factor > 0).then(|| format!("{latency_factor} times the latency of others{window}")),
    ];
    let causes: Vec<_> = causes.into_iter().flatten().collect();
    if causes.is_empty() {
        return "never left out".to_owned();
    }
    format!(
        "left out for {} (up to {}, at most {ejected_max}% of endpoints) after {}",
        show_duration(*eject_for),
        show_duration(*eject_for_max),
        causes.join(", or ")
    )
}

fn slow_start(service: &Service) -> Option<String> {
    let over = service.slow_start;
    (!over.is_zero()).then(|| {
        format!("slow start: the share of one that is new or back grows over {}", show_duration(over))
    })
}

fn panic(service: &Service) -> Option<String> {
    let below = service.panic_below;
    (below > 0).then(|| format!("panic: all are used while fewer than {below}% are usable"))
}
