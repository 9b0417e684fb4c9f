//! Reads `balance`.

use forebay_proxy::plan::{Balance, HashBy, Sticky};

use super::lower::Lower;
use super::names::{cookie, header, whole_seconds};
use super::value::{Fields, Value};

/// How the service of this name picks the next endpoint.
pub(super) fn read(lower: &mut Lower<'_, '_>, service: &str, fields: &Fields) -> Balance {
    match fields.get("balance").map(|written| &written.value) {
        Some(Value::Word("round_robin")) => Balance::RoundRobin,
        Some(Value::Word("peak_ewma")) => Balance::PeakEwma,
        Some(Value::Word("sticky")) => Balance::Sticky(usual_sticky(service)),
        Some(Value::Table(long)) => self::long(lower, service, long),
        _ => Balance::LeastLoaded,
    }
}

fn long(lower: &mut Lower<'_, '_>, service: &str, long: &Fields) -> Balance {
    if let Some(fields) = long.table("sticky") {
        return Balance::Sticky(sticky(lower, service, fields));
    }
    let by = match long.get("hash").map(|written| &written.value) {
        Some(Value::Word("path")) => Some(HashBy::Path),
        Some(Value::Table(by)) => match (by.text("header"), by.text("cookie")) {
            (Some(name), _) => header(lower, name).map(HashBy::Header),
            (None, Some(name)) => cookie(lower, name).map(HashBy::Cookie),
            (None, None) => None,
        },
        _ => None,
    };
    // What is missing or wrong has been told.
    Balance::Hash(by.unwrap_or(HashBy::Client))
}

fn sticky(lower: &mut Lower<'_, '_>, service: &str, fields: &Fields) -> Sticky {
    let name = fields.text("cookie").and_then(|name| cookie(lower, name));
    let ttl = fields.time("ttl");
    if let Some((ttl, written)) = ttl.zip(fields.get("ttl")) {
        whole_seconds(lower, written.at, "ttl", ttl);
    }
    Sticky { ttl, cookie: name.unwrap_or_else(|| usual_sticky(service).cookie) }
}

/// Names of services are made of letters that names of cookies may hold.
fn usual_sticky(service: &str) -> Sticky {
    Sticky { cookie: format!("forebay_{service}").into(), ttl: None }
}
