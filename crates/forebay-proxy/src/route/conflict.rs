//! Routes that get in each other's way.

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write;

use super::matcher::Matcher;
use super::order::{Criterion, compare};
use super::path::{PathPattern, Segment, Tail};
use super::router::{Found, Query, Router};

/// Most pairs of routes compared in search of ambiguity; files with more are searched in part.
const PAIRS_MAX: usize = 200_000;

/// Most conflicts of a kind that are reported.
const CONFLICTS_MAX: usize = 1_000;

/// A method that no settings name, since theirs are upper case.
const OTHER_METHOD: &str = "other";

/// Two routes in each other's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Conflict {
    /// Index of the route that wins.
    pub first: usize,
    /// Index of the route that loses.
    pub second: usize,
    /// What is wrong.
    pub kind: ConflictKind,
}

/// How two routes are in each other's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ConflictKind {
    /// Some requests match both, and neither is the more specific.
    Ambiguous,
    /// Every request that matches the second matches the first too, which is the more specific.
    Unreachable,
}

/// All conflicts, sorted.
pub(super) fn find(router: &Router) -> Vec<Conflict> {
    let mut conflicts = find_ambiguous(&router.matchers);
    let known: HashSet<usize> = conflicts.iter().map(|conflict| conflict.second).collect();
    let others = (0..router.matchers.len()).filter(|route| !known.contains(route));
    conflicts.extend(others.filter_map(|route| find_unreachable(router, route)).take(CONFLICTS_MAX));
    conflicts.sort_unstable();
    conflicts
}

fn find_ambiguous(matchers: &[Matcher]) -> Vec<Conflict> {
    let mut groups: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (route, matcher) in matchers.iter().enumerate() {
        groups.entry(skeleton(matcher)).or_default().push(route);
    }
    let pairs = groups.values().flat_map(|group| {
        let after = |n: usize| group[n + 1..].iter().copied();
        group.iter().enumerate().flat_map(move |(n, a)| after(n).map(move |b| (*a, b)))
    });
    pairs.take(PAIRS_MAX).filter_map(|(a, b)| ambiguity(matchers, a, b)).take(CONFLICTS_MAX).collect()
}

fn ambiguity(matchers: &[Matcher], a: usize, b: usize) -> Option<Conflict> {
    let (matcher_a, matcher_b) = (&matchers[a], &matchers[b]);
    let (ordering, criterion) = compare(matcher_a, matcher_b);
    if criterion != Criterion::Text || !overlap(matcher_a, matcher_b) {
        return None;
    }
    let (first, second) = if ordering.is_gt() { (b, a) } else { (a, b) };
    Some(Conflict { first, second, kind: ConflictKind::Ambiguous })
}

/// Whether some request matches both. Hosts are the same.
fn overlap(a: &Matcher, b: &Matcher) -> bool {
    let any_method = a.methods.is_empty() || b.methods.is_empty();
    (any_method || a.methods.iter().any(|method| b.methods.contains(method)))
        && paths_overlap(&a.path, &b.path)
        && a.headers.overlaps(&b.headers)
        && a.queries.overlaps(&b.queries)
}

/// Whether some path matches both; may say yes when it is hard to tell. Beginnings are the same up to a glob.
fn paths_overlap(a: &PathPattern, b: &PathPattern) -> bool {
    let (shorter, longer) = if a.segments.len() <= b.segments.len() { (a, b) } else { (b, a) };
    if shorter.segments.len() < longer.segments.len() && shorter.tail == Tail::End {
        return false;
    }
    let suffixes = match (&a.tail, &b.tail) {
        (Tail::Spanning(a), Tail::Spanning(b)) => a.iter().rev().zip(b.iter().rev()).all(segments_overlap),
        _ => true,
    };
    suffixes && a.segments.iter().zip(&b.segments).all(segments_overlap)
}

fn segments_overlap((a, b): (&Segment, &Segment)) -> bool {
    match (a, b) {
        (Segment::Literal(a), Segment::Literal(b)) => a == b,
        (Segment::Literal(text), other) | (other, Segment::Literal(text)) => other.matches(text),
        (Segment::Glob(a), Segment::Glob(b)) => a.overlaps(b),
        (Segment::Param(_), _) | (_, Segment::Param(_)) => true,
    }
}

/// What two equally specific matchers that overlap have in common.
fn skeleton(matcher: &Matcher) -> String {
    let Matcher { host, path, methods, headers, queries } = matcher;
    let mut text = format!("{host}");
    let suffix = match &path.tail {
        Tail::Spanning(suffix) => &**suffix,
        Tail::End | Tail::Prefix(_) => &[],
    };
    for (n, segment) in path.segments.iter().chain(suffix).enumerate() {
        if n == path.segments.len() {
            text.push_str("/**");
        }
        // Writing to a `String` cannot fail.
        let _ = match segment {
            Segment::Literal(literal) => write!(text, "/{literal}"),
            Segment::Param(_) => write!(text, "/{{}}"),
            // Globs that are told apart by alphabet leave the rest of the path undecided.
            Segment::Glob(glob) => {
                let _ = write!(text, "/{}*{}", glob.head(), glob.literal_len());
                return text;
            }
        };
    }
    let _ = match &path.tail {
        Tail::End => Ok(()),
        Tail::Prefix(prefix) => write!(text, "/{prefix}*"),
        Tail::Spanning(suffix) => write!(text, " **{}", suffix.len()),
    };
    let _ = write!(text, " {} {} {}", methods.is_empty(), headers.len(), queries.len());
    text
}

/// Asks for what `route` alone should get. If another gets it for every method, and takes all that `route`
/// takes, `route` is never found.
fn find_unreachable(router: &Router, route: usize) -> Option<Conflict> {
    let matcher = &router.matchers[route];
    let headers = matcher.headers.sample();
    let header = |name: &[u8]| {
        let value = headers.iter().find(|(other, _)| other.as_bytes() == name);
        value.map(|(_, value)| value.as_bytes())
    };
    let (host, path, query) = (matcher.host.sample(), matcher.path.sample(), sample_query(matcher));
    let others = if matcher.methods.is_empty() { Some(OTHER_METHOD) } else { None };
    let mut winner = None;
    for method in matcher.methods().chain(others) {
        let sample = Query {
            host: &host,
            path: &path,
            method: method.as_bytes(),
            query: Some(&query),
            header: &header,
        };
        match router.find(&sample) {
            Found::Route(found) if found != route => winner = Some(found),
            _ => return None,
        }
    }
    let first = winner.filter(|winner| covers(&router.matchers[*winner], matcher))?;
    Some(Conflict { first, second: route, kind: ConflictKind::Unreachable })
}

/// Whether every request that `b` matches is matched by `a` too.
fn covers(a: &Matcher, b: &Matcher) -> bool {
    let by_method = a.methods.is_empty()
        || (!b.methods.is_empty() && b.methods.iter().all(|method| a.methods.contains(method)));
    by_method
        && a.host.covers(&b.host)
        && a.path.covers(&b.path)
        && a.headers.covers(&b.headers)
        && a.queries.covers(&b.queries)
}

/// A query that meets the matcher's conditions.
fn sample_query(matcher: &Matcher) -> String {
    let mut query = String::new();
    let mut push = |text: &str, end: char| {
        for byte in text.bytes() {
            // Writing to a `String` cannot fail.
            let _ = write!(query, "%{byte:02X}");
        }
        query.push(end);
    };
    for (name, value) in matcher.queries.sample() {
        push(name, '=');
        push(&value, '&');
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(matches: &[&str], expected: &[(usize, usize, ConflictKind)]) {
        let matchers: Vec<_> =
            matches.iter().map(|text| Matcher::parse_short(text).expect("a test match")).collect();
        let found: Vec<_> =
            Router::build(&matchers).1.into_iter().map(|c| (c.first, c.second, c.kind)).collect();
        assert_eq!(found, expected, "{matches:?}");
    }

    #[test]
    fn equals_are_ambiguous() {
        use ConflictKind::Ambiguous;
        check(&["/a", "/a"], &[(0, 1, Ambiguous)]);
        check(&["/{x}", "/{y}"], &[(0, 1, Ambiguous)]);
        check(&["/{y}", "/{x}"], &[(1, 0, Ambiguous)]);
        check(&["GET,POST /a", "GET,PUT /a"], &[(0, 1, Ambiguous)]);
        check(&["/a*c*/x", "/a*d*/{p}"], &[(0, 1, Ambiguous)]);
        check(&["/a*c*/x/y", "/a*d*/**"], &[(0, 1, Ambiguous)]);
        check(&["/a*c*/x/y", "/a*d*/*"], &[(0, 1, Ambiguous)]);
        check(&["*.a/x", "*.a/x"], &[(0, 1, Ambiguous)]);
        check(&["/%61", "/a", "/b"], &[(0, 1, Ambiguous)]);
    }

    #[test]
    fn what_cannot_meet_is_no_conflict() {
        check(&["GET /a", "POST /a"], &[]);
        check(&["GET /a", "/a"], &[]);
        check(&["a/x", "b/x", "*.b/x", "/x"], &[]);
        check(&["/a*c/x", "/a*d/x"], &[]);
        check(&["/a*c*/x", "/a*d*/y"], &[]);
        check(&["/a*c*/x", "/a*d*/"], &[]);
        check(&["/a*c*/x/y", "/a*d*/x"], &[]);
        check(&["/a*c*/x", "/a*d*/x/y/**"], &[]);
        check(&["/a", "/a/", "/{x}", "/a*", "/*", "/a/**"], &[]);
        check(&["/x/**/a", "/x/**/b", "/x/**/{p}", "/x/**/b/a"], &[]);
    }

    #[test]
    fn covered_routes_are_unreachable() {
        use ConflictKind::Unreachable;
        check(&["/*/x", "/{id}/x"], &[(0, 1, Unreachable)]);
        check(&["/**", "/*"], &[(1, 0, Unreachable)]);
        check(&["/{x}/bc", "/*/b*"], &[(1, 0, Unreachable)]);
        check(&["GET /*/x", "/{id}/x"], &[]);
        check(&["/*/x", "GET /{id}/x"], &[(0, 1, Unreachable)]);
        check(&["GET /*/x", "GET,POST /{id}/x"], &[]);
    }

    #[test]
    fn conditions_part_routes() {
        let with = |headers: &[(&str, &str)]| {
            let headers =
                headers.iter().map(|(n, v)| ((*n).to_owned(), super::super::ValueTest::parse(v))).collect();
            let parts = super::super::MatchParts { path: "/a".into(), headers, ..Default::default() };
            Matcher::from_parts(parts).expect("a test match")
        };
        let conflicts = |a: &[(&str, &str)], b: &[(&str, &str)]| Router::build(&[with(a), with(b)]).1.len();
        assert_eq!(conflicts(&[("x", "1")], &[("x", "2")]), 0);
        assert_eq!(conflicts(&[("x", "1")], &[("x", "1*")]), 1);
        assert_eq!(conflicts(&[("x", "1")], &[("y", "1")]), 1);
        assert_eq!(conflicts(&[("x", "1"), ("y", "1")], &[("x", "1")]), 0);
        assert_eq!(conflicts(&[], &[("x", "*")]), 0);
    }
}
