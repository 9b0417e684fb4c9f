//! Reads `dns`.

use std::net::{IpAddr, SocketAddr};

use forebay_base::units::show_duration;
use forebay_proxy::plan::{Dns, Family};

use super::lower::Lower;
use super::problems::Spanned;
use super::read::short;
use super::value::Fields;

/// Most name servers.
const SERVERS_MAX: usize = 16;
/// Where name servers listen unless told otherwise.
const PORT: u16 = 53;

/// How names among endpoints are looked up.
pub(super) fn lower(lower: &mut Lower<'_, '_>, top: &Fields) -> Dns {
    let usual = Dns::default();
    let Some(fields) = top.table("dns") else { return usual };
    let ttl_min = fields.time("ttl_min");
    let ttl_max = fields.time("ttl_max");
    let dns = Dns {
        servers: servers(lower, fields),
        // Who writes one of them means it; the other then gives way.
        ttl_min: ttl_min.unwrap_or(usual.ttl_min.min(ttl_max.unwrap_or(usual.ttl_min))),
        ttl_max: ttl_max.unwrap_or(usual.ttl_max.max(ttl_min.unwrap_or(usual.ttl_max))),
        timeout: fields.time("timeout").unwrap_or(usual.timeout),
        family: match fields.word("family") {
            Some("ipv4") => Family::V4,
            Some("ipv6") => Family::V6,
            Some("both") => Family::Both,
            _ => Family::Auto,
        },
    };
    if dns.ttl_min > dns.ttl_max {
        let at = fields.get("ttl_max").map_or(fields.at, |written| written.at);
        let (min, max) = (show_duration(dns.ttl_min), show_duration(dns.ttl_max));
        let what = format!("`ttl_max` ({max}) is shorter than `ttl_min` ({min})");
        lower.problems.error_fix(at, what, "exchange the two");
    }
    dns
}

fn servers(lower: &mut Lower<'_, '_>, fields: &Fields) -> Vec<SocketAddr> {
    let items = fields.list("servers");
    if let Some(one_more) = items.get(SERVERS_MAX) {
        lower.problems.error(one_more.at, format!("more than {SERVERS_MAX} name servers"));
        return Vec::new();
    }
    let mut servers = Vec::with_capacity(items.len());
    for text in items.iter().filter_map(Spanned::text) {
        match server(text.value) {
            Some(address) if servers.contains(&address) => {
                let what = format!("the name server {address} stands twice");
                lower.problems.error_fix(text.at, what, "keep one of them");
            }
            Some(address) => servers.push(address),
            None => {
                let what = format!("`{}` is not the address of a name server", short(text.value));
                let fix = "write its IP address, such as `10.0.0.2` or `127.0.0.1:5353`";
                lower.problems.error_fix(text.at, what, fix);
            }
        }
    }
    servers
}

fn server(text: &str) -> Option<SocketAddr> {
    let address =
        text.parse().or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, PORT))).ok()?;
    (address.port() != 0).then_some(address)
}
