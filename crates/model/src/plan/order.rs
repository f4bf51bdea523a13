//! The order of steps, and which waits for which.
//!
//! Principals come back first, then applications, service principals, links,
//! grants and assignments, locations, contexts, strengths and policies; what was
//! added is removed last, in reverse, unless it holds a name that a returning
//! object needs. A last owner is added before another is removed.

use std::collections::{HashMap, HashSet};

use super::{Action, Sketch, Step};
use crate::catalogue::{LinkKind, ObjectType};
use crate::id::ObjectId;

/// Where, within a whole restore, a step has its turn: phase, rank of the type,
/// and what comes first within these.
fn turn<'a>(sketch: &'a Sketch, needed: &HashSet<ObjectId>) -> (u8, u8, u8, &'a ObjectId, u8) {
    let id = &sketch.object.id;
    let spec = sketch.object.object_type.spec();
    let rank = spec.rank;
    let late = rank >= ObjectType::NamedLocation.spec().rank;
    match sketch.action {
        Action::SoftDelete if needed.contains(id) => (5, u8::MAX - rank, 0, id, 0),
        // A policy is corrected right after its return, so both stand together.
        Action::RestoreDeleted | Action::Recreate | Action::Create if late => (40, rank, 0, id, 0),
        Action::DisableEntries | Action::Update if late => (40, rank, 0, id, 1),
        Action::RestoreDeleted => (10, rank, 0, id, 0),
        // What an application that is made anew says of itself, its service principal
        // copies when it is made.
        Action::Update if sketch.made_anew.contains(id) && !late => (10, rank, 3, id, 0),
        // What names another that is made anew comes after those that name none.
        Action::Recreate | Action::Create => {
            (10, rank, 1 + u8::from(!sketch.made_anew.is_empty()), id, 0)
        }
        // Of an application's outside identities no two may be alike, and few may be
        // there: the one that goes makes room.
        Action::RemoveRelation
            if sketch.object.object_type == ObjectType::FederatedIdentityCredential =>
        {
            (35, rank, 0, id, 0)
        }
        // Like steps stand together, so that many go at a time.
        Action::MakeAnew => (35, rank, 1, id, 0),
        Action::Update if spec.relation.is_some() => (35, rank, 2, id, 0),
        Action::RemoveRelation => (35, rank, 3, id, 0),
        Action::DisableEntries => (20, rank, 0, id, 0),
        Action::Update => (20, rank, 1, id, 0),
        // Who broke in is put out before what is behind takes long to put right.
        Action::RemoveCredential => (15, rank, 0, id, 0),
        Action::AddLinks => (30, rank, 0, id, 0),
        Action::RemoveLink => (30, rank, 1, id, 0),
        Action::Untrust => (50, u8::MAX - rank, 0, id, 0),
        Action::SoftDelete => (50, u8::MAX - rank, 1, id, 0),
        Action::Protect => (60, rank, 0, id, 0),
    }
}

/// The numbers of the steps that others may wait for.
#[derive(Default)]
struct Numbers {
    /// Returns, early removals and what was made anew, by object.
    objects: HashMap<ObjectId, u32>,
    /// Further steps that later ones on the same object wait for.
    same_object: HashMap<ObjectId, Vec<u32>>,
    /// Additions of owners, by object and kind.
    owners: HashMap<(ObjectId, LinkKind), Vec<u32>>,
    /// Additions of links, by the object that holds them.
    links: HashMap<ObjectId, Vec<u32>>,
}

impl Numbers {
    fn awaited_by(&self, sketch: &Sketch) -> Vec<u32> {
        let id = &sketch.object.id;
        let mut after: Vec<u32> = Vec::new();
        after.extend(self.objects.get(id));
        after.extend(self.same_object.get(id).into_iter().flatten());
        after.extend(sketch.needs.iter().filter_map(|id| self.objects.get(id)));
        let links = sketch
            .needs_links_of
            .iter()
            .filter_map(|id| self.links.get(id));
        after.extend(links.flatten());
        if sketch.action == Action::RemoveLink
            && let Some(kind) = sketch.links.first().map(|link| link.kind)
        {
            after.extend(self.owners.get(&(id.clone(), kind)).into_iter().flatten());
        }
        after.sort_unstable();
        after.dedup();
        after
    }

    fn note(&mut self, sketch: &Sketch, number: u32) {
        let id = sketch.object.id.clone();
        match sketch.action {
            Action::RestoreDeleted
            | Action::SoftDelete
            | Action::MakeAnew
            | Action::Recreate
            | Action::Create => {
                self.objects.insert(id, number);
            }
            Action::DisableEntries | Action::Untrust => {
                self.same_object.entry(id).or_default().push(number);
            }
            Action::AddLinks => {
                if let Some(kind) = sketch.links.first().map(|link| link.kind).filter(is_owners) {
                    self.owners
                        .entry((id.clone(), kind))
                        .or_default()
                        .push(number);
                }
                self.links.entry(id).or_default().push(number);
            }
            Action::Update
            | Action::RemoveLink
            | Action::RemoveRelation
            | Action::RemoveCredential
            | Action::Protect => {}
        }
    }
}

/// Whether the last link of a kind cannot be removed.
fn is_owners(kind: &LinkKind) -> bool {
    matches!(
        kind,
        LinkKind::GroupOwners | LinkKind::ApplicationOwners | LinkKind::ServicePrincipalOwners
    )
}

/// Sorts, numbers and connects the steps.
pub(super) fn numbered(mut sketches: Vec<Sketch>) -> Vec<Step> {
    let needed: HashSet<ObjectId> = sketches
        .iter()
        .flat_map(|sketch| sketch.needs.clone())
        .collect();
    sketches.sort_by(|a, b| {
        let (first, second) = (turn(a, &needed), turn(b, &needed));
        (first, a.action, &a.call.path).cmp(&(second, b.action, &b.call.path))
    });
    let mut numbers = Numbers::default();
    let mut steps = Vec::with_capacity(sketches.len());
    for (number, sketch) in (1_u32..).zip(sketches) {
        let after = numbers.awaited_by(&sketch);
        numbers.note(&sketch, number);
        let Sketch {
            action,
            object,
            reason,
            attributes,
            links,
            guards,
            call,
            needs: _,
            needs_links_of: _,
            made_anew,
        } = sketch;
        steps.push(Step {
            number,
            action,
            object,
            reason,
            attributes,
            links,
            guards,
            call,
            after,
            made_anew,
        });
    }
    steps
}
