//! Steps for the links between objects.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Action, Draft, Relationships, Sketch, link_part};
use crate::call::{Call, HttpMethod};
use crate::catalogue::{Cardinality, LinkKind, ObjectType};
use crate::diff::{
    Change, ChangeKind, Direction, LinkChange, Obstacle, follows_from_rule, is_dynamic,
    is_exchange_group, is_synced,
};
use crate::id::ObjectId;
use crate::object::{Link, Object, ObjectRef, ObjectState};

impl Draft<'_> {
    /// Plans the link changes and the links of objects that come back.
    pub(super) fn links(&mut self) {
        for change in &self.situation.difference.changes {
            if change.kind == ChangeKind::Modified
                && self.is_written(change.object.object_type)
                && !change.obstacles.contains(&Obstacle::OnPremisesSynced)
                && !change.obstacles.contains(&Obstacle::ExchangeManaged)
            {
                self.changed_links(change);
            }
        }
        self.returning_links();
    }

    fn changed_links(&mut self, change: &Change) {
        let mut missing: BTreeMap<LinkKind, Vec<LinkChange>> = BTreeMap::new();
        for link in &change.links {
            let part = link_part(link);
            match (self.situation.options.relationships, link.direction) {
                (Relationships::Skip, _) => {
                    self.exclude(
                        change,
                        Obstacle::RelationshipsSkipped,
                        part,
                        "relationships stay as they are",
                    );
                }
                (Relationships::Merge, Direction::Added) => {
                    self.exclude(
                        change,
                        Obstacle::RelationshipsSkipped,
                        part,
                        "added since; merging removes nothing",
                    );
                }
                (_, Direction::Removed) => missing.entry(link.kind).or_default().push(link.clone()),
                // Replaced by the manager of the snapshot, in one write.
                (Relationships::Rollback, Direction::Added)
                    if link.kind.spec().cardinality == Cardinality::One
                        && (self.has_returning_end(link.kind, &change.object.id)
                            || change.links.iter().any(|other| {
                                other.kind == link.kind && other.direction == Direction::Removed
                            })) => {}
                (Relationships::Rollback, Direction::Added) => self.remove_link(change, link),
            }
        }
        for (kind, links) in missing {
            self.add_links(
                kind,
                &change.object,
                &links,
                "was removed since the snapshot",
            );
            if kind.spec().cardinality == Cardinality::One
                && let Some(step) = self.steps.last_mut()
            {
                // What the write replaces, so that a third value is a conflict.
                let replaced = change
                    .links
                    .iter()
                    .filter(|link| link.kind == kind && link.direction == Direction::Added);
                step.links.extend(replaced.map(|link| LinkChange {
                    direction: Direction::Removed,
                    ..link.clone()
                }));
            }
        }
    }

    /// Graph keeps most links of a soft-deleted object, but not one that was
    /// removed before the deletion: each is made sure of after the return. Those
    /// of a type that plans do not write are left to the comparison afterwards.
    fn returning_links(&mut self) {
        if self.situation.options.relationships == Relationships::Skip {
            return;
        }
        let mut wanted: BTreeMap<(LinkKind, ObjectId), Vec<LinkChange>> = BTreeMap::new();
        for link in &self.situation.base.links {
            let returns = self.returning.contains_key(&link.source)
                || self.returning.contains_key(&link.target);
            // A member of a group that is not asked for comes back as Graph brings it.
            let asked_for = (self.situation.scope).holds(link.kind.source_type(), &link.source);
            if !returns
                || !asked_for
                || !self.is_written(link.kind.source_type())
                || !self.will_exist(link.kind.source_type(), &link.source)
            {
                continue;
            }
            let elsewhere = self.anew.holds(&link.target) && self.is_tied_elsewhere(link);
            if elsewhere || !self.writable_source(link.kind, &link.source) {
                continue;
            }
            let target_name = self.object_of(&link.target).map(Object::name);
            let change = LinkChange {
                kind: link.kind,
                target: link.target.clone(),
                target_name,
                direction: Direction::Removed,
            };
            if self.lost.contains(&link.target) {
                self.missing_end(link.kind, &link.source, &change);
                continue;
            }
            wanted
                .entry((link.kind, link.source.clone()))
                .or_default()
                .push(change);
        }
        for ((kind, source), links) in wanted {
            let Some(object) = self.reference(kind.source_type(), &source) else {
                continue;
            };
            self.add_links(
                kind,
                &object,
                &links,
                "belongs to an object that comes back; skipped where it returns by itself",
            );
            if kind.spec().cardinality == Cardinality::One {
                self.note_replaced(kind, &source);
            }
        }
    }

    /// Whether the snapshot links an object to one that comes back.
    fn has_returning_end(&self, kind: LinkKind, source: &ObjectId) -> bool {
        let mut links = self.situation.base.links.iter();
        links.any(|link| {
            link.kind == kind && link.source == *source && self.returning.contains_key(&link.target)
        })
    }

    /// Tells in the last step which live link it replaces, so that a third value is a
    /// conflict and this one is none.
    fn note_replaced(&mut self, kind: LinkKind, source: &ObjectId) {
        let live = self.situation.live.links.iter();
        let replaced = live.filter(|link| link.kind == kind && link.source == *source);
        if let Some(step) = self.steps.last_mut() {
            step.links.extend(replaced.map(|link| LinkChange {
                kind,
                target: link.target.clone(),
                target_name: None,
                direction: Direction::Removed,
            }));
        }
    }

    /// Whether objects of a type may be written.
    pub(super) fn is_written(&self, object_type: ObjectType) -> bool {
        !self.situation.lacking.contains_key(&object_type)
    }

    /// Whether a link to what is made anew can only be made elsewhere; the plan then says
    /// where. What follows from a rule comes by itself.
    fn is_tied_elsewhere(&mut self, link: &Link) -> bool {
        let source_type = link.kind.source_type();
        let holder = self.situation.base.object(source_type, &link.source);
        let (obstacle, detail) = match holder.map(Object::body) {
            Some(holder) if is_synced(&holder) => (
                Obstacle::OnPremisesSynced,
                "its source of authority is on-premises; put what is made anew into it there",
            ),
            Some(holder) if is_exchange_group(&holder) => (
                Obstacle::ExchangeManaged,
                "belongs to Exchange; put what is made anew into it there",
            ),
            _ => return false,
        };
        if let Some(object) = self.reference(source_type, &link.source) {
            self.exclusions.push(super::Exclusion {
                object,
                obstacle,
                part: format!("{}:{}", link.kind.name(), link.target),
                detail: detail.to_owned(),
            });
        }
        true
    }

    fn missing_end(&mut self, kind: LinkKind, source: &ObjectId, link: &LinkChange) {
        if let Some(object) = self.reference(kind.source_type(), source) {
            self.exclusions.push(super::Exclusion {
                object,
                obstacle: Obstacle::LinkEndMissing,
                part: link_part(link),
                detail: "the other end is hard-deleted".to_owned(),
            });
        }
    }

    fn add_links(
        &mut self,
        kind: LinkKind,
        object: &ObjectRef,
        links: &[LinkChange],
        reason: &str,
    ) {
        for chunk in links.chunks(kind.spec().adds_per_write) {
            let targets: Vec<ObjectId> = chunk.iter().map(|link| link.target.clone()).collect();
            let mut needs: Vec<ObjectId> = targets
                .iter()
                .filter(|id| self.returning.contains_key(*id))
                .cloned()
                .collect();
            needs.extend(
                self.returning
                    .contains_key(&object.id)
                    .then(|| object.id.clone()),
            );
            self.steps.push(Sketch {
                action: Action::AddLinks,
                object: object.clone(),
                reason: reason.to_owned(),
                attributes: Vec::new(),
                links: chunk
                    .iter()
                    .map(|link| LinkChange {
                        direction: Direction::Added,
                        ..link.clone()
                    })
                    .collect(),
                guards: Vec::new(),
                call: add_call(kind, &object.id, &targets),
                needs,
                needs_links_of: Vec::new(),
                made_anew: Vec::new(),
            });
        }
    }

    fn remove_link(&mut self, change: &Change, link: &LinkChange) {
        self.steps.push(Sketch {
            action: Action::RemoveLink,
            object: change.object.clone(),
            reason: "was added since the snapshot".to_owned(),
            attributes: Vec::new(),
            links: vec![LinkChange {
                direction: Direction::Removed,
                ..link.clone()
            }],
            guards: Vec::new(),
            call: remove_call(link.kind, &change.object.id, &link.target),
            needs: Vec::new(),
            needs_links_of: Vec::new(),
            made_anew: Vec::new(),
        });
    }

    pub(super) fn object_of(&self, id: &ObjectId) -> Option<&Object> {
        ObjectType::ALL
            .iter()
            .find_map(|object_type| self.situation.base.object(*object_type, id))
    }

    fn reference(&self, object_type: ObjectType, id: &ObjectId) -> Option<ObjectRef> {
        let object = self.situation.base.object(object_type, id)?;
        Some(ObjectRef {
            object_type,
            id: id.clone(),
            name: object.name(),
        })
    }

    /// Whether an object of the snapshot is live, or comes back with this plan.
    fn will_exist(&self, object_type: ObjectType, id: &ObjectId) -> bool {
        if self.returning.contains_key(id) {
            return true;
        }
        let live_before = self
            .situation
            .base
            .object(object_type, id)
            .is_some_and(|object| object.state == ObjectState::Live);
        live_before && !self.lost.contains(id)
    }

    /// Whether Graph lets the source's links of a kind be written.
    fn writable_source(&self, kind: LinkKind, source: &ObjectId) -> bool {
        let body = self
            .situation
            .base
            .object(kind.source_type(), source)
            .map(Object::body);
        body.is_some_and(|body| {
            let is_ruled = follows_from_rule(kind) && is_dynamic(&body);
            !is_synced(&body) && !is_ruled
        })
    }
}

/// The Graph call that adds links from one source.
///
/// `targets` are at most the kind's `adds_per_write`.
#[must_use]
pub fn add_call(kind: LinkKind, source: &ObjectId, targets: &[ObjectId]) -> Call {
    let spec = kind.spec();
    let holder = kind.source_type().spec().item_path(source);
    let reference = |id: &ObjectId| {
        let collection = if kind == LinkKind::UserManager {
            "users"
        } else {
            "directoryObjects"
        };
        Value::String(format!("{{graph}}/{collection}/{id}"))
    };
    match targets {
        [one] if spec.cardinality == Cardinality::One => Call {
            method: HttpMethod::Put,
            path: format!("{holder}/{}/$ref", spec.relation),
            body: Some(json!({ "@odata.id": reference(one) })),
        },
        [one] => Call {
            method: HttpMethod::Post,
            path: format!("{holder}/{}/$ref", spec.relation),
            body: Some(json!({ "@odata.id": reference(one) })),
        },
        many => Call {
            method: HttpMethod::Patch,
            path: holder,
            body: Some(
                json!({ (format!("{}@odata.bind", spec.relation)): many.iter().map(reference).collect::<Vec<_>>() }),
            ),
        },
    }
}

/// The Graph call that removes one link.
pub(super) fn remove_call(kind: LinkKind, source: &ObjectId, target: &ObjectId) -> Call {
    let spec = kind.spec();
    let holder = kind.source_type().spec().item_path(source);
    let path = match spec.cardinality {
        Cardinality::One => format!("{holder}/{}/$ref", spec.relation),
        Cardinality::Many => format!("{holder}/{}/{target}/$ref", spec.relation),
    };
    Call {
        method: HttpMethod::Delete,
        path,
        body: None,
    }
}
