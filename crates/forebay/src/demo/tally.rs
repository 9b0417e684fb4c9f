//! What the demo's clients saw: answers by class and how long they took, for each row.

use std::time::Duration;

use forebay_telemetry::metric::{Histogram, Snapshot};
use forebay_telemetry::stats::Class;

use super::mix::Row;

/// How many of each class, by the number of the [`Class`]. A request without an answer counts as aborted.
pub(super) type ByClass = [u64; Class::ALL.len()];

/// Counts for all rows; written under a lock.
#[derive(Debug, Default)]
pub(super) struct Counters {
    by_class: [ByClass; Row::ALL.len()],
    durations: [Histogram; Row::ALL.len()],
    connections: u64,
}

/// The counts at a moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// By the number of the [`Row`].
    pub(super) rows: [Seen; Row::ALL.len()],
    /// Connections opened to the gateway.
    pub(super) connections: u64,
}

/// What was seen of a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) by_class: ByClass,
    /// From the planned start to the last byte, in nanoseconds.
    pub(super) durations: Snapshot,
}

impl Counters {
    /// Counts a request that is over: its status, or `None` if no whole response came.
    pub(super) fn count(&mut self, row: Row, status: Option<u16>, took: Duration) {
        let class = status.map_or(Class::Aborted, Class::of);
        self.by_class[row as usize][class as usize] += 1;
        self.durations[row as usize].record(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }

    /// Counts a connection.
    pub(super) const fn count_connection(&mut self) {
        self.connections += 1;
    }

    /// The counts so far.
    pub(super) fn read(&self) -> Tally {
        let mut tally = Tally { connections: self.connections, ..Tally::default() };
        for (seen, (by_class, durations)) in
            tally.rows.iter_mut().zip(self.by_class.iter().zip(&self.durations))
        {
            *seen = Seen { by_class: *by_class, durations: durations.snapshot() };
        }
        tally
    }
}

impl Tally {
    /// All rows together.
    pub(super) fn total(&self) -> Seen {
        let mut total = Seen::default();
        for seen in &self.rows {
            for (sum, count) in total.by_class.iter_mut().zip(seen.by_class) {
                *sum += count;
            }
            total.durations.merge(&seen.durations);
        }
        total
    }

    /// The rows that were asked for, with what was seen of them.
    pub(super) fn used(&self) -> impl Iterator<Item = (Row, &Seen)> {
        Row::ALL.into_iter().zip(&self.rows).filter(|(_, seen)| seen.requests() > 0)
    }
}

impl Seen {
    /// Requests that are over.
    pub(super) fn requests(&self) -> u64 {
        self.by_class.iter().sum()
    }

    /// How many of a class.
    pub(super) const fn of_class(&self, class: Class) -> u64 {
        self.by_class[class as usize]
    }

    /// Answers of 5xx, and requests without an answer.
    pub(super) const fn errors(&self) -> u64 {
        self.of_class(Class::ServerError) + self.of_class(Class::Aborted)
    }

    /// What was seen after `earlier`.
    pub(super) fn since(&self, earlier: &Self) -> Self {
        let mut by_class = self.by_class;
        for (count, before) in by_class.iter_mut().zip(earlier.by_class) {
            *count -= before;
        }
        Self { by_class, durations: self.durations.since(&earlier.durations) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_counted_where_they_belong() {
        let mut counters = Counters::default();
        counters.count(Row::Shop, Some(200), Duration::from_millis(1));
        let before = counters.read();
        counters.count(Row::Shop, Some(404), Duration::from_millis(2));
        counters.count(Row::Flaky, Some(502), Duration::from_millis(3));
        counters.count(Row::Flaky, None, Duration::from_millis(4));
        counters.count_connection();
        let tally = counters.read();
        let total = tally.total();
        assert_eq!((total.requests(), total.errors(), tally.connections), (4, 2, 1));
        assert_eq!(total.durations.max(), 4_000_000);
        assert_eq!(total.since(&before.total()).by_class, [0, 0, 0, 1, 1, 1]);
        assert_eq!(tally.used().map(|(row, _)| row).collect::<Vec<_>>(), [Row::Shop, Row::Flaky]);
    }
}
