//! Passwords and keys of applications and service principals, and licences of users.
//!
//! A secret is returned once, when it is made, and never stored.

use serde_json::{Map, Value, json};

use crate::catalog::Kind;
use crate::clock::stamp;
use crate::http::permission;
use crate::http::reads::resolve;
use crate::http::reply::{GraphError, Reply};
use crate::record::Object;
use crate::state::State;
use crate::write::{Writer, invalid_value};

/// `addPassword`, `removePassword`, `addKey`, `removeKey`.
pub(crate) fn answer(
    writer: &Writer<'_>,
    kind: Kind,
    key: &str,
    action: &str,
) -> Result<Reply, GraphError> {
    if writer.call.method != "POST" {
        return Err(GraphError::method_not_allowed());
    }
    if !matches!(kind, Kind::Application | Kind::ServicePrincipal) {
        return Err(GraphError::no_segment(action));
    }
    permission::write(writer.actor, kind)?;
    let body = writer.call.object()?;
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let id = resolve(state, kind, key)?;
    let object = state
        .object(kind, id)
        .cloned()
        .ok_or_else(|| GraphError::not_found(key))?;
    match action {
        "addpassword" => add_password(writer, state, &object, &body),
        "addkey" => add_key(writer, state, &object, &body),
        "removepassword" => remove(writer, state, &object, &body, "passwordCredentials"),
        _ => remove(writer, state, &object, &body, "keyCredentials"),
    }
}

fn add_password(
    writer: &Writer<'_>,
    state: &mut State,
    object: &Object,
    body: &Map<String, Value>,
) -> Result<Reply, GraphError> {
    let given = body.get("passwordCredential").cloned().unwrap_or_default();
    let now = writer.clock.now();
    let or = |name: &str, default: String| -> Value {
        let text = given[name].as_str().map_or(default, normal_date);
        text.into()
    };
    let secret = state.ids.opaque(30);
    let key_id = match given["keyId"].as_str() {
        Some(key_id) => key_id.to_owned(),
        None => state.ids.guid().to_string(),
    };
    let credential = json!({
        "customKeyIdentifier": given["customKeyIdentifier"],
        "displayName": given["displayName"],
        "endDateTime": or("endDateTime", stamp(now + chrono::Duration::days(730))),
        "hint": secret[..3].to_owned(),
        "keyId": key_id,
        "secretText": null,
        "startDateTime": or("startDateTime", stamp(now)),
    });
    append(
        writer,
        state,
        object,
        "passwordCredentials",
        credential.clone(),
    );
    let mut answer = credential;
    answer["secretText"] = secret.into();
    answer["@odata.context"] = writer
        .call
        .context("microsoft.graph.passwordCredential")
        .into();
    Ok(Reply::json(200, &answer).header("location", writer.call.base.clone()))
}

/// Offsets are stored as UTC.
fn normal_date(text: &str) -> String {
    chrono::DateTime::parse_from_rfc3339(text).map_or_else(
        |_| text.to_owned(),
        |at| {
            at.to_utc()
                .to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
        },
    )
}

fn add_key(
    writer: &Writer<'_>,
    state: &mut State,
    object: &Object,
    body: &Map<String, Value>,
) -> Result<Reply, GraphError> {
    let mut credential = body.get("keyCredential").cloned().unwrap_or_default();
    if !credential["key"].is_string() || !body.get("proof").is_some_and(Value::is_string) {
        return Err(invalid_value(object.kind, "keyCredential"));
    }
    if credential["keyId"].is_null() {
        credential["keyId"] = state.ids.guid().to_string().into();
    }
    append(writer, state, object, "keyCredentials", credential.clone());
    credential["key"] = Value::Null;
    credential["@odata.context"] = writer.call.context("microsoft.graph.keyCredential").into();
    Ok(Reply::json(200, &credential))
}

fn append(writer: &Writer<'_>, state: &mut State, object: &Object, list: &str, credential: Value) {
    let mut held = object.value(list);
    if let Some(held) = held.as_array_mut() {
        held.push(credential);
    }
    replace(writer, state, object, list, held);
}

fn replace(writer: &Writer<'_>, state: &mut State, object: &Object, list: &str, value: Value) {
    let before = object.value(list);
    let held = |list: &Value| list.as_array().map_or(0, Vec::len);
    let activity = match object.kind {
        Kind::Application => "Update application - Certificates and secrets management",
        _ if held(&value) < held(&before) => "Remove service principal credentials",
        _ => "Add service principal credentials",
    };
    let modified = vec![(list.to_owned(), before, value.clone())];
    let changes = Map::from_iter([(list.to_owned(), value)]);
    state.update(object.kind, object.id, &changes);
    writer.audit(state, activity, object, &modified, None);
}

fn remove(
    writer: &Writer<'_>,
    state: &mut State,
    object: &Object,
    body: &Map<String, Value>,
    list: &str,
) -> Result<Reply, GraphError> {
    let key_id = body
        .get("keyId")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let mut held = object.value(list);
    let before = held.as_array().map_or(0, Vec::len);
    if let Some(held) = held.as_array_mut() {
        held.retain(|credential| credential["keyId"] != key_id);
    }
    if held.as_array().map_or(0, Vec::len) == before {
        return Err(GraphError::request(format!(
            "No password credential found with keyId {key_id}."
        )));
    }
    replace(writer, state, object, list, held);
    Ok(Reply::no_content())
}

/// `POST …/assignLicense`.
pub(crate) fn assign_license(
    writer: &Writer<'_>,
    kind: Kind,
    key: &str,
) -> Result<Reply, GraphError> {
    if !matches!(kind, Kind::User | Kind::Group) {
        return Err(GraphError::no_segment("assignLicense"));
    }
    permission::write(writer.actor, kind)?;
    let body = writer.call.object()?;
    let list = |name: &str| {
        body.get(name)
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default()
    };
    let (added, removed) = (list("addLicenses"), list("removeLicenses"));
    let mut guard = writer.tenant.state.write();
    let state = &mut *guard;
    let id = resolve(state, kind, key)?;
    let object = state
        .object(kind, id)
        .cloned()
        .ok_or_else(|| GraphError::not_found(key))?;
    if kind == Kind::User && !added.is_empty() && object.value("usageLocation").is_null() {
        return Err(GraphError::request(
            "License assignment cannot be done for user with invalid usage location.",
        ));
    }
    let mut held = object
        .value("assignedLicenses")
        .as_array()
        .cloned()
        .unwrap_or_default();
    held.retain(|licence| {
        !removed.contains(&licence["skuId"])
            && !added.iter().any(|added| added["skuId"] == licence["skuId"])
    });
    for licence in &added {
        held.push(json!({
            "disabledPlans": licence.get("disabledPlans").cloned().unwrap_or_else(|| json!([])),
            "skuId": licence["skuId"],
        }));
    }
    let changes = Map::from_iter([("assignedLicenses".to_owned(), Value::Array(held))]);
    let modified = vec![(
        "AssignedLicense".to_owned(),
        object.value("assignedLicenses"),
        changes["assignedLicenses"].clone(),
    )];
    state.update(kind, id, &changes);
    writer.audit(state, "Change user license", &object, &modified, None);
    let mut answer = object.record.to_map(kind);
    answer.extend(changes);
    answer.insert("id".into(), id.to_string().into());
    Ok(Reply::json(200, &Value::Object(answer)))
}
