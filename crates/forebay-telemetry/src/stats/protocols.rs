//! What each worker counts of the protocols that clients and endpoints speak.

use crate::metric::{Counter, Gauge};

/// What one worker counts of protocols. Connections are counted once they have ended, unless said otherwise.
#[derive(Debug, Default)]
pub struct ProtocolStats {
    /// Requests that have ended, by version: see [`ProtocolStats::VERSIONS`].
    pub requests: [Counter; 4],
    /// Client connections open now whose handshake is done; those of HTTP/3 among them.
    pub secured: Gauge,
    /// Client connections open now that speak HTTP/2, in plain text and secured.
    pub http2: [Gauge; 2],
    /// Client connections open now that speak HTTP/3.
    pub http3: Gauge,
    /// Requests on streams of such connections under way.
    pub streams: [Gauge; 2],
    /// Client handshakes that came to an agreement: TLS 1.2 and 1.3, each in full and resumed.
    pub handshakes: [[Counter; 2]; 2],
    /// Client handshakes that did not: see [`ProtocolStats::failed`].
    handshakes_failed: [Counter; ProtocolStats::FAILURES.len()],
    /// Connections refused because they did not begin with a PROXY header of a trusted proxy.
    pub proxy_refused: Counter,
    /// Connections, and streams, that have turned into something else: WebSocket, and others.
    pub tunnels: [Tunnels; 2],
    /// HTTP/2 with clients, and with endpoints.
    pub http2_ended: [Http2Stats; 2],
}

/// Tunnels of one kind.
#[derive(Debug, Default)]
pub struct Tunnels {
    /// Opened so far.
    pub opened: Counter,
    /// Open now.
    pub active: Gauge,
}

/// What connections of HTTP/2 had counted when they ended.
#[derive(Debug, Default)]
pub struct Http2Stats {
    /// Connections that have ended.
    pub connections: Counter,
    /// Streams reset by the other side.
    pub resets_received: Counter,
    /// Streams reset by us.
    pub resets_sent: Counter,
    /// Streams refused because too many were open.
    pub refused: Counter,
    /// Heads with too many bytes or fields.
    pub heads_too_large: Counter,
    /// Frames and faults that made work and brought nothing, and were not forgiven.
    pub glitches: Counter,
    /// GOAWAYs sent by their code: see [`Http2Stats::CODES`].
    goaways_sent: [Counter; Http2Stats::CODES.len()],
    /// GOAWAYs received.
    goaways_received: [Counter; Http2Stats::CODES.len()],
}

impl ProtocolStats {
    /// The versions of HTTP by their place in `requests`.
    pub const VERSIONS: [&'static str; 4] = ["HTTP/1.0", "HTTP/1.1", "HTTP/2", "HTTP/3"];

    /// Why there is no secured connection, in words that do not change; the last is for all others.
    pub const FAILURES: [&'static str; 17] = [
        "not_tls",
        "version",
        "incompatible",
        "protocol",
        "unknown_name",
        "certificate_required",
        "unknown_authority",
        "certificate_expired",
        "wrong_name",
        "bad_certificate",
        "refused",
        "too_large",
        "malformed",
        "timeout",
        "closed",
        "broken",
        "other",
    ];

    /// Versions of TLS by their place in `handshakes`.
    pub const TLS: [&'static str; 2] = ["TLSv1.2", "TLSv1.3"];

    /// What tunnels carry, by their place in `tunnels`.
    pub const TUNNELS: [&'static str; 2] = ["websocket", "other"];

    /// Counts a handshake that failed for the reason of this word.
    pub fn count_failed(&self, word: &str) {
        let other = Self::FAILURES.len() - 1;
        let index = Self::FAILURES.iter().position(|known| *known == word).unwrap_or(other);
        self.handshakes_failed[index].inc();
    }

    /// Handshakes that failed, by the place of the reason in [`ProtocolStats::FAILURES`].
    #[must_use]
    pub fn failed(&self, index: usize) -> u64 {
        self.handshakes_failed.get(index).map_or(0, Counter::get)
    }
}

impl Http2Stats {
    /// Codes of GOAWAY by their numbers (RFC 9113 §7); the last is for all others.
    pub const CODES: [&'static str; 15] = [
        "NO_ERROR",
        "PROTOCOL_ERROR",
        "INTERNAL_ERROR",
        "FLOW_CONTROL_ERROR",
        "SETTINGS_TIMEOUT",
        "STREAM_CLOSED",
        "FRAME_SIZE_ERROR",
        "REFUSED_STREAM",
        "CANCEL",
        "COMPRESSION_ERROR",
        "CONNECT_ERROR",
        "ENHANCE_YOUR_CALM",
        "INADEQUATE_SECURITY",
        "HTTP_1_1_REQUIRED",
        "other",
    ];

    /// Counts the code of a GOAWAY, sent by us or received.
    pub fn count_goaway(&self, sent: bool, code: u32) {
        let other = Self::CODES.len() - 1;
        let index = usize::try_from(code).map_or(other, |code| code.min(other));
        self.goaways_of(sent)[index].inc();
    }

    /// GOAWAYs sent by us, or received, by the place of their code in [`Http2Stats::CODES`].
    #[must_use]
    pub fn goaways(&self, sent: bool, index: usize) -> u64 {
        self.goaways_of(sent).get(index).map_or(0, Counter::get)
    }

    const fn goaways_of(&self, sent: bool) -> &[Counter; Self::CODES.len()] {
        if sent { &self.goaways_sent } else { &self.goaways_received }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_counts_as_other() {
        let stats = ProtocolStats::default();
        stats.count_failed("wrong_name");
        stats.count_failed("a new one");
        assert_eq!((stats.failed(8), stats.failed(16), stats.failed(17)), (1, 1, 0));
        let http2 = Http2Stats::default();
        http2.count_goaway(true, 11);
        http2.count_goaway(true, 0xffff_ffff);
        assert_eq!((http2.goaways(true, 11), http2.goaways(true, 14), http2.goaways(false, 11)), (1, 1, 0));
    }
}
