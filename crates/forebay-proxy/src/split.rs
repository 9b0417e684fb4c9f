//! Reads and writes of one route that go to different services, and whoever has just written reads where it wrote.

use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_policy::balance::stable_hash;
use forebay_policy::read_after_write;

use crate::cookie;
use crate::exchange::Record;
use crate::pipeline::Turn;
use crate::plan::{Action, ReadAfterWrite, Route, Split, WriterBy};

/// Clients remembered by a header; who wrote longest ago is forgotten first.
const WRITERS_MAX: usize = 65_536;
/// Clocks of machines that give and read the cookie may differ by this.
const SKEW: u64 = 2;

/// Who has written lately, of those known by a header. Shared by all workers, and kept over reloads.
#[derive(Clone, Debug)]
pub(crate) struct Writers(Arc<Mutex<read_after_write::Writers>>);

impl Default for Writers {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(read_after_write::Writers::new(WRITERS_MAX))))
    }
}

impl Writers {
    fn lock(&self) -> MutexGuard<'_, read_after_write::Writers> {
        self.0.lock().expect("no panic under this lock")
    }

    fn wrote(&self, key: u64, stay: Duration) {
        self.lock().wrote(key, Instant::now() + stay);
    }

    fn has_written(&self, key: u64) -> bool {
        self.lock().has_written(key, Instant::now())
    }
}

/// A write that is under way, of a client known by a header: when it ends, its time begins anew.
pub(crate) struct Writing {
    writers: Writers,
    key: u64,
    stay: Duration,
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.writers.wrote(self.key, self.stay);
    }
}

/// Whether nothing is changed by a request of this method (RFC 9110 §9.2.1).
pub fn is_safe(method: &[u8]) -> bool {
    matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE")
}

/// Which service takes the request. A write leaves its mark on the response, or in memory until it ends.
pub(crate) fn choose(turn: &Turn<'_>, route: &Route, split: &Split) -> (usize, Option<Writing>) {
    let head = &turn.input.filled()[..turn.head_len];
    let request = &turn.scratch.request;
    let reads = is_safe(request.method.of_head(head));
    let Some(ReadAfterWrite { stay, by }) = &split.read_after_write else {
        return (if reads { split.read } else { split.write }, None);
    };
    match by {
        WriterBy::Cookie(name) => {
            if reads {
                let now = unix_seconds(turn.record, turn.record.started);
                let wrote = cookie::find(request, head, name).and_then(read_time);
                let lately = wrote.is_some_and(|wrote| is_lately(wrote, now, *stay));
                return (if lately { split.write } else { split.read }, None);
            }
            turn.record.mark_write();
            (split.write, None)
        }
        WriterBy::Header(name) => {
            let writers = &turn.record.active.writers;
            let value = request
                .fields
                .iter()
                .find(|field| field.name.of_head(head).eq_ignore_ascii_case(name.as_bytes()));
            let Some(value) = value else { return (if reads { split.read } else { split.write }, None) };
            let mut identity = route.name.as_bytes().to_vec();
            identity.push(0);
            identity.extend_from_slice(value.value.of_head(head));
            let key = stable_hash(&identity);
            if reads {
                return (if writers.has_written(key) { split.write } else { split.read }, None);
            }
            // From now on, and, once the write is done, from then on.
            writers.wrote(key, *stay);
            (split.write, Some(Writing { writers: writers.clone(), key, stay: *stay }))
        }
    }
}

/// Appends the cookie that marks the write, with the time of the response: the write may have taken longer than its
/// mark lasts.
#[cold]
pub(crate) fn push_mark(out: &mut Vec<u8>, record: &Record<'_>) {
    if let Some(Action::Split(split)) = record.matched().map(|route| &route.action)
        && let Some(ReadAfterWrite { stay, by: WriterBy::Cookie(name) }) = &split.read_after_write
    {
        let now = unix_seconds(record, Instant::now());
        cookie::set(out, name, &now.to_string(), Some(*stay));
    }
}

/// Seconds since 1970: what the cookie holds.
fn unix_seconds(record: &Record<'_>, at: Instant) -> u64 {
    record.worker.unix_nanos(at) / 1_000_000_000
}

/// Nobody stays longer with the primary by writing a time of their own: one that lies ahead is not believed.
fn is_lately(wrote: u64, now: u64, stay: Duration) -> bool {
    wrote <= now + SKEW && now.saturating_sub(wrote) <= stay.as_secs()
}

fn read_time(value: &[u8]) -> Option<u64> {
    std::str::from_utf8(value).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_time_that_has_just_passed_is_believed() {
        let stay = Duration::from_secs(5);
        for (wrote, expected) in
            [(100, true), (95, true), (94, false), (102, true), (103, false), (0, false), (u64::MAX, false)]
        {
            assert_eq!(is_lately(wrote, 100, stay), expected, "{wrote}");
        }
    }

    #[test]
    fn what_is_no_time_is_no_write() {
        for (value, expected) in [("12", Some(12)), ("-1", None), ("1x", None), ("", None)] {
            assert_eq!(read_time(value.as_bytes()), expected, "{value}");
        }
    }

    #[test]
    fn who_has_written_is_remembered_until_after_the_write() {
        let writers = Writers::default();
        let writing = Writing { writers: writers.clone(), key: 7, stay: Duration::from_secs(60) };
        assert!(!writers.has_written(7));
        drop(writing);
        assert!(writers.has_written(7) && !writers.has_written(8));
    }
}
