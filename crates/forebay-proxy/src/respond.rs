//! Answers the gateway makes itself: refusals, redirects and fixed responses.

use forebay_base::time::Instant;
use forebay_net::h1::{RequestHead, Version};

use crate::exchange::Record;
use crate::heads;
use crate::refusal::Refusal;
use crate::route::HeaderEdits;

/// One answer.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    /// `Content-Type`, sent if there is a body.
    pub(crate) content_type: &'a str,
    pub(crate) body: &'a [u8],
    /// Further fields.
    pub(crate) fields: &'a [(&'a str, &'a [u8])],
    /// The route's header edits leave the fields above alone: a problem must not be cached as if it were the
    /// route's content, nor pass for it.
    pub(crate) fixed: bool,
}

/// How the answer goes out.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) version: Version,
    /// The request was a HEAD: everything but the body.
    pub(crate) to_head: bool,
    pub(crate) keep_alive: bool,
}

impl Manner {
    /// For a request whose head could not be read.
    pub(crate) const fn blind(framed: bool) -> Self {
        let version = if framed { Version::Http2 } else { Version::Http11 };
        Self { version, to_head: false, keep_alive: false }
    }

    pub(crate) fn new(request: &RequestHead, head: &[u8], keep_alive: bool) -> Self {
        Self { version: request.version, to_head: request.method.of_head(head) == b"HEAD", keep_alive }
    }
}

/// Writes the whole answer into `out`, which is empty before. Returns the length of the head.
pub(crate) fn write(
    out: &mut Vec<u8>,
    record: &Record<'_>,
    answer: &Answer<'_>,
    manner: Manner,
    now: Instant,
) -> usize {
    let edits = record.response_edits();
    out.extend_from_slice(b"HTTP/1.1 ");
    heads::push_number(out, u64::from(answer.status));
    out.push(b' ');
    out.extend_from_slice(reason_phrase(answer.status).as_bytes());
    out.extend_from_slice(b"\r\n");
    let own = edits.filter(|_| !answer.fixed);
    if !edits.is_some_and(|edits| edits.drops(b"date")) {
        record.worker.push_date(now, out);
    }
    if !answer.body.is_empty() {
        push(out, own, "Content-Type", answer.content_type.as_bytes());
    }
    if !matches!(answer.status, 204 | 304) {
        out.extend_from_slice(b"Content-Length: ");
        heads::push_number(out, answer.body.len() as u64);
        out.extend_from_slice(b"\r\n");
    }
    for (name, value) in answer.fields {
        push(out, own, name, value);
    }
    for (name, value) in edits.into_iter().flat_map(HeaderEdits::appended) {
        let is = |other: &str| other.eq_ignore_ascii_case(name);
        let taken = is("content-type") || answer.fields.iter().any(|(other, _)| is(other));
        if !(answer.fixed && taken) {
            heads::push_field(out, name.as_bytes(), value);
        }
    }
    heads::push_security(out, record, false);
    record.push_cookies(out);
    heads::push_persistence(out, manner.version, manner.keep_alive);
    out.extend_from_slice(b"\r\n");
    let head_len = out.len();
    if !manner.to_head && !matches!(answer.status, 204 | 304) {
        out.extend_from_slice(answer.body);
        record.count_out(answer.body.len());
    }
    head_len
}

fn push(out: &mut Vec<u8>, edits: Option<&HeaderEdits>, name: &str, value: &[u8]) {
    if !edits.is_some_and(|edits| edits.drops(name.as_bytes())) {
        heads::push_field(out, name.as_bytes(), value);
    }
}

/// Writes a refusal into `out`, as `write` does: a problem document (RFC 9457) with `Proxy-Status` (RFC 9209).
pub(crate) fn write_refusal(
    out: &mut Vec<u8>,
    record: &Record<'_>,
    refusal: Refusal,
    allow: &[u8],
    manner: Manner,
    now: Instant,
) -> usize {
    let body = problem(record, refusal);
    let proxy_status = proxy_status(refusal);
    let retry_after = refusal.retry_after().map(|seconds| seconds.to_string());
    let mut fields: Vec<(&str, &[u8])> =
        vec![("Cache-Control", b"no-store"), ("Proxy-Status", proxy_status.as_bytes())];
    if !allow.is_empty() {
        fields.push(("Allow", allow));
    }
    if let Some(seconds) = &retry_after {
        fields.push(("Retry-After", seconds.as_bytes()));
    }
    let answer = Answer {
        status: refusal.status(),
        content_type: "application/problem+json",
        body: body.as_bytes(),
        fields: &fields,
        fixed: true,
    };
    write(out, record, &answer, manner, now)
}

/// What `Proxy-Status` says of a refusal.
pub(crate) fn proxy_status(refusal: Refusal) -> String {
    format!("{}; error={}", heads::PSEUDONYM, proxy_error(refusal))
}

/// The problem document. Every part is made of characters that JSON needs no escapes for.
fn problem(record: &Record<'_>, refusal: Refusal) -> String {
    let id = String::from_utf8_lossy(record.request_id());
    format!(
        "{{\"type\":\"about:blank\",\"status\":{},\"title\":\"{}\",\"reason\":\"{}\",\"request_id\":\"{id}\"}}\n",
        refusal.status(),
        refusal.title(),
        refusal.reason(),
    )
}

/// The error type of RFC 9209 §2.3 that comes closest.
fn proxy_error(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::ConnectFailed => "connection_refused",
        Refusal::ConnectTimeout => "connection_timeout",
        Refusal::UpgradeDeclined => "http_upgrade_failed",
        Refusal::UpstreamTls => "tls_protocol_error",
        Refusal::UpstreamClosed => "connection_terminated",
        Refusal::UpstreamMalformed => "http_protocol_error",
        Refusal::UpstreamHeadTooLarge => "http_response_header_section_size",
        Refusal::UpstreamTimeout | Refusal::RequestTimeout => "http_response_timeout",
        Refusal::PoolFull | Refusal::QueueFull | Refusal::QueueTimeout => "connection_limit_reached",
        Refusal::NoDescriptors => "proxy_internal_error",
        Refusal::NoEndpoint => "destination_unavailable",
        Refusal::NoRoute => "destination_not_found",
        Refusal::Loop => "proxy_loop_detected",
        _ => "http_request_error",
    }
}

/// The customary phrase of a status (RFC 9110 §15); empty for those without one.
fn reason_phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        451 => "Unavailable For Legal Reasons",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        508 => "Loop Detected",
        _ => "",
    }
}
