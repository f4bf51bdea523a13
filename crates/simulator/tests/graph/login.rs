//! Tokens and permissions.

use std::time::Duration;

use chrono::{TimeZone, Utc};
use serde_json::json;
use simulator::{
    Clock, READER_CLIENT_ID, READER_SECRET, Simulator, WRITER_CLIENT_ID, WRITER_SECRET,
};

use crate::support::{Bench, TENANT, id};

#[tokio::test]
async fn wrong_credentials_are_refused_with_the_services_codes() {
    let bench = Bench::empty().await;
    let cases = [
        (
            TENANT,
            WRITER_CLIENT_ID,
            "wrong",
            401,
            "invalid_client",
            7_000_215,
        ),
        (
            TENANT,
            "00000000-0000-0000-0000-00000000dead",
            "x",
            400,
            "unauthorized_client",
            700_016,
        ),
        (
            "unknown-tenant",
            WRITER_CLIENT_ID,
            WRITER_SECRET,
            400,
            "invalid_request",
            90_002,
        ),
    ];
    for (tenant, client, secret, status, error, code) in cases {
        let answer = bench.token(tenant, client, secret).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(answer.body["error"], error);
        assert_eq!(answer.body["error_codes"], json!([code]));
        let text = answer.body["error_description"].as_str().unwrap();
        assert!(text.starts_with(&format!("AADSTS{code}: ")), "{text}");
        assert!(!text.contains(WRITER_SECRET));
    }
}

#[tokio::test]
async fn tokens_expire_and_unknown_ones_are_worthless() {
    let clock = Clock::manual(Utc.with_ymd_and_hms(2026, 5, 1, 8, 0, 0).unwrap());
    let bench = Bench::on(Simulator::with_clock(clock.clone())).await;
    bench.get("/users").await.expect(200);
    clock.advance(Duration::from_secs(3_600));
    bench
        .get("/users")
        .await
        .refused(401, "InvalidAuthenticationToken", "expired");

    let url = format!("{}/v1.0/users", bench.server.url());
    let naked = bench.http.get(&url).send().await.unwrap();
    assert_eq!(naked.status().as_u16(), 401);
    let foreign = bench
        .http
        .get(&url)
        .bearer_auth("made-up")
        .send()
        .await
        .unwrap();
    assert_eq!(foreign.status().as_u16(), 401);
}

#[tokio::test]
async fn the_reader_reads_everything_and_writes_nothing() {
    let mut bench = Bench::populated(40, 15).await;
    let user = id(&bench.all("/users").await[0]);
    bench.sign_in(READER_CLIENT_ID, READER_SECRET).await;
    for path in [
        "/users",
        "/groups",
        "/applications",
        "/servicePrincipals",
        "/identity/conditionalAccess/policies",
        "/identity/conditionalAccess/namedLocations",
        "/oauth2PermissionGrants",
        "/organization",
        "/subscribedSkus",
        "/roleManagement/directory/roleDefinitions",
        "/roleManagement/directory/roleAssignments",
        "/directory/administrativeUnits",
        "/directory/administrativeUnits/delta",
        "/oauth2PermissionGrants/delta",
        "/servicePrincipals?$select=id&$expand=appRoleAssignedTo",
        "/applications?$select=id&$expand=federatedIdentityCredentials",
        "/policies/authenticationMethodsPolicy",
        "/policies/authenticationStrengthPolicies",
        "/policies/authorizationPolicy",
        "/identity/conditionalAccess/authenticationContextClassReferences",
        "/directory/deletedItems/microsoft.graph.administrativeUnit",
        "/auditLogs/directoryAudits",
        "/directory/deletedItems/microsoft.graph.user",
        "/identity/conditionalAccess/deletedItems/policies",
    ] {
        bench.get(path).await.expect(200);
    }
    let denied = "Authorization_RequestDenied";
    bench
        .patch(&format!("/users/{user}"), json!({ "jobTitle": "x" }))
        .await
        .refused(403, denied, "Insufficient");
    bench
        .delete(&format!("/users/{user}"))
        .await
        .refused(403, denied, "Insufficient");
    bench
        .post("/groups", json!({ "displayName": "x" }))
        .await
        .refused(403, denied, "Insufficient");
    bench
        .patch(
            "/identity/conditionalAccess/policies/x",
            json!({ "state": "disabled" }),
        )
        .await
        .refused(403, denied, "Insufficient");
    for path in [
        "/policies/authorizationPolicy".to_owned(),
        "/policies/authenticationMethodsPolicy".to_owned(),
        "/policies/authenticationStrengthPolicies/x".to_owned(),
        "/identity/conditionalAccess/authenticationContextClassReferences/c1".to_owned(),
        format!("/organization/{TENANT}"),
        "/directory/administrativeUnits/x".to_owned(),
        "/oauth2PermissionGrants/x".to_owned(),
        "/applications/x/federatedIdentityCredentials/x".to_owned(),
    ] {
        bench
            .patch(&path, json!({}))
            .await
            .refused(403, denied, "Insufficient");
    }
    bench
        .post("/roleManagement/directory/roleAssignments", json!({}))
        .await
        .refused(403, denied, "Insufficient");
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let bench = Bench::populated(40, 15).await;
    let other = simulator::TenantSpec::practice("0f0e0d0c-0b0a-4908-8706-0504030201ff");
    let handle = bench.simulator.add_tenant(other);
    handle.populate(&simulator::Population {
        users: 40,
        groups: 15,
        seed: 11,
    });
    let here = bench.simulator.dump(TENANT);
    let there = bench.simulator.dump(handle.id());
    assert_ne!(here["objects"]["user"], there["objects"]["user"]);
    let foreign = there["objects"]["user"]
        .as_object()
        .unwrap()
        .keys()
        .next()
        .unwrap()
        .clone();
    bench.get(&format!("/users/{foreign}")).await.refused(
        404,
        "Request_ResourceNotFound",
        &foreign,
    );
}
