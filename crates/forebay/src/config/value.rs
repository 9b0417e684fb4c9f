//! What a file says, once every value has been found to be of an accepted kind.

use std::time::Duration;

use super::problems::{Mark, Spanned};
use super::schema::Table;

/// A value of an accepted kind and range.
#[derive(Debug)]
pub(crate) enum Value {
    /// Written, but not acceptable; already reported.
    Bad,
    Switch(bool),
    /// A count, a size in bytes, or bytes per second.
    Number(u64),
    Time(Duration),
    Text(String),
    /// One of the words the registry names.
    Word(&'static str),
    List(Vec<Spanned<Self>>),
    Table(Fields),
    Map(Vec<Pair>),
    /// Whatever was written.
    Any(Json),
}

/// Whatever was written, as JSON: keys in the order of the file, numbers with all their digits.
#[derive(Clone, Debug)]
pub(crate) enum Json {
    /// Nothing; `said` if in so many letters, `null`.
    Null {
        said: bool,
    },
    Bool(bool),
    /// As it was written, which is as JSON has it.
    Number(String),
    Text(String),
    List(Vec<Self>),
    /// Keys differ.
    Map(Vec<(String, Self)>),
}

/// An entry of a map whose keys the writer chose.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) name: Spanned<Box<str>>,
    pub(crate) value: Spanned<Value>,
}

/// The keys of a table that were written.
#[derive(Debug)]
pub(crate) struct Fields {
    /// Where the table begins.
    pub(crate) at: Mark,
    pub(crate) table: &'static Table,
    /// In the order of the file.
    pub(crate) written: Vec<Field>,
    /// Keys that were written with a slip, which is told already.
    pub(crate) meant: Vec<&'static str>,
}

/// A key that was written.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    /// Where the key itself stands.
    pub(crate) at: Mark,
    pub(crate) value: Spanned<Value>,
}

impl Fields {
    /// The key as it was written, good or bad.
    pub(crate) fn field(&self, name: &str) -> Option<&Field> {
        debug_assert!(
            self.table.find(name).is_some(),
            "`{name}` is not in the registry of {}",
            self.table.name
        );
        self.written.iter().find(|field| field.name == name)
    }

    /// The value of a key, good or bad.
    pub(crate) fn get(&self, name: &str) -> Option<&Spanned<Value>> {
        self.field(name).map(|field| &field.value)
    }

    /// Whether the key was written, be it with a slip.
    pub(crate) fn is_meant(&self, name: &str) -> bool {
        self.has(name) || self.meant.contains(&name)
    }

    /// Whether the key was written, be its value good or bad.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.field(name).is_some()
    }

    /// A switch.
    pub(crate) fn switch(&self, name: &str) -> Option<bool> {
        match self.get(name)?.value {
            Value::Switch(on) => Some(on),
            _ => None,
        }
    }

    /// A count, a size in bytes or bytes per second.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.value.number()
    }

    /// A count that fits a smaller integer, as the registry's range says it does.
    pub(crate) fn count<N: TryFrom<u64>>(&self, name: &str) -> Option<N> {
        N::try_from(self.number(name)?).ok()
    }

    /// A duration.
    pub(crate) fn time(&self, name: &str) -> Option<Duration> {
        match self.get(name)?.value {
            Value::Time(time) => Some(time),
            _ => None,
        }
    }

    /// A text and where it stands.
    pub(crate) fn text(&self, name: &str) -> Option<Spanned<&str>> {
        self.get(name)?.text()
    }

    /// One of the registry's words.
    pub(crate) fn word(&self, name: &str) -> Option<&'static str> {
        match self.get(name)?.value {
            Value::Word(word) => Some(word),
            _ => None,
        }
    }

    /// A table within this one.
    pub(crate) fn table(&self, name: &str) -> Option<&Self> {
        match &self.get(name)?.value {
            Value::Table(fields) => Some(fields),
            _ => None,
        }
    }

    /// The items of a list; none when it was not written.
    pub(crate) fn list(&self, name: &str) -> &[Spanned<Value>] {
        self.get(name).map_or(&[], |value| value.value.list())
    }

    /// The entries of a map; none when it was not written.
    pub(crate) fn map(&self, name: &str) -> &[Pair] {
        match self.get(name) {
            Some(Spanned { value: Value::Map(pairs), .. }) => pairs,
            _ => &[],
        }
    }
}

impl Json {
    /// The value for comparing; a number is then as exact as its type.
    pub(crate) fn value(&self) -> serde_json::Value {
        use serde_json::Value as Plain;
        match self {
            Self::Null { .. } => Plain::Null,
            Self::Bool(bool) => (*bool).into(),
            Self::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| text.as_str().into()),
            Self::Text(text) => text.as_str().into(),
            Self::List(items) => items.iter().map(Self::value).collect(),
            Self::Map(entries) => entries.iter().map(|(key, value)| (key.clone(), value.value())).collect(),
        }
    }
}

impl Value {
    /// A count, a size in bytes or bytes per second.
    pub(crate) fn number(&self) -> Option<u64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The items of a list.
    pub(crate) fn list(&self) -> &[Spanned<Self>] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }
}

impl Spanned<Value> {
    /// A text and where it stands.
    pub(crate) fn text(&self) -> Option<Spanned<&str>> {
        match &self.value {
            Value::Text(text) => Some(self.with(text.as_str())),
            _ => None,
        }
    }
}
