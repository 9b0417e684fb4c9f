//! Checks a tree against the registry: unknown keys, wrong kinds, ranges, what is missing.

use forebay_base::units;

use super::problems::{Mark, Problems, Spanned};
use super::schema::{Choice, Choose, Key, Registry, Shape, Table, Text, listed};
use super::value::{Field, Fields, Json, Pair, Value};
use super::yaml::{Entry, Kind, Node, Scalar};
use forebay_base::nearest::nearest;

/// Reads a whole file; what is wrong in it is among the problems and left out. The tree is used up: its texts
/// become those of the values, and there may be very many.
pub(crate) fn read(node: Node, registry: &'static Registry, problems: &mut Problems) -> Option<Fields> {
    let mut reader = Reader { registry, problems };
    let table = registry.top();
    match node.kind {
        Kind::Map(entries) => Some(reader.table(node.at, entries, table)),
        Kind::Bad => None,
        _ => {
            reader.mismatch(&node, &Shape::Table(table), Label::Whole);
            None
        }
    }
}

struct Reader<'p> {
    registry: &'static Registry,
    problems: &'p mut Problems,
}

/// What the value being read is called in messages.
#[derive(Clone, Copy)]
enum Label<'a> {
    Whole,
    Key(&'a str),
    Item(&'a str),
}

impl Reader<'_> {
    fn table(&mut self, at: Mark, entries: Vec<Entry>, table: &'static Table) -> Fields {
        let mut written = Vec::with_capacity(entries.len());
        let mut meant = Vec::new();
        for entry in entries {
            match table.find(&entry.key) {
                Some(key) => {
                    let at = entry.value.at;
                    let value = self.value(entry.value, &key.shape, Label::Key(key.name));
                    written.push(Field { name: key.name, at: entry.at, value: Spanned { at, value } });
                }
                None => meant.extend(self.unknown_key(&entry, table)),
            }
        }
        let fields = Fields { at, table, written, meant };
        self.missing(&fields);
        fields
    }

    /// Keys that have to be there, and keys that must not be there together.
    fn missing(&mut self, fields: &Fields) {
        let Fields { at, table, written: _, meant: _ } = fields;
        let is_missing = |key: &Key| key.required && !fields.is_meant(key.name);
        for key in table.keys.iter().filter(|key| is_missing(key)) {
            let place = if table.name == "top" { "file" } else { table.name };
            self.problems.error_fix(
                *at,
                format!("`{}` is missing in this {place}", key.name),
                format!("write, for example, `{}: {}`", key.name, key.example),
            );
        }
        table.choices.iter().for_each(|choice| self.chosen(fields, choice));
    }

    fn chosen(&mut self, fields: &Fields, choice: &Choice) {
        let Fields { at, table, written, meant } = fields;
        let Choice { keys, how } = choice;
        let mut chosen = written.iter().filter(|field| keys.contains(&field.name));
        let first = chosen.next();
        for other in chosen.filter(|_| choice.excludes()) {
            let first = first.map_or("", |field| field.name);
            self.problems.error_fix(
                other.at,
                format!("`{}` cannot stand beside `{first}`", other.name),
                format!("keep one of {}", quoted(keys, "and")),
            );
        }
        if first.is_some() || keys.iter().any(|key| meant.contains(key)) {
            return;
        }
        match how {
            Choose::AtMostOne => {}
            Choose::One => self.problems.error_fix(
                *at,
                format!("this {} does nothing yet", table.name),
                format!("write one of {}", quoted(keys, "and")),
            ),
            Choose::AtLeastOne => {
                let example = keys.first().and_then(|key| table.find(key)).map_or("", |key| key.example);
                self.problems.error_fix(
                    *at,
                    format!("{} is missing in this {}", quoted(keys, "or"), table.name),
                    format!("write, for example, `{}: {example}`", keys.first().unwrap_or(&"")),
                );
            }
        }
    }

    /// Gives the key that was probably meant.
    fn unknown_key(&mut self, entry: &Entry, table: &'static Table) -> Option<&'static str> {
        let name = entry.key.as_ref();
        if table.later.contains(&name) {
            let what = format!("`{name}` is not available in this version");
            self.problems.error_fix(entry.at, what, "remove it");
            return None;
        }
        if self.problems.full() {
            self.problems.error(entry.at, "unknown key");
            return None;
        }
        let known = table.keys.iter().map(|key| key.name);
        let homes: Vec<_> = self.registry.tables.iter().filter(|home| home.find(name).is_some()).collect();
        let meant = nearest(name, known.clone());
        let fix = match (meant, homes.as_slice()) {
            (Some(meant), _) => format!("did you mean `{meant}`?"),
            (None, []) => format!("known here: {}", quoted(&known.collect::<Vec<_>>(), "and")),
            (None, homes) => {
                let homes: Vec<_> = homes.iter().map(|home| home.name).collect();
                format!("it is a key of {}", quoted(&homes, "and"))
            }
        };
        self.problems.error_fix(entry.at, format!("unknown key `{}`", short(name)), fix);
        meant
    }

    fn value(&mut self, node: Node, shape: &'static Shape, label: Label<'_>) -> Value {
        let at = node.at;
        match (shape, node.kind) {
            (_, Kind::Bad) => Value::Bad,
            (Shape::Any, kind) => json(&Node { at, kind }).map_or(Value::Bad, Value::Any),
            (Shape::Either(shapes), kind) => {
                let is_off = matches!(&kind, Kind::Scalar(scalar) if means_off(scalar, shapes));
                let node = Node { at, kind };
                match chosen(shapes, &node.kind).filter(|_| !is_off) {
                    Some(shape) => self.value(node, shape, label),
                    None => self.mismatch(&node, shape, label),
                }
            }
            (Shape::OneOrMore(item), Kind::List(nodes)) => self.list(at, nodes, 1, item, label),
            (Shape::OneOrMore(item), kind) => {
                let value = self.value(Node { at, kind }, item, label);
                Value::List(vec![Spanned { at, value }])
            }
            (Shape::List { min, item }, Kind::List(nodes)) => self.list(at, nodes, *min, item, label),
            (Shape::Table(table), Kind::Map(entries)) => Value::Table(self.table(at, entries, table)),
            (Shape::Map { min, key, value }, Kind::Map(entries)) => {
                self.map(at, entries, *min, key, value, label)
            }
            (Shape::Text(kind), Kind::Scalar(scalar)) if !scalar.is_null() => {
                match self.text_fits(at, &scalar.text, kind, label) {
                    true => Value::Text(scalar.text),
                    false => Value::Bad,
                }
            }
            (_, Kind::Scalar(scalar)) if !scalar.is_null() => self.scalar(at, scalar, shape, label),
            (_, kind) => self.mismatch(&Node { at, kind }, shape, label),
        }
    }

    fn list(
        &mut self,
        at: Mark,
        nodes: Vec<Node>,
        min: usize,
        item: &'static Shape,
        label: Label<'_>,
    ) -> Value {
        if nodes.len() < min {
            self.problems.error(at, format!("{} must have at least one item", label.show()));
            return Value::Bad;
        }
        let item_label = Label::Item(label.name());
        let mut items = Vec::with_capacity(nodes.len());
        for node in nodes {
            items.push(Spanned { at: node.at, value: self.value(node, item, item_label) });
        }
        Value::List(items)
    }

    fn map(
        &mut self,
        at: Mark,
        entries: Vec<Entry>,
        min: usize,
        key: &'static Text,
        value: &'static Shape,
        label: Label<'_>,
    ) -> Value {
        if entries.len() < min {
            self.problems.error(at, format!("{} must have at least one key", label.show()));
            return Value::Bad;
        }
        let mut pairs = Vec::with_capacity(entries.len());
        for entry in entries {
            self.text_fits(entry.at, &entry.key, key, label);
            let at = entry.value.at;
            let value = self.value(entry.value, value, Label::Key(&entry.key));
            pairs.push(Pair {
                name: Spanned { at: entry.at, value: entry.key },
                value: Spanned { at, value },
            });
        }
        Value::Map(pairs)
    }

    fn scalar(&mut self, at: Mark, scalar: Scalar, shape: &'static Shape, label: Label<'_>) -> Value {
        let text = scalar.text.as_str();
        match shape {
            Shape::Switch if scalar.plain && text == "true" => Value::Switch(true),
            Shape::Switch if scalar.plain && text == "false" => Value::Switch(false),
            Shape::Word(word) if text == *word => Value::Word(word),
            Shape::Count { min, max } if is_digits(&scalar) => {
                let number = text.parse().ok().filter(|number| (min..=max).contains(&number));
                self.in_range(number.map(Value::Number), at, text, shape, label)
            }
            Shape::Numbers(numbers) if is_digits(&scalar) => {
                let number = text.parse().ok().filter(|number| numbers.contains(number));
                self.in_range(number.map(Value::Number), at, text, shape, label)
            }
            Shape::Percent { min, max } if is_percentage(&scalar) => {
                let number = text.strip_suffix('%').unwrap_or(text).parse().ok();
                let number = number.filter(|number| (min..=max).contains(&number));
                self.in_range(number.map(Value::Number), at, text, shape, label)
            }
            Shape::Time { min, max } => match units::parse_duration(text) {
                Ok(time) => {
                    let time = (*min..=*max).contains(&time).then_some(Value::Time(time));
                    self.in_range(time, at, text, shape, label)
                }
                Err(error) => self.no_unit(at, text, label, &error, units::DURATION_HELP),
            },
            Shape::Size { min, max } => match units::parse_size(text) {
                Ok(size) => {
                    let size = (*min..=*max).contains(&size).then_some(Value::Number(size));
                    self.in_range(size, at, text, shape, label)
                }
                Err(error) => self.no_unit(at, text, label, &error, units::SIZE_HELP),
            },
            Shape::ByteRate { max } => match units::parse_byte_rate(text) {
                Ok(rate) => {
                    let rate = (rate <= *max).then_some(Value::Number(rate));
                    self.in_range(rate, at, text, shape, label)
                }
                Err(error) => self.no_unit(at, text, label, &error, units::BYTE_RATE_HELP),
            },
            _ => self.mismatch(&Node { at, kind: Kind::Scalar(scalar) }, shape, label),
        }
    }

    /// Bounds every text, whatever it is for.
    fn text_fits(&mut self, at: Mark, text: &str, kind: &Text, label: Label<'_>) -> bool {
        if text.len() < kind.min {
            self.problems
                .error(at, format!("{} must be {}, not \"{}\"", label.show(), kind.noun, short(text)));
            return false;
        }
        if text.len() > kind.max {
            let what =
                format!("{} has {} bytes; at most {} are accepted", label.show(), text.len(), kind.max);
            self.problems.error(at, what);
            return false;
        }
        true
    }

    fn in_range(
        &mut self,
        value: Option<Value>,
        at: Mark,
        text: &str,
        shape: &Shape,
        label: Label<'_>,
    ) -> Value {
        value.unwrap_or_else(|| {
            let what = format!("{} must be {}, not `{}`", label.show(), shape.accepted(), short(text));
            self.problems.error(at, what);
            Value::Bad
        })
    }

    fn no_unit(&mut self, at: Mark, text: &str, label: Label<'_>, error: &units::Error, help: &str) -> Value {
        let what = format!("{} cannot be `{}`: {error}", label.show(), short(text));
        self.problems.error_fix(at, what, format!("write {help}"));
        Value::Bad
    }

    fn mismatch(&mut self, node: &Node, shape: &Shape, label: Label<'_>) -> Value {
        let what = format!("{} must be {}, not {}", label.show(), shape.accepted(), found(&node.kind));
        match advice(&node.kind, shape) {
            Some(fix) => self.problems.error_fix(node.at, what, fix),
            None => self.problems.error(node.at, what),
        }
        Value::Bad
    }
}

impl<'a> Label<'a> {
    fn show(self) -> String {
        match self {
            Self::Whole => "the file".to_owned(),
            Self::Key(name) => format!("`{}`", short(name)),
            Self::Item(name) => format!("an item of `{}`", short(name)),
        }
    }

    fn name(self) -> &'a str {
        match self {
            Self::Whole => "the file",
            Self::Key(name) | Self::Item(name) => name,
        }
    }
}

/// Which of several shapes the writer had in mind. A map could be of fixed keys or of free ones: it is the
/// former if one of these keys is there with a value that the free ones do not take.
fn chosen(shapes: &'static [Shape], kind: &Kind) -> Option<&'static Shape> {
    let mut claiming = shapes.iter().filter(|shape| claims(shape, kind));
    let first = claiming.next()?;
    match (first, claiming.next(), kind) {
        (Shape::Table(table), Some(free @ Shape::Map { value, .. }), Kind::Map(entries)) => {
            let is_fixed =
                |entry: &Entry| table.find(&entry.key).is_some() && !claims(value, &entry.value.kind);
            Some(if entries.iter().any(is_fixed) { first } else { free })
        }
        _ => Some(first),
    }
}

/// Whether one of several shapes is the one the writer had in mind.
fn claims(shape: &Shape, kind: &Kind) -> bool {
    match (shape, kind) {
        (Shape::Any, _) => true,
        (Shape::List { .. } | Shape::OneOrMore(_), Kind::List(_)) => true,
        (Shape::Table(_) | Shape::Map { .. }, Kind::Map(_)) => true,
        (_, Kind::Scalar(scalar)) if scalar.is_null() => false,
        (Shape::Text(_), Kind::Scalar(_)) => true,
        (Shape::Word(word), Kind::Scalar(scalar)) => scalar.text == *word,
        (Shape::Switch, Kind::Scalar(scalar)) => {
            scalar.plain && matches!(scalar.text.as_str(), "true" | "false")
        }
        (Shape::Count { .. } | Shape::Numbers(_), Kind::Scalar(scalar)) => is_digits(scalar),
        (
            Shape::Percent { .. } | Shape::Time { .. } | Shape::Size { .. } | Shape::ByteRate { .. },
            Kind::Scalar(scalar),
        ) => scalar.text.starts_with(|c: char| c.is_ascii_digit()),
        _ => false,
    }
}

/// The value as JSON: what is not in quotes and looks like a number, a switch or nothing is that. `None`: a
/// part of it is wrong, which was told already.
fn json(node: &Node) -> Option<Json> {
    match &node.kind {
        Kind::Bad => None,
        Kind::Scalar(scalar) if scalar.is_null() => Some(Json::Null { said: scalar.text == "null" }),
        Kind::Scalar(Scalar { text, plain, .. }) => Some(match text.as_str() {
            "true" if *plain => Json::Bool(true),
            "false" if *plain => Json::Bool(false),
            number if *plain && is_json_number(number) => Json::Number(text.clone()),
            _ => Json::Text(text.clone()),
        }),
        Kind::List(items) => items.iter().map(json).collect::<Option<_>>().map(Json::List),
        Kind::Map(entries) => {
            let entry = |entry: &Entry| Some((entry.key.to_string(), json(&entry.value)?));
            entries.iter().map(entry).collect::<Option<_>>().map(Json::Map)
        }
    }
}

/// Whether JSON has a number written so (RFC 8259 section 6), however long.
fn is_json_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['+', '-']).unwrap_or(exponent)))
}

/// A whole number that is not in quotes.
fn is_digits(scalar: &Scalar) -> bool {
    scalar.plain && all_digits(&scalar.text)
}

/// A whole number, with `%` or without, that is not in quotes.
fn is_percentage(scalar: &Scalar) -> bool {
    scalar.plain && all_digits(scalar.text.strip_suffix('%').unwrap_or(&scalar.text))
}

fn all_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn found(kind: &Kind) -> String {
    match kind {
        Kind::Bad => "this".to_owned(),
        Kind::List(_) => "a list".to_owned(),
        Kind::Map(_) => "a map".to_owned(),
        Kind::Scalar(scalar) if scalar.is_null() => "empty".to_owned(),
        Kind::Scalar(scalar) if scalar.plain => format!("`{}`", short(&scalar.text)),
        Kind::Scalar(scalar) => format!("the text \"{}\"", short(&scalar.text)),
    }
}

/// What was probably meant.
fn advice(kind: &Kind, shape: &Shape) -> Option<String> {
    let Kind::Scalar(scalar) = kind else { return None };
    let text = scalar.text.as_str();
    let unquoted = Kind::Scalar(Scalar { text: text.to_owned(), plain: true, verbatim: None });
    let shapes: &[Shape] = match shape {
        Shape::Either(shapes) => shapes,
        other => std::slice::from_ref(other),
    };
    if !scalar.plain && shapes.iter().any(|shape| claims(shape, &unquoted)) {
        return Some("remove the quotes".to_owned());
    }
    let words = shapes.iter().filter_map(|shape| match shape {
        Shape::Word(word) => Some(*word),
        _ => None,
    });
    let switch = shapes.iter().any(|shape| matches!(shape, Shape::Switch));
    let meant = match text.to_ascii_lowercase().as_str() {
        // What older YAML takes for true and false is plain text here.
        "yes" | "on" | "y" | "true" | "1" if switch => Some("true"),
        "no" | "off" | "n" | "false" | "0" if switch => Some("false"),
        _ if means_off(scalar, shapes) => Some("off"),
        "yes" | "true" | "enabled" if words.clone().any(|word| word == "on") => Some("on"),
        lower => nearest(lower, words),
    };
    meant.map(|word| format!("did you mean `{word}`?"))
}

/// A word for `off` where that is the word.
fn means_off(scalar: &Scalar, shapes: &[Shape]) -> bool {
    scalar.plain
        && matches!(scalar.text.as_str(), "no" | "false" | "none" | "disabled")
        && shapes.iter().any(|shape| matches!(shape, Shape::Word("off")))
}

fn quoted(names: &[&str], last: &str) -> String {
    listed(&names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>(), last)
}

/// A text cut to what fits into a message.
pub(crate) fn short(text: &str) -> String {
    const SHOWN_MAX: usize = 60;
    let mut shown: String = text.chars().take(SHOWN_MAX).collect();
    if shown.len() < text.len() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_what_json_takes_for_numbers() {
        for text in ["0", "-0", "10", "1.50", "1e999", "-2.5E+10", "123456789012345678901234567890"] {
            assert!(is_json_number(text), "{text}");
        }
        for text in ["", "-", "+1", "01", ".5", "1.", "1e", "0x10", "1_000", "Infinity", "1 "] {
            assert!(!is_json_number(text), "{text}");
        }
    }
}
