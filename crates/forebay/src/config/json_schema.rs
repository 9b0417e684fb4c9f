//! Prints a registry as a JSON Schema (2020-12), for editors.

use serde_json::{Map, Value, json};

use super::schema::{Choice, Choose, Key, Registry, Shape, Table, Text};

/// What any single value may be instead: an environment variable to fill in.
const VARIABLE: &str = "\\$\\{";

/// The schema of a file.
pub(crate) fn of(registry: &Registry) -> Value {
    let mut definitions = Map::new();
    definitions.insert("variable".to_owned(), json!({ "type": "string", "pattern": VARIABLE }));
    for table in &registry.tables[1..] {
        definitions.insert(table.name.to_owned(), table_schema(table));
    }
    let mut schema = table_schema(registry.top());
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema".into();
    schema["title"] = registry.title.into();
    schema["$defs"] = definitions.into();
    schema
}

fn table_schema(table: &Table) -> Value {
    let properties: Map<_, _> = table.keys.iter().map(|key| (key.name.to_owned(), key_schema(key))).collect();
    let required: Vec<_> = table.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    let mut schema = json!({
        "type": "object",
        "description": table.doc,
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    match table.choices {
        [] => {}
        [choice] => {
            let (word, ways) = ways(choice);
            schema[word] = ways;
        }
        choices => {
            let all = choices.iter().map(ways).map(|(word, ways)| json!({ word: ways }));
            schema["allOf"] = all.collect();
        }
    }
    schema
}

/// The ways to choose, and the keyword they stand under: one key and no other, perhaps none; or any of them.
fn ways(choice: &Choice) -> (&'static str, Value) {
    let mut ways: Vec<_> = choice.keys.iter().map(|key| json!({ "required": [key] })).collect();
    match choice.how {
        Choose::One => {}
        Choose::AtMostOne => ways.push(json!({ "not": { "anyOf": ways } })),
        Choose::AtLeastOne => return ("anyOf", ways.into()),
    }
    ("oneOf", ways.into())
}

fn key_schema(key: &Key) -> Value {
    let mut schema = shape_schema(&key.shape);
    let mut doc = key.doc.to_owned();
    if !key.default.is_empty() {
        doc.push_str(&format!(" Default: `{}`.", key.default));
    }
    schema["description"] = doc.into();
    schema
}

fn shape_schema(shape: &Shape) -> Value {
    match shape {
        Shape::Switch => any_of(vec![json!({ "type": "boolean" }), variable()]),
        Shape::Count { min, max } => {
            any_of(vec![json!({ "type": "integer", "minimum": min, "maximum": max }), variable()])
        }
        Shape::Numbers(numbers) => any_of(vec![json!({ "enum": numbers }), variable()]),
        Shape::Percent { min, max } => any_of(vec![
            json!({ "type": "integer", "minimum": min, "maximum": max }),
            matching("^[0-9]{1,3}%$"),
            variable(),
        ]),
        Shape::Time { .. } => {
            let unit = "(ns|us|µs|μs|ms|s|m|h|d)";
            any_of(vec![matching(&format!("^([0-9]+{unit})+$")), variable()])
        }
        Shape::Size { .. } => any_of(vec![
            json!({ "type": "integer", "minimum": 0 }),
            matching("^[0-9]+(B|[kKMGT]B|[KMGT]iB)?$"),
            variable(),
        ]),
        Shape::ByteRate { .. } => any_of(vec![matching("^[0-9]+(B|[kKMGT]B|[KMGT]iB)?/s$"), variable()]),
        Shape::Text(text) => text_schema(text),
        // To an editor, `1.2` without quotes is a number.
        Shape::Word(word) => match serde_json::from_str::<serde_json::Number>(word) {
            Ok(number) => json!({ "anyOf": [{ "const": word }, { "const": number }] }),
            Err(_) => json!({ "const": word }),
        },
        Shape::Either(shapes) => any_of(shapes.iter().map(shape_schema).collect()),
        Shape::OneOrMore(item) => any_of(vec![shape_schema(item), list_schema(1, item)]),
        Shape::List { min, item } => list_schema(*min, item),
        Shape::Table(table) => json!({ "$ref": format!("#/$defs/{}", table.name) }),
        Shape::Any => json!({}),
        Shape::Map { min, key, value } => {
            let mut schema = json!({
                "type": "object",
                "minProperties": min,
                "additionalProperties": shape_schema(value),
            });
            if let Some(pattern) = key.pattern {
                schema["propertyNames"] = json!({ "pattern": pattern });
            }
            schema
        }
    }
}

fn list_schema(min: usize, item: &Shape) -> Value {
    json!({ "type": "array", "minItems": min, "items": shape_schema(item) })
}

fn text_schema(text: &Text) -> Value {
    match text.pattern {
        Some(pattern) => any_of(vec![matching(pattern), variable()]),
        // A header value such as `1` is a number to an editor and a text to the gateway.
        None => json!({ "type": ["string", "number", "boolean"] }),
    }
}

fn matching(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": pattern })
}

fn variable() -> Value {
    json!({ "$ref": "#/$defs/variable" })
}

/// Alternatives, with alternatives among them taken apart and words gathered.
fn any_of(alternatives: Vec<Value>) -> Value {
    let mut words = Vec::new();
    let mut flat: Vec<Value> = Vec::new();
    for mut alternative in alternatives {
        let inner = match alternative.get_mut("anyOf").and_then(Value::as_array_mut) {
            Some(inner) => std::mem::take(inner),
            None => vec![alternative],
        };
        for schema in inner {
            match schema.get("const") {
                Some(word) => words.push(word.clone()),
                None if flat.contains(&schema) => {}
                None => flat.push(schema),
            }
        }
    }
    if !words.is_empty() {
        flat.insert(0, json!({ "enum": words }));
    }
    match flat.len() {
        1 => flat.remove(0),
        _ => json!({ "anyOf": flat }),
    }
}
