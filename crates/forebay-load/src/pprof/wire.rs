//! Protobuf's wire format: numbered fields, one after the other.

use super::Error;

const BROKEN: Error = Error::Broken("the protobuf data ends within a field, or has one of no known type");

/// What a field holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field<'a> {
    Number(u64),
    /// A string, a message, or packed numbers.
    Bytes(&'a [u8]),
}

/// The fields of a message with their numbers. Ends after the first error.
#[derive(Clone, Debug)]
pub(super) struct Fields<'a> {
    rest: &'a [u8],
}

/// The numbers of a repeated field: one, or many packed together.
#[derive(Clone, Debug)]
pub(super) enum Numbers<'a> {
    One(Option<u64>),
    Packed(&'a [u8]),
}

impl<'a> Fields<'a> {
    pub(super) const fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn field(&mut self) -> Result<(u64, Field<'a>), Error> {
        let key = varint(&mut self.rest)?;
        let field = match key & 7 {
            0 => Field::Number(varint(&mut self.rest)?),
            1 => Field::Number(self.fixed(8)?),
            2 => {
                let length = usize::try_from(varint(&mut self.rest)?).map_err(|_| BROKEN)?;
                Field::Bytes(self.bytes(length)?)
            }
            5 => Field::Number(self.fixed(4)?),
            _ => return Err(BROKEN),
        };
        Ok((key >> 3, field))
    }

    fn fixed(&mut self, length: usize) -> Result<u64, Error> {
        Ok(self.bytes(length)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Error> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(BROKEN)?;
        self.rest = rest;
        Ok(bytes)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u64, Field<'a>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

impl<'a> Numbers<'a> {
    pub(super) const fn of(field: Field<'a>) -> Self {
        match field {
            Field::Number(number) => Self::One(Some(number)),
            Field::Bytes(bytes) => Self::Packed(bytes),
        }
    }
}

impl Iterator for Numbers<'_> {
    type Item = Result<u64, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Self::One(number) => number.take().map(Ok),
            Self::Packed([]) => None,
            Self::Packed(rest) => {
                let number = varint(rest);
                if number.is_err() {
                    *rest = &[];
                }
                Some(number)
            }
        }
    }
}

/// Seven bits a byte, the lowest first; the eighth says that more follow.
fn varint(rest: &mut &[u8]) -> Result<u64, Error> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or(BROKEN)?;
        *rest = after;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(BROKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(message: &[u8]) -> Result<Vec<(u64, Field<'_>)>, Error> {
        Fields::new(message).collect()
    }

    #[test]
    fn every_type_of_field_is_read() {
        assert_eq!(all(&[0x08, 0x96, 0x01]), Ok(vec![(1, Field::Number(150))]));
        assert_eq!(all(&[0x12, 2, b'h', b'i']), Ok(vec![(2, Field::Bytes(b"hi"))]));
        assert_eq!(all(&[0x1d, 1, 0, 0, 0]), Ok(vec![(3, Field::Number(1))]));
        assert_eq!(all(&[0x21, 0, 1, 0, 0, 0, 0, 0, 0]), Ok(vec![(4, Field::Number(256))]));
    }

    #[test]
    fn what_ends_too_early_is_an_error() {
        for message in [&[0x08][..], &[0x08, 0x80], &[0x12, 3, b'h'], &[0x1d, 1], &[0x0b], &[0xff; 20]] {
            assert_eq!(all(message), Err(BROKEN), "{message:?}");
        }
    }

    #[test]
    fn numbers_come_alone_or_packed() {
        let numbers = |field| Numbers::of(field).collect::<Result<Vec<_>, _>>();
        assert_eq!(numbers(Field::Number(7)), Ok(vec![7]));
        assert_eq!(numbers(Field::Bytes(&[1, 0x96, 0x01])), Ok(vec![1, 150]));
        assert_eq!(numbers(Field::Bytes(&[1, 0x96])), Err(BROKEN));
    }
}
