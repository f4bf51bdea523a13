//! A tenant's registration: what Rewind must know to reach it. Never a secret's
//! value, only where the service that needs it finds it.

mod settings;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use model::drift::{Severity, Watch};
use model::retention::Policy;
use model::schedule::Window;
use model::{Application, ObjectId, TenantId, approval, watch};

pub use settings::{InvalidSetting, Setting};

/// A registered tenant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantRecord {
    /// The directory's id.
    pub id: TenantId,
    /// What the operator calls it.
    pub name: String,
    /// The national cloud: `global`, `usgov`, `usgov-dod`, `china`.
    pub cloud: String,
    /// A Graph host other than the cloud's, where the server allows it.
    pub graph_url: Option<String>,
    /// A login host other than the cloud's, where the server allows it.
    pub login_url: Option<String>,
    /// The application that reads.
    pub reader: Application,
    /// The application that writes, where restores are wanted.
    pub writer: Option<Application>,
    /// Accounts that a restore must never lock out.
    pub break_glass: Vec<ObjectId>,
    /// Which snapshots are kept.
    pub retention: Policy,
    /// What is watched after each daily snapshot.
    pub drift_watch: Watch,
    /// What is watched in the tenant's audit log.
    pub audit_watch: watch::Watch,
    /// Which restore plans need a second person.
    pub approval: approval::Policy,
    /// Where signals are sent, where they are.
    pub webhook: Option<Webhook>,
    /// The groups that it is in, sorted.
    pub groups: Vec<String>,
    /// What else is known of it.
    pub labels: BTreeMap<String, String>,
    /// When its daily snapshots begin.
    pub schedule: Window,
    /// Whether the tenant is served.
    pub state: TenantState,
    /// When it was registered.
    pub created_at: DateTime<Utc>,
    /// The number of the guarded change that made this version of the registration;
    /// none made it where it is absent.
    pub change: Option<u32>,
}

/// Where a tenant's signals are sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Webhook {
    /// Who gets them.
    pub url: String,
    /// Where what they are signed with is found: `env:NAME` or `file:PATH`.
    pub secret: String,
    /// The least severe that are sent.
    pub min_severity: Severity,
    /// Signals that were raised before are not sent.
    pub since: DateTime<Utc>,
}

/// Whether a tenant is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TenantState {
    /// Snapshots are taken.
    Active,
    /// Nothing is read or written until it is resumed.
    Suspended,
    /// Its keys were deleted, so that nothing of it can be read.
    Offboarded,
}

impl TenantRecord {
    /// The client id of the application that reads; `installation` is that of the
    /// installation's own.
    #[must_use]
    pub fn reader_id<'a>(&'a self, installation: Option<&'a str>) -> Option<&'a str> {
        client_id(&self.reader, installation)
    }

    /// The same of the application that writes, where restores are wanted.
    #[must_use]
    pub fn writer_id<'a>(&'a self, installation: Option<&'a str>) -> Option<&'a str> {
        client_id(self.writer.as_ref()?, installation)
    }
}

fn client_id<'a>(application: &'a Application, installation: Option<&'a str>) -> Option<&'a str> {
    match application {
        Application::Own { client_id, .. } => Some(client_id.as_str()),
        Application::Installation => installation,
    }
}

#[cfg(test)]
mod tests {
    use model::{Proof, ProofKind};

    use super::*;

    /// A registration with everything as by default.
    pub(super) fn record() -> TenantRecord {
        TenantRecord {
            id: TenantId::parse("33333333-0000-4000-8000-000000000000").expect("a GUID"),
            name: "Contoso".to_owned(),
            cloud: "global".to_owned(),
            graph_url: None,
            login_url: None,
            reader: Application::Own {
                client_id: "r".to_owned(),
                proof: Proof {
                    kind: ProofKind::Secret,
                    reference: "env:R".to_owned(),
                },
            },
            writer: None,
            break_glass: Vec::new(),
            retention: Policy::default(),
            drift_watch: Watch::default(),
            audit_watch: watch::Watch::default(),
            approval: approval::Policy::default(),
            webhook: None,
            groups: Vec::new(),
            labels: BTreeMap::new(),
            schedule: Window::default(),
            state: TenantState::Active,
            created_at: DateTime::UNIX_EPOCH,
            change: None,
        }
    }

    #[test]
    fn an_application_of_the_installation_has_its_client_id() {
        let shared = TenantRecord {
            reader: Application::Installation,
            ..record()
        };
        assert_eq!(shared.reader_id(Some("i")), Some("i"));
        assert_eq!(record().reader_id(Some("i")), Some("r"));
        assert_eq!(record().writer_id(Some("i")), None);
    }
}
