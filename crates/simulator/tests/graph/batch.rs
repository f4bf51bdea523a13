//! Batches.

use serde_json::{Value, json};
use simulator::{Fault, FaultResponse};

use crate::support::Bench;

fn response<'a>(answer: &'a Value, id: &str) -> &'a Value {
    answer["responses"]
        .as_array()
        .unwrap()
        .iter()
        .find(|response| response["id"] == id)
        .unwrap()
}

#[tokio::test]
async fn each_request_is_answered_on_its_own_in_no_order() {
    let bench = Bench::populated(40, 15).await;
    let user = bench.user("ada").await;
    bench.simulator.reset_counters();
    let answer = bench
        .post(
            "/$batch",
            json!({ "requests": [
                { "id": "1", "method": "GET", "url": "/users?$top=1" },
                { "id": "2", "method": "PATCH", "url": format!("/users/{user}"),
                  "headers": { "Content-Type": "application/json" }, "body": { "jobTitle": "J" } },
                { "id": "3", "method": "GET", "url": "groups/11111111-2222-4333-8444-555555555555" },
                { "id": "4", "method": "GET", "url": format!("/users/{user}?$select=jobTitle"), "dependsOn": ["2"] },
                { "id": "5", "method": "GET", "url": "/users?$top=1", "dependsOn": ["3"] },
            ] }),
        )
        .await
        .expect(200);
    let status = |id: &str| response(&answer, id)["status"].as_u64().unwrap();
    assert_eq!(
        ["1", "2", "3", "4", "5"].map(status),
        [200, 204, 404, 200, 424]
    );
    assert_eq!(response(&answer, "4")["body"]["jobTitle"], "J");
    assert!(response(&answer, "2").get("body").is_none());
    let order: Vec<&str> = answer["responses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["id"].as_str().unwrap())
        .collect();
    assert_ne!(order, ["1", "2", "3", "4", "5"]);
    assert_eq!(bench.simulator.counters().received, 1);
}

#[tokio::test]
async fn malformed_batches_are_refused_whole() {
    let bench = Bench::empty().await;
    let get = |id: &str, url: &str| json!({ "id": id, "method": "GET", "url": url });
    let many: Vec<Value> = (0..21).map(|n| get(&n.to_string(), "/users")).collect();
    let cases = [
        (json!({ "requests": many }), "20"),
        (
            json!({ "requests": [get("1", "/users"), get("1", "/groups")] }),
            "Duplicate",
        ),
        (
            json!({ "requests": [get("1", "https://graph.microsoft.com/v1.0/users")] }),
            "relative",
        ),
        (
            json!({ "requests": [{ "id": "1", "method": "POST", "url": "/groups", "body": {} }] }),
            "Content-Type",
        ),
        (
            json!({ "requests": [{ "id": "1", "method": "GET", "url": "/users", "dependsOn": ["9"] }] }),
            "dependsOn",
        ),
        (json!({}), "payload"),
    ];
    for (body, part) in cases {
        bench
            .post("/$batch", body)
            .await
            .refused(400, "BadRequest", part);
    }
}

#[tokio::test]
async fn items_are_throttled_one_by_one() {
    let bench = Bench::empty().await;
    let throttled = FaultResponse::Status {
        code: 429,
        retry_after: Some("3".to_owned()),
    };
    bench
        .simulator
        .inject(Fault::once("GET", "/groups*", throttled));
    let answer = bench
        .post(
            "/$batch",
            json!({ "requests": [
                { "id": "a", "method": "GET", "url": "/users" },
                { "id": "b", "method": "GET", "url": "/groups" },
                { "id": "c", "method": "GET", "url": "/groups" },
            ] }),
        )
        .await
        .expect(200);
    assert_eq!(response(&answer, "a")["status"], 200);
    assert_eq!(response(&answer, "b")["status"], 429);
    assert_eq!(response(&answer, "b")["headers"]["Retry-After"], "3");
    assert_eq!(response(&answer, "c")["status"], 200);
}
