//! What an installation brings for all its tenants.
//!
//! Owns the settings of the multitenant application of one kind and of the
//! token file that the platform mounts. A service reads those of its own kind
//! only.

use super::{CredentialReference, Kind, WORKLOAD_IDENTITY};
use crate::config::{ConfigError, Settings};
use model::{Proof, ProofKind};
use std::path::PathBuf;

/// What a service can sign in with where a tenant's registration leaves it open.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Installed {
    /// `REWIND_READER_CLIENT_ID` and `REWIND_READER_CREDENTIAL`, or those of the
    /// writer: the client id of the multitenant application, and how it proves
    /// itself.
    pub application: Option<(String, Proof)>,
    /// `REWIND_FEDERATED_TOKEN_FILE`, else `AZURE_FEDERATED_TOKEN_FILE`, which
    /// Azure's workload identity sets in each pod.
    pub token_file: Option<PathBuf>,
}

impl Installed {
    /// Reads the settings of one kind.
    ///
    /// # Errors
    /// [`ConfigError`] naming the key.
    pub fn read(settings: &Settings<'_>, kind: Kind) -> Result<Self, ConfigError> {
        let key = |part: &str| format!("REWIND_{}_{part}", kind.name().to_uppercase());
        let (id_key, credential_key) = (key("CLIENT_ID"), key("CREDENTIAL"));
        let application = match (settings.text(&id_key), settings.text(&credential_key)) {
            (None, None) => None,
            (None, Some(_)) => return Err(ConfigError::Missing { key: id_key }),
            (Some(_), None) => {
                return Err(ConfigError::Missing {
                    key: credential_key,
                });
            }
            (Some(client_id), Some(text)) => {
                let proof = proof(&text);
                CredentialReference::parse(kind, &proof)
                    .map_err(|error| ConfigError::invalid(&credential_key, error))?;
                Some((client_id, proof))
            }
        };
        let token_file = settings
            .path("REWIND_FEDERATED_TOKEN_FILE")
            .or_else(|| settings.path("AZURE_FEDERATED_TOKEN_FILE"));
        Ok(Self {
            application,
            token_file,
        })
    }
}

/// A reference with its kind before it: `certificate:file:PATH`,
/// `federated-token:file:PATH`, `workload-identity`; a secret without.
fn proof(text: &str) -> Proof {
    let (kind, reference) = match text.split_once(':') {
        Some(("certificate", rest)) => (ProofKind::Certificate, rest),
        Some(("federated-token", rest)) => (ProofKind::FederatedToken, rest),
        None if text == WORKLOAD_IDENTITY => (ProofKind::FederatedToken, text),
        _ => (ProofKind::Secret, text),
    };
    Proof {
        kind,
        reference: reference.to_owned(),
    }
}
