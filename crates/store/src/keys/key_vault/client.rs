//! Requests to Key Vault: wrap, unwrap, patience, and what a refusal means.
//!
//! Owns which refusals pass and what is said of the others. It must never show
//! what Key Vault sent, nor follow a redirect: each request carries a token.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use secrecy::{ExposeSecret, SecretSlice};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::address::Address;
use super::identity::Identity;
use crate::backend::Setting;
use crate::error::{KeyError, StoreError};

/// The only algorithm used.
const ALGORITHM: &str = "RSA-OAEP-256";
/// How long a request may take, and the standing of its connection.
const REQUEST: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(5);
/// How often a request is sent.
const ATTEMPTS: u32 = 5;
/// The first wait between two, where Key Vault names none; each further one is
/// twice as long.
const FIRST: Duration = Duration::from_millis(250);
/// The longest sum of the waits.
const LONGEST: Duration = Duration::from_secs(20);

/// What Key Vault is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operation {
    /// Encrypt a key.
    Wrap,
    /// Decrypt it.
    Unwrap,
}

impl Operation {
    /// The last part of the path.
    fn path(self) -> &'static str {
        match self {
            Self::Wrap => "wrapkey",
            Self::Unwrap => "unwrapkey",
        }
    }

    /// The permission that it takes.
    fn permission(self) -> &'static str {
        match self {
            Self::Wrap => "wrapKey",
            Self::Unwrap => "unwrapKey",
        }
    }
}

/// Why an attempt failed.
pub(super) enum Refusal {
    /// Asking again cannot help.
    Final(KeyError),
    /// May pass; how long Key Vault says to wait.
    Passing(KeyError, Option<Duration>),
    /// The token was not taken.
    Token,
}

/// The way to one version of a key.
pub(super) struct Client {
    address: Address,
    identity: Identity,
    http: reqwest::Client,
}

impl Client {
    /// Prepares the way; nothing is sent yet.
    ///
    /// # Errors
    /// `Invalid` where the settings name no identity; `Internal` where TLS cannot
    /// be set up.
    pub(super) fn new(address: Address, setting: Setting<'_>) -> Result<Self, StoreError> {
        Ok(Self {
            http: http(address.is_loopback())?,
            identity: Identity::new(&address, setting)?,
            address,
        })
    }

    /// Has a key wrapped or unwrapped.
    ///
    /// # Errors
    /// `Unreachable` and `Throttled` where repeating did not help; `SignIn`,
    /// `NotAllowed` and `Unusable` by what was refused; `Refused` where what is to
    /// be unwrapped was not wrapped by this version of the key.
    pub(super) async fn ask(
        &self,
        operation: Operation,
        key: &[u8],
    ) -> Result<SecretSlice<u8>, KeyError> {
        let (mut made, mut waited, mut fresh) = (1, Duration::ZERO, false);
        loop {
            let (error, told) = match self.once(operation, key).await {
                Ok(key) => return Ok(key),
                Err(Refusal::Final(error)) => return Err(error),
                // A token may have been revoked; a second one that is not taken was not.
                Err(Refusal::Token) if !fresh => {
                    fresh = true;
                    self.identity.forget().await;
                    continue;
                }
                Err(Refusal::Token) => {
                    return Err(KeyError::SignIn {
                        vault: self.address.host().to_owned(),
                        why: "it does not accept the service's token; is the vault in another directory?".to_owned(),
                    });
                }
                Err(Refusal::Passing(error, told)) => (error, told),
            };
            let wait = told.unwrap_or_else(|| FIRST * 2_u32.pow(made - 1));
            if made == ATTEMPTS || waited.saturating_add(wait) > LONGEST {
                return Err(error);
            }
            tracing::debug!(%error, ?wait, "key vault is asked again");
            made += 1;
            waited += wait;
            tokio::time::sleep(wait).await;
        }
    }

    async fn once(&self, operation: Operation, key: &[u8]) -> Result<SecretSlice<u8>, Refusal> {
        let token = self.identity.token().await?;
        let value = Zeroizing::new(BASE64_URL_SAFE_NO_PAD.encode(key));
        let question = Question {
            alg: ALGORITHM,
            value: &value,
        };
        let answer = self
            .http
            .post(self.address.of(operation.path()))
            .bearer_auth(token.expose_secret())
            .json(&question)
            .send()
            .await
            .map_err(|error| self.unreachable(&error))?;
        let (status, told) = (answer.status(), retry_after(answer.headers()));
        let body = answer
            .bytes()
            .await
            .map_err(|error| self.unreachable(&error))?;
        if status != StatusCode::OK {
            return Err(self.refusal(operation, status, told, &body));
        }
        let said: Said = serde_json::from_slice(&body)
            .map_err(|_| Refusal::Final(self.garbled("an answer cannot be understood")))?;
        if !self.address.is_named(&said.kid) {
            let error = self.garbled("an answer is about another key");
            return Err(Refusal::Final(error));
        }
        let value = Zeroizing::new(said.value);
        BASE64_URL_SAFE_NO_PAD
            .decode(value.trim_end_matches('='))
            .map(SecretSlice::from)
            .map_err(|_| Refusal::Final(self.garbled("an answer cannot be understood")))
    }

    fn refusal(
        &self,
        operation: Operation,
        status: StatusCode,
        told: Option<Duration>,
        body: &[u8],
    ) -> Refusal {
        let vault = self.address.host().to_owned();
        let code = Fault::code(body).to_ascii_lowercase();
        let unusable = |why| {
            Refusal::Final(KeyError::Unusable {
                vault: vault.clone(),
                why,
            })
        };
        match status.as_u16() {
            401 => Refusal::Token,
            403 if code.contains("disabled") => unusable("it is disabled"),
            403 if code.contains("expired") || code.contains("notyetvalid") => {
                unusable("it is expired, or not valid yet")
            }
            403 if code.contains("firewall") => {
                unusable("the vault's firewall does not let this address in")
            }
            403 => Refusal::Final(KeyError::NotAllowed {
                vault,
                permission: operation.permission(),
            }),
            404 => unusable("there is no such key or version, or it was deleted"),
            // What is to be unwrapped is none of this key's.
            400 if operation == Operation::Unwrap => Refusal::Final(KeyError::Refused),
            400 => unusable("it is no RSA key that wraps other keys"),
            429 => Refusal::Passing(
                KeyError::Throttled {
                    vault,
                    retry_after: told,
                },
                told,
            ),
            408 | 500..=599 => Refusal::Passing(
                KeyError::Unreachable(format!("Key Vault {vault}: HTTP {}", status.as_u16())),
                told,
            ),
            other => Refusal::Final(self.garbled(&format!("HTTP {other} was not expected"))),
        }
    }

    fn unreachable(&self, error: &reqwest::Error) -> Refusal {
        unreachable(&format!("Key Vault {}", self.address.host()), error)
    }

    /// An answer that cannot be used.
    pub(super) fn garbled(&self, what: &str) -> KeyError {
        KeyError::Unreachable(format!("Key Vault {}: {what}", self.address.host()))
    }
}

/// Connections that follow no redirect; by the proxy that the environment names,
/// but not to this machine.
///
/// # Errors
/// `Internal` where TLS cannot be set up.
pub(super) fn http(local: bool) -> Result<reqwest::Client, StoreError> {
    let builder = reqwest::Client::builder()
        .connect_timeout(CONNECT)
        .timeout(REQUEST)
        .redirect(reqwest::redirect::Policy::none());
    let builder = if local { builder.no_proxy() } else { builder };
    builder
        .build()
        .map_err(|_| StoreError::Internal("tls cannot be set up".to_owned()))
}

/// What a failure of the network amounts to, without its URL.
pub(super) fn unreachable(whom: &str, error: &reqwest::Error) -> Refusal {
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection broke"
    };
    Refusal::Passing(KeyError::Unreachable(format!("{whom}: {what}")), None)
}

/// The wait that an answer asks for, in seconds; a date is not honoured.
pub(super) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse();
    Duration::try_from_secs_f64(seconds.ok()?).ok()
}

#[derive(Serialize)]
struct Question<'a> {
    alg: &'static str,
    value: &'a str,
}

#[derive(Deserialize)]
struct Said {
    kid: String,
    value: String,
}

/// The part of a refusal that is looked at, and never shown.
#[derive(Deserialize, Default)]
struct Fault {
    #[serde(default)]
    code: String,
    #[serde(default, alias = "innerError")]
    innererror: Option<Box<Fault>>,
}

impl Fault {
    /// The innermost code.
    fn code(body: &[u8]) -> String {
        #[derive(Deserialize)]
        struct Body {
            error: Fault,
        }
        let mut fault = serde_json::from_slice::<Body>(body)
            .map(|body| body.error)
            .unwrap_or_default();
        while let Some(inner) = fault.innererror.take() {
            fault = *inner;
        }
        fault.code
    }
}
