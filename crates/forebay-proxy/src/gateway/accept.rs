//! Taking clients in, within bounds.

use std::cell::OnceCell;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use forebay_net::link::Link;
use forebay_net::listen;
use forebay_telemetry::log::Event;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::connection;
use crate::worker::Worker;

/// Wait before accepting again when there are too many connections, or no file descriptors.
const BACK_OFF: Duration = Duration::from_millis(10);

/// After the door is closed, clients that have knocked may take this long to come in: a generous round trip.
const HANDSHAKES: Duration = Duration::from_millis(200);

/// Tells those who accept to stop.
#[derive(Default)]
pub(super) struct Stop {
    told: Notify,
    /// Where somebody else goes on listening with the same sockets.
    kept: OnceCell<Arc<[SocketAddr]>>,
}

impl Stop {
    /// To be called once.
    pub(super) fn stop(&self, kept: Arc<[SocketAddr]>) {
        let _ = self.kept.set(kept);
        self.told.notify_waiters();
    }

    fn is_told(&self) -> bool {
        self.kept.get().is_some()
    }

    fn keeps(&self, address: SocketAddr) -> bool {
        self.kept.get().is_some_and(|kept| kept.contains(&address))
    }
}

/// Accepts connections on `listener` and serves each in a task of its own, until `stop`.
pub(super) async fn accept(worker: Rc<Worker>, listener: TcpListener, stop: Rc<Stop>) {
    // A socket that is to join others may not listen yet; others do, and what fails there fails for them too.
    let _ = listen::open(&listener);
    let listener = tokio::net::TcpListener::from_std(listener).expect("the listener does not block");
    let stopped = stop.told.notified();
    let mut stopped = std::pin::pin!(stopped);
    // It may have been told before this task first ran.
    'open: while !stop.is_told() {
        tokio::select! {
            () = &mut stopped => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    // One waits here for a place, and those after it in the kernel's queue.
                    while !worker.take_place() {
                        tokio::select! {
                            () = &mut stopped => {
                                take_in_at_last(&worker, stream, peer);
                                break 'open;
                            }
                            () = tokio::time::sleep(BACK_OFF) => {}
                        }
                    }
                    take_in(&worker, stream, peer);
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
    if !listener.local_addr().is_ok_and(|address| stop.keeps(address)) {
        close(&worker, listener).await;
    }
}

/// Closes the door so that nobody who got through it is thrown out again: first no new connection may
/// begin, then those whose handshake is under way are taken in, then the listener is closed.
async fn close(worker: &Rc<Worker>, listener: tokio::net::TcpListener) {
    listen::stop_connecting(&listener);
    let until = tokio::time::Instant::now() + HANDSHAKES;
    while let Ok(accepted) = tokio::time::timeout_at(until, listener.accept()).await {
        if let Ok((stream, peer)) = accepted {
            take_in_at_last(worker, stream, peer);
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
fn take_in_at_last(worker: &Rc<Worker>, stream: TcpStream, peer: SocketAddr) {
    if worker.census.take_place(usize::MAX) {
        take_in(worker, stream, peer);
    }
}

/// Serves a connection that has a place, unless its address has too many.
fn take_in(worker: &Rc<Worker>, stream: TcpStream, peer: SocketAddr) {
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
    let worker = Rc::clone(worker);
    tokio::task::spawn_local(connection::serve(worker, Link::new(stream), peer, counted));
}
