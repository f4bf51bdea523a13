//! Errors as pages.
//!
//! Owns what a page says when something went wrong: what happened, in the words of
//! whoever found it, and what to do about it, by the reason. It never guesses a cause.

use super::filters;
use super::frame::{Answer, Frame, Section, TenantHead, page};
use super::session::Session;
use askama::Template;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::RETRY_AFTER;
use model::ErrorKind;
use model::error::reason;
use runtime::{Fault, Remote};
use std::time::Duration;

/// What a handler fails with; becomes a page. `?` on the answer of a client makes one.
#[derive(Debug, Clone)]
pub(crate) struct PageError {
    status: StatusCode,
    /// What happened, in a few words.
    title: &'static str,
    /// What exactly.
    text: Box<str>,
    /// The reason as a word, as the documentation lists it.
    reason: Box<str>,
    /// What to do.
    advice: &'static str,
    /// The fields that are wrong.
    violations: Vec<(String, String)>,
    retry_after: Option<Duration>,
}

impl PageError {
    /// There is nothing at the path.
    pub(crate) fn no_such_page() -> Self {
        Self::plain(
            StatusCode::NOT_FOUND,
            "This page does not exist",
            "There is nothing at this address.",
            reason::NOT_FOUND,
            "Check the address, or start from the overview.",
        )
    }

    /// A field of a form, or of the address, is not as expected.
    pub(crate) fn invalid(field: &str, problem: &str) -> Self {
        Self {
            violations: vec![(field.to_owned(), problem.to_owned())],
            ..Self::plain(
                StatusCode::BAD_REQUEST,
                "That cannot be done as asked",
                "Something in the request is not as expected.",
                reason::INVALID_ARGUMENT,
                "Go back, change what is named above, and try again.",
            )
        }
    }

    /// A form that was not sent from a page of the session.
    pub(crate) fn foreign_form() -> Self {
        Self::plain(
            StatusCode::FORBIDDEN,
            "Nothing was changed",
            "The form does not come from a page of your session.",
            reason::PERMISSION_DENIED,
            "Open the page again and send the form from there. You may have signed in again since.",
        )
    }

    /// A form that is none.
    pub(crate) fn unreadable_form() -> Self {
        Self::plain(
            StatusCode::BAD_REQUEST,
            "Nothing was changed",
            "What arrived is no form, is larger than 1 MiB, or broke off.",
            reason::INVALID_ARGUMENT,
            "Open the page again and send the form from there.",
        )
    }

    /// Signing in came to nothing.
    pub(crate) fn sign_in_again(text: &str) -> Self {
        Self::plain(
            StatusCode::FORBIDDEN,
            "You are not signed in",
            text,
            reason::UNAUTHENTICATED,
            "Sign in again from the start.",
        )
    }

    /// Somebody whom the identity provider knows and this server does not.
    pub(crate) fn unknown_person() -> Self {
        Self::plain(
            StatusCode::FORBIDDEN,
            "You may not use this console",
            "The identity provider knows you, but its token is not taken here or gives you no role.",
            reason::UNAUTHENTICATED,
            "Ask an operator for a role.",
        )
    }

    /// A defect of this program.
    pub(crate) fn internal() -> Self {
        Remote::from(tonic::Status::internal("internal error")).into()
    }

    fn plain(
        status: StatusCode,
        title: &'static str,
        text: &str,
        reason: &str,
        advice: &'static str,
    ) -> Self {
        Self {
            status,
            title,
            text: text.into(),
            reason: reason.into(),
            advice,
            violations: Vec::new(),
            retry_after: None,
        }
    }

    /// Whether what was asked for does not exist.
    pub(crate) fn is_not_found(&self) -> bool {
        &*self.reason == reason::NOT_FOUND
    }

    /// The reason as a word.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// What exactly happened, to be shown in a part of a page whose rest can be shown.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// What to do about it.
    pub(crate) fn advice(&self) -> &'static str {
        self.advice
    }
}

impl From<tonic::Status> for PageError {
    fn from(status: tonic::Status) -> Self {
        Remote::from(status).into()
    }
}

impl From<Remote> for PageError {
    fn from(remote: Remote) -> Self {
        let kind = remote.kind();
        Self {
            status: status(&remote),
            title: title(kind),
            advice: advice(remote.reason(), kind),
            reason: remote.reason().into(),
            retry_after: remote.retry_after(),
            violations: remote.violations(),
            text: remote.message.into(),
        }
    }
}

fn status(remote: &Remote) -> StatusCode {
    if remote.code == tonic::Code::FailedPrecondition {
        return StatusCode::CONFLICT;
    }
    match remote.kind() {
        ErrorKind::Invalid => StatusCode::BAD_REQUEST,
        ErrorKind::NotFound => StatusCode::NOT_FOUND,
        ErrorKind::Conflict => StatusCode::CONFLICT,
        ErrorKind::Denied => StatusCode::FORBIDDEN,
        ErrorKind::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
        ErrorKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        ErrorKind::Corrupt | ErrorKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn title(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid => "That cannot be done as asked",
        ErrorKind::NotFound => "This does not exist",
        ErrorKind::Conflict => "Somebody was faster",
        ErrorKind::Denied => "This is not possible as things stand",
        ErrorKind::Throttled { .. } => "Too much was asked at once",
        ErrorKind::Unavailable => "A part of Rewind cannot be reached",
        ErrorKind::Corrupt => "Something stored is damaged",
        ErrorKind::Internal => "Rewind failed",
    }
}

/// What to do about a reason; about its kind where it needs no advice of its own.
fn advice(word: &str, kind: ErrorKind) -> &'static str {
    match word {
        reason::LICENCE_REQUIRED => {
            "Microsoft Entra ID P1 or P2 has to be active in the tenant. Assign the licence, then try again."
        }
        reason::CONSENT_MISSING => {
            "An administrator of the tenant has to consent to what the application lacks. The tenant's overview has the link under “Check access”."
        }
        reason::CREDENTIAL_REJECTED | reason::CREDENTIAL_UNUSABLE => {
            "The secret or certificate of the application has to be replaced where the services read it; see the tenant's settings for its name."
        }
        reason::SNAPSHOT_INCOMPLETE => {
            "Choose a snapshot that is complete for these types, or leave the types out."
        }
        reason::KEY_ERASED => {
            "The tenant was erased. Its data cannot be read any more, by anybody."
        }
        reason::KEY_UNAVAILABLE => {
            "Whoever runs the service has to bring the key back, or restore it from the recovery bundle."
        }
        reason::APPROVAL_REQUIRED => {
            "Ask a second person with the role Backup Approver to approve the plan."
        }
        reason::APPROVAL_EXPIRED | reason::APPROVAL_STALE => "Have the plan approved again.",
        reason::APPROVAL_OF_OWN_PLAN => "Somebody else has to approve this plan.",
        reason::PLAN_STALE => "Make a new plan: the tenant has changed, or the plan is too old.",
        reason::RESTORE_IN_PROGRESS => {
            "Wait for the other restore of the tenant to end, or cancel it."
        }
        reason::RESTORE_CANCELLED => "Make a new plan.",
        reason::UNRESOLVED_REFERENCE => {
            "Say for each missing object by what it is to be replaced, or leave the policy out."
        }
        reason::NO_WEBHOOK => "Set a webhook in the tenant's settings first.",
        reason::NO_COPY_STORE => "Whoever runs the service has to set up a store for copies first.",
        reason::SLOT_TAKEN => "A snapshot is being taken already; wait for it.",
        reason::UNAUTHENTICATED => "Sign in again.",
        reason::PERMISSION_DENIED => {
            "If you should be able to do this, ask an operator for the role, or for access to the tenant."
        }
        _ => advice_by_kind(kind),
    }
}

fn advice_by_kind(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::Invalid => "Go back, change what is named above, and try again.",
        ErrorKind::NotFound => "It may have been removed. Start from the overview.",
        ErrorKind::Conflict => {
            "Load the page again to see how things stand now, then decide again."
        }
        ErrorKind::Denied => "See what is named above; the documentation explains the reason.",
        ErrorKind::Throttled { .. } => "Wait for a moment and load the page again.",
        ErrorKind::Unavailable => {
            "Load the page again in a moment. If it stays so, whoever runs the service should look at its log."
        }
        ErrorKind::Corrupt => {
            "Run “rewind snapshot verify” for the tenant; it says what is damaged and what can still be read."
        }
        ErrorKind::Internal => {
            "Whoever runs the service finds the cause in the log, under the time of this page."
        }
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    error: PageError,
}

impl IntoResponse for PageError {
    /// The bare answer; [`dress`] makes the page of it.
    fn into_response(self) -> Response {
        let mut response = self.status.into_response();
        if let Some(wait) = self.retry_after {
            let seconds = wait.as_secs().max(1);
            response.headers_mut().insert(RETRY_AFTER, seconds.into());
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// The page of an error, with the navigation of whoever looks; any other answer as it is.
pub(super) fn dress(
    mut response: Response,
    session: Option<Session>,
    tenant: Option<TenantHead>,
) -> Response {
    let Some(error) = response.extensions_mut().remove::<PageError>() else {
        return response;
    };
    let frame = Frame::new(error.title.to_owned(), session, tenant, Section::Elsewhere);
    let (mut parts, _) = response.into_parts();
    match page(&ErrorPage { frame, error }) {
        Ok(rendered) => {
            let (dressed, body) = rendered.into_parts();
            parts.headers.extend(dressed.headers);
            Response::from_parts(parts, body)
        }
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What answers at every path that has no page.
pub(super) async fn no_such_page() -> Answer {
    Err(PageError::no_such_page())
}
