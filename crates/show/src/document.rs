//! A difference report as one document, for other programs or for a person to mail.
//!
//! Owns the formats: each takes a report's changes one by one, in order, so that a
//! report of any size takes the memory of one change.

mod html;
mod json;
mod patch;
mod rows;
mod tally;

pub use html::Page;
pub use json::Json;
pub use patch::Lines;
pub use rows::Rows;
pub use tally::{Summary, Tally, TypeTally};

use proto::v1;

use crate::compare::{direction, value};

/// Why a document cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It could not be put where it goes.
    #[error("the document cannot be written: {0}")]
    Output(#[source] std::io::Error),
    /// The report holds something that is not as the contract says.
    #[error("the report cannot be understood: {0}")]
    NotUnderstood(&'static str),
}

/// A document that is being written.
pub trait Document {
    /// Takes the next object that differs.
    ///
    /// # Errors
    /// [`Error::Output`]; [`Error::NotUnderstood`] where the change cannot be understood.
    fn change(&mut self, change: &v1::Change) -> Result<(), Error>;

    /// Writes what follows the last one.
    ///
    /// # Errors
    /// [`Error::Output`].
    fn finish(self: Box<Self>) -> Result<(), Error>;
}

/// An enum's name as other programs read it: `soft_deleted`.
fn key(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix)
        .unwrap_or(name)
        .to_ascii_lowercase()
}
