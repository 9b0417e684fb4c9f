//! Puts environment variables into values: `${NAME}`, `${NAME:-default}`; `$$` stands for one `$`.

use super::problems::{Mark, Problems};
use super::read::short;
use super::yaml::{Kind, Node, Scalar};

/// Longest value after expansion, in bytes.
const VALUE_MAX: usize = 1 << 20;

/// Looks a variable of the environment up; `None` when it is not set.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Expands every value below `node`; keys are left alone.
pub(crate) fn expand(node: &mut Node, env: Env<'_>, problems: &mut Problems) {
    match &mut node.kind {
        Kind::Bad => {}
        Kind::List(items) => items.iter_mut().for_each(|item| expand(item, env, problems)),
        Kind::Map(entries) => entries.iter_mut().for_each(|entry| expand(&mut entry.value, env, problems)),
        Kind::Scalar(scalar) if !scalar.text.contains('$') => {}
        Kind::Scalar(scalar) => match expanded(node.at, scalar, env, problems) {
            Some(text) => scalar.text = text,
            None => node.kind = Kind::Bad,
        },
    }
}

/// The text with its variables filled in; `None` when one of them cannot be.
fn expanded(at: Mark, scalar: &Scalar, env: Env<'_>, problems: &mut Problems) -> Option<String> {
    let text = scalar.text.as_str();
    let place = |offset: usize| match scalar.verbatim {
        Some(quote) => at.right(quote + text[..offset].chars().count()),
        None => at,
    };
    let mut out = String::with_capacity(text.len());
    let mut good = true;
    let mut from = 0;
    while let Some(found) = text[from..].find('$') {
        let dollar = from + found;
        out.push_str(&text[from..dollar]);
        let after = &text[dollar + 1..];
        if let Some(inner) = after.strip_prefix('{') {
            let Some(length) = inner.find('}') else {
                problems.error_fix(
                    place(dollar),
                    "`${` is never closed",
                    "add `}`, or write `$$` for one `$`",
                );
                return None;
            };
            match variable(&inner[..length], env) {
                Ok(value) => out.push_str(&value),
                Err((what, fix)) => {
                    problems.error_fix(place(dollar), what, fix);
                    good = false;
                }
            }
            from = dollar + 2 + length + 1;
        } else {
            // `$$` is one `$`; a `$` before anything else is itself, as regular expressions need it.
            out.push('$');
            from = dollar + 1 + usize::from(after.starts_with('$'));
        }
        if out.len() > VALUE_MAX {
            problems.error(at, format!("the value has more than {VALUE_MAX} bytes after expansion"));
            return None;
        }
    }
    out.push_str(&text[from..]);
    good.then_some(out)
}

/// What stands between the braces, filled in; or what is wrong with it and what to do.
fn variable(inner: &str, env: Env<'_>) -> Result<String, (String, String)> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let letter = |c: char| c.is_ascii_alphabetic() || c == '_';
    if !name.starts_with(letter) || !name.chars().all(|c| letter(c) || c.is_ascii_digit()) {
        return Err((
            format!("`{}` cannot be the name of an environment variable", short(name)),
            format!("write `$${{{}}}` if no variable is meant", short(inner)),
        ));
    }
    match (env(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err((
            format!("the environment variable `{}` is not set", short(name)),
            format!("set it, or give a default: `${{{}:-...}}`", short(name)),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{keys, yaml};
    use super::*;

    fn expand_text(value: &str) -> Result<String, Vec<String>> {
        let env = |name: &str| match name {
            "HOST" => Some("h.test".to_owned()),
            "EMPTY" => Some(String::new()),
            _ => None,
        };
        let mut problems = Problems::new("f");
        let mut tree = yaml::parse(value, keys::SETTINGS.hints, &mut problems).unwrap();
        expand(&mut tree, &env, &mut problems);
        match tree.kind {
            Kind::Scalar(scalar) if !problems.fatal() => Ok(scalar.text),
            _ => Err(problems.sorted().iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn variables_and_defaults_are_filled_in() {
        for (value, expected) in [
            ("${HOST}:80", "h.test:80"),
            ("'a ${HOST}'", "a h.test"),
            ("${NOPE:-d}", "d"),
            ("${NOPE:-}", ""),
            ("${EMPTY}", ""),
            ("${EMPTY:-d}", "d"),
            ("${HOST:-d}/${HOST}", "h.test/h.test"),
            ("$$HOME $HOME $${HOST} ^a$", "$HOME $HOME ${HOST} ^a$"),
        ] {
            assert_eq!(expand_text(value).as_deref(), Ok(expected), "{value}");
        }
    }

    #[test]
    fn every_missing_variable_is_named_where_it_stands() {
        let fix = |name: &str| format!("set it, or give a default: `${{{name}:-...}}`");
        assert_eq!(
            expand_text("'${A} ${HOST} ${B}'"),
            Err(vec![
                format!("f:1:2: error: the environment variable `A` is not set; {}", fix("A")),
                format!("f:1:15: error: the environment variable `B` is not set; {}", fix("B")),
            ])
        );
    }

    #[test]
    fn what_is_no_variable_is_refused() {
        assert_eq!(
            expand_text("/a/${1}"),
            Err(vec![
                "f:1:4: error: `1` cannot be the name of an environment variable; \
                 write `$${1}` if no variable is meant"
                    .to_owned()
            ])
        );
        assert_eq!(
            expand_text("a ${HOST"),
            Err(vec!["f:1:3: error: `${` is never closed; add `}`, or write `$$` for one `$`".to_owned()])
        );
    }

    #[test]
    fn a_variable_cannot_bring_another() {
        let env = |_: &str| Some("${X}".to_owned());
        let mut problems = Problems::new("f");
        let mut tree = yaml::parse("${X}", keys::SETTINGS.hints, &mut problems).unwrap();
        expand(&mut tree, &env, &mut problems);
        assert!(matches!(tree.kind, Kind::Scalar(Scalar { text, .. }) if text == "${X}"));
    }
}
