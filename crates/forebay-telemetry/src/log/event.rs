//! Everything worth a line: level, name, wording and fields, decided once.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::Level;

/// Something an operator may want to know.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The process begins.
    Starting {
        /// Of this build.
        version: &'a str,
        /// Threads of the data path.
        workers: usize,
    },
    /// A listener for clients is open.
    Listening {
        /// Where, as settings have it.
        address: &'a str,
    },
    /// The admin listener is open.
    AdminListening {
        /// Where.
        address: SocketAddr,
    },
    /// The first plan is being served.
    Ready {
        /// Routes of the plan.
        routes: usize,
        /// Services of the plan.
        services: usize,
    },
    /// New settings are being served.
    Reloaded {
        /// Number of the plan.
        generation: u64,
        /// Routes of the plan.
        routes: usize,
        /// Services of the plan.
        services: usize,
        /// What is different, in a line.
        changes: &'a dyn Display,
    },
    /// The settings were read again and mean what is being served.
    NothingChanged {
        /// Number of the plan.
        generation: u64,
    },
    /// New settings were refused; the old plan stays.
    ReloadRefused {
        /// How many problems there are.
        problems: usize,
        /// The first of them, with its position.
        first: &'a dyn Display,
    },
    /// A problem of the settings that does not stop them.
    SettingsWarning {
        /// What it is, with its position.
        problem: &'a dyn Display,
    },
    /// No new connections; those open may finish.
    Draining {
        /// Open client connections.
        connections: u64,
        /// The longest wait.
        limit: Duration,
    },
    /// All connections are closed.
    Drained {
        /// How long it took.
        took: Duration,
        /// Connections that were cut off at the limit.
        cut: u64,
        /// Requests that were being served on them.
        requests: u64,
    },
    /// The binary on disk is started to take this process's place.
    Upgrading {
        /// Which one.
        binary: &'a Path,
    },
    /// Another process serves in place of this one.
    Upgraded {
        /// Its id.
        pid: u32,
    },
    /// No other process has taken this one's place; it goes on as before.
    UpgradeFailed {
        /// Why.
        reason: &'a str,
    },
    /// The process ends.
    Stopped,
    /// A second signal came while draining: the end at once.
    StoppedInHaste,
    /// Accepting a connection failed; tried again shortly.
    AcceptFailed {
        /// What the system says.
        error: &'a dyn Display,
    },
    /// The limit of client connections is reached; new ones wait.
    ConnectionsFull {
        /// The limit.
        limit: usize,
    },
    /// An address has too many connections; its new one was closed.
    ConnectionsPerIpFull {
        /// Whose.
        client: IpAddr,
        /// The limit.
        limit: usize,
    },
    /// A connection began without the PROXY protocol header it should have begun with, or with a broken one.
    ProxyProtocolRefused {
        /// Who has connected.
        peer: IpAddr,
        /// What was wrong.
        error: &'a dyn Display,
    },
    /// An endpoint cannot be connected to.
    ConnectFailed {
        /// Of which service.
        service: &'a str,
        /// Which one.
        endpoint: &'a str,
        /// Why.
        error: &'a dyn Display,
    },
    /// An endpoint's name cannot be resolved.
    ResolveFailed {
        /// Of which service.
        service: &'a str,
        /// Which one.
        endpoint: &'a str,
        /// Why.
        error: &'a dyn Display,
    },
    /// A file of endpoints cannot be used; the last good content holds.
    EndpointsFileRefused {
        /// Of which service.
        service: &'a str,
        /// Which file.
        path: &'a Path,
        /// What is wrong with it.
        error: &'a dyn Display,
    },
    /// A name or file led to addresses that are not taken.
    EndpointsDenied {
        /// Of which service.
        service: &'a str,
        /// The name or file.
        source: &'a dyn Display,
        /// How many.
        count: usize,
    },
    /// A name, a file or an operator has changed which endpoints a service has.
    EndpointsChanged {
        /// The service.
        service: &'a str,
        /// What changed them.
        source: &'a dyn Display,
        /// Those that came.
        added: &'a dyn Display,
        /// Those that went.
        removed: &'a dyn Display,
        /// How many there are now.
        total: usize,
    },
    /// An endpoint gets no more requests.
    EndpointOut {
        /// Of which service.
        service: &'a str,
        /// Which one.
        endpoint: &'a dyn Display,
        /// One word.
        reason: &'a str,
        /// More.
        detail: &'a str,
    },
    /// An endpoint gets requests again.
    EndpointBack {
        /// Of which service.
        service: &'a str,
        /// Which one.
        endpoint: &'a dyn Display,
        /// How long it was out.
        after: Duration,
    },
    /// This machine could not check an endpoint, which says nothing about the endpoint.
    CheckFailed {
        /// Of which service.
        service: &'a str,
        /// Which one.
        endpoint: &'a dyn Display,
        /// What the system says.
        error: &'a str,
    },
    /// Health checks begin later than they should.
    ChecksLate {
        /// How much later.
        late: Duration,
        /// How many endpoints are checked.
        targets: usize,
    },
    /// Too few endpoints of a service are usable, so all are used; or that is over.
    Panic {
        /// The service.
        service: &'a str,
        /// Whether it begins.
        begins: bool,
        /// Usable endpoints.
        usable: usize,
        /// All of them.
        total: usize,
    },
    /// An endpoint answered with what is no HTTP, or broke off.
    UpstreamFailed {
        /// Of which service.
        service: &'a str,
        /// Which one.
        endpoint: &'a str,
        /// Why.
        error: &'a dyn Display,
    },
    /// Work of one connection panicked; the others go on.
    Panicked {
        /// Where and why.
        what: &'a dyn Display,
    },
    /// The access log cannot be written.
    AccessLogFailed {
        /// What the system says.
        error: &'a dyn Display,
        /// Lines lost so far.
        dropped: u64,
    },
    /// The access log goes to a new file of the same name.
    AccessLogReopened {
        /// The file.
        path: &'a Path,
    },
    /// Requests are being recorded.
    RecordingStarted {
        /// The file.
        path: &'a Path,
        /// How many of the requests.
        sample: &'a dyn Display,
    },
    /// The recording has as many bytes as it may have, and ends.
    RecordingFull {
        /// The file.
        path: &'a Path,
        /// Its length.
        bytes: u64,
    },
    /// The recording cannot be written, and ends.
    RecordingFailed {
        /// The file.
        path: &'a Path,
        /// What the system says.
        error: &'a dyn Display,
    },
    /// Somebody changed an endpoint through the admin server.
    EndpointSteered {
        /// Who asked.
        peer: SocketAddr,
        /// Of which service.
        service: &'a str,
        /// Which one.
        endpoint: &'a str,
        /// What was done: `add`, `remove`, `drain`, `disable` or `enable`.
        action: &'a str,
    },
    /// A certificate is asked for.
    CertificateWanted {
        /// Which names it is for.
        names: &'a str,
        /// Of which ACME server.
        directory: &'a str,
        /// Why it is needed.
        reason: &'a str,
    },
    /// A certificate from a file ends soon, or has ended, or has not begun.
    CertificateEnds {
        /// Which names it is for.
        names: &'a str,
        /// Where it is.
        file: &'a str,
        /// `expires in 3 days`, and the like.
        state: &'a str,
    },
    /// Another replica is getting the certificate.
    CertificateAwaited {
        /// Which names it is for.
        names: &'a str,
        /// Who: machine and process.
        owner: &'a str,
    },
    /// A certificate came, and is shown to clients.
    CertificateIssued {
        /// Which names it is for.
        names: &'a str,
        /// How long it is good.
        good_for: Duration,
        /// When it will be renewed.
        renews_in: Duration,
    },
    /// A certificate did not come.
    CertificateFailed {
        /// Which names it is for.
        names: &'a str,
        /// Why.
        error: &'a str,
        /// When it is tried again.
        again_in: Duration,
        /// How long the one there is will be good; `None`: there is none, and clients are refused.
        good_for: Option<Duration>,
    },
    /// A request to the admin server was refused.
    AdminRefused {
        /// Who asked.
        peer: SocketAddr,
        /// Why.
        reason: &'a str,
    },
    /// A connection to the admin server ended with an error.
    AdminFailed {
        /// Why.
        error: &'a dyn Display,
    },
}

/// An event, taken apart for writing.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) level: Level,
    pub(super) name: &'static str,
    pub(super) message: &'static str,
    pub(super) fields: Vec<(&'static str, String)>,
}

impl Event<'_> {
    pub(super) fn parts(&self) -> Parts {
        use Level::{Debug, Error, Info, Warn};
        match *self {
            Self::Starting { version, workers } => {
                parts(Info, "starting", "starting").with("version", version).with("workers", workers)
            }
            Self::Listening { address } => {
                parts(Info, "listening", "listening for clients").with("address", address)
            }
            Self::AdminListening { address } => {
                parts(Info, "admin_listening", "admin server is up").with("address", address)
            }
            Self::Ready { routes, services } => {
                parts(Info, "ready", "ready").with("routes", routes).with("services", services)
            }
            Self::Reloaded { generation, routes, services, changes } => {
                parts(Info, "reloaded", "new settings in use")
                    .with("generation", generation)
                    .with("routes", routes)
                    .with("services", services)
                    .with("changes", changes)
            }
            Self::NothingChanged { generation } => {
                parts(Info, "nothing_changed", "settings read again: nothing changed")
                    .with("generation", generation)
            }
            Self::ReloadRefused { problems, first } => {
                parts(Error, "reload_refused", "new settings refused, the old ones stay in use")
                    .with("problems", problems)
                    .with("first", first)
            }
            Self::SettingsWarning { problem } => {
                parts(Warn, "settings_warning", "settings look wrong").with("problem", problem)
            }
            Self::Draining { connections, limit } => {
                parts(Info, "draining", "draining: no new connections, those open may finish")
                    .with("connections", connections)
                    .with_duration("limit", limit)
            }
            Self::Drained { took, cut: 0, .. } => {
                parts(Info, "drained", "all connections have finished").with_duration("took", took)
            }
            Self::Drained { took, cut, requests } => {
                parts(Warn, "drained", "time is up, the last connections were cut off")
                    .with_duration("took", took)
                    .with("cut", cut)
                    .with("requests", requests)
            }
            Self::Upgrading { binary } => {
                parts(Info, "upgrading", "starting the binary on disk in our place")
                    .with("binary", binary.display())
            }
            Self::Upgraded { pid } => {
                parts(Info, "upgraded", "another process serves from now on").with("pid", pid)
            }
            Self::UpgradeFailed { reason } => {
                parts(Error, "upgrade_failed", "no upgrade: everything goes on as before")
                    .with("reason", reason)
            }
            Self::Stopped => parts(Info, "stopped", "stopped"),
            Self::StoppedInHaste => parts(Warn, "stopped_in_haste", "second signal: stopping at once"),
            Self::AcceptFailed { error } => {
                parts(Error, "accept_failed", "cannot accept connections").with("error", error)
            }
            Self::ConnectionsFull { limit } => {
                parts(Warn, "connections_full", "connection limit reached, new clients wait")
                    .with("limit", limit)
            }
            Self::ConnectionsPerIpFull { client, limit } => {
                parts(Warn, "connections_per_ip_full", "connection closed, its address has too many")
                    .with("client", client)
                    .with("limit", limit)
            }
            Self::ProxyProtocolRefused { peer, error } => parts(
                Warn,
                "proxy_protocol_refused",
                "connection closed, it has no PROXY protocol header of a trusted proxy",
            )
            .with("peer", peer)
            .with("error", error),
            Self::ConnectFailed { service, endpoint, error } => {
                parts(Warn, "connect_failed", "cannot connect to an endpoint")
                    .with_endpoint(service, endpoint)
                    .with("error", error)
            }
            Self::ResolveFailed { service, endpoint, error } => {
                parts(Warn, "resolve_failed", "cannot resolve an endpoint's name")
                    .with_endpoint(service, endpoint)
                    .with("error", error)
            }
            Self::EndpointsFileRefused { service, path, error } => {
                parts(Warn, "endpoints_file_refused", "endpoints file not used, the last good one holds")
                    .with("service", service)
                    .with("path", path.display())
                    .with("error", error)
            }
            Self::EndpointsDenied { service, source, count } => {
                parts(Warn, "endpoints_denied", "link-local or metadata addresses left out")
                    .with("service", service)
                    .with("source", source)
                    .with("count", count)
            }
            Self::EndpointsChanged { service, source, added, removed, total } => {
                parts(Info, "endpoints_changed", "endpoints have changed")
                    .with("service", service)
                    .with("source", source)
                    .with("added", added)
                    .with("removed", removed)
                    .with("total", total)
            }
            Self::EndpointOut { service, endpoint, reason, detail } => {
                parts(Warn, "endpoint_out", "endpoint is out")
                    .with("service", service)
                    .with("endpoint", endpoint)
                    .with("reason", reason)
                    .with("detail", detail)
            }
            Self::EndpointBack { service, endpoint, after } => {
                parts(Info, "endpoint_back", "endpoint is back")
                    .with("service", service)
                    .with("endpoint", endpoint)
                    .with_duration("after", after)
            }
            Self::CheckFailed { service, endpoint, error } => {
                parts(Error, "check_failed", "cannot check an endpoint: this machine lacks something")
                    .with("service", service)
                    .with("endpoint", endpoint)
                    .with("error", error)
            }
            Self::ChecksLate { late, targets } => parts(
                Warn,
                "checks_late",
                "health checks are late: too many for their intervals and timeouts",
            )
            .with_duration("late", late)
            .with("targets", targets),
            Self::Panic { service, begins: true, usable, total } => {
                parts(Warn, "panic_began", "too few endpoints are usable, so all are used")
                    .with("service", service)
                    .with("usable", usable)
                    .with("total", total)
            }
            Self::Panic { service, begins: false, usable, total } => {
                parts(Info, "panic_ended", "enough endpoints are usable again")
                    .with("service", service)
                    .with("usable", usable)
                    .with("total", total)
            }
            Self::UpstreamFailed { service, endpoint, error } => {
                parts(Warn, "upstream_failed", "an endpoint did not answer as it should")
                    .with_endpoint(service, endpoint)
                    .with("error", error)
            }
            Self::Panicked { what } => {
                parts(Error, "panicked", "a connection's task panicked: please report it").with("what", what)
            }
            Self::AccessLogFailed { error, dropped } => {
                parts(Error, "access_log_failed", "cannot write the access log")
                    .with("error", error)
                    .with("dropped", dropped)
            }
            Self::AccessLogReopened { path } => {
                parts(Info, "access_log_reopened", "access log reopened").with("path", path.display())
            }
            Self::RecordingStarted { path, sample } => parts(Info, "recording_started", "recording requests")
                .with("path", path.display())
                .with("sample", sample),
            Self::RecordingFull { path, bytes } => {
                parts(Warn, "recording_full", "the recording has reached its limit and has ended")
                    .with("path", path.display())
                    .with("bytes", bytes)
            }
            Self::RecordingFailed { path, error } => {
                parts(Error, "recording_failed", "the recording cannot be written and has ended")
                    .with("path", path.display())
                    .with("error", error)
            }
            Self::EndpointSteered { peer, service, endpoint, action } => {
                parts(Info, "endpoint_steered", "endpoint changed through the admin server")
                    .with("peer", peer)
                    .with("service", service)
                    .with("endpoint", endpoint)
                    .with("action", action)
            }
            Self::CertificateWanted { names, directory, reason } => {
                parts(Info, "certificate_wanted", "asking for a certificate")
                    .with("names", names)
                    .with("directory", directory)
                    .with("reason", reason)
            }
            Self::CertificateEnds { names, file, state } => {
                parts(Warn, "certificate_ends", "a certificate is to be renewed")
                    .with("names", names)
                    .with("file", file)
                    .with("state", state)
            }
            Self::CertificateAwaited { names, owner } => {
                parts(Info, "certificate_awaited", "another replica is asking for the certificate")
                    .with("names", names)
                    .with("owner", owner)
            }
            Self::CertificateIssued { names, good_for, renews_in } => {
                parts(Info, "certificate_issued", "new certificate in use")
                    .with("names", names)
                    .with_duration("good_for", good_for)
                    .with_duration("renews_in", renews_in)
            }
            Self::CertificateFailed { names, error, again_in, good_for: Some(good_for) } => {
                parts(Error, "certificate_failed", "no new certificate, the one there is stays in use")
                    .with("names", names)
                    .with("error", error)
                    .with_duration("again_in", again_in)
                    .with_duration("good_for", good_for)
            }
            Self::CertificateFailed { names, error, again_in, good_for: None } => {
                parts(Error, "certificate_failed", "no certificate: secured connections are refused")
                    .with("names", names)
                    .with("error", error)
                    .with_duration("again_in", again_in)
            }
            Self::AdminRefused { peer, reason } => {
                parts(Warn, "admin_refused", "request to the admin server refused")
                    .with("peer", peer)
                    .with("reason", reason)
            }
            Self::AdminFailed { error } => {
                parts(Debug, "admin_failed", "admin connection ended with an error").with("error", error)
            }
        }
    }
}

fn parts(level: Level, name: &'static str, message: &'static str) -> Parts {
    Parts { level, name, message, fields: Vec::new() }
}

impl Parts {
    fn with(mut self, key: &'static str, value: impl Display) -> Self {
        self.fields.push((key, value.to_string()));
        self
    }

    fn with_duration(self, key: &'static str, duration: Duration) -> Self {
        self.with(key, format_args!("{:.3}s", duration.as_secs_f64()))
    }

    fn with_endpoint(self, service: &str, endpoint: &str) -> Self {
        self.with("service", service).with("endpoint", endpoint)
    }
}
