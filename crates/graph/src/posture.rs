//! What a posture is judged by, read right now.
//!
//! Owns what is read for that and with which permission each part can be. A part that
//! the application may not read, or that Graph does not have, is handed on as not known;
//! whatever else goes wrong fails the whole, since asking again may help. What it means,
//! the model says.

use std::collections::{BTreeSet, HashMap};

use futures::future::try_join_all;
use model::posture::{BreakGlass, Granted, Known, Principals, Seen, Unread};
use model::{LinkKind, Object, ObjectId, ObjectState, ObjectType};
use serde_json::Value;

use crate::directory::{Directory, Query};
use crate::error::GraphError;
use crate::lists;

/// The application id of Microsoft Graph, in every tenant.
const GRAPH: &str = "00000003-0000-0000-c000-000000000000";

/// Reads everything that there is to know. `registered` are the accounts that must
/// always get in, `writer` is the application that Rewind restores with.
///
/// # Errors
/// Any [`GraphError`] of a read that may go well when it is tried again.
pub async fn look(
    directory: &dyn Directory,
    registered: Vec<ObjectId>,
    writer: Option<String>,
) -> Result<Seen, GraphError> {
    let list =
        |object_type| async move { lists::objects(directory, &Query::Objects(object_type)).await };
    // Conditional Access has one request a second, so that these take longest.
    let slow = async {
        let contexts = list(ObjectType::AuthenticationContextClassReference).await;
        let contexts = known(
            "the authentication contexts",
            "AuthenticationContext.Read.All",
            contexts,
        )?;
        let policies = list(ObjectType::ConditionalAccessPolicy).await;
        let policies = known(
            "the Conditional Access policies",
            "Policy.Read.All",
            policies,
        )?;
        Ok::<_, GraphError>((contexts, policies))
    };
    let quick = async {
        let actions = known(
            "the protected actions",
            "RoleManagement.Read.Directory",
            directory.protected_actions().await,
        )?;
        let strengths = known(
            "the authentication strengths",
            "Policy.Read.All",
            list(ObjectType::AuthenticationStrengthPolicy).await,
        )?;
        let roles = known(
            "the directory roles",
            "RoleManagement.Read.Directory",
            directory.roles().await,
        )?;
        let assignments = known(
            "the role assignments",
            "RoleManagement.Read.Directory",
            list(ObjectType::RoleAssignment).await,
        )?;
        let principals = match &assignments {
            Err(unread) => Err(unread.clone()),
            Ok(assignments) => known(
                "who holds the directory roles",
                "Directory.Read.All",
                principals(directory, assignments).await,
            )?,
        };
        let granted = known(
            "the permissions of applications",
            "Application.Read.All",
            granted(directory).await,
        )?;
        let own = known(
            "Rewind's own application",
            "Application.Read.All",
            own(directory, writer).await,
        )?;
        let break_glass = known(
            "the break-glass accounts",
            "User.Read.All",
            break_glass(directory, &registered).await,
        )?;
        Ok::<_, GraphError>((
            (actions, strengths, roles, assignments),
            (principals, granted, own, break_glass),
        ))
    };
    let ((contexts, policies), (of_roles, of_others)) = futures::try_join!(slow, quick)?;
    let (actions, strengths, roles, assignments) = of_roles;
    let (principals, granted, own, break_glass) = of_others;
    Ok(Seen {
        actions,
        contexts,
        policies,
        strengths,
        roles,
        assignments,
        principals,
        // Without it nobody could tell Rewind from another.
        granted: own.as_ref().map_err(Clone::clone).and(granted),
        registered,
        break_glass,
        own: own.unwrap_or_default(),
    })
}

/// Takes what could not be read, and will not be by asking again, as not known.
fn known<T>(
    what: &'static str,
    permission: &'static str,
    answer: Result<T, GraphError>,
) -> Result<Known<T>, GraphError> {
    let permission = match &answer {
        Ok(_) => None,
        Err(GraphError::Denied { .. }) => Some(permission),
        Err(
            GraphError::Yielded { .. }
            | GraphError::BadRequest { .. }
            | GraphError::NotFound { .. }
            | GraphError::Unexpected { .. }
            | GraphError::Malformed { .. },
        ) => None,
        Err(error) => return Err(error.clone()),
    };
    Ok(answer.map_err(|error| {
        let why = error.to_string();
        tracing::info!(what, why, "a part of the posture is not known");
        Unread {
            what,
            why,
            permission,
        }
    }))
}

/// What those are who hold roles, and the members of groups among them.
async fn principals(
    directory: &dyn Directory,
    assignments: &[Object],
) -> Result<Principals, GraphError> {
    let ids: BTreeSet<ObjectId> = assignments
        .iter()
        .filter_map(|one| id_in(one, "principalId"))
        .collect();
    let mut types = directory
        .existing(&ids.into_iter().collect::<Vec<_>>())
        .await?;
    let groups = types.iter().filter(|(_, name)| name.ends_with("group"));
    let members = groups.map(|(id, _)| async move {
        let members = lists::links(directory, LinkKind::GroupMembers, id).await?;
        Ok::<_, GraphError>((id.clone(), members.into_iter().collect::<BTreeSet<_>>()))
    });
    let members: HashMap<_, _> = try_join_all(members).await?.into_iter().collect();
    let inside: BTreeSet<&ObjectId> = members.values().flatten().collect();
    let inside: Vec<ObjectId> = inside.into_iter().cloned().collect();
    types.extend(directory.existing(&inside).await?);
    Ok(Principals { types, members })
}

/// Who holds which application permission of Microsoft Graph.
async fn granted(directory: &dyn Directory) -> Result<Vec<Granted>, GraphError> {
    let mut all = Vec::new();
    for graph in service_principals(directory, GRAPH).await? {
        let body = graph.body();
        let roles = body.get("appRoles").and_then(Value::as_array);
        let roles = roles.map(Vec::as_slice).unwrap_or_default();
        let permission = |id: &str| {
            let role = roles.iter().find(|role| role["id"] == id)?;
            role["value"].as_str().map(str::to_owned)
        };
        let assigned = Query::Contained(ObjectType::AppRoleAssignment, graph.id.clone());
        for one in lists::objects(directory, &assigned).await? {
            let body = one.body();
            let text = |name: &str| body.get(name).and_then(Value::as_str);
            let held = text("appRoleId").and_then(permission);
            if let (Some(permission), Some(principal)) = (held, id_in(&one, "principalId")) {
                let name = text("principalDisplayName").unwrap_or(principal.as_str());
                all.push(Granted {
                    name: name.to_owned(),
                    principal,
                    permission,
                });
            }
        }
    }
    Ok(all)
}

/// The service principals of the application that restores.
async fn own(
    directory: &dyn Directory,
    writer: Option<String>,
) -> Result<BTreeSet<ObjectId>, GraphError> {
    let Some(writer) = writer else {
        return Ok(BTreeSet::new());
    };
    let found = service_principals(directory, &writer).await?;
    Ok(found.into_iter().map(|one| one.id).collect())
}

async fn service_principals(
    directory: &dyn Directory,
    app_id: &str,
) -> Result<Vec<Object>, GraphError> {
    let Ok(value) = ObjectId::parse(app_id) else {
        return Ok(Vec::new());
    };
    let query = Query::With {
        object_type: ObjectType::ServicePrincipal,
        property: "appId",
        value,
    };
    lists::objects(directory, &query).await
}

/// The accounts that must always get in, and the groups that they are in.
async fn break_glass(
    directory: &dyn Directory,
    registered: &[ObjectId],
) -> Result<BreakGlass, GraphError> {
    if registered.is_empty() {
        return Ok(BreakGlass::default());
    }
    let keys: Vec<_> = registered
        .iter()
        .map(|id| (ObjectType::User, ObjectState::Live, id.clone()))
        .collect();
    let found: Result<Vec<Option<Object>>, GraphError> =
        directory.read_many(&keys).await?.into_iter().collect();
    let users: Vec<Object> = found?.into_iter().flatten().collect();
    let ids = users.iter().map(|user| user.id.clone());
    let memberships = lists::memberships(directory, ids).await?;
    Ok(BreakGlass { users, memberships })
}

/// The id that a property of an object holds.
fn id_in(object: &Object, property: &str) -> Option<ObjectId> {
    let body = object.body();
    ObjectId::parse(body.get(property).and_then(Value::as_str)?).ok()
}
