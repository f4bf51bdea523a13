//! References to credentials, and what they lead to.
//!
//! Owns the form `env:NAME` and `file:PATH`, which names and paths are allowed,
//! and the reading of what they point at. The content never appears in an
//! error, in `Debug` or in a log. A program that only registers references
//! parses them and must never resolve them.

use crate::config::Source;
use crate::status::Fault;
use model::ErrorKind;
use model::error::reason;
use secrecy::SecretString;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// The largest file that is taken for a credential.
const MAX_FILE: u64 = 64 * 1024;

/// Whose credential it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of the application that reads a tenant.
    Reader,
    /// Of the application that writes to a tenant.
    Writer,
}

impl Kind {
    /// What the name of an environment variable of this kind begins with.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Reader => "REWIND_CREDENTIAL_READER_",
            Self::Writer => "REWIND_CREDENTIAL_WRITER_",
        }
    }
}

/// Why a reference leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// It is no reference; its text may be a secret and is not shown.
    #[error("a credential is given as env:NAME or file:PATH, never as its value")]
    Malformed,
    /// The name does not begin as it must; its text may be a secret and is not shown.
    #[error(
        "the environment name of this credential must begin with {prefix} and go on with capital letters, digits or underscores"
    )]
    ForeignName {
        /// What it must begin with.
        prefix: &'static str,
    },
    /// The path leads out of the directory.
    #[error(
        "the file of this credential must lie below the directory that REWIND_CREDENTIALS_DIR names"
    )]
    Outside,
    /// There is nothing to be had.
    #[error("credential {reference} {detail}")]
    Missing {
        /// The reference, which is no secret.
        reference: String,
        /// What is wrong.
        detail: &'static str,
    },
}

impl Fault for CredentialError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Malformed => ErrorKind::Invalid,
            Self::ForeignName { .. } | Self::Outside => ErrorKind::Denied,
            Self::Missing { .. } => ErrorKind::NotFound,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Malformed => reason::INVALID_ARGUMENT,
            Self::ForeignName { .. } | Self::Outside => reason::CREDENTIAL_REFERENCE_REFUSED,
            Self::Missing { .. } => reason::NOT_FOUND,
        }
    }
}

/// Where a credential is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialReference {
    /// In an environment variable of the service that uses it.
    Env(String),
    /// In a file that the service that uses it can read. A relative path counts
    /// from the credentials directory.
    File(PathBuf),
}

impl CredentialReference {
    /// Reads the form without looking at what it leads to.
    ///
    /// # Errors
    /// Invalid where it is no reference, Denied where it could never be allowed
    /// for this kind.
    pub fn parse(kind: Kind, text: &str) -> Result<Self, CredentialError> {
        if let Some(name) = text.strip_prefix("env:") {
            let rest = name.strip_prefix(kind.prefix()).unwrap_or_default();
            let fits = !rest.is_empty()
                && rest
                    .bytes()
                    .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_');
            return if fits {
                Ok(Self::Env(name.to_owned()))
            } else {
                Err(CredentialError::ForeignName {
                    prefix: kind.prefix(),
                })
            };
        }
        let path = text
            .strip_prefix("file:")
            .filter(|path| !path.is_empty() && !path.contains('\0'))
            .ok_or(CredentialError::Malformed)?;
        let path = PathBuf::from(path);
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(CredentialError::Outside);
        }
        Ok(Self::File(path))
    }
}

/// Resolves the references of one kind.
#[derive(Clone)]
pub struct Credentials {
    kind: Kind,
    dir: Option<PathBuf>,
    source: Arc<dyn Source>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("kind", &self.kind)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Resolves names from the source and files below the directory; without a
    /// directory no file is allowed.
    #[must_use]
    pub fn new(kind: Kind, dir: Option<PathBuf>, source: Arc<dyn Source>) -> Self {
        Self { kind, dir, source }
    }

    /// Reads what a reference leads to, without its last line break. It is read
    /// anew on every call, so that a rotated secret is seen.
    ///
    /// # Errors
    /// Invalid or Denied where the reference is not allowed, NotFound where it
    /// leads to nothing.
    pub fn resolve(&self, reference: &str) -> Result<SecretString, CredentialError> {
        let missing = |detail| CredentialError::Missing {
            reference: reference.to_owned(),
            detail,
        };
        let value = match CredentialReference::parse(self.kind, reference)? {
            CredentialReference::Env(name) => self
                .source
                .get(&name)
                .ok_or_else(|| missing("is not set"))?,
            CredentialReference::File(path) => self.read(&path)?.map_err(missing)?,
        };
        let value = value.strip_suffix('\n').map_or(value.as_str(), |rest| {
            rest.strip_suffix('\r').unwrap_or(rest)
        });
        if value.is_empty() {
            Err(missing("is empty"))
        } else {
            Ok(SecretString::from(value))
        }
    }

    /// Reads a file below the directory. Whether a file outside exists is not told.
    fn read(&self, path: &Path) -> Result<Result<String, &'static str>, CredentialError> {
        let dir = self.dir.as_ref().ok_or(CredentialError::Outside)?;
        let root = dir.canonicalize().map_err(|_| CredentialError::Outside)?;
        let path = dir.join(path);
        if !path.starts_with(dir) && !path.starts_with(&root) {
            return Err(CredentialError::Outside);
        }
        let Ok(real) = path.canonicalize() else {
            return Ok(Err("does not exist"));
        };
        if !real.starts_with(&root) {
            return Err(CredentialError::Outside);
        }
        Ok(read_small(&real))
    }
}

fn read_small(path: &Path) -> Result<String, &'static str> {
    let size = path.metadata().map_err(|_| "cannot be read")?;
    if !size.is_file() || size.len() > MAX_FILE {
        return Err("is no file or too large");
    }
    std::fs::read_to_string(path).map_err(|_| "cannot be read as text")
}

#[cfg(test)]
mod tests;
