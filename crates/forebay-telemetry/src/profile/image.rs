//! What an executable file says about its code: where functions are, and how to find who called them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek};
use std::ops::Range;
use std::sync::Arc;

use object::elf::PF_X;
use object::read::{ReadCache, ReadRef};
use object::{
    Object as _, ObjectSection as _, ObjectSegment as _, ObjectSymbol as _, SegmentFlags, SymbolKind,
};

/// Largest table that is read for finding callers.
const TABLE_BYTES_MAX: u64 = 64 << 20;

/// A file, or a piece of memory.
pub(super) type Source = Box<dyn ReadSeek>;

/// An executable file, open. It is read a second time when the names of functions are looked up.
pub(super) struct Image {
    source: RefCell<Source>,
    /// Where its code is, in the file and in memory.
    segments: Vec<Segment>,
    build_id: Option<Vec<u8>>,
}

/// Tables that tell for each instruction where its caller is.
#[derive(Clone, Debug)]
pub(super) struct Unwinding {
    pub(super) frames: Table,
    /// An index of `frames`.
    pub(super) index: Option<Table>,
}

/// A section of the file.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) addresses: Range<u64>,
    pub(super) bytes: Arc<[u8]>,
}

/// To be read anywhere.
pub(super) trait ReadSeek: Read + Seek {}

impl<T: Read + Seek> ReadSeek for T {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Segment {
    address: u64,
    offset: u64,
    size: u64,
}

impl Image {
    /// Reads its outline.
    pub(super) fn open(open: impl FnOnce() -> io::Result<Source>) -> io::Result<Self> {
        let source = RefCell::new(open()?);
        let outline = with(&source, |file| {
            let segments = file.segments().filter(|segment| is_code(segment.flags())).map(|segment| {
                let (offset, size) = segment.file_range();
                Segment { address: segment.address(), offset, size }
            });
            (segments.collect(), file.build_id().ok().flatten().map(<[u8]>::to_vec))
        });
        let (segments, build_id) = outline.ok_or(io::ErrorKind::InvalidData)?;
        Ok(Self { source, segments, build_id })
    }

    /// What makes addresses in the file into those in memory, where `mapped` of the file lies at `start`.
    pub(super) fn bias(&self, start: u64, mapped: &Range<u64>) -> Option<u64> {
        bias(&self.segments, start, mapped)
    }

    /// In hexadecimal digits: by this a file is known wherever it lies.
    pub(super) fn build_id(&self) -> Option<String> {
        let id = self.build_id.as_ref()?;
        Some(id.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub(super) fn unwinding(&self) -> Option<Unwinding> {
        with(&self.source, |file| {
            let index = table(file, ".eh_frame_hdr");
            table(file, ".eh_frame").map(|frames| Unwinding { frames, index })
        })?
    }

    /// The raw names of the functions at `addresses`, which have to be in order.
    pub(super) fn functions(&self, addresses: &[u64]) -> BTreeMap<u64, String> {
        with(&self.source, |file| {
            let mut found = BTreeMap::new();
            for symbol in file.symbols().chain(file.dynamic_symbols()) {
                if symbol.kind() != SymbolKind::Text || !symbol.is_definition() {
                    continue;
                }
                let (begin, end) = (symbol.address(), symbol.address().saturating_add(symbol.size()));
                let from = addresses.partition_point(|address| *address < begin);
                let hit =
                    addresses.get(from..).unwrap_or_default().iter().take_while(|address| **address < end);
                for address in hit {
                    // The first is as good as any other: they are names of the same function.
                    found.entry(*address).or_insert_with(|| symbol.name().unwrap_or_default().to_owned());
                }
            }
            found
        })
        .unwrap_or_default()
    }
}

impl std::fmt::Debug for Image {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Image").field("segments", &self.segments).finish_non_exhaustive()
    }
}

/// Only what is asked for is read, and only for as long as `then` runs.
fn with<T>(
    source: &RefCell<Source>,
    then: impl FnOnce(&object::File<'_, &ReadCache<&mut Source>>) -> T,
) -> Option<T> {
    let mut source = source.borrow_mut();
    let cache = ReadCache::new(&mut *source);
    object::File::parse(&cache).ok().map(|file| then(&file))
}

fn table<'a, R: ReadRef<'a>>(file: &object::File<'a, R>, name: &str) -> Option<Table> {
    let section = file.section_by_name(name)?;
    if section.size() > TABLE_BYTES_MAX {
        return None;
    }
    let addresses = section.address()..section.address().checked_add(section.size())?;
    Some(Table { addresses, bytes: section.data().ok()?.into() })
}

/// Mappings begin where pages do, segments anywhere: one belongs to the other if they overlap.
fn bias(segments: &[Segment], start: u64, mapped: &Range<u64>) -> Option<u64> {
    let overlaps = |segment: &&Segment| {
        segment.offset < mapped.end && mapped.start < segment.offset.saturating_add(segment.size)
    };
    let segment = segments.iter().find(overlaps)?;
    let address = segment.address.wrapping_sub(segment.offset).wrapping_add(mapped.start);
    Some(start.wrapping_sub(address))
}

fn is_code(flags: SegmentFlags) -> bool {
    matches!(flags, SegmentFlags::Elf { p_flags, .. } if p_flags & PF_X == PF_X)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapping_is_told_by_the_segment_it_shows() {
        let code = Segment { address: 0x3_1230, offset: 0x2_0230, size: 0x5000 };
        let more = Segment { address: 0x9_0000, offset: 0x3_0000, size: 0x1000 };
        let check = |mapped: Range<u64>, expected| {
            assert_eq!(bias(&[code, more], 0x7f00_0000_0000, &mapped), expected, "{mapped:x?}");
        };
        // What lies at 0x20230 in the file has the address 0x31230, so the page's begin has 0x31000.
        check(0x2_0000..0x2_6000, Some(0x7f00_0000_0000 - 0x3_1000));
        // The second half of the same segment, which the kernel has put elsewhere.
        check(0x2_3000..0x2_6000, Some(0x7f00_0000_0000 - 0x3_4000));
        check(0x3_0000..0x3_1000, Some(0x7f00_0000_0000 - 0x9_0000));
        check(0x8_0000..0x9_0000, None);
    }

    #[test]
    fn what_is_no_program_is_an_error() {
        for bytes in [&b""[..], b"\x7fELF", b"#!/bin/sh\n", &[0xff; 4096]] {
            let source = || Ok(Box::new(io::Cursor::new(bytes.to_vec())) as Source);
            assert!(Image::open(source).is_err(), "{bytes:?}");
        }
    }
}
