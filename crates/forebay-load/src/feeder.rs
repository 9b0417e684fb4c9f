//! Values that come from files, one row for each run of a scenario.

use std::fmt;
use std::sync::Arc;

use forebay_base::seed::Random;

use crate::scope::Variables;

mod csv;
#[cfg(test)]
mod tests;

/// Rows of a file, the one with the columns' names not counted.
pub const ROWS_MAX: usize = 1_000_000;
/// Columns of a file.
pub const COLUMNS_MAX: usize = 100;
/// Largest file, in bytes.
pub const BYTES_MAX: usize = 256 << 20;

/// A file's rows. Clones share them.
#[derive(Clone, Debug)]
pub struct Feeder {
    name: String,
    columns: Arc<[String]>,
    cells: Arc<Cells>,
    order: Order,
}

/// Which row is next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// One after the other, then from the first again.
    Sequential,
    /// Any, by chance.
    Random,
    /// One after the other; when all were used there is none.
    Once,
}

/// How a file is read.
#[derive(Clone, Debug)]
pub struct Format {
    /// What stands between two values of a row; ASCII, neither a quote nor a line break.
    pub delimiter: char,
    /// The columns' names, for files whose first line does not say them.
    pub columns: Option<Vec<String>>,
}

/// One row.
#[derive(Clone, Copy, Debug)]
pub struct Row<'f> {
    feeder: &'f Feeder,
    index: usize,
}

/// Why a text cannot be fed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// The line, from 1; 0: none in particular.
    pub line: usize,
    /// What is wrong.
    pub what: String,
}

/// The values of all rows, in one piece: a million rows are a million offsets, not a million allocations.
#[derive(Debug)]
struct Cells {
    text: String,
    /// Where each value ends in `text`, row by row.
    ends: Vec<u32>,
}

impl Default for Format {
    fn default() -> Self {
        Self { delimiter: ',', columns: None }
    }
}

impl Feeder {
    /// Reads comma-separated values (RFC 4180; lines may end with LF alone).
    ///
    /// # Errors
    /// A row with more or fewer values than columns, a quote out of place, a column without a name or with one
    /// that another has, no row at all, more than the limits allow.
    pub fn parse(name: impl Into<String>, text: &str, format: &Format, order: Order) -> Result<Self, Error> {
        let (columns, cells) = csv::parse(text, format)?;
        Ok(Self { name: name.into(), columns: columns.into(), cells: Arc::new(cells), order })
    }

    /// What the plan calls it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The columns' names, which templates use.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// How many rows there are; at least one.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.cells.ends.len() / self.columns.len()
    }

    /// Which row is next.
    #[must_use]
    pub const fn order(&self) -> Order {
        self.order
    }

    /// The row for the `turn`th run of a scenario, from 0, over all users; `None`: all were used.
    #[must_use]
    pub fn row(&self, turn: u64, random: &mut Random) -> Option<Row<'_>> {
        let rows = self.rows() as u64;
        let index = match self.order {
            Order::Sequential => turn % rows,
            Order::Random => random.below(rows),
            Order::Once if turn < rows => turn,
            Order::Once => return None,
        };
        Some(Row { feeder: self, index: index as usize })
    }

    /// Gives `variables` the row for the `turn`th run of a scenario; `false`: all were used.
    #[must_use]
    pub fn feed(&self, turn: u64, variables: &mut Variables) -> bool {
        let Some(row) = self.row(turn, variables.random()) else { return false };
        for (column, value) in row.values() {
            variables.set(column, value.as_bytes());
        }
        true
    }
}

impl<'f> Row<'f> {
    /// The columns with their values.
    pub fn values(self) -> impl Iterator<Item = (&'f str, &'f str)> {
        let Feeder { columns, cells, .. } = self.feeder;
        let first = self.index * columns.len();
        columns.iter().enumerate().map(move |(column, name)| (name.as_str(), cells.value(first + column)))
    }
}

impl Cells {
    fn value(&self, index: usize) -> &str {
        let end = |index: usize| self.ends.get(index).map_or(0, |end| *end as usize);
        let start = index.checked_sub(1).map_or(0, end);
        self.text.get(start..end(index)).unwrap_or_default()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str(&self.what),
            line => write!(f, "line {line}: {}", self.what),
        }
    }
}
