//! What frames say by themselves, right and wrong; that what is written is read back.

use proptest::prelude::*;

use super::*;

fn header(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Header {
    Header { len: payload.len() as u32, kind, flags, stream }
}

/// Reads a frame of each kind the way a connection does, and forgets what is in it.
fn read(kind: Kind, flags: u8, stream: u32, payload: &[u8]) -> Result<(), FrameError> {
    let header = header(kind, flags, stream, payload);
    match kind {
        Kind::Data => data(&header, payload).map(drop),
        Kind::Headers => headers(&header, payload).map(drop),
        Kind::Priority => priority(&header, payload).map(drop),
        Kind::RstStream => rst_stream(&header, payload).map(drop),
        Kind::Settings => settings(&header, payload)?.try_for_each(|setting| setting.map(drop)),
        Kind::Ping => ping(&header, payload).map(drop),
        Kind::GoAway => goaway(&header, payload).map(drop),
        Kind::WindowUpdate => window_update(&header, payload).map(drop),
        Kind::Continuation => continuation(&header, payload).map(drop),
        Kind::PushPromise | Kind::Unknown(_) => Ok(()),
    }
}

#[test]
fn breaches_end_what_the_rfc_says() {
    use ErrorCode as Code;
    use Scope::{Connection, Stream};
    const BAD_SWITCH: [u8; 6] = [0, 2, 0, 0, 0, 2];
    const BAD_WINDOW: [u8; 6] = [0, 4, 0x80, 0, 0, 0];
    const SMALL_FRAMES: [u8; 6] = [0, 5, 0, 0, 0x3f, 0xff];
    const LARGE_FRAMES: [u8; 6] = [0, 5, 1, 0, 0, 0];
    const BAD_CONNECT: [u8; 6] = [0, 8, 0, 0, 0, 2];
    const BAD_PRIORITIES: [u8; 6] = [0, 9, 0, 0, 0, 2];
    /// Kind, flags, stream and payload; what it breaks, and how.
    type Row<'a> = (Kind, u8, u32, &'a [u8], Scope, Code);
    let rows: &[Row<'_>] = &[
        (Kind::Data, 0, 0, b"x", Connection, Code::PROTOCOL_ERROR),
        (Kind::Data, PADDED, 1, b"", Connection, Code::FRAME_SIZE_ERROR),
        (Kind::Data, PADDED, 1, &[1], Connection, Code::PROTOCOL_ERROR),
        (Kind::Data, PADDED, 1, &[3, 0, 0], Connection, Code::PROTOCOL_ERROR),
        (Kind::Headers, 0, 0, b"x", Connection, Code::PROTOCOL_ERROR),
        (Kind::Headers, PADDED, 1, &[2, 0], Connection, Code::PROTOCOL_ERROR),
        (Kind::Headers, PADDED, 1, b"", Connection, Code::FRAME_SIZE_ERROR),
        (Kind::Headers, PRIORITY, 1, &[0; 4], Connection, Code::FRAME_SIZE_ERROR),
        (Kind::Headers, PRIORITY | PADDED, 1, &[1, 0, 0, 0, 0, 0], Connection, Code::FRAME_SIZE_ERROR),
        (Kind::Priority, 0, 0, &[0; 5], Connection, Code::PROTOCOL_ERROR),
        (Kind::Priority, 0, 1, &[0; 4], Stream, Code::FRAME_SIZE_ERROR),
        (Kind::Priority, 0, 1, &[0; 6], Stream, Code::FRAME_SIZE_ERROR),
        (Kind::RstStream, 0, 0, &[0; 4], Connection, Code::PROTOCOL_ERROR),
        (Kind::RstStream, 0, 1, &[0; 3], Connection, Code::FRAME_SIZE_ERROR),
        (Kind::RstStream, 0, 1, &[0; 5], Connection, Code::FRAME_SIZE_ERROR),
        (Kind::Settings, 0, 1, &[0; 6], Connection, Code::PROTOCOL_ERROR),
        (Kind::Settings, ACK, 0, &[0; 6], Connection, Code::FRAME_SIZE_ERROR),
        (Kind::Settings, 0, 0, &[0; 5], Connection, Code::FRAME_SIZE_ERROR),
        (Kind::Settings, 0, 0, &[0; 7], Connection, Code::FRAME_SIZE_ERROR),
        (Kind::Settings, 0, 0, &BAD_SWITCH, Connection, Code::PROTOCOL_ERROR),
        (Kind::Settings, 0, 0, &BAD_WINDOW, Connection, Code::FLOW_CONTROL_ERROR),
        (Kind::Settings, 0, 0, &SMALL_FRAMES, Connection, Code::PROTOCOL_ERROR),
        (Kind::Settings, 0, 0, &LARGE_FRAMES, Connection, Code::PROTOCOL_ERROR),
        (Kind::Settings, 0, 0, &BAD_CONNECT, Connection, Code::PROTOCOL_ERROR),
        (Kind::Settings, 0, 0, &BAD_PRIORITIES, Connection, Code::PROTOCOL_ERROR),
        (Kind::Ping, 0, 1, &[0; 8], Connection, Code::PROTOCOL_ERROR),
        (Kind::Ping, 0, 0, &[0; 7], Connection, Code::FRAME_SIZE_ERROR),
        (Kind::Ping, ACK, 0, &[0; 9], Connection, Code::FRAME_SIZE_ERROR),
        (Kind::GoAway, 0, 1, &[0; 8], Connection, Code::PROTOCOL_ERROR),
        (Kind::GoAway, 0, 0, &[0; 7], Connection, Code::FRAME_SIZE_ERROR),
        (Kind::WindowUpdate, 0, 0, &[0; 3], Connection, Code::FRAME_SIZE_ERROR),
        (Kind::WindowUpdate, 0, 1, &[0; 5], Connection, Code::FRAME_SIZE_ERROR),
        (Kind::WindowUpdate, 0, 0, &[0; 4], Connection, Code::PROTOCOL_ERROR),
        (Kind::WindowUpdate, 0, 1, &[0x80, 0, 0, 0], Stream, Code::PROTOCOL_ERROR),
        (Kind::Continuation, 0, 0, b"x", Connection, Code::PROTOCOL_ERROR),
    ];
    for (kind, flags, stream, payload, scope, code) in rows {
        let error = read(*kind, *flags, *stream, payload).expect_err("a breach");
        assert_eq!((error.scope, error.code), (*scope, *code), "{kind:?} {flags:#x} {stream} {payload:?}");
    }
}

#[test]
fn padding_and_priority_are_taken_off() {
    let head = |flags, payload: &[u8]| {
        headers(&header(Kind::Headers, flags, 1, payload), payload).map(|parts| parts.fragment.to_vec())
    };
    assert_eq!(head(0, b"block"), Ok(b"block".to_vec()));
    assert_eq!(head(PADDED, b"\x02block\0\0"), Ok(b"block".to_vec()));
    assert_eq!(head(PADDED, b"\0"), Ok(Vec::new()));
    assert_eq!(head(PRIORITY, b"\0\0\0\x03\x0fblock"), Ok(b"block".to_vec()));
    assert_eq!(head(PADDED | PRIORITY, b"\x01\0\0\0\x03\x0fblock\0"), Ok(b"block".to_vec()));
    let payload = [0x80, 0, 0, 3, 255];
    assert_eq!(
        priority(&header(Kind::Priority, 0, 1, &payload), &payload),
        Ok(Priority { depends_on: 3, exclusive: true, weight: 256 })
    );
    assert_eq!(data(&header(Kind::Data, PADDED, 1, b"\x03\0\0\0"), b"\x03\0\0\0"), Ok(&b""[..]));
}

#[test]
fn the_reserved_bit_is_ignored() {
    let parsed = Header::parse(&[0, 0, 8, 6, 1, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(parsed, Header { len: 8, kind: Kind::Ping, flags: ACK, stream: WINDOW_MAX });
}

#[test]
fn frames_larger_than_announced_are_refused() {
    let of = |len| Header { len, kind: Kind::Data, flags: 0, stream: 1 };
    assert_eq!(of(PAYLOAD_DEFAULT).check_len(PAYLOAD_DEFAULT), Ok(()));
    let error = of(PAYLOAD_DEFAULT + 1).check_len(PAYLOAD_DEFAULT).expect_err("one byte too many");
    assert_eq!(error.code, ErrorCode::FRAME_SIZE_ERROR);
}

#[test]
fn codes_have_names() {
    assert_eq!(format!("{:?}", ErrorCode::ENHANCE_YOUR_CALM), "ENHANCE_YOUR_CALM");
    assert_eq!(format!("{:?}", ErrorCode::HTTP_1_1_REQUIRED), "HTTP_1_1_REQUIRED");
    assert_eq!(format!("{:?}", ErrorCode(0xe)), "0xe");
}

/// Takes a frame off the front.
fn take<'a>(bytes: &mut &'a [u8]) -> Option<(Header, &'a [u8])> {
    let (head, rest) = bytes.split_first_chunk()?;
    let header = Header::parse(head);
    let (payload, rest) = rest.split_at(header.len as usize);
    *bytes = rest;
    Some((header, payload))
}

#[test]
fn what_is_written_is_read_back() {
    let all = [
        Setting::HeaderTableSize(0),
        Setting::EnablePush(false),
        Setting::MaxConcurrentStreams(100),
        Setting::InitialWindowSize(WINDOW_MAX),
        Setting::MaxFrameSize(PAYLOAD_MAX),
        Setting::MaxHeaderListSize(u32::MAX),
        Setting::EnableConnectProtocol(true),
        Setting::NoRfc7540Priorities(true),
        Setting::Unknown(0xaaaa, 7),
    ];
    let mut out = Vec::new();
    write::settings(&mut out, &all);
    write::settings_ack(&mut out);
    write::ping(&mut out, *b"12345678");
    write::ping_ack(&mut out, *b"12345678");
    write::window_update(&mut out, 3, 70_000);
    write::rst_stream(&mut out, 5, ErrorCode::CANCEL);
    write::goaway(&mut out, 7, ErrorCode::NO_ERROR, b"bye");
    write::data_header(&mut out, 9, 0, true);

    let mut bytes = &out[..];
    let (head, payload) = take(&mut bytes).expect("settings");
    let read: Result<Vec<_>, _> = settings(&head, payload).expect("settings").collect();
    assert_eq!(read.as_deref(), Ok(&all[..]));
    let (head, payload) = take(&mut bytes).expect("an acknowledgement");
    assert!(head.has(ACK) && settings(&head, payload).expect("none").next().is_none());
    for flags in [0, ACK] {
        let (head, payload) = take(&mut bytes).expect("a ping");
        assert_eq!((head.flags, ping(&head, payload)), (flags, Ok(*b"12345678")));
    }
    let (head, payload) = take(&mut bytes).expect("a window update");
    assert_eq!((head.stream, window_update(&head, payload)), (3, Ok(70_000)));
    let (head, payload) = take(&mut bytes).expect("a reset");
    assert_eq!((head.stream, rst_stream(&head, payload)), (5, Ok(ErrorCode::CANCEL)));
    let (head, payload) = take(&mut bytes).expect("a goaway");
    let farewell = GoAway { last_stream: 7, code: ErrorCode::NO_ERROR, debug: b"bye" };
    assert_eq!(goaway(&head, payload), Ok(farewell));
    let (head, payload) = take(&mut bytes).expect("data");
    assert_eq!((head.stream, head.has(END_STREAM), data(&head, payload)), (9, true, Ok(&b""[..])));
    assert_eq!(bytes, b"");
}

proptest! {
    #[test]
    fn a_block_of_any_size_is_whole_again(
        len in 0usize..300, payload_max in 1u32..100, end in any::<bool>(), before in 0usize..20,
    ) {
        let block: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let mut out = vec![0xee; before];
        write::headers(&mut out, 7, end, payload_max, |out| out.extend_from_slice(&block));
        prop_assert_eq!(&out[..before], &vec![0xee; before][..]);
        let mut bytes = &out[before..];
        let mut joined = Vec::new();
        let mut kind = Kind::Headers;
        while let Some((head, payload)) = take(&mut bytes) {
            prop_assert_eq!((head.kind, head.stream), (kind, 7));
            prop_assert!(head.len <= payload_max);
            prop_assert_eq!(head.has(END_HEADERS), bytes.is_empty());
            prop_assert_eq!(head.has(END_STREAM), end && kind == Kind::Headers);
            joined.extend_from_slice(payload);
            kind = Kind::Continuation;
        }
        prop_assert_eq!(joined, block);
    }

    #[test]
    fn no_payload_makes_it_panic(kind in 0u8..12, flags: u8, stream: u32, payload in prop::collection::vec(any::<u8>(), 0..40)) {
        let _ = read(Kind::of(kind), flags, stream, &payload);
    }

    #[test]
    fn headers_come_back(bytes: [u8; HEADER_BYTES]) {
        let mut expected = bytes;
        expected[5] &= 0x7f;
        prop_assert_eq!(Header::parse(&bytes).to_bytes(), expected);
    }
}
