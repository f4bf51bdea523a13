//! One tenant's directory: objects, recycle bin, links, grants, and the log of changes behind delta.
//!
//! All mutations go through this module so that indexes and the change log never disagree with
//! the objects. It knows nothing of HTTP, permissions or validation.

pub(crate) mod federated;
pub(crate) mod grants;
pub(crate) mod history;
pub(crate) mod replicas;
pub(crate) mod roles;
pub(crate) mod settings;

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::audit::Audit;
use crate::catalog::{Kind, Relation};
use crate::ids::Ids;
use crate::record::{Object, Record};
use federated::Federated;
use grants::Grants;
use history::{History, What};
use roles::Roles;
use settings::Settings;

/// An object in the recycle bin.
#[derive(Clone, Debug)]
pub(crate) struct Deleted {
    pub object: Object,
    pub at: String,
}

/// Everything that one tenant holds.
#[derive(Clone, Debug)]
pub(crate) struct State {
    objects: [BTreeMap<Uuid, Object>; 8],
    deleted: [BTreeMap<Uuid, Deleted>; 8],
    /// Targets of each link, sorted. Links of and to soft-deleted objects stay.
    links: HashMap<(Relation, Uuid), Vec<Uuid>>,
    back: HashMap<Uuid, Vec<(Relation, Uuid)>>,
    upns: HashMap<String, Uuid>,
    app_ids: HashMap<(Kind, String), Uuid>,
    pub history: History,
    pub grants: Grants,
    pub roles: Roles,
    pub federated: Federated,
    pub settings: Settings,
    pub audits: VecDeque<Audit>,
    /// Authentication strengths by id: the built-in ones and what loaded policies brought along.
    pub strengths: BTreeMap<String, Value>,
    /// Role and application ids that policies may name though no object here stands for them.
    pub known_references: BTreeSet<String>,
    pub ids: Ids,
}

impl State {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            objects: Default::default(),
            deleted: Default::default(),
            links: HashMap::new(),
            back: HashMap::new(),
            upns: HashMap::new(),
            app_ids: HashMap::new(),
            history: History::default(),
            grants: Grants::default(),
            roles: Roles::default(),
            federated: Federated::default(),
            settings: Settings::default(),
            audits: VecDeque::new(),
            strengths: crate::http::strengths::built_in(),
            known_references: crate::http::singletons::ROLES
                .iter()
                .map(|(id, _)| (*id).to_owned())
                .collect(),
            ids: Ids::seeded(seed),
        }
    }

    // Reading.

    pub(crate) fn all(&self, kind: Kind) -> &BTreeMap<Uuid, Object> {
        &self.objects[kind as usize]
    }

    pub(crate) fn bin(&self, kind: Kind) -> &BTreeMap<Uuid, Deleted> {
        &self.deleted[kind as usize]
    }

    pub(crate) fn object(&self, kind: Kind, id: Uuid) -> Option<&Object> {
        self.objects[kind as usize].get(&id)
    }

    /// A live directory object of any type.
    pub(crate) fn find(&self, id: Uuid) -> Option<&Object> {
        Kind::ALL
            .into_iter()
            .filter(|kind| kind.is_directory_object())
            .find_map(|kind| self.object(kind, id))
    }

    pub(crate) fn find_deleted(&self, id: Uuid) -> Option<&Deleted> {
        self.deleted.iter().find_map(|bin| bin.get(&id))
    }

    pub(crate) fn exists_anywhere(&self, id: Uuid) -> bool {
        self.objects.iter().any(|all| all.contains_key(&id)) || self.find_deleted(id).is_some()
    }

    pub(crate) fn user_by_upn(&self, upn: &str) -> Option<Uuid> {
        self.upns.get(&upn.to_lowercase()).copied()
    }

    pub(crate) fn by_app_id(&self, kind: Kind, app_id: &str) -> Option<Uuid> {
        self.app_ids.get(&(kind, app_id.to_lowercase())).copied()
    }

    /// All targets of a link, soft-deleted ones included.
    pub(crate) fn targets(&self, relation: Relation, from: Uuid) -> &[Uuid] {
        self.links.get(&(relation, from)).map_or(&[], Vec::as_slice)
    }

    /// Live targets of a link, after `after`, in order.
    pub(crate) fn live_targets(
        &self,
        relation: Relation,
        from: Uuid,
        after: Option<Uuid>,
    ) -> impl Iterator<Item = &Object> {
        let all = self.targets(relation, from);
        let start = after.map_or(0, |after| all.partition_point(|id| *id <= after));
        all[start..].iter().filter_map(|id| self.find(*id))
    }

    /// Live sources of links to `to`, in order.
    pub(crate) fn sources(&self, relation: Relation, to: Uuid) -> Vec<&Object> {
        let mut ids: Vec<Uuid> = self
            .back
            .get(&to)
            .into_iter()
            .flatten()
            .filter(|(held, _)| *held == relation)
            .map(|(_, from)| *from)
            .collect();
        ids.sort_unstable();
        ids.into_iter().filter_map(|id| self.find(id)).collect()
    }

    pub(crate) fn is_linked(&self, relation: Relation, from: Uuid, to: Uuid) -> bool {
        self.targets(relation, from).binary_search(&to).is_ok()
    }

    pub(crate) fn linked(&self) -> impl Iterator<Item = (&(Relation, Uuid), &Vec<Uuid>)> {
        self.links.iter()
    }

    // Writing.

    pub(crate) fn insert(&mut self, object: Object) {
        self.history.push(object.kind, object.id, What::Created);
        self.index(&object);
        let (kind, id) = (object.kind, object.id);
        self.objects[kind as usize].insert(id, object);
        if kind == Kind::ServicePrincipal {
            self.reveal_grants(id);
        }
    }

    /// Applies property changes and returns the names that really changed.
    pub(crate) fn update(
        &mut self,
        kind: Kind,
        id: Uuid,
        changes: &Map<String, Value>,
    ) -> Vec<String> {
        let Some(old) = self.objects[kind as usize].get(&id).cloned() else {
            return Vec::new();
        };
        let new = Object {
            id,
            kind,
            record: old.record.with(kind, changes),
        };
        let mut changed: Vec<String> = changes
            .keys()
            .filter(|name| old.value(name) != new.value(name))
            .cloned()
            .collect();
        changed.sort();
        if changed.is_empty() {
            return changed;
        }
        let keys = changed
            .iter()
            .filter_map(|name| kind.shape().key(name))
            .collect();
        self.history.push(kind, id, What::Changed(keys));
        self.unindex(&old);
        self.index(&new);
        self.objects[kind as usize].insert(id, new);
        changed
    }

    /// Moves an object to the recycle bin; its links stay where they are.
    pub(crate) fn soft_delete(&mut self, kind: Kind, id: Uuid, at: &str) -> bool {
        let Some(object) = self.objects[kind as usize].remove(&id) else {
            return false;
        };
        self.unindex(&object);
        self.history.push(kind, id, What::SoftDeleted);
        let deleted = Deleted {
            object,
            at: at.to_owned(),
        };
        self.deleted[kind as usize].insert(id, deleted);
        if kind == Kind::ServicePrincipal {
            self.hide_grants(id, at);
        }
        true
    }

    /// Brings an object back from the recycle bin.
    pub(crate) fn restore(&mut self, kind: Kind, id: Uuid) -> bool {
        let Some(deleted) = self.deleted[kind as usize].remove(&id) else {
            return false;
        };
        self.index(&deleted.object);
        self.history.push(kind, id, What::Created);
        self.objects[kind as usize].insert(id, deleted.object);
        if kind == Kind::ServicePrincipal {
            self.reveal_grants(id);
        }
        // Whoever holds a link to it shows that link again.
        for (relation, from) in self.back.get(&id).cloned().unwrap_or_default() {
            if let Some(kind) = self.find(from).map(|object| object.kind) {
                self.history
                    .push(kind, from, What::Linked { relation, to: id });
            }
        }
        true
    }

    /// Removes an object for good, with every link of it and to it.
    pub(crate) fn purge(&mut self, kind: Kind, id: Uuid) -> bool {
        let live = self.objects[kind as usize].remove(&id);
        let object = match live {
            Some(object) => {
                self.unindex(&object);
                object
            }
            None => match self.deleted[kind as usize].remove(&id) {
                Some(deleted) => deleted.object,
                None => return false,
            },
        };
        self.history.push(kind, object.id, What::Purged);
        // Links to it go with it; those of and to a soft-deleted object had stayed.
        for relation in Relation::ALL {
            for to in self.links.remove(&(relation, id)).unwrap_or_default() {
                self.drop_back(relation, id, to);
            }
        }
        for (relation, from) in self.back.remove(&id).unwrap_or_default() {
            if let Some(targets) = self.links.get_mut(&(relation, from))
                && let Ok(at) = targets.binary_search(&id)
            {
                targets.remove(at);
            }
            if let Some(kind) = self.find(from).map(|object| object.kind) {
                self.history
                    .push(kind, from, What::Orphaned { relation, to: id });
            }
        }
        if kind == Kind::Grant {
            self.forget_grant(&object);
            return true;
        }
        for grant in self.grants_of(id) {
            self.purge(Kind::Grant, grant);
        }
        self.grants.forget(id);
        self.roles.forget(id);
        self.federated.forget(id);
        true
    }

    pub(crate) fn link(&mut self, relation: Relation, from: &Object, to: Uuid) -> bool {
        self.link_ids(relation, from.kind, from.id, to)
    }

    pub(crate) fn link_ids(
        &mut self,
        relation: Relation,
        kind: Kind,
        from: Uuid,
        to: Uuid,
    ) -> bool {
        let targets = self.links.entry((relation, from)).or_default();
        let Err(at) = targets.binary_search(&to) else {
            return false;
        };
        targets.insert(at, to);
        self.back.entry(to).or_default().push((relation, from));
        self.history.push(kind, from, What::Linked { relation, to });
        true
    }

    /// Adds many links of one object at once: a large group is sorted once, not at each member.
    pub(crate) fn link_many(
        &mut self,
        relation: Relation,
        kind: Kind,
        from: Uuid,
        mut to: Vec<Uuid>,
    ) {
        to.sort_unstable();
        to.dedup();
        let mut targets = self.links.remove(&(relation, from)).unwrap_or_default();
        to.retain(|target| targets.binary_search(target).is_err());
        for target in &to {
            self.back.entry(*target).or_default().push((relation, from));
            let to = *target;
            self.history.push(kind, from, What::Linked { relation, to });
        }
        targets.extend(to);
        targets.sort_unstable();
        self.links.insert((relation, from), targets);
    }

    pub(crate) fn unlink(&mut self, relation: Relation, kind: Kind, from: Uuid, to: Uuid) -> bool {
        let Some(targets) = self.links.get_mut(&(relation, from)) else {
            return false;
        };
        let Ok(at) = targets.binary_search(&to) else {
            return false;
        };
        targets.remove(at);
        self.drop_back(relation, from, to);
        self.history
            .push(kind, from, What::Unlinked { relation, to });
        true
    }

    fn drop_back(&mut self, relation: Relation, from: Uuid, to: Uuid) {
        if let Some(sources) = self.back.get_mut(&to) {
            sources.retain(|held| *held != (relation, from));
        }
    }

    fn index(&mut self, object: &Object) {
        match object.kind {
            Kind::User => {
                if let Some(upn) = object.text("userPrincipalName") {
                    self.upns.insert(upn.to_lowercase(), object.id);
                }
            }
            Kind::Application | Kind::ServicePrincipal => {
                if let Some(app_id) = object.text("appId") {
                    self.app_ids
                        .insert((object.kind, app_id.to_lowercase()), object.id);
                }
            }
            Kind::Grant => self.index_grant(object),
            _ => {}
        }
    }

    fn unindex(&mut self, object: &Object) {
        match object.kind {
            Kind::User => {
                if let Some(upn) = object.text("userPrincipalName") {
                    self.upns.remove(&upn.to_lowercase());
                }
            }
            Kind::Application | Kind::ServicePrincipal => {
                if let Some(app_id) = object.text("appId") {
                    self.app_ids.remove(&(object.kind, app_id.to_lowercase()));
                }
            }
            _ => {}
        }
    }

    /// A new object of `kind` from properties; the id is the server's.
    pub(crate) fn new_object(&mut self, kind: Kind, map: &Map<String, Value>) -> Object {
        Object {
            id: self.ids.guid(),
            kind,
            record: Record::from_map(kind, map).0,
        }
    }
}
