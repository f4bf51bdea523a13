//! Members, owners, managers, sponsors, grants and assignments.

use serde_json::json;

use crate::support::{Bench, id, ids};

#[tokio::test]
async fn members_come_and_go_by_reference() {
    let bench = Bench::empty().await;
    let (group, user) = (bench.group("readers").await, bench.user("ada").await);
    let path = format!("/groups/{group}/members");
    let reference = format!("{path}/$ref");
    bench
        .post(&reference, bench.reference(&user))
        .await
        .expect(204);
    bench
        .post(&reference, bench.reference(&user))
        .await
        .refused(
            400,
            "Request_BadRequest",
            "already exist for the following modified properties: 'members'",
        );
    let members = bench.get(&path).await.expect(200);
    assert_eq!(members["value"][0]["@odata.type"], "#microsoft.graph.user");
    let cast = bench
        .get(&format!("{path}/microsoft.graph.user?$select=id"))
        .await
        .expect(200);
    assert_eq!(
        ids(cast["value"].as_array().unwrap()),
        std::slice::from_ref(&user)
    );
    let references = bench.get(&reference).await.expect(200);
    assert!(
        references["value"][0]["@odata.id"]
            .as_str()
            .unwrap()
            .ends_with(&user)
    );
    let of = bench
        .get(&format!("/users/{user}/memberOf"))
        .await
        .expect(200);
    assert_eq!(
        ids(of["value"].as_array().unwrap()),
        std::slice::from_ref(&group)
    );
    bench
        .delete(&format!("{path}/{user}/$ref"))
        .await
        .expect(204);
    bench.delete(&format!("{path}/{user}/$ref")).await.refused(
        404,
        "Request_ResourceNotFound",
        &user,
    );
    let missing = "11111111-2222-4333-8444-555555555555";
    bench
        .post(&reference, bench.reference(missing))
        .await
        .refused(404, "Request_ResourceNotFound", missing);
}

#[tokio::test]
async fn a_forgotten_ref_deletes_the_member_itself() {
    let bench = Bench::empty().await;
    let (group, user) = (bench.group("readers").await, bench.user("ada").await);
    let path = format!("/groups/{group}/members");
    bench
        .post(&format!("{path}/$ref"), bench.reference(&user))
        .await
        .expect(204);
    bench.delete(&format!("{path}/{user}")).await.expect(204);
    bench.get(&format!("/users/{user}")).await.expect(404);
    bench
        .get(&format!("/directory/deletedItems/{user}"))
        .await
        .expect(200);
}

#[tokio::test]
async fn a_batch_of_members_is_all_or_nothing_and_at_most_twenty() {
    let bench = Bench::empty().await;
    let group = bench.group("many").await;
    let mut users = Vec::new();
    for n in 0..21 {
        users.push(bench.user(&format!("u{n}")).await);
    }
    let url = |id: &String| format!("{}/v1.0/directoryObjects/{id}", bench.server.url());
    let bind =
        |ids: &[String]| json!({ "members@odata.bind": ids.iter().map(url).collect::<Vec<_>>() });
    let path = format!("/groups/{group}");
    bench.patch(&path, bind(&users)).await.refused(
        400,
        "Request_BadRequest",
        "exceeds the maximum of 20",
    );
    bench.patch(&path, bind(&users[..1])).await.expect(204);
    bench
        .patch(&path, bind(&users[..2]))
        .await
        .refused(400, "Request_BadRequest", "already exist");
    let count = bench
        .get(&format!("{path}/members/$count"))
        .await
        .expect(200);
    assert_eq!(count, json!(1));
    bench.patch(&path, bind(&users[1..21])).await.expect(204);
    let members = bench
        .get(&format!("{path}/members?$select=id"))
        .await
        .expect(200);
    assert_eq!(members["value"].as_array().unwrap().len(), 21);
    let expanded = bench
        .get(&format!("{path}?$select=id&$expand=members($select=id)"))
        .await
        .expect(200);
    assert_eq!(expanded["members"].as_array().unwrap().len(), 20);
    assert!(expanded.get("members@odata.nextLink").is_none());
}

#[tokio::test]
async fn the_last_owner_of_a_microsoft_365_group_stays() {
    let bench = Bench::empty().await;
    let group = bench.microsoft_365_group("team").await;
    let (one, two) = (bench.user("one").await, bench.user("two").await);
    let path = format!("/groups/{group}/owners");
    for owner in [&one, &two] {
        bench
            .post(&format!("{path}/$ref"), bench.reference(owner))
            .await
            .expect(204);
    }
    bench
        .delete(&format!("{path}/{one}/$ref"))
        .await
        .expect(204);
    bench.delete(&format!("{path}/{two}/$ref")).await.refused(
        400,
        "Request_BadRequest",
        "at least one owner",
    );
    let nested = bench.group("inner").await;
    bench
        .post(
            &format!("/groups/{group}/members/$ref"),
            bench.reference(&nested),
        )
        .await
        .refused(400, "Request_BadRequest", "nested");
}

#[tokio::test]
async fn a_user_has_one_manager_and_the_absent_one_is_a_404() {
    let bench = Bench::empty().await;
    let (user, boss, other) = (
        bench.user("u").await,
        bench.user("boss").await,
        bench.user("other").await,
    );
    let path = format!("/users/{user}/manager");
    bench
        .get(&path)
        .await
        .refused(404, "Request_ResourceNotFound", "'manager'");
    for manager in [&boss, &other] {
        let reference = bench.reference(manager);
        bench
            .send("PUT", &format!("{path}/$ref"), Some(&reference))
            .await
            .expect(204);
        assert_eq!(id(&bench.get(&path).await.expect(200)), *manager);
    }
    let reports = bench
        .get(&format!("/users/{other}/directReports"))
        .await
        .expect(200);
    assert_eq!(
        ids(reports["value"].as_array().unwrap()),
        std::slice::from_ref(&user)
    );
    let expanded = bench
        .get(&format!("/users/{user}?$expand=manager($select=id)"))
        .await
        .expect(200);
    assert_eq!(id(&expanded["manager"]), other);
    let reference = bench.get(&format!("{path}/$ref")).await.expect(200);
    assert!(reference["@odata.id"].as_str().unwrap().ends_with(&other));
    bench.delete(&format!("{path}/$ref")).await.expect(204);
    bench.get(&path).await.expect(404);
    let sponsors = format!("/users/{user}/sponsors");
    bench
        .post(&format!("{sponsors}/$ref"), bench.reference(&boss))
        .await
        .expect(204);
    assert_eq!(ids(&bench.all(&sponsors).await), [boss]);
}

#[tokio::test]
async fn synced_and_dynamic_groups_keep_their_members() {
    let bench = Bench::populated(60, 30).await;
    let groups = bench.all("/groups").await;
    let user = id(&bench.all("/users").await[0]);
    let synced = groups
        .iter()
        .find(|group| group["onPremisesSyncEnabled"] == true)
        .unwrap();
    bench
        .post(
            &format!("/groups/{}/members/$ref", id(synced)),
            bench.reference(&user),
        )
        .await
        .refused(
            400,
            "Request_BadRequest",
            "on-premises mastered Directory Sync objects",
        );
    let dynamic = groups
        .iter()
        .find(|group| !group["membershipRule"].is_null())
        .unwrap();
    bench
        .post(
            &format!("/groups/{}/members/$ref", id(dynamic)),
            bench.reference(&user),
        )
        .await
        .refused(400, "Request_BadRequest", "dynamic membership");
}

#[tokio::test]
async fn grants_keep_their_id_and_change_only_in_scope() {
    let bench = Bench::populated(60, 15).await;
    let grants = bench.all("/oauth2PermissionGrants").await;
    let grant = &grants[0];
    let path = format!("/oauth2PermissionGrants/{}", id(grant));
    bench
        .patch(&path, json!({ "consentType": "Principal" }))
        .await
        .refused(400, "Request_BadRequest", "scope");
    bench
        .patch(&path, json!({ "scope": "Mail.Read" }))
        .await
        .expect(204);
    assert_eq!(bench.get(&path).await.expect(200)["scope"], "Mail.Read");
    bench.delete(&path).await.expect(204);
    bench.get(&path).await.expect(404);
    let body = json!({
        "clientId": grant["clientId"], "resourceId": grant["resourceId"],
        "consentType": grant["consentType"], "principalId": grant["principalId"], "scope": "User.Read",
    });
    let again = bench
        .post("/oauth2PermissionGrants", body.clone())
        .await
        .expect(201);
    assert_eq!(id(&again), id(grant));
    assert_eq!(
        bench.post("/oauth2PermissionGrants", body).await.status,
        409
    );
    let filtered = format!(
        "/oauth2PermissionGrants?$filter=clientId eq '{}'",
        grant["clientId"].as_str().unwrap()
    );
    assert!(
        bench
            .all(&filtered)
            .await
            .iter()
            .any(|held| id(held) == id(grant))
    );
}

#[tokio::test]
async fn app_roles_are_assigned_once() {
    let bench = Bench::populated(200, 15).await;
    let principals = bench.all("/servicePrincipals").await;
    let resource = principals
        .iter()
        .find(|principal| {
            principal["signInAudience"] == "AzureADMyOrg"
                && principal["appRoles"]
                    .as_array()
                    .is_some_and(|roles| !roles.is_empty())
        })
        .unwrap();
    let user = bench.user("fresh").await;
    let body = json!({
        "principalId": user, "resourceId": id(resource), "appRoleId": resource["appRoles"][0]["id"],
    });
    let path = format!("/servicePrincipals/{}/appRoleAssignedTo", id(resource));
    let made = bench.post(&path, body.clone()).await.expect(201);
    bench.post(&path, body).await.refused(
        400,
        "Request_BadRequest",
        "Permission being assigned already exists",
    );
    assert_eq!(
        ids(&bench
            .all(&format!("/users/{user}/appRoleAssignments"))
            .await),
        [id(&made)]
    );
    assert!(ids(&bench.all(&path).await).contains(&id(&made)));
    bench
        .delete(&format!("{path}/{}", id(&made)))
        .await
        .expect(204);
    assert!(
        bench
            .all(&format!("/users/{user}/appRoleAssignments"))
            .await
            .is_empty()
    );
}
