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

    /// `len` bytes from `start`.
    #[must_use]
    pub fn new(start: usize, len: usize) -> Self {
        Self { start: clamp(start), len: clamp(len) }
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
    XForwardedClientCert,
    /// Any other `X-Forwarded-…`.
    XForwardedOther,
    XRealIp,
    XRequestId,
    /// One of the names that proxies tell of clients by, with `_` for `-`: many servers take it for that.
    Disguised,
    Date,
    UserAgent,
    Referer,
    StrictTransportSecurity,
}

impl Name {
    /// Which name this is, whatever its case.
    #[must_use]
    pub fn classify(name: &[u8]) -> Self {
        Self::classify_here(name)
    }

    /// The same, for where every field of every head comes by.
    #[inline(always)]
    pub(super) fn classify_here(name: &[u8]) -> Self {
        // By length, then as numbers: most names are settled without a comparison, the rest by two or three.
        match name.len() {
            2 => pick(name, [(b"te", Self::Te)]),
            3 => pick(name, [(b"via", Self::Via)]),
            4 => pick(name, [(b"host", Self::Host), (b"date", Self::Date)]),
            6 => pick(name, [(b"expect", Self::Expect)]),
            7 => pick(
                name,
                [(b"upgrade", Self::Upgrade), (b"trailer", Self::Trailer), (b"referer", Self::Referer)],
            ),
            9 => pick(name, [(b"forwarded", Self::Forwarded), (b"x-real-ip", Self::XRealIp)]),
            10 => pick(
                name,
                [
                    (b"connection", Self::Connection),
                    (b"user-agent", Self::UserAgent),
                    (b"keep-alive", Self::KeepAlive),
                ],
            ),
            12 => pick(name, [(b"x-request-id", Self::XRequestId)]),
            14 => pick(
                name,
                [(b"content-length", Self::ContentLength), (b"http2-settings", Self::Http2Settings)],
            ),
            15 => or_forwarded(name, pick(name, [(b"x-forwarded-for", Self::XForwardedFor)])),
            16 => or_forwarded(
                name,
                pick(
                    name,
                    [
                        (b"x-forwarded-host", Self::XForwardedHost),
                        (b"proxy-connection", Self::ProxyConnection),
                    ],
                ),
            ),
            17 => or_forwarded(
                name,
                pick(
                    name,
                    [
                        (b"transfer-encoding", Self::TransferEncoding),
                        (b"x-forwarded-proto", Self::XForwardedProto),
                    ],
                ),
            ),
            18 => or_forwarded(name, pick(name, [(b"proxy-authenticate", Self::ProxyAuthenticate)])),
            19 => or_forwarded(name, pick(name, [(b"proxy-authorization", Self::ProxyAuthorization)])),
            23 => or_forwarded(name, pick(name, [(b"x-forwarded-client-cert", Self::XForwardedClientCert)])),
            25 => or_forwarded(
                name,
                pick(name, [(b"strict-transport-security", Self::StrictTransportSecurity)]),
            ),
            13.. => or_forwarded(name, Self::Other),
            _ => Self::Other,
        }
    }

    /// Which name one that holds `_` is: nothing but `Disguised` and `Other`.
    #[cold]
    pub(crate) fn of_underscored(name: &[u8]) -> Self {
        // Longer than the names in question, of which only the beginning may be known.
        let mut spelt = [0; 32];
        for (to, byte) in spelt.iter_mut().zip(name) {
            *to = if *byte == b'_' { b'-' } else { *byte };
        }
        match Self::classify(&spelt[..name.len().min(spelt.len())]) {
            Self::XForwardedFor
            | Self::XForwardedProto
            | Self::XForwardedHost
            | Self::XForwardedClientCert
            | Self::XForwardedOther
            | Self::XRealIp
            | Self::XRequestId => Self::Disguised,
            _ => Self::Other,
        }
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

/// The name among `candidates` that `name`, which is as long as they are, is but for its case.
#[inline]
fn pick<const LENGTH: usize, const COUNT: usize>(
    name: &[u8],
    candidates: [(&[u8; LENGTH], Name); COUNT],
) -> Name {
    let Ok(name) = <&[u8; LENGTH]>::try_from(name) else { return Name::Other };
    // The arrays are compared as a few wide numbers. Setting this bit makes letters small and leaves the digits
    // and the hyphen of these names alone; what else it turns into one of their characters no field name holds.
    let lower = name.map(|byte| byte | 0x20);
    for (text, known) in candidates {
        if lower == *text {
            return known;
        }
    }
    Name::Other
}

/// Any other `X-Forwarded-…`, unless the name is known already.
#[inline]
fn or_forwarded(name: &[u8], known: Name) -> Name {
    const START: &[u8; 12] = b"x-forwarded-";
    match name.first_chunk::<12>() {
        Some(start) if known == Name::Other && start.map(|byte| byte | 0x20) == *START => {
            Name::XForwardedOther
        }
        _ => known,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[(&str, Name)] = &[
        ("TE", Name::Te),
        ("Via", Name::Via),
        ("Host", Name::Host),
        ("Date", Name::Date),
        ("Expect", Name::Expect),
        ("Upgrade", Name::Upgrade),
        ("Trailer", Name::Trailer),
        ("Referer", Name::Referer),
        ("Forwarded", Name::Forwarded),
        ("X-Real-IP", Name::XRealIp),
        ("Connection", Name::Connection),
        ("User-Agent", Name::UserAgent),
        ("Keep-Alive", Name::KeepAlive),
        ("X-Request-ID", Name::XRequestId),
        ("Content-Length", Name::ContentLength),
        ("HTTP2-Settings", Name::Http2Settings),
        ("X-Forwarded-For", Name::XForwardedFor),
        ("X-Forwarded-Host", Name::XForwardedHost),
        ("Proxy-Connection", Name::ProxyConnection),
        ("Transfer-Encoding", Name::TransferEncoding),
        ("X-Forwarded-Proto", Name::XForwardedProto),
        ("Proxy-Authenticate", Name::ProxyAuthenticate),
        ("Proxy-Authorization", Name::ProxyAuthorization),
        ("Strict-Transport-Security", Name::StrictTransportSecurity),
        ("X-Forwarded-Port", Name::XForwardedOther),
        ("X-Forwarded-A", Name::XForwardedOther),
        ("X-Forwarded-Client-Cert", Name::XForwardedClientCert),
    ];

    #[test]
    fn names_that_servers_take_for_those_of_proxies_are_known_too() {
        let check = |name: &str, known| assert_eq!(Name::of_underscored(name.as_bytes()), known, "{name}");
        for name in [
            "X_Forwarded_For",
            "x-forwarded_for",
            "X_FORWARDED-PROTO",
            "X_Forwarded_Host",
            "X_Forwarded_Client_Cert",
            "X-Forwarded-Client_Cert",
            "X_Forwarded_Port",
            "X-Forwarded-A_B",
            "X_Forwarded_Something_That_Is_Longer_Than_All_Others",
            "X_Real_IP",
            "X-Request_ID",
        ] {
            check(name, Name::Disguised);
        }
        for name in [
            "_",
            "a_b",
            "X_Forwarded",
            "X_Forwardedx_For",
            "Content_Length",
            "Something_That_Is_Longer_Than_All_Others_X_Forwarded_For",
        ] {
            check(name, Name::Other);
        }
    }

    #[test]
    fn names_are_known_whatever_their_case() {
        for (name, known) in KNOWN {
            for spelt in [(*name).to_owned(), name.to_lowercase(), name.to_uppercase()] {
                assert_eq!(Name::classify(spelt.as_bytes()), *known, "{spelt}");
            }
        }
    }

    /// Of the characters a field name may hold, only the other case of a letter is the same.
    #[test]
    fn no_other_name_is_taken_for_a_known_one() {
        let token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
        for (name, known) in KNOWN.iter().filter(|(_, known)| *known != Name::XForwardedOther) {
            for place in 0..name.len() {
                for byte in (0..=255).filter(token) {
                    let mut changed = name.as_bytes().to_vec();
                    changed[place] = byte;
                    let same = changed.eq_ignore_ascii_case(name.as_bytes());
                    assert_eq!(
                        Name::classify(&changed) == *known,
                        same,
                        "{}",
                        String::from_utf8_lossy(&changed)
                    );
                }
            }
        }
        for name in ["", "X", "X-Forwarded-", "X-Forwardedx-For", "Hosts", "Content-Lengt"] {
            assert_eq!(Name::classify(name.as_bytes()), Name::Other, "{name}");
        }
    }
}
