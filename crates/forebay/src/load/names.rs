//! Which names templates may use at a place of the plan.

use std::collections::BTreeSet;

use forebay_base::nearest::nearest;

/// Names that have a value.
#[derive(Clone, Debug, Default)]
pub(super) struct Names(BTreeSet<String>);

impl Names {
    /// From here on there is a value of this name.
    pub(super) fn define(&mut self, name: &str) {
        self.0.insert(name.to_owned());
    }

    /// Why a name has no value, and what to do; `None`: it has one.
    pub(super) fn missing(&self, name: &str) -> Option<(String, String)> {
        if self.0.contains(name) {
            return None;
        }
        let fix = match nearest(name, self.0.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None => "define it in `variables`, in a feeder, or with `capture` in an earlier step".to_owned(),
        };
        Some((format!("`{name}` has no value here"), fix))
    }
}
