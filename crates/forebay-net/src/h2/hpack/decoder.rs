//! Field blocks in: every block is decoded to its end, or the tables of both sides would differ.

use super::table::{Dynamic, STATIC};
use super::{HpackError, TABLE_BYTES_DEFAULT, huffman, integer};
use crate::h1::Name;

/// Bytes kept for decoding strings between blocks; longer ones are allocated and freed again.
const SCRATCH_KEPT: usize = 8 << 10;

/// Decodes the field blocks of one direction of a connection.
#[derive(Debug)]
pub struct Decoder {
    table: Dynamic,
    /// Strings out of their Huffman code: a name, and behind it a value.
    scratch: Vec<u8>,
    /// What was found out about the names of the static table.
    names: [Option<Verdict>; STATIC.len()],
}

/// What whoever takes the fields has found out about one that is well-formed. It is kept beside the field in the table,
/// so that it need not be found out again: most fields of most requests were sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Which name it is.
    pub(crate) known: Name,
    /// The name holds `_`.
    pub(crate) underscore: bool,
}

/// What is known of a field that comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Its name is well-formed, and this is what it is.
    pub(crate) name: Option<Verdict>,
    /// The verdict holds for the value, too.
    pub(crate) whole: bool,
}

impl Decoder {
    /// A decoder whose table may be given up to `table_bytes_max` bytes: our `SETTINGS_HEADER_TABLE_SIZE`, at least
    /// the 4,096 that connections begin with, below 1 MiB.
    #[must_use]
    pub fn new(table_bytes_max: usize) -> Self {
        let limit = table_bytes_max.clamp(TABLE_BYTES_DEFAULT, 1 << 20);
        let table = Dynamic::new(TABLE_BYTES_DEFAULT, limit);
        Self { table, scratch: Vec::new(), names: [None; STATIC.len()] }
    }

    /// Decodes a whole block, from its HEADERS frame and all its CONTINUATION frames, and hands each field to `each`.
    ///
    /// # Errors
    /// The block breaks a rule of RFC 7541; fields before that place have been handed over.
    pub fn decode(&mut self, block: &[u8], mut each: impl FnMut(&[u8], &[u8])) -> Result<(), HpackError> {
        self.judge(block, |name, value, _| {
            each(name, value);
            None
        })
    }

    /// Decodes a whole block like `decode`. `each` is told what it has found out about a field before, and says what
    /// it has found out now: nothing if the field is not well-formed.
    ///
    /// # Errors
    /// Those of `decode`.
    #[inline]
    pub(crate) fn judge(
        &mut self,
        block: &[u8],
        mut each: impl FnMut(&[u8], &[u8], Seen) -> Option<Verdict>,
    ) -> Result<(), HpackError> {
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
                    let (name, value, seen) = self.find(index)?;
                    each(name, value, seen);
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
        Self { table: Dynamic::new(bytes, bytes), scratch: Vec::new(), names: [None; STATIC.len()] }
    }

    #[cfg(test)]
    pub(super) fn table(&self) -> &Dynamic {
        &self.table
    }

    #[cfg(test)]
    pub(super) fn scratch_held(&self) -> usize {
        self.scratch.capacity()
    }

    #[inline]
    fn find(&self, index: usize) -> Result<(&[u8], &[u8], Seen), HpackError> {
        let place = index.wrapping_sub(1);
        if let (Some((name, value)), Some(known)) = (STATIC.get(place), self.names.get(place)) {
            return Ok((name, value, Seen { name: *known, whole: false }));
        }
        let entry = place.checked_sub(STATIC.len()).and_then(|place| self.table.find(place));
        let Some((name, value, verdict)) = entry else { return Err(HpackError("index of no entry")) };
        Ok((name, value, Seen { name: verdict, whole: verdict.is_some() }))
    }

    fn take_literal<const BITS: u32>(
        &mut self,
        input: &mut &[u8],
        insert: bool,
        each: &mut impl FnMut(&[u8], &[u8], Seen) -> Option<Verdict>,
    ) -> Result<(), HpackError> {
        let index = integer::take::<BITS>(input)?;
        let mut scratch = std::mem::take(&mut self.scratch);
        let taken = match index {
            0 => self.take_new(input, insert, &mut scratch, each),
            1..=61 => self.take_static(index, input, insert, &mut scratch, each),
            _ => self.take_dynamic(index, input, insert, &mut scratch, each),
        };
        self.scratch = scratch;
        taken
    }

    /// A literal whose name is one, too.
    fn take_new(
        &mut self,
        input: &mut &[u8],
        insert: bool,
        scratch: &mut Vec<u8>,
        each: &mut impl FnMut(&[u8], &[u8], Seen) -> Option<Verdict>,
    ) -> Result<(), HpackError> {
        let (name, value) = (take_string(input)?, take_string(input)?);
        let (for_name, for_value) = split(scratch, name.room(), value.room());
        let (name, value) = (name.text(for_name)?, value.text(for_value)?);
        let verdict = each(name, value, Seen { name: None, whole: false });
        if insert {
            self.table.insert(name, value, verdict);
        }
        Ok(())
    }

    /// A literal with a name of the static table.
    fn take_static(
        &mut self,
        index: usize,
        input: &mut &[u8],
        insert: bool,
        scratch: &mut Vec<u8>,
        each: &mut impl FnMut(&[u8], &[u8], Seen) -> Option<Verdict>,
    ) -> Result<(), HpackError> {
        let value = take_string(input)?;
        let (_, for_value) = split(scratch, 0, value.room());
        let value = value.text(for_value)?;
        let (name, _) = STATIC[index - 1];
        let known = &mut self.names[index - 1];
        let verdict = each(name, value, Seen { name: *known, whole: false });
        *known = verdict.or(*known);
        if insert {
            self.table.insert(name, value, verdict);
        }
        Ok(())
    }

    /// A literal with the name of a field that was sent before.
    fn take_dynamic(
        &mut self,
        index: usize,
        input: &mut &[u8],
        insert: bool,
        scratch: &mut Vec<u8>,
        each: &mut impl FnMut(&[u8], &[u8], Seen) -> Option<Verdict>,
    ) -> Result<(), HpackError> {
        let value = take_string(input)?;
        let (name, _, seen) = self.find(index)?;
        let seen = Seen { whole: false, ..seen };
        let (for_name, for_value) = split(scratch, name.len(), value.room());
        let value = value.text(for_value)?;
        let verdict = each(name, value, seen);
        if insert {
            // The name must outlive the insertion, which may drop its entry.
            for_name.copy_from_slice(name);
            self.table.insert(for_name, value, verdict);
        }
        Ok(())
    }
}

/// Room for a name and for a value.
#[inline]
fn split(scratch: &mut Vec<u8>, name: usize, value: usize) -> (&mut [u8], &mut [u8]) {
    if scratch.len() < name + value {
        scratch.resize(name + value, 0);
    }
    let (for_name, rest) = scratch.split_at_mut(name);
    (for_name, &mut rest[..value])
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
