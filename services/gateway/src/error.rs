//! What can go wrong at the door.
//!
//! Owns the one text for everything a caller may not do: an unknown tenant,
//! somebody else's tenant and a missing role must not be told apart.

use model::error::reason;
use model::{ErrorKind, TenantId};
use runtime::credentials::CredentialError;
use runtime::{Fault, Remote};
use std::time::Duration;
use store::StoreError;

/// An error of the gateway.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// No valid token came with the call.
    #[error("a valid token is needed: send authorization: Bearer TOKEN")]
    Unauthenticated,
    /// Whether a token counts cannot be told.
    #[error("the issuer of tokens cannot be reached")]
    IssuerAway,
    /// The caller, or the tenant, has too many calls for now.
    #[error("too many calls: try again later")]
    Limited(Duration),
    /// Not for this caller; says nothing about what exists.
    #[error("the caller may not do this, or the tenant does not exist")]
    Denied,
    /// A field of the request is wrong.
    #[error("{field}: {problem}")]
    Invalid {
        /// The path of the field.
        field: String,
        /// What is expected.
        problem: String,
    },
    /// The request is no single, uncompressed, small gRPC message.
    #[error("{0}")]
    Malformed(&'static str),
    /// A credential reference is wrong.
    #[error("{field}")]
    Credential {
        /// The path of the field.
        field: String,
        /// Why.
        source: CredentialError,
    },
    /// The server does not allow hosts other than the clouds' own.
    #[error("tenant.{0}: this server does not allow custom Graph or login hosts")]
    CustomCloud(&'static str),
    /// The tenant is not registered.
    #[error("tenant {0} is not registered")]
    NotRegistered(TenantId),
    /// The tenant was changed while it was to be changed.
    #[error("tenant {0} was changed meanwhile: look at it, and ask again")]
    Moved(TenantId),
    /// The tenant is registered with other content.
    #[error("tenant {0} is registered already, with other content")]
    Registered(TenantId),
    /// A service behind is out of reach.
    #[error("the {0} cannot be reached")]
    Backend(&'static str),
    /// What a mutation is about to do could not be written down before.
    #[error("the audit cannot be written, so nothing was changed")]
    AuditUnavailable,
    /// A service behind answered with an error.
    #[error(transparent)]
    Remote(#[from] Remote),
    /// The vault failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A defect of this program.
    #[error("{0}")]
    Internal(String),
}

impl GatewayError {
    /// An error about a field of the request.
    pub(crate) fn invalid(field: impl Into<String>, problem: impl std::fmt::Display) -> Self {
        Self::Invalid {
            field: field.into(),
            problem: problem.to_string(),
        }
    }
}

impl Fault for GatewayError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Unauthenticated | Self::Denied | Self::CustomCloud(_) => ErrorKind::Denied,
            Self::Invalid { .. } | Self::Malformed(_) => ErrorKind::Invalid,
            Self::Credential { source, .. } => source.kind(),
            Self::NotRegistered(_) => ErrorKind::NotFound,
            Self::Registered(_) | Self::Moved(_) => ErrorKind::Conflict,
            Self::Limited(after) => ErrorKind::Throttled {
                retry_after: Some(*after),
            },
            Self::Backend(_) | Self::IssuerAway | Self::AuditUnavailable => ErrorKind::Unavailable,
            Self::Remote(remote) => remote.kind(),
            Self::Store(error) => error.kind(),
            Self::Internal(_) => ErrorKind::Internal,
        }
    }

    fn reason(&self) -> &str {
        match self {
            Self::Unauthenticated => reason::UNAUTHENTICATED,
            Self::Denied => reason::PERMISSION_DENIED,
            Self::Invalid { .. } | Self::Malformed(_) => reason::INVALID_ARGUMENT,
            Self::Credential { source, .. } => source.reason(),
            Self::CustomCloud(_) => reason::CUSTOM_CLOUD_REFUSED,
            Self::NotRegistered(_) => reason::NOT_FOUND,
            Self::Registered(_) => reason::ALREADY_EXISTS,
            Self::Moved(_) => reason::CONFLICT,
            Self::Backend(_) | Self::IssuerAway => reason::BACKEND_UNAVAILABLE,
            Self::Limited(_) => reason::LIMIT_EXCEEDED,
            Self::AuditUnavailable => reason::AUDIT_UNAVAILABLE,
            Self::Remote(remote) => remote.reason(),
            Self::Store(error) => error.reason().0,
            Self::Internal(_) => reason::INTERNAL,
        }
    }

    fn violations(&self) -> Vec<(String, String)> {
        match self {
            Self::Invalid { field, problem } => vec![(field.clone(), problem.clone())],
            Self::Credential { field, source } => vec![((*field).to_owned(), source.to_string())],
            Self::Remote(remote) => remote.violations(),
            _ => Vec::new(),
        }
    }
}

impl From<GatewayError> for tonic::Status {
    fn from(error: GatewayError) -> Self {
        runtime::status(&error)
    }
}
