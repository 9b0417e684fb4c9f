//! Field blocks out.
//!
//! Nothing is added to the other side's table and nothing is Huffman-coded: names and values that the static table
//! has are sent as its indices, the rest as it is. That is the least work for us; the bytes saved by more are few.

use super::table::STATIC;
use super::{TABLE_BYTES_DEFAULT, integer};

/// What a request has before its fields (RFC 9113 §8.3.1, RFC 8441 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the pseudo-header field of that name")]
pub enum Pseudo {
    Method,
    Scheme,
    Authority,
    Path,
    Protocol,
}

/// Encodes the field blocks of one direction of a connection.
#[derive(Debug, Default)]
pub struct Encoder {
    /// What the next block has to say of the table's size.
    update: Option<usize>,
    /// The size that the other side takes us to use.
    table_bytes: Option<usize>,
}

impl Encoder {
    /// An encoder for a connection that begins.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The other side has sent `SETTINGS_HEADER_TABLE_SIZE`.
    pub fn set_table_bytes_max(&mut self, bytes: u32) {
        let bytes = bytes as usize;
        // A smaller table has to be confirmed (RFC 7541 §4.2); a larger one is of no use to us.
        if bytes < self.table_bytes.unwrap_or(TABLE_BYTES_DEFAULT) {
            self.table_bytes = Some(bytes);
            self.update = Some(bytes);
        }
    }

    /// Begins a block: says what the other side must know before its fields.
    #[inline]
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some(bytes) = self.update.take() {
            integer::push::<5>(out, 0x20, bytes);
        }
    }

    /// Appends `:status`, 100 to 999.
    pub fn status(&mut self, out: &mut Vec<u8>, status: u16) {
        let index = match status {
            200 => 8,
            204 => 9,
            206 => 10,
            304 => 11,
            400 => 12,
            404 => 13,
            500 => 14,
            _ => {
                let digit = |unit: u16| b'0' + (status / unit % 10) as u8;
                out.extend_from_slice(&[8, 3, digit(100), digit(10), digit(1)]);
                return;
            }
        };
        out.push(0x80 | index);
    }

    /// Appends a pseudo-header field of a request.
    pub fn pseudo(&mut self, out: &mut Vec<u8>, pseudo: Pseudo, value: &[u8]) {
        let index = match (pseudo, value) {
            (Pseudo::Method, b"GET") => return out.push(0x82),
            (Pseudo::Method, b"POST") => return out.push(0x83),
            (Pseudo::Path, b"/") => return out.push(0x84),
            (Pseudo::Scheme, b"http") => return out.push(0x86),
            (Pseudo::Scheme, b"https") => return out.push(0x87),
            (Pseudo::Authority, _) => 1,
            (Pseudo::Method, _) => 2,
            (Pseudo::Path, _) => 4,
            (Pseudo::Scheme, _) => 6,
            (Pseudo::Protocol, _) => {
                out.push(0);
                push_string(out, b":protocol");
                return push_string(out, value);
            }
        };
        out.push(index);
        push_string(out, value);
    }

    /// Appends a field; capital letters of its name are made small.
    pub fn field(&mut self, out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
        match find_name(name) {
            Some(index) => {
                // Fields that nobody behind us should put into a table either (RFC 7541 §7.1.3).
                let secret = matches!(
                    STATIC[index - 1].0,
                    b"authorization" | b"cookie" | b"set-cookie" | b"proxy-authorization"
                );
                integer::push::<4>(out, if secret { 0x10 } else { 0 }, index);
            }
            None => {
                out.push(0);
                integer::push::<7>(out, 0, name.len());
                out.extend(name.iter().map(u8::to_ascii_lowercase));
            }
        }
        push_string(out, value);
    }
}

#[inline]
fn push_string(out: &mut Vec<u8>, text: &[u8]) {
    integer::push::<7>(out, 0, text.len());
    out.extend_from_slice(text);
}

/// Indices of the names of each length, which are never more than eight.
static BY_LENGTH: [[u8; 8]; LENGTH_MAX + 1] = {
    let mut table = [[0; 8]; LENGTH_MAX + 1];
    let mut place = FIRST_NAME - 1;
    while place < STATIC.len() {
        let row = &mut table[STATIC[place].0.len()];
        let mut at = 0;
        while row[at] != 0 {
            at += 1;
        }
        row[at] = place as u8 + 1;
        place += 1;
    }
    table
};

/// Length of the longest name of the static table.
const LENGTH_MAX: usize = 27;

/// Index of the first name that is no pseudo-header field's.
const FIRST_NAME: usize = 15;

#[inline]
fn find_name(name: &[u8]) -> Option<usize> {
    let row = BY_LENGTH.get(name.len())?;
    let mut indices = row.iter().map(|index| usize::from(*index)).take_while(|index| *index > 0);
    indices.find(|index| name.eq_ignore_ascii_case(STATIC[index - 1].0))
}
