//! How much callers may ask, and what becomes of a service that does not answer.

use super::support::{
    A, B, OPERATOR, OWNER_A, OWNER_B, Sandbox, sandbox, sandbox_configured, with,
};
use crate::Limit;
use crate::circuit::FAILURES;
use proto::v1::restore_service_client::RestoreServiceClient;
use proto::v1::snapshot_service_client::SnapshotServiceClient;
use proto::v1::{CancelRestoreRequest, GetPlanRequest, GetSnapshotRequest, WatchSnapshotRequest};
use std::num::NonZeroU32;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tonic::{Code, Status};

async fn get(sandbox: &Sandbox, token: &str, tenant: &str, last: &str) -> Result<(), Status> {
    let name = format!("tenants/{tenant}/snapshots/{last}");
    let mut client = SnapshotServiceClient::new(sandbox.channel.clone());
    let answer = client.get_snapshot(with(token, GetSnapshotRequest { name }));
    answer.await.map(drop)
}

fn is_limit(status: &Status) {
    let remote = runtime::status::parse(status);
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert_eq!(remote.reason.as_deref(), Some("LIMIT_EXCEEDED"));
    let after = remote.retry_after.expect("when to try again");
    assert!(
        after > Duration::ZERO && after <= Duration::from_secs(60),
        "{after:?}"
    );
}

/// Asks until it is too often; a call takes far less than the second after which one
/// more is allowed.
async fn until_refused(sandbox: &Sandbox, token: &str, tenant: &str) -> Status {
    for _ in 0..100 {
        if let Err(status) = get(sandbox, token, tenant, "one").await {
            return status;
        }
    }
    panic!("nobody was refused");
}

fn one_a_second() -> Limit {
    Limit {
        rate: NonZeroU32::new(1),
        calls: 10,
    }
}

#[tokio::test]
async fn who_asks_too_often_is_told_when_to_come_back_and_others_are_not() {
    let sandbox = sandbox_configured(|config| config.limits.caller = one_a_second()).await;
    is_limit(&until_refused(&sandbox, OWNER_A, A).await);
    get(&sandbox, OPERATOR, A, "one")
        .await
        .expect("somebody else");
}

#[tokio::test]
async fn a_tenant_has_so_many_calls_by_whomever() {
    let sandbox = sandbox_configured(|config| config.limits.tenant = one_a_second()).await;
    is_limit(&until_refused(&sandbox, OWNER_A, A).await);
    is_limit(&until_refused(&sandbox, OPERATOR, A).await);
    get(&sandbox, OWNER_B, B, "one")
        .await
        .expect("another tenant");
}

#[tokio::test]
async fn a_stream_is_under_way_until_it_ends() {
    let sandbox = sandbox_configured(|config| {
        config.limits.caller = Limit {
            rate: None,
            calls: 1,
        };
    })
    .await;
    let mut client = SnapshotServiceClient::new(sandbox.channel.clone());
    let name = format!("tenants/{A}/snapshots/one");
    let stream = client.watch_snapshot(with(OWNER_A, WatchSnapshotRequest { name }));
    let mut stream = stream.await.expect("answered").into_inner();
    while stream.message().await.expect("a message").is_some() {}
    drop(stream);
    get(&sandbox, OWNER_A, A, "one")
        .await
        .expect("it has ended");

    let sandbox = &sandbox;
    let slow = get(sandbox, OWNER_A, A, "slow");
    let second = async {
        // The slow call has reached the service once it was seen there.
        while sandbox.fake.seen.lock().expect("unpoisoned").len() < 2 {
            tokio::task::yield_now().await;
        }
        get(sandbox, OWNER_A, A, "one").await
    };
    tokio::select! {
        _ = slow => panic!("it never ends"),
        second = second => is_limit(&second.expect_err("one at a time")),
    }
}

#[tokio::test]
async fn nobody_waits_longer_than_the_server_allows() {
    let sandbox = sandbox_configured(|config| {
        config.limits.deadline = Duration::from_millis(100);
    })
    .await;
    let told = get(&sandbox, OWNER_A, A, "slow").await.expect_err("late");
    // The service may say so before the door does.
    assert!(
        matches!(told.code(), Code::DeadlineExceeded | Code::Cancelled),
        "{told:?}"
    );
}

#[tokio::test]
async fn only_what_changes_nothing_is_tried_again_and_not_for_ever() {
    let sandbox = sandbox().await;
    let mut client = RestoreServiceClient::new(sandbox.channel.clone());
    let tried = || sandbox.fake.tried.swap(0, Ordering::SeqCst);
    let told = |status: Status| {
        let expected = (Code::Unavailable, "the restorer cannot be reached");
        assert_eq!((status.code(), status.message()), expected);
    };
    let cancel = CancelRestoreRequest {
        name: format!("tenants/{A}/restores/x"),
        ..Default::default()
    };
    told(
        client
            .cancel_restore(with(OWNER_A, cancel.clone()))
            .await
            .expect_err("no answer"),
    );
    assert_eq!(tried(), 1, "a mutation may have arrived");
    let plan = GetPlanRequest {
        name: format!("tenants/{A}/plans/x"),
    };
    told(
        client
            .get_plan(with(OWNER_A, plan.clone()))
            .await
            .expect_err("no answer"),
    );
    assert_eq!(tried(), 3);
    // However often each was tried, these are two calls of those after which it rests.
    for _ in 2..FAILURES {
        let answer = client.cancel_restore(with(OWNER_A, cancel.clone()));
        told(answer.await.expect_err("no answer"));
        assert_eq!(tried(), 1);
    }
    told(
        client
            .get_plan(with(OWNER_A, plan))
            .await
            .expect_err("no answer"),
    );
    assert_eq!(tried(), 0, "it is left alone then");
    get(&sandbox, OWNER_A, A, "one")
        .await
        .expect("others are asked");
}
