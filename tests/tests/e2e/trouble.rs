//! Bad input and broken parts: each gives a clear error with its reason, and
//! nothing is lost or half-written.

use std::sync::Arc;

use proto::v1::*;
use simulator::{Fault, FaultResponse, Population};
use store::object_store::local::LocalFileSystem;
use store::object_store::memory::InMemory;
use tonic::Code;

use crate::sandbox::{Sandbox, TENANT, parent, reason};

async fn small() -> anyhow::Result<Sandbox> {
    let sandbox = Sandbox::start(Arc::new(InMemory::new())).await?;
    sandbox.tenant.populate(&Population {
        users: 40,
        groups: 8,
        seed: 2,
    });
    Ok(sandbox)
}

async fn snapshots(sandbox: &Sandbox) -> anyhow::Result<ListSnapshotsResponse> {
    let request = ListSnapshotsRequest {
        parent: parent(),
        ..ListSnapshotsRequest::default()
    };
    Ok(sandbox
        .snapshots()
        .list_snapshots(request)
        .await?
        .into_inner())
}

#[tokio::test]
async fn an_unknown_tenant_is_not_found() -> anyhow::Result<()> {
    let sandbox = small().await?;
    let status = sandbox.snapshot().await.expect_err("nobody registered it");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::NotFound, "NOT_FOUND")
    );
    Ok(())
}

#[tokio::test]
async fn a_wrong_secret_shows_the_code_and_not_the_secret() -> anyhow::Result<()> {
    let sandbox = small().await?;
    let mut tenant = sandbox.registration();
    tenant.reader.get_or_insert_default().secret_ref =
        "env:REWIND_CREDENTIAL_READER_WRONG".to_owned();
    sandbox.register(tenant).await?;
    let status = sandbox.snapshot().await.expect_err("the secret is wrong");
    assert_eq!(reason(&status), "CREDENTIAL_REJECTED");
    assert!(
        status.message().contains("AADSTS7000215"),
        "{}",
        status.message()
    );
    assert!(
        !format!("{status:?}").contains("this-is-not-the-secret"),
        "{status:?}"
    );
    assert_eq!(snapshots(&sandbox).await?.snapshots, []);
    let checked = sandbox.check().await?;
    assert!(
        !checked.can_snapshot && checked.can_restore,
        "{:?}",
        checked.items
    );
    Ok(())
}

#[tokio::test]
async fn an_unreachable_graph_leaves_nothing() -> anyhow::Result<()> {
    let sandbox = small().await?;
    let tenant = Tenant {
        login_url: "http://127.0.0.1:1".to_owned(),
        ..sandbox.registration()
    };
    sandbox.register(tenant).await?;
    let status = sandbox.snapshot().await.expect_err("nobody listens there");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::Unavailable, "GRAPH_UNAVAILABLE")
    );
    assert_eq!(snapshots(&sandbox).await?.snapshots, []);
    Ok(())
}

#[tokio::test]
async fn a_credential_of_the_wrong_kind_is_refused() -> anyhow::Result<()> {
    let sandbox = small().await?;
    let refused = "CREDENTIAL_REFERENCE_REFUSED";
    let cases = [
        ("env:PATH", refused),
        ("env:REWIND_CREDENTIAL_WRITER_PRACTICE", refused),
        ("file:/etc/passwd", refused),
        // A value in place of a reference.
        ("practice-reader-secret", "INVALID_ARGUMENT"),
    ];
    for (reference, expected) in cases {
        let mut tenant = sandbox.registration();
        tenant.reader.get_or_insert_default().secret_ref = reference.to_owned();
        let outcome = match sandbox.register(tenant).await {
            Err(status) => Err(status),
            Ok(_) => sandbox.snapshot().await,
        };
        let status = outcome.expect_err("the reference is refused");
        assert_eq!(reason(&status), expected, "{reference}: {status:?}");
        assert!(
            !format!("{status:?}").contains("practice-reader-secret"),
            "{status:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn without_a_licence_there_is_no_snapshot() -> anyhow::Result<()> {
    let sandbox = small().await?;
    let unlicensed = "5a1d0000-0000-4000-8000-0000000000ff";
    let spec = |licence| simulator::TenantSpec {
        licence,
        ..simulator::TenantSpec::practice(unlicensed)
    };
    sandbox
        .register(Tenant {
            id: unlicensed.to_owned(),
            ..sandbox.registration()
        })
        .await?;
    use simulator::Licence::{Disabled, None, Suspended};
    let cases = [
        (None, "no subscription holds"),
        (Suspended, "(subscription Suspended, plan Success)"),
        (Disabled, "(subscription Enabled, plan Disabled)"),
    ];
    for (licence, found) in cases {
        sandbox.simulator.add_tenant(spec(licence));
        let request = TakeSnapshotRequest {
            parent: format!("tenants/{unlicensed}"),
            request_id: sandbox.request_id(),
        };
        let started = sandbox
            .snapshots()
            .take_snapshot(request)
            .await?
            .into_inner()
            .snapshot
            .unwrap_or_default();
        let watch = sandbox
            .snapshots()
            .watch_snapshot(WatchSnapshotRequest { name: started.name })
            .await?
            .into_inner();
        let ended: Result<Vec<_>, _> = futures::TryStreamExt::try_collect(watch).await;
        let status = ended.expect_err("there is no licence");
        assert_eq!(
            (status.code(), reason(&status).as_str()),
            (Code::FailedPrecondition, "LICENCE_REQUIRED")
        );
        assert!(status.message().contains(found), "{}", status.message());
    }
    Ok(())
}

#[tokio::test]
async fn a_type_that_cannot_be_read_is_neither_complete_nor_deleted() -> anyhow::Result<()> {
    let sandbox = small().await?;
    sandbox.register(sandbox.registration()).await?;
    let good = sandbox.snapshot().await?;
    let denied = FaultResponse::Status {
        code: 403,
        retry_after: None,
    };
    sandbox
        .simulator
        .inject(Fault::once("GET", "/groups*", denied).times(1000));
    let holed = sandbox.snapshot().await?;
    assert_eq!(holed.state(), SnapshotState::Incomplete);
    let kinds: Vec<_> = holed
        .kinds
        .iter()
        .filter(|kind| !kind.complete)
        .map(|kind| kind.kind.as_str())
        .collect();
    assert!(kinds.contains(&"group"), "{kinds:?}");
    let (report, changes) = sandbox.report(&good.name).await?;
    assert_eq!(changes, [], "nothing is told of what was not read");
    assert!(
        report
            .not_compared
            .iter()
            .any(|kind| kind.starts_with("group:")),
        "{:?}",
        report.not_compared
    );
    let latest = sandbox
        .snapshots()
        .get_snapshot(GetSnapshotRequest {
            name: format!("{}/snapshots/latest", parent()),
        })
        .await?;
    assert_eq!(
        latest.into_inner().snapshot.unwrap_or_default().name,
        good.name,
        "latest is the newest complete one"
    );
    Ok(())
}

#[tokio::test]
async fn a_garbled_answer_is_told_and_not_believed() -> anyhow::Result<()> {
    let sandbox = small().await?;
    sandbox.register(sandbox.registration()).await?;
    sandbox
        .simulator
        .inject(Fault::once("GET", "/users", FaultResponse::MalformedJson).times(1000));
    let snapshot = sandbox.snapshot().await?;
    let users = snapshot
        .kinds
        .iter()
        .find(|kind| kind.kind == "user")
        .expect("users were asked for");
    assert!(!users.complete && !users.problem.is_empty(), "{users:?}");
    assert_eq!(snapshot.state(), SnapshotState::Incomplete);
    Ok(())
}

#[tokio::test]
async fn a_damaged_run_file_is_named() -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let sandbox =
        Sandbox::start(Arc::new(LocalFileSystem::new_with_prefix(folder.path())?)).await?;
    sandbox.tenant.populate(&Population {
        users: 40,
        groups: 8,
        seed: 2,
    });
    sandbox.register(sandbox.registration()).await?;
    let snapshot = sandbox.snapshot().await?;
    let runs = folder.path().join(format!("tenants/{TENANT}/runs"));
    let run = std::fs::read_dir(runs)?
        .next()
        .expect("a snapshot has runs")?
        .path();
    let mut bytes = std::fs::read(&run)?;
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&run, bytes)?;
    let status = sandbox
        .report(&snapshot.name)
        .await
        .expect_err("the run is damaged");
    assert_eq!(
        (status.code(), reason(&status).as_str()),
        (Code::DataLoss, "STORE_CORRUPT")
    );
    let name = run.file_name().unwrap_or_default().display().to_string();
    assert!(status.message().contains(&name), "{}", status.message());
    Ok(())
}

#[tokio::test]
async fn a_repeated_request_makes_one_thing() -> anyhow::Result<()> {
    let sandbox = small().await?;
    sandbox.register(sandbox.registration()).await?;
    sandbox
        .register(sandbox.registration())
        .await
        .expect("the same registration again changes nothing");
    let request = TakeSnapshotRequest {
        parent: parent(),
        request_id: sandbox.request_id(),
    };
    let first = sandbox
        .snapshots()
        .take_snapshot(request.clone())
        .await?
        .into_inner()
        .snapshot
        .unwrap_or_default();
    let watch = sandbox
        .snapshots()
        .watch_snapshot(WatchSnapshotRequest {
            name: first.name.clone(),
        })
        .await?
        .into_inner();
    let _: Vec<_> = futures::TryStreamExt::try_collect(watch).await?;
    let again = sandbox
        .snapshots()
        .take_snapshot(request)
        .await?
        .into_inner()
        .snapshot
        .unwrap_or_default();
    assert_eq!(again.name, first.name);
    assert_eq!(snapshots(&sandbox).await?.snapshots.len(), 1);

    let request = CreateReportRequest {
        parent: parent(),
        base: "latest".to_owned(),
        request_id: "one".to_owned(),
        ..CreateReportRequest::default()
    };
    let (first, _) = sandbox.report_of(request.clone()).await?;
    let (again, _) = sandbox.report_of(request).await?;
    assert_eq!(again, first);
    Ok(())
}

#[tokio::test]
async fn a_recent_live_state_is_used_where_its_age_is_accepted() -> anyhow::Result<()> {
    let sandbox = small().await?;
    sandbox.register(sandbox.registration()).await?;
    let snapshot = sandbox.snapshot().await?;
    let (fresh, _) = sandbox.report(&snapshot.name).await?;
    let requests = sandbox.simulator.counters().total;
    let max_age = Some("600s".parse::<prost_types::Duration>()?);
    let request = CreateReportRequest {
        parent: parent(),
        base: snapshot.name,
        max_age,
        request_id: sandbox.request_id(),
        ..CreateReportRequest::default()
    };
    let (cached, _) = sandbox.report_of(request).await?;
    assert_eq!(
        (fresh.method.as_str(), cached.method.as_str()),
        ("changes_read", "cached_read")
    );
    assert_eq!(cached.target_time, fresh.target_time);
    assert_eq!(
        sandbox.simulator.counters().total,
        requests,
        "Graph was not asked"
    );
    Ok(())
}
