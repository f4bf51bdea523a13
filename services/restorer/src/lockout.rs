//! The accounts that must be able to sign in, as they are right now.
//!
//! Owns what is read before a plan that writes Conditional Access policies is made:
//! every live policy, who is an administrator, and the groups that those and the
//! tenant's break-glass accounts are in. Whom policies lock out, the model says.

use std::collections::{BTreeSet, HashSet};

use graph::{Directory, DirectoryWriter, GraphError, Page, Query};
use model::catalogue::GLOBAL_ADMINISTRATOR;
use model::lockout::Accounts;
use model::{LinkKind, Object, ObjectId, ObjectState, ObjectType};
use serde::Deserialize;
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
    let memberships = memberships(directory, &users).await?;
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

/// The groups that users are in, the groups that those are in, and so on.
async fn memberships(
    directory: &dyn DirectoryWriter,
    users: &[Object],
) -> Result<HashSet<(ObjectId, ObjectId)>, GraphError> {
    let mut found = HashSet::new();
    let mut seen: HashSet<ObjectId> = HashSet::new();
    let mut open: Vec<(ObjectType, ObjectId)> = users
        .iter()
        .map(|user| (ObjectType::User, user.id.clone()))
        .collect();
    while !open.is_empty() {
        let mut above = Vec::new();
        for (member, group) in directly_in(directory, &open).await? {
            if seen.insert(group.clone()) {
                above.push((ObjectType::Group, group.clone()));
            }
            found.insert((member, group));
        }
        open = above;
    }
    Ok(found)
}

/// The groups that each of the members is in itself.
async fn directly_in(
    directory: &dyn DirectoryWriter,
    members: &[(ObjectType, ObjectId)],
) -> Result<Vec<(ObjectId, ObjectId)>, GraphError> {
    #[derive(Deserialize)]
    struct Item {
        id: String,
        #[serde(rename = "@odata.type")]
        entity: Option<String>,
    }
    let queries: Vec<Query> = members
        .iter()
        .map(|(target_type, target)| Query::Sources {
            kind: LinkKind::GroupMembers,
            target_type: *target_type,
            target: target.clone(),
        })
        .collect();
    let garbled = |error: &dyn std::fmt::Display| GraphError::Malformed {
        what: error.to_string(),
        path: "memberOf".to_owned(),
    };
    let mut found = Vec::new();
    let pages = directory.first_pages(&queries).await?;
    for (((_, member), query), answer) in members.iter().zip(&queries).zip(pages) {
        let mut page = match answer {
            Err(GraphError::NotFound { .. }) => Page::default(),
            answer => answer?,
        };
        loop {
            for item in &page.items {
                let item: Item =
                    serde_json::from_str(item.get()).map_err(|error| garbled(&error))?;
                // Roles and administrative units are among them.
                let is_group = item.entity.is_none_or(|name| name.ends_with("group"));
                if is_group {
                    let group = ObjectId::parse(&item.id).map_err(|error| garbled(&error))?;
                    found.push((member.clone(), group));
                }
            }
            let Some(next) = page.next else { break };
            page = Directory::page(directory, query, Some(&next)).await?;
        }
    }
    Ok(found)
}
