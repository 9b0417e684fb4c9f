//! Questions to name servers and their answers, as bytes (RFC 1035 §4, RFC 2782, RFC 3596, RFC 6891).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::name::Name;

/// Answers over UDP are asked to be no longer: beyond it they might be cut to pieces on the way.
const UDP_MAX: usize = 1_232;
/// The class of the Internet.
const IN: u16 = 1;
const HEADER: usize = 12;
const SOA: u16 = 6;
const CNAME: u16 = 5;
const OPT: u16 = 41;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    A = 1,
    Aaaa = 28,
    Srv = 33,
}

/// An answer to our question, whole.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Reply {
    /// There is no such name.
    pub(super) absent: bool,
    /// How long nothing may be taken for nothing; `None`: the server did not say that it knows.
    pub(super) negative_ttl: Option<Duration>,
    /// The answer proper.
    pub(super) records: Vec<Record>,
    /// What came along.
    pub(super) more: Vec<Record>,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) name: Name,
    pub(super) ttl: Duration,
    pub(super) data: Data,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Data {
    A(Ipv4Addr),
    Aaaa(Ipv6Addr),
    Cname(Name),
    Srv(Srv),
    /// The zone's word on how long absence may be believed.
    Soa(Duration),
    Other,
}

/// Where a service is offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Srv {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) port: u16,
    pub(super) target: Name,
}

/// What came instead of a usable answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unusable {
    /// It is no answer to this question: wait on, the real one may still come.
    NotOurs,
    /// It is too long for UDP.
    Truncated,
    /// The server does not want to or cannot answer: the response code.
    Code(u8),
    /// The server knows nothing and asks nobody.
    Lame,
    /// It breaks off or is otherwise no message.
    Malformed,
}

/// Response codes.
pub(super) mod code {
    pub(in super::super) const FORMAT: u8 = 1;
    pub(in super::super) const FAILURE: u8 = 2;
    pub(in super::super) const NO_NAME: u8 = 3;
    pub(in super::super) const NOT_IMPLEMENTED: u8 = 4;
    pub(in super::super) const REFUSED: u8 = 5;
}

/// The bytes of a question. With `extended`, longer answers than 512 bytes are welcome, which very old servers
/// do not understand.
pub(super) fn question(id: u16, name: &Name, kind: Kind, extended: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + name.wire().len() + 15);
    let more = u16::from(extended);
    // 0x0100: please ask others.
    for number in [id, 0x0100, 1, 0, 0, more] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(name.wire());
    bytes.extend((kind as u16).to_be_bytes());
    bytes.extend(IN.to_be_bytes());
    if extended {
        let size = u16::try_from(UDP_MAX).expect("it is a small constant");
        bytes.push(0);
        for number in [OPT, size, 0, 0, 0] {
            bytes.extend(number.to_be_bytes());
        }
    }
    bytes
}

/// Reads the answer to a question.
pub(super) fn answer(message: &[u8], id: u16, name: &Name, kind: Kind) -> Result<Reply, Unusable> {
    let header: &[u8; HEADER] = message.first_chunk().ok_or(Unusable::NotOurs)?;
    let number = |at: usize| u16::from_be_bytes([header[at], header[at + 1]]);
    let (flags, code) = (number(2), header[3] & 0x0f);
    let (is_answer, is_query) = (flags & 0x8000 != 0, flags & 0x7800 == 0);
    if number(0) != id || !is_answer || !is_query {
        return Err(Unusable::NotOurs);
    }
    let mut reader = Reader { message, at: HEADER };
    match number(4) {
        1 => reader.question(name, kind)?,
        // Servers that do not understand a question need not repeat it.
        0 if code != 0 && code != code::NO_NAME => {}
        _ => return Err(Unusable::NotOurs),
    }
    if flags & 0x0200 != 0 {
        return Err(Unusable::Truncated);
    }
    if code != 0 && code != code::NO_NAME {
        return Err(Unusable::Code(code));
    }
    let records = reader.records(number(6))?;
    let authority = reader.records(number(8))?;
    let more = reader.records(number(10))?;
    let soa = authority.iter().find_map(|record| match record.data {
        Data::Soa(minimum) => Some(minimum.min(record.ttl)),
        _ => None,
    });
    let absent = code == code::NO_NAME;
    let (authoritative, asks_others) = (flags & 0x0400 != 0, flags & 0x0080 != 0);
    if !absent && records.is_empty() && soa.is_none() && !authoritative && !asks_others {
        return Err(Unusable::Lame);
    }
    Ok(Reply { absent, negative_ttl: soa, records, more })
}

impl Reply {
    /// What `name` is an alias of, and for how long.
    pub(super) fn alias(&self, name: &Name) -> Option<(&Name, Duration)> {
        self.records.iter().find_map(|record| match &record.data {
            Data::Cname(target) if record.name == *name => Some((target, record.ttl)),
            _ => None,
        })
    }
}

impl Data {
    /// Whether it is what was asked for.
    pub(super) fn is(&self, kind: Kind) -> bool {
        matches!(
            (self, kind),
            (Self::A(_), Kind::A) | (Self::Aaaa(_), Kind::Aaaa) | (Self::Srv(_), Kind::Srv)
        )
    }

    /// The address, if it is one.
    pub(super) fn address(&self) -> Option<IpAddr> {
        match *self {
            Self::A(address) => Some(address.into()),
            Self::Aaaa(address) => Some(address.into()),
            _ => None,
        }
    }

    /// The service's place, if it is one.
    pub(super) fn into_srv(self) -> Option<Srv> {
        match self {
            Self::Srv(srv) => Some(srv),
            _ => None,
        }
    }
}

/// Reads a message from front to back.
struct Reader<'m> {
    message: &'m [u8],
    at: usize,
}

impl Reader<'_> {
    /// Reads the question that is answered, which must be ours.
    fn question(&mut self, name: &Name, kind: Kind) -> Result<(), Unusable> {
        let theirs = self.name().ok_or(Unusable::NotOurs)?;
        let asked = (self.u16(), self.u16());
        let ours = theirs == *name && asked == (Some(kind as u16), Some(IN));
        if ours { Ok(()) } else { Err(Unusable::NotOurs) }
    }

    fn records(&mut self, count: u16) -> Result<Vec<Record>, Unusable> {
        // No room is set aside for what the message only claims to hold.
        let mut records = Vec::new();
        for _ in 0..count {
            records.push(self.record().ok_or(Unusable::Malformed)?);
        }
        Ok(records)
    }

    fn record(&mut self) -> Option<Record> {
        let name = self.name()?;
        let (kind, class, ttl) = (self.u16()?, self.u16()?, self.u32()?);
        let length = usize::from(self.u16()?);
        let end = self.at.checked_add(length).filter(|&end| end <= self.message.len())?;
        let data = if class == IN { self.data(kind, end)? } else { Data::Other };
        self.at = end;
        Some(Record { name, ttl: seconds(ttl), data })
    }

    fn data(&mut self, kind: u16, end: usize) -> Option<Data> {
        let bytes = self.message.get(self.at..end)?;
        let data = match kind {
            _ if kind == Kind::A as u16 => Data::A(Ipv4Addr::from(*whole::<4>(bytes)?)),
            _ if kind == Kind::Aaaa as u16 => Data::Aaaa(Ipv6Addr::from(*whole::<16>(bytes)?)),
            _ if kind == Kind::Srv as u16 => {
                let (priority, weight, port) = (self.u16()?, self.u16()?, self.u16()?);
                Data::Srv(Srv { priority, weight, port, target: self.last_name(end)? })
            }
            CNAME => Data::Cname(self.last_name(end)?),
            SOA => {
                let (_primary, _mailbox) = (self.name()?, self.name()?);
                let numbers = self.message.get(self.at..end)?;
                let minimum = whole::<20>(numbers)?.last_chunk::<4>()?;
                Data::Soa(seconds(u32::from_be_bytes(*minimum)))
            }
            _ => Data::Other,
        };
        Some(data)
    }

    fn name(&mut self) -> Option<Name> {
        let (name, behind) = Name::read(self.message, self.at)?;
        self.at = behind;
        Some(name)
    }

    /// A name that reaches right to the end of its record.
    fn last_name(&mut self, end: usize) -> Option<Name> {
        self.name().filter(|_| self.at == end)
    }

    fn u16(&mut self) -> Option<u16> {
        let bytes = self.message.get(self.at..)?.first_chunk::<2>()?;
        self.at += 2;
        Some(u16::from_be_bytes(*bytes))
    }

    fn u32(&mut self) -> Option<u32> {
        let bytes = self.message.get(self.at..)?.first_chunk::<4>()?;
        self.at += 4;
        Some(u32::from_be_bytes(*bytes))
    }
}

fn whole<const N: usize>(bytes: &[u8]) -> Option<&[u8; N]> {
    bytes.try_into().ok()
}

/// A time to live; one with the highest bit set is none (RFC 2181 §8).
fn seconds(ttl: u32) -> Duration {
    Duration::from_secs(if ttl > i32::MAX as u32 { 0 } else { ttl.into() })
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn name() -> Name {
        Name::parse("a.test").expect("it is one")
    }

    /// An answer with these flags to the question for the address of `a.test`, with this behind it.
    fn message(flags: u16, counts: [u16; 3], rest: &[u8]) -> Vec<u8> {
        let mut bytes = question(7, &name(), Kind::A, false);
        bytes[2..4].copy_from_slice(&flags.to_be_bytes());
        for (index, count) in counts.into_iter().enumerate() {
            bytes[6 + 2 * index..][..2].copy_from_slice(&count.to_be_bytes());
        }
        bytes.extend(rest);
        bytes
    }

    fn check(bytes: &[u8], expected: Result<(bool, usize), Unusable>) {
        let found = answer(bytes, 7, &name(), Kind::A).map(|reply| (reply.absent, reply.records.len()));
        assert_eq!(found, expected, "{bytes:?}");
    }

    const ADDRESS: &[u8] = b"\xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x04\x0a\0\0\x01";
    const ZONE: &[u8] =
        b"\xc0\x0e\0\x06\0\x01\0\0\0\x3c\0\x16\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x05";

    #[test]
    fn answers_are_read() {
        check(&message(0x8180, [1, 0, 0], ADDRESS), Ok((false, 1)));
        check(&message(0x8183, [0, 1, 0], ZONE), Ok((true, 0)));
        check(&message(0x8180, [0, 0, 0], b""), Ok((false, 0)));
        check(&message(0x8182, [0, 0, 0], b""), Err(Unusable::Code(code::FAILURE)));
        check(&message(0x8380, [9, 0, 0], b""), Err(Unusable::Truncated));
        check(&message(0x8100, [0, 0, 0], b""), Err(Unusable::Lame));
    }

    #[test]
    fn what_answers_something_else_is_not_ours() {
        let ours = message(0x8180, [1, 0, 0], ADDRESS);
        for (at, byte) in [(1, 8), (2, 0x01), (5, 0), (13, b'b'), (ours.len() - 17, 2), (21, 28)] {
            let mut other = ours.clone();
            other[at] = byte;
            check(&other, Err(Unusable::NotOurs));
        }
        check(b"", Err(Unusable::NotOurs));
    }

    #[test]
    fn what_breaks_off_is_malformed() {
        let whole = message(0x8180, [1, 0, 0], ADDRESS);
        let question = whole.len() - ADDRESS.len();
        for length in question..whole.len() {
            check(&whole[..length], Err(Unusable::Malformed));
        }
        // Three bytes are no address.
        check(
            &message(0x8180, [1, 0, 0], b"\xc0\x0c\0\x01\0\x01\0\0\0\x1e\0\x03\x0a\0\0"),
            Err(Unusable::Malformed),
        );
    }

    #[test]
    fn absence_is_believed_as_long_as_the_lesser_number_says() {
        let reply = answer(&message(0x8183, [0, 1, 0], ZONE), 7, &name(), Kind::A);
        assert_eq!(reply.map(|reply| reply.negative_ttl), Ok(Some(Duration::from_secs(5))));
    }

    #[test]
    fn a_ttl_with_the_highest_bit_is_none() {
        assert_eq!(seconds(0x8000_0000), Duration::ZERO);
        assert_eq!(seconds(0x7fff_ffff), Duration::from_secs(0x7fff_ffff));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(counts in prop::array::uniform3(0_u16..40), rest in vec(any::<u8>(), 0..300)) {
            let _ = answer(&message(0x8180, counts, &rest), 7, &name(), Kind::A);
        }

        #[test]
        fn no_change_of_a_good_answer_is_too_odd(at in 0..200_usize, byte in any::<u8>()) {
            let mut bytes = message(0x8180, [2, 1, 0], &[ADDRESS, ADDRESS, ZONE].concat());
            let at = at % bytes.len();
            bytes[at] = byte;
            let _ = answer(&bytes, 7, &name(), Kind::A);
        }
    }
}
