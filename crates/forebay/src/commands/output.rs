//! Where commands write: the one place that knows whether a person or a program reads.

use std::io::{self, IsTerminal as _, Write};

/// Standard output, or a buffer in tests.
pub struct Output<'a> {
    to: &'a mut dyn Write,
    /// A person reads: colours and pictures help.
    terminal: bool,
}

impl<'a> Output<'a> {
    /// Writes to `to`, which a person reads or not.
    pub fn new(to: &'a mut dyn Write, terminal: bool) -> Self {
        Self { to, terminal }
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
        let terminal = stdout.is_terminal() && colours;
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
        writeln!(self.to, "{}", text.as_ref())
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
