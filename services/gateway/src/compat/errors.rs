//! Refusals in the form that Microsoft Graph gives them.
//!
//! Owns which HTTP status and Graph code a cause has. It tells no more than the status
//! that it is made of: the door has seen to it that a foreign tenant looks like none.

use axum::body::Body;
use chrono::{DateTime, SecondsFormat, Utc};
use http::header::{ALLOW, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderValue, Response, StatusCode};
use model::error::reason;
use runtime::status::parse;
use serde_json::json;
use tonic::{Code, Status};

use super::answer::{self, Trace};
use crate::error::GatewayError;

/// Why a request is not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    code: &'static str,
    pub(super) message: String,
    /// Rewind's own word for the cause.
    reason: Option<String>,
    /// In seconds.
    retry_after: Option<u64>,
    /// The methods that the resource takes.
    allow: Option<&'static str>,
}

impl Refusal {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            reason: None,
            retry_after: None,
            allow: None,
        }
    }

    /// Something about the request is wrong.
    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Request_BadRequest", message)
    }

    /// There is no such resource.
    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "Request_ResourceNotFound", message)
    }

    /// Something else is under way.
    pub(super) fn conflict(message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, "Conflict", message)
    }

    /// The resource does not take the method.
    pub(super) fn method(allow: &'static str) -> Self {
        Self {
            allow: Some(allow),
            ..Self::new(
                StatusCode::METHOD_NOT_ALLOWED,
                "Request_MethodNotAllowed",
                format!("the resource takes {allow} only"),
            )
        }
    }

    /// The body is larger than is taken.
    pub(super) fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestEntityTooLarge",
            "the body is larger than 1 MiB",
        )
    }

    /// The body did not arrive in time.
    pub(super) fn too_slow() -> Self {
        Self::new(
            StatusCode::REQUEST_TIMEOUT,
            "RequestTimeout",
            "the body took too long to arrive",
        )
    }

    /// The answer that tells it.
    pub(super) fn answer(self, trace: &Trace, now: DateTime<Utc>) -> Response<Body> {
        let mut inner = json!({
            "date": now.to_rfc3339_opts(SecondsFormat::Secs, false).replace("+00:00", ""),
            "request-id": trace.request_id,
            "client-request-id": trace.client_request_id(),
        });
        if let Some(reason) = &self.reason {
            inner["code"] = json!(reason);
        }
        let body = json!({
            "error": { "code": self.code, "message": self.message, "innerError": inner }
        });
        let mut response = answer::json(self.status, &body, trace);
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(allow) = self.allow {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        response
    }
}

impl From<GatewayError> for Refusal {
    fn from(error: GatewayError) -> Self {
        Status::from(error).into()
    }
}

impl From<Status> for Refusal {
    fn from(status: Status) -> Self {
        let remote = parse(&status);
        let denied = matches!(
            remote.reason.as_deref(),
            Some(reason::LICENCE_REQUIRED | reason::CONSENT_MISSING)
        );
        let (status, code) = match remote.code {
            Code::InvalidArgument | Code::OutOfRange => {
                (StatusCode::BAD_REQUEST, "Request_BadRequest")
            }
            Code::Unauthenticated => (StatusCode::UNAUTHORIZED, "InvalidAuthenticationToken"),
            Code::PermissionDenied => (StatusCode::FORBIDDEN, "Authorization_RequestDenied"),
            Code::FailedPrecondition if denied => {
                (StatusCode::FORBIDDEN, "Authorization_RequestDenied")
            }
            Code::NotFound => (StatusCode::NOT_FOUND, "Request_ResourceNotFound"),
            Code::AlreadyExists | Code::Aborted | Code::FailedPrecondition => {
                (StatusCode::CONFLICT, "Conflict")
            }
            Code::ResourceExhausted => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequests"),
            Code::Unavailable | Code::Cancelled => {
                (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")
            }
            Code::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "GatewayTimeout"),
            Code::Unimplemented => (StatusCode::NOT_IMPLEMENTED, "NotImplemented"),
            Code::Ok | Code::Unknown | Code::Internal | Code::DataLoss => {
                (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError")
            }
        };
        // Rounded up: nobody may come back too early.
        let retry_after = remote
            .retry_after
            .map(|delay| delay.as_secs() + u64::from(delay.subsec_nanos() > 0));
        Self {
            reason: remote.reason,
            retry_after,
            ..Self::new(status, code, remote.message)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;
    use std::time::Duration;
    use tonic_types::{ErrorDetails, StatusExt};

    #[test]
    fn each_cause_has_its_status_and_code() {
        let with = |code, reason: &str| {
            let details = ErrorDetails::with_error_info(reason, "rewind", HashMap::new());
            Refusal::from(Status::with_error_details(code, "no", details))
        };
        for (code, reason, status, graph) in [
            (
                Code::Unauthenticated,
                "UNAUTHENTICATED",
                401,
                "InvalidAuthenticationToken",
            ),
            (
                Code::PermissionDenied,
                "PERMISSION_DENIED",
                403,
                "Authorization_RequestDenied",
            ),
            (
                Code::FailedPrecondition,
                "LICENCE_REQUIRED",
                403,
                "Authorization_RequestDenied",
            ),
            (
                Code::FailedPrecondition,
                "CONSENT_MISSING",
                403,
                "Authorization_RequestDenied",
            ),
            (
                Code::FailedPrecondition,
                "RESTORE_IN_PROGRESS",
                409,
                "Conflict",
            ),
            (Code::NotFound, "NOT_FOUND", 404, "Request_ResourceNotFound"),
            (
                Code::InvalidArgument,
                "INVALID_ARGUMENT",
                400,
                "Request_BadRequest",
            ),
            (
                Code::ResourceExhausted,
                "GRAPH_THROTTLED",
                429,
                "TooManyRequests",
            ),
            (
                Code::Unavailable,
                "BACKEND_UNAVAILABLE",
                503,
                "ServiceUnavailable",
            ),
            (Code::DeadlineExceeded, "X", 504, "GatewayTimeout"),
            (Code::Internal, "INTERNAL", 500, "InternalServerError"),
        ] {
            let refusal = with(code, reason);
            assert_eq!(
                (
                    refusal.status.as_u16(),
                    refusal.code,
                    refusal.reason.as_deref()
                ),
                (status, graph, Some(reason)),
            );
        }
    }

    #[test]
    fn when_to_come_back_is_never_too_early() {
        for (delay, seconds) in [(1_000, 1), (1_001, 2), (200, 1)] {
            let mut details = ErrorDetails::new();
            details.set_retry_info(Some(Duration::from_millis(delay)));
            let status = Status::with_error_details(Code::Unavailable, "later", details);
            let answer = Refusal::from(status).answer(&Trace::default(), DateTime::UNIX_EPOCH);
            assert_eq!(answer.headers()[RETRY_AFTER], seconds.to_string());
        }
    }
}
