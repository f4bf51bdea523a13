//! Errors as gRPC statuses, and back.
//!
//! Owns the one mapping from an error's kind and reason to a status with
//! `google.rpc` details, and the reading of a status that another service sent.
//! Clients match the reason, never the text. It never lets the text of an
//! internal error out, and it is the one place that logs an error.

use model::ErrorKind;
use model::error::reason;
use std::collections::HashMap;
use std::error::Error;
use std::time::Duration;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

/// The domain of every reason.
pub const DOMAIN: &str = "rewind";

/// What outsiders read in place of an internal error's text.
const INTERNAL_TEXT: &str = "internal error";

/// An error that can cross a service's boundary.
pub trait Fault: Error {
    /// What the caller can do about it.
    fn kind(&self) -> ErrorKind;

    /// The stable word for the cause, one of [`model::error::reason`].
    fn reason(&self) -> &str;

    /// When the same call may be tried again, where that is known.
    fn retry_after(&self) -> Option<Duration> {
        match self.kind() {
            ErrorKind::Throttled { retry_after } => retry_after,
            _ => None,
        }
    }

    /// The request's fields that are wrong, as (path, what is expected).
    fn violations(&self) -> Vec<(String, String)> {
        Vec::new()
    }
}

/// Turns an error into the status that a caller sees, and logs it.
#[must_use]
pub fn status(fault: &dyn Fault) -> Status {
    let kind = fault.kind();
    let text = chain(fault);
    log(kind, fault.reason(), &text);
    if kind == ErrorKind::Internal {
        let details = ErrorDetails::with_error_info(reason::INTERNAL, DOMAIN, HashMap::new());
        return Status::with_error_details(Code::Internal, INTERNAL_TEXT, details);
    }
    let mut details = ErrorDetails::with_error_info(fault.reason(), DOMAIN, HashMap::new());
    if let Some(delay) = fault.retry_after().or_else(|| usual_delay(kind)) {
        details.set_retry_info(Some(delay));
    }
    for (field, description) in fault.violations() {
        details.add_bad_request_violation(field, description);
    }
    Status::with_error_details(code(kind, fault.reason()), text, details)
}

/// How long to wait where nobody said.
fn usual_delay(kind: ErrorKind) -> Option<Duration> {
    match kind {
        ErrorKind::Throttled { .. } => Some(Duration::from_secs(5)),
        ErrorKind::Unavailable => Some(Duration::from_secs(1)),
        _ => None,
    }
}

fn log(kind: ErrorKind, reason: &str, text: &str) {
    match kind {
        ErrorKind::Internal | ErrorKind::Corrupt => {
            tracing::error!(reason, error = text, "call failed");
        }
        ErrorKind::Throttled { .. } | ErrorKind::Unavailable => {
            tracing::warn!(reason, error = text, "call failed");
        }
        _ => tracing::debug!(reason, error = text, "call refused"),
    }
}

/// The status code of a kind, refined by the reasons that have a code of their own.
fn code(kind: ErrorKind, reason: &str) -> Code {
    match reason {
        reason::UNAUTHENTICATED => return Code::Unauthenticated,
        reason::ALREADY_EXISTS => return Code::AlreadyExists,
        reason::LICENCE_REQUIRED
        | reason::CONSENT_MISSING
        | reason::KEY_ERASED
        | reason::SNAPSHOT_INCOMPLETE
        | reason::NO_COPY_STORE
        | reason::NO_WEBHOOK
        | reason::CHANGE_ENDED
        | reason::EXPORT_REQUIRED
        | reason::SNAPSHOT_HELD
        | reason::RESTORE_CANCELLED
        | reason::RESTORE_IN_PROGRESS
        | reason::UNRESOLVED_REFERENCE
        | reason::APPROVAL_EXPIRED
        | reason::APPROVAL_STALE
        | reason::PLAN_STALE => return Code::FailedPrecondition,
        _ => {}
    }
    match kind {
        ErrorKind::Invalid => Code::InvalidArgument,
        ErrorKind::NotFound => Code::NotFound,
        ErrorKind::Conflict => Code::Aborted,
        ErrorKind::Denied => Code::PermissionDenied,
        ErrorKind::Throttled { .. } => Code::ResourceExhausted,
        ErrorKind::Unavailable => Code::Unavailable,
        ErrorKind::Corrupt => Code::DataLoss,
        ErrorKind::Internal => Code::Internal,
    }
}

/// An error with its causes, `a: b: c`, leaving out a cause that the text before
/// it ends with already.
#[must_use]
pub fn chain<E: Error + ?Sized>(error: &E) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let next = error.to_string();
        if !text.ends_with(&next) {
            text.push_str(": ");
            text.push_str(&next);
        }
        cause = error.source();
    }
    text
}

/// An error that another service answered with. Passed on through [`status`],
/// it keeps its reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Remote {
    /// The status code.
    pub code: Code,
    /// The reason, where the answer carried one of our domain.
    pub reason: Option<String>,
    /// The text for people.
    pub message: String,
    /// When to try again, where the answer said so.
    pub retry_after: Option<Duration>,
    /// The request's fields that are wrong.
    pub violations: Vec<(String, String)>,
}

/// Reads the status that another service answered with.
#[must_use]
pub fn parse(status: &Status) -> Remote {
    let details = status.get_error_details();
    let info = details.error_info().filter(|info| info.domain == DOMAIN);
    let violations = details
        .bad_request()
        .map(|bad| &bad.field_violations[..])
        .unwrap_or_default();
    Remote {
        code: status.code(),
        reason: info.map(|info| info.reason.clone()),
        message: if status.message().is_empty() {
            status.code().description().to_lowercase()
        } else {
            status.message().to_owned()
        },
        retry_after: details.retry_info().and_then(|info| info.retry_delay),
        violations: violations
            .iter()
            .map(|v| (v.field.clone(), v.description.clone()))
            .collect(),
    }
}

impl From<Status> for Remote {
    fn from(status: Status) -> Self {
        parse(&status)
    }
}

impl Fault for Remote {
    fn kind(&self) -> ErrorKind {
        match self.code {
            Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented => ErrorKind::Invalid,
            Code::NotFound => ErrorKind::NotFound,
            Code::Aborted | Code::AlreadyExists => ErrorKind::Conflict,
            Code::PermissionDenied | Code::Unauthenticated | Code::FailedPrecondition => {
                ErrorKind::Denied
            }
            Code::ResourceExhausted => ErrorKind::Throttled {
                retry_after: self.retry_after,
            },
            Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled => ErrorKind::Unavailable,
            Code::DataLoss => ErrorKind::Corrupt,
            Code::Ok | Code::Unknown | Code::Internal => ErrorKind::Internal,
        }
    }

    fn reason(&self) -> &str {
        if let Some(reason) = &self.reason {
            return reason;
        }
        if self.code == Code::Unauthenticated {
            return reason::UNAUTHENTICATED;
        }
        match self.kind() {
            ErrorKind::Invalid => reason::INVALID_ARGUMENT,
            ErrorKind::NotFound => reason::NOT_FOUND,
            ErrorKind::Conflict => reason::CONFLICT,
            ErrorKind::Denied => reason::PERMISSION_DENIED,
            ErrorKind::Throttled { .. } | ErrorKind::Unavailable => reason::BACKEND_UNAVAILABLE,
            ErrorKind::Corrupt => reason::STORE_CORRUPT,
            ErrorKind::Internal => reason::INTERNAL,
        }
    }

    fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }

    fn violations(&self) -> Vec<(String, String)> {
        self.violations.clone()
    }
}

#[cfg(test)]
mod tests;
