//! Where commands write: the one place that knows whether a person or a program reads.

use std::io::{self, IsTerminal as _, Write};

/// Standard output, or a buffer in tests.
pub struct Output<'a> {
    to: &'a mut dyn Write,
    /// A person reads: colours and pictures help.
    terminal: bool,
    /// What is done matters more than what is told of it: it goes on when nobody reads any more.
    outlives: bool,
    /// Why nothing is written any more.
    lost: Option<io::Error>,
}

impl<'a> Output<'a> {
    /// Writes to `to`, which a person reads or not.
    pub fn new(to: &'a mut dyn Write, terminal: bool) -> Self {
        Self { to, terminal, outlives: false, lost: None }
    }

    /// From here on nothing fails because it cannot be told: see [`Self::lost`].
    pub(crate) fn outlive_readers(&mut self) {
        self.outlives = true;
    }

    /// Why something could not be told although somebody may still want to read it; a reader who has gone away
    /// does not.
    pub(crate) fn lost(&mut self) -> Option<io::Error> {
        self.lost.take().filter(|error| error.kind() != io::ErrorKind::BrokenPipe)
    }

    /// Runs `work` with standard output, which is not kept from others meanwhile. That the reader has gone
    /// away is no failure: then `gone` is the result.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn with_stdout<T>(
        gone: T,
        work: impl FnOnce(&mut Output<'_>) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let mut stdout = io::stdout();
        let colours = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let able = std::env::var_os("TERM").is_none_or(|name| name != "dumb");
        let terminal = stdout.is_terminal() && colours && able;
        match work(&mut Output::new(&mut stdout, terminal)) {
            Err(error) if is_broken_pipe(&error) => Ok(gone),
            done => done,
        }
    }

    /// Tells on standard error why a command could not do its work.
    pub fn failed(error: &anyhow::Error) {
        // There is nobody left to tell if this fails too.
        let _ = writeln!(io::stderr(), "forebay: {error:#}");
    }

    /// Tells something on standard error that is neither a result nor a failure.
    pub fn noted(text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// Whether a person reads.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Writes a line.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn line(&mut self, text: impl AsRef<str>) -> io::Result<()> {
        if self.lost.is_some() {
            return Ok(());
        }
        match writeln!(self.to, "{}", text.as_ref()) {
            Err(error) if self.outlives => {
                self.lost = Some(error);
                Ok(())
            }
            written => written,
        }
    }

    /// The text in bold, when a person reads.
    pub fn bold(&self, text: &str) -> String {
        self.paint(text, "1")
    }

    /// The text as something bad.
    pub fn red(&self, text: &str) -> String {
        self.paint(text, "1;31")
    }

    /// The text as something doubtful.
    pub fn yellow(&self, text: &str) -> String {
        self.paint(text, "1;33")
    }

    /// The text as something good.
    pub fn green(&self, text: &str) -> String {
        self.paint(text, "1;32")
    }

    /// The text as something of less weight.
    pub fn dim(&self, text: &str) -> String {
        self.paint(text, "2")
    }

    fn paint(&self, text: &str, code: &str) -> String {
        if self.terminal { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let kind = error.downcast_ref::<io::Error>().map(io::Error::kind);
    kind == Some(io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many lines; then writing fails like this.
    struct Ends(usize, io::ErrorKind);

    impl Write for Ends {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(self.1.into());
            }
            self.0 -= bytes.iter().filter(|byte| **byte == b'\n').count();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn check(kind: io::ErrorKind, lost: Option<io::ErrorKind>) {
        let mut to = Ends(1, kind);
        let mut out = Output::new(&mut to, false);
        assert!(out.line("one").is_ok());
        assert_eq!(out.line("two").map_err(|error| error.kind()), Err(kind));
        out.outlive_readers();
        assert!(out.line("three").is_ok());
        assert!(out.line("four").is_ok());
        assert_eq!(out.lost().map(|error| error.kind()), lost);
    }

    #[test]
    fn work_goes_on_when_nobody_reads_and_a_full_disk_is_told_at_the_end() {
        check(io::ErrorKind::BrokenPipe, None);
        check(io::ErrorKind::StorageFull, Some(io::ErrorKind::StorageFull));
    }
}
