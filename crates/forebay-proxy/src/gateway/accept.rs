//! Taking clients in, within bounds.

use std::cell::{Cell, OnceCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use forebay_net::address::Address;
use forebay_net::listen;
use forebay_net::socket::{Acceptor, Socket};
use forebay_telemetry::log::Event;
use tokio::sync::Notify;

use super::Door;
use super::arrival::Arrival;
use crate::welcome;
use crate::worker::Worker;

/// Wait before accepting again when there are too many connections, or no file descriptors.
const BACK_OFF: Duration = Duration::from_millis(10);

/// After the door is closed, clients that have knocked may take this long to come in: a generous round trip.
const HANDSHAKES: Duration = Duration::from_millis(200);

/// Tells those who accept to stop.
#[derive(Default)]
pub(crate) struct Stop {
    told: Notify,
    /// Whoever is still being served is cut off.
    cut: Notify,
    is_cut: Cell<bool>,
    /// Those who tell clients of that, as long as they have to.
    telling: Cell<usize>,
    told_all: Notify,
    /// Clients whose handshake is under way, where that is not a connection yet: HTTP/3.
    arriving: Cell<usize>,
    /// Where somebody else goes on listening with the same sockets.
    kept: OnceCell<Arc<[Address]>>,
}

/// A client whose handshake is under way.
pub(crate) struct Arriving(Rc<Stop>);

impl Arriving {
    pub(crate) fn new(stop: &Rc<Stop>) -> Self {
        stop.arriving.set(stop.arriving.get() + 1);
        Self(Rc::clone(stop))
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        self.0.arriving.set(self.0.arriving.get() - 1);
    }
}

impl Stop {
    pub(super) fn arriving(&self) -> usize {
        self.arriving.get()
    }

    /// To be called once.
    pub(super) fn stop(&self, kept: Arc<[Address]>) {
        let _ = self.kept.set(kept);
        self.told.notify_waiters();
    }

    /// Has clients told that they are cut off, at most for `limit`.
    pub(super) async fn cut(&self, limit: Duration) {
        self.is_cut.set(true);
        self.cut.notify_waiters();
        // Some may not have begun to wait for it.
        tokio::task::yield_now().await;
        let all = async {
            while self.telling.get() > 0 {
                self.told_all.notified().await;
            }
        };
        let _ = tokio::time::timeout(limit, all).await;
    }

    /// Does `work` until clients are cut off, and then `tell`.
    pub(crate) async fn until_cut(&self, work: impl Future<Output = ()>, tell: impl Future<Output = ()>) {
        self.telling.set(self.telling.get() + 1);
        let cut = self.cut.notified();
        if !self.is_cut.get() {
            tokio::select! {
                () = cut => {}
                () = work => {}
            }
        }
        if self.is_cut.get() {
            tell.await;
        }
        self.telling.set(self.telling.get() - 1);
        self.told_all.notify_one();
    }

    /// Waits until those who accept are to stop.
    pub(crate) async fn told(&self) {
        let told = self.told.notified();
        // It may have been said before.
        if !self.is_told() {
            told.await;
        }
    }

    fn is_told(&self) -> bool {
        self.kept.get().is_some()
    }

    pub(crate) fn keeps(&self, address: &Address) -> bool {
        self.kept.get().is_some_and(|kept| kept.contains(address))
    }
}

/// Accepts connections at `door` and serves each in a task of its own, until `stop`.
pub(super) async fn accept(worker: Rc<Worker>, door: Door, stop: Rc<Stop>) {
    let Door { socket, listener: index } = door;
    // A socket that is to join others may not listen yet; others do, and what fails there fails for them too.
    let _ = listen::open(&socket);
    let address = socket.address();
    let listener = Acceptor::new(socket).expect("the listener does not block");
    let stopped = stop.told.notified();
    let mut stopped = std::pin::pin!(stopped);
    // It may have been told before this task first ran.
    'open: while !stop.is_told() {
        tokio::select! {
            () = &mut stopped => break,
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    let newcomer = Newcomer { socket, peer, listener: index };
                    // One waits here for a place, and those after it in the kernel's queue.
                    while !worker.take_place() {
                        tokio::select! {
                            () = &mut stopped => {
                                take_in_at_last(&worker, newcomer);
                                break 'open;
                            }
                            () = tokio::time::sleep(BACK_OFF) => {}
                        }
                    }
                    take_in(&worker, newcomer);
                }
                Err(error) if is_of_connection(&error) => {}
                // Out of file descriptors or memory: those we have will end some time.
                Err(error) => {
                    worker.log.emit(&Event::AcceptFailed { error: &error });
                    tokio::time::sleep(BACK_OFF).await;
                }
            },
        }
    }
    // A filter would make it deaf for the other process too, and whoever is in its queue is served there.
    if !address.is_ok_and(|address| stop.keeps(&address)) {
        close(&worker, listener, index).await;
    }
}

/// A connection that has just been accepted.
struct Newcomer {
    socket: Socket,
    peer: SocketAddr,
    /// As in `Arrival`.
    listener: usize,
}

/// Closes the door so that nobody who got through it is thrown out again: first no new connection may
/// begin, then those whose handshake is under way are taken in, then the listener is closed.
///
/// Whoever owns the file of a Unix socket has removed it by now, so that nobody comes in there either.
async fn close(worker: &Rc<Worker>, listener: Acceptor, index: usize) {
    if let Acceptor::Tcp(listener) = &listener {
        listen::stop_connecting(listener);
    }
    let until = tokio::time::Instant::now() + HANDSHAKES;
    while let Ok(accepted) = tokio::time::timeout_at(until, listener.accept()).await {
        if let Ok((socket, peer)) = accepted {
            take_in_at_last(worker, Newcomer { socket, peer, listener: index });
        }
    }
}

/// The client has gone away while it was waiting to be accepted.
fn is_of_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused
    )
}

/// Serves a connection whatever the limit says: the door is closed, and the queue behind it is bounded.
fn take_in_at_last(worker: &Rc<Worker>, newcomer: Newcomer) {
    if worker.census.take_place(usize::MAX) {
        take_in(worker, newcomer);
    }
}

/// Serves a connection that has a place, unless its address has too many.
fn take_in(worker: &Rc<Worker>, newcomer: Newcomer) {
    let Newcomer { socket, peer, listener } = newcomer;
    let active = worker.active();
    worker.stats.connections_accepted.inc();
    let trusted = active.plan.trusted_proxies.contains(peer.ip());
    let address = (!trusted).then_some(peer.ip());
    let limit = active.plan.limits.connections_per_ip;
    let Some(counted) = worker.census.enter(address, limit) else {
        worker.log.emit(&Event::ConnectionsPerIpFull { client: peer.ip(), limit });
        worker.stats.connections_refused_per_ip.inc();
        return;
    };
    begin(Rc::clone(worker), Arrival { socket, peer, listener, trusted, counted });
}

/// Serves a connection in a task of its own.
fn begin(worker: Rc<Worker>, arrival: Arrival) {
    tokio::task::spawn_local(welcome::serve(worker, arrival));
}
