//! gRPC-Web, the dialect of browsers, which see no trailers: they come as the last message of the body instead, and
//! all of it may be in base64. No socket in here.

use super::Web;

/// Set in the first byte of a message that holds trailers.
const TRAILERS: u8 = 0x80;

/// The request's body was not in base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotBase64;

/// Takes base64 apart, however it is cut; each part of it that ends with padding may be followed by another.
#[derive(Debug, Default)]
pub(crate) struct Decoder {
    /// Bits that make no byte yet.
    bits: u32,
    /// How many of them: 0, 2, 4 or 6.
    count: u8,
    /// Which character of four comes next.
    place: u8,
    /// The next one has to be padding.
    padding: bool,
}

impl Decoder {
    /// Decodes `data` in place, and returns the length of the result. `end`: nothing follows.
    ///
    /// # Errors
    /// It is no base64.
    pub(crate) fn decode(&mut self, data: &mut [u8], end: bool) -> Result<usize, NotBase64> {
        let mut len = 0;
        for at in 0..data.len() {
            if let Some(byte) = self.take(data[at])? {
                // Never beyond what was read: a character brings less than a byte.
                data[len] = byte;
                len += 1;
            }
        }
        if end && self.place != 0 { Err(NotBase64) } else { Ok(len) }
    }

    fn take(&mut self, character: u8) -> Result<Option<u8>, NotBase64> {
        let last = self.place == 3;
        if character == b'=' {
            // Bits that are left over before padding have to be zero (RFC 4648 §3.5).
            if !(self.padding || self.place >= 2) || self.bits != 0 {
                return Err(NotBase64);
            }
            *self = if last { Self::default() } else { Self { place: 3, padding: true, ..Self::default() } };
            return Ok(None);
        }
        let value = value_of(character).filter(|_| !self.padding).ok_or(NotBase64)?;
        self.place = if last { 0 } else { self.place + 1 };
        self.bits = self.bits << 6 | u32::from(value);
        self.count += 6;
        if self.count < 8 {
            return Ok(None);
        }
        self.count -= 8;
        let byte = (self.bits >> self.count) as u8;
        self.bits &= (1 << self.count) - 1;
        Ok(Some(byte))
    }
}

fn value_of(character: u8) -> Option<u8> {
    Some(match character {
        b'A'..=b'Z' => character - b'A',
        b'a'..=b'z' => character - b'a' + 26,
        b'0'..=b'9' => character - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    })
}

/// Appends `data` in base64, with its padding, so that nothing of it is kept for what follows.
pub(crate) fn encode(out: &mut Vec<u8>, data: &[u8]) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.reserve(data.len().div_ceil(3) * 4);
    for part in data.chunks(3) {
        let byte = |n: usize| u32::from(part.get(n).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for n in 0..4 {
            let value = (bits >> (18 - 6 * n)) & 63;
            out.push(if n > part.len() { b'=' } else { ALPHABET[value as usize] });
        }
    }
}

/// Appends the last message of a body: these trailers, lines of `name: value`, with their names in lower case.
pub(crate) fn push_trailers(out: &mut Vec<u8>, lines: &[u8]) {
    out.push(TRAILERS);
    out.extend_from_slice(&u32::try_from(lines.len()).unwrap_or(u32::MAX).to_be_bytes());
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        let colon = memchr::memchr(b':', line).unwrap_or(0);
        let (name, value) = line.split_at(colon);
        out.extend(name.iter().map(u8::to_ascii_lowercase));
        out.extend_from_slice(value);
    }
}

/// A body that consists of trailers only.
pub(super) fn ending(lines: &[u8], web: Web) -> Vec<u8> {
    let mut frame = Vec::new();
    push_trailers(&mut frame, lines);
    if !web.text_out {
        return frame;
    }
    let mut text = Vec::new();
    encode(&mut text, &frame);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(pieces: &[&[u8]]) -> Result<Vec<u8>, NotBase64> {
        let (mut decoder, mut all) = (Decoder::default(), Vec::new());
        for (n, piece) in pieces.iter().enumerate() {
            let mut piece = piece.to_vec();
            let len = decoder.decode(&mut piece, n + 1 == pieces.len())?;
            all.extend_from_slice(&piece[..len]);
        }
        Ok(all)
    }

    #[test]
    fn base64_is_read_strictly() {
        for (text, expected) in [
            ("", Some("")),
            ("Zg==", Some("f")),
            ("Zm8=", Some("fo")),
            ("Zm9v", Some("foo")),
            ("Zm9vYmE=", Some("fooba")),
            ("Zg==Zm9v", Some("ffoo")),
            ("Zg==Zm8=Zg==", Some("ffof")),
            ("Zg", None),
            ("Zg=", None),
            ("Z", None),
            ("Z===", None),
            ("=", None),
            ("====", None),
            ("Zg=v", None),
            ("Zh==", None),
            ("Zm9=", None),
            ("Zm9v=", None),
            ("Zm9v\n", None),
            ("Zm-_", None),
        ] {
            let expected = expected.map(|text| text.as_bytes().to_vec()).ok_or(NotBase64);
            assert_eq!(decode(&[text.as_bytes()]), expected, "{text}");
            let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            let single = if single.is_empty() { vec![&b""[..]] } else { single };
            assert_eq!(decode(&single), expected, "{text}, a character at a time");
        }
    }

    #[test]
    fn trailers_are_a_message_of_their_own() {
        let mut out = Vec::new();
        push_trailers(&mut out, b"Grpc-Status: 0\r\nX-Y: A:B\r\n");
        assert_eq!(out, b"\x80\0\0\0\x1agrpc-status: 0\r\nx-y: A:B\r\n");
        let text = ending(b"a: b\r\n", Web { text_in: true, text_out: true, proto: true });
        assert_eq!(text, b"gAAAAAZhOiBiDQo=");
    }

    proptest! {
        #[test]
        fn any_cutting_gives_the_same_bytes(
            pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..8),
            cuts in prop::collection::vec(1_usize..9, 1..20),
        ) {
            let mut text = Vec::new();
            pieces.iter().for_each(|piece| encode(&mut text, piece));
            let (mut rest, mut cut) = (&text[..], Vec::new());
            for at in cuts.iter().cycle() {
                let (piece, others) = rest.split_at((*at).min(rest.len()));
                cut.push(piece);
                rest = others;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(decode(&cut), Ok(pieces.concat()));
        }

        #[test]
        fn nothing_makes_it_panic(data in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = decode(&[&data]);
        }
    }
}
