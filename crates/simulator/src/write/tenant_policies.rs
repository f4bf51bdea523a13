//! The policies that a tenant has one of, and the organisation: read and changed, never made.

use serde_json::{Map, Value};

use crate::audit::Target;
use crate::http::documents::{self, Allowed};
use crate::http::permission;
use crate::http::reply::{GraphError, Reply};
use crate::state::State;
use crate::state::settings;
use crate::write::Writer;
use crate::write::check::merge;

const AUTHORIZATION: Allowed<'_> = &[
    ("allowInvitesFrom", is_inviters),
    ("allowedToSignUpEmailBasedSubscriptions", documents::is_flag),
    ("allowedToUseSSPR", documents::is_flag),
    (
        "allowEmailVerifiedUsersToJoinOrganization",
        documents::is_flag,
    ),
    ("allowUserConsentForRiskyApps", documents::is_flag_or_null),
    ("blockMsolPowerShell", documents::is_flag_or_null),
    ("defaultUserRolePermissions", documents::is_object_or_null),
    ("description", documents::is_text),
    ("displayName", documents::is_text),
    ("guestUserRoleId", is_guest_role),
];
const METHODS: Allowed<'_> = &[
    ("policyMigrationState", is_migration),
    ("reconfirmationInDays", documents::is_number_or_null),
    ("registrationEnforcement", documents::is_object_or_null),
];
const ORGANIZATION: Allowed<'_> = &[
    ("marketingNotificationEmails", documents::is_texts),
    ("privacyProfile", documents::is_object_or_null),
    ("securityComplianceNotificationMails", documents::is_texts),
    ("securityComplianceNotificationPhones", documents::is_texts),
    ("technicalNotificationMails", documents::is_texts),
];

fn one_of(value: &Value, names: &[&str]) -> bool {
    value.as_str().is_some_and(|text| names.contains(&text))
}

fn is_inviters(value: &Value) -> bool {
    let known = [
        "none",
        "adminsAndGuestInviters",
        "adminsGuestInvitersAndAllMembers",
        "everyone",
    ];
    one_of(value, &known)
}

/// User, guest user, restricted guest user.
fn is_guest_role(value: &Value) -> bool {
    let known = [
        "a0b1b346-4d3e-4e8b-98f8-753987be4970",
        "10dae51f-b6af-4016-8d66-8c2a99b929b3",
        "2af84b1e-32c8-42b7-82bc-daa82404023b",
    ];
    one_of(value, &known)
}

fn is_migration(value: &Value) -> bool {
    one_of(
        value,
        &["preMigration", "migrationInProgress", "migrationComplete"],
    )
}

fn target(name: &str, id: &Value) -> Target {
    Target {
        service: "Core Directory",
        category: "Policy",
        kind: "Policy",
        id: id.as_str().unwrap_or_default().to_owned(),
        name: name.to_owned(),
    }
}

/// What a body makes of a document: complex values change only in what the body names.
fn revised(held: &Value, body: Map<String, Value>) -> Value {
    let mut document = held.clone();
    for (name, value) in body {
        if !name.starts_with("@odata.") {
            merge(&mut document[name], &value);
        }
    }
    document
}

/// `/policies/authorizationPolicy`.
pub(crate) fn authorization(writer: &Writer<'_>) -> Result<Reply, GraphError> {
    let call = writer.call;
    match call.method.as_str() {
        "GET" => {
            permission::any(
                writer.actor,
                &["Policy.Read.All", "Policy.ReadWrite.Authorization"],
            )?;
            let document = writer.tenant.state.read().settings.authorization.clone();
            documents::entity(call, "policies/authorizationPolicy/$entity", document)
        }
        "PATCH" => {
            permission::any(writer.actor, &["Policy.ReadWrite.Authorization"])?;
            let body = call.object()?;
            documents::check(&body, AUTHORIZATION)?;
            let mut guard = writer.tenant.state.write();
            let state = &mut *guard;
            let old = state.settings.authorization.clone();
            let new = revised(&old, body);
            state.settings.authorization = new.clone();
            note(writer, state, "Update authorization policy", &old, &new);
            Ok(Reply::no_content())
        }
        _ => Err(GraphError::method_not_allowed()),
    }
}

/// `/organization…`: a list of one.
pub(crate) fn organization(writer: &Writer<'_>, raw: &[&str]) -> Result<Reply, GraphError> {
    const READ: &[&str] = &[
        "Organization.Read.All",
        "Organization.ReadWrite.All",
        "User.Read.All",
        "Directory.Read.All",
        "Directory.ReadWrite.All",
    ];
    let call = writer.call;
    let own = |id: &str| {
        if id.eq_ignore_ascii_case(&writer.tenant.spec.id) {
            Ok(())
        } else {
            Err(GraphError::not_found(id))
        }
    };
    let document = || writer.tenant.state.read().settings.organization.clone();
    match (call.method.as_str(), raw) {
        ("GET", []) => {
            permission::any(writer.actor, READ)?;
            let items = std::iter::once((writer.tenant.spec.id.clone(), document()));
            documents::collection(call, "organization", items)
        }
        ("GET", [id]) => {
            permission::any(writer.actor, READ)?;
            own(id)?;
            documents::entity(call, "organization/$entity", document())
        }
        ("PATCH", [id]) => {
            permission::any(writer.actor, &["Organization.ReadWrite.All"])?;
            own(id)?;
            let body = call.object()?;
            documents::check(&body, ORGANIZATION)?;
            let mut guard = writer.tenant.state.write();
            let state = &mut *guard;
            let old = state.settings.organization.clone();
            let new = revised(&old, body);
            state.settings.organization = new.clone();
            note(writer, state, "Update company settings", &old, &new);
            Ok(Reply::no_content())
        }
        _ => Err(GraphError::method_not_allowed()),
    }
}

/// `/policies/authenticationMethodsPolicy…`.
pub(crate) fn methods(writer: &Writer<'_>, raw: &[&str]) -> Result<Reply, GraphError> {
    let call = writer.call;
    if call.is_get() {
        permission::any(writer.actor, permission::READ_METHODS)?;
    } else {
        permission::any(writer.actor, permission::WRITE_METHODS)?;
    }
    let configurations = raw
        .first()
        .is_some_and(|part| part.eq_ignore_ascii_case("authenticationMethodConfigurations"));
    match (call.method.as_str(), raw) {
        ("GET", []) => {
            let document = writer.tenant.state.read().settings.methods.clone();
            documents::entity(call, "authenticationMethodsPolicy", document)
        }
        ("PATCH", []) => {
            let body = call.object()?;
            documents::check(&body, METHODS)?;
            let mut guard = writer.tenant.state.write();
            let new = revised(&guard.settings.methods, body);
            store_methods(writer, &mut guard, new);
            Ok(Reply::no_content())
        }
        ("GET", [_]) if configurations => {
            let state = writer.tenant.state.read();
            let items = held_configurations(&state)
                .iter()
                .map(|item| (key(item).to_owned(), item.clone()));
            documents::page(call, "authenticationMethodConfigurations", items)
        }
        ("GET", [_, id]) if configurations => {
            let state = writer.tenant.state.read();
            let (_, found) = configuration(&state, id)?;
            documents::entity(call, "authenticationMethodConfigurations/$entity", found)
        }
        ("PATCH", [_, id]) if configurations => change_configuration(writer, id),
        ("DELETE", [_, id]) if configurations => reset_configuration(writer, id),
        _ => Err(GraphError::method_not_allowed()),
    }
}

fn key(configuration: &Value) -> &str {
    configuration["id"].as_str().unwrap_or_default()
}

fn held_configurations(state: &State) -> &[Value] {
    state.settings.methods["authenticationMethodConfigurations"]
        .as_array()
        .map_or(&[], Vec::as_slice)
}

fn configuration(state: &State, id: &str) -> Result<(usize, Value), GraphError> {
    held_configurations(state)
        .iter()
        .position(|held| key(held).eq_ignore_ascii_case(id))
        .map(|at| (at, held_configurations(state)[at].clone()))
        .ok_or_else(|| GraphError::not_found(id))
}

fn change_configuration(writer: &Writer<'_>, id: &str) -> Result<Reply, GraphError> {
    let body = writer.call.object()?;
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let (at, mut held) = configuration(state, id)?;
    if body.get("@odata.type") != Some(&held["@odata.type"]) {
        return Err(GraphError::request(
            "The '@odata.type' of the authentication method configuration is missing or wrong.",
        ));
    }
    for (name, value) in body {
        let fits = match name.as_str() {
            _ if name.contains("@odata.") => continue,
            "id" => value
                .as_str()
                .is_some_and(|given| given.eq_ignore_ascii_case(id)),
            "state" => one_of(&value, &["enabled", "disabled"]),
            "includeTargets" | "excludeTargets" => documents::is_objects(&value),
            // Members of the type; the first write of one may come before the service shows it.
            _ => true,
        };
        if !fits {
            return Err(GraphError::request(format!(
                "Invalid value specified for property '{name}'."
            )));
        }
        if name != "id" {
            merge(&mut held[name], &value);
        }
    }
    let mut document = state.settings.methods.clone();
    document["authenticationMethodConfigurations"][at] = held;
    store_methods(writer, state, document);
    Ok(Reply::no_content())
}

/// Deleting a configuration brings back the one of a new tenant.
fn reset_configuration(writer: &Writer<'_>, id: &str) -> Result<Reply, GraphError> {
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let (at, held) = configuration(state, id)?;
    let fresh = settings::configurations()
        .into_iter()
        .find(|fresh| fresh["id"] == held["id"])
        .ok_or_else(GraphError::method_not_allowed)?;
    let mut document = state.settings.methods.clone();
    document["authenticationMethodConfigurations"][at] = fresh;
    store_methods(writer, state, document);
    Ok(Reply::no_content())
}

fn store_methods(writer: &Writer<'_>, state: &mut State, mut new: Value) {
    new["lastModifiedDateTime"] = writer.clock.now_precise().into();
    let old = std::mem::replace(&mut state.settings.methods, new.clone());
    note(
        writer,
        state,
        "Authentication Methods Policy Update",
        &old,
        &new,
    );
}

fn note(writer: &Writer<'_>, state: &mut State, activity: &str, old: &Value, new: &Value) {
    let name = new["displayName"].as_str().unwrap_or_default();
    let target = target(name, &new["id"]);
    let empty = Map::new();
    let modified: Vec<_> = new
        .as_object()
        .unwrap_or(&empty)
        .iter()
        .filter(|(name, value)| old.get(name.as_str()) != Some(value))
        .map(|(name, value)| (name.clone(), old[name.as_str()].clone(), value.clone()))
        .collect();
    writer.audit_document(state, activity, &target, &modified, None);
}
