//! Reads a template's text into its parts.

use super::{BUILTINS, BYTES_MAX, Builtin, Error, NAME_MAX, Part, Template};

pub(super) fn template(text: &str) -> Result<Template, Error> {
    if text.len() > BYTES_MAX {
        return Err(Error(format!("a template has at most {BYTES_MAX} bytes, this one {}", text.len())));
    }
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(start) = rest.find("{{") {
        literal.push_str(&rest[..start]);
        rest = &rest[start..];
        if let Some(after) = rest.strip_prefix("{{{{") {
            literal.push_str("{{");
            rest = after;
        } else if rest.starts_with("{{{") {
            // `{{{ x }}}` is a value in braces.
            literal.push('{');
            rest = &rest[1..];
        } else {
            let (inside, after) = rest[2..].split_once("}}").ok_or_else(|| {
                let begun: String = rest.chars().take(20).collect();
                Error(format!("`{begun}` has no `}}}}` (two braces are written `{{{{{{{{`)"))
            })?;
            if !literal.is_empty() {
                parts.push(Part::Text(std::mem::take(&mut literal)));
            }
            parts.push(value(inside.trim())?);
            rest = after;
        }
    }
    literal.push_str(rest);
    if !literal.is_empty() || parts.is_empty() {
        parts.push(Part::Text(literal));
    }
    Ok(Template { parts })
}

/// What stands between the braces.
fn value(inside: &str) -> Result<Part, Error> {
    match inside.strip_prefix('$') {
        Some(call) => builtin(call).map(Part::Builtin),
        None => name(inside).map(|name| Part::Name(name.into())),
    }
}

/// A name: a letter or `_`, then letters, digits, `_`, `-`, `.`.
pub(super) fn name(text: &str) -> Result<&str, Error> {
    if text.is_empty() {
        return Err(Error("a name is missing".to_owned()));
    }
    let begins = text.starts_with(|c: char| c.is_alphabetic() || c == '_');
    let goes_on = text.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.'));
    if !begins || !goes_on {
        let shown: String = text.chars().take(40).collect();
        return Err(Error(format!(
            "`{shown}` is not a name: a letter first, then letters, digits, `_`, `-` or `.`"
        )));
    }
    if text.len() > NAME_MAX {
        return Err(Error(format!("a name has at most {NAME_MAX} bytes, this one {}", text.len())));
    }
    Ok(text)
}

fn builtin(call: &str) -> Result<Builtin, Error> {
    let (name, arguments) = match call.split_once('(') {
        Some((name, rest)) => {
            let inside =
                rest.strip_suffix(')').ok_or_else(|| Error(format!("`${call}` has no `)` at its end")))?;
            (name.trim_end(), Some(arguments(inside)?))
        }
        None => (call, None),
    };
    let plain = match name {
        "uuid" => Builtin::Uuid,
        "iteration" => Builtin::Iteration,
        "user" => Builtin::User,
        "timestamp" => Builtin::Timestamp,
        "timestamp_ms" => Builtin::TimestampMs,
        "random" => return random(&arguments.unwrap_or_default()),
        "pick" => return pick(arguments.unwrap_or_default()),
        _ => {
            let shown: String = name.chars().take(40).collect();
            let known: Vec<&str> = BUILTINS.iter().map(|(written, _)| *written).collect();
            return Err(Error(format!("`${shown}` is not known; there are {}", known.join(", "))));
        }
    };
    match arguments {
        Some(arguments) if !arguments.is_empty() => Err(Error(format!("`${name}` takes no arguments"))),
        _ => Ok(plain),
    }
}

/// Texts between commas; quotes keep commas and spaces.
fn arguments(text: &str) -> Result<Vec<String>, Error> {
    let mut arguments = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (argument, after) = match rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            Some(quote) => {
                let quoted = rest[1..].split_once(quote);
                let (inside, after) =
                    quoted.ok_or_else(|| Error(format!("a {quote} is missing in `({text})`")))?;
                let after = after.trim_start();
                let after = match after.strip_prefix(',') {
                    None if after.is_empty() => None,
                    None => return Err(Error(format!("a comma is missing in `({text})`"))),
                    after => after,
                };
                (inside, after)
            }
            None => match rest.split_once(',') {
                Some((argument, after)) => (argument.trim(), Some(after)),
                None => (rest.trim(), None),
            },
        };
        arguments.push(argument.to_owned());
        match after.map(str::trim_start) {
            Some("") => return Err(Error(format!("nothing follows the last comma in `({text})`"))),
            Some(after) => rest = after,
            None => break,
        }
    }
    Ok(arguments)
}

fn random(arguments: &[String]) -> Result<Builtin, Error> {
    let wrong = || Error("`$random` takes two whole numbers, the lower first: `$random(1, 100)`".to_owned());
    let [low, high] = arguments else { return Err(wrong()) };
    let (low, high) = (low.parse().map_err(|_| wrong())?, high.parse().map_err(|_| wrong())?);
    if low > high { Err(wrong()) } else { Ok(Builtin::Random(low, high)) }
}

fn pick(arguments: Vec<String>) -> Result<Builtin, Error> {
    if arguments.is_empty() {
        return Err(Error("`$pick` needs something to choose from: `$pick(a, b)`".to_owned()));
    }
    Ok(Builtin::Pick(arguments))
}
