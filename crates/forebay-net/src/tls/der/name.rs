//! Distinguished names as text (RFC 4514).

use super::{OID, Reader, SET, append};

/// Parts of a name that are looked at.
const PARTS_MAX: usize = 100;

/// Attributes with a short name.
const KNOWN: [(&[u8], &str); 11] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 9], "STREET"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "emailAddress"),
];

/// The name as text, its last part first. Printable ASCII only.
pub(super) fn text(name: &[u8]) -> Option<Box<str>> {
    let mut sets = Reader(name);
    let mut parts = Vec::new();
    while !sets.0.is_empty() && parts.len() < PARTS_MAX {
        parts.push(part(sets.expect(SET)?)?);
    }
    parts.reverse();
    Some(parts.join(",").into())
}

/// One part: usually a single attribute.
fn part(set: &[u8]) -> Option<String> {
    let mut set = Reader(set);
    let mut attributes = Vec::new();
    while !set.0.is_empty() && attributes.len() < PARTS_MAX {
        let mut attribute = Reader(set.expect(super::SEQUENCE)?);
        let kind = attribute.expect(OID)?;
        let (tag, value) = attribute.next()?;
        let value = decode(tag, value).map_or_else(|| unknown(value), |value| escape(&value));
        attributes.push(format!("{}={value}", kind_text(kind)));
    }
    Some(attributes.join("+"))
}

fn kind_text(kind: &[u8]) -> String {
    if let Some((_, short)) = KNOWN.iter().find(|(oid, _)| *oid == kind) {
        return (*short).to_owned();
    }
    let mut numbers = Vec::new();
    let mut number = 0u128;
    for byte in kind {
        number = number.wrapping_shl(7) | u128::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            numbers.push(number);
            number = 0;
        }
    }
    // The first number holds two (X.690 §8.19.4).
    let mut dotted = numbers.first().map_or_else(String::new, |both| {
        let first = (both / 40).min(2);
        format!("{first}.{}", both - first * 40)
    });
    for number in numbers.iter().skip(1) {
        dotted = append(dotted, format_args!(".{number}"));
    }
    dotted
}

/// The value as text; `None`: it is of no kind of text.
fn decode(tag: u8, value: &[u8]) -> Option<String> {
    match tag {
        // UTF8String, NumericString, PrintableString, IA5String, VisibleString.
        0x0c | 0x12 | 0x13 | 0x16 | 0x1a => std::str::from_utf8(value).ok().map(Into::into),
        // TeletexString: Latin-1, in practice.
        0x14 => Some(value.iter().map(|byte| char::from(*byte)).collect()),
        // BMPString.
        0x1e => {
            let units = value.chunks(2).map(|unit| unit.try_into().map(u16::from_be_bytes));
            String::from_utf16(&units.collect::<Result<Vec<_>, _>>().ok()?).ok()
        }
        _ => None,
    }
}

fn unknown(value: &[u8]) -> String {
    value.iter().fold("#".into(), |text, byte| append(text, format_args!("{byte:02x}")))
}

fn escape(value: &str) -> String {
    let last = value.len().saturating_sub(1);
    let bytes = value.bytes().enumerate();
    bytes.fold(String::with_capacity(value.len()), |text, (at, byte)| match byte {
        b',' | b'+' | b'"' | b'\\' | b'<' | b'>' | b';' | b'=' => {
            append(text, format_args!("\\{}", char::from(byte)))
        }
        b'#' if at == 0 => text + "\\#",
        b' ' if at == 0 || at == last => text + "\\ ",
        b' '..=b'~' => append(text, format_args!("{}", char::from(byte))),
        _ => append(text, format_args!("\\{byte:02X}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_last_part_first_and_cannot_break_out_of_a_header() {
        let part = |oid: &[u8], tag: u8, value: &[u8]| {
            let element =
                |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
            element(0x31, &element(0x30, &[element(6, oid), element(tag, value)].concat()))
        };
        let check =
            |parts: &[Vec<u8>], shown: &str| assert_eq!(text(&parts.concat()).as_deref(), Some(shown));
        check(&[], "");
        check(&[part(&[0x55, 4, 6], 0x13, b"CH"), part(&[0x55, 4, 3], 0x0c, b"shop")], "CN=shop,C=CH");
        check(&[part(&[0x55, 4, 3], 0x0c, b" a,b\r\n\xc3\xa9=\\ ")], "CN=\\ a\\,b\\0D\\0A\\C3\\A9\\=\\\\\\ ");
        check(&[part(&[0x55, 4, 3], 0x0c, b"\xff")], "CN=#ff");
        check(
            &[part(&[0x55, 4, 10], 0x1e, b"\0h\0i"), part(&[0x55, 4, 10], 0x14, b"\xe9")],
            "O=\\C3\\A9,O=hi",
        );
        check(&[part(&[0x2b, 6, 1, 4, 1, 0x82, 0x37], 0x13, b"#x")], "1.3.6.1.4.1.311=\\#x");
        assert_eq!(text(&[0x31, 5]), None);
    }
}
