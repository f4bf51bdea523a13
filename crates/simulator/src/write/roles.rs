//! Directory role assignments, read and written.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::audit::Target;
use crate::catalog::Kind;
use crate::http::documents;
use crate::http::permission;
use crate::http::reply::{GraphError, Reply};
use crate::http::singletons::ROLES;
use crate::state::State;
use crate::state::roles::RoleAssignment;
use crate::write::Writer;
use crate::write::grants::id_of;

const CONTEXT: &str = "roleManagement/directory/roleAssignments";
const WRITE: &[&str] = &["RoleManagement.ReadWrite.Directory"];

/// `/roleManagement/directory/roleAssignments…`: there is no `PATCH`.
pub(crate) fn answer(writer: &Writer<'_>, raw: &[&str]) -> Result<Reply, GraphError> {
    let call = writer.call;
    match (call.method.as_str(), raw) {
        ("GET", []) => {
            permission::roles(writer.actor)?;
            let state = writer.tenant.state.read();
            let items = state
                .roles
                .all()
                .iter()
                .filter(|(_, held)| is_visible(&state, held))
                .map(|(id, held)| (id.clone(), to_json(id, held)));
            documents::collection(call, CONTEXT, items)
        }
        ("GET", [id]) => {
            permission::roles(writer.actor)?;
            let state = writer.tenant.state.read();
            let held = state
                .roles
                .get(id)
                .filter(|held| is_visible(&state, held))
                .ok_or_else(|| GraphError::not_found(id))?;
            documents::entity(call, &format!("{CONTEXT}/$entity"), to_json(id, held))
        }
        ("POST", []) => {
            permission::any(writer.actor, WRITE)?;
            assign(writer)
        }
        ("DELETE", [id]) => {
            permission::any(writer.actor, WRITE)?;
            let mut guard = writer.tenant.state.write();
            let state = &mut *guard;
            let gone = state
                .roles
                .unassign(id)
                .ok_or_else(|| GraphError::not_found(id))?;
            note(writer, state, &gone, "Remove member from role");
            Ok(Reply::no_content())
        }
        _ => Err(GraphError::method_not_allowed()),
    }
}

/// Assignments of a deleted principal, or over a deleted unit, are hidden until it returns.
pub(crate) fn is_visible(state: &State, held: &RoleAssignment) -> bool {
    let unit = |id| state.object(Kind::AdministrativeUnit, id).is_some();
    state.find(held.principal).is_some() && held.unit.is_none_or(unit)
}

pub(crate) fn to_json(id: &str, held: &RoleAssignment) -> Value {
    json!({
        "id": id,
        "principalId": held.principal.to_string(),
        "directoryScopeId": held.scope(),
        "roleDefinitionId": held.role.to_string(),
    })
}

/// The assignment that a body asks for, as far as its form goes.
pub(crate) fn parse(body: &serde_json::Map<String, Value>) -> Result<RoleAssignment, GraphError> {
    let unit = match body.get("directoryScopeId").and_then(Value::as_str) {
        Some("/") => None,
        Some(scope) => Some(
            scope
                .strip_prefix("/administrativeUnits/")
                .and_then(|id| Uuid::parse_str(id).ok())
                .ok_or_else(|| {
                    GraphError::request("Invalid value specified for property 'directoryScopeId'.")
                })?,
        ),
        None => {
            return Err(GraphError::request(
                "A value is required for property 'directoryScopeId' of resource 'RoleAssignment'.",
            ));
        }
    };
    Ok(RoleAssignment {
        role: id_of(body, "roleDefinitionId")?,
        principal: id_of(body, "principalId")?,
        unit,
    })
}

fn assign(writer: &Writer<'_>) -> Result<Reply, GraphError> {
    let held = parse(&writer.call.object()?)?;
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let role = held.role.to_string();
    if !ROLES.iter().any(|(id, _)| *id == role) {
        return Err(GraphError::not_found(&role));
    }
    let principal = state
        .find(held.principal)
        .ok_or_else(|| GraphError::not_found(&held.principal.to_string()))?;
    let eligible = match principal.kind {
        Kind::User | Kind::ServicePrincipal => true,
        Kind::Group => principal.flag("isAssignableToRole"),
        _ => false,
    };
    if !eligible {
        return Err(GraphError::request(
            "The principal cannot be assigned to a role: groups must be role-assignable.",
        ));
    }
    if let Some(unit) = held.unit {
        state
            .object(Kind::AdministrativeUnit, unit)
            .ok_or_else(|| GraphError::not_found(&unit.to_string()))?;
    }
    if !state.roles.assign(held.clone()) {
        return Err(GraphError::request(
            "A conflicting object with one or more of the specified property values is present in \
             the directory.",
        ));
    }
    note(writer, state, &held, "Add member to role");
    let document = to_json(&held.id(), &held);
    Ok(documents::created(
        writer.call,
        &format!("{CONTEXT}/$entity"),
        document,
    ))
}

fn note(writer: &Writer<'_>, state: &mut State, held: &RoleAssignment, activity: &str) {
    let role = held.role.to_string();
    let name = ROLES
        .iter()
        .find(|(id, _)| *id == role)
        .map_or("", |(_, name)| name);
    let second = state.find(held.principal).cloned();
    let target = Target {
        service: "Core Directory",
        category: "RoleManagement",
        kind: "Role",
        id: role.clone(),
        name: name.to_owned(),
    };
    writer.audit_document(state, activity, &target, &[], second.as_ref());
}
