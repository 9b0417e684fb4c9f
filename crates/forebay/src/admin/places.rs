//! Who has a place at the admin server: when none is left, whoever has asked nothing for longest makes room.
//!
//! So connections that never finish a head keep nobody out, however many there are: they evict each other, and
//! a probe that asks as soon as it is connected is answered before its turn to go comes.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{Notify, oneshot};

/// The places there are. Clones share them.
#[derive(Clone)]
pub(super) struct Places {
    shared: Arc<Shared>,
}

/// A connection's place; given back on drop.
pub(super) struct Place {
    shared: Arc<Shared>,
    id: u64,
}

/// Comes to an end when the place is wanted for another connection.
pub(super) type Evicted = oneshot::Receiver<()>;

struct Shared {
    max: usize,
    table: Mutex<Table>,
    /// A place may have become free; the server alone waits for it.
    freed: Notify,
}

/// At most `max` places.
#[derive(Default)]
struct Table {
    /// Counts up with everything that happens, and so tells what was first.
    turn: u64,
    taken: HashMap<u64, Taken>,
}

struct Taken {
    /// When its connection began, or was last given an answer.
    since: u64,
    /// Its connection waits for us, and not we for it.
    answering: bool,
    /// Tells its connection, by being dropped.
    _evict: oneshot::Sender<()>,
}

impl Places {
    /// So many, at least one.
    pub(super) fn new(max: usize) -> Self {
        Self { shared: Arc::new(Shared { max, table: Mutex::default(), freed: Notify::new() }) }
    }

    /// Waits until a place is free, or held by a connection that is owed no answer.
    pub(super) async fn available(&self) {
        while !self.shared.table().has_room(self.shared.max) {
            self.shared.freed.notified().await;
        }
    }

    /// More than three quarters are taken.
    pub(super) fn are_scarce(&self) -> bool {
        self.shared.table().taken.len() > self.shared.max / 4 * 3
    }

    /// Takes a place; if none is free, that of the connection which has asked nothing for longest. Gives
    /// nothing while every connection is owed an answer.
    pub(super) fn take(&self) -> Option<(Place, Evicted)> {
        let mut table = self.shared.table();
        if table.taken.len() >= self.shared.max {
            let first = table.first_idle()?;
            table.taken.remove(&first);
        }
        let (evict, evicted) = oneshot::channel();
        let id = table.next_turn();
        table.taken.insert(id, Taken { since: id, answering: false, _evict: evict });
        Some((Place { shared: Arc::clone(&self.shared), id }, evicted))
    }
}

impl Place {
    /// A request has come. Returns whether the place is still ours; if not, the connection is about to be cut,
    /// and must not be begun anything for.
    pub(super) fn begin_answer(&self) -> bool {
        let mut table = self.shared.table();
        let taken = table.taken.get_mut(&self.id);
        taken.map(|taken| taken.answering = true).is_some()
    }

    /// The answer is on its way; the connection may be evicted from now on, the last of all.
    pub(super) fn end_answer(&self) {
        let mut table = self.shared.table();
        let turn = table.next_turn();
        if let Some(taken) = table.taken.get_mut(&self.id) {
            (taken.answering, taken.since) = (false, turn);
        }
        drop(table);
        self.shared.freed.notify_one();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.shared.table().taken.remove(&self.id);
        self.shared.freed.notify_one();
    }
}

impl Shared {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("nothing under this lock panics")
    }
}

impl Table {
    fn next_turn(&mut self) -> u64 {
        self.turn += 1;
        self.turn
    }

    fn has_room(&self, max: usize) -> bool {
        self.taken.len() < max || self.first_idle().is_some()
    }

    fn first_idle(&self) -> Option<u64> {
        let idle = self.taken.iter().filter(|(_, taken)| !taken.answering);
        idle.min_by_key(|(_, taken)| taken.since).map(|(id, _)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_evicted(evicted: &mut Evicted) -> bool {
        evicted.try_recv() == Err(oneshot::error::TryRecvError::Closed)
    }

    #[test]
    fn whoever_has_asked_nothing_for_longest_makes_room() {
        let places = Places::new(3);
        let mut taken: Vec<_> = (0..3).map(|_| places.take().expect("there is room")).collect();
        assert!(taken[0].0.begin_answer(), "it is being answered, and stays");
        assert!(taken[1].0.begin_answer());
        taken[1].0.end_answer();
        let out = |taken: &mut Vec<(Place, Evicted)>| {
            taken.iter_mut().map(|(_, evicted)| is_evicted(evicted)).collect::<Vec<_>>()
        };
        taken.push(places.take().expect("one makes room"));
        assert_eq!(out(&mut taken), [false, false, true, false]);
        taken.push(places.take().expect("one makes room"));
        assert_eq!(out(&mut taken), [false, true, true, false, false]);
        assert!(!taken[1].0.begin_answer(), "it comes too late");
        drop(taken.remove(1));
        assert_eq!(places.shared.table().taken.len(), 3, "an evicted one gives no place back");
    }

    #[tokio::test]
    async fn while_all_are_answered_the_next_waits() {
        let places = Places::new(1);
        let (place, _evicted) = places.take().expect("there is room");
        assert!(place.begin_answer() && places.take().is_none());
        let waiting = tokio::spawn({
            let places = places.clone();
            async move { places.available().await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        place.end_answer();
        waiting.await.expect("it does not panic");
        assert!(places.take().is_some());
    }
}
