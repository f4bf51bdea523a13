//! What is special about writing service principals: much of them comes from the application.

use serde_json::{Map, Value, json};

use crate::catalog::Kind;
use crate::http::reply::GraphError;
use crate::record::Object;
use crate::state::State;
use crate::write::applications::keep_keys;
use crate::write::{Body, Writer};

/// The tenant that owns Microsoft's own applications.
pub(crate) const MICROSOFT_TENANT: &str = "f8cdef31-a31e-4b4a-93e4-5f571e91255a";

pub(crate) fn prepare(
    writer: &Writer<'_>,
    state: &mut State,
    body: &mut Body,
) -> Result<(), GraphError> {
    body.require(Kind::ServicePrincipal, &["appId"])?;
    let app_id = body.text("appId").unwrap_or_default().to_lowercase();
    if state.by_app_id(Kind::ServicePrincipal, &app_id).is_some() {
        return Err(GraphError::new(
            409,
            "Request_MultipleObjectsWithSameKeyValue",
            format!(
                "The service principal cannot be created, updated, or restored because the service \
                 principal name {app_id} is already in use."
            ),
        ));
    }
    let application = state
        .by_app_id(Kind::Application, &app_id)
        .and_then(|id| state.object(Kind::Application, id))
        .cloned()
        .ok_or_else(|| {
            GraphError::bad(
                "NoBackingApplicationObject",
                format!("The appId '{app_id}' of the service principal does not reference a valid application object."),
            )
        })?;
    for (name, value) in copied(&application) {
        body.fill(&name, value);
    }
    body.set("appOwnerOrganizationId", writer.tenant.spec.id.clone());
    body.set("createdDateTime", writer.clock.now_seconds());
    Ok(())
}

/// What a service principal takes over from its application.
pub(crate) fn copied(application: &Object) -> Map<String, Value> {
    let web = application.value("web");
    let api = application.value("api");
    let mut reply_urls: Vec<Value> = Vec::new();
    for urls in [
        &web["redirectUris"],
        &application.value("spa")["redirectUris"],
        &application.value("publicClient")["redirectUris"],
    ] {
        reply_urls.extend(urls.as_array().into_iter().flatten().cloned());
    }
    let mut names = vec![application.value("appId")];
    names.extend(
        application
            .value("identifierUris")
            .as_array()
            .into_iter()
            .flatten()
            .cloned(),
    );
    let mut map = Map::new();
    map.insert("displayName".into(), application.value("displayName"));
    map.insert("appDisplayName".into(), application.value("displayName"));
    map.insert("appDescription".into(), application.value("description"));
    map.insert("appRoles".into(), application.value("appRoles"));
    map.insert(
        "oauth2PermissionScopes".into(),
        api["oauth2PermissionScopes"].clone(),
    );
    map.insert("homepage".into(), web["homePageUrl"].clone());
    map.insert("logoutUrl".into(), web["logoutUrl"].clone());
    map.insert("info".into(), application.value("info"));
    map.insert("replyUrls".into(), Value::Array(reply_urls));
    map.insert("servicePrincipalNames".into(), Value::Array(names));
    map.insert("signInAudience".into(), application.value("signInAudience"));
    map.insert("tags".into(), application.value("tags"));
    map
}

pub(crate) fn revise(object: &Object, body: &mut Body) -> Result<(), GraphError> {
    if body.has("displayName") {
        body.require(Kind::ServicePrincipal, &["displayName"])?;
    }
    let of_microsoft = object.text("appOwnerOrganizationId").as_deref() == Some(MICROSOFT_TENANT);
    let allowed = [
        "accountEnabled",
        "appRoleAssignmentRequired",
        "tags",
        "notes",
        "customSecurityAttributes",
    ];
    if of_microsoft
        && body
            .properties
            .keys()
            .any(|name| !allowed.contains(&name.as_str()))
    {
        return Err(GraphError::new(
            403,
            "Authorization_RequestDenied",
            "The service principal belongs to a Microsoft application and cannot be changed in this way.",
        ));
    }
    if let Some(keys) = body.properties.get_mut("keyCredentials") {
        keep_keys(&object.value("keyCredentials"), keys)?;
    }
    Ok(())
}

/// Carries a change of an application over to its service principal.
pub(crate) fn follow(state: &mut State, before: &Object, after: &Object) {
    let Some(id) = after
        .text("appId")
        .and_then(|app_id| state.by_app_id(Kind::ServicePrincipal, &app_id))
    else {
        return;
    };
    let Some(principal) = state.object(Kind::ServicePrincipal, id).cloned() else {
        return;
    };
    let mut changes = Map::new();
    let fresh = copied(after);
    for name in [
        "appDisplayName",
        "appRoles",
        "oauth2PermissionScopes",
        "info",
    ] {
        changes.insert(name.into(), fresh[name].clone());
    }
    // A name of its own is not overwritten.
    if principal.value("displayName") == before.value("displayName") {
        changes.insert("displayName".into(), json!(after.display_name()));
    }
    let stale = copied(before);
    changes.retain(|name, value| {
        let source = stale.get(name).unwrap_or(&Value::Null);
        source != value
    });
    state.update(Kind::ServicePrincipal, id, &changes);
}
