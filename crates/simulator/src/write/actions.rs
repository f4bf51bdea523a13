//! The actions that directory roles allow, and the contexts that protect them.
//!
//! Only what there is to protect, and what allows to delete for good, is known of some
//! hundreds of actions. The real service writes down neither the permission that a
//! protection needs nor its refusals, so those are guesses here. A protection changes
//! nothing of what applications may do, as in the real service.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::audit::Target;
use crate::http::documents;
use crate::http::permission;
use crate::http::reply::{GraphError, Reply};
use crate::odata::Query;
use crate::state::State;
use crate::write::{Writer, contexts};

const CONTEXT: &str =
    "roleManagement/directory/resourceNamespaces('microsoft.directory')/resourceActions";
const WRITE: &[&str] = &["RoleManagement.ReadWrite.Directory"];

/// An action: its name below the namespace, the verb, and whether it can be protected.
type Action = (&'static str, Option<&'static str>, bool);

/// Microsoft's list of what can be protected, and some that cannot.
const ACTIONS: &[Action] = &[
    (
        "conditionalAccessPolicies/basic/update",
        Some("PATCH"),
        true,
    ),
    ("conditionalAccessPolicies/create", Some("POST"), true),
    ("conditionalAccessPolicies/delete", Some("DELETE"), true),
    (
        "conditionalAccessPolicies/standard/read",
        Some("GET"),
        false,
    ),
    (
        "crossTenantAccessPolicy/allowedCloudEndpoints/update",
        Some("PATCH"),
        true,
    ),
    (
        "crossTenantAccessPolicy/default/b2bCollaboration/update",
        Some("PATCH"),
        true,
    ),
    (
        "crossTenantAccessPolicy/default/b2bDirectConnect/update",
        Some("PATCH"),
        true,
    ),
    (
        "crossTenantAccessPolicy/default/crossCloudMeetings/update",
        Some("PATCH"),
        true,
    ),
    (
        "crossTenantAccessPolicy/default/tenantRestrictions/update",
        Some("PATCH"),
        true,
    ),
    (
        "crossTenantAccessPolicy/partners/b2bCollaboration/update",
        Some("PATCH"),
        true,
    ),
    (
        "crossTenantAccessPolicy/partners/b2bDirectConnect/update",
        Some("PATCH"),
        true,
    ),
    (
        "crossTenantAccessPolicy/partners/create",
        Some("POST"),
        true,
    ),
    (
        "crossTenantAccessPolicy/partners/crossCloudMeetings/update",
        Some("PATCH"),
        true,
    ),
    (
        "crossTenantAccessPolicy/partners/delete",
        Some("DELETE"),
        true,
    ),
    (
        "crossTenantAccessPolicy/partners/tenantRestrictions/update",
        Some("PATCH"),
        true,
    ),
    ("deletedItems.applications/delete", Some("DELETE"), false),
    ("deletedItems.groups/delete", Some("DELETE"), false),
    ("deletedItems/delete", Some("DELETE"), true),
    ("deletedItems/restore", Some("POST"), false),
    ("groups/allProperties/allTasks", None, false),
    ("namedLocations/basic/update", Some("PATCH"), true),
    ("namedLocations/create", Some("POST"), true),
    ("namedLocations/delete", Some("DELETE"), true),
    ("namedLocations/standard/read", Some("GET"), false),
    (
        "resourceNamespaces/resourceActions/authenticationContext/update",
        Some("PATCH"),
        true,
    ),
    ("users/delete", Some("DELETE"), false),
];

/// What roles allow, by their template ids, as far as it is about deleting for good.
const ALLOWED: &[(&str, &[&str])] = &[
    (
        "62e90394-69f5-4237-9190-012177145e10",
        &[
            "deletedItems/delete",
            "deletedItems/restore",
            "users/delete",
        ],
    ),
    (
        "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3",
        &["deletedItems.applications/delete"],
    ),
    (
        "158c047a-c907-4556-b7ef-446551a6b5f7",
        &["deletedItems.applications/delete"],
    ),
    (
        "fdd7a751-b60b-444a-984c-02652fe8fa1c",
        &["deletedItems.groups/delete"],
    ),
    ("fe930be7-5e62-47db-91af-98c3a49a38b1", &["users/delete"]),
    (
        "b1be1c3e-b65d-4f19-8427-f6fa0d97feb9",
        &[
            "conditionalAccessPolicies/basic/update",
            "conditionalAccessPolicies/delete",
        ],
    ),
];

/// The actions that a role allows, by its template's id.
pub(crate) fn allowed(role: &str) -> Vec<String> {
    let held = ALLOWED.iter().find(|(held, _)| *held == role);
    let actions = held.map(|(_, actions)| *actions).unwrap_or_default();
    actions.iter().map(|action| full(action)).collect()
}

/// What protects actions, by their full names.
pub(crate) fn protected(state: &State) -> Map<String, Value> {
    let held = state.settings.protected.iter();
    held.map(|(action, context)| (full(action), json!(format!("c{context}"))))
        .collect()
}

/// `…/resourceNamespaces/microsoft.directory/resourceActions…`: read, and protect.
pub(crate) fn answer(writer: &Writer<'_>, raw: &[&str]) -> Result<Reply, GraphError> {
    let call = writer.call;
    match (call.method.as_str(), raw) {
        ("GET", []) => {
            permission::any(writer.actor, permission::READ_ACTIONS)?;
            let selects = Query::parse(&call.query)?.select.is_some();
            let state = writer.tenant.state.read();
            let items = ACTIONS.iter();
            let items = items.map(|action| (id(action), to_json(&state, action, selects)));
            let sorted: BTreeMap<String, Value> = items.collect();
            documents::collection(call, CONTEXT, sorted.into_iter())
        }
        ("GET", [wanted]) => {
            permission::any(writer.actor, permission::READ_ACTIONS)?;
            let selects = Query::parse(&call.query)?.select.is_some();
            let shown = to_json(&writer.tenant.state.read(), find(wanted)?, selects);
            documents::entity(call, &format!("{CONTEXT}/$entity"), shown)
        }
        ("PATCH", [wanted]) => {
            permission::any(writer.actor, WRITE)?;
            protect(writer, find(wanted)?)
        }
        _ => Err(GraphError::method_not_allowed()),
    }
}

fn protect(writer: &Writer<'_>, action: &Action) -> Result<Reply, GraphError> {
    let body = writer.call.object()?;
    documents::check(
        &body,
        &[("authenticationContextId", documents::is_text_or_null)],
    )?;
    let (name, _, settable) = *action;
    if !settable {
        return Err(GraphError::request(
            "The authentication context of this resource action cannot be set.",
        ));
    }
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let old = to_json(state, action, true);
    match body.get("authenticationContextId").and_then(Value::as_str) {
        None | Some("") => {
            state.settings.protected.remove(name);
        }
        Some(context) => {
            let number = contexts::number(context)?;
            let held = state.settings.contexts.get(&number);
            if held.is_none_or(|held| held["isAvailable"] != true) {
                return Err(GraphError::request(format!(
                    "The authentication context '{context}' does not exist or is not published."
                )));
            }
            state.settings.protected.insert(name, number);
        }
    }
    let modified = vec![(
        "AuthenticationContext".to_owned(),
        old,
        to_json(state, action, true),
    )];
    let target = Target {
        service: "Core Directory",
        category: "RoleManagement",
        kind: "Other",
        id: id(action),
        name: full(name),
    };
    writer.audit_document(state, "Update resource action", &target, &modified, None);
    Ok(Reply::no_content())
}

/// What protects it is shown only where properties are selected.
fn to_json(state: &State, action: &Action, selects: bool) -> Value {
    let (name, verb, settable) = *action;
    let mut shown = json!({
        "id": id(action),
        "name": full(name),
        "description": name,
        "actionVerb": verb,
        "resourceScopeId": null,
    });
    if selects {
        let context = state.settings.protected.get(name);
        shown["isAuthenticationContextSettable"] = json!(settable);
        shown["authenticationContextId"] = json!(context.map(|number| format!("c{number}")));
    }
    shown
}

fn find(wanted: &str) -> Result<&'static Action, GraphError> {
    let mut actions = ACTIONS.iter();
    actions
        .find(|action| id(action).eq_ignore_ascii_case(wanted))
        .ok_or_else(|| GraphError::not_found(wanted))
}

/// The path with dashes, and the verb at its end.
fn id((name, verb, _): &Action) -> String {
    let mut id = full(name).replace('/', "-");
    if let Some(verb) = verb {
        id.push('-');
        id.push_str(&verb.to_lowercase());
    }
    id
}

fn full(name: &str) -> String {
    format!("microsoft.directory/{name}")
}
