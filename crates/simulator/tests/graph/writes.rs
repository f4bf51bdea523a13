//! Creating and changing users, groups, applications and service principals.

use serde_json::{Value, json};

use crate::support::{Bench, id};

const BAD: &str = "Request_BadRequest";

#[tokio::test]
async fn users_are_created_with_what_is_required_and_names_are_unique() {
    let bench = Bench::empty().await;
    let body = json!({
        "accountEnabled": true, "displayName": "Ada", "mailNickname": "ada",
        "userPrincipalName": "ada@practice.example", "passwordProfile": { "password": "x" },
    });
    for name in [
        "accountEnabled",
        "displayName",
        "mailNickname",
        "userPrincipalName",
        "passwordProfile",
    ] {
        let mut part = body.clone();
        part.as_object_mut().unwrap().remove(name);
        bench
            .post("/users", part)
            .await
            .refused(400, BAD, &format!("'{name}'"));
    }
    let answer = bench.post("/users", body.clone()).await;
    assert!(answer.headers.contains_key("location"));
    let user = answer.expect(201);
    assert_eq!(user.as_object().unwrap().len(), 12);
    bench.post("/users", body).await.refused(
        400,
        BAD,
        "Another object with the same value for property userPrincipalName already exists.",
    );
    let path = format!(
        "/users/{}?$select=passwordProfile,userType,identities",
        id(&user)
    );
    let held = bench.get(&path).await.expect(200);
    assert_eq!(
        (&held["passwordProfile"], &held["userType"]),
        (&Value::Null, &json!("Member"))
    );
}

#[tokio::test]
async fn user_updates_follow_the_services_rules() {
    let bench = Bench::empty().await;
    let user = bench.user("ada").await;
    bench.user("bo").await;
    let path = format!("/users/{user}");
    let both =
        json!({ "employeeOrgData": { "division": "D", "costCenter": "C" }, "jobTitle": "Chief" });
    bench.patch(&path, both).await.expect(204);
    bench
        .patch(&path, json!({ "employeeOrgData": { "division": "E" } }))
        .await
        .expect(204);
    let held = bench
        .get(&format!("{path}?$select=employeeOrgData,jobTitle"))
        .await
        .expect(200);
    assert_eq!(
        held["employeeOrgData"],
        json!({ "division": "E", "costCenter": null })
    );
    assert_eq!(held["jobTitle"], "Chief");
    bench
        .patch(&path, json!({ "shoeSize": 44 }))
        .await
        .refused(400, BAD, "shoeSize");
    bench
        .patch(&path, json!({ "proxyAddresses": [] }))
        .await
        .refused(400, BAD, "read-only");
    bench
        .patch(&path, json!({ "id": user }))
        .await
        .refused(400, BAD, "read-only");
    bench
        .patch(&path, json!({ "displayName": null }))
        .await
        .refused(400, BAD, "displayName");
    bench
        .patch(&path, json!({ "accountEnabled": "yes" }))
        .await
        .refused(400, BAD, "accountEnabled");
    bench
        .patch(&path, json!({ "otherMails": null }))
        .await
        .refused(400, BAD, "otherMails");
    bench
        .patch(&path, json!({ "userPrincipalName": "bo@practice.example" }))
        .await
        .refused(400, BAD, "userPrincipalName already exists");
    bench
        .patch(&path, json!({ "mail": "ada@practice.example" }))
        .await
        .expect(204);
    bench
        .patch(&path, json!({ "mail": null }))
        .await
        .refused(400, BAD, "mail");
}

#[tokio::test]
async fn what_active_directory_masters_cannot_be_written() {
    let bench = Bench::populated(120, 30).await;
    let part = "on-premises mastered Directory Sync objects";
    let users = bench.all("/users?$select=id,onPremisesSyncEnabled").await;
    let user = id(users
        .iter()
        .find(|user| user["onPremisesSyncEnabled"] == true)
        .unwrap());
    bench
        .patch(&format!("/users/{user}"), json!({ "jobTitle": "x" }))
        .await
        .refused(400, BAD, part);
    bench
        .patch(&format!("/users/{user}"), json!({ "usageLocation": "SE" }))
        .await
        .expect(204);
    let groups = bench.all("/groups").await;
    let group = id(groups
        .iter()
        .find(|group| group["onPremisesSyncEnabled"] == true)
        .unwrap());
    bench
        .patch(&format!("/groups/{group}"), json!({ "description": "x" }))
        .await
        .refused(400, BAD, part);
    bench
        .delete(&format!("/groups/{group}"))
        .await
        .refused(400, BAD, part);
}

#[tokio::test]
async fn group_rules_hold() {
    let bench = Bench::empty().await;
    let group = bench.group("plain").await;
    let path = format!("/groups/{group}");
    bench
        .patch(&path, json!({ "isAssignableToRole": true }))
        .await
        .refused(400, BAD, "immutable");
    bench
        .patch(&path, json!({ "mailEnabled": true }))
        .await
        .refused(400, BAD, "immutable");
    bench
        .patch(
            &path,
            json!({ "allowExternalSenders": true, "description": "x" }),
        )
        .await
        .refused(400, BAD, "of their own");
    assert_eq!(
        bench
            .patch(&path, json!({ "allowExternalSenders": true }))
            .await
            .status,
        200
    );
    bench.microsoft_365_group("team").await;
    let twin = json!({
        "displayName": "t", "mailNickname": "TEAM", "mailEnabled": true, "securityEnabled": false,
        "groupTypes": ["Unified"],
    });
    bench
        .post("/groups", twin)
        .await
        .refused(400, BAD, "mailNickname already exists");
    let spaced = json!({
        "displayName": "t", "mailNickname": "a b", "mailEnabled": false, "securityEnabled": true,
    });
    bench
        .post("/groups", spaced)
        .await
        .refused(400, BAD, "mailNickname");
    let dynamic = json!({
        "displayName": "d", "mailNickname": "d", "mailEnabled": false, "securityEnabled": true,
        "groupTypes": ["DynamicMembership"],
    });
    bench
        .post("/groups", dynamic)
        .await
        .refused(400, BAD, "membershipRule");
    let mail = json!({
        "displayName": "m", "mailNickname": "m", "mailEnabled": true, "securityEnabled": true,
    });
    bench
        .post("/groups", mail)
        .await
        .refused(400, BAD, "mail-enabled groups");
}

#[tokio::test]
async fn an_enabled_scope_or_role_must_be_disabled_before_it_goes() {
    let bench = Bench::empty().await;
    let role = json!({
        "allowedMemberTypes": ["User"], "description": "d", "displayName": "Reader",
        "id": "0d2f1f7e-59f0-4b0c-9c2e-6c6a3c3f2b10", "isEnabled": true, "value": "read",
    });
    let app = bench
        .post(
            "/applications",
            json!({ "displayName": "A", "appRoles": [role] }),
        )
        .await
        .expect(201);
    let path = format!("/applications/{}", id(&app));
    let code = "CannotDeleteOrUpdateEnabledEntitlement";
    let text = "Permission (scope or role) cannot be deleted or updated unless disabled first.";
    bench
        .patch(&path, json!({ "appRoles": [] }))
        .await
        .refused(400, code, text);
    let mut changed = role.clone();
    changed["value"] = "write".into();
    bench
        .patch(&path, json!({ "appRoles": [changed] }))
        .await
        .refused(400, code, text);
    let mut disabled = role.clone();
    disabled["isEnabled"] = false.into();
    bench
        .patch(&path, json!({ "appRoles": [disabled] }))
        .await
        .expect(204);
    bench
        .patch(&path, json!({ "appRoles": [] }))
        .await
        .expect(204);
    let mut scope = json!({
        "adminConsentDescription": "d", "adminConsentDisplayName": "n", "type": "User",
        "id": "0d2f1f7e-59f0-4b0c-9c2e-6c6a3c3f2b11", "isEnabled": true, "value": "use",
    });
    bench
        .patch(
            &path,
            json!({ "api": { "oauth2PermissionScopes": [scope] } }),
        )
        .await
        .expect(204);
    bench
        .patch(&path, json!({ "api": { "oauth2PermissionScopes": [] } }))
        .await
        .refused(400, code, text);
    scope["isEnabled"] = false.into();
    bench
        .patch(
            &path,
            json!({ "api": { "oauth2PermissionScopes": [scope] } }),
        )
        .await
        .expect(204);
    bench
        .patch(&path, json!({ "api": { "oauth2PermissionScopes": [] } }))
        .await
        .expect(204);
}

#[tokio::test]
async fn applications_and_their_service_principals() {
    let bench = Bench::empty().await;
    let app = bench
        .post(
            "/applications",
            json!({ "displayName": "A", "web": { "redirectUris": ["https://a.example"] } }),
        )
        .await
        .expect(201);
    assert_eq!(
        app["web"]["redirectUriSettings"],
        json!([{ "uri": "https://a.example", "index": null }])
    );
    let path = format!("/applications/{}", id(&app));
    let home = json!({ "web": { "homePageUrl": "https://a.example/home" } });
    bench.patch(&path, home).await.expect(204);
    let held = bench.get(&path).await.expect(200);
    assert_eq!(
        held["web"]["redirectUris"],
        json!(["https://a.example"]),
        "a partial complex value merges"
    );
    bench
        .patch(&path, json!({ "passwordCredentials": [] }))
        .await
        .refused(400, BAD, "addPassword");
    let none = json!({ "appId": "99999999-9999-4999-8999-999999999999" });
    bench.post("/servicePrincipals", none).await.refused(
        400,
        "NoBackingApplicationObject",
        "does not reference",
    );
    let body = json!({ "appId": app["appId"] });
    let principal = bench
        .post("/servicePrincipals", body.clone())
        .await
        .expect(201);
    assert_eq!(principal["replyUrls"], json!(["https://a.example"]));
    assert_eq!(bench.post("/servicePrincipals", body).await.status, 409);
    bench
        .patch(&path, json!({ "displayName": "B" }))
        .await
        .expect(204);
    let followed = bench
        .get(&format!("/servicePrincipals/{}", id(&principal)))
        .await
        .expect(200);
    assert_eq!(
        (&followed["appDisplayName"], &followed["displayName"]),
        (&json!("B"), &json!("B"))
    );
    let made = bench
        .post(
            &format!("{path}/addPassword"),
            json!({ "passwordCredential": {} }),
        )
        .await
        .expect(200);
    assert!(made["secretText"].is_string());
    let held = bench.get(&path).await.expect(200);
    assert_eq!(held["passwordCredentials"][0]["secretText"], Value::Null);
    let key = json!({ "keyId": made["keyId"] });
    bench
        .post(&format!("{path}/removePassword"), key.clone())
        .await
        .expect(204);
    bench
        .post(&format!("{path}/removePassword"), key)
        .await
        .refused(400, BAD, "keyId");
}

#[tokio::test]
async fn by_its_unique_name_one_is_made_once() {
    let bench = Bench::empty().await;
    let group = json!({ "displayName": "Made", "mailEnabled": false, "mailNickname": "made",
        "securityEnabled": true });
    let app = json!({ "displayName": "Made" });
    for (collection, body) in [("groups", group), ("applications", app)] {
        let path = format!("/{collection}(uniqueName='made-1')");
        let plain = json!({ "displayName": "Other" });
        assert_eq!(bench.patch(&path, plain).await.status, 404);
        let create = [("Prefer", "create-if-missing")];
        let made = bench
            .send_with("PATCH", &path, Some(&body), &create)
            .await
            .expect(201);
        assert_eq!(made["uniqueName"], "made-1");
        let same = json!({ "displayName": "Made" });
        let again = bench.send_with("PATCH", &path, Some(&same), &create).await;
        assert_eq!(again.status, 204, "the second time it is there");
        let held = bench.get(&path).await.expect(200);
        assert_eq!(held["id"], made["id"]);
        let listed = bench.all(&format!("/{collection}")).await;
        assert_eq!(listed.len(), 1, "and made once only");
        let mut other = body;
        other["uniqueName"] = json!("made-1");
        other["mailNickname"] = json!("other");
        if collection == "applications" {
            other
                .as_object_mut()
                .expect("an object")
                .remove("mailNickname");
        }
        bench
            .post(&format!("/{collection}"), other)
            .await
            .refused(400, BAD, "uniqueName");
    }
}
