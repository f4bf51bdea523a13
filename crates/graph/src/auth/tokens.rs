//! The tokens of one application in one tenant: kept, renewed, fetched.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::claims;
use super::credential::Credential;
use super::refusal::{PATH, Refusal};
use crate::cloud::Endpoint;
use crate::error::GraphError;
use crate::retry::{Attempts, Next, RetryPolicy, Sleeper, retry_after};

/// How long before its end a token is replaced.
const MARGIN: Duration = Duration::from_secs(300);

/// How often a token is asked for in a row: eight seconds in all, half a minute
/// where the other side knows a federated credential not yet.
const LOGIN_ATTEMPTS: u32 = 5;

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
}

/// Where a token is kept; who holds the lock fetches it.
pub(super) type Slot = Arc<Mutex<Option<Kept>>>;

/// A token and how long it is used.
pub(super) struct Kept {
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
        }
    }

    /// A token that is good for the next minutes.
    pub(crate) async fn token(&self) -> Result<Token, GraphError> {
        let mut kept = self.credential.slot.lock().await;
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
        let mut kept = self.credential.slot.lock().await;
        if kept
            .as_ref()
            .is_some_and(|kept| Arc::ptr_eq(&kept.token, refused))
        {
            *kept = None;
        }
    }

    /// Signs in anew, whatever is kept, and reads which application permissions
    /// the token carries; `None` where it does not say.
    pub(crate) async fn granted(&self) -> Result<Option<BTreeSet<String>>, GraphError> {
        let mut kept = self.credential.slot.lock().await;
        *kept = None;
        let fetched = self.fetch().await?;
        let roles = claims::roles(fetched.token.expose_secret());
        *kept = Some(fetched);
        Ok(roles)
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
        let sent = self
            .credential
            .prove(&self.url, &self.client_id)
            .map_err(Refusal::Final)?;
        let mut form = vec![
            ("client_id", self.client_id.as_str()),
            ("scope", self.scope.as_str()),
            ("grant_type", "client_credentials"),
        ];
        form.extend(sent.fields());
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
        if status != 200 {
            return Err(Refusal::of(status, told, &body, &sent));
        }
        let issued: Issued = serde_json::from_slice(&body)
            .map_err(|error| Refusal::Final(GraphError::garbled(&error, PATH)))?;
        let lifetime = Duration::from_secs(issued.expires_in);
        Ok(Kept {
            token: Arc::new(SecretString::from(issued.access_token)),
            fresh_until: asked + lifetime.saturating_sub(MARGIN),
        })
    }
}

#[derive(Deserialize)]
struct Issued {
    access_token: String,
    expires_in: u64,
}
