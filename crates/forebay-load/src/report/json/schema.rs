//! Checks a document against a JSON Schema, as far as our own schemas use its words, and that nothing is left
//! undescribed.

use regex::Regex;
use serde_json::{Map, Value};

/// What is wrong, each with where; empty: nothing.
pub(crate) fn problems(schema: &Value, document: &Value) -> Vec<String> {
    let mut found = Vec::new();
    Check { root: schema, found: &mut found }.value(schema, document, "$");
    found
}

/// Words that say nothing about a document.
const REMARKS: [&str; 4] = ["$schema", "$defs", "title", "description"];

struct Check<'a> {
    root: &'a Value,
    found: &'a mut Vec<String>,
}

impl<'a> Check<'a> {
    fn value(&mut self, schema: &'a Value, value: &Value, at: &str) {
        let Some(words) = schema.as_object() else { return self.wrong(at, "its schema is no object") };
        for (word, says) in words.iter().filter(|(word, _)| !REMARKS.contains(&word.as_str())) {
            match word.as_str() {
                "$ref" => self.reference(says, value, at),
                "type" => self.holds(is_of(says, value), at, &format!("is not of type {says}")),
                "enum" => {
                    let known = says.as_array().is_some_and(|all| all.contains(value));
                    self.holds(known, at, &format!("{value} is none of {says}"));
                }
                "const" => self.holds(says == value, at, &format!("{value} is not {says}")),
                "minimum" => self.bound(value, |number| Some(number) >= says.as_f64(), at),
                "maximum" => self.bound(value, |number| Some(number) <= says.as_f64(), at),
                "pattern" => self.holds(matches(says, value.as_str()), at, &format!("does not match {says}")),
                "minItems" => self.holds(items(value) >= says.as_u64(), at, "has too few items"),
                "maxItems" => self.holds(items(value) <= says.as_u64(), at, "has too many items"),
                "items" => self.items(says, value, at),
                "properties" => self.properties(words, value, at),
                "additionalProperties" => self.additional(words, says, value, at),
                "propertyNames" => self.names(says, value, at),
                "required" => self.required(says, value, at),
                "anyOf" => self.any(says, value, at),
                _ => self.wrong(at, &format!("the schema's `{word}` is not known here")),
            }
        }
    }

    fn reference(&mut self, says: &Value, value: &Value, at: &str) {
        let pointer = says.as_str().and_then(|path| path.strip_prefix('#')).unwrap_or_default();
        match self.root.pointer(pointer) {
            Some(schema) => self.value(schema, value, at),
            None => self.wrong(at, &format!("there is no {says}")),
        }
    }

    fn items(&mut self, schema: &'a Value, value: &Value, at: &str) {
        for (index, item) in value.as_array().into_iter().flatten().enumerate() {
            self.value(schema, item, &format!("{at}[{index}]"));
        }
    }

    fn properties(&mut self, words: &'a Map<String, Value>, value: &Value, at: &str) {
        let Some(known) = words["properties"].as_object() else { return };
        for (name, property) in value.as_object().into_iter().flatten() {
            match known.get(name) {
                Some(schema) => self.value(schema, property, &format!("{at}.{name}")),
                None if words.contains_key("additionalProperties") => {}
                None => self.wrong(&format!("{at}.{name}"), "is not described"),
            }
        }
    }

    fn additional(&mut self, words: &'a Map<String, Value>, schema: &'a Value, value: &Value, at: &str) {
        let known = words.get("properties").and_then(Value::as_object);
        for (name, property) in value.as_object().into_iter().flatten() {
            if known.is_none_or(|known| !known.contains_key(name)) {
                self.value(schema, property, &format!("{at}.{name}"));
            }
        }
    }

    fn names(&mut self, schema: &'a Value, value: &Value, at: &str) {
        for name in value.as_object().into_iter().flatten().map(|(name, _)| name) {
            self.value(schema, &Value::from(name.as_str()), &format!("{at}.{name}"));
        }
    }

    fn required(&mut self, says: &Value, value: &Value, at: &str) {
        let Some(object) = value.as_object() else { return };
        for name in says.as_array().into_iter().flatten().filter_map(Value::as_str) {
            self.holds(object.contains_key(name), at, &format!("has no {name}"));
        }
    }

    fn any(&mut self, says: &'a Value, value: &Value, at: &str) {
        let fits = |schema| {
            let mut found = Vec::new();
            Check { root: self.root, found: &mut found }.value(schema, value, at);
            found.is_empty()
        };
        let fits = says.as_array().into_iter().flatten().any(fits);
        self.holds(fits, at, "is none of what it may be");
    }

    fn bound(&mut self, value: &Value, holds: impl Fn(f64) -> bool, at: &str) {
        self.holds(value.as_f64().is_none_or(holds), at, &format!("{value} is out of range"));
    }

    fn holds(&mut self, holds: bool, at: &str, what: &str) {
        if !holds {
            self.wrong(at, what);
        }
    }

    fn wrong(&mut self, at: &str, what: &str) {
        self.found.push(format!("{at}: {what}"));
    }
}

fn is_of(types: &Value, value: &Value) -> bool {
    let is = |name: &str| match name {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "null" => value.is_null(),
        "integer" => value.is_u64() || value.is_i64(),
        "number" => value.is_number(),
        _ => false,
    };
    match types {
        Value::Array(names) => names.iter().filter_map(Value::as_str).any(is),
        name => name.as_str().is_some_and(is),
    }
}

fn matches(pattern: &Value, text: Option<&str>) -> bool {
    let pattern = pattern.as_str().and_then(|pattern| Regex::new(pattern).ok());
    text.is_none_or(|text| pattern.is_some_and(|pattern| pattern.is_match(text)))
}

fn items(value: &Value) -> Option<u64> {
    value.as_array().map(|items| items.len() as u64)
}
