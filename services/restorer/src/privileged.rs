//! Who holds directory roles, and which steps of a plan touch them.
//!
//! Owns the reading of role assignments for both questions that a plan asks of them:
//! whether a second person has to approve it, and whether an administrator is left.

use std::collections::{BTreeSet, HashMap, HashSet};

use graph::{DirectoryWriter, GraphError, Query};
use model::approval::{CONDITIONAL_ACCESS, Grounds};
use model::plan::{Action, Step};
use model::snapshot::Content;
use model::{LinkKind, Object, ObjectId, ObjectType};
use serde_json::Value;

use crate::{fresh, relations};

/// The role assignments of the tenant as they are now; `None` where the application may
/// not read them.
pub(crate) async fn assignments(
    directory: &dyn DirectoryWriter,
) -> Result<Option<Vec<Object>>, GraphError> {
    let list = HashSet::from([Query::Objects(ObjectType::RoleAssignment)]);
    match relations::listed(directory, &list).await {
        Ok(found) => Ok(Some(found)),
        Err(error @ GraphError::Denied { .. }) => {
            let error = runtime::status::chain(&error);
            tracing::warn!(error, "who holds directory roles cannot be read");
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Who holds a role, by the property of an assignment.
pub(crate) fn holder(assignment: &Object) -> Option<ObjectId> {
    let body = assignment.body();
    let id = body.get("principalId").and_then(Value::as_str)?;
    ObjectId::parse(id).ok()
}

/// Everybody who holds a directory role now or did in the snapshot: the principals, the
/// members of groups among them, and the applications of service principals; `None`
/// where that cannot be read.
pub(crate) async fn holders(
    directory: &dyn DirectoryWriter,
    base: &Content,
    live: Option<&[Object]>,
) -> Result<Option<HashSet<ObjectId>>, GraphError> {
    let Some(live) = live else {
        return Ok(None);
    };
    let base_assignments = base.objects.iter();
    let base_assignments =
        base_assignments.filter(|object| object.object_type == ObjectType::RoleAssignment);
    let mut holders: HashSet<ObjectId> = live
        .iter()
        .chain(base_assignments)
        .filter_map(holder)
        .collect();
    let principals = holders.clone();
    let asked: Vec<ObjectId> = principals.iter().cloned().collect();
    let Some(types) = types_of(directory, &asked).await? else {
        return Ok(None);
    };
    holders.extend(members_of_groups(directory, &types).await?);
    let in_base = base
        .links
        .iter()
        .filter(|link| link.kind == LinkKind::GroupMembers && principals.contains(&link.source));
    holders.extend(in_base.map(|link| link.target.clone()));
    holders.extend(applications(base, &holders));
    Ok(Some(holders))
}

/// The types of principals, as Graph writes them; `None` where the application may not
/// look them up.
pub(crate) async fn types_of(
    directory: &dyn DirectoryWriter,
    ids: &[ObjectId],
) -> Result<Option<HashMap<ObjectId, String>>, GraphError> {
    if ids.is_empty() {
        return Ok(Some(HashMap::new()));
    }
    match directory.existing(ids).await {
        Ok(types) => Ok(Some(types)),
        Err(GraphError::Denied { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The members of the groups among principals.
pub(crate) async fn members_of_groups(
    directory: &dyn DirectoryWriter,
    types: &HashMap<ObjectId, String>,
) -> Result<BTreeSet<ObjectId>, GraphError> {
    let groups = types.iter().filter(|(_, name)| name.ends_with("group"));
    let groups: Vec<(LinkKind, ObjectId)> = groups
        .map(|(id, _)| (LinkKind::GroupMembers, id.clone()))
        .collect();
    let members = fresh::links(directory, &groups).await?;
    Ok(members.into_iter().map(|link| link.target).collect())
}

/// The registrations of the service principals among holders.
fn applications(base: &Content, holders: &HashSet<ObjectId>) -> Vec<ObjectId> {
    let app_id = |object: &Object| {
        let body = object.body();
        body.get("appId").and_then(Value::as_str).map(str::to_owned)
    };
    let of_type = |object_type: ObjectType| {
        let objects = base.objects.iter();
        objects.filter(move |object| object.object_type == object_type)
    };
    let held: HashSet<String> = of_type(ObjectType::ServicePrincipal)
        .filter(|object| holders.contains(&object.id))
        .filter_map(app_id)
        .collect();
    if held.is_empty() {
        return Vec::new();
    }
    of_type(ObjectType::Application)
        .filter(|object| app_id(object).is_some_and(|id| held.contains(&id)))
        .map(|object| object.id.clone())
        .collect()
}

/// What approval policies look at in a plan of these steps. Without the holders of
/// directory roles any principal may be one.
pub(crate) fn grounds(steps: &[Step], holders: Option<&HashSet<ObjectId>>) -> Grounds {
    let is_principal = |step: &Step| {
        matches!(
            step.object.object_type,
            ObjectType::User
                | ObjectType::Group
                | ObjectType::Application
                | ObjectType::ServicePrincipal
        )
    };
    let is_privileged = |step: &&Step| {
        step.object.object_type == ObjectType::RoleAssignment
            // What holders of roles may do.
            || step.action == Action::Protect
            // Whom it gives something to, or a way in, may be a holder.
            || (step.object.object_type.spec().relation.is_some()
                && step.action == Action::MakeAnew)
            || holders.is_some_and(|holders| holders.contains(&step.object.id))
    };
    let touched = steps.iter().filter(is_privileged);
    let privileged: BTreeSet<_> = touched.map(|step| step.object.clone()).collect();
    Grounds {
        steps: steps.len(),
        conditional_access: steps
            .iter()
            .any(|step| CONDITIONAL_ACCESS.contains(&step.object.object_type)),
        privileged: privileged.into_iter().collect(),
        holders_unknown: holders.is_none() && steps.iter().any(is_principal),
    }
}
