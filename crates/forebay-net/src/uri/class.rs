//! Which bytes a path or query may hold, as tables.

/// May stand in a canonical path as it is: unreserved, sub-delims, `:` and `@` (RFC 3986 section 3.3).
const PLAIN: u8 = 1;
/// Parts segments; what follows decides whether the path is canonical.
const SLASH: u8 = 2;
/// May stand in a query as it is: visible ASCII except `#`.
const QUERY: u8 = 4;
/// Never percent-encoded in a canonical path: letters, digits, `-`, `.`, `_`, `~`.
const UNRESERVED: u8 = 8;
/// Visible, but only percent-encoded in a canonical path; browsers leave some of these as they are.
const RAW: u8 = 16;

static CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut byte = 0x21_u8;
    while byte <= 0x7e {
        let mut class = if byte == b'#' { 0 } else { QUERY };
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            class |= PLAIN | UNRESERVED;
        }
        match byte {
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'=' | b':' | b'@' => {
                class |= PLAIN;
            }
            b'/' => class |= SLASH,
            b'|' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'}' | b'[' | b']' => class |= RAW,
            _ => {}
        }
        table[byte as usize] = class;
        byte += 1;
    }
    table
}

/// Whether `byte` stands for itself in a canonical path, slash excluded.
pub(super) fn is_plain(byte: u8) -> bool {
    CLASS[usize::from(byte)] & PLAIN != 0
}

/// Whether `byte` is never percent-encoded in a canonical path.
pub(super) fn is_unreserved(byte: u8) -> bool {
    CLASS[usize::from(byte)] & UNRESERVED != 0
}

/// Whether `byte` is let in as it is but comes out percent-encoded.
pub(super) fn is_raw(byte: u8) -> bool {
    CLASS[usize::from(byte)] & RAW != 0
}

/// Whether all of `bytes` may stand in a query.
pub(super) fn is_query(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| CLASS[usize::from(*byte)] & QUERY != 0)
}

/// Length of the longest beginning of `raw` that is canonical as it stands. `raw` begins with `/`.
///
/// The end of `raw` or a `?` at that place means that the whole path is canonical.
pub(super) fn plain_path_len(raw: &[u8], merge_slashes: bool) -> usize {
    let mut at = 0;
    while let Some(&byte) = raw.get(at) {
        let class = CLASS[usize::from(byte)];
        if class & PLAIN == 0 && (class & SLASH == 0 || needs_work(&raw[at + 1..], merge_slashes)) {
            break;
        }
        at += 1;
    }
    at
}

/// Whether the segment that `rest` begins with is a dot segment (or one with parameters), or is empty and
/// to be merged.
fn needs_work(rest: &[u8], merge_slashes: bool) -> bool {
    match rest {
        [b'.', end, ..] | [b'.', b'.', end, ..] if matches!(end, b'/' | b'?' | b';') => true,
        [b'.'] | [b'.', b'.'] => true,
        [b'/', ..] => merge_slashes,
        _ => false,
    }
}
