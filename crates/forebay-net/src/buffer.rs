//! Read buffers that are borrowed while bytes flow and given back when a connection goes quiet.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// Bytes read and not yet used: a fixed block with a window in it.
#[derive(Debug, Default)]
pub struct Buffer {
    block: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// A buffer of `size` bytes, all zero, none of them read yet.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self { block: vec![0; size], start: 0, end: 0 }
    }

    /// The bytes read and not yet used.
    #[must_use]
    #[inline]
    pub fn filled(&self) -> &[u8] {
        &self.block[self.start..self.end]
    }

    /// The bytes read and not yet used, to be decoded in place.
    #[inline]
    pub fn filled_mut(&mut self) -> &mut [u8] {
        &mut self.block[self.start..self.end]
    }

    /// Room for more bytes after those read.
    #[inline]
    pub fn space(&mut self) -> &mut [u8] {
        &mut self.block[self.end..]
    }

    /// `n` bytes of `space` now hold data.
    #[inline]
    pub fn advance(&mut self, n: usize) {
        self.end = (self.end + n).min(self.block.len());
    }

    /// The first `n` bytes are used up.
    #[inline]
    pub fn consume(&mut self, n: usize) {
        self.start = (self.start + n).min(self.end);
        if self.start == self.end {
            self.start = 0;
            self.end = 0;
        }
    }

    /// Moves what is left to the front and, if there is still less room than `room`, grows, up to `max`.
    pub fn make_room(&mut self, room: usize, max: usize) {
        if self.start > 0 {
            self.block.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.start = 0;
        }
        let wanted = (self.end + room).min(max);
        if wanted > self.block.len() {
            self.block.resize(wanted, 0);
        }
    }

    /// Whether nothing is waiting to be used.
    #[must_use]
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Bytes read and not yet used.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// Size of the block in bytes.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.block.len()
    }

    fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }
}

/// One worker's spare buffers of one size.
#[derive(Clone, Debug)]
pub struct BufferPool {
    shelf: Rc<Shelf>,
}

#[derive(Debug)]
struct Shelf {
    size: usize,
    spare_max: usize,
    spare: RefCell<Vec<Buffer>>,
}

impl BufferPool {
    /// Buffers of `size` bytes, of which at most `spare_max` are kept while nobody uses them.
    #[must_use]
    pub fn new(size: usize, spare_max: usize) -> Self {
        Self { shelf: Rc::new(Shelf { size, spare_max, spare: RefCell::default() }) }
    }

    /// An empty buffer, given back when dropped.
    #[must_use]
    #[inline]
    pub fn take(&self) -> Lent {
        let spare = self.shelf.spare.borrow_mut().pop();
        let buffer = spare.unwrap_or_else(|| Buffer::new(self.shelf.size));
        Lent { buffer, shelf: Rc::clone(&self.shelf) }
    }
}

/// A borrowed buffer.
#[derive(Debug)]
pub struct Lent {
    buffer: Buffer,
    shelf: Rc<Shelf>,
}

impl Deref for Lent {
    type Target = Buffer;

    fn deref(&self) -> &Buffer {
        &self.buffer
    }
}

impl DerefMut for Lent {
    fn deref_mut(&mut self) -> &mut Buffer {
        &mut self.buffer
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let mut spare = self.shelf.spare.borrow_mut();
        // One that grew for a large head is not kept: spare memory stays bounded by count times size.
        if spare.len() < self.shelf.spare_max && self.buffer.capacity() == self.shelf.size {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.clear();
            spare.push(buffer);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_consumed_is_gone_and_the_rest_moves_to_the_front() {
        let mut buffer = Buffer::new(8);
        buffer.space()[..6].copy_from_slice(b"abcdef");
        buffer.advance(6);
        buffer.consume(4);
        assert_eq!(buffer.filled(), b"ef");
        buffer.make_room(10, 9);
        assert_eq!(buffer.filled(), b"ef");
        assert_eq!(buffer.space().len(), 7);
    }

    #[test]
    fn a_buffer_comes_back_empty_and_spares_are_bounded() {
        let pool = BufferPool::new(16, 1);
        let (mut one, two) = (pool.take(), pool.take());
        one.advance(3);
        drop(one);
        drop(two);
        assert_eq!(pool.shelf.spare.borrow().len(), 1);
        assert!(pool.take().is_empty());
    }
}
