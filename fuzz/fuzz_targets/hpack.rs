//! Field blocks of a connection: whatever they are, the table keeps its bounds, and fields come back when encoded anew.
#![no_main]

use forebay_net::h2::hpack::{Decoder, Encoder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((cut, blocks)) = input.split_first() else { return };
    let mut decoder = Decoder::new(4096);
    for block in blocks.chunks(usize::from(*cut).max(1)) {
        let mut fields = Vec::new();
        let decoded = decoder.decode(block, |name, value| {
            // A bomb of indexed fields is long on purpose.
            if fields.len() < 100 {
                fields.push((name.to_ascii_lowercase(), value.to_vec()));
            }
        });
        let mut encoder = Encoder::new();
        let mut out = Vec::new();
        encoder.begin(&mut out);
        fields.iter().for_each(|(name, value)| encoder.field(&mut out, name, value));
        let mut again = Vec::new();
        Decoder::new(0)
            .decode(&out, |name, value| again.push((name.to_vec(), value.to_vec())))
            .expect("what we encode can be decoded");
        assert_eq!(again, fields);
        if decoded.is_err() {
            return;
        }
    }
});
