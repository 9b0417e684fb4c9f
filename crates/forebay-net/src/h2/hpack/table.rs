//! The tables of HPACK (RFC 7541 §2.3): the static one, and the dynamic one of a decoder.

use std::collections::VecDeque;

use super::Verdict;

/// What every entry counts besides its name and value (§4.1).
pub(super) const ENTRY_OVERHEAD: usize = 32;

/// Appendix A; the first entry has the index 1.
pub(super) static STATIC: [(&[u8], &[u8]); 61] = [
    (b":authority", b""),
    (b":method", b"GET"),
    (b":method", b"POST"),
    (b":path", b"/"),
    (b":path", b"/index.html"),
    (b":scheme", b"http"),
    (b":scheme", b"https"),
    (b":status", b"200"),
    (b":status", b"204"),
    (b":status", b"206"),
    (b":status", b"304"),
    (b":status", b"400"),
    (b":status", b"404"),
    (b":status", b"500"),
    (b"accept-charset", b""),
    (b"accept-encoding", b"gzip, deflate"),
    (b"accept-language", b""),
    (b"accept-ranges", b""),
    (b"accept", b""),
    (b"access-control-allow-origin", b""),
    (b"age", b""),
    (b"allow", b""),
    (b"authorization", b""),
    (b"cache-control", b""),
    (b"content-disposition", b""),
    (b"content-encoding", b""),
    (b"content-language", b""),
    (b"content-length", b""),
    (b"content-location", b""),
    (b"content-range", b""),
    (b"content-type", b""),
    (b"cookie", b""),
    (b"date", b""),
    (b"etag", b""),
    (b"expect", b""),
    (b"expires", b""),
    (b"from", b""),
    (b"host", b""),
    (b"if-match", b""),
    (b"if-modified-since", b""),
    (b"if-none-match", b""),
    (b"if-range", b""),
    (b"if-unmodified-since", b""),
    (b"last-modified", b""),
    (b"link", b""),
    (b"location", b""),
    (b"max-forwards", b""),
    (b"proxy-authenticate", b""),
    (b"proxy-authorization", b""),
    (b"range", b""),
    (b"referer", b""),
    (b"refresh", b""),
    (b"retry-after", b""),
    (b"server", b""),
    (b"set-cookie", b""),
    (b"strict-transport-security", b""),
    (b"transfer-encoding", b""),
    (b"user-agent", b""),
    (b"vary", b""),
    (b"via", b""),
    (b"www-authenticate", b""),
];

/// Fields that were sent before. The bytes of all entries stand in one buffer that is written round and round.
#[derive(Debug)]
pub(super) struct Dynamic {
    /// Oldest first.
    entries: VecDeque<Entry>,
    /// Twice `size_limit` at most: then a new entry always fits in one piece, either behind the newest one, or at the
    /// start of the buffer, before the oldest.
    bytes: Vec<u8>,
    /// Where the next entry goes.
    end: usize,
    /// Of all entries, as `ENTRY_OVERHEAD` counts.
    size: usize,
    /// What `size` may be now.
    size_max: usize,
    /// What `size_max` may be.
    size_limit: usize,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    start: u32,
    name_len: u32,
    value_len: u32,
    verdict: Option<Verdict>,
}

impl Entry {
    fn size(self) -> usize {
        self.name_len as usize + self.value_len as usize + ENTRY_OVERHEAD
    }
}

impl Dynamic {
    /// An empty table, now of `size_max` and never larger than `size_limit`, which is below 1 GiB.
    pub(super) fn new(size_max: usize, size_limit: usize) -> Self {
        Self { entries: VecDeque::new(), bytes: Vec::new(), end: 0, size: 0, size_max, size_limit }
    }

    pub(super) const fn size_limit(&self) -> usize {
        self.size_limit
    }

    /// Name and value of the entry that came as the `place`th last, from 0, and what was found out about it.
    #[inline]
    pub(super) fn find(&self, place: usize) -> Option<(&[u8], &[u8], Option<Verdict>)> {
        let at = self.entries.len().checked_sub(place + 1)?;
        let Entry { start, name_len, value_len, verdict } = *self.entries.get(at)?;
        let bytes = self.bytes.get(start as usize..(start + name_len + value_len) as usize)?;
        let (name, value) = bytes.split_at_checked(name_len as usize)?;
        Some((name, value, verdict))
    }

    /// Changes the size to at most `size_limit`, which drops the oldest entries as needed (§4.3).
    pub(super) fn resize(&mut self, size_max: usize) {
        self.size_max = size_max.min(self.size_limit);
        self.evict(self.size_max);
        if self.size_max == 0 {
            self.bytes = Vec::new();
        }
    }

    /// Adds an entry; one that is larger than the table just empties it (§4.4).
    pub(super) fn insert(&mut self, name: &[u8], value: &[u8], verdict: Option<Verdict>) {
        let len = name.len() + value.len();
        let size = len + ENTRY_OVERHEAD;
        let Some(room) = self.size_max.checked_sub(size) else {
            self.evict(0);
            return;
        };
        self.evict(room);
        if self.end + len > 2 * self.size_limit {
            self.end = 0;
        }
        let start = self.end;
        self.end += len;
        if self.bytes.len() < self.end {
            self.bytes.resize(self.end, 0);
        }
        let (for_name, for_value) = self.bytes[start..self.end].split_at_mut(name.len());
        for_name.copy_from_slice(name);
        for_value.copy_from_slice(value);
        self.entries.push_back(Entry {
            start: start as u32,
            name_len: name.len() as u32,
            value_len: value.len() as u32,
            verdict,
        });
        self.size += size;
    }

    /// Drops the oldest entries until no more than `room` is taken.
    fn evict(&mut self, room: usize) {
        while self.size > room
            && let Some(entry) = self.entries.pop_front()
        {
            self.size -= entry.size();
        }
        if self.entries.is_empty() {
            self.end = 0;
        }
    }

    #[cfg(test)]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    #[cfg(test)]
    pub(super) fn bytes_held(&self) -> usize {
        self.bytes.capacity()
    }
}
