//! Who calls Graph for a tenant: a restore has the Conditional Access quota, and
//! of two snapshotters one takes a slot.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use graph::GraphWriter;
use model::{PlanId, TenantId};
use proto::v1::snapshot_service_client::SnapshotServiceClient;
use proto::v1::*;
use runtime::clock::ManualClock;
use runtime::config::Settings;
use runtime::{Clock, SystemClock};
use serde_json::json;
use simulator::Population;
use store::object_store::ObjectStore;
use store::object_store::memory::InMemory;
use store::object_store::path::Path;
use store::{LaneMark, TenantVault};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::restore::{ids, patch};
use crate::sandbox::{self, Sandbox, TENANT, parent};

const POPULATION: Population = Population {
    users: 40,
    groups: 8,
    seed: 6,
};

pub(crate) async fn scene() -> anyhow::Result<(Sandbox, Arc<InMemory>, GraphWriter)> {
    let store = Arc::new(InMemory::new());
    let sandbox = Sandbox::start(Arc::clone(&store) as Arc<dyn ObjectStore>).await?;
    sandbox.tenant.populate(&POPULATION);
    sandbox.register(sandbox.registration()).await?;
    let intruder = sandbox::intruder(&sandbox.graph)?;
    Ok((sandbox, store, intruder))
}

pub(crate) async fn vault(sandbox: &Sandbox) -> anyhow::Result<TenantVault> {
    Ok(sandbox.vault.tenant(&TenantId::parse(TENANT)?).await?)
}

/// A restore in another process says that it runs.
pub(crate) async fn mark(vault: &TenantVault) -> anyhow::Result<LaneMark> {
    let (restore, now) = (PlanId::parse("20261124t080000-other")?, SystemClock.now());
    let ttl = TimeDelta::minutes(10);
    Ok(vault.mark_lane(&restore, now, now, ttl).await?)
}

fn slow(sandbox: &Sandbox) -> u64 {
    let counters = sandbox.simulator.counters();
    let routes = counters.requests.iter();
    routes
        .filter(|(route, _)| route.contains("/identity/conditionalAccess/"))
        .map(|(_, count)| count)
        .sum()
}

fn time(at: Option<prost_types::Timestamp>) -> Option<DateTime<Utc>> {
    at.and_then(|at| DateTime::from_timestamp(at.seconds, at.nanos.unsigned_abs()))
}

/// Renames the first policy; its id.
async fn rename(sandbox: &Sandbox, intruder: &GraphWriter, name: &str) -> anyhow::Result<String> {
    let policies = ids(sandbox, "conditionalAccessPolicy", |_| true);
    let path = format!("/identity/conditionalAccess/policies/{}", policies[0]);
    patch(intruder, path, json!({ "displayName": name })).await?;
    Ok(policies[0].clone())
}

fn changed(changes: &[Change]) -> Vec<String> {
    let ids = changes.iter().filter_map(|change| change.object.as_ref());
    ids.map(|object| object.id.clone()).collect()
}

#[tokio::test]
async fn while_a_restore_runs_others_serve_conditional_access_from_their_last_read()
-> anyhow::Result<()> {
    let (sandbox, _, intruder) = scene().await?;
    let vault = vault(&sandbox).await?;
    let first = sandbox.snapshot().await?;
    let (quiet, _) = sandbox.report(&first.name).await?;
    assert_eq!(quiet.older, Vec::<String>::new());

    let policy = rename(&sandbox, &intruder, "Renamed").await?;
    let user = ids(&sandbox, "user", |_| true).swap_remove(0);
    patch(
        &intruder,
        format!("/users/{user}"),
        json!({"jobTitle": "Changed"}),
    )
    .await?;
    let before = slow(&sandbox);
    let mark = mark(&vault).await?;
    let second = sandbox.snapshot().await?;
    let (report, changes) = sandbox.report(&first.name).await?;
    assert_eq!(
        slow(&sandbox),
        before,
        "nobody but the restore has the lane"
    );

    assert_eq!(second.state(), SnapshotState::Complete);
    let record = |snapshot: &Snapshot| {
        let mut kinds = snapshot.kinds.iter();
        kinds
            .find(|kind| kind.kind == "conditionalAccessPolicy")
            .cloned()
    };
    let (then, now) = (record(&first), record(&second));
    let (then, now) = (then.unwrap_or_default(), now.unwrap_or_default());
    assert_eq!(
        (then.not_before, then.not_after, then.count, then.method),
        (now.not_before, now.not_after, now.count, now.method)
    );
    assert!(
        now.note.contains("as of an earlier reading"),
        "{}",
        now.note
    );
    assert_eq!(report.not_compared, Vec::<String>::new());
    assert_eq!(changed(&changes), std::slice::from_ref(&user));
    let policies = report
        .older
        .iter()
        .find(|kind| kind.starts_with("conditionalAccessPolicy: as of "));
    assert!(policies.is_some(), "{:?}", report.older);

    vault.unmark_lane(&mark.restore, SystemClock.now()).await?;
    let third = sandbox.snapshot().await?;
    let third = record(&third).unwrap_or_default();
    assert!(time(third.not_before) > time(now.not_after));
    assert_eq!(third.note, "");
    let (report, changes) = sandbox.report(&first.name).await?;
    assert_eq!(report.older, Vec::<String>::new());
    let mut found = changed(&changes);
    found.sort();
    let mut expected = vec![user, policy];
    expected.sort();
    assert_eq!(found, expected);
    Ok(())
}

#[tokio::test]
async fn a_restore_has_the_lane_while_it_writes_and_not_when_it_verifies() -> anyhow::Result<()> {
    let (sandbox, store, intruder) = scene().await?;
    let vault = vault(&sandbox).await?;
    let snapshot = sandbox.snapshot().await?;
    rename(&sandbox, &intruder, "Renamed").await?;
    let (plan, _, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    let before = slow(&sandbox);
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded, "{restore:?}");
    assert!(
        slow(&sandbox) > before + 3,
        "it was verified by reading anew"
    );
    let request = GetReportRequest {
        name: restore.verification_report,
    };
    let report = sandbox.diffs().get_report(request).await?.into_inner();
    let report = report.report.unwrap_or_default();
    assert_eq!(report.older, Vec::<String>::new());
    assert!(vault.lane_holders(SystemClock.now()).await?.is_empty());
    let folder = Path::from(format!("tenants/{TENANT}/lane"));
    let marks: Vec<_> = store.list(Some(&folder)).try_collect().await?;
    let ended = |end: bool| {
        let names = marks.iter().map(|mark| mark.location.as_ref());
        names.filter(|name| name.ends_with(".ended") == end).count()
    };
    assert_eq!((ended(false), ended(true)), (1, 1), "{marks:?}");

    // What needs no such step asks nobody to hold back.
    let user = ids(&sandbox, "user", |body| {
        body["userType"] == json!("Member") && body["onPremisesSyncEnabled"] != json!(true)
    })
    .swap_remove(0);
    let title = json!({"jobTitle": "Changed"});
    patch(&intruder, format!("/users/{user}"), title).await?;
    let (plan, _, _) = sandbox.plan(sandbox.rollback(&snapshot.name)).await?;
    let restore = sandbox.apply(&plan.name).await?;
    assert_eq!(restore.state(), RestoreState::Succeeded, "{restore:?}");
    let marks: Vec<_> = store.list(Some(&folder)).try_collect().await?;
    assert_eq!(marks.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_plan_waits_for_the_lane_and_reads_anew() -> anyhow::Result<()> {
    let (sandbox, _, intruder) = scene().await?;
    let vault = vault(&sandbox).await?;
    let snapshot = sandbox.snapshot().await?;
    sandbox.report(&snapshot.name).await?;
    let policy = rename(&sandbox, &intruder, "Renamed").await?;
    let mark = mark(&vault).await?;
    let ends = async {
        // The differ has looked for restores when it asks for the first change.
        let counters = || sandbox.simulator.counters().total;
        let before = counters();
        while counters() < before + 5 {
            tokio::task::yield_now().await;
        }
        vault.unmark_lane(&mark.restore, SystemClock.now()).await
    };
    let (planned, ended) = tokio::join!(sandbox.plan(sandbox.rollback(&snapshot.name)), ends);
    ended?;
    let (_, steps, _) = planned?;
    let objects = steps.into_iter().filter_map(|step| step.object);
    assert_eq!(
        objects.map(|object| object.id).collect::<Vec<_>>(),
        [policy]
    );
    Ok(())
}

/// A snapshotter of its own, as another replica.
async fn replica(
    sandbox: &Sandbox,
    clock: &Arc<ManualClock>,
    stop: &CancellationToken,
) -> anyhow::Result<SnapshotServiceClient<Channel>> {
    let settings = Settings::load(&sandbox.source)?;
    let config = snapshotter::Config::read(&settings)?;
    let ids: Arc<dyn runtime::Ids> = Arc::new(runtime::SystemIds);
    let source = Arc::new(sandbox.source.clone());
    let deps = snapshotter::Deps {
        vault: sandbox.vault.clone(),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
        connect: snapshotter::config::connect(&config, source, Arc::clone(&ids))?,
        ids,
        copies: None,
        differ: None,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let app = snapshotter::App::build(&config, deps, listener)?;
    let channel = runtime::connect(&format!("http://{}", app.address()), None)?;
    tokio::spawn(app.run(stop.clone()));
    Ok(SnapshotServiceClient::new(channel))
}

/// Takes the snapshot of a request; whether it was taken.
async fn take(mut replica: SnapshotServiceClient<Channel>, request_id: &str) -> bool {
    let request = TakeSnapshotRequest {
        parent: parent(),
        request_id: request_id.to_owned(),
    };
    let started = match replica.take_snapshot(request).await {
        Ok(started) => started.into_inner().snapshot.unwrap_or_default(),
        Err(_) => return false,
    };
    let request = WatchSnapshotRequest { name: started.name };
    match replica.watch_snapshot(request).await {
        Ok(watch) => watch.into_inner().try_collect::<Vec<_>>().await.is_ok(),
        Err(_) => false,
    }
}

#[tokio::test]
async fn of_two_snapshotters_one_reads_the_tenant_and_the_other_makes_no_call() -> anyhow::Result<()>
{
    let (sandbox, _, _) = scene().await?;
    let stop = CancellationToken::new();
    let _stop = stop.clone().drop_guard();
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let one = replica(&sandbox, &clock, &stop).await?;
    let other = replica(&sandbox, &clock, &stop).await?;
    for round in 0..5 {
        sandbox.simulator.reset_counters();
        let request = format!("round-{round}");
        let (first, second) =
            tokio::join!(take(one.clone(), &request), take(other.clone(), &request));
        assert!(first || second, "one of them has the slot");
        let counters = sandbox.simulator.counters();
        assert_eq!(counters.of("GET /subscribedSkus"), 1, "{counters:?}");
        clock.advance(TimeDelta::seconds(1));
    }
    Ok(())
}
