//! From checked values to what the process and the data path work with.

use std::path::Path;

use forebay_net::cidr::CidrSet;
use forebay_proxy::plan::{HalfClose, Limits, Plan, Underscores};

use super::problems::{Problems, Spanned};
use super::read::short;
use super::value::Fields;
use super::{Server, dns, record, routes, server, services};

/// What reading values needs besides the values.
pub(super) struct Lower<'a, 'b> {
    pub(super) problems: &'a mut Problems,
    /// Where relative paths begin; `None`: there are no files.
    pub(super) base: Option<&'b Path>,
}

/// Makes the most of what was written. The result is of use only if no problem is fatal.
pub(super) fn lower(top: &Fields, base: Option<&Path>, problems: &mut Problems) -> (Server, Plan) {
    let mut lower = Lower { problems, base };
    let server = server::lower(&mut lower, top);
    let plan = plan(&mut lower, top);
    (server, plan)
}

fn plan(lower: &mut Lower<'_, '_>, top: &Fields) -> Plan {
    let limits = limits(lower, top);
    let trusted_proxies = trusted_proxies(lower, top);
    let defaults = top.table("defaults");
    let mut services = services::lower(lower, top, defaults);
    let routes = routes::lower(lower, top, defaults, &mut services);
    let router = routes::router(lower, &routes);
    let record = record::lower(lower, top, &routes);
    services.warn_unused(lower.problems);
    Plan {
        router,
        routes: routes.into_iter().map(|placed| placed.route).collect(),
        services: services.list,
        limits,
        trusted_proxies,
        record,
        dns: dns::lower(lower, top),
        listeners: Vec::new(),
        tls: None,
    }
}

fn trusted_proxies(lower: &mut Lower<'_, '_>, top: &Fields) -> CidrSet {
    blocks(lower, top.list("trusted_proxies").iter().filter_map(Spanned::text))
}

/// The set of these blocks of addresses.
pub(super) fn blocks<'t>(
    lower: &mut Lower<'_, '_>,
    texts: impl Iterator<Item = Spanned<&'t str>>,
) -> CidrSet {
    let mut blocks = Vec::new();
    for text in texts {
        match text.value.parse::<forebay_net::cidr::Cidr>() {
            Ok(block) => blocks.push(block),
            Err(error) => {
                let what = format!("`{}` is no block of addresses: {error}", short(text.value));
                lower.problems.error_fix(text.at, what, "write, for example, `10.0.0.0/8` or `192.0.2.7`");
            }
        }
    }
    blocks.into_iter().collect()
}

fn limits(lower: &mut Lower<'_, '_>, top: &Fields) -> Limits {
    let usual = Limits::default();
    let Some(fields) = top.table("limits") else { return usual };
    let limits = Limits {
        head_bytes: fields.count("head_bytes").unwrap_or(usual.head_bytes),
        headers: fields.count("headers").unwrap_or(usual.headers),
        uri_bytes: fields.count("uri_bytes").unwrap_or(usual.uri_bytes),
        body_max: fields.number("body_max").unwrap_or(usual.body_max),
        header_timeout: fields.time("header_timeout").unwrap_or(usual.header_timeout),
        body_rate_min: match fields.word("body_rate_min") {
            Some(_) => 0,
            None => fields.number("body_rate_min").unwrap_or(usual.body_rate_min),
        },
        write_stall: fields.time("write_stall").unwrap_or(usual.write_stall),
        idle: fields.time("idle").unwrap_or(usual.idle),
        connections: fields.count("connections").unwrap_or(usual.connections),
        connections_per_ip: fields.count("connections_per_ip").unwrap_or(usual.connections_per_ip),
        drain: fields.time("drain").unwrap_or(usual.drain),
        drain_delay: fields.time("drain_delay").unwrap_or(usual.drain_delay),
        header_underscores: match fields.word("header_underscores") {
            Some("allow") => Underscores::Allow,
            Some("refuse") => Underscores::Refuse,
            _ => Underscores::Drop,
        },
        merge_slashes: fields.switch("merge_slashes").unwrap_or(usual.merge_slashes),
        half_close: match fields.word("half_close") {
            Some("abort") => HalfClose::Abort,
            _ => HalfClose::Finish,
        },
        handshake_timeout: usual.handshake_timeout,
        http2: usual.http2,
    };
    if limits.uri_bytes > limits.head_bytes {
        let field = fields.field("uri_bytes").or_else(|| fields.field("head_bytes"));
        let at = field.map_or(fields.at, |field| field.value.at);
        lower.problems.error_fix(
            at,
            format!(
                "a target of {} bytes does not fit into a head of {} bytes",
                limits.uri_bytes, limits.head_bytes
            ),
            "keep `uri_bytes` at most as large as `head_bytes`",
        );
    }
    limits
}
