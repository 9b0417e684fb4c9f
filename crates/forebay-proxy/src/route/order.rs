//! Which of two routes is the more specific.

use std::cmp::Ordering;
use std::fmt;

use super::matcher::Matcher;
use super::path::{Glob, PathPattern, Segment, Tail};

/// What told two routes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Criterion {
    /// The more specific host.
    Host,
    /// The more specific path.
    Path,
    /// Methods are named.
    Method,
    /// More header conditions.
    Headers,
    /// More query conditions.
    Queries,
    /// Only the text: they are equally specific.
    Text,
}

/// Compares two matchers; the more specific is less. Equal only if both have the same text.
pub(super) fn compare(a: &Matcher, b: &Matcher) -> (Ordering, Criterion) {
    let hosts = a.host.compare(&b.host);
    if hosts.is_ne() {
        return (hosts, Criterion::Host);
    }
    let (paths, criterion) = compare_paths(&a.path, &b.path);
    if paths.is_ne() {
        return (paths, criterion);
    }
    let steps = [
        (a.methods.is_empty().cmp(&b.methods.is_empty()), Criterion::Method),
        (b.headers.len().cmp(&a.headers.len()), Criterion::Headers),
        (b.queries.len().cmp(&a.queries.len()), Criterion::Queries),
    ];
    let decided = steps.into_iter().find(|(ordering, _)| ordering.is_ne());
    decided.unwrap_or_else(|| (a.to_string().cmp(&b.to_string()), Criterion::Text))
}

/// Compares globs: more literal text first, then the longer beginning, then by alphabet.
pub(super) fn compare_globs(a: &Glob, b: &Glob) -> (Ordering, Criterion) {
    let key = |glob: &Glob| (glob.literal_len(), glob.head().len());
    match key(b).cmp(&key(a)) {
        Ordering::Equal => (a.cmp(b), Criterion::Text),
        ordering => (ordering, Criterion::Path),
    }
}

/// Compares paths segment by segment. What cannot match the same path is put in some order.
fn compare_paths(a: &PathPattern, b: &PathPattern) -> (Ordering, Criterion) {
    let shared = a.segments.len().min(b.segments.len());
    let decided = compare_segments(&a.segments[..shared], &b.segments[..shared]);
    if decided.0.is_ne() {
        return decided;
    }
    let (rest_a, rest_b) = (&a.segments[shared..], &b.segments[shared..]);
    match (rest_a.first(), rest_b.first()) {
        (Some(_), _) if b.tail != Tail::End => (Ordering::Less, Criterion::Path),
        (_, Some(_)) if a.tail != Tail::End => (Ordering::Greater, Criterion::Path),
        (None, None) => compare_tails(&a.tail, &b.tail),
        // Paths of different lengths.
        (Some(_), _) => (Ordering::Greater, Criterion::Path),
        (None, Some(_)) => (Ordering::Less, Criterion::Path),
    }
}

fn compare_segments(a: &[Segment], b: &[Segment]) -> (Ordering, Criterion) {
    let mut pairs = a.iter().zip(b).map(|(a, b)| compare_segment(a, b));
    pairs.find(|(ordering, _)| ordering.is_ne()).unwrap_or((Ordering::Equal, Criterion::Path))
}

fn compare_segment(a: &Segment, b: &Segment) -> (Ordering, Criterion) {
    let rank = |segment: &Segment| match segment {
        Segment::Literal(_) => 0,
        Segment::Glob(_) => 1,
        Segment::Param(_) => 2,
    };
    match (a, b) {
        (Segment::Glob(a), Segment::Glob(b)) => compare_globs(a, b),
        (Segment::Literal(a), Segment::Literal(b)) => (a.cmp(b), Criterion::Path),
        _ => (rank(a).cmp(&rank(b)), Criterion::Path),
    }
}

fn compare_tails(a: &Tail, b: &Tail) -> (Ordering, Criterion) {
    let rank = |tail: &Tail| match tail {
        Tail::End => 0,
        Tail::Prefix(text) if !text.is_empty() => 1,
        Tail::Spanning(suffix) if !suffix.is_empty() => 2,
        Tail::Prefix(_) => 3,
        Tail::Spanning(_) => 4,
    };
    let by_path = |ordering| (ordering, Criterion::Path);
    match (a, b) {
        (Tail::Prefix(a), Tail::Prefix(b)) => by_path(b.len().cmp(&a.len()).then_with(|| a.cmp(b))),
        (Tail::Spanning(a), Tail::Spanning(b)) if a.len() == b.len() => compare_segments(a, b),
        (Tail::Spanning(a), Tail::Spanning(b)) => by_path(b.len().cmp(&a.len())),
        _ => by_path(rank(a).cmp(&rank(b))),
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "more specific host",
            Self::Path => "more specific path",
            Self::Method => "names methods",
            Self::Headers => "more header conditions",
            Self::Queries => "more query conditions",
            Self::Text => "equally specific, first by text",
        })
    }
}
