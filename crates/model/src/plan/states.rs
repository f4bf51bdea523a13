//! In which state Conditional Access policies come back.
//!
//! Owns report-only mode, and what a policy binds between its return and its
//! correction: one write sets content and state together, so that none is enabled by a
//! plan before it has its right content.

use serde_json::{Map, Value};

use super::{CaState, Draft, REPORT_ONLY};
use crate::catalogue::{Class, ObjectType};
use crate::diff::{AttributeChange, Change, ChangeKind, Obstacle, attribute_changes};

type Body = Map<String, Value>;

impl Draft<'_> {
    /// Sets the state that a policy is to have to report-only where that was chosen and
    /// the plan writes the policy, and says that a person has to enable it.
    pub(super) fn choose_state(
        &mut self,
        change: &Change,
        base: &mut Body,
        live: &Body,
        attributes: &mut Vec<AttributeChange>,
    ) {
        let is_written = change.kind == ChangeKind::SoftDeleted
            || attributes.iter().any(|it| it.class == Class::Restorable);
        if !is_written || !self.report_only(change, base) {
            return;
        }
        attributes.retain(|attribute| attribute.property() != "state");
        let spec = change.object.object_type.spec();
        let states = attribute_changes(spec, Some(base), Some(live)).into_iter();
        attributes.extend(states.filter(|attribute| attribute.property() == "state"));
    }

    /// Sets the state of an enabled policy to report-only where that was chosen, and says
    /// that a person has to enable it; whether it did.
    pub(super) fn report_only(&mut self, change: &Change, base: &mut Body) -> bool {
        let enabled = base.get("state").is_some_and(|state| state == "enabled");
        let is_policy = change.object.object_type == ObjectType::ConditionalAccessPolicy;
        let chosen = self.situation.options.ca_state == CaState::ReportOnly;
        if !(chosen && is_policy && enabled) {
            return false;
        }
        base.insert("state".to_owned(), Value::from(REPORT_ONLY));
        self.risks.insert(format!(
            "policy \"{}\" will only report and bind nobody until a person enables it",
            change.object.name
        ));
        self.exclude(
            change,
            Obstacle::ReportOnly,
            "state",
            "was enabled in the snapshot and is set to report-only; a person has to enable it",
        );
        true
    }

    /// Says that a policy comes back enforced as it was deleted where that differs from
    /// the snapshot: in the recycle bin it cannot be written.
    pub(super) fn note_old_content(&mut self, change: &Change, base: &Body, deleted: &Body) {
        let spec = change.object.object_type.spec();
        let enabled = deleted.get("state").is_some_and(|state| state == "enabled");
        if change.object.object_type == ObjectType::ConditionalAccessPolicy
            && enabled
            && !attribute_changes(spec, Some(base), Some(deleted)).is_empty()
        {
            self.risks.insert(format!(
                "policy \"{}\" comes back enforced as it was deleted, until the step after sets it right",
                change.object.name
            ));
        }
    }
}
