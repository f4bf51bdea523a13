//! Where a document is written: standard output, or a file.
//!
//! Owns that a file appears when it is whole and not before, that only its owner
//! may read it, and that none is overwritten.

use std::io::{self, BufWriter, Stdout, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::failure::Failure;
use crate::output::Output;

/// Where a document is written.
pub(super) enum Sink {
    /// Standard output.
    Output(BufWriter<Stdout>),
    /// A file beside the place where it will be.
    File(BufWriter<NamedTempFile>, PathBuf),
}

impl Sink {
    /// Begins a document.
    ///
    /// # Errors
    /// [`Failure::Usage`] where the path names no file; [`Failure::Local`] where
    /// none can be made beside it.
    pub(super) fn open(to: Option<&Path>, output: &Output) -> Result<Self, Failure> {
        let Some(path) = to else {
            return Ok(Self::Output(output.document()));
        };
        let Some(name) = path.file_name() else {
            return Err(Failure::usage("--to takes the path of a file"));
        };
        let mut prefix = name.to_owned();
        prefix.push(".");
        let folder = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty());
        // Only its owner may read it: that is how the crate makes files.
        let file = tempfile::Builder::new()
            .prefix(&prefix)
            .suffix(".part")
            .tempfile_in(folder.unwrap_or_else(|| Path::new(".")))
            .map_err(|error| unwritten(path, error))?;
        Ok(Self::File(BufWriter::new(file), path.to_owned()))
    }

    /// Ends the document, which is in its place from now on.
    ///
    /// # Errors
    /// [`Failure::Output`] where it cannot be written; [`Failure::Local`] where
    /// something took the place of the file meanwhile.
    pub(super) fn finish(self) -> Result<(), Failure> {
        match self {
            Self::Output(mut out) => out.flush().map_err(Failure::Output),
            Self::File(file, path) => {
                let file = file.into_inner().map_err(|error| error.into_error());
                let file = file.map_err(Failure::Output)?;
                file.as_file().sync_all().map_err(Failure::Output)?;
                let placed = file.persist_noclobber(&path);
                placed.map_err(|error| unwritten(&path, error.error))?;
                Ok(())
            }
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Output(out) => out.write(bytes),
            Self::File(file, _) => file.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Output(out) => out.flush(),
            Self::File(file, _) => file.flush(),
        }
    }
}

/// Checks that nothing is in the place of a file, before anybody is called.
///
/// # Errors
/// [`Failure::Usage`] where something is, even a link that leads nowhere.
pub(super) fn must_be_free(path: &Path) -> Result<(), Failure> {
    if path.symlink_metadata().is_ok() {
        return Err(Failure::usage(format!(
            "{} is there already; an export overwrites nothing",
            path.display()
        )));
    }
    Ok(())
}

/// A failure to write, with the file that was to be written.
pub(super) fn named(failure: Failure, to: Option<&Path>) -> Failure {
    match (failure, to) {
        (Failure::Output(source), Some(path)) => unwritten(path, source),
        (failure, _) => failure,
    }
}

fn unwritten(path: &Path, source: io::Error) -> Failure {
    Failure::Local {
        context: format!("{} cannot be written", path.display()),
        source,
    }
}
