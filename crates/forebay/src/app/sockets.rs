//! The sockets this process listens on: opened here, or taken over from whoever listened before.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Mutex, MutexGuard};

use serde_json::Value;

/// What comes in there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Requests of clients.
    Clients,
    /// Questions of operators.
    Admin,
}

/// All sockets of one address.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) purpose: Purpose,
    /// As the settings have it: the port may be 0.
    pub(super) wanted: SocketAddr,
    /// As it came to be.
    pub(super) address: SocketAddr,
    /// They are the service manager's, who goes on listening when we end.
    pub(super) lent: bool,
    /// Never empty.
    pub(super) listeners: Vec<TcpListener>,
}

/// What a process may begin with instead of opening sockets itself.
#[derive(Debug, Default)]
pub(crate) struct Inherited {
    pub(super) groups: Vec<Group>,
    /// What else the process before had to say; null if there was none.
    pub(super) state: Value,
}

/// Every socket of this process once more, so that it can be handed to the next one.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    groups: Mutex<Vec<Group>>,
}

impl Purpose {
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Clients => "clients",
            Self::Admin => "admin",
        }
    }

    pub(super) fn by_label(label: &str) -> Option<Self> {
        [Self::Clients, Self::Admin].into_iter().find(|purpose| purpose.label() == label)
    }
}

impl Group {
    /// The same sockets by other descriptors.
    fn again(&self) -> io::Result<Self> {
        let Self { purpose, wanted, address, lent, listeners } = self;
        let listeners = listeners.iter().map(TcpListener::try_clone).collect::<io::Result<_>>()?;
        Ok(Self { purpose: *purpose, wanted: *wanted, address: *address, lent: *lent, listeners })
    }
}

impl Inherited {
    /// The sockets for an address of the settings. Port 0 stands for the port it became in the process before.
    pub(super) fn take(&mut self, purpose: Purpose, wanted: SocketAddr) -> Option<Group> {
        let ours = |group: &Group| group.purpose == purpose || group.lent;
        let exact = |group: &Group| ours(group) && group.address == wanted;
        let became = |group: &Group| ours(group) && wanted.port() == 0 && group.wanted == wanted;
        let at = self.groups.iter().position(exact).or_else(|| self.groups.iter().position(became))?;
        let mut group = self.groups.remove(at);
        group.purpose = purpose;
        Some(group)
    }

    /// Addresses that nobody has asked for, of sockets that somebody has given us on purpose.
    pub(super) fn unclaimed(&self) -> impl Iterator<Item = SocketAddr> {
        self.groups.iter().filter(|group| group.lent).map(|group| group.address)
    }
}

impl Sockets {
    pub(super) fn new(groups: Vec<Group>) -> Self {
        Self { groups: Mutex::new(groups) }
    }

    /// Once more, for another process.
    pub(super) fn again(&self) -> io::Result<Vec<Group>> {
        self.lock().iter().map(Group::again).collect()
    }

    /// Lets go of them, so that they are closed when those who accept let go of them too. Returns the addresses
    /// that others go on to listen on.
    pub(super) fn release(&self) -> Vec<SocketAddr> {
        let groups = std::mem::take(&mut *self.lock());
        groups.into_iter().filter(|group| group.lent).map(|group| group.address).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Group>> {
        self.groups.lock().expect("nothing under this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Groups of one socket each; what was wanted is given, and the port that 0 became is real.
    fn inherited(wanted: &[(Purpose, SocketAddr, bool)]) -> Inherited {
        let group = |&(purpose, wanted, lent): &(Purpose, SocketAddr, bool)| {
            let listener = TcpListener::bind(wanted).expect("the port is free");
            let address = listener.local_addr().expect("it is bound");
            Group { purpose, wanted, address, lent, listeners: vec![listener] }
        };
        Inherited { groups: wanted.iter().map(group).collect(), state: Value::Null }
    }

    fn any_port() -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], 0))
    }

    #[test]
    fn port_0_means_what_it_became_each_once() {
        let (clients, admin) = (Purpose::Clients, Purpose::Admin);
        let mut all = inherited(&[
            (admin, any_port(), false),
            (clients, any_port(), false),
            (clients, any_port(), false),
        ]);
        let addresses: Vec<_> = all.groups.iter().map(|group| group.address).collect();
        let took = |all: &mut Inherited, purpose| all.take(purpose, any_port()).map(|group| group.address);
        assert_eq!(took(&mut all, clients), Some(addresses[1]));
        assert_eq!(took(&mut all, clients), Some(addresses[2]));
        assert_eq!(took(&mut all, clients), None);
        assert_eq!(took(&mut all, admin), Some(addresses[0]));
    }

    #[test]
    fn a_real_port_is_itself_and_for_its_own_purpose() {
        let mut all = inherited(&[(Purpose::Clients, any_port(), false)]);
        let address = all.groups[0].address;
        assert!(all.take(Purpose::Admin, address).is_none());
        assert!(all.take(Purpose::Clients, address).is_some());
    }

    #[test]
    fn what_was_lent_serves_any_purpose_and_must_be_asked_for() {
        let mut all =
            inherited(&[(Purpose::Clients, any_port(), true), (Purpose::Clients, any_port(), true)]);
        let (first, second) = (all.groups[0].address, all.groups[1].address);
        assert!(all.take(Purpose::Admin, first).is_some_and(|group| group.purpose == Purpose::Admin));
        assert_eq!(all.unclaimed().collect::<Vec<_>>(), [second]);
    }
}
