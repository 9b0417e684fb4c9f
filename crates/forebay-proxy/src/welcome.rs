//! What is settled before a new connection may send requests: who is behind a proxy, whether anybody can read along,
//! and which protocol is spoken.

use std::rc::Rc;

use forebay_base::time::Instant;
use forebay_net::link::{Link, TlsFailure};
use forebay_net::socket::Socket;
use forebay_net::tls::{Alpn, Failure, Handshake};

use crate::client::Who;
use crate::gateway::arrival::Arrival;
use crate::plan::Listener;
use crate::worker::Worker;
use crate::{connection, multiplexed};

/// What a client hears that speaks plain HTTP where it has to be secured.
const PLAIN_HTTP: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 65\r\n\
    Connection: close\r\nCache-Control: no-store\r\n\r\nThis port speaks HTTPS: write https:// in front of the address.\r\n";

/// Serves a new connection until it ends.
pub(crate) async fn serve(worker: Rc<Worker>, arrival: Arrival) {
    let _open = Open::new(&worker);
    let Arrival { socket, peer, listener, trusted: _, counted } = arrival;
    let listener = worker.active().plan.listeners.get(listener).copied().unwrap_or_default();
    let link = match socket {
        Socket::Tcp(stream) => Link::new(stream),
        Socket::Unix(stream) => Link::unix(stream),
    };
    if listener.tls {
        // Boxed: what a handshake needs must not make every idle connection larger.
        let Some((link, handshake)) = Box::pin(secure(&worker, link, listener)).await else { return };
        let multiplexed = handshake.alpn == Alpn::H2;
        let who = Rc::new(Who::secured(peer, listener, handshake));
        if multiplexed {
            Box::pin(multiplexed::serve(&worker, link, who, None)).await;
        } else {
            connection::serve(&worker, link, who).await;
        }
    } else {
        connection::serve(&worker, link, Rc::new(Who::new(peer, listener))).await;
    }
    drop(counted);
}

/// The handshake. `None`: it went wrong, or was all there was to do.
async fn secure(worker: &Worker, link: Link, listener: Listener) -> Option<(Link, Handshake)> {
    let active = worker.active();
    let alarm = worker.wheel.alarm();
    let deadline = Instant::now() + active.plan.limits.handshake_timeout;
    let server = active.plan.tls.as_ref()?.server.clone();
    drop(active);
    match link.accept_tls(&server, listener.http2, &[], &alarm, deadline).await {
        Ok((_, handshake)) if handshake.alpn == Alpn::AcmeTls => None,
        Ok(secured) => Some(secured),
        Err(TlsFailure { why, link }) => {
            if let (Failure::NotTls { http: true }, Some(link)) = (&why, link) {
                let _ = link.write_all([PLAIN_HTTP], &alarm, || deadline).await;
                let _ = link.shutdown().await;
            }
            None
        }
    }
}

/// Counts a connection as open on its worker.
pub(crate) struct Open<'a>(&'a Worker);

impl<'a> Open<'a> {
    pub(crate) fn new(worker: &'a Worker) -> Self {
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
