//! Authentication strengths, read and written. The built-in ones never change, and what a
//! strength accepts changes only through its own action.

use serde_json::{Map, Value, json};

use crate::audit::Target;
use crate::catalog::Kind;
use crate::http::documents;
use crate::http::permission;
use crate::http::reply::{GraphError, Reply};
use crate::state::State;
use crate::write::Writer;

const CONTEXT: &str = "policies/authenticationStrengthPolicies";
/// The methods of which combinations are made.
const MODES: &[&str] = &[
    "deviceBasedPush",
    "email",
    "federatedMultiFactor",
    "federatedSingleFactor",
    "fido2",
    "hardwareOath",
    "microsoftAuthenticatorPush",
    "password",
    "qrCodePin",
    "sms",
    "softwareOath",
    "temporaryAccessPassMultiUse",
    "temporaryAccessPassOneTime",
    "voice",
    "windowsHelloForBusiness",
    "x509CertificateMultiFactor",
    "x509CertificateSingleFactor",
];

/// `/policies/authenticationStrengthPolicies…` and its twin below `/identity/conditionalAccess`.
pub(crate) fn answer(writer: &Writer<'_>, raw: &[&str]) -> Result<Reply, GraphError> {
    let call = writer.call;
    if call.is_get() {
        permission::any(writer.actor, permission::READ_STRENGTHS)?;
    } else {
        permission::any(writer.actor, permission::WRITE_STRENGTHS)?;
    }
    let lower: Vec<String> = raw.iter().map(|part| part.to_lowercase()).collect();
    let path: Vec<&str> = lower.iter().map(String::as_str).collect();
    match (call.method.as_str(), path.as_slice()) {
        ("GET", []) => {
            let state = writer.tenant.state.read();
            let items = state
                .strengths
                .iter()
                .map(|(id, strength)| (id.clone(), annotated(writer, strength.clone())));
            documents::collection(call, CONTEXT, items)
        }
        ("GET", [id]) => {
            let strength = held(&writer.tenant.state.read(), id)?;
            let strength = annotated(writer, strength);
            documents::entity(call, &format!("{CONTEXT}/$entity"), strength)
        }
        ("POST", []) => create(writer),
        ("PATCH", [id]) => rename(writer, id),
        ("DELETE", [id]) => remove(writer, id),
        ("POST", [id, "updateallowedcombinations"]) => allow(writer, id),
        ("GET", [id, "combinationconfigurations"]) => {
            let strength = held(&writer.tenant.state.read(), id)?;
            let items = configurations(&strength)
                .into_iter()
                .map(|item| (item["id"].as_str().unwrap_or_default().to_owned(), item));
            let context = format!("{CONTEXT}('{id}')/combinationConfigurations");
            documents::collection(call, &context, items)
        }
        ("POST", [id, "combinationconfigurations"]) => add_configuration(writer, id),
        ("PATCH" | "DELETE", [id, "combinationconfigurations", own]) => {
            change_configuration(writer, id, own)
        }
        _ => Err(GraphError::method_not_allowed()),
    }
}

fn held(state: &State, id: &str) -> Result<Value, GraphError> {
    let found = state.strengths.get(id).cloned();
    found.ok_or_else(|| {
        GraphError::new(
            404,
            "NotFound",
            format!("Policy '{id}' could not be found."),
        )
    })
}

/// The strength if a caller may change it.
fn changeable(state: &State, id: &str) -> Result<Value, GraphError> {
    let strength = held(state, id)?;
    if strength["policyType"] == "builtIn" {
        return Err(GraphError::bad(
            "BadRequest",
            "A built-in authentication strength policy cannot be changed or deleted.",
        ));
    }
    Ok(strength)
}

fn configurations(strength: &Value) -> Vec<Value> {
    strength["combinationConfigurations"]
        .as_array()
        .cloned()
        .unwrap_or_default()
}

fn annotated(writer: &Writer<'_>, mut strength: Value) -> Value {
    let id = strength["id"].as_str().unwrap_or_default();
    let context = writer
        .call
        .context(&format!("{CONTEXT}('{id}')/combinationConfigurations"));
    strength["combinationConfigurations@odata.context"] = context.into();
    if strength["combinationConfigurations"].is_null() {
        strength["combinationConfigurations"] = json!([]);
    }
    strength
}

/// A list of combinations, each of known methods.
fn is_combinations(value: &Value) -> bool {
    let known = |combination: &Value| {
        combination
            .as_str()
            .is_some_and(|text| text.split(',').all(|mode| MODES.contains(&mode.trim())))
    };
    value
        .as_array()
        .is_some_and(|items| !items.is_empty() && items.iter().all(known))
}

fn create(writer: &Writer<'_>) -> Result<Reply, GraphError> {
    let mut body = writer.call.object()?;
    // What only the service knows may be sent back as it was read.
    for name in ["policyType", "requirementsSatisfied"] {
        body.remove(name);
    }
    documents::check(
        &body,
        &[
            ("displayName", documents::is_text),
            ("description", documents::is_text_or_null),
            ("allowedCombinations", is_combinations),
            ("combinationConfigurations", documents::is_objects),
        ],
    )?;
    for name in ["displayName", "allowedCombinations"] {
        if body.get(name).is_none_or(Value::is_null) {
            return Err(GraphError::bad(
                "BadRequest",
                format!("{name} is required."),
            ));
        }
    }
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    check_name(state, "", &body)?;
    let id = state.ids.guid().to_string();
    let now = writer.clock.now_precise();
    let mut given = configurations(&Value::Object(body.clone()));
    for configuration in &mut given {
        check_configuration(configuration, &body["allowedCombinations"])?;
        configuration["id"] = state.ids.guid().to_string().into();
    }
    let strength = json!({
        "id": id,
        "createdDateTime": now,
        "modifiedDateTime": now,
        "displayName": body["displayName"],
        "description": body.get("description").cloned().unwrap_or_default(),
        "policyType": "custom",
        "requirementsSatisfied": "mfa",
        "allowedCombinations": body["allowedCombinations"],
        "combinationConfigurations": given,
    });
    state.strengths.insert(id, strength.clone());
    note(writer, state, "Create", &Value::Null, &strength);
    Ok(documents::created(
        writer.call,
        &format!("{CONTEXT}/$entity"),
        annotated(writer, strength),
    ))
}

fn check_name(state: &State, own: &str, body: &Map<String, Value>) -> Result<(), GraphError> {
    let taken = body.get("displayName").is_some_and(|name| {
        state
            .strengths
            .iter()
            .any(|(id, held)| id != own && held["displayName"] == *name)
    });
    if taken {
        return Err(GraphError::bad(
            "BadRequest",
            "An authentication strength policy with this displayName already exists.",
        ));
    }
    Ok(())
}

fn rename(writer: &Writer<'_>, id: &str) -> Result<Reply, GraphError> {
    let body = writer.call.object()?;
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let strength = changeable(state, id)?;
    documents::check(
        &body,
        &[
            ("displayName", documents::is_text),
            ("description", documents::is_text_or_null),
        ],
    )?;
    check_name(state, id, &body)?;
    let mut changed = strength.clone();
    for (name, value) in body {
        if !name.starts_with("@odata.") {
            changed[name] = value;
        }
    }
    store(writer, state, &strength, changed);
    Ok(Reply::no_content())
}

fn remove(writer: &Writer<'_>, id: &str) -> Result<Reply, GraphError> {
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let strength = changeable(state, id)?;
    if !users(state, id).is_empty() {
        return Err(GraphError::bad(
            "BadRequest",
            "The authentication strength policy is used by a Conditional Access policy and cannot be \
             deleted.",
        ));
    }
    state.strengths.remove(id);
    note(writer, state, "Delete", &strength, &Value::Null);
    Ok(Reply::no_content())
}

/// Ids of the policies that demand a strength.
fn users(state: &State, id: &str) -> Vec<String> {
    state
        .all(Kind::Policy)
        .values()
        .filter(|policy| policy.value("grantControls")["authenticationStrength"]["id"] == id)
        .map(|policy| policy.id.to_string())
        .collect()
}

fn allow(writer: &Writer<'_>, id: &str) -> Result<Reply, GraphError> {
    let body = writer.call.object()?;
    documents::check(&body, &[("allowedCombinations", is_combinations)])?;
    let wanted = body
        .get("allowedCombinations")
        .cloned()
        .ok_or_else(|| GraphError::bad("BadRequest", "allowedCombinations is required."))?;
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let strength = changeable(state, id)?;
    let mut changed = strength.clone();
    changed["allowedCombinations"] = wanted.clone();
    let answer = json!({
        "@odata.context": writer.call.context("microsoft.graph.updateAllowedCombinationsResult"),
        "previousCombinations": strength["allowedCombinations"],
        "currentCombinations": wanted,
        "additionalInformation": "",
        "conditionalAccessReferences": users(state, id),
    });
    store(writer, state, &strength, changed);
    Ok(Reply::json(200, &answer))
}

fn check_configuration(configuration: &Value, allowed: &Value) -> Result<(), GraphError> {
    let known = [
        "#microsoft.graph.fido2CombinationConfiguration",
        "#microsoft.graph.x509CertificateCombinationConfiguration",
    ];
    let typed = configuration["@odata.type"]
        .as_str()
        .is_some_and(|name| known.contains(&name));
    let applies = configuration["appliesToCombinations"]
        .as_array()
        .is_some_and(|items| {
            !items.is_empty()
                && items
                    .iter()
                    .all(|item| allowed.as_array().is_some_and(|held| held.contains(item)))
        });
    if typed && applies {
        Ok(())
    } else {
        Err(GraphError::bad(
            "BadRequest",
            "Invalid combinationConfiguration.",
        ))
    }
}

fn add_configuration(writer: &Writer<'_>, id: &str) -> Result<Reply, GraphError> {
    let mut configuration = Value::Object(writer.call.object()?);
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let strength = changeable(state, id)?;
    check_configuration(&configuration, &strength["allowedCombinations"])?;
    configuration["id"] = state.ids.guid().to_string().into();
    let mut all = configurations(&strength);
    all.push(configuration.clone());
    let mut changed = strength.clone();
    changed["combinationConfigurations"] = all.into();
    store(writer, state, &strength, changed);
    Ok(documents::created(
        writer.call,
        &format!("{CONTEXT}('{id}')/combinationConfigurations/$entity"),
        configuration,
    ))
}

fn change_configuration(writer: &Writer<'_>, id: &str, own: &str) -> Result<Reply, GraphError> {
    let body = match writer.call.method.as_str() {
        "PATCH" => Some(writer.call.object()?),
        _ => None,
    };
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let strength = changeable(state, id)?;
    let mut all = configurations(&strength);
    let at = all
        .iter()
        .position(|held| held["id"] == own)
        .ok_or_else(|| GraphError::not_found(own))?;
    match body {
        None => drop(all.remove(at)),
        Some(body) => {
            for (name, value) in body {
                if name != "id" {
                    all[at][name] = value;
                }
            }
            check_configuration(&all[at], &strength["allowedCombinations"])?;
        }
    }
    let mut changed = strength.clone();
    changed["combinationConfigurations"] = all.into();
    store(writer, state, &strength, changed);
    Ok(Reply::no_content())
}

fn store(writer: &Writer<'_>, state: &mut State, old: &Value, mut new: Value) {
    new["modifiedDateTime"] = writer.clock.now_precise().into();
    let id = new["id"].as_str().unwrap_or_default().to_owned();
    note(writer, state, "Update", old, &new);
    state.strengths.insert(id, new);
}

fn note(writer: &Writer<'_>, state: &mut State, verb: &str, old: &Value, new: &Value) {
    let shown = if new.is_null() { old } else { new };
    let target = Target {
        service: "Authentication Methods",
        category: "ApplicationManagement",
        kind: "Policy",
        id: shown["id"].as_str().unwrap_or_default().to_owned(),
        name: shown["displayName"].as_str().unwrap_or_default().to_owned(),
    };
    let modified = vec![(
        "AuthenticationStrengthPolicy".to_owned(),
        old.clone(),
        new.clone(),
    )];
    let activity = format!("Authentication Strength Policy {verb}");
    writer.audit_document(state, &activity, &target, &modified, None);
}
