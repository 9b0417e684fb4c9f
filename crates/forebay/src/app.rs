//! The running gateway: bind everything, serve, follow the settings file, drain, stop.

mod changes;
mod control;
mod record;
mod reload;
mod signals;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use forebay_base::time::Instant;
use forebay_net::listen;
use forebay_proxy::gateway::{Gateway, Start};
use forebay_proxy::plan::Plan;
use forebay_proxy::refusal::Refusal;
use forebay_telemetry::access::{self, AccessLog};
use forebay_telemetry::log::{Event, Log};
use forebay_telemetry::stats::Telemetry;

use crate::admin::{self, AdminState, Phase};
use crate::config::{self, Loaded, Server};
pub use changes::Changes;
use control::Controls;
use record::Recorder;
use reload::Reloader;
pub use reload::Source;
pub(crate) use signals::Signals;

/// Ready is said after every endpoint that has a health check was checked once, or after this.
const CHECKED_WAIT: Duration = Duration::from_secs(3);
/// Whether the access log can be written is looked at this often.
const LOGS_LOOK: Duration = Duration::from_secs(5);
/// The last lines of the logs may take this long to be written.
const LOGS_CLOSE: Duration = Duration::from_secs(1);

/// File descriptors that are not for clients.
const FILES_RESERVED: u64 = 256;

/// Names a file that is written once the gateway serves, with the addresses it listens on.
pub const READY_FILE: &str = "FOREBAY_READY_FILE";

/// A gateway that has bound its addresses and not yet served anybody.
pub struct Bound {
    server: Server,
    plan: Plan,
    listeners: Vec<Vec<TcpListener>>,
    listen: Vec<SocketAddr>,
    admin: Option<(TcpListener, SocketAddr)>,
    connections_cap: usize,
    /// Addresses that another process listens on as well.
    shared: Vec<SocketAddr>,
}

/// A gateway that serves.
pub struct App {
    gateway: Arc<Gateway>,
    log: Log,
    access: Option<AccessLog>,
    recorder: Arc<Recorder>,
    state: Arc<AdminState>,
    reloader: Arc<Reloader>,
    listen: Vec<SocketAddr>,
    admin: Option<SocketAddr>,
    logs_to: config::LogTarget,
}

impl Bound {
    /// Opens every listener, so that an address that is not to be had stops us before any work.
    ///
    /// # Errors
    /// An address is taken, or not ours, or may not be used.
    pub fn bind(loaded: Loaded) -> anyhow::Result<Self> {
        let Loaded { server, plan, warnings: _ } = loaded;
        let connections_cap = raise_file_limit();
        let workers = server.workers.count().get();
        let mut listeners: Vec<Vec<TcpListener>> = (0..workers).map(|_| Vec::new()).collect();
        let mut listen = Vec::new();
        let mut shared = Vec::new();
        for address in &server.listen {
            if listen::is_taken(*address) {
                shared.push(*address);
            }
            let all = listen::listeners(*address, workers).with_context(|| cannot_listen(*address))?;
            listen.push(all[0].local_addr().with_context(|| cannot_listen(*address))?);
            for (worker, listener) in listeners.iter_mut().zip(all) {
                worker.push(listener);
            }
        }
        let admin = match &server.admin {
            None => None,
            Some(admin) => {
                let listener =
                    TcpListener::bind(admin.listen).with_context(|| cannot_listen(admin.listen))?;
                listener.set_nonblocking(true).with_context(|| cannot_listen(admin.listen))?;
                let address = listener.local_addr().with_context(|| cannot_listen(admin.listen))?;
                Some((listener, address))
            }
        };
        Ok(Self { server, plan, listeners, listen, shared, admin, connections_cap })
    }

    /// Starts serving. Must be called within a tokio runtime, the control plane's.
    ///
    /// # Errors
    /// A log cannot be opened or a thread cannot be made.
    pub async fn start(self, log: Log, source: Option<Source>) -> anyhow::Result<App> {
        let Self { server, plan, listeners, listen, shared, admin, connections_cap } = self;
        // A panic costs one connection; the operator gets a line to report, and nobody a stack trace.
        let tell = log.clone();
        std::panic::set_hook(Box::new(move |what| tell.emit(&Event::Panicked { what })));
        let telemetry = Telemetry::new(listeners.len(), Refusal::REASONS);
        let access = start_access_log(&server, &telemetry)?;
        let recorder = Arc::new(Recorder::new(Arc::clone(telemetry.recorded()), log.clone()));
        let recording = recorder.turn_to(&plan)?;
        let logs_to = server.logs.to.clone();
        let (routes, services) = (plan.routes.len(), plan.services.len());
        log.emit(&Event::Starting { version: env!("CARGO_PKG_VERSION"), workers: listeners.len() });
        warn_of(&log, &shared, plan.limits.connections, connections_cap);
        let start = Start {
            listeners,
            plan: Arc::new(plan),
            telemetry: Arc::clone(&telemetry),
            access: access.as_ref(),
            recording,
            log: log.clone(),
            connections_cap,
            read_endpoints: Arc::new(config::read_endpoints),
        };
        let gateway = Arc::new(Gateway::start(start).await.context("cannot start the workers")?);
        telemetry.plan_installed(1);
        let reloader = Arc::new(Reloader::new(
            Arc::clone(&gateway),
            log.clone(),
            server.clone(),
            source,
            Arc::clone(&recorder),
        ));
        let controls = Arc::new(Controls::new(Arc::clone(&gateway), Arc::clone(&reloader), listen.clone()));
        let state = Arc::new(AdminState::new(telemetry, controls, log.clone(), Vec::new()));
        let token = server.admin.and_then(|admin| admin.token).map(|token| token.reveal().to_owned());
        let mut admin_address = None;
        if let Some((listener, address)) = admin {
            let listener =
                tokio::net::TcpListener::from_std(listener).context("cannot serve the admin side")?;
            tokio::spawn(admin::serve(listener, Arc::clone(&state), token, std::future::pending()));
            admin_address = Some(address);
            log.emit(&Event::AdminListening { address });
        }
        gateway.checked(CHECKED_WAIT).await;
        for address in &listen {
            log.emit(&Event::Listening { address: *address });
        }
        state.set_phase(Phase::Ready);
        log.emit(&Event::Ready { routes, services });
        let app =
            App { gateway, log, access, recorder, state, reloader, listen, admin: admin_address, logs_to };
        app.write_ready_file()?;
        Ok(app)
    }
}

impl App {
    /// Where clients connect; port 0 has become a real one.
    #[must_use]
    pub fn listen(&self) -> &[SocketAddr] {
        &self.listen
    }

    /// Where the admin side is served.
    #[must_use]
    pub const fn admin(&self) -> Option<SocketAddr> {
        self.admin
    }

    /// What the gateway counts.
    #[must_use]
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        self.gateway.telemetry()
    }

    /// Serves until told to stop by a signal, then drains. Follows the settings file meanwhile.
    ///
    /// # Errors
    /// Signals cannot be listened to.
    pub async fn run(self) -> anyhow::Result<()> {
        let mut signals = Signals::new()?;
        let mut look = tokio::time::interval(LOGS_LOOK);
        loop {
            tokio::select! {
                _ = look.tick() => {
                    self.tell_of_lost_lines();
                    continue;
                }
                stop = signals.next() => {
                    if stop {
                        break;
                    }
                    if let Some(access) = &self.access {
                        access.reopen();
                        if let config::LogTarget::File(path) = &self.logs_to {
                            self.log.emit(&Event::AccessLogReopened { path });
                        }
                    }
                    self.log.reopen();
                }
                () = self.reloader.file_changed() => {}
            }
            // What went wrong has been logged.
            let _ = self.reloader.reload().await;
        }
        self.stop(&mut signals).await;
        Ok(())
    }

    /// Says that the access log cannot be written, if so.
    fn tell_of_lost_lines(&self) {
        if let Some(access) = &self.access
            && let Some(error) = access.last_error()
        {
            self.log.emit(&Event::AccessLogFailed { error: &error, dropped: access.dropped() });
        }
    }

    /// Drains and ends; another signal ends at once.
    async fn stop(self, signals: &mut Signals) {
        let limit = self.gateway.plan().limits.drain;
        self.state.set_phase(Phase::Draining);
        let connections = self.gateway.connections() as u64;
        self.log.emit(&Event::Draining { connections, limit });
        let began = Instant::now();
        tokio::select! {
            cut = self.gateway.drain(limit) => {
                let (took, requests) = (Instant::now().since(began), self.gateway.telemetry().requests_cut());
                self.log.emit(&Event::Drained { took, cut: cut as u64, requests });
            }
            () = signals.stop() => self.log.emit(&Event::StoppedInHaste),
        }
        self.finish();
    }

    /// Drains without waiting for a signal: for the demo.
    pub async fn drain(self) {
        let limit = self.gateway.plan().limits.drain;
        self.state.set_phase(Phase::Draining);
        self.gateway.drain(limit).await;
        self.finish();
    }

    fn finish(self) {
        self.log.emit(&Event::Stopped);
        if let Some(access) = self.access {
            access.flush(LOGS_CLOSE);
        }
        self.recorder.flush(LOGS_CLOSE);
        self.log.flush(LOGS_CLOSE);
    }

    /// Tells whoever started us where we listen, in one step, so that nobody reads half of it.
    fn write_ready_file(&self) -> anyhow::Result<()> {
        let Some(path) = std::env::var_os(READY_FILE) else { return Ok(()) };
        let text = serde_json::json!({
            "pid": std::process::id(),
            "listen": self.listen.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "admin": self.admin.map(|admin| admin.to_string()),
        });
        let path = Path::new(&path);
        let half = path.with_extension("half");
        std::fs::write(&half, text.to_string())
            .and_then(|()| std::fs::rename(&half, path))
            .with_context(|| format!("cannot write {READY_FILE} {}", path.display()))
    }
}

fn start_access_log(server: &Server, telemetry: &Telemetry) -> anyhow::Result<Option<AccessLog>> {
    let target = match &server.logs.to {
        config::LogTarget::Stdout => access::Target::Stdout,
        config::LogTarget::Stderr => access::Target::Stderr,
        config::LogTarget::File(path) => access::Target::File(path.clone()),
    };
    let terminal = target.is_terminal();
    let format = match server.logs.access {
        config::AccessFormat::Off => return Ok(None),
        config::AccessFormat::Json => access::Format::Json,
        config::AccessFormat::Text => access::Format::Text,
        config::AccessFormat::Auto if terminal => access::Format::Text,
        config::AccessFormat::Auto => access::Format::Json,
    };
    let colour = terminal && format == access::Format::Text;
    let settings = access::Settings { format, target, colour };
    let log =
        AccessLog::start(settings, telemetry.access_log_dropped()).context("cannot open the access log")?;
    Ok(Some(log))
}

fn cannot_listen(address: SocketAddr) -> String {
    format!(
        "cannot listen on {address}; is another program using it? choose another with `listen` or `admin`"
    )
}

/// What works, and may still surprise.
fn warn_of(log: &Log, shared: &[SocketAddr], wanted: usize, possible: usize) {
    for address in shared {
        let problem =
            format!("another process listens on {address} too: it gets a share of the clients until it ends");
        log.emit(&Event::SettingsWarning { problem: &problem });
    }
    if wanted > possible {
        let problem = format!(
            "`limits.connections` is {wanted}, but file descriptors suffice for {possible}: raise `ulimit -n`"
        );
        log.emit(&Event::SettingsWarning { problem: &problem });
    }
}

/// Asks for all the file descriptors we may have; returns how many client connections may be open. A quarter
/// is kept for connections to services, and some for logs, the admin side and ourselves: clients must not be
/// able to lock them out.
fn raise_file_limit() -> usize {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // Where that fails we serve fewer.
    let _ = setrlimit(Resource::Nofile, limit);
    let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let for_clients = (files - files / 4).saturating_sub(FILES_RESERVED.min(files / 4));
    usize::try_from(for_clients).unwrap_or(usize::MAX).max(1)
}
