//! Grants with their delta, app role assignments, federated credentials.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use simulator::DeltaExpiry;

use crate::support::{Bench, TENANT, id, ids, round};

#[tokio::test]
async fn grants_have_delta_rounds_like_directory_objects() {
    let bench = Bench::populated(200, 15).await;
    let (items, link) = round(&bench, "/oauth2PermissionGrants/delta").await;
    let listed = bench.all("/oauth2PermissionGrants?$top=3").await;
    let by_id = |items: &[Value]| -> BTreeSet<String> { items.iter().map(id).collect() };
    assert_eq!(by_id(&items), by_id(&listed));
    assert!(items[0]["clientId"].is_string() && items[0]["scope"].is_string());

    let (changed, removed) = (id(&listed[0]), id(&listed[1]));
    bench
        .patch(
            &format!("/oauth2PermissionGrants/{changed}"),
            json!({ "scope": "Mail.Read" }),
        )
        .await
        .expect(204);
    bench
        .delete(&format!("/oauth2PermissionGrants/{removed}"))
        .await
        .expect(204);
    let (items, link) = round(&bench, &link).await;
    assert_eq!(items.len(), 2, "{items:?}");
    let of = |wanted: &str| items.iter().find(|item| item["id"] == wanted).unwrap();
    assert_eq!(of(&changed)["scope"], "Mail.Read");
    assert_eq!(of(&removed)["@removed"]["reason"], "deleted");

    let again = json!({
        "clientId": listed[1]["clientId"], "resourceId": listed[1]["resourceId"],
        "consentType": listed[1]["consentType"], "principalId": listed[1]["principalId"],
        "scope": "User.Read",
    });
    let made = bench
        .post("/oauth2PermissionGrants", again)
        .await
        .expect(201);
    assert_eq!(id(&made), removed);
    let (items, link) = round(&bench, &link).await;
    assert_eq!(ids(&items), [removed]);

    let (none, latest) = round(&bench, "/oauth2PermissionGrants/delta?$deltatoken=latest").await;
    assert!(none.is_empty());
    bench
        .get(&link.replace("oauth2PermissionGrants", "users"))
        .await
        .refused(400, "Request_BadRequest", "token");
    bench
        .simulator
        .expire_delta_tokens(TENANT, DeltaExpiry::Gone);
    let answer = bench.get(&latest).await;
    assert_eq!(answer.status, 410);
    let start = answer.headers["location"].to_str().unwrap();
    assert!(start.ends_with("/oauth2PermissionGrants/delta?$deltatoken="));
}

#[tokio::test]
async fn a_deleted_side_hides_a_grant_and_a_purged_one_ends_it() {
    let bench = Bench::populated(200, 15).await;
    let listed = bench.all("/oauth2PermissionGrants").await;
    let (client, own) = (listed[0]["clientId"].as_str().unwrap(), id(&listed[0]));
    let held: BTreeSet<String> = listed
        .iter()
        .filter(|grant| grant["clientId"] == client)
        .map(id)
        .collect();
    let before = bench.simulator.dump(TENANT);
    let (_, link) = round(&bench, "/oauth2PermissionGrants/delta?$deltatoken=latest").await;

    bench
        .delete(&format!("/servicePrincipals/{client}"))
        .await
        .expect(204);
    bench
        .get(&format!("/oauth2PermissionGrants/{own}"))
        .await
        .expect(404);
    let (items, link) = round(&bench, &link).await;
    assert_eq!(items.iter().map(id).collect::<BTreeSet<_>>(), held);
    assert!(
        items
            .iter()
            .all(|item| item["@removed"]["reason"] == "changed")
    );
    let restore = format!("/directory/deletedItems/{client}/restore");
    bench.send("POST", &restore, None).await.expect(200);
    let (items, link) = round(&bench, &link).await;
    assert_eq!(items.iter().map(id).collect::<BTreeSet<_>>(), held);
    assert!(items.iter().all(|item| item["scope"].is_string()));
    assert_eq!(
        simulator::differences(&before, &bench.simulator.dump(TENANT)),
        Vec::<String>::new()
    );

    bench
        .delete(&format!("/servicePrincipals/{client}"))
        .await
        .expect(204);
    bench
        .delete(&format!("/directory/deletedItems/{client}"))
        .await
        .expect(204);
    let (items, _) = round(&bench, &link).await;
    assert_eq!(items.iter().map(id).collect::<BTreeSet<_>>(), held);
    assert!(
        items
            .iter()
            .all(|item| item["@removed"]["reason"] == "deleted")
    );
}

#[tokio::test]
async fn wide_assignments_are_paged_alone_and_cut_off_when_expanded() {
    let bench = Bench::populated(1_400, 15).await;
    for path in [
        "/servicePrincipals?$top=999&$expand=appRoleAssignedTo",
        "/servicePrincipals?$top=999&$select=id&$expand=appRoleAssignedTo",
    ] {
        let listed = bench.all(path).await;
        let most = listed
            .iter()
            .map(|principal| principal["appRoleAssignedTo"].as_array().unwrap().len())
            .max();
        assert_eq!(most, Some(20), "cut off without a sign");
    }
    let mut widest = 0;
    for principal in bench.all("/servicePrincipals?$select=id").await {
        let path = format!("/servicePrincipals/{}/appRoleAssignedTo", id(&principal));
        let paged = bench.all(&format!("{path}?$top=999")).await;
        let small = bench.all(&format!("{path}?$top=700")).await;
        assert_eq!(ids(&paged), ids(&small));
        let unique: BTreeSet<String> = paged.iter().map(id).collect();
        assert_eq!(unique.len(), paged.len());
        widest = widest.max(paged.len());
    }
    assert!(widest > 999, "one needs more than a page: {widest}");
}

#[tokio::test]
async fn lists_expand_one_relation() {
    let bench = Bench::populated(60, 15).await;
    for path in [
        "/applications?$expand=owners($select=id)",
        "/servicePrincipals?$expand=owners($select=id)",
        "/groups?$select=id&$expand=owners($select=id)",
        "/users?$select=id&$expand=sponsors($select=id)",
        "/users?$select=id&$expand=manager($select=id)",
        "/applications?$select=id&$expand=federatedIdentityCredentials",
    ] {
        let name = path.rsplit_once('=').unwrap().1;
        let relation = path
            .split("$expand=")
            .nth(1)
            .unwrap()
            .split('(')
            .next()
            .unwrap();
        let some = bench
            .all(path)
            .await
            .iter()
            .any(|item| item[relation][0].is_object() || item[relation]["id"].is_string());
        assert!(some, "{path} shows no {relation} ({name})");
    }
    bench
        .get("/users?$select=id&$expand=manager($select=id),sponsors($select=id)")
        .await
        .refused(400, "Request_UnsupportedQuery", "one relation");
}

#[tokio::test]
async fn federated_credentials_come_and_go_without_a_word_in_delta() {
    let bench = Bench::empty().await;
    let application = bench
        .post("/applications", json!({ "displayName": "deployer" }))
        .await
        .expect(201);
    let path = format!(
        "/applications/{}/federatedIdentityCredentials",
        id(&application)
    );
    let body = |n: usize| {
        json!({
            "name": format!("key-{n}"), "issuer": "https://issuer.example",
            "subject": format!("repo:{n}"), "audiences": ["api://AzureADTokenExchange"],
        })
    };
    let (_, link) = round(&bench, "/applications/delta").await;
    let made = bench.post(&path, body(0)).await.expect(201);
    assert_eq!(made["description"], Value::Null);
    bench.post(&path, body(0)).await.refused(
        409,
        "Request_MultipleObjectsWithSameKeyValue",
        "already exists",
    );
    let mut without = body(1);
    without.as_object_mut().unwrap().remove("subject");
    bench
        .post(&path, without)
        .await
        .refused(400, "Request_BadRequest", "subject");
    let one = format!("{path}/{}", id(&made));
    bench.patch(&one, json!({ "name": "other" })).await.refused(
        400,
        "Request_BadRequest",
        "immutable",
    );
    bench
        .patch(
            &one,
            json!({ "subject": "repo:changed", "description": "d" }),
        )
        .await
        .expect(204);
    let named = bench.get(&format!("{path}/key-0")).await.expect(200);
    assert_eq!(
        (named["subject"].as_str(), id(&named)),
        (Some("repo:changed"), id(&made))
    );
    for n in 1..20 {
        bench.post(&path, body(n)).await.expect(201);
    }
    bench
        .post(&path, body(20))
        .await
        .refused(400, "Request_BadRequest", "20");
    assert_eq!(bench.all(&format!("{path}?$top=7")).await.len(), 20);
    bench.delete(&one).await.expect(204);
    bench.get(&one).await.expect(404);
    let listed = bench
        .all("/applications?$expand=federatedIdentityCredentials")
        .await;
    assert_eq!(
        listed[0]["federatedIdentityCredentials"]
            .as_array()
            .unwrap()
            .len(),
        19
    );
    let (items, _) = round(&bench, &link).await;
    assert!(items.is_empty(), "{items:?}");

    let object = format!("/applications/{}", id(&application));
    bench.delete(&object).await.expect(204);
    bench.get(&path).await.expect(404);
    let restore = format!("/directory/deletedItems/{}/restore", id(&application));
    bench.send("POST", &restore, None).await.expect(200);
    assert_eq!(bench.all(&path).await.len(), 19);
    let records = bench
        .all("/auditLogs/directoryAudits?$filter=activityDisplayName eq 'Update application'")
        .await;
    assert_eq!(records.len(), 22, "20 made, one changed, one removed");
}

#[tokio::test]
async fn users_groups_and_service_principals_say_what_they_are_members_of() {
    let bench = Bench::empty().await;
    let (user, inner, outer) = (
        bench.user("ada").await,
        bench.group("inner").await,
        bench.group("outer").await,
    );
    let application = bench
        .post("/applications", json!({ "displayName": "a" }))
        .await
        .expect(201);
    let principal = bench
        .post(
            "/servicePrincipals",
            json!({ "appId": application["appId"] }),
        )
        .await
        .expect(201);
    for member in [&user, &inner, &id(&principal)] {
        bench
            .post(
                &format!("/groups/{outer}/members/$ref"),
                bench.reference(member),
            )
            .await
            .expect(204);
    }
    for path in [
        format!("/users/{user}"),
        format!("/groups/{inner}"),
        format!("/servicePrincipals/{}", id(&principal)),
    ] {
        let of = bench
            .all(&format!("{path}/memberOf?$select=id&$top=999"))
            .await;
        assert_eq!(
            of,
            [json!({ "@odata.type": "#microsoft.graph.group", "id": outer })]
        );
    }
}
