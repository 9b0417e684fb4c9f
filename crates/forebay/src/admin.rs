//! The admin server: status page, metrics, health, and a small API. Never on the data path.
//!
//! It runs on the control plane's runtime. Whoever reaches its port may look; who has the token, if one is set,
//! may look and change. What it answers is decided in [`api`], whom it answers in [`guard`].

use std::fmt;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use forebay_base::time::Instant;
use forebay_net::address::Address;
use forebay_proxy::supervisor::{ServiceView, Steer, SteerError};
use forebay_telemetry::log::{Event, Log};
use forebay_telemetry::stats::Telemetry;
use forebay_telemetry::summary::Recorder;
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::app::Changes;
pub(crate) use api::SUCCEEDED;
use places::{Place, Places};

mod api;
mod endpoints;
mod guard;
mod places;
mod pprof;
mod reply;
mod view;

/// Open admin connections. For one more, the one that has asked nothing for longest is closed.
const CONNECTIONS_MAX: usize = 128;
/// Connections that wait to be taken; who comes when the queue is full tries again a second later.
const QUEUE_MAX: i32 = 1024;
/// From the start of a connection, or the end of an answer, to the end of the next request's head.
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// The same, for a connection that comes when places are scarce.
const HEADER_TIMEOUT_SCARCE: Duration = Duration::from_secs(2);
/// A connection is asked to end after this long, so that none is held for ever.
const CONNECTION_AGE_MAX: Duration = Duration::from_secs(300);
/// How long a connection that was asked to end may take to finish its answer.
const GOODBYE_MAX: Duration = Duration::from_secs(2);
/// How long connections may ask once more, after another process has taken over.
const LAST_ASK_MAX: Duration = Duration::from_secs(5);
/// Longest time from the end of [`serve`]'s `stop` to the end of `serve`.
pub const STOP_MAX: Duration = LAST_ASK_MAX.saturating_add(GOODBYE_MAX).saturating_add(GOODBYE_MAX);
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
    fn change(&self, service: &str, endpoint: &Address, wish: Change) -> Result<(), SteerError>;

    /// Every certificate that clients may be shown, and what is known of the one that renews itself.
    fn certificates(&self) -> Value {
        Value::Null
    }

    /// Where clients connect.
    fn listen(&self) -> Vec<String>;

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
        changes: Box<Changes>,
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

/// Why the admin server stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// The process ends, and nobody answers after it.
    Ended,
    /// Another process answers on the same address: nobody should notice the change.
    Succeeded,
}

/// What the admin server shows and steers.
pub struct AdminState {
    telemetry: Arc<Telemetry>,
    control: Arc<dyn Control>,
    log: Log,
    /// Names beside `localhost` under which browsers may speak to this server.
    names: Vec<Box<str>>,
    phase: AtomicU8,
    /// Another process answers new connections; set once.
    succeeded: AtomicBool,
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
        let succeeded = AtomicBool::new(false);
        Self { telemetry, control, log, names, phase, succeeded, recorder: Mutex::default() }
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

    fn is_succeeded(&self) -> bool {
        self.succeeded.load(Ordering::Acquire)
    }

    fn tick(&self) {
        self.with_recorder(|recorder| recorder.tick(&self.telemetry, Instant::now()));
    }

    fn with_recorder<T>(&self, then: impl FnOnce(&mut Recorder) -> T) -> T {
        then(&mut self.recorder.lock().expect("nothing under this lock panics"))
    }
}

/// Answers on `listener` until `stop` says why it should not. If the process ends, answers under way may finish,
/// for two seconds at most. If another process has taken over, each open connection is given one more answer
/// and then closed, or closed after five seconds; what has to be done by the other process is refused.
/// With a token, everything but `/`, `/livez` and `/readyz` asks for it.
pub async fn serve(
    listener: TcpListener,
    state: Arc<AdminState>,
    token: Option<String>,
    stop: impl Future<Output = Stop>,
) {
    let server = Server {
        state,
        token: token.map(Arc::from),
        places: Places::new(CONNECTIONS_MAX),
        stopping: watch::Sender::new(None),
    };
    // Without it, the queue stays shorter.
    let _ = rustix::net::listen(&listener, QUEUE_MAX);
    let mut connections = JoinSet::new();
    let mut ticks = tokio::time::interval(TICK);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut stop = pin!(stop);
    let why = loop {
        tokio::select! {
            why = &mut stop => break why,
            _ = ticks.tick() => server.state.tick(),
            (stream, peer) = server.accept(&listener) => {
                server.admit(stream, peer, &mut connections);
                while connections.try_join_next().is_some() {}
                // What it has sent already is read before somebody else can take its place.
                tokio::task::yield_now().await;
            }
            // Reaps what has ended.
            Some(_) = connections.join_next() => {}
        }
    };
    drop(listener);
    let patience = match why {
        Stop::Ended => GOODBYE_MAX,
        Stop::Succeeded => {
            server.state.succeeded.store(true, Ordering::Release);
            STOP_MAX
        }
    };
    server.stopping.send_replace(Some(why));
    let all_ended = async { while connections.join_next().await.is_some() {} };
    // Whoever is not done by then is cut off as the set is dropped.
    let _ = tokio::time::timeout(patience, all_ended).await;
}

struct Server {
    state: Arc<AdminState>,
    token: Option<Arc<str>>,
    places: Places,
    stopping: watch::Sender<Option<Stop>>,
}

impl Server {
    /// The next connection, once there may be room for it.
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, SocketAddr) {
        loop {
            self.places.available().await;
            match listener.accept().await {
                Ok(accepted) => return accepted,
                Err(error) => {
                    self.state.log.emit(&Event::AcceptFailed { error: &error });
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr, connections: &mut JoinSet<()>) {
        // Every other connection may have become busy while this one was waited for: then it is closed.
        let Some((place, evicted)) = self.places.take() else { return };
        let (connection, log) = (self.connection(stream, peer, place), self.state.log.clone());
        connections.spawn(async move {
            tokio::select! {
                () = connection => {}
                _ = evicted => log.emit(&Event::AdminFailed { error: &MadeRoom }),
            }
        });
    }

    fn connection(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        place: Place,
    ) -> impl Future<Output = ()> + Send + 'static {
        let (state, token, place) = (Arc::clone(&self.state), self.token.clone(), Arc::new(place));
        let log = state.log.clone();
        let mut stopping = self.stopping.subscribe();
        let service = service_fn(move |request| {
            let (state, token, place) = (Arc::clone(&state), token.clone(), Arc::clone(&place));
            async move {
                if !place.begin_answer() {
                    return Err(MadeRoom);
                }
                let mut reply = api::answer(&state, token.as_deref(), peer, request).await;
                if state.is_succeeded() {
                    // The next connection is the other process's.
                    reply.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                }
                place.end_answer();
                Ok(reply)
            }
        });
        let timeout = if self.places.are_scarce() { HEADER_TIMEOUT_SCARCE } else { HEADER_TIMEOUT };
        async move {
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(timeout)
                .max_buf_size(HEAD_BYTES_MAX)
                .serve_connection(TokioIo::new(stream), service);
            let mut connection = pin!(connection);
            let goodbye = async {
                let stopped = async { stopping.wait_for(Option::is_some).await.is_ok_and(is_succession) };
                if let Ok(true) = tokio::time::timeout(CONNECTION_AGE_MAX, stopped).await {
                    tokio::time::sleep(LAST_ASK_MAX).await;
                }
            };
            tokio::select! {
                result = &mut connection => return report(&log, result),
                () = goodbye => {}
            }
            connection.as_mut().graceful_shutdown();
            if let Ok(result) = tokio::time::timeout(GOODBYE_MAX, connection).await {
                report(&log, result);
            }
        }
    }
}

/// Why a connection was cut off: its place was wanted.
#[derive(Debug)]
struct MadeRoom;

impl fmt::Display for MadeRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("there were too many connections, and this one had asked nothing for longest")
    }
}

impl std::error::Error for MadeRoom {}

fn is_succession(why: watch::Ref<'_, Option<Stop>>) -> bool {
    *why == Some(Stop::Succeeded)
}

fn report(log: &Log, result: hyper::Result<()>) {
    if let Err(error) = result {
        log.emit(&Event::AdminFailed { error: &error });
    }
}

#[cfg(test)]
mod tests;
