//! What is special about writing Conditional Access policies.
//!
//! The policy service is stricter than the directory: a body must match its schema exactly, every
//! reference must resolve, and what has no effect is stored as null.

mod schema;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::catalog::Kind;
use crate::http::reply::GraphError;
use crate::record::Object;
use crate::state::State;
use crate::write::check::{merge, schema_mismatch};
use crate::write::{Body, Writer};

const STATES: &[&str] = &["enabled", "disabled", "enabledForReportingButNotEnforced"];

pub(crate) fn prepare(
    writer: &Writer<'_>,
    state: &mut State,
    body: &mut Body,
) -> Result<(), GraphError> {
    for name in ["displayName", "state", "conditions"] {
        if body.properties.get(name).is_none_or(Value::is_null) {
            return Err(schema_mismatch());
        }
    }
    if body.properties["conditions"]
        .get("clientAppTypes")
        .is_none_or(Value::is_null)
    {
        return Err(GraphError::policy(
            1072,
            "clientAppTypes must be specified in conditions.",
        ));
    }
    check_shape(body)?;
    complete(&mut body.properties);
    check_meaning(&body.properties)?;
    check_references(state, &body.properties, &Map::new())?;
    body.set("createdDateTime", writer.clock.now_precise());
    Ok(())
}

pub(crate) fn revise(
    writer: &Writer<'_>,
    state: &State,
    object: &Object,
    body: &mut Body,
) -> Result<(), GraphError> {
    if body.properties.is_empty() {
        return Err(schema_mismatch());
    }
    for name in ["displayName", "state", "conditions"] {
        if body.properties.get(name).is_some_and(Value::is_null) {
            return Err(schema_mismatch());
        }
    }
    check_shape(body)?;
    let held = object.record.to_map(Kind::Policy);
    if let Some(given) = body.properties.get("conditions") {
        // Members of the conditions that are left out keep their value; null clears them.
        let mut merged = held.get("conditions").cloned().unwrap_or_default();
        merge(&mut merged, given);
        body.set("conditions", merged);
    }
    let mut whole = held.clone();
    whole.extend(body.properties.clone());
    complete(&mut whole);
    check_meaning(&whole)?;
    check_references(state, &whole, &held)?;
    for name in ["conditions", "grantControls", "sessionControls"] {
        if body.has(name) {
            body.set(name, whole.get(name).cloned().unwrap_or_default());
        }
    }
    body.set("modifiedDateTime", writer.clock.now_precise());
    Ok(())
}

fn check_shape(body: &Body) -> Result<(), GraphError> {
    if body
        .text("state")
        .is_some_and(|state| !STATES.contains(&state))
    {
        return Err(schema_mismatch());
    }
    let parts = [
        ("conditions", schema::CONDITIONS),
        ("grantControls", schema::GRANT_CONTROLS),
        ("sessionControls", schema::SESSION_CONTROLS),
    ];
    for (name, fields) in parts {
        let fits = body
            .properties
            .get(name)
            .is_none_or(|value| value.is_null() || schema::matches(fields, value));
        if !fits {
            return Err(schema_mismatch());
        }
    }
    Ok(())
}

/// Brings a policy into the complete form in which it is stored: all lists present, what has no
/// effect null, the strength reduced to its id.
pub(crate) fn complete(policy: &mut Map<String, Value>) {
    if let Some(Value::Object(conditions)) = policy.get_mut("conditions") {
        for list in [
            "userRiskLevels",
            "signInRiskLevels",
            "servicePrincipalRiskLevels",
        ] {
            null_to(conditions, list, json!([]));
        }
        null_to(conditions, "clientAppTypes", json!(["all"]));
        for absent in [
            "insiderRiskLevels",
            "platforms",
            "locations",
            "devices",
            "clientApplications",
            "authenticationFlows",
        ] {
            conditions.entry(absent).or_insert(Value::Null);
        }
        null_to(conditions, "applications", json!({}));
        null_to(conditions, "users", json!({}));
        for (name, lists, nulls) in schema::NESTED {
            if let Some(Value::Object(nested)) = conditions.get_mut(*name) {
                for list in *lists {
                    null_to(nested, list, json!([]));
                }
                for absent in *nulls {
                    nested.entry(*absent).or_insert(Value::Null);
                }
            }
        }
        strip_annotations(conditions);
    }
    let grant = policy.entry("grantControls").or_insert(Value::Null);
    complete_grant(grant);
    let session = policy.entry("sessionControls").or_insert(Value::Null);
    complete_session(session);
}

fn null_to(map: &mut Map<String, Value>, name: &str, value: Value) {
    let held = map.entry(name).or_insert(Value::Null);
    if held.is_null() {
        *held = value;
    }
}

/// Drops `…@odata.context` members, which loaded exports carry.
fn strip_annotations(map: &mut Map<String, Value>) {
    map.retain(|name, _| !name.contains("@odata.") || name == "@odata.type");
    for value in map.values_mut() {
        if let Value::Object(inner) = value {
            strip_annotations(inner);
        }
    }
}

fn complete_grant(grant: &mut Value) {
    let Value::Object(controls) = grant else {
        return;
    };
    strip_annotations(controls);
    let idle = controls.values().all(|value| {
        value.is_null() || value.as_array().is_some_and(Vec::is_empty) || value.is_string()
    });
    if idle {
        *grant = Value::Null;
        return;
    }
    for list in [
        "builtInControls",
        "customAuthenticationFactors",
        "termsOfUse",
    ] {
        null_to(controls, list, json!([]));
    }
    null_to(controls, "operator", json!("OR"));
    let strength = controls
        .get("authenticationStrength")
        .and_then(|strength| strength.get("id"))
        .map_or(Value::Null, |id| json!({ "id": id }));
    controls.insert("authenticationStrength".into(), strength);
}

fn complete_session(session: &mut Value) {
    let Value::Object(controls) = session else {
        return;
    };
    for control in controls.values_mut() {
        let off = match control {
            Value::Object(members) => members
                .get("isEnabled")
                .is_none_or(|enabled| *enabled != true),
            Value::Bool(on) => !*on,
            _ => false,
        };
        if off {
            *control = Value::Null;
        }
    }
    if controls.values().all(Value::is_null) {
        *session = Value::Null;
        return;
    }
    for name in schema::SESSION_NAMES {
        controls.entry(*name).or_insert(Value::Null);
    }
}

fn check_meaning(policy: &Map<String, Value>) -> Result<(), GraphError> {
    let conditions = &policy["conditions"];
    let (grant, session) = (&policy["grantControls"], &policy["sessionControls"]);
    if grant.is_null() && session.is_null() {
        return Err(GraphError::policy(
            1009,
            "Policy must contain grantControls or sessionControls.",
        ));
    }
    if !conditions["authenticationFlows"].is_null() && !session.is_null() {
        return Err(GraphError::policy(
            1235,
            "Only the Block grant control is allowed for policies with authentication flows.",
        ));
    }
    let has = |value: &Value, item: &str| {
        value
            .as_array()
            .is_some_and(|items| items.iter().any(|held| held == item))
    };
    if has(&grant["builtInControls"], "passwordChange") {
        let strong =
            has(&grant["builtInControls"], "mfa") || !grant["authenticationStrength"].is_null();
        let risk = conditions["userRiskLevels"]
            .as_array()
            .is_some_and(|levels| !levels.is_empty());
        let all = has(&conditions["applications"]["includeApplications"], "All");
        if !(strong && risk && all) {
            return Err(GraphError::policy(
                1039,
                "passwordChange requires mfa, userRiskLevels and all applications.",
            ));
        }
    }
    let applications = &conditions["applications"];
    let empty = |value: &Value| value.as_array().is_none_or(Vec::is_empty);
    if [
        "includeApplications",
        "includeUserActions",
        "includeAuthenticationContextClassReferences",
    ]
    .iter()
    .all(|list| empty(&applications[*list]))
    {
        return Err(GraphError::policy(
            1032,
            "Policy must include at least one application.",
        ));
    }
    let users = &conditions["users"];
    if ["includeUsers", "includeGroups", "includeRoles"]
        .iter()
        .all(|list| empty(&users[*list]))
        && users["includeGuestsOrExternalUsers"].is_null()
        && conditions["clientApplications"].is_null()
    {
        return Err(GraphError::policy(
            1031,
            "Policy must include at least one user, group or role.",
        ));
    }
    Ok(())
}

/// Every id must name something that lives, unless the policy holds it already.
fn check_references(
    state: &State,
    policy: &Map<String, Value>,
    held: &Map<String, Value>,
) -> Result<(), GraphError> {
    let live =
        |kind: Kind, id: &str| Uuid::parse_str(id).is_ok_and(|id| state.object(kind, id).is_some());
    let known = |id: &str| state.known_references.contains(&id.to_lowercase());
    let user = |id: &str| live(Kind::User, id);
    let group = |id: &str| live(Kind::Group, id);
    let app = |id: &str| {
        known(id)
            || state.by_app_id(Kind::ServicePrincipal, id).is_some()
            || state.by_app_id(Kind::Application, id).is_some()
    };
    let location = |id: &str| live(Kind::Location, id);
    let principal = |id: &str| live(Kind::ServicePrincipal, id);
    type Check<'a> = &'a dyn Fn(&str) -> bool;
    let rules: [(&str, &str, u32, &[&str], Check<'_>); 6] = [
        (
            "users",
            "Users",
            1011,
            &["All", "None", "GuestsOrExternalUsers"],
            &user,
        ),
        ("users", "Groups", 1012, &[], &group),
        ("users", "Roles", 1013, &[], &known),
        (
            "applications",
            "Applications",
            1034,
            &["All", "None", "Office365", "MicrosoftAdminPortals"],
            &app,
        ),
        (
            "locations",
            "Locations",
            1006,
            &["All", "AllTrusted", "00000000-0000-0000-0000-000000000000"],
            &location,
        ),
        (
            "clientApplications",
            "ServicePrincipals",
            1050,
            &["ServicePrincipalsInMyTenant"],
            &principal,
        ),
    ];
    let nothing = Value::Null;
    let old = held.get("conditions").unwrap_or(&nothing);
    for (part, suffix, number, literals, exists) in rules {
        for prefix in ["include", "exclude"] {
            let list = format!("{prefix}{suffix}");
            let wrong: Vec<&str> = policy["conditions"][part][&list]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .filter(|id| !literals.contains(id) && !exists(id))
                .filter(|id| {
                    !old[part][&list]
                        .as_array()
                        .is_some_and(|items| items.iter().any(|item| item == id))
                })
                .collect();
            if !wrong.is_empty() {
                return Err(GraphError::policy(
                    number,
                    format!(
                        "Policy contains invalid {}: {}",
                        suffix.to_lowercase(),
                        wrong.join(", ")
                    ),
                ));
            }
        }
    }
    let strength = &policy["grantControls"]["authenticationStrength"]["id"];
    if let Some(id) = strength.as_str()
        && !state.strengths.contains_key(id)
    {
        return Err(GraphError::policy(
            1105,
            format!("Policy contains invalid authentication strength: {id}"),
        ));
    }
    Ok(())
}
