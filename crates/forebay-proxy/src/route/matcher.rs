//! When a route is meant: the parsed form of `match`.

use std::fmt;

use forebay_net::host::HostError;
use forebay_net::uri::TargetError;

use super::condition::{Conditions, ValueTest, query_holds};
use super::host::{HostPattern, HostPatternError};
use super::path::{PARAMS_MAX, PathPattern, PathPatternError, SEGMENTS_MAX};
use super::router::Query;

#[cfg(test)]
mod tests;

/// When a route is meant. The default matches every request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matcher {
    pub(super) host: HostPattern,
    pub(super) path: PathPattern,
    /// Sorted; empty for any.
    pub(super) methods: Vec<Box<str>>,
    pub(super) headers: Conditions,
    pub(super) queries: Conditions,
}

/// The long form of a `match`. What is left empty matches anything.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MatchParts {
    /// `shop.example.com`, `*.example.com`, or empty.
    pub host: String,
    /// As in the short form, or empty.
    pub path: String,
    /// Names of methods, in upper case.
    pub methods: Vec<String>,
    /// Conditions on headers; names are case-insensitive. All must hold.
    pub headers: Vec<(String, ValueTest)>,
    /// Conditions on query parameters; names are case-sensitive. All must hold.
    pub queries: Vec<(String, ValueTest)>,
}

/// Why a `match` is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatchError {
    /// Nothing at all.
    Empty,
    /// A space elsewhere than between method and host.
    Space,
    /// A scheme in front of the host.
    Scheme,
    /// Not the name of a method: the name.
    Method(String),
    /// The host is none.
    Host(HostError),
    /// The host has a port: `match` is about names.
    HostPort,
    /// `*` elsewhere than in front of the first dot.
    HostWildcard,
    /// A short form without a path.
    PathMissing,
    /// The path does not begin with `/`.
    PathSlash,
    /// The path has too many segments.
    PathSegments,
    /// The path has too many parameters.
    PathParams,
    /// The path has the same parameter twice: its name.
    ParamTwice(String),
    /// Braces that do not hold the name of a whole segment: the text.
    Braces(String),
    /// `**` beside other text in its segment, or twice.
    DoubleStar,
    /// `*` at the end after `**`, or after another `*` in the last segment.
    TrailingStar,
    /// `.` or `..` in the path.
    Dots,
    /// The path has `?` in it.
    PathQuery,
    /// No request can have this path.
    Path(TargetError),
    /// Not the name of a header: the name.
    HeaderName(String),
    /// A value that the header of this name can never have.
    HeaderValue(String),
    /// Two conditions on one header: its name.
    HeaderTwice(String),
    /// A query parameter without a name.
    QueryName,
    /// Two conditions on one query parameter: its name.
    QueryTwice(String),
}

/// Values of the `{name}` segments of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Params<'a> {
    pairs: [(&'a str, &'a str); PARAMS_MAX],
    len: usize,
}

impl Matcher {
    /// Reads the short form, `[METHOD ]host/path`.
    ///
    /// # Errors
    /// When the text is not of that form, or no request can match it.
    pub fn parse_short(text: &str) -> Result<Self, MatchError> {
        let (methods, target) = match text.split_once(' ') {
            Some((methods, target)) => (methods.split(',').map(str::to_owned).collect(), target),
            None => (Vec::new(), text),
        };
        if text.is_empty() {
            return Err(MatchError::Empty);
        }
        let is_split = text.find(' ') > text.find('/');
        if is_split || target.is_empty() || target.contains(' ') {
            return Err(MatchError::Space);
        }
        if target.starts_with("http://") || target.starts_with("https://") {
            return Err(MatchError::Scheme);
        }
        let slash = target.find('/').ok_or(MatchError::PathMissing)?;
        let (host, path) = target.split_at(slash);
        Self::from_parts(MatchParts {
            host: host.into(),
            path: path.into(),
            methods,
            ..MatchParts::default()
        })
    }

    /// Puts the long form together.
    ///
    /// # Errors
    /// When a part is malformed, or no request can match it.
    pub fn from_parts(parts: MatchParts) -> Result<Self, MatchError> {
        let MatchParts { host, path, mut methods, headers, queries } = parts;
        if let Some(method) = methods.iter().find(|method| !is_method(method)) {
            return Err(MatchError::Method(method.clone()));
        }
        methods.sort();
        methods.dedup();
        let path = if path.is_empty() { PathPattern::default() } else { parse_path(&path)? };
        Ok(Self {
            host: HostPattern::parse(&host)?,
            path,
            methods: methods.into_iter().map(Into::into).collect(),
            headers: header_conditions(headers)?,
            queries: query_conditions(queries)?,
        })
    }

    /// Values of the path's parameters. `path` must be one that matches; else what comes out means nothing.
    #[must_use]
    pub fn params<'a>(&'a self, path: &'a str) -> Params<'a> {
        let mut params = Params::default();
        self.path.each_param(path, |name, value| {
            if let Some(pair) = params.pairs.get_mut(params.len) {
                *pair = (name, value);
                params.len += 1;
            }
        });
        params
    }

    /// Names of the path's parameters.
    pub fn param_names(&self) -> impl Iterator<Item = &str> {
        self.path.params()
    }

    /// Names of the methods; none for any.
    pub fn methods(&self) -> impl Iterator<Item = &str> {
        self.methods.iter().map(|method| &**method)
    }

    pub(super) fn takes_method(&self, method: &[u8]) -> bool {
        self.methods.is_empty() || self.methods.iter().any(|name| name.as_bytes() == method)
    }

    /// Whether the conditions on headers and query hold.
    pub(super) fn takes_conditions(&self, query: &Query<'_>) -> bool {
        self.failing_header(query).is_none() && self.failing_query(query).is_none()
    }

    /// Name of the first header whose condition does not hold.
    pub(super) fn failing_header(&self, query: &Query<'_>) -> Option<&str> {
        self.headers
            .failing(|name, test| (query.header)(name.as_bytes()).is_some_and(|value| test.accepts(value)))
    }

    /// Name of the first query parameter whose condition does not hold.
    pub(super) fn failing_query(&self, query: &Query<'_>) -> Option<&str> {
        self.queries.failing(|name, test| query_holds(query.query, name, test))
    }
}

impl<'a> Params<'a> {
    /// The value of a parameter, in canonical form: what is percent-encoded stays so.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|(other, _)| *other == name).map(|(_, value)| value)
    }

    /// Names and values.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.pairs[..self.len].iter().copied()
    }
}

/// The canonical text: the short form, then conditions if there are any.
impl fmt::Display for Matcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, path, methods, headers, queries } = self;
        if !methods.is_empty() {
            write!(f, "{} ", methods.join(","))?;
        }
        write!(f, "{host}{path}")?;
        headers.iter().try_for_each(|(name, test)| write!(f, " {name}:{test}"))?;
        queries.iter().try_for_each(|(name, test)| write!(f, " ?{name}={test}"))
    }
}

impl fmt::Display for MatchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("empty match; `/*` matches every request"),
            Self::Space => {
                f.write_str("one space at most, between method and host; a space in a path is written `%20`")
            }
            Self::Scheme => f.write_str("a match begins with the host, without `http://` or `https://`"),
            Self::Method(name) => write!(f, "`{name}` is not a method; methods are upper case, as in `GET`"),
            Self::Host(error) => write!(f, "{error}"),
            Self::HostPort => f.write_str("a host in a match has no port; it holds for every listener"),
            Self::HostWildcard => {
                f.write_str("`*` in a host stands alone or in front, as in `*.example.com`")
            }
            Self::PathMissing => f.write_str("no path; add `/*` for every path of the host"),
            Self::PathSlash => f.write_str("a path begins with `/`"),
            Self::PathSegments => write!(f, "more than {SEGMENTS_MAX} segments in the path"),
            Self::PathParams => write!(f, "more than {PARAMS_MAX} parameters in the path"),
            Self::ParamTwice(name) => write!(f, "parameter `{{{name}}}` occurs twice"),
            Self::Braces(text) => {
                write!(
                    f,
                    "`{text}` is no parameter: it is a whole segment such as `{{id}}`, named with letters, "
                )?;
                f.write_str("digits and `_`, but not host, path or query")
            }
            Self::DoubleStar => f.write_str("`**` is a whole segment and occurs once"),
            Self::TrailingStar => {
                f.write_str("`*` at the end means all that follows: it cannot come after `**` or another `*`")
            }
            Self::Dots => f.write_str("`.` and `..` segments are resolved before routing and match nothing"),
            Self::PathQuery => f.write_str("`?` is not part of a path; use the long form with `query`"),
            Self::Path(error) => write!(f, "no request has this path: {error}"),
            Self::HeaderName(name) => write!(f, "`{name}` is not the name of a header"),
            Self::HeaderValue(name) => write!(f, "no header `{name}` can have this value"),
            Self::HeaderTwice(name) => write!(f, "two conditions on header `{name}`"),
            Self::QueryName => f.write_str("a query parameter without a name"),
            Self::QueryTwice(name) => write!(f, "two conditions on query parameter `{name}`"),
        }
    }
}

impl std::error::Error for MatchError {}

impl From<HostPatternError> for MatchError {
    fn from(error: HostPatternError) -> Self {
        match error {
            HostPatternError::Host(error) => Self::Host(error),
            HostPatternError::Port => Self::HostPort,
            HostPatternError::Wildcard => Self::HostWildcard,
        }
    }
}

impl From<PathPatternError> for MatchError {
    fn from(error: PathPatternError) -> Self {
        match error {
            PathPatternError::Slash => Self::PathSlash,
            PathPatternError::Segments => Self::PathSegments,
            PathPatternError::Params => Self::PathParams,
            PathPatternError::Duplicate(name) => Self::ParamTwice(name.into()),
            PathPatternError::Braces(text) => Self::Braces(text.into()),
            PathPatternError::DoubleStar => Self::DoubleStar,
            PathPatternError::TrailingStar => Self::TrailingStar,
            PathPatternError::Dots => Self::Dots,
            PathPatternError::Target(error) => Self::Path(error),
        }
    }
}

fn parse_path(text: &str) -> Result<PathPattern, MatchError> {
    if text.contains('?') {
        return Err(MatchError::PathQuery);
    }
    Ok(PathPattern::parse(text)?)
}

fn header_conditions(pairs: Vec<(String, ValueTest)>) -> Result<Conditions, MatchError> {
    let mut headers = Vec::with_capacity(pairs.len());
    for (name, test) in pairs {
        if !is_token(&name) {
            return Err(MatchError::HeaderName(name));
        }
        if !is_possible(&test) {
            return Err(MatchError::HeaderValue(name));
        }
        headers.push((name.to_ascii_lowercase().into(), test));
    }
    Conditions::new(headers).map_err(|name| MatchError::HeaderTwice(name.into()))
}

fn query_conditions(pairs: Vec<(String, ValueTest)>) -> Result<Conditions, MatchError> {
    if pairs.iter().any(|(name, _)| name.is_empty()) {
        return Err(MatchError::QueryName);
    }
    let pairs = pairs.into_iter().map(|(name, test)| (name.into(), test)).collect();
    Conditions::new(pairs).map_err(|name| MatchError::QueryTwice(name.into()))
}

/// Whether a header value, which has no blanks around it and no control characters in it, can pass.
fn is_possible(test: &ValueTest) -> bool {
    let is_clean = |text: &str| !text.chars().any(|c| c.is_control() && c != '\t');
    match test {
        ValueTest::Exact(text) => is_clean(text) && text.trim_matches([' ', '\t']) == text,
        ValueTest::Prefix(text) => is_clean(text) && text.trim_start_matches([' ', '\t']) == text,
        ValueTest::Present => true,
    }
}

/// Methods are case-sensitive, and all there are have upper-case names: lower case is a slip.
fn is_method(name: &str) -> bool {
    is_token(name) && !name.bytes().any(|byte| byte.is_ascii_lowercase())
}

/// RFC 9110 section 5.6.2.
pub(super) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}
