//! The gRPC health protocol: one call of `grpc.health.v1.Health/Check`, and what its answer says.

use forebay_telemetry::stats::GrpcCodes;

use super::http2::{self, Answer};
use super::probe::{Deadline, Failure};
use super::wire::Wire;
use crate::grpc;

/// The service that is asked for is serving.
const SERVING: u64 = 1;
/// What the other numbers mean.
const STATUSES: [&str; 4] = ["UNKNOWN", "SERVING", "NOT_SERVING", "SERVICE_UNKNOWN"];
/// What stands before a message: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// Asks whether `service` is serving; empty: the server as a whole.
pub(super) async fn ask(wire: Wire, service: &str, host: &str, deadline: Deadline) -> Result<(), Failure> {
    let agent = concat!("forebay-health/", env!("CARGO_PKG_VERSION"));
    let head = format!(
        "POST /grpc.health.v1.Health/Check HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/grpc\r\n\
         TE: trailers\r\nUser-Agent: {agent}\r\n\r\n"
    );
    judge(&http2::ask(wire, &head, &request(service), deadline).await?)
}

/// The message: `service` is its first field. At most 255 bytes of it, so that its length takes two bytes at most.
fn request(service: &str) -> Vec<u8> {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(0x0a);
        let mut len = service.len();
        while len >= 0x80 {
            message.push(len as u8 | 0x80);
            len >>= 7;
        }
        message.push(len as u8);
        message.extend_from_slice(service.as_bytes());
    }
    let mut body = vec![0];
    body.extend_from_slice(&u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes());
    body.extend_from_slice(&message);
    body
}

fn judge(answer: &Answer) -> Result<(), Failure> {
    let Answer { head, bytes, body, trailers, .. } = answer;
    if head.status != grpc::STATUS {
        return Err(Failure::said(format_args!("status {}, expected gRPC in a 200", head.status)));
    }
    let code = grpc::in_head(head, bytes).or_else(|| grpc::in_trailers(trailers));
    match code {
        None => return Err(Failure::said("no gRPC status")),
        Some(code) if code.0 != 0 => {
            let name = GrpcCodes::LABELS.get(usize::from(code.0)).unwrap_or(&"other");
            return Err(Failure::said(format_args!("gRPC status {name}, expected OK")));
        }
        Some(_) => {}
    }
    match status_of(body) {
        Some(SERVING) => Ok(()),
        Some(other) => {
            let name = usize::try_from(other).ok().and_then(|other| STATUSES.get(other));
            Err(Failure::said(format_args!(
                "says {}, expected SERVING",
                name.unwrap_or(&"an unknown status")
            )))
        }
        None => Err(Failure::said("the answer is no HealthCheckResponse")),
    }
}

/// The first field of the one message in `body`; 0 if it is not there. `None`: it is no such message.
fn status_of(body: &[u8]) -> Option<u64> {
    let (prefix, mut message) = body.split_first_chunk::<PREFIX>()?;
    let [compressed, len @ ..] = *prefix;
    if compressed != 0 || u32::from_be_bytes(len) as usize != message.len() {
        return None;
    }
    let mut status = 0;
    while !message.is_empty() {
        let tag = varint(&mut message)?;
        match tag & 7 {
            0 => {
                let value = varint(&mut message)?;
                if tag >> 3 == 1 {
                    status = value;
                }
            }
            1 => message = message.get(8..)?,
            2 => {
                let len = usize::try_from(varint(&mut message)?).ok()?;
                message = message.get(len..)?;
            }
            5 => message = message.get(4..)?,
            _ => return None,
        }
    }
    Some(status)
}

/// A number in groups of seven bits, the least first; at most ten of them.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_question_is_a_message_with_the_services_name() {
        assert_eq!(request(""), [0, 0, 0, 0, 0]);
        assert_eq!(request("a.B"), *b"\0\0\0\0\x05\x0a\x03a.B");
        let long = request(&"x".repeat(255));
        assert_eq!((long.len(), &long[..8]), (5 + 3 + 255, &b"\0\0\0\x01\x02\x0a\xff\x01"[..]));
    }

    #[test]
    fn answers_are_understood_strictly() {
        for (body, expected) in [
            (&b"\0\0\0\0\x02\x08\x01"[..], Some(1)),
            (b"\0\0\0\0\x02\x08\x02", Some(2)),
            (b"\0\0\0\0\0", Some(0)),
            // Later fields of other kinds may come.
            (b"\0\0\0\0\x0d\x08\x01\x12\x02ab\x1d1234\x20\x80\x01", None),
            (b"\0\0\0\0\x0e\x08\x01\x12\x02ab\x1d1234\x20\x80\x01", Some(1)),
            (b"\0\0\0\0\x03\x08\x81\x00", Some(1)),
            (b"\0\0\0\0\x02\x08\x81", None),
            (b"\x01\0\0\0\x02\x08\x01", None),
            (b"\0\0\0\0\x03\x08\x01", None),
            (b"\0\0\0\0\x01\x08\x01", None),
            (b"\0\0\0\0\x02\x0f\x01", None),
            (b"\0\0\0\0\x0b\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
            (b"\0\0\0", None),
            (b"", None),
        ] {
            assert_eq!(status_of(body), expected, "{body:?}");
        }
    }
}
