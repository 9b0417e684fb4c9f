//! Reads header edits, and lays those of a route over those of `defaults`.

use forebay_proxy::route::{EditError, HeaderEdits};

use super::lower::Lower;
use super::problems::{Mark, Spanned};
use super::value::{Fields, Pair, Value};

/// Most edits of one direction in one place.
const EDITS_MAX: usize = 100;

/// Edits of one direction, as written.
#[derive(Debug, Default)]
pub(super) struct EditLists {
    remove: Vec<String>,
    set: Vec<(String, String)>,
    add: Vec<(String, String)>,
}

/// Reads the `request` or `response` part of `headers`. Edits that cannot be made are reported and left out.
pub(super) fn read(lower: &mut Lower<'_, '_>, headers: Option<&Fields>, direction: &str) -> EditLists {
    let mut lists = EditLists::default();
    let Some(fields) = headers.and_then(|headers| headers.table(direction)) else { return lists };
    let adds = |pair: &Pair| pair.value.value.list().len();
    let edits = fields.list("remove").len() + fields.map("set").len();
    if edits + fields.map("add").iter().map(adds).sum::<usize>() > EDITS_MAX {
        lower.problems.error(fields.at, format!("more than {EDITS_MAX} headers are edited here"));
        return lists;
    }
    for name in fields.list("remove").iter().filter_map(Spanned::text) {
        let checked = HeaderEdits::new(&[name.value], &[], &[]);
        if accept(lower, name.at, checked) {
            lists.remove.push(name.value.to_owned());
        }
    }
    for pair in fields.map("set") {
        let Some(value) = pair.value.text() else { continue };
        let entry = (&*pair.name.value, value.value);
        let checked = HeaderEdits::new(&[], &[entry], &[]);
        let at = place(&checked, pair.name.at, value.at);
        if names(&lists.set).any(|name| name.eq_ignore_ascii_case(entry.0)) {
            accept(lower, pair.name.at, Err(EditError::Twice(entry.0.to_owned())));
        } else if accept(lower, at, checked) {
            lists.set.push((entry.0.to_owned(), entry.1.to_owned()));
        }
    }
    for pair in fields.map("add") {
        let Value::List(values) = &pair.value.value else { continue };
        for value in values.iter().filter_map(Spanned::text) {
            let entry = (&*pair.name.value, value.value);
            let checked = HeaderEdits::new(&[], &[], &[entry]);
            let at = place(&checked, pair.name.at, value.at);
            if accept(lower, at, checked) {
                lists.add.push((entry.0.to_owned(), entry.1.to_owned()));
            }
        }
    }
    lists
}

impl EditLists {
    /// These edits and the `usual` ones, but for headers that these name.
    pub(super) fn over(&self, usual: &Self) -> HeaderEdits {
        let kept = |name: &str| !self.names().any(|other| other.eq_ignore_ascii_case(name));
        let mut remove: Vec<&str> =
            usual.remove.iter().map(String::as_str).filter(|name| kept(name)).collect();
        let mut set = pairs(&usual.set, &kept);
        let mut add = pairs(&usual.add, &kept);
        remove.extend(self.remove.iter().map(String::as_str));
        set.extend(pairs(&self.set, &|_| true));
        add.extend(pairs(&self.add, &|_| true));
        // Each edit was accepted alone, and no header is set twice: there is nothing left to refuse.
        HeaderEdits::new(&remove, &set, &add).unwrap_or_default()
    }

    /// Every header named here.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.remove.iter().map(String::as_str).chain(names(&self.set)).chain(names(&self.add))
    }
}

fn names(pairs: &[(String, String)]) -> impl Iterator<Item = &str> {
    pairs.iter().map(|(name, _)| name.as_str())
}

fn pairs<'a>(pairs: &'a [(String, String)], kept: &dyn Fn(&str) -> bool) -> Vec<(&'a str, &'a str)> {
    let kept = pairs.iter().filter(|(name, _)| kept(name));
    kept.map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

/// Where the part stands that an error is about.
fn place(checked: &Result<HeaderEdits, EditError>, name: Mark, value: Mark) -> Mark {
    if matches!(checked, Err(EditError::Value(_))) { value } else { name }
}

fn accept(lower: &mut Lower<'_, '_>, at: Mark, checked: Result<HeaderEdits, EditError>) -> bool {
    checked.map_err(|error| lower.problems.error(at, error.to_string())).is_ok()
}
