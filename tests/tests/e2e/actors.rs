//! Who did it: reports name the intruder for what the intruder did, never somebody
//! else, and are right where the audit log is late, long, or denied.

use std::collections::BTreeSet;
use std::sync::Arc;

use graph::GraphWriter;
use proto::v1::*;
use serde_json::json;
use simulator::attack::{self, AttackTarget};
use simulator::{AuditLog as Log, Fault, FaultResponse, Population, TenantSpec, Violation};
use store::object_store::memory::InMemory;
use tonic::Code;

use crate::restore::{ids, patch};
use crate::sandbox::{self, Sandbox, TENANT, parent, reason};

const AUDITS: &str = "/auditLogs/directoryAudits";
const INTRUDER: &str = "Mail Export Tool";

async fn scene() -> anyhow::Result<(Sandbox, Snapshot, GraphWriter)> {
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    populate(&sandbox);
    sandbox.register(sandbox.registration()).await?;
    let snapshot = sandbox.snapshot().await?;
    let intruder = sandbox::intruder(&sandbox.graph)?;
    Ok((sandbox, snapshot, intruder))
}

fn populate(sandbox: &Sandbox) {
    let tenant = sandbox.simulator.tenant(TENANT).expect("it is there");
    tenant.populate(&Population {
        users: 120,
        groups: 30,
        seed: 9,
    });
}

/// A user that anybody may change.
fn a_user(sandbox: &Sandbox) -> String {
    let free = |body: &serde_json::Value| body["onPremisesSyncEnabled"] != true;
    ids(sandbox, "user", free).swap_remove(0)
}

async fn promote(intruder: &GraphWriter, user: &str) -> anyhow::Result<()> {
    patch(
        intruder,
        format!("/users/{user}"),
        json!({"jobTitle": "Owner"}),
    )
    .await
}

/// Who is named beside a change, with what they did.
fn told(change: &Change) -> Vec<(String, String)> {
    let told = |one: &Activity| {
        let by = one.initiated_by.clone().unwrap_or_default();
        (by.display_name, one.activity.clone())
    };
    change.activities.iter().map(told).collect()
}

fn log(report: &Report) -> AuditLog {
    report.audit_log.clone().unwrap_or_default()
}

fn audits(sandbox: &Sandbox) -> u64 {
    let counters = sandbox.simulator.counters();
    let routes = counters.requests.iter();
    let routes = routes.filter(|(route, _)| route.to_lowercase().contains("auditlogs"));
    routes.map(|(_, count)| count).sum()
}

#[tokio::test]
async fn every_deed_of_an_intruder_has_its_name_and_time() -> anyhow::Result<()> {
    let (sandbox, snapshot, _) = scene().await?;
    let (_, none) = sandbox.report(&snapshot.name).await?;
    assert_eq!(
        (none, audits(&sandbox)),
        (vec![], 0),
        "nothing to ask about"
    );
    let target = AttackTarget::practice(&sandbox.graph.url(), TENANT);
    let mut deeds = attack::run(&target).await?;
    deeds.extend(attack::run_beyond(&target).await?);

    let (report, changes) = sandbox.report(&snapshot.name).await?;
    let log = log(&report);
    assert_eq!(log.state(), AuditLogState::Read, "{log:?}");
    assert_eq!(log.detail, "");
    assert!(log.entry_count > 20, "{log:?}");
    let done: BTreeSet<&str> = deeds.iter().map(|deed| deed.id.as_str()).collect();
    let mut nameless = Vec::new();
    for change in &changes {
        let object = change.object.clone().unwrap_or_default();
        if change.activities.is_empty() {
            nameless.push(format!("{} {}", object.r#type, object.display_name));
        }
        for activity in &change.activities {
            let by = activity.initiated_by.clone().unwrap_or_default();
            assert_eq!(by.r#type(), InitiatorType::Application);
            assert_eq!(by.id, simulator::INTRUDER_CLIENT_ID);
            assert_eq!(by.display_name, INTRUDER);
            assert!(!by.is_rewind);
            assert!(!activity.correlation_id.is_empty());
            let time = activity.time.map(|time| (time.seconds, time.nanos));
            let from = snapshot.start_time.map(|time| (time.seconds, time.nanos));
            let until = report.target_time.map(|time| (time.seconds + 60, 0));
            assert!(time >= from && time <= until, "{activity:?}");
        }
    }
    assert_eq!(nameless, Vec::<String>::new());
    let found: BTreeSet<String> = changes
        .iter()
        .map(|change| change.object.clone().unwrap_or_default().id)
        .collect();
    assert!(
        done.iter().all(|id| found.contains(*id)),
        "all deeds are found"
    );

    let quiet = |change: &&Change| change.object.clone().unwrap_or_default().r#type == "group";
    let linked: Vec<&Change> = changes
        .iter()
        .filter(quiet)
        .filter(|change| !change.links.is_empty() && change.attributes.is_empty())
        .collect();
    assert!(!linked.is_empty(), "somebody joined or left a group");
    for change in linked {
        let activities = told(change);
        let of_links = |(_, activity): &(String, String)| {
            ["member", "owner"]
                .iter()
                .any(|word| activity.contains(word))
        };
        assert!(activities.iter().all(of_links), "{activities:?}");
    }
    let counters = sandbox.simulator.counters();
    // The intruder purges; Rewind keeps to the rules.
    let ours = |one: &&Violation| one.app != simulator::INTRUDER_CLIENT_ID;
    let violations: Vec<_> = counters.violations.iter().filter(ours).collect();
    assert!(violations.is_empty(), "{violations:?}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_in_the_log_yet_has_no_name_rather_than_a_wrong_one() -> anyhow::Result<()> {
    let (sandbox, _, intruder) = scene().await?;
    let user = a_user(&sandbox);
    // Somebody did something to the user before the snapshot.
    let earlier = json!({"accountEnabled": false});
    patch(&intruder, format!("/users/{user}"), earlier).await?;
    let snapshot = sandbox.snapshot().await?;
    let late = Log {
        latency_seconds: 3600,
        ..Log::default()
    };
    sandbox.simulator.set_audit_log(late);
    promote(&intruder, &user).await?;

    let (report, changes) = sandbox.report(&snapshot.name).await?;
    assert_eq!(told(&changes[0]), []);
    assert_eq!(log(&report).state(), AuditLogState::Read);
    assert_eq!(log(&report).entry_count, 0);

    sandbox.simulator.set_audit_log(Log::default());
    let (_, changes) = sandbox.report(&snapshot.name).await?;
    let expected = (INTRUDER.to_owned(), "Update user".to_owned());
    assert_eq!(told(&changes[0]), std::slice::from_ref(&expected));
    assert_eq!(changes[0].activities[0].properties, ["jobTitle"]);

    // Between two snapshots too, and what is done later is not part of it.
    let second = sandbox.snapshot().await?;
    patch(&intruder, format!("/users/{user}"), json!({"city": "Oslo"})).await?;
    let between = CreateReportRequest {
        parent: parent(),
        base: snapshot.name,
        target: second.name,
        request_id: sandbox.request_id(),
        ..CreateReportRequest::default()
    };
    let (_, changes) = sandbox.report_of(between).await?;
    assert_eq!(told(&changes[0]), [expected]);
    Ok(())
}

#[tokio::test]
async fn without_the_permission_a_report_is_right_and_says_so() -> anyhow::Result<()> {
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    let mut spec = TenantSpec::practice(TENANT);
    spec.apps[0].roles.remove("AuditLog.Read.All");
    sandbox.simulator.add_tenant(spec);
    populate(&sandbox);
    sandbox.register(sandbox.registration()).await?;
    let checked = sandbox.check().await?;
    assert!(checked.can_snapshot && checked.can_restore);
    let missing: Vec<&CheckItem> = checked.items.iter().filter(|item| !item.ok).collect();
    assert_eq!(missing.len(), 1, "{missing:?}");
    assert_eq!(missing[0].subject, "auditLog");
    assert_eq!(missing[0].missing_permissions, ["AuditLog.Read.All"]);

    let snapshot = sandbox.snapshot().await?;
    assert_eq!(snapshot.state(), SnapshotState::Complete);
    let user = a_user(&sandbox);
    promote(&sandbox::intruder(&sandbox.graph)?, &user).await?;
    let (report, changes) = sandbox.report(&snapshot.name).await?;
    assert_eq!(report.state(), ReportState::Succeeded);
    assert_eq!(report.not_compared, Vec::<String>::new());
    let changed: Vec<String> = changes
        .iter()
        .map(|change| change.object.clone().unwrap_or_default().id)
        .collect();
    assert_eq!(changed, [user]);
    assert_eq!(told(&changes[0]), []);
    let log = log(&report);
    assert_eq!(log.state(), AuditLogState::Denied);
    let says = "the reader application lacks AuditLog.Read.All";
    assert!(log.detail.starts_with(says), "{log:?}");
    Ok(())
}

/// What a fault answers to whoever reads the log.
fn refused(code: u16, retry_after: Option<&str>) -> Fault {
    let response = FaultResponse::Status {
        code,
        retry_after: retry_after.map(str::to_owned),
    };
    Fault::once("GET", AUDITS, response).times(9)
}

#[tokio::test]
async fn a_long_log_is_read_in_any_order_and_as_far_as_it_can_be() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let user = a_user(&sandbox);
    promote(&intruder, &user).await?;
    // More than a page of it.
    sandbox.tenant.mutate(3, 1_200);
    let unordered = Log {
        unordered: true,
        ..Log::default()
    };
    sandbox.simulator.set_audit_log(unordered);
    let ids = |changes: &[Change]| {
        let object = |change: &Change| change.object.clone().unwrap_or_default().id;
        changes.iter().map(object).collect::<Vec<String>>()
    };
    let expected = (INTRUDER.to_owned(), "Update user".to_owned());

    let mut second = refused(400, None);
    second.skip = 1;
    sandbox.simulator.inject(second);
    let (report, changes) = sandbox.report(&snapshot.name).await?;
    let all = ids(&changes);
    assert!(all.len() > 100, "{} changes", all.len());
    let partial = log(&report);
    assert_eq!(partial.state(), AuditLogState::Partial, "{partial:?}");
    assert!(changes.iter().any(|change| !change.activities.is_empty()));

    sandbox.simulator.clear_faults();
    let (report, changes) = sandbox.report(&snapshot.name).await?;
    let whole = log(&report);
    assert_eq!(whole.state(), AuditLogState::Read, "{whole:?}");
    assert!(whole.entry_count > 999, "{whole:?}");
    assert!(whole.entry_count > partial.entry_count, "{partial:?}");
    assert_eq!(ids(&changes), all);
    let place = all.iter().position(|id| *id == user);
    let names = told(&changes[place.expect("the user differs")]);
    assert!(names.contains(&expected), "{names:?}");
    Ok(())
}

#[tokio::test]
async fn a_throttled_log_holds_up_no_report() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let user = a_user(&sandbox);
    promote(&intruder, &user).await?;
    sandbox.simulator.inject(refused(429, Some("600")));
    let (report, changes) = sandbox.report(&snapshot.name).await?;
    assert_eq!(report.state(), ReportState::Succeeded);
    assert_eq!((changes.len(), told(&changes[0])), (1, vec![]));
    let log = log(&report);
    assert_eq!(log.state(), AuditLogState::Unavailable);
    assert!(log.detail.contains("throttles"), "{log:?}");
    // The wait that was ordered is kept, with the faults gone, too.
    sandbox.simulator.clear_faults();
    let asked = audits(&sandbox);
    let (report, _) = sandbox.report(&snapshot.name).await?;
    assert_eq!(self::log(&report).state(), AuditLogState::Unavailable);
    assert_eq!(audits(&sandbox), asked);
    assert_eq!(sandbox.simulator.counters().violations, []);
    Ok(())
}

#[tokio::test]
async fn a_report_of_a_state_that_is_at_hand_asks_nothing() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    promote(&intruder, &a_user(&sandbox)).await?;
    let (_, first) = sandbox.report(&snapshot.name).await?;
    let before = sandbox.simulator.counters().received;
    let request = CreateReportRequest {
        parent: parent(),
        base: snapshot.name.clone(),
        max_age: Some(prost_types::Duration {
            seconds: 600,
            nanos: 0,
        }),
        request_id: sandbox.request_id(),
        ..CreateReportRequest::default()
    };
    let (report, second) = sandbox.report_of(request).await?;
    assert_eq!(report.method, "cached_read");
    assert_eq!(first, second);
    assert_eq!(log(&report).state(), AuditLogState::Read);
    assert_eq!(sandbox.simulator.counters().received, before);
    Ok(())
}

#[tokio::test]
async fn what_rewind_put_back_is_told_as_its_own() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let user = a_user(&sandbox);
    promote(&intruder, &user).await?;
    let spoilt = sandbox.snapshot().await?;
    let (plan, ..) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded);
    let (_, changes) = sandbox.report(&spoilt.name).await?;
    assert_eq!(told(&changes[0])[0].0, "Rewind Writer");
    let by = |activity: &Activity| activity.initiated_by.clone().unwrap_or_default().is_rewind;
    assert!(changes[0].activities.iter().all(by), "{:?}", changes[0]);
    Ok(())
}

#[tokio::test]
async fn changes_are_found_by_actor_attribute_and_text() -> anyhow::Result<()> {
    let (sandbox, snapshot, intruder) = scene().await?;
    let users = ids(&sandbox, "user", |body| {
        body["onPremisesSyncEnabled"] != true
    });
    for user in &users[..3] {
        promote(&intruder, user).await?;
    }
    let city = json!({"city": "Reykjavík"});
    patch(&intruder, format!("/users/{}", users[3]), city).await?;
    let policy = ids(&sandbox, "conditionalAccessPolicy", |body| {
        body["conditions"]["users"]["excludeUsers"].is_array()
    })
    .swap_remove(0);
    let excluded = json!({"conditions": {"users": {"excludeUsers": [users[0]]}}});
    let path = format!("/identity/conditionalAccess/policies/{policy}");
    patch(&intruder, path, excluded).await?;

    let (report, all) = sandbox.report(&snapshot.name).await?;
    assert_eq!(all.len(), 5);
    let object = |change: &Change| change.object.clone().unwrap_or_default();
    let named = all.iter().find(|change| object(change).id == policy);
    let named = &named.expect("the policy differs").references;
    let name = all.iter().find(|change| object(change).id == users[0]);
    let name = object(name.expect("the user differs")).display_name;
    let reference = named.iter().find(|one| one.id == users[0]);
    let reference = reference.expect("the id has a name");
    assert_eq!(
        (reference.r#type.as_str(), &reference.display_name),
        ("user", &name)
    );

    let list = async |request: ListChangesRequest| {
        let request = ListChangesRequest {
            parent: report.name.clone(),
            ..request
        };
        Ok::<_, tonic::Status>(sandbox.diffs().list_changes(request).await?.into_inner())
    };
    let empty = ListChangesRequest::default;
    let found = async |request: ListChangesRequest| {
        let answer = list(request).await?;
        let ids = answer.changes.iter().map(|change| object(change).id);
        Ok::<BTreeSet<String>, tonic::Status>(ids.collect())
    };
    let some = |ids: &[&String]| ids.iter().map(|id| (*id).clone()).collect::<BTreeSet<_>>();
    let promoted = some(&[&users[0], &users[1], &users[2]]);
    let attributes = vec!["jobtitle".to_owned()];
    assert_eq!(
        found(ListChangesRequest {
            attributes,
            ..empty()
        })
        .await?,
        promoted
    );
    let attributes = vec!["conditions.users".to_owned()];
    let by_path = ListChangesRequest {
        attributes,
        ..empty()
    };
    assert_eq!(found(by_path).await?, some(&[&policy]));
    let text = "reykjavÍk".to_owned();
    let by_value = ListChangesRequest { text, ..empty() };
    assert_eq!(found(by_value).await?, some(&[&users[3]]));
    let by_name = ListChangesRequest {
        text: name,
        ..empty()
    };
    let by_name = found(by_name).await?;
    assert!(
        by_name.is_superset(&some(&[&users[0], &policy])),
        "{by_name:?}"
    );
    for actor in ["mail export", simulator::INTRUDER_CLIENT_ID] {
        let actor = actor.to_owned();
        assert_eq!(
            found(ListChangesRequest { actor, ..empty() }).await?.len(),
            5
        );
    }
    let nobody = ListChangesRequest {
        actor: "rewind".to_owned(),
        ..empty()
    };
    assert_eq!(found(nobody).await?, BTreeSet::new());

    // Pages of one choice, and their tokens in another.
    let choice = |page_token: &str| ListChangesRequest {
        attributes: vec!["jobTitle".to_owned()],
        page_size: 2,
        page_token: page_token.to_owned(),
        ..empty()
    };
    let first = list(choice("")).await?;
    let second = list(choice(&first.next_page_token)).await?;
    assert_eq!((first.changes.len(), second.changes.len()), (2, 1));
    assert_eq!(second.next_page_token, "");
    let other = ListChangesRequest {
        text: "x".to_owned(),
        ..choice(&first.next_page_token)
    };
    let refused = list(other)
        .await
        .expect_err("the token is of another choice");
    assert_eq!(
        (refused.code(), reason(&refused).as_str()),
        (Code::InvalidArgument, "INVALID_ARGUMENT")
    );
    Ok(())
}
