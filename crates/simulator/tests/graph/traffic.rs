//! Limits, faults, counters and the audit log.

use std::time::Duration;

use chrono::{TimeZone, Utc};
use serde_json::{Value, json};
use simulator::{ActingUser, Clock, Fault, FaultResponse, Simulator, TenantSpec, Throttle};

use crate::support::{Bench, TENANT, id};

#[tokio::test]
async fn documented_limits_bite_and_conditional_access_gives_no_hint() {
    let clock = Clock::manual(Utc.with_ymd_and_hms(2026, 5, 1, 8, 0, 0).unwrap());
    let bench = Bench::on(Simulator::with_clock(clock.clone())).await;
    bench.simulator.set_throttle(Throttle::Documented);
    let path = "/identity/conditionalAccess/policies";
    bench.get(path).await.expect(200);
    let answer = bench.get(path).await;
    assert_eq!(answer.status, 429);
    assert!(!answer.headers.contains_key("retry-after"));
    let contexts = "/identity/conditionalAccess/authenticationContextClassReferences";
    assert_eq!(bench.get(contexts).await.status, 429, "the same lane");
    bench
        .get("/policies/authenticationStrengthPolicies")
        .await
        .expect(200);
    clock.advance(Duration::from_secs(1));
    bench.get(path).await.expect(200);

    let audits = "/auditLogs/directoryAudits";
    for _ in 0..5 {
        bench.get(audits).await.expect(200);
    }
    let answer = bench.get(audits).await;
    assert_eq!(answer.status, 429);
    assert_eq!(answer.headers["retry-after"], "2");
    assert_eq!(bench.simulator.counters().throttled, 3);
    bench.simulator.set_throttle(Throttle::Off);
    bench.get(audits).await.expect(200);
}

#[tokio::test]
async fn requests_cost_what_is_documented() {
    let bench = Bench::populated(40, 15).await;
    let group = id(&bench.all("/groups").await[0]);
    let user = id(&bench.all("/users").await[0]);
    let principal = id(&bench.all("/servicePrincipals").await[0]);
    for (path, units) in [
        ("/users".to_owned(), "2"),
        ("/users?$select=id".to_owned(), "1"),
        ("/users?$top=5&$expand=manager".to_owned(), "2"),
        ("/groups".to_owned(), "1"),
        (format!("/groups/{group}/members"), "3"),
        (format!("/groups/{group}/transitiveMembers"), "5"),
        ("/subscribedSkus".to_owned(), "3"),
        ("/oauth2PermissionGrants".to_owned(), "2"),
        ("/oauth2PermissionGrants/delta".to_owned(), "2"),
        (
            format!("/servicePrincipals/{principal}/appRoleAssignedTo?$top=999"),
            "2",
        ),
        (
            "/servicePrincipals?$select=id&$expand=appRoleAssignedTo".to_owned(),
            "1",
        ),
        (format!("/users/{user}/memberOf?$select=id&$top=999"), "1"),
        ("/directory/administrativeUnits".to_owned(), "1"),
        ("/roleManagement/directory/roleAssignments".to_owned(), "1"),
    ] {
        let answer = bench.get(&path).await;
        assert_eq!(answer.headers["x-ms-resource-unit"], units, "{path}");
    }
}

#[tokio::test]
async fn faults_do_what_they_say() {
    let bench = Bench::empty().await;
    let user = bench.user("ada").await;
    let slow = FaultResponse::Status {
        code: 429,
        retry_after: Some("2.128".to_owned()),
    };
    bench.simulator.inject(Fault::once("GET", "/users", slow));
    let answer = bench.get("/users").await;
    assert_eq!(
        (
            answer.status,
            answer.headers["retry-after"].to_str().unwrap()
        ),
        (429, "2.128")
    );
    bench
        .simulator
        .inject(Fault::once("GET", "/users", FaultResponse::MalformedJson));
    assert!(bench.get("/users").await.body.is_string());
    bench.get("/users").await.expect(200);

    let url = format!("{}/v1.0/users/{user}", bench.server.url());
    let token = bench
        .token(
            TENANT,
            simulator::WRITER_CLIENT_ID,
            simulator::WRITER_SECRET,
        )
        .await
        .expect(200)["access_token"]
        .as_str()
        .unwrap()
        .to_owned();
    let patch = async |title: &str| {
        let request = bench
            .http
            .patch(&url)
            .bearer_auth(&token)
            .json(&json!({ "jobTitle": title }));
        match request.send().await {
            Ok(response) => response.bytes().await.map(drop),
            Err(error) => Err(error),
        }
    };
    let title = async || bench.get(&format!("/users/{user}")).await.expect(200)["jobTitle"].clone();
    bench
        .simulator
        .inject(Fault::once("PATCH", "/users/*", FaultResponse::Disconnect));
    assert!(patch("lost").await.is_err());
    assert_eq!(title().await, Value::Null);
    bench.simulator.inject(Fault::once(
        "PATCH",
        "/users/*",
        FaultResponse::DisconnectAfter,
    ));
    assert!(patch("landed").await.is_err());
    assert_eq!(title().await, "landed");
    let pause = FaultResponse::Delay(Duration::from_millis(30));
    bench.simulator.inject(Fault::once("*", "/users*", pause));
    bench.get("/users").await.expect(200);
}

#[tokio::test]
async fn requests_are_counted_by_kind() {
    let bench = Bench::empty().await;
    bench.simulator.reset_counters();
    let user = bench.user("ada").await;
    bench.get(&format!("/users/{user}")).await.expect(200);
    bench
        .get(&format!("/users/{user}/manager"))
        .await
        .expect(404);
    bench.get("/users/ada@practice.example").await.expect(200);
    let counters = bench.simulator.counters();
    assert_eq!(counters.of("POST /users"), 1);
    assert_eq!(counters.of("GET /users/{id}"), 2);
    assert_eq!(counters.of("GET /users/{id}/manager"), 1);
    assert_eq!((counters.total, counters.writes), (4, 1));
    assert_eq!(counters.received, 4);
}

#[tokio::test]
async fn every_write_leaves_an_audit_record() {
    let clock = Clock::manual(Utc.with_ymd_and_hms(2026, 5, 1, 8, 0, 0).unwrap());
    let bench = Bench::on(Simulator::with_clock(clock.clone())).await;
    let (user, group) = (bench.user("ada").await, bench.group("g").await);
    clock.advance(Duration::from_secs(60));
    let path = format!("/users/{user}");
    bench
        .patch(&path, json!({ "jobTitle": "J" }))
        .await
        .expect(204);
    bench
        .patch(&path, json!({ "jobTitle": "J" }))
        .await
        .expect(204);
    bench
        .patch(&path, json!({ "accountEnabled": false }))
        .await
        .expect(204);
    bench
        .post(
            &format!("/groups/{group}/members/$ref"),
            bench.reference(&user),
        )
        .await
        .expect(204);
    bench.delete(&path).await.expect(204);
    bench
        .send(
            "POST",
            &format!("/directory/deletedItems/{user}/restore"),
            None,
        )
        .await
        .expect(200);
    bench
        .patch("/users/none@x.example", json!({ "jobTitle": "J" }))
        .await
        .expect(404);
    let records = bench.all("/auditLogs/directoryAudits?$top=3").await;
    let names: Vec<&str> = records
        .iter()
        .map(|record| record["activityDisplayName"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "Restore user",
            "Delete user",
            "Add member to group",
            "Disable account",
            "Update user",
            "Add group",
            "Add user"
        ]
    );
    let update = &records[4];
    let target = &update["targetResources"][0];
    assert_eq!(target["id"], user);
    assert_eq!(
        target["modifiedProperties"],
        json!([{ "displayName": "jobTitle", "oldValue": null, "newValue": "[\"J\"]" }])
    );
    assert_eq!(
        update["initiatedBy"]["app"]["appId"],
        simulator::WRITER_CLIENT_ID
    );
    let filter =
        "activityDateTime ge 2026-05-01T08:00:30Z and activityDisplayName eq 'Update user'";
    assert_eq!(
        bench
            .all(&format!("/auditLogs/directoryAudits?$filter={filter}"))
            .await
            .len(),
        1
    );
    let filter = format!("targetResources/any(t: t/id eq '{group}')");
    assert_eq!(
        bench
            .all(&format!("/auditLogs/directoryAudits?$filter={filter}"))
            .await
            .len(),
        2
    );
}

#[tokio::test]
async fn an_app_may_act_in_a_users_name() {
    let bench = Bench::empty().await;
    let mut spec = TenantSpec::practice(TENANT);
    for app in &mut spec.apps {
        app.acts_as = Some(ActingUser {
            id: "22222222-2222-4222-8222-222222222222".to_owned(),
            user_principal_name: "mallory@practice.example".to_owned(),
            display_name: "Mallory".to_owned(),
        });
    }
    bench.simulator.add_tenant(spec);
    let mut bench = bench;
    bench
        .sign_in(simulator::WRITER_CLIENT_ID, simulator::WRITER_SECRET)
        .await;
    bench.group("g").await;
    let filter = "initiatedBy/user/userPrincipalName eq 'mallory@practice.example'";
    assert_eq!(
        bench
            .all(&format!("/auditLogs/directoryAudits?$filter={filter}"))
            .await
            .len(),
        1
    );
}
