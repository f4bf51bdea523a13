//! What a practice tenant is made of besides its directory: name, licence and the apps that may call.

use std::collections::BTreeSet;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use crate::clock::Clock;
use crate::http::audits;
use crate::http::delta::traps::DeltaTraps;
use crate::state::history::TokenAge;
use crate::state::replicas::Replica;
use crate::state::{State, settings};
use crate::throttle::Budgets;
use crate::trust::Trust;

/// Client id of the read-only app of a practice tenant.
pub const READER_CLIENT_ID: &str = "5e1f0a52-7c1d-4f7e-9a54-0d1f6b5ad001";
/// Secret of the read-only app.
pub const READER_SECRET: &str = "practice-reader-secret";
/// Client id of the app that may write.
pub const WRITER_CLIENT_ID: &str = "5e1f0a52-7c1d-4f7e-9a54-0d1f6b5ad002";
/// Secret of the app that may write.
pub const WRITER_SECRET: &str = "practice-writer-secret";
/// Client id of the intruder's stolen app.
pub const INTRUDER_CLIENT_ID: &str = "5e1f0a52-7c1d-4f7e-9a54-0d1f6b5ad003";
/// Secret of the intruder's stolen app.
pub const INTRUDER_SECRET: &str = "practice-intruder-secret";

const READER_ROLES: &[&str] = &[
    "User.Read.All",
    "Group.Read.All",
    "GroupMember.Read.All",
    "Application.Read.All",
    "Directory.Read.All",
    "Policy.Read.All",
    "AuditLog.Read.All",
    "Organization.Read.All",
    "LicenseAssignment.Read.All",
    "RoleManagement.Read.Directory",
    "AdministrativeUnit.Read.All",
    "AuthenticationContext.Read.All",
];

const WRITER_ROLES: &[&str] = &[
    "User.ReadWrite.All",
    "User.EnableDisableAccount.All",
    "User.DeleteRestore.All",
    "Group.ReadWrite.All",
    "Application.ReadWrite.All",
    "Policy.ReadWrite.ConditionalAccess",
    "Policy.ReadWrite.AuthenticationMethod",
    "Policy.ReadWrite.Authorization",
    "AppRoleAssignment.ReadWrite.All",
    "DelegatedPermissionGrant.ReadWrite.All",
    "RoleManagement.ReadWrite.Directory",
    "AdministrativeUnit.ReadWrite.All",
    "Organization.ReadWrite.All",
];

/// The licence that `/subscribedSkus` reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Licence {
    /// No Entra ID plan at all.
    None,
    /// Entra ID P1 in a bundle.
    P1,
    /// Entra ID P1 and P2 in a bundle.
    #[default]
    P2,
    /// P2 in a subscription that was not paid for.
    Suspended,
    /// P2 with its plans switched off in the subscription.
    Disabled,
}

/// A user in whose name an app's deeds are recorded in the audit log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActingUser {
    /// Object id.
    pub id: String,
    /// User principal name.
    pub user_principal_name: String,
    /// Display name.
    pub display_name: String,
}

/// An app registration that may ask for tokens.
#[derive(Clone, Debug)]
pub struct App {
    /// Client id.
    pub client_id: String,
    /// Client secret.
    pub secret: String,
    /// Name, as audit records show it.
    pub display_name: String,
    /// Granted Graph application permissions.
    pub roles: BTreeSet<String>,
    /// When set, audit records name this user instead of the app.
    pub acts_as: Option<ActingUser>,
}

/// What to create a tenant from.
#[derive(Clone, Debug)]
pub struct TenantSpec {
    /// Tenant id.
    pub id: String,
    /// Organisation name.
    pub display_name: String,
    /// Licence.
    pub licence: Licence,
    /// Apps that may call.
    pub apps: Vec<App>,
    /// What they may prove themselves with besides their secrets.
    pub trusts: Vec<Trust>,
}

impl TenantSpec {
    /// A licensed tenant with a reader, a writer and an intruder app under the published ids.
    #[must_use]
    pub fn practice(id: impl Into<String>) -> Self {
        let app = |client_id: &str, secret: &str, name: &str, roles: &[&[&str]]| App {
            client_id: client_id.to_owned(),
            secret: secret.to_owned(),
            display_name: name.to_owned(),
            roles: roles
                .iter()
                .flat_map(|roles| roles.iter().map(|&role| role.to_owned()))
                .collect(),
            acts_as: None,
        };
        Self {
            id: id.into(),
            display_name: "Harbour Lane Instruments".to_owned(),
            licence: Licence::P2,
            apps: vec![
                app(
                    READER_CLIENT_ID,
                    READER_SECRET,
                    "Rewind Reader",
                    &[READER_ROLES],
                ),
                app(
                    WRITER_CLIENT_ID,
                    WRITER_SECRET,
                    "Rewind Writer",
                    &[READER_ROLES, WRITER_ROLES],
                ),
                app(
                    INTRUDER_CLIENT_ID,
                    INTRUDER_SECRET,
                    "Mail Export Tool",
                    &[READER_ROLES, WRITER_ROLES],
                ),
            ],
            trusts: Vec::new(),
        }
    }

    /// The initial domain made from the organisation's name.
    pub(crate) fn domain(&self) -> String {
        let slug: String = self
            .display_name
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(20)
            .collect();
        format!("{}.onmicrosoft.com", slug.to_lowercase())
    }
}

/// A running tenant, as one request sees it. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Tenant {
    pub spec: Arc<TenantSpec>,
    pub domain: Arc<str>,
    pub clock: Clock,
    pub state: Replica,
    pub budgets: Arc<Mutex<Budgets>>,
    pub tokens: Arc<Mutex<TokenAge>>,
    /// The simulator's setting, the same for all tenants.
    pub traps: Arc<RwLock<DeltaTraps>>,
    /// The simulator's setting, the same for all tenants.
    pub audit_log: audits::Setting,
}

impl Tenant {
    pub(crate) fn new(
        spec: TenantSpec,
        seed: u64,
        clock: Clock,
        traps: Arc<RwLock<DeltaTraps>>,
        audit_log: audits::Setting,
    ) -> Self {
        let domain = spec.domain();
        let mut state = State::new(seed);
        state.settings.organization = settings::organization(&spec.id, &spec.display_name, &domain);
        Self {
            domain: domain.into(),
            spec: Arc::new(spec),
            state: Replica::new(state, clock.clone()),
            clock,
            budgets: Arc::default(),
            tokens: Arc::default(),
            traps,
            audit_log,
        }
    }

    /// The tenant as a read may see it: some state within the lag.
    pub(crate) fn lagging(&self) -> Self {
        Self {
            state: self.state.any(),
            ..self.clone()
        }
    }

    /// The tenant as a write sees it.
    pub(crate) fn newest(&self) -> Self {
        Self {
            state: self.state.newest(),
            ..self.clone()
        }
    }
}

/// Every application permission that the practice apps use.
pub(crate) fn all_roles() -> BTreeSet<String> {
    let roles = READER_ROLES.iter().chain(WRITER_ROLES);
    roles.map(|role| (*role).to_owned()).collect()
}

/// Who is calling: an app of the tenant, with what it may do.
#[derive(Clone, Debug)]
pub(crate) struct Actor {
    pub app: Arc<App>,
}

impl Actor {
    pub(crate) fn may(&self, any_of: &[&str]) -> bool {
        any_of.iter().any(|role| self.app.roles.contains(*role))
    }
}
