//! Reads `domains`, `email` and `acme`: certificates that renew themselves.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use forebay_net::host;
use forebay_proxy::plan::{Acme, Challenge};

use super::address::LABEL_MAX;
use super::lower::Lower;
use super::problems::Spanned;
use super::read::short;
use super::server::Listen;
use super::value::{Fields, Value};

/// Most names in one certificate: what Let's Encrypt has.
const DOMAINS_MAX: usize = 100;
/// The bit that lets everybody put files into a folder and take them out.
const OPEN_TO_ALL: u32 = 0o002;
const PRODUCTION: &str = "https://acme-v02.api.letsencrypt.org/directory";
const STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";
/// Where certificates are kept if the environment says nothing.
const STATE_FALLBACK: &str = "/var/lib/forebay";

/// Certificates from an ACME server, if there are `domains` to have one for.
pub(super) fn read(lower: &mut Lower<'_, '_>, fields: &Fields, listen: &[Listen]) -> Option<Acme> {
    if !fields.is_meant("domains") {
        for field in ["email", "acme"].into_iter().filter_map(|name| fields.field(name)) {
            let what = format!("`{}` does nothing without `domains`", field.name);
            lower.problems.error_fix(field.at, what, "write `domains`, or remove it");
        }
        return None;
    }
    let domains = domains(lower, fields);
    let email = fields.text("email").and_then(|text| email(lower, text));
    let long = fields.table("acme");
    let ca = long.and_then(|long| long.text("ca")).map(|file| lower.pem(file));
    let directory = long.and_then(|long| long.get("directory"));
    let directory = match directory.map(|written| &written.value) {
        Some(Value::Word("staging")) => STAGING.into(),
        Some(Value::Text(url)) => self::directory(lower, directory?.with(url))?,
        _ => PRODUCTION.into(),
    };
    let ca = match ca {
        Some(ca) => Some(Box::from(&*ca?)),
        None => None,
    };
    let challenge = challenge(lower, fields, long, listen);
    let storage = match long.and_then(|long| long.text("storage")) {
        Some(folder) => match lower.base {
            Some(base) => {
                let path = base.join(folder.value);
                look_at_storage(lower, folder, &path);
                path
            }
            None => PathBuf::from(folder.value),
        },
        None => state(lower.env).join("acme"),
    };
    (!domains.is_empty()).then(|| Acme { domains, email, directory, ca, storage: storage.into(), challenge })
}

/// Whether a folder can be there, and whether others get at the keys in it. Whether we may write is found out by those
/// who do: settings may be checked by somebody else than who serves with them.
fn look_at_storage(lower: &mut Lower<'_, '_>, written: Spanned<&str>, path: &Path) {
    let there = path.ancestors().find_map(|path| fs::metadata(path).ok().map(|about| (path, about)));
    let name = short(written.value);
    match there {
        Some((_, about)) if !about.is_dir() => {
            let what = format!("certificates cannot be kept in `{name}`: there is a file in its place");
            lower.problems.error_fix(written.at, what, "give a folder, which is made if it is missing");
        }
        Some((found, about)) if found == path && about.permissions().mode() & OPEN_TO_ALL != 0 => {
            let what =
                format!("everybody on this machine can change what is kept in `{name}`, keys among it");
            lower.problems.warn_fix(written.at, what, format!("say `chmod -R go= {name}`"));
        }
        _ => {}
    }
}

fn domains(lower: &mut Lower<'_, '_>, fields: &Fields) -> Vec<Box<str>> {
    let items = fields.list("domains");
    if let Some(one_more) = items.get(DOMAINS_MAX) {
        lower.problems.error_fix(
            one_more.at,
            format!("more than {DOMAINS_MAX} names in one certificate"),
            "leave some out",
        );
    }
    let mut domains: Vec<Box<str>> = Vec::new();
    for text in items.iter().filter_map(Spanned::text).take(DOMAINS_MAX) {
        match domain(text.value) {
            Ok(name) if domains.contains(&name) => {
                lower.problems.error_fix(text.at, format!("`{name}` stands twice"), "keep one of them");
            }
            Ok(name) => domains.push(name),
            Err((what, fix)) => {
                lower.problems.error_fix(text.at, format!("`{}`: {what}", short(text.value)), fix);
            }
        }
    }
    domains
}

/// A name that an ACME server can look up; or what is wrong with it and what to do.
fn domain(text: &str) -> Result<Box<str>, (&'static str, &'static str)> {
    const FIX: &str = "write, for example, `shop.example.com`";
    if text.starts_with("*.") {
        let what =
            "certificates for wildcards need a challenge by DNS, which is not available in this version";
        return Err((what, "list the names, or give a certificate by file"));
    }
    let host = host::parse(text.as_bytes()).map_err(|_| ("this is no host name", FIX))?;
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    match host.port {
        Some(_) => Err(("a name has no port here", FIX)),
        None if host.name.parse::<std::net::IpAddr>().is_ok() || host.name.starts_with('[') => {
            Err(("certificates by ACME are for names, not for addresses", FIX))
        }
        None if !host.name.bytes().all(is_letter)
            || !host.name.trim_end_matches('.').split('.').all(is_label) =>
        {
            Err(("this is no host name", FIX))
        }
        None if !host.name.trim_end_matches('.').contains('.') => {
            Err(("a name without a dot is nobody's in particular, and no ACME server vouches for it", FIX))
        }
        None => Ok(host.name.trim_end_matches('.').to_ascii_lowercase().into()),
    }
}

/// A part of a name that can be looked up (RFC 1123 section 2.1, RFC 1035 section 2.3.4).
fn is_label(label: &str) -> bool {
    (1..=LABEL_MAX).contains(&label.len()) && !label.starts_with('-') && !label.ends_with('-')
}

fn email(lower: &mut Lower<'_, '_>, text: Spanned<&str>) -> Option<Box<str>> {
    if let Some(address) = text.value.strip_prefix("mailto:") {
        let what = format!("`{}`: an address of e-mail, not a URL", short(text.value));
        lower.problems.error_fix(text.at, what, format!("write `{}`", short(address)));
        return None;
    }
    let visible = text.value.bytes().all(|byte| byte.is_ascii_graphic());
    let parts = text.value.split_once('@').filter(|(name, host)| !name.is_empty() && !host.is_empty());
    if visible && parts.is_some_and(|(_, host)| !host.contains('@')) {
        return Some(text.value.into());
    }
    let what = format!("`{}` is no address of e-mail", short(text.value));
    lower.problems.error_fix(text.at, what, "write, for example, `ops@example.com`");
    None
}

fn directory(lower: &mut Lower<'_, '_>, url: Spanned<&str>) -> Option<Box<str>> {
    let rest = url.value.strip_prefix("https://");
    let authority = rest.and_then(|rest| rest.split(['/', '?']).next());
    let visible = url.value.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && authority.is_some_and(|authority| host::parse(authority.as_bytes()).is_ok()) {
        return Some(url.value.into());
    }
    lower.problems.error_fix(
        url.at,
        format!("`{}` is no directory of an ACME server", short(url.value)),
        "write `production`, `staging`, or a URL that begins with `https://`",
    );
    None
}

/// What was written, if the ACME server can be answered so; else what can.
fn challenge(
    lower: &mut Lower<'_, '_>,
    fields: &Fields,
    long: Option<&Fields>,
    listen: &[Listen],
) -> Challenge {
    let is_plain = |listen: &Listen| !listen.listener.tls && listen.address.ip().is_some();
    let (plain, secured) = (listen.iter().any(is_plain), listen.iter().any(|listen| listen.listener.tls));
    let field = long.and_then(|long| long.field("challenge"));
    let at = field.map_or(fields.at, |field| field.value.at);
    match long.and_then(|long| long.word("challenge")) {
        Some("tls-alpn-01") if !secured && !listen.is_empty() => {
            let what =
                "nobody answers `tls-alpn-01`, a connection to port 443: no address is listened on with TLS";
            lower.problems.error_fix(at, what, "write `https://0.0.0.0:443` under `listen`");
            Challenge::TlsAlpn01
        }
        Some("http-01") if !plain && !listen.is_empty() => {
            let what =
                "nobody answers `http-01`, a request to port 80: no address is listened on without TLS";
            lower.problems.error_fix(
                at,
                what,
                "write `http://0.0.0.0:80` under `listen`, or `challenge: tls-alpn-01`",
            );
            Challenge::Http01
        }
        Some("tls-alpn-01") => Challenge::TlsAlpn01,
        Some(_) => Challenge::Http01,
        None if plain => Challenge::Http01,
        None => Challenge::TlsAlpn01,
    }
}

/// Where this process may keep what it has to know again after a restart.
fn state(env: super::expand::Env<'_>) -> PathBuf {
    let set = |name: &str| env(name).filter(|value| Path::new(value).is_absolute());
    // systemd gives several, with `:` between them, if the unit asks for several.
    let first = |paths: String| paths.split(':').next().map(PathBuf::from);
    set("STATE_DIRECTORY")
        .and_then(first)
        .or_else(|| set("XDG_DATA_HOME").map(|home| Path::new(&home).join("forebay")))
        .or_else(|| set("HOME").map(|home| Path::new(&home).join(".local/share/forebay")))
        .unwrap_or_else(|| PathBuf::from(STATE_FALLBACK))
}
