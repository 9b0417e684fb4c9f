//! Version 2: bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::tlv::{self, Tlvs};
use super::{Client, Header, Malformed, Outcome, V2_MAX, paired};

/// What it begins with: nothing that a text or TLS begins with.
pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Signature, version and command, family and protocol, length of the rest.
const FIXED: usize = 16;

const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;

/// Reads a header that begins with `SIGNATURE`, as far as it is there.
pub(super) fn parse(bytes: &[u8]) -> Result<Outcome, Malformed> {
    // What cannot become one is refused as soon as that is seen.
    let command = bytes.get(12).copied();
    if !matches!(command, None | Some(LOCAL | PROXY)) {
        return Err(Malformed::Broken("version or command is unknown"));
    }
    let Some(fixed) = bytes.get(..FIXED) else {
        return Ok(Outcome::Partial { missing: FIXED - bytes.len() });
    };
    let used = FIXED + usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if used > V2_MAX {
        return Err(Malformed::Broken("the header is longer than 4096 bytes"));
    }
    // Of a proxy that speaks for itself neither the family nor what follows means anything.
    let kind = if command == Some(PROXY) { Some(Kind::of(fixed[13])?) } else { None };
    if kind.is_some_and(|kind| used - FIXED < kind.length()) {
        return Err(Malformed::Broken("there is no room for the addresses"));
    }
    let Some(all) = bytes.get(..used) else {
        return Ok(Outcome::Partial { missing: used - bytes.len() });
    };
    let header = match kind {
        None => Header::default(),
        Some(kind) => {
            let (addresses, _) = all[FIXED..].split_at(kind.length());
            Header { client: kind.client(addresses), tlvs: tlv::parse(all, FIXED + kind.length())? }
        }
    };
    Ok(Outcome::Complete { used, header: Box::new(header) })
}

/// Which addresses there are.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Unspecified,
    Tcp4,
    Tcp6,
    Unix,
}

impl Kind {
    fn of(byte: u8) -> Result<Self, Malformed> {
        match byte {
            0x00 => Ok(Self::Unspecified),
            0x11 => Ok(Self::Tcp4),
            0x21 => Ok(Self::Tcp6),
            0x31 => Ok(Self::Unix),
            0x12 | 0x22 | 0x32 => Err(Malformed::Broken("the client speaks datagrams, and this is a stream")),
            _ => Err(Malformed::Broken("address family or protocol is unknown")),
        }
    }

    const fn length(self) -> usize {
        match self {
            Self::Unspecified => 0,
            Self::Tcp4 => 12,
            Self::Tcp6 => 36,
            Self::Unix => 216,
        }
    }

    /// Who that is, by `length` bytes.
    fn client(self, bytes: &[u8]) -> Client {
        match self {
            Self::Unspecified => Client::Unknown,
            Self::Tcp4 => ips::<4>(bytes, |octets| Ipv4Addr::from(octets).into()),
            Self::Tcp6 => ips::<16>(bytes, |octets| Ipv6Addr::from(octets).into()),
            Self::Unix => Client::Unix,
        }
    }
}

/// Two addresses of `N` bytes each, and their ports.
fn ips<const N: usize>(bytes: &[u8], ip: impl Fn([u8; N]) -> IpAddr) -> Client {
    let mut rest = bytes;
    let mut address = || {
        let (octets, more) = rest.split_first_chunk::<N>()?;
        rest = more;
        Some(ip(*octets))
    };
    let (from, to) = (address(), address());
    let mut port = || {
        let (octets, more) = rest.split_first_chunk::<2>()?;
        rest = more;
        Some(u16::from_be_bytes(*octets))
    };
    match (from.zip(port()), to.zip(port())) {
        (Some(source), Some(destination)) => {
            Client::Ip { source: source.into(), destination: destination.into() }
        }
        // There are as many bytes as `Kind::length` says.
        _ => Client::Unknown,
    }
}

/// Writes a header: for a client and the address it connected to, with what is to be said besides; or, if there is no
/// client, one that says so, and nothing besides. What does not fit into a header is left out.
pub fn write_v2(out: &mut Vec<u8>, client: Option<(SocketAddr, SocketAddr)>, tlvs: &Tlvs) {
    let begin = out.len();
    out.extend_from_slice(SIGNATURE);
    let Some((source, destination)) = client else {
        out.extend_from_slice(&[LOCAL, 0, 0, 0]);
        return;
    };
    let (source, destination) = paired(source, destination);
    out.extend_from_slice(&[PROXY, if source.is_ipv4() { 0x11 } else { 0x21 }, 0, 0]);
    for address in [source, destination] {
        match address.ip() {
            IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        }
    }
    for address in [source, destination] {
        out.extend_from_slice(&address.port().to_be_bytes());
    }
    tlv::write(out, tlvs, begin + V2_MAX);
    let length = u16::try_from(out.len() - begin - FIXED).expect("it is shorter than V2_MAX");
    out[begin + FIXED - 2..begin + FIXED].copy_from_slice(&length.to_be_bytes());
}
