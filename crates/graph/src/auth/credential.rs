//! What an application proves its identity with.
//!
//! Owns how that is found anew for each token, since it may have been rotated,
//! and the place where a process keeps tokens. It sends nothing.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};
use model::ProofKind;
use secrecy::{ExposeSecret, SecretString};

use super::assertion::Signer;
use super::tokens::Slot;
use crate::cloud::Endpoint;
use crate::error::GraphError;
use crate::settings::Ids;

/// Reads what a credential reference leads to, or says why that cannot be done.
/// What it says is shown, so it must not hold what it read.
pub type Read = Arc<dyn Fn() -> Result<SecretString, String> + Send + Sync>;

/// The wall time, for the short life of an assertion.
pub type Now = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// What a client assertion is, as the token endpoint calls it.
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// The logins of a process: one for each application in each tenant, so that
/// those who reach the same tenant share a token. It holds no more than the
/// last token of each.
#[derive(Clone)]
pub struct Logins {
    now: Now,
    ids: Ids,
    slots: Arc<Mutex<HashMap<Login, Slot>>>,
}

/// Whose token it is, and by which credential.
#[derive(PartialEq, Eq, Hash)]
struct Login {
    token_url: String,
    scope: String,
    client_id: String,
    kind: ProofKind,
    reference: String,
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins").finish_non_exhaustive()
    }
}

impl Logins {
    /// No logins yet; assertions take their time and ids from here.
    #[must_use]
    pub fn new(now: Now, ids: Ids) -> Self {
        Self {
            now,
            ids,
            slots: Arc::default(),
        }
    }

    /// The credential of an endpoint's application, which `reference` names and
    /// `read` reads.
    #[must_use]
    pub fn credential(
        &self,
        endpoint: &Endpoint,
        kind: ProofKind,
        reference: &str,
        read: Read,
    ) -> Credential {
        let login = Login {
            token_url: endpoint.token_url(),
            scope: endpoint.token_scope(),
            client_id: endpoint.client_id.clone(),
            kind,
            reference: reference.to_owned(),
        };
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slot = Arc::clone(slots.entry(login).or_default());
        let proof = match kind {
            ProofKind::Secret => Proof::Secret(read),
            ProofKind::FederatedToken => Proof::FederatedToken(read),
            ProofKind::Certificate => Proof::Certificate {
                pem: read,
                now: Arc::clone(&self.now),
                ids: Arc::clone(&self.ids),
            },
        };
        Credential { proof, slot }
    }
}

/// What an application proves its identity with, and the token that it got.
#[derive(Clone)]
pub struct Credential {
    proof: Proof,
    pub(super) slot: Slot,
}

#[derive(Clone)]
enum Proof {
    Secret(Read),
    Certificate { pem: Read, now: Now, ids: Ids },
    FederatedToken(Read),
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credential").field(&self.kind()).finish()
    }
}

impl Credential {
    /// A client secret that is at hand, and that shares its token with nobody.
    #[must_use]
    pub fn secret(secret: SecretString) -> Self {
        Self {
            proof: Proof::Secret(Arc::new(move || Ok(secret.clone()))),
            slot: Slot::default(),
        }
    }

    fn kind(&self) -> ProofKind {
        match &self.proof {
            Proof::Secret(_) => ProofKind::Secret,
            Proof::Certificate { .. } => ProofKind::Certificate,
            Proof::FederatedToken(_) => ProofKind::FederatedToken,
        }
    }

    /// What one token request carries. Everything is read anew.
    pub(super) fn prove(&self, token_url: &str, client_id: &str) -> Result<Sent, GraphError> {
        let unusable = |what: String| GraphError::CredentialUnusable {
            kind: self.kind().name(),
            what,
        };
        let value = match &self.proof {
            Proof::Secret(read) | Proof::FederatedToken(read) => read().map_err(unusable)?,
            Proof::Certificate { pem, now, ids } => {
                let pem = pem().map_err(unusable)?;
                let assertion = Signer::from_pem(pem.expose_secret()).and_then(|signer| {
                    signer.assertion(token_url, client_id, &ids().to_string(), now())
                });
                assertion.map_err(|what| unusable(what.to_owned()))?
            }
        };
        Ok(Sent {
            kind: self.kind(),
            value,
        })
    }
}

/// The proof inside one token request.
pub(super) struct Sent {
    kind: ProofKind,
    value: SecretString,
}

impl Sent {
    /// Its fields of the form.
    pub(super) fn fields(&self) -> Vec<(&'static str, &str)> {
        let value = self.value.expose_secret();
        match self.kind {
            ProofKind::Secret => vec![("client_secret", value)],
            ProofKind::Certificate | ProofKind::FederatedToken => vec![
                ("client_assertion_type", ASSERTION_TYPE),
                ("client_assertion", value),
            ],
        }
    }

    /// The text without the proof, should the other side have repeated it.
    pub(super) fn hidden_in(&self, text: String) -> String {
        match self.value.expose_secret() {
            "" => text,
            value => text.replace(value, "[secret]"),
        }
    }
}
