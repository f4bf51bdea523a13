//! Why a guarded change is not stored, agreed to or called off.

use model::ErrorKind;
use model::error::reason;
use runtime::status::Fault;

/// An error about a guarded change.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// A call that says nothing of its caller can neither ask nor agree.
    #[error("the call names no caller; guarded changes go through the gateway")]
    NoCaller,
    /// There is no such change.
    #[error("the tenant has no change {0}")]
    Missing(u32),
    /// Whoever asked is no second person.
    #[error("change {number} was asked for by {author}, who cannot approve it")]
    Own {
        /// The change.
        number: u32,
        /// Who asked for it, and calls.
        author: String,
    },
    /// What was read is not what is stored.
    #[error("the hash given is not that of change {0}: read it again")]
    OtherHash(u32),
    /// The time to agree is over.
    #[error("change {0} was not approved in time; ask for it anew")]
    Expired(u32),
    /// It has come to its end, or cannot be stopped any more.
    #[error("change {number} is {state} already")]
    Ended {
        /// The change.
        number: u32,
        /// What it is.
        state: &'static str,
    },
    /// The setting is another one by now.
    #[error("{0} was changed meanwhile; read the tenant again")]
    Moved(String),
    /// A setting in the request.
    #[error("settings: {0}")]
    Setting(String),
    /// A reason that is too long.
    #[error("reason: at most 200 visible characters are expected")]
    LongReason,
    /// The newest snapshot was not exported.
    #[error(
        "the newest snapshot {snapshot} was not exported: `rewind snapshot export --tenant {tenant} --snapshot {snapshot} --to FOLDER` does so"
    )]
    NotExported {
        /// The tenant.
        tenant: String,
        /// The snapshot.
        snapshot: String,
    },
    /// A held snapshot.
    #[error("snapshot {0} is held, or cannot be read and may be, so that the tenant is not erased")]
    Held(String),
    /// What is stored of a change cannot be read.
    #[error("change {number} is damaged: {detail}")]
    Damaged {
        /// The change.
        number: u32,
        /// What is wrong.
        detail: String,
    },
}

impl Fault for ChangeError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::NoCaller | Self::Own { .. } | Self::NotExported { .. } => ErrorKind::Denied,
            Self::Missing(_) => ErrorKind::NotFound,
            Self::OtherHash(_)
            | Self::Expired(_)
            | Self::Ended { .. }
            | Self::Moved(_)
            | Self::Held(_) => ErrorKind::Conflict,
            Self::Setting(_) | Self::LongReason => ErrorKind::Invalid,
            Self::Damaged { .. } => ErrorKind::Corrupt,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::NoCaller => reason::PERMISSION_DENIED,
            Self::Own { .. } => reason::APPROVAL_OF_OWN_PLAN,
            Self::NotExported { .. } => reason::EXPORT_REQUIRED,
            Self::Missing(_) => reason::NOT_FOUND,
            Self::OtherHash(_) => reason::APPROVAL_STALE,
            Self::Expired(_) => reason::APPROVAL_EXPIRED,
            Self::Ended { .. } => reason::CHANGE_ENDED,
            Self::Moved(_) => reason::CONFLICT,
            Self::Held(_) => reason::SNAPSHOT_HELD,
            Self::Setting(_) | Self::LongReason => reason::INVALID_ARGUMENT,
            Self::Damaged { .. } => reason::STORE_CORRUPT,
        }
    }
}
