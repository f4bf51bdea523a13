//! Exit codes of every program here.
//!
//! Owns the numbers and the mapping from an error's reason to one of them. It
//! never ends the process itself.

use crate::status::Fault;
use model::ErrorKind;
use model::error::reason;

/// Done.
pub const DONE: u8 = 0;
/// Failed.
pub const FAILED: u8 = 1;
/// The command or request was wrong.
pub const USAGE: u8 = 2;
/// Finished, but some steps failed or were refused.
pub const WARNINGS: u8 = 3;
/// The thing named does not exist.
pub const NOT_FOUND: u8 = 4;
/// Not permitted.
pub const NOT_PERMITTED: u8 = 5;
/// Somebody else changed it first.
pub const CONFLICT: u8 = 6;
/// Unavailable; try again.
pub const UNAVAILABLE: u8 = 7;
/// The licence or the consent is missing.
pub const LICENCE_OR_CONSENT: u8 = 8;
/// The configuration is wrong.
pub const CONFIGURATION: u8 = 64;

/// The exit code for an error: by its reason where the reason says more than
/// the kind.
#[must_use]
pub fn exit_code(fault: &dyn Fault) -> u8 {
    match fault.reason() {
        reason::LICENCE_REQUIRED | reason::CONSENT_MISSING => LICENCE_OR_CONSENT,
        reason::UNAUTHENTICATED
        | reason::PERMISSION_DENIED
        | reason::CREDENTIAL_REJECTED
        | reason::APPROVAL_REQUIRED
        | reason::APPROVAL_OF_OWN_PLAN
        | reason::CREDENTIAL_REFERENCE_REFUSED
        | reason::CUSTOM_CLOUD_REFUSED => NOT_PERMITTED,
        reason::PLAN_STALE
        | reason::RESTORE_CANCELLED
        | reason::RESTORE_IN_PROGRESS
        | reason::APPROVAL_EXPIRED
        | reason::APPROVAL_STALE
        | reason::CHANGE_ENDED
        | reason::SNAPSHOT_HELD
        | reason::SLOT_TAKEN
        | reason::ALREADY_EXISTS
        | reason::CONFLICT => CONFLICT,
        reason::KEY_UNAVAILABLE => UNAVAILABLE,
        reason::STORE_CORRUPT
        | reason::KEY_ERASED
        | reason::SNAPSHOT_INCOMPLETE
        | reason::UNRESOLVED_REFERENCE
        | reason::EXPORT_REQUIRED
        | reason::NO_COPY_STORE
        | reason::NO_WEBHOOK => FAILED,
        _ => of_kind(fault.kind()),
    }
}

fn of_kind(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Invalid => USAGE,
        ErrorKind::NotFound => NOT_FOUND,
        ErrorKind::Conflict => CONFLICT,
        ErrorKind::Denied => NOT_PERMITTED,
        ErrorKind::Throttled { .. } | ErrorKind::Unavailable => UNAVAILABLE,
        ErrorKind::Corrupt | ErrorKind::Internal => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::Remote;
    use tonic::Code;

    fn check(code: Code, reason: Option<&str>, expected: u8) {
        let remote = Remote {
            code,
            reason: reason.map(str::to_owned),
            message: String::new(),
            retry_after: None,
            violations: Vec::new(),
        };
        assert_eq!(exit_code(&remote), expected, "{code:?} {reason:?}");
    }

    #[test]
    fn reasons_and_codes_have_their_numbers() {
        for (reason, expected) in [
            (reason::INVALID_ARGUMENT, 2),
            (reason::NOT_FOUND, 4),
            (reason::ALREADY_EXISTS, 6),
            (reason::CONFLICT, 6),
            (reason::PERMISSION_DENIED, 5),
            (reason::UNAUTHENTICATED, 5),
            (reason::LICENCE_REQUIRED, 8),
            (reason::CONSENT_MISSING, 8),
            (reason::CREDENTIAL_REJECTED, 5),
            (reason::GRAPH_UNAVAILABLE, 7),
            (reason::GRAPH_THROTTLED, 7),
            (reason::GRAPH_UNEXPECTED, 1),
            (reason::STORE_UNAVAILABLE, 7),
            (reason::STORE_CORRUPT, 1),
            (reason::KEY_UNAVAILABLE, 7),
            (reason::KEY_ERASED, 1),
            (reason::SNAPSHOT_INCOMPLETE, 1),
            (reason::SLOT_TAKEN, 6),
            (reason::APPROVAL_REQUIRED, 5),
            (reason::APPROVAL_OF_OWN_PLAN, 5),
            (reason::APPROVAL_EXPIRED, 6),
            (reason::APPROVAL_STALE, 6),
            (reason::PLAN_STALE, 6),
            (reason::UNRESOLVED_REFERENCE, 1),
            (reason::CREDENTIAL_REFERENCE_REFUSED, 5),
            (reason::CUSTOM_CLOUD_REFUSED, 5),
            (reason::BACKEND_UNAVAILABLE, 7),
            (reason::NO_COPY_STORE, 1),
            (reason::NO_WEBHOOK, 1),
            (reason::INTERNAL, 1),
        ] {
            let code = match reason {
                reason::INVALID_ARGUMENT => Code::InvalidArgument,
                reason::NOT_FOUND => Code::NotFound,
                reason::GRAPH_THROTTLED => Code::ResourceExhausted,
                reason::GRAPH_UNEXPECTED => Code::DataLoss,
                reason::INTERNAL => Code::Internal,
                reason::GRAPH_UNAVAILABLE
                | reason::STORE_UNAVAILABLE
                | reason::BACKEND_UNAVAILABLE => Code::Unavailable,
                _ => Code::FailedPrecondition,
            };
            check(code, Some(reason), expected);
        }
        check(Code::Unavailable, None, 7);
        check(Code::DeadlineExceeded, None, 7);
        check(Code::Unknown, None, 1);
        check(Code::NotFound, None, 4);
        check(Code::Unauthenticated, None, 5);
    }
}
