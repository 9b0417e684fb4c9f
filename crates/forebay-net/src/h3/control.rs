//! The streams that carry no request: the client's settings, and what it may say beside them (RFC 9114 §6.2).
//!
//! No I/O: bytes in, verdicts out.

use std::collections::HashSet;

use super::frame::{Code, Head, kind, setting, varint};

/// Types of streams that go one way (RFC 9114 §6.2, RFC 9204 §4.2).
pub(crate) const CONTROL: u64 = 0x0;
const PUSH: u64 = 0x1;
const QPACK_ENCODER: u64 = 0x2;
const QPACK_DECODER: u64 = 0x3;

/// Longest frame of the control stream that means something: more settings than are worth sending.
const FRAME_BYTES_MAX: u64 = 1024;

/// What a stream that goes one way is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// One that must stay open, and of which there may be one only.
    Critical(Critical),
    /// One that we know nothing of: it is not read.
    Unknown,
}

/// The streams that a connection cannot do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Critical {
    Control,
    Encoder,
    Decoder,
}

/// Which of them there are already.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    control: bool,
    encoder: bool,
    decoder: bool,
}

impl Opened {
    /// What a stream of type `number` is for.
    ///
    /// # Errors
    /// There is one already, or a client may not open it.
    pub(crate) fn open(&mut self, number: u64) -> Result<Purpose, Code> {
        let (critical, open) = match number {
            CONTROL => (Critical::Control, &mut self.control),
            QPACK_ENCODER => (Critical::Encoder, &mut self.encoder),
            QPACK_DECODER => (Critical::Decoder, &mut self.decoder),
            PUSH => return Err(Code::STREAM_CREATION_ERROR),
            _ => return Ok(Purpose::Unknown),
        };
        if std::mem::replace(open, true) {
            return Err(Code::STREAM_CREATION_ERROR);
        }
        Ok(Purpose::Critical(critical))
    }
}

/// Reads one of the critical streams.
#[derive(Debug)]
pub(crate) enum Reader {
    Control(Control),
    Encoder,
    /// The rest of an integer that takes more bytes.
    Decoder {
        within: bool,
    },
}

impl Reader {
    pub(crate) fn new(critical: Critical) -> Self {
        match critical {
            Critical::Control => Self::Control(Control::default()),
            Critical::Encoder => Self::Encoder,
            Critical::Decoder => Self::Decoder { within: false },
        }
    }

    /// Takes the next bytes of the stream; how much of it was work that brings nothing.
    ///
    /// # Errors
    /// The client broke a rule: the connection has to be closed.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<u32, Code> {
        match self {
            Self::Control(control) => control.read(bytes),
            Self::Encoder => encoder(bytes),
            Self::Decoder { within } => decoder(within, bytes),
        }
    }
}

/// Without a dynamic table there is nothing to say but that it has no size (RFC 9204 §4.3.1).
fn encoder(bytes: &[u8]) -> Result<u32, Code> {
    let none = 0b0010_0000;
    if bytes.iter().all(|byte| *byte == none) { Ok(count(bytes)) } else { Err(Code::ENCODER_STREAM_ERROR) }
}

/// We insert nothing, so there is nothing to acknowledge; streams may be cancelled (RFC 9204 §4.4).
fn decoder(within: &mut bool, bytes: &[u8]) -> Result<u32, Code> {
    for byte in bytes {
        if *within {
            *within = byte & 0x80 != 0;
        } else if byte >> 6 == 0b01 {
            *within = byte & 0x3f == 0x3f;
        } else {
            return Err(Code::DECODER_STREAM_ERROR);
        }
    }
    Ok(0)
}

fn count(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// The client's control stream.
#[derive(Debug, Default)]
pub(crate) struct Control {
    /// A frame of which not all is there. At most `FRAME_BYTES_MAX` and a head.
    pending: Vec<u8>,
    /// Bytes still to come of a frame that means nothing to us.
    skip: u64,
    has_settings: bool,
    /// What the client said last in GOAWAY and MAX_PUSH_ID.
    goaway: Option<u64>,
    push_max: Option<u64>,
}

impl Control {
    fn read(&mut self, mut bytes: &[u8]) -> Result<u32, Code> {
        let mut glitches = 0;
        loop {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            bytes = &bytes[skipped..];
            if bytes.is_empty() {
                return Ok(glitches);
            }
            // Frames are few and short here, so that taking them byte by byte costs nothing that counts.
            self.pending.push(bytes[0]);
            bytes = &bytes[1..];
            let Some(head) = Head::parse(&self.pending) else { continue };
            if self.pending.len() == head.size {
                self.begin(head)?;
            }
            if !kind::is_known(head.kind) {
                glitches += 1;
                self.skip = head.len;
                self.pending.clear();
            } else if (self.pending.len() - head.size) as u64 == head.len {
                let frame = std::mem::take(&mut self.pending);
                glitches += self.take(head.kind, &frame[head.size..])?;
            }
        }
    }

    /// Whether a frame may come here at all.
    fn begin(&mut self, head: Head) -> Result<(), Code> {
        if !self.has_settings && head.kind != kind::SETTINGS {
            return Err(Code::MISSING_SETTINGS);
        }
        match head.kind {
            kind::SETTINGS if self.has_settings => Err(Code::FRAME_UNEXPECTED),
            kind::DATA | kind::HEADERS | kind::PUSH_PROMISE => Err(Code::FRAME_UNEXPECTED),
            other if kind::is_forbidden(other) => Err(Code::FRAME_UNEXPECTED),
            other if kind::is_known(other) && head.len > FRAME_BYTES_MAX => Err(Code::EXCESSIVE_LOAD),
            _ => Ok(()),
        }
    }

    /// Takes a whole frame.
    fn take(&mut self, kind: u64, payload: &[u8]) -> Result<u32, Code> {
        if kind == kind::SETTINGS {
            self.has_settings = true;
            return check_settings(payload).map(|()| 0);
        }
        let id = match varint(payload) {
            Some((id, len)) if len == payload.len() => id,
            _ => return Err(Code::FRAME_ERROR),
        };
        match kind {
            // We push nothing, so that it cannot be known.
            kind::CANCEL_PUSH => return Err(Code::ID_ERROR),
            kind::GOAWAY if self.goaway.is_some_and(|before| id > before) => return Err(Code::ID_ERROR),
            kind::GOAWAY => self.goaway = Some(id),
            _ if self.push_max.is_some_and(|before| id < before) => return Err(Code::ID_ERROR),
            _ => self.push_max = Some(id),
        }
        Ok(1)
    }
}

/// Settings of HTTP/2 and settings said twice are errors; others are as they are.
fn check_settings(mut payload: &[u8]) -> Result<(), Code> {
    let mut seen = HashSet::new();
    while !payload.is_empty() {
        let (id, first) = varint(payload).ok_or(Code::FRAME_ERROR)?;
        let (_, second) = varint(&payload[first..]).ok_or(Code::FRAME_ERROR)?;
        payload = &payload[first + second..];
        if setting::is_forbidden(id) || !seen.insert(id) {
            return Err(Code::SETTINGS_ERROR);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes of `bytes`, at once and one by one.
    fn check(critical: Critical, bytes: &[u8], expected: Result<u32, Code>) {
        assert_eq!(Reader::new(critical).read(bytes), expected, "{bytes:x?}");
        let mut reader = Reader::new(critical);
        let slowly = bytes.chunks(1).try_fold(0, |sum, byte| reader.read(byte).map(|more| sum + more));
        assert_eq!(slowly, expected, "{bytes:x?}, byte by byte");
    }

    #[test]
    fn the_control_stream_is_checked_frame_by_frame() {
        let rows: &[(&[u8], Result<u32, Code>)] = &[
            (&[4, 0], Ok(0)),
            (&[4, 2, 6, 0x20], Ok(0)),
            (&[4, 3, 0x40, 0x21, 5], Ok(0)),
            (&[4, 0, 4, 0], Err(Code::FRAME_UNEXPECTED)),
            (&[7, 1, 0], Err(Code::MISSING_SETTINGS)),
            (&[0x21, 0], Err(Code::MISSING_SETTINGS)),
            (&[0, 0], Err(Code::MISSING_SETTINGS)),
            (&[4, 4, 6, 1, 6, 1], Err(Code::SETTINGS_ERROR)),
            (&[4, 2, 2, 0], Err(Code::SETTINGS_ERROR)),
            (&[4, 2, 3, 0], Err(Code::SETTINGS_ERROR)),
            (&[4, 2, 4, 0], Err(Code::SETTINGS_ERROR)),
            (&[4, 2, 5, 0], Err(Code::SETTINGS_ERROR)),
            (&[4, 1, 6], Err(Code::FRAME_ERROR)),
            (&[4, 2, 6, 0x40], Err(Code::FRAME_ERROR)),
            (&[4, 0x44, 1], Err(Code::EXCESSIVE_LOAD)),
            (&[4, 0, 0, 0], Err(Code::FRAME_UNEXPECTED)),
            (&[4, 0, 1, 0], Err(Code::FRAME_UNEXPECTED)),
            (&[4, 0, 5, 0], Err(Code::FRAME_UNEXPECTED)),
            (&[4, 0, 2, 0], Err(Code::FRAME_UNEXPECTED)),
            (&[4, 0, 6, 0], Err(Code::FRAME_UNEXPECTED)),
            (&[4, 0, 8, 0], Err(Code::FRAME_UNEXPECTED)),
            (&[4, 0, 9, 0], Err(Code::FRAME_UNEXPECTED)),
            (&[4, 0, 7, 1, 4, 7, 1, 4, 7, 1, 0], Ok(3)),
            (&[4, 0, 7, 1, 4, 7, 1, 8], Err(Code::ID_ERROR)),
            (&[4, 0, 7, 2, 4, 0], Err(Code::FRAME_ERROR)),
            (&[4, 0, 7, 0], Err(Code::FRAME_ERROR)),
            (&[4, 0, 13, 1, 1, 13, 1, 9], Ok(2)),
            (&[4, 0, 13, 1, 9, 13, 1, 1], Err(Code::ID_ERROR)),
            (&[4, 0, 3, 1, 0], Err(Code::ID_ERROR)),
            (&[4, 0, 0x21, 3, 1, 2, 3, 7, 1, 0], Ok(2)),
        ];
        for (bytes, expected) in rows {
            check(Critical::Control, bytes, *expected);
        }
    }

    #[test]
    fn without_a_dynamic_table_nothing_is_inserted_and_nothing_acknowledged() {
        check(Critical::Encoder, &[0x20], Ok(1));
        check(Critical::Encoder, &[0x21], Err(Code::ENCODER_STREAM_ERROR));
        check(Critical::Encoder, &[0xc0, 1, b'a'], Err(Code::ENCODER_STREAM_ERROR));
        check(Critical::Decoder, &[0x44, 0x7f, 0x80, 0x01, 0x40], Ok(0));
        check(Critical::Decoder, &[0x80], Err(Code::DECODER_STREAM_ERROR));
        check(Critical::Decoder, &[0x01], Err(Code::DECODER_STREAM_ERROR));
    }

    #[test]
    fn there_is_one_critical_stream_of_each_kind() {
        let mut opened = Opened::default();
        assert_eq!(opened.open(CONTROL), Ok(Purpose::Critical(Critical::Control)));
        assert_eq!(opened.open(QPACK_ENCODER), Ok(Purpose::Critical(Critical::Encoder)));
        assert_eq!(opened.open(QPACK_DECODER), Ok(Purpose::Critical(Critical::Decoder)));
        for number in [CONTROL, QPACK_ENCODER, QPACK_DECODER, PUSH] {
            assert_eq!(opened.open(number), Err(Code::STREAM_CREATION_ERROR), "{number}");
        }
        assert_eq!(opened.open(0x21), Ok(Purpose::Unknown));
        assert_eq!(opened.open(0x21), Ok(Purpose::Unknown));
    }
}
