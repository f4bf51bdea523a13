//! Delegated permission grants and app role assignments: relations with ids of their own.
//!
//! As in the real service their ids are made from the ids they join, so a grant that is made
//! again between the same two principals gets its old id.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// A delegated permission grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    pub client: Uuid,
    pub resource: Uuid,
    pub principal: Option<Uuid>,
    pub scope: String,
}

/// An app role assigned to a user, group or service principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub principal: Uuid,
    pub resource: Uuid,
    pub role: Uuid,
    pub created: String,
}

/// The id of an assignment in binary form: the principal's GUID, then sixteen bytes of its own.
type AssignmentKey = (Uuid, Uuid);

/// Grants and assignments with their indexes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grants {
    pub delegated: BTreeMap<String, Grant>,
    assignments: BTreeMap<AssignmentKey, Assignment>,
    by_resource: BTreeSet<(Uuid, AssignmentKey)>,
}

impl Grants {
    pub(crate) fn grant_id(client: Uuid, resource: Uuid, principal: Option<Uuid>) -> String {
        let mut bytes = Vec::with_capacity(48);
        bytes.extend_from_slice(&client.to_bytes_le());
        bytes.extend_from_slice(&resource.to_bytes_le());
        if let Some(principal) = principal {
            bytes.extend_from_slice(&principal.to_bytes_le());
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    pub(crate) fn add_grant(&mut self, grant: Grant) -> String {
        let id = Self::grant_id(grant.client, grant.resource, grant.principal);
        self.delegated.insert(id.clone(), grant);
        id
    }

    pub(crate) fn assign(&mut self, own: Uuid, assignment: Assignment) -> String {
        let key = (assignment.principal, own);
        self.by_resource.insert((assignment.resource, key));
        self.assignments.insert(key, assignment);
        assignment_id(key)
    }

    pub(crate) fn assignment(&self, id: &str) -> Option<&Assignment> {
        self.assignments.get(&assignment_key(id)?)
    }

    pub(crate) fn unassign(&mut self, id: &str) -> Option<Assignment> {
        let key = assignment_key(id)?;
        let gone = self.assignments.remove(&key)?;
        self.by_resource.remove(&(gone.resource, key));
        Some(gone)
    }

    pub(crate) fn of_principal(
        &self,
        principal: Uuid,
    ) -> impl Iterator<Item = (String, &Assignment)> {
        self.assignments
            .range((principal, Uuid::nil())..=(principal, Uuid::max()))
            .map(|(key, assignment)| (assignment_id(*key), assignment))
    }

    pub(crate) fn of_resource(
        &self,
        resource: Uuid,
    ) -> impl Iterator<Item = (String, &Assignment)> {
        let from = (resource, (Uuid::nil(), Uuid::nil()));
        let to = (resource, (Uuid::max(), Uuid::max()));
        self.by_resource
            .range(from..=to)
            .map(|(_, key)| (assignment_id(*key), &self.assignments[key]))
    }

    pub(crate) fn is_assigned(&self, principal: Uuid, resource: Uuid, role: Uuid) -> bool {
        self.of_principal(principal)
            .any(|(_, held)| held.resource == resource && held.role == role)
    }

    pub(crate) fn assignments(&self) -> impl Iterator<Item = &Assignment> {
        self.assignments.values()
    }

    /// Drops whatever names a hard-deleted principal.
    pub(crate) fn forget(&mut self, id: Uuid) {
        self.delegated.retain(|_, grant| {
            grant.client != id && grant.resource != id && grant.principal != Some(id)
        });
        let gone: Vec<String> = self
            .of_principal(id)
            .chain(self.of_resource(id))
            .map(|(assignment, _)| assignment)
            .collect();
        for assignment in gone {
            self.unassign(&assignment);
        }
    }
}

fn assignment_id(key: AssignmentKey) -> String {
    let mut bytes = [0; 32];
    bytes[..16].copy_from_slice(&key.0.to_bytes_le());
    bytes[16..].copy_from_slice(key.1.as_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

fn assignment_key(id: &str) -> Option<AssignmentKey> {
    let bytes: [u8; 32] = URL_SAFE_NO_PAD.decode(id).ok()?.try_into().ok()?;
    let principal = Uuid::from_bytes_le(bytes[..16].try_into().ok()?);
    let own = Uuid::from_bytes(bytes[16..].try_into().ok()?);
    Some((principal, own))
}
