//! Settings of another tool as a tree: whoever reads YAML or JSON makes one.

use serde_json::Value;

/// A value and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub struct Tree {
    /// The line, from 1; 0 if it is not known.
    pub line: usize,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A single value as it is written.
    Text {
        /// Its text, quotes taken away.
        text: String,
        /// It was not quoted, so it may stand for a number, a truth or nothing.
        plain: bool,
    },
    /// Values in order.
    List(Vec<Tree>),
    /// Values by key, in order; keys differ.
    Map(Vec<(String, Tree)>),
}

impl Tree {
    /// A JSON value; no line is known.
    #[must_use]
    pub fn of_json(value: &Value) -> Self {
        let text = |text: &str, plain| Kind::Text { text: text.to_owned(), plain };
        let kind = match value {
            Value::Null => text("", true),
            Value::Bool(truth) => text(if *truth { "true" } else { "false" }, true),
            Value::Number(number) => text(&number.to_string(), true),
            Value::String(string) => text(string, false),
            Value::Array(items) => Kind::List(items.iter().map(Self::of_json).collect()),
            Value::Object(map) => {
                Kind::Map(map.iter().map(|(key, value)| (key.clone(), Self::of_json(value))).collect())
            }
        };
        Self { line: 0, kind }
    }

    /// The value as JSON, plain texts read as YAML 1.2 does.
    pub(super) fn to_json(&self) -> Value {
        match &self.kind {
            Kind::Text { .. } if self.is_null() => Value::Null,
            Kind::Text { text, plain: true } => match serde_json::from_str(text) {
                Ok(value @ (Value::Bool(_) | Value::Number(_))) => value,
                _ => Value::String(text.clone()),
            },
            Kind::Text { text, plain: false } => Value::String(text.clone()),
            Kind::List(items) => items.iter().map(Self::to_json).collect(),
            Kind::Map(entries) => {
                Value::Object(entries.iter().map(|(key, value)| (key.clone(), value.to_json())).collect())
            }
        }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.kind, Kind::Text { text, plain: true } if matches!(text.as_str(), "" | "~" | "null"))
    }

    /// The text of a single value.
    pub(super) fn text(&self) -> Option<&str> {
        match &self.kind {
            Kind::Text { text, .. } => Some(text),
            Kind::List(_) | Kind::Map(_) => None,
        }
    }

    /// A number of 0 or more.
    pub(super) fn number(&self) -> Option<f64> {
        let text = self.text()?.trim();
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
        text.parse().ok().filter(|_| digits)
    }

    /// A whole number of 0 or more.
    pub(super) fn count(&self) -> Option<u64> {
        self.text()?.trim().parse().ok()
    }

    pub(super) fn truth(&self) -> Option<bool> {
        match self.text()? {
            "true" => Some(true),
            "false" => Some(false),
            _ => None,
        }
    }

    pub(super) fn map(&self) -> Option<&[(String, Self)]> {
        match &self.kind {
            Kind::Map(entries) => Some(entries),
            Kind::Text { .. } | Kind::List(_) => None,
        }
    }

    /// The items of a list; of anything else itself, alone.
    pub(super) fn items(&self) -> &[Self] {
        match &self.kind {
            Kind::List(items) => items,
            Kind::Text { .. } | Kind::Map(_) => std::slice::from_ref(self),
        }
    }

    /// The value of a key, if there is one and it is not nothing.
    pub(super) fn get(&self, key: &str) -> Option<&Self> {
        self.map()?.iter().find(|(name, value)| name == key && !value.is_null()).map(|(_, value)| value)
    }
}
