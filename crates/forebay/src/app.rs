//! The running gateway: bind everything, serve, follow the settings file, drain, stop.

mod carry;
mod changes;
mod control;
mod record;
mod reload;
mod signals;
mod sockets;
mod systemd;
mod upgrade;

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use forebay_base::time::Instant;
use forebay_net::address::Address;
use forebay_net::h3::Line;
use forebay_net::listen::{self, Listener};
use forebay_proxy::gateway::{Door, Gate, Gateway, Start};
use forebay_proxy::plan::Plan;
use forebay_proxy::refusal::Refusal;
use forebay_proxy::supervisor::Supervisor;
use forebay_telemetry::access::{self, AccessLog};
use forebay_telemetry::log::{Event, Log};
use forebay_telemetry::stats::Telemetry;
use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::acme::{Keeper, Timing};
use crate::admin::{self, AdminState, Phase};
use crate::config::{self, Listen, Loaded, Server};
pub use changes::Changes;
use control::Controls;
use record::Recorder;
use reload::Reloader;
pub use reload::Source;
pub(crate) use signals::{Order, Signals};
pub(crate) use sockets::Inherited;
use sockets::{Group, Purpose, Sockets};
use systemd::Notifier;
pub(crate) use upgrade::Heir;
use upgrade::{Opening, Program, Successor, Upgrader};

/// Ready is said after every endpoint that has a health check was checked once, or after this.
const CHECKED_WAIT: Duration = Duration::from_secs(3);
/// And so long, if another process serves meanwhile.
const HEIR_CHECKED_WAIT: Duration = Duration::from_secs(10);
/// Whether the access log can be written is looked at this often.
const LOGS_LOOK: Duration = Duration::from_secs(5);
/// The last lines of the logs may take this long to be written.
const LOGS_CLOSE: Duration = Duration::from_secs(1);
/// When everything is to end at once, workers may take this long to leave their accounts.
const CUT_WAIT: Duration = Duration::from_secs(2);

/// File descriptors that are not for clients.
const FILES_RESERVED: u64 = 256;

/// Names a file that is written once the gateway serves, with the addresses it listens on.
pub const READY_FILE: &str = "FOREBAY_READY_FILE";

/// A gateway that has bound its addresses and not yet served anybody.
pub struct Bound {
    server: Server,
    plan: Plan,
    /// For each worker.
    doors: Vec<Vec<Door>>,
    /// The same for HTTP/3.
    gates: Vec<Vec<Gate>>,
    /// Where clients connect, with real ports.
    listen: Vec<Listen>,
    admin: Option<(TcpListener, SocketAddr)>,
    connections_cap: usize,
    /// Addresses that another process listens on as well.
    shared: Vec<SocketAddr>,
    program: std::io::Result<Program>,
    /// Every socket once more.
    sockets: Sockets,
    /// Those of the process before that are used.
    taken_over: Vec<Address>,
    /// What the process before knew and settings do not tell.
    state: Value,
}

/// A gateway that serves.
pub struct App {
    gateway: Arc<Gateway>,
    log: Log,
    access: Option<AccessLog>,
    recorder: Arc<Recorder>,
    keeper: Arc<Keeper>,
    state: Arc<AdminState>,
    reloader: Arc<Reloader>,
    listen: Vec<Listen>,
    admin: Option<AdminSide>,
    logs_to: config::LogTarget,
    upgrader: Arc<Upgrader>,
    notifier: Arc<Notifier>,
    signals: Signals,
}

/// The admin side while it is served.
struct AdminSide {
    address: SocketAddr,
    stop: oneshot::Sender<admin::Stop>,
    task: JoinHandle<()>,
}

impl Bound {
    /// Opens every listener, so that an address that is not to be had stops us before any work.
    ///
    /// # Errors
    /// An address is taken, or not ours, or may not be used.
    pub fn bind(loaded: Loaded) -> anyhow::Result<Self> {
        Self::bind_with(loaded, Inherited::default())
    }

    /// As `bind`, with the sockets that systemd gives us, if it does.
    ///
    /// # Errors
    /// Those of `bind`; and if there is a socket that the settings do not speak of.
    pub fn bind_by_systemd(loaded: Loaded) -> anyhow::Result<Self> {
        Self::bind_with(loaded, systemd::sockets()?)
    }

    /// As `bind`, where `inherited` does not have the socket already.
    ///
    /// # Errors
    /// Those of `bind`; and if there is a lent socket that the settings do not speak of.
    pub(crate) fn bind_with(loaded: Loaded, mut inherited: Inherited) -> anyhow::Result<Self> {
        let Loaded { server, mut plan, warnings: _, files: _ } = loaded;
        // Before anything can be replaced.
        let program = Program::own();
        let connections_cap = raise_file_limit();
        let workers = server.workers.count().get();
        let mut doors: Vec<Vec<Door>> = (0..workers).map(|_| Vec::new()).collect();
        let mut gates: Vec<Vec<Gate>> = (0..workers).map(|_| Vec::new()).collect();
        let mut listen = Vec::new();
        let (mut shared, mut taken_over, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        for (index, asked) in server.listen.iter().enumerate() {
            let group = inherited.take(Purpose::Clients, &asked.address);
            match (&group, &asked.address) {
                (Some(group), _) => taken_over.push(group.address.clone()),
                (None, Address::Ip(wanted)) if listen::is_taken(*wanted) => shared.push(*wanted),
                (None, _) => {}
            }
            let (mut group, all) =
                clients(group, &asked.address, workers).with_context(|| cannot_listen(&asked.address))?;
            listen.push(Listen { address: group.address.clone(), listener: asked.listener });
            group.lines = lines(group.lines, &group.address, asked.listener.http3, workers)?;
            // If there are more workers than in the process before, some have none: one more socket, and the kernel
            // would deal out the packets of clients in another way.
            for (line, worker) in group.lines.iter().zip((0..workers).cycle()) {
                gates[worker].push(Gate { line: line.clone(), listener: index });
            }
            groups.push(group);
            for (worker, mine) in doors.iter_mut().zip(all) {
                worker.extend(mine.into_iter().map(|socket| Door { socket, listener: index }));
            }
        }
        if let Some(tls) = plan.tls.as_mut().filter(|tls| tls.redirect == Some(0)) {
            // Any port was wanted: now it is known which.
            let secured = listen.iter().find(|listen| listen.listener.tls);
            tls.redirect = secured.and_then(|listen| listen.address.ip()).map(|address| address.port());
        }
        let mut admin = None;
        if let Some(wanted) = server.admin.as_ref().map(|admin| admin.listen) {
            let group = inherited.take(Purpose::Admin, &wanted.into());
            taken_over.extend(group.as_ref().map(|group| group.address.clone()));
            let (group, listener, address) =
                admin_side(group, wanted).with_context(|| cannot_listen(&wanted.into()))?;
            admin = Some((listener, address));
            groups.push(group);
        }
        if let Some(address) = inherited.unclaimed().next() {
            bail!(
                "systemd listens on {address} for us, but neither `listen` nor `admin` says so; \
                 add it there, or take it out of the socket unit"
            );
        }
        let (sockets, state) = (Sockets::new(groups), inherited.state);
        Ok(Self {
            server,
            plan,
            doors,
            gates,
            listen,
            admin,
            connections_cap,
            shared,
            program,
            sockets,
            taken_over,
            state,
        })
    }

    /// Starts serving. Must be called within a tokio runtime, the control plane's.
    ///
    /// # Errors
    /// A log cannot be opened or a thread cannot be made.
    pub async fn start(self, log: Log, source: Option<Source>) -> anyhow::Result<App> {
        self.start_as(&mut None, log, source).await
    }

    /// As `start`; an `heir` takes the place of another process, and serves once that one has let go. It is taken
    /// as soon as nothing can fail here any more.
    ///
    /// # Errors
    /// Those of `start`; and the other process does not let go. Then nobody has been accepted.
    pub(crate) async fn start_as(
        self,
        heir: &mut Option<Heir>,
        log: Log,
        source: Option<Source>,
    ) -> anyhow::Result<App> {
        let Self {
            server,
            plan,
            doors,
            gates,
            listen,
            admin,
            connections_cap,
            shared,
            program,
            sockets,
            taken_over,
            state: told,
        } = self;
        // A signal must not end us from the moment on that we are known to serve.
        let mut signals = Signals::new()?;
        let notifier = Arc::new(Notifier::from_env());
        // A panic costs one connection; the operator gets a line to report, and nobody a stack trace.
        let tell = log.clone();
        std::panic::set_hook(Box::new(move |what| tell.emit(&Event::Panicked { what })));
        let telemetry = Telemetry::new(doors.len(), Refusal::REASONS);
        let access = start_access_log(&server, &telemetry)?;
        let recorder = Arc::new(Recorder::new(Arc::clone(telemetry.recorded()), log.clone()));
        let recording = recorder.turn_to(&plan)?;
        let logs_to = server.logs.to.clone();
        let (routes, services) = (plan.routes.len(), plan.services.len());
        log.emit(&Event::Starting { version: env!("CARGO_PKG_VERSION"), workers: doors.len() });
        warn_of(&log, &shared, plan.limits.connections, connections_cap);
        let keeper = Arc::new(Keeper::start(log.clone(), Timing::default()));
        keeper.follow(plan.tls.as_ref());
        let certified = Arc::clone(&keeper);
        telemetry.certify(move || certified.numbers());
        let start = Start {
            doors,
            gates,
            plan: Arc::new(plan),
            telemetry: Arc::clone(&telemetry),
            access: access.as_ref(),
            recording,
            log: log.clone(),
            connections_cap,
            challenges: Arc::clone(keeper.challenges()),
            read_endpoints: Arc::new(config::read_endpoints),
            restore: Box::new(|supervisor| carry::restore(&told, supervisor, Instant::now())),
            // Who takes over from another must not begin by sending clients to endpoints that are down.
            checks_wait: if heir.is_some() { HEIR_CHECKED_WAIT } else { Duration::ZERO },
        };
        let starting = async { Gateway::start(start).await.context("cannot start the workers") };
        let gateway = match heir {
            None => starting.await?,
            // It takes a while, and nobody is served meanwhile who would have to be finished.
            Some(_) => tokio::select! {
                gateway = starting => gateway?,
                () = signals.stop() => bail!("the new process was told to end"),
            },
        };
        let gateway = Arc::new(gateway);
        telemetry.plan_installed(1);
        let reloader = Arc::new(Reloader::new(
            Arc::clone(&gateway),
            log.clone(),
            server.clone(),
            source,
            Arc::clone(&recorder),
            Arc::clone(&keeper),
        ));
        let supervisor = Arc::clone(gateway.supervisor());
        let state = move || carry::tell(&supervisor.view(Instant::now()));
        let upgrader = Arc::new(Upgrader::new(program, log.clone(), sockets, state));
        let controls = Arc::new(Controls::new(
            Arc::clone(&gateway),
            Arc::clone(&reloader),
            Arc::clone(&upgrader),
            Arc::clone(&keeper),
            listen.iter().map(ToString::to_string).collect(),
        ));
        let state = Arc::new(AdminState::new(telemetry, controls, log.clone(), Vec::new()));
        let token = server.admin.and_then(|admin| admin.token).map(|token| token.reveal().to_owned());
        let admin = match admin {
            Some((listener, address)) => {
                let listener = tokio::net::TcpListener::from_std(listener);
                Some((listener.context("cannot serve the admin side")?, address))
            }
            None => None,
        };
        let opening = match heir.take() {
            Some(heir) => Some(take_over(heir, taken_over, &told, gateway.supervisor()).await?),
            None => None,
        };
        gateway.open().await;
        let mut admin_side = None;
        if let Some((listener, address)) = admin {
            let (stop, stopped) = oneshot::channel();
            // Dropped with us: then it is over as well.
            let stopped = async { stopped.await.unwrap_or(admin::Stop::Ended) };
            let task = tokio::spawn(admin::serve(listener, Arc::clone(&state), token, stopped));
            admin_side = Some(AdminSide { address, stop, task });
            log.emit(&Event::AdminListening { address });
        }
        // The admin side says meanwhile that we are not ready. Where it is another process's as well, they have
        // been waited for already.
        if opening.is_none() {
            gateway.checked(CHECKED_WAIT).await;
        }
        for listen in &listen {
            log.emit(&Event::Listening { address: &listen.to_string() });
        }
        state.set_phase(Phase::Ready);
        log.emit(&Event::Ready { routes, services });
        if let Some(every) = systemd::watchdog_interval() {
            tokio::spawn(keep_alive(Arc::clone(&notifier), Arc::clone(&gateway), every));
        }
        let app = App {
            gateway,
            log,
            access,
            recorder,
            keeper,
            state,
            reloader,
            listen,
            admin: admin_side,
            logs_to,
            upgrader,
            notifier,
            signals,
        };
        match (app.write_ready_file(), &opening) {
            // The other process stops accepting: this one must not end.
            (Err(error), Some(_)) => app.log.emit(&Event::SettingsWarning { problem: &format!("{error:#}") }),
            (written, _) => written?,
        }
        app.notifier.ready(&app.status()).await;
        if let Some(opening) = opening {
            opening.done();
        }
        Ok(app)
    }
}

impl App {
    /// Where clients connect; port 0 has become a real one.
    #[must_use]
    pub fn listen(&self) -> &[Listen] {
        &self.listen
    }

    /// The first IP address that clients connect to; `None`: there are Unix sockets only.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.listen.iter().find_map(|listen| listen.address.ip())
    }

    /// Where the admin side is served.
    #[must_use]
    pub fn admin(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(|admin| admin.address)
    }

    /// What the gateway counts.
    #[must_use]
    pub fn telemetry(&self) -> &Arc<Telemetry> {
        self.gateway.telemetry()
    }

    /// Serves until told to stop by a signal, or until another process serves instead; then drains. Follows
    /// the settings file meanwhile.
    ///
    /// # Errors
    /// None yet.
    pub async fn run(mut self) -> anyhow::Result<()> {
        let mut look = tokio::time::interval(LOGS_LOOK);
        loop {
            let order = tokio::select! {
                _ = look.tick() => {
                    self.tell_of_lost_lines();
                    continue;
                }
                () = self.upgrader.succeeded() => break,
                order = self.signals.next() => order,
                () = self.reloader.file_changed() => {
                    self.reload().await;
                    continue;
                }
            };
            match order {
                Order::Stop => break,
                Order::Reload => {
                    self.reopen_logs();
                    self.reload().await;
                }
                Order::Upgrade => {
                    let upgrader = Arc::clone(&self.upgrader);
                    // What comes of it is logged, and seen above.
                    tokio::spawn(async move { upgrader.upgrade().await });
                }
            }
        }
        self.stop().await;
        Ok(())
    }

    async fn reload(&self) {
        self.notifier.reloading().await;
        // What went wrong has been logged.
        let _ = self.reloader.reload().await;
        self.notifier.ready(&self.status()).await;
    }

    /// A line for `systemctl status`.
    fn status(&self) -> String {
        let plan = self.gateway.plan();
        format!("serving; routes: {}, services: {}", plan.routes.len(), plan.services.len())
    }

    fn reopen_logs(&self) {
        if let Some(access) = &self.access {
            access.reopen();
            if let config::LogTarget::File(path) = &self.logs_to {
                self.log.emit(&Event::AccessLogReopened { path });
            }
        }
        self.log.reopen();
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
    async fn stop(mut self) {
        let successor = self.upgrader.end().await;
        if successor.is_none() {
            self.state.set_phase(Phase::Draining);
        }
        let (mut kept, hasty) = match &successor {
            Some(Successor { pid, kept }) => {
                self.notifier.succeeded_by(*pid, &self.status()).await;
                (kept.clone(), false)
            }
            None => {
                self.notifier.stopping().await;
                (Vec::new(), self.delay().await)
            }
        };
        // Nobody new is coming who would be shown a certificate.
        self.keeper.stop();
        kept.extend(self.upgrader.release_sockets(&kept));
        // While we drain alone, the admin side says so to the end.
        let admin = if successor.is_some() { self.admin.take() } else { None };
        let leave = async {
            if let Some(admin) = admin {
                admin.leave().await;
            }
        };
        tokio::join!(leave, self.drain_until_told(&kept, hasty));
        self.finish();
    }

    /// Goes on accepting for as long as a balancer in front needs to see that it should not send more. Returns
    /// whether another signal ended that.
    async fn delay(&mut self) -> bool {
        let delay = self.gateway.plan().limits.drain_delay;
        tokio::select! {
            () = tokio::time::sleep(delay) => false,
            () = self.told_to_stop(), if !delay.is_zero() => true,
        }
    }

    /// Finishes what is in flight, until the limit, or another signal, or at once; then cuts off the rest.
    async fn drain_until_told(&mut self, kept: &[Address], hasty: bool) {
        let gateway = Arc::clone(&self.gateway);
        let limit = if hasty { Duration::ZERO } else { gateway.plan().limits.drain };
        let connections = gateway.connections() as u64;
        self.log.emit(&Event::Draining { connections, limit });
        let began = Instant::now();
        let drained = gateway.drain(limit, kept);
        let mut drained = std::pin::pin!(drained);
        let cut = tokio::select! {
            cut = &mut drained => Some(cut),
            () = self.told_to_stop() => {
                self.log.emit(&Event::StoppedInHaste);
                // A worker that is stuck must not keep us from ending.
                let both = async { tokio::join!(drained, gateway.drain(Duration::ZERO, kept)).0 };
                tokio::time::timeout(CUT_WAIT, both).await.ok()
            }
        };
        if let Some(cut) = cut {
            let (took, requests) = (Instant::now().since(began), gateway.telemetry().requests_cut());
            self.log.emit(&Event::Drained { took, cut: cut as u64, requests });
        }
    }

    /// Waits for the signal to stop. Logs are reopened meanwhile when asked for: they are written to the end.
    async fn told_to_stop(&mut self) {
        loop {
            match self.signals.next().await {
                Order::Stop => return,
                Order::Reload => self.reopen_logs(),
                Order::Upgrade => {}
            }
        }
    }

    /// Drains without waiting for a signal: for the demo.
    pub async fn drain(self) {
        let limit = self.gateway.plan().limits.drain;
        self.state.set_phase(Phase::Draining);
        let kept = self.upgrader.release_sockets(&[]);
        self.gateway.drain(limit, &kept).await;
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
            "admin": self.admin().map(|admin| admin.to_string()),
        });
        let path = Path::new(&path);
        let half = path.with_extension("half");
        std::fs::write(&half, text.to_string())
            .and_then(|()| std::fs::rename(&half, path))
            .with_context(|| format!("cannot write {READY_FILE} {}", path.display()))
    }
}

impl AdminSide {
    /// Takes no more connections, for another process does; waits until each has been answered once more.
    async fn leave(self) {
        let Self { address: _, stop, task } = self;
        let _ = stop.send(admin::Stop::Succeeded);
        // Whoever is not done by then has had the time `admin::serve` gives.
        let _ = tokio::time::timeout(admin::STOP_MAX, task).await;
    }
}

/// The sockets of one address for clients: those there are, or new ones. In the group once more, and for each
/// worker.
fn clients(
    group: Option<Group>,
    wanted: &Address,
    workers: usize,
) -> std::io::Result<(Group, Vec<Vec<Listener>>)> {
    let (lent, lines, all) = match group {
        Some(group) => (group.lent, group.lines, listen::deal(group.listeners, workers)?),
        None => {
            let all = listen::listeners(wanted, workers)?;
            (false, Vec::new(), all.into_iter().map(|one| vec![one]).collect())
        }
    };
    let address = all[0][0].address()?;
    // All of a path are the same socket.
    let distinct = if address.path().is_some() { 1 } else { usize::MAX };
    let again = all.iter().flatten().take(distinct).map(Listener::try_clone);
    let listeners = again.collect::<std::io::Result<_>>()?;
    let wanted = wanted.clone();
    Ok((Group { purpose: Purpose::Clients, wanted, address, lent, listeners, lines }, all))
}

/// The UDP sockets beside an address where HTTP/3 is offered: those there are, or a new one for each worker.
fn lines(inherited: Vec<Line>, address: &Address, http3: bool, workers: usize) -> anyhow::Result<Vec<Line>> {
    match address.ip().filter(|_| http3) {
        None => Ok(Vec::new()),
        Some(_) if !inherited.is_empty() => Ok(inherited),
        Some(address) => (0..workers)
            .map(|_| Line::open(address))
            .collect::<std::io::Result<_>>()
            .with_context(|| format!("cannot open UDP port {address} for HTTP/3")),
    }
}

/// The admin side's socket: the one there is, or a new one.
fn admin_side(group: Option<Group>, wanted: SocketAddr) -> std::io::Result<(Group, TcpListener, SocketAddr)> {
    let lent = group.as_ref().is_some_and(|group| group.lent);
    let listener = match group.map(|group| group.listeners) {
        None => TcpListener::bind(wanted)?,
        // Others would fill up with connections that nobody takes.
        Some(listeners) if listeners.len() > 1 => {
            return Err(std::io::Error::other("the admin side takes one socket, and there are several"));
        }
        Some(mut listeners) => match listeners.pop() {
            Some(Listener::Tcp(listener)) => listener,
            _ => return Err(std::io::Error::other("there is no TCP socket")),
        },
    };
    listener.set_nonblocking(true)?;
    let (address, again) = (listener.local_addr()?, vec![Listener::Tcp(listener.try_clone()?)]);
    let group = Group {
        purpose: Purpose::Admin,
        wanted: wanted.into(),
        address: address.into(),
        lent,
        listeners: again,
        lines: Vec::new(),
    };
    Ok((group, listener, address))
}

/// Tells the process before that all is ready, waits for it to let go, and takes over what has changed meanwhile.
async fn take_over(
    heir: Heir,
    kept: Vec<Address>,
    before: &Value,
    supervisor: &Supervisor,
) -> anyhow::Result<Opening> {
    // Endpoints go on being checked meanwhile.
    let waiting = tokio::task::spawn_blocking(move || heir.ready(kept));
    let (after, opening) = waiting.await.context("the wait broke off")??;
    carry::amend(before, &after, supervisor, Instant::now());
    Ok(opening)
}

/// Tells systemd that we are alive, as long as every worker is.
async fn keep_alive(notifier: Arc<Notifier>, gateway: Arc<Gateway>, every: Duration) {
    let mut ticks = tokio::time::interval(every);
    loop {
        ticks.tick().await;
        gateway.answers().await;
        notifier.watchdog();
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

fn cannot_listen(address: &Address) -> String {
    match address {
        Address::Ip(_) => format!(
            "cannot listen on {address}; is another program using it? choose another with `listen` or `admin`"
        ),
        Address::Unix(_) => format!("cannot listen on {address}; choose another path with `listen`"),
    }
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
