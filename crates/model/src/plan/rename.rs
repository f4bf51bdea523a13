//! What names an object that is made anew.
//!
//! Graph gives the new object another id, which no plan can know: steps name it by its
//! former one, list it, and are carried out with the new one ([`Step::in_new_ids`]).
//! Nothing but ids is ever changed here.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::objects::{guard, typed};
use super::recreate::app_id;
use super::{Action, Draft, Guard, Step};
use crate::canonical;
use crate::catalogue::{Class, ObjectType, Property, TypeSpec, Write};
use crate::diff::{AttributeChange, Change, ChangeKind, Direction, Obstacle};
use crate::id::ObjectId;
use crate::lineage::{Lineage, guids};
use crate::object::{Object, ObjectRef, ObjectState};

type Body = Map<String, Value>;

/// The types whose objects name others inside themselves, and are written by us.
const REFERRING: [ObjectType; 5] = [
    ObjectType::Group,
    ObjectType::Application,
    ObjectType::AdministrativeUnit,
    ObjectType::ConditionalAccessPolicy,
    ObjectType::AuthenticationMethodsPolicy,
];

/// The objects of a state that name, inside themselves, one of some that are gone, and
/// would go on naming what is not there any more.
#[must_use]
pub fn referring<'a>(objects: &'a [Object], gone: &BTreeSet<ObjectId>) -> Vec<&'a Object> {
    let app_ids = objects
        .iter()
        .filter(|object| object.object_type == ObjectType::Application && gone.contains(&object.id))
        .filter_map(|object| app_id(&object.body()));
    let ids = gone.iter().map(|id| id.as_str().to_lowercase());
    let names: BTreeSet<String> = ids.chain(app_ids).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let refers = |object: &&Object| {
        REFERRING.contains(&object.object_type)
            && object.state == ObjectState::Live
            && !gone.contains(&object.id)
            && guids(&object.json).iter().any(|id| names.contains(id))
    };
    objects.iter().filter(refers).collect()
}

impl Draft<'_> {
    /// Lets what names something that is made anew name the new object: where the plan
    /// writes it anyway that happens by itself, elsewhere nothing but the ids changes.
    pub(super) fn point_at_new(&mut self) {
        if self.anew.is_empty() {
            return;
        }
        let live = self.situation.live;
        for object in &live.objects {
            let comes_back =
                self.returning.contains_key(&object.id) && !self.anew.holds(&object.id);
            let is_there = object.state == ObjectState::Live || comes_back;
            let refers = REFERRING.contains(&object.object_type);
            if !is_there || !refers || self.goes_or_stays(&object.id) {
                continue;
            }
            let body = object.body();
            let untouchable =
                crate::diff::is_synced(&body) || crate::diff::is_exchange_group(&body);
            if untouchable || !self.is_written(object.object_type) {
                continue;
            }
            let spec = object.object_type.spec();
            let written: BTreeSet<&str> = self
                .steps
                .iter()
                .filter(|step| step.action == Action::Update && step.object.id == object.id)
                .flat_map(|step| step.attributes.iter().map(AttributeChange::property))
                .collect();
            let stale = |property: &&'static Property| {
                property.class == Class::Restorable
                    && !written.contains(property.name)
                    && body
                        .get(property.name)
                        .is_some_and(|value| self.anew.are_named_in(value))
            };
            let stale: Vec<&'static Property> = spec.properties.iter().filter(stale).collect();
            let change = Change {
                object: ObjectRef {
                    object_type: object.object_type,
                    id: object.id.clone(),
                    name: object.name(),
                },
                kind: ChangeKind::Modified,
                attributes: Vec::new(),
                links: Vec::new(),
                obstacles: BTreeSet::new(),
            };
            self.rename_in(&change, spec, &body, stale);
        }
    }

    /// Whether an object is soft-deleted by the plan, or left as it is.
    fn goes_or_stays(&self, id: &ObjectId) -> bool {
        let left = [Obstacle::LockoutRisk, Obstacle::UnresolvedReference];
        let mut steps = self.steps.iter();
        let mut exclusions = self.exclusions.iter();
        steps.any(|step| step.action == Action::SoftDelete && step.object.id == *id)
            || exclusions.any(|one| {
                one.object.id == *id && one.part.is_empty() && left.contains(&one.obstacle)
            })
    }

    fn rename_in(
        &mut self,
        change: &Change,
        spec: &'static TypeSpec,
        live: &Body,
        stale: Vec<&'static Property>,
    ) {
        let (entries, whole): (Vec<&Property>, Vec<&Property>) = stale
            .into_iter()
            .partition(|property| property.write == Write::Entries);
        let mut parts: BTreeMap<u8, Vec<&Property>> = BTreeMap::new();
        for property in whole {
            parts.entry(property.part).or_default().push(property);
        }
        let reason = "names an object that is made anew; only its id changes";
        for properties in parts.into_values() {
            let (mut body, mut guards, mut attributes) =
                (typed(spec, live), Vec::new(), Vec::new());
            for property in properties {
                let value = live.get(property.name);
                body.insert(
                    property.name.to_owned(),
                    canonical::writable(property, value, value),
                );
                guards.push(guard(property, value, value));
                attributes.push(unchanged(property, property.name, value));
            }
            self.push_update(change, Action::Update, reason, attributes, guards, body);
        }
        for property in entries {
            let held = live.get(property.name).and_then(Value::as_array);
            for entry in held.into_iter().flatten() {
                let Some(id) = entry.get("id").and_then(Value::as_str) else {
                    continue;
                };
                if self.anew.are_named_in(entry) {
                    let path = format!("{}.{id}", property.name);
                    let attribute = unchanged(property, &path, Some(entry));
                    self.set_entries_back(change, property, live, live, &[&attribute]);
                }
            }
        }
    }

    /// Notes in each step which of the ids that it names stand for what is made anew,
    /// and lets it wait for these.
    pub(super) fn name_made_anew(&mut self) {
        if self.anew.is_empty() {
            return;
        }
        let anew = &self.anew;
        for step in &mut self.steps {
            let is_making = step.action == Action::Recreate;
            let mut texts = vec![step.object.id.to_string()];
            // The path of a request that makes an object may hold its former id.
            texts.extend((!is_making).then(|| step.call.path.clone()));
            texts.extend(step.call.body.as_ref().map(Value::to_string));
            let added = step
                .links
                .iter()
                .filter(|it| it.direction == Direction::Added);
            texts.extend(added.map(|link| link.target.to_string()));
            let mut named = BTreeSet::new();
            for text in &texts {
                for (id, owner) in anew.named_in(text) {
                    if is_making && *owner == step.object.id {
                        continue;
                    }
                    step.needs.push(owner.clone());
                    named.insert(id);
                }
            }
            let ids = named.iter().filter_map(|id| ObjectId::parse(id).ok());
            step.made_anew = ids.collect();
        }
    }
}

/// An attribute in which only the ids of what is made anew change.
fn unchanged(property: &Property, path: &str, value: Option<&Value>) -> AttributeChange {
    AttributeChange {
        path: path.to_owned(),
        before: value.cloned(),
        after: value.cloned(),
        added: Vec::new(),
        removed: Vec::new(),
        class: property.class,
    }
}

impl Step {
    /// The step in the ids that stand for what was made anew; what is read, compared
    /// and written from then on are these.
    ///
    /// # Errors
    /// The first id for which nothing was made.
    pub fn in_new_ids(&self, lineage: &Lineage) -> Result<Self, ObjectId> {
        if self.made_anew.is_empty() {
            return Ok(self.clone());
        }
        if let Some(unmade) = self.made_anew.iter().find(|id| !lineage.is_former(id)) {
            return Err(unmade.clone());
        }
        let lineage = lineage.only(&self.made_anew);
        let mut step = self.clone();
        if let Some(body) = &mut step.call.body {
            lineage.value(body);
        }
        for attribute in &mut step.attributes {
            attribute
                .after
                .iter_mut()
                .for_each(|value| lineage.value(value));
        }
        for link in &mut step.links {
            if link.direction == Direction::Added {
                link.target = lineage.current(&link.target);
            }
        }
        if !matches!(step.action, Action::Recreate | Action::Create) {
            step.object.id = lineage.current(&step.object.id);
            step.call.path = lineage.text(&step.call.path).into_owned();
        }
        let spec = step.object.object_type.spec();
        let body = step.call.body.as_ref().and_then(Value::as_object);
        for guard in &mut step.guards {
            if let Some(after) = body.and_then(|body| left_by(guard, spec, body)) {
                guard.after = after;
            }
        }
        Ok(step)
    }
}

/// What a write leaves of what a guard speaks of; `None` where it does not say.
fn left_by(guard: &Guard, spec: &TypeSpec, body: &Body) -> Option<String> {
    if guard.after.is_empty() {
        return None;
    }
    if guard.property.is_empty() {
        return Some(canonical::body_hash(spec, body));
    }
    match guard.property.split_once('/') {
        None => body
            .contains_key(&guard.property)
            .then(|| guard.found_in(spec, body))?,
        Some((name, entry)) => {
            let mut one = body.clone();
            one.insert("id".to_owned(), json!(entry));
            let whole = Body::from_iter([(name.to_owned(), json!([one]))]);
            guard.found_in(spec, &whole)
        }
    }
}
