//! Questions and answers of a scripted name server as bytes (RFC 1035), written apart from the gateway's own so
//! that the two check each other.

use std::net::IpAddr;

/// Where the question's name stands in a message: answers about it point there.
const QUESTION: usize = 12;
const IN: u16 = 1;
const OPT: u16 = 41;
const SOA: u16 = 6;

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// An IPv4 address.
    A,
    /// An alias.
    Cname,
    /// An IPv6 address.
    Aaaa,
    /// A host that offers a service.
    Srv,
    /// Any other, by number.
    Other(u16),
}

/// A question as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    id: u16,
    /// In lower case, without a dot at the end.
    pub name: String,
    /// What is asked for.
    pub kind: Kind,
    /// The longest answer over UDP that is welcome, if the question says so.
    pub size: Option<u16>,
    /// The question's bytes, to be repeated.
    raw: Vec<u8>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) name: String,
    pub(super) ttl: u32,
    pub(super) value: Value,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Address(IpAddr),
    Alias(String),
    Service { priority: u16, weight: u16, port: u16, host: String },
}

/// What is answered.
#[derive(Debug, Default)]
pub(super) struct Reply {
    pub(super) code: u8,
    pub(super) answers: Vec<Record>,
    /// How long absence may be believed, if anything is said of it.
    pub(super) negative_ttl: Option<u32>,
    pub(super) along: Vec<Record>,
}

impl Kind {
    fn from_number(number: u16) -> Self {
        match number {
            1 => Self::A,
            5 => Self::Cname,
            28 => Self::Aaaa,
            33 => Self::Srv,
            other => Self::Other(other),
        }
    }

    fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Cname => 5,
            Self::Aaaa => 28,
            Self::Srv => 33,
            Self::Other(number) => number,
        }
    }
}

impl Value {
    pub(super) fn kind(&self) -> Kind {
        match self {
            Self::Address(IpAddr::V4(_)) => Kind::A,
            Self::Address(IpAddr::V6(_)) => Kind::Aaaa,
            Self::Alias(_) => Kind::Cname,
            Self::Service { .. } => Kind::Srv,
        }
    }
}

impl Question {
    /// Reads a packet with one question in it; `None` if it is none.
    pub(super) fn read(packet: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(u16::from_be_bytes([*packet.get(at)?, *packet.get(at + 1)?]));
        let (id, flags, questions, extras) = (number(0)?, number(2)?, number(4)?, number(10)?);
        if flags & 0xf800 != 0 || questions != 1 {
            return None;
        }
        let mut labels = Vec::new();
        let mut at = QUESTION;
        loop {
            let length = usize::from(*packet.get(at)?);
            at += 1;
            if length == 0 {
                break;
            }
            let label = packet.get(at..at + length).filter(|_| length < 64)?;
            labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
            at += length;
        }
        let kind = Kind::from_number(number(at)?);
        number(at + 2).filter(|&class| class == IN)?;
        let end = at + 4;
        let opt = extras > 0 && packet.get(end) == Some(&0) && number(end + 1) == Some(OPT);
        let size = if opt { number(end + 3) } else { None };
        Some(Self { id, name: labels.join("."), kind, size, raw: packet[QUESTION..end].to_vec() })
    }
}

/// The bytes of an answer.
pub(super) fn write(question: &Question, reply: &Reply) -> Vec<u8> {
    let Reply { code, answers, negative_ttl, along } = reply;
    let opt = question.size.is_some() && *code != 1;
    let counts = [answers.len(), usize::from(negative_ttl.is_some()), along.len() + usize::from(opt)];
    let mut bytes = head(question, 0x8180 | u16::from(*code), counts);
    for record in answers {
        write_record(&mut bytes, question, record);
    }
    if let Some(ttl) = negative_ttl {
        write_zone(&mut bytes, *ttl);
    }
    for record in along {
        write_record(&mut bytes, question, record);
    }
    if opt {
        bytes.extend([0, 0, 41, 0x10, 0, 0, 0, 0, 0, 0, 0]);
    }
    bytes
}

/// The bytes of an answer that is too long for UDP.
pub(super) fn truncated(question: &Question) -> Vec<u8> {
    head(question, 0x8380, [0; 3])
}

/// Packets like this one that answer other questions: one by its number, one by its name.
pub(super) fn strays(answer: &[u8]) -> [Vec<u8>; 2] {
    let (mut number, mut name) = (answer.to_vec(), answer.to_vec());
    number[0] ^= 0xff;
    if let Some(letter) = name.get_mut(QUESTION + 1) {
        *letter = if *letter == b'z' { b'y' } else { b'z' };
    }
    [number, name]
}

fn head(question: &Question, flags: u16, counts: [usize; 3]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let count = |count: usize| u16::try_from(count).expect("a test has fewer records");
    for number in [question.id, flags, 1, count(counts[0]), count(counts[1]), count(counts[2])] {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(&question.raw);
    bytes
}

fn write_record(bytes: &mut Vec<u8>, question: &Question, record: &Record) {
    let Record { name, ttl, value } = record;
    if *name == question.name {
        bytes.extend((0xc000 | QUESTION as u16).to_be_bytes());
    } else {
        write_name(bytes, name);
    }
    let mut data = Vec::new();
    match value {
        Value::Address(IpAddr::V4(address)) => data.extend(address.octets()),
        Value::Address(IpAddr::V6(address)) => data.extend(address.octets()),
        Value::Alias(target) => write_name(&mut data, target),
        Value::Service { priority, weight, port, host } => {
            for number in [priority, weight, port] {
                data.extend(number.to_be_bytes());
            }
            write_name(&mut data, host);
        }
    }
    write_rest(bytes, value.kind().number(), *ttl, &data);
}

/// The record that says how long absence may be believed.
fn write_zone(bytes: &mut Vec<u8>, minimum: u32) {
    write_name(bytes, "test");
    let mut data = Vec::new();
    write_name(&mut data, "ns.test");
    write_name(&mut data, "people.test");
    for number in [1, 3600, 600, 86_400, minimum] {
        data.extend(u32::to_be_bytes(number));
    }
    // Its own time to live is longer: the lesser of the two counts.
    write_rest(bytes, SOA, minimum.saturating_add(1000), &data);
}

fn write_rest(bytes: &mut Vec<u8>, kind: u16, ttl: u32, data: &[u8]) {
    bytes.extend(kind.to_be_bytes());
    bytes.extend(IN.to_be_bytes());
    bytes.extend(ttl.to_be_bytes());
    bytes.extend(u16::try_from(data.len()).expect("a record is short").to_be_bytes());
    bytes.extend(data);
}

fn write_name(bytes: &mut Vec<u8>, name: &str) {
    for label in name.split('.').filter(|label| !label.is_empty()) {
        bytes.push(u8::try_from(label.len()).expect("a test's labels are short"));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
}
