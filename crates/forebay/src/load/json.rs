//! JSON bodies with values in them.

use crate::config::value::Json;

/// The value as a template: its strings may hold `{{ name }}`, which is left as it is. Keys keep their order, and
/// numbers their digits.
pub(super) fn text(value: &Json) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Json, out: &mut String) {
    match value {
        Json::Null { .. } => out.push_str("null"),
        Json::Bool(bool) => out.push_str(if *bool { "true" } else { "false" }),
        Json::Number(text) => out.push_str(text),
        Json::Text(text) => string(text, out),
        Json::List(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Json::Map(entries) => {
            out.push('{');
            for (index, (key, value)) in entries.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                string(key, out);
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
    }
}

/// In quotes, with everything escaped that is not between braces.
fn string(text: &str, out: &mut String) {
    out.push('"');
    let mut rest = text;
    while let Some(open) = rest.find("{{") {
        escaped(&rest[..open], out);
        rest = &rest[open..];
        // Four braces stand for two, and begin no value.
        let end =
            if rest.starts_with("{{{{") { 4 } else { rest.find("}}").map_or(rest.len(), |end| end + 2) };
        out.push_str(&rest[..end]);
        rest = &rest[end..];
    }
    escaped(rest, out);
    out.push('"');
}

fn escaped(text: &str, out: &mut String) {
    let quoted = serde_json::Value::from(text).to_string();
    out.push_str(&quoted[1..quoted.len() - 1]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str) -> Json {
        Json::Text(text.to_owned())
    }

    #[test]
    fn a_body_is_json_around_its_values() {
        let numbers =
            ["1", "0.10", "123456789012345678901234567890"].map(|text| Json::Number(text.to_owned()));
        let mut list =
            vec![texts("say \"hi\" to {{ name }}\n"), Json::Null { said: false }, Json::Bool(true)];
        list.extend(numbers);
        let inner = Json::Map(vec![("b".to_owned(), Json::Map(Vec::new()))]);
        let body = Json::Map(vec![("z".to_owned(), Json::List(list)), ("{{ key }}".to_owned(), inner)]);
        let expected = r#"{"z":["say \"hi\" to {{ name }}\n",null,true,1,0.10,123456789012345678901234567890],"{{ key }}":{"b":{}}}"#;
        assert_eq!(text(&body), expected);
        let body = texts(r#"{{ $pick("a", "b") }} "x" {{{{ "y" {{ open"#);
        assert_eq!(text(&body), r#""{{ $pick("a", "b") }} \"x\" {{{{ \"y\" {{ open""#);
    }
}
