//! What files look like: the types in which registries of keys are written.
//!
//! A registry (`keys` for settings, that of load plans for those) is data. The reader checks files against it,
//! and the JSON Schema and the reference page are printed from it, so the three cannot disagree.

use std::time::Duration;

use forebay_base::units::{show_byte_rate, show_duration, show_size};

/// Everything that may be written in one kind of file.
#[derive(Debug)]
pub(crate) struct Registry {
    /// In the order of the reference; the first is the file as a whole.
    pub(crate) tables: &'static [&'static Table],
    /// What the JSON Schema is called.
    pub(crate) title: &'static str,
    /// What stands above the tables in the reference, in Markdown.
    pub(crate) introduction: &'static str,
    /// What its writers are told about the YAML.
    pub(crate) hints: Hints,
}

/// What to do about YAML that is not accepted in a kind of file; each continues a semicolon.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hints {
    /// An empty file.
    pub(crate) empty: &'static str,
    /// A value that is written once and used twice.
    pub(crate) shared: &'static str,
}

/// A set of keys that stand together.
#[derive(Debug)]
pub(crate) struct Table {
    /// Its title in the reference and its name in the JSON Schema.
    pub(crate) name: &'static str,
    /// Where it is written and what for. One or more sentences.
    pub(crate) doc: &'static str,
    /// In the order of the reference.
    pub(crate) keys: &'static [Key],
    /// Words kept for later versions.
    pub(crate) later: &'static [&'static str],
    /// Keys of which so many may or must be written.
    pub(crate) choices: &'static [Choice],
}

/// How many of some keys are written.
#[derive(Debug)]
pub(crate) struct Choice {
    pub(crate) keys: &'static [&'static str],
    pub(crate) how: Choose,
}

/// How many keys of a choice are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choose {
    /// Exactly one.
    One,
    /// One or none: they exclude each other.
    AtMostOne,
    /// One or more.
    AtLeastOne,
}

/// One key.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    pub(crate) required: bool,
    /// What holds when the key is not written, as it would be written; empty: nothing.
    pub(crate) default: &'static str,
    /// One or two sentences.
    pub(crate) doc: &'static str,
    /// A value in YAML, in one line; not the default.
    pub(crate) example: &'static str,
}

/// What a value may be.
#[derive(Debug)]
pub(crate) enum Shape {
    /// `true` or `false`.
    Switch,
    /// A whole number.
    Count { min: u64, max: u64 },
    /// One of these whole numbers.
    Numbers(&'static [u64]),
    /// A whole number of hundredths, with `%` or without.
    Percent { min: u64, max: u64 },
    /// A duration with its unit.
    Time { min: Duration, max: Duration },
    /// A number of bytes.
    Size { min: u64, max: u64 },
    /// A number of bytes per second.
    ByteRate { max: u64 },
    /// Any single value, as written.
    Text(&'static Text),
    /// This very word.
    Word(&'static str),
    /// The first of these that the value looks like.
    Either(&'static [Self]),
    /// One, or a list of at least one.
    OneOrMore(&'static Self),
    /// A list of at least so many.
    List { min: usize, item: &'static Self },
    /// Fixed keys.
    Table(&'static Table),
    /// Keys of the writer's choice.
    Map { min: usize, key: &'static Text, value: &'static Self },
    /// Anything, taken as JSON.
    Any,
}

/// A kind of text.
#[derive(Debug)]
pub(crate) struct Text {
    /// Continues "must be ".
    pub(crate) noun: &'static str,
    /// Fewest bytes.
    pub(crate) min: usize,
    /// Most bytes.
    pub(crate) max: usize,
    /// For editors: what any accepted text matches.
    pub(crate) pattern: Option<&'static str>,
}

impl Registry {
    /// The file as a whole.
    pub(crate) fn top(&self) -> &'static Table {
        self.tables[0]
    }
}

impl Choice {
    /// Whether no two of its keys stand together.
    pub(crate) fn excludes(&self) -> bool {
        self.how != Choose::AtLeastOne
    }
}

impl Table {
    /// The key of this name.
    pub(crate) fn find(&self, name: &str) -> Option<&'static Key> {
        self.keys.iter().find(|key| key.name == name)
    }
}

impl Key {
    /// A key that may be left out.
    pub(crate) const fn new(name: &'static str, shape: Shape) -> Self {
        Self { name, shape, required: false, default: "", doc: "", example: "" }
    }

    /// The key may not be left out.
    pub(crate) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// What holds when the key is not written.
    pub(crate) const fn default(mut self, default: &'static str) -> Self {
        self.default = default;
        self
    }

    /// What it does.
    pub(crate) const fn doc(mut self, doc: &'static str) -> Self {
        self.doc = doc;
        self
    }

    /// How it may be written.
    pub(crate) const fn example(mut self, example: &'static str) -> Self {
        self.example = example;
        self
    }
}

impl Shape {
    /// What is accepted; continues "must be ".
    pub(crate) fn accepted(&self) -> String {
        match self {
            Self::Switch => "`true` or `false`".to_owned(),
            Self::Count { min, max } => format!("a whole number from {min} to {max}"),
            Self::Numbers(numbers) => listed(&numbers.iter().map(u64::to_string).collect::<Vec<_>>(), "or"),
            Self::Percent { min, max } => format!("a whole percentage from {min}% to {max}%"),
            Self::Time { min, max } => {
                format!("a duration from {} to {}", show_duration(*min), show_duration(*max))
            }
            Self::Size { min, max } => format!("a size from {} to {}", show_size(*min), show_size(*max)),
            Self::ByteRate { max } => format!("a size per second, at most {}", show_byte_rate(*max)),
            Self::Text(text) => text.noun.to_owned(),
            Self::Word(word) => format!("`{word}`"),
            Self::Either(shapes) => listed(&shapes.iter().map(Self::accepted).collect::<Vec<_>>(), "or"),
            Self::OneOrMore(item) => format!("{}, or a list of such", item.accepted()),
            Self::List { .. } => "a list".to_owned(),
            Self::Table(table) => {
                let names = table.keys.iter().map(|key| format!("`{}`", key.name));
                match table.keys.len() {
                    0..=5 => format!("a map with {}", listed(&names.collect::<Vec<_>>(), "and")),
                    _ => format!("a map with {} and the like", names.take(3).collect::<Vec<_>>().join(", ")),
                }
            }
            Self::Any => "any value".to_owned(),
            Self::Map { key, .. } => format!("a map whose keys are each {}", key.noun),
        }
    }
}

/// `a`, `a or b`, `a, b or c`.
pub(crate) fn listed(items: &[String], last: &str) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [start @ .., end] => format!("{} {last} {end}", start.join(", ")),
    }
}
