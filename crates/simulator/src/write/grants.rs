//! Delegated permission grants and app role assignments, read and written.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::catalog::Kind;
use crate::http::links::{self, Cursor};
use crate::http::permission;
use crate::http::reads::resolve;
use crate::http::reply::{GraphError, Reply};
use crate::odata::Query;
use crate::odata::filter::{Filter, dig};
use crate::record::Object;
use crate::state::State;
use crate::state::grants::{Assignment, Grant, Grants};
use crate::write::Writer;

fn id_of(body: &serde_json::Map<String, Value>, name: &str) -> Result<Uuid, GraphError> {
    body.get(name)
        .and_then(Value::as_str)
        .and_then(|id| Uuid::parse_str(id).ok())
        .ok_or_else(|| {
            GraphError::request(format!("Invalid value specified for property '{name}'."))
        })
}

/// A page of rendered items in key order.
fn page(
    writer: &Writer<'_>,
    context: &str,
    items: impl Iterator<Item = (String, Value)>,
) -> Result<Reply, GraphError> {
    let query = Query::parse(&writer.call.query)?;
    let cursor = Cursor::of(&query)?;
    let passes = |item: &Value| {
        query
            .filter
            .as_ref()
            .is_none_or(|filter: &Filter| filter.matches(&|path| dig(item, path)))
    };
    let mut rest: Vec<(String, Value)> = items.filter(|(_, item)| passes(item)).collect();
    rest.sort_by(|a, b| a.0.cmp(&b.0));
    let mut rest = rest
        .into_iter()
        .filter(|(key, _)| cursor.key().is_none_or(|after| key.as_str() > after));
    let page: Vec<(String, Value)> = rest.by_ref().take(query.page_size()).collect();
    let more = rest.next().is_some();
    let last = page.last().map(|(key, _)| key.clone()).filter(|_| more);
    let mut body = json!({
        "@odata.context": writer.call.context(context),
        "value": page.into_iter().map(|(_, item)| item).collect::<Vec<_>>(),
    });
    if let Some(key) = last {
        body["@odata.nextLink"] = links::next(writer.call, &query, &Cursor::AfterKey(key)).into();
    }
    Ok(Reply::json(200, &body))
}

fn grant_json(id: &str, grant: &Grant) -> Value {
    json!({
        "clientId": grant.client.to_string(),
        "consentType": if grant.principal.is_some() { "Principal" } else { "AllPrincipals" },
        "id": id,
        "principalId": grant.principal.map(|id| id.to_string()),
        "resourceId": grant.resource.to_string(),
        "scope": grant.scope,
    })
}

/// Relations of a deleted service principal are hidden until it returns.
fn visible(state: &State, grant: &Grant) -> bool {
    let live = |id| state.object(Kind::ServicePrincipal, id).is_some();
    live(grant.client) && live(grant.resource)
}

/// `/oauth2PermissionGrants…`.
pub(crate) fn delegated(writer: &Writer<'_>, raw: &[&str]) -> Result<Reply, GraphError> {
    const READ: &[&str] = &[
        "Directory.Read.All",
        "DelegatedPermissionGrant.Read.All",
        "DelegatedPermissionGrant.ReadWrite.All",
    ];
    const WRITE: &[&str] = &[
        "DelegatedPermissionGrant.ReadWrite.All",
        "Directory.ReadWrite.All",
    ];
    let call = writer.call;
    match (call.method.as_str(), raw) {
        ("GET", []) => {
            permission::any(writer.actor, READ)?;
            let state = writer.tenant.state.read();
            let items = state
                .grants
                .delegated
                .iter()
                .filter(|(_, grant)| visible(&state, grant))
                .map(|(id, grant)| (id.clone(), grant_json(id, grant)));
            page(writer, "oauth2PermissionGrants", items)
        }
        ("GET", [id]) => {
            permission::any(writer.actor, READ)?;
            let state = writer.tenant.state.read();
            let grant = state
                .grants
                .delegated
                .get(*id)
                .filter(|grant| visible(&state, grant))
                .ok_or_else(|| GraphError::not_found(id))?;
            let mut item = grant_json(id, grant);
            item["@odata.context"] = call.context("oauth2PermissionGrants/$entity").into();
            Ok(Reply::json(200, &item))
        }
        ("POST", []) => {
            permission::any(writer.actor, WRITE)?;
            create_grant(writer)
        }
        ("PATCH", [id]) => {
            permission::any(writer.actor, WRITE)?;
            let body = call.object()?;
            let scope = match (body.len(), body.get("scope").and_then(Value::as_str)) {
                (1, Some(scope)) => scope.to_owned(),
                _ => {
                    return Err(GraphError::request(
                        "Only the property 'scope' can be updated.",
                    ));
                }
            };
            let mut guard = writer.tenant.state.write();
            let state = &mut *guard;
            let grant = state
                .grants
                .delegated
                .get_mut(*id)
                .ok_or_else(|| GraphError::not_found(id))?;
            grant.scope = scope;
            let (client, resource) = (grant.client, grant.resource);
            // The real service has no record of its own for a changed scope either.
            note(
                writer,
                state,
                client,
                resource,
                "Add delegated permission grant",
            );
            Ok(Reply::no_content())
        }
        ("DELETE", [id]) => {
            permission::any(writer.actor, WRITE)?;
            let mut guard = writer.tenant.state.write();
            let state = &mut *guard;
            let grant = state
                .grants
                .delegated
                .remove(*id)
                .ok_or_else(|| GraphError::not_found(id))?;
            note(
                writer,
                state,
                grant.client,
                grant.resource,
                "Remove delegated permission grant",
            );
            Ok(Reply::no_content())
        }
        _ => Err(GraphError::method_not_allowed()),
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
    if state
        .grants
        .delegated
        .contains_key(&Grants::grant_id(client, resource, principal))
    {
        return Err(GraphError::new(
            409,
            "Request_MultipleObjectsWithSameKeyValue",
            "Permission entry already exists.",
        ));
    }
    let grant = Grant {
        client,
        resource,
        principal,
        scope,
    };
    let id = state.grants.add_grant(grant.clone());
    note(
        writer,
        state,
        client,
        resource,
        "Add delegated permission grant",
    );
    let mut item = grant_json(&id, &grant);
    item["@odata.context"] = writer.call.context("oauth2PermissionGrants/$entity").into();
    Ok(Reply::json(201, &item).header(
        "location",
        format!(
            "{}/v2/{}/oauth2PermissionGrants/{id}",
            writer.call.base, writer.tenant.spec.id
        ),
    ))
}

fn note(writer: &Writer<'_>, state: &mut State, object: Uuid, second: Uuid, activity: &str) {
    if let Some(object) = state.find(object).cloned() {
        let second = state.find(second).cloned();
        writer.audit(state, activity, &object, &[], second.as_ref());
    }
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
        .grants
        .delegated
        .iter()
        .filter(|(_, grant)| grant.client == id || grant.principal == Some(id))
        .filter(|(_, grant)| visible(&state, grant))
        .map(|(id, grant)| (id.clone(), grant_json(id, grant)));
    page(writer, "oauth2PermissionGrants", items)
}

fn assignment_json(state: &State, id: &str, assignment: &Assignment) -> Option<Value> {
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
            if to_resource {
                page(
                    writer,
                    &context,
                    state.grants.of_resource(id).filter_map(render),
                )
            } else {
                page(
                    writer,
                    &context,
                    state.grants.of_principal(id).filter_map(render),
                )
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
            note(
                writer,
                state,
                gone.resource,
                gone.principal,
                "Remove app role assignment from service principal",
            );
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
    note(
        writer,
        state,
        resource,
        principal,
        "Add app role assignment to service principal",
    );
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
