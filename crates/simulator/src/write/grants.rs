//! Delegated permission grants, written, and app role assignments, read and written.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::audit::Modified;
use crate::catalog::Kind;
use crate::http::documents;
use crate::http::permission;
use crate::http::reads::resolve;
use crate::http::reply::{GraphError, Reply};
use crate::record::{Detail, Object, parse};
use crate::state::State;
use crate::state::grants::{Assignment, Grant, handle};
use crate::write::Writer;

/// The GUID that a body names.
pub(crate) fn id_of(body: &serde_json::Map<String, Value>, name: &str) -> Result<Uuid, GraphError> {
    body.get(name)
        .and_then(Value::as_str)
        .and_then(|id| Uuid::parse_str(id).ok())
        .ok_or_else(|| {
            GraphError::request(format!("Invalid value specified for property '{name}'."))
        })
}

/// Writes to `/oauth2PermissionGrants…`.
pub(crate) fn delegated(writer: &Writer<'_>, raw: &[&str]) -> Result<Reply, GraphError> {
    permission::write(writer.actor, Kind::Grant)?;
    match (writer.call.method.as_str(), raw) {
        ("POST", []) => create_grant(writer),
        ("PATCH", [id]) => {
            let body = writer.call.object()?;
            let scope = match (body.len(), body.get("scope")) {
                (1, Some(scope @ Value::String(_))) => scope.clone(),
                _ => {
                    return Err(GraphError::request(
                        "Only the property 'scope' can be updated.",
                    ));
                }
            };
            let mut guard = writer.tenant.state.write();
            let state = &mut *guard;
            let mut grant = held(state, id)?;
            scope
                .as_str()
                .unwrap_or_default()
                .clone_into(&mut grant.scope);
            let changes = Map::from_iter([("scope".to_owned(), scope)]);
            state.update(Kind::Grant, handle(id), &changes);
            // The real service has no record of its own for a changed scope either.
            note_grant(writer, state, &grant, "Add delegated permission grant");
            Ok(Reply::no_content())
        }
        ("DELETE", [id]) => {
            let mut guard = writer.tenant.state.write();
            let state = &mut *guard;
            let grant = held(state, id)?;
            state.purge(Kind::Grant, handle(id));
            note_grant(writer, state, &grant, "Remove delegated permission grant");
            Ok(Reply::no_content())
        }
        _ => Err(GraphError::method_not_allowed()),
    }
}

fn held(state: &State, id: &str) -> Result<Grant, GraphError> {
    state
        .object(Kind::Grant, handle(id))
        .map(Grant::of)
        .ok_or_else(|| GraphError::not_found(id))
}

/// For whom a grant is stands among the values, and nowhere else.
fn note_grant(writer: &Writer<'_>, state: &mut State, grant: &Grant, activity: &str) {
    let consent = if grant.principal.is_some() {
        "Principal"
    } else {
        "AllPrincipals"
    };
    let said = [
        ("DelegatedPermissionGrant.Scope", grant.scope.as_str()),
        ("DelegatedPermissionGrant.ConsentType", consent),
    ];
    let modified: Vec<Modified> = said
        .into_iter()
        .map(|(name, value)| match activity.starts_with("Remove") {
            true => (name.to_owned(), value.into(), Value::Null),
            false => (name.to_owned(), Value::Null, value.into()),
        })
        .collect();
    if let Some(client) = state.find(grant.client).cloned() {
        let resource = state.find(grant.resource).cloned();
        writer.audit(state, activity, &client, &modified, resource.as_ref());
    }
}

fn create_grant(writer: &Writer<'_>) -> Result<Reply, GraphError> {
    let body = writer.call.object()?;
    let (client, resource) = (id_of(&body, "clientId")?, id_of(&body, "resourceId")?);
    let principal = match body.get("consentType").and_then(Value::as_str) {
        Some("AllPrincipals") => None,
        Some("Principal") => Some(id_of(&body, "principalId")?),
        _ => {
            return Err(GraphError::request(
                "Invalid value specified for property 'consentType'.",
            ));
        }
    };
    let scope = body
        .get("scope")
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    for id in [client, resource] {
        state
            .object(Kind::ServicePrincipal, id)
            .ok_or_else(|| GraphError::not_found(&id.to_string()))?;
    }
    if let Some(principal) = principal {
        state
            .object(Kind::User, principal)
            .ok_or_else(|| GraphError::not_found(&principal.to_string()))?;
    }
    let grant = Grant {
        client,
        resource,
        principal,
        scope,
    };
    let object = state.grant(&grant).ok_or_else(|| {
        GraphError::new(
            409,
            "Request_MultipleObjectsWithSameKeyValue",
            "Permission entry already exists.",
        )
    })?;
    note_grant(writer, state, &grant, "Add delegated permission grant");
    let location = format!(
        "{}/v2/{}/oauth2PermissionGrants/{}",
        writer.call.base,
        writer.tenant.spec.id,
        grant.id()
    );
    let reply = documents::created(
        writer.call,
        "oauth2PermissionGrants/$entity",
        document(&object),
    );
    Ok(reply.header("location", location))
}

fn document(grant: &Object) -> Value {
    let mut shown = vec![b'{'];
    grant.render(&mut shown, None, Detail::Single);
    shown.push(b'}');
    parse(&shown)
}

/// The names of activities differ by what is assigned.
fn note_assignment(writer: &Writer<'_>, state: &mut State, of: &Assignment, verb: Verb) {
    let principal = state.find(of.principal).cloned();
    let activity = match (principal.as_ref().map(|it| it.kind), verb) {
        (Some(Kind::User), Verb::Add) => "Add app role assignment grant to user",
        (Some(Kind::User), Verb::Remove) => "Remove app role assignment from user",
        (Some(Kind::Group), Verb::Add) => "Add app role assignment to group",
        (Some(Kind::Group), Verb::Remove) => "Remove app role assignment from group",
        (_, Verb::Add) => "Add app role assignment to service principal",
        (_, Verb::Remove) => "Remove app role assignment from service principal",
    };
    if let Some(resource) = state.find(of.resource).cloned() {
        writer.audit(state, activity, &resource, &[], principal.as_ref());
    }
}

#[derive(Clone, Copy)]
enum Verb {
    Add,
    Remove,
}

/// `GET /{users|servicePrincipals}/{id}/oauth2PermissionGrants`.
pub(crate) fn delegated_of(
    writer: &Writer<'_>,
    kind: Kind,
    key: &str,
) -> Result<Reply, GraphError> {
    permission::read(writer.actor, kind)?;
    let state = writer.tenant.state.read();
    let id = resolve(&state, kind, key)?;
    let items = state
        .grants_of(id)
        .into_iter()
        .filter_map(|grant| state.object(Kind::Grant, grant))
        .map(|grant| (grant, Grant::of(grant)))
        .filter(|(_, grant)| grant.client == id || grant.principal == Some(id))
        .map(|(object, grant)| (grant.id(), document(object)));
    let mut items: Vec<(String, Value)> = items.collect();
    items.sort_by(|one, other| one.0.cmp(&other.0));
    documents::collection(writer.call, "oauth2PermissionGrants", items.into_iter())
}

pub(crate) fn assignment_json(state: &State, id: &str, assignment: &Assignment) -> Option<Value> {
    let principal = state.find(assignment.principal)?;
    let resource = state.find(assignment.resource)?;
    Some(json!({
        "id": id,
        "deletedDateTime": null,
        "appRoleId": assignment.role.to_string(),
        "createdDateTime": assignment.created,
        "principalDisplayName": principal.value("displayName"),
        "principalId": principal.id.to_string(),
        "principalType": principal.kind.service_name(),
        "resourceDisplayName": resource.value("displayName"),
        "resourceId": resource.id.to_string(),
    }))
}

/// `…/{id}/appRoleAssignments` and `/servicePrincipals/{id}/appRoleAssignedTo`.
pub(crate) fn assignments(
    writer: &Writer<'_>,
    kind: Kind,
    raw: &[&str],
) -> Result<Reply, GraphError> {
    let call = writer.call;
    let to_resource = raw[1].eq_ignore_ascii_case("appRoleAssignedTo");
    if kind == Kind::Application || (to_resource && kind != Kind::ServicePrincipal) {
        return Err(GraphError::no_segment(raw[1]));
    }
    if call.is_get() {
        permission::read(writer.actor, kind)?;
    } else {
        permission::any(writer.actor, &["AppRoleAssignment.ReadWrite.All"])?;
    }
    let id = resolve(&writer.tenant.state.read(), kind, raw[0])?;
    let context = format!("{}('{id}')/{}", kind.collection(), raw[1]);
    match (call.method.as_str(), &raw[2..]) {
        ("GET", []) => {
            let state = writer.tenant.state.read();
            let render = |(own, assignment): (String, &Assignment)| {
                assignment_json(&state, &own, assignment).map(|item| (own, item))
            };
            let after = documents::after(call)?;
            if to_resource {
                let held = state.grants.of_resource(id, after.as_deref());
                documents::page(call, &context, held.filter_map(render))
            } else {
                let held = state.grants.of_principal(id, after.as_deref());
                documents::page(call, &context, held.filter_map(render))
            }
        }
        ("GET", [own]) => {
            let state = writer.tenant.state.read();
            let mut item = state
                .grants
                .assignment(own)
                .and_then(|assignment| assignment_json(&state, own, assignment))
                .ok_or_else(|| GraphError::not_found(own))?;
            item["@odata.context"] = call.context(&format!("{context}/$entity")).into();
            Ok(Reply::json(200, &item))
        }
        ("POST", []) => assign(writer, &context),
        ("DELETE", [own]) => {
            let mut guard = writer.tenant.state.write();
            let state = &mut *guard;
            let gone = state
                .grants
                .unassign(own)
                .ok_or_else(|| GraphError::not_found(own))?;
            note_assignment(writer, state, &gone, Verb::Remove);
            Ok(Reply::no_content())
        }
        _ => Err(GraphError::method_not_allowed()),
    }
}

fn assign(writer: &Writer<'_>, context: &str) -> Result<Reply, GraphError> {
    let body = writer.call.object()?;
    let (principal, resource) = (id_of(&body, "principalId")?, id_of(&body, "resourceId")?);
    let role = id_of(&body, "appRoleId")?;
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    state
        .find(principal)
        .ok_or_else(|| GraphError::not_found(&principal.to_string()))?;
    let target = state
        .object(Kind::ServicePrincipal, resource)
        .ok_or_else(|| GraphError::not_found(&resource.to_string()))?;
    if !role.is_nil() && !has_role(target, role) {
        return Err(GraphError::request(
            "Permission being assigned was not found on application.",
        ));
    }
    if state.grants.is_assigned(principal, resource, role) {
        return Err(GraphError::request(
            "Permission being assigned already exists on the object.",
        ));
    }
    let assignment = Assignment {
        principal,
        resource,
        role,
        created: writer.clock.now_precise(),
    };
    let own = state.ids.guid();
    let id = state.grants.assign(own, assignment.clone());
    note_assignment(writer, state, &assignment, Verb::Add);
    let mut item = assignment_json(state, &id, &assignment)
        .ok_or_else(|| GraphError::not_found(&principal.to_string()))?;
    item["@odata.context"] = writer.call.context(&format!("{context}/$entity")).into();
    Ok(Reply::json(201, &item))
}

fn has_role(resource: &Object, role: Uuid) -> bool {
    resource
        .value("appRoles")
        .as_array()
        .into_iter()
        .flatten()
        .any(|held| held["id"].as_str().and_then(|id| Uuid::parse_str(id).ok()) == Some(role))
}
