//! HPACK against its RFC's examples, against a model of it, and against whoever breaks its rules.

use proptest::prelude::*;

use super::table::{Dynamic, ENTRY_OVERHEAD, STATIC};
use super::{Decoder, Encoder, HpackError, Pseudo, huffman, integer};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn decode(decoder: &mut Decoder, block: &[u8]) -> Result<Fields, HpackError> {
    let mut fields = Vec::new();
    decoder.decode(block, |name, value| fields.push((name.to_vec(), value.to_vec())))?;
    Ok(fields)
}

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).map(digit).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn digit(byte: u8) -> u8 {
    (byte as char).to_digit(16).expect("test data is hexadecimal") as u8
}

fn text(fields: &[(&str, &str)]) -> Fields {
    fields.iter().map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec())).collect()
}

/// A block in hexadecimal, its fields, and the size of the table behind it.
type Block<'a> = (&'a str, &'a [(&'a str, &'a str)], usize);

/// Decodes blocks one after the other with one decoder, whose table may have `table_bytes`.
fn check(table_bytes: usize, blocks: &[Block<'_>]) {
    let mut decoder = Decoder::with_table(table_bytes);
    for (block, fields, size) in blocks {
        assert_eq!(decode(&mut decoder, &hex(block)), Ok(text(fields)), "{block}");
        assert_eq!(decoder.table().size(), *size, "{block}");
    }
}

const REQUESTS: [&[(&str, &str)]; 3] = [
    &[(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "www.example.com")],
    &[
        (":method", "GET"),
        (":scheme", "http"),
        (":path", "/"),
        (":authority", "www.example.com"),
        ("cache-control", "no-cache"),
    ],
    &[
        (":method", "GET"),
        (":scheme", "https"),
        (":path", "/index.html"),
        (":authority", "www.example.com"),
        ("custom-key", "custom-value"),
    ],
];

const RESPONSES: [&[(&str, &str)]; 3] = [
    &[
        (":status", "302"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ],
    &[
        (":status", "307"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ("location", "https://www.example.com"),
    ],
    &[
        (":status", "200"),
        ("cache-control", "private"),
        ("date", "Mon, 21 Oct 2013 20:13:22 GMT"),
        ("location", "https://www.example.com"),
        ("content-encoding", "gzip"),
        ("set-cookie", "foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1"),
    ],
];

#[test]
fn single_fields_of_the_rfc() {
    check(
        4096,
        &[("400a637573746f6d2d6b65790d637573746f6d2d686561646572", &[("custom-key", "custom-header")], 55)],
    );
    check(4096, &[("040c2f73616d706c652f70617468", &[(":path", "/sample/path")], 0)]);
    check(4096, &[("100870617373776f726406736563726574", &[("password", "secret")], 0)]);
    check(4096, &[("82", &[(":method", "GET")], 0)]);
}

#[test]
fn requests_of_the_rfc() {
    check(
        4096,
        &[
            ("828684410f7777772e6578616d706c652e636f6d", REQUESTS[0], 57),
            ("828684be58086e6f2d6361636865", REQUESTS[1], 110),
            ("828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565", REQUESTS[2], 164),
        ],
    );
}

#[test]
fn requests_of_the_rfc_with_huffman_coding() {
    check(
        4096,
        &[
            ("828684418cf1e3c2e5f23a6ba0ab90f4ff", REQUESTS[0], 57),
            ("828684be5886a8eb10649cbf", REQUESTS[1], 110),
            ("828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf", REQUESTS[2], 164),
        ],
    );
}

#[test]
fn responses_of_the_rfc_push_entries_out() {
    check(
        256,
        &[
            (
                "4803333032580770726976617465611d4d6f6e2c203231204f637420323031332032303a31333a323120474d
                 546e1768747470733a2f2f7777772e6578616d706c652e636f6d",
                RESPONSES[0],
                222,
            ),
            ("4803333037c1c0bf", RESPONSES[1], 222),
            (
                "88c1611d4d6f6e2c203231204f637420323031332032303a31333a323220474d54c05a04677a69707738666f6f3d
                 4153444a4b48514b425a584f5157454f50495541585157454f49553b206d61782d6167653d333630303b20766572
                 73696f6e3d31",
                RESPONSES[2],
                215,
            ),
        ],
    );
}

#[test]
fn responses_of_the_rfc_with_huffman_coding() {
    check(
        256,
        &[
            (
                "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8
                 e9ae82ae43d3",
                RESPONSES[0],
                222,
            ),
            ("4883640effc1c0bf", RESPONSES[1], 222),
            (
                "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b
                 3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007",
                RESPONSES[2],
                215,
            ),
        ],
    );
}

#[test]
fn integers_of_the_rfc() {
    let mut out = Vec::new();
    integer::push::<5>(&mut out, 0, 10);
    integer::push::<5>(&mut out, 0, 1337);
    integer::push::<7>(&mut out, 0x80, 42);
    assert_eq!(out, [0b01010, 0b11111, 0b1001_1010, 0b1010, 0x80 | 42]);
    let mut input = &out[..];
    assert_eq!(integer::take::<5>(&mut input), Ok(10));
    assert_eq!(integer::take::<5>(&mut input), Ok(1337));
    assert_eq!(integer::take::<7>(&mut input), Ok(42));
    assert_eq!(input, b"");
}

#[test]
fn breaches_are_refused() {
    for (block, reason) in [
        ("80", "index of no entry"),
        ("be", "index of no entry"),
        ("ff00", "index of no entry"),
        ("ff80808001", "index of no entry"),
        ("7f0001 61", "index of no entry"),
        ("0f2f 0161", "index of no entry"),
        ("ffffffffff7f", "integer too large"),
        ("ff8080808080", "integer too long"),
        ("ff808080808000", "integer too long"),
        ("ffffffffffffffffff7f", "integer too long"),
        ("ff", "block ends early"),
        ("ff80", "block ends early"),
        ("40", "block ends early"),
        ("4001", "string longer than its block"),
        ("400161", "block ends early"),
        ("40016102 61", "string longer than its block"),
        ("007fffffff7f61", "integer too large"),
        ("8220", "table resized within a block"),
        ("823f00", "table resized within a block"),
        ("3fe21f", "table larger than allowed"),
        ("3f", "block ends early"),
        // Huffman: padding with zeros, of eight bits and more, and the end of the string itself.
        ("0001 61 8100", "bad padding of a string"),
        ("0001 61 81fe", "bad padding of a string"),
        ("0001 61 81ff", "bad padding of a string"),
        ("0001 61 821fff", "bad padding of a string"),
        ("0001 61 84ffffffff", "string ends within a string"),
        ("0001 61 84fffffffc", "string ends within a string"),
    ] {
        let mut decoder = Decoder::new(4096);
        assert_eq!(decode(&mut decoder, &hex(block)), Err(HpackError(reason)), "{block}");
    }
}

#[test]
fn what_is_allowed_at_the_edges_is_taken() {
    for (block, fields) in [
        ("", &[][..]),
        ("20", &[]),
        ("203fe11f", &[]),
        ("3fe11f 82", &[(":method", "GET")]),
        ("0000 00", &[("", "")]),
        ("0080 80", &[("", "")]),
        ("0001 61 811f", &[("a", "a")]),
        ("0001 61 8107", &[("a", "0")]),
        // Leading zeros of an integer that ends in time.
        ("ff8000 ", &[]),
    ] {
        let mut decoder = Decoder::new(4096);
        let decoded = decode(&mut decoder, &hex(block));
        if block.starts_with("ff") {
            assert_eq!(decoded, Err(HpackError("index of no entry")));
        } else {
            assert_eq!(decoded, Ok(text(fields)), "{block}");
        }
    }
}

#[test]
fn a_name_outlives_the_entry_it_comes_from() {
    // The table holds one entry, whose name the next one takes while pushing it out.
    let mut decoder = Decoder::with_table(64);
    let first = [hex("4018"), vec![b'n'; 24], hex("0161")].concat();
    decode(&mut decoder, &first).expect("a literal");
    let again = decode(&mut decoder, &hex("7e0162")).expect("its name");
    assert_eq!(again, [(vec![b'n'; 24], b"b".to_vec())]);
    assert_eq!(decode(&mut decoder, &hex("be")).expect("the new entry"), again);
    assert!(decode(&mut decoder, &hex("bf")).is_err());
}

#[test]
fn an_entry_larger_than_the_table_empties_it() {
    let mut decoder = Decoder::with_table(64);
    decode(&mut decoder, &hex("40016101 62")).expect("a literal");
    decode(&mut decoder, &[hex("400161 40"), vec![b'x'; 64]].concat()).expect("a long literal");
    assert_eq!(decoder.table().size(), 0);
    assert!(decode(&mut decoder, &hex("be")).is_err());
}

#[test]
fn a_table_of_nothing_holds_nothing() {
    let mut decoder = Decoder::new(4096);
    decode(&mut decoder, &hex("40016101 62")).expect("a literal");
    decode(&mut decoder, &hex("20")).expect("a resize");
    assert_eq!(decoder.table().bytes_held(), 0);
    assert!(decode(&mut decoder, &hex("be")).is_err());
}

#[test]
fn a_bomb_of_indexed_fields_takes_no_memory() {
    let mut decoder = Decoder::new(4096);
    let entry = [hex("40 01 61 7f a11e"), vec![b'x'; 4000]].concat();
    decode(&mut decoder, &entry[..2]).expect_err("it is cut short");
    let mut bytes = 0;
    let block = [entry, vec![0xbe; 100_000]].concat();
    decoder.decode(&block, |name, value| bytes += name.len() + value.len()).expect("it is well-formed");
    assert_eq!(bytes, 4_001 * 100_001);
    assert!(decoder.table().bytes_held() <= 2 * 4_096, "{}", decoder.table().bytes_held());
    assert_eq!(decoder.scratch_held(), 0);
}

#[test]
fn long_strings_leave_no_room_behind() {
    let mut decoder = Decoder::new(4096);
    let value = vec![b'a'; 100_000];
    let mut block = hex("000161");
    let mut code = Vec::new();
    huffman::encode(&value, &mut code);
    integer::push::<7>(&mut block, 0x80, code.len());
    block.extend_from_slice(&code);
    assert_eq!(decode(&mut decoder, &block), Ok(vec![(b"a".to_vec(), value)]));
    assert_eq!(decoder.scratch_held(), 0);
}

#[test]
fn every_byte_comes_back_from_its_huffman_code() {
    for first in 0..=255u8 {
        for second in 0..=255u8 {
            check_huffman(&[first, second]);
            check_huffman(&[first, b'e', second, b'0', second]);
        }
        check_huffman(&[first]);
        check_huffman(&[first; 40]);
    }
}

fn check_huffman(text: &[u8]) {
    let mut code = Vec::new();
    huffman::encode(text, &mut code);
    assert_eq!(code.len(), huffman::encoded_len(text));
    let mut decoded = vec![0; huffman::decoded_len_max(code.len())];
    let len = huffman::decode(&code, &mut decoded).expect("what we encode can be decoded");
    assert_eq!(&decoded[..len], text);
}

#[test]
fn statuses_methods_and_names_use_the_static_table() {
    let encode = |write: fn(&mut Encoder, &mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut Encoder::new(), &mut out);
        out
    };
    assert_eq!(encode(|encoder, out| encoder.status(out, 200)), hex("88"));
    assert_eq!(encode(|encoder, out| encoder.status(out, 503)), hex("0803353033"));
    assert_eq!(encode(|encoder, out| encoder.pseudo(out, Pseudo::Method, b"GET")), hex("82"));
    assert_eq!(encode(|encoder, out| encoder.pseudo(out, Pseudo::Path, b"/a")), hex("04022f61"));
    assert_eq!(encode(|encoder, out| encoder.field(out, b"Via", b"x")), hex("0f2d0178"));
    assert_eq!(encode(|encoder, out| encoder.field(out, b"X-A", b"Bc")), hex("0003782d61024263"));
    assert_eq!(encode(|encoder, out| encoder.field(out, b"Authorization", b"x")), hex("1f080178"));
    assert_eq!(encode(|encoder, out| encoder.field(out, b"Set-Cookie", b"x")), hex("1f280178"));
}

#[test]
fn every_static_name_is_found_in_any_case() {
    for (name, _) in &STATIC[14..] {
        let mut out = Vec::new();
        Encoder::new().field(&mut out, &name.to_ascii_uppercase(), b"v");
        assert!(out.len() <= 4, "{}", String::from_utf8_lossy(name));
        let fields = decode(&mut Decoder::new(0), &out).expect("what we encode can be decoded");
        assert_eq!(fields, [(name.to_vec(), b"v".to_vec())]);
    }
}

#[test]
fn a_smaller_table_is_confirmed_once() {
    let mut encoder = Encoder::new();
    let mut begin = |sizes: &[u32]| {
        let mut out = Vec::new();
        for size in sizes {
            encoder.set_table_bytes_max(*size);
        }
        encoder.begin(&mut out);
        out
    };
    assert_eq!(begin(&[65_536]), hex(""));
    assert_eq!(begin(&[4_096]), hex(""));
    assert_eq!(begin(&[100]), hex("3f45"));
    assert_eq!(begin(&[]), hex(""));
    assert_eq!(begin(&[0, 4_096]), hex("20"));
    assert_eq!(begin(&[0, 200]), hex(""));
}

/// What the table ought to be, written down in the plainest way.
#[derive(Default)]
struct Model {
    entries: Fields,
    size_max: usize,
}

impl Model {
    fn insert(&mut self, name: &[u8], value: &[u8]) {
        self.entries.insert(0, (name.to_vec(), value.to_vec()));
        self.shrink();
    }

    fn shrink(&mut self) {
        let size = |fields: &Fields| -> usize {
            fields.iter().map(|(name, value)| name.len() + value.len() + ENTRY_OVERHEAD).sum()
        };
        while size(&self.entries) > self.size_max {
            self.entries.pop();
        }
    }

    fn find(&self, index: usize) -> (Vec<u8>, Vec<u8>) {
        match STATIC.get(index - 1) {
            Some((name, value)) => (name.to_vec(), value.to_vec()),
            None => self.entries[index - 1 - STATIC.len()].clone(),
        }
    }

    /// Encodes what `step` asks for, and says what must come of it.
    fn encode(&mut self, step: &Step, out: &mut Vec<u8>) -> (Vec<u8>, Vec<u8>) {
        let known = STATIC.len() + self.entries.len();
        let Step { form, index, name, value, huffman } = step;
        let index = index % (known + 1);
        if *form == 3 && index > 0 {
            integer::push::<7>(out, 0x80, index);
            return self.find(index);
        }
        match form % 3 {
            0 => integer::push::<4>(out, 0, index),
            1 => integer::push::<4>(out, 0x10, index),
            _ => integer::push::<6>(out, 0x40, index),
        }
        let name = match index {
            0 => {
                push_string(out, name, *huffman);
                name.clone()
            }
            _ => self.find(index).0,
        };
        push_string(out, value, *huffman);
        if form % 3 == 2 {
            self.insert(&name, value);
        }
        (name, value.clone())
    }
}

#[derive(Clone, Debug)]
struct Step {
    form: u8,
    index: usize,
    name: Vec<u8>,
    value: Vec<u8>,
    huffman: bool,
}

fn push_string(out: &mut Vec<u8>, text: &[u8], huffman: bool) {
    let mut bytes = text.to_vec();
    if huffman {
        bytes.clear();
        huffman::encode(text, &mut bytes);
    }
    integer::push::<7>(out, if huffman { 0x80 } else { 0 }, bytes.len());
    out.extend_from_slice(&bytes);
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = |max| prop::collection::vec(any::<u8>(), 0..max);
    let step = (0u8..6, 0usize..200, bytes(20), bytes(90), any::<bool>())
        .prop_map(|(form, index, name, value, huffman)| Step { form, index, name, value, huffman });
    prop::collection::vec(step, 0..40)
}

proptest! {
    #[test]
    fn the_table_does_what_its_model_does(
        blocks in prop::collection::vec((prop::option::of(0usize..700), steps()), 1..6),
    ) {
        const LIMIT: usize = 600;
        let mut decoder = Decoder::with_table(LIMIT);
        let mut model = Model { size_max: LIMIT, ..Model::default() };
        for (resize, steps) in blocks {
            let mut block = Vec::new();
            if let Some(size) = resize.filter(|size| *size <= LIMIT) {
                integer::push::<5>(&mut block, 0x20, size);
                model.size_max = size;
                model.shrink();
            }
            let fields: Fields = steps.iter().map(|step| model.encode(step, &mut block)).collect();
            prop_assert_eq!(decode(&mut decoder, &block), Ok(fields));
            prop_assert!(decoder.table().bytes_held() <= 4 * LIMIT);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(blocks in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..5)) {
        let mut decoder = Decoder::new(4096);
        for block in blocks {
            let _ = decode(&mut decoder, &block);
        }
    }

    #[test]
    fn any_huffman_code_decodes_to_what_encodes_to_it(code in prop::collection::vec(any::<u8>(), 0..40)) {
        let mut decoded = vec![0; huffman::decoded_len_max(code.len())];
        if let Ok(len) = huffman::decode(&code, &mut decoded) {
            let mut again = Vec::new();
            huffman::encode(&decoded[..len], &mut again);
            prop_assert_eq!(again, code);
        }
    }

    #[test]
    fn what_we_encode_is_decoded(
        fields in prop::collection::vec(("[a-z0-9-]{1,20}", prop::collection::vec(any::<u8>(), 0..200)), 0..30),
    ) {
        let mut out = Vec::new();
        let mut encoder = Encoder::new();
        encoder.begin(&mut out);
        for (name, value) in &fields {
            encoder.field(&mut out, name.as_bytes(), value);
        }
        let fields: Fields = fields.into_iter().map(|(name, value)| (name.into_bytes(), value)).collect();
        prop_assert_eq!(decode(&mut Decoder::new(0), &out), Ok(fields));
    }

    #[test]
    fn entries_of_any_size_fit_the_ring(sizes in prop::collection::vec(0usize..300, 0..200)) {
        let mut table = Dynamic::new(256, 256);
        let mut model = Model { size_max: 256, ..Model::default() };
        for (turn, size) in sizes.into_iter().enumerate() {
            let value = vec![turn as u8; size];
            table.insert(b"n", &value, None);
            model.insert(b"n", &value);
            for (place, (name, value)) in model.entries.iter().enumerate() {
                prop_assert_eq!(table.find(place), Some((&name[..], &value[..], None)));
            }
            prop_assert_eq!(table.find(model.entries.len()), None);
        }
    }
}
