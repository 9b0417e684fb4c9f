//! Tables as short as HTML allows: end tags that may be left out are.

use std::fmt::Write as _;

use super::super::{ROWS_MAX, escape, figures};

/// A table in the making.
#[derive(Debug)]
pub(super) struct Table {
    out: String,
    rows: usize,
    rows_max: usize,
}

/// A cell.
#[derive(Debug)]
pub(super) enum Cell {
    /// What the row is about; escaped here.
    Name(String),
    /// A text; escaped here.
    Text(String),
    /// A number, aligned to the right.
    Number(String),
    /// A count of something bad: it stands out unless it is 0.
    Bad(u64),
    /// A reason.
    Why(String),
    /// Markup of our own.
    Markup(String),
}

impl Table {
    /// A table with these columns; those that begin with `>` hold numbers.
    pub(super) fn new(caption: &str, columns: &[&str]) -> Self {
        let narrow = if columns.len() < 5 { " narrow" } else { "" };
        // Few columns and a long last one: on a phone a row becomes a paragraph.
        let stack = if columns.len() == 5 { " stack" } else { "" };
        let mut out = format!(
            "<div class=\"scroll{narrow}{stack}\"><table aria-label=\"{}\"><thead><tr>",
            escape::html(caption)
        );
        for column in columns {
            let (class, name) = match column.strip_prefix('>') {
                Some(name) => (" class=\"n\"", name),
                None => ("", *column),
            };
            let _ = write!(out, "<th scope=\"col\"{class}>{}", escape::html(name));
        }
        out.push_str("</thead><tbody>");
        Self { out, rows: 0, rows_max: ROWS_MAX }
    }

    /// Shows so many rows.
    pub(super) fn allow(&mut self, rows: usize) {
        self.rows_max = rows;
    }

    /// Adds a row; `attributes` are ours, and begin with a space.
    pub(super) fn row(&mut self, attributes: &str, cells: impl IntoIterator<Item = Cell>) {
        self.rows += 1;
        if self.rows > self.rows_max {
            return;
        }
        let _ = write!(self.out, "<tr{attributes}>");
        for cell in cells {
            self.cell(&cell);
        }
        self.out.push('\n');
    }

    /// The table, and how many rows it leaves out.
    pub(super) fn finish(mut self) -> String {
        self.out.push_str("</tbody></table></div>");
        if self.rows > self.rows_max {
            let _ = write!(
                self.out,
                "<p class=\"note\">and {} more</p>",
                figures::count((self.rows - self.rows_max) as u64)
            );
        }
        self.out
    }

    fn cell(&mut self, cell: &Cell) {
        let out = &mut self.out;
        let _ = match cell {
            Cell::Name(name) => write!(out, "<th scope=\"row\">{}</th>", escape::html(name)),
            Cell::Text(text) => write!(out, "<td>{}", escape::html(text)),
            Cell::Number(text) => write!(out, "<td class=\"n\">{}", escape::html(text)),
            Cell::Bad(0) => write!(out, "<td class=\"n none\">0"),
            Cell::Bad(number) => write!(out, "<td class=\"n some\">{}", figures::count(*number)),
            Cell::Why(text) => write!(out, "<td class=\"why\">{}", escape::html_said(text)),
            Cell::Markup(markup) => write!(out, "<td>{markup}"),
        };
    }
}
