//! What the process itself needs to know: where to listen, how many workers, what to write down.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use forebay_net::address::Address;
use forebay_proxy::plan::Listener;
use forebay_telemetry::log::Level;

use super::files::read_regular;
use super::listen::is_wanted;
use super::lower::Lower;
use super::problems::{Mark, Spanned};
use super::value::{Fields, Value};
use super::{address, listen};

/// Where the admin side is served unless told otherwise.
pub const ADMIN_DEFAULT: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 9900);
/// Fewest characters of a token; fewer can be guessed.
const TOKEN_MIN: usize = 16;
/// Largest file a secret is read from, in bytes.
const SECRET_MAX: u64 = 64 << 10;

/// Settings of the process rather than of requests. Some need a restart to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Where clients connect. Never empty; no address twice.
    pub listen: Vec<Listen>,
    /// Where metrics, health and status are served; `None`: nowhere.
    pub admin: Option<Admin>,
    /// Threads that serve requests.
    pub workers: Workers,
    /// What is written down, and where.
    pub logs: Logs,
}

/// An address that clients connect to, and what is spoken there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listen {
    /// Where. Port 0: any that is free.
    pub address: Address,
    /// What.
    pub listener: Listener,
}

/// The admin side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admin {
    /// Where it is served. A loopback address unless there is a token.
    pub listen: SocketAddr,
    /// What `Authorization: Bearer` must say; `None`: nothing is asked.
    pub token: Option<Secret>,
}

/// A text that must not show up in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<str>);

/// How many threads serve requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Workers {
    /// One for each processor this process may use.
    #[default]
    Auto,
    /// So many: 1 to 256.
    Count(NonZeroUsize),
}

/// What is written down, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logs {
    /// One record for each request.
    pub access: AccessFormat,
    /// Where access records go.
    pub to: LogTarget,
    /// Least important message about Forebay itself that is written.
    pub level: Level,
}

/// How access records are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessFormat {
    /// Not at all.
    Off,
    /// A JSON object in each line.
    Json,
    /// A line for people.
    Text,
    /// `Text` on a terminal, else `Json`.
    #[default]
    Auto,
}

/// Where access records go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    #[default]
    Stdout,
    /// Standard error.
    Stderr,
    /// Appended to this file. Relative paths already begin at the settings file.
    File(PathBuf),
}

impl Server {
    /// Keys under which `other` differs.
    #[must_use]
    pub fn changed(&self, other: &Self) -> Vec<&'static str> {
        let Self { listen, admin, workers, logs } = self;
        let keys = [
            ("listen", listen != &other.listen && self.listeners_of(other).is_none()),
            ("admin", *admin != other.admin),
            ("workers", *workers != other.workers),
            ("logs", *logs != other.logs),
        ];
        keys.into_iter().filter_map(|(key, differs)| differs.then_some(key)).collect()
    }
}

impl Listen {
    /// Whether both want the same place; port 0 is never the same.
    pub(super) fn is_at(&self, address: &Address) -> bool {
        self.address == *address && address.ip().is_none_or(|address| address.port() != 0)
    }
}

impl From<SocketAddr> for Listen {
    /// Without TLS, with the usual protocols.
    fn from(address: SocketAddr) -> Self {
        Self { address: address.into(), listener: Listener::default() }
    }
}

impl fmt::Display for Listen {
    /// As settings have it, but for `http://`, which goes without saying.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.listener.tls { "https://" } else { "" };
        write!(f, "{scheme}{}", self.address)
    }
}

impl Server {
    /// What is spoken at the addresses of `self`, in their order, as `other` says; `None`: it has other addresses, or
    /// wants what has to be opened for it.
    #[must_use]
    pub fn listeners_of(&self, other: &Self) -> Option<Vec<Listener>> {
        let mut left: Vec<&Listen> = other.listen.iter().collect();
        let take = |listen: &Listen| {
            let same = |other: &&Listen| {
                other.address == listen.address && other.listener.http3 == listen.listener.http3
            };
            Some(left.remove(left.iter().position(same)?).listener)
        };
        let listeners = self.listen.iter().map(take).collect::<Option<Vec<_>>>()?;
        left.is_empty().then_some(listeners)
    }
}

impl Workers {
    /// The number of threads.
    #[must_use]
    pub fn count(self) -> NonZeroUsize {
        match self {
            Self::Auto => std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            Self::Count(count) => count,
        }
    }
}

impl Secret {
    /// The secret itself.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(...)")
    }
}

/// Reads the settings of the process.
pub(super) fn lower(lower: &mut Lower<'_, '_>, top: &Fields) -> Server {
    let listen = listen::read(lower, top);
    let admin = admin(lower, top);
    let clash = admin.as_ref().filter(|admin| is_wanted(&listen, admin.listen));
    if let Some(admin) = clash {
        let at =
            top.field("admin").or_else(|| top.field("listen")).map_or(Mark::FILE, |field| field.value.at);
        let what = format!("`admin` and `listen` both want {}", admin.listen);
        lower.problems.error_fix(at, what, "give one of them another port");
    }
    let workers = top.count("workers").and_then(NonZeroUsize::new).map_or(Workers::Auto, Workers::Count);
    let logs = top.table("logs").map(|logs| self::logs(lower, logs)).unwrap_or_default();
    Server { listen, admin, workers, logs }
}

fn address(lower: &mut Lower<'_, '_>, text: Spanned<&str>) -> Option<SocketAddr> {
    let wrong = match address::socket(text.value) {
        Ok(address) => return Some(address),
        Err(wrong) => wrong,
    };
    lower.problems.error_fix(
        text.at,
        format!("`{}`: {}", super::read::short(text.value), wrong.what),
        wrong.fix,
    );
    None
}

fn admin(lower: &mut Lower<'_, '_>, top: &Fields) -> Option<Admin> {
    let Some(written) = top.get("admin") else {
        return Some(Admin { listen: ADMIN_DEFAULT, token: None });
    };
    let (listen, token) = match &written.value {
        Value::Text(text) => (address(lower, written.with(text))?, None),
        Value::Table(fields) => {
            let listen = match fields.text("listen") {
                Some(text) => address(lower, text)?,
                None => ADMIN_DEFAULT,
            };
            (listen, fields.get("token"))
        }
        _ => return None,
    };
    if token.is_none() && !listen.ip().is_loopback() {
        lower.problems.error_fix(
            written.at,
            format!("the admin side would be open to anyone who can reach {listen}"),
            "write `admin: {listen: ..., token: ...}`, or a loopback address such as `127.0.0.1:9900`",
        );
    }
    Some(Admin { listen, token: token.and_then(|token| secret(lower, token)) })
}

/// The secret itself, or read from its file.
fn secret(lower: &mut Lower<'_, '_>, written: &Spanned<Value>) -> Option<Secret> {
    let (at, text) = match &written.value {
        Value::Text(text) => (written.at, text.clone()),
        Value::Table(fields) => {
            let file = fields.text("file")?;
            match secret_file(lower.base, file.value) {
                Ok(text) => (file.at, text),
                Err(error) => {
                    let what =
                        format!("cannot read the secret in `{}`: {error}", super::read::short(file.value));
                    lower.problems.error(file.at, what);
                    return None;
                }
            }
        }
        _ => return None,
    };
    if text.len() < TOKEN_MIN || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        lower.problems.error_fix(
            at,
            format!("a token has at least {TOKEN_MIN} characters, and only visible ones of ASCII"),
            "make one with `openssl rand -hex 24`",
        );
    }
    Some(Secret(text.into()))
}

/// What stands in a file, without a line break at its end.
fn secret_file(base: Option<&Path>, name: &str) -> Result<String, String> {
    let path = base.ok_or("there are no files here")?.join(name);
    let content = read_regular(&path, SECRET_MAX)?;
    let text = String::from_utf8(content).map_err(|_| "it is not UTF-8")?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    Ok(text.strip_suffix('\r').unwrap_or(text).to_owned())
}

fn logs(lower: &Lower<'_, '_>, fields: &Fields) -> Logs {
    let access = match fields.word("access") {
        Some("off") => AccessFormat::Off,
        Some("json") => AccessFormat::Json,
        Some("text") => AccessFormat::Text,
        _ => AccessFormat::Auto,
    };
    let to = match fields.get("to").map(|to| &to.value) {
        Some(Value::Word("stderr")) => LogTarget::Stderr,
        Some(Value::Text(path)) => {
            LogTarget::File(lower.base.map_or_else(|| PathBuf::from(path), |base| base.join(path)))
        }
        _ => LogTarget::Stdout,
    };
    let level = match fields.word("level") {
        Some("error") => Level::Error,
        Some("warn") => Level::Warn,
        Some("debug") => Level::Debug,
        _ => Level::Info,
    };
    Logs { access, to, level }
}
