//! What is settled before a new connection may send requests: who is behind a proxy, whether anybody can read along,
//! and which protocol is spoken.

use std::net::SocketAddr;
use std::rc::Rc;

use forebay_base::time::Instant;
use forebay_net::link::{Link, TlsFailure};
use forebay_net::proxy_protocol::{self, Client, ReadError};
use forebay_net::socket::Socket;
use forebay_net::tls::{Alpn, Failure, Handshake, Version};
use forebay_telemetry::log::Event;
use forebay_telemetry::metric::Gauge;
use forebay_telemetry::stats::ProtocolStats;

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
    let listener = worker.active().plan.listeners.get(arrival.listener).copied().unwrap_or_default();
    let (mut local, mut unnamed) = (None, false);
    let Arrival { socket, peer, counted, .. } = if listener.proxy_protocol {
        // Boxed: what it needs must not make every idle connection larger.
        let Some((arrival, told)) = Box::pin(introduce(&worker, arrival)).await else { return };
        (local, unnamed) = (told, told.is_none());
        arrival
    } else {
        arrival
    };
    let link = match socket {
        Socket::Tcp(stream) => Link::new(stream),
        Socket::Unix(stream) => Link::unix(stream),
    };
    if listener.tls {
        // Boxed: what a handshake needs must not make every idle connection larger.
        let Some((link, handshake)) = Box::pin(secure(&worker, link, listener)).await else { return };
        let _secured = Level::up(&worker.stats.protocols.secured);
        let multiplexed = handshake.alpn == Alpn::H2;
        let who = Rc::new(Who::secured(peer, listener, handshake).at(local).unnamed(unnamed));
        if multiplexed {
            Box::pin(multiplexed::serve(&worker, link, who, None)).await;
        } else {
            connection::serve(&worker, link, who).await;
        }
    } else {
        connection::serve(&worker, link, Rc::new(Who::new(peer, listener).at(local).unnamed(unnamed))).await;
    }
    drop(counted);
}

/// Reads for whom a proxy connects; returns also where its client has connected to, if it says anything. `None`: the connection does not
/// begin as it should, or the client has too many.
async fn introduce(worker: &Worker, mut arrival: Arrival) -> Option<(Arrival, Option<SocketAddr>)> {
    let active = worker.active();
    let limits = &active.plan.limits;
    let refuse = |error: &dyn std::fmt::Display| {
        worker.stats.protocols.proxy_refused.inc();
        worker.log.emit(&Event::ProxyProtocolRefused { peer: arrival.peer.ip(), error });
    };
    if !arrival.trusted {
        refuse(&"it is none of `trusted_proxies`");
        return None;
    }
    let alarm = worker.wheel.alarm();
    let header =
        proxy_protocol::read(&arrival.socket, &alarm, Instant::now() + limits.handshake_timeout).await;
    let client = match header {
        Ok(header) => header.client,
        // A balancer looks whether we are there in this way.
        Err(ReadError::Gone) => return None,
        Err(error) => {
            refuse(&error);
            return None;
        }
    };
    let Client::Ip { source, destination } = client else { return Some((arrival, None)) };
    let trusted = active.plan.trusted_proxies.contains(source.ip());
    if !arrival.counted.rename((!trusted).then_some(source.ip()), limits.connections_per_ip) {
        worker
            .log
            .emit(&Event::ConnectionsPerIpFull { client: source.ip(), limit: limits.connections_per_ip });
        worker.stats.connections_refused_per_ip.inc();
        return None;
    }
    arrival.peer = source;
    Some((arrival, Some(destination)))
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
        Ok((link, handshake)) => {
            count(&worker.stats.protocols, &handshake);
            Some((link, handshake))
        }
        Err(TlsFailure { why, link }) => {
            worker.stats.protocols.count_failed(why.word());
            if let (Failure::NotTls { http: true }, Some(link)) = (&why, link) {
                let _ = link.write_all([PLAIN_HTTP], &alarm, || deadline).await;
                let _ = link.shutdown().await;
            }
            None
        }
    }
}

/// Counts a handshake that came to an agreement.
pub(crate) fn count(stats: &ProtocolStats, handshake: &Handshake) {
    let version = match handshake.version {
        Version::V1_2 => 0,
        Version::V1_3 => 1,
    };
    stats.handshakes[version][usize::from(handshake.resumed)].inc();
}

/// Counts something as open for as long as it lives.
pub(crate) struct Level<'a>(&'a Gauge);

impl<'a> Level<'a> {
    pub(crate) fn up(gauge: &'a Gauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Level<'_> {
    fn drop(&mut self) {
        self.0.dec();
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
