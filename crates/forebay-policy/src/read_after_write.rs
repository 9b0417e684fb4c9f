//! Who has written lately, and so must read where writes go.

use std::collections::{HashMap, VecDeque};

use forebay_base::time::Instant;

/// Clients that have written lately, by a hash of what tells them apart.
///
/// Never more than `capacity`: when it is full, who wrote longest ago is forgotten, and may read from a replica
/// that has not seen the write yet. Two clients with the same hash are one: a read more goes to the primary, and
/// nothing is missed.
#[derive(Clone, Debug)]
pub struct Writers {
    capacity: usize,
    known: HashMap<u64, Write>,
    /// Writes in order, those of `known` and others that were followed by a later one of the same client. At most
    /// twice `capacity`.
    order: VecDeque<(u64, u64)>,
    /// The number of the next write.
    next: u64,
}

#[derive(Clone, Copy, Debug)]
struct Write {
    until: Instant,
    number: u64,
}

impl Writers {
    /// For at most `capacity` clients; 0: none is remembered. Memory is taken as it is needed: some 70 bytes each.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        Self { capacity, known: HashMap::new(), order: VecDeque::new(), next: 0 }
    }

    /// A client has written, and counts as a writer before `until`, or before an earlier call's if that is later.
    pub fn wrote(&mut self, key: u64, until: Instant) {
        if self.capacity == 0 {
            return;
        }
        let number = self.next;
        self.next += 1;
        let write = self.known.entry(key).or_insert(Write { until, number });
        *write = Write { until: until.max(write.until), number };
        self.order.push_back((key, number));
        while self.known.len() > self.capacity && self.forget_first() {}
        // Not more often than every `capacity` writes, so that a write costs the same on average.
        if self.order.len() / 2 >= self.capacity {
            let known = &self.known;
            self.order.retain(|(key, number)| known.get(key).is_some_and(|write| write.number == *number));
        }
    }

    /// Whether a client has written and `until` has not come yet.
    #[must_use]
    pub fn has_written(&self, key: u64, now: Instant) -> bool {
        self.known.get(&key).is_some_and(|write| now < write.until)
    }

    /// Forgets those whose time is over, from the longest ago on, up to the first whose time is not. Whoever calls
    /// this now and then needs no memory for clients that are long gone.
    pub fn forget_expired(&mut self, now: Instant) {
        while let Some((key, number)) = self.order.front() {
            let live = self.known.get(key).filter(|write| write.number == *number);
            if live.is_some_and(|write| now < write.until) {
                return;
            }
            self.forget_first();
        }
        self.known = HashMap::new();
        self.order = VecDeque::new();
    }

    /// How many clients are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Takes the first in order away; `false` if there was none.
    fn forget_first(&mut self) -> bool {
        let Some((key, number)) = self.order.pop_front() else { return false };
        if self.known.get(&key).is_some_and(|write| write.number == number) {
            self.known.remove(&key);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(seconds: u64) -> Instant {
        Instant::from_nanos(seconds * 1_000_000_000)
    }

    #[test]
    fn who_has_written_is_known_for_a_while() {
        let mut writers = Writers::new(10);
        assert!(!writers.has_written(1, at(0)));
        writers.wrote(1, at(5));
        assert!(writers.has_written(1, at(4)));
        assert!(!writers.has_written(1, at(5)));
        assert!(!writers.has_written(2, at(4)));
        // An earlier end does not take back a later one.
        writers.wrote(1, at(9));
        writers.wrote(1, at(7));
        assert!(writers.has_written(1, at(8)));
    }

    #[test]
    fn when_full_who_wrote_longest_ago_is_forgotten() {
        let mut writers = Writers::new(3);
        (1..=3).for_each(|key| writers.wrote(key, at(9)));
        writers.wrote(1, at(9));
        writers.wrote(4, at(9));
        assert_eq!([1, 2, 3, 4].map(|key| writers.has_written(key, at(0))), [true, false, true, true]);
    }

    #[test]
    fn one_that_writes_all_the_time_pushes_nobody_out() {
        let mut writers = Writers::new(2);
        writers.wrote(1, at(9));
        (0..100).for_each(|_| writers.wrote(2, at(9)));
        assert!(writers.has_written(1, at(0)));
    }

    #[test]
    fn who_is_over_is_forgotten() {
        let mut writers = Writers::new(10);
        (0..10).for_each(|key| writers.wrote(key, at(key)));
        writers.forget_expired(at(4));
        assert_eq!(writers.len(), 5);
        assert!(writers.has_written(5, at(4)));
        writers.forget_expired(at(9));
        assert!(writers.is_empty());
        writers.wrote(1, at(20));
        assert!(writers.has_written(1, at(10)));
    }

    #[test]
    fn without_room_nobody_is_known() {
        let mut writers = Writers::new(0);
        writers.wrote(1, at(9));
        assert!(!writers.has_written(1, at(0)));
        assert!(writers.is_empty());
    }

    proptest! {
        /// Against a list of all writes: those of the last `capacity` different clients are known.
        #[test]
        fn the_last_ones_are_known(capacity in 1_usize..20, keys in prop::collection::vec(0_u64..40, 0..500)) {
            let mut writers = Writers::new(capacity);
            let mut last: Vec<u64> = Vec::new();
            for (now, key) in keys.into_iter().enumerate() {
                writers.wrote(key, at(now as u64 + 1_000));
                last.retain(|other| *other != key);
                last.push(key);
                prop_assert!(writers.len() <= capacity && writers.order.len() <= 2 * capacity);
                let known = &last[last.len().saturating_sub(capacity)..];
                for key in 0..40 {
                    prop_assert_eq!(writers.has_written(key, at(now as u64)), known.contains(&key));
                }
            }
        }
    }
}
