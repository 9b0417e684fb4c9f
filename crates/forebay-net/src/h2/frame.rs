//! Frames of HTTP/2 (RFC 9113 §4 and §6): their headers, what is in them, and how they are written.
//!
//! Only what a frame says by itself is judged here; whether it may come now is up to the connection.

pub mod write;

#[cfg(test)]
mod tests;

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 9;

/// What a client sends before its first frame (RFC 9113 §3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Largest payload every endpoint must take, and the one it takes unless it says otherwise.
pub const PAYLOAD_DEFAULT: u32 = 16_384;

/// Largest payload that can be asked for.
pub const PAYLOAD_MAX: u32 = (1 << 24) - 1;

/// Largest window and window increment.
pub const WINDOW_MAX: u32 = (1 << 31) - 1;

/// Size of every window at the start.
pub const WINDOW_DEFAULT: u32 = 65_535;

/// The last DATA of a stream, or the head of a message without one.
pub const END_STREAM: u8 = 0x1;
/// A SETTINGS or PING that answers one.
pub const ACK: u8 = 0x1;
/// No CONTINUATION follows.
pub const END_HEADERS: u8 = 0x4;
/// The payload begins with the length of the padding at its end.
pub const PADDED: u8 = 0x8;
/// A HEADERS frame with a (deprecated) priority.
pub const PRIORITY: u8 = 0x20;

/// What a frame is (RFC 9113 §6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the frame of that name")]
pub enum Kind {
    Data,
    Headers,
    Priority,
    RstStream,
    Settings,
    PushPromise,
    Ping,
    GoAway,
    WindowUpdate,
    Continuation,
    /// To be ignored (RFC 9113 §5.5).
    Unknown(u8),
}

/// The first nine bytes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of payload, below 2^24.
    pub len: u32,
    /// What it is.
    pub kind: Kind,
    /// Its flags, also those that mean nothing for its kind.
    pub flags: u8,
    /// The stream it belongs to, below 2^31; 0: the connection.
    pub stream: u32,
}

/// Why a stream or a connection ends (RFC 9113 §7).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

/// A frame that breaks a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameError {
    /// What the rule ends.
    pub scope: Scope,
    /// The code to end it with.
    pub code: ErrorCode,
    /// The rule, in words.
    pub reason: &'static str,
}

/// What an error ends (RFC 9113 §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The stream of the frame.
    Stream,
    /// The connection.
    Connection,
}

/// The deprecated priority of a stream (RFC 9113 §5.3.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Priority {
    /// The stream it depends on.
    pub depends_on: u32,
    /// Alone.
    pub exclusive: bool,
    /// 1 to 256.
    pub weight: u16,
}

/// What is in a HEADERS frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    /// If the flag is set.
    pub priority: Option<Priority>,
    /// The field block, or its beginning.
    pub fragment: &'a [u8],
}

/// What is in a GOAWAY frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoAway<'a> {
    /// The last stream that may have been processed.
    pub last_stream: u32,
    /// Why.
    pub code: ErrorCode,
    /// Words for people.
    pub debug: &'a [u8],
}

/// One setting, its value within its bounds (RFC 9113 §6.5.2, RFC 8441 §3, RFC 9218 §2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Bytes of the table that its sender keeps for decoding.
    HeaderTableSize(u32),
    /// Whether pushes are welcome.
    EnablePush(bool),
    /// Streams the receiver may open at a time.
    MaxConcurrentStreams(u32),
    /// The window of new streams; at most 2^31 - 1.
    InitialWindowSize(u32),
    /// Largest payload its sender takes; 2^14 to 2^24 - 1.
    MaxFrameSize(u32),
    /// Bytes of a field list that its sender takes.
    MaxHeaderListSize(u32),
    /// Whether extended CONNECT is understood.
    EnableConnectProtocol(bool),
    /// Whether the deprecated priorities are ignored.
    NoRfc7540Priorities(bool),
    /// To be ignored.
    Unknown(u16, u32),
}

impl Kind {
    const fn of(code: u8) -> Self {
        match code {
            0x0 => Self::Data,
            0x1 => Self::Headers,
            0x2 => Self::Priority,
            0x3 => Self::RstStream,
            0x4 => Self::Settings,
            0x5 => Self::PushPromise,
            0x6 => Self::Ping,
            0x7 => Self::GoAway,
            0x8 => Self::WindowUpdate,
            0x9 => Self::Continuation,
            other => Self::Unknown(other),
        }
    }

    const fn code(self) -> u8 {
        match self {
            Self::Data => 0x0,
            Self::Headers => 0x1,
            Self::Priority => 0x2,
            Self::RstStream => 0x3,
            Self::Settings => 0x4,
            Self::PushPromise => 0x5,
            Self::Ping => 0x6,
            Self::GoAway => 0x7,
            Self::WindowUpdate => 0x8,
            Self::Continuation => 0x9,
            Self::Unknown(code) => code,
        }
    }
}

impl Header {
    /// Reads a frame's header; the reserved bit is ignored.
    #[must_use]
    #[inline]
    pub const fn parse(bytes: &[u8; HEADER_BYTES]) -> Self {
        let [a, b, c, kind, flags, d, e, f, g] = *bytes;
        Self {
            len: u32::from_be_bytes([0, a, b, c]),
            kind: Kind::of(kind),
            flags,
            stream: u32::from_be_bytes([d, e, f, g]) & WINDOW_MAX,
        }
    }

    /// The header as bytes.
    #[must_use]
    #[inline]
    pub const fn to_bytes(self) -> [u8; HEADER_BYTES] {
        let [_, a, b, c] = self.len.to_be_bytes();
        let [d, e, f, g] = self.stream.to_be_bytes();
        [a, b, c, self.kind.code(), self.flags, d, e, f, g]
    }

    /// Whether a flag is set.
    #[must_use]
    #[inline]
    pub const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Whether its payload is within what we take.
    ///
    /// # Errors
    /// It is not. A stream error would be allowed for some kinds, but whoever ignores this limit ignores others.
    #[inline]
    pub const fn check_len(&self, payload_max: u32) -> Result<(), FrameError> {
        if self.len > payload_max {
            return Err(FrameError::connection(ErrorCode::FRAME_SIZE_ERROR, "frame larger than announced"));
        }
        Ok(())
    }

    const fn on_stream(&self) -> Result<(), FrameError> {
        if self.stream == 0 {
            return Err(FrameError::connection(ErrorCode::PROTOCOL_ERROR, "frame needs a stream"));
        }
        Ok(())
    }

    const fn on_connection(&self) -> Result<(), FrameError> {
        if self.stream != 0 {
            return Err(FrameError::connection(ErrorCode::PROTOCOL_ERROR, "frame belongs to no stream"));
        }
        Ok(())
    }
}

impl FrameError {
    /// An error that ends the connection.
    #[must_use]
    pub const fn connection(code: ErrorCode, reason: &'static str) -> Self {
        Self { scope: Scope::Connection, code, reason }
    }

    /// An error that ends the frame's stream.
    #[must_use]
    pub const fn stream(code: ErrorCode, reason: &'static str) -> Self {
        Self { scope: Scope::Stream, code, reason }
    }
}

#[expect(missing_docs, reason = "each is the code of that name")]
impl ErrorCode {
    pub const NO_ERROR: Self = Self(0x0);
    pub const PROTOCOL_ERROR: Self = Self(0x1);
    pub const INTERNAL_ERROR: Self = Self(0x2);
    pub const FLOW_CONTROL_ERROR: Self = Self(0x3);
    pub const SETTINGS_TIMEOUT: Self = Self(0x4);
    pub const STREAM_CLOSED: Self = Self(0x5);
    pub const FRAME_SIZE_ERROR: Self = Self(0x6);
    pub const REFUSED_STREAM: Self = Self(0x7);
    pub const CANCEL: Self = Self(0x8);
    pub const COMPRESSION_ERROR: Self = Self(0x9);
    pub const CONNECT_ERROR: Self = Self(0xa);
    pub const ENHANCE_YOUR_CALM: Self = Self(0xb);
    pub const INADEQUATE_SECURITY: Self = Self(0xc);
    pub const HTTP_1_1_REQUIRED: Self = Self(0xd);

    /// What the code is called; none for codes nobody has registered.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        const NAMES: [&str; 14] = [
            "NO_ERROR",
            "PROTOCOL_ERROR",
            "INTERNAL_ERROR",
            "FLOW_CONTROL_ERROR",
            "SETTINGS_TIMEOUT",
            "STREAM_CLOSED",
            "FRAME_SIZE_ERROR",
            "REFUSED_STREAM",
            "CANCEL",
            "COMPRESSION_ERROR",
            "CONNECT_ERROR",
            "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY",
            "HTTP_1_1_REQUIRED",
        ];
        NAMES.get(self.0 as usize).copied()
    }
}

impl std::fmt::Debug for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x}", self.0),
        }
    }
}

/// The data of a DATA frame without its padding (§6.1). Flow control counts the whole payload.
///
/// # Errors
/// No stream, or more padding than payload.
#[inline]
pub fn data<'a>(header: &Header, payload: &'a [u8]) -> Result<&'a [u8], FrameError> {
    header.on_stream()?;
    without_padding(header, payload)
}

/// What is in a HEADERS frame (§6.2).
///
/// # Errors
/// No stream, more padding than payload, or too short for its priority.
#[inline]
pub fn headers<'a>(header: &Header, payload: &'a [u8]) -> Result<Headers<'a>, FrameError> {
    header.on_stream()?;
    let payload = without_padding(header, payload)?;
    if !header.has(PRIORITY) {
        return Ok(Headers { priority: None, fragment: payload });
    }
    let Some((priority, fragment)) = payload.split_first_chunk() else {
        return Err(FrameError::connection(
            ErrorCode::FRAME_SIZE_ERROR,
            "HEADERS too short for its priority",
        ));
    };
    Ok(Headers { priority: Some(Priority::parse(*priority)), fragment })
}

/// The part of a field block in a CONTINUATION frame (§6.10).
///
/// # Errors
/// No stream.
#[inline]
pub const fn continuation<'a>(header: &Header, payload: &'a [u8]) -> Result<&'a [u8], FrameError> {
    match header.on_stream() {
        Ok(()) => Ok(payload),
        Err(error) => Err(error),
    }
}

/// What is in a PRIORITY frame (§6.3).
///
/// # Errors
/// No stream; a stream error if its length is wrong.
pub fn priority(header: &Header, payload: &[u8]) -> Result<Priority, FrameError> {
    header.on_stream()?;
    match payload.try_into() {
        Ok(bytes) => Ok(Priority::parse(bytes)),
        Err(_) => Err(FrameError::stream(ErrorCode::FRAME_SIZE_ERROR, "PRIORITY has five bytes")),
    }
}

/// Why a stream is reset (§6.4).
///
/// # Errors
/// No stream, or a wrong length.
pub fn rst_stream(header: &Header, payload: &[u8]) -> Result<ErrorCode, FrameError> {
    header.on_stream()?;
    match payload.try_into() {
        Ok(bytes) => Ok(ErrorCode(u32::from_be_bytes(bytes))),
        Err(_) => Err(FrameError::connection(ErrorCode::FRAME_SIZE_ERROR, "RST_STREAM has four bytes")),
    }
}

/// The settings in a SETTINGS frame, none if it is an acknowledgement (§6.5).
///
/// # Errors
/// A stream, or a wrong length. Each setting may be an error of its own; the ones before it count.
pub fn settings<'a>(
    header: &Header,
    payload: &'a [u8],
) -> Result<impl Iterator<Item = Result<Setting, FrameError>> + use<'a>, FrameError> {
    header.on_connection()?;
    if header.has(ACK) && !payload.is_empty() {
        return Err(FrameError::connection(ErrorCode::FRAME_SIZE_ERROR, "acknowledgement with settings"));
    }
    let (chunks, rest) = payload.as_chunks::<6>();
    if !rest.is_empty() {
        return Err(FrameError::connection(ErrorCode::FRAME_SIZE_ERROR, "each setting has six bytes"));
    }
    Ok(chunks.iter().map(|chunk| Setting::parse(*chunk)))
}

/// The eight bytes of a PING (§6.7).
///
/// # Errors
/// A stream, or a wrong length.
pub fn ping(header: &Header, payload: &[u8]) -> Result<[u8; 8], FrameError> {
    header.on_connection()?;
    payload
        .try_into()
        .map_err(|_| FrameError::connection(ErrorCode::FRAME_SIZE_ERROR, "PING has eight bytes"))
}

/// What is in a GOAWAY frame (§6.8).
///
/// # Errors
/// A stream, or too short.
pub fn goaway<'a>(header: &Header, payload: &'a [u8]) -> Result<GoAway<'a>, FrameError> {
    header.on_connection()?;
    let Some(([a, b, c, d, e, f, g, h], debug)) = payload.split_first_chunk() else {
        return Err(FrameError::connection(ErrorCode::FRAME_SIZE_ERROR, "GOAWAY has at least eight bytes"));
    };
    Ok(GoAway {
        last_stream: u32::from_be_bytes([*a, *b, *c, *d]) & WINDOW_MAX,
        code: ErrorCode(u32::from_be_bytes([*e, *f, *g, *h])),
        debug,
    })
}

/// By how much a window grows, at least 1 (§6.9).
///
/// # Errors
/// A wrong length; nothing, which ends the stream only if the window is a stream's.
pub fn window_update(header: &Header, payload: &[u8]) -> Result<u32, FrameError> {
    let Ok(bytes) = payload.try_into() else {
        return Err(FrameError::connection(ErrorCode::FRAME_SIZE_ERROR, "WINDOW_UPDATE has four bytes"));
    };
    match u32::from_be_bytes(bytes) & WINDOW_MAX {
        0 if header.stream == 0 => {
            Err(FrameError::connection(ErrorCode::PROTOCOL_ERROR, "window update of nothing"))
        }
        0 => Err(FrameError::stream(ErrorCode::PROTOCOL_ERROR, "window update of nothing")),
        increment => Ok(increment),
    }
}

#[inline]
fn without_padding<'a>(header: &Header, payload: &'a [u8]) -> Result<&'a [u8], FrameError> {
    if !header.has(PADDED) {
        return Ok(payload);
    }
    let Some((padding, rest)) = payload.split_first() else {
        return Err(FrameError::connection(ErrorCode::FRAME_SIZE_ERROR, "padded frame without a pad length"));
    };
    match rest.len().checked_sub(usize::from(*padding)) {
        Some(len) => Ok(&rest[..len]),
        None => Err(FrameError::connection(ErrorCode::PROTOCOL_ERROR, "more padding than payload")),
    }
}

impl Priority {
    fn parse([a, b, c, d, weight]: [u8; 5]) -> Self {
        let word = u32::from_be_bytes([a, b, c, d]);
        Self { depends_on: word & WINDOW_MAX, exclusive: word > WINDOW_MAX, weight: u16::from(weight) + 1 }
    }
}

impl Setting {
    fn parse([a, b, c, d, e, f]: [u8; 6]) -> Result<Self, FrameError> {
        let value = u32::from_be_bytes([c, d, e, f]);
        Ok(match u16::from_be_bytes([a, b]) {
            0x1 => Self::HeaderTableSize(value),
            0x2 => Self::EnablePush(switch(value)?),
            0x3 => Self::MaxConcurrentStreams(value),
            0x4 if value > WINDOW_MAX => {
                return Err(FrameError::connection(
                    ErrorCode::FLOW_CONTROL_ERROR,
                    "initial window too large",
                ));
            }
            0x4 => Self::InitialWindowSize(value),
            0x5 if !(PAYLOAD_DEFAULT..=PAYLOAD_MAX).contains(&value) => {
                return Err(FrameError::connection(ErrorCode::PROTOCOL_ERROR, "frame size out of bounds"));
            }
            0x5 => Self::MaxFrameSize(value),
            0x6 => Self::MaxHeaderListSize(value),
            0x8 => Self::EnableConnectProtocol(switch(value)?),
            0x9 => Self::NoRfc7540Priorities(switch(value)?),
            other => Self::Unknown(other, value),
        })
    }

    fn to_bytes(self) -> [u8; 6] {
        let (id, value) = match self {
            Self::HeaderTableSize(value) => (0x1, value),
            Self::EnablePush(on) => (0x2, u32::from(on)),
            Self::MaxConcurrentStreams(value) => (0x3, value),
            Self::InitialWindowSize(value) => (0x4, value),
            Self::MaxFrameSize(value) => (0x5, value),
            Self::MaxHeaderListSize(value) => (0x6, value),
            Self::EnableConnectProtocol(on) => (0x8, u32::from(on)),
            Self::NoRfc7540Priorities(on) => (0x9, u32::from(on)),
            Self::Unknown(id, value) => (id, value),
        };
        let [a, b] = u16::to_be_bytes(id);
        let [c, d, e, f] = value.to_be_bytes();
        [a, b, c, d, e, f]
    }
}

fn switch(value: u32) -> Result<bool, FrameError> {
    match value {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(FrameError::connection(ErrorCode::PROTOCOL_ERROR, "setting is neither 0 nor 1")),
    }
}
