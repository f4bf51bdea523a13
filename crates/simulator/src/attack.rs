//! An intruder: changes and destroys what a stolen app may reach, over the wire like anyone else.
//!
//! It picks its targets from what it reads, so it works on any tenant and skips what is not
//! there. It never looks into the simulator's state and keeps an exact account of its deeds.

mod apps;
mod client;
mod conditional;
mod ledger;
mod people;
mod reach;
mod teams;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use client::Client;
use ledger::Ledger;

/// Where and as whom to strike.
#[derive(Clone, Debug)]
pub struct AttackTarget {
    /// Graph base URL, `http://host/v1.0`.
    pub graph_url: String,
    /// Login base URL, `http://host`.
    pub login_url: String,
    /// Tenant id.
    pub tenant_id: String,
    /// Client id of the stolen app.
    pub client_id: String,
    /// Its secret.
    pub client_secret: String,
}

impl AttackTarget {
    /// The practice tenant's intruder app against a simulator at `base`.
    #[must_use]
    pub fn practice(base: &str, tenant_id: &str) -> Self {
        Self {
            graph_url: format!("{base}/v1.0"),
            login_url: base.to_owned(),
            tenant_id: tenant_id.to_owned(),
            client_id: crate::INTRUDER_CLIENT_ID.to_owned(),
            client_secret: crate::INTRUDER_SECRET.to_owned(),
        }
    }
}

/// What was done to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DeedKind {
    /// Properties or links changed.
    Modified,
    /// The object is new.
    Added,
    /// The object is in the recycle bin.
    SoftDeleted,
    /// The object is gone.
    HardDeleted,
}

/// Everything that was done to one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// Graph name of the type, such as `user`.
    pub object_type: String,
    /// Object id.
    pub id: String,
    /// Display name before the attack.
    pub display_name: String,
    /// What was done.
    pub kind: DeedKind,
    /// Top-level properties that changed, sorted.
    pub properties: Vec<String>,
    /// Links that changed: relation, `added` or `removed`, the other object's id.
    pub links: Vec<(String, String, String)>,
    /// The deeds in words.
    pub sentence: String,
}

/// Why the attack ended early.
#[derive(Debug, thiserror::Error)]
pub enum AttackError {
    /// The service could not be reached.
    #[error("the attack could not reach the service: {0}")]
    Transport(#[from] reqwest::Error),
    /// The service refused something that should have worked.
    #[error("the attack was refused: {method} {url}: {status} {body}")]
    Refused {
        /// Method.
        method: String,
        /// URL.
        url: String,
        /// Status.
        status: u16,
        /// Answer.
        body: String,
    },
}

/// The intruder at work.
struct Intruder {
    client: Client,
    ledger: Ledger,
    tenant_id: String,
    /// Objects that were picked already: one object, one part in the story.
    used: BTreeSet<String>,
    rogue_user: Option<String>,
}

/// Strikes. Returns one deed per object, in the order of first touch.
///
/// # Errors
/// When the service cannot be reached or refuses a call that the app is entitled to.
pub async fn run(target: &AttackTarget) -> Result<Vec<Deed>, AttackError> {
    let mut intruder = Intruder::sign_in(target).await?;
    people::strike(&mut intruder).await?;
    teams::strike(&mut intruder).await?;
    apps::strike(&mut intruder).await?;
    conditional::strike(&mut intruder).await?;
    Ok(intruder.ledger.into_deeds())
}

/// Strikes at what lies around users, groups, applications and Conditional Access policies:
/// consent, app roles, federated credentials, directory roles, authentication methods and
/// strengths, contexts. A tenant may be struck by [`run`] before or after.
///
/// # Errors
/// When the service cannot be reached or refuses a call that the app is entitled to.
pub async fn run_beyond(target: &AttackTarget) -> Result<Vec<Deed>, AttackError> {
    let mut intruder = Intruder::sign_in(target).await?;
    reach::strike(&mut intruder).await?;
    Ok(intruder.ledger.into_deeds())
}

impl Intruder {
    async fn sign_in(target: &AttackTarget) -> Result<Self, AttackError> {
        Ok(Self {
            client: Client::sign_in(target).await?,
            ledger: Ledger::default(),
            tenant_id: target.tenant_id.clone(),
            used: BTreeSet::new(),
            rogue_user: None,
        })
    }

    /// Takes the first object that was not picked before and pleases `wanted`.
    fn pick(&mut self, objects: &[Value], wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        let found = objects
            .iter()
            .find(|object| !self.used.contains(id(object)) && wanted(object))?;
        self.used.insert(id(found).to_owned());
        Some(found.clone())
    }
}

fn id(object: &Value) -> &str {
    object["id"].as_str().unwrap_or_default()
}

fn name(object: &Value) -> &str {
    object["displayName"].as_str().unwrap_or_default()
}

fn has(list: &Value, item: &str) -> bool {
    list.as_array()
        .is_some_and(|items| items.iter().any(|held| held == item))
}
