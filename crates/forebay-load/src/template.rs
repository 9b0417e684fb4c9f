//! Texts with values in them: `/items/{{ id }}`.

use std::fmt;

/// A text, parsed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

/// Finds values for a template's names.
pub trait Scope {
    /// Appends the value of `name` to `out`; `false`: there is none.
    fn value(&mut self, name: &str, out: &mut Vec<u8>) -> bool;
}

/// A name without a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing(pub String);

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error(pub String);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
}

impl Template {
    /// A text with no value in it, whatever it looks like.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { parts: vec![Part::Text(text.into())] }
    }

    /// The text, if there is no value in it.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// Appends the text with its values to `out`.
    ///
    /// # Errors
    /// The first name that has no value.
    pub fn render(&self, _scope: &mut dyn Scope, out: &mut Vec<u8>) -> Result<(), Missing> {
        for part in &self.parts {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
            }
        }
        Ok(())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
