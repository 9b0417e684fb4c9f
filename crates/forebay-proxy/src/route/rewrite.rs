//! Another target for the upstream than the client asked for.

use std::fmt;

use forebay_net::host;
use forebay_net::uri::{Target, TargetError, canonical_path};
use regex::{Regex, RegexBuilder};

use super::template::{TEXT_MAX, Template, TemplateError, Values, push_path};

#[cfg(test)]
mod tests;

/// Most memory that a compiled expression may take, in bytes.
const REGEX_SIZE_MAX: usize = 1 << 20;

/// Longest target that comes out, in bytes, before it is made canonical.
const TARGET_MAX: usize = 64 << 10;

/// A change of the target on its way to the upstream. Two are equal if they were written alike.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rewrite {
    path: Option<PathRewrite>,
    host: Option<Box<str>>,
}

/// A change of the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathRewrite(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// Neither ends with a slash; `from` is not empty.
    Prefix {
        from: Box<str>,
        to: Box<str>,
    },
    /// `to` as [`regex`] has it: `$1`, `${name}`.
    Regex {
        pattern: Box<Regex>,
        to: Box<str>,
    },
    Template(Template),
}

/// Why a rewrite is none, or comes to nothing good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RewriteError {
    /// Not a prefix of paths: it must begin with `/` and have more in it to be taken away.
    Prefix,
    /// No request can have this path, or no upstream should get it.
    Path(TargetError),
    /// Not a host.
    Host(host::HostError),
    /// The expression is malformed or too large: what is wrong.
    Regex(String),
    /// The replacement names a group that the expression has not: its name or number.
    Group(String),
    /// The template is malformed.
    Template(TemplateError),
    /// The result is too long.
    TooLong,
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Prefix { from, to }, Self::Prefix { from: from_other, to: to_other }) => {
                from == from_other && to == to_other
            }
            (Self::Regex { pattern, to }, Self::Regex { pattern: pattern_other, to: to_other }) => {
                // All are compiled with the same options: see `PathRewrite::regex`.
                pattern.as_str() == pattern_other.as_str() && to == to_other
            }
            (Self::Template(one), Self::Template(other)) => one == other,
            _ => false,
        }
    }
}

impl Eq for Kind {}

impl Rewrite {
    /// Changes path, host or both. `host` may have a port.
    ///
    /// # Errors
    /// When `host` is none.
    pub fn new(path: Option<PathRewrite>, host: Option<&str>) -> Result<Self, RewriteError> {
        let host = host.map(|host| host::parse(host.as_bytes())).transpose().map_err(RewriteError::Host)?;
        Ok(Self { path, host: host.map(|host| host.to_string().into()) })
    }

    /// The canonical host, with port if it has one, that the upstream gets in place of the client's.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// The change of the path, if there is one.
    #[must_use]
    pub fn path(&self) -> Option<&PathRewrite> {
        self.path.as_ref()
    }

    /// Puts the changed target into `out`, in canonical form. `values` hold the target as it came.
    ///
    /// # Errors
    /// As [`PathRewrite::apply`].
    pub fn apply(&self, values: &Values<'_>, out: &mut Target) -> Result<(), RewriteError> {
        match &self.path {
            Some(path) => path.apply(values, out),
            None => out.set(values.path.as_bytes(), values.query, false).map_err(RewriteError::from),
        }
    }
}

impl PathRewrite {
    /// Takes `prefix` away from paths that begin with it, up to a slash or the end; others stay as they are.
    ///
    /// # Errors
    /// When `prefix` is not the beginning of a path or is `/`.
    pub fn strip_prefix(prefix: &str) -> Result<Self, RewriteError> {
        Self::replace_prefix(prefix, "/")
    }

    /// Puts `to` in place of `from` in paths that begin with it, up to a slash or the end; others stay as they are.
    ///
    /// # Errors
    /// When one of them is not the beginning of a path, or `from` is `/`.
    pub fn replace_prefix(from: &str, to: &str) -> Result<Self, RewriteError> {
        let (from, to) = (parse_prefix(from)?, parse_prefix(to)?);
        if from.is_empty() {
            return Err(RewriteError::Prefix);
        }
        Ok(Self(Kind::Prefix { from, to }))
    }

    /// Puts `to` in place of the first match of `pattern` in the path. `$1` and `${name}` in `to` stand for groups.
    /// A `?` in `to` begins a new query. Paths that do not match stay as they are.
    ///
    /// # Errors
    /// When `pattern` is malformed or too large, or `to` names a group that is not there.
    pub fn regex(pattern: &str, to: &str) -> Result<Self, RewriteError> {
        if pattern.len() > TEXT_MAX || to.len() > TEXT_MAX {
            return Err(RewriteError::TooLong);
        }
        let pattern = RegexBuilder::new(pattern)
            .size_limit(REGEX_SIZE_MAX)
            .dfa_size_limit(REGEX_SIZE_MAX)
            .build()
            .map_err(|error| RewriteError::Regex(error.to_string()))?;
        if let Some(group) = unknown_group(&pattern, to) {
            return Err(RewriteError::Group(group.to_owned()));
        }
        Ok(Self(Kind::Regex { pattern: Box::new(pattern), to: to.into() }))
    }

    /// Puts a text in place of the path. A `?` or `{query}` in it begins a new query; else the query stays.
    ///
    /// # Errors
    /// When `template` is malformed.
    pub fn template(template: &str) -> Result<Self, RewriteError> {
        Template::parse(template)
            .map(|template| Self(Kind::Template(template)))
            .map_err(RewriteError::Template)
    }

    /// Names of the path parameters that it uses.
    pub fn params(&self) -> impl Iterator<Item = &str> {
        let template = match &self.0 {
            Kind::Template(template) => Some(template),
            Kind::Prefix { .. } | Kind::Regex { .. } => None,
        };
        template.into_iter().flat_map(Template::params)
    }

    /// Puts the changed target into `out`, in canonical form. `values` hold the target as it came.
    ///
    /// # Errors
    /// When the changed path has no canonical form, or is too long.
    pub fn apply(&self, values: &Values<'_>, out: &mut Target) -> Result<(), RewriteError> {
        let query = match &self.0 {
            Kind::Template(template) if template.uses_query() => None,
            Kind::Template(_) | Kind::Prefix { .. } | Kind::Regex { .. } => values.query,
        };
        out.set_written(query, |text| {
            self.write(values, text)?;
            if text.len() > TARGET_MAX { Err(RewriteError::TooLong) } else { Ok(()) }
        })
    }

    /// Appends the new path, and perhaps `?` and a new query.
    fn write(&self, values: &Values<'_>, out: &mut String) -> Result<(), RewriteError> {
        match &self.0 {
            Kind::Prefix { from, to } => {
                let rest = values.path.strip_prefix(&**from);
                match rest.filter(|rest| rest.is_empty() || rest.starts_with('/')) {
                    Some("") if to.is_empty() => out.push('/'),
                    Some(rest) => {
                        out.push_str(to);
                        push_path(rest, out);
                    }
                    None => out.push_str(values.path),
                }
                Ok(())
            }
            Kind::Regex { pattern, to } => {
                match pattern.captures(values.path).and_then(|groups| Some((groups.get(0)?.range(), groups)))
                {
                    Some((range, groups)) => {
                        out.push_str(&values.path[..range.start]);
                        groups.expand(to, out);
                        out.push_str(&values.path[range.end..]);
                    }
                    None => out.push_str(values.path),
                }
                Ok(())
            }
            Kind::Template(template) => template.render(values, out).map_err(RewriteError::Template),
        }
    }
}

impl fmt::Display for RewriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix => f.write_str("a prefix begins with `/` and has more in it, as in `/api`"),
            Self::Path(error) => write!(f, "rewritten path: {error}"),
            Self::Host(error) => write!(f, "{error}"),
            Self::Regex(error) => f.write_str(error),
            Self::Group(name) => {
                write!(f, "the expression has no group `{name}`; write `${{1}}x` for `$1` before `x`")
            }
            Self::Template(error) => write!(f, "{error}"),
            Self::TooLong => f.write_str("rewritten path too long"),
        }
    }
}

impl std::error::Error for RewriteError {}

impl From<TargetError> for RewriteError {
    fn from(error: TargetError) -> Self {
        Self::Path(error)
    }
}

/// Canonical form of a prefix, without slashes at its end.
fn parse_prefix(text: &str) -> Result<Box<str>, RewriteError> {
    if !text.starts_with('/') {
        return Err(RewriteError::Prefix);
    }
    let mut path = String::new();
    canonical_path(text.as_bytes(), false, &mut path)?;
    Ok(path.trim_end_matches('/').into())
}

/// A group named in the replacement `to` that `pattern` has not.
fn unknown_group<'a>(pattern: &Regex, to: &'a str) -> Option<&'a str> {
    let mut rest = to;
    while let Some(at) = rest.find('$') {
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            rest = after;
            continue;
        }
        let (name, after) = split_group(rest);
        rest = after;
        let is_known = match name.parse::<usize>() {
            Ok(number) => number < pattern.captures_len(),
            Err(_) => pattern.capture_names().flatten().any(|other| other == name),
        };
        if !is_known {
            return Some(name);
        }
    }
    None
}

/// The name of a group after `$`, and what follows it: the longest run of word characters, or what braces hold.
fn split_group(text: &str) -> (&str, &str) {
    if let Some((name, after)) = text.strip_prefix('{').and_then(|text| text.split_once('}')) {
        return (name, after);
    }
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text.split_at(end)
}
