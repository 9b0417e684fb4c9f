//! The one canonical form of a request target, for router, policies, cache key and upstream alike.
//!
//! In a canonical path every byte has one spelling: unreserved characters are never percent-encoded, what must
//! be encoded is encoded with upper-case digits, and there are no dot segments. Targets that servers are known
//! to read differently (encoded slashes, backslashes, NUL, broken UTF-8, `..` above the root) are refused.

use std::fmt;

use crate::host::{self, HostError};

mod class;
mod path;
#[cfg(test)]
mod tests;

pub use path::canonical_path;

/// How targets are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TargetOptions {
    /// Take `//` in a path for `/`.
    pub merge_slashes: bool,
    /// Longest target as it came, in bytes.
    pub bytes_max: usize,
}

/// A request target in canonical form. Made to be used again: a buffer that has grown is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Target {
    /// The path, then `?` and the query if there is one.
    text: String,
    path_len: usize,
    /// Host and port of an absolute or authority form, else empty.
    authority: String,
    form: Form,
    /// A rewritten target before it is canonical.
    draft: String,
}

/// How a target was written (RFC 9112 section 3.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `/path?query`
    #[default]
    Origin,
    /// `http://host/path?query`
    Absolute(Scheme),
    /// `host:port`, for CONNECT.
    Authority,
    /// `*`, for OPTIONS.
    Asterisk,
}

/// The scheme of an absolute target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// `http`
    Http,
    /// `https`
    Https,
}

/// Why a target is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetError {
    /// Longer than [`TargetOptions::bytes_max`]: 414 rather than 400.
    TooLong,
    /// None of the four forms, or one that does not go with the method.
    Form,
    /// Another scheme than http and https.
    Scheme,
    /// A user name or password in front of the host.
    UserInfo,
    /// The host of an absolute or authority form is none.
    Host(HostError),
    /// A control character, a space, a byte beyond ASCII or a `#`.
    Character,
    /// A backslash, which some servers take for a slash.
    Backslash,
    /// A `%` without two hexadecimal digits after it, in the path.
    Escape,
    /// `%2F` or `%5C` in the path: servers do not agree whether they part segments.
    EncodedSlash,
    /// `%00` in the path.
    EncodedNul,
    /// Percent-encoded bytes of the path that are not UTF-8.
    Utf8,
    /// `..` that would climb above the root, or a dot segment with parameters such as `..;x`.
    DotSegment,
}

/// Reads a request target into `out`. Allocates only while `out` has not yet grown to the length of the target.
///
/// An absolute form without a path has the path `/`; an asterisk form has the path `*`; an authority form has
/// an empty path. `out` holds nothing of use after an error.
///
/// # Errors
/// When the target is too long, malformed, ambiguous, or does not go with the method.
pub fn parse_target(
    method: &[u8],
    raw: &[u8],
    options: &TargetOptions,
    out: &mut Target,
) -> Result<(), TargetError> {
    out.clear();
    if raw.len() > options.bytes_max {
        return Err(TargetError::TooLong);
    }
    if method == b"CONNECT" {
        return out.set_authority_form(raw);
    }
    match raw {
        [b'/', ..] => out.set_path_and_query(raw, options.merge_slashes),
        b"*" if method == b"OPTIONS" => {
            out.set_asterisk();
            Ok(())
        }
        _ => out.set_absolute_form(raw, options.merge_slashes),
    }
}

impl Target {
    /// The canonical path. Begins with `/`, except that it is `*` in asterisk form and empty in authority form.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.text[..self.path_len]
    }

    /// What follows `?`, as it came; `None` without a `?`.
    #[must_use]
    pub fn query(&self) -> Option<&str> {
        self.text.get(self.path_len + 1..)
    }

    /// Path, `?` and query: the target of a request to an upstream.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        &self.text
    }

    /// Canonical `host` or `host:port` of an absolute or authority form.
    #[must_use]
    pub fn authority(&self) -> Option<&str> {
        match self.form {
            Form::Absolute(_) | Form::Authority => Some(&self.authority),
            Form::Origin | Form::Asterisk => None,
        }
    }

    /// How the target was written.
    #[must_use]
    pub fn form(&self) -> Form {
        self.form
    }

    /// Forgets everything but the buffers.
    pub fn clear(&mut self) {
        self.text.clear();
        self.path_len = 0;
        self.authority.clear();
        self.form = Form::Origin;
    }

    /// Becomes the origin form of a path that is not yet canonical, with an optional query: what a rewrite needs.
    ///
    /// # Errors
    /// As [`parse_target`]. `self` holds nothing of use after an error.
    pub fn set(&mut self, path: &[u8], query: Option<&str>, merge_slashes: bool) -> Result<(), TargetError> {
        self.clear();
        canonical_path(path, merge_slashes, &mut self.text)?;
        self.path_len = self.text.len();
        match query {
            Some(query) => self.push_query(query.as_bytes()),
            None => Ok(()),
        }
    }

    /// Becomes the origin form of what `write` writes: a path that is not yet canonical and perhaps `?` and a
    /// query. Without a `?` the query is `query`.
    ///
    /// # Errors
    /// As [`parse_target`], or the error of `write`. `self` holds nothing of use after an error.
    pub fn set_written<E: From<TargetError>>(
        &mut self,
        query: Option<&str>,
        write: impl FnOnce(&mut String) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut draft = std::mem::take(&mut self.draft);
        draft.clear();
        let result = write(&mut draft).and_then(|()| {
            let (path, query) = match draft.split_once('?') {
                Some((path, query)) => (path, Some(query)),
                None => (&*draft, query),
            };
            Ok(self.set(path.as_bytes(), query, false)?)
        });
        self.draft = draft;
        result
    }

    fn set_path_and_query(&mut self, raw: &[u8], merge_slashes: bool) -> Result<(), TargetError> {
        let plain = class::plain_path_len(raw, merge_slashes);
        let path_len = match raw.get(plain) {
            None | Some(b'?') => {
                self.text.push_str(ascii(&raw[..plain])?);
                plain
            }
            Some(_) => {
                let end = plain + memchr::memchr(b'?', &raw[plain..]).unwrap_or(raw.len() - plain);
                canonical_path(&raw[..end], merge_slashes, &mut self.text)?;
                end
            }
        };
        self.path_len = self.text.len();
        match raw.get(path_len + 1..) {
            Some(query) => self.push_query(query),
            None => Ok(()),
        }
    }

    fn push_query(&mut self, query: &[u8]) -> Result<(), TargetError> {
        if !class::is_query(query) {
            return Err(TargetError::Character);
        }
        self.text.push('?');
        self.text.push_str(ascii(query)?);
        Ok(())
    }

    fn set_asterisk(&mut self) {
        self.text.push('*');
        self.path_len = 1;
        self.form = Form::Asterisk;
    }

    fn set_authority_form(&mut self, raw: &[u8]) -> Result<(), TargetError> {
        self.set_authority(raw)?;
        let has_port = self.authority.rsplit(']').next().is_some_and(|end| end.contains(':'));
        if !has_port {
            return Err(TargetError::Form);
        }
        self.form = Form::Authority;
        Ok(())
    }

    fn set_absolute_form(&mut self, raw: &[u8], merge_slashes: bool) -> Result<(), TargetError> {
        let (scheme, rest) = split_scheme(raw)?;
        let end = rest.iter().position(|b| matches!(b, b'/' | b'?' | b'#' | b'\\')).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(end);
        self.set_authority(authority)?;
        self.form = Form::Absolute(scheme);
        match rest {
            [b'/', ..] => self.set_path_and_query(rest, merge_slashes),
            [b'\\', ..] => Err(TargetError::Backslash),
            [b'#', ..] => Err(TargetError::Character),
            _ => {
                self.text.push('/');
                self.path_len = 1;
                rest.get(1..).map_or(Ok(()), |query| self.push_query(query))
            }
        }
    }

    fn set_authority(&mut self, raw: &[u8]) -> Result<(), TargetError> {
        if raw.contains(&b'@') {
            return Err(TargetError::UserInfo);
        }
        let host = host::parse(raw).map_err(TargetError::Host)?;
        self.authority.push_str(&host.name);
        if let Some(port) = host.port {
            // Writing to a `String` cannot fail.
            let _ = fmt::write(&mut self.authority, format_args!(":{port}"));
        }
        Ok(())
    }
}

impl TargetError {
    /// A short text that stays the same from version to version.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLong => "target too long",
            Self::Form => "form of target not allowed",
            Self::Scheme => "scheme of target not allowed",
            Self::UserInfo => "user info in target",
            Self::Host(error) => error.as_str(),
            Self::Character => "character not allowed in target",
            Self::Backslash => "backslash in path",
            Self::Escape => "bad percent escape in path",
            Self::EncodedSlash => "encoded slash or backslash in path",
            Self::EncodedNul => "encoded NUL in path",
            Self::Utf8 => "path is not UTF-8",
            Self::DotSegment => "dot segment leaves the root or has parameters",
        }
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for TargetError {}

/// Text of bytes that a class table has already found to be ASCII.
fn ascii(bytes: &[u8]) -> Result<&str, TargetError> {
    std::str::from_utf8(bytes).map_err(|_| TargetError::Character)
}

/// Parts `http://rest` or `https://rest`; schemes are case-insensitive.
fn split_scheme(raw: &[u8]) -> Result<(Scheme, &[u8]), TargetError> {
    let colon = raw.iter().position(|b| *b == b':').ok_or(TargetError::Form)?;
    let rest = raw[colon..].strip_prefix(b"://").ok_or(TargetError::Form)?;
    let scheme = &raw[..colon];
    if scheme.eq_ignore_ascii_case(b"http") {
        Ok((Scheme::Http, rest))
    } else if scheme.eq_ignore_ascii_case(b"https") {
        Ok((Scheme::Https, rest))
    } else {
        Err(TargetError::Scheme)
    }
}
