//! What is special about writing users.

use serde_json::{Value, json};

use crate::catalog::Kind;
use crate::http::reply::GraphError;
use crate::record::Object;
use crate::state::State;
use crate::write::{Body, Writer, duplicate, invalid_value, on_premises};

/// What a synchronised user still takes from the cloud.
const CLOUD_MASTERED: &[&str] = &[
    "usageLocation",
    "otherMails",
    "passwordProfile",
    "preferredDataLocation",
    "customSecurityAttributes",
    "ageGroup",
    "consentProvidedForMinor",
];

/// Some properties can be written with a narrower permission than the rest.
pub(crate) fn permitted(writer: &Writer<'_>) -> Result<(), GraphError> {
    let body = writer.call.object()?;
    let wide = writer
        .actor
        .may(&["User.ReadWrite.All", "Directory.ReadWrite.All"]);
    let allowed = body.keys().all(|name| {
        wide || match name.as_str() {
            "accountEnabled" => writer.actor.may(&["User.EnableDisableAccount.All"]),
            "businessPhones" | "mobilePhone" => writer.actor.may(&["User-Phone.ReadWrite.All"]),
            "otherMails" => writer.actor.may(&["User-Mail.ReadWrite.All"]),
            "identities" => writer.actor.may(&["User.ManageIdentities.All"]),
            _ => writer.actor.may(&["User.ReadUpdate.All"]),
        }
    });
    if allowed {
        Ok(())
    } else {
        Err(GraphError::denied())
    }
}

pub(crate) fn prepare(
    writer: &Writer<'_>,
    state: &mut State,
    body: &mut Body,
) -> Result<(), GraphError> {
    let required = [
        "accountEnabled",
        "displayName",
        "mailNickname",
        "userPrincipalName",
        "passwordProfile",
    ];
    body.require(Kind::User, &required)?;
    let password = body.properties.remove("passwordProfile");
    if !password.is_some_and(|profile| profile["password"].is_string()) {
        return Err(GraphError::request(
            "A value is required for property 'password' of resource 'User'.",
        ));
    }
    let name = body
        .text("userPrincipalName")
        .unwrap_or_default()
        .to_owned();
    check_name(state, &name)?;
    check_common(body)?;
    if let Some(mail) = body.text("mail").map(str::to_owned) {
        body.set("proxyAddresses", json!([format!("SMTP:{mail}")]));
    }
    body.fill("userType", "Member");
    body.fill(
        "identities",
        json!([{
            "signInType": "userPrincipalName",
            "issuer": writer.tenant.domain,
            "issuerAssignedId": name,
        }]),
    );
    let now = writer.clock.now_seconds();
    body.set("createdDateTime", now.clone());
    body.set("signInSessionsValidFromDateTime", now.clone());
    body.set("lastPasswordChangeDateTime", now);
    Ok(())
}

fn check_name(state: &State, name: &str) -> Result<(), GraphError> {
    let valid = name
        .split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && domain.contains('.'));
    if !valid {
        return Err(GraphError::request(
            "Property userPrincipalName is invalid.",
        ));
    }
    if state.user_by_upn(name).is_some() {
        return Err(duplicate("userPrincipalName"));
    }
    Ok(())
}

pub(crate) fn revise(state: &State, object: &Object, body: &mut Body) -> Result<(), GraphError> {
    if object.flag("onPremisesSyncEnabled") {
        let only_cloud = body
            .properties
            .keys()
            .all(|name| CLOUD_MASTERED.contains(&name.as_str()) || name.starts_with("extension_"));
        if !only_cloud || body.manager.is_some() {
            return Err(on_premises());
        }
    }
    body.properties.remove("passwordProfile");
    for name in [
        "displayName",
        "userPrincipalName",
        "mailNickname",
        "accountEnabled",
    ] {
        if body.has(name) {
            body.require(Kind::User, &[name])?;
        }
    }
    for name in ["mail", "usageLocation"] {
        if body.properties.get(name) == Some(&Value::Null) && !object.value(name).is_null() {
            return Err(invalid_value(Kind::User, name));
        }
    }
    if let Some(name) = body.text("userPrincipalName") {
        let held = object.text("userPrincipalName").unwrap_or_default();
        if !held.eq_ignore_ascii_case(name) {
            check_name(state, name)?;
        }
    }
    check_common(body)?;
    if let Some(mail) = body.text("mail").map(str::to_owned) {
        let proxies = with_primary(&object.value("proxyAddresses"), &mail);
        body.set("proxyAddresses", proxies);
    }
    Ok(())
}

/// The new address becomes the primary one; the old primary stays as an alias.
fn with_primary(held: &Value, mail: &str) -> Value {
    let mut addresses = vec![format!("SMTP:{mail}")];
    for address in held
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let bare = address.split_once(':').map_or(address, |(_, bare)| bare);
        if !bare.eq_ignore_ascii_case(mail) {
            addresses.push(address.replacen("SMTP:", "smtp:", 1));
        }
    }
    json!(addresses)
}

fn check_common(body: &mut Body) -> Result<(), GraphError> {
    let phones = body
        .properties
        .get("businessPhones")
        .and_then(Value::as_array);
    if phones.is_some_and(|phones| phones.len() > 1) {
        return Err(invalid_value(Kind::User, "businessPhones"));
    }
    if body.text("employeeId").is_some_and(|id| id.len() > 16) {
        return Err(invalid_value(Kind::User, "employeeId"));
    }
    if body
        .text("usageLocation")
        .is_some_and(|place| place.len() != 2)
    {
        return Err(invalid_value(Kind::User, "usageLocation"));
    }
    if let Some(Value::Object(data)) = body.properties.get_mut("employeeOrgData") {
        // Whatever half is left out becomes null.
        for half in ["division", "costCenter"] {
            data.entry(half).or_insert(Value::Null);
        }
        if data.values().all(Value::is_null) {
            body.set("employeeOrgData", Value::Null);
        }
    }
    Ok(())
}
