//! What a header of version 2 says besides addresses: a list of type, length and value.

use super::Malformed;
use super::checksum::Checksum;

const ALPN: u8 = 0x01;
const AUTHORITY: u8 = 0x02;
const CHECKSUM: u8 = 0x03;
const SSL: u8 = 0x20;
const SSL_VERSION: u8 = 0x21;
const SSL_NAME: u8 = 0x22;
/// Type and length.
const HEAD: usize = 3;
/// Flags and verification in a value of type `SSL`.
const SSL_FIXED: usize = 5;

/// What a proxy says of the connection it has with the client. What it says in other ways is passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tlvs {
    /// The protocol agreed on by ALPN (RFC 7301).
    pub alpn: Option<Box<[u8]>>,
    /// The host that the client asked for by SNI (RFC 6066 §3).
    pub authority: Option<Box<str>>,
    /// How it is secured; `None`: it does not say.
    pub ssl: Option<Ssl>,
}

/// How a client's connection to a proxy is secured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ssl {
    /// It is secured.
    pub secured: bool,
    /// The client has shown a certificate, on this connection or one of the same session.
    pub certificate: bool,
    /// The client's certificate was checked and found good.
    pub verified: bool,
    /// Version of TLS, such as `TLSv1.3`.
    pub version: Option<Box<str>>,
    /// Common name of the client's certificate.
    pub name: Option<Box<str>>,
}

/// Reads those of the header `all`, which begin at `from`; checks its checksum, if it has one.
pub(super) fn parse(all: &[u8], from: usize) -> Result<Tlvs, Malformed> {
    let mut tlvs = Tlvs::default();
    let mut at = from;
    while at < all.len() {
        let (kind, value) = next(&all[at..])?;
        let begin = at + HEAD;
        at = begin + value.len();
        match kind {
            ALPN => once(&mut tlvs.alpn, value.into())?,
            AUTHORITY => once(&mut tlvs.authority, text(value)?)?,
            SSL => once(&mut tlvs.ssl, ssl(value)?)?,
            CHECKSUM => check(all, begin, value)?,
            _ => {}
        }
    }
    Ok(tlvs)
}

/// The first of a list that is not empty.
fn next(list: &[u8]) -> Result<(u8, &[u8]), Malformed> {
    let cut = Malformed::Broken("a part is longer than the header");
    let (&[kind, high, low], rest) = list.split_first_chunk::<HEAD>().ok_or(cut)?;
    let value = rest.get(..usize::from(u16::from_be_bytes([high, low]))).ok_or(cut)?;
    Ok((kind, value))
}

fn once<T>(place: &mut Option<T>, value: T) -> Result<(), Malformed> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Malformed::Broken("something is said twice")),
    }
}

fn text(value: &[u8]) -> Result<Box<str>, Malformed> {
    std::str::from_utf8(value).map(Into::into).map_err(|_| Malformed::Broken("a text is not UTF-8"))
}

fn ssl(value: &[u8]) -> Result<Ssl, Malformed> {
    let (&[flags, verify @ ..], mut rest) = value
        .split_first_chunk::<SSL_FIXED>()
        .ok_or(Malformed::Broken("what is said of TLS is too short"))?;
    let certificate = flags & 0b110 != 0;
    let mut ssl = Ssl {
        secured: flags & 1 != 0,
        certificate,
        verified: certificate && u32::from_be_bytes(verify) == 0,
        ..Ssl::default()
    };
    while !rest.is_empty() {
        let (kind, value) = next(rest)?;
        rest = &rest[HEAD + value.len()..];
        match kind {
            SSL_VERSION => once(&mut ssl.version, text(value)?)?,
            SSL_NAME => once(&mut ssl.name, text(value)?)?,
            _ => {}
        }
    }
    Ok(ssl)
}

/// Checks the sum of everything with itself as zero, which stands at `begin`.
fn check(all: &[u8], begin: usize, value: &[u8]) -> Result<(), Malformed> {
    let given: [u8; 4] =
        value.try_into().map_err(|_| Malformed::Broken("the checksum has another length"))?;
    let sum = Checksum::default().add(&all[..begin]).add(&[0; 4]).add(&all[begin + 4..]).value();
    if sum == u32::from_be_bytes(given) { Ok(()) } else { Err(Malformed::Broken("the checksum is wrong")) }
}

/// Writes those that there are, as long as `out` does not become longer than `max`.
pub(super) fn write(out: &mut Vec<u8>, tlvs: &Tlvs, max: usize) {
    let Tlvs { alpn, authority, ssl } = tlvs;
    let mut put = |kind, value: Option<&[u8]>| {
        if let Some(value) = value.filter(|value| out.len() + HEAD + value.len() <= max) {
            put(out, kind, value);
        }
    };
    put(ALPN, alpn.as_deref());
    put(AUTHORITY, authority.as_deref().map(str::as_bytes));
    put(SSL, ssl.as_ref().map(ssl_value).as_deref());
}

fn ssl_value(ssl: &Ssl) -> Vec<u8> {
    let Ssl { secured, certificate, verified, version, name } = ssl;
    let mut value = vec![u8::from(*secured) | if *certificate { 0b110 } else { 0 }];
    value.extend_from_slice(&u32::from(!verified).to_be_bytes());
    for (kind, text) in [(SSL_VERSION, version), (SSL_NAME, name)] {
        // A longer one is none.
        if let Some(text) = text.as_deref().filter(|text| u16::try_from(text.len()).is_ok()) {
            put(&mut value, kind, text.as_bytes());
        }
    }
    value
}

/// Writes one whose length fits.
fn put(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let length = u16::try_from(value.len()).expect("whoever writes has looked");
    out.push(kind);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(value);
}
