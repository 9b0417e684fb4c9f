//! The frames of a WebSocket (RFC 6455 §5), as clients send and read them.

/// First bytes of frames that are whole messages.
pub(super) const TEXT: u8 = 0x81;
pub(super) const BYTES: u8 = 0x82;
/// The first byte of an answer to a ping.
pub(super) const PONG: u8 = 0x8a;
/// Longest payload of a control frame.
pub(super) const CONTROL_MAX: u64 = 125;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    /// More of a message.
    Continuation,
    /// A message, of text or bytes.
    Data,
    Close,
    Ping,
    Pong,
}

/// How a frame begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// It ends its message.
    pub(super) last: bool,
    pub(super) opcode: Opcode,
    /// Bytes of this header.
    pub(super) bytes: usize,
    /// Bytes that follow it.
    pub(super) payload: u64,
}

impl Opcode {
    pub(super) const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

impl Header {
    /// Reads a server's; `None`: more bytes are needed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, &'static str> {
        let [first, second, rest @ ..] = bytes else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err("a frame of an extension that was not offered");
        }
        let opcode = match first & 0x0f {
            0 => Opcode::Continuation,
            1 | 2 => Opcode::Data,
            8 => Opcode::Close,
            9 => Opcode::Ping,
            10 => Opcode::Pong,
            _ => return Err("a frame of no known kind"),
        };
        if second & 0x80 != 0 {
            return Err("a server masks no frames");
        }
        let (length, payload) = match second & 0x7f {
            126 => match rest.first_chunk() {
                Some(length) => (2, u64::from(u16::from_be_bytes(*length))),
                None => return Ok(None),
            },
            127 => match rest.first_chunk() {
                Some(length) => (8, u64::from_be_bytes(*length)),
                None => return Ok(None),
            },
            short => (0, u64::from(short)),
        };
        let last = first & 0x80 != 0;
        if opcode.is_control() && (!last || payload > CONTROL_MAX) {
            return Err("a control frame in parts, or too long");
        }
        Ok(Some(Self { last, opcode, bytes: 2 + length, payload }))
    }
}

/// Appends a frame.
pub(super) fn put(first: u8, payload: &[u8], mask: [u8; 4], out: &mut Vec<u8>) {
    out.push(first);
    match payload.len() {
        short @ 0..126 => out.push(0x80 | short as u8),
        middle @ 126..0x1_0000 => {
            out.push(0x80 | 126);
            out.extend_from_slice(&(middle as u16).to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sent_is_masked_and_says_its_length() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut frame = Vec::new();
            put(BYTES, &payload, [1, 2, 3, 4], &mut frame);
            let body = frame.split_off(frame.len() - length);
            assert!(frame.ends_with(&[1, 2, 3, 4]));
            let unmasked: Vec<u8> =
                body.iter().zip([1, 2, 3, 4].iter().cycle()).map(|(a, b)| a ^ b).collect();
            assert_eq!(unmasked, payload);
            // Without the mask it is what a server would send.
            frame[1] &= 0x7f;
            let expected =
                Header { last: true, opcode: Opcode::Data, bytes: frame.len() - 4, payload: length as u64 };
            assert_eq!(Header::parse(&frame), Ok(Some(expected)));
            for cut in 0..expected.bytes {
                assert_eq!(Header::parse(&frame[..cut]), Ok(None), "{length}, {cut}");
            }
        }
    }

    #[test]
    fn what_no_server_may_send_is_told() {
        for (bytes, part) in [
            ([0xc1, 0], "extension"),
            ([0x83, 0], "no known kind"),
            ([0x81, 0x80], "masks"),
            ([0x09, 0], "in parts"),
        ] {
            assert!(Header::parse(&bytes).is_err_and(|why| why.contains(part)), "{bytes:?}");
        }
        assert!(Header::parse(&[0x88, 126, 0, 126]).is_err_and(|why| why.contains("too long")));
    }
}
