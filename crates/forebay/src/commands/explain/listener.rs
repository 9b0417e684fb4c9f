//! Where a request comes in, and how.

use std::net::IpAddr;

use forebay_net::host;
use forebay_net::tls::{CertificateInfo, Server, UnknownName, Version};
use forebay_proxy::plan::{Listener, Plan};

use crate::config::Listen;

/// Where a request comes in.
pub(super) struct Arrival {
    /// The address, and what is spoken there.
    pub(super) listener: String,
    /// With TLS.
    pub(super) secured: bool,
    pub(super) note: Option<String>,
}

/// The first listener for such a request; `secured` is what its URL says, and `host` whom it asks for.
pub(super) fn find(secured: Option<bool>, host: &str, listen: &[Listen], plan: &Plan) -> Arrival {
    // Whoever does not say it is meant to get through.
    let secured = secured.unwrap_or_else(|| listen.iter().any(|listen| listen.listener.tls));
    match listen.iter().find(|listen| listen.listener.tls == secured) {
        Some(listen) => {
            let note = plan.tls.as_ref().filter(|_| secured).and_then(|tls| unknown(&tls.server, host));
            Arrival { listener: format!("{listen}: {}", spoken(listen.listener, plan)), secured, note }
        }
        None => {
            let with = if secured { "with" } else { "without" };
            let note = format!("nobody gets through so far: no address is listened on {with} TLS");
            Arrival { listener: "none".to_owned(), secured, note: Some(note) }
        }
    }
}

/// What a client is to know that asks for a name without a certificate.
fn unknown(server: &Server, host: &str) -> Option<String> {
    let host = host::parse(host.as_bytes()).ok()?.name.into_owned();
    let is_address = host.starts_with('[') || host.parse::<IpAddr>().is_ok();
    match server.shown_to((!is_address).then_some(&*host)) {
        Some(info) if is_for(&info, host.trim_matches(['[', ']'])) => None,
        Some(info) => {
            let names = info.names.join(", ");
            Some(format!("no certificate is for `{host}`: that of {} is shown, for {names}", info.origin))
        }
        // One that is fetched is not there before it runs.
        None if server.settings().unknown_name == UnknownName::First => None,
        None if is_address => Some(
            "nobody gets through: clients ask for no name when they connect to an address, and the handshake is \
             refused (`unrecognized_name`)"
                .to_owned(),
        ),
        None => Some(format!(
            "nobody gets through unless ACME has brought a certificate: none of the files is for `{host}`, and the \
             handshake is refused (`unrecognized_name`)"
        )),
    }
}

fn is_for(info: &CertificateInfo, host: &str) -> bool {
    let wildcard = host.split_once('.').map(|(_, rest)| format!("*.{rest}"));
    info.names.iter().any(|name| name.eq_ignore_ascii_case(host) || wildcard.as_deref() == Some(name))
}

fn spoken(listener: Listener, plan: &Plan) -> String {
    let Listener { tls, http2, http3, proxy_protocol } = listener;
    let mut parts = vec![match (http2, http3) {
        (true, true) => "HTTP/1.1, HTTP/2 and HTTP/3".to_owned(),
        (true, false) => "HTTP/1.1 and HTTP/2".to_owned(),
        (false, true) => "HTTP/1.1 and HTTP/3".to_owned(),
        (false, false) => "HTTP/1.1".to_owned(),
    }];
    if let Some(tls) = plan.tls.as_ref().filter(|_| tls) {
        let settings = tls.server.settings();
        parts.push(match settings.min_version {
            Version::V1_3 => "TLS 1.3".to_owned(),
            Version::V1_2 => "TLS 1.2 or 1.3".to_owned(),
        });
        if let Some(auth) = &settings.client_auth {
            let how = if auth.required { "have to" } else { "may" };
            parts.push(format!("clients {how} show a certificate of {}", auth.origin));
        }
    }
    if proxy_protocol {
        parts.push("trusted proxies begin with a PROXY protocol header".to_owned());
    }
    parts.join("; ")
}
