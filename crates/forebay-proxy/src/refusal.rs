//! Every answer the gateway makes because it will not or cannot do what was asked: each has a name.

use forebay_net::h1::{BodyError, HeadError};

/// Whom an answer is to be blamed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// What the client sent.
    Client,
    /// What a service did, or failed to do.
    Upstream,
    /// The gateway's own bounds.
    Gateway,
}

macro_rules! refusals {
    ($($(#[$doc:meta])* $variant:ident, $status:literal, $reason:literal, $side:ident, $title:literal;)+) => {
        /// Why the gateway answered by itself. The reason is the stem used in problem documents, metrics,
        /// logs and the reference.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Refusal { $($(#[$doc])* $variant,)+ }

        impl Refusal {
            /// All of them, in the order of their index.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// Their reasons, by index: the label values of `forebay_refusals_total`.
            pub const REASONS: &'static [&'static str] = &[$($reason,)+];

            /// The HTTP status.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)+ }
            }

            /// The reason: a stable word for machines.
            #[must_use]
            pub const fn reason(self) -> &'static str {
                match self { $(Self::$variant => $reason,)+ }
            }

            /// One line for people.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)+ }
            }

            /// Whom it is to be blamed on.
            #[must_use]
            pub const fn side(self) -> Side {
                match self { $(Self::$variant => Side::$side,)+ }
            }
        }
    };
}

refusals! {
    /// The head is not HTTP.
    MalformedRequest, 400, "malformed_request", Client, "The request is not valid HTTP";
    /// The body's length can be read in more than one way.
    AmbiguousFraming, 400, "ambiguous_framing", Client, "The length of the request body is ambiguous or invalid";
    /// The request target is not valid.
    BadTarget, 400, "bad_target", Client, "The request target is not valid";
    /// `Host` is missing, not valid, or differs from the target's.
    BadHost, 400, "bad_host", Client, "The Host header is missing, not valid, or differs from the request target";
    /// A header name holds `_` and the settings refuse that.
    HeaderUnderscore, 400, "header_underscore", Client, "A header name contains an underscore";
    /// The chunked coding of the body is broken.
    BodyMalformed, 400, "body_malformed", Client, "The chunked request body is not valid";
    /// The client stopped sending before the end of the body.
    BodyTruncated, 400, "body_truncated", Client, "The request body ended early";
    /// `grpc-timeout` is no timeout.
    BadGrpcTimeout, 400, "bad_grpc_timeout", Client, "The grpc-timeout header is not valid";
    /// No route matches.
    NoRoute, 404, "no_route", Client, "No route matches this request";
    /// A route matches the path but not with this method.
    MethodNotAllowed, 405, "method_not_allowed", Client, "The method is not allowed for this path";
    /// The head did not arrive in time.
    HeaderTimeout, 408, "header_timeout", Client, "The request head did not arrive in time";
    /// The body arrived too slowly.
    BodyTimeout, 408, "body_timeout", Client, "The request body arrived too slowly";
    /// The body is larger than allowed.
    BodyTooLarge, 413, "body_too_large", Client, "The request body is too large";
    /// The target is longer than allowed.
    TargetTooLong, 414, "target_too_long", Client, "The request target is too long";
    /// An `Expect` other than `100-continue`.
    ExpectationFailed, 417, "expectation_failed", Client, "The expectation is not supported";
    /// The head has too many bytes or fields.
    HeadTooLarge, 431, "head_too_large", Client, "The request head is too large or has too many fields";
    /// A transfer coding besides `chunked`.
    TransferCodingUnsupported, 501, "transfer_coding_unsupported", Client, "The transfer coding is not supported";
    /// CONNECT.
    ConnectUnsupported, 501, "connect_unsupported", Client, "CONNECT is not supported";
    /// An upgrade to another protocol.
    UpgradeUnsupported, 501, "upgrade_unsupported", Client, "Upgrading to this protocol is not supported";
    /// Not HTTP/1.0 or HTTP/1.1.
    VersionUnsupported, 505, "version_unsupported", Client, "The HTTP version is not supported";
    /// No endpoint could be connected to.
    ConnectFailed, 502, "connect_failed", Upstream, "No endpoint of the service accepted a connection";
    /// The connection to the endpoint could not be secured.
    UpstreamTls, 502, "upstream_tls", Upstream, "The connection to the service could not be secured";
    /// The endpoint did not turn to the protocol that was asked for, and there is no other way to say so.
    UpgradeDeclined, 502, "upgrade_declined", Upstream, "The service did not turn to the protocol that was asked for";
    /// The endpoint closed the connection before a complete response head.
    UpstreamClosed, 502, "upstream_closed", Upstream, "The service closed the connection without a response";
    /// The endpoint's response is not valid HTTP.
    UpstreamMalformed, 502, "upstream_malformed", Upstream, "The service's response is not valid HTTP";
    /// The endpoint's response head has too many bytes or fields.
    UpstreamHeadTooLarge, 502, "upstream_head_too_large", Upstream, "The head of the service's response is too large or has too many fields";
    /// The request would go round in circles.
    Loop, 508, "loop", Gateway, "The request has come through this gateway too often";
    /// Every endpoint has as many connections as its pool allows.
    PoolFull, 503, "pool_full", Gateway, "Every endpoint of the service has as many connections as allowed";
    /// As many requests as may wait for an endpoint to have room.
    QueueFull, 503, "queue_full", Gateway, "Every endpoint of the service is busy, and too many requests wait already";
    /// No endpoint had room in time.
    QueueTimeout, 503, "queue_timeout", Gateway, "Every endpoint of the service is busy, and waiting took too long";
    /// There is no file descriptor left for a connection to an endpoint.
    NoDescriptors, 503, "no_descriptors", Gateway, "Forebay has no file descriptor left for a connection to the service";
    /// No endpoint has an address: its name does not resolve.
    NoEndpoint, 503, "no_endpoint", Upstream, "No endpoint of the service is available";
    /// Connecting took too long, at every endpoint tried.
    ConnectTimeout, 504, "connect_timeout", Upstream, "Connecting to the service took too long";
    /// The response did not begin in time.
    UpstreamTimeout, 504, "upstream_timeout", Upstream, "The service did not answer in time";
    /// The request as a whole took too long.
    RequestTimeout, 504, "request_timeout", Upstream, "The request took too long";
}

impl Refusal {
    /// Place in `ALL` and `REASONS`.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Whether the connection closes after this: the position of the next request is unknown, or the client
    /// sends what honest clients do not.
    #[must_use]
    pub const fn closes(self) -> bool {
        matches!(
            self,
            Self::MalformedRequest
                | Self::AmbiguousFraming
                | Self::BodyMalformed
                | Self::BodyTruncated
                | Self::HeaderTimeout
                | Self::BodyTimeout
                | Self::HeadTooLarge
                | Self::TargetTooLong
                | Self::TransferCodingUnsupported
                | Self::ConnectUnsupported
                | Self::UpgradeUnsupported
                | Self::VersionUnsupported
                | Self::BadTarget
                | Self::BadHost
                | Self::HeaderUnderscore
        )
    }

    /// Seconds after which trying again makes sense, where that is known.
    #[must_use]
    pub const fn retry_after(self) -> Option<u32> {
        match self {
            Self::PoolFull
            | Self::QueueFull
            | Self::QueueTimeout
            | Self::NoDescriptors
            | Self::NoEndpoint => Some(1),
            _ => None,
        }
    }
}

impl From<HeadError> for Refusal {
    fn from(error: HeadError) -> Self {
        match error {
            HeadError::Syntax(_) => Self::MalformedRequest,
            HeadError::Framing(_) => Self::AmbiguousFraming,
            HeadError::Host => Self::BadHost,
            HeadError::Version => Self::VersionUnsupported,
            HeadError::TargetTooLong => Self::TargetTooLong,
            HeadError::TooLarge | HeadError::TooManyFields => Self::HeadTooLarge,
            HeadError::TransferCoding => Self::TransferCodingUnsupported,
        }
    }
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Chunked(_) => Self::BodyMalformed,
            BodyError::Truncated => Self::BodyTruncated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_unique_and_indexed() {
        for (index, refusal) in Refusal::ALL.iter().enumerate() {
            assert_eq!(refusal.index(), index);
            assert_eq!(Refusal::REASONS[index], refusal.reason());
            let same = Refusal::REASONS.iter().filter(|reason| **reason == refusal.reason());
            assert_eq!(same.count(), 1, "{}", refusal.reason());
        }
    }
}
