//! What systemd is told, and the sockets it gives us. Without systemd nothing happens here.
//!
//! Messages are those of `sd_notify(3)`, sent to the datagram socket that `NOTIFY_SOCKET` names.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr as Name, UnixDatagram};
use std::time::Duration;
use std::{env, io};

use anyhow::{Context as _, bail};
use forebay_net::address::Address;
use forebay_net::listen::Listener;
use listenfd::ListenFd;
use rustix::time::{ClockId, clock_gettime};

use super::sockets::{Group, Inherited, Purpose};

/// The first descriptor of those that are passed, by `sd_listen_fds(3)`.
const FIRST: usize = 3;
/// Most sockets that are taken.
const SOCKETS_MAX: usize = 1_024;
/// A message that the manager has no room for is sent again after this long,
const TRY_EVERY: Duration = Duration::from_millis(20);
/// and so often: for a second.
const TRIES: u32 = 50;
/// Variables that were meant for this process alone.
pub(super) const OUR_VARIABLES: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// The way to the service manager, if there is one.
#[derive(Debug, Default)]
pub(super) struct Notifier {
    socket: Option<UnixDatagram>,
}

impl Notifier {
    /// Whoever `NOTIFY_SOCKET` names; nobody if it is not set, or leads nowhere.
    pub(super) fn from_env() -> Self {
        Self { socket: env::var_os("NOTIFY_SOCKET").and_then(|name| connect(&name)) }
    }

    /// Everything is served.
    pub(super) async fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={status}")).await;
    }

    /// The settings are read anew; `ready` says when that is over.
    pub(super) async fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let micros = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1_000);
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reading the settings anew")).await;
    }

    /// We drain, and then end.
    pub(super) async fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=finishing what is in flight").await;
    }

    /// Another process is the service from now on. The last word of this one that counts.
    pub(super) async fn succeeded_by(&self, pid: u32, status: &str) {
        self.send(&format!("MAINPID={pid}\nREADY=1\nSTATUS={status}")).await;
    }

    /// We are alive.
    pub(super) fn watchdog(&self) {
        // One that is lost is followed by another.
        self.try_send("WATCHDOG=1");
    }

    /// These count: while the manager does not read, they are tried again, but not for long.
    async fn send(&self, text: &str) {
        for _ in 0..TRIES {
            if self.try_send(text) {
                return;
            }
            tokio::time::sleep(TRY_EVERY).await;
        }
    }

    /// Whether trying again makes no difference: it is sent, or there is nobody to send it to.
    fn try_send(&self, text: &str) -> bool {
        let Some(socket) = &self.socket else { return true };
        !matches!(socket.send(text.as_bytes()), Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }
}

/// A path, or with `@` a name that is not in the file system.
fn connect(name: &OsStr) -> Option<UnixDatagram> {
    let name = name.as_bytes();
    let address = match name.strip_prefix(b"@") {
        Some(name) => Name::from_abstract_name(name),
        None => Name::from_pathname(OsStr::from_bytes(name)),
    };
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    socket.connect_addr(&address.ok()?).ok()?;
    Some(socket)
}

/// How often `watchdog` must be called: twice as often as `WATCHDOG_USEC` asks for, if that is meant for us.
pub(super) fn watchdog_interval() -> Option<Duration> {
    let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let pid = env::var_os("WATCHDOG_PID").filter(|pid| !pid.is_empty());
    if pid.is_some_and(|pid| pid.to_str() != Some(std::process::id().to_string().as_str())) {
        return None;
    }
    number("WATCHDOG_USEC").filter(|micros| *micros > 1).map(|micros| Duration::from_micros(micros / 2))
}

/// The sockets that `LISTEN_FDS` speaks of, if `LISTEN_PID` says they are for us.
///
/// # Errors
/// One of them is neither a TCP nor a Unix socket that listens.
pub(super) fn sockets() -> anyhow::Result<Inherited> {
    let ours = env::var("LISTEN_PID").is_ok_and(|pid| pid.parse() == Ok(std::process::id()));
    let count = env::var("LISTEN_FDS").ok().and_then(|count| count.parse::<usize>().ok());
    let Some(count) = count.filter(|_| ours) else { return Ok(Inherited::default()) };
    if count > SOCKETS_MAX {
        bail!("LISTEN_FDS is {count}; at most {SOCKETS_MAX} sockets are taken");
    }
    let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
    let names: Vec<&str> = names.split(':').collect();
    let mut passed = ListenFd::from_env();
    let mut groups: Vec<Group> = Vec::new();
    for index in 0..count {
        let which = || {
            let name = names.get(index).filter(|name| !name.is_empty()).unwrap_or(&"no name");
            format!(
                "the socket passed as descriptor {} ({name}) is not of use: only listening TCP and Unix stream sockets are; see `ListenStream=` of its socket unit",
                FIRST + index
            )
        };
        let listener = take(&mut passed, index).with_context(which)?;
        let Some(listener) = listener else { bail!(which()) };
        let listens = rustix::net::sockopt::socket_acceptconn(&listener).with_context(which)?;
        if !listens {
            bail!(which());
        }
        let address = listener.address().with_context(which)?;
        listener.set_nonblocking().with_context(which)?;
        add(&mut groups, address, listener);
    }
    Ok(Inherited { groups, ..Inherited::default() })
}

/// The socket with this index, of whichever kind. One that is of the wrong kind is left where it is.
fn take(passed: &mut ListenFd, index: usize) -> io::Result<Option<Listener>> {
    match passed.take_unix_listener(index) {
        Ok(listener) => Ok(listener.map(Listener::Unix)),
        Err(_) => passed.take_tcp_listener(index).map(|listener| listener.map(Listener::Tcp)),
    }
}

/// Sockets of one address stay together: the kernel deals connections out to all of them.
fn add(groups: &mut Vec<Group>, address: Address, listener: Listener) {
    match groups.iter_mut().find(|group| group.address == address) {
        Some(group) => group.listeners.push(listener),
        None => groups.push(Group {
            purpose: Purpose::Clients,
            wanted: address.clone(),
            address,
            lent: true,
            listeners: vec![listener],
            lines: Vec::new(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(at: &UnixDatagram) -> String {
        let mut buffer = [0; 256];
        let length = at.recv(&mut buffer).expect("a message is there");
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    }

    #[tokio::test]
    async fn a_name_outside_the_file_system_can_be_reached() {
        let name = format!("forebay-test-{}", std::process::id());
        let address = Name::from_abstract_name(&name).expect("a short name");
        let manager = UnixDatagram::bind_addr(&address).expect("the name is free");
        manager.set_nonblocking(true).expect("it is a socket");
        let notifier = Notifier { socket: connect(OsStr::new(&format!("@{name}"))) };
        notifier.ready("serving").await;
        assert_eq!(received(&manager), "READY=1\nSTATUS=serving");
        notifier.succeeded_by(7, "serving").await;
        assert_eq!(received(&manager), "MAINPID=7\nREADY=1\nSTATUS=serving");
        notifier.reloading().await;
        let text = received(&manager);
        let micros = text.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
        assert!(micros.is_some_and(|micros| micros.parse::<u64>().is_ok_and(|micros| micros > 0)), "{text}");
    }

    #[tokio::test]
    async fn a_manager_that_does_not_listen_is_none() {
        assert!(connect(OsStr::new("/nowhere/at/all")).is_none());
        Notifier::default().ready("nobody hears it").await;
    }

    #[test]
    fn a_manager_that_does_not_read_holds_nobody_up() {
        let name = format!("forebay-test-deaf-{}", std::process::id());
        let address = Name::from_abstract_name(&name).expect("a short name");
        let _manager = UnixDatagram::bind_addr(&address).expect("the name is free");
        let notifier = Notifier { socket: connect(OsStr::new(&format!("@{name}"))) };
        for _ in 0..10_000 {
            notifier.watchdog();
        }
    }

    #[tokio::test]
    async fn a_manager_that_reads_late_misses_nothing_that_counts() {
        let name = format!("forebay-test-late-{}", std::process::id());
        let address = Name::from_abstract_name(&name).expect("a short name");
        let manager = UnixDatagram::bind_addr(&address).expect("the name is free");
        manager.set_nonblocking(true).expect("it is a socket");
        let notifier = Notifier { socket: connect(OsStr::new(&format!("@{name}"))) };
        while notifier.try_send("WATCHDOG=1") {}
        // It has been tried once before this is first run.
        let late = async {
            let mut buffer = [0; 256];
            loop {
                match manager.recv(&mut buffer) {
                    Ok(length) if buffer[..length].starts_with(b"READY=1") => break,
                    Ok(_) => {}
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        };
        tokio::join!(notifier.ready("serving"), late);
    }
}
