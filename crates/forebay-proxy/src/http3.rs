//! Clients that speak HTTP/3: a worker's UDP sockets, the connections that come in there, and their requests.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use forebay_net::h3::{Arrival, Attempt, Connection, Endpoint, Incoming, Server, Settings};
use forebay_telemetry::log::Event;

use crate::census::Counted;
use crate::client::Who;
use crate::gateway::Gate;
use crate::gateway::accept::{Arriving, Stop};
use crate::multiplexed::{Request, http2_limits};
use crate::plan::Plan;
use crate::welcome::{self, Level, Open};
use crate::worker::Worker;

/// A client that is cut off is told so, and an answer is waited for no longer than this.
const FAREWELL: Duration = Duration::from_millis(10);

/// What clients are served with by `plan`.
///
/// # Errors
/// Nobody can be served with that by QUIC: why.
pub(crate) fn server(plan: &Plan) -> Result<Server, String> {
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
            match server(plan) {
                Ok(server) => self.server = server,
                Err(why) => {
                    let problem = format!("HTTP/3 goes on with the certificates and limits before: {why}");
                    worker.log.emit(&Event::SettingsWarning { problem: &problem });
                }
            }
            self.plan = Arc::clone(plan);
        }
    }
}

/// Takes clients in at `gate` until told to stop, and nobody after that, for as long as others are being served.
pub(crate) async fn serve(worker: Rc<Worker>, gate: Gate, stop: Rc<Stop>) {
    let Gate { line, listener } = gate;
    let plan = Arc::clone(&worker.active().plan);
    // It has been tried before the worker was made.
    let Ok(server) = server(&plan) else { return };
    let endpoint = match Endpoint::new(&line, &server) {
        Ok(endpoint) => endpoint,
        Err(error) => return worker.log.emit(&Event::AcceptFailed { error: &error }),
    };
    let address = endpoint.address().ok();
    let mut offer = Offer { plan, server };
    {
        let mut stopped = std::pin::pin!(stop.told());
        loop {
            let knock = tokio::select! {
                () = &mut stopped => break,
                knock = endpoint.accept() => knock,
            };
            let Some(knock) = knock else { return };
            offer.renew(&worker);
            if let Some(attempt) = knock.answer(&offer.server) {
                tokio::task::spawn_local(welcome(
                    Rc::clone(&worker),
                    attempt,
                    (listener, address),
                    Arriving::new(&stop),
                ));
            }
        }
    }
    let kept = line.address().is_ok_and(|address| stop.keeps(&address.into()));
    tokio::task::spawn_local(async move {
        stop.until_cut(endpoint.refuse(kept), endpoint.close(FAREWELL)).await;
    });
}

/// Serves a new connection until it ends.
async fn welcome(
    worker: Rc<Worker>,
    attempt: Attempt,
    (listener, address): (usize, Option<SocketAddr>),
    arriving: Arriving,
) {
    let connection = match attempt.finish().await {
        Ok(connection) => connection,
        Err(why) => return worker.stats.protocols.count_failed(why.word()),
    };
    // Only now is its address known to be its own.
    let Some(counted) = count(&worker, &connection) else { return };
    let _open = Open::new(&worker);
    drop(arriving);
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
