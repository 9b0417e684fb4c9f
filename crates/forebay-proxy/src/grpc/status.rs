//! How a gRPC call has ended: the status, which stands behind the body, or in the head of a response without one.

use forebay_net::h1::ResponseHead;

use crate::refusal::Refusal;

/// Where the status stands.
const NAME: &[u8] = b"grpc-status";

/// A status, as a number. gRPC knows those from 0 to 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) u8);

impl Code {
    pub(crate) const UNKNOWN: Self = Self(2);
    pub(crate) const DEADLINE_EXCEEDED: Self = Self(4);
    pub(crate) const PERMISSION_DENIED: Self = Self(7);
    pub(crate) const RESOURCE_EXHAUSTED: Self = Self(8);
    pub(crate) const UNIMPLEMENTED: Self = Self(12);
    pub(crate) const INTERNAL: Self = Self(13);
    pub(crate) const UNAVAILABLE: Self = Self(14);
    pub(crate) const DATA_LOSS: Self = Self(15);
    pub(crate) const UNAUTHENTICATED: Self = Self(16);

    /// Whether the server has failed, as with a 5xx. A deadline that was exceeded counts unless the caller has set it:
    /// nobody can have a server left out by being in a hurry. Nor does a method that does not exist, for whoever calls
    /// it has made that mistake.
    pub(crate) fn is_failure(self, callers_deadline: bool) -> bool {
        match self {
            Self::UNKNOWN | Self::INTERNAL | Self::UNAVAILABLE | Self::DATA_LOSS => true,
            Self::DEADLINE_EXCEEDED => !callers_deadline,
            // A number that gRPC does not know stands for UNKNOWN.
            other => !other.is_known(),
        }
    }

    /// Whether gRPC knows it.
    pub(crate) const fn is_known(self) -> bool {
        self.0 <= Self::UNAUTHENTICATED.0
    }

    /// What a refusal is to a caller of gRPC.
    pub(super) const fn of(refusal: Refusal) -> Self {
        match refusal {
            // Nothing was sent, or nothing can be known: the caller may try again.
            Refusal::ConnectTimeout => Self::UNAVAILABLE,
            Refusal::BodyTimeout | Refusal::HeaderTimeout => Self::DEADLINE_EXCEEDED,
            Refusal::UpstreamMalformed | Refusal::UpstreamHeadTooLarge => Self::INTERNAL,
            other => Self::of_http(other.status()),
        }
    }

    /// As gRPC has it for answers that are none of its own, but for what is known of the gateway's.
    const fn of_http(status: u16) -> Self {
        match status {
            400 | 417 | 508 => Self::INTERNAL,
            401 => Self::UNAUTHENTICATED,
            403 => Self::PERMISSION_DENIED,
            404 | 405 | 501 | 505 => Self::UNIMPLEMENTED,
            413 | 414 | 431 => Self::RESOURCE_EXHAUSTED,
            429 | 502 | 503 => Self::UNAVAILABLE,
            504 => Self::DEADLINE_EXCEEDED,
            _ => Self::UNKNOWN,
        }
    }

    /// Reads the value of `grpc-status`. What is no small number is none that gRPC knows.
    fn parse(value: &[u8]) -> Self {
        let number = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
        Self(number.and_then(|text| text.parse().ok()).unwrap_or(u8::MAX))
    }
}

impl Refusal {
    /// The number of the status that callers of gRPC get in place of the HTTP status.
    #[must_use]
    pub const fn grpc_status(self) -> u8 {
        Code::of(self).0
    }
}

/// The status in a head, if it is there.
pub(crate) fn in_head(response: &ResponseHead, head: &[u8]) -> Option<Code> {
    let found = response.fields.iter().find(|field| field.name.of_head(head).eq_ignore_ascii_case(NAME))?;
    Some(Code::parse(found.value.of_head(head)))
}

/// The status in trailers, lines of `name: value`, if it is there.
pub(crate) fn in_trailers(lines: &[u8]) -> Option<Code> {
    let mut lines = lines.split(|byte| *byte == b'\n');
    lines.find_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        let (name, value) = line.split_at(colon);
        name.eq_ignore_ascii_case(NAME).then(|| Code::parse(value[1..].trim_ascii()))
    })
}

/// Fields of a status, which stand behind the body, or in the head of a response without one.
pub(super) fn is_trailer(name: &[u8]) -> bool {
    [NAME, b"grpc-message", b"grpc-status-details-bin"].iter().any(|other| other.eq_ignore_ascii_case(name))
}

/// Appends the status of a response without a body as trailers.
pub(crate) fn push_from_head(out: &mut Vec<u8>, response: &ResponseHead, head: &[u8]) {
    for field in response.fields.iter().filter(|field| is_trailer(field.name.of_head(head))) {
        for part in [field.name.of_head(head), b": ", field.value.of_head(head), b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_has_its_status() {
        let code = |refusal: &Refusal| Code::of(*refusal).0;
        let of = |wanted: u8| {
            let all = Refusal::ALL.iter().filter(|refusal| code(refusal) == wanted);
            all.map(|refusal| refusal.reason()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(
            of(13),
            "malformed_request ambiguous_framing bad_target bad_host header_underscore body_malformed \
             body_truncated bad_grpc_timeout expectation_failed upstream_malformed upstream_head_too_large loop"
        );
        assert_eq!(of(8), "body_too_large target_too_long head_too_large");
        assert_eq!(
            of(12),
            "no_route method_not_allowed transfer_coding_unsupported connect_unsupported upgrade_unsupported \
             version_unsupported"
        );
        assert_eq!(
            of(14),
            "connect_failed upstream_tls upgrade_declined upstream_closed pool_full queue_full queue_timeout \
             no_descriptors no_endpoint connect_timeout"
        );
        assert_eq!(of(4), "header_timeout body_timeout upstream_timeout request_timeout");
        assert_eq!(of(2), "");
    }

    #[test]
    fn what_counts_against_a_server() {
        let failures = |own| (0..=20).filter(|code| Code(*code).is_failure(own)).collect::<Vec<_>>();
        assert_eq!(failures(false), [2, 4, 13, 14, 15, 17, 18, 19, 20]);
        assert_eq!(failures(true), [2, 13, 14, 15, 17, 18, 19, 20]);
    }

    #[test]
    fn the_status_is_found_in_trailers() {
        for (lines, expected) in [
            ("grpc-status: 0\r\n", Some(0)),
            ("x: y\r\nGrpc-Status:14\r\ngrpc-message: no\r\n", Some(14)),
            ("grpc-status: 16 \r\n", Some(16)),
            ("grpc-status: 300\r\n", Some(255)),
            ("grpc-status: -1\r\n", Some(255)),
            ("grpc-status: +1\r\n", Some(255)),
            ("grpc-status: \r\n", Some(255)),
            ("grpc-statuses: 1\r\nx-grpc-status: 1\r\n", None),
            ("", None),
        ] {
            assert_eq!(in_trailers(lines.as_bytes()), expected.map(Code), "{lines:?}");
        }
    }
}
