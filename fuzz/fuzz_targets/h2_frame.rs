//! Frames of HTTP/2: no payload makes reading panic, and what was read means the same when written anew.
#![no_main]

use forebay_net::h2::frame::{self, HEADER_BYTES, Header, Kind, write};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut rest = input;
    while let Some((first, after)) = rest.split_first_chunk::<HEADER_BYTES>() {
        let header = Header::parse(first);
        let (payload, after) = after.split_at(after.len().min(header.len as usize));
        rest = after;
        read(&Header { len: payload.len() as u32, ..header }, payload);
    }
});

fn read(header: &Header, payload: &[u8]) {
    assert_eq!(Header::parse(&header.to_bytes()), *header);
    let mut out = Vec::new();
    match header.kind {
        Kind::Data => assert!(
            frame::data(header, payload).is_ok_and(|data| data.len() <= payload.len()) || is_odd(header)
        ),
        Kind::Headers => {
            let Ok(parts) = frame::headers(header, payload) else { return };
            write::headers(&mut out, header.stream, false, 7, |out| out.extend_from_slice(parts.fragment));
            assert!(out.len() >= parts.fragment.len() + HEADER_BYTES);
        }
        Kind::Settings => {
            let Ok(settings) = frame::settings(header, payload) else { return };
            let Ok(settings) = settings.collect::<Result<Vec<_>, _>>() else { return };
            write::settings(&mut out, &settings);
            assert_eq!(&out[HEADER_BYTES..], payload);
        }
        Kind::Ping => {
            let Ok(bytes) = frame::ping(header, payload) else { return };
            write::ping(&mut out, bytes);
            assert_eq!(&out[HEADER_BYTES..], payload);
        }
        Kind::WindowUpdate => {
            let Ok(increment) = frame::window_update(header, payload) else { return };
            write::window_update(&mut out, header.stream, increment);
            assert_eq!(&out[HEADER_BYTES + 1..], &payload[1..]);
        }
        Kind::RstStream => {
            let Ok(code) = frame::rst_stream(header, payload) else { return };
            write::rst_stream(&mut out, header.stream, code);
            assert_eq!(&out[HEADER_BYTES..], payload);
        }
        Kind::GoAway => {
            let Ok(farewell) = frame::goaway(header, payload) else { return };
            write::goaway(&mut out, farewell.last_stream, farewell.code, farewell.debug);
            assert_eq!(&out[HEADER_BYTES + 4..], &payload[4..]);
        }
        Kind::Priority => _ = frame::priority(header, payload),
        Kind::Continuation => _ = frame::continuation(header, payload),
        Kind::PushPromise | Kind::Unknown(_) => {}
    }
}

/// Whether DATA may be refused: without a stream, or with padding.
fn is_odd(header: &Header) -> bool {
    header.stream == 0 || header.has(frame::PADDED)
}
