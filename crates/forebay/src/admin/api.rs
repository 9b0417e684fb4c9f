//! What the admin server answers: one table of resources.

use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddr;
use std::time::Duration;

use forebay_proxy::supervisor::Steer;
use forebay_telemetry::exposition::{self, Format};
use forebay_telemetry::log::Event;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Bytes};
use hyper::header::ACCEPT;
use hyper::{Method, Request, StatusCode};
use serde_json::json;

use super::endpoints::{self, segments};
use super::guard::{Caller, Denial};
use super::pprof::{self, Missing};
use super::reply::{self, Reply};
use super::{AdminState, Change, Phase, Reload, Upgrade};

/// Largest request body, in bytes.
const BODY_BYTES_MAX: usize = 64 << 10;
/// Longest wait for a request body.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// The reason for which a change is to be asked of the process that has taken over.
pub(crate) const SUCCEEDED: &str = "succeeded";

const PAGE: &str = include_str!("status.html");
/// Stands in the page wherever a nonce belongs.
const NONCE_MARK: &str = "{{nonce}}";

/// What can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Resource {
    Page,
    Metrics,
    Live,
    Ready,
    Status,
    Routes,
    Services,
    Certificates,
    /// By name.
    Service(String),
    /// Those of the service of this name.
    EndpointsOf(String),
    /// Of all services.
    Endpoints,
    /// By service and address.
    Endpoint(String, String),
    /// What is to be done to it.
    Steer(String, String, Steer),
    Reload,
    Upgrade,
    Profiles,
    CpuProfile,
    CommandLine,
    MissingProfile(Missing),
}

/// Who may ask for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// A probe, by whatever name: it learns one word.
    Anyone,
    /// The page without its numbers: it asks for the token itself.
    OwnName,
    /// Those with the token, if one is set.
    Token,
}

impl Resource {
    fn at(path: &str) -> Option<Self> {
        Some(match path {
            "/" => Self::Page,
            "/metrics" => Self::Metrics,
            "/livez" => Self::Live,
            "/readyz" => Self::Ready,
            "/api/v1/status" => Self::Status,
            "/api/v1/routes" => Self::Routes,
            "/api/v1/services" => Self::Services,
            "/api/v1/certificates" => Self::Certificates,
            "/api/v1/endpoints" => Self::Endpoints,
            "/api/v1/reload" => Self::Reload,
            "/api/v1/upgrade" => Self::Upgrade,
            "/debug/pprof" | "/debug/pprof/" => Self::Profiles,
            "/debug/pprof/profile" => Self::CpuProfile,
            "/debug/pprof/cmdline" => Self::CommandLine,
            _ => {
                return match path.strip_prefix("/api/v1/services/") {
                    Some(below) => Self::below_services(below),
                    None => Missing::by_name(path.strip_prefix("/debug/pprof/")?).map(Self::MissingProfile),
                };
            }
        })
    }

    /// `SERVICE`, `SERVICE/endpoints`, `SERVICE/endpoints/ADDRESS` or `SERVICE/endpoints/ADDRESS/ACTION`.
    fn below_services(path: &str) -> Option<Self> {
        let segments = segments(path)?;
        let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
        let owned = str::to_owned;
        Some(match segments[..] {
            [service] => Self::Service(owned(service)),
            [service, "endpoints"] => Self::EndpointsOf(owned(service)),
            [service, "endpoints", address] => Self::Endpoint(owned(service), owned(address)),
            [service, "endpoints", address, action] => {
                Self::Steer(owned(service), owned(address), endpoints::steer(action)?)
            }
            _ => return None,
        })
    }

    const fn access(&self) -> Access {
        match self {
            Self::Live | Self::Ready => Access::Anyone,
            Self::Page => Access::OwnName,
            Self::Metrics | Self::Status | Self::Routes | Self::Reload | Self::Upgrade => Access::Token,
            Self::Certificates => Access::Token,
            Self::Services | Self::Service(_) | Self::EndpointsOf(_) | Self::Endpoints => Access::Token,
            Self::Endpoint(..) | Self::Steer(..) => Access::Token,
            Self::Profiles | Self::CpuProfile | Self::CommandLine | Self::MissingProfile(_) => Access::Token,
        }
    }

    /// The value of `Allow`.
    const fn methods(&self) -> &'static str {
        match self {
            Self::Reload | Self::Upgrade | Self::Steer(..) => "POST",
            Self::EndpointsOf(_) => "GET, HEAD, POST",
            Self::Endpoint(..) => "GET, HEAD, DELETE",
            // The head alone is not worth the work.
            Self::CpuProfile => "GET",
            _ => "GET, HEAD",
        }
    }

    /// Whether such a request changes what only the process that serves should change. An upgrade knows itself
    /// that there was one.
    fn is_change_by(&self, method: &Method) -> bool {
        !matches!(*method, Method::GET | Method::HEAD) && *self != Self::Upgrade
    }

    fn allows(&self, method: &Method) -> bool {
        self.methods().split(", ").any(|allowed| allowed == method.as_str())
    }
}

/// Answers one request.
pub(super) async fn answer<B>(
    state: &AdminState,
    token: Option<&str>,
    peer: SocketAddr,
    request: Request<B>,
) -> Reply
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let resource = Resource::at(request.uri().path());
    if let Err(denial) = admit(state, token, resource.as_ref(), &request) {
        state.log.emit(&Event::AdminRefused { peer, reason: denial.reason() });
        return refuse(denial);
    }
    let Some(resource) = resource else {
        return reply::problem(
            StatusCode::NOT_FOUND,
            "not_found",
            "there is nothing here; see / for what there is",
        );
    };
    if !resource.allows(request.method()) {
        return reply::method_not_allowed(resource.methods());
    }
    if state.is_succeeded() && resource.is_change_by(request.method()) {
        return succeeded();
    }
    match resource {
        Resource::Page => page(),
        Resource::Metrics => metrics(state, &request),
        Resource::Live => reply::text(StatusCode::OK, "alive"),
        Resource::Ready => ready(state.phase()),
        Resource::Status => status(state),
        Resource::Routes => reply::json(StatusCode::OK, &state.control.routes()),
        Resource::Services => endpoints::services(state),
        Resource::Certificates => reply::json(StatusCode::OK, &state.control.certificates()),
        Resource::Service(name) => endpoints::service(state, &name),
        Resource::Endpoints => endpoints::list(state, request.uri().query()),
        Resource::EndpointsOf(service) if request.method() == Method::POST => {
            match read(request.into_body()).await {
                Ok(body) => endpoints::add(state, peer, &service, &body),
                Err(reply) => *reply,
            }
        }
        Resource::EndpointsOf(service) => endpoints::service(state, &service),
        Resource::Endpoint(service, address) if request.method() == Method::DELETE => {
            change(state, peer, (&service, &address), Change::Remove, request).await
        }
        Resource::Endpoint(service, address) => endpoints::endpoint(state, &service, &address),
        Resource::Steer(service, address, steer) => {
            change(state, peer, (&service, &address), Change::Steer(steer), request).await
        }
        Resource::Reload => reload(state, request).await,
        Resource::Upgrade => upgrade(state, request).await,
        Resource::Profiles => pprof::index(),
        Resource::CpuProfile => pprof::cpu(request.uri().query()).await,
        Resource::CommandLine => pprof::command_line(),
        Resource::MissingProfile(missing) => missing.reply(),
    }
}

/// What is not there is guarded like the rest, so that strangers learn nothing by trying paths.
fn admit<B>(
    state: &AdminState,
    token: Option<&str>,
    resource: Option<&Resource>,
    request: &Request<B>,
) -> Result<(), Denial> {
    let caller = Caller {
        method: request.method(),
        uri: request.uri(),
        version: request.version(),
        headers: request.headers(),
        costly: resource == Some(&Resource::CpuProfile),
    };
    match resource.map_or(Access::Token, Resource::access) {
        Access::Anyone => Ok(()),
        Access::OwnName => caller.name_is_ours(&state.names),
        Access::Token => caller.admit(token, &state.names),
    }
}

fn refuse(denial: Denial) -> Reply {
    let (status, detail) = match denial {
        Denial::Unauthorized => return reply::unauthorized(),
        Denial::HostMissing => (StatusCode::BAD_REQUEST, "send exactly one Host header"),
        Denial::HostUnknown => (
            StatusCode::MISDIRECTED_REQUEST,
            "call this server by its address or as localhost, or send the token",
        ),
        Denial::CrossOrigin => (StatusCode::FORBIDDEN, "work and changes are not taken from pages elsewhere"),
    };
    reply::problem(status, denial.reason(), detail)
}

/// What was asked for would be done to the process that goes, and forgotten.
fn succeeded() -> Reply {
    let detail = "another process has taken over; ask again, and it will answer";
    reply::retry_after(reply::problem(StatusCode::SERVICE_UNAVAILABLE, SUCCEEDED, detail), 0)
}

fn page() -> Reply {
    let nonce = nonce();
    reply::page(PAGE.replace(NONCE_MARK, &nonce), &nonce)
}

/// A value no page can guess: keyed hashes under keys from the system's randomness.
fn nonce() -> String {
    let random = || RandomState::new().hash_one(PAGE.len());
    format!("{:016x}{:016x}", random(), random())
}

fn metrics<B>(state: &AdminState, request: &Request<B>) -> Reply {
    let accept = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let format = Format::accepted_by(accept);
    reply::body(StatusCode::OK, format.content_type(), exposition::write(&state.telemetry, format))
}

fn ready(phase: Phase) -> Reply {
    let status = match phase {
        Phase::Ready => StatusCode::OK,
        Phase::Starting | Phase::Draining => StatusCode::SERVICE_UNAVAILABLE,
    };
    reply::text(status, phase.label())
}

fn status(state: &AdminState) -> Reply {
    let mut status = state.with_recorder(|recorder| recorder.to_json());
    status["phase"] = json!(state.phase().label());
    status["listen"] = state.control.listen().into();
    reply::json(StatusCode::OK, &status)
}

async fn reload<B>(state: &AdminState, request: Request<B>) -> Reply
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    // It says nothing we need, but has to be read before the answer to keep the connection in step.
    if let Err(reply) = read(request.into_body()).await {
        return *reply;
    }
    match state.control.reload().await {
        Reload::Done { generation, changes } => {
            let report = json!({
                "generation": generation,
                "changed": !changes.is_empty(),
                "summary": changes.summary(),
                "changes": changes.to_json(),
            });
            reply::json(StatusCode::OK, &report)
        }
        Reload::Refused { problems } => reply::problem_with(
            StatusCode::UNPROCESSABLE_ENTITY,
            "reload_refused",
            "the settings have problems; the old ones stay in use",
            json!(problems),
        ),
        Reload::Unavailable => reply::problem(
            StatusCode::CONFLICT,
            "no_settings_file",
            "this gateway was started without a settings file",
        ),
    }
}

async fn change<B>(
    state: &AdminState,
    peer: SocketAddr,
    endpoint: (&str, &str),
    wish: Change,
    request: Request<B>,
) -> Reply
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    match read(request.into_body()).await {
        Ok(body) => endpoints::change_by_path(state, peer, endpoint, wish, &body),
        Err(reply) => *reply,
    }
}

async fn upgrade<B>(state: &AdminState, request: Request<B>) -> Reply
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if let Err(reply) = read(request.into_body()).await {
        return *reply;
    }
    match state.control.upgrade().await {
        Upgrade::Done { pid } => {
            let detail = format!("process {pid} serves; the one before finishes what it has begun");
            reply::json(StatusCode::OK, &json!({ "pid": pid, "detail": detail }))
        }
        Upgrade::Refused { reason } => reply::problem_with(
            StatusCode::CONFLICT,
            "upgrade_refused",
            "there was no upgrade; this process goes on as before",
            json!(lines(&reason)),
        ),
    }
}

/// One element for each line: a new process tells of every problem of its settings.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect()
}

/// Reads a body to its end, within bounds.
async fn read<B>(body: B) -> Result<Bytes, Box<Reply>>
where
    B: Body,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let limited = Limited::new(body, BODY_BYTES_MAX);
    let reply = match tokio::time::timeout(BODY_TIMEOUT, Box::pin(limited.collect())).await {
        Ok(Ok(body)) => return Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            reply::problem(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "send at most 64 KiB")
        }
        Ok(Err(_)) => {
            reply::problem(StatusCode::BAD_REQUEST, "body_broken", "the request body did not end well")
        }
        Err(_) => {
            reply::problem(StatusCode::REQUEST_TIMEOUT, "body_timeout", "the request body took too long")
        }
    };
    Err(Box::new(reply))
}
