//! Single changes in Microsoft's words.
//!
//! Owns `deltaFromCurrent`, what a recovery writes, and `currentState`, what is there
//! now; both speak of the properties that differ and no others. A secret is in neither,
//! nor is anything that cannot be written; where there is such a thing, an annotation
//! names it.

use proto::v1::{
    AttributeChange, AttributeClass, Change, ChangeKind, LinkChange, LinkDirection, ObjectRef,
    Outcome, PlanStep, StepAction,
};
use serde_json::{Map, Value, json};

use super::criteria::{Members, NAMESPACE, type_name};
use super::query::Row;
use super::resources::row;

/// The properties of a change.
pub(super) const CHANGE: [&str; 7] = [
    "id",
    "displayName",
    "entityTypeName",
    "recoveryAction",
    "failureMessage",
    "deltaFromCurrent",
    "currentState",
];

/// What a recovery does to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    SoftDelete,
    Update,
    Restore,
}

impl Action {
    fn name(self) -> &'static str {
        match self {
            Self::SoftDelete => "softDelete",
            Self::Update => "update",
            Self::Restore => "restore",
        }
    }
}

/// The kinds of changes that something can be done about.
pub(super) const KINDS: [ChangeKind; 4] = [
    ChangeKind::Added,
    ChangeKind::Modified,
    ChangeKind::SoftDeleted,
    ChangeKind::Restored,
];

/// A change that a report tells of.
pub(super) fn reported(change: &Change, members: Members) -> Row {
    let action = match change.kind() {
        ChangeKind::Added | ChangeKind::Restored => Action::SoftDelete,
        ChangeKind::SoftDeleted => Action::Restore,
        ChangeKind::Modified | ChangeKind::HardDeleted | ChangeKind::Unspecified => Action::Update,
    };
    let mut sides = Sides::new(change.object.as_ref(), action);
    let mut left = Vec::new();
    // Of what is deleted nothing else is written.
    if action != Action::SoftDelete {
        for attribute in &change.attributes {
            match attribute.class() {
                AttributeClass::Restorable | AttributeClass::Unspecified => {
                    sides.set(attribute, &attribute.before_json, &attribute.after_json);
                }
                AttributeClass::ReadOnly | AttributeClass::Secret | AttributeClass::OwnEndpoint => {
                    left.push(attribute.path.clone());
                }
            }
        }
        for link in &change.links {
            // What came since goes.
            sides.link(link, link.direction() == LinkDirection::Added);
        }
    }
    let mut row = sides.row(change.object.as_ref(), members);
    if !left.is_empty() {
        row.insert("@rewind.notRecovered".to_owned(), json!(left));
    }
    let obstacles = change.obstacles();
    let obstacles: Vec<&str> = obstacles
        .map(|obstacle| obstacle.as_str_name().trim_start_matches("OBSTACLE_"))
        .collect();
    if !obstacles.is_empty() {
        row.insert("@rewind.obstacles".to_owned(), json!(obstacles));
    }
    row
}

/// A step of a plan that did not succeed, and why.
pub(super) fn failed(step: &PlanStep, why: &str, members: Members) -> Row {
    let mut sides = Sides::new(step.object.as_ref(), action_of(step.action()));
    for attribute in &step.attributes {
        if attribute.class() != AttributeClass::Secret {
            // Seen from the restore: from what is there to what shall be.
            sides.set(attribute, &attribute.after_json, &attribute.before_json);
        }
    }
    for link in &step.links {
        sides.link(link, link.direction() == LinkDirection::Removed);
    }
    let mut row = sides.row(step.object.as_ref(), members);
    row.insert("failureMessage".to_owned(), json!(why));
    row
}

/// The sentence that tells how a step ended.
pub(super) fn why(outcome: &Outcome) -> String {
    let state = outcome.state().as_str_name();
    let state = state.trim_start_matches("OUTCOME_STATE_").to_lowercase();
    match outcome.detail.is_empty() {
        true => state,
        false => format!("{state}: {}", outcome.detail),
    }
}

fn action_of(action: StepAction) -> Action {
    match action {
        StepAction::SoftDelete | StepAction::RemoveRelation => Action::SoftDelete,
        StepAction::RestoreDeleted
        | StepAction::MakeAnew
        | StepAction::Recreate
        | StepAction::Create => Action::Restore,
        StepAction::Unspecified
        | StepAction::Update
        | StepAction::DisableEntries
        | StepAction::AddLinks
        | StepAction::RemoveLink
        | StepAction::Untrust
        | StepAction::RemoveCredential
        | StepAction::Protect => Action::Update,
    }
}

/// What is written, and what is there.
struct Sides {
    action: Action,
    delta: Map<String, Value>,
    current: Map<String, Value>,
}

impl Sides {
    fn new(object: Option<&ObjectRef>, action: Action) -> Self {
        let kind = object
            .map(|object| object.r#type.as_str())
            .unwrap_or_default();
        let typed = || {
            let kind = json!(format!("#microsoft.graph.{kind}"));
            Map::from_iter([("@odata.type".to_owned(), kind)])
        };
        let (mut delta, mut current) = (typed(), typed());
        match action {
            Action::SoftDelete => {
                delta.insert("@removed".to_owned(), json!({ "reason": "changed" }));
                current.insert("deletedDateTime".to_owned(), Value::Null);
            }
            Action::Restore => {
                delta.insert("deletedDateTime".to_owned(), Value::Null);
            }
            Action::Update => {}
        }
        Self {
            action,
            delta,
            current,
        }
    }

    fn set(
        &mut self,
        attribute: &AttributeChange,
        delta: &Option<String>,
        current: &Option<String>,
    ) {
        let value = |text: &Option<String>| {
            let value = text.as_deref().map(serde_json::from_str);
            value.and_then(Result::ok).unwrap_or(Value::Null)
        };
        put(&mut self.delta, &attribute.path, value(delta));
        put(&mut self.current, &attribute.path, value(current));
    }

    fn link(&mut self, link: &LinkChange, goes: bool) {
        let relation = link.relation.rsplit('/').next().unwrap_or_default();
        let mut end = json!({ "id": link.target_id });
        if !link.target_name.is_empty() {
            end["displayName"] = json!(link.target_name);
        }
        if goes {
            end["@removed"] = json!({ "reason": "changed" });
        }
        let ends = self.delta.entry(format!("{relation}@delta"));
        if let Value::Array(ends) = ends.or_insert_with(|| json!([])) {
            ends.push(end);
        }
    }

    fn row(self, object: Option<&ObjectRef>, members: Members) -> Row {
        let object = object.cloned().unwrap_or_default();
        row(json!({
            "@odata.type": format!("#{NAMESPACE}.recoveryChangeObjectBase"),
            "id": object.id,
            "displayName": object.display_name,
            "entityTypeName": type_name(&object.r#type, members),
            "recoveryAction": self.action.name(),
            "failureMessage": null,
            "deltaFromCurrent": self.delta,
            "currentState": self.current,
        }))
    }
}

/// Puts a value where a path leads, through objects that are made on the way.
fn put(into: &mut Map<String, Value>, path: &str, value: Value) {
    let Some((first, rest)) = path.split_once('.').filter(|_| !path.starts_with('@')) else {
        into.insert(path.to_owned(), value);
        return;
    };
    let inner = into.entry(first).or_insert_with(|| json!({}));
    if !inner.is_object() {
        *inner = json!({});
    }
    if let Value::Object(inner) = inner {
        put(inner, rest, value);
    }
}

#[cfg(test)]
mod tests;
