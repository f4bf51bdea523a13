//! What is special about writing applications.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::catalog::Kind;
use crate::http::reply::GraphError;
use crate::record::Object;
use crate::state::State;
use crate::write::check::merge;
use crate::write::{Body, Writer, duplicate, invalid_value};

pub(crate) fn prepare(
    writer: &Writer<'_>,
    state: &mut State,
    body: &mut Body,
) -> Result<(), GraphError> {
    body.require(Kind::Application, &["displayName"])?;
    check_common(state, None, body)?;
    // Complex values are completed from their defaults.
    for (name, value) in &mut body.properties {
        let unset = Kind::Application
            .shape()
            .by_name(name)
            .map_or(Value::Null, |prop| {
                crate::record::parse(prop.unset.as_bytes())
            });
        if value.is_object() && unset.is_object() {
            let mut whole = unset;
            merge(&mut whole, value);
            *value = whole;
        }
    }
    if let Some(keys) = body.properties.get_mut("keyCredentials") {
        keep_keys(&Value::Null, keys)?;
    }
    redirect_settings(body);
    body.set("appId", state.ids.guid().to_string());
    body.set("publisherDomain", writer.tenant.domain.as_ref());
    body.set("createdDateTime", writer.clock.now_seconds());
    Ok(())
}

pub(crate) fn revise(state: &State, object: &Object, body: &mut Body) -> Result<(), GraphError> {
    if body.has("displayName") {
        body.require(Kind::Application, &["displayName"])?;
    }
    if body.has("uniqueName") && !object.value("uniqueName").is_null() {
        return Err(GraphError::request(
            "Property 'uniqueName' is immutable once set.",
        ));
    }
    check_common(state, Some(object), body)?;
    if let Some(roles) = body.properties.get("appRoles") {
        check_entitlements(&object.value("appRoles"), roles)?;
    }
    if let Some(api) = body.properties.get("api") {
        check_entitlements(
            &object.value("api")["oauth2PermissionScopes"],
            &api["oauth2PermissionScopes"],
        )?;
    }
    if let Some(keys) = body.properties.get_mut("keyCredentials") {
        keep_keys(&object.value("keyCredentials"), keys)?;
    }
    redirect_settings(body);
    Ok(())
}

/// Role and scope ids and values are unique; URIs belong to one application.
fn check_common(state: &State, own: Option<&Object>, body: &Body) -> Result<(), GraphError> {
    for role_list in [
        body.properties.get("appRoles"),
        body.properties
            .get("api")
            .map(|api| &api["oauth2PermissionScopes"]),
    ]
    .into_iter()
    .flatten()
    {
        let mut ids = BTreeSet::new();
        let mut values = BTreeSet::new();
        for role in role_list.as_array().into_iter().flatten() {
            let id = role["id"].as_str().unwrap_or_default();
            if uuid::Uuid::parse_str(id).is_err() || !ids.insert(id.to_owned()) {
                return Err(invalid_value(Kind::Application, "id"));
            }
            if let Some(value) = role["value"].as_str()
                && !values.insert(value.to_owned())
            {
                return Err(GraphError::request(format!(
                    "It contains duplicate value. Please provide unique value: {value}."
                )));
            }
        }
    }
    if let Some(audience) = body.text("signInAudience") {
        let known = [
            "AzureADMyOrg",
            "AzureADMultipleOrgs",
            "AzureADandPersonalMicrosoftAccount",
            "PersonalMicrosoftAccount",
        ];
        if !known.contains(&audience) {
            return Err(invalid_value(Kind::Application, "signInAudience"));
        }
    }
    let uris: Vec<&str> = body
        .properties
        .get("identifierUris")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if !uris.is_empty() {
        let taken = state.all(Kind::Application).values().any(|other| {
            own.is_none_or(|own| own.id != other.id)
                && uris.iter().any(|uri| other.has_item("identifierUris", uri))
        });
        if taken {
            return Err(duplicate("identifierUris"));
        }
    }
    Ok(())
}

/// An enabled role or scope can only be disabled; once disabled it may change or go.
fn check_entitlements(held: &Value, given: &Value) -> Result<(), GraphError> {
    for old in held.as_array().into_iter().flatten() {
        if old["isEnabled"] != true {
            continue;
        }
        let new = given
            .as_array()
            .into_iter()
            .flatten()
            .find(|new| new["id"] == old["id"]);
        let fine = new.is_some_and(|new| {
            old.as_object().into_iter().flatten().all(|(name, value)| {
                name == "isEnabled"
                    || name == "origin"
                    || new.get(name).unwrap_or(&Value::Null) == value
            })
        });
        if !fine {
            return Err(GraphError::bad(
                "CannotDeleteOrUpdateEnabledEntitlement",
                "Permission (scope or role) cannot be deleted or updated unless disabled first.",
            ));
        }
    }
    Ok(())
}

/// Keys that are already held may be sent back without their bytes; new ones need them.
pub(crate) fn keep_keys(held: &Value, given: &mut Value) -> Result<(), GraphError> {
    for key in given.as_array_mut().into_iter().flatten() {
        let known = held
            .as_array()
            .into_iter()
            .flatten()
            .find(|old| old["keyId"] == key["keyId"] && !key["keyId"].is_null());
        let bytes = match known {
            Some(old) if key["key"].is_null() => old["key"].clone(),
            None if !key["key"].is_string() => {
                return Err(invalid_value(Kind::Application, "keyCredentials"));
            }
            _ => key["key"].clone(),
        };
        *key = json!({
            "customKeyIdentifier": key["customKeyIdentifier"],
            "displayName": key["displayName"],
            "endDateTime": key["endDateTime"],
            "key": bytes,
            "keyId": key["keyId"],
            "startDateTime": key["startDateTime"],
            "type": key["type"],
            "usage": key["usage"],
        });
    }
    Ok(())
}

/// The service keeps a settings entry for each web redirect URI.
fn redirect_settings(body: &mut Body) {
    if let Some(Value::Object(web)) = body.properties.get_mut("web") {
        let settings: Vec<Value> = web
            .get("redirectUris")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .map(|uri| json!({ "uri": uri, "index": null }))
            .collect();
        web.insert("redirectUriSettings".into(), Value::Array(settings));
    }
}
