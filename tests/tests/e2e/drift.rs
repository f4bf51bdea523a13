//! Two days of a tenant, and the signals that tell what somebody should look at.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use model::{TenantId, slot};
use proto::v1::signal_service_client::SignalServiceClient;
use proto::v1::tenant_service_client::TenantServiceClient;
use proto::v1::*;
use runtime::clock::ManualClock;
use runtime::config::Settings;
use runtime::{Clock, SystemClock};
use serde_json::json;
use simulator::Population;
use store::object_store::memory::InMemory;
use store::{Area, TenantVault};
use tokio_util::sync::CancellationToken;
use tonic::Code;

use crate::restore::{ids, patch};
use crate::sandbox::{self, Sandbox, TENANT, parent};

const POPULATION: Population = Population {
    users: 60,
    groups: 8,
    seed: 6,
};

pub(crate) async fn vault(sandbox: &Sandbox) -> anyhow::Result<TenantVault> {
    Ok(sandbox.vault.tenant(&TenantId::parse(TENANT)?).await?)
}

/// Lets a snapshotter run on a day until something is there.
pub(crate) async fn a_day(
    sandbox: &Sandbox,
    now: DateTime<Utc>,
    done: impl AsyncFn() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let mut source = sandbox.source.clone();
    source.insert("REWIND_SCHEDULE".to_owned(), "daily".to_owned());
    // What is told of the log comes when it comes.
    source.insert("REWIND_AUDIT_INTERVAL".to_owned(), "off".to_owned());
    let config = snapshotter::Config::read(&Settings::load(&source)?)?;
    let ids: Arc<dyn runtime::Ids> = Arc::new(runtime::SystemIds);
    let deps = snapshotter::Deps {
        vault: sandbox.vault.clone(),
        clock: Arc::new(ManualClock::new(now)),
        connect: snapshotter::config::connect(&config, Arc::new(source), Arc::clone(&ids))?,
        ids,
        copies: None,
        differ: Some(sandbox.differ.clone().into()),
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let app = snapshotter::App::build(&config, deps, listener)?;
    let stop = CancellationToken::new();
    let running = tokio::spawn(app.run(stop.clone()));
    let waiting = async {
        while !done().await? {
            tokio::task::yield_now().await;
        }
        anyhow::Ok(())
    };
    tokio::time::timeout(Duration::from_secs(60), waiting).await??;
    stop.cancel();
    running.await??;
    Ok(())
}

/// Takes yesterday's snapshot, lets something happen, and takes today's.
async fn two_days(
    sandbox: &Sandbox,
    between: impl AsyncFnOnce() -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let vault = vault(sandbox).await?;
    let today = SystemClock.now();
    let yesterday = today - TimeDelta::days(1);
    let first = slot::daily(yesterday.date_naive());
    a_day(sandbox, yesterday, async || {
        Ok(vault.manifest(&first).await.is_ok())
    })
    .await?;
    between().await?;
    // The cursor is stored when all signals are.
    let second = slot::daily(today.date_naive()).to_string();
    a_day(sandbox, today, async || {
        Ok(vault.list_ids(Area::Cursors).await?.contains(&second))
    })
    .await
}

pub(crate) async fn signals(sandbox: &Sandbox) -> anyhow::Result<Vec<Signal>> {
    let request = ListSignalsRequest {
        parent: parent(),
        ..ListSignalsRequest::default()
    };
    let mut client = SignalServiceClient::new(sandbox.door.clone());
    Ok(client.list_signals(request).await?.into_inner().signals)
}

#[tokio::test]
async fn what_happened_between_two_days_is_told_to_its_tenant_alone() -> anyhow::Result<()> {
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    sandbox.tenant.populate(&POPULATION);
    sandbox.register(sandbox.registration()).await?;
    let enabled = ids(&sandbox, "user", |body| {
        body["accountEnabled"] == json!(true) && body["onPremisesSyncEnabled"] != json!(true)
    });
    let all = ids(&sandbox, "user", |_| true).len();
    let disabled = &enabled[..all / 10];
    let policy = ids(&sandbox, "conditionalAccessPolicy", |_| true).swap_remove(0);
    two_days(&sandbox, async || {
        let intruder = sandbox::intruder(&sandbox.graph)?;
        for user in disabled {
            let off = json!({"accountEnabled": false});
            patch(&intruder, format!("/users/{user}"), off).await?;
        }
        let path = format!("/identity/conditionalAccess/policies/{policy}");
        patch(&intruder, path, json!({"state": "disabled"})).await
    })
    .await?;

    let found = signals(&sandbox).await?;
    let rules: Vec<&str> = found.iter().map(|signal| signal.rule.as_str()).collect();
    assert_eq!(rules, ["mass-disable", "conditional-access"], "{found:#?}");
    let evidence = |signal: &Signal| -> BTreeSet<String> {
        let objects = signal.evidence.iter().filter_map(|one| one.object.clone());
        objects.map(|object| object.id).collect()
    };
    assert_eq!(evidence(&found[0]), disabled.iter().cloned().collect());
    assert_eq!(evidence(&found[1]), [policy].into());
    assert_eq!(
        found[0].title,
        format!(
            "Many users were disabled (user: {} of {all})",
            disabled.len()
        )
    );
    for signal in &found {
        assert_eq!(signal.severity(), Severity::High);
        // The report is there for whoever wants to know more.
        let request = GetReportRequest {
            name: signal.report.clone(),
        };
        let report = sandbox.diffs().get_report(request).await?.into_inner();
        let report = report.report.unwrap_or_default();
        assert_eq!(
            (&report.base, &report.target),
            (&signal.base, &signal.target)
        );
        let request = GetSignalRequest {
            name: signal.name.clone(),
        };
        let mut client = SignalServiceClient::new(sandbox.door.clone());
        let shown = client.get_signal(request).await?.into_inner().signal;
        assert_eq!(shown.as_ref(), Some(signal));

        let mut stranger = SignalServiceClient::new(sandbox.strange.clone());
        let request = ListSignalsRequest {
            parent: parent(),
            ..ListSignalsRequest::default()
        };
        let refused = stranger.list_signals(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
        let request = GetSignalRequest {
            name: signal.name.clone(),
        };
        let refused = stranger.get_signal(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::PermissionDenied);
    }
    Ok(())
}

#[tokio::test]
async fn a_tenants_own_limits_count_and_can_be_changed() -> anyhow::Result<()> {
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    sandbox.tenant.populate(&POPULATION);
    let registration = Tenant {
        drift_watch: "off,mass-disable=1%".to_owned(),
        ..sandbox.registration()
    };
    let registered = sandbox.register(registration).await?;
    assert_eq!(registered.drift_watch, "off,mass-disable=1%");
    let request = UpdateTenantRequest {
        name: registered.name,
        drift_watch: Some("on,conditional-access=off".to_owned()),
        request_id: sandbox.request_id(),
        ..UpdateTenantRequest::default()
    };
    let mut client = TenantServiceClient::new(sandbox.door.clone());
    let updated = client.update_tenant(request).await?.into_inner().tenant;
    let updated = updated.unwrap_or_default();
    assert_eq!(updated.drift_watch, "on,conditional-access=off");
    let policy = ids(&sandbox, "conditionalAccessPolicy", |_| true).swap_remove(0);
    two_days(&sandbox, async || {
        let intruder = sandbox::intruder(&sandbox.graph)?;
        let path = format!("/identity/conditionalAccess/policies/{policy}");
        patch(&intruder, path, json!({"state": "disabled"})).await
    })
    .await?;
    assert_eq!(signals(&sandbox).await?, []);
    Ok(())
}
