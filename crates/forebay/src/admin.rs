//! The admin server: status page, metrics, health, and a small API. Never on the data path.
//!
//! It runs on the control plane's runtime. Whoever reaches its port may look; who has the token, if one is set,
//! may look and change. What it answers is decided in [`api`], whom it answers in [`guard`].

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_proxy::supervisor::{ServiceView, Steer, SteerError};
use forebay_telemetry::log::{Event, Log};
use forebay_telemetry::stats::Telemetry;
use forebay_telemetry::summary::Recorder;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;

use crate::app::Changes;

mod api;
mod endpoints;
mod guard;
mod pprof;
mod reply;
mod view;

/// Open admin connections; more wait in the listen queue.
const CONNECTIONS_MAX: usize = 64;
/// From the start of a connection, or the end of an answer, to the end of the next request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection is asked to end after this long, so that none is held for ever.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(300);
/// How long a connection that was asked to end may take to finish its answer.
const GOODBYE_MAX: Duration = Duration::from_secs(2);
/// Largest request head, in bytes.
const HEAD_BYTES_MAX: usize = 16 << 10;
/// How often the counters are looked at.
const TICK: Duration = Duration::from_secs(1);
/// Pause after a failed accept, which is mostly a lack of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What the admin server may ask of the rest of the process.
pub trait Control: Send + Sync + 'static {
    /// The configured routes, as JSON for people and tools.
    fn routes(&self) -> Value;

    /// Every service and its endpoints as they are now, in the order of the settings.
    fn services(&self) -> Vec<ServiceView>;

    /// One of them.
    fn service(&self, name: &str) -> Option<ServiceView>;

    /// Does to an endpoint what an operator wishes.
    ///
    /// # Errors
    /// Nothing was done; the error says why.
    fn change(&self, service: &str, endpoint: SocketAddr, wish: Change) -> Result<(), SteerError>;

    /// Where clients connect.
    fn listen(&self) -> Vec<SocketAddr>;

    /// Loads the settings anew and puts them in use.
    fn reload(&self) -> Pin<Box<dyn Future<Output = Reload> + Send + '_>>;

    /// Lets the binary on disk take this process's place.
    fn upgrade(&self) -> Pin<Box<dyn Future<Output = Upgrade> + Send + '_>>;
}

/// What an operator may wish for an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Add it to its service; it stays through reloads, until it is removed or the process ends.
    Add {
        /// 1 to 1,000,000.
        weight: u32,
        /// 0 to 9; the least first.
        priority: u8,
    },
    /// Take away one that was added so.
    Remove,
    /// Give it more or fewer requests.
    Steer(Steer),
}

impl Change {
    const fn label(self) -> &'static str {
        match self {
            Self::Add { .. } => "add",
            Self::Remove => "remove",
            Self::Steer(Steer::Drain) => "drain",
            Self::Steer(Steer::Disable) => "disable",
            Self::Steer(Steer::Enable) => "enable",
        }
    }
}

/// What became of a reload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// The new plan is in use; or the old one still, if nothing has changed.
    Done {
        /// Its number.
        generation: u64,
        /// How it differs from the one before.
        changes: Changes,
    },
    /// The old plan stays.
    Refused {
        /// Every problem with its position, as `check` prints them.
        problems: Vec<String>,
    },
    /// There is no settings file to load again.
    Unavailable,
}

/// What became of an upgrade.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Upgrade {
    /// Another process serves; this one finishes what it has begun.
    Done {
        /// The other one's id.
        pid: u32,
    },
    /// This process goes on as before.
    Refused {
        /// Why.
        reason: String,
    },
}

/// Whether clients should be sent here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Not yet.
    Starting,
    /// Yes.
    Ready,
    /// No more.
    Draining,
}

/// What the admin server shows and steers.
pub struct AdminState {
    telemetry: Arc<Telemetry>,
    control: Arc<dyn Control>,
    log: Log,
    /// Names beside `localhost` under which browsers may speak to this server.
    names: Vec<Box<str>>,
    phase: AtomicU8,
    recorder: Mutex<Recorder>,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Starting, Self::Ready, Self::Draining];

    const fn label(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Draining => "draining",
        }
    }
}

impl AdminState {
    /// A state that is starting. `names` are host names, beside `localhost` and IP addresses, by which this
    /// server may be called: others are refused, because a hostile page may have pointed its own name here.
    #[must_use]
    pub fn new(telemetry: Arc<Telemetry>, control: Arc<dyn Control>, log: Log, names: Vec<Box<str>>) -> Self {
        let phase = AtomicU8::new(Phase::Starting as u8);
        Self { telemetry, control, log, names, phase, recorder: Mutex::default() }
    }

    /// Tells `/readyz` and the status page.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
    }

    /// Whether clients should be sent here.
    #[must_use]
    pub fn phase(&self) -> Phase {
        Phase::ALL[usize::from(self.phase.load(Ordering::Acquire))]
    }

    fn tick(&self) {
        self.with_recorder(|recorder| recorder.tick(&self.telemetry, Instant::now()));
    }

    fn with_recorder<T>(&self, then: impl FnOnce(&mut Recorder) -> T) -> T {
        then(&mut self.recorder.lock().expect("nothing under this lock panics"))
    }
}

/// Answers on `listener` until `stop` is done, then lets the answers under way finish, for two seconds at most.
/// With a token, everything but `/`, `/livez` and `/readyz` asks for it.
pub async fn serve(
    listener: TcpListener,
    state: Arc<AdminState>,
    token: Option<String>,
    stop: impl Future<Output = ()>,
) {
    let server = Server {
        state,
        token: token.map(Arc::from),
        slots: Arc::new(Semaphore::new(CONNECTIONS_MAX)),
        stopping: watch::Sender::new(false),
    };
    let mut connections = JoinSet::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = ticks.tick() => server.state.tick(),
            (stream, peer, slot) = server.accept(&listener) => {
                connections.spawn(server.connection(stream, peer, slot));
            }
            // Reaps what has ended.
            Some(_) = connections.join_next() => {}
        }
    }
    server.stopping.send_replace(true);
    let all_ended = async { while connections.join_next().await.is_some() {} };
    // Whoever is not done by then is cut off as the set is dropped.
    let _ = tokio::time::timeout(GOODBYE_MAX, all_ended).await;
}

struct Server {
    state: Arc<AdminState>,
    token: Option<Arc<str>>,
    slots: Arc<Semaphore>,
    stopping: watch::Sender<bool>,
}

impl Server {
    /// The next connection, once there is room for it.
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, SocketAddr, OwnedSemaphorePermit) {
        loop {
            let slot = Arc::clone(&self.slots).acquire_owned().await.expect("the semaphore is never closed");
            match listener.accept().await {
                Ok((stream, peer)) => return (stream, peer, slot),
                Err(error) => {
                    self.state.log.emit(&Event::AcceptFailed { error: &error });
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn connection(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        slot: OwnedSemaphorePermit,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (state, token) = (Arc::clone(&self.state), self.token.clone());
        let log = state.log.clone();
        let mut stopping = self.stopping.subscribe();
        let service = service_fn(move |request| {
            let (state, token) = (Arc::clone(&state), token.clone());
            async move { Ok::<_, Infallible>(api::answer(&state, token.as_deref(), peer, request).await) }
        });
        async move {
            let _slot = slot;
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIMEOUT)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = pin!(connection);
            tokio::select! {
                result = &mut connection => return report(&log, result),
                _ = stopping.wait_for(|stopping| *stopping) => {}
                () = tokio::time::sleep(CONNECTION_AGE_MAX) => {}
            }
            connection.as_mut().graceful_shutdown();
            if let Ok(result) = tokio::time::timeout(GOODBYE_MAX, connection).await {
                report(&log, result);
            }
        }
    }
}

fn report(log: &Log, result: hyper::Result<()>) {
    if let Err(error) = result {
        log.emit(&Event::AdminFailed { error: &error });
    }
}

#[cfg(test)]
mod tests;
