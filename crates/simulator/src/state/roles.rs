//! Directory role assignments.
//!
//! An id is made from what it joins, as in the real service, so an assignment that is made again
//! gets its old id. Nothing here knows which roles there are.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

use super::grants::handle;

/// A role held by a principal, over the whole directory or one administrative unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleAssignment {
    pub role: Uuid,
    pub principal: Uuid,
    /// The administrative unit; none for the whole directory.
    pub unit: Option<Uuid>,
}

/// All role assignments, by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roles {
    held: BTreeMap<String, RoleAssignment>,
    by_party: BTreeSet<(Uuid, String)>,
}

impl RoleAssignment {
    pub(crate) fn id(&self) -> String {
        let whom = match self.unit {
            None => self.principal.to_bytes_le(),
            Some(unit) => handle(&format!("{} {unit}", self.principal)).into_bytes(),
        };
        let mut bytes = self.role.to_bytes_le().to_vec();
        bytes.extend_from_slice(&whom);
        format!("{}-1", URL_SAFE_NO_PAD.encode(bytes))
    }

    pub(crate) fn scope(&self) -> String {
        match self.unit {
            None => "/".to_owned(),
            Some(unit) => format!("/administrativeUnits/{unit}"),
        }
    }
}

impl Roles {
    /// Adds an assignment; `false` when it is there already.
    pub(crate) fn assign(&mut self, assignment: RoleAssignment) -> bool {
        let id = assignment.id();
        if self.held.contains_key(&id) {
            return false;
        }
        for party in std::iter::once(assignment.principal).chain(assignment.unit) {
            self.by_party.insert((party, id.clone()));
        }
        self.held.insert(id, assignment);
        true
    }

    pub(crate) fn unassign(&mut self, id: &str) -> Option<RoleAssignment> {
        let gone = self.held.remove(id)?;
        for party in std::iter::once(gone.principal).chain(gone.unit) {
            self.by_party.remove(&(party, id.to_owned()));
        }
        Some(gone)
    }

    pub(crate) fn get(&self, id: &str) -> Option<&RoleAssignment> {
        self.held.get(id)
    }

    pub(crate) fn all(&self) -> &BTreeMap<String, RoleAssignment> {
        &self.held
    }

    /// Drops whatever names a hard-deleted principal or unit.
    pub(crate) fn forget(&mut self, party: Uuid) {
        let gone: Vec<String> = self
            .by_party
            .range((party, String::new())..)
            .take_while(|(held, _)| *held == party)
            .map(|(_, id)| id.clone())
            .collect();
        for id in gone {
            self.unassign(&id);
        }
    }
}
