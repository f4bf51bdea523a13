//! Signing in to Key Vault: as a workload, with a secret, or by the machine's
//! managed identity.
//!
//! Owns what proves the service, which is read anew for each token, and the token
//! until five minutes before its end. Neither is ever shown, nor sent by plain
//! HTTP but to this machine or its metadata service.

use std::path::PathBuf;
use std::time::Duration;

use reqwest::StatusCode;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::{Host, Url};

use super::address::Address;
use super::client::{Refusal, http, retry_after, unreachable};
use crate::backend::{Setting, is_loopback};
use crate::error::{KeyError, StoreError};

/// How long before its end a token is replaced.
const MARGIN: Duration = Duration::from_secs(300);
/// How long a token is kept whose life is not told.
const UNTOLD: Duration = Duration::from_secs(600);
/// Who hands out tokens to applications, where nothing else is set.
const AUTHORITY: &str = "https://login.microsoftonline.com";
/// Who hands out tokens to what runs on a machine in Azure.
const METADATA: &str = "http://169.254.169.254/metadata/identity/oauth2/token";
/// The version of the metadata service's answers.
const METADATA_API: &str = "2019-08-01";
/// What a client assertion is, as the token endpoint calls it.
const ASSERTION: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The service, as Key Vault knows it.
pub(super) struct Identity {
    way: Way,
    resource: String,
    vault: String,
    http: reqwest::Client,
    kept: Mutex<Option<Kept>>,
}

/// How tokens are had.
enum Way {
    /// An application proves itself.
    Application {
        url: Url,
        client_id: String,
        proof: Proof,
    },
    /// The machine vouches for what runs on it.
    Machine {
        url: Url,
        client_id: Option<String>,
        header: Option<SecretString>,
    },
}

/// What an application proves itself with.
enum Proof {
    /// The file of a token that a cluster renews.
    FederatedToken(PathBuf),
    /// A secret.
    Secret(SecretString),
}

struct Kept {
    token: SecretString,
    fresh_until: Instant,
}

impl Identity {
    /// Finds out how to sign in, by the settings that the object store of Azure
    /// takes too, and in the same order: a workload's token, a secret, the machine.
    ///
    /// # Errors
    /// `Invalid` where they do not fit together. No value is repeated.
    pub(super) fn new(address: &Address, setting: Setting<'_>) -> Result<Self, StoreError> {
        let setting = |name: &str| setting(name).filter(|value| !value.is_empty());
        let way = way(&setting)?;
        let local = match &way {
            Way::Application { url, .. } => is_loopback(url),
            Way::Machine { .. } => true,
        };
        Ok(Self {
            way,
            resource: address.resource().to_owned(),
            vault: address.host().to_owned(),
            http: http(local)?,
            kept: Mutex::default(),
        })
    }

    /// A token that is good for the next minutes.
    ///
    /// # Errors
    /// `SignIn` where there is none for the service; `Unreachable`, which may pass.
    pub(super) async fn token(&self) -> Result<SecretString, Refusal> {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = kept
            .as_ref()
            .filter(|kept| Instant::now() < kept.fresh_until)
        {
            return Ok(kept.token.clone());
        }
        let fetched = self.fetch().await?;
        let token = fetched.token.clone();
        *kept = Some(fetched);
        Ok(token)
    }

    /// Forgets a token that was not taken.
    pub(super) async fn forget(&self) {
        *self.kept.lock().await = None;
    }

    async fn fetch(&self) -> Result<Kept, Refusal> {
        let request = match &self.way {
            Way::Application {
                url,
                client_id,
                proof,
            } => {
                let proof = self.prove(proof)?;
                let scope = format!("{}/.default", self.resource);
                let mut form = vec![
                    ("client_id", client_id.as_str()),
                    ("scope", &scope),
                    ("grant_type", "client_credentials"),
                ];
                match &proof {
                    Proved::Assertion(token) => form.extend([
                        ("client_assertion_type", ASSERTION),
                        ("client_assertion", token.expose_secret()),
                    ]),
                    Proved::Secret(secret) => form.push(("client_secret", secret.expose_secret())),
                }
                self.http.post(url.clone()).form(&form)
            }
            Way::Machine {
                url,
                client_id,
                header,
            } => {
                let mut query = vec![
                    ("api-version", METADATA_API),
                    ("resource", self.resource.as_str()),
                ];
                query.extend(client_id.as_deref().map(|id| ("client_id", id)));
                let request = self
                    .http
                    .get(url.clone())
                    .header("metadata", "true")
                    .query(&query);
                match header {
                    Some(value) => request.header("x-identity-header", value.expose_secret()),
                    None => request,
                }
            }
        };
        let asked = Instant::now();
        let broken = |error: &reqwest::Error| unreachable(self.who(), error);
        let answer = request.send().await.map_err(|error| broken(&error))?;
        let (status, told) = (answer.status(), retry_after(answer.headers()));
        let body = answer.bytes().await.map_err(|error| broken(&error))?;
        if status != StatusCode::OK {
            return Err(self.refusal(status, told, &body));
        }
        let issued: Issued = serde_json::from_slice(&body)
            .map_err(|_| self.failed("the answer cannot be understood"))?;
        let life = issued
            .expires_in
            .map_or(UNTOLD, |life| life.read().saturating_sub(MARGIN));
        Ok(Kept {
            token: SecretString::from(issued.access_token),
            fresh_until: asked + life,
        })
    }

    fn prove(&self, proof: &Proof) -> Result<Proved, Refusal> {
        match proof {
            Proof::Secret(secret) => Ok(Proved::Secret(secret.clone())),
            Proof::FederatedToken(path) => {
                let text = std::fs::read_to_string(path).map_err(|error| {
                    self.failed(&format!(
                        "the file of AZURE_FEDERATED_TOKEN_FILE cannot be read: {}",
                        error.kind()
                    ))
                })?;
                Ok(Proved::Assertion(SecretString::from(text.trim())))
            }
        }
    }

    fn refusal(&self, status: StatusCode, told: Option<Duration>, body: &[u8]) -> Refusal {
        let is_machine = matches!(self.way, Way::Machine { .. });
        match status.as_u16() {
            // The metadata service says 404 and 410 while it starts anew.
            404 | 410 if !is_machine => self.named(status, body),
            404 | 408 | 410 | 429 | 500..=599 => Refusal::Passing(
                KeyError::Unreachable(format!("{}: HTTP {}", self.who(), status.as_u16())),
                told,
            ),
            // The metadata service knows no such identity.
            400 if is_machine => self.failed("the machine has no such managed identity"),
            _ => self.named(status, body),
        }
    }

    /// A refusal, by the code that came with it.
    fn named(&self, status: StatusCode, body: &[u8]) -> Refusal {
        let code = Refused::code(body);
        self.failed(&code.unwrap_or_else(|| format!("HTTP {} was answered", status.as_u16())))
    }

    fn who(&self) -> &'static str {
        match self.way {
            Way::Application { .. } => "the login host",
            Way::Machine { .. } => "the managed identity's endpoint",
        }
    }

    fn failed(&self, why: &str) -> Refusal {
        Refusal::Final(KeyError::SignIn {
            vault: self.vault.clone(),
            why: format!("{}: {why}", self.who()),
        })
    }
}

/// What is sent for one token.
enum Proved {
    Assertion(SecretString),
    Secret(SecretString),
}

fn way(setting: &dyn Fn(&str) -> Option<String>) -> Result<Way, StoreError> {
    let client_id = setting("AZURE_CLIENT_ID");
    let proof = setting("AZURE_FEDERATED_TOKEN_FILE")
        .map(|path| Proof::FederatedToken(path.into()))
        .or_else(|| setting("AZURE_CLIENT_SECRET").map(|text| Proof::Secret(text.into())));
    let Some(proof) = proof else {
        let text = setting("IDENTITY_ENDPOINT");
        return Ok(Way::Machine {
            url: trusted(
                text.as_deref().unwrap_or(METADATA),
                "IDENTITY_ENDPOINT",
                is_metadata,
            )?,
            client_id,
            header: setting("IDENTITY_HEADER").map(SecretString::from),
        });
    };
    let (Some(tenant), Some(client_id)) = (setting("AZURE_TENANT_ID"), client_id) else {
        return Err(StoreError::Invalid(
            "to sign in to Key Vault, AZURE_TENANT_ID and AZURE_CLIENT_ID go together with AZURE_FEDERATED_TOKEN_FILE or AZURE_CLIENT_SECRET".to_owned(),
        ));
    };
    let host = setting("AZURE_AUTHORITY_HOST");
    let mut url = trusted(
        host.as_deref().unwrap_or(AUTHORITY),
        "AZURE_AUTHORITY_HOST",
        is_loopback,
    )?;
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty()
            .extend([tenant.as_str(), "oauth2", "v2.0", "token"]);
    }
    Ok(Way::Application {
        url,
        client_id,
        proof,
    })
}

/// A URL that a proof or a token may travel to: by TLS, or where it stays at home.
fn trusted(text: &str, name: &str, home: fn(&Url) -> bool) -> Result<Url, StoreError> {
    Url::parse(text)
        .ok()
        .filter(|url| match url.scheme() {
            "https" => url.has_host(),
            "http" => home(url),
            _ => false,
        })
        .ok_or_else(|| {
            StoreError::Invalid(format!(
                "{name} is not valid: an https URL is expected, or an http URL on this machine"
            ))
        })
}

/// Whether a URL leads no further than to the machine's metadata service.
fn is_metadata(url: &Url) -> bool {
    let link_local = matches!(url.host(), Some(Host::Ipv4(address)) if address.is_link_local());
    link_local || is_loopback(url)
}

#[derive(Deserialize)]
struct Issued {
    access_token: String,
    #[serde(default)]
    expires_in: Option<Seconds>,
}

/// A number, which the metadata service sends as text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Seconds {
    Number(u64),
    Text(String),
}

impl Seconds {
    fn read(&self) -> Duration {
        match self {
            Self::Number(seconds) => Duration::from_secs(*seconds),
            Self::Text(text) => text.parse().map_or(UNTOLD, Duration::from_secs),
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
    /// The `AADSTS` code, else the OAuth one; nothing else that was sent.
    fn code(body: &[u8]) -> Option<String> {
        let refused: Self = serde_json::from_slice(body).ok()?;
        let code = refused.error_description.split(':').next()?.trim();
        let is_code = |text: &str| {
            text.strip_prefix("AADSTS")
                .is_some_and(|n| n.parse::<u64>().is_ok())
        };
        if is_code(code) {
            return Some(code.to_owned());
        }
        let is_word = |b: u8| b.is_ascii_lowercase() || b == b'_';
        (refused.error.len() < 40 && refused.error.bytes().all(is_word)).then_some(refused.error)
    }
}
