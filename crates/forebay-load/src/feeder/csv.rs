//! A strict reader of comma-separated values (RFC 4180).

use super::{BYTES_MAX, COLUMNS_MAX, Cells, Error, Format, ROWS_MAX};

/// The columns' names and the values of all rows.
pub(super) fn parse(text: &str, format: &Format) -> Result<(Vec<String>, Cells), Error> {
    let Format { delimiter, columns } = format;
    if !delimiter.is_ascii() || matches!(delimiter, '"' | '\r' | '\n' | '\0') {
        return Err(whole(format!("{delimiter:?} cannot be a delimiter; use `,`, `;` or a tab")));
    }
    if text.len() > BYTES_MAX {
        return Err(whole(format!("the file has {} bytes; at most {BYTES_MAX} are read", text.len())));
    }
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { rest: text, line: 1, delimiter: *delimiter as u8 };
    let columns = match columns {
        Some(columns) => columns.clone(),
        None => header(&mut reader)?,
    };
    check_columns(&columns)?;
    let cells = rows(&mut reader, columns.len())?;
    if cells.ends.is_empty() {
        return Err(whole("there is no row to feed".to_owned()));
    }
    Ok((columns, cells))
}

fn header(reader: &mut Reader<'_>) -> Result<Vec<String>, Error> {
    let mut columns = Vec::new();
    let mut last = reader.rest.is_empty();
    while !last && columns.len() <= COLUMNS_MAX {
        let mut name = String::new();
        last = reader.value(&mut name)?;
        columns.push(name);
    }
    Ok(columns)
}

fn check_columns(columns: &[String]) -> Result<(), Error> {
    let wrong = |what| Err(Error { line: 1, what });
    if columns.is_empty() {
        return wrong("the file is empty: its first line names the columns".to_owned());
    }
    if columns.len() > COLUMNS_MAX {
        return wrong(format!("there are more than {COLUMNS_MAX} columns"));
    }
    for (index, name) in columns.iter().enumerate() {
        if let Err(crate::template::Error(what)) = crate::template::check_name(name) {
            return wrong(format!("column {}: {what}", index + 1));
        }
        if columns[..index].contains(name) {
            return wrong(format!("two columns are called `{name}`"));
        }
    }
    Ok(())
}

fn rows(reader: &mut Reader<'_>, columns: usize) -> Result<Cells, Error> {
    let mut cells = Cells { text: String::new(), ends: Vec::new() };
    while !reader.rest.is_empty() {
        let line = reader.line;
        if reader.skip_empty_line() {
            continue;
        }
        if cells.ends.len() / columns == ROWS_MAX {
            return Err(Error { line, what: format!("there are more than {ROWS_MAX} rows") });
        }
        let mut values = 0;
        let mut last = false;
        while !last {
            last = reader.value(&mut cells.text)?;
            values += 1;
            if values <= columns {
                cells.ends.push(u32::try_from(cells.text.len()).expect("BYTES_MAX is far below 4 GiB"));
            }
        }
        if values != columns {
            return Err(Error { line, what: format!("{values} values, but there are {columns} columns") });
        }
    }
    Ok(cells)
}

fn whole(what: String) -> Error {
    Error { line: 0, what }
}

struct Reader<'t> {
    rest: &'t str,
    line: usize,
    delimiter: u8,
}

impl Reader<'_> {
    /// Appends the next value to `out`; `true`: it is the last of its row.
    fn value(&mut self, out: &mut String) -> Result<bool, Error> {
        if self.rest.starts_with('"') {
            self.quoted(out)?;
        } else {
            let end = self.rest.bytes().position(|byte| byte == self.delimiter || byte == b'\n');
            let (value, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
            let value =
                if rest.starts_with('\n') { value.strip_suffix('\r').unwrap_or(value) } else { value };
            // A file that ends with CR alone has lost its last LF.
            let value = if rest.is_empty() { value.strip_suffix('\r').unwrap_or(value) } else { value };
            if value.contains('"') {
                return Err(
                    self.wrong("a quote within a value: write the value in quotes and the quote twice")
                );
            }
            out.push_str(value);
            self.rest = rest;
        }
        self.end_of_value()
    }

    fn quoted(&mut self, out: &mut String) -> Result<(), Error> {
        let begun = self.line;
        self.rest = &self.rest[1..];
        loop {
            let Some((part, rest)) = self.rest.split_once('"') else {
                return Err(Error { line: begun, what: "a quoted value has no closing quote".to_owned() });
            };
            out.push_str(part);
            self.line += part.bytes().filter(|byte| *byte == b'\n').count();
            self.rest = rest;
            match rest.strip_prefix('"') {
                Some(rest) => {
                    out.push('"');
                    self.rest = rest;
                }
                None => return Ok(()),
            }
        }
    }

    /// Takes what stands after a value: a delimiter, or the end of its row.
    fn end_of_value(&mut self) -> Result<bool, Error> {
        let rest = self.rest;
        if let Some(rest) = rest.strip_prefix("\r\n").or_else(|| rest.strip_prefix('\n')) {
            self.rest = rest;
            self.line += 1;
            return Ok(true);
        }
        match rest.as_bytes().first() {
            None => Ok(true),
            Some(byte) if *byte == self.delimiter => {
                self.rest = &rest[1..];
                Ok(false)
            }
            Some(b'\r') if rest.len() == 1 => {
                self.rest = "";
                Ok(true)
            }
            Some(_) => Err(self.wrong("something stands between a closing quote and the end of its value")),
        }
    }

    fn skip_empty_line(&mut self) -> bool {
        let after = self.rest.strip_prefix("\r\n").or_else(|| self.rest.strip_prefix('\n'));
        if let Some(rest) = after {
            self.rest = rest;
            self.line += 1;
        }
        after.is_some()
    }

    fn wrong(&self, what: &str) -> Error {
        Error { line: self.line, what: what.to_owned() }
    }
}
