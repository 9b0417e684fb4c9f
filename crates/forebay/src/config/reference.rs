//! Prints a registry as a page of the reference.

use super::schema::{Choose, Key, Registry, Shape, Table, listed};

/// The reference page, in Markdown.
pub(crate) fn page(registry: &Registry) -> String {
    let mut page = registry.introduction.to_owned();
    registry.tables.iter().for_each(|table| write_table(&mut page, table));
    page
}

fn write_table(page: &mut String, table: &Table) {
    let mut line = |text: String| {
        page.push_str(&text);
        page.push('\n');
    };
    line(format!("\n## {}\n\n{}\n", table.name, table.doc));
    line("| key | value | default | |".to_owned());
    line("|---|---|---|---|".to_owned());
    table.keys.iter().for_each(|key| line(row(key)));
    for choice in table.choices {
        let names: Vec<_> = choice.keys.iter().map(|key| format!("`{key}`")).collect();
        let how_many = match choice.how {
            Choose::One => "Exactly",
            Choose::AtMostOne => "At most",
            Choose::AtLeastOne => "At least",
        };
        line(format!("\n{how_many} one of {} is written.", listed(&names, "and")));
    }
    line("\n```yaml".to_owned());
    // Keys that exclude each other are alternatives to the first of them.
    let others: Vec<_> = table
        .choices
        .iter()
        .filter(|choice| choice.excludes())
        .flat_map(|choice| &choice.keys[1..])
        .collect();
    for Key { name, example, .. } in table.keys {
        let or = if others.contains(&name) { "# or " } else { "" };
        line(format!("{or}{name}: {example}"));
    }
    line("```".to_owned());
}

fn row(key: &Key) -> String {
    let default = match (key.required, key.default) {
        (true, _) => "required".to_owned(),
        (false, "") => String::new(),
        (false, default) => format!("`{default}`"),
    };
    let cells = format!("| `{}` | {} | {default} | {} |", key.name, kind(&key.shape), key.doc);
    // A bar in a cell would end it.
    debug_assert_eq!(cells.matches('|').count(), 5, "{cells}");
    cells
}

/// What a value may be, with links to the tables.
fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Table(table) => format!("[{0}](#{0})", table.name),
        Shape::Either(shapes) => listed(&shapes.iter().map(kind).collect::<Vec<_>>(), "or"),
        Shape::OneOrMore(item) => format!("{}, or a list of such", kind(item)),
        Shape::List { item, .. } => format!("a list: {}", kind(item)),
        Shape::Map { value, .. } => format!("a map from names to: {}", kind(value)),
        Shape::Text(text) => {
            let mut noun = text.noun.to_owned();
            if let Some(such) = noun.find(", such as") {
                noun.truncate(such);
            }
            noun
        }
        other => other.accepted(),
    }
}
