//! What can go wrong in the vault, and what that means for the caller.

use std::time::Duration;

use chrono::{DateTime, Utc};
use model::error::reason;
use model::{ErrorKind, Reason};

/// An error of the vault.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The object store did not answer, or with an error.
    #[error("the object store cannot serve {path}")]
    Unavailable {
        /// The key that was asked for.
        path: String,
        /// What the store said.
        source: Box<object_store::Error>,
    },
    /// The thing named is not in the vault.
    #[error("{what} does not exist")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// Somebody created the thing first.
    #[error("{what} exists already")]
    Exists {
        /// What was to be created.
        what: String,
    },
    /// Somebody changed the thing since it was read.
    #[error("{what} was changed by another writer")]
    Changed {
        /// What was to be changed.
        what: String,
    },
    /// Another process holds the slot.
    #[error("slot {slot} is held by {holder} until {until}")]
    SlotTaken {
        /// The slot.
        slot: String,
        /// Who holds it.
        holder: String,
        /// When the claim expires.
        until: DateTime<Utc>,
    },
    /// Nobody can commit the slot any more.
    #[error("slot {slot} was given up while it was worked on")]
    GivenUp {
        /// The slot.
        slot: String,
    },
    /// A stored file is missing, changed, foreign or of an unknown format.
    #[error("stored file {path} is damaged: {detail}")]
    Corrupt {
        /// The file.
        path: String,
        /// What is wrong, and what it touches.
        detail: String,
    },
    /// The key that opens the tenant's data cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The store that is to hold the copies is the one that is to be copied.
    #[error("the copies would lie in the store that is to be copied")]
    SameStore,
    /// It happened to the copy, not to what is copied.
    #[error("in the copy: {0}")]
    InCopy(#[source] Box<StoreError>),
    /// A defect of this program.
    #[error("{0}")]
    Internal(String),
}

/// Why a key cannot be had. Never carries key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The key-encryption key is not the one that the data key was wrapped with.
    #[error("the tenant's data key cannot be opened with this wrapping key")]
    Refused,
    /// No tenant's data key opens: the key-encryption key is another installation's,
    /// or one from before a re-wrapping.
    #[error(
        "the wrapping key opens none of the tenants' data keys: it is not the one that they were wrapped with"
    )]
    Foreign,
    /// There is no data key, though nobody erased it.
    #[error("the tenant has no data key")]
    Absent,
    /// The tenant was erased: its data key was deleted on purpose.
    #[error("the tenant was erased: its data key was deleted, and nothing of it can be read")]
    Erased,
    /// The key file cannot be read.
    #[error("the key file cannot be read: {0}")]
    Unreadable(std::io::ErrorKind),
    /// The key file does not hold a key.
    #[error("the key file does not hold 32 bytes, in base64 or as they are")]
    Malformed,
    /// The holder of the key-encryption key does not answer.
    #[error("the key holder cannot be reached: {0}")]
    Unreachable(String),
    /// The holder of the key-encryption key asks to wait for longer than the call may last.
    #[error("Key Vault {vault} is asked too often")]
    Throttled {
        /// The vault's host.
        vault: String,
        /// How long to wait, where it said so.
        retry_after: Option<Duration>,
    },
    /// The service gets no token for the holder of the key-encryption key.
    #[error("the service cannot sign in to Key Vault {vault}: {why}")]
    SignIn {
        /// The vault's host.
        vault: String,
        /// Why not.
        why: String,
    },
    /// The service may not use the key-encryption key.
    #[error(
        "Key Vault {vault} does not let the service use the key: the permission {permission} is missing, on the identity or on the key"
    )]
    NotAllowed {
        /// The vault's host.
        vault: String,
        /// What it lacks.
        permission: &'static str,
    },
    /// The key-encryption key is there for nobody.
    #[error("the key in Key Vault {vault} cannot be used: {why}")]
    Unusable {
        /// The vault's host.
        vault: String,
        /// Why not.
        why: &'static str,
    },
}

impl StoreError {
    /// What the error means for the caller's next move.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unavailable { .. } => ErrorKind::Unavailable,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Exists { .. }
            | Self::Changed { .. }
            | Self::SlotTaken { .. }
            | Self::GivenUp { .. } => ErrorKind::Conflict,
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Key(KeyError::Throttled { retry_after, .. }) => ErrorKind::Throttled {
                retry_after: *retry_after,
            },
            Self::Key(
                KeyError::Refused
                | KeyError::Foreign
                | KeyError::Absent
                | KeyError::Erased
                | KeyError::SignIn { .. }
                | KeyError::NotAllowed { .. }
                | KeyError::Unusable { .. },
            ) => ErrorKind::Denied,
            Self::Key(KeyError::Unreadable(_) | KeyError::Unreachable(_)) => ErrorKind::Unavailable,
            Self::Key(KeyError::Malformed) | Self::Invalid(_) | Self::SameStore => {
                ErrorKind::Invalid
            }
            Self::InCopy(error) => error.kind(),
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    /// The stable word that clients match on.
    #[must_use]
    pub fn reason(&self) -> Reason {
        Reason(match self {
            Self::Unavailable { .. } => reason::STORE_UNAVAILABLE,
            Self::NotFound { .. } => reason::NOT_FOUND,
            Self::Exists { .. } => reason::ALREADY_EXISTS,
            Self::Changed { .. } | Self::GivenUp { .. } => reason::CONFLICT,
            Self::SlotTaken { .. } => reason::SLOT_TAKEN,
            Self::Corrupt { .. } => reason::STORE_CORRUPT,
            Self::Key(KeyError::Erased) => reason::KEY_ERASED,
            Self::Key(_) => reason::KEY_UNAVAILABLE,
            Self::Invalid(_) => reason::INVALID_ARGUMENT,
            Self::SameStore => reason::NO_COPY_STORE,
            Self::InCopy(error) => return error.reason(),
            Self::Internal(_) => reason::INTERNAL,
        })
    }

    pub(crate) fn corrupt(path: impl Into<String>, detail: impl std::fmt::Display) -> Self {
        Self::Corrupt {
            path: path.into(),
            detail: detail.to_string(),
        }
    }

    pub(crate) fn in_copy(self) -> Self {
        Self::InCopy(Box::new(self))
    }

    pub(crate) fn unavailable(path: impl Into<String>, source: object_store::Error) -> Self {
        Self::Unavailable {
            path: path.into(),
            source: Box::new(source),
        }
    }
}

#[cfg(test)]
mod tests;
