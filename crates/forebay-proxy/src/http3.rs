//! Clients that speak HTTP/3: a worker's UDP sockets, the connections that come in there, and their requests.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;

use forebay_net::h3::{Arrival, Attempt, Connection, Endpoint, Incoming, Server, Settings, socket};
use forebay_net::listen::Listener;
use forebay_telemetry::log::Event;

use crate::census::Counted;
use crate::client::Who;
use crate::gateway::Door;
use crate::multiplexed::{Request, http2_limits};
use crate::plan::Plan;
use crate::welcome::{self, Level, Open};
use crate::worker::Worker;

/// Where a worker's clients come in by HTTP/3.
#[derive(Debug)]
pub(crate) struct Gate {
    socket: UdpSocket,
    /// Which of `Plan::listeners` it belongs to.
    listener: usize,
}

/// Opens a UDP socket of the same number beside each door where HTTP/3 is offered, one for each worker.
///
/// # Errors
/// There is none to be had, or what is to be offered there is of no use.
pub(crate) fn open(doors: &[Vec<Door>], plan: &Plan) -> io::Result<Vec<Vec<Gate>>> {
    let mut all = Vec::new();
    for doors in doors {
        let mut gates: Vec<Gate> = Vec::new();
        for Door { socket: tcp, listener } in doors {
            let offered = plan.listeners.get(*listener).is_some_and(|listener| listener.http3);
            let Listener::Tcp(tcp) = tcp else { continue };
            if !offered || gates.iter().any(|gate| gate.listener == *listener) {
                continue;
            }
            // What is wrong with it is better known now than when the first client comes.
            server(plan).map_err(io::Error::other)?;
            let address = tcp.local_addr()?;
            let socket = socket(address).map_err(|error| {
                let text = format!("cannot open UDP port {address} for HTTP/3: {error}");
                io::Error::new(error.kind(), text)
            })?;
            gates.push(Gate { socket, listener: *listener });
        }
        all.push(gates);
    }
    Ok(all)
}

/// What clients are served with by `plan`.
fn server(plan: &Plan) -> Result<Server, String> {
    let tls = plan.tls.as_ref().ok_or("HTTP/3 needs certificates")?;
    let tls = tls.server.quic().map_err(|error| error.to_string())?;
    let limits = &plan.limits;
    let settings = Settings {
        limits: http2_limits(limits),
        handshake_timeout: limits.handshake_timeout,
        idle: limits.idle,
        connect: true,
    };
    Server::new(tls, settings)
}

/// What is offered by the plan that was made for.
struct Offer {
    plan: Arc<Plan>,
    server: Server,
}

impl Offer {
    /// The offer of the present plan. If nothing can be made of it, the one before stays.
    fn renew(&mut self, worker: &Worker) {
        let plan = &worker.active().plan;
        if !Arc::ptr_eq(plan, &self.plan) {
            if let Ok(server) = server(plan) {
                self.server = server;
            }
            self.plan = Arc::clone(plan);
        }
    }
}

/// Takes clients in at `gate` until `stopped`, and refuses them after that, for as long as others are being served.
pub(crate) async fn serve(worker: Rc<Worker>, gate: Gate, stopped: impl Future<Output = ()>) {
    let Gate { socket, listener } = gate;
    let plan = Arc::clone(&worker.active().plan);
    // It has been tried before the worker was made.
    let Ok(server) = server(&plan) else { return };
    let endpoint = match Endpoint::new(socket, &server) {
        Ok(endpoint) => endpoint,
        Err(error) => return worker.log.emit(&Event::AcceptFailed { error: &error }),
    };
    let address = endpoint.address().ok();
    let mut offer = Offer { plan, server };
    let mut stopped = std::pin::pin!(stopped);
    loop {
        let knock = tokio::select! {
            () = &mut stopped => break,
            knock = endpoint.accept() => knock,
        };
        let Some(knock) = knock else { return };
        offer.renew(&worker);
        if let Some(attempt) = knock.answer(&offer.server) {
            tokio::task::spawn_local(welcome(Rc::clone(&worker), attempt, (listener, address)));
        }
    }
    tokio::task::spawn_local(endpoint.refuse());
}

/// Serves a new connection until it ends.
async fn welcome(worker: Rc<Worker>, attempt: Attempt, (listener, address): (usize, Option<SocketAddr>)) {
    let Some(connection) = attempt.finish().await else { return };
    // Only now is its address known to be its own.
    let Some(counted) = count(&worker, &connection) else { return };
    let _open = Open::new(&worker);
    let listener = worker.active().plan.listeners.get(listener).copied().unwrap_or_default();
    let protocols = &worker.stats.protocols;
    let _levels = (Level::up(&protocols.secured), Level::up(&protocols.http3));
    let handshake = connection.handshake();
    welcome::count(protocols, &handshake);
    let local = own_address(&connection, address);
    let who = Rc::new(Who::secured(connection.peer(), listener, handshake).at(local));
    serve_connection(&worker, &connection, &who).await;
    drop(counted);
}

/// Our end of a connection whose socket has this address, which may stand for all of the machine's.
fn own_address(connection: &Connection, socket: Option<SocketAddr>) -> Option<SocketAddr> {
    let socket = socket?;
    let ip = connection.local_ip().unwrap_or(socket.ip());
    (!ip.is_unspecified()).then(|| SocketAddr::new(ip.to_canonical(), socket.port()))
}

/// Counts a connection; `None`: there are too many.
fn count(worker: &Worker, connection: &Connection) -> Option<Counted> {
    if !worker.take_place() {
        return None;
    }
    let active = worker.active();
    let peer = connection.peer().ip();
    worker.stats.connections_accepted.inc();
    let address = (!active.plan.trusted_proxies.contains(peer)).then_some(peer);
    let limit = active.plan.limits.connections_per_ip;
    let counted = worker.census.enter(address, limit);
    if counted.is_none() {
        worker.log.emit(&Event::ConnectionsPerIpFull { client: peer, limit });
        worker.stats.connections_refused_per_ip.inc();
    }
    counted
}

async fn serve_connection(worker: &Rc<Worker>, connection: &Connection, who: &Rc<Who>) {
    let mut told = false;
    loop {
        let arrival = tokio::select! {
            arrival = connection.accept() => arrival,
            () = worker.drained(), if !told => {
                told = true;
                connection.drain();
                continue;
            }
        };
        let Some(arrival) = arrival else { return };
        tokio::task::spawn_local(serve_request(Rc::clone(worker), arrival, Rc::clone(who)));
    }
}

/// Reads a request's head and serves it.
async fn serve_request(worker: Rc<Worker>, arrival: Arrival, who: Rc<Who>) {
    let Some(Incoming { stream, mut request, .. }) = arrival.read(Box::default()).await else { return };
    let (protocol, error) = (request.protocol, request.error);
    let mut on_stream = Request::new(&worker, stream, who);
    on_stream.take(&mut request.head, &request.bytes, protocol, error);
    drop(request);
    on_stream.serve().await;
}
