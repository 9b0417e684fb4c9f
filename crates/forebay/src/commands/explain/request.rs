//! The request to explain, as the command line describes it.

use crate::cli;

/// The host of requests that name none.
const HOST_DEFAULT: &str = "localhost";

/// A request as a client would send it.
pub(super) struct Request {
    pub(super) method: String,
    /// Whether the URL says that it comes with TLS; `None`: it does not say.
    pub(super) secured: Option<bool>,
    /// As it was typed.
    pub(super) url: String,
    /// The target of the request line, in origin form.
    pub(super) target: String,
    /// Value of the `Host` header.
    pub(super) host: String,
    /// Names and values.
    pub(super) headers: Vec<(String, String)>,
    /// What was assumed.
    pub(super) notes: Vec<String>,
}

impl Request {
    /// Takes URL and headers apart; what is hostile in them is kept, for the gateway to judge.
    pub(super) fn parse(args: &cli::Explain) -> Result<Self, String> {
        let token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        if args.method.is_empty() || !args.method.chars().all(token) {
            return Err(format!("`{}` is not a method", args.method));
        }
        let mut notes = Vec::new();
        let (authority, target) = split_url(&args.url);
        let secured = secured(&args.url)?;
        let headers = args.headers.iter().map(|line| header(line)).collect::<Result<Vec<_>, _>>()?;
        let named = headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("host"));
        let host = match (named, authority) {
            // As with curl, the header is what the gateway sees.
            (Some((_, host)), _) => host.clone(),
            (None, Some(authority)) => authority,
            (None, None) => {
                notes.push(format!("no host is named: `{HOST_DEFAULT}` is assumed"));
                HOST_DEFAULT.to_owned()
            }
        };
        let (method, url) = (args.method.clone(), args.url.clone());
        Ok(Self { method, secured, url, target, host, headers, notes })
    }

    /// Value of the first header of this name.
    pub(super) fn header(&self, name: &[u8]) -> Option<&[u8]> {
        self.header_among(name, |_| true)
    }

    /// The same, of headers whose names `counts` lets pass.
    pub(super) fn header_among(&self, name: &[u8], counts: impl Fn(&str) -> bool) -> Option<&[u8]> {
        if name.eq_ignore_ascii_case(b"host") {
            return Some(self.host.as_bytes());
        }
        let is_it = |other: &str| other.as_bytes().eq_ignore_ascii_case(name) && counts(other);
        let found = self.headers.iter().find(|(other, _)| is_it(other));
        found.map(|(_, value)| value.as_bytes())
    }

    /// Value of the first cookie of this name.
    pub(super) fn cookie(&self, name: &str) -> Option<&str> {
        let lines = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case("cookie"));
        let mut pairs = lines.flat_map(|(_, line)| line.split(';')).filter_map(|pair| pair.split_once('='));
        pairs.find(|(other, _)| other.trim_start() == name).map(|(_, value)| value.trim_end())
    }
}

/// Whether the scheme of a URL, if it has one, is that of TLS. WebSockets begin as requests.
fn secured(url: &str) -> Result<Option<bool>, String> {
    let Some((scheme, _)) = url.split_once("://").filter(|(scheme, _)| !scheme.contains(['/', '?'])) else {
        return Ok(None);
    };
    match scheme.to_ascii_lowercase().as_str() {
        "https" | "wss" => Ok(Some(true)),
        "http" | "ws" => Ok(Some(false)),
        _ => Err(format!("`{scheme}://` is not served here: write `https://` or `http://`")),
    }
}

/// Host and port, if the URL has them, and the rest as the request line would have it.
fn split_url(url: &str) -> (Option<String>, String) {
    let url = url.split_once('#').map_or(url, |(url, _)| url);
    let rest = match url.split_once("://") {
        Some((_, rest)) => rest,
        None if url.starts_with('/') || url == "*" => return (None, url.to_owned()),
        None => url,
    };
    let end = rest.find(['/', '?', '\\']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let target = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
    (Some(authority.to_owned()), target)
}

fn header(line: &str) -> Result<(String, String), String> {
    let (name, value) =
        line.split_once(':').ok_or_else(|| format!("`{line}` is not a header: write `Name: value`"))?;
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(format!("`{name}` is not the name of a header"));
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_found_by_their_whole_names() {
        let request = Request::parse(&cli::Explain {
            method: "GET".to_owned(),
            url: "/".to_owned(),
            headers: vec!["Cookie: ab=1; b=2".to_owned(), "cookie: c=3 ; d".to_owned()],
            config: "forebay.yaml".into(),
            json: false,
        });
        let request = request.expect("the request is right");
        for (name, value) in [("ab", Some("1")), ("b", Some("2")), ("c", Some("3")), ("d", None), ("a", None)]
        {
            assert_eq!(request.cookie(name), value, "{name}");
        }
    }

    #[test]
    fn urls_come_apart_as_clients_take_them_apart() {
        for (url, authority, target) in [
            ("http://shop.test/a?b", Some("shop.test"), "/a?b"),
            ("https://shop.test:8443", Some("shop.test:8443"), "/"),
            ("http://shop.test?q", Some("shop.test"), "/?q"),
            ("http://shop.test/a#b", Some("shop.test"), "/a"),
            ("shop.test/a", Some("shop.test"), "/a"),
            ("/a//b", None, "/a//b"),
            ("*", None, "*"),
            ("http://[::1]:80/a", Some("[::1]:80"), "/a"),
        ] {
            assert_eq!(split_url(url), (authority.map(str::to_owned), target.to_owned()), "{url}");
        }
    }
}
