//! Steps for the objects themselves: back from the recycle bin, attributes set
//! back, added objects removed.

use serde_json::{Map, Value, json};

use super::{Action, Added, Draft, Guard, Sketch};
use crate::call::{Call, HttpMethod};
use crate::canonical;
use crate::catalogue::{Class, Distortion, ObjectType, Property, TypeSpec, Write};
use crate::diff::{
    AttributeChange, Change, ChangeKind, Obstacle, attribute_changes, class_obstacle, is_synced,
};
use crate::object::Object;
use crate::references::{Reference, references};

type Body = Map<String, Value>;

impl Draft<'_> {
    /// Plans one change, links aside.
    pub(super) fn object(&mut self, change: &Change) {
        match change.kind {
            ChangeKind::HardDeleted => self.exclude(
                change,
                Obstacle::HardDeleted,
                "",
                "hard-deleted: Graph cannot bring it back; it could only be created anew under another id",
            ),
            _ if change.obstacles.contains(&Obstacle::OnPremisesSynced) => self.exclude(
                change,
                Obstacle::OnPremisesSynced,
                "",
                "its source of authority is on-premises; put it back in Active Directory",
            ),
            ChangeKind::Added | ChangeKind::Restored => self.remove(change),
            ChangeKind::Modified | ChangeKind::SoftDeleted => self.put_back(change),
        }
    }

    fn sides(&self, change: &Change) -> (Option<Body>, Option<Body>) {
        let (object_type, id) = (change.object.object_type, &change.object.id);
        let body = |object: Option<&Object>| object.map(Object::body);
        (
            body(self.situation.base.object(object_type, id)),
            body(self.situation.live.object(object_type, id)),
        )
    }

    fn put_back(&mut self, change: &Change) {
        let (Some(base), Some(mut live)) = self.sides(change) else {
            return;
        };
        let spec = change.object.object_type.spec();
        if let Some(missing) = self.unresolved(change, &base, &live) {
            let names: Vec<String> = missing
                .iter()
                .map(|reference| format!("{} {}", reference.kind.name(), reference.id))
                .collect();
            self.exclude(
                change,
                Obstacle::UnresolvedReference,
                "",
                format!(
                    "names what does not exist: {}; the policy stays as it is",
                    names.join(", ")
                ),
            );
            return;
        }
        let mut attributes = change.attributes.clone();
        if change.kind == ChangeKind::SoftDeleted {
            self.bring_back(change);
            back_from_bin(spec, &base, &mut live);
            // What differs once the object is back, not while it is in the bin.
            attributes = attribute_changes(spec, Some(&base), Some(&live));
        }
        self.set_back(change, spec, &base, &live, &attributes);
    }

    fn bring_back(&mut self, change: &Change) {
        let Some(deleted) = change.object.object_type.spec().deleted else {
            return;
        };
        self.steps.push(Sketch {
            action: Action::RestoreDeleted,
            object: change.object.clone(),
            reason: "was soft-deleted since the snapshot".to_owned(),
            attributes: Vec::new(),
            links: Vec::new(),
            guards: Vec::new(),
            call: Call {
                method: HttpMethod::Post,
                path: format!("{}/{}/restore", deleted.item_path, change.object.id),
                body: None,
            },
            needs: self.named_by(change),
        });
    }

    /// Plans the update of everything writable among the attributes.
    fn set_back(
        &mut self,
        change: &Change,
        spec: &'static TypeSpec,
        base: &Body,
        live: &Body,
        attributes: &[AttributeChange],
    ) {
        for attribute in attributes {
            if let Some(obstacle) = class_obstacle(attribute.class) {
                let detail = match obstacle {
                    Obstacle::Secret => "credentials are not restored; secrets are never stored",
                    Obstacle::OwnEndpoint => {
                        "has an endpoint of its own that a restore does not use"
                    }
                    _ => "Graph does not let it be written",
                };
                self.exclude(change, obstacle, attribute.path.clone(), detail);
            }
        }
        let written: Vec<AttributeChange> = attributes
            .iter()
            .filter(|attribute| attribute.class == Class::Restorable)
            .map(reversed)
            .collect();
        let mut properties: Vec<&'static Property> = written
            .iter()
            .filter_map(|attribute| spec.property(attribute.property()))
            .collect();
        properties.dedup_by_key(|property| property.name);
        if properties.is_empty() {
            return;
        }
        let mut live = live.clone();
        for property in properties
            .iter()
            .filter(|property| property.write == Write::DisableFirst)
        {
            self.disable_entries(change, spec, property, base, &mut live);
        }
        self.note_risks(change, base, &properties);
        let mut body = typed(spec, base);
        let mut guards = Vec::new();
        for property in properties {
            let (target, current) = (base.get(property.name), live.get(property.name));
            body.insert(
                property.name.to_owned(),
                canonical::writable(property, target, current),
            );
            guards.push(guard(property, current, target));
        }
        self.push_update(
            change,
            Action::Update,
            "differs from the snapshot",
            written,
            guards,
            body,
        );
    }

    fn push_update(
        &mut self,
        change: &Change,
        action: Action,
        reason: &str,
        attributes: Vec<AttributeChange>,
        guards: Vec<Guard>,
        body: Body,
    ) {
        let needs = self.named_by(change);
        let path = change
            .object
            .object_type
            .spec()
            .item_path(&change.object.id);
        self.steps.push(Sketch {
            action,
            object: change.object.clone(),
            reason: reason.to_owned(),
            attributes,
            links: Vec::new(),
            guards,
            call: Call {
                method: HttpMethod::Patch,
                path,
                body: Some(Value::Object(body)),
            },
            needs,
        });
    }

    /// Graph refuses to change or remove an enabled role or scope, so entries
    /// that will change are switched off in a step before.
    fn disable_entries(
        &mut self,
        change: &Change,
        spec: &'static TypeSpec,
        property: &'static Property,
        base: &Body,
        live: &mut Body,
    ) {
        let list = if property.name == "api" {
            "/oauth2PermissionScopes"
        } else {
            ""
        };
        let entries = |body: &Body| {
            body.get(property.name)
                .and_then(|value| value.pointer(list))
                .and_then(Value::as_array)
                .cloned()
        };
        let wanted = entries(base).unwrap_or_default();
        let Some(mut current) = entries(live) else {
            return;
        };
        let mut switched = false;
        for entry in &mut current {
            if entry.get("isEnabled") == Some(&Value::Bool(true)) && !wanted.contains(entry) {
                entry["isEnabled"] = Value::Bool(false);
                switched = true;
            }
        }
        if !switched {
            return;
        }
        let before = live.get(property.name).cloned();
        if let Some(place) = live
            .get_mut(property.name)
            .and_then(|value| value.pointer_mut(list))
        {
            *place = Value::Array(current.clone());
        }
        let after = live.get(property.name).cloned();
        let mut body = typed(spec, base);
        let value = if list.is_empty() {
            Value::Array(current)
        } else {
            json!({ "oauth2PermissionScopes": current })
        };
        body.insert(property.name.to_owned(), value);
        let guards = vec![guard(property, before.as_ref(), after.as_ref())];
        let one = |value: Option<Value>| {
            value.map(|value| Map::from_iter([(property.name.to_owned(), value)]))
        };
        let attributes = attribute_changes(spec, one(before).as_ref(), one(after).as_ref());
        self.push_update(
            change,
            Action::DisableEntries,
            "roles and scopes must be disabled before they may be changed or removed",
            attributes,
            guards,
            body,
        );
    }

    fn remove(&mut self, change: &Change) {
        let spec = change.object.object_type.spec();
        let since = if change.kind == ChangeKind::Added {
            "added"
        } else {
            "restored"
        };
        if self.situation.options.added == Added::Keep {
            self.exclude(
                change,
                Obstacle::AddedKept,
                "",
                format!("was {since} since the snapshot and is kept"),
            );
            return;
        }
        let (_, Some(live)) = self.sides(change) else {
            return;
        };
        if !soft_deletable(spec, &live) {
            self.exclude(
                change,
                Obstacle::NotSoftDeletable,
                "",
                "deleting it could not be undone, so it is only reported",
            );
            return;
        }
        self.risks.insert("objects that were added since the snapshot will be soft-deleted; they stay in the recycle bin for 30 days".to_owned());
        let mut live_after = live.clone();
        if change.object.object_type == ObjectType::NamedLocation
            && live.get("isTrusted") == Some(&Value::Bool(true))
        {
            let mut body = typed(spec, &live);
            body.insert("isTrusted".to_owned(), Value::Bool(false));
            live_after.insert("isTrusted".to_owned(), Value::Bool(false));
            let property = spec
                .property("isTrusted")
                .expect("invariant: the catalogue knows isTrusted");
            let guards = vec![guard(
                property,
                live.get("isTrusted"),
                live_after.get("isTrusted"),
            )];
            let attributes = attribute_changes(spec, Some(&live), Some(&live_after));
            self.push_update(
                change,
                Action::Untrust,
                "a trusted location cannot be deleted",
                attributes,
                guards,
                body,
            );
        }
        let hash = canonical::body_hash(spec, &live_after);
        self.steps.push(Sketch {
            action: Action::SoftDelete,
            object: change.object.clone(),
            reason: format!("was {since} since the snapshot"),
            attributes: Vec::new(),
            links: Vec::new(),
            guards: vec![Guard {
                property: String::new(),
                before: hash,
                after: String::new(),
            }],
            call: Call {
                method: HttpMethod::Delete,
                path: spec.item_path(&change.object.id),
                body: None,
            },
            needs: Vec::new(),
        });
    }

    /// The references of a policy that neither exist, nor return with this
    /// plan, nor stand in the live policy already; `None` where all are good.
    fn unresolved(&self, change: &Change, base: &Body, live: &Body) -> Option<Vec<Reference>> {
        if change.object.object_type != ObjectType::ConditionalAccessPolicy {
            return None;
        }
        let held = references(live);
        let missing: Vec<Reference> = references(base)
            .into_iter()
            .filter(|reference| !held.contains(reference))
            .filter(|reference| {
                !self.situation.resolved.contains(reference) && !self.returns(reference)
            })
            .collect();
        (!missing.is_empty()).then_some(missing)
    }

    fn returns(&self, reference: &Reference) -> bool {
        self.returning
            .values()
            .any(|object| self.answers(object.object_type, &object.id, reference))
    }

    /// Whether an object is what a reference names; applications are named by
    /// their `appId`.
    fn answers(
        &self,
        object_type: ObjectType,
        id: &crate::ObjectId,
        reference: &Reference,
    ) -> bool {
        use crate::references::ReferenceKind as Kind;
        match (reference.kind, object_type) {
            (Kind::User, ObjectType::User)
            | (Kind::Group, ObjectType::Group)
            | (Kind::ServicePrincipal, ObjectType::ServicePrincipal)
            | (Kind::Location, ObjectType::NamedLocation) => {
                id.as_str().eq_ignore_ascii_case(&reference.id)
            }
            (Kind::Application, ObjectType::ServicePrincipal) => {
                let object = self.situation.base.object(object_type, id);
                object.is_some_and(|object| {
                    object.body().get("appId").and_then(Value::as_str) == Some(&reference.id)
                })
            }
            _ => false,
        }
    }

    /// The returning objects that a change must wait for.
    fn named_by(&self, change: &Change) -> Vec<crate::ObjectId> {
        if change.object.object_type != ObjectType::ConditionalAccessPolicy {
            return Vec::new();
        }
        let (base, _) = self.sides(change);
        let named = base.as_ref().map(references).unwrap_or_default();
        let returning = self.returning.values().filter(|object| {
            named
                .iter()
                .any(|one| self.answers(object.object_type, &object.id, one))
        });
        returning.map(|object| object.id.clone()).collect()
    }

    fn note_risks(&mut self, change: &Change, base: &Body, properties: &[&Property]) {
        let sets = |name: &str| properties.iter().any(|property| property.name == name);
        let name = &change.object.name;
        if change.object.object_type == ObjectType::ConditionalAccessPolicy
            && base.get("state").is_some_and(|state| state == "enabled")
        {
            self.risks.insert(format!(
                "policy \"{name}\" will be enforced as it was in the snapshot"
            ));
        }
        if sets("accountEnabled") && base.get("accountEnabled") == Some(&Value::Bool(true)) {
            self.risks.insert(
                "accounts that were disabled since the snapshot will be able to sign in again"
                    .to_owned(),
            );
        }
        if sets("userPrincipalName") {
            self.risks
                .insert(format!("the sign-in name of \"{name}\" will change"));
        }
    }
}

/// Seen from the restore: from the live value to the snapshot's.
fn reversed(attribute: &AttributeChange) -> AttributeChange {
    AttributeChange {
        path: attribute.path.clone(),
        before: attribute.after.clone(),
        after: attribute.before.clone(),
        added: attribute.removed.clone(),
        removed: attribute.added.clone(),
        class: attribute.class,
    }
}

fn guard(property: &Property, live: Option<&Value>, target: Option<&Value>) -> Guard {
    let hash = |value| canonical::hash(canonical::property(property, value).as_ref());
    Guard {
        property: property.name.to_owned(),
        before: hash(live),
        after: hash(target),
    }
}

/// The start of a write's body: polymorphic types must say which they are.
fn typed(spec: &TypeSpec, base: &Body) -> Body {
    let tag = base.get("@odata.type").filter(|_| spec.typed_writes);
    tag.map(|tag| ("@odata.type".to_owned(), tag.clone()))
        .into_iter()
        .collect()
}

/// What the object will look like right after it left the recycle bin.
fn back_from_bin(spec: &TypeSpec, base: &Body, deleted: &mut Body) {
    for (property, distortion) in spec
        .deleted
        .map(|paths| paths.distorted)
        .unwrap_or_default()
    {
        match distortion {
            Distortion::ShownFalse => match base.get(*property) {
                Some(value) => deleted.insert((*property).to_owned(), value.clone()),
                None => deleted.remove(*property),
            },
            Distortion::RestoredFalse
                if deleted.contains_key(*property) || base.contains_key(*property) =>
            {
                deleted.insert((*property).to_owned(), Value::Bool(false))
            }
            Distortion::RestoredFalse => None,
        };
    }
}

/// Whether deleting the object leaves it in a recycle bin.
///
/// Mail-enabled security groups and distribution groups are hard-deleted at
/// once; Microsoft 365 groups and cloud security groups are not.
fn soft_deletable(spec: &TypeSpec, body: &Body) -> bool {
    if spec.deleted.is_none() || is_synced(body) {
        return false;
    }
    if spec.object_type != ObjectType::Group {
        return true;
    }
    let unified = body
        .get("groupTypes")
        .and_then(Value::as_array)
        .is_some_and(|types| types.iter().any(|kind| kind == "Unified"));
    unified || body.get("mailEnabled") != Some(&Value::Bool(true))
}
