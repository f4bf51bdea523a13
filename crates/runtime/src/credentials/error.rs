//! Why a reference to a credential leads nowhere.
//!
//! No text here repeats what a reference leads to, nor one that may be a secret
//! itself.

use super::Kind;
use crate::status::Fault;
use model::error::reason;
use model::{ErrorKind, ProofKind};

/// Why a reference leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// It is no reference; its text may be a secret and is not shown.
    #[error("a {} is given as {}, never as its value", .proof.name(), forms(*.proof))]
    Malformed {
        /// What it should lead to.
        proof: ProofKind,
    },
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
    /// The installation has no application of its own.
    #[error(
        "this service has no {} application for all tenants: its REWIND_{}_CLIENT_ID is not set",
        .kind.name(), .kind.name().to_uppercase()
    )]
    NotInstalled {
        /// Which one.
        kind: Kind,
    },
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
            Self::Malformed { .. } => ErrorKind::Invalid,
            Self::ForeignName { .. }
            | Self::Outside
            | Self::NotInstalled { .. }
            | Self::Missing { .. } => ErrorKind::Denied,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => reason::INVALID_ARGUMENT,
            Self::ForeignName { .. } | Self::Outside => reason::CREDENTIAL_REFERENCE_REFUSED,
            Self::NotInstalled { .. } | Self::Missing { .. } => reason::CREDENTIAL_UNUSABLE,
        }
    }
}

/// How a reference to it may look.
fn forms(proof: ProofKind) -> &'static str {
    match proof {
        ProofKind::Secret => "env:NAME or file:PATH",
        ProofKind::Certificate => "file:PATH",
        ProofKind::FederatedToken => "workload-identity or file:PATH",
    }
}
