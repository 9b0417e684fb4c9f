//! JSON bodies with values in them.

use serde_json::Value;

/// The value as a template: its strings may hold `{{ name }}`, which is left as it is.
pub(super) fn text(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => string(text, out),
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(item, out);
            }
            out.push(']');
        }
        Value::Object(entries) => {
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
        other => out.push_str(&other.to_string()),
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
    let quoted = Value::from(text).to_string();
    out.push_str(&quoted[1..quoted.len() - 1]);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_body_is_json_around_its_values() {
        let body = json!({"a": ["say \"hi\" to {{ name }}\n", 1, null, true], "{{ key }}": {"b": {}}});
        assert_eq!(text(&body), r#"{"a":["say \"hi\" to {{ name }}\n",1,null,true],"{{ key }}":{"b":{}}}"#);
        let body = json!(r#"{{ $pick("a", "b") }} "x" {{{{ "y" {{ open"#);
        assert_eq!(text(&body), r#""{{ $pick("a", "b") }} \"x\" {{{{ \"y\" {{ open""#);
    }
}
