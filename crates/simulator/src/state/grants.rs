//! Delegated permission grants and app role assignments: relations with ids of their own.
//!
//! As in the real service their ids are made from the ids they join, so a grant that is made
//! again between the same two principals gets its old id. A grant is kept among the objects, for
//! it has a delta function; while one of its service principals is deleted it is out of sight.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use uuid::Uuid;

use super::{Deleted, State};
use crate::catalog::Kind;
use crate::record::{Object, Record};

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

/// Assignments with their indexes, and who takes part in which grant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Grants {
    assignments: BTreeMap<AssignmentKey, Assignment>,
    by_resource: BTreeSet<(Uuid, AssignmentKey)>,
    /// Client, resource or user, and the grant's handle; hidden grants included.
    by_party: BTreeSet<(Uuid, Uuid)>,
    /// Wire ids of removed grants, for delta rounds that tell of the removal.
    gone: HashMap<Uuid, String>,
}

impl Grant {
    /// The id on the wire.
    pub(crate) fn id(&self) -> String {
        let mut bytes = Vec::with_capacity(48);
        for party in self.parties() {
            bytes.extend_from_slice(&party.to_bytes_le());
        }
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The short id under which the simulator keeps it.
    pub(crate) fn handle(&self) -> Uuid {
        handle(&self.id())
    }

    fn parties(&self) -> impl Iterator<Item = Uuid> {
        [Some(self.client), Some(self.resource), self.principal]
            .into_iter()
            .flatten()
    }

    /// The grant that an object of that kind stands for.
    pub(crate) fn of(object: &Object) -> Self {
        let id = |name: &str| Uuid::parse_str(&object.text(name)?).ok();
        Self {
            client: id("clientId").unwrap_or_default(),
            resource: id("resourceId").unwrap_or_default(),
            principal: id("principalId"),
            scope: object.text("scope").unwrap_or_default(),
        }
    }

    fn to_object(&self) -> Object {
        let properties = json!({
            "clientId": self.client.to_string(),
            "consentType": if self.principal.is_some() { "Principal" } else { "AllPrincipals" },
            "principalId": self.principal.map(|id| id.to_string()),
            "resourceId": self.resource.to_string(),
            "scope": self.scope,
        });
        let map = properties.as_object().cloned().unwrap_or_default();
        Object {
            id: self.handle(),
            kind: Kind::Grant,
            record: Record::from_map(Kind::Grant, &map).0,
        }
    }
}

/// The handle that belongs to a grant's wire id: its 128-bit FNV-1a hash.
pub(crate) fn handle(id: &str) -> Uuid {
    let hash = id.bytes().fold(
        0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128,
        |hash, byte| {
            (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
        },
    );
    Uuid::from_u128(hash)
}

impl State {
    /// Makes a grant. `None` when the same two principals are joined by one already.
    pub(crate) fn grant(&mut self, grant: &Grant) -> Option<Object> {
        let object = grant.to_object();
        if self.object(Kind::Grant, object.id).is_some() {
            return None;
        }
        if self.is_visible(grant) {
            self.insert(object.clone());
        } else {
            self.index(&object);
            let at = String::new();
            let hidden = Deleted {
                object: object.clone(),
                at,
            };
            self.deleted[Kind::Grant as usize].insert(object.id, hidden);
        }
        Some(object)
    }

    /// Handles of all grants in which `party` takes part, hidden ones included.
    pub(crate) fn grants_of(&self, party: Uuid) -> Vec<Uuid> {
        self.grants
            .by_party
            .range((party, Uuid::nil())..=(party, Uuid::max()))
            .map(|(_, grant)| *grant)
            .collect()
    }

    fn is_visible(&self, grant: &Grant) -> bool {
        let live = |id| self.object(Kind::ServicePrincipal, id).is_some();
        live(grant.client) && live(grant.resource)
    }

    pub(super) fn index_grant(&mut self, object: &Object) {
        self.grants.gone.remove(&object.id);
        for party in Grant::of(object).parties() {
            self.grants.by_party.insert((party, object.id));
        }
    }

    pub(super) fn forget_grant(&mut self, object: &Object) {
        let grant = Grant::of(object);
        for party in grant.parties() {
            self.grants.by_party.remove(&(party, object.id));
        }
        self.grants.gone.insert(object.id, grant.id());
    }

    /// Hides the grants of a service principal that went to the recycle bin.
    pub(super) fn hide_grants(&mut self, principal: Uuid, at: &str) {
        for grant in self.grants_of(principal) {
            self.soft_delete(Kind::Grant, grant, at);
        }
    }

    /// Shows the grants of a service principal again, where the other side is there too.
    pub(super) fn reveal_grants(&mut self, principal: Uuid) {
        for handle in self.grants_of(principal) {
            let whole = self.deleted[Kind::Grant as usize]
                .get(&handle)
                .is_some_and(|hidden| self.is_visible(&Grant::of(&hidden.object)));
            if whole {
                self.restore(Kind::Grant, handle);
            }
        }
    }

    /// The id that a delta round shows, also for what is gone.
    pub(crate) fn wire_id(&self, kind: Kind, id: Uuid) -> String {
        if kind != Kind::Grant {
            return id.to_string();
        }
        let hidden = || self.bin(kind).get(&id).map(|hidden| &hidden.object);
        match self.object(kind, id).or_else(hidden) {
            Some(object) => Grant::of(object).id(),
            // What was never there has no parties to make an id from.
            None => match self.grants.gone.get(&id) {
                Some(gone) => gone.clone(),
                None => id.to_string(),
            },
        }
    }
}

impl Grants {
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

    /// What a principal is assigned, after the assignment `after`.
    pub(crate) fn of_principal(
        &self,
        principal: Uuid,
        after: Option<&str>,
    ) -> impl Iterator<Item = (String, &Assignment)> {
        let from = after
            .and_then(assignment_key)
            .filter(|key| key.0 == principal)
            .map_or(Bound::Included((principal, Uuid::nil())), Bound::Excluded);
        self.assignments
            .range((from, Bound::Included((principal, Uuid::max()))))
            .map(|(key, assignment)| (assignment_id(*key), assignment))
    }

    /// Who is assigned to a resource, after the assignment `after`.
    pub(crate) fn of_resource(
        &self,
        resource: Uuid,
        after: Option<&str>,
    ) -> impl Iterator<Item = (String, &Assignment)> {
        let from = after.and_then(assignment_key).map_or(
            Bound::Included((resource, (Uuid::nil(), Uuid::nil()))),
            |key| Bound::Excluded((resource, key)),
        );
        let to = Bound::Included((resource, (Uuid::max(), Uuid::max())));
        self.by_resource
            .range((from, to))
            .map(|(_, key)| (assignment_id(*key), &self.assignments[key]))
    }

    pub(crate) fn is_assigned(&self, principal: Uuid, resource: Uuid, role: Uuid) -> bool {
        self.of_principal(principal, None)
            .any(|(_, held)| held.resource == resource && held.role == role)
    }

    pub(crate) fn assignments(&self) -> impl Iterator<Item = &Assignment> {
        self.assignments.values()
    }

    /// The first assignment of `principal` or of one after it.
    pub(crate) fn assignment_near(&self, principal: Uuid) -> Option<(String, &Assignment)> {
        self.assignments
            .range((principal, Uuid::nil())..)
            .next()
            .or_else(|| self.assignments.first_key_value())
            .map(|(key, assignment)| (assignment_id(*key), assignment))
    }

    /// Drops the assignments of and to a hard-deleted principal.
    pub(crate) fn forget(&mut self, id: Uuid) {
        let gone: Vec<String> = self
            .of_principal(id, None)
            .chain(self.of_resource(id, None))
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
