//! The closed set of error kinds and reasons.
//!
//! Every crate's error enum maps to one [`ErrorKind`]; whether a call may be
//! repeated follows from the kind alone. A [`Reason`] is the stable word that
//! clients match on. Nothing here renders text for people.

use std::time::Duration;

/// What went wrong, as far as the caller's next move is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request itself is wrong; repeating it cannot help.
    Invalid,
    /// The thing named does not exist, or not for this caller.
    NotFound,
    /// Somebody else changed or created the thing first.
    Conflict,
    /// The caller, or the application used, may not do this.
    Denied,
    /// Asked too often; try again after the given time.
    Throttled {
        /// How long to wait, where the other side said so.
        retry_after: Option<Duration>,
    },
    /// A part is out of reach; the same call may succeed later.
    Unavailable,
    /// Stored data is not what was written.
    Corrupt,
    /// A defect of this program.
    Internal,
}

impl ErrorKind {
    /// Whether the same call may succeed when repeated unchanged.
    #[must_use]
    pub fn is_retryable(self) -> bool {
        matches!(self, Self::Throttled { .. } | Self::Unavailable)
    }
}

/// A stable, documented word for one cause; each has a page in `docs/errors/`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reason(pub &'static str);

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

/// The reasons in use.
pub mod reason {
    // reasons
    /// The request is malformed or contradictory.
    pub const INVALID_ARGUMENT: &str = "INVALID_ARGUMENT";
    /// The named resource does not exist for this caller.
    pub const NOT_FOUND: &str = "NOT_FOUND";
    /// A resource of that name exists already.
    pub const ALREADY_EXISTS: &str = "ALREADY_EXISTS";
    /// The resource changed since it was read.
    pub const CONFLICT: &str = "CONFLICT";
    /// The caller's roles do not allow this.
    pub const PERMISSION_DENIED: &str = "PERMISSION_DENIED";
    /// The caller, or the tenant, has too many calls for now.
    pub const LIMIT_EXCEEDED: &str = "LIMIT_EXCEEDED";
    /// No valid token came with the call.
    pub const UNAUTHENTICATED: &str = "UNAUTHENTICATED";
    /// The tenant has no active Entra ID P1 or P2 licence.
    pub const LICENCE_REQUIRED: &str = "LICENCE_REQUIRED";
    /// The application lacks a permission in the tenant.
    pub const CONSENT_MISSING: &str = "CONSENT_MISSING";
    /// The identity platform refused the application's credential.
    pub const CREDENTIAL_REJECTED: &str = "CREDENTIAL_REJECTED";
    /// What a credential reference leads to is missing or is no such credential.
    pub const CREDENTIAL_UNUSABLE: &str = "CREDENTIAL_UNUSABLE";
    /// Microsoft Graph or the login host is out of reach.
    pub const GRAPH_UNAVAILABLE: &str = "GRAPH_UNAVAILABLE";
    /// Microsoft Graph asked to wait for longer than the call may last.
    pub const GRAPH_THROTTLED: &str = "GRAPH_THROTTLED";
    /// Microsoft Graph answered with something that cannot be understood.
    pub const GRAPH_UNEXPECTED: &str = "GRAPH_UNEXPECTED";
    /// Microsoft Graph no longer knows a stored change token.
    pub const RESYNC_REQUIRED: &str = "RESYNC_REQUIRED";
    /// The object store is out of reach.
    pub const STORE_UNAVAILABLE: &str = "STORE_UNAVAILABLE";
    /// A stored file is missing, changed or foreign.
    pub const STORE_CORRUPT: &str = "STORE_CORRUPT";
    /// The key that opens the tenant's data cannot be had.
    pub const KEY_UNAVAILABLE: &str = "KEY_UNAVAILABLE";
    /// The tenant was erased: the key that opens its data was deleted.
    pub const KEY_ERASED: &str = "KEY_ERASED";
    /// The snapshot lacks a type that the call needs.
    pub const SNAPSHOT_INCOMPLETE: &str = "SNAPSHOT_INCOMPLETE";
    /// Another process holds the slot.
    pub const SLOT_TAKEN: &str = "SLOT_TAKEN";
    /// The plan needs a second person's approval.
    pub const APPROVAL_REQUIRED: &str = "APPROVAL_REQUIRED";
    /// The approval of the plan was given too long ago.
    pub const APPROVAL_EXPIRED: &str = "APPROVAL_EXPIRED";
    /// The approval is for another plan than the one that is stored.
    pub const APPROVAL_STALE: &str = "APPROVAL_STALE";
    /// Nobody approves a plan of their own.
    pub const APPROVAL_OF_OWN_PLAN: &str = "APPROVAL_OF_OWN_PLAN";
    /// The plan is of no use any more: it has to be made anew.
    pub const PLAN_STALE: &str = "PLAN_STALE";
    /// The restore was cancelled, so its plan is not applied any more.
    pub const RESTORE_CANCELLED: &str = "RESTORE_CANCELLED";
    /// Another restore of the tenant has begun and not ended.
    pub const RESTORE_IN_PROGRESS: &str = "RESTORE_IN_PROGRESS";
    /// A policy names an object that does not exist.
    pub const UNRESOLVED_REFERENCE: &str = "UNRESOLVED_REFERENCE";
    /// A credential reference points where it may not.
    pub const CREDENTIAL_REFERENCE_REFUSED: &str = "CREDENTIAL_REFERENCE_REFUSED";
    /// Custom Graph or login hosts are not allowed on this server.
    pub const CUSTOM_CLOUD_REFUSED: &str = "CUSTOM_CLOUD_REFUSED";
    /// A service behind the gateway is out of reach.
    pub const BACKEND_UNAVAILABLE: &str = "BACKEND_UNAVAILABLE";
    /// What a mutation is about to do cannot be written to the audit.
    pub const AUDIT_UNAVAILABLE: &str = "AUDIT_UNAVAILABLE";
    /// The server has no store that copies could go to.
    pub const NO_COPY_STORE: &str = "NO_COPY_STORE";
    /// The tenant has no webhook that signals could be sent to.
    pub const NO_WEBHOOK: &str = "NO_WEBHOOK";
    /// The guarded change has come to its end, or cannot be stopped any more.
    pub const CHANGE_ENDED: &str = "CHANGE_ENDED";
    /// What is to be erased was not exported.
    pub const EXPORT_REQUIRED: &str = "EXPORT_REQUIRED";
    /// A snapshot is held, so that the tenant is not erased.
    pub const SNAPSHOT_HELD: &str = "SNAPSHOT_HELD";
    /// A defect of this program.
    pub const INTERNAL: &str = "INTERNAL";
}
