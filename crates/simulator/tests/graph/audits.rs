//! The audit log: its order, its delay, its end, and the shape of its records.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::{TimeZone, Utc};
use serde_json::{Value, json};
use simulator::{ActingUser, AuditLog, Clock, Licence, Simulator, TenantSpec};

use crate::support::{Bench, TENANT, shared_data};

const AUDITS: &str = "/auditLogs/directoryAudits";

/// A bench whose clock is moved by hand.
async fn bench() -> (Bench, Clock) {
    let clock = Clock::manual(Utc.with_ymd_and_hms(2026, 5, 1, 8, 0, 0).unwrap());
    let bench = Bench::on(Simulator::with_clock(clock.clone())).await;
    (bench, clock)
}

/// What the log tells of users, in the order of its pages.
async fn users(bench: &Bench, query: &str) -> Vec<String> {
    let records = bench.all(&format!("{AUDITS}?$top=3{query}")).await;
    let name = |record: &Value| record["targetResources"][0]["displayName"].clone();
    let names = records.iter().map(name);
    names
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

async fn seven_users(bench: &Bench, clock: &Clock) -> Vec<String> {
    let mut names = Vec::new();
    for name in ["a", "b", "c", "d", "e", "f", "g"] {
        bench.user(name).await;
        clock.advance(Duration::from_secs(60));
        names.push(name.to_owned());
    }
    names
}

#[tokio::test]
async fn entries_come_in_the_order_that_is_asked_for_or_in_none() {
    let (bench, clock) = bench().await;
    let oldest_first = seven_users(&bench, &clock).await;
    let newest_first: Vec<String> = oldest_first.iter().rev().cloned().collect();
    let by_time = "&$orderby=activityDateTime";
    assert_eq!(users(&bench, "").await, newest_first);
    assert_eq!(users(&bench, by_time).await, oldest_first);
    assert_eq!(
        users(&bench, &format!("{by_time} desc")).await,
        newest_first
    );
    bench
        .get(&format!("{AUDITS}?$orderby=category"))
        .await
        .refused(400, "BadRequest", "activityDateTime");

    let unordered = AuditLog {
        unordered: true,
        ..AuditLog::default()
    };
    bench.simulator.set_audit_log(unordered);
    let mixed = users(&bench, "").await;
    assert!(mixed != newest_first && mixed != oldest_first, "{mixed:?}");
    let all: BTreeSet<&String> = mixed.iter().collect();
    assert_eq!(all, oldest_first.iter().collect());
    assert_eq!(mixed.len(), 7, "no page repeats another");
    assert_eq!(users(&bench, by_time).await, oldest_first);
    let some = "&$filter=activityDateTime ge 2026-05-01T08:02:00Z and activityDateTime le 2026-05-01T08:04:00Z";
    let some: BTreeSet<String> = users(&bench, some).await.into_iter().collect();
    assert_eq!(some, ["c", "d", "e"].map(str::to_owned).into());
}

#[tokio::test]
async fn entries_are_shown_late_and_not_for_ever() {
    for (licence, days) in [(Licence::P2, 30), (Licence::None, 7)] {
        let (mut bench, clock) = bench().await;
        let mut spec = TenantSpec::practice(TENANT);
        spec.licence = licence;
        bench.tenant = bench.simulator.add_tenant(spec);
        bench
            .sign_in(simulator::WRITER_CLIENT_ID, simulator::WRITER_SECRET)
            .await;
        let late = AuditLog {
            latency_seconds: 120,
            ..AuditLog::default()
        };
        bench.simulator.set_audit_log(late);
        bench.user("a").await;
        clock.advance(Duration::from_secs(119));
        assert_eq!(users(&bench, "").await, Vec::<String>::new());
        clock.advance(Duration::from_secs(1));
        let records = bench.all(AUDITS).await;
        assert_eq!(records.len(), 1);
        let one = format!("{AUDITS}/{}", records[0]["id"].as_str().unwrap());
        bench.get(&one).await.expect(200);

        clock.advance(Duration::from_secs(days * 86_400 - 120));
        // The token ended long ago.
        bench
            .sign_in(simulator::WRITER_CLIENT_ID, simulator::WRITER_SECRET)
            .await;
        assert_eq!(users(&bench, "").await, ["a"]);
        clock.advance(Duration::from_secs(1));
        assert_eq!(users(&bench, "").await, Vec::<String>::new());
        bench.get(&one).await.expect(404);
    }
}

fn members(value: &Value) -> BTreeSet<&str> {
    let members = value.as_object().into_iter().flatten();
    members.map(|(name, _)| name.as_str()).collect()
}

/// As Microsoft's documentation shows one, in its latest example.
#[tokio::test]
async fn records_have_the_members_of_the_documented_one() {
    let Some(data) = shared_data() else {
        println!("skipped: no shared data");
        return;
    };
    let path =
        "docs-examples/directoryAudit/mock__GET-auditLogs-directoryAudits__8d1a77ad_response.json";
    let example: Value = serde_json::from_slice(&std::fs::read(data.join(path)).unwrap()).unwrap();
    let documented = &example["body"]["value"][0];
    let mut bench = Bench::empty().await;
    let mut spec = TenantSpec::practice(TENANT);
    for app in &mut spec.apps {
        app.acts_as = Some(ActingUser {
            id: "22222222-2222-4222-8222-222222222222".to_owned(),
            user_principal_name: "mallory@practice.example".to_owned(),
            display_name: "Mallory".to_owned(),
        });
    }
    bench.tenant = bench.simulator.add_tenant(spec);
    bench
        .sign_in(simulator::WRITER_CLIENT_ID, simulator::WRITER_SECRET)
        .await;
    bench.group("g").await;
    let page = bench.get(AUDITS).await.expect(200);
    let record = &page["value"][0];
    assert_eq!(members(record), members(documented));
    let user = ["initiatedBy", "user"];
    let within = |value: &Value, path: &[&str]| {
        path.iter()
            .fold(value.clone(), |value, name| value[*name].clone())
    };
    assert_eq!(
        members(&within(record, &user)),
        members(&within(documented, &user))
    );
    let target = |value: &Value| value["targetResources"][0].clone();
    assert_eq!(members(&target(record)), members(&target(documented)));
    assert_eq!(record["initiatedBy"]["app"], json!(null));
}
