//! The report and all its changes as one JSON document, as `diff show` prints
//! them for programs.

use std::io::Write;

use proto::json::to_json;
use proto::v1;

use super::{Document, Error};

/// A document with a line for each change.
pub struct Json<W> {
    out: W,
    /// What stands before the next change.
    separator: &'static str,
}

impl<W: Write> Json<W> {
    /// Writes what comes before the first change.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn begin(report: &v1::Report, mut out: W) -> Result<Self, Error> {
        let report = to_json("Report", report);
        write!(out, "{{\"report\":{report},\n\"changes\":[").map_err(Error::Output)?;
        Ok(Self {
            out,
            separator: "\n",
        })
    }
}

impl<W: Write> Document for Json<W> {
    fn change(&mut self, change: &v1::Change) -> Result<(), Error> {
        let separator = std::mem::replace(&mut self.separator, ",\n");
        let change = to_json("Change", change);
        write!(self.out, "{separator}{change}").map_err(Error::Output)
    }

    fn finish(mut self: Box<Self>) -> Result<(), Error> {
        writeln!(self.out, "\n]}}").map_err(Error::Output)
    }
}
