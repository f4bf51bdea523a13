//! The control API.

use std::time::Duration;

use chrono::{TimeZone, Utc};
use serde_json::{Value, json};
use simulator::{Clock, Simulator, TenantSpec};

use crate::support::{Answer, Bench};

/// One control request.
async fn control(bench: &Bench, method: &str, path: &str, body: Option<Value>) -> Answer {
    let url = format!("{}/simulator/{path}", bench.server.url());
    bench.send(method, &url, body.as_ref()).await
}

#[tokio::test]
async fn a_tenant_is_filled_changed_and_read() {
    let bench = Bench::empty().await;
    let made = json!({ "users": 40, "groups": 15, "seed": 3 });
    let made = control(&bench, "POST", "generate", Some(made))
        .await
        .expect(200);
    assert_eq!(made["users"], bench.all("/users").await.len());
    let before = control(&bench, "GET", "state", None).await.expect(200);
    assert_eq!(before, bench.simulator.dump(bench.tenant.id()));
    let changes = json!({ "seed": 1, "changes": 10 });
    let done = control(&bench, "POST", "mutate", Some(changes))
        .await
        .expect(200);
    assert!(done.is_object());
    let after = control(&bench, "GET", "state", None).await.expect(200);
    assert_ne!(before, after);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.json");
    let user = json!([{ "displayName": "L", "userPrincipalName": "l@practice.example" }]);
    std::fs::write(&file, user.to_string()).unwrap();
    let report = control(&bench, "POST", "load", Some(json!({ "path": file }))).await;
    assert_eq!(report.expect(200)["loaded"]["user"], 1);
    bench.get("/users/l@practice.example").await.expect(200);
}

#[tokio::test]
async fn the_audit_log_is_set() {
    let bench = Bench::empty().await;
    let wanted = json!({ "latencySeconds": 3600, "unordered": false });
    let set = control(&bench, "PUT", "audit", Some(wanted.clone())).await;
    assert_eq!(set.expect(200), wanted);
    bench.user("ada").await;
    let audits = "/auditLogs/directoryAudits";
    assert_eq!(bench.all(audits).await, Vec::<Value>::new());
    control(&bench, "PUT", "audit", Some(json!({})))
        .await
        .expect(200);
    assert_eq!(bench.all(audits).await.len(), 1);
    let unknown = json!({ "latency": 1 });
    let refused = control(&bench, "PUT", "audit", Some(unknown)).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
}

#[tokio::test]
async fn settings_are_put_shown_and_deleted() {
    let clock = Clock::manual(Utc.with_ymd_and_hms(2026, 5, 1, 8, 0, 0).unwrap());
    let bench = Bench::on(Simulator::with_clock(clock)).await;
    let queue = json!([{ "method": "GET", "path": "/users",
        "response": { "status": { "code": 503, "retryAfter": "2" } } }]);
    let faults = json!({ "mix": { "rate": 0.0, "weights": { "slow": 5 } }, "queue": queue });
    let set = control(&bench, "PUT", "faults", Some(faults))
        .await
        .expect(200);
    assert_eq!(
        set,
        control(&bench, "GET", "faults", None).await.expect(200)
    );
    assert_eq!(
        (&set["mix"]["weights"]["slow"], &set["queue"][0]["times"]),
        (&json!(5), &json!(1))
    );
    assert_eq!(bench.get("/users").await.status, 503);
    control(&bench, "DELETE", "faults", None).await.expect(204);
    let faults = control(&bench, "GET", "faults", None).await.expect(200);
    assert_eq!(faults, json!({ "mix": null, "queue": [] }));

    let limits = json!({ "limits": "documented" });
    control(&bench, "PUT", "throttle", Some(limits))
        .await
        .expect(200);
    let policies = "/identity/conditionalAccess/policies";
    bench.get(policies).await.expect(200);
    assert_eq!(bench.get(policies).await.status, 429);
    let advance = json!({ "advanceSeconds": 1.5 });
    let now = control(&bench, "PUT", "clock", Some(advance))
        .await
        .expect(200);
    assert_eq!(now["now"], "2026-05-01T08:00:01.500000Z");
    bench.get(policies).await.expect(200);
    let stats = control(&bench, "GET", "stats", None).await.expect(200);
    assert_eq!(stats["violationCounts"], json!({ "quotaPassed": 1 }));
    assert_eq!(stats["routes"][format!("GET {policies}")]["throttled"], 1);
    control(&bench, "DELETE", "stats", None).await.expect(204);
    assert_eq!(bench.simulator.counters().total, 0);

    let lag = json!({ "maxLagMilliseconds": 2_000, "seed": 1 });
    control(&bench, "PUT", "replication", Some(lag))
        .await
        .expect(200);
    let page = bench
        .get("/users/delta?$deltatoken=latest")
        .await
        .expect(200);
    let delta = json!({ "traps": { "replays": true, "page": 5 }, "expire": "syncStateNotFound" });
    let set = control(&bench, "PUT", "delta", Some(delta))
        .await
        .expect(200);
    assert_eq!(
        (&set["traps"]["page"], &set["traps"]["replays"]),
        (&json!(5), &json!(true))
    );
    let link = page["@odata.deltaLink"].as_str().unwrap();
    bench
        .get(link)
        .await
        .refused(400, "syncStateNotFound", "start over");
    control(&bench, "POST", "tokens/expire", None)
        .await
        .expect(204);
    assert_eq!(bench.get("/users").await.status, 401);
}

#[tokio::test]
async fn what_cannot_be_done_says_why() {
    let bench = Bench::empty().await;
    let cases = [
        (
            "PUT",
            "clock",
            Some(json!({ "advanceSeconds": 1 })),
            409,
            "moves by itself",
        ),
        (
            "POST",
            "load",
            Some(json!({ "path": "/nowhere" })),
            400,
            "cannot read /nowhere",
        ),
        (
            "POST",
            "mutate",
            Some(json!({ "tenant": "x", "changes": 1 })),
            404,
            "no tenant x",
        ),
        (
            "PUT",
            "faults",
            Some(json!({ "mix": { "rat": 1 } })),
            400,
            "unknown field `rat`",
        ),
        (
            "PUT",
            "throttle",
            Some(json!({ "limits": "none" })),
            400,
            "unknown variant `none`",
        ),
        ("PUT", "throttle", None, 415, "application/json"),
        (
            "GET",
            "nothing",
            None,
            404,
            "there is no GET /simulator/nothing",
        ),
    ];
    for (method, path, body, status, reason) in cases {
        let answer = control(&bench, method, path, body).await;
        let said = answer.body["error"].as_str().unwrap_or_default().to_owned();
        assert!(said.contains(reason), "{method} {path}: {said}");
        answer.expect(status);
    }
    bench
        .get("/simulator/stats")
        .await
        .refused(400, "BadRequest", "simulator");
    let other = "0f0e0d0c-0b0a-4908-8706-050403020101";
    bench.simulator.add_tenant(TenantSpec::practice(other));
    let answer = control(&bench, "GET", "state", None).await;
    assert_eq!(
        (answer.status, &answer.body["error"]),
        (400, &json!("say which tenant is meant"))
    );
    control(&bench, "GET", &format!("state?tenant={other}"), None)
        .await
        .expect(200);
    bench.simulator.clock().advance(Duration::from_secs(1));
}
