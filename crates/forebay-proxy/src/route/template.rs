//! Texts with `{host}`, `{path}` and `{query}` in them.

use std::fmt;

use super::matcher::Params;

/// Longest text of a template, in bytes.
pub(super) const TEXT_MAX: usize = 4096;

/// A text to be filled in from a request. `{host}`, `{path}` and `{query}` stand for parts of the request, any
/// other `{name}` for a parameter of the route's path; `{{` and `}}` are braces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Box<[Piece]>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(Box<str>),
    Host,
    Path,
    Query,
    Param(Box<str>),
}

/// What a template is filled with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Values<'a> {
    /// Canonical host, with or without port.
    pub host: &'a str,
    /// Canonical path.
    pub path: &'a str,
    /// What follows `?`, if there is one.
    pub query: Option<&'a str>,
    /// Parameters of the route's path.
    pub params: Params<'a>,
}

/// Why a text is not a template, or comes to nothing good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// Empty, or longer than 4096 bytes.
    Length,
    /// A single brace, or braces without a name in them.
    Braces,
    /// A space, a control character, a backslash or something beyond ASCII.
    Character,
    /// A parameter that the route's path has not: its name.
    Unknown(String),
}

impl Template {
    /// Reads a template.
    ///
    /// # Errors
    /// When braces do not match or a character must not stand in a header or target.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.is_empty() || text.len() > TEXT_MAX {
            return Err(TemplateError::Length);
        }
        if !text.bytes().all(is_clean) || text.contains('\\') {
            return Err(TemplateError::Character);
        }
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let found = &rest[at..];
            if found.starts_with("{{") || found.starts_with("}}") {
                literal.push_str(&found[..1]);
                rest = &found[2..];
                continue;
            }
            let end = found.find('}').filter(|end| *end > 1).ok_or(TemplateError::Braces)?;
            if !literal.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut literal).into()));
            }
            pieces.push(parse_name(&found[1..end])?);
            rest = &found[end + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Text(literal.into()));
        }
        Ok(Self { pieces: pieces.into() })
    }

    /// Checks that every parameter is one of `names`, the parameters of the route's path.
    ///
    /// # Errors
    /// Names the first that is not.
    pub fn check_params<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Result<(), TemplateError> {
        let names: Vec<&str> = names.into_iter().collect();
        let unknown = self.params().find(|name| !names.contains(name));
        unknown.map_or(Ok(()), |name| Err(TemplateError::Unknown(name.to_owned())))
    }

    /// Appends the text with `values` filled in. A parameter that `values` lacks stands for nothing.
    ///
    /// What is appended is visible ASCII, good for a header or a request target. A path in front (`{path}` or
    /// `/{path}`) comes out with one slash at its beginning, since `//name` would name another host.
    ///
    /// # Errors
    /// When a value has bytes in it that no canonical value has; `out` is then as it was.
    pub fn render(&self, values: &Values<'_>, out: &mut String) -> Result<(), TemplateError> {
        let start = out.len();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Host => out.push_str(values.host),
                Piece::Path if &out[start..] == "/" => out.push_str(values.path.trim_start_matches('/')),
                Piece::Path if out.len() == start => push_path(values.path, out),
                Piece::Path => out.push_str(values.path),
                Piece::Query => out.extend(values.query.iter().flat_map(|query| ["?", query])),
                Piece::Param(name) => out.push_str(values.params.get(name).unwrap_or_default()),
            }
        }
        if out.as_bytes()[start..].iter().copied().all(is_clean) {
            Ok(())
        } else {
            out.truncate(start);
            Err(TemplateError::Character)
        }
    }

    /// Whether `{query}` is in it.
    #[must_use]
    pub fn uses_query(&self) -> bool {
        self.pieces.contains(&Piece::Query)
    }

    /// Names of the path parameters in it.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Param(name) => Some(&**name),
            Piece::Text(_) | Piece::Host | Piece::Path | Piece::Query => None,
        })
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(&text.replace('{', "{{").replace('}', "}}")),
            Piece::Host => f.write_str("{host}"),
            Piece::Path => f.write_str("{path}"),
            Piece::Query => f.write_str("{query}"),
            Piece::Param(name) => write!(f, "{{{name}}}"),
        })
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length => write!(f, "empty, or longer than {TEXT_MAX} bytes"),
            Self::Braces => f.write_str("braces hold a name, as in `{path}`; `{{` and `}}` stand for braces"),
            Self::Character => f.write_str("a space, backslash, control character or character beyond ASCII"),
            Self::Unknown(name) => write!(f, "the path of this route has no parameter `{{{name}}}`"),
        }
    }
}

impl std::error::Error for TemplateError {}

fn parse_name(name: &str) -> Result<Piece, TemplateError> {
    match name {
        "host" => Ok(Piece::Host),
        "path" => Ok(Piece::Path),
        "query" => Ok(Piece::Query),
        name if name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') => Ok(Piece::Param(name.into())),
        _ => Err(TemplateError::Braces),
    }
}

/// Appends `path` with one slash at its beginning.
pub(super) fn push_path(path: &str, out: &mut String) {
    let rest = path.trim_start_matches('/');
    if rest.len() < path.len() {
        out.push('/');
    }
    out.push_str(rest);
}

/// Visible ASCII.
fn is_clean(byte: u8) -> bool {
    byte.is_ascii_graphic()
}

#[cfg(test)]
mod tests {
    use super::super::Matcher;
    use super::*;

    #[track_caller]
    fn check(template: &str, expected: &str) {
        let matcher = Matcher::parse_short("/{a}/{b_1}/*").expect("a test match");
        let path = "/x%20/y/z";
        let values = Values { host: "shop.test:80", path, query: Some("q=1"), params: matcher.params(path) };
        let mut out = "Location: ".to_owned();
        let parsed = Template::parse(template).expect(template);
        parsed.render(&values, &mut out).expect(template);
        assert_eq!(out, format!("Location: {expected}"));
        assert_eq!(Template::parse(&parsed.to_string()), Ok(parsed));
    }

    #[test]
    fn names_are_filled_in() {
        check("https://{host}{path}{query}", "https://shop.test:80/x%20/y/z?q=1");
        check("/n/{b_1}/{a}?p={path}", "/n/y/x%20?p=/x%20/y/z");
        check("{{{a}}}", "{x%20}");
        check("/plain", "/plain");
        check("{path}", "/x%20/y/z");
    }

    #[test]
    fn a_missing_query_leaves_no_mark() {
        let mut out = String::new();
        let template = Template::parse("/a{query}").expect("a template");
        template.render(&Values::default(), &mut out).expect("clean");
        assert_eq!(out, "/a");
        template.render(&Values { query: Some(""), ..Values::default() }, &mut out).expect("clean");
        assert_eq!(out, "/a/a?");
    }

    #[test]
    fn a_path_in_front_names_no_other_host() {
        for (template, path, expected) in [
            ("{path}", "//evil.test/a", "/evil.test/a"),
            ("/{path}", "/evil.test/a", "/evil.test/a"),
            ("/{path}", "///evil.test", "/evil.test"),
            ("{query}{path}", "//evil.test/a", "/evil.test/a"),
            ("/a{path}", "//b", "/a//b"),
        ] {
            let mut out = String::new();
            let values = Values { path, ..Values::default() };
            Template::parse(template).expect("a template").render(&values, &mut out).expect("clean");
            assert_eq!(out, expected, "{template}");
        }
    }

    #[test]
    fn what_would_break_a_header_is_refused() {
        for (text, error) in [
            ("", TemplateError::Length),
            ("{", TemplateError::Braces),
            ("}", TemplateError::Braces),
            ("a}b", TemplateError::Braces),
            ("{}", TemplateError::Braces),
            ("{a", TemplateError::Braces),
            ("{a-b}", TemplateError::Braces),
            ("{a{b}", TemplateError::Braces),
            ("{host}}", TemplateError::Braces),
            ("a b", TemplateError::Character),
            ("a\r\nSet-Cookie:x", TemplateError::Character),
            ("a\\b", TemplateError::Character),
            ("é", TemplateError::Character),
        ] {
            assert_eq!(Template::parse(text), Err(error), "{text:?}");
        }
        let mut out = "kept".to_owned();
        let values = Values { host: "a\r\nb", ..Values::default() };
        let rendered = Template::parse("/{host}").expect("a template").render(&values, &mut out);
        assert_eq!((rendered, &*out), (Err(TemplateError::Character), "kept"));
    }

    #[test]
    fn unknown_parameters_are_named() {
        let template = Template::parse("/{a}{b}{path}").expect("a template");
        assert_eq!(template.check_params(["a", "b"]), Ok(()));
        assert_eq!(template.check_params(["a"]), Err(TemplateError::Unknown("b".into())));
    }
}
