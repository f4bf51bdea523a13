//! Steps that make hard-deleted objects anew.
//!
//! Owns what of an object goes into the request that makes it and what cannot follow.
//! No password and no other secret stands in a plan.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use serde_json::{Map, Value, json};

use super::objects::{guard, typed, unique_names};
use super::{Action, Added, Draft, HardDeleted, Situation, Sketch};
use crate::call::{Call, HttpMethod};
use crate::canonical;
use crate::catalogue::creation::{Creation, Key, creation, refusal};
use crate::catalogue::{Class, ObjectType, Property, TypeSpec, Write};
use crate::diff::{AttributeChange, Change, ChangeKind, Obstacle, attribute_changes};
use crate::id::ObjectId;
use crate::lineage::guids;
use crate::object::{Object, ObjectRef};

type Body = Map<String, Value>;

/// What the directory gives by itself and perhaps not again.
const GIVEN: [(&str, &str); 5] = [
    ("mail", "the mail service gives the address"),
    ("proxyAddresses", "the mail service gives the addresses"),
    (
        "resourceProvisioningOptions",
        "a team or site does not follow; make it by hand",
    ),
    (
        "verifiedPublisher",
        "the publisher must be verified for it again",
    ),
    (
        "applicationTemplateId",
        "what came from the gallery stands alone now",
    ),
];

/// What a plan makes anew, by each id that names it: that of the object, and of an
/// application the `appId` as well. All lowercase.
#[derive(Debug, Default)]
pub(super) struct MadeAnew {
    names: HashMap<String, ObjectId>,
    objects: HashMap<ObjectId, ObjectRef>,
}

impl MadeAnew {
    /// Those that the choices ask for and that can be made.
    pub(super) fn of(situation: &Situation<'_>) -> Self {
        let mut anew = Self::default();
        if situation.options.hard_deleted == HardDeleted::Leave {
            return anew;
        }
        for change in &situation.difference.changes {
            let body = base_of(situation, change);
            if change.kind == ChangeKind::HardDeleted
                && body.is_some_and(|body| obstacle(situation, change, &body).is_none())
            {
                anew.add(situation, change);
            }
        }
        // A service principal in the recycle bin keeps the appId of an application that
        // is gone; one for the new application takes its place.
        for change in &situation.difference.changes {
            if change.object.object_type == ObjectType::ServicePrincipal
                && change.kind == ChangeKind::SoftDeleted
                && let Some(body) = base_of(situation, change)
                && app_id(&body).is_some_and(|id| anew.names.contains_key(&id))
                && obstacle(situation, change, &body).is_none()
            {
                anew.add(situation, change);
            }
        }
        anew
    }

    fn add(&mut self, situation: &Situation<'_>, change: &Change) {
        let id = &change.object.id;
        self.names.insert(id.as_str().to_lowercase(), id.clone());
        if change.object.object_type == ObjectType::Application
            && let Some(app_id) = base_of(situation, change).as_ref().and_then(app_id)
        {
            self.names.insert(app_id, id.clone());
        }
        self.objects.insert(id.clone(), change.object.clone());
    }

    pub(super) fn objects(&self) -> impl Iterator<Item = (&ObjectId, &ObjectRef)> {
        self.objects.iter()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.objects.is_empty()
    }

    pub(super) fn holds(&self, id: &ObjectId) -> bool {
        self.objects.contains_key(id)
    }

    /// The ids in a text that name something that is made anew.
    pub(super) fn named_in(&self, text: &str) -> impl Iterator<Item = (String, &ObjectId)> {
        let named = guids(text).into_iter();
        named.filter_map(|id| self.names.get(&id).map(|owner| (id, owner)))
    }

    pub(super) fn are_named_in(&self, value: &Value) -> bool {
        !self.names.is_empty() && self.named_in(&value.to_string()).next().is_some()
    }
}

pub(super) fn app_id(body: &Body) -> Option<String> {
    body.get("appId")?.as_str().map(str::to_lowercase)
}

fn base_of(situation: &Situation<'_>, change: &Change) -> Option<Body> {
    let object = situation
        .base
        .object(change.object.object_type, &change.object.id)?;
    Some(object.body())
}

/// Why an object is not made anew, with a sentence.
fn obstacle(situation: &Situation<'_>, change: &Change, base: &Body) -> Option<(Obstacle, String)> {
    let object_type = change.object.object_type;
    if let Some(lacking) = situation.lacking.get(&object_type) {
        let lacking = lacking.join(", ");
        let detail = format!("the application that restores lacks {lacking}");
        return Some((Obstacle::PermissionMissing, detail));
    }
    if let Some(why) = refusal(object_type, base) {
        let detail = format!("hard-deleted, and cannot be made anew: {why}");
        return Some((Obstacle::NotRecreatable, detail));
    }
    let holder = holder_of_name(situation, change, base)?;
    let detail = format!(
        "hard-deleted, and cannot be made anew: its name is held by {} \"{}\" ({}), which was added since and is kept",
        holder.object_type, holder.name, holder.id
    );
    Some((Obstacle::NotRecreatable, detail))
}

/// The object that was added since, stays, and has a name that no other may have.
fn holder_of_name<'a>(
    situation: &'a Situation<'_>,
    change: &Change,
    base: &Body,
) -> Option<&'a ObjectRef> {
    if situation.options.added == Added::SoftDelete {
        return None;
    }
    let names: BTreeSet<String> = unique_names(change.object.object_type, base).collect();
    if names.is_empty() {
        return None;
    }
    let added = situation.difference.changes.iter().filter(|other| {
        other.kind == ChangeKind::Added && other.object.object_type == change.object.object_type
    });
    let mut added = added.map(|other| &other.object);
    added.find(|other| {
        let live = situation.live.object(other.object_type, &other.id);
        let taken = live.map(Object::body);
        taken.is_some_and(|body| {
            unique_names(other.object_type, &body).any(|name| names.contains(&name))
        })
    })
}

impl Draft<'_> {
    /// Makes an object anew, or says why it is left.
    pub(super) fn hard_deleted(&mut self, change: &Change) {
        let (Some(mut base), _) = self.sides(change) else {
            return;
        };
        if self.situation.options.hard_deleted == HardDeleted::Leave {
            self.exclude(
                change,
                Obstacle::HardDeleted,
                "",
                "hard-deleted: Graph cannot bring it back; it could only be created anew under another id",
            );
            return;
        }
        if let Some((obstacle, detail)) = obstacle(self.situation, change, &base) {
            self.exclude(change, obstacle, "", detail);
            return;
        }
        if self.is_refused_for_references(change, &base, &Body::new()) {
            return;
        }
        let object_type = change.object.object_type;
        if let Some(creation) = creation(object_type) {
            self.report_only(change, &mut base);
            self.make(change, object_type.spec(), creation, &base);
        }
    }

    fn make(&mut self, change: &Change, spec: &'static TypeSpec, creation: Creation, base: &Body) {
        let mut body = typed(spec, base);
        let mut later: BTreeMap<u8, Vec<&'static Property>> = BTreeMap::new();
        for property in spec.properties {
            if canonical::property(property, base.get(property.name)).is_none() {
                continue;
            }
            let only_then = creation.only_then.contains(&property.name);
            if !only_then && self.cannot_follow(change, creation, property, base) {
                continue;
            }
            let value = canonical::writable(property, base.get(property.name), None);
            if only_then || !self.must_wait(spec, property, &value) {
                body.insert(property.name.to_owned(), value);
            } else {
                later.entry(property.part).or_default().push(property);
            }
        }
        complete(change, &mut body);
        let call = call(&change.object.id, spec, creation, base, body);
        self.note_what_stays_behind(change, base);
        let needs = self
            .named_by(change)
            .into_iter()
            .chain(self.in_the_way(change))
            .collect();
        let is_set = |attribute: &AttributeChange| {
            let body = call.body.as_ref();
            body.is_some_and(|body| body.get(attribute.property()).is_some())
        };
        let mut attributes = attribute_changes(spec, None, Some(base));
        attributes.retain(is_set);
        // What Graph gives anew, as it was.
        attributes.extend(lost_app_id(spec, base));
        self.steps.push(Sketch {
            action: Action::Recreate,
            object: change.object.clone(),
            reason: reason(change),
            attributes,
            links: Vec::new(),
            guards: Vec::new(),
            call,
            needs,
            needs_links_of: self.excluded_groups(change),
            made_anew: Vec::new(),
        });
        for properties in later.into_values() {
            self.set_later(change, spec, &properties, base);
        }
    }

    /// Whether a property is not part of a request to make the object; where it is lost,
    /// the plan says so.
    fn cannot_follow(
        &mut self,
        change: &Change,
        creation: Creation,
        property: &'static Property,
        base: &Body,
    ) -> bool {
        let name = property.name;
        match property.class {
            Class::Restorable if creation.left_out.contains(&name) => {
                let detail = "names a credential that is lost";
                self.exclude(change, Obstacle::Secret, name, detail);
                true
            }
            Class::Restorable if property.write == Write::Entries => {
                let entries = canonical::property(property, base.get(name));
                let ids = entries.as_ref().and_then(Value::as_object);
                for id in ids.into_iter().flat_map(Map::keys) {
                    let detail = "entries of it are neither made nor removed";
                    self.exclude(
                        change,
                        Obstacle::OwnEndpoint,
                        format!("{name}.{id}"),
                        detail,
                    );
                }
                true
            }
            Class::Restorable => follows_by_itself(name, base, self.situation),
            Class::Secret => {
                let detail = "credentials are lost with it; give the new one others";
                self.exclude(change, Obstacle::Secret, name, detail);
                true
            }
            Class::OwnEndpoint => {
                let detail = "does not follow to the new object; assign it by hand";
                self.exclude(change, Obstacle::OwnEndpoint, name, detail);
                true
            }
            Class::ReadOnly => {
                if let Some((_, detail)) = GIVEN.iter().find(|(given, _)| *given == name) {
                    self.exclude(change, Obstacle::ReadOnly, name, *detail);
                }
                true
            }
            Class::Copied | Class::Volatile => true,
        }
    }

    /// Whether a value names something that may be made after this object, or the object
    /// itself. What is behind all of these in order need not wait, and a group with a
    /// rule cannot be made without it.
    fn must_wait(&self, spec: &TypeSpec, property: &Property, value: &Value) -> bool {
        spec.rank < ObjectType::NamedLocation.spec().rank
            && property.name != "membershipRule"
            && self.anew.are_named_in(value)
    }

    /// Sets, once the object is there, what names others that are made anew.
    fn set_later(
        &mut self,
        change: &Change,
        spec: &'static TypeSpec,
        properties: &[&'static Property],
        base: &Body,
    ) {
        let (mut body, mut guards, mut attributes) = (typed(spec, base), Vec::new(), Vec::new());
        for property in properties {
            let target = base.get(property.name);
            let at_first = filled_in(change.object.object_type, property.name);
            let value = canonical::writable(property, target, at_first.as_ref());
            body.insert(property.name.to_owned(), value);
            guards.push(guard(property, at_first.as_ref(), target));
            let one = |value: Option<Value>| {
                value.map(|value| Map::from_iter([(property.name.to_owned(), value)]))
            };
            let (first, last) = (one(at_first), one(target.cloned()));
            attributes.extend(attribute_changes(spec, first.as_ref(), last.as_ref()));
        }
        let reason = "names what is made anew, whose id is known only then";
        self.push_update(change, Action::Update, reason, attributes, guards, body);
    }

    fn note_what_stays_behind(&mut self, change: &Change, base: &Body) {
        self.risks.insert("objects that are made anew get other ids: whatever names them outside of what Rewind restores goes on naming the old ones, such as Azure role assignments, files, mailboxes, teams and the audit trail".to_owned());
        let more = match change.object.object_type {
            ObjectType::User => {
                let enabled = base.get("accountEnabled") == Some(&Value::Bool(true));
                self.risks.insert("users that are made anew lose their sign-in methods and licences, and get a random password that is kept nowhere: an administrator must reset it".to_owned());
                enabled.then_some("accounts that are made anew will be able to sign in, once their passwords are reset")
            }
            ObjectType::Application | ObjectType::ServicePrincipal => Some(
                "applications that are made anew get another appId and no credentials: whoever signs in by them must be given both",
            ),
            _ => None,
        };
        self.risks.extend(more.map(str::to_owned));
    }
}

/// The `appId` that an application loses.
fn lost_app_id(spec: &TypeSpec, base: &Body) -> Option<AttributeChange> {
    let property = spec.property("appId")?;
    let before = base.get("appId").cloned()?;
    (spec.object_type == ObjectType::Application).then(|| AttributeChange {
        path: property.name.to_owned(),
        before: Some(before),
        after: None,
        added: Vec::new(),
        removed: Vec::new(),
        class: property.class,
    })
}

fn reason(change: &Change) -> String {
    let gone = if change.kind == ChangeKind::SoftDeleted {
        "belongs to an application that is made anew"
    } else {
        "was hard-deleted since the snapshot"
    };
    let password = if change.object.object_type == ObjectType::User {
        ", with a random password that is kept nowhere"
    } else {
        ""
    };
    format!("{gone}; it is made anew under another id{password}")
}

/// What Graph demands and the snapshot may not hold.
fn complete(change: &Change, body: &mut Body) {
    let id = change.object.id.as_str();
    let mut fill = |name: &str, value: Value| {
        body.entry(name.to_owned()).or_insert(value);
    };
    let short: String = id.chars().take(8).collect();
    match change.object.object_type {
        ObjectType::User => {
            fill("accountEnabled", Value::Bool(false));
            fill("displayName", json!(change.object.name));
            fill("mailNickname", json!(format!("rewind-{short}")));
        }
        ObjectType::Group => {
            fill("displayName", json!(change.object.name));
            fill("mailEnabled", Value::Bool(false));
            fill("mailNickname", json!(format!("rewind-{short}")));
            fill("securityEnabled", Value::Bool(true));
        }
        _ => {}
    }
}

/// The request that makes an object.
fn call(id: &ObjectId, spec: &TypeSpec, creation: Creation, base: &Body, body: Body) -> Call {
    let list = spec.list_path;
    let (method, path) = match creation.key {
        Some(Key::UniqueName) => {
            let plain = |name: &&str| {
                let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
                !name.is_empty() && name.chars().all(fits)
            };
            let held = base.get("uniqueName").and_then(Value::as_str).filter(plain);
            let name = held.map_or_else(|| format!("rewind-{id}"), str::to_owned);
            (HttpMethod::Patch, format!("{list}(uniqueName='{name}')"))
        }
        Some(Key::SignInName | Key::AppId) | None => (HttpMethod::Post, list.to_owned()),
    };
    Call {
        method,
        path,
        body: Some(Value::Object(body)),
    }
}

/// Whether Graph derives a value from others that the request names.
fn follows_by_itself(name: &str, base: &Body, situation: &Situation<'_>) -> bool {
    let items = |body: &Body, name: &str| {
        let list = body.get(name).and_then(Value::as_array);
        list.cloned().unwrap_or_default()
    };
    match name {
        "identities" => items(base, name)
            .iter()
            .all(|identity| identity["signInType"] == "userPrincipalName"),
        "servicePrincipalNames" => {
            let Some(own) = app_id(base) else {
                return false;
            };
            let applications = situation.base.objects.iter();
            let application = applications
                .filter(|object| object.object_type == ObjectType::Application)
                .map(Object::body)
                .find(|body| app_id(body).as_ref() == Some(&own));
            let uris = application.map(|body| items(&body, "identifierUris"));
            let uris = uris.unwrap_or_default();
            let own = Value::String(own);
            items(base, name)
                .iter()
                .all(|one| *one == own || uris.contains(one))
        }
        _ => false,
    }
}

/// What a new object holds in a property that the request did not name.
///
/// Source: "application resource type", `web`: both settings of the implicit grant are
/// false unless they are set.
fn filled_in(object_type: ObjectType, property: &str) -> Option<Value> {
    (object_type == ObjectType::Application && property == "web").then(|| {
        json!({"implicitGrantSettings": {
            "enableAccessTokenIssuance": false, "enableIdTokenIssuance": false}})
    })
}
