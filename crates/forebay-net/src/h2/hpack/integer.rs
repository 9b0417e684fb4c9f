//! Integers of HPACK (RFC 7541 §5.1).

use super::HpackError;

/// More than any index, length or size within our bounds.
const MAX: u64 = 1 << 28;

/// Bytes that may follow the first: enough for `MAX`, and an end to leading zeros.
const BYTES_MAX: usize = 5;

/// Takes an integer off `input`, whose first byte holds the beginning of it in its last `BITS` bits.
#[inline]
pub(crate) fn take<const BITS: u32>(input: &mut &[u8]) -> Result<usize, HpackError> {
    let mask = u8::MAX >> (8 - BITS);
    let Some((first, rest)) = input.split_first() else { return Err(HpackError("block ends early")) };
    let value = first & mask;
    *input = rest;
    if value < mask { Ok(usize::from(value)) } else { take_long(u64::from(mask), input) }
}

fn take_long(mut value: u64, input: &mut &[u8]) -> Result<usize, HpackError> {
    for place in 0..BYTES_MAX {
        let Some((byte, rest)) = input.split_first() else { return Err(HpackError("block ends early")) };
        *input = rest;
        value += u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return if value <= MAX { Ok(value as usize) } else { Err(HpackError("integer too large")) };
        }
    }
    Err(HpackError("integer too long"))
}

/// Appends an integer whose first byte has `first` above its last `BITS` bits.
#[inline]
pub(crate) fn push<const BITS: u32>(out: &mut Vec<u8>, first: u8, value: usize) {
    let mask = u8::MAX >> (8 - BITS);
    if value < usize::from(mask) {
        out.push(first | value as u8);
    } else {
        push_long(out, first | mask, value - usize::from(mask));
    }
}

fn push_long(out: &mut Vec<u8>, first: u8, mut rest: usize) {
    out.push(first);
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}
