//! As much of WebSocket (RFC 6455) as one who passes its frames on has to know: where one ends, so that a close frame
//! can be put between two.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

/// Longest header of a frame: two bytes, a long length, a mask (RFC 6455 §5.2).
const HEADER_MAX: usize = 14;
/// The opcode of a close frame.
const CLOSE: u8 = 8;

/// Length of a key, and of what a server makes of it, as text.
const KEY_LEN: usize = 24;
const ACCEPT_LEN: usize = 28;
/// What a server puts behind a key before it hashes both (RFC 6455 §1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The value of `Sec-WebSocket-Key` for sixteen bytes that nobody could foresee (RFC 6455 §4.1).
#[must_use]
pub fn key(random: u128) -> [u8; KEY_LEN] {
    let mut key = [0; KEY_LEN];
    base64(&random.to_be_bytes(), &mut key);
    key
}

/// The value of `Sec-WebSocket-Accept` with which a server shows that it has understood `key` (RFC 6455 §4.2.2).
#[must_use]
pub fn accept(key: &[u8]) -> [u8; ACCEPT_LEN] {
    let mut accept = [0; ACCEPT_LEN];
    base64(digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat()).as_ref(), &mut accept);
    accept
}

/// Writes `bytes` in base64 (RFC 4648 §4) into `out`, which has the room it takes.
fn base64(bytes: &[u8], out: &mut [u8]) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (bytes, out) in bytes.chunks(3).zip(out.chunks_mut(4)) {
        let group =
            bytes.iter().enumerate().fold(0, |group, (at, byte)| group | u32::from(*byte) << (16 - 8 * at));
        for (at, letter) in out.iter_mut().enumerate() {
            let used = at <= bytes.len();
            *letter = if used { LETTERS[(group >> (18 - 6 * at) & 63) as usize] } else { b'=' };
        }
    }
}

/// Follows the frames of one direction.
#[derive(Clone, Debug, Default)]
pub struct Frames {
    header: [u8; HEADER_MAX],
    have: usize,
    /// Bytes of the present frame's payload that are still to come.
    left: u64,
    closed: bool,
}

impl Frames {
    /// These bytes have passed by.
    pub fn pass(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let skip = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= skip as u64;
                bytes = &bytes[skip..];
                continue;
            }
            self.header[self.have] = bytes[0];
            self.have += 1;
            bytes = &bytes[1..];
            if self.have == self.header_len() {
                self.left = self.payload_len();
                self.closed |= self.header[0] & 0x0f == CLOSE;
                self.have = 0;
            }
        }
    }

    /// Whether what has passed ends with a frame: another may be put behind it, even within a fragmented message if it
    /// is a control frame (RFC 6455 §5.4).
    #[must_use]
    pub const fn is_between(&self) -> bool {
        self.have == 0 && self.left == 0
    }

    /// Whether a close frame has passed: nothing may follow it.
    #[must_use]
    pub const fn has_closed(&self) -> bool {
        self.closed
    }

    /// As far as can be told from what there is of it; never less than there is.
    fn header_len(&self) -> usize {
        if self.have < 2 {
            return 2;
        }
        let length = match self.header[1] & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        2 + length + if self.header[1] & 0x80 == 0 { 0 } else { 4 }
    }

    fn payload_len(&self) -> u64 {
        match self.header[1] & 0x7f {
            126 => u64::from(u16::from_be_bytes([self.header[2], self.header[3]])),
            127 => self.header[2..10].iter().fold(0, |length, byte| length << 8 | u64::from(*byte)),
            short => u64::from(short),
        }
    }
}

/// A close frame with this status; frames of clients have a mask (RFC 6455 §5.3), here one of zeros, which hides
/// nothing but then there is nothing to hide.
#[must_use]
pub fn close_frame(status: u16, of_client: bool) -> Vec<u8> {
    let [high, low] = status.to_be_bytes();
    if of_client { vec![0x88, 0x82, 0, 0, 0, 0, high, low] } else { vec![0x88, 0x02, high, low] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(first: u8, masked: bool, payload: usize) -> Vec<u8> {
        let mask = if masked { 0x80 } else { 0 };
        let mut frame = match payload {
            0..126 => vec![first, mask | payload as u8],
            126..65_536 => [&[first, mask | 126][..], &(payload as u16).to_be_bytes()].concat(),
            _ => [&[first, mask | 127][..], &(payload as u64).to_be_bytes()].concat(),
        };
        frame.extend_from_slice(if masked { &[1, 2, 3, 4] } else { &[] });
        frame.resize(frame.len() + payload, 0x88);
        frame
    }

    #[test]
    fn the_handshake_is_that_of_the_standards_example() {
        let random = u128::from_be_bytes(*b"the sample nonce");
        assert_eq!(&key(random), b"dGhlIHNhbXBsZSBub25jZQ==");
        assert_eq!(&accept(&key(random)), b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn the_end_of_every_frame_is_known_however_it_comes() {
        for payload in [0, 1, 125, 126, 127, 65_535, 65_536, 100_000] {
            for masked in [false, true] {
                let frame = frame(0x82, masked, payload);
                for step in [1, 2, 3, 7, frame.len()] {
                    let mut frames = Frames::default();
                    let mut passed = 0;
                    for piece in frame.chunks(step) {
                        assert_eq!(frames.is_between(), passed == 0, "{payload} {masked} {step}");
                        frames.pass(piece);
                        passed += piece.len();
                    }
                    assert!(frames.is_between() && !frames.has_closed(), "{payload} {masked} {step}");
                }
            }
        }
    }

    #[test]
    fn a_close_frame_is_one_of_its_own() {
        for of_client in [false, true] {
            let mut frames = Frames::default();
            frames.pass(&frame(0x81, of_client, 5));
            assert!(!frames.has_closed());
            frames.pass(&close_frame(1001, of_client));
            assert!(frames.has_closed() && frames.is_between());
        }
    }
}
