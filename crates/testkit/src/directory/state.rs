//! What the fake holds, and how it shows it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use graph::{Collection, GraphError, Owners, Query};
use model::catalogue::{Distortion, EXPANDED, LinkRead, OWNER, Reading};
use model::snapshot::{Content, Kind};
use model::{Link, LinkKind, Object, ObjectId, ObjectState, ObjectType};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::changes::Mark;

/// Whether `directoryObjects` knows objects of a type.
pub(super) fn is_directory_object(object_type: ObjectType) -> bool {
    use ObjectType::{AdministrativeUnit, Application, Group, ServicePrincipal, User};
    matches!(
        object_type,
        User | Group | Application | ServicePrincipal | AdministrativeUnit
    )
}

/// A stored object: its state, and its body as it is, undistorted.
pub(super) struct Stored {
    pub(super) state: ObjectState,
    pub(super) body: Map<String, Value>,
}

pub(super) struct State {
    pub(super) objects: BTreeMap<(ObjectType, ObjectId), Stored>,
    pub(super) links: BTreeSet<Link>,
    pub(super) skus: Vec<Value>,
    pub(super) granted: Option<BTreeSet<String>>,
    pub(super) role_templates: HashSet<ObjectId>,
    pub(super) raw: Vec<(Kind, Box<RawValue>)>,
    created: u128,
    /// What the change tokens stand for.
    pub(super) marks: Vec<Mark>,
    /// How many tokens are no longer honoured.
    pub(super) forgotten: usize,
}

impl State {
    pub(super) fn new(content: Content) -> Self {
        let mut state = Self {
            objects: BTreeMap::new(),
            links: content.links.into_iter().collect(),
            skus: Vec::new(),
            granted: None,
            role_templates: HashSet::new(),
            raw: Vec::new(),
            created: 0,
            marks: Vec::new(),
            forgotten: 0,
        };
        content
            .objects
            .into_iter()
            .for_each(|object| state.put(object));
        state
    }

    pub(super) fn put(&mut self, object: Object) {
        let stored = Stored {
            state: object.state,
            body: object.body(),
        };
        self.objects.insert((object.object_type, object.id), stored);
    }

    pub(super) fn purge(&mut self, object_type: ObjectType, id: &ObjectId) {
        self.objects.remove(&(object_type, id.clone()));
        self.links
            .retain(|link| link.source != *id && link.target != *id);
    }

    /// An id that nobody has.
    pub(super) fn fresh_id(&mut self) -> String {
        self.created += 1;
        uuid::Uuid::from_u128(0xfa4e_0000_0000_4000_8000_0000_0000_0000 + self.created).to_string()
    }

    pub(super) fn content(&self) -> Content {
        let objects = self.objects.keys().filter_map(|(object_type, id)| {
            let state = self.objects.get(&(*object_type, id.clone()))?.state;
            self.object(*object_type, state, id)
        });
        let links = self.links.iter().filter(|link| self.shows(link)).cloned();
        Content {
            objects: objects.collect(),
            links: links.collect(),
            completeness: Vec::new(),
        }
        .sorted()
    }

    /// An object as Graph shows it in that state.
    pub(super) fn object(
        &self,
        object_type: ObjectType,
        state: ObjectState,
        id: &ObjectId,
    ) -> Option<Object> {
        let stored = self
            .objects
            .get(&(object_type, id.clone()))
            .filter(|stored| stored.state == state && self.has_owner(object_type, stored))?;
        let mut body = stored.body.clone();
        for (name, distortion) in object_type
            .spec()
            .deleted
            .map_or(&[][..], |deleted| deleted.distorted)
        {
            if state == ObjectState::Deleted
                && *distortion == Distortion::ShownFalse
                && body.contains_key(*name)
            {
                body.insert((*name).to_owned(), Value::Bool(false));
            }
        }
        Some(
            Object::from_body(object_type, state, &body)
                .expect("invariant: stored bodies have an id"),
        )
    }

    pub(super) fn is_live(&self, object_type: ObjectType, id: &ObjectId) -> bool {
        self.objects
            .get(&(object_type, id.clone()))
            .is_some_and(|stored| stored.state == ObjectState::Live)
    }

    /// The name of the type of a live object that `directoryObjects` knows.
    pub(super) fn directory_type(&self, id: &ObjectId) -> Option<&'static str> {
        ObjectType::ALL
            .into_iter()
            .filter(|object_type| is_directory_object(*object_type))
            .find(|object_type| self.is_live(*object_type, id))
            .map(ObjectType::name)
    }

    pub(super) fn app_ids(&self) -> HashSet<String> {
        let live = |(key, stored): (&(ObjectType, ObjectId), &Stored)| {
            let wanted = key.0 == ObjectType::ServicePrincipal && stored.state == ObjectState::Live;
            stored
                .body
                .get("appId")
                .and_then(Value::as_str)
                .filter(|_| wanted)
                .map(str::to_owned)
        };
        self.objects.iter().filter_map(live).collect()
    }

    /// Links are kept while an end is in the recycle bin, and not shown.
    fn shows(&self, link: &Link) -> bool {
        let in_bin = |id: &ObjectId| {
            ObjectType::ALL.into_iter().any(|object_type| {
                self.objects
                    .get(&(object_type, id.clone()))
                    .is_some_and(|stored| stored.state == ObjectState::Deleted)
            })
        };
        self.is_live(link.kind.source_type(), &link.source) && !in_bin(&link.target)
    }

    fn targets(&self, kind: LinkKind, source: &ObjectId) -> Vec<Value> {
        self.links
            .iter()
            .filter(|link| link.kind == kind && link.source == *source && self.shows(link))
            .map(|link| json!({"@odata.type": "#microsoft.graph.directoryObject", "id": link.target.as_str()}))
            .collect()
    }

    /// All items of a list.
    pub(super) fn items(&self, query: &Query) -> Result<Vec<Box<RawValue>>, GraphError> {
        let items = match query {
            Query::Objects(object_type) => self.list(*object_type, ObjectState::Live),
            Query::Deleted(object_type) => self.list(*object_type, ObjectState::Deleted),
            Query::Links { kind, source } => {
                if !self.is_live(kind.source_type(), source) {
                    let path = format!(
                        "{}/{}",
                        kind.source_type().spec().item_path(source),
                        kind.spec().relation
                    );
                    return Err(GraphError::NotFound { path });
                }
                self.targets(*kind, source)
            }
            Query::Ids(object_type) => self.ids(*object_type, Owners::All),
            Query::Expanded(collection, owners) => self.expanded(*collection, *owners),
            Query::Contained(object_type, owner) => self.contained(*object_type, owner),
            Query::With {
                object_type,
                property,
                value,
            } => {
                let mut items = self.list(*object_type, ObjectState::Live);
                items.retain(|item| item[*property] == value.as_str());
                items
            }
            Query::Keyed {
                object_type,
                key,
                value,
            } => {
                let mut items = self.list(*object_type, ObjectState::Live);
                items.retain(|item| {
                    let held = item[key.property()].as_str();
                    held.is_some_and(|held| held.eq_ignore_ascii_case(value))
                });
                if items.is_empty() {
                    let path = format!("{}({value})", object_type.spec().list_path);
                    return Err(GraphError::NotFound { path });
                }
                items
            }
            Query::Sources { kind, target, .. } => self.sources(*kind, target),
        };
        let raw = self
            .raw
            .iter()
            .filter(|(kind, _)| *kind == query.kind())
            .map(|(_, item)| item.clone());
        let items = items.iter().map(|item| {
            RawValue::from_string(item.to_string()).expect("invariant: a value is JSON")
        });
        Ok(items.chain(raw).collect())
    }

    fn ids(&self, object_type: ObjectType, owners: Owners) -> Vec<Value> {
        let wanted = |stored: &Stored| {
            stored.state == ObjectState::Live
                && (owners == Owners::All
                    || stored.body.get("userType") == Some(&Value::from("Guest")))
        };
        self.objects
            .iter()
            .filter(|(key, stored)| key.0 == object_type && wanted(stored))
            .map(|((_, id), _)| json!({ "id": id.as_str() }))
            .collect()
    }

    /// Owners with the first entries of a collection.
    fn expanded(&self, collection: Collection, owners: Owners) -> Vec<Value> {
        let mut items = self.ids(collection.owner(), owners);
        for item in &mut items {
            let owner = ObjectId::parse(item["id"].as_str().unwrap_or_default())
                .expect("invariant: a stored id is valid");
            let mut entries = match collection {
                Collection::Links(kind) => self.targets(kind, &owner),
                Collection::Contained(object_type) => self.contained(object_type, &owner),
            };
            entries.truncate(EXPANDED);
            item[collection.relation()] = Value::Array(entries);
        }
        items
    }

    /// What an object contains, without the name of the object.
    fn contained(&self, object_type: ObjectType, owner: &ObjectId) -> Vec<Value> {
        let is_in = |stored: &Stored| {
            stored.body.get(OWNER).and_then(Value::as_str) == Some(owner.as_str())
        };
        self.objects
            .iter()
            .filter(|(key, stored)| key.0 == object_type && is_in(stored))
            .map(|(_, stored)| {
                let mut body = stored.body.clone();
                body.remove(OWNER);
                Value::Object(body)
            })
            .collect()
    }

    fn sources(&self, kind: LinkKind, target: &ObjectId) -> Vec<Value> {
        let source_type = format!("#microsoft.graph.{}", kind.source_type().name());
        self.links
            .iter()
            .filter(|link| link.kind == kind && link.target == *target && self.shows(link))
            .map(|link| json!({"@odata.type": source_type, "id": link.source.as_str()}))
            .collect()
    }

    /// What an object contains is seen while the object is live.
    fn has_owner(&self, object_type: ObjectType, stored: &Stored) -> bool {
        let Reading::Contained { owner, .. } = object_type.spec().reading else {
            return true;
        };
        let id = stored.body.get(OWNER).and_then(Value::as_str);
        id.and_then(|id| ObjectId::parse(id).ok())
            .is_some_and(|id| self.is_live(owner, &id))
    }

    fn list(&self, object_type: ObjectType, state: ObjectState) -> Vec<Value> {
        let shown = |id: &ObjectId| {
            let mut body = self.object(object_type, state, id)?.body();
            let expanded = object_type
                .spec()
                .links
                .iter()
                .filter(|link| link.read == LinkRead::Expand && state == ObjectState::Live);
            for link in expanded {
                if let Some(target) = self.targets(link.kind, id).pop() {
                    body.insert(link.relation.to_owned(), target);
                }
            }
            Some(Value::Object(body))
        };
        self.objects
            .keys()
            .filter(|key| key.0 == object_type)
            .filter_map(|(_, id)| shown(id))
            .collect()
    }
}
