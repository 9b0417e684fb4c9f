//! A chunked body decodes to the same bytes however it is cut, and again after it was written anew.
#![no_main]

use forebay_net::h1::{Body, BodyError, CHUNK_END, Framing, chunk_start};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((first, bytes)) = input.split_first() else { return };
    let whole = decode(bytes, bytes.len().max(1));
    assert_eq!(decode(bytes, 1), whole);
    assert_eq!(decode(bytes, usize::from(*first).max(2)), whole);

    let Ok(Decoded { data, .. }) = whole else { return };
    let written = encode(&data, usize::from(*first).max(1));
    let again = decode(&written, written.len()).expect("what the gateway writes is well-formed");
    assert_eq!((again.data, again.consumed, again.done), (data, written.len(), true));
});

#[derive(Debug, PartialEq, Eq)]
struct Decoded {
    data: Vec<u8>,
    consumed: usize,
    done: bool,
    trailers: Vec<u8>,
}

/// Decodes the body in pieces of this size.
fn decode(bytes: &[u8], size: usize) -> Result<Decoded, BodyError> {
    let mut body = Body::new(Framing::Chunked);
    let mut data = Vec::new();
    let mut consumed = 0;
    for piece in bytes.chunks(size) {
        let mut piece = piece.to_vec();
        let part = body.take(&mut piece)?;
        assert!(part.data <= part.consumed && part.consumed <= piece.len());
        data.extend_from_slice(&piece[..part.data]);
        consumed += part.consumed;
        if body.is_done() {
            break;
        }
        assert_eq!(part.consumed, piece.len(), "input is left although the body goes on");
    }
    let trailers = body.trailers().to_vec();
    assert!(trailers.is_empty() || (body.is_done() && trailers.ends_with(b"\r\n")));
    Ok(Decoded { data, consumed, done: body.is_done(), trailers })
}

/// Writes the data in chunks of this size, as the gateway does.
fn encode(data: &[u8], size: usize) -> Vec<u8> {
    let mut written = Vec::new();
    for chunk in data.chunks(size) {
        let (line, len) = chunk_start(chunk.len());
        written.extend_from_slice(&line[..len]);
        written.extend_from_slice(chunk);
        written.extend_from_slice(CHUNK_END);
    }
    written.extend_from_slice(b"0\r\n\r\n");
    written
}
