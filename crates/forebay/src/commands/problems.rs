//! Problems of the settings, as people read them.

use std::collections::HashMap;
use std::io;

use forebay_base::problem::{Problem, Severity};

use super::Output;
use crate::config;

impl Output<'_> {
    /// Writes problems in a line each; for a person with the line of the file and a mark under the place.
    ///
    /// # Errors
    /// When they cannot be written.
    pub fn problems(&mut self, problems: &[Problem]) -> io::Result<()> {
        let mut sources = HashMap::new();
        for problem in problems {
            if !self.is_terminal() {
                self.line(problem.to_string())?;
                continue;
            }
            let severity = match problem.severity {
                Severity::Error => self.red("error"),
                Severity::Warning => self.yellow("warning"),
            };
            self.line(format!("{severity}: {}", self.bold(&problem.what)))?;
            self.place(problem, &mut sources)?;
            if let Some(fix) = &problem.fix {
                self.line(format!("   {} {fix}", self.dim("=")))?;
            }
            self.line("")?;
        }
        Ok(())
    }

    /// The line a problem is in, with a mark under its column.
    fn place(&mut self, problem: &Problem, sources: &mut HashMap<String, Vec<String>>) -> io::Result<()> {
        let at = &problem.at;
        self.line(format!("  {} {at}", self.dim("-->")))?;
        let lines = sources.entry(at.file.to_string()).or_insert_with(|| source_lines(&at.file));
        let Some(line) = (at.line as usize).checked_sub(1).and_then(|index| lines.get(index)) else {
            return Ok(());
        };
        // Long lines are cut around the place.
        let column = (at.column as usize).saturating_sub(1);
        let from = column.saturating_sub(60);
        let shown: String = line.chars().skip(from).take(100).map(printable).collect();
        let number = at.line.to_string();
        let gap = " ".repeat(number.len());
        let bar = self.dim("|");
        self.line(format!("  {} {bar} {shown}", self.dim(&number)))?;
        self.line(format!("  {gap} {bar} {}{}", " ".repeat(column - from), self.red("^")))
    }
}

/// The lines of the file as they are now; none when it cannot be read, or is none.
fn source_lines(file: &str) -> Vec<String> {
    let text = config::read_file(file.as_ref()).unwrap_or_default();
    text.trim_start_matches('\u{feff}').lines().map(str::to_owned).collect()
}

fn printable(c: char) -> char {
    match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    }
}

#[cfg(test)]
mod tests {
    use forebay_base::problem::Position;

    use super::*;

    fn written(problem: Problem, terminal: bool) -> String {
        let mut buffer = Vec::new();
        Output::new(&mut buffer, terminal).problems(&[problem]).expect("a buffer takes all");
        String::from_utf8(buffer).expect("it is text")
    }

    #[test]
    fn a_program_gets_a_line_and_a_person_the_place() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        let at = Position { file: file.into(), line: 1, column: 2 };
        let problem = Problem::error(at, "odd").fix("even");
        assert_eq!(written(problem.clone(), false), format!("{file}:1:2: error: odd; even\n"));
        let plain = written(problem, true).replace("\x1b[0m", "");
        let plain: String =
            plain.split("\x1b[").map(|part| part.split_once('m').map_or(part, |(_, text)| text)).collect();
        assert!(plain.contains("  1 | [package]\n    |  ^\n"), "{plain}");
    }
}
