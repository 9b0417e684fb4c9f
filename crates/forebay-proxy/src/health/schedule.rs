//! When each endpoint is to be checked next: one heap for all, no timers. No socket and no clock in here.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use forebay_base::time::Instant;

use super::PROBES_MAX;
use crate::supervisor::Target;

/// New targets beyond the first `PROBES_MAX` begin within this: a start with ten thousand endpoints is no burst.
const SPREAD: Duration = Duration::from_secs(1);
/// Shortest time between two checks of one endpoint, whatever anybody says.
const DELAY_MIN: Duration = Duration::from_millis(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    /// By the target's id.
    entries: HashMap<u64, Entry>,
    /// Ids by when they are due. What `entries` does not confirm is stale and passed over; there is never more
    /// of that than of the rest.
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    unchecked: usize,
}

#[derive(Debug)]
struct Entry {
    target: Arc<Target>,
    /// `None`: a probe is under way.
    due: Option<Instant>,
    checked: bool,
}

impl Schedule {
    /// These are the targets now. New ones are due at once, or within a moment if there are many. Returns the
    /// ids of those that are gone.
    pub(super) fn update(&mut self, targets: Vec<Target>, now: Instant) -> Vec<u64> {
        let mut kept = HashMap::with_capacity(targets.len());
        let mut new = Vec::new();
        for target in targets {
            match self.entries.remove(&target.id) {
                Some(entry) => drop(kept.insert(target.id, entry)),
                None => new.push(target),
            }
        }
        let gone = std::mem::replace(&mut self.entries, kept);
        self.unchecked -= gone.values().filter(|entry| !entry.checked).count();
        self.add(new, now);
        self.drop_stale();
        gone.into_keys().collect()
    }

    fn add(&mut self, new: Vec<Target>, now: Instant) {
        let count = u32::try_from(new.len().saturating_sub(PROBES_MAX)).unwrap_or(u32::MAX).max(1);
        for (index, target) in new.into_iter().enumerate() {
            let after = u32::try_from(index.saturating_sub(PROBES_MAX)).unwrap_or(u32::MAX);
            let spread = SPREAD.min(target.health.interval);
            let due = now + spread.mul_f64(f64::from(after) / f64::from(count));
            let id = target.id;
            let entry = Entry { target: Arc::new(target), due: Some(due), checked: false };
            // Two targets of one id would be a mistake of the supervisor's; the first goes on.
            if let std::collections::hash_map::Entry::Vacant(place) = self.entries.entry(id) {
                place.insert(entry);
                self.heap.push(Reverse((due, id)));
                self.unchecked += 1;
            }
        }
    }

    /// The next target that is due, if one is, and how late it is. It is under way until `checked` or
    /// `postpone`.
    pub(super) fn take_due(&mut self, now: Instant) -> Option<(Arc<Target>, Duration)> {
        while let Some(&Reverse((due, id))) = self.heap.peek() {
            if due > now {
                return None;
            }
            self.heap.pop();
            if let Some(entry) = self.entries.get_mut(&id)
                && entry.due == Some(due)
            {
                entry.due = None;
                return Some((Arc::clone(&entry.target), now.since(due)));
            }
        }
        None
    }

    /// When something is due next; never later than that, but possibly earlier.
    pub(super) fn next_due(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    /// The check of `id` has ended; the next one is due after `delay`, or never.
    pub(super) fn checked(&mut self, id: u64, delay: Option<Duration>, now: Instant) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        if !std::mem::replace(&mut entry.checked, true) {
            self.unchecked -= 1;
        }
        match delay {
            Some(delay) => self.postpone(id, delay, now),
            None => drop(self.entries.remove(&id)),
        }
    }

    /// The check of `id` came to nothing; the next one is due after `delay`.
    pub(super) fn postpone(&mut self, id: u64, delay: Duration, now: Instant) {
        let Some(entry) = self.entries.get_mut(&id) else { return };
        let due = now + delay.max(DELAY_MIN);
        entry.due = Some(due);
        self.heap.push(Reverse((due, id)));
    }

    /// The target of this id.
    pub(super) fn target(&self, id: u64) -> Option<Arc<Target>> {
        self.entries.get(&id).map(|entry| Arc::clone(&entry.target))
    }

    /// Targets that have not been checked yet.
    pub(super) fn unchecked(&self) -> usize {
        self.unchecked
    }

    /// All targets.
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Makes the heap anew when most of it is stale.
    fn drop_stale(&mut self) {
        if self.heap.len() > 2 * self.entries.len() {
            let due = |(id, entry): (&u64, &Entry)| entry.due.map(|due| Reverse((due, *id)));
            self.heap = self.entries.iter().filter_map(due).collect();
        }
    }
}

#[cfg(test)]
mod tests;
