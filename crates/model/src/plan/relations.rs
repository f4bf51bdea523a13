//! Steps for objects that only tie others together: grants, assignments, federated
//! credentials.
//!
//! They have no recycle bin. One that is gone is made anew, one that was added is
//! removed; what it said stands in the step, so that it could be made again. None
//! through which this program itself has access is touched.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Action, Added, Draft, Guard, Relationships, Sketch};
use crate::call::{Call, HttpMethod};
use crate::canonical;
use crate::catalogue::{GLOBAL_ADMINISTRATOR, OWNER, ObjectType, Reading, Relation, TypeSpec};
use crate::diff::{AttributeChange, Change, ChangeKind, Obstacle, attribute_changes};
use crate::id::ObjectId;
use crate::object::{Object, ObjectRef, ObjectState, name_with};

type Body = Map<String, Value>;

impl Draft<'_> {
    /// Plans one change of an object that only ties others together.
    pub(super) fn relation(&mut self, change: &Change) {
        let (base, live) = self.sides(change);
        let skipped = match (self.situation.options.relationships, change.kind) {
            (Relationships::Skip, _) => Some("relationships stay as they are"),
            (Relationships::Merge, ChangeKind::HardDeleted) | (Relationships::Rollback, _) => None,
            (Relationships::Merge, ChangeKind::Modified) => {
                Some("changed since; merging only adds what is missing")
            }
            (Relationships::Merge, _) => Some("added since; merging removes nothing"),
        };
        if let Some(detail) = skipped {
            self.exclude(change, Obstacle::RelationshipsSkipped, "", detail);
            return;
        }
        if let Some(live) = &live
            && self.is_own(change, live)
        {
            let detail = "lets Rewind itself into the tenant; see to it by hand";
            self.exclude(change, Obstacle::OwnAccess, "", detail);
            return;
        }
        if change.kind == ChangeKind::Added
            && let Some(live) = &live
            && let Some(kept) = self.kept_end(change, live)
        {
            self.keep_with(change, &kept);
            return;
        }
        match (change.kind, base, live) {
            (ChangeKind::HardDeleted, Some(base), _) => {
                self.make_anew(&change.object, &base, "was removed since the snapshot");
            }
            (ChangeKind::Added, _, Some(live)) => self.remove_relation(change, &live),
            (ChangeKind::Modified, Some(_), Some(_)) => self.put_back(change),
            _ => {}
        }
    }

    /// The object that one ties together which was added since the snapshot, where
    /// plans keep what was added.
    fn kept_end(&self, change: &Change, live: &Body) -> Option<ObjectRef> {
        if self.situation.options.added != Added::Keep {
            return None;
        }
        let ends: HashSet<ObjectId> = tied(change.object.object_type.spec(), live).collect();
        let mut added = self.situation.difference.changes.iter().filter(|other| {
            other.kind == ChangeKind::Added && other.object.object_type.spec().relation.is_none()
        });
        let end = added.find(|other| ends.contains(&other.object.id));
        end.map(|other| other.object.clone())
    }

    /// An object that is kept keeps what it was given.
    fn keep_with(&mut self, change: &Change, kept: &ObjectRef) {
        let ObjectRef {
            object_type, name, ..
        } = kept;
        self.risks.insert(format!(
            "{object_type} \"{name}\" was added since the snapshot and is kept with its grants, assignments and federated credentials; a plan that removes what was added takes them away"
        ));
        let detail = format!("belongs to {object_type} \"{name}\", which was added and is kept");
        self.exclude(change, Obstacle::AddedKept, "", detail);
    }

    /// Whether an object is, or ties, one through which this program has access.
    pub(super) fn is_own(&self, change: &Change, body: &Body) -> bool {
        let own = self.situation.own;
        own.contains(&change.object.id)
            || tied(change.object.object_type.spec(), body).any(|id| own.contains(&id))
    }

    /// Graph brings most of what ties a soft-deleted object back with it, but not
    /// what was removed before the deletion: each is made sure of after the return.
    pub(super) fn returning_relations(&mut self) {
        if self.situation.options.relationships == Relationships::Skip || self.returning.is_empty()
        {
            return;
        }
        let changes = &self.situation.difference.changes;
        let told: HashSet<&ObjectId> = changes.iter().map(|change| &change.object.id).collect();
        let base = self.situation.base;
        for object in base
            .objects
            .iter()
            .filter(|object| !told.contains(&object.id))
        {
            let spec = object.object_type.spec();
            let asked_for = self.situation.scope.holds(object.object_type, &object.id);
            let may_be_needed = asked_for || !self.anew.is_empty();
            if spec.relation.is_none() || !may_be_needed || !self.is_written(object.object_type) {
                continue;
            }
            let body = object.body();
            // To what is made anew nothing returns by itself, whatever was asked for.
            if !asked_for && !tied(spec, &body).any(|id| self.anew.holds(&id)) {
                continue;
            }
            if !tied(spec, &body).any(|id| self.returning.contains_key(&id)) {
                continue;
            }
            let name = name_with(&body, |id| self.object_of(id).map(Object::name));
            let reference = ObjectRef {
                object_type: object.object_type,
                id: object.id.clone(),
                name: name.unwrap_or_else(|| object.id.to_string()),
            };
            let reason = "belongs to an object that comes back; skipped where it returns by itself";
            self.make_anew(&reference, &body, reason);
        }
    }

    fn make_anew(&mut self, object: &ObjectRef, base: &Body, reason: &str) {
        let spec = object.object_type.spec();
        let (Some(relation), Some(path)) = (spec.relation, place(spec, base)) else {
            return;
        };
        if tied(spec, base).any(|id| self.lost.contains(&id)) {
            self.exclusions.push(super::Exclusion {
                object: object.clone(),
                obstacle: Obstacle::LinkEndMissing,
                part: String::new(),
                detail: "ties an object that is hard-deleted".to_owned(),
            });
            return;
        }
        let body = made_of(relation, base);
        self.note_privilege(object, base);
        self.steps.push(Sketch {
            action: Action::MakeAnew,
            object: object.clone(),
            reason: with_privilege(object, base, reason),
            attributes: attribute_changes(spec, None, Some(base)),
            links: Vec::new(),
            guards: vec![Guard {
                property: String::new(),
                before: String::new(),
                after: canonical::body_hash(spec, base),
            }],
            call: Call {
                method: HttpMethod::Post,
                path,
                body: Some(Value::Object(body)),
            },
            needs: tied(spec, base)
                .filter(|id| self.returning.contains_key(id))
                .collect(),
            needs_links_of: Vec::new(),
            made_anew: Vec::new(),
        });
    }

    fn remove_relation(&mut self, change: &Change, live: &Body) {
        let spec = change.object.object_type.spec();
        let Some(path) = relation_path(spec, live) else {
            return;
        };
        self.risks.insert(
            "grants, assignments and federated credentials that were added since the snapshot will be removed, also where somebody meant them; their values stand in the plan, and a plan that merges relationships keeps them"
                .to_owned(),
        );
        self.note_privilege(&change.object, live);
        let attributes: Vec<AttributeChange> = attribute_changes(spec, Some(live), None);
        self.steps.push(Sketch {
            action: Action::RemoveRelation,
            object: change.object.clone(),
            reason: with_privilege(&change.object, live, "was added since the snapshot"),
            attributes,
            links: Vec::new(),
            guards: vec![Guard {
                property: String::new(),
                before: canonical::body_hash(spec, live),
                after: String::new(),
            }],
            call: Call {
                method: HttpMethod::Delete,
                path,
                body: None,
            },
            needs: Vec::new(),
            needs_links_of: Vec::new(),
            made_anew: Vec::new(),
        });
    }

    fn note_privilege(&mut self, object: &ObjectRef, body: &Body) {
        if object.object_type == ObjectType::RoleAssignment {
            let scope = body.get("directoryScopeId").and_then(Value::as_str);
            let place = if scope == Some("/") {
                "the tenant"
            } else {
                "a part of the tenant"
            };
            self.risks.insert(format!(
                "directory roles over {place} will be given or taken: a privileged change"
            ));
        }
    }

    /// Leaves the assignments of the role of Global Administrator, and those who hold
    /// them, where none would be left; takes one away only after what is to stand in
    /// its place was made.
    pub(super) fn keep_an_administrator(&mut self) {
        let of = |action: Action| {
            move |step: &&Sketch| step.action == action && is_administrator_step(step)
        };
        let removed: HashSet<ObjectId> = self
            .steps
            .iter()
            .filter(of(Action::RemoveRelation))
            .map(|step| step.object.id.clone())
            .collect();
        let leaving: HashSet<ObjectId> = self
            .steps
            .iter()
            .filter(|step| step.action == Action::SoftDelete)
            .map(|step| step.object.id.clone())
            .collect();
        if removed.is_empty() && leaving.is_empty() {
            return;
        }
        let live = self.situation.live.objects.iter().filter(|object| {
            object.object_type == ObjectType::RoleAssignment && object.state == ObjectState::Live
        });
        let administrators: Vec<(&ObjectId, HashSet<ObjectId>)> = live
            .map(|object| (&object.id, object.body()))
            .filter(|(_, body)| is_administrator(body))
            .map(|(id, body)| (id, tied(ObjectType::RoleAssignment.spec(), &body).collect()))
            .collect();
        let mut staying = administrators
            .iter()
            .filter(|(_, holder)| holder.is_disjoint(&leaving))
            .peekable();
        // Where the assignments stay, somebody who stays may hold one.
        let is_held = staying.peek().is_some();
        if staying.any(|(id, _)| !removed.contains(*id)) {
            return;
        }
        let holders: HashSet<ObjectId> = administrators
            .into_iter()
            .flat_map(|(_, holder)| holder)
            .collect();
        let made: Vec<ObjectId> = self
            .steps
            .iter()
            .filter(of(Action::MakeAnew))
            .map(|step| step.object.id.clone())
            .collect();
        let is_removal = |step: &Sketch, of_holders: bool| match step.action {
            Action::RemoveRelation => is_administrator_step(step),
            Action::SoftDelete => of_holders && holders.contains(&step.object.id),
            _ => false,
        };
        if !made.is_empty() {
            for step in self.steps.iter_mut().filter(|step| is_removal(step, true)) {
                step.needs.extend(made.iter().cloned());
            }
            return;
        }
        let (kept, rest): (Vec<Sketch>, Vec<Sketch>) = std::mem::take(&mut self.steps)
            .into_iter()
            .partition(|step| is_removal(step, !is_held));
        self.steps = rest;
        self.exclusions
            .extend(kept.into_iter().map(|step| super::Exclusion {
                object: step.object,
                obstacle: Obstacle::LastAdministrator,
                part: String::new(),
                detail: "without it nobody would be a Global Administrator".to_owned(),
            }));
    }
}

/// What a request to make one anew says.
pub(super) fn made_of(relation: Relation, body: &Body) -> Body {
    relation
        .made_of
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), body.get(*name)?.clone())))
        .filter(|(_, value)| !value.is_null())
        .collect()
}

/// The objects that one ties together, and the unit that an assignment is about.
pub(super) fn tied<'a>(
    spec: &'static TypeSpec,
    body: &'a Body,
) -> impl Iterator<Item = ObjectId> + 'a {
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let ties = spec.ties.iter().filter_map(move |tie| text(tie));
    let unit =
        text("directoryScopeId").and_then(|scope| scope.strip_prefix("/administrativeUnits/"));
    let unit = unit.filter(|_| spec.object_type == ObjectType::RoleAssignment);
    ties.chain(unit).filter_map(|id| ObjectId::parse(id).ok())
}

/// Where one is made.
pub(super) fn place(spec: &TypeSpec, body: &Body) -> Option<String> {
    match spec.reading {
        Reading::Contained { .. } => {
            let owner = body.get(OWNER).and_then(Value::as_str)?;
            Some(spec.contained_list_path(&ObjectId::parse(owner).ok()?))
        }
        Reading::List | Reading::Singleton => Some(spec.list_path.to_owned()),
    }
}

/// The path of a live one, which has another id than the snapshot's where it was
/// made anew.
pub(super) fn relation_path(spec: &TypeSpec, live: &Body) -> Option<String> {
    let id = live.get("id").and_then(Value::as_str)?;
    place(spec, live).map(|place| format!("{place}/{id}"))
}

/// Whether a body is the assignment of the highest role over the whole tenant.
pub(super) fn is_administrator(body: &Body) -> bool {
    let is = |name: &str, value: &str| body.get(name).is_some_and(|held| held == value);
    is("roleDefinitionId", GLOBAL_ADMINISTRATOR) && is("directoryScopeId", "/")
}

/// The same of what a step makes or removes, by the values that it tells.
fn is_administrator_step(step: &Sketch) -> bool {
    let is = |name: &str, wanted: &str| {
        let mut told = step.attributes.iter().filter(|one| one.path == name);
        told.any(|one| {
            one.before
                .as_ref()
                .or(one.after.as_ref())
                .is_some_and(|it| it == wanted)
        })
    };
    step.object.object_type == ObjectType::RoleAssignment
        && is("roleDefinitionId", GLOBAL_ADMINISTRATOR)
        && is("directoryScopeId", "/")
}

fn with_privilege(object: &ObjectRef, body: &Body, reason: &str) -> String {
    match object.object_type {
        ObjectType::RoleAssignment if is_administrator(body) => {
            format!("{reason}; a privileged target: the role of Global Administrator")
        }
        ObjectType::RoleAssignment => format!("{reason}; a privileged target: a directory role"),
        _ => reason.to_owned(),
    }
}
