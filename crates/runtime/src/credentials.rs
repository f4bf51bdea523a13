//! References to credentials, and what they lead to.
//!
//! Owns the forms `env:NAME`, `file:PATH` and `workload-identity`, which names
//! and paths are allowed, and the reading of what they point at. The content
//! never appears in an error, in `Debug` or in a log. A program that only
//! registers references parses them and must never resolve them.

mod error;
mod installed;

use crate::config::Source;
use model::{Application, Proof, ProofKind};
use secrecy::SecretString;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

pub use error::CredentialError;
pub use installed::Installed;

/// The reference to the token that the platform mounts for the service itself.
pub const WORKLOAD_IDENTITY: &str = "workload-identity";

/// The largest file that is taken for a credential.
const MAX_FILE: u64 = 64 * 1024;

/// Whose credential it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Of the application that reads a tenant.
    Reader,
    /// Of the application that writes to a tenant.
    Writer,
    /// What signals are signed with for a webhook.
    Webhook,
}

impl Kind {
    /// What the name of an environment variable of this kind begins with.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Reader => "REWIND_CREDENTIAL_READER_",
            Self::Writer => "REWIND_CREDENTIAL_WRITER_",
            Self::Webhook => "REWIND_CREDENTIAL_WEBHOOK_",
        }
    }

    /// What people call what it is for.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Writer => "writer",
            Self::Webhook => "webhook",
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
    /// In the file that the platform mounts for the service that uses it.
    WorkloadIdentity,
}

impl CredentialReference {
    /// Reads the form without looking at what it leads to.
    ///
    /// A secret is in a variable or a file, a certificate in a file, a federated
    /// token in a file or where the platform mounts it.
    ///
    /// # Errors
    /// Invalid where it is no reference, Denied where it could never be allowed
    /// for this kind.
    pub fn parse(kind: Kind, proof: &Proof) -> Result<Self, CredentialError> {
        let malformed = || CredentialError::Malformed { proof: proof.kind };
        let text = proof.reference.as_str();
        if text == WORKLOAD_IDENTITY && proof.kind == ProofKind::FederatedToken {
            return Ok(Self::WorkloadIdentity);
        }
        if let Some(name) = text.strip_prefix("env:") {
            if proof.kind != ProofKind::Secret {
                return Err(malformed());
            }
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
            .ok_or_else(malformed)?;
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
    installed: Installed,
    source: Arc<dyn Source>,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("kind", &self.kind)
            .field("dir", &self.dir)
            .field("installed", &self.installed)
            .finish_non_exhaustive()
    }
}

/// An application that can sign in.
pub struct SigningIn {
    /// The application's client id.
    pub client_id: String,
    /// How it proves itself.
    pub proof: Proof,
    /// Reads what the reference leads to, anew at each call; or says in words
    /// why that cannot be done.
    pub read: Arc<dyn Fn() -> Result<SecretString, String> + Send + Sync>,
}

impl std::fmt::Debug for SigningIn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SigningIn")
            .field("client_id", &self.client_id)
            .field("proof", &self.proof)
            .finish_non_exhaustive()
    }
}

impl Credentials {
    /// Resolves names from the source and files below the directory; without a
    /// directory no file is allowed.
    #[must_use]
    pub fn new(
        kind: Kind,
        dir: Option<PathBuf>,
        installed: Installed,
        source: Arc<dyn Source>,
    ) -> Self {
        Self {
            kind,
            dir,
            installed,
            source,
        }
    }

    /// Prepares an application to sign in. What its reference leads to is read
    /// once, so that a wrong one is told at once.
    ///
    /// # Errors
    /// Invalid or Denied where the reference is not allowed or leads to nothing.
    pub fn sign_in(&self, application: &Application) -> Result<SigningIn, CredentialError> {
        let (client_id, proof) = match application {
            Application::Own { client_id, proof } => (client_id, proof),
            Application::Installation => {
                let installed = self.installed.application.as_ref();
                let (client_id, proof) =
                    installed.ok_or(CredentialError::NotInstalled { kind: self.kind })?;
                (client_id, proof)
            }
        };
        self.resolve(proof)?;
        let (credentials, wanted) = (self.clone(), proof.clone());
        Ok(SigningIn {
            client_id: client_id.clone(),
            proof: proof.clone(),
            read: Arc::new(move || {
                credentials
                    .resolve(&wanted)
                    .map_err(|error| error.to_string())
            }),
        })
    }

    /// Reads what a reference leads to, without its last line break. It is read
    /// anew on every call, so that a rotated secret is seen.
    ///
    /// # Errors
    /// Invalid or Denied where the reference is not allowed or leads to nothing.
    pub fn resolve(&self, proof: &Proof) -> Result<SecretString, CredentialError> {
        let missing = |detail| CredentialError::Missing {
            reference: proof.reference.clone(),
            detail,
        };
        let value = match CredentialReference::parse(self.kind, proof)? {
            CredentialReference::Env(name) => self
                .source
                .get(&name)
                .ok_or_else(|| missing("is not set"))?,
            CredentialReference::File(path) => self.read(&path)?.map_err(missing)?,
            CredentialReference::WorkloadIdentity => {
                let path = self.installed.token_file.as_deref();
                let path = path.ok_or_else(|| missing("has no token file in this service"))?;
                read_small(path).map_err(missing)?
            }
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
