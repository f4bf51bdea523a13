//! What a step writes, as it was found right before and right after: what a journal
//! keeps of a write, and what an undo follows from. Never a secret.
//!
//! The value is an object: the properties by name (an entry of a property by
//! `{property}/{entry}`), the ends of links by relation, or where the object is under
//! [`STATE`]; of what is made anew or removed it is the object itself.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::{Action, Guard, Step};
use crate::canonical;
use crate::catalogue::{Cardinality, Class, LinkKind, OWNER};
use crate::diff::Direction;
use crate::id::ObjectId;
use crate::object::ObjectState;

type Body = Map<String, Value>;

/// The name under which a record tells where the object was.
pub const STATE: &str = "@rewind.state";

impl Step {
    /// The properties that the step writes, as a body has them.
    #[must_use]
    pub fn properties_in(&self, body: &Body) -> Value {
        let spec = self.object.object_type.spec();
        let mut found = Body::new();
        for guard in &self.guards {
            let (name, entry) = guard.parts();
            let Some(property) = spec.property(name) else {
                continue;
            };
            let held = body.get(name);
            let value = match entry {
                Some(entry) => held.and_then(|list| entry_of(list, entry)).cloned(),
                None if property.class == Class::Secret => canonical::property(property, held),
                None => held.cloned(),
            };
            found.insert(guard.property.clone(), value.unwrap_or_default());
        }
        Value::Object(found)
    }

    /// The ends that the step speaks of among those that its relation has; of a
    /// relation with one end that one.
    #[must_use]
    pub fn links_among(&self, kind: LinkKind, present: &BTreeSet<ObjectId>) -> Value {
        let whole = kind.spec().cardinality == Cardinality::One;
        let spoken: BTreeSet<&ObjectId> = self.links.iter().map(|link| &link.target).collect();
        let ends = present.iter().filter(|id| whole || spoken.contains(id));
        let ends: Value = ends.map(|id| Value::from(id.as_str())).collect();
        Value::Object(Body::from_iter([(kind.name().to_owned(), ends)]))
    }

    /// What was there before a write that an earlier attempt made and did not note,
    /// by what the plan saw; `after` is what is found now.
    #[must_use]
    pub fn planned_before(&self, after: Option<&Value>) -> Option<Value> {
        match self.action {
            Action::RestoreDeleted => Some(state(ObjectState::Deleted)),
            Action::SoftDelete => Some(state(ObjectState::Live)),
            Action::MakeAnew | Action::Recreate | Action::Create => None,
            Action::Protect => {
                let values = self.attributes.iter().map(|one| {
                    let value = one.before.clone().unwrap_or_default();
                    (one.path.clone(), value)
                });
                Some(Value::Object(values.collect()))
            }
            Action::RemoveRelation => {
                let mut body = Body::new();
                for attribute in &self.attributes {
                    let value = attribute.before.clone().unwrap_or_default();
                    set_at(&mut body, &attribute.path, value);
                }
                if let Some(owner) = self.object.object_type.spec().owner_in(&self.call.path) {
                    body.insert(OWNER.to_owned(), Value::from(owner.as_str()));
                }
                Some(Value::Object(body))
            }
            Action::AddLinks | Action::RemoveLink => {
                let kind = self.links.first()?.kind;
                let gone = self.links.iter();
                let gone = gone.filter(|link| link.direction == Direction::Removed);
                let present = gone.map(|link| link.target.clone()).collect();
                Some(self.links_among(kind, &present))
            }
            Action::Update
            | Action::DisableEntries
            | Action::Untrust
            | Action::RemoveCredential => {
                let mut found = after?.as_object()?.clone();
                for guard in &self.guards {
                    let mut around = Body::new();
                    let now = found.remove(&guard.property).unwrap_or_default();
                    let place = guard.property.replace('/', ".");
                    set_at(&mut around, &place, now);
                    for attribute in &self.attributes {
                        let below = attribute.path.strip_prefix(place.as_str());
                        if below.is_some_and(|rest| rest.is_empty() || rest.starts_with('.')) {
                            let value = attribute.before.clone().unwrap_or_default();
                            set_at(&mut around, &attribute.path, value);
                        }
                    }
                    let pointer = format!("/{}", place.replace('.', "/"));
                    let value = Value::Object(around).pointer(&pointer).cloned();
                    found.insert(guard.property.clone(), value.unwrap_or_default());
                }
                Some(Value::Object(found))
            }
        }
    }
}

impl Guard {
    /// The property and, where the guard speaks of one entry of it, that.
    #[must_use]
    pub fn parts(&self) -> (&str, Option<&str>) {
        match self.property.split_once('/') {
            Some((name, entry)) => (name, Some(entry)),
            None => (self.property.as_str(), None),
        }
    }
}

/// The record of an object that is live or in the recycle bin.
#[must_use]
pub fn state(state: ObjectState) -> Value {
    let name = match state {
        ObjectState::Live => "live",
        ObjectState::Deleted => "deleted",
    };
    Value::Object(Body::from_iter([(STATE.to_owned(), Value::from(name))]))
}

/// The ends that a record tells of a relation.
pub(super) fn ends(record: Option<&Value>, kind: LinkKind) -> BTreeSet<ObjectId> {
    let list = record.and_then(|record| record.get(kind.name()));
    let list = list.and_then(Value::as_array);
    let ids = list.into_iter().flatten().filter_map(Value::as_str);
    ids.filter_map(|id| ObjectId::parse(id).ok()).collect()
}

/// One entry of a property whose entries have ids.
fn entry_of<'a>(list: &'a Value, id: &str) -> Option<&'a Value> {
    let mut entries = list.as_array()?.iter();
    entries.find(|entry| entry.get("id").is_some_and(|held| held == id))
}

/// Sets the value at a path with dots, making the objects on the way.
pub(crate) fn set_at(body: &mut Body, path: &str, value: Value) {
    match path.split_once('.').filter(|_| !path.starts_with('@')) {
        None => {
            body.insert(path.to_owned(), value);
        }
        Some((first, rest)) => {
            let inner = body.entry(first).or_insert_with(|| Body::new().into());
            if !inner.is_object() {
                *inner = Body::new().into();
            }
            if let Some(inner) = inner.as_object_mut() {
                set_at(inner, rest, value);
            }
        }
    }
}
