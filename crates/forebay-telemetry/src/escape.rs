//! Strangers' bytes and numbers as text that cannot break out of its place.
//!
//! Output is plain ASCII without control characters, whatever comes in: no line can be forged, no terminal
//! spoken to, and no right-to-left trick played on a reader.

/// What follows a value that was cut off.
const CUT: &[u8] = b"...";

/// Appends `bytes` as the inside of a JSON string. Valid UTF-8 is kept (as `\u` escapes beyond ASCII); a byte
/// that is none is taken for Latin-1, as old clients mean it. Cut after `max` bytes.
pub(crate) fn json(out: &mut Vec<u8>, bytes: &[u8], max: usize) {
    each_char(out, bytes, max, |out, c| match c {
        '"' => out.extend_from_slice(br#"\""#),
        '\\' => out.extend_from_slice(br"\\"),
        '\n' => out.extend_from_slice(br"\n"),
        '\r' => out.extend_from_slice(br"\r"),
        '\t' => out.extend_from_slice(br"\t"),
        ' '..='~' => out.push(c as u8),
        _ => json_unicode(out, c),
    });
}

/// Appends `bytes` for a line of text: `"`, `\` and everything that is no printable ASCII as `\"`, `\\`,
/// `\n`, `\u{7f}`. Cut after `max` bytes.
pub(crate) fn text(out: &mut Vec<u8>, bytes: &[u8], max: usize) {
    each_char(out, bytes, max, |out, c| match c {
        '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
        ' '..='~' => out.push(c as u8),
        _ => out.extend(c.escape_default().map(|c| c as u8)),
    });
}

/// Appends a decimal number.
pub(crate) fn decimal(out: &mut Vec<u8>, number: u64) {
    decimal_padded(out, number, 1);
}

/// Appends a decimal number with leading zeros up to `width` digits (at most 20).
pub(crate) fn decimal_padded(out: &mut Vec<u8>, mut number: u64, width: usize) {
    let mut digits = [b'0'; 20];
    let mut at = digits.len();
    while number > 0 {
        at -= 1;
        digits[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
    out.extend_from_slice(&digits[at.min(digits.len() - width)..]);
}

/// Appends nanoseconds as seconds to the microsecond: `0.001234`.
pub(crate) fn seconds(out: &mut Vec<u8>, nanos: u64) {
    decimal(out, nanos / 1_000_000_000);
    out.push(b'.');
    decimal_padded(out, nanos % 1_000_000_000 / 1_000, 6);
}

fn each_char(out: &mut Vec<u8>, bytes: &[u8], max: usize, mut each: impl FnMut(&mut Vec<u8>, char)) {
    let shown = &bytes[..bytes.len().min(max)];
    // Nearly every value needs no escape at all: one quick look, one copy.
    let (plain, rest) = shown.split_at(plain_prefix(shown));
    out.extend_from_slice(plain);
    for chunk in rest.utf8_chunks() {
        chunk.valid().chars().for_each(|c| each(out, c));
        chunk.invalid().iter().for_each(|&byte| each(out, char::from(byte)));
    }
    if shown.len() < bytes.len() {
        out.extend_from_slice(CUT);
    }
}

/// How many bytes from the front surely mean themselves, in JSON and in text.
fn plain_prefix(bytes: &[u8]) -> usize {
    // Without a branch inside, a chunk is a few vector instructions.
    let all_plain = |chunk: &[u8]| chunk.iter().fold(true, |plain, &byte| plain & is_plain(byte));
    let (chunks, rest) = bytes.as_chunks::<16>();
    match chunks.iter().position(|chunk| !all_plain(chunk)) {
        Some(special) => special * 16,
        None if all_plain(rest) => bytes.len(),
        None => bytes.len() - rest.len(),
    }
}

/// Printable ASCII but `"` and `\\`.
const fn is_plain(byte: u8) -> bool {
    (b' ' <= byte) & (byte <= b'~') & (byte != b'"') & (byte != b'\\')
}

fn json_unicode(out: &mut Vec<u8>, c: char) {
    for unit in c.encode_utf16(&mut [0; 2]) {
        out.extend_from_slice(br"\u");
        for shift in [12, 8, 4, 0] {
            out.push(b"0123456789abcdef"[usize::from(*unit >> shift & 15)]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_escapes_what_could_break_out() {
        let check = |input: &[u8], expected| assert_eq!(written(|out| json(out, input, 99)), expected);
        check(b"plain /path?a=b", "plain /path?a=b");
        check(b"\"\\\r\n\t\0\x1b[31m\x7f", r#"\"\\\r\n\t\u0000\u001b[31m\u007f"#);
        check("é\u{202e}\u{9b}😀".as_bytes(), r"\u00e9\u202e\u009b\ud83d\ude00");
        check(b"caf\xe9 \xff", r"caf\u00e9 \u00ff");
    }

    #[test]
    fn text_escapes_what_could_move_a_terminal() {
        let check = |input: &[u8], expected| assert_eq!(written(|out| text(out, input, 99)), expected);
        check(b"curl/8.1 (x)", "curl/8.1 (x)");
        check(b"a\"b\\c\nd\x1b[2J\xff", r#"a\"b\\c\nd\u{1b}[2J\u{ff}"#);
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(written(|out| json(out, b"abcdef", 4)), "abcd...");
        assert_eq!(written(|out| json(out, b"abcd", 4)), "abcd");
    }

    #[test]
    fn numbers_are_padded_but_never_cut() {
        assert_eq!(written(|out| decimal(out, 0)), "0");
        assert_eq!(written(|out| decimal(out, u64::MAX)), u64::MAX.to_string());
        assert_eq!(written(|out| decimal_padded(out, 7, 3)), "007");
        assert_eq!(written(|out| decimal_padded(out, 12_345, 3)), "12345");
        assert_eq!(written(|out| seconds(out, 1_000_001_999)), "1.000001");
    }
}
