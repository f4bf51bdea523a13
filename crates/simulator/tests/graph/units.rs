//! Administrative units and directory role assignments.

use serde_json::{Value, json};

use crate::support::{Bench, TENANT, id, ids, round};

const UNITS: &str = "/directory/administrativeUnits";
const ROLES: &str = "/roleManagement/directory/roleAssignments";
const HELPDESK: &str = "729827e3-9c14-49f7-bb1b-9608f156bbb8";

async fn unit(bench: &Bench, name: &str) -> String {
    id(&bench
        .post(UNITS, json!({ "displayName": name }))
        .await
        .expect(201))
}

#[tokio::test]
async fn units_are_made_changed_deleted_and_restored() {
    let bench = Bench::empty().await;
    bench
        .post(UNITS, json!({ "description": "nameless" }))
        .await
        .refused(400, "Request_BadRequest", "displayName");
    let unit = unit(&bench, "North").await;
    let path = format!("{UNITS}/{unit}");
    let shown = bench.get(&path).await.expect(200);
    let names: Vec<&String> = shown.as_object().unwrap().keys().collect();
    assert_eq!(
        names,
        [
            "@odata.context",
            "deletedDateTime",
            "description",
            "displayName",
            "id",
            "isMemberManagementRestricted",
            "membershipRule",
            "membershipRuleProcessingState",
            "membershipType",
            "visibility"
        ]
    );
    bench
        .patch(
            &path,
            json!({ "description": "cold", "visibility": "HiddenMembership" }),
        )
        .await
        .expect(204);
    bench
        .patch(&path, json!({ "visibility": "Invisible" }))
        .await
        .refused(400, "Request_BadRequest", "visibility");
    bench
        .patch(&path, json!({ "membershipType": "Dynamic" }))
        .await
        .refused(400, "Request_BadRequest", "membershipRule");
    let user = bench.user("ada").await;
    bench
        .post(&format!("{path}/members/$ref"), bench.reference(&user))
        .await
        .expect(204);
    let before = bench.simulator.dump(TENANT);
    bench.delete(&path).await.expect(204);
    bench.get(&path).await.expect(404);
    let deleted = bench
        .all("/directory/deletedItems/microsoft.graph.administrativeUnit")
        .await;
    assert_eq!(deleted[0]["description"], "cold");
    assert!(deleted[0]["deletedDateTime"].is_string());
    let item = format!("/directory/deletedItems/{unit}");
    bench
        .delete(&item)
        .await
        .refused(400, "Request_BadRequest", "before their time");
    let restored = bench
        .send("POST", &format!("{item}/restore"), None)
        .await
        .expect(200);
    assert_eq!(
        restored["@odata.type"],
        "#microsoft.graph.administrativeUnit"
    );
    assert_eq!(
        simulator::differences(&before, &bench.simulator.dump(TENANT)),
        Vec::<String>::new(),
        "members included"
    );
    let records = bench.all("/auditLogs/directoryAudits").await;
    let activities: Vec<&str> = records
        .iter()
        .filter(|record| record["category"] == "AdministrativeUnit")
        .map(|record| record["activityDisplayName"].as_str().unwrap())
        .collect();
    assert_eq!(
        activities,
        [
            "Restore administrative unit",
            "Delete administrative unit",
            "Add member to administrative unit",
            "Update administrative unit",
            "Add administrative unit",
        ]
    );
}

#[tokio::test]
async fn members_are_users_and_groups_and_show_in_delta() {
    let bench = Bench::empty().await;
    let (user, group) = (bench.user("ada").await, bench.group("readers").await);
    let unit = unit(&bench, "North").await;
    let members = format!("{UNITS}/{unit}/members");
    let (_, link) = round(&bench, &format!("{UNITS}/delta")).await;
    for member in [&user, &group] {
        bench
            .post(&format!("{members}/$ref"), bench.reference(member))
            .await
            .expect(204);
    }
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
    bench
        .post(&format!("{members}/$ref"), bench.reference(&id(&principal)))
        .await
        .refused(400, "Request_BadRequest", "invalid member");
    let listed = bench.all(&format!("{members}?$select=id")).await;
    assert_eq!(listed.len(), 2);
    assert!(
        listed
            .iter()
            .all(|member| member["@odata.type"].is_string())
    );
    let of = bench.all(&format!("/users/{user}/memberOf")).await;
    assert_eq!(of[0]["@odata.type"], "#microsoft.graph.administrativeUnit");
    let groups = bench
        .post(
            &format!("/users/{user}/getMemberGroups"),
            json!({ "securityEnabledOnly": false }),
        )
        .await
        .expect(200);
    assert_eq!(groups["value"], json!([]), "a unit is no group");

    let (items, link) = round(&bench, &link).await;
    assert_eq!(items[0]["members@delta"].as_array().unwrap().len(), 2);
    bench
        .delete(&format!("{members}/{user}/$ref"))
        .await
        .expect(204);
    let (items, link) = round(&bench, &link).await;
    assert_eq!(
        items[0]["members@delta"],
        json!([{ "@odata.type": "#microsoft.graph.user", "id": user, "@removed": { "reason": "deleted" } }])
    );
    bench.delete(&format!("{UNITS}/{unit}")).await.expect(204);
    let (items, _) = round(&bench, &link).await;
    assert_eq!(items[0]["@removed"]["reason"], "changed");
    let dynamic = bench
        .post(
            UNITS,
            json!({ "displayName": "All", "membershipType": "Dynamic", "membershipRule": "(user.country -eq \"NO\")" }),
        )
        .await
        .expect(201);
    assert_eq!(dynamic["membershipRuleProcessingState"], "On");
    bench
        .post(
            &format!("{UNITS}/{}/members/$ref", id(&dynamic)),
            bench.reference(&user),
        )
        .await
        .refused(400, "Request_BadRequest", "dynamic");
}

#[tokio::test]
async fn roles_are_assigned_over_all_or_over_a_unit_and_end_with_their_holder() {
    let bench = Bench::empty().await;
    let user = bench.user("ada").await;
    let unit = unit(&bench, "North").await;
    let body = |scope: &str| json!({ "roleDefinitionId": HELPDESK, "principalId": user, "directoryScopeId": scope });
    let whole = bench.post(ROLES, body("/")).await.expect(201);
    let scoped = format!("/administrativeUnits/{unit}");
    let part = bench.post(ROLES, body(&scoped)).await.expect(201);
    assert_eq!(part["directoryScopeId"], *scoped);
    assert!(id(&whole).ends_with("-1") && id(&whole) != id(&part));
    bench
        .post(ROLES, body("/"))
        .await
        .refused(400, "Request_BadRequest", "conflicting");
    bench
        .post(ROLES, body("/administrativeUnits/nowhere"))
        .await
        .refused(400, "Request_BadRequest", "directoryScopeId");
    let mut wrong = body("/");
    wrong["roleDefinitionId"] = user.clone().into();
    bench
        .post(ROLES, wrong)
        .await
        .refused(404, "Request_ResourceNotFound", &user);
    let plain = bench.group("plain").await;
    let mut to_group = body("/");
    to_group["principalId"] = plain.into();
    bench
        .post(ROLES, to_group)
        .await
        .refused(400, "Request_BadRequest", "role-assignable");
    let one = format!("{ROLES}/{}", id(&whole));
    assert_eq!(bench.patch(&one, json!({})).await.status, 405);
    assert_eq!(id(&bench.get(&one).await.expect(200)), id(&whole));
    let filtered = format!("{ROLES}?$filter=principalId eq '{user}'");
    assert_eq!(bench.all(&filtered).await.len(), 2);

    bench.delete(&one).await.expect(204);
    bench.get(&one).await.expect(404);
    let again = bench.post(ROLES, body("/")).await.expect(201);
    assert_eq!(id(&again), id(&whole));
    bench.delete(&format!("/users/{user}")).await.expect(204);
    assert!(bench.all(ROLES).await.is_empty(), "hidden with its holder");
    let item = format!("/directory/deletedItems/{user}");
    bench
        .send("POST", &format!("{item}/restore"), None)
        .await
        .expect(200);
    assert_eq!(ids(&bench.all(ROLES).await).len(), 2);
    bench.delete(&format!("/users/{user}")).await.expect(204);
    bench.delete(&item).await.expect(204);
    assert!(bench.all(ROLES).await.is_empty());
    let dump = bench.simulator.dump(TENANT);
    assert_eq!(dump["roleAssignments"], Value::Array(Vec::new()));
}
