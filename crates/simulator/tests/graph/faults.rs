//! The random mix of faults, and what callers do wrong.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{TimeZone, Utc};
use serde_json::{Value, json};
use simulator::{
    Clock, Fault, FaultMix, FaultResponse, FaultWeights, Simulator, Throttle, ViolationKind,
    WRITER_CLIENT_ID,
};

use crate::support::{Bench, id};

fn clock() -> Clock {
    Clock::manual(Utc.with_ymd_and_hms(2026, 5, 1, 8, 0, 0).unwrap())
}

/// What became of one `GET /users` under a mix of one kind.
async fn outcome(bench: &Bench, weights: FaultWeights) -> String {
    let mix = FaultMix {
        weights,
        ..FaultMix::of(1.0, 3)
    };
    let token = bench.new_token().await;
    bench.simulator.set_fault_mix(Some(mix));
    let url = format!("{}/v1.0/users?$select=id", bench.server.url());
    let said = match bench.http.get(url).bearer_auth(token).send().await {
        Err(_) => "no answer".to_owned(),
        Ok(response) => {
            let status = response.status().as_u16();
            let wait = response.headers().get("retry-after").cloned();
            let wait = wait.map_or_else(String::new, |wait| {
                format!(", wait {}", wait.to_str().unwrap())
            });
            match response.bytes().await {
                Err(_) => format!("{status}, broken off"),
                Ok(body) if serde_json::from_slice::<Value>(&body).is_err() => {
                    format!("{status}, no JSON")
                }
                Ok(_) => format!("{status}{wait}"),
            }
        }
    };
    bench.simulator.set_fault_mix(None);
    said
}

#[tokio::test]
async fn each_fault_of_the_mix_does_what_it_says() {
    type Choose = fn(&mut FaultWeights);
    let bench = Bench::populated(40, 15).await;
    let none = FaultWeights::none;
    let cases: [(&str, Choose); 11] = [
        ("429, wait 1", |weights| weights.throttled = 1),
        ("429, wait 0.25", |weights| weights.throttled_briefly = 1),
        ("503, wait 1", |weights| weights.unavailable_until = 1),
        ("503", |weights| weights.unavailable = 1),
        ("504", |weights| weights.timed_out = 1),
        ("no answer", |weights| weights.reset = 1),
        ("200, broken off", |weights| weights.reset_in_body = 1),
        ("200, no JSON", |weights| weights.truncated = 1),
        ("200, no JSON", |weights| weights.malformed = 1),
        ("200", |weights| weights.slow = 1),
        ("401", |weights| weights.expired_token = 1),
    ];
    for (expected, choose) in cases {
        let mut weights = none();
        choose(&mut weights);
        assert_eq!(
            outcome(&bench, weights.clone()).await,
            expected,
            "{weights:?}"
        );
    }
    assert_eq!(bench.simulator.counters().faults.len(), 9);
    bench.get("/users").await.expect(200);
}

#[tokio::test]
async fn a_mix_spoils_items_of_a_batch_one_by_one() {
    let bench = Bench::empty().await;
    let weights = FaultWeights {
        throttled: 1,
        unavailable: 1,
        ..FaultWeights::none()
    };
    let mix = FaultMix {
        weights,
        ..FaultMix::of(0.4, 9)
    };
    bench.simulator.set_fault_mix(Some(mix));
    let requests: Vec<Value> = (0..20)
        .map(|n| json!({ "id": n.to_string(), "method": "GET", "url": "/users" }))
        .collect();
    let batch = json!({ "requests": requests });
    let mut seen = BTreeSet::new();
    for _ in 0..10 {
        let answer = bench.post("/$batch", batch.clone()).await;
        for response in answer.body["responses"].as_array().into_iter().flatten() {
            let wait = &response["headers"]["Retry-After"];
            seen.insert(format!("{} {wait}", response["status"]));
        }
    }
    let expected = ["200 null", "429 \"1\"", "503 null"].map(str::to_owned);
    assert_eq!(seen, BTreeSet::from(expected));
}

#[tokio::test]
async fn who_comes_back_too_early_is_noted() {
    let clock = clock();
    let bench = Bench::on(Simulator::with_clock(clock.clone())).await;
    let early = || {
        bench
            .simulator
            .counters()
            .violations_of(ViolationKind::RetryAfterIgnored)
    };
    let told = |code, wait: &str| {
        let response = FaultResponse::Status {
            code,
            retry_after: Some(wait.to_owned()),
        };
        bench
            .simulator
            .inject(Fault::once("GET", "/users", response));
    };
    told(429, "2.5");
    assert_eq!(bench.get("/users").await.status, 429);
    // What was on its way already is forgiven; the same request again is not.
    bench.get("/groups").await.expect(200);
    assert_eq!(early(), 0);
    bench.get("/users").await.expect(200);
    assert_eq!(early(), 1);
    clock.advance(Duration::from_secs(1));
    bench.get("/groups").await.expect(200);
    bench
        .get("/identity/conditionalAccess/policies")
        .await
        .expect(200);
    assert_eq!(early(), 2, "another lane need not wait");
    clock.advance(Duration::from_millis(1_460));
    bench.get("/users").await.expect(200);
    assert_eq!(early(), 2, "fifty milliseconds are tolerated");
    // Unavailable is one request's trouble, not the app's.
    told(503, "1");
    assert_eq!(bench.get("/users").await.status, 503);
    clock.advance(Duration::from_millis(500));
    bench.get("/groups").await.expect(200);
    assert_eq!(early(), 2);
    bench.get("/users").await.expect(200);
    assert_eq!(early(), 3);
    let violation = bench.simulator.counters().violations[0].clone();
    assert_eq!(violation.route, "GET /users");
    assert!(
        violation.detail.contains("2.500 s too early"),
        "{violation:?}"
    );
}

#[tokio::test]
async fn rules_that_are_broken_are_noted() {
    use ViolationKind::{
        BatchTooLarge, DeltaLinkChanged, LinkWithoutRef, ManyExpanded, Purge, TopTooLarge,
    };
    let bench = Bench::populated(40, 15).await;
    let (user, group) = (bench.user("ada").await, bench.group("g").await);
    let member = bench.reference(&user);
    let members = format!("/groups/{group}/members");
    bench
        .post(&format!("{members}/$ref"), member)
        .await
        .expect(204);
    let page = bench
        .get("/users/delta?$deltatoken=latest")
        .await
        .expect(200);
    let link = page["@odata.deltaLink"].as_str().unwrap();
    let requests: Vec<Value> = (0..21)
        .map(|n| json!({ "id": n.to_string(), "method": "GET", "url": "/users" }))
        .collect();
    let (bin, item) = ("/directory/deletedItems", format!("{members}/{user}"));
    let cases = [
        ("POST", "/$batch".to_owned(), Some(BatchTooLarge)),
        ("DELETE", item, Some(LinkWithoutRef)),
        ("DELETE", format!("{bin}/{user}"), Some(Purge)),
        ("DELETE", format!("{members}/{user}/$ref"), None),
        ("DELETE", format!("/groups/{group}"), None),
        ("GET", format!("{link}&$select=id"), Some(DeltaLinkChanged)),
        ("GET", link.to_owned(), None),
        ("GET", "/users/delta?$select=id".to_owned(), None),
        ("GET", "/users?$top=1000".to_owned(), Some(TopTooLarge)),
        (
            "GET",
            "/users?$top=999&$expand=manager($select=id,mail)".to_owned(),
            None,
        ),
        (
            "GET",
            "/users?$expand=manager,memberOf".to_owned(),
            Some(ManyExpanded),
        ),
    ];
    for (method, path, kind) in cases {
        bench.simulator.reset_counters();
        let body = (method == "POST").then(|| json!({ "requests": requests }));
        bench.send(method, &path, body.as_ref()).await;
        let noted = bench.simulator.counters().violations;
        let kinds: Vec<ViolationKind> = noted.iter().map(|violation| violation.kind).collect();
        assert_eq!(kinds, Vec::from_iter(kind), "{method} {path}");
    }
}

#[tokio::test]
async fn a_passed_quota_is_told_counted_and_noted() {
    let clock = clock();
    let bench = Bench::on(Simulator::with_clock(clock.clone())).await;
    bench.simulator.set_throttle(Throttle::Documented);
    let body = json!({ "displayName": "p", "signInAudience": "PersonalMicrosoftAccount",
        "api": { "requestedAccessTokenVersion": 2 } });
    let mut last = bench.post("/applications", body.clone()).await;
    let mut percentages = Vec::new();
    while last.status != 429 {
        percentages.extend(last.headers.get("x-ms-throttle-limit-percentage").cloned());
        last = bench.post("/applications", body.clone()).await;
        assert!(percentages.len() < 100, "never throttled");
    }
    assert_eq!(percentages.first().unwrap(), "0.80");
    assert_eq!(percentages.last().unwrap(), "1.00");
    assert_eq!(percentages.len(), 13, "from the 48th of sixty on");
    assert_eq!(last.headers["retry-after"], "1");
    assert_eq!(
        last.headers["x-ms-throttle-information"],
        "WriteLimitExceeded"
    );
    let scope = last.headers["x-ms-throttle-scope"].to_str().unwrap();
    assert!(
        scope.starts_with("Tenant_Application/ReadWrite/"),
        "{scope}"
    );
    let inner = json!({ "requests": [{ "id": "1", "method": "POST", "url": "/applications",
        "headers": { "Content-Type": "application/json" }, "body": body }] });
    let answer = bench.post("/$batch", inner).await.expect(200);
    let item = &answer["responses"][0];
    assert_eq!(
        (&item["status"], &item["headers"]["Retry-After"]),
        (&json!(429), &json!("1"))
    );
    let counters = bench.simulator.counters();
    assert_eq!(counters.violations_of(ViolationKind::QuotaPassed), 2);
    assert_eq!(counters.throttled_lanes["identity"], 2);
    assert_eq!(counters.apps[WRITER_CLIENT_ID].throttled, 2);
    assert_eq!(counters.routes["POST /applications"].throttled, 2);
    // Another write is another limit's business.
    bench.user("ada").await;
}

#[tokio::test]
async fn what_requests_cost_is_counted_by_route_and_app() {
    let bench = Bench::populated(40, 15).await;
    bench.simulator.reset_counters();
    let header = [("client-request-id", "one")];
    for _ in 0..2 {
        bench
            .send_with("GET", "/users", None, &header)
            .await
            .expect(200);
    }
    let get = json!({ "requests": [{ "id": "1", "method": "GET", "url": "/users?$select=id" }] });
    bench.post("/$batch", get).await.expect(200);
    let counters = bench.simulator.counters();
    let users = counters.routes["GET /users"];
    assert_eq!((counters.of("GET /users"), users.units), (3, 5));
    assert_eq!(
        (counters.total, counters.units, counters.retried),
        (4, 6, 1)
    );
    assert!(users.bytes > 0 && counters.bytes > users.bytes);
    let app = counters.apps[WRITER_CLIENT_ID];
    assert_eq!((app.requests, app.writes, app.units), (4, 0, 6));
}

#[tokio::test]
async fn a_hook_may_change_the_tenant_before_each_request() {
    let bench = Bench::populated(40, 15).await;
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    bench.simulator.on_request(Box::new(move |info, simulator| {
        let tenant = simulator.tenant(&info.tenant).unwrap();
        let users = tenant.count("user");
        tenant.populate(&simulator::Population {
            users: 30,
            groups: 12,
            seed: info.number,
        });
        assert!(tenant.count("user") > users);
        notes.lock().unwrap().push(info.clone());
    }));
    let batch = json!({ "requests": [
        { "id": "1", "method": "GET", "url": "/users?$top=1" },
        { "id": "2", "method": "GET", "url": "/groups" },
    ] });
    bench.post("/$batch", batch).await.expect(200);
    bench.simulator.clear_hook();
    let first = id(&bench.all("/users").await[0]);
    bench.get(&format!("/users/{first}")).await.expect(200);
    let seen = seen.lock().unwrap();
    let paths: Vec<String> = seen
        .iter()
        .map(|info| format!("{} {} {}", info.method, info.path, info.query))
        .collect();
    assert_eq!(
        paths,
        ["POST /$batch ", "GET /users $top=1", "GET /groups "]
    );
    assert!(seen.windows(2).all(|pair| pair[0].number < pair[1].number));
}
