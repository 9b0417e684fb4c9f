//! An access record as one line of JSON.

use std::io::Write;
use std::net::{IpAddr, SocketAddr};

use super::{AccessRecord, FIELD_BYTES_MAX};
use crate::escape;
use crate::rfc3339::Clock;

/// Room for all but the longest lines, made once instead of piece by piece.
const USUAL_BYTES: usize = 1 << 10;

/// Appends the record and a line feed. Fields that are unknown are left out.
pub(super) fn line(out: &mut Vec<u8>, clock: &mut Clock, record: &AccessRecord<'_>) {
    out.reserve(USUAL_BYTES);
    out.extend_from_slice(br#"{"time":""#);
    clock.write(out, record.unix_nanos);
    out.extend_from_slice(br#"","client":""#);
    ip(out, record.client);
    out.extend_from_slice(br#"","peer":""#);
    socket(out, record.peer);
    out.push(b'"');
    text(out, "method", Some(record.method).filter(|method| !method.is_empty()));
    text(out, "host", Some(record.host).filter(|host| !host.is_empty()));
    text(out, "path", Some(record.path).filter(|path| !path.is_empty()));
    text(out, "query", record.query);
    text(out, "protocol", Some(record.protocol.as_bytes()));
    if let Some(secured) = record.secured {
        text(out, "tls", Some(secured.version.as_bytes()));
        text(out, "sni", secured.sni.map(str::as_bytes));
        text(out, "client_subject", secured.subject.map(str::as_bytes));
    }
    number(out, "status", u64::from(record.status));
    if let Some(code) = record.grpc_status {
        number(out, "grpc_status", u64::from(code));
    }
    text(out, "reason", record.reason.map(str::as_bytes));
    text(out, "route", record.route.map(str::as_bytes));
    text(out, "service", record.service.map(str::as_bytes));
    text(out, "endpoint", record.endpoint.map(str::as_bytes));
    text(out, "request_id", Some(record.request_id).filter(|id| !id.is_empty()));
    number(out, "bytes_in", record.bytes_in);
    number(out, "bytes_out", record.bytes_out);
    seconds(out, "duration", Some(record.duration_nanos));
    seconds(out, "first_byte", record.first_byte_nanos);
    number(out, "attempts", u64::from(record.attempts));
    text(out, "user_agent", record.user_agent);
    text(out, "referer", record.referer);
    if record.aborted {
        out.extend_from_slice(br#","aborted":true"#);
    }
    out.extend_from_slice(b"}\n");
}

fn key(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn text(out: &mut Vec<u8>, name: &str, value: Option<&[u8]>) {
    let Some(value) = value else { return };
    key(out, name);
    out.push(b'"');
    escape::json(out, value, FIELD_BYTES_MAX);
    out.push(b'"');
}

fn number(out: &mut Vec<u8>, name: &str, value: u64) {
    key(out, name);
    escape::decimal(out, value);
}

fn seconds(out: &mut Vec<u8>, name: &str, nanos: Option<u64>) {
    let Some(nanos) = nanos else { return };
    key(out, name);
    escape::seconds(out, nanos);
}

/// Appends an address. IPv4 by hand: it is on every line, and formatting machinery is slow.
pub(super) fn ip(out: &mut Vec<u8>, address: IpAddr) {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            escape::decimal(out, u64::from(a));
            for octet in [b, c, d] {
                out.push(b'.');
                escape::decimal(out, u64::from(octet));
            }
        }
        IpAddr::V6(v6) => write!(out, "{v6}").expect("a vector takes everything"),
    }
}

fn socket(out: &mut Vec<u8>, address: SocketAddr) {
    match address {
        SocketAddr::V4(v4) => {
            ip(out, IpAddr::V4(*v4.ip()));
            out.push(b':');
            escape::decimal(out, u64::from(v4.port()));
        }
        SocketAddr::V6(v6) => write!(out, "{v6}").expect("a vector takes everything"),
    }
}
