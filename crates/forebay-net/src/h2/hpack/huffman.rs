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

/// Bits looked up in one step. Nearly all codes of a usual head are that short, and most come in pairs.
const STEP_BITS: usize = 12;

/// Steps that a window of 56 bits is enough for.
const STEPS: usize = 56 / STEP_BITS;

/// What `STEP_BITS` bits begin with: from the right, 8 bits for the length of the codes, 8 for how many symbols they
/// are, none of them if the code is longer, and 8 for each of these. One number, for every step waits for the one
/// before it.
#[derive(Clone, Copy)]
struct Step(u32);

impl Step {
    const NONE: Self = Self(0);

    const fn one(symbol: u8, bits: usize) -> Self {
        Self(bits as u32 | 1 << 8 | (symbol as u32) << 16)
    }

    const fn two(first: Self, second: Self) -> Self {
        Self((first.bits() + second.bits()) | 2 << 8 | first.0 & 0xff_0000 | (second.0 & 0xff_0000) << 8)
    }

    /// Bits of the codes, at most `STEP_BITS`.
    const fn bits(self) -> u32 {
        self.0 & 63
    }

    const fn count(self) -> usize {
        (self.0 >> 8 & 0xff) as usize
    }

    const fn symbols(self) -> [u8; 2] {
        let [_, _, first, second] = self.0.to_le_bytes();
        [first, second]
    }
}

struct Tables {
    steps: [Step; 1 << STEP_BITS],
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
            steps: [Step::NONE; 1 << STEP_BITS],
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
                    if length <= STEP_BITS {
                        let spare = STEP_BITS - length;
                        let mut place = (code as usize) << spare;
                        let end = place + (1 << spare);
                        while place < end {
                            tables.steps[place] = Step::one(symbol as u8, length);
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
        tables.steps = Self::pair(&tables.steps);
        tables
    }

    /// Adds the second symbol wherever its whole code is within the bits, too.
    const fn pair(single: &[Step; 1 << STEP_BITS]) -> [Step; 1 << STEP_BITS] {
        let mut steps = *single;
        let mut place = 0;
        while place < steps.len() {
            let first = single[place];
            let second = single[(place << first.bits()) % single.len()];
            let both = first.count() == 1 && second.count() == 1;
            if both && (first.bits() + second.bits()) as usize <= STEP_BITS {
                steps[place] = Step::two(first, second);
            }
            place += 1;
        }
        steps
    }

    /// The one symbol that `window` begins with, as does `step`, and the length of its code.
    fn find(&self, window: u64, step: Step) -> Result<(u8, u32), HpackError> {
        if step.count() > 0 {
            let [symbol, _] = step.symbols();
            return Ok((symbol, u32::from(LENGTHS[usize::from(symbol)])));
        }
        self.find_long(window)
    }

    fn find_long(&self, window: u64) -> Result<(u8, u32), HpackError> {
        let code = |length: usize| (window >> (64 - length)) as u32;
        let mut length = STEP_BITS + 1;
        while length < LENGTH_MAX {
            let count = u32::from(self.starts[length + 1] - self.starts[length]);
            if code(length) < self.firsts[length] + count {
                break;
            }
            length += 1;
        }
        // The code is complete: whatever is left has the greatest length.
        let place = code(length) - self.firsts[length];
        match self.symbols[usize::from(self.starts[length]) + place as usize] {
            END => Err(HpackError("string ends within a string")),
            symbol => Ok((symbol as u8, length as u32)),
        }
    }
}

/// Room that decoding `len` bytes needs: the shortest code has five bits, and a step may write one byte more.
pub(crate) const fn decoded_len_max(len: usize) -> usize {
    len * 8 / 5 + 1
}

/// Decodes `code` into the start of `into`, which has the room, and returns the length.
///
/// # Errors
/// The end of the string stands in it, or its padding is not the beginning of that, or has eight bits or more.
pub(crate) fn decode(code: &[u8], into: &mut [u8]) -> Result<usize, HpackError> {
    let tables = &TABLES;
    let mut rest = code;
    // The bits to come, from the left.
    let mut window = 0u64;
    let mut bits = 0u32;
    let mut len = 0;
    while let Some(eight) = rest.first_chunk() {
        window |= u64::from_be_bytes(*eight) >> bits;
        let taken = (63 - bits) / 8;
        rest = &rest[taken as usize..];
        bits += taken * 8;
        for _ in 0..STEPS {
            let step = tables.steps[(window >> (64 - STEP_BITS)) as usize];
            if step.count() == 0 {
                if bits >= LENGTH_MAX as u32 {
                    let (symbol, taken) = tables.find_long(window)?;
                    into[len] = symbol;
                    len += 1;
                    window <<= taken;
                    bits -= taken;
                }
                // It took more than a step's share of the window.
                break;
            }
            into[len..len + 2].copy_from_slice(&step.symbols());
            len += step.count();
            window <<= step.bits();
            bits -= step.bits();
        }
    }
    finish(rest, window, bits, into, len)
}

/// Decodes the last few bytes: what the window holds, and `rest` behind it.
fn finish(
    mut rest: &[u8],
    mut window: u64,
    mut bits: u32,
    into: &mut [u8],
    mut len: usize,
) -> Result<usize, HpackError> {
    let tables = &TABLES;
    loop {
        while bits <= 56
            && let Some((byte, after)) = rest.split_first()
        {
            window |= u64::from(*byte) << (56 - bits);
            bits += 8;
            rest = after;
        }
        // Behind the end stand ones, as they do in its padding.
        let filled = window | u64::MAX.checked_shr(bits).unwrap_or(0);
        if bits < 8 && filled == u64::MAX {
            return Ok(len);
        }
        let step = tables.steps[(filled >> (64 - STEP_BITS)) as usize];
        let taken = if step.count() > 0 && step.bits() <= bits {
            into[len..len + 2].copy_from_slice(&step.symbols());
            len += step.count();
            step.bits()
        } else {
            let (symbol, length) = match tables.find(filled, step) {
                Ok((symbol, length)) if length <= bits => (symbol, length),
                Err(error) if bits >= LENGTH_MAX as u32 => return Err(error),
                _ => return Err(HpackError("bad padding of a string")),
            };
            into[len] = symbol;
            len += 1;
            length
        };
        window <<= taken;
        bits -= taken;
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
