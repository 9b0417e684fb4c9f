//! Compressed heads without a dynamic table (RFC 9204): each one is understood by itself.

mod table;

use std::ops::Range;

use self::table::STATIC;
use crate::h2::hpack::{HpackError, huffman, integer};

/// The head is broken, or refers to a table that there is not: the connection must be closed (RFC 9204 §2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

impl From<HpackError> for Broken {
    fn from(_: HpackError) -> Self {
        Self
    }
}

/// Gives the fields of `block` in order to `each`, name first. `text` is memory for what has to be spelt out.
///
/// # Errors
/// It is broken.
pub(crate) fn decode(
    block: &[u8],
    text: &mut Vec<u8>,
    mut each: impl FnMut(&[u8], &[u8]),
) -> Result<(), Broken> {
    let mut input = Input(block);
    // What the head needs of the dynamic table, and where it counts from (RFC 9204 §4.5.1): there is none.
    if integer::take::<8>(&mut input.0)? != 0 {
        return Err(Broken);
    }
    integer::take::<7>(&mut input.0)?;
    while let Some(first) = input.0.first() {
        match *first {
            // An indexed field line of the static table.
            0b1100_0000.. => {
                let (name, value) = input.known::<6>()?;
                each(name.as_bytes(), value.as_bytes());
            }
            // A literal field line whose name is in the static table; `N` says nothing to us.
            0b0100_0000..=0b0111_1111 if first & 0b0001_0000 != 0 => {
                let (name, _) = input.known::<4>()?;
                text.clear();
                let value = input.string::<7>(text)?;
                each(name.as_bytes(), value.of(text));
            }
            // A literal field line with a literal name.
            0b0010_0000..=0b0011_1111 => {
                text.clear();
                let name = input.string::<3>(text)?;
                let value = input.string::<7>(text)?;
                each(name.of(text), value.of(text));
            }
            _ => return Err(Broken),
        }
    }
    Ok(())
}

/// The prefix of a compressed head that needs no dynamic table.
pub(crate) fn begin(out: &mut Vec<u8>) {
    out.extend_from_slice(&[0, 0]);
}

/// Appends a field; `name` is in lower case.
pub(crate) fn encode(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    let indices = table::with_name(name);
    let same = |index: &&u8| STATIC[usize::from(**index)].1.as_bytes() == value;
    if let Some(index) = indices.iter().find(same) {
        integer::push::<6>(out, 0b1100_0000, usize::from(*index));
        return;
    }
    match indices.first() {
        Some(index) => integer::push::<4>(out, 0b0101_0000, usize::from(*index)),
        None => {
            integer::push::<3>(out, 0b0010_0000, name.len());
            out.extend_from_slice(name);
        }
    }
    integer::push::<7>(out, 0, value.len());
    out.extend_from_slice(value);
}

/// What is left of a compressed head.
struct Input<'a>(&'a [u8]);

/// A string as it stands in the input, or spelt out in the text.
enum Text<'a> {
    Plain(&'a [u8]),
    SpeltOut(Range<usize>),
}

impl Text<'_> {
    fn of<'b>(&'b self, text: &'b [u8]) -> &'b [u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::SpeltOut(range) => &text[range.clone()],
        }
    }
}

impl<'a> Input<'a> {
    /// An entry of the static table, whose index begins in the low `BITS` bits of the next byte.
    fn known<const BITS: u32>(&mut self) -> Result<(&'static str, &'static str), HpackError> {
        let index = integer::take::<BITS>(&mut self.0)?;
        STATIC.get(index).copied().ok_or(HpackError("no such entry of the static table"))
    }

    /// A string whose length begins in the low `BITS` bits of the next byte; the bit above says that it is
    /// Huffman-coded.
    fn string<const BITS: u32>(&mut self, text: &mut Vec<u8>) -> Result<Text<'a>, HpackError> {
        let is_coded = self.0.first().is_some_and(|first| first >> BITS & 1 == 1);
        let len = integer::take::<BITS>(&mut self.0)?;
        let (string, rest) = self.0.split_at_checked(len).ok_or(HpackError("block ends early"))?;
        self.0 = rest;
        if !is_coded {
            return Ok(Text::Plain(string));
        }
        let start = text.len();
        text.resize(start + huffman::decoded_len_max(len), 0);
        let len = huffman::decode(string, &mut text[start..])?;
        text.truncate(start + len);
        Ok(Text::SpeltOut(start..text.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    type Fields = Vec<(String, String)>;

    fn decoded(block: &[u8]) -> Result<Fields, Broken> {
        let mut fields = Fields::new();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        decode(block, &mut Vec::new(), |name, value| fields.push((text(name), text(value))))?;
        Ok(fields)
    }

    fn check(block: &[u8], expected: Result<&[(&str, &str)], Broken>) {
        let expected = expected
            .map(|fields| fields.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect());
        assert_eq!(decoded(block), expected, "{block:x?}");
    }

    #[test]
    fn fields_are_indexed_or_spelt_out() {
        check(&[0, 0], Ok(&[]));
        check(&[0, 0, 0xd1, 0xd7], Ok(&[(":method", "GET"), (":scheme", "https")]));
        check(&[0, 0, 0xff, 35], Ok(&[("x-frame-options", "sameorigin")]));
        // The example of RFC 9204, appendix B.1.
        let path = b"\0\0\x51\x0b/index.html";
        check(path, Ok(&[(":path", "/index.html")]));
        check(b"\0\0\x5f\x50\x01x", Ok(&[("user-agent", "x")]));
        check(b"\0\0\x23abc\x01d", Ok(&[("abc", "d")]));
        check(b"\0\0\x27\x00abcdefg\x00\x33abc\x01d", Ok(&[("abcdefg", ""), ("abc", "d")]));
        // "www.example.com" as RFC 7541, appendix C.4.1 has it.
        let coded = b"\0\0\x50\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";
        check(coded, Ok(&[(":authority", "www.example.com")]));
    }

    #[test]
    fn what_needs_a_dynamic_table_or_is_cut_short_is_broken() {
        let blocks: &[&[u8]] = &[
            &[],
            &[0],
            &[1, 0],
            &[0, 0, 0x80],
            &[0, 0, 0x10],
            &[0, 0, 0x00, 0],
            &[0, 0, 0x40, 0],
            &[0, 0, 0xff, 36],
            &[0, 0, 0xff],
            &[0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
            &[0, 0, 0x51],
            &[0, 0, 0x51, 5, b'/'],
            &[0, 0, 0x24, b'a', b'b', b'c'],
            // Huffman-coded: the end of the string as a symbol, and padding that is none.
            &[0, 0, 0x51, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0, 0, 0x51, 0x81, 0x00],
        ];
        for block in blocks {
            check(block, Err(Broken));
        }
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded_again(fields in prop::collection::vec(
            prop_oneof![
                (0usize..99).prop_map(|index| (STATIC[index].0.to_owned(), STATIC[index].1.to_owned())),
                ("[a-z-]{1,300}", "[ -~]{0,300}"),
                (0usize..99, "[ -~]{0,9}").prop_map(|(index, value)| (STATIC[index].0.to_owned(), value)),
            ],
            0..20,
        )) {
            let mut block = Vec::new();
            begin(&mut block);
            for (name, value) in &fields {
                encode(name.as_bytes(), value.as_bytes(), &mut block);
            }
            prop_assert_eq!(decoded(&block), Ok(fields));
        }

        #[test]
        fn whatever_comes_in_does_not_panic(block in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = decoded(&block);
        }
    }
}
