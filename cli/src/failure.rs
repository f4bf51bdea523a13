//! What ends a command early, what it says, and its exit code.
//!
//! Owns the client's error and its hints. It never prints, and it matches on
//! reason words, never on text.

use model::ErrorKind;
use model::error::reason;
use runtime::{Fault, Remote, exit};
use store::StoreError;
use tonic::Status;

/// Why a command ended early.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command was used wrongly in a way that the parser cannot see.
    #[error("{message}")]
    Usage {
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<&'static str>,
    },
    /// The token file cannot be used.
    #[error("the token file {path} cannot be used: {cause}")]
    Token {
        /// The file.
        path: String,
        /// Why not.
        cause: String,
    },
    /// Nothing answers at the gateway's address.
    #[error("no gateway answers at {gateway}: {cause}")]
    Unreachable {
        /// The address.
        gateway: String,
        /// Why not.
        cause: String,
    },
    /// The gateway answered a call with an error.
    #[error("{0}")]
    Call(Box<Remote>),
    /// The answer cannot be understood.
    #[error("the gateway's answer cannot be understood: {0}")]
    Answer(&'static str),
    /// Progress ended before the work did.
    #[error("the connection to {name} was lost; the work itself may go on")]
    Lost {
        /// What was watched.
        name: String,
    },
    /// A report came to no end.
    #[error("{name} was not made, so that there is nothing to write")]
    NotMade {
        /// The report.
        name: String,
    },
    /// Results cannot be written.
    #[error("the result cannot be written: {0}")]
    Output(#[source] std::io::Error),
    /// The vault, which the command works on itself.
    #[error("{}", runtime::status::chain(.0))]
    Store(AtStore),
    /// Something on this machine failed.
    #[error("{context}: {source}")]
    Local {
        /// What was attempted.
        context: String,
        /// Why it failed.
        source: std::io::Error,
    },
}

/// An error of the vault, met without a service in between.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct AtStore(pub(crate) StoreError);

impl Fault for AtStore {
    fn kind(&self) -> ErrorKind {
        self.0.kind()
    }

    fn reason(&self) -> &str {
        self.0.reason().0
    }
}

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        Self::Call(Box::new(status.into()))
    }
}

impl From<show::document::Error> for Failure {
    fn from(error: show::document::Error) -> Self {
        match error {
            show::document::Error::Output(error) => Self::Output(error),
            show::document::Error::NotUnderstood(what) => Self::Answer(what),
        }
    }
}

impl Failure {
    /// Wrong usage without a hint.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::Usage {
            message: message.into(),
            hint: None,
        }
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage { .. } => exit::USAGE,
            Self::Token { .. } => exit::NOT_PERMITTED,
            Self::Unreachable { .. } | Self::Lost { .. } => exit::UNAVAILABLE,
            Self::Call(remote) => exit::exit_code(&**remote),
            Self::Store(error) => exit::exit_code(error),
            Self::Answer(_) | Self::NotMade { .. } | Self::Output(_) | Self::Local { .. } => {
                exit::FAILED
            }
        }
    }

    /// The stable word for the cause of an answered error.
    pub(crate) fn reason(&self) -> Option<&str> {
        match self {
            Self::Call(remote) => Some(remote.reason()),
            Self::Store(error) => Some(error.reason()),
            _ => None,
        }
    }

    /// The fields of the request that are wrong, a line each.
    pub(crate) fn violations(&self) -> Vec<String> {
        let violations = match self {
            Self::Call(remote) => remote.violations(),
            _ => Vec::new(),
        };
        let said = self.to_string();
        let news = violations
            .into_iter()
            .filter(|(_, expected)| !said.contains(expected.as_str()));
        news.map(|(field, expected)| format!("{field}: {expected}"))
            .collect()
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Usage { hint, .. } => *hint,
            Self::Token { .. } => Some(
                "`rewind up` writes one to DIR/operator.token; name it with --token-file or REWIND_TOKEN_FILE",
            ),
            Self::Unreachable { .. } => {
                Some("start one with `rewind up`, or name another with --gateway")
            }
            Self::Lost { .. } => Some("the same command with `show` or `watch` tells how it went"),
            Self::Call(remote) => match remote.reason() {
                reason::UNAUTHENTICATED => {
                    Some("the token is missing, expired or for another gateway; see --token-file")
                }
                reason::PERMISSION_DENIED => Some("your roles do not allow this for this tenant"),
                reason::LICENCE_REQUIRED => {
                    Some("the tenant needs an active Entra ID P1 or P2 licence")
                }
                reason::CONSENT_MISSING | reason::CREDENTIAL_REJECTED => {
                    Some("`rewind tenant check` shows what is missing")
                }
                reason::APPROVAL_REQUIRED => Some(
                    "somebody else approves it with `rewind restore approve`; `rewind restore show` says why",
                ),
                reason::APPROVAL_EXPIRED => {
                    Some("let it be approved anew with `rewind restore approve`")
                }
                reason::APPROVAL_STALE => {
                    Some("read the plan with `rewind restore show`, then let it be approved")
                }
                reason::APPROVAL_OF_OWN_PLAN => Some("somebody else has to approve it"),
                reason::PLAN_STALE | reason::RESTORE_CANCELLED => {
                    Some("make a new plan with `rewind restore plan`")
                }
                reason::RESTORE_IN_PROGRESS => {
                    Some("wait for it with `rewind restore watch`, or resume or cancel it")
                }
                reason::CHANGE_ENDED => Some("`rewind tenant change show` tells what became of it"),
                reason::EXPORT_REQUIRED => Some(
                    "export it, or say --without-export; `rewind keys export` makes a recovery bundle besides",
                ),
                reason::SNAPSHOT_HELD => {
                    Some("`rewind snapshot hold SNAPSHOT --lift` asks for the end of the hold")
                }
                reason::CUSTOM_CLOUD_REFUSED => {
                    Some("the server must run with REWIND_CUSTOM_CLOUDS=allow")
                }
                reason::CREDENTIAL_REFERENCE_REFUSED => Some(
                    "names begin REWIND_CREDENTIAL_READER_, REWIND_CREDENTIAL_WRITER_ or REWIND_CREDENTIAL_WEBHOOK_; files lie in the service's REWIND_CREDENTIALS_DIR",
                ),
                reason::SNAPSHOT_INCOMPLETE => {
                    Some("`rewind snapshot show` tells which kinds are complete")
                }
                reason::NO_COPY_STORE => Some(
                    "the snapshotter must run with REWIND_COPY_URL, which names another store than its own",
                ),
                reason::NO_WEBHOOK => Some(
                    "register one with `rewind tenant update --webhook URL --webhook-secret REFERENCE`",
                ),
                _ => None,
            },
            Self::Store(error) if error.reason() == reason::KEY_ERASED => {
                Some("--undo-erasure brings an erased tenant back")
            }
            Self::NotMade { .. } => Some("make another with `rewind diff create`"),
            Self::Store(_) | Self::Answer(_) | Self::Output(_) | Self::Local { .. } => None,
        }
    }
}
