//! The proxies that are compared: how each is configured and started.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use super::certificate;
use super::client::Connector;
use super::machine::{self, Pinning};
use super::process::{Process, launcher};
use super::row::{Entry, Tuning};
use crate::{tools, tree};

/// Longest wait until a server answers.
const START_WAIT: Duration = Duration::from_secs(10);

/// A proxy to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// The gateway of this repository
    Forebay,
    /// As the distribution has it
    Nginx,
    /// As the distribution has it
    Haproxy,
}

impl fmt::Display for Kind {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::Forebay => "forebay",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
        })
    }
}

/// Where peers find what they need.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site<'a> {
    /// For settings, logs and temporary files.
    pub(crate) folder: &'a Path,
    /// The backend.
    pub(crate) origin: SocketAddr,
    /// Cores for the proxy.
    pub(crate) pinning: &'a Pinning,
    /// The gateway's binary, when it takes part.
    pub(crate) forebay: Option<&'a Path>,
}

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Peer {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    /// For CPU time and memory.
    pub(crate) process: Process,
    /// By what is spoken there.
    connector: Connector,
}

impl Peer {
    /// Writes the settings, starts the proxy, and waits until it answers.
    pub(crate) fn start(kind: Kind, entry: Entry, tuning: Tuning, site: Site<'_>) -> Result<Self> {
        let certificate = certificate::provide(site.folder)?;
        let mut template = kind
            .template("")?
            .replace("{{certificate}}", &certificate.to_string_lossy())
            .replace("{{origin}}", &site.origin.to_string());
        let choices =
            [("large", tuning == Tuning::Large), ("h2", entry == Entry::H2), ("tls", entry == Entry::Tls)];
        for (word, is_first) in choices {
            template = choose(&template, word, is_first);
        }
        Self::begin(kind, entry, &template, site)
    }

    /// As `start`, with a template in which only what every peer needs is still to be filled in. HTTP/1.1 is spoken.
    pub(crate) fn launch(kind: Kind, template: &str, site: Site<'_>) -> Result<Self> {
        Self::begin(kind, Entry::Plain, template, site)
    }

    fn begin(kind: Kind, entry: Entry, template: &str, site: Site<'_>) -> Result<Self> {
        let address = free_address()?;
        let folder = site.folder.join(format!("{kind}-{}", address.port()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let settings = folder.join(kind.file());
        fs::write(&settings, fill(template, &folder, address)?)?;
        let log = folder.join("output.log");
        let program = kind.program(site.forebay)?;
        let process = Process::start(&program, &kind.arguments(&settings), &site.pinning.proxy, &log)?;
        let mut peer = Self { address, process, connector: Connector::new(entry)? };
        peer.wait().with_context(|| {
            let words = fs::read_to_string(&log).unwrap_or_default();
            format!("{kind} does not serve: {}", words.trim())
        })?;
        Ok(peer)
    }

    fn wait(&mut self) -> Result<()> {
        let deadline = Instant::now() + START_WAIT;
        loop {
            self.process.check_alive()?;
            match self.get("/small") {
                Ok(_) => return Ok(()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
    }

    fn get(&self, path: &str) -> Result<Vec<u8>> {
        self.connector.connect(self.address)?.get(path)
    }

    /// The names of the fields that it sends to the origin.
    pub(crate) fn fields(&self) -> Result<String> {
        let head = self.get("/head")?;
        let head = String::from_utf8_lossy(&head);
        let mut names: Vec<&str> = head.lines().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
        names.sort_by_key(|name| name.to_ascii_lowercase());
        Ok(names.join(", "))
    }
}

impl Kind {
    /// The file's name that holds its settings.
    pub(crate) fn file(self) -> &'static str {
        match self {
            Self::Forebay => "forebay.yaml",
            Self::Nginx => "nginx.conf",
            Self::Haproxy => "haproxy.cfg",
        }
    }

    /// Its settings of a folder in benches/.
    pub(crate) fn template(self, folder: &str) -> Result<String> {
        let path = tree::root().join("benches").join(folder).join(self.file());
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    pub(crate) fn program(self, forebay: Option<&Path>) -> Result<PathBuf> {
        match self {
            Self::Forebay => forebay.map(Path::to_owned).context("the forebay binary was not built"),
            Self::Nginx => tools::find("nginx").context("nginx is not installed"),
            Self::Haproxy => tools::find("haproxy").context("haproxy is not installed"),
        }
    }

    fn arguments(self, settings: &Path) -> Vec<OsString> {
        let before: &[&str] = match self {
            Self::Forebay => &["run", "-c"],
            Self::Nginx => &["-c"],
            Self::Haproxy => &["-db", "-f"],
        };
        before.iter().map(OsString::from).chain([settings.into()]).collect()
    }

    /// Its own words on its version.
    pub(crate) fn version(self, forebay: Option<&Path>) -> String {
        let argument = if self == Self::Forebay { "--version" } else { "-v" };
        self.program(forebay)
            .map_or_else(|_| "unknown".to_owned(), |program| machine::version(&program, argument))
    }
}

/// The bench's backend, served by this very program.
#[derive(Debug)]
pub(crate) struct Backend {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    _process: Process,
}

impl Backend {
    /// Starts the origin and waits until it answers.
    pub(crate) fn start(folder: &Path, pinning: &Pinning) -> Result<Self> {
        Self::start_at(1, folder, pinning)
    }

    /// As `start`, reached at this many addresses, see `origin::loopback`.
    pub(crate) fn start_at(addresses: u16, folder: &Path, pinning: &Pinning) -> Result<Self> {
        let address = free_address()?;
        let program = std::env::current_exe().context("cannot find our own program")?;
        let (port, addresses) = (address.port().to_string(), addresses.to_string());
        let words = ["origin", "--port", &port, "--addresses", &addresses];
        let arguments: Vec<OsString> = words.iter().map(OsString::from).collect();
        let log = folder.join("origin.log");
        let process = Process::start(&program, &arguments, &pinning.rest, &log)?;
        let mut peer = Peer { address, process, connector: Connector::new(Entry::Plain)? };
        peer.wait().context("the origin does not serve")?;
        Ok(Self { address, _process: peer.process })
    }
}

/// The load generator of the closed rows, on the cores of the load.
pub(crate) fn wrk(pinning: &Pinning) -> Result<std::process::Command> {
    Ok(launcher(&tools::find("wrk").context("wrk is not installed")?, &pinning.rest))
}

/// Fills in what every peer needs.
pub(crate) fn fill(template: &str, folder: &Path, listen: SocketAddr) -> Result<String> {
    let filled = template
        .replace("{{listen}}", &listen.to_string())
        .replace("{{dir}}", &folder.to_string_lossy())
        .replace("{{nofile}}", &machine::open_files().to_string());
    if let Some((_, place)) = filled.split_once("{{") {
        bail!("nothing fills {{{{{}", place.lines().next().unwrap_or_default());
    }
    Ok(filled)
}

/// Fills each `{{WORD? A : B}}` with A or B.
pub(crate) fn choose(text: &str, word: &str, is_first: bool) -> String {
    let mut filled = String::new();
    let mut rest = text;
    let start = format!("{{{{{word}? ");
    while let Some((before, after)) = rest.split_once(&start) {
        let Some((choice, after)) = after.split_once("}}") else { break };
        let (first, second) = choice.split_once(" : ").unwrap_or((choice, choice));
        filled.push_str(before);
        filled.push_str(if is_first { first } else { second });
        rest = after;
    }
    filled.push_str(rest);
    filled
}

pub(super) fn free_address() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port on 127.0.0.1")?;
    Ok(listener.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_is_filled_by_tuning() {
        let text = "a {{large? off : on}}; b {{large? 64k : 16k}};";
        assert_eq!(choose(text, "large", true), "a off; b 64k;");
        assert_eq!(choose(text, "large", false), "a on; b 16k;");
        assert_eq!(choose("plain", "large", false), "plain");
    }
}
