//! Grants, app role assignments, federated credentials and directory role assignments.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Move, Mutator};
use crate::catalog::Kind;
use crate::http::singletons::ROLES;

pub(super) const MOVES: &[(usize, Move)] = &[
    (4, create_grant),
    (3, change_grant),
    (2, delete_grant),
    (6, assign),
    (4, unassign),
];

/// The same of what a tenant has little of at any size.
pub(super) const RARE: &[(usize, Move)] = &[
    (3, create_credential),
    (2, change_credential),
    (2, delete_credential),
    (3, assign_role),
    (2, unassign_role),
];

fn create_grant(m: &mut Mutator<'_>) -> Option<String> {
    let (client, resource) = (
        m.any(Kind::ServicePrincipal)?,
        m.any(Kind::ServicePrincipal)?,
    );
    let principal = if m.ids.chance(500) {
        m.any(Kind::User)
    } else {
        None
    };
    let body = json!({
        "clientId": client,
        "consentType": if principal.is_some() { "Principal" } else { "AllPrincipals" },
        "principalId": principal,
        "resourceId": resource,
        "scope": format!("User.Read {}", m.word()),
    });
    m.create("/oauth2PermissionGrants", &body)
}

fn some_grant(m: &mut Mutator<'_>) -> Option<String> {
    let handle = m.any(Kind::Grant)?;
    let id = m.read(|state| state.wire_id(Kind::Grant, handle));
    Some(format!("/oauth2PermissionGrants/{id}"))
}

fn change_grant(m: &mut Mutator<'_>) -> Option<String> {
    let path = some_grant(m)?;
    let body = json!({ "scope": format!("openid {}", m.word()) });
    m.write("PATCH", &path, Some(&body))
}

fn delete_grant(m: &mut Mutator<'_>) -> Option<String> {
    let path = some_grant(m)?;
    m.write("DELETE", &path, None)
}

fn assign(m: &mut Mutator<'_>) -> Option<String> {
    let resource = m.any(Kind::ServicePrincipal)?;
    let kind = *m
        .ids
        .pick(&[Kind::User, Kind::User, Kind::Group, Kind::ServicePrincipal]);
    let principal = m.any(kind)?;
    let roles = m.value(Kind::ServicePrincipal, resource, "appRoles");
    let role = match roles.as_array().filter(|roles| !roles.is_empty()) {
        Some(roles) => m.ids.pick(roles)["id"].clone(),
        None => json!(Uuid::nil()),
    };
    let body = json!({ "principalId": principal, "resourceId": resource, "appRoleId": role });
    let path = format!("/servicePrincipals/{resource}/appRoleAssignedTo");
    m.create(&path, &body)
}

fn unassign(m: &mut Mutator<'_>) -> Option<String> {
    let near = m.ids.guid();
    let (id, resource) = m.read(|state| {
        let (id, held) = state.grants.assignment_near(near)?;
        Some((id, held.resource))
    })?;
    let path = format!("/servicePrincipals/{resource}/appRoleAssignedTo/{id}");
    m.write("DELETE", &path, None)
}

fn create_credential(m: &mut Mutator<'_>) -> Option<String> {
    let application = m.any(Kind::Application)?;
    let word = m.word();
    let body = json!({
        "name": format!("key-{word}"),
        "issuer": "https://issuer.example",
        "subject": word,
        "audiences": ["api://AzureADTokenExchange"],
    });
    let path = format!("/applications/{application}/federatedIdentityCredentials");
    m.create(&path, &body)
}

fn some_credential(m: &mut Mutator<'_>) -> Option<String> {
    let near = m.ids.guid();
    let (application, held) = m.read(|state| {
        let (application, held) = state.federated.near(near)?;
        Some((*application, held.keys().copied().collect::<Vec<_>>()))
    })?;
    let id = m.ids.pick(&held);
    Some(format!(
        "/applications/{application}/federatedIdentityCredentials/{id}"
    ))
}

fn change_credential(m: &mut Mutator<'_>) -> Option<String> {
    let path = some_credential(m)?;
    let word = m.word();
    let body = match m.ids.below(2) {
        0 => json!({ "subject": word }),
        _ => json!({ "description": if m.ids.chance(300) { Value::Null } else { json!(word) } }),
    };
    m.write("PATCH", &path, Some(&body))
}

fn delete_credential(m: &mut Mutator<'_>) -> Option<String> {
    let path = some_credential(m)?;
    m.write("DELETE", &path, None)
}

fn assign_role(m: &mut Mutator<'_>) -> Option<String> {
    let kind = *m.ids.pick(&[
        Kind::User,
        Kind::User,
        Kind::User,
        Kind::ServicePrincipal,
        Kind::Group,
    ]);
    let principal = m.any(kind)?;
    let (role, _) = *m.ids.pick(ROLES);
    let unit = if m.ids.chance(400) {
        m.any(Kind::AdministrativeUnit)
    } else {
        None
    };
    let body = json!({
        "roleDefinitionId": role,
        "principalId": principal,
        "directoryScopeId": unit.map_or_else(|| "/".to_owned(), |unit| format!("/administrativeUnits/{unit}")),
    });
    m.create("/roleManagement/directory/roleAssignments", &body)
}

fn unassign_role(m: &mut Mutator<'_>) -> Option<String> {
    // Ids begin with the role, so one role is as good a place to look as any.
    let (role, _) = *m.ids.pick(ROLES);
    let from = Uuid::parse_str(role).ok()?;
    let near = crate::state::roles::RoleAssignment {
        role: from,
        principal: m.ids.guid(),
        unit: None,
    }
    .id();
    let id = m.read(|state| {
        let all = state.roles.all();
        let found = all.range(near..).next().or_else(|| all.first_key_value());
        found.map(|(id, _)| id.clone())
    })?;
    m.write(
        "DELETE",
        &format!("/roleManagement/directory/roleAssignments/{id}"),
        None,
    )
}
