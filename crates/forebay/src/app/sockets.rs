//! The sockets this process listens on: opened here, or taken over from whoever listened before.

use std::io;
use std::sync::{Mutex, MutexGuard};

use forebay_net::address::Address;
use forebay_net::h3::Line;
use forebay_net::listen::{Listener, SocketFile};
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
    pub(super) wanted: Address,
    /// As it came to be.
    pub(super) address: Address,
    /// They are the service manager's, who goes on listening when we end.
    pub(super) lent: bool,
    /// Never empty. One, if the address is a path.
    pub(super) listeners: Vec<Listener>,
    /// The UDP sockets of the same number, if HTTP/3 is offered there.
    pub(super) lines: Vec<Line>,
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
    /// Of the Unix sockets among them that nobody has lent us.
    files: Vec<(Address, SocketFile)>,
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
        let Self { purpose, wanted, address, lent, listeners, lines } = self;
        let listeners = listeners.iter().map(Listener::try_clone).collect::<io::Result<_>>()?;
        let (wanted, address, lines) = (wanted.clone(), address.clone(), lines.clone());
        Ok(Self { purpose: *purpose, wanted, address, lent: *lent, listeners, lines })
    }
}

impl Inherited {
    /// The sockets for an address of the settings. Port 0 stands for the port it became in the process before.
    pub(super) fn take(&mut self, purpose: Purpose, wanted: &Address) -> Option<Group> {
        let any_port = wanted.ip().is_some_and(|wanted| wanted.port() == 0);
        let ours = |group: &Group| group.purpose == purpose || group.lent;
        let exact = |group: &Group| ours(group) && group.address == *wanted;
        let became = |group: &Group| ours(group) && any_port && group.wanted == *wanted;
        let at = self.groups.iter().position(exact).or_else(|| self.groups.iter().position(became))?;
        let mut group = self.groups.remove(at);
        group.purpose = purpose;
        Some(group)
    }

    /// Addresses that nobody has asked for, of sockets that somebody has given us on purpose.
    pub(super) fn unclaimed(&self) -> impl Iterator<Item = &Address> {
        self.groups.iter().filter(|group| group.lent).map(|group| &group.address)
    }
}

impl Sockets {
    pub(super) fn new(groups: Vec<Group>) -> Self {
        let ours = groups.iter().filter(|group| !group.lent);
        let file = |group: &Group| Some((group.address.clone(), SocketFile::of(group.address.path()?)?));
        let files = ours.filter_map(file).collect();
        Self { groups: Mutex::new(groups), files }
    }

    /// Once more, for another process.
    pub(super) fn again(&self) -> io::Result<Vec<Group>> {
        self.lock().iter().map(Group::again).collect()
    }

    /// Lets go of them, so that they are closed when those who accept let go of them too, and removes the files of
    /// Unix sockets, so that nobody comes any more; but not those of addresses in `kept`, where another process has
    /// taken over. Returns the addresses that others go on to listen on besides.
    pub(super) fn release(&self, kept: &[Address]) -> Vec<Address> {
        let left = self.files.iter().filter(|(address, _)| !kept.contains(address));
        left.for_each(|(_, file)| file.remove());
        let groups = std::mem::take(&mut *self.lock());
        groups.into_iter().filter(|group| group.lent).map(|group| group.address).collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Group>> {
        self.groups.lock().expect("nothing under this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use forebay_net::listen;
    use forebay_testkit::scratch::Scratch;

    use super::*;

    /// Groups of one socket each; what was wanted is given, and the port that 0 became is real.
    fn inherited(wanted: &[(Purpose, Address, bool)]) -> Inherited {
        let group = |(purpose, wanted, lent): &(Purpose, Address, bool)| {
            let listeners = listen::listeners(wanted, 1).expect("it is free");
            let address = listeners[0].address().expect("it is bound");
            let lines = Vec::new();
            Group { purpose: *purpose, wanted: wanted.clone(), address, lent: *lent, listeners, lines }
        };
        Inherited { groups: wanted.iter().map(group).collect(), state: Value::Null }
    }

    fn any_port() -> Address {
        std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()
    }

    #[test]
    fn port_0_means_what_it_became_each_once() {
        let (clients, admin) = (Purpose::Clients, Purpose::Admin);
        let mut all = inherited(&[
            (admin, any_port(), false),
            (clients, any_port(), false),
            (clients, any_port(), false),
        ]);
        let addresses: Vec<_> = all.groups.iter().map(|group| group.address.clone()).collect();
        let took = |all: &mut Inherited, purpose| all.take(purpose, &any_port()).map(|group| group.address);
        assert_eq!(took(&mut all, clients), Some(addresses[1].clone()));
        assert_eq!(took(&mut all, clients), Some(addresses[2].clone()));
        assert_eq!(took(&mut all, clients), None);
        assert_eq!(took(&mut all, admin), Some(addresses[0].clone()));
    }

    #[test]
    fn a_real_port_is_itself_and_for_its_own_purpose() {
        let mut all = inherited(&[(Purpose::Clients, any_port(), false)]);
        let address = all.groups[0].address.clone();
        assert!(all.take(Purpose::Admin, &address).is_none());
        assert!(all.take(Purpose::Clients, &address).is_some());
    }

    #[test]
    fn what_was_lent_serves_any_purpose_and_must_be_asked_for() {
        let mut all =
            inherited(&[(Purpose::Clients, any_port(), true), (Purpose::Clients, any_port(), true)]);
        let (first, second) = (all.groups[0].address.clone(), all.groups[1].address.clone());
        assert!(all.take(Purpose::Admin, &first).is_some_and(|group| group.purpose == Purpose::Admin));
        assert_eq!(all.unclaimed().collect::<Vec<_>>(), [&second]);
    }

    #[test]
    fn the_file_of_a_socket_goes_with_us_unless_others_serve_there() {
        let scratch = Scratch::new("sockets");
        let at = |name: &str| {
            Address::Unix(scratch.path().join(name).to_str().expect("the directory is text").into())
        };
        let (clients, lent) = (Purpose::Clients, true);
        let all = inherited(&[
            (clients, at("ours"), !lent),
            (clients, at("handed-over"), !lent),
            (clients, at("systemds"), lent),
            (clients, any_port(), !lent),
        ]);
        let sockets = Sockets::new(all.groups);
        assert_eq!(sockets.again().expect("there are descriptors").len(), 4);
        assert_eq!(sockets.release(&[at("handed-over")]), [at("systemds")]);
        let is_there = |name| at(name).path().is_some_and(std::path::Path::exists);
        assert_eq!(["ours", "handed-over", "systemds"].map(is_there), [false, true, true]);
    }
}
