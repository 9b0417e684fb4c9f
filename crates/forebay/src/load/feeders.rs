//! Values that come from files.

use forebay_load::feeder::{BYTES_MAX, Feeder, Format, Order};

use super::files;
use super::lower::Lower;
use crate::config::read::short;
use crate::config::value::{Fields, Pair, Value};

/// The feeders of a plan, their files read.
pub(super) fn lower(lower: &mut Lower<'_, '_>, top: &Fields) -> Vec<Feeder> {
    let mut feeders = Vec::new();
    for Pair { name, value } in top.map("feeders") {
        let (file, order, format) = match &value.value {
            Value::Text(file) => (value.with(file.as_str()), Order::Sequential, Format::default()),
            Value::Table(fields) => match fields.text("file") {
                Some(file) => (file, order(fields), format(fields)),
                None => continue,
            },
            _ => continue,
        };
        let read = files::read(&lower.base.join(file.value), BYTES_MAX as u64)
            .and_then(|bytes| String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned()))
            .and_then(|text| {
                Feeder::parse(&*name.value, &text, &format, order).map_err(|error| error.to_string())
            });
        match read {
            Ok(feeder) => feeders.push(feeder),
            Err(error) => {
                lower.problems.error(file.at, format!("cannot feed from `{}`: {error}", short(file.value)));
            }
        }
    }
    feeders
}

fn order(fields: &Fields) -> Order {
    match fields.word("order") {
        Some("random") => Order::Random,
        Some("once") => Order::Once,
        _ => Order::Sequential,
    }
}

fn format(fields: &Fields) -> Format {
    let columns: Vec<String> =
        fields.list("columns").iter().filter_map(|item| Some(item.text()?.value.to_owned())).collect();
    let delimiter = match fields.word("delimiter") {
        Some("semicolon") => ';',
        Some("tab") => '\t',
        _ => ',',
    };
    Format { delimiter, columns: (!columns.is_empty()).then_some(columns) }
}
