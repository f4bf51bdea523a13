//! The order of steps, and which waits for which.
//!
//! Principals come back first, then applications, service principals, links,
//! locations and policies; what was added is removed last, in reverse. A last
//! owner is added before another is removed.

use std::collections::HashMap;

use super::{Action, Sketch, Step};
use crate::catalogue::ObjectType;
use crate::id::ObjectId;

/// When, within a whole restore, a step has its turn.
fn phase(sketch: &Sketch) -> (u8, u8, u8) {
    let rank = sketch.object.object_type.spec().rank;
    let late = matches!(
        sketch.object.object_type,
        ObjectType::NamedLocation | ObjectType::ConditionalAccessPolicy
    );
    let (phase, order) = match sketch.action {
        // A policy is corrected right after its return, so both stand together.
        Action::RestoreDeleted if late => (40, 0),
        Action::DisableEntries | Action::Update if late => (40, 1),
        Action::RestoreDeleted => (10, 0),
        Action::DisableEntries => (20, 0),
        Action::Update => (20, 1),
        Action::AddLinks => (30, 0),
        Action::RemoveLink => (30, 1),
        Action::Untrust => return (50, u8::MAX - rank, 0),
        Action::SoftDelete => return (50, u8::MAX - rank, 1),
    };
    (phase, rank, order)
}

/// Sorts, numbers and connects the steps.
pub(super) fn numbered(mut sketches: Vec<Sketch>) -> Vec<Step> {
    sketches.sort_by(|a, b| {
        let (phase_a, phase_b) = (phase(a), phase(b));
        // Within a late phase an object's steps stay together.
        (
            phase_a.0,
            phase_a.1,
            &a.object.id,
            phase_a.2,
            a.action,
            &a.call.path,
        )
            .cmp(&(
                phase_b.0,
                phase_b.1,
                &b.object.id,
                phase_b.2,
                b.action,
                &b.call.path,
            ))
    });
    let mut returned: HashMap<ObjectId, u32> = HashMap::new();
    let mut latest: HashMap<ObjectId, Vec<(Action, u32)>> = HashMap::new();
    let mut steps = Vec::with_capacity(sketches.len());
    for (number, sketch) in (1_u32..).zip(sketches) {
        let id = &sketch.object.id;
        let own = latest.entry(id.clone()).or_default();
        let mut after: Vec<u32> = own
            .iter()
            .filter(|(action, _)| waits(sketch.action, *action))
            .map(|(_, number)| *number)
            .collect();
        own.push((sketch.action, number));
        after.extend(sketch.needs.iter().filter_map(|id| returned.get(id)));
        after.sort_unstable();
        after.dedup();
        if sketch.action == Action::RestoreDeleted {
            returned.insert(id.clone(), number);
        }
        let Sketch {
            action,
            object,
            reason,
            attributes,
            links,
            guards,
            call,
            needs: _,
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
        });
    }
    steps
}

/// Whether a step on an object waits for an earlier one on the same object.
fn waits(later: Action, earlier: Action) -> bool {
    match earlier {
        Action::RestoreDeleted | Action::DisableEntries | Action::Untrust => true,
        Action::AddLinks => later == Action::RemoveLink,
        Action::Update | Action::RemoveLink | Action::SoftDelete => false,
    }
}
