//! Values in Artillery's texts, as this program writes them.

use super::Script;
use crate::import::yaml::ENVIRONMENT;
use crate::template::check_name;

/// A text whose values are written as here. What has no counterpart is among the problems.
pub(super) fn translated(script: &mut Script, line: usize, text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    // No text of a script may pass for an environment variable.
    let text = text.replace(ENVIRONMENT, "");
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        let Some((inside, after)) = after.split_once("}}") else {
            script
                .problem(line, format!("`{{{{{}` has no `}}}}`", after.chars().take(20).collect::<String>()));
            return out;
        };
        match value(inside.trim()) {
            Some(value) => out.push_str(&value),
            None => script.no_counterpart(line, &format!("{{{{ {} }}}}", inside.trim()), ""),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

/// What stands between the braces.
fn value(inside: &str) -> Option<String> {
    let Some(builtin) = inside.strip_prefix('$') else {
        return check_name(inside).is_ok().then(|| format!("{{{{ {inside} }}}}"));
    };
    let environment = builtin.strip_prefix("processEnvironment.").or_else(|| builtin.strip_prefix("env."));
    if let Some(name) = environment {
        let is_name =
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        return is_name.then(|| format!("{ENVIRONMENT}{{{name}}}"));
    }
    if builtin == "uuid" || builtin == "uuid()" {
        return Some("{{ $uuid }}".to_owned());
    }
    let range = builtin.strip_prefix("randomNumber(")?.strip_suffix(')')?;
    let (low, high) = range.split_once(',')?;
    let (low, high): (i64, i64) = (low.trim().parse().ok()?, high.trim().parse().ok()?);
    (low <= high).then(|| format!("{{{{ $random({low}, {high}) }}}}"))
}
