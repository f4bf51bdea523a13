//! What can go wrong between this program and Graph.
//!
//! An error names the path below the version root, never a query: a query may
//! hold a skip token. It never holds a token or a secret.

use std::time::Duration;

use model::ErrorKind;
use model::error::reason;
use serde::Deserialize;

/// A failed conversation with the identity platform or with Graph.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GraphError {
    /// The identity platform, or Graph itself, refused the application's credential.
    #[error("the application's credential was refused: {code}: {description}")]
    CredentialRejected {
        /// The platform's code, such as `AADSTS7000215`.
        code: String,
        /// The first sentence of its explanation.
        description: String,
    },
    /// There is nothing to sign in with: what the reference leads to cannot be
    /// used.
    #[error("the application's {kind} cannot be used: {what}")]
    CredentialUnusable {
        /// What it should be, such as `certificate`.
        kind: &'static str,
        /// What is wrong with it.
        what: String,
    },
    /// The application may not do this.
    #[error("graph denied {path}: {code}: {message}")]
    Denied {
        /// Graph's error code.
        code: String,
        /// Graph's explanation.
        message: String,
        /// The path below the version root.
        path: String,
    },
    /// What was asked for does not exist.
    #[error("graph has nothing at {path}")]
    NotFound {
        /// The path below the version root.
        path: String,
    },
    /// The request collides with the state of the directory.
    #[error("graph reports a conflict at {path}: {code}: {message}")]
    Conflict {
        /// Graph's error code.
        code: String,
        /// Graph's explanation.
        message: String,
        /// The path below the version root.
        path: String,
    },
    /// Graph no longer knows a change token: what it stood for is read in full.
    #[error("graph no longer knows the change token of {path}")]
    ResyncRequired {
        /// The path below the version root.
        path: String,
    },
    /// Graph does not accept the request.
    #[error("graph refused {path}: {code}: {message} (request {request_id})")]
    BadRequest {
        /// Graph's error code.
        code: String,
        /// Graph's explanation.
        message: String,
        /// Graph's id of the request, for Microsoft's support.
        request_id: String,
        /// The path below the version root.
        path: String,
    },
    /// Graph asked to wait for longer than the call may last.
    #[error("graph throttles {path}")]
    Throttled {
        /// How long Graph wants the caller to wait, where it said so.
        retry_after: Option<Duration>,
        /// The path below the version root.
        path: String,
    },
    /// The host is out of reach, or answers with its own failures.
    #[error("{path} is out of reach: {what}")]
    Unavailable {
        /// What happened.
        what: String,
        /// The path below the version root.
        path: String,
    },
    /// A restore has the tenant's Conditional Access quota: nothing was sent.
    #[error("{path} is out of reach: a restore has the conditional access quota")]
    Yielded {
        /// The path below the version root.
        path: String,
    },
    /// A write may or may not have been carried out: read before doing anything else.
    #[error("the outcome of a write to {path} is unknown: {what}")]
    Ambiguous {
        /// What happened.
        what: String,
        /// The path below the version root.
        path: String,
    },
    /// The answer as a whole cannot be understood.
    #[error("graph's answer to {path} is not understood: {what}")]
    Unexpected {
        /// What is wrong with it.
        what: String,
        /// The path below the version root.
        path: String,
    },
    /// One object in an answer is no directory object.
    #[error("{path} holds something that is no directory object: {what}")]
    Malformed {
        /// What is wrong with it.
        what: String,
        /// The path below the version root.
        path: String,
    },
    /// This program refused to send the request.
    #[error("refused to send {path}: {what}")]
    Refused {
        /// Why.
        what: String,
        /// The path below the version root.
        path: String,
    },
}

impl GraphError {
    /// What the caller may do next.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::CredentialRejected { .. }
            | Self::CredentialUnusable { .. }
            | Self::Denied { .. } => ErrorKind::Denied,
            Self::NotFound { .. } => ErrorKind::NotFound,
            Self::Conflict { .. } | Self::ResyncRequired { .. } => ErrorKind::Conflict,
            Self::BadRequest { .. } => ErrorKind::Invalid,
            Self::Throttled { retry_after, .. } => ErrorKind::Throttled {
                retry_after: *retry_after,
            },
            Self::Unavailable { .. }
            | Self::Yielded { .. }
            | Self::Ambiguous { .. }
            | Self::Unexpected { .. } => ErrorKind::Unavailable,
            Self::Malformed { .. } => ErrorKind::Corrupt,
            Self::Refused { .. } => ErrorKind::Internal,
        }
    }

    /// The stable word for the cause, from [`model::error::reason`].
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::CredentialRejected { .. } => reason::CREDENTIAL_REJECTED,
            Self::CredentialUnusable { .. } => reason::CREDENTIAL_UNUSABLE,
            Self::Denied { .. } => reason::CONSENT_MISSING,
            Self::NotFound { .. } => reason::NOT_FOUND,
            Self::Conflict { .. } => reason::CONFLICT,
            Self::ResyncRequired { .. } => reason::RESYNC_REQUIRED,
            Self::BadRequest { .. } => reason::INVALID_ARGUMENT,
            Self::Throttled { .. } => reason::GRAPH_THROTTLED,
            Self::Unavailable { .. } | Self::Yielded { .. } | Self::Ambiguous { .. } => {
                reason::GRAPH_UNAVAILABLE
            }
            Self::Unexpected { .. } | Self::Malformed { .. } => reason::GRAPH_UNEXPECTED,
            Self::Refused { .. } => reason::INTERNAL,
        }
    }

    /// Reads Graph's error body of a status that is final.
    pub(crate) fn from_answer(
        status: u16,
        body: &[u8],
        request_id: Option<&str>,
        path: &str,
    ) -> Self {
        let path = path.to_owned();
        let Envelope { error } = serde_json::from_slice(body).unwrap_or_default();
        let code = error
            .code
            .map_or_else(|| format!("HTTP {status}"), |code| clipped(&code));
        let message = error.message.map_or_else(
            || "no explanation given".to_owned(),
            |message| clipped(&message),
        );
        match status {
            410 => Self::ResyncRequired { path },
            400..=499 if is_expired_token(&code) => Self::ResyncRequired { path },
            300..=399 => Self::Unexpected {
                what: format!("it redirects with HTTP {status}"),
                path,
            },
            401 => Self::CredentialRejected {
                code,
                description: message,
            },
            403 => Self::Denied {
                code,
                message,
                path,
            },
            404 => Self::NotFound { path },
            409 | 412 => Self::Conflict {
                code,
                message,
                path,
            },
            400..=499 => {
                let request_id = error
                    .inner
                    .request_id
                    .as_deref()
                    .or(request_id)
                    .unwrap_or("unknown");
                Self::BadRequest {
                    code,
                    message,
                    request_id: clipped(request_id),
                    path,
                }
            }
            _ => Self::Unavailable {
                what: format!("HTTP {status}, {code}: {message}"),
                path,
            },
        }
    }

    /// JSON that does not parse; its text is not repeated, since it may be anything.
    pub(crate) fn garbled(error: &serde_json::Error, path: &str) -> Self {
        let what = match error.classify() {
            serde_json::error::Category::Data => "the json has another shape",
            serde_json::error::Category::Eof => "the json ends too early",
            _ => "it is not json",
        };
        Self::Unexpected {
            what: format!("{what} (line {}, column {})", error.line(), error.column()),
            path: path.to_owned(),
        }
    }
}

/// Whether a code says that a change token is no longer known.
fn is_expired_token(code: &str) -> bool {
    ["syncStateNotFound", "syncStateInvalid", "resyncRequired"]
        .iter()
        .any(|known| code.eq_ignore_ascii_case(known))
}

/// Text of the other side, fit for one line.
pub(crate) fn clipped(text: &str) -> String {
    const LONGEST: usize = 300;
    let line: String = text
        .trim()
        .trim_end_matches('.')
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match line.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Envelope {
    error: Body,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Body {
    code: Option<String>,
    message: Option<String>,
    #[serde(rename = "innerError", alias = "innererror")]
    inner: Inner,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Inner {
    #[serde(rename = "request-id")]
    request_id: Option<String>,
}
