//! Enough of JSON Schema to check settings against our own.

use regex::Regex;
use serde_json::{Map, Value, json};

use super::super::problems::Problems;
use super::super::yaml::{self, Kind, Node, Scalar};
use super::super::{json_schema, keys};

/// The schema of the settings, as an editor would use it.
pub(super) struct Schema(Value);

impl Schema {
    pub(super) fn of_settings() -> Self {
        Self(json_schema())
    }

    /// Says where a document is not as the schema wants it.
    pub(super) fn check(&self, document: &Value) -> Result<(), String> {
        self.check_part(&self.0, document)
    }

    fn check_part(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let keywords = schema.as_object().expect("a schema is an object");
        keywords.iter().try_for_each(|(word, rule)| self.check_word(word, rule, keywords, value))
    }

    fn check_word(
        &self,
        word: &str,
        rule: &Value,
        schema: &Map<String, Value>,
        value: &Value,
    ) -> Result<(), String> {
        let fail = || Err(format!("{value} against {word}: {rule}"));
        let holds = match word {
            "$schema" | "$defs" | "title" | "description" => true,
            "$ref" => {
                let name =
                    rule.as_str().and_then(|path| path.strip_prefix("#/$defs/")).expect("a local reference");
                return self.check_part(&self.0["$defs"][name], value);
            }
            "type" => match rule {
                Value::Array(types) => types.iter().any(|kind| is_type(kind, value)),
                kind => is_type(kind, value),
            },
            "enum" => rule.as_array().is_some_and(|values| values.contains(value)),
            "pattern" => {
                let pattern = Regex::new(rule.as_str().unwrap_or_default()).expect("patterns are right");
                value.as_str().is_none_or(|text| pattern.is_match(text))
            }
            "minimum" => value.as_u64().is_none_or(|number| number >= rule.as_u64().unwrap_or(0)),
            "maximum" => value.as_u64().is_none_or(|number| number <= rule.as_u64().unwrap_or(0)),
            "minItems" => {
                value.as_array().is_none_or(|items| items.len() as u64 >= rule.as_u64().unwrap_or(0))
            }
            "minProperties" => {
                value.as_object().is_none_or(|map| map.len() as u64 >= rule.as_u64().unwrap_or(0))
            }
            "anyOf" => self.count(rule, value) > 0,
            "oneOf" => self.count(rule, value) == 1,
            "allOf" => {
                return rule
                    .as_array()
                    .into_iter()
                    .flatten()
                    .try_for_each(|part| self.check_part(part, value));
            }
            "not" => self.check_part(rule, value).is_err(),
            "required" => {
                let names = rule.as_array().expect("a list of names");
                value.as_object().is_none_or(|map| {
                    names.iter().all(|name| name.as_str().is_some_and(|name| map.contains_key(name)))
                })
            }
            "items" => {
                return value
                    .as_array()
                    .into_iter()
                    .flatten()
                    .try_for_each(|item| self.check_part(rule, item));
            }
            "propertyNames" => {
                let mut names = value.as_object().into_iter().flat_map(Map::keys);
                return names.try_for_each(|name| self.check_part(rule, &json!(name)));
            }
            "properties" => {
                let known = value
                    .as_object()
                    .into_iter()
                    .flatten()
                    .filter_map(|(name, value)| Some((rule.get(name)?, value)));
                for (schema, value) in known {
                    self.check_part(schema, value)?;
                }
                true
            }
            "additionalProperties" => {
                let known = schema.get("properties");
                let mut others = value.as_object().into_iter().flatten();
                return others.try_for_each(|(name, value)| match rule {
                    _ if known.is_some_and(|known| known.get(name).is_some()) => Ok(()),
                    Value::Bool(false) => Err(format!("unknown key {name}")),
                    rule => self.check_part(rule, value),
                });
            }
            other => panic!("these tests do not know the keyword {other}"),
        };
        if holds { Ok(()) } else { fail() }
    }

    fn count(&self, schemas: &Value, value: &Value) -> usize {
        let schemas = schemas.as_array().expect("a list of schemas");
        schemas.iter().filter(|schema| self.check_part(schema, value).is_ok()).count()
    }
}

fn is_type(kind: &Value, value: &Value) -> bool {
    match kind.as_str() {
        Some("object") => value.is_object(),
        Some("array") => value.is_array(),
        Some("string") => value.is_string(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_u64() || value.is_i64(),
        Some("number") => value.is_number(),
        other => panic!("these tests do not know the type {other:?}"),
    }
}

/// A YAML text as an editor sees it (YAML 1.2, core schema).
pub(super) fn of_yaml(text: &str) -> Value {
    let mut problems = Problems::new("f");
    let tree = yaml::parse(text, keys::SETTINGS.hints, &mut problems);
    assert!(!problems.fatal(), "{:?}", problems.sorted());
    of_node(&tree.expect("a text without problems has a tree"))
}

fn of_node(node: &Node) -> Value {
    match &node.kind {
        Kind::Bad => Value::Null,
        Kind::List(items) => items.iter().map(of_node).collect(),
        Kind::Map(entries) => entries
            .iter()
            .map(|entry| (entry.key.to_string(), of_node(&entry.value)))
            .collect::<Map<_, _>>()
            .into(),
        Kind::Scalar(scalar) => of_scalar(scalar),
    }
}

fn of_scalar(scalar: &Scalar) -> Value {
    let text = scalar.text.as_str();
    match text {
        _ if !scalar.plain => text.into(),
        _ if scalar.is_null() => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ if text.bytes().all(|byte| byte.is_ascii_digit()) => match text.parse::<u64>() {
            Ok(number) => number.into(),
            Err(_) => json!(f64::MAX),
        },
        _ => match text.parse::<f64>() {
            Ok(number) if number.is_finite() => json!(number),
            _ => text.into(),
        },
    }
}
