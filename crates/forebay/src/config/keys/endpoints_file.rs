//! What a file of endpoints may hold.

use super::super::schema::{Hints, Key, Registry, Shape, Table};
use super::service::ENDPOINT;
use super::texts::ADDRESS;

/// Everything a file of endpoints may hold. A list alone stands for `endpoints`.
pub(in super::super) static ENDPOINTS: Registry = Registry {
    tables: &[&TOP, &ENDPOINT],
    title: "Forebay endpoints",
    introduction: "",
    hints: Hints { empty: "write `[]` for no endpoints", shared: "write it out" },
};

static TOP: Table = Table {
    name: "top",
    doc: "A file of endpoints.",
    keys: &[Key::new(
        "endpoints",
        Shape::List { min: 0, item: &Shape::Either(&[Shape::Text(&ADDRESS), Shape::Table(&ENDPOINT)]) },
    )
    .required()
    .doc("The endpoints.")
    .example("[127.0.0.1:3001]")],
    later: &[],
    choices: &[],
};
