//! What a tenant has one of, strengths and contexts, and who may do what.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use simulator::{App, TenantSpec};

use crate::support::{Bench, TENANT, id, shared_data};

const METHODS: &str = "/policies/authenticationMethodsPolicy";
const AUTHORIZATION: &str = "/policies/authorizationPolicy";
const STRENGTHS: &str = "/policies/authenticationStrengthPolicies";
const ACTIONS: &str =
    "/roleManagement/directory/resourceNamespaces/microsoft.directory/resourceActions";
const CONTEXTS: &str = "/identity/conditionalAccess/authenticationContextClassReferences";

#[tokio::test]
async fn the_methods_policy_changes_in_parts() {
    let bench = Bench::empty().await;
    let policy = bench.get(METHODS).await.expect(200);
    let listed: Vec<&str> = policy["authenticationMethodConfigurations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|held| held["id"].as_str().unwrap())
        .collect();
    assert!(listed.contains(&"Fido2") && listed.contains(&"QRCodePin"));
    let fido = format!("{METHODS}/authenticationMethodConfigurations/fido2");
    bench
        .patch(&fido, json!({ "state": "disabled" }))
        .await
        .refused(400, "Request_BadRequest", "@odata.type");
    let odata_type = "#microsoft.graph.fido2AuthenticationMethodConfiguration";
    bench
        .patch(&fido, json!({ "@odata.type": odata_type, "state": "off" }))
        .await
        .refused(400, "Request_BadRequest", "state");
    bench
        .patch(
            &fido,
            json!({ "@odata.type": odata_type, "state": "disabled", "keyRestrictions": { "isEnforced": true } }),
        )
        .await
        .expect(204);
    let one = bench.get(&fido).await.expect(200);
    assert_eq!(one["state"], "disabled");
    assert_eq!(
        one["keyRestrictions"],
        json!({ "isEnforced": true, "enforcementType": "block", "aaGuids": [] })
    );
    bench
        .patch(
            METHODS,
            json!({ "reconfirmationInDays": 90, "policyMigrationState": "preMigration" }),
        )
        .await
        .expect(204);
    bench
        .patch(METHODS, json!({ "policyVersion": "9" }))
        .await
        .refused(400, "Request_BadRequest", "policyVersion");
    let after = bench.get(METHODS).await.expect(200);
    assert_eq!(
        (
            after["reconfirmationInDays"].as_i64(),
            &after["policyVersion"]
        ),
        (Some(90), &policy["policyVersion"])
    );
    assert_ne!(
        after["lastModifiedDateTime"],
        policy["lastModifiedDateTime"]
    );
    bench.delete(&fido).await.expect(204);
    assert_eq!(
        bench.get(&fido).await.expect(200)["state"],
        "enabled",
        "back to the default"
    );
    bench
        .get(&format!(
            "{METHODS}/authenticationMethodConfigurations/smoke"
        ))
        .await
        .expect(404);
}

#[tokio::test]
async fn the_authorization_policy_and_the_organization_change_in_what_is_writable() {
    let bench = Bench::empty().await;
    bench
        .patch(
            AUTHORIZATION,
            json!({ "allowInvitesFrom": "everyone", "defaultUserRolePermissions": { "allowedToCreateApps": true } }),
        )
        .await
        .expect(204);
    let policy = bench.get(AUTHORIZATION).await.expect(200);
    assert_eq!(policy["allowInvitesFrom"], "everyone");
    let permissions = &policy["defaultUserRolePermissions"];
    assert_eq!(permissions["allowedToCreateApps"], true);
    assert_eq!(
        permissions["allowedToReadOtherUsers"], true,
        "the rest stays"
    );
    for body in [
        json!({ "allowInvitesFrom": "anyone" }),
        json!({ "guestUserRoleId": "x" }),
        json!({ "id": "x" }),
    ] {
        assert_eq!(bench.patch(AUTHORIZATION, body).await.status, 400);
    }
    let listed = bench.all("/organization").await;
    assert_eq!((listed.len(), id(&listed[0])), (1, TENANT.to_owned()));
    let path = format!("/organization/{TENANT}");
    bench
        .patch(
            &path,
            json!({ "technicalNotificationMails": ["ops@practice.example"] }),
        )
        .await
        .expect(204);
    let organization = bench.get(&path).await.expect(200);
    assert_eq!(
        organization["technicalNotificationMails"],
        json!(["ops@practice.example"])
    );
    bench
        .patch(&path, json!({ "displayName": "Other" }))
        .await
        .refused(400, "Request_BadRequest", "displayName");
    bench
        .get("/organization/11111111-2222-4333-8444-555555555555")
        .await
        .expect(404);
    let activities: BTreeSet<String> = bench
        .all("/auditLogs/directoryAudits")
        .await
        .iter()
        .map(|record| record["activityDisplayName"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        activities.contains("Update authorization policy")
            && activities.contains("Update company settings")
    );
}

#[tokio::test]
async fn custom_strengths_are_made_and_built_in_ones_stay() {
    let bench = Bench::empty().await;
    let listed = bench.all(STRENGTHS).await;
    assert_eq!(listed.len(), 3);
    assert!(
        listed
            .iter()
            .all(|strength| strength["policyType"] == "builtIn"
                && strength["combinationConfigurations"].is_array()
                && strength["combinationConfigurations@odata.context"].is_string())
    );
    let built_in = format!("{STRENGTHS}/{}", id(&listed[0]));
    for answer in [
        bench.patch(&built_in, json!({ "displayName": "x" })).await,
        bench.delete(&built_in).await,
        bench
            .post(
                &format!("{built_in}/updateAllowedCombinations"),
                json!({ "allowedCombinations": ["fido2"] }),
            )
            .await,
    ] {
        answer.refused(400, "BadRequest", "built-in");
    }
    let body = json!({
        "displayName": "Keys", "description": "only keys", "allowedCombinations": ["fido2"],
        "combinationConfigurations": [{
            "@odata.type": "#microsoft.graph.fido2CombinationConfiguration",
            "appliesToCombinations": ["fido2"],
            "allowedAAGUIDs": ["de1e552d-db1d-4423-a619-566b625cdc84"],
        }],
    });
    let made = bench.post(STRENGTHS, body.clone()).await.expect(201);
    assert_eq!(
        (&made["policyType"], &made["requirementsSatisfied"]),
        (&json!("custom"), &json!("mfa"))
    );
    assert!(made["combinationConfigurations"][0]["id"].is_string());
    bench
        .post(STRENGTHS, body)
        .await
        .refused(400, "BadRequest", "already exists");
    let path = format!("{STRENGTHS}/{}", id(&made));
    bench
        .patch(&path, json!({ "allowedCombinations": ["fido2"] }))
        .await
        .refused(400, "Request_BadRequest", "allowedCombinations");
    bench
        .patch(&path, json!({ "description": "d" }))
        .await
        .expect(204);
    let allow = format!("{path}/updateAllowedCombinations");
    bench
        .post(&allow, json!({ "allowedCombinations": ["telepathy"] }))
        .await
        .refused(400, "Request_BadRequest", "allowedCombinations");
    let result = bench
        .post(
            &allow,
            json!({ "allowedCombinations": ["fido2", "password,sms"] }),
        )
        .await
        .expect(200);
    assert_eq!(result["previousCombinations"], json!(["fido2"]));
    assert_eq!(
        result["currentCombinations"],
        json!(["fido2", "password,sms"])
    );
    let configurations = format!("{path}/combinationConfigurations");
    let held = bench.all(&configurations).await;
    bench
        .delete(&format!("{configurations}/{}", id(&held[0])))
        .await
        .expect(204);
    assert!(bench.all(&configurations).await.is_empty());

    let policy = json!({
        "displayName": "P", "state": "disabled",
        "conditions": {
            "clientAppTypes": ["all"],
            "applications": { "includeApplications": ["All"] },
            "users": { "includeUsers": ["All"] },
        },
        "grantControls": { "operator": "OR", "builtInControls": [], "authenticationStrength": { "id": id(&made) } },
    });
    let policies = "/identity/conditionalAccess/policies";
    let policy = bench.post(policies, policy).await.expect(201);
    bench
        .delete(&path)
        .await
        .refused(400, "BadRequest", "used by");
    bench
        .delete(&format!("{policies}/{}", id(&policy)))
        .await
        .expect(204);
    bench.delete(&path).await.expect(204);
    bench.get(&path).await.expect(404);
}

#[tokio::test]
async fn contexts_are_made_by_patch_and_deleted_only_when_idle() {
    let bench = Bench::empty().await;
    let path = format!("{CONTEXTS}/c7");
    bench.get(&path).await.expect(404);
    bench
        .patch(&path, json!({ "isAvailable": true }))
        .await
        .refused(400, "BadRequest", "displayName");
    bench
        .patch(
            &path,
            json!({ "id": "c7", "displayName": "Seven", "isAvailable": true }),
        )
        .await
        .expect(204);
    for wrong in ["c0", "c100", "c01", "x1"] {
        let answer = bench
            .patch(
                &format!("{CONTEXTS}/{wrong}"),
                json!({ "displayName": "x" }),
            )
            .await;
        assert_eq!(answer.status, 400, "{wrong}");
    }
    assert_eq!(
        bench.post(CONTEXTS, json!({ "id": "c8" })).await.status,
        405
    );
    bench
        .delete(&path)
        .await
        .refused(400, "BadRequest", "published");
    bench
        .patch(&path, json!({ "isAvailable": false }))
        .await
        .expect(204);
    let shown = bench.get(&path).await.expect(200);
    assert_eq!(
        (
            &shown["displayName"],
            &shown["isAvailable"],
            &shown["description"]
        ),
        (&json!("Seven"), &json!(false), &Value::Null)
    );
    assert_eq!(bench.all(CONTEXTS).await.len(), 1);
    bench.delete(&path).await.expect(204);
    bench.get(&path).await.expect(404);
}

/// Each with the least that its table names, and refused with everything else.
#[tokio::test]
async fn each_route_asks_for_its_own_permission() {
    let units = "/directory/administrativeUnits";
    let roles = "/roleManagement/directory/roleAssignments";
    let grants = "/oauth2PermissionGrants";
    let wanted: [(&str, &str, &str, &[&str]); 16] = [
        ("GET", units, "", &["AdministrativeUnit.Read.All"]),
        (
            "POST",
            units,
            r#"{"displayName":"a"}"#,
            &["AdministrativeUnit.ReadWrite.All"],
        ),
        ("GET", roles, "", &["RoleManagement.Read.Directory"]),
        ("POST", roles, "{}", &["RoleManagement.ReadWrite.Directory"]),
        ("GET", grants, "", &["Directory.Read.All"]),
        (
            "GET",
            "/oauth2PermissionGrants/delta",
            "",
            &["Directory.Read.All"],
        ),
        (
            "POST",
            grants,
            "{}",
            &["DelegatedPermissionGrant.ReadWrite.All"],
        ),
        ("GET", METHODS, "", &["Policy.Read.All"]),
        (
            "PATCH",
            METHODS,
            "{}",
            &["Policy.ReadWrite.AuthenticationMethod"],
        ),
        (
            "PATCH",
            AUTHORIZATION,
            "{}",
            &["Policy.ReadWrite.Authorization"],
        ),
        ("GET", STRENGTHS, "", &["Policy.Read.All"]),
        (
            "POST",
            STRENGTHS,
            "{}",
            &["Policy.ReadWrite.AuthenticationMethod"],
        ),
        ("GET", ACTIONS, "", &["RoleManagement.Read.Directory"]),
        ("GET", CONTEXTS, "", &["Policy.Read.All"]),
        (
            "PATCH",
            "/identity/conditionalAccess/authenticationContextClassReferences/c1",
            r#"{"displayName":"a"}"#,
            &[
                "Policy.Read.All",
                "Policy.ReadWrite.ConditionalAccess",
                "Application.Read.All",
            ],
        ),
        (
            "PATCH",
            "/organization/0f0e0d0c-0b0a-4908-8706-050403020100",
            "{}",
            &["Organization.ReadWrite.All"],
        ),
    ];
    let mut bench = Bench::empty().await;
    for (method, path, body, needed) in wanted {
        let body: Option<Value> = (!body.is_empty()).then(|| serde_json::from_str(body).unwrap());
        for granted in [
            needed,
            &["User.Read.All", "Group.ReadWrite.All", "AuditLog.Read.All"][..],
        ] {
            let mut spec = TenantSpec::practice(TENANT);
            spec.apps.push(App {
                client_id: "5e1f0a52-7c1d-4f7e-9a54-0d1f6b5ad0ff".to_owned(),
                secret: "x".to_owned(),
                display_name: "Narrow".to_owned(),
                roles: granted.iter().map(|role| (*role).to_owned()).collect(),
                acts_as: None,
            });
            bench.tenant = bench.simulator.add_tenant(spec);
            bench
                .sign_in("5e1f0a52-7c1d-4f7e-9a54-0d1f6b5ad0ff", "x")
                .await;
            let answer = bench.send(method, path, body.as_ref()).await;
            assert_eq!(
                answer.status == 403,
                granted != needed,
                "{method} {path} with {granted:?}: {}",
                answer.body
            );
        }
    }
}

/// Whatever the published schema names, the documents show, and nothing else.
#[tokio::test]
async fn documents_have_the_members_of_the_published_schema() {
    let Some(data) = shared_data() else {
        println!("skipped: no shared data");
        return;
    };
    let schema: Value =
        serde_json::from_slice(&std::fs::read(data.join("graph-schema/v1.0.json")).unwrap())
            .unwrap();
    let published = |types: &[&str]| -> BTreeSet<String> {
        types
            .iter()
            .flat_map(|name| {
                schema[*name]["properties"]
                    .as_object()
                    .unwrap()
                    .keys()
                    .cloned()
            })
            .collect()
    };
    let bench = Bench::populated(60, 15).await;
    let check = |document: &Value, types: &[&str], relations: &[&str]| {
        let shown: BTreeSet<String> = document
            .as_object()
            .unwrap()
            .keys()
            .filter(|name| !name.contains("@odata.") && *name != "id" && *name != "deletedDateTime")
            .filter(|name| !relations.contains(&name.as_str()))
            .cloned()
            .collect();
        assert_eq!(shown, published(types), "{types:?}");
    };
    let first = async |path: &str| bench.all(path).await[0].clone();
    check(
        &first("/directory/administrativeUnits").await,
        &["administrativeUnit"],
        &[],
    );
    check(
        &first("/oauth2PermissionGrants").await,
        &["oAuth2PermissionGrant"],
        &[],
    );
    check(
        &first(CONTEXTS).await,
        &["authenticationContextClassReference"],
        &[],
    );
    check(&first("/organization").await, &["organization"], &[]);
    check(
        &first(STRENGTHS).await,
        &["authenticationStrengthPolicy"],
        &["combinationConfigurations"],
    );
    let policy = bench.get(AUTHORIZATION).await.expect(200);
    check(
        &policy,
        &["authorizationPolicy"],
        &["description", "displayName"],
    );
    let methods = bench.get(METHODS).await.expect(200);
    check(
        &methods,
        &["authenticationMethodsPolicy"],
        &["authenticationMethodConfigurations"],
    );
    for held in methods["authenticationMethodConfigurations"]
        .as_array()
        .unwrap()
    {
        let name = held["@odata.type"]
            .as_str()
            .unwrap()
            .trim_start_matches("#microsoft.graph.");
        check(
            held,
            &["authenticationMethodConfiguration", name],
            &["includeTargets"],
        );
    }
    let applications = bench
        .all("/applications?$expand=federatedIdentityCredentials")
        .await;
    let credential = applications
        .iter()
        .find_map(|application| application["federatedIdentityCredentials"].get(0))
        .unwrap();
    check(credential, &["federatedIdentityCredential"], &[]);
}
