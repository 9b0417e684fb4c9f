//! Reads `upgrade`: what connections may turn into.

use forebay_proxy::plan::Upgrades;

use super::lower::Lower;
use super::names::is_token;
use super::problems::Spanned;
use super::read::short;
use super::value::{Fields, Value};

/// Most protocols of one route.
const PROTOCOLS_MAX: usize = 20;
/// What would be a tunnel for requests that no route has seen.
const REFUSED: [&str; 6] = ["h2c", "h2", "h3", "http", "tls", "connect-udp"];

/// What a route or `defaults` says; `None`: nothing.
pub(super) fn read(lower: &mut Lower<'_, '_>, fields: Option<&Fields>) -> Option<Upgrades> {
    let usual = Upgrades::default();
    let written = fields?.get("upgrade")?;
    match &written.value {
        Value::Word(_) => Some(Upgrades { allowed: Vec::new(), ..usual }),
        Value::Text(_) => Some(Upgrades { allowed: allowed(lower, std::slice::from_ref(written)), ..usual }),
        Value::List(items) => Some(Upgrades { allowed: allowed(lower, items), ..usual }),
        Value::Table(long) => Some(Upgrades {
            allowed: if long.has("allow") { allowed(lower, long.list("allow")) } else { usual.allowed },
            idle: long.time("idle").unwrap_or(usual.idle),
            // `off` is no time.
            lifetime: long.time("lifetime"),
        }),
        _ => None,
    }
}

fn allowed(lower: &mut Lower<'_, '_>, items: &[Spanned<Value>]) -> Vec<Box<str>> {
    if let Some(one_more) = items.get(PROTOCOLS_MAX) {
        lower.problems.error(one_more.at, format!("more than {PROTOCOLS_MAX} protocols"));
        return Vec::new();
    }
    let mut all: Vec<Box<str>> = Vec::new();
    for text in items.iter().filter_map(Spanned::text) {
        let name = text.value.to_ascii_lowercase();
        if !is_token(&name) {
            let what = format!("`{}` is not the name of a protocol", short(text.value));
            lower.problems.error_fix(text.at, what, "write, for example, `websocket`, without version");
        } else if REFUSED.contains(&name.as_str()) {
            let what = format!("an upgrade to `{name}` would be a tunnel past all routes");
            let fix = "remove it; for HTTP/2 to the service, write `protocol: h2c` there";
            lower.problems.error_fix(text.at, what, fix);
        } else if all.iter().any(|other| **other == *name) {
            lower.problems.error_fix(text.at, format!("`{name}` stands twice"), "keep one of them");
        } else {
            all.push(name.into());
        }
    }
    all
}
