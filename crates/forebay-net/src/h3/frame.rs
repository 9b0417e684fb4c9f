//! What HTTP/3 is made of on a stream: integers, frames, settings, and the codes of its errors (RFC 9114 §7, §8.1).

/// A code of RFC 9114 §8.1 or RFC 9204 §6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(pub(crate) u32);

impl Code {
    /// No error: the stream or connection is just not needed any more.
    pub(crate) const NO_ERROR: Self = Self(0x100);
    pub(crate) const INTERNAL_ERROR: Self = Self(0x102);
    pub(crate) const STREAM_CREATION_ERROR: Self = Self(0x103);
    pub(crate) const CLOSED_CRITICAL_STREAM: Self = Self(0x104);
    pub(crate) const FRAME_UNEXPECTED: Self = Self(0x105);
    pub(crate) const FRAME_ERROR: Self = Self(0x106);
    pub(crate) const EXCESSIVE_LOAD: Self = Self(0x107);
    pub(crate) const ID_ERROR: Self = Self(0x108);
    pub(crate) const SETTINGS_ERROR: Self = Self(0x109);
    pub(crate) const MISSING_SETTINGS: Self = Self(0x10a);
    pub(crate) const REQUEST_REJECTED: Self = Self(0x10b);
    pub(crate) const REQUEST_CANCELLED: Self = Self(0x10c);
    pub(crate) const REQUEST_INCOMPLETE: Self = Self(0x10d);
    pub(crate) const MESSAGE_ERROR: Self = Self(0x10e);
    pub(crate) const DECOMPRESSION_FAILED: Self = Self(0x200);
    pub(crate) const ENCODER_STREAM_ERROR: Self = Self(0x201);
    pub(crate) const DECODER_STREAM_ERROR: Self = Self(0x202);
}

impl From<Code> for quinn::VarInt {
    fn from(code: Code) -> Self {
        code.0.into()
    }
}

/// The largest integer there is (RFC 9000 §16).
pub(crate) const VARINT_MAX: u64 = (1 << 62) - 1;

/// The integer at the start of `bytes` and its length; `None`: it is not all there.
pub(crate) fn varint(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let len = 1 << (first >> 6);
    let rest = bytes.get(1..len)?;
    let start = u64::from(first & 0x3f);
    Some((rest.iter().fold(start, |value, byte| value << 8 | u64::from(*byte)), len))
}

/// Appends `value`, at most `VARINT_MAX`, in as few bytes as it takes.
pub(crate) fn push_varint(value: u64, out: &mut Vec<u8>) {
    match value {
        0..0x40 => out.push(value as u8),
        0x40..0x4000 => out.extend_from_slice(&(value as u16 | 0x4000).to_be_bytes()),
        0x4000..0x4000_0000 => out.extend_from_slice(&(value as u32 | 0x8000_0000).to_be_bytes()),
        _ => out.extend_from_slice(&(value | 0xc000_0000_0000_0000).to_be_bytes()),
    }
}

/// Appends the head of a frame.
pub(crate) fn push_frame(kind: u64, len: usize, out: &mut Vec<u8>) {
    push_varint(kind, out);
    push_varint(len as u64, out);
}

/// Types of frames (RFC 9114 §7.2).
pub(crate) mod kind {
    pub(crate) const DATA: u64 = 0x0;
    pub(crate) const HEADERS: u64 = 0x1;
    pub(crate) const CANCEL_PUSH: u64 = 0x3;
    pub(crate) const SETTINGS: u64 = 0x4;
    pub(crate) const PUSH_PROMISE: u64 = 0x5;
    pub(crate) const GOAWAY: u64 = 0x7;
    pub(crate) const MAX_PUSH_ID: u64 = 0xd;

    /// Types that HTTP/2 had and HTTP/3 must not (RFC 9114 §7.2.8).
    pub(crate) const fn is_forbidden(kind: u64) -> bool {
        matches!(kind, 0x2 | 0x6 | 0x8 | 0x9)
    }

    /// Types that mean something, or must not be used.
    pub(crate) const fn is_known(kind: u64) -> bool {
        matches!(kind, DATA | HEADERS | CANCEL_PUSH | SETTINGS | PUSH_PROMISE | GOAWAY | MAX_PUSH_ID)
            || is_forbidden(kind)
    }
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: u64,
    /// Bytes of the frame after its head.
    pub(crate) len: u64,
    /// Bytes of the head.
    pub(crate) size: usize,
}

impl Head {
    /// The head at the start of `bytes`; `None`: it is not all there.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let (kind, first) = varint(bytes)?;
        let (len, second) = varint(&bytes[first..])?;
        Some(Self { kind, len, size: first + second })
    }
}

/// What identifies a setting (RFC 9114 §7.2.4.1, RFC 9220 §3).
pub(crate) mod setting {
    pub(crate) const MAX_FIELD_SECTION_SIZE: u64 = 0x6;
    pub(crate) const ENABLE_CONNECT_PROTOCOL: u64 = 0x8;

    /// Settings that HTTP/2 had and HTTP/3 must not.
    pub(crate) const fn is_forbidden(id: u64) -> bool {
        matches!(id, 0x2..=0x5)
    }
}

/// What our control stream begins with: its type and our settings. No dynamic table is offered, so that no field of
/// a head is ever more than what is in the head, and no stream waits for another.
pub(crate) fn preface(head_bytes: usize, connect_protocol: bool) -> Vec<u8> {
    let mut settings = Vec::new();
    push_varint(setting::MAX_FIELD_SECTION_SIZE, &mut settings);
    push_varint(head_bytes as u64, &mut settings);
    if connect_protocol {
        push_varint(setting::ENABLE_CONNECT_PROTOCOL, &mut settings);
        push_varint(1, &mut settings);
    }
    let mut out = Vec::new();
    push_varint(super::control::CONTROL, &mut out);
    push_frame(kind::SETTINGS, settings.len(), &mut out);
    out.extend_from_slice(&settings);
    out
}

/// A GOAWAY frame: requests from the stream `id` on are not processed (RFC 9114 §5.2).
pub(crate) fn goaway(id: u64) -> Vec<u8> {
    let mut payload = Vec::new();
    push_varint(id, &mut payload);
    let mut out = Vec::new();
    push_frame(kind::GOAWAY, payload.len(), &mut out);
    out.extend_from_slice(&payload);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_take_as_few_bytes_as_they_can_and_come_back() {
        let lengths = [
            (0, 1),
            (63, 1),
            (64, 2),
            (16_383, 2),
            (16_384, 4),
            ((1 << 30) - 1, 4),
            (1 << 30, 8),
            (VARINT_MAX, 8),
        ];
        for (value, len) in lengths {
            let mut bytes = Vec::new();
            push_varint(value, &mut bytes);
            assert_eq!((bytes.len(), varint(&bytes)), (len, Some((value, len))));
            assert_eq!(varint(&bytes[..len - 1]), None, "{value}");
        }
    }

    /// The examples of RFC 9000, appendix A.1.
    #[test]
    fn integers_may_be_longer_than_they_need() {
        assert_eq!(varint(&[0x40, 0x25]), Some((37, 2)));
        assert_eq!(varint(&[0x7b, 0xbd]), Some((15_293, 2)));
        assert_eq!(varint(&[0x9d, 0x7f, 0x3e, 0x7d]), Some((494_878_333, 4)));
        let long = [0xc2, 0x19, 0x7c, 0x5e, 0xff, 0x14, 0xe8, 0x8c];
        assert_eq!(varint(&long), Some((151_288_809_941_952_652, 8)));
    }

    #[test]
    fn a_frame_has_a_type_and_a_length() {
        let mut bytes = Vec::new();
        push_frame(kind::HEADERS, 300, &mut bytes);
        assert_eq!(Head::parse(&bytes), Some(Head { kind: kind::HEADERS, len: 300, size: 3 }));
        assert_eq!(Head::parse(&bytes[..2]), None);
    }

    #[test]
    fn our_control_stream_begins_with_our_settings() {
        assert_eq!(preface(1000, true), [0, 4, 5, 6, 0x43, 0xe8, 8, 1]);
        assert_eq!(preface(10, false), [0, 4, 2, 6, 10]);
        assert_eq!(goaway(8), [7, 1, 8]);
    }
}
