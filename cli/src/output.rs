//! The one place that writes to standard output and standard error.
//!
//! Results go to standard output, everything else to standard error. A reader
//! that goes away early is no error.

use std::io::{BufRead, BufWriter, ErrorKind, IsTerminal, Stdout, Write};

use serde_json::Value;

use crate::args::{Format, Global};
use crate::failure::Failure;
use crate::text::tame;

/// Where and how a command prints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    format: Format,
    /// Whether progress may be shown.
    pub(crate) progress: bool,
    /// Whether a person can be asked.
    pub(crate) interactive: bool,
}

impl Output {
    /// Follows the global flags and what the standard streams are.
    pub(crate) fn new(global: &Global) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            format: global.output,
            progress: terminal && !global.no_progress,
            interactive: terminal && std::io::stdin().is_terminal(),
        }
    }

    /// Whether results are printed for programs.
    pub(crate) fn is_json(&self) -> bool {
        matches!(self.format, Format::Json)
    }

    /// Prints a result, as JSON or for people.
    ///
    /// # Errors
    /// [`Failure::Output`] where standard output cannot be written.
    pub(crate) fn result(
        &self,
        json: impl FnOnce() -> Value,
        table: impl FnOnce() -> String,
    ) -> Result<(), Failure> {
        match self.format {
            Format::Json => write_out(&format!("{:#}", json())),
            Format::Table => write_out(table().trim_end_matches('\n')),
        }
    }

    /// Prints a line of result, whatever the format.
    ///
    /// # Errors
    /// [`Failure::Output`] where standard output cannot be written.
    pub(crate) fn line(&self, text: &str) -> Result<(), Failure> {
        write_out(text)
    }

    /// Standard output for a result that is written bit by bit, whatever the
    /// format; it is flushed by whoever writes.
    pub(crate) fn document(&self) -> BufWriter<Stdout> {
        BufWriter::new(std::io::stdout())
    }

    /// Says something beside the result.
    pub(crate) fn note(&self, text: &str) {
        write_err(text);
    }

    /// Says that something is not as it should be.
    pub(crate) fn warning(&self, text: &str) {
        write_err(&format!("warning: {}", tame(text)));
    }

    /// Asks a person; the answer without its end of line, empty where there is
    /// none.
    pub(crate) fn ask(&self, question: &str) -> String {
        let mut error = std::io::stderr().lock();
        let shown = write!(error, "{question} ").and_then(|()| error.flush());
        let mut answer = String::new();
        match shown.and_then(|()| std::io::stdin().lock().read_line(&mut answer)) {
            Ok(_) => answer.trim().to_owned(),
            Err(_) => String::new(),
        }
    }
}

/// Says why a command ended early.
pub(crate) fn failure(failure: &Failure) {
    let reason = failure
        .reason()
        .map_or_else(String::new, |reason| format!(" [{}]", tame(reason)));
    write_err(&format!("error: {}{reason}", tame(&failure.to_string())));
    for violation in failure.violations() {
        write_err(&format!("  {}", tame(&violation)));
    }
    if let Some(hint) = failure.hint() {
        write_err(&format!("hint: {hint}"));
    }
}

/// Says why one of the commands that run a server ended early.
pub(crate) fn report(error: &anyhow::Error) {
    write_err(&format!(
        "error: {}",
        tame(&runtime::status::chain(&**error))
    ));
}

fn write_out(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{text}").and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(Failure::Output(error)),
        _ => Ok(()),
    }
}

fn write_err(text: &str) {
    // Where standard error is gone too, nobody is left to tell.
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
