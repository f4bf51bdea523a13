//! Tokens by client credentials, for one application in one tenant.
//!
//! A token is kept until five minutes before it ends and fetched by one caller
//! at a time. Neither the credential nor a token appears in an error or a log.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::cloud::Endpoint;
use crate::error::{GraphError, clipped};
use crate::retry::{Attempts, FAILED, Next, RetryPolicy, Sleeper, THROTTLED, retry_after};

/// How long before its end a token is replaced.
const MARGIN: Duration = Duration::from_secs(300);

/// How often a token is asked for in a row, eight seconds in all.
const LOGIN_ATTEMPTS: u32 = 5;

/// What the application proves its identity with.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A client secret.
    Secret(SecretString),
}

/// A bearer token.
pub(crate) type Token = Arc<SecretString>;

/// The tokens of one application in one tenant.
pub(crate) struct Tokens {
    http: reqwest::Client,
    url: String,
    scope: String,
    client_id: String,
    credential: Credential,
    retry: RetryPolicy,
    sleep: Sleeper,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    token: Token,
    fresh_until: Instant,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens")
            .field("url", &self.url)
            .field("client_id", &self.client_id)
            .finish_non_exhaustive()
    }
}

impl Tokens {
    pub(crate) fn new(
        http: reqwest::Client,
        endpoint: &Endpoint,
        credential: Credential,
        retry: RetryPolicy,
        sleep: Sleeper,
    ) -> Self {
        Self {
            http,
            url: endpoint.token_url(),
            scope: endpoint.token_scope(),
            client_id: endpoint.client_id.clone(),
            credential,
            retry,
            sleep,
            kept: Mutex::new(None),
        }
    }

    /// A token that is good for the next minutes.
    pub(crate) async fn token(&self) -> Result<Token, GraphError> {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept
            .as_ref()
            .filter(|kept| Instant::now() < kept.fresh_until)
        {
            return Ok(Arc::clone(&kept.token));
        }
        let fetched = self.fetch().await?;
        let token = Arc::clone(&fetched.token);
        *kept = Some(fetched);
        Ok(token)
    }

    /// Forgets a token that Graph refused, unless another caller already replaced it.
    pub(crate) async fn forget(&self, refused: &Token) {
        let mut kept = self.kept.lock().await;
        if kept
            .as_ref()
            .is_some_and(|kept| Arc::ptr_eq(&kept.token, refused))
        {
            *kept = None;
        }
    }

    async fn fetch(&self) -> Result<Kept, GraphError> {
        // A login host that is out of reach should be told to the person who
        // waits, not after a minute.
        let policy = RetryPolicy {
            attempts: self.retry.attempts.min(LOGIN_ATTEMPTS),
            ..self.retry
        };
        let mut attempts = Attempts::new(policy, &self.sleep);
        loop {
            let (error, told, first) = match self.ask().await {
                Ok(kept) => return Ok(kept),
                Err(Refusal::Final(error)) => return Err(error),
                Err(Refusal::Passing { error, told, first }) => (error, told, first),
            };
            if attempts.pause(told, first).await == Next::GiveUp {
                return Err(error);
            }
        }
    }

    async fn ask(&self) -> Result<Kept, Refusal> {
        let Credential::Secret(secret) = &self.credential;
        let form = [
            ("client_id", self.client_id.as_str()),
            ("scope", self.scope.as_str()),
            ("grant_type", "client_credentials"),
            ("client_secret", secret.expose_secret()),
        ];
        let asked = Instant::now();
        let answer = self
            .http
            .post(&self.url)
            .form(&form)
            .send()
            .await
            .map_err(|error| Refusal::network(&error))?;
        let status = answer.status().as_u16();
        let told = retry_after(answer.headers());
        let body = answer
            .bytes()
            .await
            .map_err(|error| Refusal::network(&error))?;
        match status {
            200 => {
                let issued: Issued = serde_json::from_slice(&body)
                    .map_err(|error| Refusal::Final(GraphError::garbled(&error, PATH)))?;
                let lifetime = Duration::from_secs(issued.expires_in);
                Ok(Kept {
                    token: Arc::new(SecretString::from(issued.access_token)),
                    fresh_until: asked + lifetime.saturating_sub(MARGIN),
                })
            }
            429 => Err(Refusal::Passing {
                error: GraphError::Throttled {
                    retry_after: told,
                    path: PATH.to_owned(),
                },
                told,
                first: THROTTLED,
            }),
            500..=599 => Err(Refusal::passing(format!("HTTP {status}"), told)),
            _ => Err(self.refusal(status, &body)),
        }
    }

    fn refusal(&self, status: u16, body: &[u8]) -> Refusal {
        let Ok(refused) = serde_json::from_slice::<Refused>(body) else {
            let what = format!("HTTP {status} without an oauth error");
            return Refusal::Final(GraphError::Unexpected {
                what,
                path: PATH.to_owned(),
            });
        };
        if refused.error == "temporarily_unavailable" {
            return Refusal::passing(refused.error, None);
        }
        let (code, description) = explain(&refused);
        // The platform does not repeat secrets; should a stand-in do so, it ends here.
        let Credential::Secret(secret) = &self.credential;
        let hide = |text: String| match secret.expose_secret() {
            "" => text,
            secret => text.replace(secret, "[secret]"),
        };
        Refusal::Final(GraphError::CredentialRejected {
            code: hide(code),
            description: hide(description),
        })
    }
}

/// What errors call the token endpoint.
const PATH: &str = "the login host";

enum Refusal {
    Final(GraphError),
    Passing {
        error: GraphError,
        told: Option<Duration>,
        first: Duration,
    },
}

impl Refusal {
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

    fn network(error: &reqwest::Error) -> Self {
        Self::passing(crate::request::describe(error).to_owned(), None)
    }
}

#[derive(Deserialize)]
struct Issued {
    access_token: String,
    expires_in: u64,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
}

/// The `AADSTS` code and the first sentence of what follows it.
fn explain(refused: &Refused) -> (String, String) {
    let text = refused.error_description.trim();
    let (code, rest) = match text.split_once(':') {
        Some((code, rest)) if code.starts_with("AADSTS") => (code.to_owned(), rest),
        _ => (clipped(&refused.error), text),
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
            assert_eq!(explain(&refused), (code.to_owned(), text.to_owned()));
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
