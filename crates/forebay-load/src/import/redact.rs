//! Secrets in requests, and what is written in their place.

use crate::recording::{REDACTED, Request};

/// Header fields that say who one is.
const HEADERS: [&str; 7] = [
    "authorization",
    "cookie",
    "proxy-authorization",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
    "x-xsrf-token",
];
/// Parameters of a query that do.
const PARAMETERS: [&str; 5] = ["token", "access_token", "api_key", "key", "password"];

/// Replaces secrets in header fields and the query; `true`: there were some.
pub(super) fn redact(request: &mut Request) -> bool {
    let mut found = false;
    for (name, value) in &mut request.headers {
        if HEADERS.iter().any(|secret| secret.eq_ignore_ascii_case(name)) {
            REDACTED.clone_into(value);
            found = true;
        }
    }
    let Some((path, query)) = request.target.split_once('?') else { return found };
    let is_secret = |pair: &str| {
        let name = pair.split_once('=').map(|(name, _)| name);
        name.filter(|name| PARAMETERS.iter().any(|secret| secret.eq_ignore_ascii_case(name)))
            .map(str::to_owned)
    };
    let pairs: Vec<_> = query
        .split('&')
        .map(|pair| match is_secret(pair) {
            Some(name) => {
                found = true;
                format!("{name}={REDACTED}")
            }
            None => pair.to_owned(),
        })
        .collect();
    request.target = format!("{path}?{}", pairs.join("&"));
    found
}
