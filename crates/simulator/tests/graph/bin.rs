//! The recycle bins.

use serde_json::{Value, json};

use crate::support::{Bench, TENANT, id, ids};

#[tokio::test]
async fn a_deleted_user_is_hidden_and_returns_with_its_memberships() {
    let bench = Bench::empty().await;
    let (group, user) = (bench.group("g").await, bench.user("ada").await);
    bench
        .post(
            &format!("/groups/{group}/members/$ref"),
            bench.reference(&user),
        )
        .await
        .expect(204);
    let before = bench.simulator.dump(TENANT);
    bench.delete(&format!("/users/{user}")).await.expect(204);
    assert!(
        bench
            .all(&format!("/groups/{group}/members"))
            .await
            .is_empty()
    );
    let listed = bench
        .all("/directory/deletedItems/microsoft.graph.user")
        .await;
    assert_eq!(ids(&listed), std::slice::from_ref(&user));
    let by_alias = bench.all("/directory/deletedItems/graph.user").await;
    assert_eq!(by_alias, listed, "SDKs cast by the namespace's alias");
    assert!(listed[0]["deletedDateTime"].is_string());
    bench
        .get("/directory/deletedItems")
        .await
        .refused(400, "Request_BadRequest", "cast");
    let restored = bench
        .send(
            "POST",
            &format!("/directory/deletedItems/{user}/restore"),
            None,
        )
        .await
        .expect(200);
    assert_eq!(
        (id(&restored), &restored["@odata.type"]),
        (user.clone(), &json!("#microsoft.graph.user"))
    );
    assert_eq!(
        ids(&bench.all(&format!("/groups/{group}/members")).await),
        [user]
    );
    assert_eq!(bench.simulator.dump(TENANT), before);
}

#[tokio::test]
async fn a_taken_name_stops_a_restore_unless_a_new_one_is_given() {
    let bench = Bench::empty().await;
    let old = bench.user("ada").await;
    bench.delete(&format!("/users/{old}")).await.expect(204);
    bench.user("ada").await;
    let path = format!("/directory/deletedItems/{old}/restore");
    bench
        .send("POST", &path, None)
        .await
        .refused(400, "Request_BadRequest", "userPrincipalName");
    bench
        .post(
            &path,
            json!({ "newUserPrincipalName": "ada2@practice.example" }),
        )
        .await
        .expect(200);
    bench.get("/users/ada2@practice.example").await.expect(200);
}

#[tokio::test]
async fn purging_removes_every_link_for_good() {
    let bench = Bench::empty().await;
    let (group, user) = (bench.group("g").await, bench.user("ada").await);
    bench
        .post(
            &format!("/groups/{group}/owners/$ref"),
            bench.reference(&user),
        )
        .await
        .expect(204);
    bench.delete(&format!("/users/{user}")).await.expect(204);
    bench
        .delete(&format!("/directory/deletedItems/{user}"))
        .await
        .expect(204);
    bench
        .delete(&format!("/directory/deletedItems/{user}"))
        .await
        .expect(404);
    assert!(
        bench
            .all(&format!("/groups/{group}/owners"))
            .await
            .is_empty()
    );
    assert_eq!(bench.simulator.dump(TENANT)["links"], json!({}));
}

#[tokio::test]
async fn groups_go_by_their_sort_and_the_bin_forgets_that_one_was_secure() {
    let bench = Bench::populated(60, 30).await;
    let group = bench.group("secure").await;
    bench.delete(&format!("/groups/{group}")).await.expect(204);
    let listed = bench
        .get(&format!("/directory/deletedItems/{group}"))
        .await
        .expect(200);
    assert_eq!(
        (&listed["securityEnabled"], &listed["groupTypes"]),
        (&json!(false), &json!([]))
    );
    bench
        .send(
            "POST",
            &format!("/directory/deletedItems/{group}/restore"),
            None,
        )
        .await
        .expect(200);
    let back = bench.get(&format!("/groups/{group}")).await.expect(200);
    assert_eq!(
        (&back["securityEnabled"], &back["deletedDateTime"]),
        (&json!(true), &Value::Null)
    );

    let groups = bench.all("/groups").await;
    let mail = groups
        .iter()
        .find(|group| group["mailEnabled"] == true && group["groupTypes"] == json!([]))
        .unwrap();
    bench
        .delete(&format!("/groups/{}", id(mail)))
        .await
        .expect(204);
    bench
        .get(&format!("/directory/deletedItems/{}", id(mail)))
        .await
        .expect(404);
}

#[tokio::test]
async fn an_application_takes_its_service_principal_along_and_returns_first() {
    let bench = Bench::empty().await;
    let app = bench
        .post("/applications", json!({ "displayName": "A" }))
        .await
        .expect(201);
    let principal = bench
        .post("/servicePrincipals", json!({ "appId": app["appId"] }))
        .await
        .expect(201);
    bench
        .delete(&format!("/applications/{}", id(&app)))
        .await
        .expect(204);
    bench
        .get(&format!("/servicePrincipals/{}", id(&principal)))
        .await
        .expect(404);
    let restore = |id: String| format!("/directory/deletedItems/{id}/restore");
    bench
        .send("POST", &restore(id(&principal)), None)
        .await
        .refused(400, "Request_BadRequest", "Restore the application first");
    bench
        .send("POST", &restore(id(&app)), None)
        .await
        .expect(200);
    bench
        .get(&format!("/servicePrincipals/{}", id(&principal)))
        .await
        .expect(404);
    bench
        .send("POST", &restore(id(&principal)), None)
        .await
        .expect(200);
    bench
        .get(&format!("/servicePrincipals/{}", id(&principal)))
        .await
        .expect(200);
}

#[tokio::test]
async fn conditional_access_has_a_bin_of_its_own() {
    let bench = Bench::populated(40, 15).await;
    let policies = bench.all("/identity/conditionalAccess/policies").await;
    let policy = policies
        .iter()
        .find(|policy| policy["state"] == "enabled")
        .unwrap();
    bench
        .delete(&format!(
            "/identity/conditionalAccess/policies/{}",
            id(policy)
        ))
        .await
        .expect(204);
    let bin = "/identity/conditionalAccess/deletedItems/policies";
    assert_eq!(ids(&bench.all(bin).await), [id(policy)]);
    bench
        .get(&format!("{bin}/{}", id(policy)))
        .await
        .expect(200);
    bench
        .get(&format!("/directory/deletedItems/{}", id(policy)))
        .await
        .expect(404);
    bench
        .send("POST", &format!("{bin}/{}/restore", id(policy)), None)
        .await
        .expect(200);
    let back = bench
        .get(&format!(
            "/identity/conditionalAccess/policies/{}",
            id(policy)
        ))
        .await
        .expect(200);
    assert_eq!(
        back["state"], "enabled",
        "a policy returns in its old state"
    );

    let body = json!({
        "@odata.type": "#microsoft.graph.ipNamedLocation", "displayName": "L", "isTrusted": true,
        "ipRanges": [{ "@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "198.51.100.0/24" }],
    });
    let location = id(&bench
        .post("/identity/conditionalAccess/namedLocations", body)
        .await
        .expect(201));
    let path = format!("/identity/conditionalAccess/namedLocations/{location}");
    let untrust = json!({ "@odata.type": "#microsoft.graph.ipNamedLocation", "isTrusted": false });
    bench.patch(&path, untrust).await.expect(204);
    bench.delete(&path).await.expect(204);
    let bin = "/identity/conditionalAccess/deletedItems/namedLocations";
    bench
        .send("POST", &format!("{bin}/{location}/restore"), None)
        .await
        .expect(200);
    assert_eq!(bench.get(&path).await.expect(200)["isTrusted"], false);
    bench.delete(&path).await.expect(204);
    bench.delete(&format!("{bin}/{location}")).await.expect(204);
    assert!(bench.all(bin).await.is_empty());
}
