//! Small files of format 1: registration, data key, claim.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use model::drift::{Severity, Watch};
use model::retention::Policy;
use model::schedule::Window;
use model::{ObjectId, Proof, ProofKind, TenantId, approval, watch};
use serde::{Deserialize, Serialize};

use super::FORMAT;
use crate::chance;
use crate::error::StoreError;
use crate::keys::Wrapped;
use crate::tenant_record as domain;

/// A registration.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct TenantRecord {
    format: u32,
    /// Tells the writer its own file.
    write: String,
    id: String,
    name: String,
    cloud: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    graph_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    login_url: Option<String>,
    reader: Application,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    writer: Option<Application>,
    break_glass: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retention: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drift_watch: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audit_watch: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    webhook: Option<Webhook>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    groups: Vec<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    schedule: Option<String>,
    state: State,
    created_at: DateTime<Utc>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    change: Option<u32>,
}

/// An application: the installation's, or one with exactly one reference.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Application {
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    installation: bool,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    client_id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    certificate: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    federated_token: Option<String>,
}

impl From<&model::Application> for Application {
    fn from(application: &model::Application) -> Self {
        let (client_id, proof) = match application {
            model::Application::Installation => {
                return Self {
                    installation: true,
                    ..Self::default()
                };
            }
            model::Application::Own { client_id, proof } => (client_id, proof),
        };
        let reference = |kind: ProofKind| (proof.kind == kind).then(|| proof.reference.clone());
        Self {
            installation: false,
            client_id: client_id.clone(),
            secret: reference(ProofKind::Secret),
            certificate: reference(ProofKind::Certificate),
            federated_token: reference(ProofKind::FederatedToken),
        }
    }
}

impl Application {
    fn into_domain(self, path: &str) -> Result<model::Application, StoreError> {
        let named = [
            (ProofKind::Secret, self.secret),
            (ProofKind::Certificate, self.certificate),
            (ProofKind::FederatedToken, self.federated_token),
        ];
        let mut proofs = named.into_iter().filter_map(|(kind, reference)| {
            Some(Proof {
                kind,
                reference: reference?,
            })
        });
        match (self.installation, proofs.next(), proofs.next()) {
            (true, None, _) => Ok(model::Application::Installation),
            (false, Some(proof), None) => Ok(model::Application::Own {
                client_id: self.client_id,
                proof,
            }),
            _ => Err(StoreError::corrupt(
                path,
                "an application has not exactly one credential reference",
            )),
        }
    }
}

/// Where signals are sent.
#[derive(Debug, Serialize, Deserialize)]
struct Webhook {
    url: String,
    secret: String,
    min_severity: String,
    since: DateTime<Utc>,
}

impl From<&domain::Webhook> for Webhook {
    fn from(webhook: &domain::Webhook) -> Self {
        Self {
            url: webhook.url.clone(),
            secret: webhook.secret.clone(),
            min_severity: webhook.min_severity.name().to_owned(),
            since: webhook.since,
        }
    }
}

impl Webhook {
    fn into_domain(self, path: &str) -> Result<domain::Webhook, StoreError> {
        let min_severity = Severity::from_name(&self.min_severity)
            .ok_or_else(|| StoreError::corrupt(path, "a webhook's severity is unknown"))?;
        Ok(domain::Webhook {
            url: self.url,
            secret: self.secret,
            min_severity,
            since: self.since,
        })
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum State {
    Active,
    Suspended,
    Offboarded,
}

impl From<&domain::TenantRecord> for TenantRecord {
    fn from(record: &domain::TenantRecord) -> Self {
        Self {
            format: FORMAT,
            write: chance::token(),
            id: record.id.to_string(),
            name: record.name.clone(),
            cloud: record.cloud.clone(),
            graph_url: record.graph_url.clone(),
            login_url: record.login_url.clone(),
            reader: (&record.reader).into(),
            writer: record.writer.as_ref().map(Into::into),
            break_glass: record.break_glass.iter().map(ObjectId::to_string).collect(),
            retention: (record.retention != Policy::default())
                .then(|| record.retention.to_string()),
            drift_watch: (record.drift_watch != Watch::default())
                .then(|| record.drift_watch.to_string()),
            audit_watch: (record.audit_watch != watch::Watch::default())
                .then(|| record.audit_watch.to_string()),
            approval: (record.approval != approval::Policy::default())
                .then(|| record.approval.to_string()),
            webhook: record.webhook.as_ref().map(Into::into),
            groups: record.groups.clone(),
            labels: record.labels.clone(),
            schedule: (record.schedule != Window::default()).then(|| record.schedule.to_string()),
            state: match record.state {
                domain::TenantState::Active => State::Active,
                domain::TenantState::Suspended => State::Suspended,
                domain::TenantState::Offboarded => State::Offboarded,
            },
            created_at: record.created_at,
            change: record.change,
        }
    }
}

impl TenantRecord {
    /// The registration of `tenant`.
    ///
    /// # Errors
    /// `Corrupt` where the file speaks of another tenant or holds an invalid id.
    pub(crate) fn into_domain(
        self,
        path: &str,
        tenant: &TenantId,
    ) -> Result<domain::TenantRecord, StoreError> {
        let id = TenantId::parse(&self.id).map_err(|error| StoreError::corrupt(path, error))?;
        if id != *tenant {
            return Err(StoreError::corrupt(
                path,
                "it is the registration of another tenant",
            ));
        }
        let break_glass = self
            .break_glass
            .iter()
            .map(|id| ObjectId::parse(id))
            .collect::<Result<_, _>>();
        let retention = self
            .retention
            .map_or_else(|| Ok(Policy::default()), |text| text.parse());
        let drift_watch = self
            .drift_watch
            .map_or_else(|| Ok(Watch::default()), |text| text.parse());
        let audit_watch = self
            .audit_watch
            .map_or_else(|| Ok(watch::Watch::default()), |text| text.parse());
        let approval = self
            .approval
            .map_or_else(|| Ok(approval::Policy::default()), |text| text.parse());
        let schedule = self
            .schedule
            .map_or_else(|| Ok(Window::default()), |text| text.parse());
        Ok(domain::TenantRecord {
            id,
            name: self.name,
            cloud: self.cloud,
            graph_url: self.graph_url,
            login_url: self.login_url,
            reader: self.reader.into_domain(path)?,
            writer: self
                .writer
                .map(|writer| writer.into_domain(path))
                .transpose()?,
            break_glass: break_glass.map_err(|error| StoreError::corrupt(path, error))?,
            retention: retention.map_err(|error| StoreError::corrupt(path, error))?,
            drift_watch: drift_watch.map_err(|error| StoreError::corrupt(path, error))?,
            audit_watch: audit_watch.map_err(|error| StoreError::corrupt(path, error))?,
            approval: approval.map_err(|error| StoreError::corrupt(path, error))?,
            webhook: self
                .webhook
                .map(|webhook| webhook.into_domain(path))
                .transpose()?,
            groups: self.groups,
            labels: self.labels,
            schedule: schedule.map_err(|error| StoreError::corrupt(path, error))?,
            state: match self.state {
                State::Active => domain::TenantState::Active,
                State::Suspended => domain::TenantState::Suspended,
                State::Offboarded => domain::TenantState::Offboarded,
            },
            created_at: self.created_at,
            change: self.change,
        })
    }
}

/// A wrapped data key.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct DataKeyFile {
    format: u32,
    number: u32,
    wrap: String,
    nonce: String,
    ciphertext: String,
    /// The public half, so that a re-wrapped key can be checked.
    pub(crate) recipient: String,
    /// Tells a request to rotate its own number; absent where none asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) request: Option<String>,
}

impl DataKeyFile {
    pub(crate) fn new(
        number: u32,
        wrap: &str,
        wrapped: &Wrapped,
        recipient: String,
        request: Option<String>,
    ) -> Self {
        Self {
            format: FORMAT,
            number,
            wrap: wrap.to_owned(),
            nonce: BASE64_STANDARD.encode(&wrapped.nonce),
            ciphertext: BASE64_STANDARD.encode(&wrapped.ciphertext),
            recipient,
            request,
        }
    }

    pub(crate) fn wrapped(&self) -> Option<Wrapped> {
        let nonce = BASE64_STANDARD.decode(&self.nonce).ok()?;
        let ciphertext = BASE64_STANDARD.decode(&self.ciphertext).ok()?;
        Some(Wrapped { nonce, ciphertext })
    }
}

/// The mark that a tenant was erased.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Erasure {
    format: u32,
    /// Tells the writer its own file.
    write: String,
    erased_at: DateTime<Utc>,
}

impl Erasure {
    pub(crate) fn new(erased_at: DateTime<Utc>) -> Self {
        Self {
            format: FORMAT,
            write: chance::token(),
            erased_at,
        }
    }
}

/// Who holds a slot.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Claim {
    format: u32,
    /// Tells the writer its own file.
    write: String,
    pub(crate) holder: String,
    pub(crate) claimed_at: DateTime<Utc>,
    pub(crate) expires_at: DateTime<Utc>,
}

impl Claim {
    pub(crate) fn new(holder: &str, claimed_at: DateTime<Utc>, expires_at: DateTime<Utc>) -> Self {
        Self {
            format: FORMAT,
            write: chance::token(),
            holder: holder.to_owned(),
            claimed_at,
            expires_at,
        }
    }
}

#[cfg(test)]
mod tests;
