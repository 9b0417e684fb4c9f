//! How many clients are connected: in all, and from one address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// Counts open client connections over all workers.
#[derive(Debug, Default)]
pub(crate) struct Census {
    all: AtomicUsize,
    by_address: Mutex<HashMap<IpAddr, usize, foldhash::fast::RandomState>>,
}

/// A counted connection; no longer counted once dropped.
#[derive(Debug)]
pub(crate) struct Counted {
    census: Arc<Census>,
    /// The address it is counted under; `None`: trusted, so counted in all only.
    address: Option<IpAddr>,
}

impl Census {
    /// Connections open now.
    #[must_use]
    pub(crate) fn open(&self) -> usize {
        self.all.load(Ordering::Relaxed)
    }

    /// Takes one of `max` places for connections in all; `false`: there is none. To be followed by `enter`,
    /// which gives it back when the connection ends.
    pub(crate) fn take_place(&self, max: usize) -> bool {
        let take = |open: usize| (open < max).then_some(open + 1);
        self.all.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    /// Counts a connection from `address`, which has a place; `None`: the address has `max` already, and the
    /// place is given back. Without an address there is no such bound.
    pub(crate) fn enter(self: &Arc<Self>, address: Option<IpAddr>, max: usize) -> Option<Counted> {
        let mut counted = Counted { census: Arc::clone(self), address: None };
        counted.rename(address, max).then_some(counted)
    }

    fn add(&self, address: IpAddr, max: usize) -> bool {
        let mut by_address = self.by_address.lock().expect("no panic under this lock");
        let open = by_address.entry(address).or_default();
        if *open >= max {
            if *open == 0 {
                by_address.remove(&address);
            }
            return false;
        }
        *open += 1;
        true
    }

    fn subtract(&self, address: IpAddr) {
        let mut by_address = self.by_address.lock().expect("no panic under this lock");
        if let Some(open) = by_address.get_mut(&address) {
            *open -= 1;
            if *open == 0 {
                by_address.remove(&address);
            }
        }
    }
}

impl Counted {
    /// Counts the connection under another address from now on, since a proxy has told whose it is, or under none;
    /// `false`: that address has `max` already, and it is counted as before.
    pub(crate) fn rename(&mut self, address: Option<IpAddr>, max: usize) -> bool {
        let address = address.map(network);
        if address == self.address {
            return true;
        }
        if address.is_some_and(|address| !self.census.add(address, max)) {
            return false;
        }
        if let Some(before) = std::mem::replace(&mut self.address, address) {
            self.census.subtract(before);
        }
        true
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.census.all.fetch_sub(1, Ordering::Relaxed);
        if let Some(address) = self.address {
            self.census.subtract(address);
        }
    }
}

/// One IPv6 customer has a whole /64, so it counts as one address.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let mut segments = v6.segments();
            segments[4..].fill(0);
            IpAddr::V6(Ipv6Addr::from(segments))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn enter(census: &Arc<Census>, address: Option<&str>, max: usize) -> Option<Counted> {
        assert!(census.take_place(100));
        census.enter(address.map(|address| address.parse().unwrap()), max)
    }

    #[test]
    fn an_address_may_have_so_many_and_gets_its_places_back() {
        let census = Arc::new(Census::default());
        let one = enter(&census, Some("192.0.2.1"), 2);
        let two = enter(&census, Some("192.0.2.1"), 2);
        assert!(one.is_some() && two.is_some());
        assert!(enter(&census, Some("192.0.2.1"), 2).is_none());
        assert!(enter(&census, Some("192.0.2.2"), 2).is_some());
        assert!(enter(&census, None, 0).is_some(), "trusted");
        drop(one);
        assert!(enter(&census, Some("192.0.2.1"), 2).is_some());
        drop(two);
        assert_eq!(census.open(), 0);
        assert!(census.by_address.lock().unwrap().is_empty());
    }

    #[test]
    fn a_connection_counts_for_whom_it_is_made_once_that_is_told() {
        let census = Arc::new(Census::default());
        let one = "192.0.2.1".parse().ok();
        let mut first = enter(&census, Some("198.51.100.1"), 1).unwrap();
        let mut second = enter(&census, None, 1).unwrap();
        assert!(first.rename(one, 1) && first.rename(one, 0), "it has its place already");
        assert!(!second.rename(one, 1), "there is one");
        assert!(enter(&census, Some("198.51.100.1"), 1).is_some(), "the place of before is free");
        drop(first);
        assert!(second.rename(one, 1) && second.rename(None, 0) && second.rename(one, 1));
        drop(second);
        assert_eq!(census.open(), 0);
        assert!(census.by_address.lock().unwrap().is_empty());
    }

    #[test]
    fn there_are_so_many_places_in_all() {
        let census = Arc::new(Census::default());
        assert!(census.take_place(1));
        assert!(!census.take_place(1));
        drop(census.enter(None, 0));
        assert!(census.take_place(1));
    }

    #[test]
    fn a_whole_ipv6_network_is_one_address() {
        let census = Arc::new(Census::default());
        let _one = enter(&census, Some("2001:db8::1"), 1);
        assert!(enter(&census, Some("2001:db8::2"), 1).is_none());
        assert!(enter(&census, Some("2001:db8:0:1::2"), 1).is_some());
    }
}
