//! Reads `listen`.

use std::net::SocketAddr;

use forebay_proxy::plan::HTTP3;

use super::address;
use super::lower::Lower;
use super::problems::{Mark, Spanned};
use super::read::short;
use super::server::Listen;
use super::value::{Fields, Value};

/// Most addresses to listen on.
const LISTEN_MAX: usize = 64;
/// What to write for certificates.
pub(super) const CERTIFICATES_FIX: &str = "write `tls: {cert: shop.pem, key: shop.key}`, or, to have one from \
     Let's Encrypt, `tls: {domains: shop.example.com, email: you@example.com}`";

/// Whether one of them wants this address.
pub(super) fn is_wanted(listen: &[Listen], address: SocketAddr) -> bool {
    listen.iter().any(|listen| listen.is_at(&address.into()))
}

/// Where clients connect.
pub(super) fn read(lower: &mut Lower<'_, '_>, top: &Fields) -> Vec<Listen> {
    let mut all: Vec<Listen> = Vec::new();
    if let Some(one_more) = top.list("listen").get(LISTEN_MAX) {
        lower.problems.error(one_more.at, format!("more than {LISTEN_MAX} addresses to listen on"));
        return all;
    }
    let mut uncertified = None;
    for item in top.list("listen") {
        let Some((at, listen)) = one(lower, top, item) else { continue };
        if all.iter().any(|other| other.is_at(&listen.address)) {
            let what = format!("{} is listened on twice", listen.address);
            lower.problems.error_fix(at, what, "keep one of them");
        }
        if listen.listener.tls && uncertified.is_none() && !top.is_meant("tls") {
            uncertified = Some(at);
        }
        all.push(listen);
    }
    if let Some(at) = uncertified {
        lower.problems.error_fix(at, "`https://` needs a certificate", CERTIFICATES_FIX);
    }
    all
}

fn one(lower: &mut Lower<'_, '_>, top: &Fields, item: &Spanned<Value>) -> Option<(Mark, Listen)> {
    match &item.value {
        Value::Text(text) => Some((item.at, parsed(lower, item.with(text))?)),
        Value::Table(fields) => {
            let text = fields.text("address")?;
            let mut listen = parsed(lower, text)?;
            let listener = &mut listen.listener;
            listener.http2 = fields.word("http2") != Some("off");
            listener.http3 = fields.word("http3") == Some("on");
            listener.proxy_protocol = fields.word("proxy_protocol") == Some("on");
            check(lower, top, fields, &listen);
            Some((text.at, listen))
        }
        _ => None,
    }
}

fn check(lower: &mut Lower<'_, '_>, top: &Fields, fields: &Fields, listen: &Listen) {
    let at = |name| fields.field(name).map_or(fields.at, |field| field.value.at);
    if listen.listener.http3 && !HTTP3 {
        lower.problems.error_fix(at("http3"), "this build of Forebay does not have HTTP/3", "remove `http3`");
    } else if listen.listener.http3 && !listen.listener.tls {
        let fix = "write `https://` in front of the address, or remove `http3`";
        lower.problems.error_fix(at("http3"), "HTTP/3 is always secured", fix);
    }
    if listen.listener.http3 && listen.listener.proxy_protocol {
        // By QUIC anybody would get past the rule that only proxies may connect.
        let what = "connections of HTTP/3 have no PROXY protocol header in front of them";
        let fix = "remove one of them, or give each an address of its own";
        lower.problems.error_fix(at("http3"), what, fix);
    }
    let nobody = !top.is_meant("trusted_proxies") || top.get("trusted_proxies").is_some_and(is_empty);
    if listen.listener.proxy_protocol && nobody {
        let what = "nobody may send a PROXY protocol header: no proxy is trusted";
        // Who comes by a Unix socket counts as this machine.
        let proxies = if listen.address.ip().is_some() { "10.0.0.0/8" } else { "127.0.0.1" };
        let fix = format!("name the balancer in front, such as `trusted_proxies: [{proxies}]`");
        lower.problems.error_fix(at("proxy_protocol"), what, fix);
    }
}

fn is_empty(written: &Spanned<Value>) -> bool {
    matches!(&written.value, Value::List(items) if items.is_empty())
}

fn parsed(lower: &mut Lower<'_, '_>, text: Spanned<&str>) -> Option<Listen> {
    match address::listen(text.value) {
        Ok(listen) => Some(listen),
        Err(wrong) => {
            let what = format!("`{}`: {}", short(text.value), wrong.what);
            lower.problems.error_fix(text.at, what, wrong.fix);
            None
        }
    }
}
