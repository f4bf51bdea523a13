//! What can go wrong in the differ, as kinds and reasons.

use std::sync::Arc;

use graph::GraphError;
use model::ErrorKind;
use model::error::reason;
use proto::convert::InvalidMessage;
use proto::name::InvalidName;
use runtime::credentials::CredentialError;
use runtime::page::PageError;
use runtime::status::Fault;
use store::StoreError;

/// An error of the differ.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The vault.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Microsoft Graph.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A name in the request.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// Another field of the request.
    #[error(transparent)]
    Request(#[from] InvalidMessage),
    /// A page size or token in the request.
    #[error(transparent)]
    Page(#[from] PageError),
    /// The tenant's credential.
    #[error("the credential of the reader application cannot be used")]
    Credential(#[source] CredentialError),
    /// The tenant names hosts of its own, and this server does not allow it.
    #[error("the tenant has graph or login hosts of its own, which this server does not allow")]
    CustomCloud,
    /// A stored report cannot be read.
    #[error("report {id} is damaged: {detail}")]
    Damaged {
        /// The report.
        id: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A kept posture cannot be read.
    #[error("the posture after snapshot {snapshot} is damaged: {detail}")]
    DamagedPosture {
        /// The snapshot.
        snapshot: String,
        /// What is wrong with it.
        detail: String,
    },
    /// A load that several callers waited for.
    #[error(transparent)]
    Shared(Arc<Error>),
    /// The comparison ended without a result.
    #[error("the comparison was given up")]
    GivenUp,
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Graph(error) => error.kind(),
            Self::Name(_) | Self::Request(_) => ErrorKind::Invalid,
            Self::Page(error) => error.kind(),
            Self::Credential(error) => error.kind(),
            Self::CustomCloud => ErrorKind::Denied,
            Self::Damaged { .. } | Self::DamagedPosture { .. } => ErrorKind::Corrupt,
            Self::Shared(error) => error.kind(),
            Self::GivenUp => ErrorKind::Internal,
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Store(error) => error.reason().0,
            Self::Graph(error) => error.reason(),
            Self::Name(_) | Self::Request(_) => reason::INVALID_ARGUMENT,
            Self::Page(error) => error.reason(),
            Self::Credential(error) => error.reason(),
            Self::CustomCloud => reason::CUSTOM_CLOUD_REFUSED,
            Self::Damaged { .. } | Self::DamagedPosture { .. } => reason::STORE_CORRUPT,
            Self::Shared(error) => error.reason(),
            Self::GivenUp => reason::INTERNAL,
        }
    }
}
