//! What answers must be like.

use forebay_load::expect::{Error, Expect, Is};

use super::lower::Lower;
use crate::config::problems::{Mark, Spanned};
use crate::config::read::short;
use crate::config::value::{Fields, Json, Pair, Value};

/// What stands for anything that is there.
const ANY: &str = "*";

/// The conditions of a step.
pub(super) fn lower(lower: &mut Lower<'_, '_>, fields: &Fields) -> Vec<Expect> {
    let mut gathered = Gathered { lower, list: Vec::new() };
    let statuses: Vec<&str> =
        fields.list("status").iter().filter_map(|item| Some(item.text()?.value)).collect();
    if let Some(written) = fields.get("status").filter(|_| !statuses.is_empty()) {
        gathered.add(written.at, Expect::parse_status(&statuses.join(",")));
    }
    for text in fields.list("contains").iter().filter_map(Spanned::text) {
        gathered.list.push(Expect::contains(text.value));
    }
    if let Some(pattern) = fields.text("regex") {
        gathered.add(pattern.at, Expect::parse_regex(pattern.value));
    }
    for Pair { name, value } in fields.map("json") {
        let Value::Any(json) = &value.value else { continue };
        if let Json::Null { said: false } = json {
            let what = format!("`{}` is expected to be null", short(&name.value));
            gathered.lower.problems.warn_fix(name.at, what, "for anything write `*`, for null write `null`");
        }
        let any = matches!(json, Json::Text(text) if text == ANY);
        let equals = (!any).then(|| json.value());
        gathered.add(name.at, Expect::parse_json(&name.value, equals));
    }
    for Pair { name, value } in fields.map("header") {
        let Some(text) = value.text() else { continue };
        let is = if text.value == ANY { Is::Present } else { Is::containing(text.value) };
        gathered.add(name.at, Expect::parse_header(&name.value, is));
    }
    gathered.list.extend(fields.number("body_max").map(Expect::BodyBytesMax));
    gathered.list
}

struct Gathered<'l, 'a, 'b> {
    lower: &'l mut Lower<'a, 'b>,
    list: Vec<Expect>,
}

impl Gathered<'_, '_, '_> {
    fn add(&mut self, at: Mark, made: Result<Expect, Error>) {
        match made {
            Ok(expect) => self.list.push(expect),
            Err(error) => self.lower.problems.error(at, error.to_string()),
        }
    }
}
