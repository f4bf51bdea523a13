//! What an undo leaves to a person: steps that could lock people out.
//!
//! The state right before a restore may be an intruder's work, so its policies are
//! not put back where they keep anybody from signing in, and nobody who holds a
//! directory role is deleted or switched off. Both are on the side of caution, since
//! an undo takes no choices.

use std::collections::{HashMap, HashSet};

use graph::{DirectoryWriter, GraphError};
use model::diff::Obstacle;
use model::lockout::{Account, When, keeps_out};
use model::plan::{Action, Step};
use model::{ObjectId, ObjectState, ObjectType};
use serde_json::{Map, Value};

use crate::fresh;

/// The steps to leave out, by number, each with the obstacle and a sentence.
pub(super) type Harm = HashMap<u32, (Obstacle, String)>;

/// Finds the steps to leave out; `holders` are those who hold directory roles, where
/// that can be read.
///
/// # Errors
/// The [`GraphError`] of a read.
pub(super) async fn harm(
    directory: &dyn DirectoryWriter,
    steps: &[Step],
    holders: Option<&HashSet<ObjectId>>,
) -> Result<Harm, GraphError> {
    let mut harm = Harm::new();
    let mut policies: HashMap<&ObjectId, Map<String, Value>> = HashMap::new();
    for step in steps {
        let id = &step.object.id;
        if takes_access(step) && holders.is_none_or(|holders| holders.contains(id)) {
            let detail = "may hold a directory role; see to it by hand".to_owned();
            harm.insert(step.number, (Obstacle::LastAdministrator, detail));
        }
        let writes = matches!(step.action, Action::RestoreDeleted | Action::Update);
        if step.object.object_type != ObjectType::ConditionalAccessPolicy || !writes {
            continue;
        }
        let mut policy = match policies.remove(id) {
            Some(policy) => policy,
            None => held(directory, id).await?,
        };
        if let Some(Value::Object(change)) = &step.call.body {
            policy.extend(change.clone());
        }
        if let Some(how) = keeps_out(&policy, &anybody(), When::Ever) {
            let detail = format!(
                "as before the restore it could lock people out, since {how}; set it by hand"
            );
            harm.insert(step.number, (Obstacle::LockoutRisk, detail));
        }
        policies.insert(id, policy);
    }
    Ok(harm)
}

/// Whether a step deletes a principal or switches it off.
fn takes_access(step: &Step) -> bool {
    let is_principal = matches!(
        step.object.object_type,
        ObjectType::User | ObjectType::Group | ObjectType::ServicePrincipal
    );
    let body = step.call.body.as_ref();
    let disables = body.is_some_and(|body| body.get("accountEnabled") == Some(&Value::Bool(false)));
    is_principal && (step.action == Action::SoftDelete || disables)
}

/// A policy as it is, live or in the recycle bin.
async fn held(
    directory: &dyn DirectoryWriter,
    id: &ObjectId,
) -> Result<Map<String, Value>, GraphError> {
    let of_type = ObjectType::ConditionalAccessPolicy;
    for state in [ObjectState::Live, ObjectState::Deleted] {
        if let Some(object) = fresh::object(directory, of_type, id, state).await? {
            return Ok(object.body());
        }
    }
    Ok(Map::new())
}

/// Somebody who may be in any group and have any role.
fn anybody() -> Account {
    Account {
        perhaps_in: None,
        perhaps_has: None,
        ..Account::default()
    }
}
