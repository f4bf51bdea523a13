//! The report and all its changes as one JSON document, as `diff show` prints
//! them for programs.

use std::io::Write;

use proto::json::to_json;
use proto::v1;

use super::Document;
use crate::failure::Failure;

/// A document with a line for each change.
pub(super) struct Json<W> {
    out: W,
    /// What stands before the next change.
    separator: &'static str,
}

impl<W: Write> Json<W> {
    /// Writes what comes before the first change.
    ///
    /// # Errors
    /// [`Failure::Output`].
    pub(super) fn begin(report: &v1::Report, mut out: W) -> Result<Self, Failure> {
        let report = to_json("Report", report);
        write!(out, "{{\"report\":{report},\n\"changes\":[").map_err(Failure::Output)?;
        Ok(Self {
            out,
            separator: "\n",
        })
    }
}

impl<W: Write> Document for Json<W> {
    fn change(&mut self, change: &v1::Change) -> Result<(), Failure> {
        let separator = std::mem::replace(&mut self.separator, ",\n");
        let change = to_json("Change", change);
        write!(self.out, "{separator}{change}").map_err(Failure::Output)
    }

    fn finish(mut self: Box<Self>) -> Result<(), Failure> {
        writeln!(self.out, "\n]}}").map_err(Failure::Output)
    }
}
