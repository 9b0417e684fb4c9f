//! Refusals as callers of gRPC understand them: a status in a response without a body.

use std::fmt::Write as _;

use forebay_base::time::Instant;

use super::status::Code;
use super::{Asked, GRPC, web};
use crate::exchange::Record;
use crate::heads;
use crate::refusal::Refusal;
use crate::respond::{self, Answer, Manner};
use crate::route::HeaderEdits;

/// Writes a refusal into `out`, which is empty before: 200 with the status in the head; in gRPC-Web, in the body.
/// Returns the length of the head.
pub(crate) fn write(
    out: &mut Vec<u8>,
    record: &Record<'_>,
    asked: &Asked,
    refusal: Refusal,
    manner: Manner,
    now: Instant,
) -> usize {
    // However it came to it: the caller's time is up.
    let code = if now >= asked.deadline { Code::DEADLINE_EXCEEDED } else { Code::of(refusal) };
    record.grpc_status.set(Some(code));
    let mut status = String::new();
    // Writing to a string does not fail.
    let _ = write!(status, "grpc-status: {}\r\ngrpc-message: ", code.0);
    push_message(&mut status, refusal.title());
    status.push_str("\r\n");
    let proxy_status = respond::proxy_status(refusal);
    let fields: [(&str, &[u8]); 2] =
        [("Cache-Control", b"no-store"), ("Proxy-Status", proxy_status.as_bytes())];
    if let Some(kind) = asked.web {
        let mut content_type = Vec::new();
        super::push_web_type(&mut content_type, kind, GRPC);
        let answer = Answer {
            status: super::STATUS,
            content_type: &String::from_utf8_lossy(&content_type),
            body: &web::ending(status.as_bytes(), kind),
            fields: &fields,
            fixed: true,
        };
        return respond::write(out, record, &answer, manner, now);
    }
    let edits = record.response_edits();
    out.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    heads::push_field(out, b"Content-Type", GRPC);
    out.extend_from_slice(status.as_bytes());
    record.worker.push_date(now, out);
    for (name, value) in fields {
        heads::push_field(out, name.as_bytes(), value);
    }
    for (name, value) in edits.into_iter().flat_map(HeaderEdits::appended) {
        let own = ["content-type", "grpc-status", "grpc-message", "cache-control", "proxy-status", "date"];
        if !own.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            heads::push_field(out, name.as_bytes(), value);
        }
    }
    heads::push_security(out, record, false);
    record.push_cookies(out);
    out.extend_from_slice(b"\r\n");
    out.len()
}

/// Appends a message as gRPC has it: what is not printable ASCII, and `%`, is percent-encoded.
fn push_message(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b' '..=b'~' if byte != b'%' => out.push(char::from(byte)),
            _ => {
                let _ = write!(out, "%{byte:02X}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_percent_encoded() {
        for (text, expected) in [
            ("no route", "no route"),
            ("100 %", "100 %25"),
            ("ü\n", "%C3%BC%0A"),
            ("~\x7f", "~%7F"),
            ("", ""),
        ] {
            let mut out = String::new();
            push_message(&mut out, text);
            assert_eq!(out, expected);
        }
    }
}
