//! Reads YAML into a small tree that remembers where everything stands.
//!
//! Only the plain part of YAML is accepted: one document of lists, maps and scalars. Anchors, aliases,
//! merge keys and tags are refused by name, and a key may be written only once.

use std::collections::HashMap;

use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};

use super::problems::{Mark, Problems};
use super::schema::Hints;

/// Largest file, in bytes.
pub(crate) const FILE_MAX: usize = 8 << 20;
/// Deepest nesting of lists and maps.
const DEPTH_MAX: usize = 64;
/// Most values in a file, counting lists and maps themselves.
const NODES_MAX: usize = 1_000_000;
/// Up to so many keys of a map are compared one by one.
const KEYS_FEW: usize = 16;

/// A value and where it begins.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) at: Mark,
    pub(crate) kind: Kind,
}

/// What a value is.
#[derive(Debug)]
pub(crate) enum Kind {
    /// Something that was already reported and is to be passed over.
    Bad,
    Scalar(Scalar),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// A single value as text; what it means is for the reader to say.
#[derive(Debug)]
pub(crate) struct Scalar {
    pub(crate) text: String,
    /// Not quoted, and no block scalar.
    pub(crate) plain: bool,
    /// `text` has a `$` in it and stands in one line of the file exactly as it is, so many columns after the
    /// node's mark.
    pub(crate) verbatim: Option<usize>,
}

/// A key of a map with its value. Keys of one map differ.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) key: Box<str>,
    pub(crate) at: Mark,
    pub(crate) value: Node,
}

impl Scalar {
    /// Whether nothing is written here, or YAML's word for nothing.
    pub(crate) fn is_null(&self) -> bool {
        self.plain && matches!(self.text.as_str(), "" | "~" | "null" | "Null" | "NULL")
    }
}

/// The tree of `text`; `None` when there is none, which is then among the problems. `hints` say what to do about
/// YAML that is not accepted.
pub(crate) fn parse(text: &str, hints: Hints, problems: &mut Problems) -> Option<Node> {
    if text.len() > FILE_MAX {
        problems.error(Mark::FILE, format!("the file has {} bytes; at most {FILE_MAX} are read", text.len()));
        return None;
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (items, entries) = (Vec::new(), Vec::new());
    Builder { problems, hints, open: Vec::new(), items, entries, root: None, nodes: 0 }.run(text)
}

/// Builds the tree from the parser's events, without recursion.
struct Builder<'p> {
    problems: &'p mut Problems,
    hints: Hints,
    /// The lists and maps around the next value. At most `DEPTH_MAX`.
    open: Vec<Open>,
    /// What is finished of open lists, those further in behind those around them.
    items: Vec<Node>,
    /// The same of open maps.
    entries: Vec<Entry>,
    root: Option<Node>,
    /// At most `NODES_MAX`.
    nodes: usize,
}

/// A list or map that has not ended. What it has so far begins at `start`, so that all lists, and all maps, grow
/// in one place, and each then takes as much memory as it needs.
enum Open {
    List { at: Mark, start: usize },
    Map { at: Mark, start: usize, seen: Seen, key: Option<Key> },
}

/// The keys of a map so far.
enum Seen {
    /// Those of its finished entries.
    Few,
    /// By name, once there are many.
    Many(HashMap<Box<str>, Mark>),
}

/// A key whose value comes next.
struct Key {
    at: Mark,
    /// `None`: already reported, the value is passed over.
    name: Option<Box<str>>,
}

/// Why reading ended early; the problem is already noted.
struct Stop;

impl Builder<'_> {
    fn run(mut self, text: &str) -> Option<Node> {
        let mut parser = Parser::new_from_str(text);
        while let Some(event) = parser.next_event() {
            let step = match event {
                Ok((event, span)) => self.event(event, span),
                Err(error) => {
                    let at = mark(*error.marker());
                    let what = format!("this is not valid YAML: {}", error.info());
                    match needs_quotes(text, at) {
                        Some(fix) => self.problems.error_fix(at, what, fix),
                        None => self.problems.error(at, what),
                    }
                    return None;
                }
            };
            if step.is_err() {
                return None;
            }
        }
        if self.root.is_none() {
            self.problems.error_fix(Mark::FILE, "the file is empty", self.hints.empty);
        }
        self.root
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Stop> {
        let at = mark(span.start);
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                self.problems.error(at, "a second document begins here; a settings file has one");
                return Err(Stop);
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.refuse_extras(at, anchor, tag.is_some());
                // The parser's own text has room for more than a hundred bytes beyond its end, and is best given
                // back at once.
                let scalar = scalar(String::from(&*text), style, span);
                self.value(Node { at, kind: Kind::Scalar(scalar) })?;
            }
            Event::Alias(_) => {
                self.problems.error_fix(at, "aliases (`*name`) are not accepted", self.hints.shared);
                self.value(Node { at, kind: Kind::Bad })?;
            }
            Event::SequenceStart(anchor, tag) => {
                self.refuse_extras(at, anchor, tag.is_some());
                self.open(at, Open::List { at, start: self.items.len() })?;
            }
            Event::MappingStart(anchor, tag) => {
                self.refuse_extras(at, anchor, tag.is_some());
                let map = Open::Map { at, start: self.entries.len(), seen: Seen::Few, key: None };
                self.open(at, map)?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => {}
        }
        Ok(())
    }

    fn refuse_extras(&mut self, at: Mark, anchor: usize, tagged: bool) {
        if anchor > 0 {
            self.problems.error_fix(at, "anchors (`&name`) are not accepted", self.hints.shared);
        }
        if tagged {
            self.problems.error_fix(at, "tags (`!name`) are not accepted", "remove the tag");
        }
    }

    fn open(&mut self, at: Mark, open: Open) -> Result<(), Stop> {
        if self.open.len() == DEPTH_MAX {
            self.problems.error(at, format!("lists and maps are nested more than {DEPTH_MAX} deep"));
            return Err(Stop);
        }
        self.open.push(open);
        Ok(())
    }

    fn close(&mut self) -> Result<(), Stop> {
        match self.open.pop() {
            Some(Open::List { at, start }) => {
                let items = self.items.drain(start..).collect();
                self.value(Node { at, kind: Kind::List(items) })
            }
            Some(Open::Map { at, start, .. }) => {
                let entries = self.entries.drain(start..).collect();
                self.value(Node { at, kind: Kind::Map(entries) })
            }
            // The parser pairs starts and ends; were it not to, there is nothing to add to.
            None => Ok(()),
        }
    }

    /// Puts a finished value where it belongs.
    fn value(&mut self, node: Node) -> Result<(), Stop> {
        self.nodes += 1;
        if self.nodes > NODES_MAX {
            self.problems.error(node.at, format!("the file has more than {NODES_MAX} values"));
            return Err(Stop);
        }
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List { .. }) => self.items.push(node),
            Some(Open::Map { start, seen, key, .. }) => match key.take() {
                None => {
                    let before = &self.entries[*start..];
                    *key = Some(accept_key(node, before, seen, self.hints, self.problems));
                }
                Some(Key { at, name: Some(name) }) => {
                    self.entries.push(Entry { key: name, at, value: place_null(node, at) });
                }
                Some(Key { name: None, .. }) => {}
            },
        }
        Ok(())
    }
}

/// Turns a node into a key, unless it cannot be one.
fn accept_key(node: Node, before: &[Entry], seen: &mut Seen, hints: Hints, problems: &mut Problems) -> Key {
    let at = node.at;
    let Kind::Scalar(Scalar { text, plain, .. }) = node.kind else {
        if !matches!(node.kind, Kind::Bad) {
            problems.error(at, "a key must be plain text");
        }
        return Key { at, name: None };
    };
    if text == "<<" && plain {
        problems.error_fix(at, "merge keys (`<<`) are not accepted", hints.shared);
        return Key { at, name: None };
    }
    let name: Box<str> = text.into();
    if let Some(first) = seen.find(&name, before) {
        problems.error_fix(
            at,
            format!("`{name}` is written twice, first in line {}", first.line),
            "keep one of them",
        );
        return Key { at, name: None };
    }
    seen.insert(&name, at, before);
    Key { at, name: Some(name) }
}

impl Seen {
    /// Where a key of this name stands. `before` are the finished entries.
    fn find(&self, name: &str, before: &[Entry]) -> Option<Mark> {
        match self {
            Self::Few => before.iter().find(|entry| *entry.key == *name).map(|entry| entry.at),
            Self::Many(marks) => marks.get(name).copied(),
        }
    }

    /// Keeps a new key in mind. Few are found faster one by one, and need no memory of their own.
    fn insert(&mut self, name: &str, at: Mark, before: &[Entry]) {
        if let Self::Few = self
            && before.len() >= KEYS_FEW
        {
            *self = Self::Many(before.iter().map(|entry| (entry.key.clone(), entry.at)).collect());
        }
        if let Self::Many(marks) = self {
            marks.insert(name.into(), at);
        }
    }
}

/// What to put in quotes in the line of `at`, if something there means more to YAML than it seems to.
fn needs_quotes(text: &str, at: Mark) -> Option<String> {
    let line = text.lines().nth(at.line.checked_sub(1)? as usize)?;
    let begins = |value: &str| {
        let before = |found: usize| line[..found].trim_end().ends_with([':', '-', ',', '[', '{']);
        line.match_indices(value).any(|(found, _)| before(found))
    };
    if let Some(first) = ["*", "[:", "@", "`", "%"].into_iter().find(|value| begins(value)) {
        return Some(format!("put a value that begins with `{first}` in quotes"));
    }
    line.contains("/{").then(|| "put a value with braces in it in quotes".to_owned())
}

/// A value that is not there has no place of its own: its key's serves.
fn place_null(node: Node, key: Mark) -> Node {
    match &node.kind {
        Kind::Scalar(scalar) if scalar.plain && scalar.text.is_empty() => Node { at: key, ..node },
        _ => node,
    }
}

fn scalar(text: String, style: ScalarStyle, span: Span) -> Scalar {
    let quotes = match style {
        ScalarStyle::Plain => Some(0),
        ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Some(1),
        _ => None,
    };
    // Only where something is filled in does it matter.
    let verbatim = quotes.filter(|quotes| {
        text.contains('$')
            && span.start.line() == span.end.line()
            && span.len() == text.chars().count() + 2 * quotes
    });
    Scalar { text, plain: style == ScalarStyle::Plain, verbatim }
}

fn mark(marker: Marker) -> Mark {
    let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Mark { line: narrow(marker.line()), column: narrow(marker.col()).saturating_add(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HINTS: Hints = Hints { empty: "write at least `listen` and `routes`", shared: "write it out" };

    fn check(text: &str, expected: &[&str]) {
        let mut problems = Problems::new("f");
        parse(text, HINTS, &mut problems);
        let found: Vec<_> = problems.sorted().iter().map(ToString::to_string).collect();
        assert_eq!(found, expected, "{text}");
    }

    fn flat(node: &Node) -> String {
        let Mark { line, column } = node.at;
        match &node.kind {
            Kind::Bad => "!".to_owned(),
            Kind::Scalar(scalar) => format!("{}@{line}:{column}", scalar.text),
            Kind::List(items) => format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(" ")),
            Kind::Map(entries) => {
                let entry = |entry: &Entry| format!("{}={}", entry.key, flat(&entry.value));
                format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn the_tree_remembers_where_everything_stands() {
        let mut problems = Problems::new("f");
        let tree = parse("\u{feff}a: 1\nb:\n  - 'x y'\n  - {c: d, e: }\n", HINTS, &mut problems).unwrap();
        assert_eq!(flat(&tree), "{a=1@1:4 b=[x y@3:5 {c=d@4:9 e=@4:12}]}");
        assert!(!problems.fatal());
    }

    #[test]
    fn what_yaml_has_and_settings_have_not_is_refused_by_name() {
        let share = HINTS.shared;
        check("a: &x 1\nb: 2\n", &[&format!("f:1:4: error: anchors (`&name`) are not accepted; {share}")]);
        check(
            "a: &x 1\nb: *x\n",
            &[
                &format!("f:1:4: error: anchors (`&name`) are not accepted; {share}"),
                &format!("f:2:4: error: aliases (`*name`) are not accepted; {share}"),
            ],
        );
        check("a: !!str 1\n", &["f:1:4: error: tags (`!name`) are not accepted; remove the tag"]);
        check("<<: {a: 1}\n", &[&format!("f:1:1: error: merge keys (`<<`) are not accepted; {share}")]);
        check("? [a]\n: 1\n", &["f:1:3: error: a key must be plain text"]);
        check("a: 1\n---\nb: 2\n", &["f:2:1: error: a second document begins here; a settings file has one"]);
        check(
            "a: 1\nb: 2\na: 3\n",
            &["f:3:1: error: `a` is written twice, first in line 1; keep one of them"],
        );
        check("", &["f: error: the file is empty; write at least `listen` and `routes`"]);
    }

    #[test]
    fn size_and_depth_are_bounded() {
        check(&"[".repeat(100), &["f:1:65: error: lists and maps are nested more than 64 deep"]);
        check(&"a: {".repeat(100), &["f:1:256: error: lists and maps are nested more than 64 deep"]);
        check(&"#".repeat(FILE_MAX + 1), &["f: error: the file has 8388609 bytes; at most 8388608 are read"]);
    }

    #[test]
    fn a_slip_in_the_yaml_itself_has_a_place() {
        let mut problems = Problems::new("f");
        assert!(parse("a: 1\nb: [1, 2\nc: 3\n", HINTS, &mut problems).is_none());
        let list = problems.sorted();
        assert_eq!(list.len(), 1);
        assert!(list[0].what.starts_with("this is not valid YAML: "), "{}", list[0]);
    }
}
