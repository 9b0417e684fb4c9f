//! Field blocks in: every block is decoded to its end, or the tables of both sides would differ.

use super::table::{Dynamic, STATIC};
use super::{HpackError, TABLE_BYTES_DEFAULT, huffman, integer};

/// Bytes kept for decoding strings between blocks; longer ones are allocated and freed again.
const SCRATCH_KEPT: usize = 8 << 10;

/// Decodes the field blocks of one direction of a connection.
#[derive(Debug)]
pub struct Decoder {
    table: Dynamic,
    /// Strings out of their Huffman code: a name, and behind it a value.
    scratch: Vec<u8>,
}

impl Decoder {
    /// A decoder whose table may be given up to `table_bytes_max` bytes: our `SETTINGS_HEADER_TABLE_SIZE`, at least
    /// the 4,096 that connections begin with, below 1 MiB.
    #[must_use]
    pub fn new(table_bytes_max: usize) -> Self {
        let limit = table_bytes_max.clamp(TABLE_BYTES_DEFAULT, 1 << 20);
        Self { table: Dynamic::new(TABLE_BYTES_DEFAULT, limit), scratch: Vec::new() }
    }

    /// Decodes a whole block, from its HEADERS frame and all its CONTINUATION frames, and hands each field to `each`.
    ///
    /// # Errors
    /// The block breaks a rule of RFC 7541; fields before that place have been handed over.
    pub fn decode(&mut self, block: &[u8], mut each: impl FnMut(&[u8], &[u8])) -> Result<(), HpackError> {
        let mut input = block;
        while let [0x20..=0x3f, ..] = input {
            let size = integer::take::<5>(&mut input)?;
            if size > self.table.size_limit() {
                return Err(HpackError("table larger than allowed"));
            }
            self.table.resize(size);
        }
        while let Some(first) = input.first() {
            match first {
                0x80.. => {
                    let index = integer::take::<7>(&mut input)?;
                    let (name, value) = find(&self.table, index)?;
                    each(name, value);
                }
                0x40.. => self.take_literal::<6>(&mut input, true, &mut each)?,
                0x20.. => return Err(HpackError("table resized within a block")),
                // Whether it must never be indexed makes no difference to us: what goes out is encoded anew.
                _ => self.take_literal::<4>(&mut input, false, &mut each)?,
            }
        }
        if self.scratch.len() > SCRATCH_KEPT {
            self.scratch = Vec::new();
        }
        Ok(())
    }

    /// A decoder whose table has and may have any size.
    #[cfg(test)]
    pub(super) fn with_table(bytes: usize) -> Self {
        Self { table: Dynamic::new(bytes, bytes), scratch: Vec::new() }
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &Dynamic {
        &self.table
    }

    #[cfg(test)]
    pub(super) fn scratch_held(&self) -> usize {
        self.scratch.capacity()
    }

    fn take_literal<const BITS: u32>(
        &mut self,
        input: &mut &[u8],
        insert: bool,
        each: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<(), HpackError> {
        let index = integer::take::<BITS>(input)?;
        let name = if index == 0 { Some(take_string(input)?) } else { None };
        let value = take_string(input)?;
        let Self { table, scratch } = self;
        let known = if index == 0 { &[] } else { find(table, index)?.0 };
        // A name from the table must outlive the insertion, which may drop its entry.
        let copied = insert && index > STATIC.len();
        let name_room = match name {
            Some(string) => string.room(),
            None if copied => known.len(),
            None => 0,
        };
        let room = name_room + value.room();
        if scratch.len() < room {
            scratch.resize(room, 0);
        }
        let (name_scratch, value_scratch) = scratch.split_at_mut(name_room);
        let value = value.text(value_scratch)?;
        match name {
            Some(name) => {
                let name = name.text(name_scratch)?;
                each(name, value);
                if insert {
                    table.insert(name, value);
                }
            }
            None if copied => {
                name_scratch.copy_from_slice(known);
                each(name_scratch, value);
                table.insert(name_scratch, value);
            }
            None => {
                each(known, value);
                if insert {
                    // Only the names of the static table are left.
                    table.insert(STATIC[index - 1].0, value);
                }
            }
        }
        Ok(())
    }
}

fn find(table: &Dynamic, index: usize) -> Result<(&[u8], &[u8]), HpackError> {
    if let Some(entry) = STATIC.get(index.wrapping_sub(1)) {
        return Ok(*entry);
    }
    index
        .checked_sub(STATIC.len() + 1)
        .and_then(|place| table.find(place))
        .ok_or(HpackError("index of no entry"))
}

/// A string as it stands in the block (§5.2).
#[derive(Clone, Copy)]
struct Literal<'a> {
    bytes: &'a [u8],
    huffman: bool,
}

#[inline]
fn take_string<'a>(input: &mut &'a [u8]) -> Result<Literal<'a>, HpackError> {
    let huffman = input.first().is_some_and(|first| first & 0x80 != 0);
    let len = integer::take::<7>(input)?;
    let Some((bytes, rest)) = input.split_at_checked(len) else {
        return Err(HpackError("string longer than its block"));
    };
    *input = rest;
    Ok(Literal { bytes, huffman })
}

impl<'a> Literal<'a> {
    /// Bytes of scratch it needs.
    const fn room(self) -> usize {
        if self.huffman { huffman::decoded_len_max(self.bytes.len()) } else { 0 }
    }

    fn text(self, scratch: &'a mut [u8]) -> Result<&'a [u8], HpackError> {
        if !self.huffman {
            return Ok(self.bytes);
        }
        let len = huffman::decode(self.bytes, scratch)?;
        Ok(&scratch[..len])
    }
}
