//! Federated identity credentials of applications.
//!
//! They stay with a soft-deleted application and go with a purged one; their changes are in no
//! delta round.

use std::collections::BTreeMap;

use serde_json::Value;
use uuid::Uuid;

/// Credentials by application and by their own id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Federated(BTreeMap<Uuid, BTreeMap<Uuid, Value>>);

impl Federated {
    /// Credentials of one application in id order, as the wire shows them.
    pub(crate) fn of(&self, application: Uuid) -> impl Iterator<Item = (&Uuid, &Value)> {
        self.0.get(&application).into_iter().flatten()
    }

    /// Adds or replaces a credential.
    pub(crate) fn put(&mut self, application: Uuid, id: Uuid, credential: Value) {
        self.0
            .entry(application)
            .or_default()
            .insert(id, credential);
    }

    pub(crate) fn remove(&mut self, application: Uuid, id: Uuid) -> Option<Value> {
        let held = self.0.get_mut(&application)?;
        let gone = held.remove(&id);
        if held.is_empty() {
            self.0.remove(&application);
        }
        gone
    }

    /// Drops the credentials of a hard-deleted application.
    pub(crate) fn forget(&mut self, application: Uuid) {
        self.0.remove(&application);
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&Uuid, &BTreeMap<Uuid, Value>)> {
        self.0.iter()
    }

    /// The first application with credentials at or after `application`.
    pub(crate) fn near(&self, application: Uuid) -> Option<(&Uuid, &BTreeMap<Uuid, Value>)> {
        self.0
            .range(application..)
            .next()
            .or_else(|| self.0.first_key_value())
    }
}
