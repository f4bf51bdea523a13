//! Create, update, delete, restore and purge, the same way for every type.
//!
//! What differs by type is asked of the type's own module.

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::audit::Modified;
use crate::catalog::{Kind, Relation};
use crate::http::permission;
use crate::http::reads::{missing, resolve};
use crate::http::reply::{GraphError, Reply};
use crate::http::view::View;
use crate::odata::Query;
use crate::record::{Detail, Object};
use crate::state::State;
use crate::write::check::{self, Purpose};
use crate::write::{
    Body, Writer, administrative_units, applications, duplicate, groups, invalid_value, locations,
    on_premises, policies, relations, service_principals, users,
};

/// `POST` to a collection.
pub(crate) fn create(writer: &Writer<'_>, kind: Kind) -> Result<Reply, GraphError> {
    make(writer, kind, writer.call.object()?)
}

/// The name in a key such as `(uniqueName=x)`, of the kinds that can be made by it.
fn unique_name(kind: Kind, key: &str) -> Option<&str> {
    let (property, value) = key.strip_prefix('(')?.strip_suffix(')')?.split_once('=')?;
    let is_key = property.eq_ignore_ascii_case("uniqueName");
    (is_key && matches!(kind, Kind::Group | Kind::Application)).then_some(value)
}

fn make(
    writer: &Writer<'_>,
    kind: Kind,
    properties: Map<String, Value>,
) -> Result<Reply, GraphError> {
    permission::write(writer.actor, kind)?;
    let mut body = check::body(kind, Purpose::Create, properties)?;
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    if let Some(name) = body.text("uniqueName")
        && resolve(state, kind, &format!("(uniqueName={name})")).is_ok()
    {
        return Err(duplicate("uniqueName"));
    }
    match kind {
        Kind::User => users::prepare(writer, state, &mut body)?,
        Kind::Group => groups::prepare(writer, state, &mut body)?,
        Kind::Application => applications::prepare(writer, state, &mut body)?,
        Kind::ServicePrincipal => service_principals::prepare(writer, state, &mut body)?,
        Kind::Policy => policies::prepare(writer, state, &mut body)?,
        Kind::Location => locations::prepare(writer, &mut body)?,
        Kind::AdministrativeUnit => administrative_units::prepare(&mut body)?,
        Kind::Grant => return Err(GraphError::method_not_allowed()),
    }
    let links = planned_links(state, &body)?;
    let mut object = state.new_object(kind, &body.properties);
    if matches!(kind, Kind::User | Kind::Group) {
        let mut map = object.record.to_map(kind);
        map.insert(
            "securityIdentifier".into(),
            security_identifier(object.id).into(),
        );
        object.record = crate::record::Record::from_map(kind, &map).0;
    }
    for (relation, target) in &links {
        relations::check_target(state, &object, *relation, *target)?;
    }
    state.insert(object.clone());
    for (relation, target) in links {
        state.link(relation, &object, target);
    }
    let activity = match kind {
        Kind::ServicePrincipal => "Add service principal".to_owned(),
        Kind::Policy => "Add Conditional Access policy".to_owned(),
        Kind::Location => "Add named location".to_owned(),
        _ => format!("Add {}", kind.spoken()),
    };
    let modified = creation_record(&object);
    writer.audit(state, &activity, &object, &modified, None);
    let query = Query::default();
    let view = View {
        state,
        call: writer.call,
        query: &query,
        detail: Detail::List,
        typed: false,
        actor: writer.actor,
    };
    let mut reply = view.entity(kind.collection(), &object);
    reply.status = 201;
    let location = if kind.is_directory_object() {
        format!(
            "{}/v2/{}/directoryObjects/{}/Microsoft.DirectoryServices.{}",
            writer.call.base,
            writer.tenant.spec.id,
            object.id,
            kind.service_name()
        )
    } else {
        format!(
            "{}/v1.0/{}/{}",
            writer.call.base,
            kind.collection(),
            object.id
        )
    };
    Ok(reply.header("location", location))
}

fn creation_record(object: &Object) -> Vec<Modified> {
    if object.kind.is_directory_object() {
        object
            .record
            .to_map(object.kind)
            .into_iter()
            .filter(|(name, _)| !name.ends_with("DateTime"))
            .map(|(name, value)| (name, json!([]), value))
            .collect()
    } else {
        vec![(
            whole_name(object.kind).to_owned(),
            Value::Null,
            whole(object),
        )]
    }
}

fn whole_name(kind: Kind) -> &'static str {
    if kind == Kind::Policy {
        "ConditionalAccessPolicy"
    } else {
        "NamedLocation"
    }
}

fn whole(object: &Object) -> Value {
    let mut map = object.record.to_map(object.kind);
    map.insert("id".into(), object.id.to_string().into());
    Value::Object(map)
}

/// The security identifier that the directory derives from an object's id.
pub(crate) fn security_identifier(id: Uuid) -> String {
    let bytes = id.to_bytes_le();
    let part =
        |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    format!("S-1-12-1-{}-{}-{}-{}", part(0), part(4), part(8), part(12))
}

fn planned_links(state: &State, body: &Body) -> Result<Vec<(Relation, Uuid)>, GraphError> {
    let mut links = Vec::new();
    let lists = [
        (Relation::Members, &body.members[..]),
        (Relation::Owners, &body.owners[..]),
        (Relation::Manager, body.manager.as_slice()),
    ];
    for (relation, references) in lists {
        for reference in references {
            links.push((relation, relations::referenced(state, reference)?));
        }
    }
    Ok(links)
}

/// `PATCH` of one object.
///
/// By its unique name one that is not there is made, where the caller prefers that.
pub(crate) fn update(writer: &Writer<'_>, kind: Kind, key: &str) -> Result<Reply, GraphError> {
    if let Some(name) = unique_name(kind, key)
        && writer.call.prefers("create-if-missing")
        && resolve(&writer.tenant.state.read(), kind, key).is_err()
    {
        let mut properties = writer.call.object()?;
        properties.insert("uniqueName".to_owned(), name.into());
        return make(writer, kind, properties);
    }
    if kind == Kind::User {
        users::permitted(writer)?;
    } else {
        permission::write(writer.actor, kind)?;
    }
    let mut body = check::body(kind, Purpose::Update, writer.call.object()?)?;
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let id = resolve(state, kind, key)?;
    let object = state
        .object(kind, id)
        .cloned()
        .ok_or_else(|| missing(kind, key))?;
    if kind.is_directory_object() {
        for (name, value) in &mut body.properties {
            // A partial complex value changes only what it names.
            if value.is_object() && name != "employeeOrgData" {
                let mut held = object.value(name);
                check::merge(&mut held, value);
                *value = held;
            }
        }
    }
    let mut status = 204;
    match kind {
        Kind::User => users::revise(state, &object, &mut body)?,
        Kind::Group => status = groups::revise(writer, state, &object, &mut body)?,
        Kind::Application => applications::revise(state, &object, &mut body)?,
        Kind::ServicePrincipal => service_principals::revise(&object, &mut body)?,
        Kind::Policy => policies::revise(writer, state, &object, &mut body)?,
        Kind::Location => locations::revise(writer, &object, &mut body)?,
        Kind::AdministrativeUnit => administrative_units::revise(&object, &body)?,
        Kind::Grant => return Err(GraphError::method_not_allowed()),
    }
    let links = planned_links(state, &body)?;
    for (relation, target) in &links {
        relations::check_target(state, &object, *relation, *target)?;
    }
    let changed = state.update(kind, id, &body.properties);
    for (relation, target) in links {
        state.link(relation, &object, target);
        if let Some(second) = state.find(target).cloned() {
            writer.audit(
                state,
                &relations::activity(&object, relation, "Add"),
                &object,
                &[],
                Some(&second),
            );
        }
    }
    let after = state
        .object(kind, id)
        .cloned()
        .unwrap_or_else(|| object.clone());
    if kind == Kind::Application && !changed.is_empty() {
        service_principals::follow(state, &object, &after);
    }
    if !changed.is_empty() {
        let modified = if kind.is_directory_object() {
            changed
                .iter()
                .map(|name| (name.clone(), object.value(name), after.value(name)))
                .collect()
        } else {
            vec![(whole_name(kind).to_owned(), whole(&object), whole(&after))]
        };
        writer.audit(
            state,
            &update_activity(kind, &changed, &after),
            &after,
            &modified,
            None,
        );
    }
    Ok(Reply::raw(status, Vec::new()))
}

fn update_activity(kind: Kind, changed: &[String], after: &Object) -> String {
    match kind {
        Kind::User if changed == ["accountEnabled"] => if after.flag("accountEnabled") {
            "Enable account"
        } else {
            "Disable account"
        }
        .to_owned(),
        Kind::Application if changed.iter().any(|name| name == "keyCredentials") => {
            "Update application - Certificates and secrets management".to_owned()
        }
        Kind::ServicePrincipal => "Update service principal".to_owned(),
        Kind::Policy => "Update Conditional Access policy".to_owned(),
        Kind::Location => "Update named location".to_owned(),
        _ => format!("Update {}", kind.spoken()),
    }
}

/// `DELETE` of one object by key.
pub(crate) fn delete(writer: &Writer<'_>, kind: Kind, key: &str) -> Result<Reply, GraphError> {
    permission::delete(writer.actor, kind)?;
    let id = resolve(&writer.tenant.state.read(), kind, key)?;
    remove(writer, kind, id)
}

/// `DELETE /directoryObjects/{id}`, and what a forgotten `/$ref` amounts to.
pub(crate) fn delete_any(writer: &Writer<'_>, key: &str) -> Result<Reply, GraphError> {
    let kind = Uuid::parse_str(key)
        .ok()
        .and_then(|id| {
            writer
                .tenant
                .state
                .read()
                .find(id)
                .map(|object| object.kind)
        })
        .ok_or_else(|| GraphError::not_found(key))?;
    delete(writer, kind, key)
}

fn remove(writer: &Writer<'_>, kind: Kind, id: Uuid) -> Result<Reply, GraphError> {
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let object = state
        .object(kind, id)
        .cloned()
        .ok_or_else(|| missing(kind, &id.to_string()))?;
    let now = writer.clock.now_seconds();
    match kind {
        Kind::Group if object.flag("onPremisesSyncEnabled") => return Err(on_premises()),
        Kind::Group if object.flag("isAssignableToRole") => {
            permission::any(writer.actor, &["RoleManagement.ReadWrite.Directory"])?;
        }
        Kind::Location if object.flag("isTrusted") => {
            return Err(GraphError::policy(
                1095,
                "Cannot delete a trusted named location. Mark it as not trusted first.",
            ));
        }
        _ => {}
    }
    let hard = kind == Kind::Group && groups::is_hard_deleted(&object);
    if hard {
        state.purge(kind, id);
    } else {
        state.soft_delete(kind, id, &now);
    }
    let activity = match kind {
        Kind::ServicePrincipal => "Remove service principal".to_owned(),
        Kind::Policy => "Delete Conditional Access policy".to_owned(),
        Kind::Location => "Delete named location".to_owned(),
        _ => format!("Delete {}", kind.spoken()),
    };
    writer.audit(state, &activity, &object, &[], None);
    if kind == Kind::Application {
        // The application's service principal in its own tenant goes along.
        let principal = object
            .text("appId")
            .and_then(|app_id| state.by_app_id(Kind::ServicePrincipal, &app_id));
        if let Some(principal) = principal {
            let gone = state.object(Kind::ServicePrincipal, principal).cloned();
            state.soft_delete(Kind::ServicePrincipal, principal, &now);
            if let Some(gone) = gone {
                writer.audit(state, "Remove service principal", &gone, &[], None);
            }
        }
    }
    Ok(Reply::no_content())
}

/// `POST …/restore`.
pub(crate) fn restore(writer: &Writer<'_>, id: Uuid) -> Result<Reply, GraphError> {
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let deleted = state
        .find_deleted(id)
        .cloned()
        .ok_or_else(|| GraphError::not_found(&id.to_string()))?;
    let object = deleted.object;
    let kind = object.kind;
    permission::delete(writer.actor, kind)?;
    let body = if writer.call.body.is_empty() {
        Map::new()
    } else {
        writer.call.object()?
    };
    let new_name = body.get("newUserPrincipalName").and_then(Value::as_str);
    if new_name.is_some() && kind != Kind::User {
        return Err(invalid_value(kind, "newUserPrincipalName"));
    }
    match kind {
        Kind::User => {
            let name = new_name
                .map(str::to_owned)
                .or_else(|| object.text("userPrincipalName"));
            if name.is_some_and(|name| state.user_by_upn(&name).is_some()) {
                return Err(duplicate("userPrincipalName"));
            }
        }
        Kind::Application | Kind::ServicePrincipal => {
            let app_id = object.text("appId").unwrap_or_default();
            if state.by_app_id(kind, &app_id).is_some() {
                return Err(duplicate("appId"));
            }
            let application_is_deleted = kind == Kind::ServicePrincipal
                && state
                    .bin(Kind::Application)
                    .values()
                    .any(|deleted| deleted.object.text("appId").as_deref() == Some(&app_id));
            if application_is_deleted {
                return Err(GraphError::request(format!(
                    "The application with appId '{app_id}' of this service principal is deleted. \
                     Restore the application first."
                )));
            }
        }
        _ => {}
    }
    state.restore(kind, id);
    let mut changes = Map::new();
    if let Some(name) = new_name {
        changes.insert("userPrincipalName".into(), name.into());
    }
    if kind == Kind::Location {
        changes.insert("isTrusted".into(), false.into());
    }
    state.update(kind, id, &changes);
    let restored = state.object(kind, id).cloned().unwrap_or(object);
    let activity = match kind {
        Kind::ServicePrincipal => "Restore service principal".to_owned(),
        Kind::Policy => "Restore Conditional Access policy".to_owned(),
        Kind::Location => "Restore named location".to_owned(),
        _ => format!("Restore {}", kind.spoken()),
    };
    writer.audit(state, &activity, &restored, &[], None);
    let query = Query::default();
    let view = View {
        state,
        call: writer.call,
        query: &query,
        detail: Detail::List,
        typed: kind.is_directory_object(),
        actor: writer.actor,
    };
    let name = if kind.is_directory_object() {
        "directoryObjects"
    } else {
        kind.collection()
    };
    Ok(view.entity(name, &restored))
}

/// `DELETE` of a deleted item: gone for good.
pub(crate) fn purge(writer: &Writer<'_>, id: Uuid) -> Result<Reply, GraphError> {
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let object = state
        .find_deleted(id)
        .map(|deleted| deleted.object.clone())
        .ok_or_else(|| GraphError::not_found(&id.to_string()))?;
    permission::delete(writer.actor, object.kind)?;
    if object.kind == Kind::AdministrativeUnit {
        return Err(GraphError::request(
            "Administrative units cannot be permanently deleted before their time.",
        ));
    }
    state.purge(object.kind, id);
    let activity = match object.kind {
        Kind::ServicePrincipal => "Hard delete service principal".to_owned(),
        Kind::Policy => "Hard delete Conditional Access policy".to_owned(),
        Kind::Location => "Hard delete named location".to_owned(),
        kind => format!("Hard Delete {}", kind.spoken()),
    };
    writer.audit(state, &activity, &object, &[], None);
    Ok(Reply::no_content())
}
