//! Paths of one host as a tree of segments, walked in the order of specificity.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use super::order::compare_globs;
use super::path::{Glob, PathPattern, Segment, Tail};

/// Up to so many children are faster compared one by one than hashed.
const FEW: usize = 8;

/// A tree of patterns. Each node is visited at most once per walk, and only where a path leads to it.
#[derive(Debug, Default)]
pub(super) struct Trie {
    root: Node,
}

/// What can follow a beginning of a path.
#[derive(Debug, Default)]
struct Node {
    literals: Children,
    /// The more specific first.
    globs: Vec<(Glob, Node)>,
    param: Option<Box<Node>>,
    prefixes: Prefixes,
    /// `**` and as many segments at the end as the number says, the larger first.
    spanning: Vec<(usize, Node)>,
    /// Routes whose path ends here.
    ends: Vec<usize>,
    /// Routes that go on with `*`.
    rests: Vec<usize>,
    /// Routes that go on with `**` and nothing after it.
    anything: Vec<usize>,
}

/// Children by the text of their segment.
#[derive(Debug)]
enum Children {
    Few(Vec<(Box<str>, Node)>),
    Many(ByText<Node>),
}

/// Routes that go on with `text*`, by the length of the text, the longer first.
#[derive(Debug, Default)]
struct Prefixes(Vec<(usize, ByText<Vec<usize>>)>);

type ByText<T> = HashMap<Box<str>, T, RandomState>;

/// A walk over the routes whose path matches, the most specific first, until `visit` takes one.
pub(super) struct Walk<V> {
    /// Whether a route is taken. Routes with the same path come in the order in which they were inserted.
    pub(super) visit: V,
    /// How many nodes have been looked at.
    pub(super) nodes: usize,
}

impl Trie {
    /// Adds a route. Routes with the same path must be added in the order in which they shall be tried.
    pub(super) fn insert(&mut self, pattern: &PathPattern, route: usize) {
        let node = self.root.descend(&pattern.segments);
        match &pattern.tail {
            Tail::End => node.ends.push(route),
            Tail::Prefix(text) if text.is_empty() => node.rests.push(route),
            Tail::Prefix(text) => node.prefixes.insert(text, route),
            Tail::Spanning(suffix) if suffix.is_empty() => node.anything.push(route),
            Tail::Spanning(suffix) => node.spanning(suffix.len()).descend(suffix).ends.push(route),
        }
    }
}

impl<V: FnMut(usize) -> bool> Walk<V> {
    /// Walks the routes of `trie` that match the canonical `path`.
    pub(super) fn find(&mut self, trie: &Trie, path: &str) -> Option<usize> {
        match path.strip_prefix('/') {
            Some(rest) => self.at(&trie.root, Some(rest)),
            // Not a path but the `*` of OPTIONS, which only the routes for everything take.
            None => self.first(&trie.root.rests).or_else(|| self.first(&trie.root.anything)),
        }
    }

    /// `rest` is what follows the slash after the segments that led to `node`; `None` at the end of the path.
    fn at(&mut self, node: &Node, rest: Option<&str>) -> Option<usize> {
        self.nodes += 1;
        let Some(rest) = rest else {
            return self.first(&node.ends).or_else(|| self.first(&node.anything));
        };
        let (segment, after) = match memchr::memchr(b'/', rest.as_bytes()) {
            Some(slash) => (&rest[..slash], Some(&rest[slash + 1..])),
            None => (rest, None),
        };
        self.below_segment(node, segment, after)
            .or_else(|| self.below_prefixes(&node.prefixes, segment))
            .or_else(|| self.below_spanning(&node.spanning, rest))
            .or_else(|| self.first(&node.rests))
            .or_else(|| self.first(&node.anything))
    }

    fn below_segment(&mut self, node: &Node, segment: &str, after: Option<&str>) -> Option<usize> {
        if let Some(found) = node.literals.get(segment).and_then(|child| self.at(child, after)) {
            return Some(found);
        }
        for (glob, child) in &node.globs {
            self.nodes += 1;
            if let Some(found) = glob.matches(segment).then(|| self.at(child, after)).flatten() {
                return Some(found);
            }
        }
        let param = node.param.as_deref().filter(|_| !segment.is_empty())?;
        self.at(param, after)
    }

    fn below_prefixes(&mut self, prefixes: &Prefixes, segment: &str) -> Option<usize> {
        for (len, routes) in &prefixes.0 {
            self.nodes += 1;
            let routes = segment.get(..*len).and_then(|text| routes.get(text));
            if let Some(found) = routes.and_then(|routes| self.first(routes)) {
                return Some(found);
            }
        }
        None
    }

    fn below_spanning(&mut self, spanning: &[(usize, Node)], rest: &str) -> Option<usize> {
        for (count, node) in spanning {
            if let Some(found) = last_segments(rest, *count).and_then(|end| self.at(node, Some(end))) {
                return Some(found);
            }
        }
        None
    }

    fn first(&mut self, routes: &[usize]) -> Option<usize> {
        routes.iter().copied().find(|route| (self.visit)(*route))
    }
}

impl Node {
    /// The node behind `segments`, made if need be.
    fn descend(&mut self, segments: &[Segment]) -> &mut Self {
        segments.iter().fold(self, |node, segment| match segment {
            Segment::Literal(text) => node.literals.get_or_insert(text),
            Segment::Glob(glob) => node.glob(glob),
            Segment::Param(_) => node.param.get_or_insert_default(),
        })
    }

    fn glob(&mut self, glob: &Glob) -> &mut Self {
        let found = self.globs.binary_search_by(|(other, _)| compare_globs(other, glob).0);
        let at = found.unwrap_or_else(|at| {
            self.globs.insert(at, (glob.clone(), Self::default()));
            at
        });
        &mut self.globs[at].1
    }

    fn spanning(&mut self, count: usize) -> &mut Self {
        let found = self.spanning.binary_search_by(|(other, _)| count.cmp(other));
        let at = found.unwrap_or_else(|at| {
            self.spanning.insert(at, (count, Self::default()));
            at
        });
        &mut self.spanning[at].1
    }
}

impl Default for Children {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Children {
    fn get(&self, text: &str) -> Option<&Node> {
        match self {
            Self::Few(list) => list.iter().find(|(other, _)| **other == *text).map(|(_, node)| node),
            Self::Many(map) => map.get(text),
        }
    }

    fn get_or_insert(&mut self, text: &str) -> &mut Node {
        if let Self::Few(list) = self
            && list.len() == FEW
            && list.iter().all(|(other, _)| **other != *text)
        {
            *self = Self::Many(std::mem::take(list).into_iter().collect());
        }
        match self {
            Self::Few(list) => {
                let found = list.iter().position(|(other, _)| **other == *text);
                let at = found.unwrap_or_else(|| {
                    list.push((text.into(), Node::default()));
                    list.len() - 1
                });
                &mut list[at].1
            }
            Self::Many(map) => map.entry(text.into()).or_default(),
        }
    }
}

impl Prefixes {
    fn insert(&mut self, text: &str, route: usize) {
        let found = self.0.binary_search_by(|(len, _)| text.len().cmp(len));
        let at = found.unwrap_or_else(|at| {
            self.0.insert(at, (text.len(), HashMap::default()));
            at
        });
        self.0[at].1.entry(text.into()).or_default().push(route);
    }
}

/// The last `count` segments of `rest`, if it has as many. `count` is at least 1.
fn last_segments(rest: &str, count: usize) -> Option<&str> {
    let mut slashes = memchr::memrchr_iter(b'/', rest.as_bytes());
    match slashes.nth(count.checked_sub(1)?) {
        Some(slash) => Some(&rest[slash + 1..]),
        None => (memchr::memchr_iter(b'/', rest.as_bytes()).count() + 1 == count).then_some(rest),
    }
}
