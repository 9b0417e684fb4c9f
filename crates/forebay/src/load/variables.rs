//! Values that do not change: each may use those above it.

use std::collections::BTreeMap;

use forebay_base::seed::Random;
use forebay_load::scope::{VALUE_MAX, Variables};
use forebay_load::template::Template;

use super::lower::Lower;
use crate::config::problems::Spanned;
use crate::config::read::short;
use crate::config::value::{Fields, Pair};
use forebay_base::nearest::nearest;

/// Most bytes of all values together.
const TOTAL_MAX: usize = 16 << 20;

/// The variables of a plan, the values of earlier ones filled in.
pub(super) fn lower(lower: &mut Lower<'_, '_>, top: &Fields) -> Vec<(String, String)> {
    let mut known: BTreeMap<String, String> = BTreeMap::new();
    let mut total = 0;
    let mut variables = Vec::new();
    for Pair { name, value } in top.map("variables") {
        let Some(text) = value.text() else { continue };
        let filled = filled(lower, text, &known).unwrap_or_default();
        total += filled.len();
        if filled.len() > VALUE_MAX || total > TOTAL_MAX {
            let what = match filled.len() > VALUE_MAX {
                true => format!("the value has {} bytes; at most {VALUE_MAX} are accepted", filled.len()),
                false => format!("all variables together have more than {TOTAL_MAX} bytes"),
            };
            lower.problems.error(text.at, what);
            break;
        }
        known.insert(name.value.to_string(), filled.clone());
        variables.push((name.value.to_string(), filled));
    }
    variables
}

/// `None`: it cannot be filled in, which was told.
fn filled(
    lower: &mut Lower<'_, '_>,
    text: Spanned<&str>,
    known: &BTreeMap<String, String>,
) -> Option<String> {
    let template = match Template::parse(text.value) {
        Ok(template) => template,
        Err(error) => {
            lower.problems.error(text.at, format!("`{}`: {error}", short(text.value)));
            return None;
        }
    };
    if template.has_builtins() {
        let what = "variables do not change, so none can be another value each time";
        lower.problems.error_fix(text.at, what, "write what begins with `$` where it is used");
        return None;
    }
    let mut used = Vec::new();
    for name in template.names() {
        let Some(value) = known.get(name) else {
            let fix = match nearest(name, known.keys().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => {
                    "a variable may use those above it; what is fed or captured is used in steps".to_owned()
                }
            };
            lower.problems.error_fix(text.at, format!("`{name}` has no value here"), fix);
            return None;
        };
        used.push((name.to_owned(), value.clone()));
    }
    let mut out = Vec::new();
    let mut values = Variables::new(used.into(), 0, Random::from_seed(0));
    template.render(&mut values, &mut out).ok()?;
    String::from_utf8(out).ok()
}
