//! Addresses: where to listen, where a service can be reached.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use forebay_net::address::Address;
use forebay_net::host;
use forebay_proxy::plan::Listener;

use super::Listen;

/// Longest part of a name, in bytes (RFC 1035 section 2.3.4).
pub(super) const LABEL_MAX: usize = 63;

/// Why a text is no address, and what to write instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) what: String,
    pub(crate) fix: String,
}

/// Reads an address to listen on, with what its scheme says: `https://`, `http://` or none before what [`socket`]
/// reads, or `unix:/path`.
pub(crate) fn listen(text: &str) -> Result<Listen, Wrong> {
    if text.starts_with(Address::UNIX) {
        let address = unix(text)?;
        return Ok(Listen { address, listener: Listener::default() });
    }
    if let Some((_, unix)) = text.split_once("://").filter(|(_, rest)| rest.starts_with(Address::UNIX)) {
        return Err(wrong("there is no TLS on Unix sockets", format!("write `{unix}`")));
    }
    match text.strip_prefix("https://") {
        Some(address) => {
            let listener = Listener { tls: true, ..Listener::default() };
            // A scheme within would be stripped as well.
            let address = if address.starts_with("http") && address.contains("://") {
                Err(wrong("there are two schemes", "write `https://` once"))
            } else {
                socket(address)
            }?;
            Ok(Listen { address: address.into(), listener })
        }
        None => socket(text).map(Listen::from),
    }
}

/// Reads `unix:/path`.
fn unix(text: &str) -> Result<Address, Wrong> {
    let path = text.strip_prefix(Address::UNIX).unwrap_or(text);
    if path.starts_with("//") || !path.starts_with('/') || path.ends_with('/') {
        let absolute = path.trim_matches('/');
        let example = if absolute.is_empty() { "run/forebay.sock" } else { absolute };
        return Err(wrong("a Unix socket has an absolute path", format!("write `unix:/{example}`")));
    }
    if path.len() > Address::PATH_MAX {
        let what =
            format!("the path of a Unix socket has at most {} bytes, not {}", Address::PATH_MAX, path.len());
        return Err(wrong(what, "take a shorter one, such as `unix:/run/forebay.sock`"));
    }
    if path.contains(char::is_control) {
        return Err(wrong("there are control characters in the path", "leave them out"));
    }
    Ok(Address::Unix(path.into()))
}

/// Reads an IP address to listen on: `ip:port`, `localhost:port`, or `:port` for every IPv4 address, without TLS.
pub(crate) fn socket(text: &str) -> Result<SocketAddr, Wrong> {
    if text.starts_with("https://") {
        return Err(wrong("TLS is not available here in this version", "write `http://`, or nothing"));
    }
    if text.starts_with(Address::UNIX) {
        return Err(wrong("Unix sockets are not available here", "write, for example, `127.0.0.1:9900`"));
    }
    let address = text.strip_prefix("http://").unwrap_or(text);
    if let Some((scheme, _)) = address.split_once("://") {
        let what = format!("`{scheme}://` says nothing here");
        let fix = match scheme.to_ascii_lowercase().as_str() {
            scheme @ ("http" | "https") => format!("write `{scheme}://`, in small letters and once"),
            _ => "write `https://`, or nothing, which is without TLS".to_owned(),
        };
        return Err(wrong(what, fix));
    }
    let expanded = match address.strip_prefix("localhost:") {
        Some(port) => format!("{}:{port}", Ipv4Addr::LOCALHOST),
        None if address.starts_with(':') => format!("{}{address}", Ipv4Addr::UNSPECIFIED),
        None => address.to_owned(),
    };
    expanded.parse().map_err(|_| listen_error(address))
}

/// Checks where an endpoint can be reached: `host:port` with a port from 1 on, `unix:/path`, or the name of SRV
/// records. Gives the address if it is a literal one.
pub(crate) fn endpoint(text: &str) -> Result<Option<SocketAddr>, Wrong> {
    // Most are literal, and there may be very many.
    let literal =
        if text.starts_with(|c: char| c.is_ascii_digit() || c == '[') { text.parse().ok() } else { None };
    match literal.filter(|address: &SocketAddr| address.port() != 0) {
        Some(address) => Ok(Some(address)),
        None => name(text).map(|()| None),
    }
}

fn name(text: &str) -> Result<(), Wrong> {
    if text.starts_with(Address::UNIX) {
        return unix(text).map(drop);
    }
    if let Some((scheme, rest)) = text.split_once("://") {
        let what = format!("an endpoint is `host:port`, without `{scheme}://`");
        let rest = rest.trim_end_matches('/');
        return Err(wrong(
            what,
            match scheme {
                "https" => format!("write `{}`, and `tls: on` in its service", with_port(rest, 443)),
                "http" => format!("write `{}`", with_port(rest, 80)),
                "unix" => format!("write `unix:/{}`", rest.trim_start_matches('/')),
                _ => format!("write `{rest}`"),
            },
        ));
    }
    if let Ok(IpAddr::V6(address)) = text.parse() {
        return Err(wrong("an IPv6 address with a port has brackets", format!("write `[{address}]:80`")));
    }
    let host = host::parse(text.as_bytes())
        .map_err(|error| wrong(format!("not an address: {error}"), "write `host:port`"))?;
    match host.port {
        // A URL may have it in a host; no name that resolves does.
        _ if host.name.contains('~') => Err(wrong("not an address: `~` in a host", "write `host:port`")),
        _ if host.name.len() > LABEL_MAX && host.name.split('.').any(|label| label.len() > LABEL_MAX) => {
            let what = format!("not an address: a part of the name has more than {LABEL_MAX} characters");
            Err(wrong(what, "write a name that can be looked up"))
        }
        Some(0) => Err(wrong("nothing can be reached at port 0", "write the port the server listens on")),
        Some(_) => Ok(()),
        None if is_srv(&host.name) => Ok(()),
        None if host.name.starts_with('_') => Err(wrong(
            "neither `host:port` nor the name of SRV records",
            "write, for example, `_http._tcp.shop.internal`",
        )),
        None => Err(wrong("the port is missing", format!("write, for example, `{host}:80`"))),
    }
}

/// What stood in a URL, with the port that went without saying there.
fn with_port(host: &str, port: u16) -> String {
    match host::parse(host.as_bytes()) {
        Ok(parsed) if parsed.port.is_none() => format!("{host}:{port}"),
        _ => host.to_owned(),
    }
}

/// `_service._proto.name` (RFC 2782).
fn is_srv(name: &str) -> bool {
    let mut labels = name.split('.');
    let mut is_marked = || labels.next().is_some_and(|label| label.len() > 1 && label.starts_with('_'));
    is_marked() && is_marked() && labels.next().is_some_and(|label| !label.is_empty())
}

fn listen_error(address: &str) -> Wrong {
    if let Ok(ip) = address.parse::<IpAddr>() {
        let example = SocketAddr::new(ip, 8080);
        return wrong("the port is missing", format!("write, for example, `{example}`"));
    }
    let what = match address.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_err() => "the port is not a number from 0 to 65535",
        Some(_) => "only IP addresses and `localhost` can be listened on",
        None => "this is no address with a port",
    };
    wrong(what, "write, for example, `127.0.0.1:8080`, or `:8080` for every IPv4 address")
}

fn wrong(what: impl Into<String>, fix: impl Into<String>) -> Wrong {
    Wrong { what: what.into(), fix: fix.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listening_addresses_have_short_forms() {
        for (text, expected) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::1]:8080", "[::1]:8080"),
            ("localhost:80", "127.0.0.1:80"),
            (":8080", "0.0.0.0:8080"),
            ("127.0.0.1:0", "127.0.0.1:0"),
            ("https://127.0.0.1:8443", "https://127.0.0.1:8443"),
            ("https://:443", "https://0.0.0.0:443"),
            ("https://localhost:443", "https://127.0.0.1:443"),
            ("unix:/run/a b.sock", "unix:/run/a b.sock"),
        ] {
            assert_eq!(listen(text).map(|address| address.to_string()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_listened_on_says_why() {
        for (text, expected) in [
            ("https://0.0.0.0", "the port is missing"),
            ("https://shop.test:443", "only IP addresses and `localhost` can be listened on"),
            ("https://http://127.0.0.1:1", "there are two schemes"),
            ("https://https://127.0.0.1:1", "there are two schemes"),
            ("HTTPS://127.0.0.1:1", "`HTTPS://` says nothing here"),
            ("h2c://127.0.0.1:1", "`h2c://` says nothing here"),
            ("https://unix:/a", "there is no TLS on Unix sockets"),
            ("http://unix:/a", "there is no TLS on Unix sockets"),
            ("unix:run/a.sock", "a Unix socket has an absolute path"),
            ("unix:///run/a.sock", "a Unix socket has an absolute path"),
            ("unix:/", "a Unix socket has an absolute path"),
            ("unix:/a\u{0}b", "there are control characters in the path"),
            ("127.0.0.1", "the port is missing"),
            ("127.0.0.1:99999", "the port is not a number from 0 to 65535"),
            ("shop.test:80", "only IP addresses and `localhost` can be listened on"),
            ("8080", "this is no address with a port"),
            ("", "this is no address with a port"),
        ] {
            assert_eq!(listen(text).map_err(|wrong| wrong.what), Err(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn endpoints_need_a_host_and_a_port() {
        for text in ["127.0.0.1:1", "[::1]:3000", "app.internal:3000", "my_app:80", "LOCALHOST:9", "unix:/a"]
        {
            assert!(endpoint(text).is_ok(), "{text}");
        }
        for (text, what, fix) in [
            ("http://a.test:1/", "an endpoint is `host:port`, without `http://`", "write `a.test:1`"),
            (
                "https://a.test/",
                "an endpoint is `host:port`, without `https://`",
                "write `a.test:443`, and `tls: on` in its service",
            ),
            ("unix://run/a", "a Unix socket has an absolute path", "write `unix:/run/a`"),
            ("a.test", "the port is missing", "write, for example, `a.test:80`"),
            ("::1", "an IPv6 address with a port has brackets", "write `[::1]:80`"),
            ("a.test:0", "nothing can be reached at port 0", "write the port the server listens on"),
            (":3000", "not an address: empty host", "write `host:port`"),
            ("a b:3000", "not an address: character not allowed in host", "write `host:port`"),
            ("~a:1", "not an address: `~` in a host", "write `host:port`"),
            ("a.test:x", "not an address: bad port", "write `host:port`"),
        ] {
            assert_eq!(endpoint(text), Err(wrong(what, fix)), "{text}");
        }
    }
}
