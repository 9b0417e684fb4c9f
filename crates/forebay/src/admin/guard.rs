//! Whom the admin server answers: not a web page that borrowed the operator's browser, nor one without the token.

use std::net::{Ipv4Addr, Ipv6Addr};

use hyper::header::{AUTHORIZATION, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN};
use hyper::{Method, Uri, Version};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Why a request is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denial {
    /// No `Host`, or several.
    HostMissing,
    /// A name that is not ours: a page elsewhere may have had its own name resolved to this address.
    HostUnknown,
    /// A change, or work, asked for by a page from elsewhere.
    CrossOrigin,
    /// No token, or a wrong one.
    Unauthorized,
}

/// What is needed of a request to judge it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caller<'a> {
    pub(super) method: &'a Method,
    pub(super) uri: &'a Uri,
    pub(super) version: Version,
    pub(super) headers: &'a HeaderMap,
    /// It makes work, so that even looking at it is not for pages from elsewhere.
    pub(super) costly: bool,
}

impl Denial {
    /// The stem for logs and answers.
    pub(super) const fn reason(self) -> &'static str {
        match self {
            Self::HostMissing => "host_missing",
            Self::HostUnknown => "host_unknown",
            Self::CrossOrigin => "cross_origin",
            Self::Unauthorized => "unauthorized",
        }
    }
}

impl Caller<'_> {
    /// Judges a request for something that is not open to everyone. The right token proves that no strange
    /// page sent it, since none knows the token; without one, the name and the origin have to be ours.
    pub(super) fn admit(&self, token: Option<&str>, names: &[Box<str>]) -> Result<(), Denial> {
        match token {
            Some(token) if self.has_token(token) => Ok(()),
            Some(_) => self.name_is_ours(names).and(Err(Denial::Unauthorized)),
            None => self.name_is_ours(names).and_then(|()| self.origin_is_ours()),
        }
    }

    /// The name the caller uses for this server has to be an address, `localhost` or one of `names`.
    pub(super) fn name_is_ours(&self, names: &[Box<str>]) -> Result<(), Denial> {
        let mut hosts = self.headers.get_all(HOST).iter();
        let host = match (hosts.next(), hosts.next()) {
            (Some(host), None) => host.to_str().map_err(|_| Denial::HostUnknown)?,
            (None, None) if self.version == Version::HTTP_10 => return Ok(()),
            _ => return Err(Denial::HostMissing),
        };
        let target = self.uri.authority().map(|authority| authority.as_str());
        let ours = [Some(host), target].into_iter().flatten().all(|name| is_ours(name, names));
        if ours { Ok(()) } else { Err(Denial::HostUnknown) }
    }

    /// A browser says where the page that wants something done is from; other clients say nothing.
    fn origin_is_ours(&self) -> Result<(), Denial> {
        if matches!(*self.method, Method::GET | Method::HEAD) && !self.costly {
            return Ok(());
        }
        let same_site =
            self.headers.get(SEC_FETCH_SITE).is_none_or(|site| site == "same-origin" || site == "none");
        let origins: Vec<&HeaderValue> = self.headers.get_all(ORIGIN).iter().collect();
        let same_origin = match origins[..] {
            [] => true,
            [origin] => {
                self.headers.get(HOST).is_some_and(|host| is_origin_of(origin.as_bytes(), host.as_bytes()))
            }
            _ => false,
        };
        if same_site && same_origin { Ok(()) } else { Err(Denial::CrossOrigin) }
    }

    fn has_token(&self, token: &str) -> bool {
        let mut values = self.headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else { return false };
        let Some((scheme, given)) = value.as_bytes().split_at_checked("Bearer ".len()) else { return false };
        scheme.eq_ignore_ascii_case(b"Bearer ") && same_secret(given.trim_ascii(), token.as_bytes())
    }
}

/// Compares in a time that depends on the lengths only, so that no guess is warmer than another.
fn same_secret(given: &[u8], secret: &[u8]) -> bool {
    let difference = given.iter().zip(secret).fold(0, |difference, (a, b)| difference | (a ^ b));
    given.len() == secret.len() && !secret.is_empty() && std::hint::black_box(difference) == 0
}

fn is_origin_of(origin: &[u8], host: &[u8]) -> bool {
    let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

/// Whether an authority (`host[:port]`) is an address, `localhost` or one of `names`.
fn is_ours(authority: &str, names: &[Box<str>]) -> bool {
    if let Some(rest) = authority.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        return address.parse::<Ipv6Addr>().is_ok() && (port.is_empty() || is_port(port));
    }
    let name = match authority.rfind(':') {
        Some(colon) if is_port(&authority[colon..]) => &authority[..colon],
        Some(_) => return false,
        None => authority,
    };
    name.parse::<Ipv4Addr>().is_ok()
        || name.eq_ignore_ascii_case("localhost")
        || names.iter().any(|ours| name.eq_ignore_ascii_case(ours))
}

/// `:8080`
fn is_port(text: &str) -> bool {
    text.strip_prefix(':')
        .is_some_and(|digits| digits.bytes().all(|b| b.is_ascii_digit()) && digits.len() <= 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn check(
        method: &str,
        pairs: &[(&'static str, &'static str)],
        token: Option<&str>,
    ) -> Result<(), Denial> {
        check_work(method, pairs, token, false)
    }

    fn check_work(
        method: &str,
        pairs: &[(&'static str, &'static str)],
        token: Option<&str>,
        costly: bool,
    ) -> Result<(), Denial> {
        Caller {
            method: &method.parse().unwrap(),
            uri: &Uri::from_static("/api/v1/reload"),
            version: Version::HTTP_11,
            headers: &headers(pairs),
            costly,
        }
        .admit(token, &["gateway.test".into()])
    }

    #[test]
    fn names_that_cannot_be_rebound_are_ours() {
        for ours in [
            "127.0.0.1",
            "127.0.0.1:9900",
            "10.1.2.3:1",
            "[::1]",
            "[::1]:9900",
            "localhost",
            "LOCALHOST:9900",
            "gateway.test",
            "Gateway.Test:9900",
        ] {
            assert_eq!(check("GET", &[("host", ours)], None), Ok(()), "{ours}");
        }
    }

    #[test]
    fn all_other_names_are_not() {
        for strange in [
            "",
            "evil.test",
            "evil.test:9900",
            "localhost.evil.test",
            "127.0.0.1.evil.test",
            "127.0.0.1@evil.test",
            "[::1",
            "[evil]",
            "[::1]x",
            "::1",
            "1.2.3",
            "0x7f.1",
            "localhost:80:80",
            "localhost:x",
            "gateway.test.",
        ] {
            assert_eq!(check("GET", &[("host", strange)], None), Err(Denial::HostUnknown), "{strange}");
        }
    }

    #[test]
    fn one_host_it_has_to_be() {
        assert_eq!(check("GET", &[], None), Err(Denial::HostMissing));
        let caller = |version, uri, names: &[(&'static str, &'static str)]| {
            let (method, headers) = (Method::GET, {
                let mut map = HeaderMap::new();
                for (name, value) in names {
                    map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
                }
                map
            });
            Caller { method: &method, uri: &Uri::from_static(uri), version, headers: &headers, costly: false }
                .name_is_ours(&[])
        };
        assert_eq!(caller(Version::HTTP_10, "/", &[]), Ok(()));
        assert_eq!(
            caller(Version::HTTP_11, "/", &[("host", "localhost"), ("host", "localhost")]),
            Err(Denial::HostMissing)
        );
        assert_eq!(
            caller(Version::HTTP_11, "http://evil.test/", &[("host", "localhost")]),
            Err(Denial::HostUnknown)
        );
    }

    #[test]
    fn a_page_from_elsewhere_changes_nothing() {
        let post = |pairs: &[(&'static str, &'static str)]| {
            check("POST", &[&[("host", "127.0.0.1:9900")], pairs].concat(), None)
        };
        assert_eq!(post(&[]), Ok(()));
        assert_eq!(post(&[("origin", "http://127.0.0.1:9900")]), Ok(()));
        assert_eq!(post(&[("origin", "http://127.0.0.1:9900"), ("sec-fetch-site", "same-origin")]), Ok(()));
        for origin in ["http://evil.test", "http://127.0.0.1", "null", "http://127.0.0.1:99000"] {
            assert_eq!(post(&[("origin", origin)]), Err(Denial::CrossOrigin), "{origin}");
        }
        assert_eq!(post(&[("sec-fetch-site", "cross-site")]), Err(Denial::CrossOrigin));
    }

    #[test]
    fn the_token_has_to_be_right() {
        let with = |value: &'static str| {
            check("POST", &[("host", "localhost"), ("authorization", value)], Some("s3cret"))
        };
        assert_eq!(with("Bearer s3cret"), Ok(()));
        assert_eq!(with("bearer  s3cret "), Ok(()));
        for wrong in ["Bearer s3cre", "Bearer s3cret1", "Bearer", "Bearer ", "Basic s3cret", "s3cret", ""] {
            assert_eq!(with(wrong), Err(Denial::Unauthorized), "{wrong}");
        }
        assert_eq!(check("GET", &[("host", "localhost")], Some("s3cret")), Err(Denial::Unauthorized));
    }

    #[test]
    fn the_right_token_vouches_for_any_name() {
        let pairs = [("host", "forebay.prod.internal"), ("authorization", "Bearer s3cret")];
        assert_eq!(check("GET", &pairs, Some("s3cret")), Ok(()));
        assert_eq!(check("GET", &[("host", "evil.test")], Some("s3cret")), Err(Denial::HostUnknown));
    }

    #[test]
    fn a_page_from_elsewhere_makes_no_work() {
        let get = |pairs: &[(&'static str, &'static str)], costly| {
            check_work("GET", &[&[("host", "localhost")], pairs].concat(), None, costly)
        };
        let elsewhere = [("sec-fetch-site", "cross-site")];
        assert_eq!(get(&elsewhere, true), Err(Denial::CrossOrigin));
        assert_eq!(get(&elsewhere, false), Ok(()));
        assert_eq!(get(&[("sec-fetch-site", "none")], true), Ok(()));
        assert_eq!(get(&[], true), Ok(()));
    }

    #[test]
    fn an_empty_token_opens_nothing() {
        let pairs = [("host", "localhost"), ("authorization", "Bearer ")];
        assert_eq!(check("GET", &pairs, Some("")), Err(Denial::Unauthorized));
    }
}
