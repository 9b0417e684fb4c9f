//! What is settled before a new connection may send requests: who is behind a proxy, whether anybody can read along,
//! and which protocol is spoken.

use std::rc::Rc;

use forebay_net::link::Link;
use forebay_net::socket::Socket;

use crate::client::Who;
use crate::connection;
use crate::gateway::arrival::Arrival;
use crate::worker::Worker;

/// Serves a new connection until it ends.
pub(crate) async fn serve(worker: Rc<Worker>, arrival: Arrival) {
    let _open = Open::new(&worker);
    let Arrival { socket, peer, listener, trusted: _, counted } = arrival;
    let listener = worker.active().plan.listeners.get(listener).copied().unwrap_or_default();
    let link = match socket {
        Socket::Tcp(stream) => Link::new(stream),
        Socket::Unix(_) => return,
    };
    connection::serve(&worker, link, Rc::new(Who::new(peer, listener))).await;
    drop(counted);
}

/// Counts a connection as open on its worker.
struct Open<'a>(&'a Worker);

impl<'a> Open<'a> {
    fn new(worker: &'a Worker) -> Self {
        worker.stats.connections_active.inc();
        worker.open.set(worker.open.get() + 1);
        Self(worker)
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        self.0.stats.connections_active.dec();
        self.0.open.set(self.0.open.get() - 1);
    }
}
