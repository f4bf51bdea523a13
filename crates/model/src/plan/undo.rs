//! The way back from a restore: each applied step inverted, the last one first.
//!
//! A function of the journal, which tells what each step found and left. The guards
//! of an inverted step are those of the step, the other way round, so that what
//! changed since is a conflict and stays. What cannot be inverted is named.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::links::remove_call;
use super::objects::{action_call, entry_call, guard, switched_off};
use super::record::ends;
use super::relations::{is_administrator, made_of, place, relation_path, tied};
use super::{Action, Exclusion, Guard, Plan, Step, add_call, sort};
use crate::call::{Call, HttpMethod};
use crate::canonical;
use crate::catalogue::{Cardinality, Clearing, LinkKind, ObjectType, Property, TypeSpec, Write};
use crate::diff::{AttributeChange, Direction, LinkChange, Obstacle, attribute_changes};
use crate::id::ObjectId;
use crate::references::{Reference, references};

type Body = Map<String, Value>;

/// A step that a restore applied, with what it found and left.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The step.
    pub step: Step,
    /// What the step writes, as found before; `None` where the journal does not tell.
    pub before: Option<Value>,
    /// The same as found afterwards.
    pub after: Option<Value>,
}

/// Everything that an undo follows from.
#[derive(Debug)]
pub struct Undoing<'a> {
    /// The applied steps, in the order of the plan and in the ids that stand for what
    /// was made anew ([`Step::in_new_ids`]), as the journal has them.
    pub applied: &'a [Applied],
    /// The objects that the restore brought back or made, as they are now.
    pub returned: &'a HashMap<ObjectId, Map<String, Value>>,
    /// The objects that policies may name: those that exist in the live tenant.
    pub resolved: &'a HashSet<Reference>,
    /// The objects through which this program itself has access to the tenant.
    pub own: &'a HashSet<ObjectId>,
    /// The types that the application must not write, with the permissions that it
    /// lacks.
    pub lacking: &'a BTreeMap<ObjectType, Vec<&'static str>>,
}

/// Plans the way back to just before a restore.
#[must_use]
pub fn undo(undoing: &Undoing<'_>) -> Plan {
    let deleted = undoing.applied.iter();
    let deleted = deleted.filter(|one| one.step.action == Action::SoftDelete);
    let mut draft = Draft {
        undoing,
        deleted: deleted.map(|one| one.step.object.id.clone()).collect(),
        named: HashSet::new(),
        bodies: undoing.returned.clone(),
        steps: Vec::new(),
        exclusions: Vec::new(),
        risks: BTreeSet::new(),
        waiting: HashMap::new(),
        returns: HashMap::new(),
        administrators: Vec::new(),
    };
    for applied in undoing.applied.iter().rev() {
        draft.invert(applied);
    }
    if !draft.steps.is_empty() {
        draft.risks.insert(
            "the tenant goes back to what it was right before the restore, also where that was the work of an intruder"
                .to_owned(),
        );
    }
    sort(&mut draft.exclusions);
    Plan {
        steps: draft.steps,
        exclusions: draft.exclusions,
        risks: draft.risks.into_iter().collect(),
    }
}

/// What a step is before it has a number.
struct Inverse {
    action: Action,
    attributes: Vec<AttributeChange>,
    links: Vec<LinkChange>,
    guards: Vec<Guard>,
    call: Call,
}

struct Draft<'a> {
    undoing: &'a Undoing<'a>,
    /// What the restore soft-deleted and the undo brings back.
    deleted: HashSet<ObjectId>,
    /// What policies name that stay as the restore left them.
    named: HashSet<ObjectId>,
    /// What was brought back, as it will be when it is deleted again.
    bodies: HashMap<ObjectId, Body>,
    steps: Vec<Step>,
    exclusions: Vec<Exclusion>,
    risks: BTreeSet<String>,
    /// By the number of a restore's step, the undo's steps that must come before its
    /// inverse: those of what waited for it.
    waiting: HashMap<u32, Vec<u32>>,
    /// The steps that bring objects back.
    returns: HashMap<ObjectId, u32>,
    /// The steps that give the highest role again.
    administrators: Vec<u32>,
}

impl Draft<'_> {
    fn invert(&mut self, applied: &Applied) {
        let step = &applied.step;
        if let Some(lacking) = self.undoing.lacking.get(&step.object.object_type) {
            let lacking = lacking.join(", ");
            let detail = format!("the application that restores lacks {lacking}");
            self.exclude(step, Obstacle::PermissionMissing, "", detail);
            return;
        }
        match step.action {
            Action::Update | Action::DisableEntries | Action::Untrust => self.update(applied),
            Action::AddLinks | Action::RemoveLink => self.links(applied),
            Action::RestoreDeleted => self.delete_again(step),
            Action::SoftDelete => self.bring_back(step),
            Action::MakeAnew => self.remove_relation(applied),
            Action::RemoveRelation => self.make_anew(applied),
            Action::Recreate if self.named.contains(&step.object.id) => {
                let detail = "was made anew by the restore and stays, since a policy that stays names it; delete it by hand once none does";
                self.exclude(step, Obstacle::AddedKept, "", detail);
            }
            Action::Recreate | Action::Create => self.take_back(step),
            Action::Protect => self.protect_as_before(applied),
            Action::RemoveCredential => {
                let property = step.guards.first().map(|guard| guard.property.clone());
                let detail = "a removed credential cannot be made again: its secret is not stored";
                self.exclude(step, Obstacle::Secret, property.unwrap_or_default(), detail);
            }
        }
    }

    fn update(&mut self, applied: &Applied) {
        let step = &applied.step;
        let spec = step.object.object_type.spec();
        let record = |value: &Option<Value>| value.as_ref().and_then(Value::as_object).cloned();
        let (Some(before), Some(after)) = (record(&applied.before), record(&applied.after)) else {
            self.not_journalled(step);
            return;
        };
        if let Some(detail) = self.forbidden(step, &before, &after) {
            self.exclude(step, detail.0, "", detail.1);
            let named = references(&after).into_iter();
            self.named
                .extend(named.filter_map(|one| ObjectId::parse(&one.id).ok()));
            return;
        }
        // All properties of a step go in one write, but for those with a call of
        // their own, which have a step of their own.
        let mut body = typed(step);
        let (mut guards, mut target, mut current) = (Vec::new(), Body::new(), Body::new());
        // What a step only looks at it does not write.
        let written = step.guards.iter().filter(|it| it.before != it.after);
        for name in written.map(|guard| &guard.property) {
            let (held, left) = (before.get(name), after.get(name));
            let (found, entry) = match name.split_once('/') {
                Some((found, entry)) => (found, Some(entry)),
                None => (name.as_str(), None),
            };
            let Some(property) = spec.property(found) else {
                continue;
            };
            if let Some(entry) = entry {
                self.update_entry(step, property, entry, held, left);
                continue;
            }
            if let Write::Action(action) = property.write {
                let item = spec.item_path(&step.object.id);
                let call = action_call(&item, action, property, held, left);
                let (held, left) = (one(found, held), one(found, left));
                let guards = vec![guard(property, left.get(found), held.get(found))];
                self.set_back(step, Action::Update, &left, &held, guards, call);
                continue;
            }
            let nothing = canonical::property(property, held).is_none();
            if property.clearing == Clearing::Refused && nothing {
                let detail = "had no value before, and Graph does not let it be cleared";
                self.exclude(step, Obstacle::ReadOnly, found, detail);
                continue;
            }
            let mut left = left.cloned();
            if property.write == Write::DisableFirst
                && let Some(off) = switched_off(property, held, left.as_ref())
            {
                let value = canonical::writable(property, Some(&off), left.as_ref());
                let mut body = typed(step);
                body.insert(found.to_owned(), value);
                let guards = vec![guard(property, left.as_ref(), Some(&off))];
                let (now, then) = (one(found, left.as_ref()), one(found, Some(&off)));
                let call = patch(step, body);
                self.set_back(step, Action::DisableEntries, &now, &then, guards, call);
                left = Some(off);
            }
            let value = canonical::writable(property, held, left.as_ref());
            body.insert(found.to_owned(), value);
            guards.push(guard(property, left.as_ref(), held));
            target.extend(one(found, held));
            current.extend(one(found, left.as_ref()));
        }
        if !guards.is_empty() {
            let call = patch(step, body);
            self.set_back(step, Action::Update, &current, &target, guards, call);
        }
    }

    /// Why an update must not be undone, where it must not.
    fn forbidden(&self, step: &Step, before: &Body, after: &Body) -> Option<(Obstacle, String)> {
        let disables = before.get("accountEnabled") == Some(&Value::Bool(false));
        if disables && self.undoing.own.contains(&step.object.id) {
            let detail = "Rewind itself signs in by it; see to it by hand";
            return Some((Obstacle::OwnAccess, detail.to_owned()));
        }
        if step.object.object_type != ObjectType::ConditionalAccessPolicy {
            return None;
        }
        let held = references(after);
        let missing = references(before).into_iter().filter(|one| {
            let returns = self.deleted.iter().any(|id| id.as_str() == one.id);
            !held.contains(one) && !self.undoing.resolved.contains(one) && !returns
        });
        let names: Vec<String> = missing
            .map(|one| format!("{} {}", one.kind.name(), one.id))
            .collect();
        let detail = format!(
            "named before what does not exist: {}; the policy stays as it is",
            names.join(", ")
        );
        (!names.is_empty()).then_some((Obstacle::UnresolvedReference, detail))
    }

    fn update_entry(
        &mut self,
        step: &Step,
        property: &Property,
        entry: &str,
        held: Option<&Value>,
        left: Option<&Value>,
    ) {
        let (Some(target), Some(current)) = (held, left) else {
            self.not_journalled(step);
            return;
        };
        let spec = step.object.object_type.spec();
        let whole = |value: &Value| {
            let list = Value::Array(vec![value.clone()]);
            Body::from_iter([(property.name.to_owned(), list)])
        };
        let hash = |body: &Body| {
            let value = canonical::property(property, body.get(property.name));
            canonical::hash(value.as_ref().and_then(|value| value.get(entry)))
        };
        let (now, then) = (whole(current), whole(target));
        let guards = vec![Guard {
            property: format!("{}/{entry}", property.name),
            before: hash(&now),
            after: hash(&then),
        }];
        let item = spec.item_path(&step.object.id);
        let call = entry_call(&item, property, entry, target, current);
        self.set_back(step, Action::Update, &now, &then, guards, call);
    }

    fn set_back(
        &mut self,
        step: &Step,
        action: Action,
        now: &Body,
        then: &Body,
        guards: Vec<Guard>,
        call: Call,
    ) {
        let spec = step.object.object_type.spec();
        if let Some(body) = self.bodies.get_mut(&step.object.id) {
            body.extend(then.clone());
        }
        if step.object.object_type == ObjectType::ConditionalAccessPolicy {
            let name = &step.object.name;
            self.risks
                .insert(format!("policy \"{name}\" will be as before the restore"));
        }
        let inverse = Inverse {
            action,
            attributes: attribute_changes(spec, Some(now), Some(then)),
            links: Vec::new(),
            guards,
            call,
        };
        let touched = references(then).into_iter();
        let touched = touched.filter_map(|one| ObjectId::parse(&one.id).ok());
        self.push(step, inverse, touched.collect());
    }

    fn links(&mut self, applied: &Applied) {
        let step = &applied.step;
        let kind = step.links.first().map(|link| link.kind);
        let (Some(kind), Some(_), Some(_)) = (kind, &applied.before, &applied.after) else {
            self.not_journalled(step);
            return;
        };
        let before = ends(applied.before.as_ref(), kind);
        let after = ends(applied.after.as_ref(), kind);
        let came: Vec<&ObjectId> = after.difference(&before).collect();
        let went: Vec<&ObjectId> = before.difference(&after).collect();
        let source = &step.object.id;
        let replaced = kind.spec().cardinality == Cardinality::One && !went.is_empty();
        if !went.is_empty() {
            let mut links: Vec<LinkChange> = links_to(step, kind, &went, Direction::Added);
            if replaced {
                links.extend(links_to(step, kind, &came, Direction::Removed));
            }
            let targets: Vec<ObjectId> = went.iter().map(|id| (*id).clone()).collect();
            let inverse = Inverse {
                action: Action::AddLinks,
                attributes: Vec::new(),
                links,
                guards: Vec::new(),
                call: add_call(kind, source, &targets),
            };
            self.push(step, inverse, targets);
        }
        for target in came.into_iter().filter(|_| !replaced) {
            let inverse = Inverse {
                action: Action::RemoveLink,
                attributes: Vec::new(),
                links: links_to(step, kind, &[target], Direction::Removed),
                guards: Vec::new(),
                call: remove_call(kind, source, target),
            };
            self.push(step, inverse, vec![target.clone()]);
        }
    }

    fn delete_again(&mut self, step: &Step) {
        let spec = step.object.object_type.spec();
        let Some(body) = self.bodies.get(&step.object.id) else {
            let detail = "is not there any more";
            self.exclude(step, Obstacle::ChangedSince, "", detail);
            return;
        };
        if self.undoing.own.contains(&step.object.id) {
            self.own(step);
            return;
        }
        let guards = vec![Guard {
            property: String::new(),
            before: canonical::body_hash(spec, body),
            after: String::new(),
        }];
        let whose = match step.action {
            Action::Create | Action::Recreate => "objects that the plan made will be soft-deleted",
            _ => "objects that the restore brought back will be soft-deleted again",
        };
        self.risks
            .insert(format!("{whose}; they stay in the recycle bin for 30 days"));
        let inverse = Inverse {
            action: Action::SoftDelete,
            attributes: Vec::new(),
            links: Vec::new(),
            guards,
            call: Call {
                method: HttpMethod::Delete,
                path: spec.item_path(&step.object.id),
                body: None,
            },
        };
        self.push(step, inverse, Vec::new());
    }

    /// Deletes what a step made, where its type has a recycle bin.
    fn take_back(&mut self, step: &Step) {
        if step.object.object_type.spec().deleted.is_some() {
            self.delete_again(step);
        } else {
            let detail = "was made by the plan, and objects of its type are never deleted; it stays and does nothing by itself";
            self.exclude(step, Obstacle::NotSoftDeletable, "", detail);
        }
    }

    /// Lets an action be protected by what protected it before, or by nothing.
    fn protect_as_before(&mut self, applied: &Applied) {
        let step = &applied.step;
        let (Some(attribute), Some(guard)) = (step.attributes.first(), step.guards.first()) else {
            self.not_journalled(step);
            return;
        };
        self.risks.insert(
            "actions that the plan protected can be used with any sign-in again".to_owned(),
        );
        let context = attribute.before.clone().unwrap_or_default();
        let inverse = Inverse {
            action: Action::Protect,
            attributes: vec![AttributeChange {
                before: attribute.after.clone(),
                after: attribute.before.clone(),
                ..attribute.clone()
            }],
            links: Vec::new(),
            guards: vec![Guard {
                property: guard.property.clone(),
                before: guard.after.clone(),
                after: guard.before.clone(),
            }],
            call: Call {
                body: Some(json!({ "authenticationContextId": context })),
                ..step.call.clone()
            },
        };
        self.push(step, inverse, Vec::new());
    }

    fn bring_back(&mut self, step: &Step) {
        let spec = step.object.object_type.spec();
        let Some(deleted) = spec.deleted else {
            self.not_journalled(step);
            return;
        };
        let inverse = Inverse {
            action: Action::RestoreDeleted,
            attributes: Vec::new(),
            links: Vec::new(),
            guards: Vec::new(),
            call: Call {
                method: HttpMethod::Post,
                path: format!("{}/{}/restore", deleted.item_path, step.object.id),
                body: None,
            },
        };
        self.push(step, inverse, Vec::new());
    }

    fn remove_relation(&mut self, applied: &Applied) {
        let step = &applied.step;
        let spec = step.object.object_type.spec();
        let body = applied.after.as_ref().and_then(Value::as_object);
        let path = body.and_then(|body| relation_path(spec, body));
        let (Some(body), Some(path)) = (body, path) else {
            self.not_journalled(step);
            return;
        };
        if tied(spec, body).any(|id| self.undoing.own.contains(&id)) {
            self.own(step);
            return;
        }
        let inverse = Inverse {
            action: Action::RemoveRelation,
            attributes: attribute_changes(spec, Some(body), None),
            links: Vec::new(),
            guards: vec![Guard {
                property: String::new(),
                before: canonical::body_hash(spec, body),
                after: String::new(),
            }],
            call: Call {
                method: HttpMethod::Delete,
                path,
                body: None,
            },
        };
        self.push(step, inverse, tied(spec, body).collect());
    }

    fn make_anew(&mut self, applied: &Applied) {
        let step = &applied.step;
        let spec = step.object.object_type.spec();
        let body = applied.before.as_ref().and_then(Value::as_object);
        let path = body.and_then(|body| place(spec, body));
        let (Some(body), Some(path), Some(relation)) = (body, path, spec.relation) else {
            self.not_journalled(step);
            return;
        };
        let inverse = Inverse {
            action: Action::MakeAnew,
            attributes: attribute_changes(spec, None, Some(body)),
            links: Vec::new(),
            guards: vec![Guard {
                property: String::new(),
                before: String::new(),
                after: canonical::body_hash(spec, body),
            }],
            call: Call {
                method: HttpMethod::Post,
                path,
                body: Some(Value::Object(made_of(relation, body))),
            },
        };
        self.push(step, inverse, tied(spec, body).collect());
        if is_administrator(body) {
            self.administrators
                .extend(self.steps.last().map(|made| made.number));
        }
    }

    /// Adds the inverse of a step, which touches further objects.
    fn push(&mut self, of: &Step, inverse: Inverse, touched: Vec<ObjectId>) {
        let number = u32::try_from(self.steps.len() + 1)
            .expect("invariant: a plan has fewer than four billion steps");
        let mut after: BTreeSet<u32> = self
            .waiting
            .get(&of.number)
            .into_iter()
            .flatten()
            .copied()
            .collect();
        let touched = touched.iter().chain([&of.object.id]);
        after.extend(touched.filter_map(|id| self.returns.get(id)));
        // What one write needs of another on the same step, such as entries off first.
        let same = self.steps.iter().rev();
        let same = same.take_while(|step| step.object == of.object);
        let same = same.filter(|step| step.action == Action::DisableEntries);
        after.extend(same.map(|step| step.number));
        let takes_access = match inverse.action {
            Action::SoftDelete => true,
            Action::RemoveRelation => of.object.object_type == ObjectType::RoleAssignment,
            _ => false,
        };
        if takes_access {
            after.extend(&self.administrators);
        }
        for before in &of.after {
            self.waiting.entry(*before).or_default().push(number);
        }
        if inverse.action == Action::RestoreDeleted {
            self.returns.insert(of.object.id.clone(), number);
        }
        self.steps.push(Step {
            number,
            action: inverse.action,
            object: of.object.clone(),
            reason: format!("undoes step {} of the restore", of.number),
            attributes: inverse.attributes,
            links: inverse.links,
            guards: inverse.guards,
            call: inverse.call,
            after: after.into_iter().collect(),
            made_anew: Vec::new(),
        });
    }

    fn exclude(
        &mut self,
        step: &Step,
        obstacle: Obstacle,
        part: impl Into<String>,
        detail: impl std::fmt::Display,
    ) {
        self.exclusions.push(Exclusion {
            object: step.object.clone(),
            obstacle,
            part: part.into(),
            detail: format!(
                "step {} of the restore is not undone: {detail}",
                step.number
            ),
        });
    }

    fn own(&mut self, step: &Step) {
        let detail = "it lets Rewind itself into the tenant; see to it by hand";
        self.exclude(step, Obstacle::OwnAccess, "", detail);
    }

    fn not_journalled(&mut self, step: &Step) {
        let detail = "the journal does not tell what was there before";
        self.exclude(step, Obstacle::NotJournalled, "", detail);
    }
}

/// A body with one property, null where it has no value.
fn one(name: &str, value: Option<&Value>) -> Body {
    let value = value.cloned().unwrap_or_default();
    Body::from_iter([(name.to_owned(), value)])
}

/// The start of a write's body: polymorphic types must say which they are, as the
/// restore's own write did.
fn typed(step: &Step) -> Body {
    let spec: &TypeSpec = step.object.object_type.spec();
    let tag = step.call.body.as_ref().and_then(|it| it.get("@odata.type"));
    let tag = tag.filter(|_| spec.typed_writes);
    tag.map(|tag| ("@odata.type".to_owned(), tag.clone()))
        .into_iter()
        .collect()
}

fn patch(step: &Step, body: Body) -> Call {
    Call {
        method: HttpMethod::Patch,
        path: step.call.path.clone(),
        body: Some(Value::Object(body)),
    }
}

fn links_to(
    step: &Step,
    kind: LinkKind,
    targets: &[&ObjectId],
    direction: Direction,
) -> Vec<LinkChange> {
    let name = |id: &ObjectId| {
        let mut links = step.links.iter();
        links
            .find(|link| link.target == *id)
            .and_then(|link| link.target_name.clone())
    };
    let link = |id: &&ObjectId| LinkChange {
        kind,
        target: (*id).clone(),
        target_name: name(id),
        direction,
    };
    targets.iter().map(link).collect()
}
