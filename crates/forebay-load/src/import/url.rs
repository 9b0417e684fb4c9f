//! URLs as lists, HAR files and plans have them.

/// A URL, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// `http` or `https`; empty for a path alone.
    pub(super) scheme: String,
    /// In lower case, without the scheme's own port; empty for a path alone.
    pub(super) host: String,
    /// Path and query, such as can be sent.
    pub(super) target: String,
}

/// Reads `http://host/path?query` or `/path?query`.
pub(super) fn parse(text: &str) -> Result<Url, String> {
    let shown = || text.chars().take(80).collect::<String>();
    let text = text.split_once('#').map_or(text, |(text, _)| text);
    if text.starts_with('/') {
        return Ok(Url { scheme: String::new(), host: String::new(), target: sendable(text.as_bytes()) });
    }
    let (scheme, rest) = text.split_once("://").ok_or_else(|| format!("`{}` is not a URL", shown()))?;
    let scheme = scheme.to_ascii_lowercase();
    let usual_port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return Err(format!("`{}`: only http and https can be sent", shown())),
    };
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, target) = rest.split_at(end);
    if authority.contains('@') {
        return Err(format!("`{}`: write user and password as a header", shown()));
    }
    let authority = authority.to_ascii_lowercase();
    let host = authority.strip_suffix(usual_port).unwrap_or(&authority);
    if host.is_empty() || !host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
    {
        return Err(format!("`{}` has no host", shown()));
    }
    let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
    Ok(Url { scheme, host: host.to_owned(), target: sendable(target.as_bytes()) })
}

/// A target with whatever cannot be sent percent-encoded.
pub(super) fn sendable(target: &[u8]) -> String {
    let mut sendable = String::with_capacity(target.len());
    for byte in target {
        match byte {
            b'!'..=b'~' if *byte != b'#' => sendable.push(char::from(*byte)),
            _ => sendable.push_str(&format!("%{byte:02X}")),
        }
    }
    sendable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_scheme_host_and_target() {
        for (text, expected) in [
            ("http://Shop.test", ("http", "shop.test", "/")),
            ("http://shop.test:80/a?b=c#d", ("http", "shop.test", "/a?b=c")),
            ("https://shop.test:8443?x", ("https", "shop.test:8443", "/?x")),
            ("HTTP://[::1]:8080/ü x", ("http", "[::1]:8080", "/%C3%BC%20x")),
            ("/a?b", ("", "", "/a?b")),
        ] {
            let Url { scheme, host, target } = parse(text).unwrap();
            assert_eq!((scheme.as_str(), host.as_str(), target.as_str()), expected);
        }
        for text in
            ["", "shop.test/a", "ftp://a/b", "http:///a", "http://u:p@a/", "data:text/plain,x", "http://a b/"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
