//! The grants of the store, as the door knows them.
//!
//! Owns for how long what was read counts: what another gateway grants or takes back is
//! known here after seconds, and what cannot be read any more counts for minutes, not
//! for ever.

use super::oidc::Identity;
use super::{Permit, Tenants};
use crate::error::GatewayError;
use model::grant::{Grant, Holder, Role as Word, Scope};
use parking_lot::RwLock;
use proto::v1::Role;
use std::sync::Arc;
use std::time::Duration;
use store::{StoreError, Vault, Versioned};
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long what was read is taken for the newest.
pub(crate) const FRESH: Duration = Duration::from_secs(10);
/// How long a store may take for an answer while callers wait.
const PATIENCE: Duration = Duration::from_secs(2);
/// For how long a store is left alone that did not answer.
pub(crate) const PAUSE: Duration = Duration::from_secs(5);
/// How long it counts while nothing newer can be read.
pub(crate) const LASTING: Duration = Duration::from_secs(300);

/// What was read, and when it was known to be the newest.
#[derive(Debug, Clone)]
struct Known {
    grants: Arc<Versioned<Vec<Grant>>>,
    at: Instant,
}

/// The grants. Clones share what is known.
#[derive(Debug, Clone)]
pub(crate) struct Grants {
    vault: Vault,
    known: Arc<RwLock<Option<Known>>>,
    /// When they could not be read last; held while they are read.
    turn: Arc<Mutex<Option<Instant>>>,
}

impl Grants {
    pub(crate) fn new(vault: Vault) -> Self {
        Self {
            vault,
            known: Arc::default(),
            turn: Arc::default(),
        }
    }

    /// The grants, seconds old at most while the store can be read.
    ///
    /// A store that does not answer is waited for by one caller, for a moment, and then
    /// left alone for a while.
    ///
    /// # Errors
    /// Where nothing could be read for minutes.
    pub(crate) async fn known(&self) -> Result<Arc<Versioned<Vec<Grant>>>, GatewayError> {
        if let Some(grants) = self.younger_than(FRESH) {
            return Ok(grants);
        }
        let mut failed = self.turn.lock().await;
        if let Some(grants) = self.younger_than(FRESH) {
            return Ok(grants);
        }
        if failed.is_none_or(|at| at.elapsed() >= PAUSE) {
            let error = match tokio::time::timeout(PATIENCE, self.read()).await {
                Ok(Ok(grants)) => return Ok(grants),
                Ok(Err(error)) => error.to_string(),
                Err(elapsed) => elapsed.to_string(),
            };
            *failed = Some(Instant::now());
            tracing::warn!(error, "the grants cannot be read, those from before count");
        }
        self.younger_than(LASTING)
            .ok_or(GatewayError::Backend("store of grants"))
    }

    /// The grants as they are in the store now.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub(crate) async fn read(&self) -> Result<Arc<Versioned<Vec<Grant>>>, StoreError> {
        let at = Instant::now();
        let version = self.vault.grants_version().await?;
        let known = self.known.read().clone();
        let grants = match known {
            Some(known) if known.grants.version == version => known.grants,
            _ => Arc::new(self.vault.grants().await?),
        };
        self.keep(Arc::clone(&grants), at);
        Ok(grants)
    }

    /// Writes the version after the one that was read.
    ///
    /// # Errors
    /// `Changed` where somebody else did meanwhile; where the store fails.
    pub(crate) async fn write(&self, read: &Versioned<Vec<Grant>>) -> Result<(), StoreError> {
        let at = Instant::now();
        self.vault.update_grants(read).await?;
        let written = Versioned {
            version: read.version + 1,
            value: read.value.clone(),
        };
        self.keep(Arc::new(written), at);
        Ok(())
    }

    /// What is granted to a caller.
    ///
    /// # Errors
    /// As [`Grants::known`].
    pub(crate) async fn of(&self, identity: &Identity) -> Result<Vec<Permit>, GatewayError> {
        let grants = self.known().await?;
        let own = grants.value.iter().filter(|it| is_of(&it.holder, identity));
        Ok(own.map(permit).collect())
    }

    fn younger_than(&self, age: Duration) -> Option<Arc<Versioned<Vec<Grant>>>> {
        let known = self.known.read();
        let known = known.as_ref().filter(|known| known.at.elapsed() < age)?;
        Some(Arc::clone(&known.grants))
    }

    /// What was read later may be older: the higher version stays.
    fn keep(&self, grants: Arc<Versioned<Vec<Grant>>>, at: Instant) {
        let mut known = self.known.write();
        let newer = |known: &Known| known.grants.version > grants.version;
        if !known.as_ref().is_some_and(newer) {
            *known = Some(Known { grants, at });
        }
    }
}

fn is_of(holder: &Holder, identity: &Identity) -> bool {
    match holder {
        Holder::Caller(name) => identity.called.as_ref() == Some(name),
        Holder::Subject(subject) => identity.subjects.contains(subject),
        Holder::Claim(value) => identity.values.contains(value),
    }
}

fn permit(grant: &Grant) -> Permit {
    Permit {
        roles: grant.roles.iter().map(|role| in_contract(*role)).collect(),
        tenants: tenants(&grant.scope),
    }
}

/// The tenants of a grant.
pub(crate) fn tenants(scope: &Scope) -> Tenants {
    match scope {
        Scope::All => Tenants::All,
        Scope::Only(tenants) => Tenants::Only(tenants.clone()),
    }
}

/// A role as the contract has it.
pub(crate) fn in_contract(role: Word) -> Role {
    match role {
        Word::Reader => Role::Reader,
        Word::Administrator => Role::Administrator,
        Word::Approver => Role::Approver,
        Word::Operator => Role::Operator,
    }
}

/// A role of the contract; `None` for none.
pub(crate) fn of_contract(role: Role) -> Option<Word> {
    match role {
        Role::Reader => Some(Word::Reader),
        Role::Administrator => Some(Word::Administrator),
        Role::Approver => Some(Word::Approver),
        Role::Operator => Some(Word::Operator),
        Role::Unspecified => None,
    }
}

#[cfg(test)]
mod tests;
