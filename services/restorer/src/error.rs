//! What can go wrong in the restorer, as kinds and reasons.

use graph::GraphError;
use model::ErrorKind;
use model::error::reason;
use proto::convert::InvalidMessage;
use proto::name::InvalidName;
use runtime::credentials::CredentialError;
use runtime::page::PageError;
use runtime::status::{Fault, Remote, parse};
use store::StoreError;

/// An error of the restorer.
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
    #[error("the credential of the writer application cannot be used")]
    Credential(#[source] CredentialError),
    /// The tenant names hosts of its own, and this server does not allow it.
    #[error("the tenant has graph or login hosts of its own, which this server does not allow")]
    CustomCloud,
    /// The tenant has no writer application.
    #[error("the tenant has no writer application, so nothing can be restored")]
    NoWriter,
    /// The tenant is suspended, or was offboarded.
    #[error("the tenant is suspended")]
    Suspended,
    /// A stored document cannot be read.
    #[error("restore {id} is damaged: {detail}")]
    Damaged {
        /// The plan and restore.
        id: String,
        /// What is wrong.
        detail: String,
    },
    /// Somebody cancelled the restore, so its plan is not applied any more.
    #[error("restore {id} was cancelled; make another plan")]
    Cancelled {
        /// The plan and restore.
        id: String,
    },
    /// Only what has ended can be undone.
    #[error("restore {id} has not ended: resume or cancel it before it is undone")]
    NotEnded {
        /// The plan and restore.
        id: String,
    },
    /// The policies of the plan would bind accounts that must keep their way in.
    #[error(
        "the tenant's break-glass accounts were changed since plan {id} was made; make another plan"
    )]
    BreakGlassChanged {
        /// The plan.
        id: String,
    },
    /// A tenant has one restore at a time.
    #[error(
        "restore {other} of the tenant has begun and not ended: wait for it, resume it or cancel it"
    )]
    InProgress {
        /// The other plan and restore.
        other: String,
    },
    /// A part of the tenant cannot be read, without which nothing can be planned.
    #[error("{0}")]
    Unread(String),
    /// The same, for want of a permission.
    #[error("{0}")]
    MayNotRead(String),
    /// What was chosen for an object that policies name is not followed.
    #[error("{0}")]
    Reference(String),
    /// Another process writes the same journal.
    #[error("restore {id} is being applied by another process")]
    AppliedElsewhere {
        /// The plan and restore.
        id: String,
    },
    /// The plan needs a second person, and nobody has agreed to it.
    #[error("plan {id} needs the approval of a second person: {reasons}")]
    ApprovalRequired {
        /// The plan.
        id: String,
        /// Why.
        reasons: String,
    },
    /// The approval was given too long ago.
    #[error("the approval of plan {id} by {approver} counted until {until}")]
    ApprovalExpired {
        /// The plan.
        id: String,
        /// Who gave it.
        approver: String,
        /// Until when it counted.
        until: String,
    },
    /// The approval is for another plan than the one that is stored.
    #[error("{approval} is for another version of plan {id} than the one that is stored")]
    ApprovalStale {
        /// The plan.
        id: String,
        /// Which approval.
        approval: String,
    },
    /// The author of a plan is no second person.
    #[error("plan {id} was made by {author}, who cannot approve it")]
    OwnPlan {
        /// The plan.
        id: String,
        /// Who made it, and calls.
        author: String,
    },
    /// A call that says nothing of its caller cannot approve anything.
    #[error("the call names no caller; approvals go through the gateway")]
    NoCaller,
    /// Nobody knows who made the plan, so that nobody can be a second person.
    #[error("plan {id} does not say who made it, so nobody can approve it; make it anew")]
    NoAuthor {
        /// The plan.
        id: String,
    },
}

impl From<tonic::Status> for Error {
    fn from(status: tonic::Status) -> Self {
        Self::Differ(parse(&status))
    }
}

impl Fault for Error {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Store(error) => error.kind(),
            Self::Graph(error) => error.kind(),
            Self::Name(_) | Self::Request(_) => ErrorKind::Invalid,
            Self::Page(error) => error.kind(),
            Self::Differ(error) => error.kind(),
            Self::Credential(error) => error.kind(),
            Self::CustomCloud => ErrorKind::Denied,
            Self::NoWriter | Self::Suspended => ErrorKind::Denied,
            Self::Damaged { .. } => ErrorKind::Corrupt,
            Self::ApprovalRequired { .. } | Self::OwnPlan { .. } | Self::NoCaller => {
                ErrorKind::Denied
            }
            Self::AppliedElsewhere { .. }
            | Self::ApprovalExpired { .. }
            | Self::ApprovalStale { .. }
            | Self::Cancelled { .. }
            | Self::NotEnded { .. }
            | Self::InProgress { .. }
            | Self::BreakGlassChanged { .. }
            | Self::NoAuthor { .. } => ErrorKind::Conflict,
            Self::Reference(_) => ErrorKind::Invalid,
            Self::Unread(_) => ErrorKind::Unavailable,
            Self::MayNotRead(_) => ErrorKind::Denied,
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Store(error) => error.reason().0,
            Self::Graph(error) => error.reason(),
            Self::Name(_) | Self::Request(_) => reason::INVALID_ARGUMENT,
            Self::Page(error) => error.reason(),
            Self::Differ(error) => error.reason(),
            Self::Credential(error) => error.reason(),
            Self::CustomCloud => reason::CUSTOM_CLOUD_REFUSED,
            Self::NoWriter => reason::CONSENT_MISSING,
            Self::Damaged { .. } => reason::STORE_CORRUPT,
            Self::AppliedElsewhere { .. } | Self::NotEnded { .. } => reason::CONFLICT,
            Self::Cancelled { .. } => reason::RESTORE_CANCELLED,
            Self::InProgress { .. } => reason::RESTORE_IN_PROGRESS,
            Self::Reference(_) => reason::UNRESOLVED_REFERENCE,
            Self::Unread(_) => reason::GRAPH_UNEXPECTED,
            Self::MayNotRead(_) => reason::CONSENT_MISSING,
            Self::ApprovalRequired { .. } => reason::APPROVAL_REQUIRED,
            Self::ApprovalExpired { .. } => reason::APPROVAL_EXPIRED,
            Self::ApprovalStale { .. } => reason::APPROVAL_STALE,
            Self::OwnPlan { .. } => reason::APPROVAL_OF_OWN_PLAN,
            Self::NoCaller | Self::Suspended => reason::PERMISSION_DENIED,
            Self::NoAuthor { .. } | Self::BreakGlassChanged { .. } => reason::PLAN_STALE,
        }
    }
}
