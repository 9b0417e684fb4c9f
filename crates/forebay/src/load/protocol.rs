//! What is spoken with the target: whether requests share connections, and how these are secured.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use forebay_load::plan::{Http2, Target, Tls, When};
use forebay_net::tls::{Certificate, Client, ClientSettings, LoadTest, Offer};

use super::files;
use super::lower::Lower;
use super::target::Url;
use crate::config::problems::Mark;
use crate::config::value::{Fields, Value};

/// Largest file of certificates or keys, in bytes.
const PEM_MAX: u64 = 1 << 20;

/// What is said of it; whatever is not said is left to the plan, or usual.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Protocol {
    /// Whether HTTP/2 is spoken.
    pub http2: Option<When>,
    /// Connections that requests share, at most.
    pub connections: Option<usize>,
    /// Requests at once on one of them, at most.
    pub streams: Option<usize>,
    /// How connections are secured.
    pub tls: Securing,
}

/// How connections are secured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Securing {
    /// Any certificate will do.
    pub insecure: bool,
    /// Who vouches for the server, in PEM.
    pub ca: Option<PathBuf>,
    /// Shown to servers that ask for it, in PEM; both or none.
    pub cert: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// The name that is asked for and checked, instead of the URL's.
    pub name: Option<String>,
    /// Sessions go on where they can.
    pub resume: bool,
}

/// What is wrong, and what to do.
pub type Wrong = (String, &'static str);

impl Protocol {
    /// Whether requests share connections.
    #[must_use]
    pub fn http2(&self) -> Http2 {
        Http2 {
            when: self.http2.unwrap_or_default(),
            connections: self.connections,
            streams: self.streams.unwrap_or(Http2::STREAMS),
        }
    }

    /// Where requests go, with what it takes to secure connections to it.
    ///
    /// # Errors
    /// The name has no address, a file cannot be used, or what is said does not go together.
    pub fn target(&self, url: &Url) -> Result<Target, Wrong> {
        let shared = match self.http2.unwrap_or_default() {
            When::On => true,
            When::Auto => url.is_secure(),
            When::Off => false,
        };
        if !shared && (self.connections.is_some() || self.streams.is_some()) {
            let what = "requests share connections with HTTP/2 only, which is not spoken here".to_owned();
            return Err((what, "write `http2: on`, or leave out `connections` and `streams`"));
        }
        let tls = self.tls(url)?;
        match url.resolve(&url.path) {
            Ok(target) => Ok(Target { tls, ..target }),
            Err(error) => Err((error, "name a host that has an address, or write the address")),
        }
    }

    fn tls(&self, url: &Url) -> Result<Option<Box<Tls>>, Wrong> {
        if !url.is_secure() {
            if self.tls == Securing::default() {
                return Ok(None);
            }
            let what = "connections to an `http://` URL are not secured".to_owned();
            return Err((what, "write `https://`, or leave out what is said of certificates"));
        }
        let Securing { insecure, ca, cert, key, name, resume } = &self.tls;
        if *insecure && ca.is_some() {
            let what = "any certificate will do, so nobody is asked who vouches for it".to_owned();
            return Err((what, "leave out `insecure` or `ca`"));
        }
        let certificate = match (cert, key) {
            (Some(cert), Some(key)) => {
                Some(Certificate { chain: pem(cert)?, key: pem(key)?, origin: origin(cert) })
            }
            (None, None) => None,
            _ => return Err(("a certificate goes with its key".to_owned(), "give both `cert` and `key`")),
        };
        let settings = ClientSettings {
            ca: ca.as_deref().map(pem).transpose()?,
            ca_origin: ca.as_deref().map_or_else(|| Arc::from(""), origin),
            certificate,
            name: name.as_deref().map(Into::into),
            offer: match self.http2.unwrap_or_default() {
                When::Auto => Offer::Both,
                When::On => Offer::Http2,
                When::Off => Offer::Http1,
            },
        };
        let asked = LoadTest { any_certificate: *insecure, resume: *resume };
        let unfit = |error: forebay_net::tls::TlsError| (error.to_string(), "give files with PEM in them");
        let client = Client::for_load_tests(settings, asked).map_err(unfit)?;
        let host = url.host().to_owned();
        if client.name(&host).is_err() {
            let said = name.as_ref().unwrap_or(&host);
            return Err((
                format!("`{said}` is no name that a certificate can be for"),
                "give another `name`",
            ));
        }
        let upgrading = client.offering(Offer::Http1).map_err(unfit)?;
        Ok(Some(Box::new(Tls { host, client, upgrading })))
    }

    /// What this says, and where it says nothing, what the plan does.
    pub(super) fn over(&self, lower: &Lower<'_, '_>, top: &Fields) -> Self {
        let tls = top.table("tls").map(|fields| Securing::of(lower.base, fields)).unwrap_or_default();
        let when = match top.get("http2").map(|written| &written.value) {
            Some(Value::Switch(true)) => Some(When::On),
            Some(Value::Switch(false)) => Some(When::Off),
            Some(_) => match top.word("http2") {
                Some("on") => Some(When::On),
                Some("off") => Some(When::Off),
                _ => Some(When::Auto),
            },
            None => None,
        };
        Self {
            http2: self.http2.or(when),
            connections: self.connections.or(top.count("connections")),
            streams: self.streams.or(top.count("streams")),
            tls: self.tls.over(tls),
        }
    }
}

impl Securing {
    fn of(base: &Path, fields: &Fields) -> Self {
        let file = |name: &str| fields.text(name).map(|file| base.join(file.value));
        Self {
            insecure: fields.switch("insecure").unwrap_or(false),
            ca: file("ca"),
            cert: file("cert"),
            key: file("key"),
            name: fields.text("name").map(|name| name.value.to_owned()),
            resume: fields.switch("resume").unwrap_or(false),
        }
    }

    fn over(&self, other: Self) -> Self {
        let Self { insecure, ca, cert, key, name, resume } = self.clone();
        // A certificate and its key come from one place, and so does whom to believe.
        let shown = if cert.is_some() || key.is_some() { (cert, key) } else { (other.cert, other.key) };
        let believed = if insecure || ca.is_some() { (insecure, ca) } else { (other.insecure, other.ca) };
        Self {
            insecure: believed.0,
            ca: believed.1,
            cert: shown.0,
            key: shown.1,
            name: name.or(other.name),
            resume: resume || other.resume,
        }
    }
}

/// Tells what is wrong where it is written.
pub(super) fn target(
    lower: &mut Lower<'_, '_>,
    top: &Fields,
    url: &Url,
    at: Mark,
) -> Option<(Target, Http2)> {
    let protocol = lower.changes.protocol.over(lower, top);
    match protocol.target(url) {
        Ok(target) => Some((target, protocol.http2())),
        Err((what, fix)) => {
            lower.problems.error_fix(at, what, fix);
            None
        }
    }
}

fn pem(path: &Path) -> Result<Arc<[u8]>, Wrong> {
    let read = files::read(path, PEM_MAX);
    read.map(Into::into)
        .map_err(|error| (format!("cannot read `{}`: {error}", path.display()), "name a file with PEM in it"))
}

fn origin(path: &Path) -> Arc<str> {
    path.display().to_string().into()
}
