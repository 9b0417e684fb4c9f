//! Reads `tls`: certificates, and what is asked of clients.

use std::sync::Arc;
use std::time::Duration;

use forebay_net::tls::{
    Certificate, CertificateInfo, ClientAuth, Server, ServerSettings, UnknownName, Version,
};
use forebay_proxy::plan::{Acme, Tls};

use super::acme;
use super::lower::Lower;
use super::names::whole_seconds;
use super::problems::Spanned;
use super::read::short;
use super::server::Listen;
use super::value::{Fields, Value};

/// Most certificates.
const CERTIFICATES_MAX: usize = 1_000;
/// What `hsts: on` means.
const YEAR: Duration = Duration::from_secs(365 * 86_400);
/// Where browsers connect to without TLS unless told otherwise.
const HTTP_PORT: u16 = 80;
/// A certificate that ends within this, or within a quarter of its life if that is less, is worth a warning.
const EXPIRES_SOON: i64 = 14 * DAY;
const DAY: i64 = 86_400;

/// How connections with clients are secured; `None`: they are not.
pub(super) fn lower(lower: &mut Lower<'_, '_>, top: &Fields, listen: &[Listen]) -> Option<Tls> {
    let fields = top.table("tls")?;
    if !listen.is_empty() && !listen.iter().any(|listen| listen.listener.tls) {
        let at = top.field("tls").map_or(fields.at, |field| field.at);
        let what = "`tls` does nothing: no address is listened on with it";
        lower.problems.warn_fix(at, what, "write, for example, `listen: https://0.0.0.0:443`");
    }
    let certificates = certificates(lower, fields);
    let client_auth = client_auth(lower, fields);
    let redirect = redirect(lower, fields, listen);
    let hsts = hsts(lower, fields);
    let acme = acme::read(lower, fields, listen);
    let settings = ServerSettings {
        certificates: certificates?,
        min_version: if fields.word("min_version") == Some("1.3") { Version::V1_3 } else { Version::V1_2 },
        client_auth: client_auth?,
        tickets: fields.word("tickets") != Some("off"),
        unknown_name: match fields.word("unknown_name") {
            Some("refuse") => UnknownName::Refuse,
            _ => UnknownName::First,
        },
    };
    match Server::new(settings, None) {
        Ok(server) => {
            doubts(lower, fields, &server, acme.as_ref());
            Some(Tls { server: Arc::new(server), redirect, hsts, acme })
        }
        Err(error) => {
            // Each file alone was good.
            lower.problems.error(fields.at, error.to_string());
            None
        }
    }
}

/// Warns of certificates that are never shown.
fn doubts(lower: &mut Lower<'_, '_>, fields: &Fields, server: &Server, acme: Option<&Acme>) {
    let of = |name| fields.field(name).map(|field| field.value.at);
    let at = of("certificates").or_else(|| of("cert")).unwrap_or(fields.at);
    for [first, second] in server.shadowed() {
        let (first, second) = (short(first), short(second));
        let what = format!("the certificate in `{second}` is not shown while that in `{first}` is valid");
        lower.problems.warn_fix(at, what, "keep one of them: the names and the kind of key are the same");
    }
    for info in server.certificates() {
        if info.names.is_empty() {
            let what =
                format!("the certificate in `{}` is for no name: browsers refuse it", short(&info.origin));
            lower.problems.warn_fix(at, what, "issue it anew with the extension subjectAltName");
        }
        let domains = acme.into_iter().flat_map(|acme| &acme.domains);
        for domain in domains.filter(|domain| info.names.contains(domain)) {
            let what = format!("`{domain}` is in `domains` and in `{}`", short(&info.origin));
            lower.problems.warn_fix(
                at,
                what,
                "keep one of them: the certificate in the file is shown, the one that renews itself is not",
            );
        }
    }
}

/// All of them, or `None` if one is of no use.
fn certificates(lower: &mut Lower<'_, '_>, fields: &Fields) -> Option<Vec<Certificate>> {
    if let Some(cert) = fields.text("cert") {
        return Some(vec![certificate(lower, cert, fields.text("key"))?]);
    }
    if let Some(key) = fields.field("key") {
        lower.problems.error_fix(key.at, "`key` without `cert`", "write `cert: FILE` beside it");
        return None;
    }
    let items = fields.list("certificates");
    if let Some(one_more) = items.get(CERTIFICATES_MAX) {
        lower.problems.error(one_more.at, format!("more than {CERTIFICATES_MAX} certificates"));
        return None;
    }
    let mut all = Some(Vec::new());
    for item in items {
        let one = match &item.value {
            Value::Table(fields) => {
                fields.text("cert").and_then(|cert| certificate(lower, cert, fields.text("key")))
            }
            _ => None,
        };
        all = all.zip(one).map(|(mut all, one)| {
            all.push(one);
            all
        });
    }
    all
}

/// A certificate with its key, if they are there, good, and belong together.
pub(super) fn certificate(
    lower: &mut Lower<'_, '_>,
    cert: Spanned<&str>,
    key: Option<Spanned<&str>>,
) -> Option<Certificate> {
    let key_file = key;
    let (chain, key) = match key {
        // Both are read, so that both are watched and told of.
        Some(key) => {
            let (chain, key) = (lower.pem(cert), lower.private_key(key));
            (chain?, key?)
        }
        None => {
            let both = lower.private_key(cert)?;
            (Arc::clone(&both), both)
        }
    };
    let info = match CertificateInfo::of_pem(&chain, cert.value) {
        Ok(info) => info,
        Err(error) => {
            lower.problems.error(cert.at, error.to_string());
            return None;
        }
    };
    let certificate = Certificate { chain, key, origin: cert.value.into() };
    let alone = ServerSettings { certificates: vec![certificate.clone()], ..ServerSettings::default() };
    if let Err(error) = Server::new(alone, None) {
        match key_file.filter(|_| error.is_about_key()) {
            Some(file) => lower.problems.error(file.at, format!("`{}`: {error}", short(file.value))),
            None => lower.problems.error(cert.at, error.to_string()),
        }
        return None;
    }
    if let Some((what, fix)) = dates(info.not_before, info.not_after, lower.now) {
        let what = format!("the certificate in `{}` {what}", short(cert.value));
        lower.problems.warn_fix(cert.at, what, fix);
    }
    Some(certificate)
}

/// What is to be said about a certificate that is valid from `first` to `last`, and what to do; all in seconds since
/// 1970.
pub(crate) fn dates(first: i64, last: i64, now: i64) -> Option<(String, &'static str)> {
    let left = last.saturating_sub(now);
    let soon = EXPIRES_SOON.min(last.saturating_sub(first) / 4);
    if left <= 0 {
        let fix = "put a new one into the file; it is read as soon as it is there";
        Some((format!("expired {} ago", span(left.saturating_neg())), fix))
    } else if first > now {
        let ahead = span(first.saturating_sub(now));
        Some((format!("is not valid yet, for another {ahead}"), "check this machine's clock, or wait"))
    } else if left < soon {
        let fix = "renew it; the new one is read as soon as it is there";
        Some((format!("expires in {}", span(left)), fix))
    } else {
        None
    }
}

/// `3 days`, `1 hour`; of so many seconds, which is not negative.
fn span(seconds: i64) -> String {
    let (number, noun) = match seconds {
        0..3_600 => (seconds / 60, "minute"),
        3_600..DAY => (seconds / 3_600, "hour"),
        _ => (seconds / DAY, "day"),
    };
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// What is asked of clients; `None` if that is not told rightly.
#[expect(clippy::option_option, reason = "nothing asked, and a problem that was told, are two things")]
fn client_auth(lower: &mut Lower<'_, '_>, fields: &Fields) -> Option<Option<ClientAuth>> {
    let Some(file) = fields.text("client_ca") else {
        if let Some(field) = fields.field("client_auth") {
            let what = "`client_auth` does nothing without `client_ca`, who vouches for clients";
            lower.problems.error_fix(field.at, what, "write `client_ca: FILE`, or remove it");
        }
        return Some(None);
    };
    let ca = lower.pem(file)?;
    let required = fields.word("client_auth") != Some("request");
    let auth = ClientAuth { ca, origin: file.value.into(), required };
    let alone = ServerSettings { client_auth: Some(auth.clone()), ..ServerSettings::default() };
    if let Err(error) = Server::new(alone, None) {
        lower.problems.error(file.at, error.to_string());
        return None;
    }
    for info in CertificateInfo::all_of_pem(&auth.ca, file.value).unwrap_or_default() {
        let subject = short(&info.subject);
        if !info.is_authority {
            let what = format!("`{subject}` in `{}` vouches for nobody: it is not a CA", short(file.value));
            lower.problems.warn_fix(file.at, what, "give the certificate of who issued those of clients");
        } else if !info.is_valid_at(lower.now) {
            let what = format!("`{subject}` in `{}` is not valid now", short(file.value));
            let fix = "take it out, or give a new one: clients that it vouches for are still let in";
            lower.problems.warn_fix(file.at, what, fix);
        }
    }
    Some(Some(auth))
}

/// The port that requests without TLS are redirected to.
fn redirect(lower: &mut Lower<'_, '_>, fields: &Fields, listen: &[Listen]) -> Option<u16> {
    let secured = listen.iter().filter(|listen| listen.listener.tls).find_map(|listen| listen.address.ip());
    let mut plain = listen.iter().filter(|listen| !listen.listener.tls).peekable();
    let is_plain = plain.peek().is_some();
    let usual = |listen: &Listen| listen.address.ip().is_some_and(|address| address.port() == HTTP_PORT);
    let port = match (fields.word("redirect"), fields.count("redirect")) {
        (Some("off"), _) => return None,
        (_, Some(port)) => Some(port),
        (Some(_), _) => secured.map(|address| address.port()),
        (None, None) => {
            return secured.filter(|_| is_plain && plain.all(usual)).map(|address| address.port());
        }
    };
    if let Some(field) = fields.field("redirect").filter(|_| !is_plain && !listen.is_empty()) {
        let what = "`redirect` does nothing: no address is listened on without TLS";
        lower.problems.warn_fix(field.at, what, "write, for example, `http://0.0.0.0:80` under `listen`");
    }
    port
}

/// The value of `Strict-Transport-Security`.
fn hsts(lower: &mut Lower<'_, '_>, fields: &Fields) -> Option<Box<str>> {
    let written = fields.get("hsts")?;
    let (max_age, include_subdomains, preload) = match &written.value {
        Value::Word("on") => (YEAR, false, false),
        Value::Time(time) => (*time, false, false),
        Value::Table(long) => {
            let max_age = long.time("max_age").unwrap_or(YEAR);
            let preload = long.switch("preload").unwrap_or(false);
            let include_subdomains = long.switch("include_subdomains").unwrap_or(preload);
            if let Some(field) =
                long.field("preload").filter(|_| preload && (!include_subdomains || max_age < YEAR))
            {
                let what = "lists in browsers want all subdomains and a `max_age` of at least 365d";
                lower.problems.error_fix(field.at, what, "remove `preload`, or what is in its way");
            }
            (max_age, include_subdomains, preload)
        }
        _ => return None,
    };
    whole_seconds(lower, written.at, "max_age", max_age);
    let subdomains = if include_subdomains { "; includeSubDomains" } else { "" };
    let preload = if preload { "; preload" } else { "" };
    Some(format!("max-age={}{subdomains}{preload}", max_age.as_secs()).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said about a certificate that is valid from so many days ago to so many days ahead.
    fn told(ago: i64, ahead: i64) -> Option<String> {
        const NOW: i64 = 1_800_000_000;
        dates(NOW - ago * DAY, NOW + ahead * DAY, NOW).map(|(what, _)| what)
    }

    #[test]
    fn certificates_that_are_not_good_for_long_are_told() {
        assert_eq!(told(30, 60), None);
        assert_eq!(told(2, 4), None, "short lives are meant");
        assert_eq!(told(5, 1).as_deref(), Some("expires in 1 day"));
        assert_eq!(told(80, 10).as_deref(), Some("expires in 10 days"));
        assert_eq!(told(80, -1).as_deref(), Some("expired 1 day ago"));
        assert_eq!(told(-3, 90).as_deref(), Some("is not valid yet, for another 3 days"));
        assert_eq!(dates(0, 7_200, 7_199).map(|(what, _)| what).as_deref(), Some("expires in 0 minutes"));
        assert_eq!(dates(i64::MAX, i64::MIN, 0).map(|(_, fix)| fix.is_empty()), Some(false));
    }
}
