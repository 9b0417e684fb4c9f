//! Header fields as places in the head's own bytes: nothing is copied, order and case are kept.

/// A run of bytes in the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// The place of `part` in `whole`; `part` must be a slice of `whole`.
    pub(super) fn of(part: &[u8], whole: &[u8]) -> Self {
        let start = (part.as_ptr() as usize).saturating_sub(whole.as_ptr() as usize);
        Self { start: clamp(start), len: clamp(part.len()) }
    }

    /// The bytes of this span in `head`, the same buffer it was parsed from; empty if out of its bounds.
    #[must_use]
    #[inline]
    pub fn of_head(self, head: &[u8]) -> &[u8] {
        let start = self.start as usize;
        head.get(start..start + self.len as usize).unwrap_or_default()
    }

    /// Length in bytes.
    #[must_use]
    pub const fn len(self) -> usize {
        self.len as usize
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.len == 0
    }
}

/// Heads are bounded far below 4 GiB by `HeadLimits`, so this never cuts anything off.
fn clamp(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

/// One header field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The name as sent.
    pub name: Span,
    /// The value without white space around it.
    pub value: Span,
    /// Which of the names the gateway itself cares about.
    pub known: Name,
    /// Meant for this hop only: listed in `Connection`, or hop-by-hop by its nature.
    pub hop_by_hop: bool,
    /// The name holds `_`.
    pub underscore: bool,
}

/// The field names that mean something to a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field of that name")]
pub enum Name {
    Other,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    KeepAlive,
    ProxyConnection,
    ProxyAuthenticate,
    ProxyAuthorization,
    Te,
    Trailer,
    Upgrade,
    Http2Settings,
    Expect,
    Via,
    Forwarded,
    XForwardedFor,
    XForwardedProto,
    XForwardedHost,
    /// Any other `X-Forwarded-…`.
    XForwardedOther,
    XRealIp,
    XRequestId,
    Date,
    UserAgent,
    Referer,
}

impl Name {
    /// Which name this is, whatever its case.
    #[must_use]
    #[inline]
    pub fn classify(name: &[u8]) -> Self {
        let Some(first) = name.first().map(u8::to_ascii_lowercase) else { return Self::Other };
        // By length and first letter: most names are settled without a comparison, the rest by one.
        let candidates: &[(&[u8], Self)] = match name.len() {
            2 => &[(b"te", Self::Te)],
            3 => &[(b"via", Self::Via)],
            4 => &[(b"host", Self::Host), (b"date", Self::Date)],
            6 => &[(b"expect", Self::Expect)],
            7 => &[(b"upgrade", Self::Upgrade), (b"trailer", Self::Trailer), (b"referer", Self::Referer)],
            9 => &[(b"forwarded", Self::Forwarded), (b"x-real-ip", Self::XRealIp)],
            10 => &[
                (b"connection", Self::Connection),
                (b"user-agent", Self::UserAgent),
                (b"keep-alive", Self::KeepAlive),
            ],
            12 => &[(b"x-request-id", Self::XRequestId)],
            14 => &[(b"content-length", Self::ContentLength), (b"http2-settings", Self::Http2Settings)],
            15 => &[(b"x-forwarded-for", Self::XForwardedFor)],
            16 => {
                &[(b"x-forwarded-host", Self::XForwardedHost), (b"proxy-connection", Self::ProxyConnection)]
            }
            17 => &[
                (b"transfer-encoding", Self::TransferEncoding),
                (b"x-forwarded-proto", Self::XForwardedProto),
            ],
            18 => &[(b"proxy-authenticate", Self::ProxyAuthenticate)],
            19 => &[(b"proxy-authorization", Self::ProxyAuthorization)],
            _ => &[],
        };
        for (text, known) in candidates {
            if first == text[0] && name.eq_ignore_ascii_case(text) {
                return *known;
            }
        }
        if first == b'x' && name.len() > 12 && name[..12].eq_ignore_ascii_case(b"x-forwarded-") {
            return Self::XForwardedOther;
        }
        Self::Other
    }

    /// Whether the field is meant for one hop only by its nature (RFC 9110 §7.6.1).
    #[must_use]
    pub const fn is_hop_by_hop(self) -> bool {
        matches!(
            self,
            Self::Connection
                | Self::KeepAlive
                | Self::ProxyConnection
                | Self::ProxyAuthenticate
                | Self::ProxyAuthorization
                | Self::Te
                | Self::TransferEncoding
                | Self::Upgrade
                | Self::Http2Settings
        )
    }
}
