//! Reads `health`.

use forebay_base::units::show_duration;
use forebay_net::address::Address;
use forebay_net::host;
use forebay_net::uri::{Target, TargetOptions, parse_target};
use forebay_proxy::plan::{Check, Endpoint, Health, HttpCheck, Protocol};
use forebay_proxy::route::HeaderEdits;

use super::lower::Lower;
use super::problems::Spanned;
use super::read::short;
use super::value::{Fields, Value};

/// Most headers of a check.
const HEADERS_MAX: usize = 32;
/// Most statuses and ranges of statuses.
const STATUSES_MAX: usize = 32;
/// Longest path with its query, in bytes.
const PATH_MAX: usize = 4_096;
/// Statuses that are expected unless told otherwise.
const STATUS_USUAL: (u16, u16) = (200, 299);
/// Keys that say what is sent or expected, which only HTTP has.
const HTTP_ONLY: [&str; 4] = ["host", "headers", "status", "body"];

/// How endpoints of a service are asked whether they are well; `None`: they are not.
pub(super) fn read(
    lower: &mut Lower<'_, '_>,
    fields: &Fields,
    endpoints: &[Endpoint],
    protocol: Protocol,
) -> Option<Health> {
    let health = read_any(lower, fields)?;
    let written = fields.get("health")?;
    if matches!(health.check, Check::Grpc(_)) && protocol == Protocol::Http1 {
        let what = "gRPC is spoken over HTTP/2, and this service speaks HTTP/1.1";
        lower.problems.error_fix(written.at, what, "write `protocol: h2c`, or `h2` with `tls: on`");
    }
    if health.port.is_some() && endpoints.iter().any(|endpoint| endpoint.address.starts_with(Address::UNIX)) {
        let at = fields.table("health").and_then(|long| long.get("port")).map_or(written.at, |port| port.at);
        let what = "a Unix socket has no other port to ask at";
        lower.problems.error_fix(at, what, "remove `port`, or name endpoints by IP address");
    }
    Some(health)
}

fn read_any(lower: &mut Lower<'_, '_>, fields: &Fields) -> Option<Health> {
    let written = fields.get("health")?;
    match &written.value {
        Value::Word("grpc") => Some(Health::new(Check::Grpc("".into()))),
        Value::Word("tcp") => Some(Health::new(Check::Tcp)),
        Value::Text(path) => {
            let path = self::path(lower, written.with(path))?;
            Some(Health::new(Check::Http(plain(path))))
        }
        Value::Table(long) => self::long(lower, long),
        _ => None,
    }
}

fn long(lower: &mut Lower<'_, '_>, fields: &Fields) -> Option<Health> {
    let usual = Health::new(check(lower, fields)?);
    let interval = fields.time("interval").unwrap_or(usual.interval);
    let fast_interval = fields.time("fast_interval").unwrap_or(usual.fast_interval.min(interval));
    if fast_interval > interval {
        let at = fields.get("fast_interval").map_or(fields.at, |written| written.at);
        let what = format!(
            "`fast_interval` ({}) is longer than `interval` ({})",
            show_duration(fast_interval),
            show_duration(interval)
        );
        lower.problems.error_fix(at, what, "make it shorter, or leave it out");
    }
    Some(Health {
        interval,
        fast_interval,
        timeout: fields.time("timeout").unwrap_or(usual.timeout),
        rise: fields.count("rise").unwrap_or(usual.rise),
        fall: fields.count("fall").unwrap_or(usual.fall),
        port: fields.count("port"),
        check: usual.check,
    })
}

fn check(lower: &mut Lower<'_, '_>, fields: &Fields) -> Option<Check> {
    let headers = headers(lower, fields);
    let status = statuses(lower, fields);
    let host = fields.text("host").and_then(|text| host(lower, text));
    if let Some(written) = fields.text("path") {
        let path = path(lower, written)?;
        let body = fields.text("body").map(|body| body.value.into());
        return Some(Check::Http(HttpCheck { path, host, headers, status, body }));
    }
    if let Some(service) = fields.text("grpc") {
        refuse_http(lower, fields, "a gRPC check asks as the protocol says");
        return Some(Check::Grpc(service.value.into()));
    }
    let tcp = fields.field("tcp")?;
    if fields.switch("tcp") == Some(false) {
        let what = "this `health` checks nothing";
        lower.problems.error_fix(tcp.at, what, "write `tcp: true`, `path: /healthz`, or `health: off`");
    }
    refuse_http(lower, fields, "a TCP check sends and reads nothing");
    Some(Check::Tcp)
}

fn refuse_http(lower: &mut Lower<'_, '_>, fields: &Fields, why: &str) {
    let check = if fields.has("grpc") { "grpc" } else { "tcp" };
    for field in HTTP_ONLY.iter().filter_map(|name| fields.field(name)) {
        let what = format!("`{}` needs `path`: {why}", field.name);
        lower.problems.error_fix(field.at, what, format!("remove it, or write `path` in place of `{check}`"));
    }
}

/// What a path alone means.
fn plain(path: Box<str>) -> HttpCheck {
    HttpCheck { path, host: None, headers: Vec::new(), status: vec![STATUS_USUAL], body: None }
}

/// The path and query as services get targets: canonical, or refused.
fn path(lower: &mut Lower<'_, '_>, text: Spanned<&str>) -> Option<Box<str>> {
    let wrong = format!("`{}` cannot be the path of a check", short(text.value));
    if !text.value.starts_with('/') {
        // A word was meant, or a URL.
        let fix = "write a path that begins with `/`, such as `/healthz`, or `tcp`, or `off`";
        lower.problems.error_fix(text.at, wrong, fix);
        return None;
    }
    let options = TargetOptions { merge_slashes: false, bytes_max: PATH_MAX };
    let mut target = Target::default();
    if let Err(error) = parse_target(b"GET", text.value.as_bytes(), &options, &mut target) {
        lower.problems.error(text.at, format!("{wrong}: {error}"));
        return None;
    }
    let canonical = target.path_and_query();
    if canonical != text.value {
        lower.problems.error_fix(text.at, format!("{wrong} as it is"), format!("write `{canonical}`"));
    }
    Some(canonical.into())
}

fn host(lower: &mut Lower<'_, '_>, text: Spanned<&str>) -> Option<Box<str>> {
    match host::parse(text.value.as_bytes()) {
        Ok(host) => Some(host.to_string().into()),
        Err(error) => {
            let what = format!("`{}` cannot be a `Host`: {error}", short(text.value));
            lower.problems.error_fix(text.at, what, "write, for example, `shop.test`");
            None
        }
    }
}

fn headers(lower: &mut Lower<'_, '_>, fields: &Fields) -> Vec<(Box<str>, Box<str>)> {
    let pairs = fields.map("headers");
    if let Some(one_more) = pairs.get(HEADERS_MAX) {
        lower.problems.error(one_more.name.at, format!("more than {HEADERS_MAX} headers in one check"));
        return Vec::new();
    }
    let mut headers: Vec<(Box<str>, Box<str>)> = Vec::new();
    for pair in pairs {
        let Some(value) = pair.value.text() else { continue };
        let name = &*pair.name.value;
        if name.eq_ignore_ascii_case("host") {
            lower.problems.error_fix(pair.name.at, "`host` has a key of its own", "write `host: ...`");
        } else if headers.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            lower.problems.error_fix(pair.name.at, format!("`{name}` stands twice"), "keep one of them");
        } else if let Err(error) = HeaderEdits::new(&[], &[(name, value.value)], &[]) {
            lower.problems.error(pair.name.at, error.to_string());
        } else {
            headers.push((name.into(), value.value.into()));
        }
    }
    headers
}

fn statuses(lower: &mut Lower<'_, '_>, fields: &Fields) -> Vec<(u16, u16)> {
    let items = fields.list("status");
    if let Some(one_more) = items.get(STATUSES_MAX) {
        lower.problems.error(one_more.at, format!("more than {STATUSES_MAX} statuses and ranges"));
    }
    let mut ranges = Vec::with_capacity(items.len().min(STATUSES_MAX));
    for item in items.iter().take(STATUSES_MAX) {
        match &item.value {
            Value::Number(status) => ranges.extend(u16::try_from(*status).map(|status| (status, status))),
            Value::Text(text) => match range(text) {
                Some(range) => ranges.push(range),
                None => lower.problems.error_fix(
                    item.at,
                    format!("`{}` is no status from 200 to 599 and no range of them", short(text)),
                    "write, for example, `200` or `200-299`",
                ),
            },
            _ => {}
        }
    }
    if items.is_empty() { vec![STATUS_USUAL] } else { ranges }
}

/// Reads `200-299`.
fn range(text: &str) -> Option<(u16, u16)> {
    let status = |text: &str| {
        let is_three_digits = text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|status| is_three_digits && (200..=599).contains(status))
    };
    let (first, last) = text.split_once('-')?;
    let (first, last) = (status(first)?, status(last)?);
    (first <= last).then_some((first, last))
}
