//! From checked values to what the process and the data path work with.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use forebay_net::cidr::CidrSet;
use forebay_net::h2;
use forebay_proxy::plan::{HalfClose, Limits, Plan, Underscores};

use super::expand::Env;
use super::files::Watched;
use super::problems::{Problems, Spanned};
use super::read::short;
use super::server::Listen;
use super::value::Fields;
use super::{Server, Surroundings, dns, record, routes, server, services, tls};

/// What reading values needs besides the values.
pub(super) struct Lower<'a, 'b> {
    pub(super) problems: &'a mut Problems,
    /// Where relative paths begin; `None`: there are no files.
    pub(super) base: Option<&'b Path>,
    /// The environment.
    pub(super) env: Env<'b>,
    /// In seconds since 1970, for what expires.
    pub(super) now: i64,
    /// Files that were read, or could not be.
    pub(super) files: Vec<Watched>,
}

/// What a settings file comes to. Of use only if no problem is fatal, but for `files`.
pub(super) struct Lowered {
    pub(super) server: Server,
    pub(super) plan: Plan,
    /// Files that were read besides, or could not be.
    pub(super) files: Vec<Watched>,
}

/// Makes the most of what was written. The result is of use only if no problem is fatal.
pub(super) fn lower(top: &Fields, around: Surroundings<'_>, problems: &mut Problems) -> Lowered {
    let Surroundings { env, base } = around;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    let mut lower = Lower { problems, base, env, now, files: Vec::new() };
    let server = server::lower(&mut lower, top);
    let plan = plan(&mut lower, top, &server.listen);
    Lowered { server, plan, files: lower.files }
}

fn plan(lower: &mut Lower<'_, '_>, top: &Fields, listen: &[Listen]) -> Plan {
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
        listeners: listen.iter().map(|listen| listen.listener).collect(),
        tls: tls::lower(lower, top, listen),
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
        handshake_timeout: fields.time("handshake_timeout").unwrap_or(usual.handshake_timeout),
        http2: usual.http2,
    };
    let limits = Limits { http2: http2(lower, fields.table("http2"), &limits), ..limits };
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

/// Bounds on HTTP/2 connections; what other protocols have as well is as there.
fn http2(lower: &mut Lower<'_, '_>, fields: Option<&Fields>, limits: &Limits) -> h2::Limits {
    let usual = h2::Limits {
        head_bytes: limits.head_bytes,
        fields: limits.headers,
        stall: limits.write_stall,
        ..limits.http2
    };
    let Some(fields) = fields else { return usual };
    let stream_window = fields.count("stream_window").unwrap_or(usual.stream_window);
    // Who makes only the one of a stream larger means that streams may have so much.
    let connection_window =
        fields.count("connection_window").unwrap_or(usual.connection_window.max(stream_window));
    if connection_window < stream_window {
        let at = fields.get("connection_window").map_or(fields.at, |written| written.at);
        let what = "all requests of a connection together have less room than one of them, `stream_window`";
        lower.problems.error_fix(at, what, "keep `connection_window` at least as large as `stream_window`");
    }
    h2::Limits {
        streams: fields.count("streams").unwrap_or(usual.streams),
        cookie_crumbs: fields.count("cookie_crumbs").unwrap_or(usual.cookie_crumbs),
        stream_window,
        connection_window,
        glitches: fields.count("glitches").unwrap_or(usual.glitches),
        continuations: fields.count("continuations").unwrap_or(usual.continuations),
        ..usual
    }
}
