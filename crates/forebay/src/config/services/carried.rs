//! Reads how a service's endpoints are spoken with: `protocol`, `tls`, `proxy_protocol`.

use std::sync::Arc;

use forebay_net::address::Address;
use forebay_net::host;
use forebay_net::tls::{Client, ClientSettings, Offer};
use forebay_proxy::plan::{Endpoint, Protocol, ProxyProtocol};

use super::super::lower::Lower;
use super::super::problems::Spanned;
use super::super::read::short;
use super::super::tls;
use super::super::value::{Fields, Value};

/// How endpoints are spoken with.
#[derive(Default)]
pub(super) struct Carried {
    pub(super) protocol: Protocol,
    pub(super) tls: Option<Arc<Client>>,
    pub(super) proxy_protocol: Option<ProxyProtocol>,
}

/// Reads all of it, and whether the parts agree.
pub(super) fn read(lower: &mut Lower<'_, '_>, fields: &Fields, endpoints: &[Endpoint]) -> Carried {
    let protocol = match fields.word("protocol") {
        Some("h2") => Protocol::H2,
        Some("h2c") => Protocol::H2c,
        Some("auto") => Protocol::Auto,
        _ => Protocol::Http1,
    };
    let proxy_protocol = match fields.word("proxy_protocol") {
        Some("v1") => Some(ProxyProtocol::V1),
        Some("v2") => Some(ProxyProtocol::V2),
        _ => None,
    };
    agree(lower, fields, protocol, proxy_protocol);
    Carried { protocol, tls: client(lower, fields, protocol, endpoints), proxy_protocol }
}

fn agree(lower: &mut Lower<'_, '_>, fields: &Fields, protocol: Protocol, proxy: Option<ProxyProtocol>) {
    let at = |name| fields.field(name).map_or(fields.at, |field| field.value.at);
    let secured = fields.is_meant("tls") && fields.word("tls") != Some("off");
    match protocol {
        Protocol::H2 if !secured => lower.problems.error_fix(
            at("protocol"),
            "`h2` is HTTP/2 with TLS, and there is no `tls`",
            "add `tls: on`, or write `h2c` for HTTP/2 without it",
        ),
        Protocol::Auto if !secured => lower.problems.error_fix(
            at("protocol"),
            "`auto` is agreed on during the TLS handshake, and there is no `tls`",
            "add `tls: on`, or write `http1` or `h2c`",
        ),
        Protocol::H2c if secured => lower.problems.error_fix(
            at("protocol"),
            "`h2c` is HTTP/2 without TLS, and there is `tls`",
            "write `h2`, or remove `tls`",
        ),
        _ => {}
    }
    if proxy.is_some() && protocol != Protocol::Http1 {
        lower.problems.error_fix(
            at("proxy_protocol"),
            "an HTTP/2 connection serves many clients, and `proxy_protocol` names one",
            "write `protocol: http1`, or remove `proxy_protocol`: `Forwarded` says who the client is",
        );
    }
}

fn client(
    lower: &mut Lower<'_, '_>,
    fields: &Fields,
    protocol: Protocol,
    endpoints: &[Endpoint],
) -> Option<Arc<Client>> {
    let written = fields.get("tls")?;
    let offer = match protocol {
        Protocol::H2 => Offer::Http2,
        Protocol::Auto => Offer::Both,
        Protocol::Http1 | Protocol::H2c => Offer::Http1,
    };
    let settings = match &written.value {
        Value::Word("on") => ClientSettings { offer, ..ClientSettings::default() },
        Value::Table(long) => ClientSettings { offer, ..settings(lower, long)? },
        _ => return None,
    };
    if settings.name.is_none() && endpoints.iter().any(|endpoint| endpoint.address.starts_with(Address::UNIX))
    {
        let what = "it is not known which name a server behind a Unix socket has to prove";
        lower.problems.error_fix(written.at, what, "write, for example, `tls: {name: app.internal}`");
    }
    match Client::new(settings) {
        Ok(client) => Some(Arc::new(client)),
        Err(error) => {
            let ca = fields.table("tls").and_then(|long| long.text("ca"));
            lower.problems.error(ca.map_or(written.at, |ca| ca.at), error.to_string());
            None
        }
    }
}

/// The long form; `None` if one of its files is of no use.
fn settings(lower: &mut Lower<'_, '_>, long: &Fields) -> Option<ClientSettings> {
    let ca_file = long.text("ca");
    let ca = ca_file.map(|file| lower.pem(file));
    let certificate = match (long.text("cert"), long.field("key")) {
        (Some(cert), _) => Some(tls::certificate(lower, cert, long.text("key"))),
        (None, Some(key)) => {
            lower.problems.error_fix(key.at, "`key` without `cert`", "write `cert: FILE` beside it");
            Some(None)
        }
        (None, None) => None,
    };
    let name = long.text("name").map(|text| name(lower, text));
    Some(ClientSettings {
        ca: ca.map_or(Some(None), |ca| ca.map(Some))?,
        ca_origin: ca_file.map_or("", |file| file.value).into(),
        certificate: certificate.map_or(Some(None), |certificate| certificate.map(Some))?,
        name: name.map_or(Some(None), |name| name.map(Some))?,
        offer: Offer::default(),
    })
}

fn name(lower: &mut Lower<'_, '_>, text: Spanned<&str>) -> Option<Box<str>> {
    match host::parse(text.value.as_bytes()) {
        Ok(host) if host.port.is_none() => Some(host.name.into()),
        _ => {
            let what = format!("`{}` is no name that a certificate can be for", short(text.value));
            lower.problems.error_fix(text.at, what, "write a host name without port, such as `app.internal`");
            None
        }
    }
}
