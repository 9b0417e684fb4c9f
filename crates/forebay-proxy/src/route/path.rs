//! Which paths a route is for.

use std::borrow::Cow;
use std::fmt::{self, Write};

use forebay_net::uri::{TargetError, canonical_path};

mod glob;
#[cfg(test)]
mod tests;

pub(super) use glob::Glob;

/// Most segments of a pattern.
pub(super) const SEGMENTS_MAX: usize = 32;

/// Most `{name}` segments of a pattern.
pub(super) const PARAMS_MAX: usize = 8;

/// A path in a `match`, in canonical form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathPattern {
    /// What stands between the slashes, up to the tail.
    pub(super) segments: Vec<Segment>,
    /// What comes after the segments.
    pub(super) tail: Tail,
}

/// One segment of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Segment {
    /// This text, perhaps none.
    Literal(Box<str>),
    /// Text with `*` in it. Never matches an empty segment.
    Glob(Glob),
    /// `{name}`: any segment that is not empty.
    Param(Box<str>),
}

/// How a pattern ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tail {
    /// The path ends too.
    End,
    /// `text*`: there is one more segment at least, and it begins so.
    Prefix(Box<str>),
    /// `**`, then these at the end.
    Spanning(Vec<Segment>),
}

/// Why a text is not a path pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PathPatternError {
    /// Does not begin with `/`.
    Slash,
    /// More than [`SEGMENTS_MAX`] segments.
    Segments,
    /// More than [`PARAMS_MAX`] parameters.
    Params,
    /// The same parameter twice.
    Duplicate(Box<str>),
    /// Braces that are not a whole segment with a name in it, or a name that means something else.
    Braces(Box<str>),
    /// `**` beside other text, or twice.
    DoubleStar,
    /// `*` at the end of a path that has another in the last segment or `**` before.
    TrailingStar,
    /// `.` or `..`, which no canonical path holds.
    Dots,
    /// No path holds this text.
    Target(TargetError),
}

impl Default for PathPattern {
    /// Any path.
    fn default() -> Self {
        Self { segments: Vec::new(), tail: Tail::Prefix("".into()) }
    }
}

impl PathPattern {
    pub(super) fn parse(text: &str) -> Result<Self, PathPatternError> {
        let mut pieces = text.strip_prefix('/').ok_or(PathPatternError::Slash)?.split('/').peekable();
        let mut segments = Vec::new();
        let mut spanning: Option<Vec<Segment>> = None;
        let mut count = 0;
        while let Some(piece) = pieces.next() {
            count += 1;
            if count > SEGMENTS_MAX {
                return Err(PathPatternError::Segments);
            }
            if piece == "**" {
                if spanning.replace(Vec::new()).is_some() {
                    return Err(PathPatternError::DoubleStar);
                }
                continue;
            }
            if let (None, Some(prefix)) = (pieces.peek(), piece.strip_suffix('*')) {
                if prefix.contains('*') || spanning.is_some() {
                    return Err(PathPatternError::TrailingStar);
                }
                let tail = Tail::Prefix(parse_text(prefix)?);
                return Self { segments, tail }.checked();
            }
            spanning.as_mut().unwrap_or(&mut segments).push(parse_segment(piece)?);
        }
        let tail = spanning.map_or(Tail::End, Tail::Spanning);
        Self { segments, tail }.checked()
    }

    /// Whether the canonical `path` matches.
    pub(super) fn matches(&self, path: &str) -> bool {
        let Some(path) = path.strip_prefix('/') else { return self.is_any() };
        let mut rest = path.split('/');
        for segment in &self.segments {
            if !rest.next().is_some_and(|text| segment.matches(text)) {
                return false;
            }
        }
        match &self.tail {
            Tail::End => rest.next().is_none(),
            Tail::Prefix(prefix) => rest.next().is_some_and(|text| text.starts_with(&**prefix)),
            Tail::Spanning(suffix) => {
                suffix.iter().rev().all(|segment| rest.next_back().is_some_and(|text| segment.matches(text)))
            }
        }
    }

    /// Calls `visit` with the name and value of each parameter. `path` must match.
    pub(super) fn each_param<'a>(&'a self, path: &'a str, mut visit: impl FnMut(&'a str, &'a str)) {
        let mut rest = path.strip_prefix('/').unwrap_or(path).split('/');
        let mut take = |segment: &'a Segment, text: Option<&'a str>| {
            if let (Segment::Param(name), Some(text)) = (segment, text) {
                visit(name, text);
            }
        };
        self.segments.iter().for_each(|segment| take(segment, rest.next()));
        self.suffix().iter().rev().for_each(|segment| take(segment, rest.next_back()));
    }

    /// Names of the parameters.
    pub(super) fn params(&self) -> impl Iterator<Item = &str> {
        self.segments.iter().chain(self.suffix()).filter_map(|segment| match segment {
            Segment::Param(name) => Some(&**name),
            Segment::Literal(_) | Segment::Glob(_) => None,
        })
    }

    /// `/*` and `/**` match what is not a path, too: the `*` of OPTIONS.
    pub(super) fn is_any(&self) -> bool {
        self.segments.is_empty()
            && match &self.tail {
                Tail::End => false,
                Tail::Prefix(prefix) => prefix.is_empty(),
                Tail::Spanning(suffix) => suffix.is_empty(),
            }
    }

    /// Whether every path that `other` matches is matched by `self` too; may say no when it is hard to tell.
    pub(super) fn covers(&self, other: &Self) -> bool {
        if self.is_any() {
            return true;
        }
        let shared = self.segments.len().min(other.segments.len());
        let in_line = self.segments.iter().zip(&other.segments).all(|(a, b)| a.covers(b));
        in_line && self.segments.len() == shared && self.tail_covers(&other.segments[shared..], other)
    }

    /// Whether the tail takes the segments `rest` of `other` and its tail.
    fn tail_covers(&self, rest: &[Segment], other: &Self) -> bool {
        match (&self.tail, &other.tail) {
            (Tail::End, tail) => rest.is_empty() && *tail == Tail::End,
            (Tail::Prefix(a), tail) => match (rest.first(), tail) {
                (Some(segment), _) => segment.begins_with(a),
                (None, Tail::Prefix(b)) => b.starts_with(&**a),
                (None, Tail::Spanning(suffix)) => a.is_empty() && !suffix.is_empty(),
                (None, Tail::End) => false,
            },
            (Tail::Spanning(a), Tail::Prefix(_)) => a.is_empty(),
            (Tail::Spanning(a), Tail::End) => ends_in(a, rest),
            (Tail::Spanning(a), Tail::Spanning(b)) => ends_in(a, b),
        }
    }

    /// A path that matches, unlikely to match another pattern.
    pub(super) fn sample(&self) -> String {
        let mut path = String::new();
        self.segments.iter().for_each(|segment| segment.push_sample(&mut path));
        match &self.tail {
            Tail::End => {}
            Tail::Prefix(prefix) => path.extend(["/", prefix, "~/~/~"]),
            Tail::Spanning(suffix) => {
                path.push_str("/~/~");
                suffix.iter().for_each(|segment| segment.push_sample(&mut path));
            }
        }
        path
    }

    fn suffix(&self) -> &[Segment] {
        match &self.tail {
            Tail::Spanning(suffix) => suffix,
            Tail::End | Tail::Prefix(_) => &[],
        }
    }

    fn checked(self) -> Result<Self, PathPatternError> {
        let mut names: Vec<&str> = self.params().collect();
        if names.len() > PARAMS_MAX {
            return Err(PathPatternError::Params);
        }
        names.sort_unstable();
        match names.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(PathPatternError::Duplicate(pair[0].into())),
            None => Ok(self),
        }
    }
}

impl Segment {
    pub(super) fn matches(&self, text: &str) -> bool {
        match self {
            Self::Literal(literal) => **literal == *text,
            Self::Glob(glob) => glob.matches(text),
            Self::Param(_) => !text.is_empty(),
        }
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(a), Self::Literal(b)) => a == b,
            (Self::Literal(_), _) => false,
            (_, Self::Literal(text)) => self.matches(text),
            (Self::Glob(a), Self::Glob(b)) => a.covers(b),
            (Self::Glob(a), Self::Param(_)) => a.is_any(),
            (Self::Param(_), _) => true,
        }
    }

    /// Whether all that the segment matches begins with `prefix`.
    fn begins_with(&self, prefix: &str) -> bool {
        match self {
            Self::Literal(text) => text.starts_with(prefix),
            Self::Glob(glob) => glob.head().starts_with(prefix),
            Self::Param(_) => prefix.is_empty(),
        }
    }

    fn push_sample(&self, out: &mut String) {
        out.push('/');
        match self {
            Self::Literal(text) => out.push_str(text),
            Self::Glob(glob) => glob.push_sample(out),
            Self::Param(_) => out.push('~'),
        }
    }
}

impl fmt::Display for PathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.segments.iter().try_for_each(|segment| write!(f, "/{segment}"))?;
        match &self.tail {
            Tail::End => Ok(()),
            Tail::Prefix(prefix) => write!(f, "/{prefix}*"),
            Tail::Spanning(suffix) => {
                f.write_str("/**")?;
                suffix.iter().try_for_each(|segment| write!(f, "/{segment}"))
            }
        }
    }
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(text) => f.write_str(text),
            Self::Glob(glob) => write!(f, "{glob}"),
            Self::Param(name) => write!(f, "{{{name}}}"),
        }
    }
}

/// Whether segments `a` at the end of a path are there in every path that ends in `b`.
fn ends_in(a: &[Segment], b: &[Segment]) -> bool {
    b.len() >= a.len() && a.iter().rev().zip(b.iter().rev()).all(|(a, b)| a.covers(b))
}

fn parse_segment(piece: &str) -> Result<Segment, PathPatternError> {
    if piece.contains("**") {
        return Err(PathPatternError::DoubleStar);
    }
    if piece.contains(['{', '}']) {
        return parse_param(piece);
    }
    if piece.contains('*') {
        let pieces = piece.split('*').map(parse_text).collect::<Result<_, _>>()?;
        return Ok(Segment::Glob(Glob::new(pieces)));
    }
    let text = parse_text(piece)?;
    let is_dots = matches!(&*text, "." | "..") || text.starts_with(".;") || text.starts_with("..;");
    if is_dots { Err(PathPatternError::Dots) } else { Ok(Segment::Literal(text)) }
}

fn parse_param(piece: &str) -> Result<Segment, PathPatternError> {
    let error = || PathPatternError::Braces(piece.into());
    let name = piece.strip_prefix('{').and_then(|piece| piece.strip_suffix('}')).ok_or_else(error)?;
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let is_name = starts_well && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    // Templates have a meaning for these already.
    let is_taken = matches!(name, "host" | "path" | "query");
    if is_name && !is_taken { Ok(Segment::Param(name.into())) } else { Err(error()) }
}

/// Canonical form of a text inside a segment. Text beyond ASCII is encoded, since settings are written by people.
fn parse_text(text: &str) -> Result<Box<str>, PathPatternError> {
    if text.contains(['{', '}']) {
        return Err(PathPatternError::Braces(text.into()));
    }
    let mut encoded = Cow::Borrowed(text);
    if !text.is_ascii() {
        let mut ascii = String::new();
        for byte in text.bytes() {
            // Writing to a `String` cannot fail.
            let _ =
                if byte.is_ascii() { ascii.write_char(byte.into()) } else { write!(ascii, "%{byte:02X}") };
        }
        encoded = Cow::Owned(ascii);
    }
    let mut path = String::new();
    // The letter in front keeps `.` from being resolved.
    canonical_path(format!("/x{encoded}").as_bytes(), false, &mut path).map_err(PathPatternError::Target)?;
    Ok(path[2..].into())
}
