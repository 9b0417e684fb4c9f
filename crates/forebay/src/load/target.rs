//! Where requests go: from a URL to a plan's target, its name looked up.

use std::net::{SocketAddr, ToSocketAddrs as _};

use forebay_load::plan::Target;
use forebay_net::host;

/// Addresses taken of one name.
const ADDRESSES_MAX: usize = 64;
/// Longest URL, in bytes.
const URL_MAX: usize = 8_192;

/// A URL that can be asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// `host:port` as the `Host` header says it; the port left out when it is the scheme's own.
    pub authority: String,
    /// What the address is looked up by; without brackets.
    name: String,
    port: u16,
    /// It is `https`.
    secure: bool,
    /// Path and query: empty, or begins with `/`.
    pub path: String,
}

/// Why a text is no such URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// Lower case, no full stop.
    pub what: String,
    /// What to do.
    pub fix: String,
}

/// Whether a text is a URL, right or wrong, and not the name of a file.
#[must_use]
pub fn has_scheme(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| {
        scheme.starts_with(|c: char| c.is_ascii_alphabetic())
            && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+-.".contains(c))
    })
}

/// Reads a URL.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn parse(text: &str) -> Result<Url, Wrong> {
    if text.len() > URL_MAX {
        return Err(wrong(format!("a URL of {} bytes", text.len()), format!("keep it under {URL_MAX}")));
    }
    let Some((scheme, rest)) = text.split_once("://").filter(|_| has_scheme(text)) else {
        return Err(wrong("this is no URL", format!("write `http://{text}`")));
    };
    let (secure, usual) = match scheme.to_ascii_lowercase().as_str() {
        "http" => (false, 80),
        "https" => (true, 443),
        "ws" | "wss" => {
            let what = format!("`{scheme}://` is asked for by HTTP");
            let fix = "write `http://` or `https://`, and a plan with a step `websocket`";
            return Err(wrong(what, fix));
        }
        other => {
            let what = format!("requests to `{other}://` cannot be made");
            return Err(wrong(what, "write `http://` or `https://`"));
        }
    };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if authority.contains('@') {
        let fix = "send a header instead: `authorization: Basic ...`";
        return Err(wrong("a URL with a user or password is not understood", fix));
    }
    if path.contains('#') {
        return Err(wrong("what follows `#` is never sent", "leave it out"));
    }
    let host = host::parse(authority.as_bytes())
        .map_err(|error| wrong(format!("not a host: {error}"), "write `http://host:port`"))?;
    let port = host.port.unwrap_or(usual);
    if port == 0 {
        return Err(wrong("nothing can be reached at port 0", "write the port the server listens on"));
    }
    Ok(Url {
        authority: if port == usual { host.name.to_string() } else { format!("{}:{port}", host.name) },
        name: host.name.trim_start_matches('[').trim_end_matches(']').to_owned(),
        port,
        secure,
        path: if path.starts_with('?') { format!("/{path}") } else { path.to_owned() },
    })
}

impl Url {
    /// Where it listens.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The name or address it is looked up by, without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.name
    }

    /// Whether connections to it are secured.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        self.secure
    }

    /// The same host, with no path.
    #[must_use]
    pub fn without_path(&self) -> Self {
        Self { path: String::new(), ..self.clone() }
    }

    /// Looks its name up. `prefix` goes before every step's path. What it takes to secure connections is left out.
    ///
    /// # Errors
    /// When the name has no address.
    pub fn resolve(&self, prefix: &str) -> Result<Target, String> {
        let found = (self.name.as_str(), self.port)
            .to_socket_addrs()
            .map_err(|error| format!("`{}` cannot be looked up: {error}", self.name))?;
        let mut addresses: Vec<SocketAddr> = Vec::new();
        for address in found.take(ADDRESSES_MAX) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        if addresses.is_empty() {
            return Err(format!("`{}` has no address", self.name));
        }
        let prefix = prefix.trim_end_matches('/').to_owned();
        Ok(Target { authority: self.authority.clone(), addresses, prefix, tls: None })
    }
}

fn wrong(what: impl Into<String>, fix: impl Into<String>) -> Wrong {
    Wrong { what: what.into(), fix: fix.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, authority: &str, path: &str) {
        let url = parse(text).unwrap_or_else(|wrong| panic!("{text}: {}", wrong.what));
        assert_eq!((url.authority.as_str(), url.path.as_str()), (authority, path), "{text}");
    }

    #[test]
    fn urls_are_taken_apart() {
        check("http://127.0.0.1:8080", "127.0.0.1:8080", "");
        check("http://shop.test/", "shop.test", "/");
        check("HTTP://Shop.test:80/a/b?c=d", "shop.test", "/a/b?c=d");
        check("http://[::1]:3000?q", "[::1]:3000", "/?q");
        check("https://shop.test", "shop.test", "");
        check("https://shop.test:443/a", "shop.test", "/a");
        check("https://shop.test:80", "shop.test:80", "");
        check("http://shop.test:443", "shop.test:443", "");
    }

    #[test]
    fn what_cannot_be_asked_for_says_why() {
        for (text, part) in [
            ("shop.test", "this is no URL"),
            ("ftp://shop.test", "`ftp://`"),
            ("ws://shop.test", "`ws://`"),
            ("http://", "not a host"),
            ("http://a:0/", "port 0"),
            ("http://a:x/", "not a host"),
            ("http://me:secret@a/", "user or password"),
            ("http://a/#top", "never sent"),
        ] {
            let wrong = parse(text).expect_err(text);
            assert!(wrong.what.contains(part), "{text}: {}", wrong.what);
        }
    }

    #[test]
    fn a_name_becomes_addresses_each_once() {
        let target = parse("http://[::1]:3000/base/").expect("it is a URL").resolve("/base/");
        let target = target.expect("an address needs no lookup");
        assert_eq!(target.addresses, ["[::1]:3000".parse().expect("it is an address")]);
        assert_eq!((target.authority.as_str(), target.prefix.as_str()), ("[::1]:3000", "/base"));
    }
}
