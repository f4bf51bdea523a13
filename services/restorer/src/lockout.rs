//! The accounts that must be able to sign in, as they are right now.
//!
//! Owns what is read before a plan that writes Conditional Access policies is made:
//! every live policy, who is an administrator, and the groups that those and the
//! tenant's break-glass accounts are in. Whom policies lock out, the model says.

use std::collections::{BTreeSet, HashSet};

use graph::{DirectoryWriter, GraphError, Query, lists};
use model::catalogue::GLOBAL_ADMINISTRATOR;
use model::lockout::Accounts;
use model::{Object, ObjectId, ObjectState, ObjectType};
use serde_json::Value;

use crate::{privileged, relations};

/// Reads the accounts.
///
/// Any read that fails fails the whole, but for role assignments that the application
/// may not read: then nobody knows who the administrators are, and the model is as
/// careful as that needs.
pub(crate) async fn accounts(
    directory: &dyn DirectoryWriter,
    break_glass: &[ObjectId],
    assignments: Option<Vec<Object>>,
) -> Result<Accounts, GraphError> {
    let list = HashSet::from([Query::Objects(ObjectType::ConditionalAccessPolicy)]);
    let policies = relations::listed(directory, &list).await?;
    let administrators = administrators(assignments.as_deref().unwrap_or_default());
    let types = privileged::types_of(directory, &administrators).await?;
    let assignments = assignments.filter(|_| types.is_some());
    let types = types.unwrap_or_default();
    let mut ids: BTreeSet<ObjectId> = break_glass.iter().cloned().collect();
    let are_users = types.iter().filter(|(_, name)| name.ends_with("user"));
    ids.extend(are_users.map(|(id, _)| id.clone()));
    ids.extend(privileged::members_of_groups(directory, &types).await?);
    let users = users(directory, ids).await?;
    let held = users.iter().map(|user| user.id.clone());
    let memberships = lists::memberships(directory, held).await?;
    Ok(Accounts {
        break_glass: break_glass.to_vec(),
        users,
        memberships,
        assignments,
        policies,
    })
}

/// Who holds the role of Global Administrator over the whole tenant.
fn administrators(assignments: &[Object]) -> Vec<ObjectId> {
    let is_one = |object: &&Object| {
        let body = object.body();
        let is = |name: &str, value: &str| body.get(name).and_then(Value::as_str) == Some(value);
        is("roleDefinitionId", GLOBAL_ADMINISTRATOR) && is("directoryScopeId", "/")
    };
    let holders = assignments.iter().filter(is_one);
    let holders: BTreeSet<ObjectId> = holders.filter_map(privileged::holder).collect();
    holders.into_iter().collect()
}

/// Those that are live users.
async fn users(
    directory: &dyn DirectoryWriter,
    ids: BTreeSet<ObjectId>,
) -> Result<Vec<Object>, GraphError> {
    let keys: Vec<_> = ids
        .into_iter()
        .map(|id| (ObjectType::User, ObjectState::Live, id))
        .collect();
    let answers = directory.read_many(&keys).await?;
    let found: Result<Vec<Option<Object>>, GraphError> = answers.into_iter().collect();
    Ok(found?.into_iter().flatten().collect())
}
