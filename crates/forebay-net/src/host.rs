//! The one canonical form of a `Host` header or authority.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

/// Longest host name, in bytes: what DNS can carry.
pub const NAME_MAX: usize = 253;

/// A host as the router, the cache and the upstream see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host<'a> {
    /// Lower case, no trailing dot; an IPv6 address stands in brackets in its shortest form. Only letters,
    /// digits, `-`, `.`, `_`, `~`, or an address in brackets. Borrowed when it came so.
    pub name: Cow<'a, str>,
    /// The port, if one was given.
    pub port: Option<u16>,
}

/// Why a text is not a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostError {
    /// Nothing, or nothing before the port.
    Empty,
    /// Longer than [`NAME_MAX`].
    TooLong,
    /// A byte that no host name holds: comma, space, `@`, `/`, `%`, a control character and the like.
    Character,
    /// Two dots in a row, or a dot in front.
    Label,
    /// What follows `:` is not a number from 0 to 65535.
    Port,
    /// Brackets that do not hold an IPv6 address.
    Brackets,
}

/// Takes a `Host` header or authority apart and brings it into canonical form. Allocates only when letters
/// change case or an IPv6 address is written in a longer form (RFC 9110 section 7.2, RFC 3986 section 3.2.2).
///
/// # Errors
/// When the text is not one host with an optional port.
pub fn parse(raw: &[u8]) -> Result<Host<'_>, HostError> {
    if raw.first() == Some(&b'[') {
        return parse_v6(raw);
    }
    let end = raw.iter().position(|b| *b == b':').unwrap_or(raw.len());
    let port = parse_port(&raw[end..])?;
    let name = &raw[..end];
    let name = parse_name(name.strip_suffix(b".").unwrap_or(name))?;
    Ok(Host { name, port })
}

impl Host<'_> {
    /// The same host, owned.
    #[must_use]
    pub fn into_owned(self) -> Host<'static> {
        Host { name: Cow::Owned(self.name.into_owned()), port: self.port }
    }
}

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        match self.port {
            Some(port) => write!(f, ":{port}"),
            None => Ok(()),
        }
    }
}

impl HostError {
    /// A short text that stays the same from version to version.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty host",
            Self::TooLong => "host too long",
            Self::Character => "character not allowed in host",
            Self::Label => "empty label in host",
            Self::Port => "bad port",
            Self::Brackets => "bad IPv6 address in host",
        }
    }
}

impl fmt::Display for HostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for HostError {}

/// What a byte means in a host name.
const PLAIN: u8 = 0;
const UPPER: u8 = 1;
const OTHER: u8 = 2;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [OTHER; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        if byte.is_ascii_uppercase() {
            table[byte as usize] = UPPER;
        } else if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            table[byte as usize] = PLAIN;
        }
        byte += 1;
    }
    table
}

fn parse_name(raw: &[u8]) -> Result<Cow<'_, str>, HostError> {
    if raw.is_empty() {
        return Err(HostError::Empty);
    }
    // One pass without a branch for names as they should be; what is wrong with others is told afterwards.
    let (mut seen, mut dots) = (0, false);
    // A dot in front counts as two dots in a row.
    let mut before = b'.';
    for &byte in raw {
        seen |= CLASS[usize::from(byte)];
        dots |= (byte == b'.') & (before == b'.');
        before = byte;
    }
    if seen & OTHER != 0 || dots || before == b'.' {
        return Err(fault(raw));
    }
    if raw.len() > NAME_MAX {
        return Err(HostError::TooLong);
    }
    let upper = seen & UPPER != 0;
    let text = std::str::from_utf8(raw).map_err(|_| HostError::Character)?;
    Ok(if upper { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) })
}

/// What is wrong first with a name in which something is.
#[cold]
fn fault(raw: &[u8]) -> HostError {
    let mut before = b'.';
    for &byte in raw {
        match byte {
            _ if CLASS[usize::from(byte)] == OTHER => return HostError::Character,
            b'.' if before == b'.' => return HostError::Label,
            _ => before = byte,
        }
    }
    if raw.len() > NAME_MAX { HostError::TooLong } else { HostError::Label }
}

fn parse_v6(raw: &[u8]) -> Result<Host<'_>, HostError> {
    let end = raw.iter().position(|b| *b == b']').ok_or(HostError::Brackets)?;
    let (inside, rest) = (&raw[1..end], &raw[end + 1..]);
    let inside = std::str::from_utf8(inside).map_err(|_| HostError::Brackets)?;
    let address: Ipv6Addr = inside.parse().map_err(|_| HostError::Brackets)?;
    let port = parse_port(rest)?;
    let as_came = std::str::from_utf8(&raw[..=end]).map_err(|_| HostError::Brackets)?;
    let name =
        if is_shortest(inside, address) { Cow::Borrowed(as_came) } else { format!("[{address}]").into() };
    Ok(Host { name, port })
}

/// Whether `text` is how `address` prints, without building that text.
fn is_shortest(text: &str, address: Ipv6Addr) -> bool {
    struct Rest<'a>(&'a str);
    impl fmt::Write for Rest<'_> {
        fn write_str(&mut self, piece: &str) -> fmt::Result {
            self.0 = self.0.strip_prefix(piece).ok_or(fmt::Error)?;
            Ok(())
        }
    }
    let mut rest = Rest(text);
    fmt::write(&mut rest, format_args!("{address}")).is_ok() && rest.0.is_empty()
}

/// Reads nothing, `:` or `:` and digits. An empty port is as good as none (RFC 3986 section 3.2.3).
fn parse_port(raw: &[u8]) -> Result<Option<u16>, HostError> {
    let digits = match raw {
        [] | [b':'] => return Ok(None),
        [b':', digits @ ..] => digits,
        _ => return Err(HostError::Character),
    };
    if digits.len() > 5 || !digits.iter().all(u8::is_ascii_digit) {
        return Err(HostError::Port);
    }
    let number = digits.iter().fold(0_u32, |number, digit| number * 10 + u32::from(digit - b'0'));
    u16::try_from(number).map(Some).map_err(|_| HostError::Port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(raw: &str, expected: Result<(&str, Option<u16>), HostError>) {
        let found = parse(raw.as_bytes());
        let found = found.as_ref().map(|host| (&*host.name, host.port)).map_err(|e| *e);
        assert_eq!(found, expected, "{raw:?}");
    }

    #[test]
    fn hosts_come_out_in_canonical_form() {
        check("example.com", Ok(("example.com", None)));
        check("Example.COM", Ok(("example.com", None)));
        check("example.com.", Ok(("example.com", None)));
        check("EXAMPLE.com.:8080", Ok(("example.com", Some(8080))));
        check("example.com:", Ok(("example.com", None)));
        check("example.com:0", Ok(("example.com", Some(0))));
        check("example.com:65535", Ok(("example.com", Some(65535))));
        check("example.com:00080", Ok(("example.com", Some(80))));
        check("my_service", Ok(("my_service", None)));
        check("xn--caf-dma.example", Ok(("xn--caf-dma.example", None)));
        check("127.0.0.1:3000", Ok(("127.0.0.1", Some(3000))));
        check("[::1]", Ok(("[::1]", None)));
        check("[::1]:443", Ok(("[::1]", Some(443))));
        check("[0:0:0:0:0:0:0:1]", Ok(("[::1]", None)));
        check("[2001:DB8::1]", Ok(("[2001:db8::1]", None)));
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for (raw, error) in [
            ("", HostError::Empty),
            (".", HostError::Empty),
            (":80", HostError::Empty),
            ("..", HostError::Label),
            ("a..b", HostError::Label),
            (".a", HostError::Label),
            ("a..", HostError::Label),
            ("a,b", HostError::Character),
            ("a b", HostError::Character),
            (" a", HostError::Character),
            ("a\t", HostError::Character),
            ("user@a", HostError::Character),
            ("a/b", HostError::Character),
            ("a%2eb", HostError::Character),
            ("a?b", HostError::Character),
            ("a#b", HostError::Character),
            ("a\\b", HostError::Character),
            ("a;b", HostError::Character),
            ("a\"b", HostError::Character),
            ("*.a", HostError::Character),
            ("a\0", HostError::Character),
            ("a\r\n", HostError::Character),
            ("café", HostError::Character),
            ("a:65536", HostError::Port),
            ("a:-1", HostError::Port),
            ("a:+1", HostError::Port),
            ("a:8o", HostError::Port),
            ("a:1:2", HostError::Port),
            ("a:000080", HostError::Port),
            ("::1", HostError::Port),
            ("[::1", HostError::Brackets),
            ("[]", HostError::Brackets),
            ("[1.2.3.4]", HostError::Brackets),
            ("[fe80::1%25eth0]", HostError::Brackets),
            ("[v1.a]", HostError::Brackets),
            ("[::1]a", HostError::Character),
            ("[::1].", HostError::Character),
            ("[::1]:x", HostError::Port),
            ("a]", HostError::Character),
        ] {
            check(raw, Err(error));
        }
        check(&"a".repeat(NAME_MAX + 1), Err(HostError::TooLong));
    }

    #[test]
    fn the_canonical_form_is_borrowed_and_stays_as_it_is() {
        for raw in ["example.com", "example.com.:80", "[::1]:80", "[2001:db8::1]"] {
            let host = parse(raw.as_bytes()).expect(raw);
            assert!(matches!(host.name, Cow::Borrowed(_)), "{raw}");
            let text = host.to_string();
            assert_eq!(parse(text.as_bytes()), Ok(host));
        }
    }
}
