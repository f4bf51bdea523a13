//! Adding and removing links: members, owners, managers, sponsors.

use serde_json::Value;
use uuid::Uuid;

use crate::catalog::{Kind, Relation};
use crate::http::permission;
use crate::http::reads::resolve;
use crate::http::reply::{GraphError, Reply};
use crate::odata;
use crate::record::Object;
use crate::state::State;
use crate::write::{Writer, administrative_units, groups, lifecycle, on_premises};

/// `POST`, `PUT` and `DELETE` below `/{collection}/{id}/{relation}`.
pub(crate) fn answer(writer: &Writer<'_>, kind: Kind, raw: &[&str]) -> Result<Reply, GraphError> {
    let name = raw.get(1).copied().unwrap_or_default().to_lowercase();
    let relation = Relation::of(kind, &name).ok_or_else(|| GraphError::no_segment(raw[1]))?;
    match (writer.call.method.as_str(), &raw[2..]) {
        ("POST", ["$ref"]) if relation != Relation::Manager => add(writer, kind, raw[0], relation),
        ("PUT", ["$ref"]) if relation == Relation::Manager => add(writer, kind, raw[0], relation),
        ("DELETE", ["$ref"]) if relation == Relation::Manager => {
            remove(writer, kind, raw[0], relation, None)
        }
        ("DELETE", [target, "$ref"]) => remove(writer, kind, raw[0], relation, Some(target)),
        // Without `/$ref` the path names the object, and the object is what goes.
        ("DELETE", [target]) => {
            let state = writer.tenant.state.read();
            let id = resolve(&state, kind, raw[0])?;
            let target = Uuid::parse_str(target).map_err(|_| GraphError::not_found(target))?;
            if !state.is_linked(relation, id, target) {
                return Err(GraphError::not_found(&target.to_string()));
            }
            drop(state);
            lifecycle::delete_any(writer, &target.to_string())
        }
        _ => Err(GraphError::method_not_allowed()),
    }
}

/// The live object that an `@odata.id` names.
pub(crate) fn referenced(state: &State, reference: &str) -> Result<Uuid, GraphError> {
    let path = reference.split("/v1.0/").last().unwrap_or(reference);
    let segments = odata::segments(path);
    let key = segments.last().map_or("", String::as_str);
    let id = Uuid::parse_str(key)
        .ok()
        .or_else(|| state.user_by_upn(key))
        .ok_or_else(|| {
            GraphError::bad(
                "BadRequest",
                format!("Invalid URL format specified in @odata.id: '{reference}'."),
            )
        })?;
    if state.find(id).is_some() {
        Ok(id)
    } else {
        Err(GraphError::not_found(key))
    }
}

fn permitted(writer: &Writer<'_>, object: &Object) -> Result<(), GraphError> {
    if writer.actor.may(&["GroupMember.ReadWrite.All"]) && object.kind == Kind::Group {
        // The narrow permission is enough for members.
    } else {
        permission::write(writer.actor, object.kind)?;
    }
    if object.flag("isAssignableToRole") {
        permission::any(writer.actor, &["RoleManagement.ReadWrite.Directory"])?;
    }
    Ok(())
}

/// # Errors
/// 400 when the object may not hold this link.
pub(crate) fn check_target(
    state: &State,
    object: &Object,
    relation: Relation,
    target: Uuid,
) -> Result<(), GraphError> {
    let refused = |message: &str| Err(GraphError::request(message));
    let held = state
        .find(target)
        .ok_or_else(|| GraphError::not_found(&target.to_string()))?;
    if relation != Relation::Manager && state.is_linked(relation, object.id, target) {
        return refused(&format!(
            "One or more added object references already exist for the following modified \
             properties: '{}'.",
            relation.name()
        ));
    }
    match relation {
        Relation::Members if object.kind == Kind::AdministrativeUnit => {
            changeable_members(object)?;
            if !matches!(held.kind, Kind::User | Kind::Group) {
                return refused("An invalid member was specified.");
            }
        }
        Relation::Members => {
            changeable_members(object)?;
            let unified = object.has_item("groupTypes", "Unified");
            let target_unified = held.has_item("groupTypes", "Unified");
            if held.kind == Kind::Group && (unified || target_unified) {
                return refused(
                    "Groups of this type cannot be nested: the specified member is not valid.",
                );
            }
            if object.flag("isAssignableToRole") && held.kind == Kind::Group {
                return refused("A group cannot be a member of a role-assignable group.");
            }
            if matches!(held.kind, Kind::Application | Kind::AdministrativeUnit)
                || target == object.id
            {
                return refused("An invalid member was specified.");
            }
        }
        Relation::Owners if !matches!(held.kind, Kind::User | Kind::ServicePrincipal) => {
            return refused("An invalid owner was specified.");
        }
        Relation::Manager if held.kind != Kind::User || target == object.id => {
            return refused("An invalid manager was specified.");
        }
        Relation::Sponsors if !matches!(held.kind, Kind::User | Kind::Group) => {
            return refused("An invalid sponsor was specified.");
        }
        _ => {}
    }
    Ok(())
}

fn changeable_members(group: &Object) -> Result<(), GraphError> {
    if group.flag("onPremisesSyncEnabled") {
        return Err(on_premises());
    }
    if groups::is_dynamic(group) || administrative_units::is_dynamic(group) {
        return Err(groups::dynamic_members());
    }
    if groups::is_hard_deleted(group) {
        return Err(GraphError::request(
            "Cannot Update a mail-enabled security groups and or distribution list.",
        ));
    }
    Ok(())
}

fn add(
    writer: &Writer<'_>,
    kind: Kind,
    key: &str,
    relation: Relation,
) -> Result<Reply, GraphError> {
    let body = writer.call.object()?;
    let reference = body
        .get("@odata.id")
        .and_then(Value::as_str)
        .ok_or_else(|| {
            GraphError::bad("BadRequest", "The request body must contain '@odata.id'.")
        })?;
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let id = resolve(state, kind, key)?;
    let object = state
        .object(kind, id)
        .cloned()
        .ok_or_else(|| GraphError::not_found(key))?;
    permitted(writer, &object)?;
    if relation == Relation::Manager && object.flag("onPremisesSyncEnabled") {
        return Err(on_premises());
    }
    let target = referenced(state, reference)?;
    check_target(state, &object, relation, target)?;
    if relation == Relation::Manager {
        for old in state.targets(Relation::Manager, id).to_vec() {
            if old != target {
                state.unlink(relation, kind, id, old);
            }
        }
    }
    state.link(relation, &object, target);
    let second = state.find(target).cloned();
    writer.audit(
        state,
        &activity(&object, relation, "Add"),
        &object,
        &[],
        second.as_ref(),
    );
    Ok(Reply::no_content())
}

fn remove(
    writer: &Writer<'_>,
    kind: Kind,
    key: &str,
    relation: Relation,
    target: Option<&str>,
) -> Result<Reply, GraphError> {
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let id = resolve(state, kind, key)?;
    let object = state
        .object(kind, id)
        .cloned()
        .ok_or_else(|| GraphError::not_found(key))?;
    permitted(writer, &object)?;
    let target = match target {
        Some(target) => Uuid::parse_str(target).map_err(|_| GraphError::not_found(target))?,
        None => *state
            .targets(relation, id)
            .first()
            .ok_or_else(|| GraphError::not_found(relation.name()))?,
    };
    if relation == Relation::Members {
        changeable_members(&object)?;
    }
    if relation == Relation::Manager && object.flag("onPremisesSyncEnabled") {
        return Err(on_premises());
    }
    if !state.is_linked(relation, id, target) || state.find(target).is_none() {
        return Err(GraphError::not_found(&target.to_string()));
    }
    let last_owner = relation == Relation::Owners
        && object.has_item("groupTypes", "Unified")
        && state.live_targets(relation, id, None).count() == 1;
    if last_owner {
        return Err(GraphError::request(
            "The group must have at least one owner, hence this owner cannot be removed.",
        ));
    }
    let second = state.find(target).cloned();
    state.unlink(relation, kind, id, target);
    writer.audit(
        state,
        &activity(&object, relation, "Remove"),
        &object,
        &[],
        second.as_ref(),
    );
    Ok(Reply::no_content())
}

/// The name of the audit record for a link.
pub(crate) fn activity(object: &Object, relation: Relation, verb: &str) -> String {
    let preposition = if verb == "Add" { "to" } else { "from" };
    let kind = object.kind.spoken();
    match relation {
        Relation::Members => format!("{verb} member {preposition} {kind}"),
        Relation::Owners => format!("{verb} owner {preposition} {kind}"),
        Relation::Manager if verb == "Add" => "Set user manager".to_owned(),
        Relation::Manager => "Remove user manager".to_owned(),
        Relation::Sponsors => format!("{verb} sponsor {preposition} user"),
    }
}
