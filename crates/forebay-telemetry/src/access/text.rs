//! An access record as one line for a person.

use super::json::ip;
use super::{AccessRecord, FIELD_BYTES_MAX};
use crate::escape;
use crate::rfc3339::Clock;
use crate::stats::Class;

const RESET: &[u8] = b"\x1b[0m";
const DIM: &[u8] = b"\x1b[2m";
const GREEN: &[u8] = b"\x1b[32m";
const CYAN: &[u8] = b"\x1b[36m";
const YELLOW: &[u8] = b"\x1b[33m";
const RED: &[u8] = b"\x1b[31m";

/// Widths of the columns that usually fit.
const METHOD_WIDTH: usize = 6;
const DURATION_WIDTH: usize = 9;
const CLIENT_WIDTH: usize = 15;

/// Appends the record and a line feed:
/// `11:27:52.123 200   1.24 ms GET    shop.test/cart?x=1 -> shop 10.0.0.1:3000 ...`.
pub(super) fn line(out: &mut Vec<u8>, clock: &mut Clock, record: &AccessRecord<'_>, colour: bool) {
    painted(out, colour, DIM, |out| clock.write_time(out, record.unix_nanos));
    out.push(b' ');
    painted(out, colour, colour_of(record), |out| status(out, record));
    out.push(b' ');
    aligned_right(out, DURATION_WIDTH, |out| duration(out, record.duration_nanos));
    out.push(b' ');
    aligned_left(out, CLIENT_WIDTH, |out| ip(out, record.client));
    out.push(b' ');
    aligned_left(out, METHOD_WIDTH, |out| escape::text(out, or_dash(record.method), FIELD_BYTES_MAX));
    out.push(b' ');
    target(out, record);
    painted(out, colour, DIM, |out| rest(out, record));
    out.push(b'\n');
}

fn status(out: &mut Vec<u8>, record: &AccessRecord<'_>) {
    if record.status == 0 {
        out.extend_from_slice(b"---");
    } else {
        escape::decimal_padded(out, u64::from(record.status), 3);
    }
}

fn colour_of(record: &AccessRecord<'_>) -> &'static [u8] {
    match Class::of(record.status) {
        _ if record.aborted => YELLOW,
        Class::Informational | Class::Redirection => CYAN,
        Class::Success => GREEN,
        Class::ClientError => YELLOW,
        Class::ServerError | Class::Aborted => RED,
    }
}

fn target(out: &mut Vec<u8>, record: &AccessRecord<'_>) {
    escape::text(out, record.host, FIELD_BYTES_MAX);
    escape::text(out, or_dash(record.path), FIELD_BYTES_MAX);
    if let Some(query) = record.query {
        out.push(b'?');
        escape::text(out, query, FIELD_BYTES_MAX);
    }
}

/// What is worth a glance after the target: who answered, or why nobody did, and what it was about.
fn rest(out: &mut Vec<u8>, record: &AccessRecord<'_>) {
    if let Some(service) = record.service {
        out.extend_from_slice(b" -> ");
        escape::text(out, service.as_bytes(), FIELD_BYTES_MAX);
    }
    if let Some(endpoint) = record.endpoint {
        out.push(b' ');
        escape::text(out, endpoint.as_bytes(), FIELD_BYTES_MAX);
    }
    if record.attempts > 1 {
        out.extend_from_slice(b" attempts=");
        escape::decimal(out, u64::from(record.attempts));
    }
    if let Some(code) = record.grpc_status {
        out.extend_from_slice(b" grpc=");
        escape::decimal(out, u64::from(code));
    }
    if let Some(reason) = record.reason {
        out.extend_from_slice(b" reason=");
        escape::text(out, reason.as_bytes(), FIELD_BYTES_MAX);
    }
    if record.aborted {
        out.extend_from_slice(b" aborted");
    }
    if record.bytes_in > 0 {
        out.extend_from_slice(b" in=");
        escape::decimal(out, record.bytes_in);
    }
    out.extend_from_slice(b" out=");
    escape::decimal(out, record.bytes_out);
    if !record.request_id.is_empty() {
        out.extend_from_slice(b" id=");
        escape::text(out, record.request_id, FIELD_BYTES_MAX);
    }
    if let Some(user_agent) = record.user_agent {
        out.extend_from_slice(b" \"");
        escape::text(out, user_agent, FIELD_BYTES_MAX);
        out.push(b'"');
    }
}

/// Three digits and a unit: `812 us`, `1.24 ms`, `31.5 s`.
fn duration(out: &mut Vec<u8>, nanos: u64) {
    let micros = nanos / 1_000;
    match micros {
        0..1_000 => {
            escape::decimal(out, micros);
            out.extend_from_slice(b" us");
        }
        1_000..1_000_000 => {
            scaled(out, micros, 1_000);
            out.extend_from_slice(b" ms");
        }
        _ => {
            scaled(out, micros, 1_000_000);
            out.extend_from_slice(b" s");
        }
    }
}

/// `number / unit` with three digits that count; `unit` is a power of ten, at least 1,000.
fn scaled(out: &mut Vec<u8>, number: u64, unit: u64) {
    let whole = number / unit;
    escape::decimal(out, whole);
    let (divisor, width) = match whole {
        0..10 => (unit / 100, 2),
        10..100 => (unit / 10, 1),
        _ => return,
    };
    out.push(b'.');
    escape::decimal_padded(out, number % unit / divisor, width);
}

fn or_dash(bytes: &[u8]) -> &[u8] {
    if bytes.is_empty() { b"-" } else { bytes }
}

fn painted(out: &mut Vec<u8>, colour: bool, code: &[u8], write: impl FnOnce(&mut Vec<u8>)) {
    if !colour {
        return write(out);
    }
    out.extend_from_slice(code);
    write(out);
    out.extend_from_slice(RESET);
}

fn aligned_left(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let end = out.len() + width;
    write(out);
    out.resize(out.len().max(end), b' ');
}

fn aligned_right(out: &mut Vec<u8>, width: usize, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    write(out);
    let missing = width.saturating_sub(out.len() - start);
    out.resize(out.len() + missing, b' ');
    out[start..].rotate_right(missing);
}
