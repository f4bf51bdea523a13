//! What can go wrong in the snapshotter, as kinds and reasons.

use graph::GraphError;
use model::ErrorKind;
use model::error::reason;
use proto::convert::InvalidMessage;
use proto::name::InvalidName;
use runtime::credentials::CredentialError;
use runtime::page::PageError;
use runtime::status::{Fault, Remote, parse};
use store::{KeyError, StoreError};

use crate::guarded::ChangeError;

/// An error of the snapshotter.
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
    /// The differ.
    #[error(transparent)]
    Differ(#[from] Remote),
    /// The tenant's credential.
    #[error("the credential of the reader application cannot be used")]
    Credential(#[source] CredentialError),
    /// The tenant names hosts of its own, and this server does not allow it.
    #[error("the tenant has graph or login hosts of its own, which this server does not allow")]
    CustomCloud,
    /// No active P1 or P2.
    #[error("the tenant may not be backed up: {found}")]
    Licence {
        /// What was found in place of one.
        found: String,
    },
    /// Nothing of the tenant could be read.
    #[error("no type could be read completely: {0}")]
    NothingRead(String),
    /// The tenant is suspended.
    #[error("the tenant is suspended")]
    Suspended,
    /// A hold without a reason, or with a story.
    #[error("a hold needs a reason of 1 to 200 characters")]
    NoHoldReason,
    /// An erasure that nobody confirmed.
    #[error("to erase a tenant, its id or its name must be given once more")]
    NotConfirmed,
    /// Copies have nowhere to go.
    #[error("this server has no store for copies: REWIND_COPY_URL is not set")]
    NoCopyStore,
    /// Signals have nowhere to go.
    #[error("the tenant has no webhook that signals could be sent to")]
    NoWebhook,
    /// The collector of log records.
    #[error("the collector of log records cannot be told: {0}")]
    Collector(String),
    /// No such snapshot.
    #[error("the tenant has no snapshot {0}")]
    NoSnapshot(String),
    /// A guarded change.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// A stored signal cannot be read.
    #[error("signal {id} is damaged: {detail}")]
    DamagedSignal {
        /// The signal.
        id: String,
        /// What is wrong.
        detail: String,
    },
    /// A kept posture cannot be read.
    #[error("the posture after snapshot {snapshot} is damaged: {detail}")]
    DamagedPosture {
        /// The snapshot.
        snapshot: String,
        /// What is wrong.
        detail: String,
    },
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Differ(parse(&status))
    }
}

impl Error {
    /// Whether the tenant was erased, so that nothing of it can be read.
    pub(crate) fn is_of_an_erased_tenant(&self) -> bool {
        matches!(self, Self::Store(StoreError::Key(KeyError::Erased)))
    }
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Graph(error) => error.kind(),
            Self::Name(_) | Self::NoHoldReason | Self::NotConfirmed | Self::Request(_) => {
                ErrorKind::Invalid
            }
            Self::Page(error) => error.kind(),
            Self::Change(error) => error.kind(),
            Self::Differ(error) => error.kind(),
            Self::Credential(error) => error.kind(),
            Self::CustomCloud => ErrorKind::Denied,
            Self::Licence { .. } | Self::Suspended | Self::NoCopyStore | Self::NoWebhook => {
                ErrorKind::Denied
            }
            Self::NothingRead(_) | Self::Collector(_) => ErrorKind::Unavailable,
            Self::NoSnapshot(_) => ErrorKind::NotFound,
            Self::DamagedSignal { .. } | Self::DamagedPosture { .. } => ErrorKind::Corrupt,
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Store(error) => error.reason().0,
            Self::Graph(error) => error.reason(),
            Self::Name(_) | Self::NoHoldReason | Self::NotConfirmed | Self::Request(_) => {
                reason::INVALID_ARGUMENT
            }
            Self::Page(error) => error.reason(),
            Self::Change(error) => error.reason(),
            Self::Differ(error) => error.reason(),
            Self::Credential(error) => error.reason(),
            Self::CustomCloud => reason::CUSTOM_CLOUD_REFUSED,
            Self::Licence { .. } => reason::LICENCE_REQUIRED,
            Self::NothingRead(_) => reason::GRAPH_UNAVAILABLE,
            Self::Suspended => reason::PERMISSION_DENIED,
            Self::NoCopyStore => reason::NO_COPY_STORE,
            Self::NoWebhook => reason::NO_WEBHOOK,
            Self::Collector(_) => reason::BACKEND_UNAVAILABLE,
            Self::NoSnapshot(_) => reason::NOT_FOUND,
            Self::DamagedSignal { .. } | Self::DamagedPosture { .. } => reason::STORE_CORRUPT,
        }
    }
}
