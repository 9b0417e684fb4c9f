//! The lines of a recording: JSON, one for each request, after one about the recording itself.

use std::time::Duration;

use forebay_base::base64;
use forebay_base::time::Instant;

use super::{Head, Settings, Share};
use crate::escape;

/// What stands in the place of a secret.
const REDACTED: &str = "REDACTED";
/// Version of the format.
const VERSION: u32 = 1;

/// The first line: which format this is, when it began since 1970, and the share of requests in it.
pub(super) fn first_line(unix: Duration, sample: Share) -> Vec<u8> {
    let millis = unix.as_millis();
    let sample = sample.decimal();
    format!("{{\"forebay_recording\":{VERSION},\"started_unix_ms\":{millis},\"sample\":{sample}}}\n")
        .into_bytes()
}

/// Appends a line's beginning, all that the head of the request says.
pub(super) fn head<'a>(
    out: &mut Vec<u8>,
    head: &Head<'_>,
    fields: impl Iterator<Item = (&'a [u8], &'a [u8])>,
    started: Instant,
    settings: &Settings,
) {
    let Head { arrived, method, target, host, port, body_len: _ } = *head;
    out.extend_from_slice(br#"{"at_us":"#);
    escape::decimal(out, u64::try_from(arrived.since(started).as_micros()).unwrap_or(u64::MAX));
    out.extend_from_slice(br#","method":""#);
    text(out, method);
    out.extend_from_slice(br#"","target":""#);
    url(out, target.as_bytes(), &settings.redact_query);
    out.extend_from_slice(br#"","host":""#);
    text(out, host.as_bytes());
    if let Some(port) = port {
        out.push(b':');
        escape::decimal(out, u64::from(port));
    }
    out.extend_from_slice(br#"","headers":["#);
    for (number, (name, value)) in fields.enumerate() {
        if number > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"[\"");
        text(out, name);
        out.extend_from_slice(b"\",\"");
        if settings.redact.iter().any(|secret| secret.as_bytes().eq_ignore_ascii_case(name)) {
            out.extend_from_slice(REDACTED.as_bytes());
        } else if name.eq_ignore_ascii_case(b"referer") {
            // The page before this one may have had a secret in its address too.
            url(out, value, &settings.redact_query);
        } else {
            text(out, value);
        }
        out.extend_from_slice(b"\"]");
    }
    out.push(b']');
}

/// Appends the rest of a line: the body, if there is a whole one, and its length.
pub(super) fn body(out: &mut Vec<u8>, body: Option<&[u8]>, bytes: u64) {
    if let Some(body) = body.filter(|body| !body.is_empty()) {
        out.extend_from_slice(br#","body":""#);
        base64::encode_into(body, out);
        out.push(b'"');
    }
    out.extend_from_slice(br#","body_bytes":"#);
    escape::decimal(out, bytes);
    if body.is_none() {
        out.extend_from_slice(br#","body_omitted":true"#);
    }
    out.extend_from_slice(b"}\n");
}

/// Appends `bytes` as the inside of a JSON string. What is no text, bytes that are not UTF-8 and control
/// characters, becomes U+FFFD: no line of a recording holds anything that could not be sent again.
fn text(out: &mut Vec<u8>, bytes: &[u8]) {
    let is_plain = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
    if bytes.iter().all(is_plain) {
        return escape::json(out, bytes, usize::MAX);
    }
    let shown = |c: char| if c.is_control() && c != '\t' { char::REPLACEMENT_CHARACTER } else { c };
    let text: String = String::from_utf8_lossy(bytes).chars().map(shown).collect();
    escape::json(out, text.as_bytes(), usize::MAX);
}

/// Appends an address without the values of `secret` parameters of its query.
fn url(out: &mut Vec<u8>, url: &[u8], secret: &[Box<str>]) {
    let Some(mark) = url.iter().position(|&byte| byte == b'?') else {
        return text(out, url);
    };
    let (path, query) = url.split_at(mark + 1);
    text(out, path);
    for (number, part) in query.split(|&byte| byte == b'&').enumerate() {
        if number > 0 {
            out.push(b'&');
        }
        match secret_at(part, secret) {
            Some(value) => {
                text(out, &part[..value]);
                out.extend_from_slice(REDACTED.as_bytes());
            }
            None => text(out, part),
        }
    }
}

/// Where in `part` of a query the value of a secret parameter begins. Some servers take `;` for `&`, so names
/// are looked for behind both; a value only ends at `&`, so that no part of it is left over.
fn secret_at(part: &[u8], secret: &[Box<str>]) -> Option<usize> {
    let mut start = 0;
    for pair in part.split(|&byte| byte == b';') {
        if let Some(equals) = pair.iter().position(|&byte| byte == b'=')
            && secret.iter().any(|name| means(&pair[..equals], name))
        {
            return Some(start + equals + 1);
        }
        start += pair.len() + 1;
    }
    None
}

/// Whether a server would take `written` for `name`, percent-encoded or not.
fn means(written: &[u8], name: &str) -> bool {
    let mut rest = written;
    let decoded = std::iter::from_fn(|| {
        let (&first, after) = rest.split_first()?;
        let hex = |at: usize| after.get(at).and_then(|&digit| char::from(digit).to_digit(16));
        if first == b'%'
            && let (Some(high), Some(low)) = (hex(0), hex(1))
        {
            rest = &after[2..];
            return u8::try_from(high << 4 | low).ok();
        }
        rest = after;
        Some(first)
    });
    decoded.map(|byte| byte.to_ascii_lowercase()).eq(name.bytes().map(|byte| byte.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests;
