//! Refusals of the token endpoint: which of them pass, and what is shown.
//!
//! Facts: "Microsoft Entra authentication and authorization error codes". Only
//! the code and the first sentence are kept; should a stand-in for the platform
//! repeat what proves the application, it ends here.

use std::time::Duration;

use serde::Deserialize;

use super::credential::Sent;
use crate::error::{GraphError, clipped};
use crate::retry::{FAILED, THROTTLED};

/// What errors call the token endpoint.
pub(super) const PATH: &str = "the login host";

/// A federated credential is matched some minutes after it was made: "Workload
/// identity federation considerations". The longer codes tell which part of it
/// does not match.
const NOT_MATCHED_YET: [&str; 3] = ["AADSTS70021", "AADSTS700211", "AADSTS700213"];

/// First wait for a federated credential to be known.
const UNKNOWN: Duration = Duration::from_secs(2);

/// Why there is no token.
pub(super) enum Refusal {
    /// Asking again cannot help.
    Final(GraphError),
    /// May pass.
    Passing {
        /// What is told if it does not.
        error: GraphError,
        /// How long the other side says to wait.
        told: Option<Duration>,
        /// The first wait where it does not say.
        first: Duration,
    },
}

impl Refusal {
    pub(super) fn of(status: u16, told: Option<Duration>, body: &[u8], sent: &Sent) -> Self {
        match status {
            429 => Self::Passing {
                error: GraphError::Throttled {
                    retry_after: told,
                    path: PATH.to_owned(),
                },
                told,
                first: THROTTLED,
            },
            500..=599 => Self::passing(format!("HTTP {status}"), told),
            _ => Self::by_body(status, body, sent),
        }
    }

    pub(super) fn network(error: &reqwest::Error) -> Self {
        Self::passing(crate::request::describe(error).to_owned(), None)
    }

    fn passing(what: String, told: Option<Duration>) -> Self {
        Self::Passing {
            error: GraphError::Unavailable {
                what,
                path: PATH.to_owned(),
            },
            told,
            first: FAILED,
        }
    }

    fn by_body(status: u16, body: &[u8], sent: &Sent) -> Self {
        let Ok(refused) = serde_json::from_slice::<Refused>(body) else {
            let what = format!("HTTP {status} without an oauth error");
            return Self::Final(GraphError::Unexpected {
                what,
                path: PATH.to_owned(),
            });
        };
        if refused.error == "temporarily_unavailable" {
            return Self::passing(refused.error, None);
        }
        let (code, description) = refused.explained();
        let not_matched_yet = NOT_MATCHED_YET.contains(&code.as_str());
        let error = GraphError::CredentialRejected {
            code: sent.hidden_in(code),
            description: sent.hidden_in(description),
        };
        if not_matched_yet {
            Self::Passing {
                error,
                told: None,
                first: UNKNOWN,
            }
        } else {
            Self::Final(error)
        }
    }
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
}

impl Refused {
    /// The `AADSTS` code and the first sentence of what follows it.
    fn explained(&self) -> (String, String) {
        let text = self.error_description.trim();
        let (code, rest) = match text.split_once(':') {
            Some((code, rest)) if code.starts_with("AADSTS") => (code.to_owned(), rest),
            _ => (clipped(&self.error), text),
        };
        let line = rest.lines().next().unwrap_or_default();
        let sentence = line.split(". ").next().unwrap_or_default();
        let sentence = sentence.split(" Trace ID:").next().unwrap_or_default();
        let description = if sentence.trim().is_empty() {
            "no explanation given".to_owned()
        } else {
            clipped(sentence)
        };
        (code, description)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_its_code_and_first_sentence() {
        let check = |description: &str, code: &str, text: &str| {
            let refused = Refused {
                error: "invalid_client".to_owned(),
                error_description: description.to_owned(),
            };
            assert_eq!(refused.explained(), (code.to_owned(), text.to_owned()));
        };
        check(
            "AADSTS7000215: Invalid client secret provided. Ensure the secret being sent is the value. Trace ID: 1",
            "AADSTS7000215",
            "Invalid client secret provided",
        );
        check(
            "AADSTS90002: Tenant 'x' not found.\r\nTrace ID: 1",
            "AADSTS90002",
            "Tenant 'x' not found",
        );
        check(
            "AADSTS7000222: The provided keys are expired Trace ID: 1",
            "AADSTS7000222",
            "The provided keys are expired",
        );
        check("", "invalid_client", "no explanation given");
    }
}
