//! The Huffman code of HPACK (RFC 7541 §5.2 and appendix B).
//!
//! The code is canonical: among codes of one length, symbols follow each other in order, and longer codes follow
//! shorter ones. So the lengths say everything, and all tables are made from them at compile time.

use super::HpackError;

/// Bits of the code of each byte, and of the end of the string.
#[rustfmt::skip]
const LENGTHS: [u8; 257] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28,
    28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
    6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6,
    5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
    13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7,
    7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
    15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5,
    6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
    20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23,
    24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
    22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23,
    21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
    26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25,
    19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
    20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23,
    26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
    30,
];

/// Longest code.
const LENGTH_MAX: usize = 30;

/// The symbol that no string may hold.
const END: u16 = 256;

/// Codes up to this many bits are found in one step; nearly all of a usual head are.
const FAST_BITS: usize = 10;

struct Tables {
    /// For the first `FAST_BITS` bits: the symbol, and the bits of its code above it; 0 for longer codes.
    fast: [u16; 1 << FAST_BITS],
    /// Symbols in the order of their codes.
    symbols: [u16; 257],
    /// For each length: where its symbols begin in `symbols`.
    starts: [u16; LENGTH_MAX + 2],
    /// For each length: its first code.
    firsts: [u32; LENGTH_MAX + 2],
    /// Codes by symbol.
    codes: [u32; 257],
}

static TABLES: Tables = Tables::build();

impl Tables {
    const fn build() -> Self {
        let mut tables = Self {
            fast: [0; 1 << FAST_BITS],
            symbols: [0; 257],
            starts: [0; LENGTH_MAX + 2],
            firsts: [0; LENGTH_MAX + 2],
            codes: [0; 257],
        };
        let mut code = 0u32;
        let mut found = 0;
        let mut length = 1;
        while length <= LENGTH_MAX {
            code <<= 1;
            tables.starts[length] = found as u16;
            tables.firsts[length] = code;
            let mut symbol = 0;
            while symbol < LENGTHS.len() {
                if LENGTHS[symbol] as usize == length {
                    tables.symbols[found] = symbol as u16;
                    tables.codes[symbol] = code;
                    if length <= FAST_BITS {
                        let spare = FAST_BITS - length;
                        let mut place = (code as usize) << spare;
                        let end = place + (1 << spare);
                        while place < end {
                            tables.fast[place] = (length as u16) << 8 | symbol as u16;
                            place += 1;
                        }
                    }
                    code += 1;
                    found += 1;
                }
                symbol += 1;
            }
            length += 1;
        }
        tables.starts[LENGTH_MAX + 1] = found as u16;
        tables
    }

    /// The symbol that `window`, 32 bits from the left, begins with, and the length of its code.
    fn find_long(&self, window: u32) -> (u16, u32) {
        let mut length = FAST_BITS + 1;
        while length < LENGTH_MAX {
            let count = u32::from(self.starts[length + 1] - self.starts[length]);
            if (window >> (32 - length)) < self.firsts[length] + count {
                break;
            }
            length += 1;
        }
        // The code is complete: whatever is left has the greatest length.
        let place = (window >> (32 - length)) - self.firsts[length];
        (self.symbols[usize::from(self.starts[length]) + place as usize], length as u32)
    }
}

/// Most bytes that `len` bytes of code can stand for: the shortest code has five bits.
pub(crate) const fn decoded_len_max(len: usize) -> usize {
    len * 8 / 5
}

/// Decodes `code` into the start of `into`, which has room for `decoded_len_max`, and returns the length.
///
/// # Errors
/// The end of the string stands in it, or its padding is not the beginning of that, or has eight bits or more.
pub(crate) fn decode(code: &[u8], into: &mut [u8]) -> Result<usize, HpackError> {
    let tables = &TABLES;
    let mut rest = code;
    // The bits to come, from the left; those behind the end are ones.
    let mut window = 0u64;
    let mut bits = 0u32;
    let mut len = 0;
    loop {
        if let Some(eight) = rest.first_chunk() {
            window |= u64::from_be_bytes(*eight) >> bits;
            let taken = (63 - bits) / 8;
            rest = &rest[taken as usize..];
            bits += taken * 8;
        } else {
            while bits <= 56
                && let Some((byte, after)) = rest.split_first()
            {
                window |= u64::from(*byte) << (56 - bits);
                bits += 8;
                rest = after;
            }
            if rest.is_empty() && bits < 64 {
                return finish(window | u64::MAX >> bits, bits, into, len);
            }
        }
        // At least 56 bits: two long codes would fit, or five short ones.
        while bits >= LENGTH_MAX as u32 {
            let (symbol, length) = next(tables, window)?;
            into[len] = symbol;
            len += 1;
            window <<= length;
            bits -= length;
        }
    }
}

#[inline]
fn next(tables: &Tables, window: u64) -> Result<(u8, u32), HpackError> {
    let entry = tables.fast[(window >> (64 - FAST_BITS)) as usize];
    if entry != 0 {
        return Ok((entry as u8, u32::from(entry >> 8)));
    }
    match tables.find_long((window >> 32) as u32) {
        (END, _) => Err(HpackError("string ends within a string")),
        (symbol, length) => Ok((symbol as u8, length)),
    }
}

/// Decodes the last bits of a string; `window` is filled up with ones.
fn finish(mut window: u64, mut bits: u32, into: &mut [u8], mut len: usize) -> Result<usize, HpackError> {
    loop {
        // Less than a byte of ones is padding; no code is that short and all ones.
        if bits < 8 && window == u64::MAX {
            return Ok(len);
        }
        let (symbol, length) = match next(&TABLES, window) {
            Ok((symbol, length)) if length <= bits => (symbol, length),
            Err(error) if bits >= LENGTH_MAX as u32 => return Err(error),
            _ => return Err(HpackError("bad padding of a string")),
        };
        into[len] = symbol;
        len += 1;
        // Ones follow from the right.
        window = !(!window << length);
        bits -= length;
    }
}

/// Bytes that `text` takes when encoded.
#[cfg(test)]
pub(super) fn encoded_len(text: &[u8]) -> usize {
    text.iter().map(|byte| usize::from(LENGTHS[usize::from(*byte)])).sum::<usize>().div_ceil(8)
}

/// Appends `text`, encoded.
#[cfg(test)]
pub(super) fn encode(text: &[u8], out: &mut Vec<u8>) {
    let mut window = 0u64;
    let mut bits = 0;
    for byte in text {
        let length = u32::from(LENGTHS[usize::from(*byte)]);
        window = window << length | u64::from(TABLES.codes[usize::from(*byte)]);
        bits += length;
        while bits >= 8 {
            bits -= 8;
            out.push((window >> bits) as u8);
        }
    }
    if bits > 0 {
        out.push((window << (8 - bits)) as u8 | u8::MAX >> bits);
    }
}
