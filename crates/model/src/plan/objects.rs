//! Steps for the objects themselves: back from the recycle bin, attributes set
//! back, added objects removed.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Map, Value};

use super::relations::relation_path;
use super::{Action, Added, Draft, Guard, Situation, Sketch, link_part};
use crate::call::{Call, HttpMethod};
use crate::canonical;
use crate::catalogue::{Class, Clearing, Distortion, ObjectType, Property, TypeSpec, Write};
use crate::diff::{
    AttributeChange, Change, ChangeKind, Obstacle, attribute_changes, attribute_obstacle,
    is_exchange_group, is_synced,
};
use crate::id::ObjectId;
use crate::object::{Object, ObjectState};
use crate::references::{Reference, ReferenceKind, exclusions, references};

type Body = Map<String, Value>;

impl Draft<'_> {
    /// Plans one change, links aside.
    pub(super) fn object(&mut self, change: &Change) {
        if let Some(lacking) = self.situation.lacking.get(&change.object.object_type) {
            self.left_alone(change, lacking);
            return;
        }
        if change.object.object_type.spec().relation.is_some() {
            self.relation(change);
            return;
        }
        match change.kind {
            ChangeKind::HardDeleted => self.hard_deleted(change),
            ChangeKind::SoftDeleted if self.anew.holds(&change.object.id) => {
                self.hard_deleted(change);
            }
            _ if change.obstacles.contains(&Obstacle::OnPremisesSynced) => self.exclude(
                change,
                Obstacle::OnPremisesSynced,
                "",
                "its source of authority is on-premises; put it back in Active Directory",
            ),
            ChangeKind::Modified | ChangeKind::SoftDeleted
                if change.obstacles.contains(&Obstacle::ExchangeManaged) =>
            {
                self.exclude(
                    change,
                    Obstacle::ExchangeManaged,
                    "",
                    "belongs to Exchange; Graph cannot write to it",
                );
            }
            ChangeKind::Added | ChangeKind::Restored => self.remove(change),
            ChangeKind::Modified | ChangeKind::SoftDeleted => self.put_back(change),
        }
    }

    /// Names what differs of a type that must not be written; what was added stays,
    /// whatever was chosen for added objects.
    fn left_alone(&mut self, change: &Change, lacking: &[&str]) {
        let obstacle = Obstacle::PermissionMissing;
        let lacking = lacking.join(", ");
        let reason = &format!("the application that restores lacks {lacking}");
        if matches!(change.kind, ChangeKind::Added | ChangeKind::Restored) {
            let detail = format!("was added since the snapshot and is kept: {reason}");
            self.exclude(change, obstacle, "", detail);
            return;
        }
        if change.kind != ChangeKind::Modified || !change.attributes.is_empty() {
            self.exclude(change, obstacle, "", reason);
        }
        for link in &change.links {
            self.exclude(change, obstacle, link_part(link), reason);
        }
    }

    /// The bodies on both sides. What was made anew is found by what it says.
    pub(super) fn sides(&self, change: &Change) -> (Option<Body>, Option<Body>) {
        let (object_type, id) = (change.object.object_type, &change.object.id);
        let body = |object: Option<&Object>| object.map(Object::body);
        let base = body(self.situation.base.object(object_type, id));
        let live = body(self.situation.live.object(object_type, id));
        let anew = || {
            let identity = object_type.spec().identity(base.as_ref()?)?;
            let of_type = self.situation.live.objects.iter();
            of_type
                .filter(|object| object.object_type == object_type)
                .map(Object::body)
                .find(|body| object_type.spec().identity(body).as_ref() == Some(&identity))
        };
        let live = match change.kind {
            ChangeKind::Modified => live.or_else(anew),
            _ => live,
        };
        (base, live)
    }

    pub(super) fn put_back(&mut self, change: &Change) {
        let (Some(mut base), Some(mut live)) = self.sides(change) else {
            return;
        };
        let spec = change.object.object_type.spec();
        if self.is_refused_for_references(change, &base, &live) {
            return;
        }
        let mut attributes = change.attributes.clone();
        if change.kind == ChangeKind::SoftDeleted {
            self.bring_back(change);
            live = back_from_bin(spec, &base, live);
            self.note_old_content(change, &base, &live);
            // What differs once the object is back, not while it is in the bin.
            attributes = attribute_changes(spec, Some(&base), Some(&live));
        }
        self.choose_state(change, &mut base, &live, &mut attributes);
        self.set_back(change, spec, &base, &live, &attributes);
    }

    /// Whether a policy stays as it is since it names what does not exist; the plan then
    /// says so.
    pub(super) fn is_refused_for_references(
        &mut self,
        change: &Change,
        base: &Body,
        live: &Body,
    ) -> bool {
        let Some(missing) = self.unresolved(change, base, live) else {
            return false;
        };
        let names: Vec<String> = missing
            .iter()
            .map(|reference| format!("{} {}", reference.kind.name(), reference.id))
            .collect();
        let names = names.join(", ");
        self.exclude(
            change,
            Obstacle::UnresolvedReference,
            "",
            format!("names what does not exist: {names}; the policy stays as it is"),
        );
        true
    }

    fn bring_back(&mut self, change: &Change) {
        if !change.object.object_type.spec().links.is_empty() {
            self.risks.insert(format!(
                "{} \"{}\" comes back with the members, owners, assignments and credentials that it had when it was deleted; a second plan removes those that were added before",
                change.object.object_type, change.object.name
            ));
        }
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
            needs: self
                .named_by(change)
                .into_iter()
                .chain(self.in_the_way(change))
                .collect(),
            needs_links_of: self.excluded_groups(change),
            made_anew: Vec::new(),
        });
    }

    /// The added object that holds the sign-in name or address that a returning
    /// object needs, where the plan removes it.
    pub(super) fn in_the_way(&self, change: &Change) -> Option<ObjectId> {
        let base = self
            .situation
            .base
            .object(change.object.object_type, &change.object.id)?;
        let body = base.body();
        let mut names = unique_names(change.object.object_type, &body);
        names.find_map(|name| self.taken.get(&name).cloned())
    }

    /// The groups that a policy excludes: their members must be back before it
    /// binds anybody.
    pub(super) fn excluded_groups(&self, change: &Change) -> Vec<ObjectId> {
        if change.object.object_type != ObjectType::ConditionalAccessPolicy {
            return Vec::new();
        }
        let base = self
            .situation
            .base
            .object(change.object.object_type, &change.object.id);
        let excluded = base
            .map(|policy| exclusions(&policy.body()))
            .unwrap_or_default();
        let groups = excluded
            .into_iter()
            .filter(|one| one.kind == ReferenceKind::Group);
        groups
            .filter_map(|group| ObjectId::parse(&group.id).ok())
            .collect()
    }

    /// Plans the update of everything writable among the attributes: one write
    /// for each part, so that a refusal blocks no more than itself.
    fn set_back(
        &mut self,
        change: &Change,
        spec: &'static TypeSpec,
        base: &Body,
        live: &Body,
        attributes: &[AttributeChange],
    ) {
        let mut parts: BTreeMap<u8, Vec<&AttributeChange>> = BTreeMap::new();
        let mut apart: BTreeMap<&str, Vec<&AttributeChange>> = BTreeMap::new();
        for attribute in attributes {
            match (
                attribute_obstacle(attribute),
                spec.property(attribute.property()),
            ) {
                (Some(Obstacle::CredentialAdded), _) => {
                    self.credentials(change, base, live, attribute);
                }
                (Some(obstacle), _) => self.leave(change, obstacle, attribute),
                (None, Some(property))
                    if property.name == "accountEnabled"
                        && base.get(property.name) == Some(&Value::Bool(false))
                        && self.is_own(change, live) =>
                {
                    let detail = "Rewind itself signs in by it; see to it by hand";
                    self.exclude(change, Obstacle::OwnAccess, property.name, detail);
                }
                (None, Some(property)) if uncleared(property, base) => self.exclude(
                    change,
                    Obstacle::ReadOnly,
                    attribute.path.clone(),
                    "had no value in the snapshot, and Graph does not let it be cleared",
                ),
                (None, Some(property))
                    if matches!(property.write, Write::Action(_) | Write::Entries) =>
                {
                    apart.entry(property.name).or_default().push(attribute);
                }
                (None, Some(property)) => parts.entry(property.part).or_default().push(attribute),
                (None, None) => {}
            }
        }
        let mut live = live.clone();
        for attributes in parts.into_values() {
            let mut properties: Vec<&'static Property> = attributes
                .iter()
                .filter_map(|attribute| spec.property(attribute.property()))
                .collect();
            properties.dedup_by_key(|property| property.name);
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
                let value = canonical::writable(property, target, current);
                body.insert(property.name.to_owned(), value);
                guards.push(guard(property, current, target));
            }
            let written = attributes.into_iter().map(reversed).collect();
            let reason = "differs from the snapshot";
            self.push_update(change, Action::Update, reason, written, guards, body);
        }
        for (name, attributes) in apart {
            match spec
                .property(name)
                .map(|property| (property.write, property))
            {
                Some((Write::Action(action), property)) => {
                    self.call_action(change, property, action, base, &live, &attributes);
                }
                Some((Write::Entries, property)) => {
                    self.set_entries_back(change, property, base, &live, &attributes);
                }
                _ => {}
            }
        }
    }

    /// Sets a property back that an action of the object takes.
    fn call_action(
        &mut self,
        change: &Change,
        property: &'static Property,
        action: &str,
        base: &Body,
        live: &Body,
        attributes: &[&AttributeChange],
    ) {
        let (target, current) = (base.get(property.name), live.get(property.name));
        let item = change
            .object
            .object_type
            .spec()
            .item_path(&change.object.id);
        let call = action_call(&item, action, property, target, current);
        self.write_apart(change, attributes, guard(property, current, target), call);
    }

    /// Sets the entries of a property back that are objects with paths of their own.
    pub(super) fn set_entries_back(
        &mut self,
        change: &Change,
        property: &'static Property,
        base: &Body,
        live: &Body,
        attributes: &[&AttributeChange],
    ) {
        let mut entries: BTreeMap<&str, Vec<&AttributeChange>> = BTreeMap::new();
        for attribute in attributes {
            let entry = attribute.path.split('.').nth(1).unwrap_or_default();
            entries.entry(entry).or_default().push(attribute);
        }
        let find = |body: &Body, id: &str| {
            let list = body.get(property.name).and_then(Value::as_array)?;
            list.iter().find(|entry| entry["id"] == id).cloned()
        };
        for (id, attributes) in entries {
            let (Some(target), Some(current)) = (find(base, id), find(live, id)) else {
                for attribute in attributes {
                    self.exclude(
                        change,
                        Obstacle::OwnEndpoint,
                        attribute.path.clone(),
                        "entries of it are neither made nor removed",
                    );
                }
                continue;
            };
            let hash = |body: &Body| canonical::property(property, body.get(property.name));
            let hash = |body| canonical::hash(hash(body).as_ref().and_then(|value| value.get(id)));
            let guard = Guard {
                property: format!("{}/{id}", property.name),
                before: hash(live),
                after: hash(base),
            };
            let item = change
                .object
                .object_type
                .spec()
                .item_path(&change.object.id);
            let call = entry_call(&item, property, id, &target, &current);
            self.write_apart(change, &attributes, guard, call);
        }
    }

    fn write_apart(
        &mut self,
        change: &Change,
        attributes: &[&AttributeChange],
        guard: Guard,
        call: Call,
    ) {
        self.steps.push(Sketch {
            action: Action::Update,
            object: change.object.clone(),
            reason: "differs from the snapshot".to_owned(),
            attributes: attributes.iter().map(|one| reversed(one)).collect(),
            links: Vec::new(),
            guards: vec![guard],
            call,
            needs: Vec::new(),
            needs_links_of: Vec::new(),
            made_anew: Vec::new(),
        });
    }

    /// Leaves an attribute as it is, and says why.
    fn leave(&mut self, change: &Change, obstacle: Obstacle, attribute: &AttributeChange) {
        let detail = match obstacle {
            Obstacle::Secret => "credentials are not restored; secrets are never stored",
            Obstacle::OwnEndpoint => "has an endpoint of its own that a restore does not use",
            _ if attribute.class == Class::Copied => {
                "is copied from the application and follows it"
            }
            _ => "Graph does not let it be written",
        };
        self.exclude(change, obstacle, attribute.path.clone(), detail);
    }

    pub(super) fn push_update(
        &mut self,
        change: &Change,
        action: Action,
        reason: &str,
        attributes: Vec<AttributeChange>,
        guards: Vec<Guard>,
        body: Body,
    ) {
        let needs = self
            .named_by(change)
            .into_iter()
            .chain(self.in_the_way(change))
            .collect();
        let needs_links_of = self.excluded_groups(change);
        let spec = change.object.object_type.spec();
        let (_, live) = self.sides(change);
        let path = live
            .filter(|_| spec.relation.is_some())
            .and_then(|live| relation_path(spec, &live))
            .unwrap_or_else(|| spec.item_path(&change.object.id));
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
            needs_links_of,
            made_anew: Vec::new(),
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
        let before = live.get(property.name).cloned();
        let Some(after) = switched_off(property, base.get(property.name), before.as_ref()) else {
            return;
        };
        live.insert(property.name.to_owned(), after.clone());
        let after = Some(after);
        let mut body = typed(spec, base);
        let value = canonical::writable(property, after.as_ref(), before.as_ref());
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
        if self.is_own(change, &live) {
            let detail = "lets Rewind itself into the tenant; see to it by hand";
            self.exclude(change, Obstacle::OwnAccess, "", detail);
            return;
        }
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
            needs_links_of: Vec::new(),
            made_anew: Vec::new(),
        });
    }

    /// The references of a policy that neither exist, nor return with this
    /// plan, nor stand in the live policy already; `None` where all are good.
    fn unresolved(&self, change: &Change, base: &Body, live: &Body) -> Option<Vec<Reference>> {
        if change.object.object_type != ObjectType::ConditionalAccessPolicy {
            return None;
        }
        let held = if change.kind == ChangeKind::Modified {
            references(live)
        } else {
            Vec::new()
        };
        // What is not written stays as it is.
        let writes_conditions = change.kind != ChangeKind::Modified
            || change
                .attributes
                .iter()
                .any(|attribute| attribute.property() == "conditions");
        let wanted = if writes_conditions { base } else { live };
        let (excluded, stricter) = (exclusions(wanted), enforces_more(change));
        let missing: Vec<Reference> = references(wanted)
            .into_iter()
            .filter(|one| !self.situation.resolved.contains(one) && !self.returns(one))
            // One that named nothing in the snapshot either is no worse than it was.
            .filter(|one| self.existed(one))
            // One that the live policy holds stays, unless the policy would now
            // bind the very people whose exclusion names nobody any more.
            .filter(|one| !held.contains(one) || stricter && excluded.contains(one))
            .collect();
        (!missing.is_empty()).then_some(missing)
    }

    /// Whether the snapshot holds the object that a reference names; of kinds
    /// that snapshots do not hold, always.
    fn existed(&self, reference: &Reference) -> bool {
        use ReferenceKind as Kind;
        let object_type = match reference.kind {
            Kind::User => ObjectType::User,
            Kind::Group => ObjectType::Group,
            Kind::ServicePrincipal => ObjectType::ServicePrincipal,
            Kind::Location => ObjectType::NamedLocation,
            Kind::Strength => ObjectType::AuthenticationStrengthPolicy,
            Kind::Application | Kind::Role => return true,
        };
        let base = self.situation.base;
        let object = ObjectId::parse(&reference.id)
            .ok()
            .and_then(|id| base.object(object_type, &id));
        !base.has(crate::snapshot::Kind::Objects(object_type))
            || object.is_some_and(|object| object.state == ObjectState::Live)
    }

    fn returns(&self, reference: &Reference) -> bool {
        self.returning
            .values()
            .any(|object| self.answers(object.object_type, &object.id, reference))
    }

    /// Whether an object is what a reference names; applications are named by
    /// their `appId`.
    fn answers(&self, object_type: ObjectType, id: &ObjectId, reference: &Reference) -> bool {
        use ReferenceKind as Kind;
        match (reference.kind, object_type) {
            (Kind::User, ObjectType::User)
            | (Kind::Group, ObjectType::Group)
            | (Kind::ServicePrincipal, ObjectType::ServicePrincipal)
            | (Kind::Location, ObjectType::NamedLocation)
            | (Kind::Strength, ObjectType::AuthenticationStrengthPolicy) => {
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
    pub(super) fn named_by(&self, change: &Change) -> Vec<ObjectId> {
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

/// The names of an object that no two objects may share; of a service principal also its
/// application.
pub(super) fn unique_names(object_type: ObjectType, body: &Body) -> impl Iterator<Item = String> {
    let application = body
        .get("appId")
        .and_then(Value::as_str)
        .filter(|_| object_type == ObjectType::ServicePrincipal)
        .map(|id| format!("service principal of {id}"));
    let sign_in = body
        .get("userPrincipalName")
        .and_then(Value::as_str)
        .map(str::to_owned);
    let uris = body
        .get("identifierUris")
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    let uris = uris
        .into_iter()
        .filter_map(|uri| uri.as_str().map(str::to_owned));
    sign_in
        .into_iter()
        .chain(uris)
        .chain(application)
        .map(|name| name.to_lowercase())
}

/// The unique names of the added objects that the plan will remove.
pub(super) fn taken_names(situation: &Situation<'_>) -> HashMap<String, ObjectId> {
    if situation.options.added == Added::Keep {
        return HashMap::new();
    }
    let added = situation
        .difference
        .changes
        .iter()
        .filter(|change| change.kind == ChangeKind::Added);
    let bodies = added.filter_map(|change| {
        let object = situation
            .live
            .object(change.object.object_type, &change.object.id)?;
        Some((&change.object, object.body()))
    });
    bodies
        .flat_map(|(object, body)| {
            let id = &object.id;
            unique_names(object.object_type, &body)
                .map(|name| (name, id.clone()))
                .collect::<Vec<_>>()
        })
        .collect()
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

pub(super) fn guard(property: &Property, live: Option<&Value>, target: Option<&Value>) -> Guard {
    let hash = |value| canonical::hash(canonical::property(property, value).as_ref());
    Guard {
        property: property.name.to_owned(),
        before: hash(live),
        after: hash(target),
    }
}

/// The call by which an action of an object takes a property.
pub(super) fn action_call(
    item: &str,
    action: &str,
    property: &Property,
    target: Option<&Value>,
    current: Option<&Value>,
) -> Call {
    let value = canonical::writable(property, target, current);
    Call {
        method: HttpMethod::Post,
        path: format!("{item}/{action}"),
        body: Some(Value::Object(Body::from_iter([(
            property.name.to_owned(),
            value,
        )]))),
    }
}

/// The call that sets one entry of a property back, which has a path of its own.
pub(super) fn entry_call(
    item: &str,
    property: &Property,
    id: &str,
    target: &Value,
    current: &Value,
) -> Call {
    let whole = Property {
        write: Write::Plain,
        spelling: None,
        ..*property
    };
    let mut body = canonical::writable(&whole, Some(target), Some(current));
    if let Some(body) = body.as_object_mut() {
        body.remove("id");
    }
    Call {
        method: HttpMethod::Patch,
        path: format!("{item}/{}/{id}", property.name),
        body: Some(body),
    }
}

/// A property with the entries switched off that are not wanted as they are; `None`
/// where none is on.
pub(super) fn switched_off(
    property: &Property,
    wanted: Option<&Value>,
    current: Option<&Value>,
) -> Option<Value> {
    let list = if property.name == "api" {
        "/oauth2PermissionScopes"
    } else {
        ""
    };
    let entries = |value: Option<&Value>| value?.pointer(list)?.as_array().cloned();
    let wanted = entries(wanted).unwrap_or_default();
    let mut entries = entries(current)?;
    let mut switched = false;
    for entry in &mut entries {
        if entry.get("isEnabled") == Some(&Value::Bool(true)) && !wanted.contains(entry) {
            entry["isEnabled"] = Value::Bool(false);
            switched = true;
        }
    }
    let mut value = current?.clone();
    *value.pointer_mut(list)? = Value::Array(entries);
    switched.then_some(value)
}

/// The start of a write's body: polymorphic types must say which they are.
pub(super) fn typed(spec: &TypeSpec, base: &Body) -> Body {
    let tag = base.get("@odata.type").filter(|_| spec.typed_writes);
    tag.map(|tag| ("@odata.type".to_owned(), tag.clone()))
        .into_iter()
        .collect()
}

/// What the object will look like right after it left the recycle bin.
fn back_from_bin(spec: &TypeSpec, base: &Body, deleted: Body) -> Body {
    let mut body = spec.undistorted(deleted, base);
    let distorted = spec
        .deleted
        .map(|paths| paths.distorted)
        .unwrap_or_default();
    for (property, _) in distorted
        .iter()
        .filter(|(_, how)| *how == Distortion::RestoredFalse)
    {
        if body.contains_key(*property) || base.contains_key(*property) {
            body.insert((*property).to_owned(), Value::Bool(false));
        }
    }
    body
}

/// Whether a property cannot be set back, since the snapshot holds nothing.
fn uncleared(property: &Property, base: &Body) -> bool {
    property.clearing == Clearing::Refused
        && canonical::property(property, base.get(property.name)).is_none()
}

/// Whether putting a policy back makes it bind somebody that it does not bind
/// now: it is switched on, or its include lists grow.
fn enforces_more(change: &Change) -> bool {
    let raises = |attribute: &AttributeChange| match attribute.path.as_str() {
        "state" => attribute
            .before
            .as_ref()
            .is_some_and(|state| state == "enabled"),
        path => path.starts_with("conditions.users.include") && attribute.before.is_some(),
    };
    change.kind != ChangeKind::Modified || change.attributes.iter().any(raises)
}

/// Whether deleting the object leaves it in a recycle bin.
///
/// Mail-enabled security groups and distribution groups are hard-deleted at
/// once; Microsoft 365 groups and cloud security groups are not.
fn soft_deletable(spec: &TypeSpec, body: &Body) -> bool {
    if spec.deleted.is_none() || is_synced(body) {
        return false;
    }
    !is_exchange_group(body)
}
